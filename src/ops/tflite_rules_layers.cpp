#include "ops/quantized/lowering.h"
#include "ops/quantized/rows.h"
#include "ops/tflite_rules.h"

namespace miniten::tflite {

namespace {

Tensor half_away(const Tensor& x) { return sign(x) * miniten::floor(miniten::abs(x) + 0.5); }     // to nearest, halves away from 0

// The bias as floats. Integers stand for multiples of x_scale * w_scale, whatever the file says of them.
Tensor bias_of(const ForeignNode& n, int i, int x, int w) {
  Tensor b = optional(n, i);
  if (!b || is_float(b.dtype())) return b && b.dtype() != DType::f32 ? miniten::cast(b, DType::f32) : b;
  const Quantized *qx = n.quantized_input(x), *qw = n.quantized_input(w);
  if (!qx || !qw || b.rank() != 1) n.fail("a float bias, or a quantised input and weight", b.spec().text());
  std::vector<float> scale(size_t(b.dim(0)));
  if (qw->scale.size() != 1 && qw->scale.size() != scale.size()) n.fail("a weight scale for each output", std::to_string(qw->scale.size()));
  for (size_t c = 0; c < scale.size(); ++c) scale[c] = qx->scale[0] * qw->scale[qw->scale.size() == 1 ? 0 : c];
  if (b.dtype() == DType::i64) return miniten::cast(miniten::cast(b, DType::f64) * miniten::cast(Tensor::of<float>(b.shape(), scale), DType::f64), DType::f32);
  Quantized q{scale, std::vector<int32_t>(scale.size(), 0), scale.size() == 1 ? -1 : 0, 0, b.dtype()};
  return real(n, b, &q, 0);
}

// Float activations that meet integer weights (dynamic range): rounded to 8 bits by the range of each batch, as LiteRT does.
Tensor rounded(const Tensor& x, bool asymmetric) {
  Axes rest;
  for (int i = 1; i < x.rank(); ++i) rest.push(i);
  Tensor hi = miniten::max(x, rest, true), lo = miniten::min(x, rest, true);
  if (!asymmetric) {
    Tensor range = maximum(hi, -lo), some = greater(range, number_like(x, 0)), one = number_like(x, 1);
    range = miniten::where(some, range, one);
    return miniten::clamp(half_away(x * (127.0 / range)), -127, 127) * (range / 127.0);
  }
  Tensor top = miniten::cast(hi, DType::f64), bottom = miniten::cast(lo, DType::f64), zero = number_like(top, 0), one = number_like(top, 1);
  top = maximum(top, zero);
  bottom = minimum(bottom, zero);
  Tensor width = top - bottom, step = miniten::where(greater(width, zero), width / 255.0, one);
  Tensor from_lo = -128.0 - bottom / step, from_hi = 127.0 - top / step;
  Tensor nearer = less(128.0 + miniten::abs(bottom / step), 127.0 + miniten::abs(top / step));
  Tensor offset = miniten::cast(half_away(miniten::clamp(miniten::where(nearer, from_lo, from_hi), -128, 127)), DType::f32);
  Tensor scale = miniten::cast(step, DType::f32);
  return (miniten::clamp(half_away(x * (1.0 / scale) + offset), -128, 127) - offset) * scale;
}
bool is_hybrid(const ForeignNode& n, int x, int w) { return is_float(n.required(x).dtype()) && is_quantized(n.required(w).dtype(), n.quantized_input(w)); }

// The same in integers, where the weight w, its outputs along `out`, is a constant that the kernels take.
struct Hybrid { Tensor q, scale, zero, w_scale; };
std::optional<Hybrid> in_integers(const ForeignNode& n, const Tensor& x, const Tensor& w, int out, bool asymmetric) {
  const Quantized* q = n.quantized_input(1);
  if (!is_hybrid(n, 0, 1) || w.dtype() != DType::i8 || !w.has_data() || x.dtype() != DType::f32 || x.rank() < 1) return {};
  Tensor bias = optional(n, 2);
  if ((bias && (bias.dtype() != DType::f32 || bias.shape() != Shape{w.dim(out)})) || w.dim(out) < 1 || w.numel() / w.dim(out) > 60000) return {};
  for (int32_t z : q->zero) if (z != 0) return {};
  for (int8_t v : w.to_vector<int8_t>()) if (v == -128) return {};
  std::vector<float> scale(size_t(w.dim(out)), q->scale[0]);
  if (q->scale.size() == scale.size()) scale = q->scale;
  else if (q->scale.size() != 1) return {};
  for (float s : scale) if (!(s > 0)) return {};
  QuantizeRowsAttrs at{asymmetric};
  Input in[]{x};
  Tensor rows[3];
  apply(quantize_rows_op, in, &at, rows);
  return Hybrid{rows[0], rows[1], rows[2], Tensor::of<float>({w.dim(out)}, scale)};
}
std::vector<Input> with_bias(const ForeignNode& n, std::vector<Input> in, Tensor& bias) {
  if ((bias = optional(n, 2))) in.push_back(bias);
  return in;
}

Tensor whole_bias(const ForeignNode& n, int i) {
  Tensor b = optional(n, i);
  if (b && b.dtype() != DType::i32) n.fail("an int32 bias", b.spec().text());
  return b;
}
// Of sums of products of integers, by output channel.
std::vector<double> multipliers_of(const ForeignNode& n, int x, int w) {
  std::vector<double> m;
  double from = double(n.quantized_input(x)->scale[0]), to = double(n.quantized_output(0)->scale[0]);
  for (float s : n.quantized_input(w)->scale) m.push_back(from * double(s) / to);
  return m;
}
// Weights and a bias as LiteRT's integer kernels take them: x, w, multiplier, shift and, where there is one, the bias.
std::vector<Input> whole_operands(const ForeignNode& n, int x, const Tensor& x_turned, const Tensor& w, const Scales& f, Tensor& bias, int bias_at) {
  Tensor given = n.required(x);
  if (!is_byte(given.dtype()) || !is_byte(w.dtype()) || !n.quantized_input(x)) n.fail("8-bit integers, for exact=\"tflite\"", given.spec().text() + " and " + w.spec().text());
  std::vector<Input> in{x_turned, w, f.multiplier, f.shift};
  if ((bias = whole_bias(n, bias_at))) in.push_back(bias);
  return in;
}
ExactConv2dAttrs exact_window(const ForeignNode& n, const Window& at, int x, const Tensor& w, int w_at) {
  Cut cut = integer_bounds(n);
  ExactConv2dAttrs a{.stride = at.stride, .padding = at.padding, .dilation = at.dilation};
  a.x_zero = zero_of(n, n.required(x), n.quantized_input(x));
  a.w_zero = zero_of(n, w, n.quantized_input(w_at));
  a.y_zero = n.quantized_output(0)->zero[0];
  a.lo = cut.lo;
  a.hi = cut.hi;
  a.dtype = n.output_spec(0).dtype;
  return a;
}

Tensors fully_connected(const ForeignNode& n) {
  if (n.integer("weights_format", 0) != 0) n.fail("weights in their order", "shuffled weights");
  if (n.required(0).rank() < 1) n.fail("rows of inputs", n.required(0).spec().text());
  if (is_exact(n)) {
    Tensor x = n.required(0), w = n.required(1);
    if (w.rank() != 2) n.fail("weights (out, in)", w.spec().text());
    if (!n.integer("keep_num_dims", 0) || x.rank() < 2) x = miniten::reshape(x, {-1, w.dim(1)});
    Tensor y = exact_products(n, x, w, whole_bias(n, 2), multipliers_of(n, 0, 1), true);           // LiteRT rounds products once
    if (n.integer("keep_num_dims", 0) && n.required(0).rank() == 1) y = miniten::reshape(y, {w.dim(0)});
    return {y};
  }
  Tensor x = real(n, 0), w = n.required(1);
  if (w.rank() != 2) n.fail("weights (out, in)", w.spec().text());
  bool keep = n.integer("keep_num_dims", 0) != 0;
  if (keep && x.dim(-1) != w.dim(1)) n.fail("inputs of " + std::to_string(w.dim(1)), x.spec().text());
  if (!keep && (x.rank() != 2 || x.dim(1) != w.dim(1))) x = miniten::reshape(x, {-1, w.dim(1)});
  if (is_hybrid(n, 0, 1)) {
    Shape shape = x.shape();
    const bool asymmetric = n.integer("asymmetric_quantize_inputs", 0) != 0;
    Tensor rows = x.rank() != 2 ? miniten::reshape(x, {-1, w.dim(1)}) : x, turned = n.weight(1, {1, 0}), bias, y;     // each row by its own range
    if (auto h = turned ? in_integers(n, rows, turned, 1, asymmetric) : std::nullopt) {
      Bounds cut = n.integer("fused_activation_function", 0) == 4 ? Bounds{-infinity, infinity} : bounds_of(n);
      ClampAttrs at{cut.lo, cut.hi};
      apply(qmatmul_dynamic_op, with_bias(n, {h->q, h->scale, h->zero, turned, h->w_scale}, bias), &at, {&y, 1});
      if (n.integer("fused_activation_function", 0) == 4) y = miniten::tanh(y);
      if (shape.rank != 2) { shape[-1] = w.dim(0); y = miniten::reshape(y, shape); }
      return {y};
    }
    x = miniten::reshape(rounded(rows, asymmetric), shape);
  }
  return {result(n, activated(n, miniten::linear(x, real(n, 1), bias_of(n, 2, 0, 1))))};
}

// By channel or depthwise, LiteRT takes the whole range of the activations; else the same on both sides of 0.
bool rounds_asymmetrically(const ForeignNode& n) {
  return n.type() == "DEPTHWISE_CONV_2D" || n.quantized_input(1)->scale.size() == size_t(n.required(1).dim(0));
}
Tensor convolve(const ForeignNode& n, const Tensor& weight, int64_t groups) {
  if (is_exact(n)) {
    Tensor x = n.required(0), bias, y;
    ExactConv2dAttrs a = exact_window(n, window_of(n, x.shape(), weight.dim(2), weight.dim(3)), 0, weight, 1);
    a.groups = groups;
    apply(exact_conv2d_op, whole_operands(n, 0, to_nchw(x), weight, fixed_scales(multipliers_of(n, 0, 1)), bias, 2), &a, {&y, 1});
    return to_nhwc(y);
  }
  Tensor x = real(n, 0);
  Window at = window_of(n, x.shape(), weight.dim(2), weight.dim(3));
  if (auto h = in_integers(n, x, weight, 0, is_hybrid(n, 0, 1) && rounds_asymmetrically(n))) {
    const bool tanh = n.integer("fused_activation_function", 0) == 4;
    Bounds cut = tanh ? Bounds{-infinity, infinity} : bounds_of(n);
    Conv2dAttrs a{.stride = at.stride, .padding = at.padding, .dilation = at.dilation, .groups = groups, .lo = cut.lo, .hi = cut.hi};
    Tensor bias, y;
    apply(qconv2d_dynamic_op, with_bias(n, {to_nchw(h->q), h->scale, h->zero, weight, h->w_scale}, bias), &a, {&y, 1});
    return to_nhwc(tanh ? miniten::tanh(y) : y);
  }
  Tensor w = real(n, weight, n.quantized_input(1), 0);
  if (is_hybrid(n, 0, 1)) x = rounded(x, rounds_asymmetrically(n));
  Tensor y = miniten::conv2d(to_nchw(x), w, bias_of(n, 2, 0, 1), {.stride = at.stride, .padding = at.padding, .dilation = at.dilation, .groups = groups});
  return to_nhwc(result(n, activated(n, y)));
}
Tensors conv_2d(const ForeignNode& n) {
  Tensor w = arranged(n, 1, {0, 3, 1, 2}), x = n.required(0);             // (O, H, W, I) in the file
  if (x.rank() != 4 || is_symbol(x.dim(3)) || w.dim(1) < 1 || x.dim(3) % w.dim(1))
    n.fail("images whose channels the weights divide", x.spec().text() + " and " + w.spec().text());
  return {convolve(n, w, x.dim(3) / w.dim(1))};
}
Tensors depthwise_conv_2d(const ForeignNode& n) {
  Tensor w = arranged(n, 1, {3, 0, 1, 2}), x = n.required(0);             // (1, H, W, C * multiplier) in the file
  if (x.rank() != 4 || w.dim(1) != 1 || is_symbol(x.dim(3)) || x.dim(3) < 1 || w.dim(0) % x.dim(3))
    n.fail("images and weights (1, H, W, C * multiplier)", x.spec().text() + " and " + w.spec().text());
  return {convolve(n, w, x.dim(3))};
}
// x and weights (O, H, W, I) give a picture of that size. at: of x; the weights and the bias stand at the places given.
Tensors transposed(const ForeignNode& n, const std::vector<int64_t>& size, int x_at, int w_at, int bias_at, int64_t first_padding) {
  Tensor w = arranged(n, w_at, {3, 0, 1, 2}), x = real(n, x_at);
  if (size.size() != 4 || x.rank() != 4 || w.dim(0) != x.dim(3) || w.dim(1) != size[3]) n.fail("an output shape, images and weights (O, H, W, I)", x.spec().text() + " and " + w.spec().text());
  for (int64_t d : size) if (d < 1 || d > (int64_t{1} << 20)) n.fail("output sizes of 1 or more", std::to_string(d));
  Window at = window_of(n, {size[0], size[1], size[2], size[3]}, w.dim(2), w.dim(3), first_padding);
  for (int i = 0; i < 2; ++i) {                                           // the convolution that goes the other way fits
    int64_t reach = w.dim(i + 2), whole = size[size_t(i) + 1] + at.padding[i] + at.padding[i + 2];
    if (whole < reach || (whole - reach) / at.stride[i] + 1 != x.dim(i + 1)) n.fail("an output that a convolution takes back to " + x.spec().text(), std::to_string(size[size_t(i) + 1]));
  }
  Conv2dAttrs a{.stride = at.stride, .padding = at.padding};
  a.extent = {size[1], size[2]};
  if (is_exact(n)) {
    Tensor bias, y;
    ExactConv2dAttrs whole = exact_window(n, at, x_at, w, w_at);
    whole.extent = a.extent;
    apply(exact_conv2d_input_op, whole_operands(n, x_at, to_nchw(n.required(x_at)), w, fixed_scales(multipliers_of(n, x_at, w_at)), bias, bias_at), &whole, {&y, 1});
    return {to_nhwc(y)};
  }
  w = real(n, w, n.quantized_input(w_at), 1);
  Tensor y = apply(conv2d_input_op, {to_nchw(x), w}, a);
  if (Tensor b = bias_of(n, bias_at, x_at, w_at)) y = y + miniten::reshape(b, {1, -1, 1, 1});
  return {to_nhwc(result(n, activated(n, y)))};
}
Tensors transpose_conv(const ForeignNode& n) { return transposed(n, n.constant_integers(0), 2, 1, 3, 0); }     // output shape, weights, x, bias
Tensors transpose_conv_with_bias(const ForeignNode& n) {                  // of MediaPipe: x, weights, bias; SAME is 1
  const Shape y = n.output_spec(0).shape;
  return transposed(n, {y.begin(), y.end()}, 0, 1, 2, 1);
}

Tensors pool(const ForeignNode& n) {
  Tensor x = n.required(0);
  int64_t h = n.integer("filter_height", 1), w = n.integer("filter_width", 1);
  Window at = window_of(n, x.shape(), h, w);
  Pool2dAttrs a{.kernel = {h, w}, .stride = at.stride, .padding = at.padding, .count_include_pad = false};
  if (n.type() == "MAX_POOL_2D") {
    if (is_byte(x.dtype()) && is_quantized(n.output_spec(0).dtype, n.quantized_output(0)) && n.integer("fused_activation_function", 0) < 4) {
      Tensor y = as_output(n, to_nhwc(miniten::max_pool2d(to_nchw(x), a)), 0);
      if (n.integer("fused_activation_function", 0) == 0) return {y};
      Cut cut = integer_bounds(n);
      return {minimum(maximum(y, Tensor::full({}, double(cut.lo), y.dtype())), Tensor::full({}, double(cut.hi), y.dtype()))};
    }
    return {to_nhwc(result(n, activated(n, miniten::max_pool2d(to_nchw(real(n, 0)), a))))};
  }
  if (is_exact(n) && n.type() == "AVERAGE_POOL_2D") {                     // the zero point is the mean of zero points
    Cut cut = integer_bounds(n);
    return {to_nhwc(apply(exact_avg_pool2d_op, {to_nchw(x)}, ExactAvgPool2dAttrs{a.kernel, a.stride, a.padding, cut.lo, cut.hi}))};
  }
  Tensor r = to_nchw(real(n, 0));
  bool squares = n.type() == "L2_POOL_2D";
  Tensor y = miniten::avg_pool2d(squares ? r * r : r, a);
  return {to_nhwc(result(n, activated(n, squares ? miniten::sqrt(y) : y)))};
}

}  // namespace

Compositions layer_rules() {
  static constexpr ForeignComposition rules[] = {
      {"tflite", "FULLY_CONNECTED", fully_connected}, {"tflite", "CONV_2D", conv_2d}, {"tflite", "DEPTHWISE_CONV_2D", depthwise_conv_2d},
      {"tflite", "TRANSPOSE_CONV", transpose_conv}, {"tflite", "custom Convolution2DTransposeBias", transpose_conv_with_bias}, {"tflite", "AVERAGE_POOL_2D", pool}, {"tflite", "MAX_POOL_2D", pool}, {"tflite", "L2_POOL_2D", pool}};
  return rules;
}

}  // namespace miniten::tflite
