#include "core/block_cache.h"
#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include "base/allocate.h"
#include "base/features.h"
#include "miniten/base/error.h"
#include "miniten/core/cache.h"

namespace miniten {

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool keeps = false;                                // a block that is used after it was let go is to be found
#else
constexpr bool keeps = has_in_place;
#endif

// The system gives large blocks whole pages. Tensors that all began at one place in a page would share the same lines of the first cache, so
// each begins at a place of its own; in front of it stands where its block does.
constexpr size_t places = 16, apart = 256;
void* placed(void* block) {
  static std::atomic<size_t> next{0};
  auto* at = static_cast<std::byte*>(block) + BlockCache::alignment + next++ % places * apart;
  std::memcpy(at - sizeof block, &block, sizeof block);
  return at;
}
void free_placed(void* at) {
  void* block;
  std::memcpy(&block, static_cast<std::byte*>(at) - sizeof block, sizeof block);
  std::free(block);
}
void* allocate_placed(size_t bytes) { return placed(allocate("tensor", BlockCache::alignment, bytes, BlockCache::alignment + places * apart)); }

// Tensors do not wait for the lock: who does not get it does without the cache. So a fork cannot leave it locked for them.
struct Waiting {
  struct Block { void* data; size_t size; };
  std::mutex lock;
  Block block[BlockCache::blocks];                           // the oldest first
  size_t count = 0, bytes = 0, peak = 0;
  std::atomic<size_t> in_use{0};

  void drop(size_t i) {
    bytes -= block[i].size;
    std::copy(block + i + 1, block + count, block + i);
    --count;
  }
  void free_oldest() {
    free_placed(block[0].data);
    drop(0);
  }
  void shrink_to(size_t limit) {
    while (count && bytes > limit) free_oldest();
  }
  void shrink(size_t used) {                                 // to what may wait beside those in use
    peak = std::max(peak, used);
    shrink_to(std::min(BlockCache::most, peak - used));
  }
};
Waiting& cache() {
  static Waiting& only = *new Waiting;                       // tensors may live until the very end
  return only;
}
// Eight sizes between two powers of two: the pages of what is rounded up are never touched.
size_t rounded(size_t bytes) {
  const size_t step = std::bit_floor(bytes) / 8;
  return (bytes + step - 1) / step * step;
}
bool is_kept(uint64_t bytes) { return keeps && bytes >= BlockCache::least && bytes <= BlockCache::most; }

}  // namespace

void* BlockCache::take(uint64_t bytes, size_t more) {
  const uint64_t total = aligned(bytes + more);
  if (total < bytes || !is_kept(total)) return allocate("tensor", alignment, bytes, more);
  Waiting& c = cache();
  const size_t size = rounded(size_t(total)), used = c.in_use += size;
  if (std::unique_lock held(c.lock, std::try_to_lock); held) {
    for (size_t i = c.count; i-- > 0;)
      if (c.block[i].size == size) {
        void* found = c.block[i].data;
        c.drop(i);
        return found;
      }
    c.shrink(used);
  }
  try {
    return allocate_placed(size);
  } catch (const Error&) {
    empty_cache();
    c.in_use -= size;
    void* block = allocate_placed(size);
    c.in_use += size;
    return block;
  }
}

void BlockCache::let_go(void* block, size_t bytes, size_t more) noexcept {
  const size_t total = size_t(aligned(bytes + more));
  if (!is_kept(total)) return std::free(block);
  Waiting& c = cache();
  const size_t size = rounded(total), used = c.in_use -= size;
  std::unique_lock held(c.lock, std::try_to_lock);
  if (!held) return free_placed(block);
  c.peak = std::max(c.peak, used + size);
  const size_t room = std::min(most, c.peak - used);
  if (size > room) return free_placed(block);
  c.shrink_to(room - size);
  if (c.count == blocks) c.free_oldest();
  c.block[c.count++] = {block, size};
  c.bytes += size;
}

size_t cached_bytes() {
  std::lock_guard held(cache().lock);
  return cache().bytes;
}
void empty_cache() {
  Waiting& c = cache();
  std::lock_guard held(c.lock);
  c.shrink_to(0);
  c.peak = 0;                                                // what was in use at once before is forgotten too
}

}  // namespace miniten
