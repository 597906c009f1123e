#include "kernels/bf16-inl.h"
#include "kernels/ftable.h"
#include "kernels/qsimd16-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

MINITEN_INLINE I larger(U a, uint32_t b) { return (I)a > (int32_t)b; }  // of magnitudes
MINITEN_INLINE U either(I mask, U a, U b) { return (U)select(mask, (V)a, (V)b); }
MINITEN_INLINE U all(uint32_t x) { return (U)set_i((int32_t)x); }

#if MINITEN_LANES == 16 || MINITEN_LANES == 8
MINITEN_INLINE void store_halves(uint16_t* y, V v, int64_t n) {
  v = select(v != v, (V)(((U)v & 0x80000000u) | 0x7fc00000u), v);       // one NaN of either sign
#if MINITEN_LANES == 16
  const S half = (S)_mm512_cvtps_ph((__m512)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  const S half = (S)_mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#endif
  if (n >= kLanes) return store_as<S>(y, half);
  copy_words(reinterpret_cast<int16_t*>(y), reinterpret_cast<const int16_t*>(&half), n);
}
MINITEN_INLINE V load_halves(const uint16_t* x, int64_t n) {
  S half = {};
  if (n >= kLanes) half = load_as<S>(x);
  else copy_words(reinterpret_cast<int16_t*>(&half), reinterpret_cast<const int16_t*>(x), n);
#if MINITEN_LANES == 16
  return (V)_mm512_cvtph_ps((__m256i)half);
#else
  return (V)_mm256_cvtph_ps((__m128i)half);
#endif
}
#else
MINITEN_INLINE void store_halves(uint16_t* y, V v, int64_t n) {
  const U bits = (U)v, sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
  const U normal = (magnitude + 0xc8000fffu + (magnitude >> 13 & 1u)) >> 13;
  const U tiny = (U)((V)magnitude + set(0.5f)) - 0x3f000000u;            // subnormal: the sum rounds at its last place
  U half = either(larger(magnitude, 0x387fffff), normal, tiny);
  half = either(larger(magnitude, 0x477fefff), all(0x7c00), half);
  half = sign | either(larger(magnitude, 0x7f800000), all(0x7e00), half);
  store_words(reinterpret_cast<int16_t*>(y), (I)(half << 16) >> 16, n);  // as signed numbers, which fit
}
MINITEN_INLINE V load_halves(const uint16_t* x, int64_t n) {
  const U h = (U)load_words(reinterpret_cast<const int16_t*>(x), n) & 0xffffu, sign = (h & 0x8000u) << 16, low = h & 0x7fffu;
  const V subnormal = to_float((I)low) * set(0x1p-24f);
  const U normal = (low << 13) + all(112u << 23), special = normal + all(112u << 23);
  return (V)(sign | either(larger(low, 0x3ff), either(larger(low, 0x7bff), special, normal), (U)subnormal));
}
#endif
MINITEN_INLINE I whole(V v, float least, float greatest) {
  return __builtin_convertvector(clamp(select(v == v, v, V{}), set(least), set(greatest)), I);
}
MINITEN_INLINE I whole(V v) {                                            // the greatest float below 2^31 is 127 less than the greatest number
  return (I)select(v >= set(0x1p31f), (V)set_i(INT32_MAX), (V)whole(v, -0x1p31f, 2147483520.0f));
}

// Half of a vector of 4-byte, a whole one of 8-byte numbers.
template <class T>
MINITEN_INLINE T load_some(const void* p, int64_t i, int64_t n) {
  constexpr int64_t each = sizeof(T) / kHalf;
  const uint8_t* from = static_cast<const uint8_t*>(p) + i * each;
  if (kHalf <= n - i) return load_as<T>(from);
  T v{};
  copy_bytes(reinterpret_cast<uint8_t*>(&v), from, (n - i) * each);
  return v;
}
template <class T>
MINITEN_INLINE void store_some(void* p, T v, int64_t i, int64_t n) {
  constexpr int64_t each = sizeof(T) / kHalf;
  uint8_t* to = static_cast<uint8_t*>(p) + i * each;
  kHalf <= n - i ? store_as<T>(to, v) : copy_bytes(to, reinterpret_cast<const uint8_t*>(&v), (n - i) * each);
}
template <class To, class From, class F>
MINITEN_INLINE void map_halves(const void* x, void* y, int64_t n, F f) {
  for (int64_t i = 0; i < n; i += kHalf) store_some<To>(y, f(load_some<From>(x, i, n)), i, n);
}
MINITEN_INLINE L whole_long(H h) {
  const D x = to_double(h), inside = min_keep(set_d(0x1.fffffep62), max_keep(set_d(-0x1p63), select(x == x, x, D{})));
  return (L)select(x >= set_d(0x1p63), (D)(L{} + INT64_MAX), (D)__builtin_convertvector(inside, L));
}

}  // namespace

void from_floats(Stored to, const float* x, void* y, int64_t n) {
  auto* bytes = static_cast<uint8_t*>(y);
  auto* words = static_cast<int16_t*>(y);
  auto* ints = static_cast<float*>(y);
  switch (to) {
    case Stored::half: return for_lanes(n, [&](int64_t i, int64_t m) { store_halves(static_cast<uint16_t*>(y) + i, load_n(x + i, m), m); });
    case Stored::bfloat16: return for_lanes(n, [&](int64_t i, int64_t m) { store_words(words + i, (I)round_to_bf16(load_n(x + i, m)) >> 16, m); });
    case Stored::i8: return for_lanes(n, [&](int64_t i, int64_t m) { store_bytes(bytes + i, whole(load_n(x + i, m), -128, 127), m); });
    case Stored::u8: return for_lanes(n, [&](int64_t i, int64_t m) { store_bytes(bytes + i, whole(load_n(x + i, m), 0, 255), m); });
    case Stored::i16: return for_lanes(n, [&](int64_t i, int64_t m) { store_words(words + i, whole(load_n(x + i, m), -32768, 32767), m); });
    case Stored::u16: return for_lanes(n, [&](int64_t i, int64_t m) { store_words(words + i, whole(load_n(x + i, m), 0, 65535) << 16 >> 16, m); });
    case Stored::i32: return for_lanes(n, [&](int64_t i, int64_t m) { store_n(ints + i, (V)whole(load_n(x + i, m)), m); });
    case Stored::i64: return map_halves<L, H>(x, y, n, [](H h) __attribute__((always_inline)) { return whole_long(h); });
    case Stored::f64: return map_halves<D, H>(x, y, n, [](H h) __attribute__((always_inline)) { return to_double(h); });
    case Stored::boolean: return for_lanes(n, [&](int64_t i, int64_t m) { store_bytes(bytes + i, (load_n(x + i, m) != V{}) & 1, m); });
  }
}
void to_floats(Stored from, const void* x, float* y, int64_t n) {
  const auto* bytes = static_cast<const uint8_t*>(x);
  const auto* words = static_cast<const int16_t*>(x);
  const auto* ints = static_cast<const int32_t*>(x);
  switch (from) {
    case Stored::half: return for_lanes(n, [&](int64_t i, int64_t m) { store_n(y + i, load_halves(static_cast<const uint16_t*>(x) + i, m), m); });
    case Stored::bfloat16: return for_lanes(n, [&](int64_t i, int64_t m) { store_n(y + i, (V)((U)load_words(words + i, m) << 16), m); });
    case Stored::i8: return for_lanes(n, [&](int64_t i, int64_t m) { store_n(y + i, to_float(load_bytes(bytes + i, m, true)), m); });
    case Stored::u8:
    case Stored::boolean: return for_lanes(n, [&](int64_t i, int64_t m) { store_n(y + i, to_float(load_bytes(bytes + i, m, false)), m); });
    case Stored::i16: return for_lanes(n, [&](int64_t i, int64_t m) { store_n(y + i, to_float(load_words(words + i, m)), m); });
    case Stored::u16: return for_lanes(n, [&](int64_t i, int64_t m) { store_n(y + i, to_float(load_words(words + i, m) & 0xffff), m); });
    case Stored::i32: return for_lanes(n, [&](int64_t i, int64_t m) { store_n(y + i, to_float(load_ints(ints + i, m)), m); });
    case Stored::i64: return map_halves<H, L>(x, y, n, [](L v) __attribute__((always_inline)) { return __builtin_convertvector(v, H); });
    case Stored::f64: return map_halves<H, D>(x, y, n, [](D v) __attribute__((always_inline)) { return to_float(v); });
  }
}
void narrow_pairs(const float* a, const float* b, uint32_t* y, int64_t n) {
  for_lanes(n, [&](int64_t i, int64_t m) {
    const U pairs = round_to_bf16(load_n(a + i, m)) >> 16 | (round_to_bf16(load_n(b + i, m)) & 0xffff0000u);
    store_n(reinterpret_cast<float*>(y + i), (V)pairs, m);
  });
}

}  // namespace miniten::kernels::MINITEN_TARGET
