#include "kernels/ftable.h"
#include "kernels/math-inl.h"

namespace miniten::kernels::MINITEN_TARGET {

void activation(Activation kind, float alpha, const float* x, float* y, int64_t n) {
  const V a = set(alpha);
  auto map = [&](auto f) { map_lanes(x, y, n, f); };
  switch (kind) {
    case Activation::leaky_relu: return map([&](V v) { return select((I)(v > 0.0f), v, v * a); });
    case Activation::elu:
      return map([&](V v) {
        const V t = tanh(select((I)(v > 0.0f), V{}, v) * 0.5f);  // exp(v) - 1 = 2 t / (1 - t), exact near 0
        return select((I)(v > 0.0f), v, a * (2.0f * t / (1.0f - t)));
      });
    case Activation::hard_swish: return map([](V v) { return v * clamp(v + 3.0f, V{}, set(6.0f)) * (1.0f / 6); });
  }
}

void activation_slope(Activation kind, float alpha, const float* g, const float* x, float* y, int64_t n) {
  const V a = set(alpha);
  auto zip = [&](auto f) {
    for_lanes(n, [&](int64_t i, int64_t m) { store_n(y + i, f(load_n(g + i, m), load_n(x + i, m)), m); });
  };
  switch (kind) {
    case Activation::leaky_relu: return zip([&](V d, V v) { return select((I)(v > 0.0f), d, d * a); });
    case Activation::elu:
      return zip([&](V d, V v) {
        return select((I)(v > 0.0f), d, d * a * exp(select((I)(v > 0.0f), V{}, v)));
      });
    case Activation::hard_swish:
      return zip([](V d, V v) {
        const V inside = d * (v * (1.0f / 3) + 0.5f);
        return select((I)(v <= -3.0f), V{}, select((I)(v >= 3.0f), d, inside));
      });
  }
}

}  // namespace miniten::kernels::MINITEN_TARGET
