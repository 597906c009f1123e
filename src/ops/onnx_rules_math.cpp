#include "miniten/ops/ops.h"
#include "ops/onnx_rules.h"

// Elementwise ONNX operators as compositions.
namespace miniten::onnx {

namespace {

Tensor zero_like(const Tensor& x) { return Tensor::full({}, 0, x.dtype()); }
Tensor positive(const Tensor& x, const Tensor& a, const Tensor& b) { return miniten::where(greater(x, zero_like(x)), a, b); }
Tensor x_of(const ForeignNode& n) { return n.required(0); }

Tensors read_celu(const ForeignNode& n) {
  Tensor x = x_of(n);
  double alpha = n.number("alpha", 1);
  DType t = x.dtype();
  x = miniten::cast(x, t == DType::f64 ? t : DType::f32);                  // one rounding
  return {miniten::cast(positive(x, x, (exp(x / alpha) - 1.0) * alpha), t)};
}
Tensors read_selu(const ForeignNode& n) {
  Tensor x = x_of(n);
  double alpha = n.number("alpha", 1.67326319217681884765625), gamma = n.number("gamma", 1.05070102214813232421875);
  return {positive(x, x, (exp(x) - 1.0) * alpha) * gamma};
}
Tensors read_prelu(const ForeignNode& n) { Tensor x = x_of(n); return {positive(x, x, x * n.required(1))}; }
Tensors read_softsign(const ForeignNode& n) { Tensor x = x_of(n); return {x / (abs(x) + 1.0)}; }
Tensors read_thresholded(const ForeignNode& n) {
  Tensor x = x_of(n);
  return {miniten::where(greater(x, number_like(x, n.number("alpha", 1))), x, zero_like(x))};
}
Tensors read_shrink(const ForeignNode& n) {
  Tensor x = x_of(n);
  double edge = n.number("lambd", 0.5), bias = n.number("bias", 0);
  Tensor limit = miniten::cast(number_like(x, edge), promote(x.dtype(), number_like(x, edge).dtype()));
  Tensor up = miniten::cast(x - bias, x.dtype()), down = miniten::cast(x + bias, x.dtype());
  return {miniten::where(less(x, -limit), down, miniten::where(greater(x, limit), up, zero_like(x)))};
}
Tensors read_mish(const ForeignNode& n) { Tensor x = x_of(n); return {x * miniten::tanh(softplus(x))}; }
Tensors read_swish(const ForeignNode& n) {
  Tensor x = x_of(n);
  double alpha = n.number("alpha", 1);
  return {alpha == 1 ? miniten::silu(x) : x * sigmoid(x * alpha)};
}
Tensors read_hard_sigmoid(const ForeignNode& n) { return {miniten::clamp(x_of(n) * n.number("alpha", double(0.2f)) + n.number("beta", 0.5), 0, 1)}; }
Tensors read_nan(const ForeignNode& n) { return {miniten::not_equal(x_of(n), x_of(n))}; }
Tensors read_inf(const ForeignNode& n) {
  Tensor x = x_of(n), up = equal(x, number_like(x, double(infinity))), down = equal(x, number_like(x, -double(infinity)));
  bool positive_too = n.integer("detect_positive", 1) != 0, negative_too = n.integer("detect_negative", 1) != 0;
  Tensor none = Tensor::full({}, 0, DType::boolean);
  if (!positive_too && !negative_too) return {miniten::where(up, none, none)};
  return {!negative_too ? up : !positive_too ? down : miniten::where(up, up, down)};
}

// ---- truth values ----
Tensor truth(bool v) { return Tensor::full({}, v, DType::boolean); }
Tensors read_not(const ForeignNode& n) { return {equal(x_of(n), truth(false))}; }
Tensors read_and(const ForeignNode& n) { return {miniten::where(x_of(n), n.required(1), truth(false))}; }
Tensors read_or(const ForeignNode& n) { return {miniten::where(x_of(n), truth(true), n.required(1))}; }
Tensors read_xor(const ForeignNode& n) { return {miniten::not_equal(x_of(n), n.required(1))}; }

Tensors read_bit_cast(const ForeignNode& n) {
  DType t;
  Tensor x = n.constant(0).clone();
  if (!from_onnx_type(n.integer("to", 0), t) || bits_of(t) != bits_of(x.dtype())) n.fail("a dtype as wide as " + x.spec().text(), "type " + std::to_string(n.integer("to", 0)));
  Tensor out = Tensor::empty({t, x.shape()});
  std::memcpy(out.view().data, x.view().data, x.spec().bytes());
  return {out};
}

// ---- several inputs ----
Tensors read_sum(const ForeignNode& n) {
  Tensor y = x_of(n);
  for (int i = 1; i < n.inputs(); ++i) y = y + n.required(i);
  return {y};
}
Tensors read_mean(const ForeignNode& n) { return {read_sum(n)[0] / double(n.inputs())}; }
Tensors read_cast_like(const ForeignNode& n) { return {miniten::cast(x_of(n), n.required(1).dtype())}; }
Tensors read_einsum(const ForeignNode& n) {
  Tensors in;
  for (int i = 0; i < n.inputs(); ++i) in.push_back(n.required(i));
  return {miniten::einsum(n.text("equation", ""), in)};
}
Tensors read_bit_not(const ForeignNode& n) { return {bitwise_not(x_of(n))}; }

constexpr ForeignComposition rules[] = {
    {"onnx", "Celu", read_celu}, {"onnx", "Selu", read_selu}, {"onnx", "PRelu", read_prelu},
    {"onnx", "Softsign", read_softsign}, {"onnx", "ThresholdedRelu", read_thresholded}, {"onnx", "Shrink", read_shrink}, {"onnx", "Mish", read_mish},
    {"onnx", "Swish", read_swish}, {"onnx", "HardSigmoid", read_hard_sigmoid}, {"onnx", "IsNaN", read_nan},
    {"onnx", "IsInf", read_inf}, {"onnx", "Not", read_not}, {"onnx", "And", read_and}, {"onnx", "Or", read_or}, {"onnx", "Xor", read_xor},
    {"onnx", "BitwiseNot", read_bit_not}, {"onnx", "BitCast", read_bit_cast}, {"onnx", "Sum", read_sum}, {"onnx", "Mean", read_mean}, {"onnx", "CastLike", read_cast_like},
    {"onnx", "Einsum", read_einsum}};

}  // namespace

Compositions math_rules() { return rules; }

using Names = std::vector<std::string>;
static Names with_alpha(ForeignWriter& w, const ForeignCall& f) { return {w.emit_one(f.call.op.onnx.name, {f.in[0]}, {{"alpha", float(f.call.as<AlphaAttrs>().alpha)}})}; }
constinit const ForeignRules leaky_relu{with_alpha, [](const ForeignNode& n) -> Tensors { return {miniten::leaky_relu(x_of(n), n.number("alpha", double(0.01f)))}; }},
    elu{with_alpha, [](const ForeignNode& n) -> Tensors { return {miniten::elu(x_of(n), n.number("alpha", 1))}; }},
    hard_swish{[](ForeignWriter& w, const ForeignCall& f) -> Names {
      if (w.version() >= 14) return {w.emit_one("HardSwish", {f.in[0]})};
      return {w.emit_one("Mul", {f.in[0], w.emit_one("HardSigmoid", {f.in[0]}, {{"alpha", 1.0f / 6}, {"beta", 0.5f}})})};
    }, [](const ForeignNode& n) -> Tensors { return {miniten::hard_swish(x_of(n))}; }};

Tensors read_div(const ForeignNode& n) {
  Tensor a = x_of(n), b = n.required(1);
  if (is_float(a.dtype())) return {a / b};
  Tensor down = miniten::floor_divide(a, b), rest = miniten::remainder(a, b), zero = zero_like(a);
  Tensor up = logical_and(miniten::not_equal(rest, zero), logical_xor(less(a, zero), less(b, zero)));      // towards zero
  return {down + miniten::cast(up, a.dtype())};
}
Tensors read_pow(const ForeignNode& n) {
  Tensor a = x_of(n), b = n.required(1);
  if (a.dtype() == b.dtype()) return {miniten::pow(a, b)};
  if (is_float(a.dtype())) return {miniten::pow(a, miniten::cast(b, a.dtype()))};
  DType wide = is_float(b.dtype()) ? DType::f64 : a.dtype();               // float64 holds integers to 2^53
  return {miniten::cast(miniten::pow(miniten::cast(a, wide), miniten::cast(b, wide)), a.dtype())};
}

}  // namespace miniten::onnx
