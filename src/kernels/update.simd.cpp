#include "kernels/ftable.h"
#include "kernels/simd-inl.h"

namespace miniten::kernels::MINITEN_TARGET {

void adam(const AdamStep& step, const float* g, float* p, float* m, float* v, int64_t n) {
  const V decay = set((float)step.weight_decay), keep = set((float)(1 - step.lr * step.weight_decay));
  const V blend1 = set((float)(1 - step.beta1)), beta2 = set((float)step.beta2), blend2 = set((float)(1 - step.beta2));
  const V root = set((float)__builtin_sqrt(step.bias2)), eps = set((float)step.eps);
  const V rate = set((float)(-step.lr / step.bias1));
  const bool decoupled = step.decoupled;
  for_lanes(n, [&](int64_t i, int64_t c) {
    V grad = load_n(g + i, c), param = load_n(p + i, c), first = load_n(m + i, c), second = load_n(v + i, c);
    if (decoupled) {
      param = param * keep;
    } else {
      grad = fma(decay, param, grad);
    }
    first = fma(blend1, grad - first, first);
    second = fma(blend2 * grad, grad, beta2 * second);
    store_n(m + i, first, c);
    store_n(v + i, second, c);
    store_n(p + i, fma(rate, first / (sqrt(second) / root + eps), param), c);
  });
}

void sgd(const SgdStep& step, const float* g, float* p, float* buf, int64_t n) {
  const V decay = set((float)step.weight_decay), momentum = set((float)step.momentum);
  const V rate = set((float)-step.lr), damped = set((float)(1 - step.dampening));
  const bool first = step.first, nesterov = step.nesterov;
  for_lanes(n, [&](int64_t i, int64_t c) {
    const V param = load_n(p + i, c);
    V d = fma(decay, param, load_n(g + i, c));
    if (buf) {
      const V moved = first ? d : fma(momentum, load_n(buf + i, c), damped * d);
      store_n(buf + i, moved, c);
      d = nesterov ? fma(momentum, moved, d) : moved;
    }
    store_n(p + i, fma(rate, d, param), c);
  });
}

}  // namespace miniten::kernels::MINITEN_TARGET
