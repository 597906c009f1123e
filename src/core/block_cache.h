#pragma once
#include <cstddef>
#include <cstdint>

namespace miniten {

// What miniten/core/cache.h speaks of: the system would take large blocks back, and clear every page of the next ones anew. The youngest
// wait. Any thread may call; a block may be let go by another than took it.
class BlockCache {
 public:
  static constexpr size_t least = size_t{64} << 10, most = size_t{64} << 20, blocks = 256;
  static constexpr size_t alignment = 64;

  static void* take(uint64_t bytes, size_t more);           // `bytes` and `more` beside them; throws, for a tensor, where so many cannot be had
  static void let_go(void* block, size_t bytes, size_t more) noexcept;   // as it was taken
};

}  // namespace miniten
