#include "core/block_cache.h"
#include <gtest/gtest.h>
#include <cstdlib>
#include <cstring>
#include <set>
#include <thread>
#include <vector>
#include "miniten/core/cache.h"
#include "miniten/core/tensor.h"

namespace miniten {
namespace {

constexpr size_t mega = size_t{1} << 20;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool keeps = false;
#else
constexpr bool keeps = true;
#endif

TEST(BlockCache, GivesABlockOfThatSizeAgain) {
  empty_cache();
  void *large = BlockCache::take(20 * mega, 0), *first = BlockCache::take(3 * mega, 64);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % BlockCache::alignment, 0u);
  std::memset(first, 1, 3 * mega + 64);
  BlockCache::let_go(large, 20 * mega, 0);
  BlockCache::let_go(first, 3 * mega, 64);
  if (!keeps) GTEST_SKIP() << "sanitizers are to see what is used after it was let go";
  EXPECT_GE(cached_bytes(), 3 * mega + 64);
  void* other = BlockCache::take(mega, 0);                   // of another size: the oldest makes room
  EXPECT_NE(other, first);
  void* again = BlockCache::take(3 * mega + 1000, 0);        // rounded up to the same
  EXPECT_EQ(again, first);
  EXPECT_EQ(cached_bytes(), 0u);
  BlockCache::let_go(other, mega, 0);
  BlockCache::let_go(again, 3 * mega + 1000, 0);
  empty_cache();
  EXPECT_EQ(cached_bytes(), 0u);
}

TEST(BlockCache, KeepsNothingSmallNorMoreThanItMay) {
  empty_cache();
  BlockCache::let_go(BlockCache::take(1000, 0), 1000, 0);
  BlockCache::let_go(BlockCache::take(BlockCache::most, 64), BlockCache::most, 64);
  EXPECT_EQ(cached_bytes(), 0u);
  std::vector<void*> all;
  for (int i = 0; i < 20; ++i) all.push_back(BlockCache::take(5 * mega, 0));
  for (void* p : all) BlockCache::let_go(p, 5 * mega, 0);
  EXPECT_LE(cached_bytes(), BlockCache::most);
  EXPECT_GE(cached_bytes(), keeps ? BlockCache::most - 5 * mega : 0);
  all.clear();
  for (size_t i = 0; i < BlockCache::blocks + 10; ++i) all.push_back(BlockCache::take(BlockCache::least, 0));
  for (void* p : all) BlockCache::let_go(p, BlockCache::least, 0);
  EXPECT_LE(cached_bytes(), BlockCache::most);
  empty_cache();
}

TEST(BlockCache, TakesNoMoreMemoryThanThereWasInUse) {
  empty_cache();
  void* large = BlockCache::take(40 * mega, 0);
  BlockCache::let_go(large, 40 * mega, 0);
  std::vector<void*> all;
  for (int i = 0; i < 10; ++i) {                             // of other sizes: what waits makes room
    all.push_back(BlockCache::take((i + 1) * mega, 0));
    EXPECT_TRUE(cached_bytes() <= 40 * mega);
  }
  EXPECT_EQ(cached_bytes(), 0u);
  for (int i = 0; i < 10; ++i) BlockCache::let_go(all[size_t(i)], size_t(i + 1) * mega, 0);
  empty_cache();
}

TEST(BlockCache, ThrowsWhereThereIsNoMemory) { EXPECT_THROW(BlockCache::take(uint64_t{1} << 60, 64), std::exception); }

TEST(BlockCache, ServesThreads) {
  empty_cache();
  auto work = [](int seed) {
    std::vector<std::pair<unsigned char*, size_t>> own;
    uint32_t state = uint32_t(seed) * 747796405u + 1;
    for (int i = 0; i < 3000; ++i) {
      state = state * 1664525u + 1013904223u;
      if (own.size() < 6 && state >> 31) {
        const size_t bytes = BlockCache::least + (state >> 16) % 5 * 40000;
        auto* p = static_cast<unsigned char*>(BlockCache::take(bytes, 64));
        p[0] = p[bytes - 1] = static_cast<unsigned char>(seed);
        own.push_back({p, bytes});
      } else if (!own.empty()) {
        auto [p, bytes] = own[state % own.size()];
        own.erase(own.begin() + long(state % own.size()));
        EXPECT_TRUE(p[0] == seed && p[bytes - 1] == seed);  // nobody else had it meanwhile
        BlockCache::let_go(p, bytes, 64);
      }
    }
    for (auto [p, bytes] : own) BlockCache::let_go(p, bytes, 64);
  };
  std::vector<std::thread> threads;
  for (int t = 1; t <= 4; ++t) threads.emplace_back(work, t);
  for (auto& t : threads) t.join();
  empty_cache();
}

TEST(BlockCache, ServesTensors) {
  empty_cache();
  const Spec spec{DType::f32, {1 << 20}};
  const std::byte* first = Tensor::empty(spec).view().data;
  EXPECT_EQ(Tensor::empty(spec).view().data == first, keeps);
  empty_cache();
}

}  // namespace
}  // namespace miniten
