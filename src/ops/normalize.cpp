#include <cmath>
#include "kernels/softmax.h"
#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/loops.h"
#include "ops/onnx_rules.h"
#include "ops/tflite_write.h"

namespace miniten {

// ---- softmax and its logarithm, along the last axis ----
namespace {
template <bool logarithm> void softmax_eval(const Context& c) {
  int64_t n = c.in[0].shape()[-1], rows = n ? c.in[0].shape().count() / n : 0;
  auto [begin, end] = c.slice(rows);
  auto run = [&, begin = begin, end = end](auto* x, auto* y) {
    for (int64_t r = begin; r < end; ++r) logarithm ? kernels::log_softmax(x + r * n, y + r * n, n) : kernels::softmax(x + r * n, y + r * n, n);
  };
  c.in[0].spec.dtype == DType::f64 ? run(c.in[0].as<double>(), c.out[0].as<double>()) : run(c.in[0].f32(), c.out[0].f32());
}
void softmax_infer(const Call& c, Specs& out) {
  if (DType t = c.in[0].dtype; t != DType::f32 && t != DType::f64) c.fail("float32 or float64", c.in[0].text(), "convert with cast first", ErrorKind::type);
  if (c.in[0].shape.rank < 1) c.fail("at least one axis", c.in[0].shape.text());
  out.push(c.in[0]);
}
template <bool logarithm> constexpr OpDef softmax_row(std::string_view name, std::string_view doc, void (*vjp)(const Vjp&), Foreign onnx) {
  return {.name = name, .doc = doc, .infer = softmax_infer, .eval = softmax_eval<logarithm>,
          .work = [](const Call& c) { return Work{pieces_for(c.in[0].shape.count() * 8)}; }, .vjp = vjp, .keep = keep_output,
          .cost = [](const Call& c) { return Cost{0, 5 * c.in[0].shape.count()}; },
          .samples = []() -> std::vector<Sample> { return {{{sample_values({2, 5})}, nullptr}, {{transpose(sample_values({3, 2}))}, nullptr}}; },
          .traits = {.dense = 1, .out = Layout::dense}, .onnx = onnx, .c = {logarithm ? "log_softmax" : "softmax", 0, logarithm ? &c::log_softmax : &c::softmax}};
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
    [](const Vjp& v) { v.result[0] = (v.grad[0] - sum(v.grad[0] * v.out[0], last(v.out[0]), true)) * v.out[0]; }, {"Softmax", 1, &onnx::softmax}), {"SOFTMAX", 1, &to_tflite::softmax});
constinit const OpDef log_softmax_op = to_tflite::with(softmax_row<true>("log_softmax", "x - log(sum(exp(x))) along the last axis",
    [](const Vjp& v) { v.result[0] = v.grad[0] - exp(v.out[0]) * sum(v.grad[0], last(v.out[0]), true); }, {"LogSoftmax", 1, &onnx::softmax}), {"LOG_SOFTMAX", 1, &to_tflite::log_softmax});
Tensor softmax(const Tensor& x, int axis) { return along(x, axis, softmax_op); }
Tensor log_softmax(const Tensor& x, int axis) { return along(x, axis, log_softmax_op); }

// ---- batch_norm with given statistics; channels are axis 1 ----
namespace {
Shape channel_shape(const Tensor& x, const Tensor& p) {
  Shape s = Dims::filled(x.rank(), 1);
  s[1] = p.dim(0);
  return s;
}
template <class T> void batch_norm_as(const Context& c) {
  double eps = c.as<BatchNormAttrs>().eps;
  View channel[4], operands[5] = {c.out[0], c.in[0]};
  int64_t channels = c.in[0].shape()[1];
  auto* scale = reinterpret_cast<T*>(c.scratch);
  T* shift = scale + channels;
  const T *gamma = c.in[1].as<T>(), *beta = c.in[2].as<T>(), *mean = c.in[3].as<T>(), *variance = c.in[4].as<T>();
  for (int64_t k = 0; k < channels; ++k) {
    double s = double(gamma[k]) / std::sqrt(double(variance[k]) + eps);
    scale[k] = T(s);
    shift[k] = T(double(beta[k]) - double(mean[k]) * s);
  }
  for (int i : {0, 1}) {
    Shape shape = Dims::filled(c.in[0].shape().rank, 1);
    shape[1] = channels;
    channel[i] = {reinterpret_cast<std::byte*>(i ? shift : scale), {c.in[0].spec.dtype, shape}, contiguous(shape)};
    operands[2 + i] = channel[i];
  }
  ElementLoop(c.out[0].shape(), {operands, 4}).run(c, [&](const int64_t* at, const int64_t* step, int64_t n) {
    T* y = c.out[0].as<T>() + at[0];
    const T *x = c.in[0].as<T>() + at[1], *a = scale + at[2], *b = shift + at[3];
    if (step[0] == 1 && step[1] == 1 && step[2] == 1 && step[3] == 1) for (int64_t i = 0; i < n; ++i) y[i] = x[i] * a[i] + b[i];
    else for (int64_t i = 0; i < n; ++i) y[i * step[0]] = x[i * step[1]] * a[i * step[2]] + b[i * step[3]];
  });
}
}  // namespace
constinit const OpDef batch_norm_op{.name = "batch_norm", .doc = "(x - mean) / sqrt(var + eps) * gamma + beta", .min_inputs = 5, .max_inputs = 5,
    .infer = [](const Call& c, Specs& out) {
      require_same_dtype(c);
      if (DType t = c.in[0].dtype; t != DType::f32 && t != DType::f64) c.fail("float32 or float64", c.in[0].text(), "convert with cast first", ErrorKind::type);
      const Shape& x = c.in[0].shape;
      if (x.rank < 2) c.fail("input (N, C, ...)", x.text());
      constexpr const char* names[] = {"", "gamma", "beta", "mean", "var"};
      for (size_t i = 1; i < 5; ++i)
        if (c.in[i].shape != Shape{x[1]}) c.fail(std::string(names[i]) + " of shape (" + std::to_string(x[1]) + ",)", c.in[i].shape.text());
      if (!(c.as<BatchNormAttrs>().eps >= 0)) c.fail("eps of 0 or more", std::to_string(c.as<BatchNormAttrs>().eps));
      out.push(c.in[0]);
    },
    .eval = [](const Context& c) { c.in[0].spec.dtype == DType::f64 ? batch_norm_as<double>(c) : batch_norm_as<float>(c); },
    .work = [](const Call& c) { Work w = elementwise_work(c); w.scratch = size_t(c.in[0].shape[1]) * 16; return w; },
    .vjp = [](const Vjp& v) {
      const Tensor &x = v.in[0], &g = v.grad[0];
      Shape shape = channel_shape(x, v.in[1]);
      Axes others;
      for (int i = 0; i < x.rank(); ++i) if (i != 1) others.push(i);
      Tensor inverse = reciprocal(sqrt(reshape(v.in[4], shape) + double(v.as<BatchNormAttrs>().eps)));
      Tensor centred = x - reshape(v.in[3], shape), scaled = g * reshape(v.in[1], shape) * inverse;
      if (v.needs(0)) v.result[0] = scaled;
      if (v.needs(1)) v.result[1] = sum(g * centred * inverse, others);
      if (v.needs(2)) v.result[2] = sum(g, others);
      if (v.needs(3)) v.result[3] = -sum(scaled, others);
      if (v.needs(4)) v.result[4] = sum(scaled * centred * square(inverse) * -0.5, others);
    },
    .keep = keep_inputs, .cost = [](const Call& c) { return Cost{0, 2 * c.in[0].shape.count()}; },
    .samples = []() -> std::vector<Sample> {
      return {{{sample_values({2, 3, 2, 2}), sample_values({3}), sample_values({3}, 0, 1), sample_values({3}, -0.5f, 0.5f), sample_values({3}, 0.5f, 2)},
               std::make_shared<BatchNormAttrs>(BatchNormAttrs{0.01f})}};
    },
    .traits = {.pointwise = true, .dense = 0b11110}, .onnx = {"BatchNormalization", 7, &onnx::batch_norm}, .tflite = {"MUL", 1, &to_tflite::batch_norm}, .c = {"batch_norm", 0, &c::batch_norm}, .attrs = codec<BatchNormAttrs>};
Tensor batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& mean, const Tensor& var, float eps) {
  return apply(batch_norm_op, {x, gamma, beta, mean, var}, BatchNormAttrs{eps});
}

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
