#pragma once
#include "kernels/fold-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

constexpr int kChains = 8;             // sums in flight: the latency of an addition times its rate
constexpr int64_t kBlock = 1024;       // values summed before the pairwise tree

// Adds partial results as a balanced tree: like a binary counter, place i holds a sum of 2^i blocks.
struct Tree {
  float places[64];
  uint64_t count = 0;

  void add(float v) {
    int place = 0;
    for (uint64_t c = count; c & 1; c >>= 1) v = places[place++] + v;
    places[place] = v;
    ++count;
  }
  float total() const {
    float v = 0;
    for (int place = 0; place < 64; ++place)
      if (count >> place & 1) v = places[place] + v;
    return v;
  }
};

// One block; step(acc, x) adds one vector.
template <class F>
MINITEN_INLINE float block_sum(const float* x, int64_t n, F step) {
  V acc[kChains] = {};
  int64_t i = 0;
  for (; i + kChains * kLanes <= n; i += kChains * kLanes) {
    MINITEN_UNROLL(8)
    for (int j = 0; j < kChains; ++j) acc[j] = step(acc[j], load(x + i + j * kLanes));
  }
  for (; i < n; i += kLanes) acc[0] = step(acc[0], load_n(x + i, n - i));
  const V v = ((acc[0] + acc[1]) + (acc[2] + acc[3])) + ((acc[4] + acc[5]) + (acc[6] + acc[7]));
  return fold_lanes(v, [](V a, V b) { return a + b; });
}

template <class F>
MINITEN_INLINE float tree_sum(const float* x, int64_t n, F step) {
  if (n <= kBlock) return block_sum(x, n, step);
  Tree tree;
  for (int64_t i = 0; i < n; i += kBlock) tree.add(block_sum(x + i, n - i < kBlock ? n - i : kBlock, step));
  return tree.total();
}

}  // namespace
}  // namespace miniten::kernels::MINITEN_TARGET
