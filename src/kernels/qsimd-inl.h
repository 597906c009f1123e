#pragma once
// Integers for the q*.simd.cpp files, beside simd-inl.h: bytes widened to 32 bits, dot products of four, and the one
// way back to bytes.
#include "kernels/simd-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

typedef int8_t B __attribute__((vector_size(MINITEN_LANES)));
constexpr int kWide = 4 * kLanes;                                          // bytes in a W
typedef uint8_t W __attribute__((vector_size(4 * MINITEN_LANES)));

MINITEN_INLINE V to_float(I i) { return __builtin_convertvector(i, V); }
MINITEN_INLINE I set_i(int32_t x) { return I{} + x; }
MINITEN_INLINE I add(I a, I b) { return (I)((U)a + (U)b); }                // modulo 2^32

// Half to even; |v| < 2^22.
MINITEN_INLINE I round_small(V v) {
#if MINITEN_SCALAR
  const V magic = set(12582912.0f);                                        // the sum has no bits below one
  return __builtin_convertvector((v + magic) - magic, I);
#elif MINITEN_LANES == 16
  return (I)_mm512_cvtps_epi32((__m512)v);
#elif MINITEN_LANES == 8
  return (I)_mm256_cvtps_epi32((__m256)v);
#elif defined(__SSE2__)
  return (I)_mm_cvtps_epi32((__m128)v);
#else
  return (I)vcvtnq_s32_f32((float32x4_t)v);
#endif
}

// round(f) + zero inside [lo, hi].
struct Rounding {
  V least, greatest;       // of f: whole numbers, so cutting before rounding changes nothing
  I zero;
  W lo, hi, flip;          // as unsigned bytes: signed ones are moved up by 128
  I zero_pairs;            // the zero point as 16-bit numbers, moved likewise
  Rounding(int32_t zero_, int32_t lo_, int32_t hi_) {
    const int32_t up = lo_ < 0 ? 128 : 0;
    least = set((float)(lo_ - zero_)), greatest = set((float)(hi_ - zero_)), zero = set_i(zero_);
    lo = all_bytes(lo_ + up), hi = all_bytes(hi_ + up), flip = all_bytes(up);
    zero_pairs = set_i((int32_t)((uint32_t)((zero_ + up) & 0xffff) * 0x10001u));
  }
  static MINITEN_INLINE W all_bytes(int32_t value) { return (W)set_i((int32_t)((uint32_t)value * 0x01010101u)); }

  MINITEN_INLINE I one(V f) const { return round_small(clamp(f, least, greatest)) + zero; }

#if MINITEN_LANES == 16
  // Are the bounds those of the type, and products of 32-bit sums with n multipliers, none above `most` if it is not 0, within 32 bits?
  bool is_plain(const float* multipliers, int64_t n, float most) const {
    if (!multipliers || lo[0] != 0 || hi[0] != 255) return false;          // without multipliers there are no products
    V top = set(most);
    if (most == 0) for_lanes(n, [&](int64_t j, int64_t m) { top = max_keep(load_n(multipliers + j, m), top); });
    return !any_above(top, 0.99f);
  }
  // four() where that is so.
  MINITEN_INLINE W plain(const V (&f)[4]) const {
    const __m512i a = _mm512_adds_epi16(_mm512_packs_epi32((__m512i)round_small(f[0]), (__m512i)round_small(f[1])), (__m512i)zero_pairs);
    const __m512i b = _mm512_adds_epi16(_mm512_packs_epi32((__m512i)round_small(f[2]), (__m512i)round_small(f[3])), (__m512i)zero_pairs);
    return in_order(_mm512_packus_epi16(a, b));
  }
  MINITEN_INLINE W in_order(__m512i bytes) const {
    return (W)_mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), bytes) ^ flip;
  }
#endif

  // Four vectors to bytes in order. Sums saturate at 16 bits, then at 8: far beyond any bound. What exceeds 32 bits
  // turns into the least number, which is right for negative values alone: the others are cut first.
  MINITEN_INLINE W four(const V (&f)[4]) const {
#if MINITEN_SCALAR
    W q;
    for (int i = 0; i < 4; ++i) q[i] = (uint8_t)one(f[i])[0];
    return q;
#elif MINITEN_LANES == 16
    const V cut = set(65536.0f);
    __m512i v[4];
    for (int i = 0; i < 4; ++i) v[i] = (__m512i)round_small(min_keep(f[i], cut));
    const __m512i a = _mm512_adds_epi16(_mm512_packs_epi32(v[0], v[1]), (__m512i)zero_pairs);
    const __m512i b = _mm512_adds_epi16(_mm512_packs_epi32(v[2], v[3]), (__m512i)zero_pairs);
    return in_order(_mm512_min_epu8(_mm512_max_epu8(_mm512_packus_epi16(a, b), (__m512i)lo), (__m512i)hi));
#elif MINITEN_LANES == 8
    const V cut = set(65536.0f);
    __m256i v[4];
    for (int i = 0; i < 4; ++i) v[i] = (__m256i)round_small(min_keep(f[i], cut));
    const __m256i a = _mm256_adds_epi16(_mm256_packs_epi32(v[0], v[1]), (__m256i)zero_pairs);
    const __m256i b = _mm256_adds_epi16(_mm256_packs_epi32(v[2], v[3]), (__m256i)zero_pairs);
    const __m256i q = _mm256_min_epu8(_mm256_max_epu8(_mm256_packus_epi16(a, b), (__m256i)lo), (__m256i)hi);
    return (W)_mm256_permutevar8x32_epi32(q, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)) ^ flip;
#elif defined(__SSE2__)
    const V cut = set(65536.0f);
    __m128i v[4];
    for (int i = 0; i < 4; ++i) v[i] = (__m128i)round_small(min_keep(f[i], cut));
    const __m128i a = _mm_adds_epi16(_mm_packs_epi32(v[0], v[1]), (__m128i)zero_pairs);
    const __m128i b = _mm_adds_epi16(_mm_packs_epi32(v[2], v[3]), (__m128i)zero_pairs);
    return (W)_mm_min_epu8(_mm_max_epu8(_mm_packus_epi16(a, b), (__m128i)lo), (__m128i)hi) ^ flip;
#else
    int16x4_t v[4];                        // this conversion saturates by itself
    for (int i = 0; i < 4; ++i) v[i] = vqmovn_s32(vcvtnq_s32_f32((float32x4_t)f[i]));
    const int16x8_t a = vqaddq_s16(vcombine_s16(v[0], v[1]), (int16x8_t)zero_pairs);
    const int16x8_t b = vqaddq_s16(vcombine_s16(v[2], v[3]), (int16x8_t)zero_pairs);
    const uint8x16_t q = vcombine_u8(vqmovun_s16(a), vqmovun_s16(b));
    return (W)vminq_u8(vmaxq_u8(q, (uint8x16_t)lo), (uint8x16_t)hi) ^ flip;
#endif
  }
};

// ---- bytes in memory; never one beyond n ----
MINITEN_INLINE void copy_bytes(uint8_t* to, const uint8_t* from, int64_t n) {
  typedef uint8_t B16 __attribute__((vector_size(16)));
  for (; n >= 16; n -= 16, to += 16, from += 16) store_as<B16>(to, load_as<B16>(from));
  if (n & 8) store_as<uint64_t>(to, load_as<uint64_t>(from)), to += 8, from += 8;
  if (n & 4) store_as<uint32_t>(to, load_as<uint32_t>(from)), to += 4, from += 4;
  if (n & 2) store_as<uint16_t>(to, load_as<uint16_t>(from)), to += 2, from += 2;
  if (n & 1) *to = *from;
}

// The first n <= kWide bytes, and anything beyond. Bytes up to `end` may be read.
MINITEN_INLINE W load_wide(const uint8_t* p, int64_t n, const uint8_t* end) {
#if MINITEN_LANES == 16
  (void)end;
  if (n < kWide) return (W)_mm512_maskz_loadu_epi8((1ull << n) - 1, p);
#else
  if (n < kWide && end - p < kWide) {
    W v = {};
    copy_bytes(reinterpret_cast<uint8_t*>(&v), p, n);
    return v;
  }
#endif
  return load_as<W>(p);
}
MINITEN_INLINE void store_wide(uint8_t* p, W v, int64_t n) {
  if (n >= kWide) return store_as<W>(p, v);
#if MINITEN_LANES == 16
  _mm512_mask_storeu_epi8(p, (1ull << n) - 1, (__m512i)v);
#else
  copy_bytes(p, reinterpret_cast<const uint8_t*>(&v), n);
#endif
}

// kLanes bytes as 32-bit numbers, and their low bytes again. By hand: g++ 12 converts such vectors one value at a time.
MINITEN_INLINE I widen(const void* p, bool is_signed) {
#if MINITEN_SCALAR
  return set_i(is_signed ? *static_cast<const int8_t*>(p) : *static_cast<const uint8_t*>(p));
#elif MINITEN_LANES == 16
  const __m128i v = load_as<__m128i>(p);
  return (I)(is_signed ? _mm512_cvtepi8_epi32(v) : _mm512_cvtepu8_epi32(v));
#elif MINITEN_LANES == 8
  const __m128i v = _mm_cvtsi64_si128(load_as<int64_t>(p));
  return (I)(is_signed ? _mm256_cvtepi8_epi32(v) : _mm256_cvtepu8_epi32(v));
#elif defined(__SSE2__)
  const __m128i v = _mm_cvtsi32_si128(load_as<int32_t>(p)), pairs = _mm_unpacklo_epi8(v, v);
  const __m128i high = _mm_unpacklo_epi16(pairs, pairs);                   // each byte four times
  return (I)(is_signed ? _mm_srai_epi32(high, 24) : _mm_srli_epi32(high, 24));
#else
  const uint8x8_t v = vreinterpret_u8_u32(vdup_n_u32(load_as<uint32_t>(p)));
  return is_signed ? (I)vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u8(v)))) : (I)vmovl_u16(vget_low_u16(vmovl_u8(v)));
#endif
}
MINITEN_INLINE B narrow(I v) {
#if MINITEN_SCALAR
  return B{(int8_t)v[0]};
#elif MINITEN_LANES == 16
  return (B)_mm512_cvtepi32_epi8((__m512i)v);
#elif MINITEN_LANES == 8
  const __m256i low = _mm256_and_si256((__m256i)v, _mm256_set1_epi32(255));
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  typedef int64_t Q __attribute__((vector_size(16)));
  const int64_t bytes = ((Q)_mm_packus_epi16(words, words))[0];
  return (B)bytes;
#elif defined(__SSE2__)
  const __m128i low = _mm_and_si128((__m128i)v, _mm_set1_epi32(255)), words = _mm_packs_epi32(low, low);
  return (B)_mm_cvtsi128_si32(_mm_packus_epi16(words, words));
#else
  const int16x4_t words = vmovn_s32((int32x4_t)v);
  return (B)vget_lane_s32(vreinterpret_s32_s8(vmovn_s16(vcombine_s16(words, words))), 0);
#endif
}
MINITEN_INLINE I load_bytes(const void* p, int64_t n, bool is_signed) {
  if (n >= kLanes) return widen(p, is_signed);
  uint8_t staged[kLanes] = {};
  copy_bytes(staged, static_cast<const uint8_t*>(p), n);
  return widen(staged, is_signed);
}
MINITEN_INLINE I load_ints(const int32_t* p, int64_t n) { return (I)load_n(reinterpret_cast<const float*>(p), n); }

// Low bytes of v.
MINITEN_INLINE void store_bytes(void* p, I v, int64_t n) {
  const B bytes = narrow(v);
  if (n >= kLanes) return store_as<B>(p, bytes);
#if MINITEN_LANES == 16
  _mm_mask_storeu_epi8(p, (__mmask16)((1u << n) - 1), (__m128i)bytes);
#else
  copy_bytes(static_cast<uint8_t*>(p), reinterpret_cast<const uint8_t*>(&bytes), n);
#endif
}
// The four quarters of v, `step` bytes apart.
MINITEN_INLINE void store_quarters(uint8_t* p, int64_t step, W v) {
#if MINITEN_LANES == 16
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_castsi512_si128((__m512i)v));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + step), _mm512_extracti32x4_epi32((__m512i)v, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 2 * step), _mm512_extracti32x4_epi32((__m512i)v, 2));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 3 * step), _mm512_extracti32x4_epi32((__m512i)v, 3));
#elif MINITEN_LANES == 8
  typedef int64_t Q __attribute__((vector_size(32)));
  MINITEN_UNROLL(4)
  for (int i = 0; i < 4; ++i) store_as<int64_t>(p + i * step, ((Q)v)[i]);
#elif MINITEN_LANES == 4
  MINITEN_UNROLL(4)
  for (int i = 0; i < 4; ++i) store_as<int32_t>(p + i * step, ((I)v)[i]);
#else
  for (int i = 0; i < 4; ++i) p[i * step] = v[i];
#endif
}

// ---- dot products of four bytes: acc + sum of x[i] * w[i], exact modulo 2^32, for w in [-127, 127] ----
// Stored bytes are flipped first, so that they are unsigned on x86-64 and signed on aarch64; shift_of is what that adds
// to each value.
#if MINITEN_SCALAR || defined(__x86_64__)
MINITEN_INLINE I flip_of(bool is_signed) { return set_i(is_signed ? (int32_t)0x80808080 : 0); }
constexpr int32_t shift_of(bool is_signed) { return is_signed ? 128 : 0; }
#else
MINITEN_INLINE I flip_of(bool is_signed) { return set_i(is_signed ? 0 : (int32_t)0x80808080); }
constexpr int32_t shift_of(bool is_signed) { return is_signed ? 0 : -128; }
#endif

#if MINITEN_SCALAR
struct Activation { int32_t x[4]; };
struct Weight { int8_t w[4]; };
MINITEN_INLINE Activation activation(I bytes) {
  const uint32_t b = (uint32_t)bytes[0];
  return {{(int32_t)(b & 255), (int32_t)(b >> 8 & 255), (int32_t)(b >> 16 & 255), (int32_t)(b >> 24)}};
}
MINITEN_INLINE Weight weight(const void* p) {
  const auto* w = static_cast<const int8_t*>(p);
  return {{w[0], w[1], w[2], w[3]}};
}
MINITEN_INLINE I dot(I acc, Activation a, Weight w) {
  return add(acc, I{a.x[0] * w.w[0] + a.x[1] * w.w[1] + a.x[2] * w.w[2] + a.x[3] * w.w[3]});
}
#elif defined(__AVX512VNNI__) || defined(__AVXVNNI__)
typedef I Activation;
typedef I Weight;
MINITEN_INLINE Activation activation(I bytes) { return bytes; }
MINITEN_INLINE Weight weight(const void* p) { return load_as<I>(p); }
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
// Bytes 0 and 2, and 1 and 3, as pairs of 16-bit numbers: products summed in pairs of 32 bits cannot saturate.
struct Activation { I even, odd; };
struct Weight { I even, odd; };
#if MINITEN_LANES == 16
typedef __m512i Pairs;
#define MINITEN_MM(name) _mm512_##name
#elif MINITEN_LANES == 8
typedef __m256i Pairs;
#define MINITEN_MM(name) _mm256_##name
#else
typedef __m128i Pairs;
#define MINITEN_MM(name) _mm_##name
#endif
MINITEN_INLINE Activation activation(I bytes) {
  return {bytes & 0x00ff00ff, (I)MINITEN_MM(srli_epi16)((Pairs)bytes, 8)};
}
MINITEN_INLINE Weight weight(const void* p) {
  const Pairs w = load_as<Pairs>(p);
  return {(I)MINITEN_MM(srai_epi16)(MINITEN_MM(slli_epi16)(w, 8), 8), (I)MINITEN_MM(srai_epi16)(w, 8)};
}
MINITEN_INLINE I dot(I acc, Activation a, Weight w) {
  acc = add(acc, (I)MINITEN_MM(madd_epi16)((Pairs)a.even, (Pairs)w.even));
  return add(acc, (I)MINITEN_MM(madd_epi16)((Pairs)a.odd, (Pairs)w.odd));
}
#undef MINITEN_MM
#else
typedef int8x16_t Activation;
typedef int8x16_t Weight;
MINITEN_INLINE Activation activation(I bytes) { return (int8x16_t)bytes; }
MINITEN_INLINE Weight weight(const void* p) { return vld1q_s8(static_cast<const int8_t*>(p)); }
MINITEN_INLINE I dot(I acc, Activation a, Weight w) {
#if defined(__ARM_FEATURE_DOTPROD)
  return (I)vdotq_s32((int32x4_t)acc, a, w);
#else
  // Two products fit 16 bits: 2 * 128 * 127 < 2^15.
  const int16x8_t pairs = vpaddq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(w)), vmull_high_s8(a, w));
  return (I)vpadalq_s16((int32x4_t)acc, pairs);
#endif
}
#endif

// Byte i of a, b, c and d as number i of out: what dot() takes where the four lie apart.
MINITEN_INLINE void interleave(W a, W b, W c, W d, I (&out)[4]) {
#if MINITEN_SCALAR
  for (int i = 0; i < 4; ++i) out[i] = set_i((int32_t)(a[i] | b[i] << 8 | c[i] << 16 | (uint32_t)d[i] << 24));
#elif MINITEN_LANES == 16
  // Unpacking works within 128 bits; the permutation before it makes the result come out in order.
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i p = _mm512_permutexvar_epi32(order, (__m512i)a), q = _mm512_permutexvar_epi32(order, (__m512i)b);
  const __m512i r = _mm512_permutexvar_epi32(order, (__m512i)c), s = _mm512_permutexvar_epi32(order, (__m512i)d);
  const __m512i ab = _mm512_unpacklo_epi8(p, q), cd = _mm512_unpacklo_epi8(r, s);
  const __m512i ab2 = _mm512_unpackhi_epi8(p, q), cd2 = _mm512_unpackhi_epi8(r, s);
  out[0] = (I)_mm512_unpacklo_epi16(ab, cd), out[1] = (I)_mm512_unpackhi_epi16(ab, cd);
  out[2] = (I)_mm512_unpacklo_epi16(ab2, cd2), out[3] = (I)_mm512_unpackhi_epi16(ab2, cd2);
#elif MINITEN_LANES == 8
  const __m256i order = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7);
  const __m256i p = _mm256_permutevar8x32_epi32((__m256i)a, order), q = _mm256_permutevar8x32_epi32((__m256i)b, order);
  const __m256i r = _mm256_permutevar8x32_epi32((__m256i)c, order), s = _mm256_permutevar8x32_epi32((__m256i)d, order);
  const __m256i ab = _mm256_unpacklo_epi8(p, q), cd = _mm256_unpacklo_epi8(r, s);
  const __m256i ab2 = _mm256_unpackhi_epi8(p, q), cd2 = _mm256_unpackhi_epi8(r, s);
  out[0] = (I)_mm256_unpacklo_epi16(ab, cd), out[1] = (I)_mm256_unpackhi_epi16(ab, cd);
  out[2] = (I)_mm256_unpacklo_epi16(ab2, cd2), out[3] = (I)_mm256_unpackhi_epi16(ab2, cd2);
#elif defined(__SSE2__)
  const __m128i ab = _mm_unpacklo_epi8((__m128i)a, (__m128i)b), cd = _mm_unpacklo_epi8((__m128i)c, (__m128i)d);
  const __m128i ab2 = _mm_unpackhi_epi8((__m128i)a, (__m128i)b), cd2 = _mm_unpackhi_epi8((__m128i)c, (__m128i)d);
  out[0] = (I)_mm_unpacklo_epi16(ab, cd), out[1] = (I)_mm_unpackhi_epi16(ab, cd);
  out[2] = (I)_mm_unpacklo_epi16(ab2, cd2), out[3] = (I)_mm_unpackhi_epi16(ab2, cd2);
#else
  const uint8x16x2_t ab = vzipq_u8((uint8x16_t)a, (uint8x16_t)b), cd = vzipq_u8((uint8x16_t)c, (uint8x16_t)d);
  for (int i = 0; i < 2; ++i) {
    const uint16x8x2_t all = vzipq_u16(vreinterpretq_u16_u8(ab.val[i]), vreinterpretq_u16_u8(cd.val[i]));
    out[2 * i] = (I)all.val[0], out[2 * i + 1] = (I)all.val[1];
  }
#endif
}

}  // namespace
}  // namespace miniten::kernels::MINITEN_TARGET
