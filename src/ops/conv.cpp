#include <cmath>
#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/conv_chain.h"
#include "ops/conv_geometry.h"
#include "ops/loops.h"
#include "ops/forms.h"
#include "ops/onnx_rules.h"
#include "ops/quantized/lowering.h"
#include "ops/tflite_write.h"

namespace miniten {

// Convolution is one trilinear form in x (N, C, H, W), w (O, C / groups, R, S) and y (N, O, P, Q): each of three ops
// computes one operand from the other two, so each one's gradients are the other two, to any order.
namespace {

struct Roles { int x, w, y; };                         // index among the inputs; -1 is the output
constexpr Roles from_xw{0, 1, -1}, from_yw{-1, 1, 0}, from_xy{0, -1, 1};
const Roles& roles_of(const OpDef& op) { return *static_cast<const Roles*>(op.self); }

void conv_infer(const Call& c, Specs& out) {
  require_same_dtype(c);
  if (DType t = c.in[0].dtype; t != DType::f32 && t != DType::f64) c.fail("float32 or float64", c.in[0].text(), "convert with cast first", ErrorKind::type);
  const Roles& roles = roles_of(c.op);
  const auto& at = c.as<Conv2dAttrs>();
  if (!(at.lo <= at.hi)) c.fail("lo <= hi", std::to_string(at.lo) + " and " + std::to_string(at.hi));
  if (roles.y < 0) {
    Shape y = conv_output(c, c.in[0].shape, c.in[1].shape, at);
    if (c.in.size() >= 3 && c.in[2].shape != Shape{y[1]}) c.fail("a bias of shape (" + std::to_string(y[1]) + ",)", c.in[2].shape.text());
    if (c.in.size() == 4 && c.in[3].shape != y) c.fail("a residual of shape " + y.text(), c.in[3].shape.text());
    return out.push({c.in[0].dtype, y});
  }
  const Shape& y = c.in[size_t(roles.y)].shape;
  const Shape& other = c.in[size_t(1 - roles.y)].shape;
  if (y.rank != 4 || other.rank != 4 || at.extent.rank != 2) c.fail("4-D operands and an extent (H, W)", y.text() + ", " + other.text() + " and " + at.extent.text());
  Shape x = roles.x < 0 ? Shape{y[0], other[1] * at.groups, at.extent[0], at.extent[1]} : other;
  Shape w = roles.w < 0 ? Shape{y[1], other[1] / std::max<Dim>(at.groups, 1), at.extent[0], at.extent[1]} : other;
  if (Shape expected = conv_output(c, x, w, at); expected != y) c.fail("an output of shape " + expected.text(), y.text());
  out.push({c.in[0].dtype, roles.x < 0 ? x : w});
}

void conv_vjp(const Vjp& v) {
  const Roles& roles = roles_of(v.op);
  Conv2dAttrs at = v.as<Conv2dAttrs>();
  if (at.lo > -infinity || at.hi < infinity || v.in.size() == 4)
    throw Error(ErrorKind::unsupported, v.op.name, "its plain form", "one fused with a clamp or a sum", "differentiate before compiling");
  auto operand = [&](int i) -> const Tensor& { return i < 0 ? v.grad[0] : v.in[size_t(i)]; };
  auto extent = [&](int i) { at.extent = {v.in[size_t(i)].dim(2), v.in[size_t(i)].dim(3)}; return at; };
  if (roles.x >= 0 && v.needs(roles.x)) v.result[size_t(roles.x)] = apply(conv2d_input_op, {operand(roles.y), operand(roles.w)}, extent(roles.x));
  if (roles.w >= 0 && v.needs(roles.w)) v.result[size_t(roles.w)] = apply(conv2d_weight_op, {operand(roles.x), operand(roles.y)}, extent(roles.w));
  at.extent = {};
  if (roles.y >= 0 && v.needs(roles.y)) v.result[size_t(roles.y)] = apply(conv2d_op, {operand(roles.x), operand(roles.w)}, at);
  if (v.needs(2)) v.result[2] = sum(v.grad[0], {0, 2, 3});
}

std::optional<Absorbed> absorb_batch_norm(const Fusion& f) {
  typedef float Floats __attribute__((vector_size(16)));
  typedef double Doubles __attribute__((vector_size(32)));
  const Tensor *w = f.first.value(1), *b = f.first.in.size() == 3 ? f.first.value(2) : nullptr;
  const Tensor* norm[] = {f.next.value(1), f.next.value(2), f.next.value(3), f.next.value(4)};
  if (!w || (f.first.in.size() == 3 && !b) || f.first.in.size() == 4) return {};
  for (const Tensor* t : norm) if (!t) return {};
  auto outputs = size_t(w->dim(0)), taps = size_t(w->numel()) / std::max<size_t>(outputs, 1);
  Tensor weight = f.own && w->view().is_contiguous() ? *w : w->clone();
  std::vector<float> bias(outputs, 0.0f), p[4];
  if (b) bias = b->to_vector<float>();
  for (int i = 0; i < 4; ++i) p[i] = norm[i]->to_vector<float>();
  for (size_t o = 0; o < outputs; ++o) {
    double scale = p[0][o] / std::sqrt(double(p[3][o]) + f.next.as<BatchNormAttrs>().eps);
    float* row = weight.view().f32() + o * taps;
    size_t k = 0;
    for (; k + 4 <= taps; k += 4) {
      Floats some;
      std::memcpy(&some, row + k, sizeof some);
      some = __builtin_convertvector(__builtin_convertvector(some, Doubles) * scale, Floats);
      std::memcpy(row + k, &some, sizeof some);
    }
    for (; k < taps; ++k) row[k] = float(row[k] * scale);
    bias[o] = float((double(bias[o]) - p[2][o]) * scale + p[1][o]);
  }
  return Absorbed{std::make_shared<Conv2dAttrs>(f.first.as<Conv2dAttrs>()), {},
                  {{1, weight}, {2, Tensor::of<float>({int64_t(outputs)}, bias)}}};
}
// A sum with the output of a convolution whose weights are known becomes its residual.
std::optional<Absorbed> absorb_sum(const Fusion& f) {
  const Call& c = f.first;
  int other = 1 - f.slot;
  if (c.in.size() != 3 || !c.value(1) || f.next.in[size_t(other)] != c.out[0] || f.next.out[0] != c.out[0]) return {};
  Conv2dAttrs at = c.as<Conv2dAttrs>();
  if (conv_geometry(c.in[0].shape, c.in[1].shape, c.out[0].shape, at).is_depthwise()) return {};
  at.lo = f.next.as<ClampAttrs>().lo;
  at.hi = f.next.as<ClampAttrs>().hi;
  return Absorbed{std::make_shared<Conv2dAttrs>(at), {other}, {}};
}
std::optional<Absorbed> conv_absorb(const Fusion& f) {
  if (f.chains) return absorb_stage(f);
  Conv2dAttrs at = f.first.as<Conv2dAttrs>();
  if (f.first.in[0].dtype != DType::f32 || at.lo > -infinity || at.hi < infinity) return {};
  if (&f.next.op == &batch_norm_op && f.slot == 0) return absorb_batch_norm(f);
  if (&f.next.op == &add_op && f.sums) return absorb_sum(f);
  if (&f.next.op == &relu_op) { at.lo = 0; at.hi = infinity; }
  else if (&f.next.op == &clamp_op) { at.lo = f.next.as<ClampAttrs>().lo; at.hi = f.next.as<ClampAttrs>().hi; }
  else return {};
  return Absorbed{std::make_shared<Conv2dAttrs>(at), {}, {}};
}

Cost conv_cost(const Call& c) {
  const Roles& roles = roles_of(c.op);
  auto shape = [&](int i) -> const Shape& { return i < 0 ? c.out[0].shape : c.in[size_t(i)].shape; };
  ConvGeometry g = conv_geometry(shape(roles.x), shape(roles.w), shape(roles.y), c.as<Conv2dAttrs>());
  return {g.macs(), int64_t(c.in.size() - 2) * (roles.y < 0 ? c.out[0].shape.count() : 0)};
}

Sample sample(Shape a, Shape b, Conv2dAttrs at) { return {{sample_values(a), sample_values(b)}, std::make_shared<Conv2dAttrs>(at)}; }
const Conv2dAttrs strided{.stride = {2, 1}, .padding = {1, 0, 1, 2}, .dilation = {1, 2}}, depthwise{.padding = {1, 1, 1, 1}, .groups = 3},
    grouped{.padding = {0, 1, 0, 1}, .groups = 2};
Conv2dAttrs with(Conv2dAttrs at, Shape extent) { at.extent = extent; return at; }
// x (2, 4, 5, 6), w (6, 4, 3, 2) strided -> y (2, 6, 3, 6); x (1, 3, 4, 4) depthwise -> (1, 3, 4, 4); x (1, 4, 3, 3), w (2, 2, 2, 2) grouped -> (1, 2, 2, 4)
std::vector<Sample> forward_samples() {
  Sample biased = sample({1, 4, 3, 3}, {2, 2, 2, 2}, grouped);
  biased.in.push_back(sample_values({2}));

  return {sample({2, 4, 5, 6}, {6, 4, 3, 2}, strided), sample({1, 3, 4, 4}, {3, 1, 3, 3}, depthwise), biased};
}
std::vector<Sample> input_samples() {
  return {sample({2, 6, 3, 6}, {6, 4, 3, 2}, with(strided, {5, 6})), sample({1, 3, 4, 4}, {3, 1, 3, 3}, with(depthwise, {4, 4})),
          sample({1, 2, 2, 4}, {2, 2, 2, 2}, with(grouped, {3, 3}))};
}
std::vector<Sample> weight_samples() {
  return {sample({2, 4, 5, 6}, {2, 6, 3, 6}, with(strided, {3, 2})), sample({1, 3, 4, 4}, {1, 3, 4, 4}, with(depthwise, {3, 3})),
          sample({1, 4, 3, 3}, {1, 2, 2, 4}, with(grouped, {2, 2}))};
}

}  // namespace

static consteval OpDef conv2d_row(std::string_view name) {
  return {.name = name, .doc = "convolution, with bias, residual and clamp", .min_inputs = 2, .max_inputs = 4,
    .infer = conv_infer, .eval = conv2d_eval, .work = conv2d_work, .vjp = conv_vjp, .keep = {3, 0}, .cost = conv_cost, .absorb = conv_absorb,
    .prepare = conv2d_prepare, .samples = forward_samples, .quant = {QuantMode::has_integer_form, 1, lower_conv2d, dynamic_conv2d},
    .traits = {.dense = 4, .channels_last = 11, .out = Layout::channels_last, .weights = 2, .channel_axis = 0},
    .onnx = {"Conv", 1, &onnx::conv2d}, .tflite = {"CONV_2D", 1, &to_tflite::conv2d}, .c = {"conv2d", 0, &c::conv2d}, .attrs = codec<Conv2dAttrs>, .self = &from_xw};
}
constinit const OpDef conv2d_op = conv2d_row("conv2d");
constinit const OpDef conv2d_bf16_op = conv2d_row("conv2d_bf16");
constinit const OpDef conv2d_bf16_weights_op = conv2d_row("conv2d_bf16_weights");
constinit const OpDef conv2d_rows_op = conv2d_row("conv2d_rows");
constinit const OpDef conv2d_columns_op = conv2d_row("conv2d_columns");
constinit const OpDef conv2d_winograd2_op = conv2d_row("conv2d_winograd2");
constinit const OpDef conv2d_winograd4_op = conv2d_row("conv2d_winograd4");
constinit const OpDef conv2d_input_op{.name = "conv2d_input", .doc = "gradient of conv2d's input from y and w", .min_inputs = 2, .max_inputs = 2,
    .infer = conv_infer, .eval = conv2d_input_eval, .work = conv2d_input_work, .vjp = conv_vjp, .keep = keep_inputs, .cost = conv_cost,
    .samples = input_samples, .traits = {.channels_last = 3, .out = Layout::channels_last}, .onnx = {"ConvTranspose", 1, &onnx::conv_transpose}, .tflite = {"TRANSPOSE_CONV", 1, &to_tflite::conv2d_input}, .c = {"conv2d_input", 0, &c::conv2d_input}, .attrs = codec<Conv2dAttrs>, .self = &from_yw};
constinit const OpDef conv2d_weight_op{.name = "conv2d_weight", .doc = "gradient of conv2d's weight from x and y", .min_inputs = 2, .max_inputs = 2,
    .infer = conv_infer, .eval = conv2d_weight_eval, .work = conv2d_weight_work, .vjp = conv_vjp, .keep = keep_inputs, .cost = conv_cost,
    .samples = weight_samples, .traits = {.channels_last = 3, .out = Layout::dense}, .attrs = codec<Conv2dAttrs>, .self = &from_xy};

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dAttrs& at) {
  if (x.rank() == 3) return squeeze(conv2d(unsqueeze(x, 0), weight, bias, at), 0);
  DType t = promote(x.dtype(), weight.dtype()), wide = t == DType::f64 ? t : DType::f32;
  if (!is_float(t)) throw Error(ErrorKind::type, "conv2d", "floating-point tensors", x.spec().text() + " and " + weight.spec().text(), "convert with cast first");
  if (bias) return cast(apply(conv2d_op, {cast(x, wide), cast(weight, wide), cast(bias, wide)}, at), t);
  return cast(apply(conv2d_op, {cast(x, wide), cast(weight, wide)}, at), t);
}

}  // namespace miniten
