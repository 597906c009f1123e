#pragma once
#include <cstdint>

namespace miniten::kernels {

// Optimizer steps on n contiguous values with torch's formulas. Factors are formed in double precision, then rounded.
// Of floats, subnormal ones count as 0: the moments of a parameter without a gradient decay to 0 instead of resting just above it.

struct AdamStep {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
  double bias1 = 1, bias2 = 1;  // 1 - beta1^t, 1 - beta2^t
  bool decoupled = false;       // AdamW: p *= 1 - lr*weight_decay, instead of g += weight_decay*p
};
// m = m + (1-beta1)*(g-m);  v = beta2*v + (1-beta2)*g*g;  p -= lr/bias1 * m / (sqrt(v)/sqrt(bias2) + eps)
void adam(const AdamStep& step, const float* g, float* p, float* m, float* v, int64_t n);
void adam(const AdamStep& step, const double* g, double* p, double* m, double* v, int64_t n);

struct SgdStep {
  double lr = 1e-3, momentum = 0, dampening = 0, weight_decay = 0;
  bool nesterov = false;
  bool first = false;  // the first step: buf = g, whatever it held
};
// d = g + weight_decay*p;  with buf: buf = momentum*buf + (1-dampening)*d, d = nesterov ? d + momentum*buf : buf;
// p -= lr*d. buf is null without momentum.
void sgd(const SgdStep& step, const float* g, float* p, float* buf, int64_t n);
void sgd(const SgdStep& step, const double* g, double* p, double* buf, int64_t n);

}  // namespace miniten::kernels
