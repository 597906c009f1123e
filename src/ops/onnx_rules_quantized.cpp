#include "miniten/ops/ops.h"
#include "ops/onnx_windows.h"

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
struct Window2 { Conv2dAttrs at; bool line; };
// Integer sums in double precision: exact.
Tensor centred(const ForeignNode& n, int x, int zero) {
  Tensor t = miniten::cast(n.required(x), DType::f64);
  Tensor z = zero < n.inputs() ? n.input(zero) : Tensor();
  return z ? t - miniten::cast(z, DType::f64) : t;
}
Window2 window2(const ForeignNode& n, const Tensor& x, const Tensor& weight) {
  if (weight.rank() < 3 || weight.rank() > 4 || x.rank() != weight.rank()) n.fail("one or two spatial axes", x.spec().text() + " and " + weight.spec().text());
  std::vector<int64_t> kernel;
  for (int i = 2; i < weight.rank(); ++i) kernel.push_back(weight.dim(i));
  onnx::Windows w = onnx::windows_of(n, x.shape(), kernel);
  Conv2dAttrs at{.groups = n.integer("group", 1)};
  auto dims = [](const std::vector<int64_t>& v) { return Dims(std::span<const Dim>(v)); };
  bool line = weight.rank() == 3;
  at.stride = line ? Dims{1, w.stride[0]} : dims(w.stride);
  at.dilation = line ? Dims{1, w.dilation[0]} : dims(w.dilation);
  at.padding = line ? Dims{0, w.before[0], 0, w.after[0]} : Dims{w.before[0], w.before[1], w.after[0], w.after[1]};
  return {at, line};
}
Tensor convolve(const ForeignNode& n, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  Window2 w = window2(n, x, weight);
  Tensor y = miniten::conv2d(w.line ? unsqueeze(x, 2) : x, w.line ? unsqueeze(weight, 2) : weight, bias, w.at);
  return w.line ? squeeze(y, 2) : y;
}
Tensors read_conv_integer(const ForeignNode& n) {
  Tensor w = miniten::cast(n.required(1), DType::f64);
  if (Tensor z = n.inputs() > 3 ? n.input(3) : Tensor()) {                 // one zero point, or one for each output channel
    z = miniten::cast(z, DType::f64);
    Shape by_channel = Dims::filled(w.rank(), 1);
    by_channel[0] = -1;
    w = w - (z.rank() == 0 ? z : miniten::reshape(z, by_channel));
  }
  return {miniten::cast(convolve(n, centred(n, 0, 2), w, {}), DType::i32)};
}
Tensor for_columns(const ForeignNode& n, const Tensor& z, const Tensor& b) {  // a zero point or scale for each column of b
  if (z.numel() == 1 || z.rank() != 1) return z;
  if (b.rank() < 2 || z.dim(0) != b.dim(-1)) n.fail("one for each column of " + b.spec().text(), z.spec().text());
  return z;
}
Tensors read_matmul_integer(const ForeignNode& n) {
  Tensor a = miniten::cast(n.required(0), DType::f64), b = miniten::cast(n.required(1), DType::f64);
  if (Tensor z = n.inputs() > 2 ? n.input(2) : Tensor()) {                 // for each row of a
    z = miniten::cast(z, DType::f64);
    a = a - (z.rank() == 1 && z.numel() > 1 ? unsqueeze(z, 1) : z);
  }
  if (Tensor z = n.inputs() > 3 ? n.input(3) : Tensor()) b = b - for_columns(n, miniten::cast(z, DType::f64), b);
  return {miniten::cast(miniten::matmul(a, b), DType::i32)};
}

// ---- QLinear ops: the float op between dequantize and quantize, which compiled graphs lower to integers again ----
Tensor as_floats(const ForeignNode& n, int x, int axis = -1) {             // inputs x, x + 1, x + 2: values, scale, zero point
  Tensor q = n.required(x), scale = miniten::cast(n.required(x + 1), DType::f32), zero = x + 2 < n.inputs() ? n.input(x + 2) : Tensor();
  if (!zero) zero = Tensor::zeros(scale.shape(), q.dtype());
  if (scale.numel() == 1) return miniten::dequantize(q, miniten::reshape(scale, {}), miniten::reshape(zero, {}));
  if (scale.rank() == 1 && axis >= -1 && axis + int(q.rank()) >= 0 && zero.shape() == scale.shape()) {
    int at = axis < 0 ? q.rank() - 1 : axis;
    return miniten::dequantize(q, scale, zero, at);
  }
  // rows or batches with scales of their own: reckoned out
  return (miniten::cast(q, DType::f32) - miniten::cast(zero, DType::f32)) * scale;
}
Tensor as_integers(const ForeignNode& n, const Tensor& y, int scale) {     // inputs scale, scale + 1
  Tensor s = miniten::cast(n.required(scale), DType::f32), zero = n.required(scale + 1);
  if (s.numel() != 1 || zero.numel() != 1) n.fail("one output scale and zero point", s.spec().text());
  return miniten::quantize(y, miniten::reshape(s, {}), miniten::reshape(zero, {}));
}
Tensors read_qlinear_conv(const ForeignNode& n) {
  Tensor w = as_floats(n, 3, 0), bias = n.inputs() > 8 ? n.input(8) : Tensor();
  if (bias) {
    Tensor scale = miniten::reshape(miniten::cast(n.required(4), DType::f32) * miniten::reshape(n.required(1), {}), {-1});
    if (scale.numel() == 1) bias = miniten::dequantize(bias, miniten::reshape(scale, {}), Tensor::full({}, 0, DType::i32));
    else bias = miniten::dequantize(bias, scale, Tensor::zeros(scale.shape(), DType::i32), 0);
  }
  return {as_integers(n, convolve(n, as_floats(n, 0), w, bias), 6)};
}
Tensors read_qlinear_matmul(const ForeignNode& n) {
  // Exact sums first, one multiply after: the definition, whatever the shapes of the scales.
  Tensor a = n.required(0), b = n.required(3), sa = miniten::cast(n.required(1), DType::f32), sb = miniten::cast(n.required(4), DType::f32);
  Tensor za = miniten::cast(n.required(2), DType::f64), zb = miniten::cast(n.required(5), DType::f64);
  if (sa.numel() == 1 && sb.numel() == 1) {
    if (b.has_data() && !mode().recorder) {
      Tensor sums = miniten::matmul(miniten::cast(a, DType::f64) - miniten::reshape(za, {}), miniten::cast(b, DType::f64) - miniten::reshape(zb, {}));
      Tensor scale = miniten::reshape(sa, {}) * miniten::reshape(sb, {});
      return {as_integers(n, miniten::cast(sums, DType::f32) * scale, 6)};
    }
    return {as_integers(n, miniten::matmul(as_floats(n, 0), as_floats(n, 3)), 6)};
  }
  Tensor sums = miniten::matmul(miniten::cast(a, DType::f64) - za, miniten::cast(b, DType::f64) - zb);
  return {as_integers(n, miniten::cast(sums, DType::f32) * (sa * sb), 6)};
}
Tensors read_qgemm(const ForeignNode& n) {                                 // A, a_scale, a_zero, B, b_scale, b_zero, C, y_scale, y_zero
  Tensor a = as_floats(n, 0), b = as_floats(n, 3, n.integer("transB", 0) ? 0 : 1), c = n.inputs() > 6 ? n.input(6) : Tensor();
  Tensor scale = miniten::reshape(miniten::cast(n.required(4), DType::f32) * miniten::reshape(n.required(1), {}), {-1});
  double alpha = n.number("alpha", 1);
  if (n.integer("transA", 0)) a = transpose(a);
  if (n.integer("transB", 0)) b = transpose(b);
  Tensor y = miniten::matmul(a, b);
  if (alpha != 1) y = y * alpha;
  if (c) {
    Tensor zero = Tensor::zeros(scale.shape(), DType::i32);
    y = y + (scale.numel() == 1 ? miniten::dequantize(c, miniten::reshape(scale, {}), miniten::reshape(zero, {})) : miniten::dequantize(c, scale, zero, 0));
  }
  if (n.inputs() < 8 || !n.input(7)) return {y};
  return {as_integers(n, y, 7)};
}
Tensors read_qlinear_add(const ForeignNode& n) { return {as_integers(n, as_floats(n, 0) + as_floats(n, 3), 6)}; }
Tensors read_qlinear_mul(const ForeignNode& n) { return {as_integers(n, as_floats(n, 0) * as_floats(n, 3), 6)}; }
Tensors read_qlinear_sigmoid(const ForeignNode& n) { return {as_integers(n, sigmoid(as_floats(n, 0)), 3)}; }
Tensors read_qlinear_leaky(const ForeignNode& n) {
  Tensor x = as_floats(n, 0);
  return {as_integers(n, miniten::where(greater(x, number_like(x, 0)), x, x * n.number("alpha", 0.01)), 3)};
}
Tensors read_qlinear_softmax(const ForeignNode& n) { return {as_integers(n, miniten::softmax(as_floats(n, 0), int(n.integer("axis", -1))), 3)}; }
Tensors read_qlinear_global(const ForeignNode& n) {
  Tensor x = as_floats(n, 0);
  bool last = n.integer("channels_last", 0) != 0;
  Axes axes;
  for (int i = 0; i < x.rank(); ++i) if (i != 0 && i != (last ? x.rank() - 1 : 1)) axes.push(i);
  return {as_integers(n, mean(x, axes, true), 3)};
}
Tensors read_qlinear_concat(const ForeignNode& n) {                        // y_scale, y_zero, then values, scale and zero of each
  Tensors parts;
  for (int i = 2; i + 2 < n.inputs(); i += 3) parts.push_back(as_floats(n, i));
  return {as_integers(n, miniten::concat(parts, int(n.integer("axis", 0))), 0)};
}
Tensors read_matmul_to_float(const ForeignNode& n) {                       // a, b, a_scale, b_scale, a_zero, b_zero, bias
  auto input = [&](int i) { return i < n.inputs() ? n.input(i) : Tensor(); };
  auto centred = [&](int x, int zero) {
    Tensor t = miniten::cast(n.required(x), DType::f64);
    return input(zero) ? t - miniten::cast(input(zero), DType::f64) : t;
  };
  Tensor y = miniten::cast(miniten::matmul(centred(0, 4), centred(1, 5)), DType::f32) * (n.required(2) * n.required(3));
  return {input(6) ? y + input(6) : y};
}
Tensors read_dynamic_matmul(const ForeignNode& n) {                        // a float, b, b_scale, b_zero, bias
  auto input = [&](int i) { return i < n.inputs() ? n.input(i) : Tensor(); };
  Tensor q[3], x = n.required(0);
  Input in[]{x};
  apply(dynamic_quantize_op, in, nullptr, q);
  Tensor b = miniten::cast(n.required(1), DType::f64);
  if (input(3)) b = b - miniten::cast(input(3), DType::f64);
  Tensor y = miniten::cast(miniten::matmul(miniten::cast(q[0], DType::f64) - miniten::cast(q[2], DType::f64), b), DType::f32) * (q[1] * n.required(2));
  return {input(4) ? y + input(4) : y};
}
// Weights in blocks of 4 or 8 bits with a scale each: B (N, blocks, bytes), y = A @ dequantised(B)^T.
Tensors read_matmul_nbits(const ForeignNode& n) {
  int64_t k = n.integer("K", 0), columns = n.integer("N", 0), bits = n.integer("bits", 4), block = n.integer("block_size", 0);
  Tensor packed = n.constant(1).clone(), scales = n.constant(2), given = n.inputs() > 3 ? n.input(3) : Tensor();
  if (n.inputs() > 4 && n.input(4)) n.fail("weights in their order", "a group index");
  if ((bits != 4 && bits != 8) || k < 1 || columns < 1 || block < 1) n.fail("4 or 8 bits in blocks", std::to_string(bits) + " bits");
  int64_t blocks = (k + block - 1) / block, row = (block * bits + 7) / 8, zero_row = (blocks * bits + 7) / 8;
  if (packed.dtype() != DType::u8 || packed.numel() != columns * blocks * row || scales.numel() != columns * blocks) n.fail("uint8 weights (N, blocks, bytes) and a scale for each block", packed.spec().text());
  std::vector<double> s = onnx::numbers_of(n, 2), zeros;
  if (given && is_float(given.dtype())) zeros = onnx::numbers_of(n, 3);
  else if (given) {
    Tensor z = n.constant(3).clone();
    if (z.dtype() != DType::u8 || z.numel() != columns * zero_row) n.fail("packed zero points (N, bytes)", z.spec().text());
    for (int64_t c = 0; c < columns; ++c)
      for (int64_t j = 0; j < blocks; ++j) {
        uint8_t byte = z.view().as<uint8_t>()[c * zero_row + j * bits / 8];
        zeros.push_back(bits == 8 ? byte : j % 2 ? byte >> 4 : byte & 15);
      }
  }
  if (!zeros.empty() && int64_t(zeros.size()) != columns * blocks) n.fail("a zero point for each block", std::to_string(zeros.size()));
  std::vector<float> w(size_t(columns * k));
  for (int64_t c = 0; c < columns; ++c)
    for (int64_t i = 0; i < k; ++i) {
      int64_t j = i / block, in = i % block;
      uint8_t byte = packed.view().as<uint8_t>()[(c * blocks + j) * row + in * bits / 8];
      double q = bits == 8 ? byte : in % 2 ? byte >> 4 : byte & 15;
      auto b = size_t(c * blocks + j);
      w[size_t(i * columns + c)] = float((q - (zeros.empty() ? double(1 << (bits - 1)) : zeros[b])) * s[b]);
    }
  Tensor weight = miniten::cast(Tensor::of<float>({k, columns}, w), n.required(0).dtype());
  Tensor y = miniten::matmul(n.required(0), weight), bias = n.inputs() > 5 ? n.input(5) : Tensor();
  return {bias ? y + bias : y};
}

constexpr ForeignComposition rules[] = {
    {"onnx", "QLinearConv", read_qlinear_conv}, {"onnx", "QLinearMatMul", read_qlinear_matmul}, {"onnx", "com.microsoft.QGemm", read_qgemm},
    {"onnx", "com.microsoft.QLinearAdd", read_qlinear_add}, {"onnx", "com.microsoft.QLinearMul", read_qlinear_mul},
    {"onnx", "com.microsoft.QLinearSigmoid", read_qlinear_sigmoid}, {"onnx", "com.microsoft.QLinearLeakyRelu", read_qlinear_leaky},
    {"onnx", "com.microsoft.QLinearSoftmax", read_qlinear_softmax}, {"onnx", "com.microsoft.QLinearGlobalAveragePool", read_qlinear_global},
    {"onnx", "com.microsoft.QLinearConcat", read_qlinear_concat}, {"onnx", "com.microsoft.MatMulIntegerToFloat", read_matmul_to_float},
    {"onnx", "com.microsoft.DynamicQuantizeMatMul", read_dynamic_matmul}, {"onnx", "com.microsoft.MatMulNBits", read_matmul_nbits},
    {"onnx", "com.microsoft.QuantizeLinear", read_quantize}, {"onnx", "com.microsoft.DequantizeLinear", read_dequantize}};

}  // namespace

namespace onnx {
Compositions quantized_rules() { return rules; }
constinit const ForeignRules quantize{write_convert, read_quantize}, dequantize{write_convert, read_dequantize},
    dynamic_quantize{write_dynamic_quantize, read_dynamic_quantize}, qconv2d{write_qconv, nullptr}, qmatmul{write_qmatmul, nullptr},
    qadd{write_qadd, nullptr}, qavg_pool2d{write_qavg_pool, nullptr}, qconv2d_dynamic{write_qconv_dynamic, read_conv_integer},
    qmatmul_dynamic{write_qmatmul_dynamic, read_matmul_integer};

}  // namespace onnx
}  // namespace miniten
