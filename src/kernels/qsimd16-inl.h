#pragma once
// 16-bit numbers for the q*16.simd.cpp files, beside qsimd-inl.h: widened to 32 bits and back, dot products of two, and
// sums that do not fit 32 bits.
#include "kernels/qsimd-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

typedef int16_t S __attribute__((vector_size(2 * MINITEN_LANES)));

MINITEN_INLINE I widen_words(const void* p) {
#if MINITEN_SCALAR
  return set_i(load_as<int16_t>(p));
#elif MINITEN_LANES == 16
  return (I)_mm512_cvtepi16_epi32(load_as<__m256i>(p));
#elif MINITEN_LANES == 8
  return (I)_mm256_cvtepi16_epi32(load_as<__m128i>(p));
#elif defined(__SSE2__)
  const __m128i v = _mm_cvtsi64_si128(load_as<int64_t>(p));
  return (I)_mm_srai_epi32(_mm_unpacklo_epi16(v, v), 16);
#else
  return (I)vmovl_s16(vld1_s16(static_cast<const int16_t*>(p)));
#endif
}
MINITEN_INLINE void copy_words(int16_t* to, const int16_t* from, int64_t n) {
  copy_bytes(reinterpret_cast<uint8_t*>(to), reinterpret_cast<const uint8_t*>(from), 2 * n);
}
MINITEN_INLINE I load_words(const int16_t* p, int64_t n) {
  if (n >= kLanes) return widen_words(p);
  int16_t staged[kLanes] = {};
  copy_words(staged, p, n);
  return widen_words(staged);
}
// Numbers that fit 16 bits.
MINITEN_INLINE S narrow_words(I v) {
#if MINITEN_SCALAR
  return S{(int16_t)v[0]};
#elif MINITEN_LANES == 16
  return (S)_mm512_cvtepi32_epi16((__m512i)v);
#elif MINITEN_LANES == 8
  return (S)_mm_packs_epi32(_mm256_castsi256_si128((__m256i)v), _mm256_extracti128_si256((__m256i)v, 1));
#elif defined(__SSE2__)
  typedef int64_t Q __attribute__((vector_size(16)));
  const int64_t words = ((Q)_mm_packs_epi32((__m128i)v, (__m128i)v))[0];
  return (S)words;
#else
  return (S)vmovn_s32((int32x4_t)v);
#endif
}
MINITEN_INLINE void store_words(int16_t* p, I v, int64_t n) {
  const S words = narrow_words(v);
  if (n >= kLanes) return store_as<S>(p, words);
  copy_words(p, reinterpret_cast<const int16_t*>(&words), n);
}

// acc + x[0] * w[0] + x[1] * w[1], modulo 2^32; x: the same pair in every lane.
MINITEN_INLINE I dot_pair(I acc, I x, I w) {
#if MINITEN_SCALAR
  const int32_t low = (int16_t)x[0] * (int16_t)w[0], high = (x[0] >> 16) * (w[0] >> 16);
  return add(add(acc, set_i(low)), set_i(high));
#elif defined(__AVX512VNNI__)
  asm("vpdpwssd %2, %1, %0" : "+v"(acc) : "v"(x), "v"(w));
  return acc;
#elif MINITEN_LANES == 16
  return add(acc, (I)_mm512_madd_epi16((__m512i)x, (__m512i)w));
#elif MINITEN_LANES == 8
  return add(acc, (I)_mm256_madd_epi16((__m256i)x, (__m256i)w));
#elif defined(__SSE2__)
  return add(acc, (I)_mm_madd_epi16((__m128i)x, (__m128i)w));
#else
  const int16x8_t a = (int16x8_t)x, b = (int16x8_t)w;
  const int32x4_t low = vmull_s16(vget_low_s16(a), vget_low_s16(b)), high = vmull_high_s16(a, b);
  return add(acc, (I)vpaddq_s32(low, high));
#endif
}

// Whole numbers in float64, exact below 2^53.
struct Wide {
  D part[kLanes / kHalf];
  static MINITEN_INLINE Wide zero() {
    Wide w;
    for (D& d : w.part) d = D{};
    return w;
  }
};
MINITEN_INLINE Wide sum(Wide a, const Wide& b) {
  for (int i = 0; i < kLanes / kHalf; ++i) a.part[i] = a.part[i] + b.part[i];
  return a;
}
MINITEN_INLINE Wide to_wide(I v) {
#if MINITEN_SCALAR
  return {{D{(double)v[0]}}};
#elif MINITEN_LANES == 16
  return {{(D)_mm512_cvtepi32_pd(_mm512_castsi512_si256((__m512i)v)), (D)_mm512_cvtepi32_pd(_mm512_extracti64x4_epi64((__m512i)v, 1))}};
#elif MINITEN_LANES == 8
  return {{(D)_mm256_cvtepi32_pd(_mm256_castsi256_si128((__m256i)v)), (D)_mm256_cvtepi32_pd(_mm256_extracti128_si256((__m256i)v, 1))}};
#elif defined(__SSE2__)
  return {{(D)_mm_cvtepi32_pd((__m128i)v), (D)_mm_cvtepi32_pd(_mm_shuffle_epi32((__m128i)v, 0xee))}};
#else
  return {{(D)vcvtq_f64_s64(vmovl_s32(vget_low_s32((int32x4_t)v))), (D)vcvtq_f64_s64(vmovl_high_s32((int32x4_t)v))}};
#endif
}
MINITEN_INLINE V to_float(const Wide& w) {       // nearest, half to even
#if MINITEN_SCALAR
  return V{(float)w.part[0][0]};
#elif MINITEN_LANES == 16
  return (V)_mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps((__m512d)w.part[0])), _mm512_cvtpd_ps((__m512d)w.part[1]), 1);
#elif MINITEN_LANES == 8
  return (V)_mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps((__m256d)w.part[0])), _mm256_cvtpd_ps((__m256d)w.part[1]), 1);
#elif defined(__SSE2__)
  return (V)_mm_movelh_ps(_mm_cvtpd_ps((__m128d)w.part[0]), _mm_cvtpd_ps((__m128d)w.part[1]));
#else
  return (V)vcvt_high_f32_f64(vcvt_f32_f64((float64x2_t)w.part[0]), (float64x2_t)w.part[1]);
#endif
}
MINITEN_INLINE Wide load_wide_ints(const int64_t* p, int64_t n) {
  double staged[kLanes] = {};
  for (int64_t i = 0; i < n && i < kLanes; ++i) staged[i] = (double)p[i];
  Wide w;
  for (int i = 0; i < kLanes / kHalf; ++i) w.part[i] = load_as<D>(staged + i * kHalf);
  return w;
}
// total + 256 * high + low; without high of narrow weights.
template <int Planes>
MINITEN_INLINE void flush(Wide& total, const I (&acc)[Planes]) {
  total = sum(total, to_wide(acc[Planes - 1]));
  if constexpr (Planes == 2) {
    const Wide high = to_wide(acc[0]);
    for (int i = 0; i < kLanes / kHalf; ++i) total.part[i] = total.part[i] + high.part[i] * set_d(256);
  }
}

// round(f) + zero inside [lo, hi], 16 bits or fewer.
struct WideRounding {
  V least, greatest;
  I zero;
  WideRounding(int32_t zero_, int32_t lo, int32_t hi) : least(set((float)(lo - zero_))), greatest(set((float)(hi - zero_))), zero(set_i(zero_)) {}
  MINITEN_INLINE I operator()(V f) const { return round_small(clamp(f, least, greatest)) + zero; }
};

constexpr int64_t kFlush = 128;                  // terms of a 32-bit sum: pairs of at most 2 * 2^15 * 255 < 2^24

}  // namespace
}  // namespace miniten::kernels::MINITEN_TARGET
