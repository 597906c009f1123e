#pragma once
#include "kernels/simd-inl.h"

#if MINITEN_LANES == 16
namespace miniten::kernels::MINITEN_TARGET {
namespace {

// The columns of 16 by 16 floats.
MINITEN_INLINE void turn(V (&x)[16]) {
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

}  // namespace
}  // namespace miniten::kernels::MINITEN_TARGET
#endif
