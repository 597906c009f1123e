#include "base/pages.h"
#include <sys/mman.h>
#include <unistd.h>
#include <cstdlib>
#include "base/allocate.h"

namespace miniten {

static constexpr size_t huge_page = size_t{2} << 20;
static size_t huge_bytes(uint64_t bytes) { return size_t((bytes + huge_page / 2) / huge_page * huge_page); }      // as many as fit best

Pages::Pages(std::string_view who, uint64_t bytes) : data_(static_cast<std::byte*>(allocate(who, bytes < huge_page / 2 ? 64 : huge_page, bytes, 64))), size_(size_t(bytes)) {
#if defined(MADV_HUGEPAGE)
  if (size_t n = huge_bytes(bytes)) madvise(data_, n, MADV_HUGEPAGE);
#endif
}
Pages::~Pages() { std::free(data_); }

void Pages::drop([[maybe_unused]] std::span<std::byte> bytes) noexcept {
#if defined(__linux__)
  const auto first = reinterpret_cast<uintptr_t>(bytes.data()), page = uintptr_t(::sysconf(_SC_PAGESIZE));
  const auto from = uintptr_t(aligned(first, page)), to = (first + bytes.size()) & ~(page - 1);
  if (from < to) ::madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);
#endif
}

}  // namespace miniten
