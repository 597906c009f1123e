#include "kernels/unary.h"

#include <cmath>

#include "kernels/ftable.h"

namespace miniten::kernels {
namespace {

template <class T, class F>
void map(const T* x, T* y, int64_t n, F f) {
  for (int64_t i = 0; i < n; ++i) y[i] = f(x[i]);
}

double softplus(double v) { return (v > 0 ? v : 0) + std::log1p(std::exp(-std::fabs(v))) + (v != v ? v : 0); }

// x * s(u) with the logistic function s, -0 at -infinity.
double times_sigmoid(double x, double u) { return x < -1e300 ? -0.0 : x / (1 + std::exp(-u)); }

template <class T>
T round_half_even(T v) {
  const T floor = std::floor(v), diff = v - floor;
  if (diff < T(0.5)) return std::copysign(floor, v);
  if (diff > T(0.5)) return std::copysign(floor + 1, v);
  return diff == T(0.5) ? std::copysign(T(2) * std::floor((floor + 1) / 2), v) : v;
}

template <class T>
bool map_shared(Unary op, const T* x, T* y, int64_t n) {
  switch (op) {
    case Unary::sin: map(x, y, n, [](T v) { return std::sin(v); }); return true;
    case Unary::cos: map(x, y, n, [](T v) { return std::cos(v); }); return true;
    case Unary::floor: map(x, y, n, [](T v) { return std::floor(v); }); return true;
    case Unary::ceil: map(x, y, n, [](T v) { return std::ceil(v); }); return true;
    case Unary::round: map(x, y, n, round_half_even<T>); return true;
    case Unary::log1p: map(x, y, n, [](T v) { return std::log1p(v); }); return true;
    case Unary::softplus: map(x, y, n, [](T v) { return static_cast<T>(softplus(v)); }); return true;
    default: return false;
  }
}

}  // namespace

void unary(Unary op, const float* x, float* y, int64_t n) {
  if (!map_shared(op, x, y, n)) ftable().unary(op, x, y, n);
}

void clamp(const float* x, float lo, float hi, float* y, int64_t n) { ftable().clamp(x, lo, hi, y, n); }
void clamp(const double* x, double lo, double hi, double* y, int64_t n) {
  map(x, y, n, [&](double v) { return v < lo ? lo : v > hi ? hi : v; });
}

void unary(Unary op, const double* x, double* y, int64_t n) {
  if (map_shared(op, x, y, n)) return;
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
    case Unary::sign: return map(x, y, n, [](double v) { return v > 0 ? 1.0 : v < 0 ? -1.0 : v; });
    default: return;
  }
}

}  // namespace miniten::kernels
