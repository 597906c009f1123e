#include "ops/quantized/lowering.h"
#include <cmath>
#include "miniten/ops/ops.h"

namespace miniten {

namespace {

bool is_byte(DType t) { return t == DType::i8 || t == DType::u8; }
bool per_tensor(const Quantized* q) { return q && q->scale.size() == 1 && is_byte(q->dtype); }
int64_t least(DType t) { return t == DType::i8 ? -128 : 0; }

// Symmetric int8 weights; one scale per output channel along `axis`, or one for all.
bool valid_weights(const Quantized* q, int axis, int64_t channels) {
  if (!q || q->dtype != DType::i8) return false;
  for (int32_t z : q->zero) if (z != 0) return false;
  return q->scale.size() == 1 || (q->axis == axis && int64_t(q->scale.size()) == channels);
}
Tensor scales(const Quantized& q, int64_t channels) {
  std::vector<float> s(size_t(channels), q.scale[0]);
  if (q.scale.size() > 1) s = q.scale;
  return Tensor::of<float>({channels}, s);
}
// A float bound in the output's integers.
int64_t quantized_bound(float value, const Quantized& q, int64_t otherwise) {
  if (std::isinf(value)) return otherwise;
  double v = std::nearbyint(double(value / q.scale[0])) + q.zero[0];
  return int64_t(std::clamp(v, double(least(q.dtype)), double(least(q.dtype) + 255)));
}
std::nullopt_t refuse(const Lowering& l, std::string reason) {
  if (l.reason) *l.reason = std::move(reason);
  return std::nullopt;
}
// int32 bias at x_scale * w_scale; none where sums with it would not fit.
std::optional<Tensor> integer_bias(const Tensor& bias, float x_scale, const Tensor& w_scale, int64_t limit) {
  std::vector<float> b = bias.to_vector<float>(), s = w_scale.to_vector<float>();
  std::vector<int32_t> q(b.size());
  for (size_t i = 0; i < b.size(); ++i) {
    double v = std::nearbyint(double(b[i]) / double(x_scale * s[i]));
    if (!(std::abs(v) <= double(limit))) return {};
    q[i] = int32_t(v);
  }
  return Tensor::of<int32_t>(bias.shape(), q);
}
template <class A> void set_scales(A& at, const Quantized& x, const Quantized& y, float lo, float hi) {
  at.x_scale = x.scale[0];
  at.x_zero = x.zero[0];
  at.y_scale = y.scale[0];
  at.y_zero = y.zero[0];
  at.dtype = y.dtype;
  at.lo = quantized_bound(lo, y, least(y.dtype));
  at.hi = quantized_bound(hi, y, least(y.dtype) + 255);
}

// What a convolution and a product share: weights, their scales and the bias, whose values are known as floats.
struct Operands { std::vector<int> inputs; std::vector<Tensor> constants; };
std::optional<Operands> operands(const Lowering& l, int axis, int64_t channels) {
  if (!per_tensor(l.in[0]) || !per_tensor(l.out)) return refuse(l, "8-bit activations with one scale are needed");
  if (!valid_weights(l.in[1], axis, channels)) return refuse(l, "symmetric int8 weights, by output channel or with one scale, are needed");
  int64_t limit = bias_limit(l.call.in[1].shape.count() / std::max<int64_t>(channels, 1));
  if (limit < 0) return refuse(l, "sums of so many products do not fit int32");
  Operands o{{0, 1}, {scales(*l.in[1], channels)}};
  if (l.in.size() < 3) return o;
  const Tensor* bias = l.call.value(2);
  if (!bias) return refuse(l, "the bias is not a constant");
  auto q = integer_bias(*bias, l.in[0]->scale[0], o.constants[0], limit);
  if (!q) return refuse(l, "the bias does not fit int32 at the scale of input times weight");
  o.constants.push_back(*q);
  return o;
}

}  // namespace

std::optional<Lowered> lower_conv2d(const Lowering& l) {
  if (l.call.in.size() > 3) return refuse(l, "it adds a residual");
  auto o = operands(l, 0, l.call.in[1].shape[0]);
  if (!o) return {};
  const auto& from = l.call.as<Conv2dAttrs>();
  auto at = std::make_shared<QConv2dAttrs>();
  at->stride = from.stride;
  at->padding = from.padding;
  at->dilation = from.dilation;
  at->groups = from.groups;
  set_scales(*at, *l.in[0], *l.out, from.lo, from.hi);
  return Lowered{&qconv2d_op, at, o->inputs, o->constants};
}

std::optional<Lowered> lower_matmul(const Lowering& l) {
  if (l.call.in[1].shape.rank != 2) return refuse(l, "a matrix of weights is needed");
  auto o = operands(l, 1, l.call.in[1].shape[1]);
  if (!o) return {};
  auto at = std::make_shared<QMatmulAttrs>();
  set_scales(*at, *l.in[0], *l.out, l.call.as<ClampAttrs>().lo, l.call.as<ClampAttrs>().hi);
  return Lowered{&qmatmul_op, at, o->inputs, o->constants};
}

std::optional<Lowered> lower_add(const Lowering& l) {
  if (!per_tensor(l.in[0]) || !per_tensor(l.in[1]) || !per_tensor(l.out)) return refuse(l, "8-bit activations with one scale are needed");
  if (l.in[0]->dtype != l.in[1]->dtype || l.in[0]->dtype != l.out->dtype) return refuse(l, "both operands must have the output's dtype");
  if (l.call.in[0].shape != l.call.in[1].shape) return refuse(l, "the operands broadcast");
  auto at = std::make_shared<QAddAttrs>();
  const auto& cut = l.call.as<ClampAttrs>();
  at->a_scale = l.in[0]->scale[0];
  at->a_zero = l.in[0]->zero[0];
  at->b_scale = l.in[1]->scale[0];
  at->b_zero = l.in[1]->zero[0];
  at->y_scale = l.out->scale[0];
  at->y_zero = l.out->zero[0];
  at->lo = quantized_bound(cut.lo, *l.out, least(l.out->dtype));
  at->hi = quantized_bound(cut.hi, *l.out, least(l.out->dtype) + 255);
  return Lowered{&qadd_op, at, {0, 1}, {}};
}

static std::optional<Lowered> average(const Lowering& l, QAvgPool2dAttrs at) {
  if (!per_tensor(l.in[0]) || !per_tensor(l.out) || l.in[0]->dtype != l.out->dtype)
    return refuse(l, "8-bit activations of one dtype, with one scale, are needed");
  at.x_scale = l.in[0]->scale[0];
  at.x_zero = l.in[0]->zero[0];
  at.y_scale = l.out->scale[0];
  at.y_zero = l.out->zero[0];
  return Lowered{&qavg_pool2d_op, std::make_shared<QAvgPool2dAttrs>(at), {0}, {}};
}
std::optional<Lowered> lower_avg_pool2d(const Lowering& l) {
  const auto& at = l.call.as<Pool2dAttrs>();
  if (at.dilation[0] != 1 || at.dilation[1] != 1) return refuse(l, "its windows are dilated");
  return average(l, {.kernel = at.kernel, .stride = at.stride, .padding = at.padding, .ceil_mode = at.ceil_mode, .count_include_pad = at.count_include_pad});
}
std::optional<Lowered> lower_mean(const Lowering& l) {
  const Shape& x = l.call.in[0].shape;
  if (x.rank != 4 || l.call.as<ReduceAttrs>().axes != Axes{2, 3} || is_symbol(x[2]) || is_symbol(x[3]))
    return refuse(l, "only a mean over H and W of known size has an integer form");
  return average(l, {.kernel = {x[2], x[3]}, .stride = {x[2], x[3]}});
}

// ---- activations quantised at run time ----
static std::optional<Lowered> dynamic(const Lowering& l, const OpDef& op, Attrs attrs, int axis, int64_t channels) {
  if (!valid_weights(l.in[1], axis, channels)) return refuse(l, "symmetric int8 weights, by output channel or with one scale, are needed");
  if (bias_limit(l.call.in[1].shape.count() / std::max<int64_t>(channels, 1)) < 0) return refuse(l, "sums of so many products do not fit int32");
  Lowered lowered{&op, std::move(attrs), {1}, {scales(*l.in[1], channels)}};
  if (l.in.size() > 2) {
    const Tensor* bias = l.call.value(2);
    if (!bias) return refuse(l, "the bias is not a constant");
    lowered.constants.push_back(*bias);
  }
  return lowered;
}
std::optional<Lowered> dynamic_conv2d(const Lowering& l) {
  if (l.call.in.size() > 3) return refuse(l, "it adds a residual");
  return dynamic(l, qconv2d_dynamic_op, std::make_shared<Conv2dAttrs>(l.call.as<Conv2dAttrs>()), 0, l.call.in[1].shape[0]);
}
std::optional<Lowered> dynamic_matmul(const Lowering& l) {
  if (l.call.in[1].shape.rank != 2) return refuse(l, "a matrix of weights is needed");
  return dynamic(l, qmatmul_dynamic_op, std::make_shared<ClampAttrs>(l.call.as<ClampAttrs>()), 1, l.call.in[1].shape[1]);
}

}  // namespace miniten
