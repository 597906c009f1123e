#include "base/allocate.h"
#include <cstdlib>
#include "miniten/base/error.h"

namespace miniten {

size_t addressable(uint64_t n) {
  if (n > uint64_t{PTRDIFF_MAX}) throw Error(ErrorKind::value, "memory", "at most " + std::to_string(PTRDIFF_MAX) + " elements", std::to_string(n));
  return size_t(n);
}

void* allocate(std::string_view who, size_t alignment, uint64_t bytes, size_t more) {
  uint64_t total = aligned(bytes + more, alignment);
  void* memory = total < bytes || total > uint64_t{PTRDIFF_MAX} ? nullptr : std::aligned_alloc(alignment, size_t(total));
  if (!memory) throw Error(ErrorKind::value, who, "enough memory", std::to_string(bytes) + " bytes wanted");
  return memory;
}

}  // namespace miniten
