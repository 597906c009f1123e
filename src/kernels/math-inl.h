#pragma once
// Elementary functions on vectors, for the *.simd.cpp files. Polynomials are minimax fits (Remez) of the stated degree.
#include "kernels/normal_tail-inl.h"
#include "kernels/simd-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

// Horner's rule, the highest coefficient first.
MINITEN_INLINE V polynomial(V, V p) { return p; }
MINITEN_INLINE D polynomial(D, D p) { return p; }
template <class... Rest>
MINITEN_INLINE V polynomial(V x, V p, float next, Rest... rest) {
  return polynomial(x, fma(p, x, set(next)), rest...);
}
template <class... Rest>
MINITEN_INLINE D polynomial(D x, D p, double next, Rest... rest) {
  return polynomial(x, fma(p, x, set_d(next)), rest...);
}

// exp(x) = (1 + p) * 2^n: p for |r| <= log(2)/2 and the integer n, also as a float. x must lie within +-200 or be NaN.
struct ExpParts {
  V p;
  I n;
  V n_float;
};
MINITEN_INLINE ExpParts exp_parts(V x) {
  const float shift = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  const V t = fma(x, set(1.44269504f), set(shift)), n = t - shift;
  V r = fma(n, set(-0.693359375f), x);
  r = fma(n, set(2.12194440e-4f), r);
  V q = polynomial(r, set(1.3814466e-03f), 8.368781e-03f, 4.1668393e-02f, 1.666652e-01f, 4.9999994e-01f);
  return {fma(r * r, q, r), (I)((U)t - 0x4b400000u), n};
}

MINITEN_INLINE V power_of_two(I n) { return (V)(((U)n + 127u) << 23); }  // -126 <= n <= 127

// Over the whole range: denormal results, infinities and NaN included.
MINITEN_INLINE V exp(V x) {
  const ExpParts e = exp_parts(clamp(x, set(-105.0f), set(90.0f)));
#if MINITEN_LANES == 16
  return (V)_mm512_scalef_ps((__m512)(e.p + 1.0f), (__m512)e.n_float);
#endif
  const I half = e.n >> 1;
  return (e.p + 1.0f) * power_of_two(half) * power_of_two(e.n - half);
}

// For x <= 0, or NaN; denormal results included.
MINITEN_INLINE V exp_negative(V x) {
  const ExpParts e = exp_parts(max_keep(set(-105.0f), x));
#if MINITEN_LANES == 16
  return (V)_mm512_scalef_ps((__m512)(e.p + 1.0f), (__m512)e.n_float);
#endif
  return (e.p + 1.0f) * power_of_two(e.n + 64) * 5.42101086e-20f;  // 2^-64
}

// 2^x for x <= 0, or NaN; denormal results included.
MINITEN_INLINE V exp2_negative(V x) {
#if MINITEN_LANES == 16
  const V r = (V)_mm512_reduce_ps((__m512)x, 0x08), n = x - r;             // 0 of -infinity
#else
  x = max_keep(set(-150.0f), x);
  const V t = x + 12582912.0f, n = t - 12582912.0f, r = x - n;
#endif
  const V p = polynomial(r, set(1.5353362e-04f), 1.33988745e-03f, 9.61843736e-03f, 5.55033247e-02f, 2.40226479e-01f, 6.93147203e-01f, 1.0f);
#if MINITEN_LANES == 16
  return (V)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
  return p * power_of_two((I)((U)t - 0x4b400000u) + 64) * 5.42101086e-20f;  // 2^-64
#endif
}

// For x within +-87, or NaN.
MINITEN_INLINE V exp_normal(V x) {
  const ExpParts e = exp_parts(x);
#if MINITEN_LANES == 16
  return (V)_mm512_scalef_ps((__m512)(e.p + 1.0f), (__m512)e.n_float);
#endif
  return (e.p + 1.0f) * power_of_two(e.n);
}

MINITEN_INLINE V log(V x) {
  const I tiny = (I)(x < 1.17549435e-38f);
  const V scaled = select(tiny, x * 8388608.0f, x);
  const U bits = (U)scaled;
  const I e = (I)(bits - 0x3f3504f3u) >> 23;  // mantissa in [sqrt(1/2), sqrt(2))
  const V f = (V)(bits - ((U)e << 23)) - 1.0f;
  const V exponent = __builtin_convertvector(e - (tiny & 23), V);
  V p = polynomial(f, set(6.9155805e-02f), -1.1790299e-01f, 1.18731305e-01f, -1.2384279e-01f, 1.4218631e-01f,
                   -1.6669254e-01f, 2.0002228e-01f, -2.4999987e-01f, 3.333331e-01f);
  const V square = f * f;
  V y = fma(exponent, set(-2.12194440e-4f), square * f * p);
  y = fma(square, set(-0.5f), y);
  y = fma(exponent, set(0.693359375f), f + y);
  y = select((I)(x == __builtin_inff()), x, y);
  y = select((I)(x == 0.0f), set(-__builtin_inff()), y);
  return select((I)(x >= 0.0f), y, x - x + __builtin_nanf(""));
}

// To the nearest integer, half to even, with the sign of x.
MINITEN_INLINE V round_even(V x) {
  const V t = abs(x), whole = (t + 8388608.0f) - 8388608.0f;
  const I sign = (I)x & (I)set(-0.0f);
  return select((I)(t < 8388608.0f), (V)((I)whole | sign), x);
}
MINITEN_INLINE V floor(V x) {
  const V r = round_even(x);
  return select((I)(r > x), r - 1.0f, r);
}
MINITEN_INLINE V ceil(V x) { return -floor(-x); }

// 1 / b within an ulp for b in [1, 2^64]: a division of 16 lanes would take as long as all the rest of an activation.
MINITEN_INLINE V reciprocal(V b) {
#if MINITEN_LANES == 16
  const V r = (V)_mm512_rcp14_ps((__m512)b);
  return fma(r, fma(-b, r, set(1.0f)), r);
#endif
  return 1.0f / b;
}

MINITEN_INLINE V tanh(V x) {
  const V t = abs(x), s = x * x;
  V p = polynomial(s, set(-5.660789e-03f), 2.0602008e-02f, -5.372923e-02f, 1.3331328e-01f, -3.3333278e-01f);
  const V small = fma(x * s, p, x);
  const V e = exp_normal(min_keep(set(20.0f), t + t));
  const V big = 1.0f - 2.0f * reciprocal(e + 1.0f);
  const I sign = (I)x & (I)set(-0.0f);
  return select((I)(t < 0.625f), small, (V)((I)big | sign));
}

MINITEN_INLINE V sigmoid(V x) {
  const V z = exp_negative(-abs(x));
  return select((I)(x < 0.0f), z, set(1.0f)) * reciprocal(1.0f + z);
}

// x * sigmoid(x), -0 at -infinity. The scale of exp(x) comes last, so that denormal results are rounded once.
MINITEN_INLINE V silu(V x) {
  const I negative = (I)(x < 0.0f);
  const ExpParts e = exp_parts(max_keep(set(-120.0f), -abs(x)));
  const I half = e.n >> 1;
  const V grown = e.p + 1.0f, low = power_of_two(half), high = power_of_two(e.n - half);
  const V y = select(negative, max_keep(set(-120.0f), x) * grown, x) * reciprocal(1.0f + grown * low * high);
  return select(negative, y * low * high, y);
}

// log(1 + exp(x)).
MINITEN_INLINE V softplus(V x) {
  const V z = exp_negative(-abs(x)), u = 1.0f + z;
  return max_keep(V{}, x) + select((I)(u == 1.0f), z, log(u) + (z - (u - 1.0f)) / u);
}

// t * t - square, where square is t * t rounded.
MINITEN_INLINE V square_error(V t, V square) {
#if !MINITEN_SCALAR && (defined(__FMA__) || defined(__ARM_FEATURE_FMA))
  return fma(t, t, -square);
#else  // Dekker's product
  const V c = t * 4097.0f, high = c - (c - t), low = t - high;
  return ((high * high - square) + 2.0f * high * low) + low * low;
#endif
}

// P(Z > t) for a normal variable Z and 0 <= t: exp(-t^2/2) times a polynomial in (t - 4)/(t + 4); beyond 15 it is the
// value at 15.
MINITEN_INLINE V normal_tail(V t) {
  t = min_keep(set(15.0f), t);
  const V s = (t - 4.0f) * reciprocal(t + 4.0f), square = t * t;
  V p = polynomial(s, set(1.18933808e-05f), -4.71223748e-05f, -1.73344437e-04f, 6.41999428e-04f, 5.0280919e-04f,
                   -8.49308274e-03f, 3.08655471e-02f, -7.17073148e-02f, 1.24379210e-01f, -1.70397723e-01f,
                   9.44106417e-02f);
  const V e = exp_negative(square * -0.5f);
  return p * fma(e * -0.5f, square_error(t, square), e);
}

MINITEN_INLINE V erf(V x) {
  const V t = abs(x), s = x * x;
  V p = polynomial(s, set(7.85386118e-05f), -8.01019357e-04f, 5.18832768e-03f, -2.68538119e-02f, 1.12835851e-01f,
                   -3.76126258e-01f);
  const V small = fma(x * s, p, x * 1.12837917f);
  const V big = 1.0f - 2.0f * normal_tail(t * 1.41421356f);
  const I sign = (I)x & (I)set(-0.0f);
  return select((I)(t < 1.0f), small, (V)((I)big | sign));
}

// x * P(Z < x) from P(Z > |x|). The factor stops at -120: the product vanishes long before, and -infinity gives -0.
MINITEN_INLINE V gelu_by_tail(V x) {
  const V tail = normal_tail(abs(x));
  return max_keep(set(-120.0f), x) * select((I)(x < 0.0f), tail, 1.0f - tail);
}

#if MINITEN_LANES == 16
MINITEN_INLINE V look_up(const float (&table)[32], V index) {
  return (V)_mm512_permutex2var_ps((__m512)load(table), (__m512i)index, (__m512)load(table + 16));
}

// x or 0, less |x| * P(Z > |x|). Each 11/64 of |x| has a polynomial, whose coefficients are looked up in registers.
MINITEN_INLINE V gelu(V x) {
  constexpr float limit = 5.4f, shift = 12582912.0f;  // 1.5 * 2^23
  const V t = (V)_mm512_range_ps((__m512)x, (__m512)set(limit), 0b1010);  // min(|x|, limit)
  const V k = fma(t, set(64.0f / 11), set(shift)), d = fma(k - shift, set(-11.0f / 64), t);
  V p = look_up(kNormalTail[0], k);
  MINITEN_UNROLL(8)
  for (int i = 1; i < 6; ++i) p = fma(p, d, look_up(kNormalTail[i], k));
  const V y = fma(-t, p, max_keep(set(-0.0f), x));
  if (__builtin_expect(any_above(-x, limit), 0)) return select((I)(x < -limit), gelu_by_tail(x), y);
  return y;
}
#else
MINITEN_INLINE V gelu(V x) { return gelu_by_tail(x); }
#endif

// In double precision, where a float result needs more than float arithmetic can give. Relative error 2^-29;
// arguments beyond +-200 count as +-200.
MINITEN_INLINE D exp(D x) {
  const double shift = 6755399441055744.0;  // 1.5 * 2^52
  x = min_keep(set_d(200.0), max_keep(set_d(-200.0), x));
  const D t = x * 1.4426950408889634 + shift, n = t - shift;
  const D r = fma(n, set_d(-0.6931471805599453), x);
  D p = polynomial(r, set_d(0.0013836742169674654), 0.008374898339686705, 0.04166823179826903, 0.16666419190722606,
                   0.499999920323399, 1.0000000365390256, 1.0000000005585932);
  return p * (D)(((UL)t + 1023u) << 52);
}

// Of positive finite numbers; relative error 2^-42.
MINITEN_INLINE D log(D x) {
  const UL scaled = (UL)x - 0x3fe6a09e667f3bcdu + (1023ull << 52);  // mantissa in [sqrt(1/2), sqrt(2))
  const D exponent = (D)((scaled >> 52) | 0x4330000000000000u) - 4503599627371519.0;
  const D m = (D)((UL)x - (scaled & 0xfff0000000000000u) + (1023ull << 52));
  const D s = (m - 1.0) / (m + 1.0), z = s * s;
  D p = polynomial(z, set_d(0.19364359579974819), 0.2219130133278546, 0.285717563490149, 0.39999998786768987,
                   0.6666666666738469, 2.0);
  return fma(exponent, set_d(0.6931471805599453), s * p);
}

// log(1 + x) for finite x > -1.
MINITEN_INLINE D log_of_one_plus(D x) {
  const D u = 1.0 + x;
  return select((L)(u == 1.0), x, log(u) + (x - (u - 1.0)) / u);
}

MINITEN_INLINE D log1p(D x) {
  D y = select((L)(x < __builtin_inf()), log_of_one_plus(x), x);
  y = select((L)(x == -1.0), set_d(-__builtin_inf()), y);
  return select((L)(x >= -1.0), y, x - x + __builtin_nan(""));
}

// The sine of x + quarters * pi/2 for |x| <= kSineLimit.
constexpr double kSineLimit = 1e6;
MINITEN_INLINE D sine(D x, uint64_t quarters) {
  const double shift = 6755399441055744.0;
  const D t = x * 0.6366197723675814 + shift, n = t - shift;
  D r = x - n * 1.5707963267341256;  // 33 bits: exact for the n of such x
  r = r - n * 6.077100506303966e-11;
  r = r - n * 2.0222662487959506e-21;
  const D z = r * r;
  D p = polynomial(z, set_d(-2.4805626365903358e-08), 2.7555990878578187e-06, -0.00019841266917048782,
                   0.008333333331079659, -0.16666666666663882);
  D q = polynomial(z, set_d(-2.7237130846641046e-07), 2.4799862171484906e-05, -0.0013888885091713266,
                   0.04166666663740459, -0.49999999999963907);
  const UL quadrant = (UL)t + quarters;
  const D y = select((L)((quadrant & 1u) != 0u), fma(q, z, set_d(1.0)), fma(p * z, r, r));
  return (D)((UL)y ^ ((quadrant & 2u) << 62));
}

MINITEN_INLINE D abs(D v) { return (D)((L)v & 0x7fffffffffffffff); }

// exp(x) - 1; Kahan's quotient forgives the error of exp. Beyond +-30 the 1 or the exponential is all of it.
MINITEN_INLINE D expm1(D x) {
  const D u = exp(x), y = (u - 1.0) * x / log(u);
  return select((L)(abs(x) < 30.0), select((L)(u == 1.0), x, y), u - 1.0);
}

// The factor stops at -120: the product vanishes in float long before, and -infinity gives -0.
MINITEN_INLINE D times_sigmoid(D x, D u) { return max_keep(set_d(-120.0), x) / (1.0 + exp(-u)); }

MINITEN_INLINE D gelu_tanh(D x) {  // 1 + tanh(u) = 2 * sigmoid(2 * u)
  return times_sigmoid(x, 1.5957691216057308 * fma(0.044715 * x * x, x, x));
}

}  // namespace
}  // namespace miniten::kernels::MINITEN_TARGET
