#include <cmath>
#include "miniten/ops/ops.h"
#include "miniten/optim/optimizer.h"

namespace miniten::optim {

// Scalars that depend on the step are formed in float64: 1 - 0.999 in float32 has four digits.
namespace {
Tensor wide(const Tensor& t) { return cast(t, DType::f64); }
Tensor power(double base, const Tensor& exponent) { return pow(Tensor::full({}, base, DType::f64), exponent); }
Tensor like(const Tensor& scalar, const Tensor& p) { return cast(scalar, p.dtype()); }
void blend(const Tensor& state, const Tensor& value, double keep) { assign(state, state * keep + value * (1 - keep)); }
// g with the weight decay in it, or p shrunk at once where it is decoupled.
Tensor decayed(const Tensor& p, const Tensor& g, double decay, bool decoupled, const Tensor& lr) {
  if (decay == 0) return g;
  if (!decoupled) return g + p * decay;
  assign(p, p * like(1.0 - wide(lr) * decay, p));
  return g;
}
constexpr double one = 1 + 1e-12;                              // closes a range at 1
}  // namespace

// ---- SGD ----
SGD::SGD(const Parameters& p, const Options& o)
    : Optimizer("SGD", p, {{"lr", o.lr}, {"momentum", o.momentum}, {"dampening", o.dampening, -1e30}, {"weight_decay", o.weight_decay},
                           {"nesterov", double(o.nesterov), 0, one}, {"maximize", double(o.maximize), 0, one}}) {
  for (const Group& g : groups())
    if (get(g, "nesterov") != 0 && (get(g, "momentum") == 0 || get(g, "dampening") != 0))
      throw Error(ErrorKind::value, "SGD", "a momentum above 0 and no dampening with nesterov", "0 or dampening");
}
void SGD::update(size_t i, const Tensor& p, const Tensor& g, const Group& o) {
  SgdAttrs at{.momentum = float(get(o, "momentum")), .dampening = float(get(o, "dampening")), .weight_decay = float(get(o, "weight_decay")), .nesterov = get(o, "nesterov") != 0};
  sgd(p, g, at.momentum != 0 ? slot("momentum", i) : Tensor(), step_of(i), o.lr, at);
}

// ---- the Adam family ----
Adam::Adam(const Parameters& p, const Options& o, bool decoupled)
    : Optimizer(decoupled ? "AdamW" : "Adam", p, {{"lr", o.lr}, {"beta1", o.beta1, 0, 1}, {"beta2", o.beta2, 0, 1}, {"eps", o.eps}, {"weight_decay", o.weight_decay},
                                                  {"amsgrad", double(o.amsgrad), 0, one}, {"maximize", double(o.maximize), 0, one}}),
      decoupled_(decoupled) {}
void Adam::update(size_t i, const Tensor& p, const Tensor& g, const Group& o) {
  double b1 = get(o, "beta1"), b2 = get(o, "beta2"), eps = get(o, "eps"), decay = get(o, "weight_decay");
  Tensor m = slot("m", i), v = slot("v", i), t = step_of(i);
  if (get(o, "amsgrad") == 0) return adam(p, g, m, v, t, o.lr, {float(b1), float(b2), float(eps), float(decay), decoupled_});
  Tensor d = decayed(p, g, decay, decoupled_, o.lr), greatest = slot("v_max", i);
  blend(m, d, b1);
  blend(v, square(d), b2);
  assign(greatest, maximum(greatest, v));
  Tensor bias1 = 1.0 - power(b1, wide(t)), bias2 = 1.0 - power(b2, wide(t));
  assign(p, p - m * like(wide(o.lr) / bias1, p) / (sqrt(greatest) * like(reciprocal(sqrt(bias2)), p) + eps));
}

NAdam::NAdam(const Parameters& p, const Options& o)
    : Optimizer("NAdam", p, {{"lr", o.lr}, {"beta1", o.beta1, 0, 1}, {"beta2", o.beta2, 0, 1}, {"eps", o.eps}, {"weight_decay", o.weight_decay}, {"momentum_decay", o.momentum_decay},
                             {"decoupled_weight_decay", double(o.decoupled_weight_decay), 0, one}, {"maximize", double(o.maximize), 0, one}}) {}
void NAdam::update(size_t i, const Tensor& p, const Tensor& g, const Group& o) {
  double b1 = get(o, "beta1"), b2 = get(o, "beta2"), decay = get(o, "momentum_decay");
  Tensor d = decayed(p, g, get(o, "weight_decay"), get(o, "decoupled_weight_decay") != 0, o.lr);
  Tensor m = slot("m", i), v = slot("v", i), product = slot("mu_product", i, 1, true), t = wide(step_of(i)), lr = wide(o.lr);
  auto mu_at = [&](const Tensor& step) { return (1.0 - power(0.96, step * decay) * 0.5) * b1; };
  Tensor mu = mu_at(t), next = mu_at(t + 1.0);
  assign(product, product * mu);
  blend(m, d, b1);
  blend(v, square(d), b2);
  Tensor root = sqrt(v * like(reciprocal(1.0 - power(b2, t)), p)) + get(o, "eps");
  assign(p, p - d * like(lr * (1.0 - mu) / (1.0 - product), p) / root - m * like(lr * next / (1.0 - product * next), p) / root);
}

RAdam::RAdam(const Parameters& p, const Options& o)
    : Optimizer("RAdam", p, {{"lr", o.lr}, {"beta1", o.beta1, 0, 1}, {"beta2", o.beta2, 0, 1}, {"eps", o.eps}, {"weight_decay", o.weight_decay},
                             {"decoupled_weight_decay", double(o.decoupled_weight_decay), 0, one}, {"maximize", double(o.maximize), 0, one}}) {}
void RAdam::update(size_t i, const Tensor& p, const Tensor& g, const Group& o) {
  double b1 = get(o, "beta1"), b2 = get(o, "beta2"), longest = 2 / (1 - b2) - 1;
  Tensor d = decayed(p, g, get(o, "weight_decay"), get(o, "decoupled_weight_decay") != 0, o.lr);
  Tensor m = slot("m", i), v = slot("v", i), t = wide(step_of(i));
  blend(m, d, b1);
  blend(v, square(d), b2);
  Tensor decay = power(b2, t), bias2 = 1.0 - decay, length = longest - t * decay * 2.0 / bias2;
  Tensor trusted = greater(length, number_like(length, 5)), safe = where(trusted, length, Tensor::full({}, 6, DType::f64));
  Tensor rectified = sqrt((safe - 4.0) * (safe - 2.0) * longest / (safe * ((longest - 4) * (longest - 2))));
  Tensor adaptive = like(rectified * sqrt(bias2), p) / (sqrt(v) + get(o, "eps"));
  assign(p, p - m * like(wide(o.lr) / (1.0 - power(b1, t)), p) * where(trusted, adaptive, Tensor::full({}, 1, p.dtype())));
}

// ---- others ----
RMSprop::RMSprop(const Parameters& p, const Options& o)
    : Optimizer("RMSprop", p, {{"lr", o.lr}, {"alpha", o.alpha, 0, one}, {"eps", o.eps}, {"weight_decay", o.weight_decay}, {"momentum", o.momentum},
                               {"centered", double(o.centered), 0, one}, {"maximize", double(o.maximize), 0, one}}) {}
void RMSprop::update(size_t i, const Tensor& p, const Tensor& g, const Group& o) {
  double alpha = get(o, "alpha"), momentum = get(o, "momentum");
  Tensor d = decayed(p, g, get(o, "weight_decay"), false, o.lr), v = slot("square_avg", i), spread = v;
  blend(v, square(d), alpha);
  if (get(o, "centered") != 0) {
    Tensor centre = slot("grad_avg", i);
    blend(centre, d, alpha);
    spread = v - square(centre);
  }
  Tensor move = d / (sqrt(spread) + get(o, "eps"));
  if (momentum > 0) {
    Tensor buffer = slot("momentum_buffer", i);
    assign(buffer, buffer * momentum + move);
    move = buffer;
  }
  assign(p, p - move * like(o.lr, p));
}

Adagrad::Adagrad(const Parameters& p, const Options& o)
    : Optimizer("Adagrad", p, {{"lr", o.lr}, {"lr_decay", o.lr_decay}, {"weight_decay", o.weight_decay}, {"initial_accumulator_value", o.initial_accumulator_value},
                               {"eps", o.eps}, {"maximize", double(o.maximize), 0, one}}) {}
void Adagrad::update(size_t i, const Tensor& p, const Tensor& g, const Group& o) {
  Tensor d = decayed(p, g, get(o, "weight_decay"), false, o.lr), total = slot("sum", i, get(o, "initial_accumulator_value"));
  assign(total, total + square(d));
  Tensor rate = wide(o.lr) / ((wide(step_of(i)) - 1.0) * get(o, "lr_decay") + 1.0);
  assign(p, p - d * like(rate, p) / (sqrt(total) + get(o, "eps")));
}

Lion::Lion(const Parameters& p, const Options& o)
    : Optimizer("Lion", p, {{"lr", o.lr}, {"beta1", o.beta1, 0, 1}, {"beta2", o.beta2, 0, 1}, {"weight_decay", o.weight_decay}, {"maximize", double(o.maximize), 0, one}}) {}
void Lion::update(size_t i, const Tensor& p, const Tensor& g, const Group& o) {
  double b1 = get(o, "beta1");
  Tensor m = slot("m", i), d = decayed(p, g, get(o, "weight_decay"), true, o.lr);
  assign(p, p - sign(m * b1 + d * (1 - b1)) * like(o.lr, p));
  blend(m, d, get(o, "beta2"));
}

}  // namespace miniten::optim
