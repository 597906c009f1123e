#include "base/allocate.h"
#include <algorithm>
#include <cstdlib>
#include "miniten/base/error.h"

namespace miniten {

size_t addressable(uint64_t n) {
  if (n > uint64_t{PTRDIFF_MAX}) throw Error(ErrorKind::value, "memory", "at most " + std::to_string(PTRDIFF_MAX) + " elements", std::to_string(n));
  return size_t(n);
}

void* allocate(std::string_view who, size_t alignment, uint64_t bytes, size_t more) {
  const uint64_t total = aligned(bytes + more);
  void* memory = nullptr;
  if (total < bytes || total > uint64_t{PTRDIFF_MAX} || ::posix_memalign(&memory, alignment, std::max<size_t>(size_t(total), 1)) != 0)
    throw Error(ErrorKind::value, who, "enough memory", std::to_string(bytes) + " bytes wanted");
  return memory;
}

}  // namespace miniten
