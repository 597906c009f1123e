#include <cmath>
#include "miniten/ops/ops.h"
#include "ops/tflite_write.h"

namespace miniten::to_tflite {

bool same(const QuantizedRef& a, const QuantizedRef& b) { return (!a && !b) || (a && b && *a == *b); }

Shape ordered(const Shape& shape, const Axes& order) {
  Shape s;
  for (Dim k : order) s.push(shape[int(k)]);
  return s;
}
Axes channels_last_axes(int rank) {
  Axes order = Dims::iota(rank);
  for (int i = 1; i < rank; ++i) order[i] = i + 1 < rank ? i + 1 : 1;
  return order;
}
std::optional<Axes> axes_of(const TfliteWriter& w, const TfliteValue& v, const Shape& shape) {
  Axes last = channels_last_axes(shape.rank);
  if (shape.rank > 2 && w.spec(v.tensor).shape == ordered(shape, last) && is_stored(v, shape, last)) return last;
  return stored_axes(v, shape);
}
int axis_in(const Axes& order, int64_t axis) {
  for (int i = 0; i < order.rank; ++i) if (order[i] == axis) return i;
  return -1;
}

std::optional<int64_t> activation_of(float lo, float hi) {
  if (lo == -infinity && hi == infinity) return 0;
  if (lo == 0 && hi == infinity) return 1;
  if (lo == -1 && hi == 1) return 2;
  if (lo == 0 && hi == 6) return 3;
  return {};
}
int number(TfliteWriter& w, double value, DType t) { return w.constant(Tensor::full({}, value, t), "number"); }

int cut(TfliteWriter& w, int y, float lo, float hi) {
  Spec spec = w.spec(y);
  QuantizedRef q = w.quantized(y);
  constexpr const char* names[] = {"", "RELU", "RELU_N1_TO_1", "RELU6"};
  if (auto a = activation_of(lo, hi); a && (!q || *a != 2)) return *a == 0 ? y : w.emit_one(names[*a], {y}, {}, spec, q);
  if (q) {
    auto bound = [&](float v, int64_t otherwise) { return std::isfinite(v) ? int64_t(std::nearbyint(v / q->scale[0])) + q->zero[0] : otherwise; };
    int64_t most = q->dtype == DType::i16 ? 32767 : 127;
    return cut_integers(w, y, std::max(bound(lo, -most - 1), -most - 1), std::min(bound(hi, most), most));
  }
  if (lo > -infinity) y = w.emit_one("MAXIMUM", {y, number(w, lo)}, {}, spec);
  if (hi < infinity) y = w.emit_one("MINIMUM", {y, number(w, hi)}, {}, spec);
  return y;
}
int cut_integers(TfliteWriter& w, int y, int64_t lo, int64_t hi) {
  Spec spec = w.spec(y);
  QuantizedRef q = w.quantized(y);
  int64_t most = spec.dtype == DType::i16 ? 32767 : 127;
  auto bound = [&](int64_t v) { return w.constant(Tensor::full({}, double(v), spec.dtype), "bound", q); };
  if (lo > -most - 1) y = w.emit_one("MAXIMUM", {y, bound(lo)}, {}, spec, q);
  if (hi < most) y = w.emit_one("MINIMUM", {y, bound(hi)}, {}, spec, q);
  return y;
}

int padded(TfliteWriter& w, int x, const Shape& before, const Shape& after, std::optional<double> value) {
  Spec spec = w.spec(x);
  QuantizedRef q = w.quantized(x);
  std::vector<int32_t> widths;
  for (int i = 0; i < spec.shape.rank; ++i) {
    widths.push_back(int32_t(before[i]));
    widths.push_back(int32_t(after[i]));
    spec.shape[i] += before[i] + after[i];
  }
  int pads = w.constant(Tensor::of<int32_t>({int64_t(widths.size() / 2), 2}, widths), "paddings");
  if (!value) return w.emit_one("PAD", {x, pads}, {}, spec, q);
  return w.emit_one("PADV2", {x, pads, w.constant(Tensor::full({}, *value, spec.dtype), "value", q)}, {}, spec, q);
}

Window window_of(const Shape& x, const Shape& y, const Dims& kernel, const Dims& stride, const Dims& dilation, const Dims& padding) {
  Window w{true, 1, {}, {}};
  bool valid = true, same = true;
  for (int i : {0, 1}) {
    int64_t in = x[2 + i], out = y[2 + i], reach = dilation[i] * (kernel[i] - 1) + 1, before = padding[i];
    int64_t needed = (out - 1) * stride[i] + reach - in, after = needed - before;       // what is read behind the end
    int64_t total = std::max<int64_t>(needed, 0);
    valid &= before == 0 && after <= 0 && out == (in - reach) / stride[i] + 1 && in >= reach;
    same &= out == (in + stride[i] - 1) / stride[i] && before == total / 2 && (needed >= 0 || before == 0);
    w.before.push(before);
    w.after.push(std::max<int64_t>(after, 0));
  }
  w.fits = valid || same;
  w.option = valid || !same;
  return w;
}

QuantizedRef weight_scales(const Tensor& t, int axis, int file_axis) {
  auto q = std::make_shared<Quantized>();
  std::vector<float> v = t.to_vector<float>();
  int64_t n = t.dim(axis), inner = 1;
  for (int i = axis + 1; i < t.rank(); ++i) inner *= t.dim(i);
  q->scale.assign(size_t(n), 0);
  for (size_t i = 0; i < v.size(); ++i) {
    float& s = q->scale[i / size_t(inner) % size_t(n)];
    s = std::max(s, std::abs(v[i]));
  }
  for (float& s : q->scale) s = s > 0 ? s / 127 : 1;
  q->zero.assign(size_t(n), 0);
  q->axis = file_axis;
  return q;
}
int bias(TfliteWriter& w, const Tensor* values, int64_t n, const QuantizedRef& x, const QuantizedRef& weights) {
  auto q = std::make_shared<Quantized>();
  bool wide = x->dtype == DType::i16;
  q->dtype = wide ? DType::i64 : DType::i32;
  q->axis = weights->scale.size() > 1 ? 0 : -1;
  for (float s : weights->scale) q->scale.push_back(x->scale[0] * s);
  q->zero.assign(q->scale.size(), 0);
  std::vector<float> v = values ? values->to_vector<float>() : std::vector<float>(size_t(n), 0.0f);
  std::vector<int64_t> integers;
  for (size_t i = 0; i < v.size(); ++i) {
    double scale = q->scale[q->scale.size() > 1 ? i : 0], most = wide ? 549755813887.0 : 2147483647.0;
    integers.push_back(int64_t(std::clamp(std::nearbyint(v[i] / scale), -most, most)));
  }
  if (wide) return w.constant(Tensor::of<int64_t>({n}, integers), "bias", q);
  std::vector<int32_t> narrow(integers.begin(), integers.end());
  return w.constant(Tensor::of<int32_t>({n}, narrow), "bias", q);
}

}  // namespace miniten::to_tflite
