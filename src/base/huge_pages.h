#pragma once
#include <cstddef>
#include <cstdint>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace miniten {

// Memory read from end to end at each run wants few, large pages: walks of the page table cost as much as the reads.
inline constexpr size_t huge_page = size_t{2} << 20;
inline size_t alignment_for(uint64_t bytes) { return bytes < huge_page ? 64 : huge_page; }
inline void ask_for_huge_pages([[maybe_unused]] void* at, [[maybe_unused]] size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  if (bytes >= huge_page) madvise(at, bytes / huge_page * huge_page, MADV_HUGEPAGE);
#endif
}

}  // namespace miniten
