#include "kernels/activation.h"

#include <algorithm>
#include <cmath>

#include "kernels/ftable.h"

namespace miniten::kernels {

void activation(Activation kind, double alpha, const float* x, float* y, int64_t n) {
  ftable().activation(kind, static_cast<float>(alpha), x, y, n);
}
void activation(Activation kind, double alpha, const double* x, double* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const double v = x[i];
    switch (kind) {
      case Activation::leaky_relu: y[i] = v > 0 ? v : v * alpha; break;
      case Activation::elu: y[i] = v > 0 ? v : alpha * std::expm1(v); break;
      case Activation::hard_swish: y[i] = v * std::clamp(v + 3, 0.0, 6.0) / 6; break;
    }
  }
}

void activation_slope(Activation kind, double alpha, const float* g, const float* x, float* y, int64_t n) {
  ftable().activation_slope(kind, static_cast<float>(alpha), g, x, y, n);
}
void activation_slope(Activation kind, double alpha, const double* g, const double* x, double* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const double v = x[i], d = g[i];
    switch (kind) {
      case Activation::leaky_relu: y[i] = v > 0 ? d : d * alpha; break;
      case Activation::elu: y[i] = v > 0 ? d : d * alpha * std::exp(v); break;
      case Activation::hard_swish: y[i] = v <= -3 ? 0 : v >= 3 ? d : d * (v / 3 + 0.5); break;
    }
  }
}

}  // namespace miniten::kernels
