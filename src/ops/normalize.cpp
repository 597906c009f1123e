#include <cmath>
#include "kernels/softmax.h"
#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/loops.h"
#include "ops/onnx_rules.h"
#include "ops/tflite_write.h"
#include "ops/quantized/lowering.h"

namespace miniten {

// ---- softmax and its logarithm, along the last axis ----
namespace {
template <bool logarithm> void softmax_eval(const Context& c) {
  int64_t n = c.in[0].shape()[-1], rows = n ? c.in[0].shape().count() / n : 0;
  auto [begin, end] = c.slice(rows);
  auto run = [&, begin = begin, end = end](auto* x, auto* y) {
    logarithm ? kernels::log_softmax(x + begin * n, y + begin * n, end - begin, n) : kernels::softmax(x + begin * n, y + begin * n, end - begin, n);
  };
  c.in[0].spec.dtype == DType::f64 ? run(c.in[0].as<double>(), c.out[0].as<double>()) : run(c.in[0].f32(), c.out[0].f32());
}
void softmax_infer(const Call& c, Specs& out) {
  if (DType t = c.in[0].dtype; t != DType::f32 && t != DType::f64) c.fail("float32 or float64", c.in[0].text(), "convert with cast first", ErrorKind::type);
  if (c.in[0].shape.rank < 1) c.fail("at least one axis", c.in[0].shape.text());
  out.push(c.in[0]);
}
template <bool logarithm> constexpr OpDef softmax_row(std::string_view name, std::string_view doc, void (*vjp)(const Vjp&), Foreign onnx, QuantRule quant = {}) {
  return {.name = name, .doc = doc, .infer = softmax_infer, .eval = softmax_eval<logarithm>,
          .work = [](const Call& c) { return Work{pieces_for_threads(c, c.in[0].shape.count() * 8)}; }, .vjp = vjp, .keep = keep_output,
          .cost = [](const Call& c) { return Cost{0, 5 * c.in[0].shape.count()}; },
          .samples = []() -> std::vector<Sample> { return {{{sample_values({2, 5})}, nullptr}, {{transpose(sample_values({3, 2}))}, nullptr}}; },
          .quant = quant, .traits = {.dense = 1, .out = Layout::dense}, .onnx = onnx, .c = {logarithm ? "log_softmax" : "softmax", 0, logarithm ? &c::log_softmax : &c::softmax}};
}
Axes last(const Tensor& x) { return {x.rank() - 1}; }
Tensor along(const Tensor& x, int axis, const OpDef& op) {
  DType t = x.dtype();
  Tensor y = t == DType::f64 ? x : cast(x, DType::f32);
  axis = normal_axis(op.name, axis, x.rank());
  bool turned = axis != x.rank() - 1 && x.rank() > 1;
  if (turned) y = transpose(y, axis, -1);
  y = apply(op, {y});
  if (turned) y = transpose(y, axis, -1);
  return cast(y, is_float(t) ? t : DType::f32);
}
}  // namespace
constinit const OpDef softmax_op = to_tflite::with(softmax_row<false>("softmax", "exp(x) / sum(exp(x)) along the last axis",
    [](const Vjp& v) { v.result[0] = (v.grad[0] - sum(v.grad[0] * v.out[0], last(v.out[0]), true)) * v.out[0]; }, {"Softmax", 1, &onnx::softmax},
    {QuantMode::has_integer_form, 1, lower_softmax}), {"SOFTMAX", 1, &to_tflite::softmax});
constinit const OpDef log_softmax_op = to_tflite::with(softmax_row<true>("log_softmax", "x - log(sum(exp(x))) along the last axis",
    [](const Vjp& v) { v.result[0] = v.grad[0] - exp(v.out[0]) * sum(v.grad[0], last(v.out[0]), true); }, {"LogSoftmax", 1, &onnx::softmax}), {"LOG_SOFTMAX", 1, &to_tflite::log_softmax});
Tensor softmax(const Tensor& x, int axis) { return along(x, axis, softmax_op); }
Tensor log_softmax(const Tensor& x, int axis) { return along(x, axis, log_softmax_op); }

// ---- losses ----
Tensor cross_entropy(const Tensor& logits, const Tensor& labels, float label_smoothing) {
  if (logits.rank() != 2) throw Error(ErrorKind::value, "cross_entropy", "logits of shape (N, C)", logits.shape().text());
  if (labels.rank() != 1 || labels.dim(0) != logits.dim(0))
    throw Error(ErrorKind::value, "cross_entropy", "labels of shape (" + Shape{logits.dim(0)}.text() + ")", labels.shape().text());
  if (!(label_smoothing >= 0 && label_smoothing <= 1))
    throw Error(ErrorKind::value, "cross_entropy", "label_smoothing in [0, 1]", std::to_string(label_smoothing));
  Tensor log_p = log_softmax(logits, 1);
  Tensor target = cast(one_hot(labels, logits.dim(1)), log_p.dtype());
  if (label_smoothing > 0) target = target * double(1 - label_smoothing) + double(label_smoothing) / double(logits.dim(1));
  return -mean(sum(log_p * target, {1}));
}
Tensor mse_loss(const Tensor& x, const Tensor& target) {
  if (x.shape() != target.shape()) throw Error(ErrorKind::value, "mse_loss", "a target of shape " + x.shape().text(), target.shape().text());
  return mean(square(x - target));
}

}  // namespace miniten
