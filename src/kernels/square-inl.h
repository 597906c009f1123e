#pragma once
#include "kernels/simd-inl.h"

#if !MINITEN_SCALAR
namespace miniten::kernels::MINITEN_TARGET {
namespace {

template <int... K>
struct Lanes {};
template <int N, int... K>
struct Count : Count<N - 1, N - 1, K...> {};
template <int... K>
struct Count<0, K...> {
  using type = Lanes<K...>;
};
using AllLanes = typename Count<kLanes>::type;

// turn: rows of a square of kLanes by kLanes become its columns.
#if MINITEN_LANES == 16
MINITEN_INLINE void turn(V (&x)[kLanes]) {
  const auto low = [](V a, V b) { return (V)_mm512_unpacklo_ps((__m512)a, (__m512)b); };
  const auto high = [](V a, V b) { return (V)_mm512_unpackhi_ps((__m512)a, (__m512)b); };
  const auto low_pairs = [](V a, V b) { return (V)_mm512_unpacklo_pd((__m512d)a, (__m512d)b); };
  const auto high_pairs = [](V a, V b) { return (V)_mm512_unpackhi_pd((__m512d)a, (__m512d)b); };
  const auto even = [](V a, V b) { return (V)_mm512_shuffle_f32x4((__m512)a, (__m512)b, 0x88); };
  const auto odd = [](V a, V b) { return (V)_mm512_shuffle_f32x4((__m512)a, (__m512)b, 0xdd); };
  V y[16];
  MINITEN_UNROLL(4)
  for (int i = 0; i < 16; i += 4) {
    const V a = low(x[i], x[i + 1]), b = high(x[i], x[i + 1]), c = low(x[i + 2], x[i + 3]), d = high(x[i + 2], x[i + 3]);
    y[i] = low_pairs(a, c), y[i + 1] = high_pairs(a, c), y[i + 2] = low_pairs(b, d), y[i + 3] = high_pairs(b, d);
  }
  MINITEN_UNROLL(4)
  for (int i = 0; i < 4; ++i) {
    const V a = even(y[i], y[i + 4]), b = even(y[i + 8], y[i + 12]), c = odd(y[i], y[i + 4]), d = odd(y[i + 8], y[i + 12]);
    x[i] = even(a, b), x[i + 8] = odd(a, b), x[i + 4] = even(c, d), x[i + 12] = odd(c, d);
  }
}
#else
// Rows a and b of a square: their blocks D wide off the diagonal change places.
template <int D, int... K>
MINITEN_INLINE void exchange(V& a, V& b, Lanes<K...>) {
  const V upper = __builtin_shufflevector(a, b, (K & D ? kLanes + K - D : K)...);
  b = __builtin_shufflevector(a, b, (K & D ? kLanes + K : K + D)...);
  a = upper;
}
template <int D>
MINITEN_INLINE void turn_blocks(V (&v)[kLanes]) {
  MINITEN_UNROLL(16)
  for (int r = 0; r < kLanes; ++r)
    if (!(r & D)) exchange<D>(v[r], v[r + D], AllLanes{});
  if constexpr (1 < D) turn_blocks<D / 2>(v);
}
MINITEN_INLINE void turn(V (&v)[kLanes]) { turn_blocks<kLanes / 2>(v); }
#endif

}  // namespace
}  // namespace miniten::kernels::MINITEN_TARGET
#endif
