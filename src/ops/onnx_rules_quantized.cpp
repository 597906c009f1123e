#include "miniten/ops/ops.h"
#include "ops/onnx_windows.h"

namespace miniten {

// Operators of quantised models, read as float ops between dequantize and quantize.
namespace {

using Tensors = std::vector<Tensor>;

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
// A scale for each block along an axis: reckoned out.
Tensor dequantize_blocks(const ForeignNode& n, const Tensor& x, int64_t block) {
  Tensor scale = miniten::cast(n.required(1), DType::f32), zero = n.inputs() > 2 ? n.input(2) : Tensor();
  int axis = onnx::axis_of(n, n.integer("axis", 1), x.rank());
  if (block < 1 || scale.rank() != x.rank() || scale.dim(axis) != (x.dim(axis) + block - 1) / block)
    n.fail("a scale for each block of " + std::to_string(block), scale.spec().text());
  auto numbers = [](const Tensor& q) { return miniten::dequantize(q, Tensor::full({}, 1), Tensor::zeros({}, q.dtype())); };   // int4 too
  auto spread = [&](const Tensor& t) { return slice(onnx::repeat(t, axis, block), axis, 0, x.dim(axis)); };
  Tensor q = numbers(x);
  return (zero ? q - spread(numbers(zero)) : q) * spread(scale);
}
Tensors read_dequantize(const ForeignNode& n) {
  Tensor x = n.required(0);
  if (int64_t block = n.integer("block_size", 0)) return {dequantize_blocks(n, x, block)};
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
  return {as_integers(n, miniten::leaky_relu(as_floats(n, 0), n.number("alpha", double(0.01f))), 3)};
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
std::vector<std::string> write_convert(ForeignWriter&, const ForeignCall&), write_dynamic_quantize(ForeignWriter&, const ForeignCall&),
    write_qconv_dynamic(ForeignWriter&, const ForeignCall&), write_qmatmul_dynamic(ForeignWriter&, const ForeignCall&);   // onnx_rules_integers.cpp

Compositions quantized_rules() { return rules; }
constinit const ForeignRules quantize{write_convert, read_quantize}, dequantize{write_convert, read_dequantize},
    dynamic_quantize{write_dynamic_quantize, read_dynamic_quantize}, qconv2d_dynamic{write_qconv_dynamic, read_conv_integer},
    qmatmul_dynamic{write_qmatmul_dynamic, read_matmul_integer};

}  // namespace onnx
}  // namespace miniten
