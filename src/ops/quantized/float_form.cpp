#include <cmath>
#include "miniten/ops/ops.h"
#include "ops/quantized/rows.h"
#include "ops/quantized/lowering.h"

namespace miniten {

namespace {

using Forms = std::vector<Lowered>;

// What the integers are cut to, in floats. The ends of the type are those of a range that was chosen from data, and open;
// but for one whose end is 0: an absorbed ReLU may be told by that alone.
ClampAttrs cut_of(int64_t lo, int64_t hi, float scale, int64_t zero, DType t) {
  ClampAttrs cut;
  if (lo != least_of(t) || lo == zero) cut.lo = float(lo - zero) * scale;
  if (hi != greatest_of(t) || hi == zero) cut.hi = float(hi - zero) * scale;
  return cut;
}
// Weights and bias as floats; x_scale 0: the bias is of floats.
std::optional<std::vector<Tensor>> weights(const Call& c, int w, int axis, float x_scale) {
  if (!c.value(w) || !c.value(w + 1)) return {};
  const Tensor &q = *c.value(w), &scale = *c.value(w + 1);
  std::vector<Tensor> floats{dequantize(q, scale, Tensor::zeros(scale.shape(), q.dtype()), axis)};
  if (int(c.in.size()) <= w + 2) return floats;
  if (!c.value(w + 2)) return {};
  const Tensor& bias = *c.value(w + 2);
  floats.push_back(x_scale == 0 ? bias : cast(cast(bias, DType::f64) * (cast(scale, DType::f64) * double(x_scale)), DType::f32));
  return floats;
}
template <class A> Conv2dAttrs windows_of(const A& from) {
  Conv2dAttrs at;
  at.stride = from.stride;
  at.padding = from.padding;
  at.dilation = from.dilation;
  at.groups = from.groups;
  return at;
}
template <class A> Forms one(const OpDef& op, const A& at, std::vector<int> inputs, std::vector<Tensor> constants = {}) {
  return {Lowered{&op, std::make_shared<A>(at), std::move(inputs), std::move(constants)}};
}

// Apart, as training wants it; compiled graphs take it into the op again.
Forms cut_after(Forms forms, const ClampAttrs& cut) {
  if (cut.lo == 0 && cut.hi == infinity) forms.push_back({&relu_op, nullptr, {0}, {}});
  else if (cut.lo > -infinity || cut.hi < infinity) forms.push_back(one(clamp_op, cut, {0})[0]);
  return forms;
}

// ---- tables ----
struct Table {
  std::vector<float> x;                              // what the input's integers stand for
  std::vector<int64_t> y;
  float scale;
  int64_t zero, least, greatest;                     // of y
  float value(size_t i) const { return float(y[i] - zero) * scale; }
  int64_t integer(double v) const { return int64_t(std::clamp(std::nearbyint(v / double(scale)) + double(zero), double(least), double(greatest))); }
};
std::optional<Table> table_of(const Call& c) {
  if (!c.value(1)) return {};
  const auto& at = c.as<QTableAttrs>();
  const DType from = c.in[0].dtype, to = c.in[1].dtype;
  std::vector<int64_t> points = cast(*c.value(1), DType::i64).to_vector<int64_t>();
  Table t{{}, {}, at.y_scale, at.y_zero, least_of(to), greatest_of(to)};
  const int64_t least = least_of(from), n = greatest_of(from) - least + 1, width = from == DType::i16 ? n / int64_t(points.size() - 1) : 1, step = std::max<int64_t>(n / 4096, 1);
  for (int64_t i = 0; i < n; i += step) {
    const int64_t p = i / width, rest = i % width;
    t.x.push_back(float(least + i - at.x_zero) * at.x_scale);
    t.y.push_back(points[size_t(p)] + (rest ? (2 * (points[size_t(p + 1)] - points[size_t(p)]) * rest + width) / (2 * width) : 0));
  }
  return t;
}
bool is(const Table& t, auto function) {
  for (size_t i = 0; i < t.x.size(); ++i) {
    const double y = function(i);
    if (!(std::isfinite(y) && std::abs(t.integer(y) - t.y[i]) <= 1)) return false;
  }
  return true;
}
// A line cut at both ends: what arithmetic with numbers, negation and clamps give.
Forms line(const Table& t) {
  const auto [lo, hi] = std::minmax_element(t.y.begin(), t.y.end());
  double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
  for (size_t i = 0; i < t.x.size(); ++i) {
    if (t.y[i] == *lo || t.y[i] == *hi) continue;
    const double x = t.x[i], y = t.value(i);
    n += 1, sx += x, sy += y, sxx += x * x, sxy += x * y;
  }
  double a = n * sxx - sx * sx > 0 ? (n * sxy - sx * sy) / (n * sxx - sx * sx) : 0, b = n > 0 ? (sy - a * sx) / n : t.value(0);
  const ClampAttrs cut = cut_of(*lo, *hi, t.scale, t.zero, t.least == 0 ? DType::u8 : t.greatest == 127 ? DType::i8 : DType::i16);
  auto fits = [&](double slope, double shift) { return is(t, [&](size_t i) { return std::clamp(slope * t.x[i] + shift, double(cut.lo), double(cut.hi)); }); };
  if (fits(a, 0)) b = 0;
  if (fits(1, b)) a = 1;
  if (fits(-1, b)) a = -1;
  if (!fits(a, b)) return {};
  Forms forms;
  if (a != 1) forms = one(mul_op, ClampAttrs{}, {0}, {Tensor::full({}, a)});
  if (b != 0) forms.push_back(one(add_op, ClampAttrs{}, {0}, {Tensor::full({}, b)})[0]);
  forms = cut_after(std::move(forms), cut);
  return forms.empty() ? Forms{Lowered{nullptr, nullptr, {0}, {}}} : forms;
}
Forms function(const Call& c) {
  auto t = table_of(c);
  if (!t) return {};
  const OpDef* op = find_op(c.as<QTableAttrs>().function);
  if (op && op->max_inputs == 1 && op->quant.lower && op != &clamp_op) {
    Tensor y;
    const Tensor points = Tensor::of<float>({int64_t(t->x.size())}, t->x);
    Input x = points;
    apply(*op, {&x, 1}, nullptr, {&y, 1});
    auto values = y.to_vector<float>();
    if (is(*t, [&](size_t i) { return double(values[i]); })) return {Lowered{op, nullptr, {0}, {}}};
  }
  return line(*t);
}

}  // namespace

bool has_float_form(const OpDef& op) {
  for (const OpDef* known : {&dynamic_quantize_op, &quantize_rows_op, &qconv2d_op, &qconv2d_dynamic_op, &qmatmul_op, &qmatmul_dynamic_op, &qadd_op, &qsub_op, &qmul_op, &qmatmul_pair_op, &qtable_op,
                             &qsoftmax_op, &qavg_pool2d_op, &matmul_blocks_op})
    if (known == &op) return true;
  return false;
}

std::vector<Lowered> float_form(const Call& c) {
  if (&c.op == &dynamic_quantize_op || &c.op == &quantize_rows_op) return {Lowered{nullptr, nullptr, {0}, {}}};
  if (&c.op == &qtable_op) return function(c);
  if (&c.op == &qsoftmax_op) return {Lowered{&softmax_op, nullptr, {0}, {}}};
  if (&c.op == &qavg_pool2d_op) {
    const auto& at = c.as<QAvgPool2dAttrs>();
    return one(avg_pool2d_op, Pool2dAttrs{.kernel = at.kernel, .stride = at.stride, .padding = at.padding, .ceil_mode = at.ceil_mode, .count_include_pad = at.count_include_pad}, {0});
  }
  if (&c.op == &qconv2d_op) {
    const auto& from = c.as<QConv2dAttrs>();
    auto w = weights(c, 1, 0, from.x_scale);
    return w ? cut_after(one(conv2d_op, windows_of(from), {0}, *w), cut_of(from.lo, from.hi, from.y_scale, from.y_zero, from.dtype)) : Forms{};
  }
  if (&c.op == &qmatmul_op) {
    const auto& from = c.as<QMatmulAttrs>();
    auto w = weights(c, 1, 1, from.x_scale);
    return w ? cut_after(one(matmul_op, ClampAttrs{}, {0}, *w), cut_of(from.lo, from.hi, from.y_scale, from.y_zero, from.dtype)) : Forms{};
  }
  if (&c.op == &qconv2d_dynamic_op) {
    const auto& from = c.as<Conv2dAttrs>();
    auto w = weights(c, 3, 0, 0);
    return w ? cut_after(one(conv2d_op, windows_of(from), {0}, *w), {from.lo, from.hi}) : Forms{};
  }
  if (&c.op == &qmatmul_dynamic_op) {
    auto w = weights(c, 3, 1, 0);
    return w ? cut_after(one(matmul_op, ClampAttrs{}, {0}, *w), c.as<ClampAttrs>()) : Forms{};
  }
  for (auto [integers, floats] : {std::pair(&qadd_op, &add_op), {&qsub_op, &sub_op}, {&qmul_op, &mul_op}, {&qmatmul_pair_op, &matmul_op}}) {
    if (&c.op != integers) continue;
    const auto& from = c.as<QAddAttrs>();
    return cut_after(one(*floats, ClampAttrs{}, {0, 1}), cut_of(from.lo, from.hi, from.y_scale, from.y_zero, c.in[0].dtype));
  }
  if (&c.op == &matmul_blocks_op) {
    auto product = floats_of_blocks(c);
    return product ? cut_after({*product}, {c.as<MatmulBlocksAttrs>().lo, c.as<MatmulBlocksAttrs>().hi}) : Forms{};
  }
  return {};
}

}  // namespace miniten
