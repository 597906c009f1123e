#include "miniten/nn/layers.h"
#include <cmath>
#include "miniten/base/random.h"

namespace miniten::nn {

namespace {
Tensor uniform_values(const Shape& shape, double bound) {
  Tensor t = Tensor::empty({DType::f32, shape});
  for (int64_t i = 0; i < t.numel(); ++i) t.view().f32()[i] = float((2.0 * default_generator().uniform() - 1.0) * bound);
  return t;
}
const Tensor& only(const Module& m, const std::vector<Tensor>& in) {
  if (in.size() != 1) throw Error(ErrorKind::value, m.type_name(), "one input", std::to_string(in.size()));
  return in[0];
}
std::string pair_text(const Dims& d) { return "(" + std::to_string(d[0]) + ", " + std::to_string(d[1]) + ")"; }
void require_positive(const char* layer, const char* name, int64_t value) {
  if (value < 1) throw Error(ErrorKind::value, layer, std::string(name) + " of at least 1", std::to_string(value));
}
std::string number(double x) {
  std::string s = std::to_string(x);
  while (s.back() == '0') s.pop_back();
  return s.back() == '.' ? s + "0" : s;
}
}  // namespace

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
  for (Dim d : o.padding) if (d < 0) throw Error(ErrorKind::value, "Conv2d", "padding of 0 or more", std::to_string(d));
  if (in % o.groups || out % o.groups)
    throw Error(ErrorKind::value, "Conv2d", "groups that divide in_channels and out_channels", std::to_string(o.groups) + " for " + std::to_string(in) + " and " + std::to_string(out));
  Shape weight{out, in / o.groups, o.kernel_size[0], o.kernel_size[1]};
  double bound = 1.0 / std::sqrt(double(weight[1] * weight[2] * weight[3]));
  register_parameter("weight", uniform_values(weight, bound));
  if (o.bias) register_parameter("bias", uniform_values({out}, bound));
}
std::vector<Tensor> Conv2d::forward(const std::vector<Tensor>& in) {
  const Dims& p = options.padding;
  return {conv2d(only(*this, in), parameter_of("weight"), parameter_of("bias"),
                 {.stride = options.stride, .padding = {p[0], p[1], p[0], p[1]}, .dilation = options.dilation, .groups = options.groups})};
}
std::string Conv2d::extra_repr() const {
  std::string s = std::to_string(in_channels) + ", " + std::to_string(out_channels) + ", kernel_size=" + pair_text(options.kernel_size) +
                  ", stride=" + pair_text(options.stride);
  if (options.padding[0] || options.padding[1]) s += ", padding=" + pair_text(options.padding);
  if (options.dilation[0] != 1 || options.dilation[1] != 1) s += ", dilation=" + pair_text(options.dilation);
  if (options.groups != 1) s += ", groups=" + std::to_string(options.groups);
  return parameter_of("bias") ? s : s + ", bias=False";
}

DepthwiseSeparableConv2d::DepthwiseSeparableConv2d(int64_t in, int64_t out, const Conv2dOptions& o) {
  Conv2dOptions depthwise = o, pointwise;
  depthwise.groups = in;
  pointwise.bias = o.bias;
  add("depthwise", make<Conv2d>(in, in, depthwise));
  add("pointwise", make<Conv2d>(in, out, pointwise));
}
std::vector<Tensor> DepthwiseSeparableConv2d::forward(const std::vector<Tensor>& in) { return {(*child("pointwise"))((*child("depthwise"))(only(*this, in)))}; }

// ---- batch norm ----
BatchNorm::BatchNorm(int64_t n, float eps, float momentum, int rank) : num_features(n), eps(eps), momentum(momentum), rank_(rank) {
  require_positive(rank == 4 ? "BatchNorm2d" : "BatchNorm1d", "num_features", n);
  register_parameter("weight", Tensor::ones({n}));
  register_parameter("bias", Tensor::zeros({n}));
  register_buffer("running_mean", Tensor::zeros({n}));
  register_buffer("running_var", Tensor::ones({n}));
  register_buffer("num_batches_tracked", Tensor::zeros({}, DType::i64));
}
std::vector<Tensor> BatchNorm::forward(const std::vector<Tensor>& in) {
  const Tensor& x = only(*this, in);
  bool fits = rank_ == 4 ? x.rank() == 4 : x.rank() == 2 || x.rank() == 3;
  if (!fits || x.dim(1) != num_features)
    throw Error(ErrorKind::value, type_name(), std::string("input (N, ") + std::to_string(num_features) + (rank_ == 4 ? ", H, W)" : ") or (N, C, L)"), x.shape().text());
  Tensor weight = parameter_of("weight"), bias = parameter_of("bias"), mean_ = buffer_of("running_mean"), var_ = buffer_of("running_var");
  if (!training()) return {batch_norm(x, weight, bias, mean_, var_, eps)};
  int64_t channels = num_features;
  if (x.shape().is_static() && x.numel() <= channels)
    throw Error(ErrorKind::value, type_name(), "more than one value per channel in training", x.shape().text(), "use a larger batch, or eval()");
  Axes others;
  Shape per_channel = Dims::filled(x.rank(), 1);
  per_channel[1] = channels;
  for (int i = 0; i < x.rank(); ++i) if (i != 1) others.push(i);
  Tensor batch_mean = mean(x, others, true), centred = x - batch_mean;
  Tensor batch_var = mean(square(centred), others, true);
  Tensor y = centred * (reshape(weight, per_channel) * reciprocal(sqrt(batch_var + double(eps)))) + reshape(bias, per_channel);
  {
    NoGrad no_grad;
    Tensor n = count(x) / count(batch_mean);               // running variance: unbiased
    auto follow = [&](const Tensor& state, const Tensor& value) {
      assign(state, state * (1.0 - double(momentum)) + reshape(detach(value), {channels}) * double(momentum));
    };
    follow(mean_, batch_mean);
    follow(var_, batch_var * (n / (n - 1.0)));
    assign(buffer_of("num_batches_tracked"), buffer_of("num_batches_tracked") + 1.0);
  }
  return {y};
}
std::string BatchNorm::extra_repr() const { return std::to_string(num_features) + ", eps=" + std::to_string(eps) + ", momentum=" + number(momentum); }

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
static Pool2dAttrs pool_attrs(const Dims& kernel, const Dims& stride, const Dims& padding, bool count_include_pad = true) {
  return {.kernel = kernel, .stride = stride.rank ? stride : kernel, .padding = {padding[0], padding[1], padding[0], padding[1]},
          .count_include_pad = count_include_pad};
}
MaxPool2d::MaxPool2d(Dims kernel, Dims stride, Dims padding) : Pool2d(max, pool_attrs(kernel, stride, padding)) {}
AvgPool2d::AvgPool2d(Dims kernel, Dims stride, Dims padding, bool count_include_pad) : Pool2d(average, pool_attrs(kernel, stride, padding, count_include_pad)) {}
AdaptiveAvgPool2d::AdaptiveAvgPool2d(Dims size) : output_size(size) {
  for (Dim d : size) require_positive("AdaptiveAvgPool2d", "output_size", d);
}
std::vector<Tensor> AdaptiveAvgPool2d::forward(const std::vector<Tensor>& in) { return {adaptive_avg_pool2d(only(*this, in), output_size[0], output_size[1])}; }
std::string AdaptiveAvgPool2d::extra_repr() const { return "output_size=" + pair_text(output_size); }
std::vector<Tensor> GlobalAvgPool2d::forward(const std::vector<Tensor>& in) { return {adaptive_avg_pool2d(only(*this, in), 1, 1)}; }

// ---- shapes, noise, activations ----
std::vector<Tensor> Flatten::forward(const std::vector<Tensor>& in) { return {flatten(only(*this, in), start_dim, end_dim)}; }
std::string Flatten::extra_repr() const { return "start_dim=" + std::to_string(start_dim) + ", end_dim=" + std::to_string(end_dim); }

Dropout::Dropout(float p) : p(p) {
  if (!(p >= 0 && p <= 1)) throw Error(ErrorKind::value, "Dropout", "a probability in [0, 1]", std::to_string(p));
  int64_t key[] = {int64_t(default_generator().next()), 0};
  key_ = Tensor::of<int64_t>({2}, key);
}
std::vector<Tensor> Dropout::forward(const std::vector<Tensor>& in) {
  const Tensor& x = only(*this, in);
  if (!training() || p == 0) return {x};
  Tensor y = dropout(x, p, key_);
  NoGrad no_grad;
  static const int64_t one[] = {0, 1};
  assign(key_, key_ + Tensor::of<int64_t>({2}, one));
  return {y};
}
std::string Dropout::extra_repr() const { return "p=" + number(p); }

std::vector<Tensor> Activation::forward(const std::vector<Tensor>& in) { return {f_(only(*this, in))}; }
ReLU::ReLU() : Activation("ReLU", relu) {}
ReLU6::ReLU6() : Activation("ReLU6", [](const Tensor& x) { return clamp(x, 0, 6); }) {}
Sigmoid::Sigmoid() : Activation("Sigmoid", sigmoid) {}
Tanh::Tanh() : Activation("Tanh", tanh) {}
GELU::GELU() : Activation("GELU", gelu) {}
SiLU::SiLU() : Activation("SiLU", silu) {}
Softplus::Softplus() : Activation("Softplus", softplus) {}
std::vector<Tensor> Softmax::forward(const std::vector<Tensor>& in) { return {softmax(only(*this, in), dim)}; }
std::string Softmax::extra_repr() const { return "dim=" + std::to_string(dim); }

// ---- containers, losses ----
Sequential::Sequential(const std::vector<ModuleRef>& modules) { for (const ModuleRef& m : modules) append(m); }
void Sequential::append(ModuleRef m) { register_module(std::to_string(children().size()), std::move(m)); }
std::vector<Tensor> Sequential::forward(const std::vector<Tensor>& in) {
  std::vector<Tensor> x = in;
  for (auto& [name, m] : children()) x = (*m)(x);
  return x;
}

CrossEntropyLoss::CrossEntropyLoss(float label_smoothing) : label_smoothing(label_smoothing) {
  if (!(label_smoothing >= 0 && label_smoothing <= 1))
    throw Error(ErrorKind::value, "CrossEntropyLoss", "label_smoothing in [0, 1]", std::to_string(label_smoothing));
}
static void require_pair(const Module& m, const std::vector<Tensor>& in) {
  if (in.size() != 2) throw Error(ErrorKind::value, m.type_name(), "a prediction and a target", std::to_string(in.size()) + " tensors");
}
std::vector<Tensor> CrossEntropyLoss::forward(const std::vector<Tensor>& in) {
  require_pair(*this, in);
  return {cross_entropy(in[0], in[1], label_smoothing)};
}
std::vector<Tensor> MSELoss::forward(const std::vector<Tensor>& in) {
  require_pair(*this, in);
  return {mse_loss(in[0], in[1])};
}

}  // namespace miniten::nn
