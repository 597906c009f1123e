#pragma once
// Vocabulary of the *.simd.cpp files, each compiled once per target with -DMINITEN_TARGET=<name> and that target's
// flags. Everything here has internal linkage: an inline function shared between targets could be linked from the
// object of a target the machine does not have. For the same reason these files use nothing of the standard library.
#include <cstdint>

#ifndef MINITEN_TARGET
#error "compile this file once per target with -DMINITEN_TARGET=<name>"
#endif

#define MINITEN_CONCAT_(a, b) a##b
#define MINITEN_CONCAT(a, b) MINITEN_CONCAT_(a, b)
#define MINITEN_TARGET_IS_scalar 1
#define MINITEN_SCALAR MINITEN_CONCAT(MINITEN_TARGET_IS_, MINITEN_TARGET)

// g++ 12 warns of its own AVX-512 intrinsics, which start from an undefined register (GCC bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#define MINITEN_INLINE inline __attribute__((always_inline))
#define MINITEN_PRAGMA(x) _Pragma(#x)
#if defined(__clang__)
#define MINITEN_UNROLL(n) MINITEN_PRAGMA(clang loop unroll(full))
#else
#define MINITEN_UNROLL(n) MINITEN_PRAGMA(GCC unroll n)
#endif

#if MINITEN_SCALAR
#define MINITEN_LANES 1
#elif defined(__AVX512F__)
#include <immintrin.h>
#define MINITEN_LANES 16
#elif defined(__AVX2__)
#include <immintrin.h>
#define MINITEN_LANES 8
#elif defined(__SSE2__)
#include <emmintrin.h>
#define MINITEN_LANES 4
#elif defined(__ARM_NEON) && defined(__aarch64__)
#include <arm_neon.h>
#define MINITEN_LANES 4
#else
#error "this target has no vector type"
#endif

namespace miniten::kernels::MINITEN_TARGET {
namespace {

constexpr int kLanes = MINITEN_LANES;
typedef float V __attribute__((vector_size(MINITEN_LANES * 4)));
typedef int32_t I __attribute__((vector_size(MINITEN_LANES * 4)));  // comparisons of V give I: 0 or -1
typedef uint32_t U __attribute__((vector_size(MINITEN_LANES * 4)));  // where arithmetic may wrap

// Doubles that stand for half a V (for one float on the scalar target), and the floats they come from.
constexpr int kHalf = kLanes < 2 ? 1 : kLanes / 2;
typedef double D __attribute__((vector_size(kHalf * 8)));
typedef int64_t L __attribute__((vector_size(kHalf * 8)));
typedef uint64_t UL __attribute__((vector_size(kHalf * 8)));
typedef float H __attribute__((vector_size(kHalf * 4)));

// Unaligned access to any vector type.
template <class T>
MINITEN_INLINE T load_as(const void* p) {
  struct __attribute__((packed, may_alias)) Any { T v; };
  return static_cast<const Any*>(p)->v;
}
template <class T>
MINITEN_INLINE void store_as(void* p, T v) {
  struct __attribute__((packed, may_alias)) Any { T v; };
  static_cast<Any*>(p)->v = v;
}

MINITEN_INLINE V load(const float* p) { return load_as<V>(p); }
MINITEN_INLINE void store(float* p, V v) { store_as<V>(p, v); }

// set: x in every lane. fma: a*b + c, fused where the target has it. max_keep, min_keep: b, or NaN, where b is NaN;
// so max_keep(set(lo), x) clamps x and keeps its NaN. load_part, store_part: the first n lanes, 0 <= n < kLanes, and no
// byte beyond; the other lanes load as 0.
#if MINITEN_SCALAR
MINITEN_INLINE V set(float x) { return V{x}; }
MINITEN_INLINE D set_d(double x) { return D{x}; }
MINITEN_INLINE V fma(V a, V b, V c) { return a * b + c; }
MINITEN_INLINE D fma(D a, D b, D c) { return a * b + c; }
MINITEN_INLINE V max_keep(V a, V b) { return V{a[0] > b[0] ? a[0] : b[0]}; }
MINITEN_INLINE V min_keep(V a, V b) { return V{a[0] < b[0] ? a[0] : b[0]}; }
MINITEN_INLINE D max_keep(D a, D b) { return D{a[0] > b[0] ? a[0] : b[0]}; }
MINITEN_INLINE D min_keep(D a, D b) { return D{a[0] < b[0] ? a[0] : b[0]}; }
MINITEN_INLINE V sqrt(V v) { return V{__builtin_sqrtf(v[0])}; }
MINITEN_INLINE V load_part(const float*, int64_t) { return V{}; }
MINITEN_INLINE void store_part(float*, V, int64_t) {}
#elif MINITEN_LANES == 16
MINITEN_INLINE V set(float x) { return (V)_mm512_set1_ps(x); }
MINITEN_INLINE D set_d(double x) { return (D)_mm512_set1_pd(x); }
MINITEN_INLINE V fma(V a, V b, V c) { return (V)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
MINITEN_INLINE D fma(D a, D b, D c) { return (D)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c); }
MINITEN_INLINE V max_keep(V a, V b) { return (V)_mm512_max_ps((__m512)a, (__m512)b); }
MINITEN_INLINE V min_keep(V a, V b) { return (V)_mm512_min_ps((__m512)a, (__m512)b); }
MINITEN_INLINE D max_keep(D a, D b) { return (D)_mm512_max_pd((__m512d)a, (__m512d)b); }
MINITEN_INLINE D min_keep(D a, D b) { return (D)_mm512_min_pd((__m512d)a, (__m512d)b); }
MINITEN_INLINE V sqrt(V v) { return (V)_mm512_sqrt_ps((__m512)v); }
MINITEN_INLINE V load_part(const float* p, int64_t n) {
  return (V)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}
MINITEN_INLINE void store_part(float* p, V v, int64_t n) {
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
}
#elif MINITEN_LANES == 8
MINITEN_INLINE V set(float x) { return (V)_mm256_set1_ps(x); }
MINITEN_INLINE D set_d(double x) { return (D)_mm256_set1_pd(x); }
MINITEN_INLINE V fma(V a, V b, V c) { return (V)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
MINITEN_INLINE D fma(D a, D b, D c) { return (D)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c); }
MINITEN_INLINE V max_keep(V a, V b) { return (V)_mm256_max_ps((__m256)a, (__m256)b); }
MINITEN_INLINE V min_keep(V a, V b) { return (V)_mm256_min_ps((__m256)a, (__m256)b); }
MINITEN_INLINE D max_keep(D a, D b) { return (D)_mm256_max_pd((__m256d)a, (__m256d)b); }
MINITEN_INLINE D min_keep(D a, D b) { return (D)_mm256_min_pd((__m256d)a, (__m256d)b); }
MINITEN_INLINE V sqrt(V v) { return (V)_mm256_sqrt_ps((__m256)v); }
MINITEN_INLINE __m256i first_lanes(int64_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
MINITEN_INLINE V load_part(const float* p, int64_t n) { return (V)_mm256_maskload_ps(p, first_lanes(n)); }
MINITEN_INLINE void store_part(float* p, V v, int64_t n) { _mm256_maskstore_ps(p, first_lanes(n), (__m256)v); }
#else
#if defined(__SSE2__)
MINITEN_INLINE V set(float x) { return (V)_mm_set1_ps(x); }
MINITEN_INLINE D set_d(double x) { return (D)_mm_set1_pd(x); }
MINITEN_INLINE V fma(V a, V b, V c) { return a * b + c; }
MINITEN_INLINE D fma(D a, D b, D c) { return a * b + c; }
MINITEN_INLINE V max_keep(V a, V b) { return (V)_mm_max_ps((__m128)a, (__m128)b); }
MINITEN_INLINE V min_keep(V a, V b) { return (V)_mm_min_ps((__m128)a, (__m128)b); }
MINITEN_INLINE D max_keep(D a, D b) { return (D)_mm_max_pd((__m128d)a, (__m128d)b); }
MINITEN_INLINE D min_keep(D a, D b) { return (D)_mm_min_pd((__m128d)a, (__m128d)b); }
MINITEN_INLINE V sqrt(V v) { return (V)_mm_sqrt_ps((__m128)v); }
#else
MINITEN_INLINE V set(float x) { return (V)vdupq_n_f32(x); }
MINITEN_INLINE D set_d(double x) { return (D)vdupq_n_f64(x); }
MINITEN_INLINE V fma(V a, V b, V c) { return (V)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
MINITEN_INLINE D fma(D a, D b, D c) { return (D)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b); }
MINITEN_INLINE V max_keep(V a, V b) { return (V)vmaxq_f32((float32x4_t)a, (float32x4_t)b); }
MINITEN_INLINE V min_keep(V a, V b) { return (V)vminq_f32((float32x4_t)a, (float32x4_t)b); }
MINITEN_INLINE D max_keep(D a, D b) { return (D)vmaxq_f64((float64x2_t)a, (float64x2_t)b); }
MINITEN_INLINE D min_keep(D a, D b) { return (D)vminq_f64((float64x2_t)a, (float64x2_t)b); }
MINITEN_INLINE V sqrt(V v) { return (V)vsqrtq_f32((float32x4_t)v); }
#endif
#if defined(__SSE2__)
#define MINITEN_PART __attribute__((noinline, unused)) inline  // where no other target fits: small before fast
#else
#define MINITEN_PART MINITEN_INLINE
#endif
MINITEN_PART V load_part(const float* p, int64_t n) {
  return V{0 < n ? p[0] : 0.0f, 1 < n ? p[1] : 0.0f, 2 < n ? p[2] : 0.0f, 0.0f};
}
MINITEN_PART void store_part(float* p, V v, int64_t n) {
  if (0 < n) p[0] = v[0];
  if (1 < n) p[1] = v[1];
  if (2 < n) p[2] = v[2];
}
#endif

MINITEN_INLINE V load_n(const float* p, int64_t n) { return n >= kLanes ? load(p) : load_part(p, n); }
MINITEN_INLINE void store_n(float* p, V v, int64_t n) { n >= kLanes ? store(p, v) : store_part(p, v, n); }

// Full: all lanes; otherwise the first n < kLanes.
template <bool Full>
MINITEN_INLINE V load_if(const float* p, int64_t n) {
  if constexpr (Full) return load(p);
  return load_part(p, n);
}
template <bool Full>
MINITEN_INLINE void store_if(float* p, V v, int64_t n) {
  if constexpr (Full) return store(p, v);
  store_part(p, v, n);
}

// Whether every lane of a comparison of D holds.
MINITEN_INLINE bool all_of(L mask) {
#if MINITEN_LANES == 16
  return _mm512_movepi64_mask((__m512i)mask) == 0xff;
#elif MINITEN_LANES == 8
  return _mm256_movemask_pd((__m256d)mask) == 15;
#else
  int64_t all = mask[0];
  for (int i = 1; i < kHalf; ++i) all &= mask[i];
  return all != 0;
#endif
}

// Whether some lane of v is above x.
MINITEN_INLINE bool any_above(V v, float x) {
#if MINITEN_LANES == 16
  return _mm512_cmp_ps_mask((__m512)v, (__m512)set(x), _CMP_GT_OQ) != 0;
#elif MINITEN_LANES == 8
  return _mm256_movemask_ps((__m256)(v > x)) != 0;
#elif defined(__SSE2__) && !MINITEN_SCALAR
  return _mm_movemask_ps((__m128)(v > x)) != 0;
#else
  bool any = v[0] > x;
  for (int i = 1; i < kLanes; ++i) any |= v[i] > x;
  return any;
#endif
}

MINITEN_INLINE V select(I mask, V a, V b) { return (V)((mask & (I)a) | (~mask & (I)b)); }
MINITEN_INLINE D select(L mask, D a, D b) { return (D)((mask & (L)a) | (~mask & (L)b)); }
MINITEN_INLINE V max_nan(V a, V b) { return select(a != a, a, max_keep(a, b)); }  // NaN where either is
MINITEN_INLINE V min_nan(V a, V b) { return select(a != a, a, min_keep(a, b)); }
MINITEN_INLINE V abs(V v) { return (V)((I)v & 0x7fffffff); }
MINITEN_INLINE V clamp(V v, V lo, V hi) { return min_keep(hi, max_keep(lo, v)); }
MINITEN_INLINE D to_double(H h) { return __builtin_convertvector(h, D); }
MINITEN_INLINE H to_float(D d) { return __builtin_convertvector(d, H); }

// Runs f(i, m) over [0, n) in steps of kLanes; m is kLanes but for a shorter last step.
template <class F>
MINITEN_INLINE void for_lanes(int64_t n, F f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) f(i, (int64_t)kLanes);
  if (i < n) f(i, n - i);
}

// y = f(x). Where an instruction set has few lanes for its latency several vectors are begun before one is stored.
template <class F>
MINITEN_INLINE void map_lanes(const float* x, float* y, int64_t n, F f) {
  constexpr int kTogether = kLanes == 8 ? 4 : 1;
  int64_t i = 0;
  for (; i + kTogether * kLanes <= n; i += kTogether * kLanes) {
    V v[kTogether];
    MINITEN_UNROLL(4)
    for (int j = 0; j < kTogether; ++j) v[j] = f(load(x + i + j * kLanes));
    MINITEN_UNROLL(4)
    for (int j = 0; j < kTogether; ++j) store(y + i + j * kLanes, v[j]);
  }
  for_lanes(n - i, [&](int64_t j, int64_t m) { store_n(y + i + j, f(load_n(x + i + j, m)), m); });
}

}  // namespace
}  // namespace miniten::kernels::MINITEN_TARGET
