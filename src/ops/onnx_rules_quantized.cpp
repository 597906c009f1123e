#include "miniten/ops/ops.h"
#include "ops/onnx_rules.h"

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
  int64_t least = t == DType::i8 ? -128 : 0;
  if (lo == least && hi == least + 255) return y;
  if (lo == zero && hi == least + 255) return w.emit_one("Relu", {y});
  return w.emit_one("Clip", {y, w.constant(Tensor::full({}, float(lo - zero) * scale), "bound"), w.constant(Tensor::full({}, float(hi - zero) * scale), "bound")});
}
const Tensor& known(const ForeignCall& f, int i) {
  const Tensor* t = f.call.value(i);
  if (!t) throw Error(ErrorKind::unsupported, "export", "constant scales", "computed ones in layer \"" + std::string(f.node) + "\"");
  return *t;
}
Tensor bias_scale(const ForeignCall& f, int w_scale, float x_scale) { return known(f, w_scale) * double(x_scale); }
void require_opset(ForeignWriter& w, const ForeignCall& f, int opset) {
  if (w.version() < opset)
    throw Error(ErrorKind::unsupported, "export", "opset " + std::to_string(opset) + " or later for quantised layers", "opset " + std::to_string(w.version()) + " in layer \"" + std::string(f.node) + "\"");
}

Names write_qconv(ForeignWriter& w, const ForeignCall& f) {
  require_opset(w, f, 13);
  const auto& at = f.call.as<QConv2dAttrs>();
  const Shape& weight = f.call.in[1].shape;
  Names in{to_floats(w, f.in[0], at.x_scale, at.x_zero, f.call.in[0].dtype), by_channel(w, f.in[1], known(f, 2), DType::i8, 0)};
  if (f.in.size() == 4) in.push_back(by_channel(w, f.in[3], bias_scale(f, 2, at.x_scale), DType::i32, 0));
  auto list = [](const Dims& d) { return std::vector<int64_t>(d.begin(), d.end()); };
  std::string y = w.emit_one("Conv", in, {{"dilations", list(at.dilation)}, {"group", at.groups}, {"kernel_shape", std::vector<int64_t>{weight[2], weight[3]}},
                                          {"pads", list(at.padding)}, {"strides", list(at.stride)}});
  y = cut(w, y, at.lo, at.hi, at.y_zero, at.y_scale, at.dtype);
  return {to_integers(w, y, at.y_scale, at.y_zero, at.dtype)};
}
Names write_qmatmul(ForeignWriter& w, const ForeignCall& f) {
  require_opset(w, f, 13);
  const auto& at = f.call.as<QMatmulAttrs>();
  std::string x = to_floats(w, f.in[0], at.x_scale, at.x_zero, f.call.in[0].dtype), weight = by_channel(w, f.in[1], known(f, 2), DType::i8, 1), y;
  std::string bias = f.in.size() == 4 ? by_channel(w, f.in[3], bias_scale(f, 2, at.x_scale), DType::i32, 0) : "";
  if (!bias.empty() && f.call.in[0].shape.rank == 2) y = w.emit_one("Gemm", {x, weight, bias});
  else {
    y = w.emit_one("MatMul", {x, weight});
    if (!bias.empty()) y = w.emit_one("Add", {y, bias});
  }
  y = cut(w, y, at.lo, at.hi, at.y_zero, at.y_scale, at.dtype);
  return {to_integers(w, y, at.y_scale, at.y_zero, at.dtype)};
}
Names write_qadd(ForeignWriter& w, const ForeignCall& f) {
  require_opset(w, f, 13);
  const auto& at = f.call.as<QAddAttrs>();
  DType t = f.call.in[0].dtype;
  std::string y = w.emit_one("Add", {to_floats(w, f.in[0], at.a_scale, at.a_zero, t), to_floats(w, f.in[1], at.b_scale, at.b_zero, t)});
  return {to_integers(w, cut(w, y, at.lo, at.hi, at.y_zero, at.y_scale, t), at.y_scale, at.y_zero, t)};
}
Names write_qavg_pool(ForeignWriter& w, const ForeignCall& f) {
  require_opset(w, f, 13);
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

// int32 sums to floats: times x_scale * w_scale, plus bias, cut.
std::string scaled(ForeignWriter& w, const ForeignCall& f, const std::string& sums, const Shape& per_channel, float lo, float hi) {
  auto shaped = [&](const Tensor& t) { return miniten::reshape(t, per_channel); };
  std::string scale = w.emit_one("Mul", {f.in[1], w.constant(shaped(known(f, 4)), "scale")});
  std::string y = w.emit_one("Mul", {w.emit_one("Cast", {sums}, {{"to", onnx_type(DType::f32)}}), scale});
  if (f.in.size() == 6) y = w.emit_one("Add", {y, w.constant(shaped(known(f, 5)), "bias")});
  if (lo == 0 && hi == infinity) return w.emit_one("Relu", {y});
  auto bound = [&](float v) { return v > -infinity && v < infinity ? w.constant(Tensor::full({}, v), "bound") : std::string(); };
  return lo > -infinity || hi < infinity ? w.emit_one("Clip", {y, bound(lo), bound(hi)}) : y;
}
// ConvInteger's weights as uint8 around 128: the form that runtimes accept.
std::string shifted(ForeignWriter& w, const ForeignCall& f, int i) {
  return w.constant(miniten::cast(miniten::cast(known(f, i), DType::i32) + 128.0, DType::u8), "weight");
}
Names write_qconv_dynamic(ForeignWriter& w, const ForeignCall& f) {
  require_opset(w, f, 11);
  const auto& at = f.call.as<Conv2dAttrs>();
  const Shape& weight = f.call.in[3].shape;
  auto list = [](const Dims& d) { return std::vector<int64_t>(d.begin(), d.end()); };
  std::string sums = w.emit_one("ConvInteger", {f.in[0], shifted(w, f, 3), f.in[2], w.constant(integer(128, DType::u8), "zero_point")},
                                {{"dilations", list(at.dilation)}, {"group", at.groups}, {"kernel_shape", std::vector<int64_t>{weight[2], weight[3]}},
                                 {"pads", list(at.padding)}, {"strides", list(at.stride)}});
  return {scaled(w, f, sums, {1, weight[0], 1, 1}, at.lo, at.hi)};
}
Names write_qmatmul_dynamic(ForeignWriter& w, const ForeignCall& f) {
  require_opset(w, f, 11);
  const auto& at = f.call.as<ClampAttrs>();
  std::string sums = w.emit_one("MatMulInteger", {f.in[0], w.constant(miniten::copy(known(f, 3)), "weight"), f.in[2]});
  return {scaled(w, f, sums, {f.call.in[3].shape[1]}, at.lo, at.hi)};
}

Names write_convert(ForeignWriter& w, const ForeignCall& f) {
  int64_t axis = f.call.as<QuantizeAttrs>().axis;
  ForeignAttributes at;
  if (axis >= 0) at.emplace_back("axis", axis);
  return {w.emit_one(f.call.op.onnx.name, {f.in.begin(), f.in.end()}, at)};
}
Names write_dynamic_quantize(ForeignWriter& w, const ForeignCall& f) { return w.emit("DynamicQuantizeLinear", {f.in[0]}, {}, 3); }

struct Parameters { Tensor scale, zero; int axis; };
Parameters parameters(const ForeignNode& n, const Tensor& x) {
  Tensor scale = n.required(1), zero = n.inputs() > 2 ? n.input(2) : Tensor();
  if (n.integer("block_size", 0) != 0) n.fail("one scale for the tensor or for each index of an axis", "blocks");
  if (scale.dtype() != DType::f32) n.fail("a float32 scale", scale.spec().text());
  DType t = is_float(x.dtype()) ? DType::u8 : x.dtype();
  if (!zero) {
    if (DType wanted; n.integer("output_dtype", 0) && from_onnx_type(n.integer("output_dtype", 0), wanted)) t = wanted;
    zero = Tensor::zeros(scale.shape(), t);
  }
  if (scale.numel() == 1) return {miniten::reshape(scale, {}), miniten::reshape(zero, {}), -1};
  int64_t axis = n.integer("axis", 1);
  if (axis < 0) axis += x.rank();
  if (scale.rank() != 1 || axis < 0 || axis >= x.rank()) n.fail("one scale for the tensor or for each index of an axis", scale.spec().text());
  return {scale, zero, int(axis)};
}
Tensors read_quantize(const ForeignNode& n) {
  Tensor x = n.required(0);
  Parameters p = parameters(n, x);
  return {miniten::quantize(miniten::cast(x, DType::f32), p.scale, p.zero, p.axis)};
}
Tensors read_dequantize(const ForeignNode& n) {
  Tensor x = n.required(0);
  Parameters p = parameters(n, x);
  return {miniten::dequantize(x, p.scale, p.zero, p.axis)};
}
Tensors read_dynamic_quantize(const ForeignNode& n) {
  Tensor out[3], x = n.required(0);
  Input in[]{x};
  apply(dynamic_quantize_op, in, nullptr, out);
  return {out[0], out[1], out[2]};
}
// Integer sums in double precision: exact.
Tensor centred(const ForeignNode& n, int x, int zero) {
  Tensor t = miniten::cast(n.required(x), DType::f64);
  Tensor z = zero < n.inputs() ? n.input(zero) : Tensor();
  return z ? t - miniten::cast(z, DType::f64) : t;
}
Tensors read_conv_integer(const ForeignNode& n) {
  auto list = [&](std::string_view name, std::vector<int64_t> otherwise) { auto v = n.integers(name, std::move(otherwise)); return Dims(std::span<const Dim>(v)); };
  if (std::string a = n.text("auto_pad", "NOTSET"); a != "NOTSET") n.fail("explicit pads", "auto_pad " + a);
  Conv2dAttrs at{.stride = list("strides", {1, 1}), .padding = list("pads", {0, 0, 0, 0}), .dilation = list("dilations", {1, 1}), .groups = n.integer("group", 1)};
  return {miniten::cast(miniten::conv2d(centred(n, 0, 2), centred(n, 1, 3), {}, at), DType::i32)};
}
Tensors read_matmul_integer(const ForeignNode& n) { return {miniten::cast(miniten::matmul(centred(n, 0, 2), centred(n, 1, 3)), DType::i32)}; }

}  // namespace

namespace onnx {
constinit const ForeignRules quantize{write_convert, read_quantize}, dequantize{write_convert, read_dequantize},
    dynamic_quantize{write_dynamic_quantize, read_dynamic_quantize}, qconv2d{write_qconv, nullptr}, qmatmul{write_qmatmul, nullptr},
    qadd{write_qadd, nullptr}, qavg_pool2d{write_qavg_pool, nullptr}, qconv2d_dynamic{write_qconv_dynamic, read_conv_integer},
    qmatmul_dynamic{write_qmatmul_dynamic, read_matmul_integer};

}  // namespace onnx
}  // namespace miniten
