#include "miniten/nn/layers.h"
#include <cmath>
#include "nn/layer_parts.h"

namespace miniten::nn {

// ---- linear, convolution ----
Linear::Linear(int64_t in, int64_t out, bool bias) : in_features(in), out_features(out) {
  require_positive("Linear", "in_features", in);
  require_positive("Linear", "out_features", out);
  double bound = 1.0 / std::sqrt(double(in));
  register_parameter("weight", uniform_values({out, in}, bound));
  if (bias) register_parameter("bias", uniform_values({out}, bound));
}
std::vector<Tensor> Linear::forward(const std::vector<Tensor>& in) { return {linear(only(*this, in), parameter_of("weight"), parameter_of("bias"))}; }
std::string Linear::extra_repr() const {
  return "in_features=" + std::to_string(in_features) + ", out_features=" + std::to_string(out_features) + ", bias=" + (parameter_of("bias") ? "True" : "False");
}

Conv2d::Conv2d(int64_t in, int64_t out, const Conv2dOptions& o) : in_channels(in), out_channels(out), options(o) {
  require_positive("Conv2d", "in_channels", in);
  require_positive("Conv2d", "out_channels", out);
  require_positive("Conv2d", "groups", o.groups);
  for (Dim d : o.kernel_size) require_positive("Conv2d", "kernel_size", d);
  for (Dim d : o.stride) require_positive("Conv2d", "stride", d);
  for (Dim d : o.dilation) require_positive("Conv2d", "dilation", d);
  functional::pad_mode(o.padding_mode);
  if (o.padding.rank != 2 && o.padding.rank != 4) throw Error(ErrorKind::value, "Conv2d", "2 or 4 widths of padding", o.padding.text());
  for (Dim d : o.padding) if (d < 0) throw Error(ErrorKind::value, "Conv2d", "padding of 0 or more", std::to_string(d));
  if (in % o.groups || out % o.groups)
    throw Error(ErrorKind::value, "Conv2d", "groups that divide in_channels and out_channels", std::to_string(o.groups) + " for " + std::to_string(in) + " and " + std::to_string(out));
  Shape weight{out, in / o.groups, o.kernel_size[0], o.kernel_size[1]};
  double bound = 1.0 / std::sqrt(double(weight[1] * weight[2] * weight[3]));
  register_parameter("weight", uniform_values(weight, bound));
  if (o.bias) register_parameter("bias", uniform_values({out}, bound));
}
std::vector<Tensor> Conv2d::forward(const std::vector<Tensor>& in) {
  Tensor x = only(*this, in);
  Dims p = both_sides(options.padding);
  if (options.padding_mode != "zeros") {
    x = bordered(x, {p[0], p[1]}, {p[2], p[3]}, options.padding_mode);
    p = {0, 0, 0, 0};
  }
  return {conv2d(x, parameter_of("weight"), parameter_of("bias"), {.stride = options.stride, .padding = p, .dilation = options.dilation, .groups = options.groups})};
}
std::string Conv2d::extra_repr() const {
  std::string s = std::to_string(in_channels) + ", " + std::to_string(out_channels) + ", kernel_size=" + pair_text(options.kernel_size) +
                  ", stride=" + pair_text(options.stride);
  if (options.padding != Dims{0, 0}) s += ", padding=" + (options.padding.rank == 2 ? pair_text(options.padding) : options.padding.text());
  if (options.dilation[0] != 1 || options.dilation[1] != 1) s += ", dilation=" + pair_text(options.dilation);
  if (options.groups != 1) s += ", groups=" + std::to_string(options.groups);
  return (parameter_of("bias") ? s : s + ", bias=False") + mode_text(options.padding_mode);
}

DepthwiseSeparableConv2d::DepthwiseSeparableConv2d(int64_t in, int64_t out, const Conv2dOptions& o) {
  Conv2dOptions depthwise = o, pointwise;
  depthwise.groups = in;
  pointwise.bias = o.bias;
  add("depthwise", make<Conv2d>(in, in, depthwise));
  add("pointwise", make<Conv2d>(in, out, pointwise));
}
std::vector<Tensor> DepthwiseSeparableConv2d::forward(const std::vector<Tensor>& in) { return {(*child("pointwise"))((*child("depthwise"))(only(*this, in)))}; }

// ---- pooling ----
Pool2d::Pool2d(Kind kind, const Pool2dAttrs& attrs) : kind_(kind), attrs_(attrs) {
  for (const Dims* d : {&attrs.kernel, &attrs.stride})
    for (Dim v : *d) require_positive(kind == max ? "MaxPool2d" : "AvgPool2d", "kernel_size and stride", v);
}
std::vector<Tensor> Pool2d::forward(const std::vector<Tensor>& in) {
  return {kind_ == max ? max_pool2d(only(*this, in), attrs_) : avg_pool2d(only(*this, in), attrs_)};
}
std::string Pool2d::extra_repr() const {
  return "kernel_size=" + pair_text(attrs_.kernel) + ", stride=" + pair_text(attrs_.stride) + ", padding=" + pair_text(attrs_.padding);
}
static Pool2dAttrs pool_attrs(const Dims& kernel, const Dims& stride, const Dims& padding, const Dims& dilation, bool ceil_mode, bool count_include_pad = true) {
  return {.kernel = kernel, .stride = stride.rank ? stride : kernel, .padding = {padding[0], padding[1], padding[0], padding[1]},
          .dilation = dilation, .ceil_mode = ceil_mode, .count_include_pad = count_include_pad, .extent = {}};
}
MaxPool2d::MaxPool2d(Dims kernel, Dims stride, Dims padding, Dims dilation, bool ceil_mode)
    : Pool2d(max, pool_attrs(kernel, stride, padding, dilation, ceil_mode)) {}
AvgPool2d::AvgPool2d(Dims kernel, Dims stride, Dims padding, bool count_include_pad, bool ceil_mode)
    : Pool2d(average, pool_attrs(kernel, stride, padding, {1, 1}, ceil_mode, count_include_pad)) {}
AdaptiveAvgPool2d::AdaptiveAvgPool2d(Dims size) : output_size(size) {
  for (Dim d : size) if (d != -1) require_positive("AdaptiveAvgPool2d", "output_size", d);
}
std::vector<Tensor> AdaptiveAvgPool2d::forward(const std::vector<Tensor>& in) { return {functional::adaptive_avg_pool(images(*this, in), output_size)}; }
std::string AdaptiveAvgPool2d::extra_repr() const { return "output_size=" + pair_text(output_size); }
std::vector<Tensor> GlobalAvgPool2d::forward(const std::vector<Tensor>& in) { return {mean(images(*this, in), {-2, -1}, true)}; }

// ---- shapes ----
std::vector<Tensor> Flatten::forward(const std::vector<Tensor>& in) { return {flatten(only(*this, in), start_dim, end_dim)}; }
std::string Flatten::extra_repr() const { return "start_dim=" + std::to_string(start_dim) + ", end_dim=" + std::to_string(end_dim); }

// ---- containers ----
Sequential::Sequential(const std::vector<ModuleRef>& modules) { for (const ModuleRef& m : modules) append(m); }
void Sequential::append(ModuleRef m) { register_module(std::to_string(children().size()), std::move(m)); }
std::vector<Tensor> Sequential::forward(const std::vector<Tensor>& in) {
  std::vector<Tensor> x = in;
  for (auto& [name, m] : children()) x = (*m)(x);
  return x;
}

}  // namespace miniten::nn
