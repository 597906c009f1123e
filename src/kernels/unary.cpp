#include "kernels/unary.h"

#include <cmath>

#include "kernels/ftable.h"

namespace miniten::kernels {
namespace {

template <class F>
void map(const double* x, double* y, int64_t n, F f) {
  for (int64_t i = 0; i < n; ++i) y[i] = f(x[i]);
}

double softplus(double v) { return (v > 0 ? v : 0) + std::log1p(std::exp(-std::fabs(v))) + (v != v ? v : 0); }

// x * s(u) with the logistic function s, -0 at -infinity.
double times_sigmoid(double x, double u) { return x < -1e300 ? -0.0 : x / (1 + std::exp(-u)); }

double round_half_even(double v) {
  const double floor = std::floor(v), diff = v - floor;
  if (diff < 0.5) return std::copysign(floor, v);
  if (diff > 0.5) return std::copysign(floor + 1, v);
  return diff == 0.5 ? std::copysign(2 * std::floor((floor + 1) / 2), v) : v;
}

}  // namespace

void unary(Unary op, const float* x, float* y, int64_t n) { ftable().unary(op, x, y, n); }

void clamp(const float* x, float lo, float hi, float* y, int64_t n) { ftable().clamp(x, lo, hi, y, n); }
void clamp(const double* x, double lo, double hi, double* y, int64_t n) {
  map(x, y, n, [&](double v) { return v < lo ? lo : v > hi ? hi : v; });
}

void clamp_slope(const float* g, const float* x, float lo, float hi, float* y, int64_t n) {
  ftable().clamp_slope(g, x, lo, hi, y, n);
}
void clamp_slope(const double* g, const double* x, double lo, double hi, double* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] >= lo && x[i] <= hi ? g[i] : 0;
}

void unary(Unary op, const double* x, double* y, int64_t n) {
  switch (op) {
    case Unary::relu: return map(x, y, n, [](double v) { return v <= 0 ? 0 : v; });
    case Unary::exp: return map(x, y, n, [](double v) { return std::exp(v); });
    case Unary::log: return map(x, y, n, [](double v) { return std::log(v); });
    case Unary::neg: return map(x, y, n, [](double v) { return -v; });
    case Unary::tanh: return map(x, y, n, [](double v) { return std::tanh(v); });
    case Unary::sigmoid: return map(x, y, n, [](double v) { return 1 / (1 + std::exp(-v)); });
    case Unary::sqrt: return map(x, y, n, [](double v) { return std::sqrt(v); });
    case Unary::abs: return map(x, y, n, [](double v) { return std::fabs(v); });
    case Unary::square: return map(x, y, n, [](double v) { return v * v; });
    case Unary::reciprocal: return map(x, y, n, [](double v) { return 1 / v; });
    case Unary::erf: return map(x, y, n, [](double v) { return std::erf(v); });
    case Unary::gelu:
      return map(x, y, n, [](double v) { return v < -1e300 ? -0.0 : v * 0.5 * std::erfc(v * -0.70710678118654752); });
    case Unary::gelu_tanh:
      return map(x, y, n, [](double v) {
        return times_sigmoid(v, 1.5957691216057308 * (v + 0.044715 * v * v * v));
      });
    case Unary::silu: return map(x, y, n, [](double v) { return times_sigmoid(v, v); });
    case Unary::expm1: return map(x, y, n, [](double v) { return std::expm1(v); });
    case Unary::sin: return map(x, y, n, [](double v) { return std::sin(v); });
    case Unary::cos: return map(x, y, n, [](double v) { return std::cos(v); });
    case Unary::floor: return map(x, y, n, [](double v) { return std::floor(v); });
    case Unary::ceil: return map(x, y, n, [](double v) { return std::ceil(v); });
    case Unary::round: return map(x, y, n, round_half_even);
    case Unary::log1p: return map(x, y, n, [](double v) { return std::log1p(v); });
    case Unary::softplus: return map(x, y, n, softplus);
    case Unary::sign: return map(x, y, n, [](double v) { return v > 0 ? 1.0 : v < 0 ? -1.0 : v; });
    default: return;
  }
}

}  // namespace miniten::kernels
