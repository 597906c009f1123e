#include <cmath>
#include "miniten/ops/ops.h"
#include "ops/tflite_write.h"

// Ops on integers keep their scales. The format's uint8 is written as int8, zero points and bounds less 128.
namespace miniten::to_tflite {

namespace {

const Tensor& known(const TfliteCall& f, int i) {
  const Tensor* t = f.call.value(i);
  if (!t) f.refuse("constant scales and weights", "computed ones");
  return *t;
}
QuantizedRef of(float scale, int64_t zero, DType t) {
  return std::make_shared<Quantized>(Quantized{{scale}, {int32_t(t == DType::u8 ? zero - 128 : zero)}, -1, 0, t == DType::u8 ? DType::i8 : t});
}
QuantizedRef weights(const TfliteCall& f, int scale, int axis) {
  auto q = std::make_shared<Quantized>();
  q->scale = known(f, scale).to_vector<float>();
  q->zero.assign(q->scale.size(), 0);
  q->axis = q->scale.size() > 1 ? axis : -1;
  return q;
}
// int32 sums start from it; its scale is that of the products.
int integer_bias(TfliteWriter& w, const TfliteCall& f, int i, int64_t n, float x_scale, const QuantizedRef& weight) {
  auto q = std::make_shared<Quantized>(*weight);
  for (float& s : q->scale) s *= x_scale;
  q->axis = q->scale.size() > 1 ? 0 : -1;
  q->dtype = DType::i32;
  return size_t(i) < f.in.size() ? w.stored(i, {n}, {0}, q) : w.constant(Tensor::zeros({n}, DType::i32), "bias", q);
}
struct Cut { int64_t activation = 0, lo = 0, hi = 0; bool own = false; };      // own: operators of its own
template <class A> Cut cut_of(const A& at, DType t) {
  int64_t shift = t == DType::u8 ? 128 : 0, lo = at.lo - shift, hi = at.hi - shift, zero = at.y_zero - shift;
  int64_t six = std::min<int64_t>(127, zero + int64_t(std::nearbyint(6.0f / at.y_scale)));
  if (lo <= -128 && hi >= 127) return {};
  if (lo == std::max<int64_t>(zero, -128) && hi >= 127) return {1};
  if (lo == std::max<int64_t>(zero, -128) && hi == six) return {3};
  return {0, lo, hi, true};
}

Values write_qconv(TfliteWriter& w, const TfliteCall& f) {
  const auto& at = f.call.as<QConv2dAttrs>();
  const Shape& k = f.shape(1);
  bool depthwise = at.groups == f.shape(0)[1] && k[1] == 1 && at.groups > 1;
  QuantizedRef weight = weights(f, 2, depthwise ? 3 : 0);
  Cut c = cut_of(at, at.dtype);
  int bias = integer_bias(w, f, 3, k[0], at.x_scale, weight);
  TfliteValue y = convolution(w, f, 1, {at.stride, at.padding, at.dilation, at.groups}, weight, bias, c.activation, of(at.y_scale, at.y_zero, at.dtype));
  if (c.own) y.tensor = cut_integers(w, y.tensor, c.lo, c.hi);
  return {y};
}
Values write_qmatmul(TfliteWriter& w, const TfliteCall& f) {
  const auto& at = f.call.as<QMatmulAttrs>();
  QuantizedRef weight = weights(f, 2, 0);
  Cut c = cut_of(at, at.dtype);
  int bias = integer_bias(w, f, 3, f.out()[-1], at.x_scale, weight);
  TfliteValue y = fully_connected(w, f, 1, weight, bias, c.activation, of(at.y_scale, at.y_zero, at.dtype));
  if (c.own) y.tensor = cut_integers(w, y.tensor, c.lo, c.hi);
  return {y};
}
Values write_qadd(TfliteWriter& w, const TfliteCall& f) {
  const auto& at = f.call.as<QAddAttrs>();
  DType t = f.call.in[0].dtype;
  if (t == DType::i16) f.refuse("int8 or uint8 operands", "int16", "export it as ONNX, or quantise to int8");
  if (f.shape(0) != f.shape(1)) f.refuse("operands of one shape", f.shape(0).text() + " and " + f.shape(1).text(), "skip the layer in quantize_model");
  auto axes = f.is_constant(0) ? std::nullopt : axes_of(w, f.in[0], f.out());
  Axes order = axes ? *axes : Dims::iota(f.out().rank);
  Cut c = cut_of(at, t);
  QuantizedRef q = of(at.y_scale, at.y_zero, t);
  int a = w.stored(0, f.out(), order), b = w.stored(1, f.out(), order);
  int y = w.emit_one("ADD", {a, b}, {{"fused_activation_function", c.activation}}, {DType::i8, ordered(f.out(), order)}, q);
  if (c.own) y = cut_integers(w, y, c.lo, c.hi);
  return {{y, f.out(), order}};
}
Values write_qavg_pool(TfliteWriter& w, const TfliteCall& f) {
  const auto& at = f.call.as<QAvgPool2dAttrs>();
  const Shape &x = f.shape(0), &y = f.out();
  QuantizedRef q = of(at.y_scale, at.y_zero, f.call.in[0].dtype);
  int in = w.stored(0, x, {0, 2, 3, 1});
  Shape file{y[0], y[2], y[3], y[1]};
  if (at.kernel == Dims{x[2], x[3]} && at.padding == Dims{0, 0, 0, 0}) {
    int axes = w.constant(Tensor::of<int32_t>({2}, std::vector<int32_t>{1, 2}), "axes");
    return {{w.emit_one("MEAN", {in, axes}, {{"keep_dims", int64_t{1}}}, {DType::i8, file}, q), y, {0, 2, 3, 1}}};
  }
  Window win = window_of(x, y, at.kernel, at.stride, {1, 1}, at.padding);
  bool inside = win.before == Dims{0, 0} && win.after == Dims{0, 0};
  QuantizedRef given = w.quantized(in);
  if (!(win.fits && (inside || (!at.count_include_pad && win.option == 0)))) {
    bool counts = at.count_include_pad;                          // each window counts all its places
    for (int i : {0, 1}) counts &= win.after[i] <= at.padding[2 + i];
    if (!counts) f.refuse("integer averages that count all of a window, or as SAME does", "a padding that is neither", "skip the layer in quantize_model");
    in = padded(w, in, {0, win.before[0], win.before[1], 0}, {0, win.after[0], win.after[1], 0});
    win.option = 1;
  }
  if (!same(given, q) && win.option == 1) {                      // as a sum of products: one rounding
    float share = float(1.0 / (127.0 * double(at.kernel[0] * at.kernel[1])));
    auto weight = std::make_shared<Quantized>(Quantized{std::vector<float>(size_t(x[1]), share), std::vector<int32_t>(size_t(x[1]), 0), 3, 0, DType::i8});
    int filter = w.constant(Tensor::full({1, at.kernel[0], at.kernel[1], x[1]}, 127, DType::i8), "average", weight);
    int t = w.emit_one("DEPTHWISE_CONV_2D", {in, filter, bias(w, nullptr, x[1], given, weight)},
                       {{"padding", win.option}, {"stride_w", at.stride[1]}, {"stride_h", at.stride[0]}, {"depth_multiplier", int64_t{1}}}, {DType::i8, file}, q);
    return {{t, y, {0, 2, 3, 1}}};
  }
  int t = w.emit_one("AVERAGE_POOL_2D", {in}, {{"padding", win.option}, {"stride_w", at.stride[1]}, {"stride_h", at.stride[0]}, {"filter_width", at.kernel[1]}, {"filter_height", at.kernel[0]}},
                     {DType::i8, file}, given);
  if (!same(given, q)) t = w.emit_one("QUANTIZE", {t}, {}, {DType::i8, file}, q);
  return {{t, y, {0, 2, 3, 1}}};
}

// Activations quantised at run time: the format does it inside the layer, so the floats go on.
Values write_dynamic_quantize(TfliteWriter& w, const TfliteCall& f) {
  TfliteValue x = f.in[0];
  if (x.tensor < 0) x = TfliteValue::plain(w.stored(0, f.shape(0), Dims::iota(f.shape(0).rank)), f.shape(0));
  return {x, {}, {}};
}
int float_bias(TfliteWriter& w, const TfliteCall& f, int64_t n) { return f.in.size() > 5 ? w.stored(5, {n}, {0}) : w.constant(Tensor::full({n}, 0), "bias"); }
Values write_qconv_dynamic(TfliteWriter& w, const TfliteCall& f) {
  const auto& at = f.call.as<Conv2dAttrs>();
  const Shape& k = f.shape(3);
  bool depthwise = at.groups == f.shape(0)[1] && k[1] == 1 && at.groups > 1;
  auto act = activation_of(at.lo, at.hi);
  TfliteValue y = convolution(w, f, 3, {at.stride, at.padding, at.dilation, at.groups}, weights(f, 4, depthwise ? 3 : 0), float_bias(w, f, k[0]), act.value_or(0), nullptr);
  if (!act) y.tensor = cut(w, y.tensor, at.lo, at.hi);
  return {y};
}
Values write_qmatmul_dynamic(TfliteWriter& w, const TfliteCall& f) {
  const auto& at = f.call.as<ClampAttrs>();
  auto act = activation_of(at.lo, at.hi);
  TfliteValue y = fully_connected(w, f, 3, weights(f, 4, 0), float_bias(w, f, f.out()[-1]), act.value_or(0), nullptr);
  if (!act) y.tensor = cut(w, y.tensor, at.lo, at.hi);
  return {y};
}

}  // namespace

constinit const TfliteRules qconv2d{write_qconv}, qconv2d_dynamic{write_qconv_dynamic}, qmatmul{write_qmatmul}, qmatmul_dynamic{write_qmatmul_dynamic}, qadd{write_qadd},
    qavg_pool2d{write_qavg_pool}, dynamic_quantize{write_dynamic_quantize};

}  // namespace miniten::to_tflite
