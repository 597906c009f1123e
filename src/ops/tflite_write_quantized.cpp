#include <cmath>
#include "miniten/ops/ops.h"
#include "ops/quantized/rows.h"
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
// What quantize_rows tells of itself through its scale, which is no tensor of the file.
bool is_symmetric(const TfliteCall& f) { return f.call.op.outputs == 1 && f.in.size() > 4 && f.in[1].pieces.rank == 1; }
QuantizedRef weights(const TfliteCall& f, int scale, int axis) {
  auto q = std::make_shared<Quantized>();
  q->scale = known(f, scale).to_vector<float>();
  bool equal = std::all_of(q->scale.begin(), q->scale.end(), [&](float s) { return s == q->scale[0]; });
  if (equal && (f.call.op.tflite.name == "FULLY_CONNECTED" || is_symmetric(f))) q->scale.resize(1);          // older runtimes know no others of it
  q->zero.assign(q->scale.size(), 0);
  q->axis = q->scale.size() > 1 ? axis : -1;
  return q;
}
// Sums start from it; its scale is that of the products.
int integer_bias(TfliteWriter& w, const TfliteCall& f, int i, int64_t n, float x_scale, const QuantizedRef& weight) {
  auto q = std::make_shared<Quantized>(*weight);
  for (float& s : q->scale) s *= x_scale;
  q->axis = q->scale.size() > 1 ? 0 : -1;
  q->dtype = f.call.in[0].dtype == DType::i16 ? DType::i64 : DType::i32;
  return size_t(i) < f.in.size() ? w.stored(i, {n}, {0}, q) : w.constant(Tensor::zeros({n}, q->dtype), "bias", q);
}
struct Cut { int64_t activation = 0, lo = 0, hi = 0; bool own = false; };      // own: operators of its own
template <class A> Cut cut_of(const A& at, DType t) {
  if (t == DType::i16) return at.lo <= -32768 && at.hi >= 32767 ? Cut{} : at.lo == 0 && at.hi >= 32767 ? Cut{1} : Cut{0, at.lo, at.hi, true};
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
DType stored_as(DType t) { return t == DType::u8 ? DType::i8 : t; }
// Sums, differences and products.
__attribute__((noinline)) Values write_pair_of(TfliteWriter& w, const TfliteCall& f, char kind) {
  const auto& at = f.call.as<QAddAttrs>();
  DType t = f.call.in[0].dtype;
  Axes order = Dims::iota(f.out().rank);
  for (int i : {1, 0})
    if (f.shape(i) == f.out() && !f.is_constant(i))
      if (auto axes = axes_of(w, f.in[size_t(i)], f.out())) order = *axes;
  // LiteRT adds at twice the coarser scale, shifted by 15 or 20 bits, and stops the program where the result's is finer.
  if (kind != 'x' && 2 * std::max(at.a_scale, at.b_scale) >= std::ldexp(at.y_scale, t == DType::i16 ? 15 : 20))
    f.refuse("operands less than " + std::string(t == DType::i16 ? "16384" : "524288") + " times as coarse as the result", "scales " + std::to_string(std::max(at.a_scale, at.b_scale)) + " and " + std::to_string(at.y_scale), "skip the layer in quantize_model");
  Cut c = cut_of(at, t);
  QuantizedRef q = of(at.y_scale, at.y_zero, t);
  TfliteValue result{-1, f.out(), order};
  auto operand = [&](int i, float scale, int64_t zero) { return w.broadcast(i, f.out(), result, f.is_constant(i) ? of(scale, zero, t) : nullptr); };
  int a = operand(0, at.a_scale, at.a_zero), b = operand(1, at.b_scale, at.b_zero);
  ForeignAttributes options{{"fused_activation_function", c.activation}};
  if (t == DType::i16 && kind != 'x') options.emplace_back("pot_scale_int16", int64_t{0});
  result.tensor = w.emit_one(kind == '+' ? "ADD" : kind == '-' ? "SUB" : "MUL", {a, b}, options, {stored_as(t), ordered(f.out(), order)}, q);
  if (c.own) result.tensor = cut_integers(w, result.tensor, c.lo, c.hi);
  return {result};
}
template <char kind> Values write_pair(TfliteWriter& w, const TfliteCall& f) { return write_pair_of(w, f, kind); }
Values write_qmatmul_pair(TfliteWriter& w, const TfliteCall& f) {
  const auto& at = f.call.as<QAddAttrs>();
  DType t = f.call.in[0].dtype;
  Cut c = cut_of(at, t);
  int64_t turned[2] = {0, 0};
  auto operand = [&](int i, float scale, int64_t zero) {
    Axes plain = Dims::iota(f.shape(i).rank), swapped = plain;
    std::swap(swapped[-1], swapped[-2]);
    turned[i] = !f.is_constant(i) && !is_stored(f.in[size_t(i)], f.shape(i), plain) && is_stored(f.in[size_t(i)], f.shape(i), swapped);
    return w.stored(i, f.shape(i), turned[i] ? swapped : plain, f.is_constant(i) ? of(scale, zero, t) : nullptr);
  };
  int a = operand(0, at.a_scale, at.a_zero), b = operand(1, at.b_scale, at.b_zero);
  int y = w.emit_one("BATCH_MATMUL", {a, b}, {{"adj_x", turned[0]}, {"adj_y", turned[1]}}, {stored_as(t), f.out()}, of(at.y_scale, at.y_zero, t));
  if (c.activation == 1) y = cut_integers(w, y, at.y_zero - (t == DType::u8 ? 128 : 0), t == DType::i16 ? 32767 : 127);
  else if (c.own || c.activation) y = cut_integers(w, y, at.lo - (t == DType::u8 ? 128 : 0), at.hi - (t == DType::u8 ? 128 : 0));
  return {TfliteValue::plain(y, f.out())};
}

// A builtin whose result has a scale that the format fixes, then the wanted one.
int fixed_then(TfliteWriter& w, const char* type, int x, ForeignAttributes options, bool unit, const QuantizedRef& wanted) {
  bool wide = wanted->dtype == DType::i16;
  QuantizedRef q = of(wide ? 1 / 32768.0f : unit ? 1 / 256.0f : 1 / 128.0f, !wide && unit ? -128 : 0, wanted->dtype);
  int y = w.emit_one(type, {x}, std::move(options), {q->dtype, w.spec(x).shape}, q);
  return same(q, wanted) ? y : w.emit_one("QUANTIZE", {y}, {}, {wanted->dtype, w.spec(x).shape}, wanted);
}
// Any function of a byte: its table is read at x + 128. Equal bytes, where a builtin would round by itself.
Values write_qtable(TfliteWriter& w, const TfliteCall& f) {
  const auto& at = f.call.as<QTableAttrs>();
  DType t = f.call.in[0].dtype;
  TfliteValue x = f.in[0];
  if (x.tensor < 0) x = TfliteValue::plain(w.stored(0, f.shape(0), Dims::iota(f.shape(0).rank), of(at.x_scale, at.x_zero, t)), f.shape(0));
  QuantizedRef q = of(at.y_scale, at.y_zero, f.call.out[0].dtype);
  const bool sigmoid = at.function == "sigmoid", tanh = at.function == "tanh";
  const bool is_fixed = q->scale[0] == (sigmoid ? 1 / 256.0f : 1 / 128.0f) && q->zero[0] == (sigmoid ? -128 : 0);
  if ((sigmoid || tanh) && (t == DType::i16 || is_fixed)) {
    x.tensor = fixed_then(w, sigmoid ? "LOGISTIC" : "TANH", x.tensor, {}, sigmoid, q);
    return {x};
  }
  if (t == DType::i16) f.refuse("int16 tables of sigmoid or tanh", at.function, "export it as ONNX, or quantise the layer to int8");
  Tensor table = known(f, 1);
  if (table.dtype() == DType::u8) table = miniten::cast(miniten::cast(table, DType::i32) - 128.0, DType::i8);
  const Shape shape = w.spec(x.tensor).shape;
  int index = w.emit_one("CAST", {x.tensor}, {}, {DType::i32, shape});
  index = w.emit_one("ADD", {index, number(w, 128, DType::i32)}, {{"fused_activation_function", int64_t{0}}}, {DType::i32, shape});
  x.tensor = w.emit_one("GATHER", {w.constant(table, "table", q), index}, {{"axis", int64_t{0}}}, {DType::i8, shape}, q);
  return {x};
}
Values write_qsoftmax(TfliteWriter& w, const TfliteCall& f) {
  const auto& at = f.call.as<QSoftmaxAttrs>();
  const Shape& shape = f.shape(0);
  int x = w.stored(0, shape, Dims::iota(shape.rank));
  QuantizedRef q = of(at.y_scale, at.y_zero, f.call.out[0].dtype);
  // The builtin's steps of 1/256 cannot tell the shares of many: those are computed in floats.
  if (q->dtype != DType::i16 && shape[-1] > 64 && at.y_scale < 1 / 512.0f) {
    int share = w.emit_one("SOFTMAX", {w.emit_one("DEQUANTIZE", {x}, {}, {DType::f32, shape})}, {{"beta", 1.0f}}, {DType::f32, shape});
    return {TfliteValue::plain(w.emit_one("QUANTIZE", {share}, {}, {DType::i8, shape}, q), shape)};
  }
  return {TfliteValue::plain(fixed_then(w, "SOFTMAX", x, {{"beta", 1.0f}}, true, q), shape)};
}
Values write_qavg_pool(TfliteWriter& w, const TfliteCall& f) {
  const auto& at = f.call.as<QAvgPool2dAttrs>();
  const Shape &x = f.shape(0), &y = f.out();
  QuantizedRef q = of(at.y_scale, at.y_zero, f.call.in[0].dtype);
  int in = w.stored(0, x, {0, 2, 3, 1});
  Shape file{y[0], y[2], y[3], y[1]};
  if (at.kernel == Dims{x[2], x[3]} && at.padding == Dims{0, 0, 0, 0} && !same(w.quantized(in), q)) {
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
Values write_quantize_rows(TfliteWriter& w, const TfliteCall& f) {
  Values y = write_dynamic_quantize(w, f);
  if (!f.call.as<QuantizeRowsAttrs>().asymmetric) y[1].pieces = {1};
  return y;
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

constinit const TfliteRules qconv2d{write_qconv}, qconv2d_dynamic{write_qconv_dynamic}, qmatmul{write_qmatmul}, qmatmul_dynamic{write_qmatmul_dynamic}, qadd{write_pair<'+'>},
    qsub{write_pair<'-'>}, qmul{write_pair<'x'>}, qmatmul_pair{write_qmatmul_pair}, qtable{write_qtable}, qsoftmax{write_qsoftmax},
    qavg_pool2d{write_qavg_pool}, dynamic_quantize{write_dynamic_quantize}, quantize_rows{write_quantize_rows};

}  // namespace miniten::to_tflite
