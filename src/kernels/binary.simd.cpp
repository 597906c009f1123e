#include "kernels/ftable.h"
#include "kernels/math-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

template <class F>
void zip(const float* a, int64_t a_step, const float* b, int64_t b_step, float* y, int64_t n, F f) {
  if (n <= 0) return;
  if (a_step && b_step) {
    for_lanes(n, [&](int64_t i, int64_t m) { store_n(y + i, f(load_n(a + i, m), load_n(b + i, m)), m); });
  } else if (a_step) {
    const V all = set(*b);
    for_lanes(n, [&](int64_t i, int64_t m) { store_n(y + i, f(load_n(a + i, m), all), m); });
  } else if (b_step) {
    const V all = set(*a);
    for_lanes(n, [&](int64_t i, int64_t m) { store_n(y + i, f(all, load_n(b + i, m)), m); });
  } else {
    const V all = f(set(*a), set(*b));
    for_lanes(n, [&](int64_t i, int64_t m) { store_n(y + i, all, m); });
  }
}

// a^b = exp(b * log |a|) in double, negated for a negative a and an odd b; lanes of zeros, infinities, NaN, a root of a
// negative number and exponents beyond 2^24 are the C library's.
MINITEN_INLINE D power(D a, D b) {
  const double shift = 6755399441055744.0;
  const D size = abs(a), t = b + shift;
  const L whole = (L)(t - shift == b), negative = (L)(a < 0.0);
  const L usual = (L)(size > 0.0) & (L)(size < __builtin_inf()) & (L)(abs(b) <= 16777216.0) & (whole | ~negative);
  D y = exp(b * log(select(usual, size, set_d(1.0))));
  y = (D)((UL)y ^ (((UL)t << 63) & (UL)negative));
  if (!all_of(usual))
    for (int j = 0; j < kHalf; ++j)
      if (!usual[j]) y[j] = __builtin_pow(a[j], b[j]);
  return y;
}
H half_of(const float* p, int64_t step, int64_t m) {
  if (!step) return H{} + *p;
  if (m == kHalf) return load_as<H>(p);
  H part = H{} + 1.0f;
  for (int64_t j = 0; j < m; ++j) part[j] = p[j];
  return part;
}
void pow(const float* a, int64_t a_step, const float* b, int64_t b_step, float* y, int64_t n) {
  if (n > 0 && !b_step && *b == 3) return zip(a, a_step, b, 0, y, n, [](V p, V) { return p * p * p; });
  for (int64_t i = 0; i < n; i += kHalf) {
    const int64_t m = n - i < kHalf ? n - i : kHalf;
    const H part = to_float(power(to_double(half_of(a + i * a_step, a_step, m)), to_double(half_of(b + i * b_step, b_step, m))));
    if (m == kHalf) store_as<H>(y + i, part);
    else for (int64_t j = 0; j < m; ++j) y[i + j] = part[j];
  }
}

}  // namespace

void binary(Binary op, const float* a, int64_t a_step, const float* b, int64_t b_step, float* y, int64_t n) {
  switch (op) {
    case Binary::add: return zip(a, a_step, b, b_step, y, n, [](V p, V q) { return p + q; });
    case Binary::sub: return zip(a, a_step, b, b_step, y, n, [](V p, V q) { return p - q; });
    case Binary::mul: return zip(a, a_step, b, b_step, y, n, [](V p, V q) { return p * q; });
    case Binary::div: return zip(a, a_step, b, b_step, y, n, [](V p, V q) { return p / q; });
    case Binary::maximum: return zip(a, a_step, b, b_step, y, n, [](V p, V q) { return max_nan(p, q); });
    case Binary::minimum: return zip(a, a_step, b, b_step, y, n, [](V p, V q) { return min_nan(p, q); });
    case Binary::gate:
      return zip(a, a_step, b, b_step, y, n, [](V p, V q) { return select((I)(q > 0.0f), p, V{}); });
    case Binary::prelu:
      return zip(a, a_step, b, b_step, y, n, [](V p, V q) { return select((I)(p > 0.0f), p, p * q); });
    case Binary::pow: return pow(a, a_step, b, b_step, y, n);
    default: return;
  }
}

void choose(const bool* condition, const float* a, int64_t a_step, const float* b, int64_t b_step, float* y, int64_t n) {
  typedef int8_t Bytes __attribute__((vector_size(kLanes)));
  const V all_a = n > 0 ? set(*a) : V{}, all_b = n > 0 ? set(*b) : V{};
  for_lanes(n, [&](int64_t i, int64_t m) {
    Bytes c = {};
    if (m == kLanes) c = load_as<Bytes>(condition + i);
    else for (int64_t j = 0; j < m; ++j) c[j] = condition[i + j];
    const I chosen = __builtin_convertvector(c, I) != 0;
    store_n(y + i, select(chosen, a_step ? load_n(a + i, m) : all_a, b_step ? load_n(b + i, m) : all_b), m);
  });
}

void add_scaled(const float* a, float scale, float* y, int64_t n) {
  const V factor = set(scale);
  for_lanes(n, [&](int64_t i, int64_t m) { store_n(y + i, fma(factor, load_n(a + i, m), load_n(y + i, m)), m); });
}

}  // namespace miniten::kernels::MINITEN_TARGET
