#include "kernels/update.h"

#include <cmath>

#include "kernels/ftable.h"
#include "kernels/subnormals.h"

namespace miniten::kernels {

void adam(const AdamStep& step, const float* g, float* p, float* m, float* v, int64_t n) {
  SubnormalsAsZero scope;
  ftable().adam(step, g, p, m, v, n);
}
void sgd(const SgdStep& step, const float* g, float* p, float* buf, int64_t n) {
  SubnormalsAsZero scope;
  ftable().sgd(step, g, p, buf, n);
}

void adam(const AdamStep& step, const double* g, double* p, double* m, double* v, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    double grad = g[i];
    if (step.decoupled) {
      p[i] *= 1 - step.lr * step.weight_decay;
    } else {
      grad += step.weight_decay * p[i];
    }
    m[i] += (1 - step.beta1) * (grad - m[i]);
    v[i] = step.beta2 * v[i] + (1 - step.beta2) * grad * grad;
    p[i] -= step.lr / step.bias1 * (m[i] / (std::sqrt(v[i]) / std::sqrt(step.bias2) + step.eps));
  }
}

void sgd(const SgdStep& step, const double* g, double* p, double* buf, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    double d = g[i] + step.weight_decay * p[i];
    if (buf) {
      buf[i] = step.first ? d : step.momentum * buf[i] + (1 - step.dampening) * d;
      d = step.nesterov ? d + step.momentum * buf[i] : buf[i];
    }
    p[i] -= step.lr * d;
  }
}

}  // namespace miniten::kernels
