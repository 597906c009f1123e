#include "kernels/ftable.h"
#include "kernels/math-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

// f in double precision.
template <class F>
void map_double(const float* x, float* y, int64_t n, F f) {
  int64_t i = 0;
  for (; i + kHalf <= n; i += kHalf) store_as<H>(y + i, to_float(f(to_double(load_as<H>(x + i)))));
  if (i < n) {
    float part[kHalf] = {};
    for (int64_t j = i; j < n; ++j) part[j - i] = x[j];
    store_as<H>(part, to_float(f(to_double(load_as<H>(part)))));
    for (int64_t j = i; j < n; ++j) y[j] = part[j - i];
  }
}

// sin(x + quarters * pi/2); arguments too large for sine(), infinities and NaN are left to the C library.
void map_sine(const float* x, float* y, int64_t n, uint64_t quarters) {
  map_double(x, y, n, [&](D v) {
    const L within = (L)(abs(v) <= kSineLimit);
    D r = sine(v, quarters);
    if (!all_of(within))
      for (int j = 0; j < kHalf; ++j)
        if (!within[j]) r[j] = quarters ? __builtin_cos(v[j]) : __builtin_sin(v[j]);
    return r;
  });
}

}  // namespace

void clamp(const float* x, float lo, float hi, float* y, int64_t n) {
  const V low = set(lo), high = set(hi);
  map_lanes(x, y, n, [&](V v) { return clamp(v, low, high); });
}

void clamp_slope(const float* g, const float* x, float lo, float hi, float* y, int64_t n) {
  const V low = set(lo), high = set(hi);
  for_lanes(n, [&](int64_t i, int64_t m) {
    const V v = load_n(x + i, m);
    store_n(y + i, select((I)(v >= low) & (I)(v <= high), load_n(g + i, m), V{}), m);
  });
}

void unary(Unary op, const float* x, float* y, int64_t n) {
  switch (op) {
    case Unary::relu: return map_lanes(x, y, n, [](V v) { return max_keep(V{}, v); });
    case Unary::exp: return map_lanes(x, y, n, [](V v) { return exp(v); });
    case Unary::log: return map_lanes(x, y, n, [](V v) { return log(v); });
    case Unary::neg: return map_lanes(x, y, n, [](V v) { return -v; });
    case Unary::tanh: return map_lanes(x, y, n, [](V v) { return tanh(v); });
    case Unary::sigmoid: return map_lanes(x, y, n, [](V v) { return sigmoid(v); });
    case Unary::sqrt: return map_lanes(x, y, n, [](V v) { return sqrt(v); });
    case Unary::abs: return map_lanes(x, y, n, [](V v) { return abs(v); });
    case Unary::square: return map_lanes(x, y, n, [](V v) { return v * v; });
    case Unary::reciprocal: return map_lanes(x, y, n, [](V v) { return 1.0f / v; });
    case Unary::erf: return map_lanes(x, y, n, [](V v) { return erf(v); });
    case Unary::gelu: return map_lanes(x, y, n, [](V v) { return gelu(v); });
    case Unary::gelu_tanh: return map_double(x, y, n, [](D v) { return gelu_tanh(v); });
    case Unary::silu: return map_lanes(x, y, n, [](V v) { return silu(v); });
    case Unary::sign:
      return map_lanes(x, y, n,
                 [](V v) { return select((I)(v > 0.0f), set(1.0f), select((I)(v < 0.0f), set(-1.0f), v)); });
    case Unary::sin: return map_sine(x, y, n, 0);
    case Unary::cos: return map_sine(x, y, n, 1);
    case Unary::floor: return map_lanes(x, y, n, [](V v) { return floor(v); });
    case Unary::ceil: return map_lanes(x, y, n, [](V v) { return ceil(v); });
    case Unary::round: return map_lanes(x, y, n, [](V v) { return round_even(v); });
    case Unary::log1p: return map_double(x, y, n, [](D v) { return log1p(v); });
    case Unary::softplus: return map_lanes(x, y, n, [](V v) { return softplus(v); });
    case Unary::expm1: return map_double(x, y, n, [](D v) { return expm1(v); });
    default: return;
  }
}

}  // namespace miniten::kernels::MINITEN_TARGET
