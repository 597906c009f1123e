#include "ops/quantized/lowering.h"
#include <cmath>
#include "miniten/ops/ops.h"

namespace miniten {

namespace {

bool per_tensor(const Quantized* q) { return q && q->scale.size() == 1 && (is_byte(q->dtype) || (q->dtype == DType::i16 && q->zero[0] == 0)); }
constexpr const char* activations_needed = "activations of 8 bits, or of 16 with zero point 0, with one scale are needed";
constexpr const char* weights_needed = "symmetric weights of int8, or of int16 with activations of int16, by output channel or with one scale, are needed";

// Symmetric weights; one scale per output channel along `axis`, or one for all.
bool valid_weights(const Quantized* q, DType x, int axis, int64_t channels) {
  if (!q || (q->dtype != DType::i8 && !(q->dtype == DType::i16 && x == DType::i16))) return false;
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
  return int64_t(std::clamp(v, double(least_of(q.dtype)), double(greatest_of(q.dtype))));
}
std::nullopt_t refuse(const Lowering& l, std::string reason) {
  if (l.reason) *l.reason = std::move(reason);
  return std::nullopt;
}
// The bias at x_scale * w_scale; none where sums with it would not fit.
template <class T> std::optional<Tensor> integer_bias_as(const Tensor& bias, float x_scale, const Tensor& w_scale, int64_t limit) {
  std::vector<float> b = bias.to_vector<float>(), s = w_scale.to_vector<float>();
  std::vector<T> q(b.size());
  for (size_t i = 0; i < b.size(); ++i) {
    double v = std::nearbyint(double(b[i]) / double(x_scale * s[i]));
    if (!(std::abs(v) <= double(limit))) return {};
    q[i] = T(v);
  }
  return Tensor::of<T>(bias.shape(), q);
}
std::optional<Tensor> integer_bias(const Tensor& bias, const Quantized& x, const Tensor& w_scale, int64_t limit) {
  if (x.dtype == DType::i16) return integer_bias_as<int64_t>(bias, x.scale[0], w_scale, limit);
  return integer_bias_as<int32_t>(bias, x.scale[0], w_scale, limit);
}
template <class A> void set_scales(A& at, const Quantized& x, const Quantized& y, float lo, float hi) {
  at.x_scale = x.scale[0];
  at.x_zero = x.zero[0];
  at.y_scale = y.scale[0];
  at.y_zero = y.zero[0];
  at.dtype = y.dtype;
  at.lo = quantized_bound(lo, y, least_of(y.dtype));
  at.hi = quantized_bound(hi, y, greatest_of(y.dtype));
}

// What a convolution and a product share: weights, their scales and the bias, whose values are known as floats.
struct Operands { std::vector<int> inputs; std::vector<Tensor> constants; };
std::optional<Operands> operands(const Lowering& l, int axis, int64_t channels) {
  if (!per_tensor(l.in[0]) || !per_tensor(l.out)) return refuse(l, activations_needed);
  DType x = l.in[0]->dtype;
  if ((x == DType::i16) != (l.out->dtype == DType::i16)) return refuse(l, "input and output must be of 8 bits both or of 16");
  if (!valid_weights(l.in[1], x, axis, channels)) return refuse(l, weights_needed);
  int64_t limit = bias_limit(l.call.in[1].shape.count() / std::max<int64_t>(channels, 1), x);
  if (limit < 0) return refuse(l, "sums of so many products do not fit");
  Operands o{{0, 1}, {scales(*l.in[1], channels)}};
  if (l.in.size() < 3) return o;
  const Tensor* bias = l.call.value(2);
  if (!bias) return refuse(l, "the bias is not a constant");
  auto q = integer_bias(*bias, *l.in[0], o.constants[0], limit);
  if (!q) return refuse(l, "the bias does not fit " + std::string(name_of(bias_type(x))) + " at the scale of input times weight");
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

// ---- two operands, each with its scale ----
static std::optional<QAddAttrs> pair_attributes(const Lowering& l, float lo, float hi) {
  const Quantized *a = l.in[0], *b = l.in[1], *y = l.out;
  if (!per_tensor(a) || !per_tensor(b) || !per_tensor(y)) return refuse(l, activations_needed);
  if (a->dtype != b->dtype || a->dtype != y->dtype) return refuse(l, "both operands must have the output's dtype");
  return QAddAttrs{a->scale[0], b->scale[0], y->scale[0], a->zero[0], b->zero[0], y->zero[0], quantized_bound(lo, *y, least_of(y->dtype)), quantized_bound(hi, *y, greatest_of(y->dtype))};
}
static std::optional<Lowered> pair(const Lowering& l, const OpDef& op) {
  if (!l.in[0] || !l.in[1]) return lower_function(l);
  const auto& cut = l.call.as<ClampAttrs>();
  auto at = pair_attributes(l, cut.lo, cut.hi);
  if (!at) return {};
  return Lowered{&op, std::make_shared<QAddAttrs>(*at), {0, 1}, {}};
}
std::optional<Lowered> lower_add(const Lowering& l) {
  if (l.in[0] && l.in[1] && l.call.in[0].shape != l.call.in[1].shape) return refuse(l, "the operands broadcast");
  return pair(l, qadd_op);
}
std::optional<Lowered> lower_sub(const Lowering& l) { return pair(l, qsub_op); }
std::optional<Lowered> lower_mul(const Lowering& l) { return pair(l, qmul_op); }

std::optional<Lowered> lower_matmul(const Lowering& l) {
  if (!l.call.value(1)) {                            // both are computed, or the first is a constant like an activation
    if (l.in.size() > 2) return refuse(l, "a product of two activations has no bias in integers");
    DType x = l.in[0] ? l.in[0]->dtype : DType::i8;
    if (Dim k = l.call.in[0].shape[-1]; !is_symbol(k) && bias_limit(k, x) < 0) return refuse(l, "sums of so many products do not fit");
    return pair(l, qmatmul_pair_op);
  }
  if (l.call.in[1].shape.rank != 2) return refuse(l, "a matrix of weights is needed");
  auto o = operands(l, 1, l.call.in[1].shape[1]);
  if (!o) return {};
  auto at = std::make_shared<QMatmulAttrs>();
  set_scales(*at, *l.in[0], *l.out, l.call.as<ClampAttrs>().lo, l.call.as<ClampAttrs>().hi);
  return Lowered{&qmatmul_op, at, o->inputs, o->constants};
}

// ---- functions of one number, by table ----
static Tensor applied_to(const Lowering& l, size_t slot, const Tensor& x) {
  std::vector<Tensor> in;
  for (size_t k = 0; k < l.in.size(); ++k) in.push_back(k == slot ? x : l.call.value(int(k))->rank() ? reshape(*l.call.value(int(k)), {1}) : *l.call.value(int(k)));
  std::vector<Input> inputs(in.begin(), in.end());
  Tensor y;
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  apply(l.call.op, inputs, l.call.attrs, {&y, 1});
  return y;
}
std::optional<Lowered> lower_function(const Lowering& l) {
  size_t slot = l.in.size();
  for (size_t k = 0; k < l.in.size(); ++k) {
    if (l.in[k] && slot != l.in.size()) return refuse(l, "it has no integer form of two activations");
    if (l.in[k]) slot = k;
    else if (const Tensor* t = l.call.value(int(k)); !t || t->numel() != 1) return refuse(l, "a table holds a function of one input and numbers");
  }
  if (slot == l.in.size() || !per_tensor(l.in[slot]) || !per_tensor(l.out)) return refuse(l, activations_needed);
  const Quantized &from = *l.in[slot], &to = *l.out;
  if (l.call.out[0].shape != l.call.in[slot].shape) return refuse(l, "a number of more axes");
  if ((from.dtype == DType::i16) != (to.dtype == DType::i16)) return refuse(l, "input and output must be of 8 bits both or of 16");
  auto at = std::make_shared<QTableAttrs>(QTableAttrs{from.scale[0], to.scale[0], from.zero[0], to.zero[0], std::string(l.call.op.name)});
  const int64_t first = least_of(from.dtype), n = greatest_of(from.dtype) - first + 1;
  std::vector<float> x;
  for (int64_t i = 0; i <= n; ++i) x.push_back(float(first + i - from.zero[0]) * from.scale[0]);
  std::vector<float> y = applied_to(l, slot, Tensor::of<float>({n + 1}, x)).to_vector<float>();
  for (float v : y) if (!std::isfinite(v)) return refuse(l, "it is not finite everywhere in the input's range");
  auto integer = [&](double v) { return std::clamp(std::nearbyint(v / double(to.scale[0])) + to.zero[0], double(least_of(to.dtype)), double(greatest_of(to.dtype))); };
  if (from.dtype != DType::i16) {
    Tensor floats = Tensor::of<float>({256}, std::vector<float>(y.begin(), y.end() - 1));
    return Lowered{&qtable_op, at, {int(slot)}, {quantize(floats, Tensor::full({}, to.scale[0]), Tensor::full({}, to.zero[0], to.dtype))}};
  }
  // The shortest table whose lines stay within one step of the function; each point is moved by half of what its line
  // would err in the middle.
  std::vector<int16_t> points;
  for (int shift = 7; shift >= 4; --shift) {
    const int64_t width = int64_t{1} << shift;
    points.clear();
    for (int64_t i = 0; i <= n; i += width) {
      double v = y[size_t(i)];
      if (i < n) v += (y[size_t(i + width / 2)] - (double(y[size_t(i)]) + y[size_t(i + width)]) / 2) / 2;
      points.push_back(int16_t(integer(v)));
    }
    double worst = 0;
    for (int64_t i = 0; i < n; ++i) {
      double a = points[size_t(i >> shift)], b = points[size_t((i >> shift) + 1)];
      worst = std::max(worst, std::abs(a + (b - a) * double(i % width) / double(width) - integer(y[size_t(i)])));
    }
    if (worst <= 1) break;
  }
  return Lowered{&qtable_op, at, {int(slot)}, {Tensor::of<int16_t>({int64_t(points.size())}, points)}};
}

std::optional<Lowered> lower_softmax(const Lowering& l) {
  if (!per_tensor(l.in[0]) || !per_tensor(l.out) || l.in[0]->dtype != l.out->dtype) return refuse(l, "activations of one dtype, with one scale, are needed");
  auto at = std::make_shared<QSoftmaxAttrs>(QSoftmaxAttrs{l.in[0]->scale[0], l.out->scale[0], l.out->zero[0]});
  return Lowered{&qsoftmax_op, at, {0}, {softmax_table(at->x_scale, l.in[0]->dtype)}};
}

static std::optional<Lowered> average(const Lowering& l, QAvgPool2dAttrs at) {
  if (!per_tensor(l.in[0]) || !per_tensor(l.out) || l.in[0]->dtype != l.out->dtype)
    return refuse(l, "activations of one dtype, with one scale, are needed");
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
  DType x = l.in[1] && l.in[1]->dtype == DType::i16 ? DType::i16 : DType::u8;
  if (!valid_weights(l.in[1], x, axis, channels)) return refuse(l, weights_needed);
  if (bias_limit(l.call.in[1].shape.count() / std::max<int64_t>(channels, 1), x) < 0) return refuse(l, "sums of so many products do not fit");
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
