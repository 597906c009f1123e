#pragma once
#include <cstdint>

namespace miniten::kernels {

// leaky_relu: x > 0 ? x : alpha x. elu: x > 0 ? x : alpha (exp(x) - 1). hard_swish: x clamp(x + 3, 0, 6) / 6.
// NaN gives NaN. elu of floats errs by at most 3 units in the last place, the others by 2.
enum class Activation : uint8_t { leaky_relu, elu, hard_swish };

// y[i] = f(x[i]); x may equal y.
void activation(Activation, double alpha, const float* x, float* y, int64_t n);
void activation(Activation, double alpha, const double* x, double* y, int64_t n);

// y[i] = g[i] f'(x[i]), at a kink the slope to its left; y may equal g or x.
void activation_slope(Activation, double alpha, const float* g, const float* x, float* y, int64_t n);
void activation_slope(Activation, double alpha, const double* g, const double* x, double* y, int64_t n);

}  // namespace miniten::kernels
