#include "kernels/ftable.h"
#include "kernels/qsimd16-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

MINITEN_INLINE I larger(U a, uint32_t b) { return (I)a > (int32_t)b; }  // of magnitudes
MINITEN_INLINE U either(I mask, U a, U b) { return (U)select(mask, (V)a, (V)b); }
MINITEN_INLINE U all(uint32_t x) { return (U)set_i((int32_t)x); }

MINITEN_INLINE U to_half(V v) {
  const U bits = (U)v, sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
  const U normal = (magnitude + 0xc8000fffu + (magnitude >> 13 & 1u)) >> 13;
  const U tiny = (U)((V)magnitude + set(0.5f)) - 0x3f000000u;  // subnormal: the sum rounds at its last place
  U half = either(larger(magnitude, 0x387fffff), normal, tiny);
  half = either(larger(magnitude, 0x477fefff), all(0x7c00), half);
  return sign | either(larger(magnitude, 0x7f800000), all(0x7e00), half);
}
MINITEN_INLINE V of_half(U h) {
  const U sign = (h & 0x8000u) << 16, low = h & 0x7fffu;
  const V subnormal = __builtin_convertvector((I)low, V) * set(0x1p-24f);
  const U normal = (low << 13) + all(112u << 23), special = normal + all(112u << 23);
  return (V)(sign | either(larger(low, 0x3ff), either(larger(low, 0x7bff), special, normal), (U)subnormal));
}
MINITEN_INLINE U rounded(V v) {                                // what counts is its high half
  const U bits = (U)v, even = bits + 0x7fffu + (bits >> 16 & 1u);
  return either(larger(bits & 0x7fffffffu, 0x7f800000), bits | 0x400000u, even);
}
MINITEN_INLINE V of_bfloat16(U h) { return (V)(h << 16); }

template <class F>
void narrow(const float* x, uint16_t* y, int64_t n, const F& f) {
  for_lanes(n, [&](int64_t i, int64_t m) {
    const I words = (I)(f(load_n(x + i, m)) << 16) >> 16;      // as signed numbers, which fit
    store_words(reinterpret_cast<int16_t*>(y + i), words, m);
  });
}
template <class F>
void widen(const uint16_t* x, float* y, int64_t n, const F& f) {
  for_lanes(n, [&](int64_t i, int64_t m) { store_n(y + i, f((U)load_words(reinterpret_cast<const int16_t*>(x + i), m) & 0xffffu), m); });
}

}  // namespace

void narrow_floats(Narrow to, const float* x, uint16_t* y, int64_t n) {
  if (to == Narrow::half) narrow(x, y, n, [](V v) __attribute__((always_inline)) { return to_half(v); });
  else narrow(x, y, n, [](V v) __attribute__((always_inline)) { return rounded(v) >> 16; });
}
void narrow_pairs(const float* a, const float* b, uint32_t* y, int64_t n) {
  for_lanes(n, [&](int64_t i, int64_t m) {
    const U pairs = rounded(load_n(a + i, m)) >> 16 | (rounded(load_n(b + i, m)) & 0xffff0000u);
    store_n(reinterpret_cast<float*>(y + i), (V)pairs, m);
  });
}
void widen_floats(Narrow from, const uint16_t* x, float* y, int64_t n) {
  if (from == Narrow::half) widen(x, y, n, [](U h) __attribute__((always_inline)) { return of_half(h); });
  else widen(x, y, n, [](U h) __attribute__((always_inline)) { return of_bfloat16(h); });
}

}  // namespace miniten::kernels::MINITEN_TARGET
