#pragma once
// Integers for the q*.simd.cpp files, beside simd-inl.h: 8-bit rows widened to 32 bits, dot products of four, and the
// one way back to 8 bits.
#include "kernels/simd-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

typedef int8_t B __attribute__((vector_size(MINITEN_LANES)));
typedef uint8_t BU __attribute__((vector_size(MINITEN_LANES)));
typedef int16_t S __attribute__((vector_size(MINITEN_LANES * 2)));

MINITEN_INLINE V to_float(I i) { return __builtin_convertvector(i, V); }

// Rounds half to even where |v| < 2^22: the sum leaves no bits below one.
MINITEN_INLINE I round_small(V v) {
  const V magic = set(12582912.0f);
  return __builtin_convertvector((v + magic) - magic, I);
}
// round(f) + zero inside [lo, hi]; the bounds are whole numbers, so cutting before rounding changes nothing.
MINITEN_INLINE I requantize(V f, I zero, V lo, V hi) { return round_small(clamp(f, lo, hi)) + zero; }
MINITEN_INLINE V bound(int32_t value, int32_t zero) { return set((float)(value - zero)); }
MINITEN_INLINE I set_i(int32_t x) { return I{} + x; }

MINITEN_INLINE void store_bytes(void* p, I v, int64_t n) {
  const B bytes = __builtin_convertvector(v, B);
  if (n >= kLanes) return store_as<B>(p, bytes);
  for (int64_t i = 0; i < n; ++i) static_cast<int8_t*>(p)[i] = bytes[i];
}
// n bytes as 16-bit numbers; none beyond are read.
template <class T, class Bytes>
MINITEN_INLINE S load_bytes_as(const void* p, int64_t n) {
  Bytes v = {};
  if (n >= kLanes) v = load_as<Bytes>(p);
  else for (int64_t i = 0; i < n; ++i) v[i] = static_cast<const T*>(p)[i];
  return __builtin_convertvector(v, S);
}
MINITEN_INLINE S load_bytes(const void* p, int64_t n, bool is_signed) {
  return is_signed ? load_bytes_as<int8_t, B>(p, n) : load_bytes_as<uint8_t, BU>(p, n);
}
MINITEN_INLINE I load_ints(const int32_t* p, int64_t n) {
  if (n >= kLanes) return load_as<I>(p);
  I v = {};
  for (int64_t i = 0; i < n; ++i) v[i] = p[i];
  return v;
}

// ---- dot products of four bytes: acc + sum of x[i] * w[i], exact modulo 2^32 ----
// Activation turns four stored bytes into what Dot takes: kFlip is applied to them first, so that they are unsigned on
// x86-64 and signed on aarch64; kShift is what that adds to each value.
#if MINITEN_SCALAR || defined(__x86_64__)
constexpr uint32_t flip_of(bool is_signed) { return is_signed ? 0x80808080u : 0u; }
constexpr int32_t shift_of(bool is_signed) { return is_signed ? 128 : 0; }
#else
constexpr uint32_t flip_of(bool is_signed) { return is_signed ? 0u : 0x80808080u; }
constexpr int32_t shift_of(bool is_signed) { return is_signed ? 0 : -128; }
#endif

#if MINITEN_SCALAR
struct Activation { int32_t x[4]; };
struct Weight { int32_t w[4]; };
MINITEN_INLINE Activation activation(uint32_t bytes) {
  return {{(int32_t)(bytes & 255), (int32_t)(bytes >> 8 & 255), (int32_t)(bytes >> 16 & 255), (int32_t)(bytes >> 24)}};
}
MINITEN_INLINE Weight weight(const int8_t* p) { return {{p[0], p[1], p[2], p[3]}}; }
MINITEN_INLINE I dot(I acc, Activation a, Weight w) {
  return acc + I{a.x[0] * w.w[0] + a.x[1] * w.w[1] + a.x[2] * w.w[2] + a.x[3] * w.w[3]};
}
#elif defined(__AVX512VNNI__) || defined(__AVXVNNI__)
typedef I Activation;
typedef I Weight;
MINITEN_INLINE Activation activation(uint32_t bytes) { return set_i((int32_t)bytes); }
MINITEN_INLINE Weight weight(const int8_t* p) { return load_as<I>(p); }
// The instruction by name: g++ 12 spills the accumulators of its intrinsic.
MINITEN_INLINE I dot(I acc, Activation a, Weight w) {
#if defined(__AVX512VNNI__)
  asm("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(a), "v"(w));
#else
  asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(acc) : "x"(a), "x"(w));
#endif
  return acc;
}
#elif defined(__x86_64__)
// Bytes 0 and 2, and 1 and 3, as pairs of 16-bit numbers: their products summed in pairs cannot saturate.
struct Activation { I even, odd; };
struct Weight { I even, odd; };
MINITEN_INLINE Activation activation(uint32_t bytes) {
  return {set_i((int32_t)(bytes & 0x00ff00ffu)), set_i((int32_t)(bytes >> 8 & 0x00ff00ffu))};
}
#if MINITEN_LANES == 16
MINITEN_INLINE Weight weight(const int8_t* p) {
  const __m512i w = _mm512_loadu_si512(p);
  return {(I)_mm512_srai_epi16(_mm512_slli_epi16(w, 8), 8), (I)_mm512_srai_epi16(w, 8)};
}
MINITEN_INLINE I dot(I acc, Activation a, Weight w) {
  return acc + (I)_mm512_madd_epi16((__m512i)a.even, (__m512i)w.even) + (I)_mm512_madd_epi16((__m512i)a.odd, (__m512i)w.odd);
}
#elif MINITEN_LANES == 8
MINITEN_INLINE Weight weight(const int8_t* p) {
  const __m256i w = load_as<__m256i>(p);
  return {(I)_mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8), (I)_mm256_srai_epi16(w, 8)};
}
MINITEN_INLINE I dot(I acc, Activation a, Weight w) {
  return acc + (I)_mm256_madd_epi16((__m256i)a.even, (__m256i)w.even) + (I)_mm256_madd_epi16((__m256i)a.odd, (__m256i)w.odd);
}
#else
MINITEN_INLINE Weight weight(const int8_t* p) {
  const __m128i w = load_as<__m128i>(p);
  return {(I)_mm_srai_epi16(_mm_slli_epi16(w, 8), 8), (I)_mm_srai_epi16(w, 8)};
}
MINITEN_INLINE I dot(I acc, Activation a, Weight w) {
  return acc + (I)_mm_madd_epi16((__m128i)a.even, (__m128i)w.even) + (I)_mm_madd_epi16((__m128i)a.odd, (__m128i)w.odd);
}
#endif
#else
typedef int8x16_t Activation;
typedef int8x16_t Weight;
MINITEN_INLINE Activation activation(uint32_t bytes) { return vreinterpretq_s8_u32(vdupq_n_u32(bytes)); }
MINITEN_INLINE Weight weight(const int8_t* p) { return vld1q_s8(p); }
MINITEN_INLINE I dot(I acc, Activation a, Weight w) {
#if defined(__ARM_FEATURE_DOTPROD)
  return (I)vdotq_s32((int32x4_t)acc, a, w);
#else
  const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(w)));
  const int32x4_t high = vpaddlq_s16(vmull_s8(vget_high_s8(a), vget_high_s8(w)));
  return acc + (I)vpaddq_s32(low, high);
#endif
}
#endif

}  // namespace
}  // namespace miniten::kernels::MINITEN_TARGET
