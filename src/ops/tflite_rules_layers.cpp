#include "ops/tflite_rules.h"

namespace miniten::tflite {

namespace {

// The bias as floats. Integers stand for multiples of x_scale * w_scale, whatever the file says of them.
Tensor bias_of(const ForeignNode& n, int i, const Quantized* x, const Quantized* w) {
  Tensor b = optional(n, i);
  if (!b || is_float(b.dtype())) return b && b.dtype() != DType::f32 ? miniten::cast(b, DType::f32) : b;
  if (!x || !w || b.rank() != 1) n.fail("a float bias, or a quantised input and weight", b.spec().text());
  std::vector<float> scale(size_t(b.dim(0)));
  if (w->scale.size() != 1 && w->scale.size() != scale.size()) n.fail("a weight scale for each output", std::to_string(w->scale.size()));
  for (size_t c = 0; c < scale.size(); ++c) scale[c] = x->scale[0] * w->scale[w->scale.size() == 1 ? 0 : c];
  if (b.dtype() == DType::i64) return miniten::cast(miniten::cast(b, DType::f64) * miniten::cast(Tensor::of<float>(b.shape(), scale), DType::f64), DType::f32);
  Quantized q{scale, std::vector<int32_t>(scale.size(), 0), scale.size() == 1 ? -1 : 0, 0, b.dtype()};
  return real(n, b, &q, 0);
}

Tensors fully_connected(const ForeignNode& n) {
  if (n.integer("weights_format", 0) != 0) n.fail("weights in their order", "shuffled weights");
  Tensor x = real(n, 0), w = real(n, n.required(1), n.quantized_input(1));
  if (w.rank() != 2) n.fail("weights (out, in)", w.spec().text());
  bool keep = n.integer("keep_num_dims", 0) != 0;
  if (keep && x.dim(-1) != w.dim(1)) n.fail("inputs of " + std::to_string(w.dim(1)), x.spec().text());
  if (!keep && (x.rank() != 2 || x.dim(1) != w.dim(1))) x = miniten::reshape(x, {-1, w.dim(1)});
  Tensor y = miniten::linear(x, w, bias_of(n, 2, n.quantized_input(0), n.quantized_input(1)));
  return {result(n, activated(n, y))};
}

Tensor convolve(const ForeignNode& n, const Tensor& w, int64_t groups) {
  Tensor x = real(n, 0);
  Window at = window_of(n, x.shape(), w.dim(2), w.dim(3));
  Tensor y = miniten::conv2d(to_nchw(x), w, bias_of(n, 2, n.quantized_input(0), n.quantized_input(1)),
                             {.stride = at.stride, .padding = at.padding, .dilation = at.dilation, .groups = groups});
  return to_nhwc(result(n, activated(n, y)));
}
Tensors conv_2d(const ForeignNode& n) {
  Tensor w = arranged(n, 1, {0, 3, 1, 2}), x = n.required(0);             // (O, H, W, I) in the file
  if (x.rank() != 4 || is_symbol(x.dim(3)) || w.dim(1) < 1 || x.dim(3) % w.dim(1)) n.fail("images whose channels the weights divide", x.spec().text() + " and " + w.spec().text());
  return {convolve(n, real(n, w, n.quantized_input(1), 0), x.dim(3) / w.dim(1))};
}
Tensors depthwise_conv_2d(const ForeignNode& n) {
  Tensor w = arranged(n, 1, {3, 0, 1, 2}), x = n.required(0);             // (1, H, W, C * multiplier) in the file
  if (x.rank() != 4 || w.dim(1) != 1 || is_symbol(x.dim(3)) || x.dim(3) < 1 || w.dim(0) % x.dim(3)) n.fail("images and weights (1, H, W, C * multiplier)", x.spec().text() + " and " + w.spec().text());
  return {convolve(n, real(n, w, n.quantized_input(1), 0), x.dim(3))};
}

Tensors pool(const ForeignNode& n) {
  Tensor x = n.required(0);
  int64_t h = n.integer("filter_height", 1), w = n.integer("filter_width", 1);
  Window at = window_of(n, x.shape(), h, w);
  Pool2dAttrs a{.kernel = {h, w}, .stride = at.stride, .padding = at.padding, .count_include_pad = false};
  if (n.type() == "AVERAGE_POOL_2D") return {to_nhwc(result(n, activated(n, miniten::avg_pool2d(to_nchw(real(n, 0)), a))))};
  return {to_nhwc(result(n, activated(n, miniten::max_pool2d(to_nchw(real(n, 0)), a))))};
}

Tensors softmax(const ForeignNode& n) {
  Tensor x = real(n, 0);
  double beta = n.number("beta", 1);
  return {result(n, miniten::softmax(beta == 1 ? x : x * beta, -1))};
}

Tensors arithmetic(const ForeignNode& n) {
  bool integers = !is_float(n.required(0).dtype()) && !is_quantized(n.required(0).dtype(), n.quantized_input(0));
  Tensor a = integers ? n.required(0) : real(n, 0), b = integers ? n.required(1) : real(n, 1), y;
  switch (n.type()[0]) {
    case 'A': y = a + b; break;
    case 'S': y = a - b; break;
    case 'M': y = a * b; break;
    default: y = a / b;
  }
  return {result(n, activated(n, y))};
}

Tensors reshape(const ForeignNode& n) {
  Tensor x = n.required(0), shape = optional(n, 1);
  std::vector<int64_t> sizes = shape && shape.has_data() ? n.constant_integers(1) : n.integers("new_shape", {});
  if (sizes.empty() && (!shape || shape.numel() != 0)) for (Dim d : n.output_spec(0).shape) sizes.push_back(d);
  return {miniten::reshape(x, Dims(std::span<const Dim>(sizes)))};
}

}  // namespace

Compositions layer_rules() {
  static constexpr ForeignComposition rules[] = {
      {"tflite", "FULLY_CONNECTED", fully_connected}, {"tflite", "CONV_2D", conv_2d}, {"tflite", "DEPTHWISE_CONV_2D", depthwise_conv_2d},
      {"tflite", "AVERAGE_POOL_2D", pool}, {"tflite", "MAX_POOL_2D", pool}, {"tflite", "SOFTMAX", softmax}, {"tflite", "ADD", arithmetic},
      {"tflite", "SUB", arithmetic}, {"tflite", "MUL", arithmetic}, {"tflite", "DIV", arithmetic}, {"tflite", "RESHAPE", reshape}};
  return rules;
}

}  // namespace miniten::tflite
