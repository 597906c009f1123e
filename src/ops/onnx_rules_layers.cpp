#include "miniten/ops/ops.h"
#include "ops/onnx_rules.h"

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

// Padding of each side for one spatial axis, from pads or auto_pad.
struct Window { Dims kernel, stride, dilation, padding; };               // of two axes
Window window_of(const ForeignNode& n, const Shape& x, const std::vector<int64_t>& kernel) {
  size_t axes = kernel.size();
  if (axes < 1 || axes > 2) n.fail("one or two spatial axes", std::to_string(axes));
  auto strides = n.integers("strides", std::vector<int64_t>(axes, 1)), dilations = n.integers("dilations", std::vector<int64_t>(axes, 1));
  auto pads = n.integers("pads", std::vector<int64_t>(2 * axes, 0));
  if (strides.size() != axes || dilations.size() != axes || pads.size() != 2 * axes) n.fail("a stride, dilation and two pads for each spatial axis", "others");
  std::string automatic = n.text("auto_pad", "NOTSET");
  for (size_t i = 0; i < axes; ++i) {
    if (strides[i] < 1 || dilations[i] < 1 || kernel[i] < 1) n.fail("kernel, strides and dilations of at least 1", "others");
    if (automatic == "NOTSET" || automatic.empty()) continue;
    if (automatic == "VALID") { pads[i] = pads[axes + i] = 0; continue; }
    if (automatic != "SAME_UPPER" && automatic != "SAME_LOWER") n.fail("auto_pad NOTSET, VALID, SAME_UPPER or SAME_LOWER", automatic);
    Dim size = x[int(i) + 2];
    if (is_symbol(size)) n.fail("a known size for auto_pad", x.text());
    int64_t total = std::max<int64_t>(0, ((size + strides[i] - 1) / strides[i] - 1) * strides[i] + dilations[i] * (kernel[i] - 1) + 1 - size);
    pads[i] = automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
    pads[axes + i] = total - pads[i];
  }
  if (axes == 2) return {dims(kernel), dims(strides), dims(dilations), {pads[0], pads[1], pads[2], pads[3]}};
  return {{1, kernel[0]}, {1, strides[0]}, {1, dilations[0]}, {0, pads[0], 0, pads[1]}};       // one axis: height 1
}

Names write_conv(ForeignWriter& w, const ForeignCall& f) {
  const auto& at = f.call.as<Conv2dAttrs>();
  const Shape& weight = f.call.in[1].shape;
  ForeignAttributes a{{"dilations", list(at.dilation)}, {"group", at.groups}, {"kernel_shape", std::vector<int64_t>{weight[2], weight[3]}},
                      {"pads", list(at.padding)}, {"strides", list(at.stride)}};
  return cut(w, w.emit_one("Conv", {f.in.begin(), f.in.end()}, a), at.lo, at.hi);
}
Tensors read_conv(const ForeignNode& n) {
  Tensor x = n.required(0), weight = n.required(1), bias = n.inputs() > 2 ? n.input(2) : Tensor();
  if (weight.rank() < 3 || weight.rank() > 4 || x.rank() != weight.rank()) n.fail("one or two spatial axes", x.spec().text() + " and " + weight.spec().text());
  std::vector<int64_t> kernel;
  for (int i = 2; i < weight.rank(); ++i) kernel.push_back(weight.dim(i));
  Window win = window_of(n, x.shape(), kernel);
  bool line = x.rank() == 3;
  if (line) { x = unsqueeze(x, 2); weight = unsqueeze(weight, 2); }
  Tensor y = miniten::conv2d(x, weight, bias, {.stride = win.stride, .padding = win.padding, .dilation = win.dilation, .groups = n.integer("group", 1)});
  return {line ? squeeze(y, 2) : y};
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
Tensors read_matmul(const ForeignNode& n) { return {miniten::matmul(n.required(0), n.required(1))}; }

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
  if (n.outputs() > 1) n.fail("pooling without indices", "a second output");
  if (x.rank() < 3 || x.rank() > 4) n.fail("one or two spatial axes", x.spec().text());
  Window win = window_of(n, x.shape(), n.integers("kernel_shape", {}));
  bool line = x.rank() == 3;
  if (line) x = unsqueeze(x, 2);
  Pool2dAttrs at{.kernel = win.kernel, .stride = win.stride, .padding = win.padding, .dilation = win.dilation, .ceil_mode = n.integer("ceil_mode", 0) != 0,
                 .count_include_pad = n.integer("count_include_pad", 0) != 0};
  Tensor y = greatest ? miniten::max_pool2d(x, at) : miniten::avg_pool2d(x, at);
  return {line ? squeeze(y, 2) : y};
}

Names write_batch_norm(ForeignWriter& w, const ForeignCall& f) {
  return {w.emit_one("BatchNormalization", {f.in.begin(), f.in.end()}, {{"epsilon", f.call.as<BatchNormAttrs>().eps}})};
}
Tensors read_batch_norm(const ForeignNode& n) {
  if (n.integer("training_mode", 0) != 0) n.fail("inference", "training_mode=1");
  if (n.version() < 9 && n.integer("spatial", 1) != 1) n.fail("one statistic per channel", "spatial=0");
  return {miniten::batch_norm(n.required(0), n.required(1), n.required(2), n.required(3), n.required(4), float(n.number("epsilon", 1e-5)))};
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
    case 'D': return {a / b};
    default: return {pow(a, b)};
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
  for (int i : {1, 2})
    if (Tensor bound = i < n.inputs() ? n.input(i) : Tensor()) x = i == 1 ? maximum(x, bound) : minimum(x, bound);
  return {x};
}

}  // namespace

namespace onnx {
constinit const ForeignRules conv2d{write_conv, read_conv}, matmul{write_matmul, read_matmul}, softmax{write_softmax, read_softmax},
    batch_norm{write_batch_norm, read_batch_norm}, gelu{write_gelu, read_gelu}, silu{write_silu, nullptr}, clamp{write_clamp, read_clamp},
    arithmetic{write_arithmetic, read_arithmetic}, variadic{write_arithmetic, read_variadic}, gate{write_gate, nullptr},
    max_pool2d{write_max_pool, [](const ForeignNode& n) { return read_pool(n, true); }},
    avg_pool2d{write_avg_pool, [](const ForeignNode& n) { return read_pool(n, false); }};

}  // namespace onnx
}  // namespace miniten
