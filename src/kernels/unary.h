#pragma once
#include <cstdint>

namespace miniten::kernels {

enum class Unary : uint8_t {
  relu, exp, log, neg, tanh, sigmoid, sqrt, abs, square, reciprocal, erf, gelu, gelu_tanh, silu, sin, cos, floor, ceil,
  round, sign, log1p, softplus, expm1, count_
};

// y[i] = f(x[i]) for i in [0, n); x may equal y.
//
// Error, in units in the last place of the result over all float inputs, denormal results included, against the exact
// value: at most 12 for gelu, 4 for silu and softplus, 3 for sigmoid and erf, 2 for exp, log, tanh and gelu_tanh, 1 for the rest.
// NaN gives NaN, relu included. exp(-inf) = 0, log(0) = -inf, log(x < 0) = NaN. round goes half to even; sign keeps
// zeros. gelu is x*Phi(x), gelu_tanh its tanh approximation; both and silu are -0 at -infinity.
void unary(Unary op, const float* x, float* y, int64_t n);
void unary(Unary op, const double* x, double* y, int64_t n);

// y[i] = x[i] cut to [lo, hi], NaN where x[i] is; x may equal y.
void clamp(const float* x, float lo, float hi, float* y, int64_t n);
void clamp(const double* x, double lo, double hi, double* y, int64_t n);

// y[i] = g[i] where lo <= x[i] <= hi, else 0; y may equal g or x.
void clamp_slope(const float* g, const float* x, float lo, float hi, float* y, int64_t n);
void clamp_slope(const double* g, const double* x, double lo, double hi, double* y, int64_t n);

}  // namespace miniten::kernels
