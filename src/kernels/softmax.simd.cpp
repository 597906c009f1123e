#include "kernels/fold-inl.h"
#include "kernels/ftable.h"
#include "kernels/math-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

// Sum of exp(x - top), which go to y unless it is null; in short blocks, so that long rows stay precise.
float exp_sum(const float* x, float top, float* y, int64_t n) {
  constexpr int64_t kBlock = 256;
  const V shift = set(top);
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t end = n - begin < kBlock ? n : begin + kBlock;
    V a{}, b{};
    int64_t i = begin;
    for (; i + 2 * kLanes <= end; i += 2 * kLanes) {
      const V p = exp(load(x + i) - shift), q = exp(load(x + i + kLanes) - shift);
      a += p;
      b += q;
      if (!y) continue;
      store(y + i, p);
      store(y + i + kLanes, q);
    }
    for (; i < end; i += kLanes) {
      const int64_t m = end - i < kLanes ? end - i : kLanes;
      const V p = exp(load_n(x + i, m) - shift);
      if (y) store_n(y + i, p, m);
      float lanes[kLanes] = {};
      store_n(lanes, p, m);
      a += load(lanes);
    }
    total += fold_lanes(a + b, [](V p, V q) { return p + q; });
  }
  return (float)total;
}

}  // namespace

void softmax(const float* x, float* y, int64_t n) {
  const V share = set(1 / exp_sum(x, max(x, n), y, n));
  for_lanes(n, [&](int64_t i, int64_t m) { store_n(y + i, load_n(y + i, m) * share, m); });
}

void log_softmax(const float* x, float* y, int64_t n) {
  const float top = max(x, n);
  const V shift = set(top), rest = log(set(exp_sum(x, top, nullptr, n)));
  for_lanes(n, [&](int64_t i, int64_t m) { store_n(y + i, load_n(x + i, m) - shift - rest, m); });
}

}  // namespace miniten::kernels::MINITEN_TARGET
