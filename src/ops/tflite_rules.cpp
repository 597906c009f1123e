#include "ops/tflite_rules.h"

namespace miniten::tflite {

Tensor optional(const ForeignNode& n, int i) { return i < n.inputs() ? n.input(i) : Tensor(); }

bool is_quantized(DType t, const Quantized* q) { return q && (t == DType::i8 || t == DType::u8 || t == DType::i16); }

namespace {
struct Parameters { Tensor scale, zero; };
Parameters parameters(const ForeignNode& n, const Quantized& q) {
  for (float s : q.scale) if (!(s > 0)) n.fail("scales above 0", std::to_string(s));
  Shape shape = q.scale.size() == 1 ? Shape{} : Shape{int64_t(q.scale.size())};
  Tensor zero = Tensor::empty({q.dtype, shape}), wide = Tensor::of<int32_t>(shape, q.zero);
  copy_values(wide.view(), zero.view());
  return {Tensor::of<float>(shape, q.scale), zero};
}
}  // namespace

Tensor real(const ForeignNode& n, const Tensor& x, const Quantized* q, int axis) {
  if (is_float(x.dtype())) return x.dtype() == DType::f32 ? x : miniten::cast(x, DType::f32);
  if (!q) n.fail("floats, or integers with a scale", x.spec().text());
  Quantized own = *q;
  own.dtype = x.dtype();
  Parameters p = parameters(n, own);
  return miniten::dequantize(x, p.scale, p.zero, q->scale.size() == 1 ? -1 : axis >= 0 ? axis : q->axis);
}
Tensor real(const ForeignNode& n, int i) { return real(n, n.required(i), n.quantized_input(i)); }

Tensor result(const ForeignNode& n, const Tensor& y, int i) {
  Spec want = n.output_spec(i);
  const Quantized* q = n.quantized_output(i);
  if (y.dtype() == want.dtype) return y;
  if (!is_float(y.dtype()) || is_float(want.dtype) || !q) return miniten::cast(y, want.dtype);
  if (is_exact(n)) n.fail("an operator whose rounding in LiteRT is known, for exact=\"tflite\"", std::string(n.type()) + " of " + std::string(name_of(want.dtype)), "load it without exact");
  if (q->scale.size() != 1) n.fail("one scale for the output", std::to_string(q->scale.size()));
  Parameters p = parameters(n, *q);
  return miniten::quantize(y, p.scale, p.zero);
}

Tensor as_output(const ForeignNode& n, const Tensor& x, int output, int input) {
  const Quantized *from = n.quantized_input(input), *to = n.quantized_output(output);
  Spec want = n.output_spec(output);
  bool differ = is_quantized(x.dtype(), from) && is_quantized(want.dtype, to) && (from->scale != to->scale || from->zero != to->zero || x.dtype() != want.dtype);
  return differ ? result(n, real(n, x, from), output) : x;
}
Tensor as_output(const ForeignNode& n, int i) { return as_output(n, n.required(i), 0, i); }

Bounds bounds_of(const ForeignNode& n) {
  switch (n.integer("fused_activation_function", 0)) {
    case 0: return {-infinity, infinity};
    case 1: return {0, infinity};
    case 2: return {-1, 1};
    case 3: return {0, 6};
    default: n.fail("fused activations NONE, RELU, RELU_N1_TO_1, RELU6 or TANH", std::to_string(n.integer("fused_activation_function", 0)));
  }
}
Tensor activated(const ForeignNode& n, const Tensor& y) {
  if (n.integer("fused_activation_function", 0) == 4) return miniten::tanh(y);
  Bounds b = bounds_of(n);
  if (b.lo == 0 && b.hi == infinity) return miniten::relu(y);
  return b.lo == -infinity ? y : miniten::clamp(y, b.lo, b.hi);
}

Tensor arranged(const ForeignNode& n, int i, const Axes& order) {
  Tensor x = n.required(i);
  if (x.rank() != order.rank) n.fail(std::to_string(order.rank) + " axes as input " + std::to_string(i), x.spec().text());
  Tensor w = n.weight(i, order);
  return w ? w : miniten::permute(x, order);
}
Tensor to_nchw(const Tensor& x) { return miniten::permute(x, {0, 3, 1, 2}); }
Tensor to_nhwc(const Tensor& x) { return miniten::permute(x, {0, 2, 3, 1}); }

int axis_of(const ForeignNode& n, int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) n.fail("an axis in [-" + std::to_string(rank) + ", " + std::to_string(rank) + ")", std::to_string(axis));
  return int(axis < 0 ? axis + rank : axis);
}

Window window_of(const ForeignNode& n, const Shape& x, int64_t kernel_h, int64_t kernel_w, int64_t first_padding) {
  if (x.rank != 4) n.fail("images (N, H, W, C)", x.text());
  Window w{{n.integer("stride_h", 1), n.integer("stride_w", 1)}, {n.integer("dilation_h_factor", 1), n.integer("dilation_w_factor", 1)}, {0, 0, 0, 0}};
  int64_t kernel[]{kernel_h, kernel_w};
  int64_t padding = n.integer("padding", 0) - first_padding;
  if (padding != 0 && padding != 1) n.fail("padding SAME or VALID", std::to_string(padding));
  for (int i = 0; i < 2; ++i) {
    int64_t limit = int64_t{1} << 20;
    if (w.stride[i] < 1 || w.dilation[i] < 1 || kernel[i] < 1 || w.stride[i] > limit || w.dilation[i] > limit || kernel[i] > limit)
      n.fail("strides, dilations and windows of 1 or more", w.stride.text() + ", " + w.dilation.text() + " and " + std::to_string(kernel[i]));
    if (padding == 1) continue;
    Dim size = x[i + 1];
    if (is_symbol(size)) n.fail("known sizes of images for SAME padding", x.text());
    int64_t reach = (kernel[i] - 1) * w.dilation[i] + 1, out = (size + w.stride[i] - 1) / w.stride[i];
    int64_t total = std::max<int64_t>(0, (out - 1) * w.stride[i] + reach - size);
    w.padding[i] = total / 2;
    w.padding[i + 2] = total - total / 2;
  }
  return w;
}

Compositions all_rules() {
  static const std::vector<ForeignComposition> all = [] {
    std::vector<ForeignComposition> v;
    for (auto part : {layer_rules(), math_rules(), shape_rules(), recurrent_rules(), control_rules()}) v.insert(v.end(), part.begin(), part.end());
    return v;
  }();
  return all;
}

}  // namespace miniten::tflite
