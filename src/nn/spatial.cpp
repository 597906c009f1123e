#include "miniten/nn/spatial.h"
#include "nn/layer_parts.h"

namespace miniten::nn {

namespace F = functional;

Conv1d::Conv1d(int64_t in, int64_t out, const Conv1dOptions& o) : in_channels(in), out_channels(out), options(o) {
  require_positive("Conv1d", "in_channels", in);
  require_positive("Conv1d", "out_channels", out);
  require_positive("Conv1d", "kernel_size", o.kernel_size);
  require_positive("Conv1d", "stride", o.stride);
  require_positive("Conv1d", "dilation", o.dilation);
  require_positive("Conv1d", "groups", o.groups);
  F::pad_mode(o.padding_mode);
  for (Dim d : o.padding) if (d < 0) throw Error(ErrorKind::value, "Conv1d", "padding of 0 or more", std::to_string(d));
  if (in % o.groups || out % o.groups)
    throw Error(ErrorKind::value, "Conv1d", "groups that divide in_channels and out_channels", std::to_string(o.groups) + " for " + std::to_string(in) + " and " + std::to_string(out));
  Shape weight{out, in / o.groups, o.kernel_size};
  double bound = 1.0 / std::sqrt(double(weight[1] * weight[2]));
  register_parameter("weight", uniform_values(weight, bound));
  if (o.bias) register_parameter("bias", uniform_values({out}, bound));
}
std::vector<Tensor> Conv1d::forward(const std::vector<Tensor>& in) {
  Tensor x = only(*this, in);
  Dims p = options.padding;
  if (options.padding_mode != "zeros") {
    x = bordered(x, {p[0]}, {p[1]}, options.padding_mode);
    p = {0, 0};
  }
  return {F::conv1d(x, parameter_of("weight"), parameter_of("bias"), options.stride, p, options.dilation, options.groups)};
}
std::string Conv1d::extra_repr() const {
  auto one = [](int64_t v) { return "(" + std::to_string(v) + ",)"; };
  std::string s = std::to_string(in_channels) + ", " + std::to_string(out_channels) + ", kernel_size=" + one(options.kernel_size) + ", stride=" + one(options.stride);
  if (options.padding[0] || options.padding[1]) s += ", padding=" + one(options.padding[0]);
  if (options.dilation != 1) s += ", dilation=" + one(options.dilation);
  if (options.groups != 1) s += ", groups=" + std::to_string(options.groups);
  return (parameter_of("bias") ? s : s + ", bias=False") + mode_text(options.padding_mode);
}

ConvTranspose::ConvTranspose(int dims, int64_t in, int64_t out, const Conv2dOptions& o, Dims extra)
    : in_channels(in), out_channels(out), options(o), output_padding(extra), dims_(dims) {
  const char* name = dims == 1 ? "ConvTranspose1d" : "ConvTranspose2d";
  if (dims == 1) {
    options.kernel_size[0] = options.stride[0] = options.dilation[0] = 1;
    options.padding[0] = output_padding[0] = 0;
  }
  require_positive(name, "in_channels", in);
  require_positive(name, "out_channels", out);
  require_positive(name, "groups", o.groups);
  for (Dim d : options.kernel_size) require_positive(name, "kernel_size", d);
  for (Dim d : options.stride) require_positive(name, "stride", d);
  for (Dim d : options.dilation) require_positive(name, "dilation", d);
  for (Dim d : options.padding) if (d < 0) throw Error(ErrorKind::value, name, "padding of 0 or more", std::to_string(d));
  for (int i : {0, 1})
    if (output_padding[i] < 0 || output_padding[i] >= std::max(options.stride[i], options.dilation[i]))
      throw Error(ErrorKind::value, name, "output_padding below stride or dilation", std::to_string(output_padding[i]));
  if (in % o.groups || out % o.groups)
    throw Error(ErrorKind::value, name, "groups that divide in_channels and out_channels", std::to_string(o.groups) + " for " + std::to_string(in) + " and " + std::to_string(out));
  Shape weight{in, out / o.groups};
  int64_t fan = out / o.groups;
  for (int i = 2 - dims; i < 2; ++i) { weight.push(options.kernel_size[i]); fan *= options.kernel_size[i]; }
  double bound = 1.0 / std::sqrt(double(fan));
  register_parameter("weight", uniform_values(weight, bound));
  if (o.bias) register_parameter("bias", uniform_values({out}, bound));
}
std::vector<Tensor> ConvTranspose::forward(const std::vector<Tensor>& in) {
  const Tensor& x = only(*this, in);
  Tensor weight = parameter_of("weight"), bias = parameter_of("bias");
  if (dims_ == 1) return {F::conv_transpose1d(x, weight, bias, options.stride[1], options.padding[1], output_padding[1], options.groups, options.dilation[1])};
  return {F::conv_transpose2d(x, weight, bias, options.stride, options.padding, output_padding, options.groups, options.dilation)};
}
std::string ConvTranspose::extra_repr() const {
  auto text = [&](const Dims& d) { return dims_ == 1 ? "(" + std::to_string(d[1]) + ",)" : pair_text(d); };
  auto plain = [](const Dims& d, int64_t v) { return d[0] == v && d[1] == v; };
  std::string s = std::to_string(in_channels) + ", " + std::to_string(out_channels) + ", kernel_size=" + text(options.kernel_size) + ", stride=" + text(options.stride);
  if (!plain(options.padding, 0)) s += ", padding=" + text(options.padding);
  if (!plain(options.dilation, 1)) s += ", dilation=" + text(options.dilation);
  if (!plain(output_padding, 0)) s += ", output_padding=" + text(output_padding);
  if (options.groups != 1) s += ", groups=" + std::to_string(options.groups);
  return parameter_of("bias") ? s : s + ", bias=False";
}

// ---- functions as layers ----
static std::string named(const char* name, int64_t v) { return std::string(name) + "=" + std::to_string(v); }
static int64_t or_kernel(int64_t stride, int64_t kernel) { return stride ? stride : kernel; }
MaxPool1d::MaxPool1d(int64_t kernel, int64_t stride, int64_t padding, int64_t dilation, bool ceil_mode)
    : Activation("MaxPool1d", [=](const Tensor& x) { return F::max_pool1d(x, kernel, or_kernel(stride, kernel), padding, dilation, ceil_mode); },
                 named("kernel_size", kernel) + ", " + named("stride", or_kernel(stride, kernel)) + ", " + named("padding", padding)) {
  for (int64_t v : {kernel, or_kernel(stride, kernel), dilation}) require_positive("MaxPool1d", "kernel_size, stride and dilation", v);
}
AvgPool1d::AvgPool1d(int64_t kernel, int64_t stride, int64_t padding, bool ceil_mode, bool count_include_pad)
    : Activation("AvgPool1d", [=](const Tensor& x) { return F::avg_pool1d(x, kernel, or_kernel(stride, kernel), padding, ceil_mode, count_include_pad); },
                 named("kernel_size", kernel) + ", " + named("stride", or_kernel(stride, kernel)) + ", " + named("padding", padding)) {
  for (int64_t v : {kernel, or_kernel(stride, kernel)}) require_positive("AvgPool1d", "kernel_size and stride", v);
}
AdaptiveAvgPool1d::AdaptiveAvgPool1d(int64_t n) : Activation("AdaptiveAvgPool1d", [=](const Tensor& x) { return F::adaptive_avg_pool(x, {n}); }, named("output_size", n)) {
  require_positive("AdaptiveAvgPool1d", "output_size", n);
}
AdaptiveMaxPool1d::AdaptiveMaxPool1d(int64_t n) : Activation("AdaptiveMaxPool1d", [=](const Tensor& x) { return F::adaptive_max_pool(x, {n}); }, named("output_size", n)) {
  require_positive("AdaptiveMaxPool1d", "output_size", n);
}
AdaptiveMaxPool2d::AdaptiveMaxPool2d(Dims size)
    : Activation("AdaptiveMaxPool2d", [=](const Tensor& x) { return F::adaptive_max_pool(x, size); }, "output_size=" + pair_text(size)) {
  for (Dim d : size) if (d != -1) require_positive("AdaptiveMaxPool2d", "output_size", d);
}
PixelShuffle::PixelShuffle(int64_t r) : Activation("PixelShuffle", [=](const Tensor& x) { return F::pixel_shuffle(x, r); }, named("upscale_factor", r)) {
  require_positive("PixelShuffle", "upscale_factor", r);
}
PixelUnshuffle::PixelUnshuffle(int64_t r) : Activation("PixelUnshuffle", [=](const Tensor& x) { return F::pixel_unshuffle(x, r); }, named("downscale_factor", r)) {
  require_positive("PixelUnshuffle", "downscale_factor", r);
}
ChannelShuffle::ChannelShuffle(int64_t g) : Activation("ChannelShuffle", [=](const Tensor& x) { return F::channel_shuffle(x, g); }, named("groups", g)) {
  require_positive("ChannelShuffle", "groups", g);
}
static Activation::Function border(const char* name, Dims p, F::PadMode mode) {
  if (p.rank != 4) throw Error(ErrorKind::value, name, "an int, or left, right, top and bottom", p.text());
  return [=](const Tensor& x) {
    if (x.rank() < 3 || x.rank() > 4) throw Error(ErrorKind::value, name, "input (N, C, H, W) or (C, H, W)", x.shape().text());
    Dims before = Dims::filled(x.rank(), 0), after = before;
    before[-1] = p[0], after[-1] = p[1], before[-2] = p[2], after[-2] = p[3];
    return F::pad(x, before, after, mode);
  };
}
ZeroPad2d::ZeroPad2d(Dims p) : Activation("ZeroPad2d", border("ZeroPad2d", p, F::PadMode::constant), p.text()) {}
ReflectionPad2d::ReflectionPad2d(Dims p) : Activation("ReflectionPad2d", border("ReflectionPad2d", p, F::PadMode::reflect), p.text()) {}
ReplicationPad2d::ReplicationPad2d(Dims p) : Activation("ReplicationPad2d", border("ReplicationPad2d", p, F::PadMode::replicate), p.text()) {}
static std::string text_of(const F::WindowOptions& o) {
  return "kernel_size=" + pair_text(o.kernel) + ", dilation=" + pair_text(o.dilation) + ", padding=" + pair_text(o.padding) + ", stride=" + pair_text(o.stride);
}
Unfold::Unfold(const F::WindowOptions& o) : Activation("Unfold", [=](const Tensor& x) { return F::unfold(x, o); }, text_of(o)) {}
Fold::Fold(Dims size, const F::WindowOptions& o) : Activation("Fold", [=](const Tensor& x) { return F::fold(x, size, o); }, "output_size=" + pair_text(size) + ", " + text_of(o)) {}
Unflatten::Unflatten(int dim, Shape sizes)
    : Activation("Unflatten", [=](const Tensor& x) {
        int axis = dim < 0 ? dim + x.rank() : dim;
        if (axis < 0 || axis >= x.rank()) throw Error(ErrorKind::index, "Unflatten", "an axis of " + x.shape().text(), std::to_string(dim));
        Shape to;
        for (int i = 0; i < x.rank(); ++i) {
          if (i != axis) { to.push(x.dim(i)); continue; }
          for (Dim d : sizes) to.push(d);
        }
        return reshape(x, to);
      }, "dim=" + std::to_string(dim) + ", unflattened_size=" + sizes.text()) {}

Upsample::Upsample(Dims size, std::vector<double> scale, std::string mode, bool align_corners)
    : size_(size), scale_(std::move(scale)), mode_(std::move(mode)), align_corners_(align_corners) {
  if ((size.rank > 0) == !scale_.empty()) throw Error(ErrorKind::value, "Upsample", "size or scale_factor", size.rank ? "both" : "neither");
  for (double s : scale_) if (!(s > 0)) throw Error(ErrorKind::value, "Upsample", "a scale_factor above 0", number(s));
}
std::vector<Tensor> Upsample::forward(const std::vector<Tensor>& in) {
  const Tensor& x = only(*this, in);
  Dims size = size_;
  int axes = x.rank() - 2;
  if (axes < 1 || axes > 2) throw Error(ErrorKind::value, "Upsample", "input (N, C, L) or (N, C, H, W)", x.shape().text());
  std::vector<double> scale = scale_;
  if (scale.size() == 1 && axes > 1) scale.assign(size_t(axes), scale[0]);
  if (size.rank == 1 && axes > 1) size = Dims::filled(axes, size[0]);
  if (!scale.empty()) {
    if (int(scale.size()) != axes) throw Error(ErrorKind::value, "Upsample", "one scale_factor, or one for each spatial axis", std::to_string(scale.size()));
    for (int i = 0; i < axes; ++i) {
      if (is_symbol(x.dim(2 + i))) throw Error(ErrorKind::unsupported, "Upsample", "known sizes", x.shape().text(), "trace with a fixed shape");
      size.push(int64_t(std::floor(double(x.dim(2 + i)) * scale[size_t(i)])));
    }
  }
  return {F::interpolate(x, size, mode_, align_corners_, scale)};
}
std::string Upsample::extra_repr() const {
  std::string s = size_.rank ? "size=" + size_.text() : "scale_factor=" + number(scale_[0]);
  return s + ", mode='" + mode_ + "'";
}

Embedding::Embedding(int64_t n, int64_t width, std::optional<int64_t> padding) : num_embeddings(n), embedding_dim(width), padding_idx(padding) {
  require_positive("Embedding", "num_embeddings", n);
  require_positive("Embedding", "embedding_dim", width);
  Tensor weight = normal_values({n, width});
  if (padding) {
    if (*padding < -n || *padding >= n) throw Error(ErrorKind::value, "Embedding", "a padding_idx within " + std::to_string(n), std::to_string(*padding));
    if (*padding < 0) padding_idx = *padding + n;
    std::fill_n(weight.view().f32() + *padding_idx * width, width, 0.0f);
  }
  register_parameter("weight", weight);
}
std::vector<Tensor> Embedding::forward(const std::vector<Tensor>& in) { return {F::embedding(only(*this, in), parameter_of("weight"), padding_idx)}; }
std::string Embedding::extra_repr() const {
  return std::to_string(num_embeddings) + ", " + std::to_string(embedding_dim) + (padding_idx ? ", padding_idx=" + std::to_string(*padding_idx) : "");
}

}  // namespace miniten::nn
