#include "base/text.h"
#include "miniten/base/symbol.h"
#include "miniten/ops/ops.h"
#include "ops/onnx_windows.h"

namespace miniten {

namespace {

using Names = std::vector<std::string>;
using Tensors = std::vector<Tensor>;

Names cut(ForeignWriter& w, std::string y, float lo, float hi) {         // what a clamp fused into an op becomes
  if (lo == -infinity && hi == infinity) return {y};
  if (lo == 0 && hi == infinity) return {w.emit_one("Relu", {y})};
  auto bound = [&](float v) { return v > -infinity && v < infinity ? w.constant(Tensor::full({}, v), "bound") : std::string(); };
  if (w.version() >= 11) return {w.emit_one("Clip", {y, bound(lo), bound(hi)})};
  ForeignAttributes at;
  if (lo > -infinity) at.emplace_back("min", lo);
  if (hi < infinity) at.emplace_back("max", hi);
  return {w.emit_one("Clip", {y}, at)};
}
std::vector<int64_t> list(const Dims& d) { return {d.begin(), d.end()}; }
Dims dims(const std::vector<int64_t>& v) { return Dims(std::span<const Dim>(v)); }

struct Window { Dims kernel, stride, dilation, padding; };               // of two axes
Window two_axes(const onnx::Windows& w) {
  if (w.kernel.size() == 2) return {dims(w.kernel), dims(w.stride), dims(w.dilation), {w.before[0], w.before[1], w.after[0], w.after[1]}};
  return {{1, w.kernel[0]}, {1, w.stride[0]}, {1, w.dilation[0]}, {0, w.before[0], 0, w.after[0]}};   // one axis: height 1
}

Names write_conv(ForeignWriter& w, const ForeignCall& f) {
  const auto& at = f.call.as<Conv2dAttrs>();
  const Shape& weight = f.call.in[1].shape;
  ForeignAttributes a{{"dilations", list(at.dilation)}, {"group", at.groups}, {"kernel_shape", std::vector<int64_t>{weight[2], weight[3]}},
                      {"pads", list(at.padding)}, {"strides", list(at.stride)}};
  return cut(w, w.emit_one("Conv", {f.in.begin(), f.in.end()}, a), at.lo, at.hi);
}
// Three spatial axes: for each plane of the kernel, a convolution of the planes it meets.
Tensor conv3d(const Tensor& x, const Tensor& weight, const Tensor& bias, const onnx::Windows& w, int64_t groups) {
  Dims before = Dims::filled(5, 0), after = before;
  before[2] = w.before[0];
  after[2] = w.after[0];
  Tensor padded = miniten::pad(x, before, after), total;
  int64_t depth = (padded.dim(2) - w.dilation[0] * (w.kernel[0] - 1) - 1) / w.stride[0] + 1;
  Conv2dAttrs at{.stride = {w.stride[1], w.stride[2]}, .padding = {w.before[1], w.before[2], w.after[1], w.after[2]}, .dilation = {w.dilation[1], w.dilation[2]}, .groups = groups};
  for (int64_t k = 0; k < w.kernel[0]; ++k) {
    int64_t first = k * w.dilation[0];
    Tensor planes = miniten::permute(miniten::slice(padded, 2, first, first + (depth - 1) * w.stride[0] + 1, w.stride[0]), {0, 2, 1, 3, 4});
    Tensor y = miniten::conv2d(miniten::reshape(planes, {planes.dim(0) * depth, planes.dim(2), planes.dim(3), planes.dim(4)}), select(weight, 2, k), k ? Tensor() : bias, at);
    total = total ? total + y : y;
  }
  Tensor y = miniten::reshape(total, {x.dim(0), depth, total.dim(1), total.dim(2), total.dim(3)});
  return miniten::permute(y, {0, 2, 1, 3, 4});
}
Tensors read_conv(const ForeignNode& n) {
  Tensor x = n.required(0), weight = n.required(1), bias = n.inputs() > 2 ? n.input(2) : Tensor();
  if (weight.rank() < 3 || weight.rank() > 5 || x.rank() != weight.rank()) n.fail("one to three spatial axes", x.spec().text() + " and " + weight.spec().text());
  std::vector<int64_t> kernel;
  for (int i = 2; i < weight.rank(); ++i) kernel.push_back(weight.dim(i));
  onnx::Windows windows = onnx::windows_of(n, x.shape(), kernel);
  if (x.rank() == 5) {
    onnx::require_static(n, x);
    return {conv3d(x, weight, bias, windows, n.integer("group", 1))};
  }
  Window win = two_axes(windows);
  bool line = x.rank() == 3;
  if (line) { x = unsqueeze(x, 2); weight = unsqueeze(weight, 2); }
  Tensor y = miniten::conv2d(x, weight, bias, {.stride = win.stride, .padding = win.padding, .dilation = win.dilation, .groups = n.integer("group", 1)});
  return {line ? squeeze(y, 2) : y};
}
Names write_conv_transpose(ForeignWriter& w, const ForeignCall& f) {
  const auto& at = f.call.as<Conv2dAttrs>();
  const Shape &y = f.call.in[0].shape, &weight = f.call.in[1].shape;
  std::vector<int64_t> extra;
  for (int i : {0, 1}) {
    auto rest = difference(at.extent[i], derived({y[i + 2], at.stride[i], at.dilation[i] * (weight[i + 2] - 1) + 1 - at.stride[i] - at.padding[i] - at.padding[i + 2]}));
    if (!rest) throw Error(ErrorKind::unsupported, "export", "known sizes", y.text() + " in layer \"" + std::string(f.node) + "\"", "export with a fixed shape");
    extra.push_back(*rest);
  }
  return {w.emit_one("ConvTranspose", {f.in.begin(), f.in.end()}, {{"dilations", list(at.dilation)}, {"group", at.groups}, {"kernel_shape", std::vector<int64_t>{weight[2], weight[3]}},
                     {"output_padding", extra}, {"pads", list(at.padding)}, {"strides", list(at.stride)}})};
}
Tensors read_conv_transpose(const ForeignNode& n) {
  Tensor x = n.required(0), weight = n.required(1), bias = n.inputs() > 2 ? n.input(2) : Tensor();
  if (weight.rank() < 3 || weight.rank() > 4 || x.rank() != weight.rank()) n.fail("one or two spatial axes", x.spec().text() + " and " + weight.spec().text());
  size_t axes = size_t(weight.rank()) - 2;
  std::vector<int64_t> one(axes, 1), none(axes, 0), stride = n.integers("strides", one), dilation = n.integers("dilations", one), extra = n.integers("output_padding", none),
      pads = n.integers("pads", std::vector<int64_t>(2 * axes, 0)), wanted = n.integers("output_shape", {});
  if (stride.size() != axes || dilation.size() != axes || extra.size() != axes || pads.size() != 2 * axes || (!wanted.empty() && wanted.size() < axes))
    n.fail("a stride, dilation, output padding and two pads for each spatial axis", "others");
  std::string automatic = n.text("auto_pad", "NOTSET");
  std::vector<int64_t> size(axes);
  for (size_t i = 0; i < axes; ++i) {
    Dim in = x.dim(int(i) + 2);
    int64_t beyond = extra[i] + dilation[i] * (weight.dim(int(i) + 2) - 1) + 1 - stride[i];     // of an output of stride * in and this
    if (is_symbol(in) && (!wanted.empty() || stride[i] < 1)) n.fail("known sizes", x.spec().text(), "call it with arrays, or fix the sizes");
    bool same = automatic == "SAME_UPPER" || automatic == "SAME_LOWER";
    if (!wanted.empty() || same) {
      int64_t total = wanted.empty() ? beyond : stride[i] * in + beyond - wanted[wanted.size() - axes + i];
      int64_t half = (total - (total & 1)) / 2;                            // downwards
      pads[i] = automatic == "SAME_UPPER" ? half : total - half;
      pads[axes + i] = total - pads[i];
    } else if (automatic == "VALID") pads[i] = pads[axes + i] = 0;
    size[i] = derived({in, stride[i], beyond - std::max<int64_t>(pads[i], 0) - std::max<int64_t>(pads[axes + i], 0)});
    if (!is_symbol(size[i]) && size[i] < 1) n.fail("an output of at least 1", std::to_string(size[i]));
  }
  auto cut = [&](size_t i) { return std::max<int64_t>(pads[i], 0); };
  bool line = axes == 1;
  if (line) { x = unsqueeze(x, 2); weight = unsqueeze(weight, 2); }
  Conv2dAttrs at{.groups = n.integer("group", 1)};
  at.stride = line ? Dims{1, stride[0]} : dims(stride);
  at.dilation = line ? Dims{1, dilation[0]} : dims(dilation);
  at.padding = line ? Dims{0, cut(0), 0, cut(1)} : Dims{cut(0), cut(1), cut(2), cut(3)};
  at.extent = line ? Shape{1, size[0]} : dims(size);
  DType t = x.dtype(), wide = t == DType::f64 ? t : DType::f32;
  Tensor y = miniten::cast(apply(conv2d_input_op, {miniten::cast(x, wide), miniten::cast(weight, wide)}, at), t);
  if (line) y = squeeze(y, 2);
  Dims before = Dims::filled(y.rank(), 0), after = before;               // an output shape beyond what the kernel reaches
  for (size_t i = 0; i < axes; ++i) {
    before[int(i) + 2] = std::max<int64_t>(-pads[i], 0);
    after[int(i) + 2] = std::max<int64_t>(-pads[axes + i], 0);
  }
  if (before.count() + after.count() != 0 || before != Dims::filled(y.rank(), 0) || after != Dims::filled(y.rank(), 0)) y = miniten::pad(y, before, after);
  Shape by_channel = Dims::filled(y.rank(), 1);
  by_channel[1] = y.dim(1);
  return {bias ? y + miniten::reshape(bias, by_channel) : y};
}

Tensors read_fused_conv(const ForeignNode& n) {                           // onnxruntime's: a convolution, perhaps a sum, an activation
  Tensor y = read_conv(n)[0];
  if (n.inputs() > 3 && n.input(3)) y = y + n.input(3);
  std::string f = n.text("activation", "");
  auto p = n.numbers("activation_params", {});
  auto at = [&](size_t i, double otherwise) { return i < p.size() ? double(p[i]) : otherwise; };
  if (f.empty()) return {y};
  if (f == "Relu") return {relu(y)};
  if (f == "Sigmoid") return {sigmoid(y)};
  if (f == "Tanh") return {miniten::tanh(y)};
  if (f == "LeakyRelu") return {miniten::leaky_relu(y, at(0, 0.01))};
  if (f == "Clip") return {miniten::clamp(y, float(at(0, -double(infinity))), float(at(1, double(infinity))))};
  if (f == "HardSigmoid") return {miniten::clamp(y * at(0, 0.2) + at(1, 0.5), 0, 1)};
  n.fail("an activation that MiniTen fuses", f);
}
Tensors read_dropout(const ForeignNode& n) {
  Tensor x = n.required(0);
  bool trains = n.version() >= 12 && n.inputs() > 2 && n.input(2) && n.constant(2).item() != 0;
  double ratio = n.version() >= 12 ? (n.inputs() > 1 && n.input(1) ? n.constant(1).item() : 0.5) : n.number("ratio", 0.5);
  if (trains && ratio > 0) n.fail("dropout for inference", "training_mode with ratio " + std::to_string(ratio), "train with nn.Dropout");
  Tensor mask = n.outputs() > 1 ? equal(x, x) : Tensor();
  if (mask) mask = miniten::where(mask, mask, Tensor::full({}, 1, DType::boolean));
  return {x, mask};
}

Names write_matmul(ForeignWriter& w, const ForeignCall& f) {
  const auto& at = f.call.as<ClampAttrs>();
  std::string y;
  if (f.in.size() == 3 && f.call.out[0].shape.rank == 2) y = w.emit_one("Gemm", {f.in.begin(), f.in.end()});
  else {
    y = w.emit_one("MatMul", {f.in[0], f.in[1]});
    if (f.in.size() == 3) y = w.emit_one("Add", {y, f.in[2]});
  }
  return cut(w, y, at.lo, at.hi);
}
Tensors read_matmul(const ForeignNode& n) {
  Tensor a = n.required(0), b = n.required(1);
  if (is_float(a.dtype())) return {miniten::matmul(a, b)};
  return {miniten::cast(miniten::matmul(miniten::cast(a, DType::f64), miniten::cast(b, DType::f64)), a.dtype())};
}

ForeignAttributes pool_attributes(const Pool2dAttrs& at, int version) {
  ForeignAttributes a{{"kernel_shape", list(at.kernel)}, {"pads", list(at.padding)}, {"strides", list(at.stride)}};
  if (at.ceil_mode && version >= 10) a.emplace_back("ceil_mode", int64_t{1});
  return a;
}
Names write_max_pool(ForeignWriter& w, const ForeignCall& f) {
  const auto& at = f.call.as<Pool2dAttrs>();
  auto a = pool_attributes(at, w.version());
  if (at.dilation[0] != 1 || at.dilation[1] != 1) a.emplace_back("dilations", list(at.dilation));
  return {w.emit_one("MaxPool", {f.in[0]}, a)};
}
Names write_avg_pool(ForeignWriter& w, const ForeignCall& f) {
  const auto& at = f.call.as<Pool2dAttrs>();
  auto a = pool_attributes(at, w.version());
  a.emplace_back("count_include_pad", int64_t{at.count_include_pad});
  if (at.dilation[0] != 1 || at.dilation[1] != 1)
    throw Error(ErrorKind::unsupported, "export", "average pooling without dilation", at.dilation.text() + " in layer \"" + std::string(f.node) + "\"", "use opset 19 or a plain pool");
  return {w.emit_one("AveragePool", {f.in[0]}, a)};
}
Tensors read_pool(const ForeignNode& n, bool greatest) {
  Tensor x = n.required(0);
  bool fast = is_float(x.dtype()) || (greatest && (x.dtype() == DType::i8 || x.dtype() == DType::u8));
  if (n.outputs() > 1 || x.rank() > 4 || !fast) return greatest ? onnx::max_pool_at_once(n) : onnx::avg_pool_at_once(n);
  Window win = two_axes(onnx::windows_of(n, x.shape(), n.integers("kernel_shape", {})));
  bool line = x.rank() == 3;
  if (line) x = unsqueeze(x, 2);
  Pool2dAttrs at{.kernel = win.kernel, .stride = win.stride, .padding = win.padding, .dilation = win.dilation, .ceil_mode = n.integer("ceil_mode", 0) != 0,
                 .count_include_pad = n.integer("count_include_pad", 0) != 0};
  Tensor y = greatest ? miniten::max_pool2d(x, at) : miniten::avg_pool2d(x, at);
  return {line ? squeeze(y, 2) : y};
}

Names write_batch_norm(ForeignWriter& w, const ForeignCall& f) {
  const auto& at = f.call.as<BatchNormAttrs>();
  return {w.emit_one("BatchNormalization", {f.in.begin(), f.in.begin() + 5}, {{"epsilon", float(at.eps)}, {"momentum", float(1 - at.momentum)}})};
}
Tensors read_batch_norm(const ForeignNode& n) {
  if (n.integer("training_mode", 0) != 0) {                               // statistics of this batch, and the running ones moved
    Tensor x = n.required(0);
    Axes others;
    for (int i = 0; i < x.rank(); ++i) if (i != 1) others.push(i);
    double keep = n.number("momentum", double(0.9f));
    Tensor m = mean(x, others), v = var(x, others, false, 0);
    return {miniten::batch_norm(x, n.required(1), n.required(2), m, v, shortest(float(n.number("epsilon", 1e-5)))), n.required(3) * keep + m * (1 - keep),
            n.required(4) * keep + v * (1 - keep)};
  }
  if (n.version() < 9 && n.integer("spatial", 1) != 1) n.fail("one statistic per channel", "spatial=0");
  BatchStatistics running{n.required(3), n.required(4), {}, 1 - shortest(float(n.number("momentum", 0.9)))};   // 0.9 read as 0.9: 0.1 comes back
  const double eps = shortest(float(n.number("epsilon", 1e-5)));
  if (n.training()) return {batch_norm_tracked(n.required(0), running, n.required(1), n.required(2), eps)};
  return {miniten::batch_norm(n.required(0), n.required(1), n.required(2), running, eps)};
}

Names write_softmax(ForeignWriter& w, const ForeignCall& f) {
  return {w.emit_one(f.call.op.onnx.name, {f.in[0]}, {{"axis", int64_t{f.call.in[0].shape.rank - 1}}})};
}
Tensors read_softmax(const ForeignNode& n) {
  Tensor x = n.required(0);
  auto run = [&](const Tensor& t, int axis) { return n.type() == "Softmax" ? miniten::softmax(t, axis) : miniten::log_softmax(t, axis); };
  if (n.version() >= 13) return {run(x, int(n.integer("axis", -1)))};
  int64_t axis = n.integer("axis", 1);                                   // before 13: over all axes from `axis` on
  if (axis < 0) axis += x.rank();
  if (axis < 0 || axis > x.rank()) n.fail("an axis of " + x.spec().text(), std::to_string(axis));
  if (axis == x.rank() - 1) return {run(x, -1)};
  Shape two{1, 1};
  for (int i = 0; i < x.rank(); ++i) (i < axis ? two[0] : two[1]) *= x.dim(i);
  return {reshape(run(reshape(x, two), 1), x.shape())};
}

Names write_gelu(ForeignWriter& w, const ForeignCall& f) {
  if (w.version() >= 20) return {w.emit_one("Gelu", {f.in[0]})};
  auto c = [&](double v) { return w.constant(Tensor::full({}, v), "gelu"); };
  std::string e = w.emit_one("Erf", {w.emit_one("Mul", {f.in[0], c(0.7071067811865476)})});
  return {w.emit_one("Mul", {w.emit_one("Mul", {f.in[0], w.emit_one("Add", {e, c(1)})}), c(0.5)})};
}
Tensors read_gelu(const ForeignNode& n) {
  Tensor x = n.required(0);
  if (n.text("approximate", "none") == "none") return {miniten::gelu(x)};
  Tensor inner = (x + x * x * x * 0.044715) * 0.7978845608028654;
  return {x * 0.5 * (miniten::tanh(inner) + 1.0)};
}
Names write_silu(ForeignWriter& w, const ForeignCall& f) { return {w.emit_one("Mul", {f.in[0], w.emit_one("Sigmoid", {f.in[0]})})}; }

Names write_arithmetic(ForeignWriter& w, const ForeignCall& f) {
  const auto& at = f.call.as<ClampAttrs>();
  return cut(w, w.emit_one(f.call.op.onnx.name, {f.in.begin(), f.in.end()}), at.lo, at.hi);
}
Tensors read_arithmetic(const ForeignNode& n) {
  Tensor a = n.required(0), b = n.required(1);
  switch (n.type()[0]) {
    case 'A': return {a + b};
    case 'S': return {a - b};
    case 'M': return {a * b};
    case 'D': return onnx::read_div(n);
    default: return onnx::read_pow(n);
  }
}
Tensors read_variadic(const ForeignNode& n) {
  Tensor y = n.required(0);
  for (int i = 1; i < n.inputs(); ++i) y = n.type() == "Max" ? maximum(y, n.required(i)) : minimum(y, n.required(i));
  return {y};
}
Names write_gate(ForeignWriter& w, const ForeignCall& f) {
  const auto& at = f.call.as<ClampAttrs>();
  std::string zero = w.constant(Tensor::full({}, 0, f.call.in[0].dtype), "zero");
  return cut(w, w.emit_one("Where", {w.emit_one("Greater", {f.in[1], zero}), f.in[0], zero}), at.lo, at.hi);
}
Names write_clamp(ForeignWriter& w, const ForeignCall& f) {
  const auto& at = f.call.as<ClampAttrs>();
  return cut(w, f.in[0], at.lo, at.hi);
}
Tensors read_clamp(const ForeignNode& n) {
  Tensor x = n.required(0);
  if (n.version() < 11) {
    double lo = n.number("min", -double(infinity)), hi = n.number("max", double(infinity));
    return {miniten::clamp(x, float(lo), float(hi))};
  }
  Tensor bounds[] = {onnx::optional(n, 1), onnx::optional(n, 2)};
  double at[] = {-double(infinity), double(infinity)};
  bool known = x.dtype() == DType::f32;
  for (int i : {0, 1}) {
    if (!bounds[i]) continue;
    known = known && bounds[i].has_data() && bounds[i].numel() == 1;
    if (known) at[i] = onnx::numbers_of(n, i + 1)[0];
  }
  if (known && at[0] <= at[1]) return {miniten::clamp(x, float(at[0]), float(at[1]))};
  if (bounds[0]) x = maximum(x, bounds[0]);
  if (bounds[1]) x = minimum(x, bounds[1]);
  return {x};
}

}  // namespace

namespace onnx {
Compositions layer_rules() {
  static constexpr ForeignComposition rules[] = {{"onnx", "com.microsoft.FusedConv", read_fused_conv}, {"onnx", "Dropout", read_dropout}};
  return rules;
}
constinit const ForeignRules conv2d{write_conv, read_conv}, conv_transpose{write_conv_transpose, read_conv_transpose}, matmul{write_matmul, read_matmul}, softmax{write_softmax, read_softmax},
    batch_norm{write_batch_norm, read_batch_norm, 0b11000}, gelu{write_gelu, read_gelu}, silu{write_silu, nullptr}, clamp{write_clamp, read_clamp},
    arithmetic{write_arithmetic, read_arithmetic}, variadic{write_arithmetic, read_variadic}, gate{write_gate, nullptr},
    max_pool2d{write_max_pool, [](const ForeignNode& n) { return read_pool(n, true); }},
    avg_pool2d{write_avg_pool, [](const ForeignNode& n) { return read_pool(n, false); }};

}  // namespace onnx
}  // namespace miniten
