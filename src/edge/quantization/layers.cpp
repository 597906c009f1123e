#include "miniten/edge/quantized_layers.h"
#include <cmath>
#include "edge/quantization/steps.h"
#include "miniten/ops/ops.h"

namespace miniten::edge {

namespace {

void check_options(const char* who, const QuantizedLayerOptions& o) {
  if (o.activation_dtype != DType::i8 && o.activation_dtype != DType::u8)
    throw Error(ErrorKind::unsupported, who, "activation_dtype int8 or uint8", std::string(name_of(o.activation_dtype)));
}
int64_t zero_of(const Tensor& t) { return int64_t(cast(t, DType::f32).item()); }
std::string pair_text(const Dims& d) { return "(" + std::to_string(d[0]) + ", " + std::to_string(d[1]) + ")"; }

// What stands in the buffers, as attributes of an integer op.
template <class A> void set_scales(A& at, const nn::Module& m) {
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  Tensor x_zero = m.buffer_of("input_zero_point"), y_zero = m.buffer_of("output_zero_point");
  at.x_scale = float(m.buffer_of("input_scale").item());
  at.x_zero = zero_of(x_zero);
  at.y_scale = float(m.buffer_of("output_scale").item());
  at.y_zero = zero_of(y_zero);
  at.dtype = y_zero.dtype();
  at.lo = limits_of(at.dtype).lo;
  at.hi = limits_of(at.dtype).hi;
}
template <class A> Tensor applied(const OpDef& op, std::vector<Tensor> in, const Tensor& bias, const A& at) {
  if (bias) in.push_back(bias);
  std::vector<Input> inputs(in.begin(), in.end());
  Tensor out;
  apply(op, inputs, &at, {&out, 1});
  return out;
}

}  // namespace

QuantizedLayer::QuantizedLayer(const Shape& weight, bool bias, const QuantizedLayerOptions& o) : options(o) {
  register_buffer("weight", Tensor::zeros(weight, DType::i8));
  register_buffer("weight_scale", Tensor::ones({weight[0]}));
  if (bias) register_buffer("bias", Tensor::zeros({weight[0]}, o.dynamic ? DType::f32 : DType::i32));
  if (o.dynamic) return;
  for (const char* side : {"input", "output"}) {
    register_buffer(std::string(side) + "_scale", Tensor::ones({}));
    register_buffer(std::string(side) + "_zero_point", Tensor::zeros({}, o.activation_dtype));
  }
}

std::vector<Tensor> QuantizedLayer::forward(const std::vector<Tensor>& in) {
  if (in.size() != 1) throw Error(ErrorKind::value, type_name(), "one input", std::to_string(in.size()));
  const Tensor& x = in[0];
  if (options.dynamic) {
    if (!is_float(x.dtype())) throw Error(ErrorKind::type, type_name(), "floats: the scale is found at each call", x.spec().text());
    Tensor floats = cast(x, DType::f32);
    std::vector<Tensor> q(3);
    Input input = floats;
    apply(dynamic_quantize_op, {&input, 1}, nullptr, q);
    return {run_dynamic(q)};
  }
  if (x.dtype() == options.activation_dtype) return {run(x)};
  if (!is_float(x.dtype())) throw Error(ErrorKind::type, type_name(), "floats or " + std::string(name_of(options.activation_dtype)), x.spec().text());
  Tensor y = run(quantize(cast(x, DType::f32), buffer_of("input_scale"), buffer_of("input_zero_point")));
  return {dequantize(y, buffer_of("output_scale"), buffer_of("output_zero_point"))};
}
std::string QuantizedLayer::extra_repr() const {
  std::string s = sizes() + ", bias=" + (buffer_of("bias") ? "True" : "False");
  if (options.dynamic) return s + ", dynamic=True";
  auto number = [&](const char* name) {
    char text[32];
    std::snprintf(text, sizeof text, "%.6g", cast(buffer_of(name), DType::f64).item());
    return std::string(text);
  };
  return s + ", input=" + number("input_scale") + "*(q-" + number("input_zero_point") + "), output=" + number("output_scale") + "*(q-" + number("output_zero_point") + ")";
}

void QuantizedLayer::take(nn::Module& layer, const Spec& input, const Batches& calibration, const std::optional<Scales>& scales, const QuantizationConfig& config) {
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  check_config(config);
  check_plain("from_float", config);
  if (config.dtype != DType::i8 || config.block) throw Error(ErrorKind::unsupported, type_name(), "dtype int8 without blocks", std::string(name_of(config.dtype)));
  std::vector<Tensor> first = calibration ? calibration() : std::vector<Tensor>{};
  if (calibration && first.empty()) throw Error(ErrorKind::value, type_name(), "at least one calibration batch", "none", "leave calibration data out to find scales at each call");
  Graph g = nn::trace_module(layer, {calibration ? first[0].spec() : input}), from = folded(g);
  check_graph(g);
  QuantizationReport report;
  report.config = config;
  report.mode = options.dynamic ? "dynamic" : "static";
  QuantizationConfig plain = config;
  plain.skip.clear();
  Decisions d = decide(from, plain, report.mode);
  std::vector<Range> ranges;
  if (calibration) ranges = calibrate(from, d, [&]() { return first.empty() ? calibration() : std::exchange(first, {}); }, report.calibration_samples);
  Graph made = place(g, from, d, [&](const Decisions& now) {
    if (!scales) return activation_parameters(from, now, ranges);
    std::vector<Quantized> groups(from.values.size());
    for (auto [id, a] : {std::pair(from.inputs[0], scales->input), std::pair(from.outputs[0], scales->output)})
      groups[size_t(now.group[size_t(id)])] = {{a.scale}, {a.zero_point}, -1, 0, options.activation_dtype};
    return GroupParameters{groups, {}};
  }, report);
  for (const QuantizationRow& r : report.rows)
    if (!r.reason.empty()) throw Error(ErrorKind::unsupported, type_name(), "a layer with an integer form", "one that " + r.reason);
  int weight_at = options.dynamic ? 3 : 1;
  for (const Node& n : made.nodes) {
    if (!n.op->traits.weights || n.op->traits.converts != Conversion::none) continue;
    auto constant = [&](size_t i) { return made.values[size_t(n.in[i])].constant; };
    Tensor w = constant(size_t(weight_at));
    assign(buffer_of("weight"), w.rank() == 2 ? transpose(w, 0, 1) : w);
    assign(buffer_of("weight_scale"), constant(size_t(weight_at + 1)));
    if (Tensor bias = buffer_of("bias")) assign(bias, constant(size_t(weight_at + 2)));
    if (options.dynamic) return;
    auto q_of = [&](int id) { return made.values[size_t(id)].quantized; };
    for (auto [side, q] : {std::pair("input", q_of(n.in[0])), std::pair("output", q_of(n.out[0]))}) {
      assign(buffer_of(std::string(side) + "_scale"), scale_tensor(*q));
      assign(buffer_of(std::string(side) + "_zero_point"), zero_tensor(*q));
    }
    return;
  }
  throw Error(ErrorKind::unsupported, type_name(), "a layer with an integer form", "one without");
}

namespace {
void check_scale(const char* who, const ActivationScale& a, DType t) {
  Limits limits = limits_of(t);
  if (!(a.scale >= std::numeric_limits<float>::min()) || std::isinf(a.scale)) throw Error(ErrorKind::value, who, "finite scales above 0", std::to_string(a.scale));
  if (a.zero_point < limits.lo || a.zero_point > limits.hi)
    throw Error(ErrorKind::value, who, "zero points within " + std::string(name_of(t)), std::to_string(a.zero_point));
}
QuantizationConfig config_with(DType activations) { return {.activation_dtype = activations}; }
}  // namespace

// ---- linear ----
QuantizedLinear::QuantizedLinear(int64_t in, int64_t out, bool bias, const QuantizedLayerOptions& o)
    : QuantizedLayer((check_options("QuantizedLinear", o), Shape{out, in}), bias, o), in_features(in), out_features(out) {
  if (in < 1 || out < 1) throw Error(ErrorKind::value, "QuantizedLinear", "features of 1 or more", std::to_string(in) + " and " + std::to_string(out));
}
Ref<QuantizedLinear> QuantizedLinear::from_float(nn::Linear& layer, const Batches& calibration, const QuantizationConfig& config) {
  auto q = make<QuantizedLinear>(layer.in_features, layer.out_features, bool(layer.parameter_of("bias")), QuantizedLayerOptions{!calibration, config.activation_dtype});
  q->take(layer, {DType::f32, {1, layer.in_features}}, calibration, {}, config);
  return q;
}
Ref<QuantizedLinear> QuantizedLinear::from_float(nn::Linear& layer, const ActivationScale& input, const ActivationScale& output, DType t) {
  auto q = make<QuantizedLinear>(layer.in_features, layer.out_features, bool(layer.parameter_of("bias")), QuantizedLayerOptions{false, t});
  for (const ActivationScale& a : {input, output}) check_scale("QuantizedLinear", a, t);
  q->take(layer, {DType::f32, {1, layer.in_features}}, nullptr, Scales{input, output}, config_with(t));
  return q;
}
std::string QuantizedLinear::sizes() const { return "in_features=" + std::to_string(in_features) + ", out_features=" + std::to_string(out_features); }
Tensor QuantizedLinear::run(const Tensor& q) const {
  QMatmulAttrs at;
  set_scales(at, *this);
  return applied(qmatmul_op, {q, transpose(buffer_of("weight"), 0, 1), buffer_of("weight_scale")}, buffer_of("bias"), at);
}
Tensor QuantizedLinear::run_dynamic(const std::vector<Tensor>& q) const {
  return applied(qmatmul_dynamic_op, {q[0], q[1], q[2], transpose(buffer_of("weight"), 0, 1), buffer_of("weight_scale")}, buffer_of("bias"), ClampAttrs{});
}

// ---- convolution ----
static Shape weight_shape(int64_t in, int64_t out, const nn::Conv2dOptions& o, const QuantizedLayerOptions& q) {
  check_options("QuantizedConv2d", q);
  if (in < 1 || out < 1 || o.groups < 1 || in % o.groups || out % o.groups)
    throw Error(ErrorKind::value, "QuantizedConv2d", "channels of 1 or more that groups divide", std::to_string(in) + ", " + std::to_string(out) + " and " + std::to_string(o.groups) + " groups");
  if (o.padding_mode != "zeros") throw Error(ErrorKind::unsupported, "QuantizedConv2d", "padding_mode 'zeros'", "'" + o.padding_mode + "'", "quantize_model pads apart from the convolution");
  return {out, in / o.groups, o.kernel_size[0], o.kernel_size[1]};
}
static Spec least_input(const nn::Conv2d& c) {
  auto reach = [&](int i) { return c.options.dilation[i] * (c.options.kernel_size[i] - 1) + 1; };
  return {DType::f32, {1, c.in_channels, reach(0), reach(1)}};
}
QuantizedConv2d::QuantizedConv2d(int64_t in, int64_t out, const nn::Conv2dOptions& o, const QuantizedLayerOptions& q)
    : QuantizedLayer(weight_shape(in, out, o, q), o.bias, q), in_channels(in), out_channels(out), conv(o) {}
Ref<QuantizedConv2d> QuantizedConv2d::from_float(nn::Conv2d& layer, const Batches& calibration, const QuantizationConfig& config) {
  auto q = make<QuantizedConv2d>(layer.in_channels, layer.out_channels, layer.options, QuantizedLayerOptions{!calibration, config.activation_dtype});
  q->take(layer, least_input(layer), calibration, {}, config);
  return q;
}
Ref<QuantizedConv2d> QuantizedConv2d::from_float(nn::Conv2d& layer, const ActivationScale& input, const ActivationScale& output, DType t) {
  auto q = make<QuantizedConv2d>(layer.in_channels, layer.out_channels, layer.options, QuantizedLayerOptions{false, t});
  for (const ActivationScale& a : {input, output}) check_scale("QuantizedConv2d", a, t);
  q->take(layer, least_input(layer), nullptr, Scales{input, output}, config_with(t));
  return q;
}
std::string QuantizedConv2d::sizes() const {
  std::string s = std::to_string(in_channels) + ", " + std::to_string(out_channels) + ", kernel_size=" + pair_text(conv.kernel_size) + ", stride=" + pair_text(conv.stride);
  if (conv.padding != Dims{0, 0}) s += ", padding=" + (conv.padding.rank == 2 ? pair_text(conv.padding) : conv.padding.text());
  if (conv.dilation[0] != 1 || conv.dilation[1] != 1) s += ", dilation=" + pair_text(conv.dilation);
  return conv.groups == 1 ? s : s + ", groups=" + std::to_string(conv.groups);
}
template <class A> static A with_windows(const nn::Conv2dOptions& o) {
  A at;
  at.stride = o.stride;
  at.padding = o.padding.rank == 2 ? Dims{o.padding[0], o.padding[1], o.padding[0], o.padding[1]} : o.padding;
  at.dilation = o.dilation;
  at.groups = o.groups;
  return at;
}
Tensor QuantizedConv2d::run(const Tensor& q) const {
  auto at = with_windows<QConv2dAttrs>(conv);
  set_scales(at, *this);
  return applied(qconv2d_op, {q, buffer_of("weight"), buffer_of("weight_scale")}, buffer_of("bias"), at);
}
Tensor QuantizedConv2d::run_dynamic(const std::vector<Tensor>& q) const {
  return applied(qconv2d_dynamic_op, {q[0], q[1], q[2], buffer_of("weight"), buffer_of("weight_scale")}, buffer_of("bias"), with_windows<Conv2dAttrs>(conv));
}

}  // namespace miniten::edge
