#include <cmath>
#include "miniten/ops/ops.h"
#include "ops/onnx_rules.h"
#include "ops/quantized/rows.h"
#include "ops/quantized/lowering.h"

namespace miniten {

// Integer ops are written as float ops between DequantizeLinear and QuantizeLinear, the form that other runtimes fuse;
// those with activations quantised at run time as ConvInteger and MatMulInteger.
namespace {

using Names = std::vector<std::string>;
using Tensors = std::vector<Tensor>;

Tensor integer(int64_t value, DType t) { return Tensor::full({}, double(value), t); }
std::string to_floats(ForeignWriter& w, const std::string& q, float scale, int64_t zero, DType t) {
  return w.emit_one("DequantizeLinear", {q, w.constant(Tensor::full({}, scale), "scale"), w.constant(integer(zero, t), "zero_point")});
}
std::string to_integers(ForeignWriter& w, const std::string& y, float scale, int64_t zero, DType t) {
  return w.emit_one("QuantizeLinear", {y, w.constant(Tensor::full({}, scale), "scale"), w.constant(integer(zero, t), "zero_point")});
}
std::string by_channel(ForeignWriter& w, const std::string& q, const Tensor& scale, DType t, int64_t axis) {
  return w.emit_one("DequantizeLinear", {q, w.constant(scale, "scale"), w.constant(Tensor::zeros(scale.shape(), t), "zero_point")}, {{"axis", axis}});
}
// The cut to [lo, hi] in the output's integers, where it is narrower than their type.
std::string cut(ForeignWriter& w, std::string y, int64_t lo, int64_t hi, int64_t zero, float scale, DType t) {
  if (lo == least_of(t) && hi == greatest_of(t)) return y;
  if (lo == zero && hi == greatest_of(t)) return w.emit_one("Relu", {y});
  return w.emit_one("Clip", {y, w.constant(Tensor::full({}, float(lo - zero) * scale), "bound"), w.constant(Tensor::full({}, float(hi - zero) * scale), "bound")});
}
const Tensor& known(const ForeignCall& f, int i) {
  const Tensor* t = f.call.value(i);
  if (!t) throw Error(ErrorKind::unsupported, "export", "constant scales", "computed ones in layer \"" + std::string(f.node) + "\"");
  return *t;
}
Tensor bias_scale(const ForeignCall& f, int w_scale, float x_scale) { return known(f, w_scale) * double(x_scale); }
void require_opset(ForeignWriter& w, const ForeignCall& f, int opset) {
  auto is_new = [](const Spec& x) { return x.dtype == DType::i16 || x.dtype == DType::i4; };
  if (std::any_of(f.call.in.begin(), f.call.in.end(), is_new)) opset = std::max(opset, 21);
  if (w.version() < opset)
    throw Error(ErrorKind::unsupported, "export", "opset " + std::to_string(opset) + " or later for quantised layers", "opset " + std::to_string(w.version()) + " in layer \"" + std::string(f.node) + "\"",
                "give opset_version=" + std::to_string(opset) + (opset == 21 ? "; recurrent layers with overrides {\"recurrent\": {\"activation_dtype\": \"int8\"}} need none of 16 bits" : ""));
}

// The bias as floats: of int32 by DequantizeLinear, which does not take int64.
std::string float_bias(ForeignWriter& w, const ForeignCall& f, int w_scale, float x_scale) {
  Tensor scale = bias_scale(f, w_scale, x_scale);
  if (f.call.in[3].dtype == DType::i32) return by_channel(w, f.in[3], scale, DType::i32, 0);
  return w.constant(miniten::cast(miniten::cast(known(f, 3), DType::f64) * miniten::cast(scale, DType::f64), DType::f32), "bias");
}

Names write_qconv(ForeignWriter& w, const ForeignCall& f) {
  require_opset(w, f, 13);
  if (w.integer_operators()) if (auto names = onnx::qoperator_conv(w, f)) return *names;
  const auto& at = f.call.as<QConv2dAttrs>();
  const Shape& weight = f.call.in[1].shape;
  Names in{to_floats(w, f.in[0], at.x_scale, at.x_zero, f.call.in[0].dtype), by_channel(w, f.in[1], known(f, 2), f.call.in[1].dtype, 0)};
  if (f.in.size() == 4) in.push_back(float_bias(w, f, 2, at.x_scale));
  auto list = [](const Dims& d) { return std::vector<int64_t>(d.begin(), d.end()); };
  std::string y = w.emit_one("Conv", in, {{"dilations", list(at.dilation)}, {"group", at.groups}, {"kernel_shape", std::vector<int64_t>{weight[2], weight[3]}},
                                          {"pads", list(at.padding)}, {"strides", list(at.stride)}});
  y = cut(w, y, at.lo, at.hi, at.y_zero, at.y_scale, at.dtype);
  return {to_integers(w, y, at.y_scale, at.y_zero, at.dtype)};
}
Names write_qmatmul(ForeignWriter& w, const ForeignCall& f) {
  require_opset(w, f, 13);
  if (w.integer_operators()) if (auto names = onnx::qoperator_matmul(w, f)) return *names;
  const auto& at = f.call.as<QMatmulAttrs>();
  std::string x = to_floats(w, f.in[0], at.x_scale, at.x_zero, f.call.in[0].dtype), weight = by_channel(w, f.in[1], known(f, 2), f.call.in[1].dtype, 1), y;
  std::string bias = f.in.size() == 4 ? float_bias(w, f, 2, at.x_scale) : "";
  if (!bias.empty() && f.call.in[0].shape.rank == 2) y = w.emit_one("Gemm", {x, weight, bias});
  else {
    y = w.emit_one("MatMul", {x, weight});
    if (!bias.empty()) y = w.emit_one("Add", {y, bias});
  }
  y = cut(w, y, at.lo, at.hi, at.y_zero, at.y_scale, at.dtype);
  return {to_integers(w, y, at.y_scale, at.y_zero, at.dtype)};
}
Names write_pair(ForeignWriter& w, const ForeignCall& f, std::string_view op) {
  require_opset(w, f, 13);
  if (w.integer_operators()) if (auto names = onnx::qoperator_pair(w, f, op)) return *names;
  const auto& at = f.call.as<QAddAttrs>();
  DType t = f.call.in[0].dtype;
  std::string y = w.emit_one(op, {to_floats(w, f.in[0], at.a_scale, at.a_zero, t), to_floats(w, f.in[1], at.b_scale, at.b_zero, t)});
  return {to_integers(w, cut(w, y, at.lo, at.hi, at.y_zero, at.y_scale, t), at.y_scale, at.y_zero, t)};
}
Names write_qadd(ForeignWriter& w, const ForeignCall& f) { return write_pair(w, f, "Add"); }
Names write_qsub(ForeignWriter& w, const ForeignCall& f) { return write_pair(w, f, "Sub"); }
Names write_qmul(ForeignWriter& w, const ForeignCall& f) { return write_pair(w, f, "Mul"); }
Names write_qmatmul_pair(ForeignWriter& w, const ForeignCall& f) { return write_pair(w, f, "MatMul"); }
Names write_qsoftmax(ForeignWriter& w, const ForeignCall& f) {
  require_opset(w, f, 13);
  const auto& at = f.call.as<QSoftmaxAttrs>();
  DType t = f.call.in[0].dtype;
  std::string y = w.emit_one("Softmax", {to_floats(w, f.in[0], at.x_scale, t == DType::u8 ? 128 : 0, t)}, {{"axis", int64_t{-1}}});   // any zero point: differences count
  return {to_integers(w, y, at.y_scale, at.y_zero, t)};
}
// Exact, whatever the function: Gather for bytes, the lines in float64 for int16.
Names write_qtable(ForeignWriter& w, const ForeignCall& f) {
  require_opset(w, f, 13);
  DType x = f.call.in[0].dtype;
  auto cast_to = [&](const std::string& v, DType t) { return w.emit_one("Cast", {v}, {{"to", onnx_type(t)}}); };
  if (x != DType::i16) {
    std::string index = cast_to(f.in[0], DType::i32);
    if (least_of(x)) index = w.emit_one("Add", {index, w.constant(integer(-least_of(x), DType::i32), "number")});
    return {w.emit_one("Gather", {f.in[1], index}, {{"axis", int64_t{0}}})};
  }
  auto number = [&](double v) { return w.constant(Tensor::full({}, v, DType::f64), "number"); };
  auto both = [&](const char* op, const std::string& a, const std::string& b) { return w.emit_one(op, {a, b}); };
  double width = 65536.0 / double(f.call.in[1].shape[0] - 1);
  std::string u = both("Add", cast_to(f.in[0], DType::f64), number(32768)), step = w.emit_one("Floor", {both("Mul", u, number(1 / width))});
  std::string rest = both("Sub", u, both("Mul", step, number(width))), index = cast_to(step, DType::i64);
  auto point = [&](const std::string& at) { return cast_to(w.emit_one("Gather", {f.in[1], at}, {{"axis", int64_t{0}}}), DType::f64); };
  std::string a = point(index), b = point(both("Add", index, w.constant(integer(1, DType::i64), "number")));
  std::string rise = both("Add", both("Mul", both("Sub", b, a), rest), number(std::floor(width / 2)));
  return {cast_to(both("Add", a, w.emit_one("Floor", {both("Mul", rise, number(1 / width))})), DType::i16)};
}
Names write_qavg_pool(ForeignWriter& w, const ForeignCall& f) {
  require_opset(w, f, 13);
  if (w.integer_operators()) if (auto names = onnx::qoperator_avg_pool(w, f)) return *names;
  const auto& at = f.call.as<QAvgPool2dAttrs>();
  DType t = f.call.in[0].dtype;
  std::string x = to_floats(w, f.in[0], at.x_scale, at.x_zero, t), y;
  auto list = [](const Dims& d) { return std::vector<int64_t>(d.begin(), d.end()); };
  const Shape& in = f.call.in[0].shape;
  bool global = at.kernel == Dims{in[2], in[3]} && at.padding == Dims{0, 0, 0, 0};
  if (global) y = w.emit_one("GlobalAveragePool", {x});
  else y = w.emit_one("AveragePool", {x}, {{"ceil_mode", int64_t{at.ceil_mode}}, {"count_include_pad", int64_t{at.count_include_pad}}, {"kernel_shape", list(at.kernel)},
                                           {"pads", list(at.padding)}, {"strides", list(at.stride)}});
  return {to_integers(w, y, at.y_scale, at.y_zero, t)};
}

std::string cut_floats(ForeignWriter& w, const std::string& y, float lo, float hi) {
  if (lo == 0 && hi == infinity) return w.emit_one("Relu", {y});
  auto bound = [&](float v) { return v > -infinity && v < infinity ? w.constant(Tensor::full({}, v), "bound") : std::string(); };
  return lo > -infinity || hi < infinity ? w.emit_one("Clip", {y, bound(lo), bound(hi)}) : y;
}

// int32 sums to floats: times x_scale * w_scale, plus bias, cut.
std::string scaled(ForeignWriter& w, const ForeignCall& f, const std::string& sums, const Shape& per_channel, float lo, float hi) {
  auto shaped = [&](const Tensor& t) { return miniten::reshape(t, per_channel); };
  std::string scale = w.emit_one("Mul", {f.in[1], w.constant(shaped(known(f, 4)), "scale")});
  std::string y = w.emit_one("Mul", {w.emit_one("Cast", {sums}, {{"to", onnx_type(DType::f32)}}), scale});
  if (f.in.size() == 6) y = w.emit_one("Add", {y, w.constant(shaped(known(f, 5)), "bias")});
  return cut_floats(w, y, lo, hi);
}
// ConvInteger's weights as uint8 around 128: the form that runtimes accept.
std::string shifted(ForeignWriter& w, const ForeignCall& f, int i) {
  return w.constant(miniten::cast(miniten::cast(known(f, i), DType::i32) + 128.0, DType::u8), "weight");
}
// Of int16 there are no integer products in ONNX: floats of integers.
std::string dynamic_floats(ForeignWriter& w, const ForeignCall& f) { return w.emit_one("DequantizeLinear", {f.in[0], f.in[1], f.in[2]}); }

// By DequantizeLinear in blocks, which runtimes fuse into MatMulNBits.
Names write_matmul_blocks(ForeignWriter& w, const ForeignCall& f) {
  require_opset(w, f, 21);
  const auto& at = f.call.as<MatmulBlocksAttrs>();
  const bool zeros = f.in.size() > 3 && f.call.in[3].shape.rank == 2;
  Names stored{f.in[1], f.in[2]};
  if (zeros) stored.push_back(f.in[3]);
  std::string weight = w.emit_one("DequantizeLinear", stored, {{"axis", int64_t{1}}, {"block_size", at.block}});
  if (Dim k = f.call.in[0].shape[-1]; k != f.call.in[1].shape[1]) {
    auto list = [&](int64_t v) { return w.constant(Tensor::of<int64_t>({1}, std::array<int64_t, 1>{v}), "end"); };
    weight = w.emit_one("Slice", {weight, list(0), list(k), list(1)});
  }
  std::string y = w.emit_one("MatMul", {f.in[0], w.emit_one("Transpose", {weight}, {{"perm", std::vector<int64_t>{1, 0}}})});
  if (f.in.size() > (zeros ? 4u : 3u)) y = w.emit_one("Add", {y, f.in.back()});
  return {cut_floats(w, y, at.lo, at.hi)};
}

}  // namespace

namespace onnx {
Names write_qconv_dynamic(ForeignWriter& w, const ForeignCall& f) {
  require_opset(w, f, 11);
  const auto& at = f.call.as<Conv2dAttrs>();
  const Shape& weight = f.call.in[3].shape;
  auto list = [](const Dims& d) { return std::vector<int64_t>(d.begin(), d.end()); };
  if (f.call.in[0].dtype == DType::i16) {
    Names in{dynamic_floats(w, f), by_channel(w, f.in[3], known(f, 4), f.call.in[3].dtype, 0)};
    if (f.in.size() == 6) in.push_back(f.in[5]);
    std::string y = w.emit_one("Conv", in, {{"dilations", list(at.dilation)}, {"group", at.groups}, {"kernel_shape", std::vector<int64_t>{weight[2], weight[3]}},
                                            {"pads", list(at.padding)}, {"strides", list(at.stride)}});
    return {cut_floats(w, y, at.lo, at.hi)};
  }
  std::string sums = w.emit_one("ConvInteger", {f.in[0], shifted(w, f, 3), f.in[2], w.constant(integer(128, DType::u8), "zero_point")},
                                {{"dilations", list(at.dilation)}, {"group", at.groups}, {"kernel_shape", std::vector<int64_t>{weight[2], weight[3]}},
                                 {"pads", list(at.padding)}, {"strides", list(at.stride)}});
  return {scaled(w, f, sums, {1, weight[0], 1, 1}, at.lo, at.hi)};
}
Names write_qmatmul_dynamic(ForeignWriter& w, const ForeignCall& f) {
  require_opset(w, f, 11);
  const auto& at = f.call.as<ClampAttrs>();
  if (f.call.in[0].dtype == DType::i16) {
    std::string y = w.emit_one("MatMul", {dynamic_floats(w, f), by_channel(w, f.in[3], known(f, 4), f.call.in[3].dtype, 1)});
    if (f.in.size() == 6) y = w.emit_one("Add", {y, f.in[5]});
    return {cut_floats(w, y, at.lo, at.hi)};
  }
  std::string sums = w.emit_one("MatMulInteger", {f.in[0], w.constant(miniten::copy(known(f, 3)), "weight"), f.in[2]});
  return {scaled(w, f, sums, {f.call.in[3].shape[1]}, at.lo, at.hi)};
}
Names write_convert(ForeignWriter& w, const ForeignCall& f) {
  require_opset(w, f, 10);
  int64_t axis = f.call.as<QuantizeAttrs>().axis;
  ForeignAttributes at;
  if (axis >= 0) at.emplace_back("axis", axis);
  return {w.emit_one(f.call.op.onnx.name, {f.in.begin(), f.in.end()}, at)};
}
Names write_dynamic_quantize(ForeignWriter& w, const ForeignCall& f) {
  if (f.call.as<DynamicQuantizeAttrs>().dtype == DType::u8) return w.emit("DynamicQuantizeLinear", {f.in[0]}, {}, 3);
  require_opset(w, f, 21);
  std::string largest = w.emit_one("ReduceMax", {w.emit_one("Abs", {f.in[0]})}, {{"keepdims", int64_t{0}}});
  std::string scale = w.emit_one("Div", {largest, w.constant(Tensor::full({}, 32767.0f), "steps")});
  scale = w.emit_one("Max", {scale, w.constant(Tensor::full({}, std::numeric_limits<float>::min()), "least")});
  std::string zero = w.constant(integer(0, DType::i16), "zero_point");
  return {w.emit_one("QuantizeLinear", {f.in[0], scale, zero}), scale, zero};
}

// One row. Halves go to even there, not away from 0.
Names write_quantize_rows(ForeignWriter& w, const ForeignCall& f) {
  if (f.call.in[0].shape[0] != 1) f.call.fail("one sample at a time for ONNX", f.call.in[0].text(), "export with a batch of 1", ErrorKind::unsupported);
  if (f.call.as<QuantizeRowsAttrs>().asymmetric) return w.emit("DynamicQuantizeLinear", {f.in[0]}, {}, 3);
  require_opset(w, f, 10);
  std::string scale = w.emit_one("Div", {w.emit_one("ReduceMax", {w.emit_one("Abs", {f.in[0]})}, {{"keepdims", int64_t{0}}}), w.constant(Tensor::full({}, 127.0f), "steps")});
  scale = w.emit_one("Max", {scale, w.constant(Tensor::full({}, std::numeric_limits<float>::min()), "least")});
  std::string zero = w.constant(integer(128, DType::u8), "zero_point");
  return {w.emit_one("QuantizeLinear", {f.in[0], scale, zero}), scale, zero};
}

constinit const ForeignRules quantize_rows{write_quantize_rows, nullptr}, qconv2d{write_qconv, nullptr}, qmatmul{write_qmatmul, nullptr}, qadd{write_qadd, nullptr}, qsub{write_qsub, nullptr},
    qmul{write_qmul, nullptr}, qavg_pool2d{write_qavg_pool, nullptr}, qtable{write_qtable, nullptr}, qsoftmax{write_qsoftmax, nullptr},
    qmatmul_pair{write_qmatmul_pair, nullptr}, matmul_blocks{write_matmul_blocks, nullptr};
}  // namespace onnx
}  // namespace miniten
