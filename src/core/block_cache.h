#pragma once
#include <cstddef>
#include <cstdint>

namespace miniten {

// Memory of tensors. Blocks from `least` bytes on that were let go wait for tensors of about their size: the system would take them back, and
// clear every page of the next ones anew. At most `most` bytes wait, the youngest, and with those in use never more than were in use
// at once before. Any thread may call; a block may be let go by another than took it.
class BlockCache {
 public:
  static constexpr size_t least = size_t{64} << 10, most = size_t{64} << 20, blocks = 256;
  static constexpr size_t alignment = 64;

  static void* take(uint64_t bytes, size_t more);           // `bytes` and `more` beside them; throws, for a tensor, where so many cannot be had
  static void let_go(void* block, size_t bytes, size_t more) noexcept;   // as it was taken
  static size_t waiting() noexcept;                         // bytes
  static void clear() noexcept;                             // frees what waits and forgets how much was in use
};

}  // namespace miniten
