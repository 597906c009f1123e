#include <cmath>
#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/loops.h"
#include "ops/onnx_rules.h"
#include "ops/tflite_write.h"

namespace miniten {

// Channels are axis 1.
namespace {
Shape channel_shape(const Tensor& x) {
  Shape s = Dims::filled(x.rank(), 1);
  s[1] = x.dim(1);
  return s;
}
Axes all_but_channels(const Tensor& x) {
  Axes others;
  for (int i = 0; i < x.rank(); ++i) if (i != 1) others.push(i);
  return others;
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
constinit const OpDef batch_norm_op{.name = "batch_norm", .doc = "(x - mean) / sqrt(var + eps) * gamma + beta; in training by the batch's statistics", .min_inputs = 5, .max_inputs = 6,
    .infer = [](const Call& c, Specs& out) {
      for (size_t i = 1; i < 5; ++i)
        if (c.in[i].dtype != c.in[0].dtype) c.fail("inputs of one dtype", c.in[0].text() + " and " + c.in[i].text(), "convert with cast first", ErrorKind::type);
      if (c.in.size() == 6 && c.in[5] != Spec{DType::i64, {}}) c.fail("the number of batches, int64()", c.in[5].text());
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
    .work = [](const Call& c) { Work w = elementwise_work(c); w.scratch = uint64_t(c.in[0].shape[1]) * 16; return w; },
    .vjp = [](const Vjp& v) {
      const Tensor &x = v.in[0], &g = v.grad[0];
      Shape shape = channel_shape(x);
      Axes others = all_but_channels(x);
      Tensor inverse = reciprocal(sqrt(reshape(v.in[4], shape) + v.as<BatchNormAttrs>().eps));
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
               std::make_shared<BatchNormAttrs>(BatchNormAttrs{0.01})}};
    },
    .traits = {.pointwise = true, .dense = 0b11110}, .onnx = {"BatchNormalization", 7, &onnx::batch_norm}, .tflite = {"MUL", 1, &to_tflite::batch_norm}, .c = {"batch_norm", 0, &c::batch_norm}, .attrs = codec<BatchNormAttrs>,
    .train = [](const Training& t) {
      const auto& at = t.as<BatchNormAttrs>();
      BatchStatistics s{t.in[3], t.in[4], t.in.size() == 6 ? t.in[5] : Tensor(), at.momentum};
      t.out[0] = batch_norm_tracked(t.in[0], s, t.in[1], t.in[2], at.eps, t.frozen);
    }};
Tensor batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, const BatchStatistics& running, double eps) {
  BatchNormAttrs at{eps, running.momentum};
  if (running.batches) return apply(batch_norm_op, {x, gamma, beta, running.mean, running.var, running.batches}, at);
  return apply(batch_norm_op, {x, gamma, beta, running.mean, running.var}, at);
}
Tensor batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& mean, const Tensor& var, double eps) {
  return batch_norm(x, gamma, beta, {mean, var}, eps);
}

Tensor batch_norm_tracked(const Tensor& x, const BatchStatistics& running, const Tensor& gamma, const Tensor& beta, double eps, const Tensor& frozen) {
  if (x.shape().is_static() && x.numel() <= x.dim(1))
    throw Error(ErrorKind::value, "batch_norm", "more than one value per channel in training", x.shape().text(), "use a larger batch, or eval()");
  Shape shape = channel_shape(x);
  Axes others = all_but_channels(x);
  Tensor y, batch_mean, batch_var;
  if (!frozen && (x.dtype() == DType::f32 || x.dtype() == DType::f64)) {
    auto parameter = [&](const Tensor& t, double otherwise) { return cast(t ? t : Tensor::full({x.dim(1)}, otherwise, x.dtype()), x.dtype()); };
    BatchNormed done = batch_norm_training(x, parameter(gamma, 1), parameter(beta, 0), eps);
    y = done.y;
    batch_mean = done.mean;
    batch_var = done.var;
  } else {
    batch_mean = mean(x, others, true);
    Tensor centred = x - batch_mean;
    batch_var = mean(square(centred), others, true);
    Tensor variance = batch_var;
    if (frozen && running.mean) {
      centred = x - where(frozen, reshape(cast(running.mean, x.dtype()), shape), batch_mean);
      variance = where(frozen, reshape(cast(running.var, x.dtype()), shape), batch_var);
    }
    Tensor scale = reciprocal(sqrt(variance + eps));
    if (gamma) scale = reshape(gamma, shape) * scale;
    y = centred * scale;
    if (beta) y = y + reshape(beta, shape);
  }
  if (!running.mean) return y;
  NoGrad no_grad;
  auto overwrite = [&](const Tensor& state, const Tensor& value) { assign(state, cast(frozen ? where(frozen, state, value) : value, state.dtype())); };
  Tensor batches;
  if (running.batches) {
    overwrite(running.batches, running.batches + 1.0);
    batches = cast(running.batches, DType::f32);
  }
  auto follow = [&](const Tensor& state, const Tensor& statistic) {
    Tensor now = reshape(detach(statistic), {x.dim(1)});
    overwrite(state, batches ? state + (now - state) / batches : state * (1.0 - running.momentum) + now * running.momentum);
  };
  Tensor n = count(x) / count(batch_mean);                       // running variance: unbiased
  follow(running.mean, batch_mean);
  follow(running.var, batch_var * cast(n / (n - 1.0), batch_var.dtype()));
  return y;
}

}  // namespace miniten
