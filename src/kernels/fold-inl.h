#pragma once
#include "kernels/simd-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

// Lane by lane with the other half, then with the other quarter, ..: f of two vectors, of which the first lanes count.
template <class F>
MINITEN_INLINE float fold_lanes(V v, [[maybe_unused]] F f) {
#if MINITEN_LANES == 16
  v = f(v, __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15));
  v = f(v, __builtin_shufflevector(v, v, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7));
  v = f(v, __builtin_shufflevector(v, v, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3));
  v = f(v, __builtin_shufflevector(v, v, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1));
#elif MINITEN_LANES == 8
  v = f(v, __builtin_shufflevector(v, v, 4, 5, 6, 7, 4, 5, 6, 7));
  v = f(v, __builtin_shufflevector(v, v, 2, 3, 2, 3, 2, 3, 2, 3));
  v = f(v, __builtin_shufflevector(v, v, 1, 1, 1, 1, 1, 1, 1, 1));
#elif MINITEN_LANES == 4
  v = f(v, __builtin_shufflevector(v, v, 2, 3, 2, 3));
  v = f(v, __builtin_shufflevector(v, v, 1, 1, 1, 1));
#endif
  return v[0];
}

}  // namespace
}  // namespace miniten::kernels::MINITEN_TARGET
