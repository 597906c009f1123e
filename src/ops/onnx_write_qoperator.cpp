#include "miniten/ops/ops.h"
#include "ops/onnx_rules.h"

// Integer ops as ONNX's operators on integers, onnxruntime's where ONNX has none.
namespace miniten::onnx {

namespace {

using Names = std::vector<std::string>;

std::string number(ForeignWriter& w, double value, DType t, const char* hint) { return w.constant(Tensor::full({}, value, t), hint); }
std::string scale(ForeignWriter& w, float value) { return number(w, value, DType::f32, "scale"); }
std::string zero(ForeignWriter& w, int64_t value, DType t) { return number(w, double(value), t, "zero_point"); }
const Tensor* channel_scale(const ForeignCall& f) { return f.call.value(2); }

// The cut to [lo, hi], where it is narrower than the type.
std::string cut(ForeignWriter& w, const std::string& y, int64_t lo, int64_t hi, DType t) {
  int64_t least = t == DType::i8 ? -128 : 0;
  if (lo == least && hi == least + 255) return y;
  return w.emit_one("Clip", {y, number(w, double(lo), t, "bound"), number(w, double(hi), t, "bound")});
}
Names weight(ForeignWriter& w, const ForeignCall& f) {
  return {f.in[1], w.constant(*channel_scale(f), "scale"), w.constant(Tensor::zeros(channel_scale(f)->shape(), DType::i8), "zero_point")};
}
std::vector<int64_t> list(const Dims& d) { return {d.begin(), d.end()}; }
bool bytes(DType t) { return t == DType::i8 || t == DType::u8; }

}  // namespace

std::optional<Names> qoperator_conv(ForeignWriter& w, const ForeignCall& f) {
  const auto& at = f.call.as<QConv2dAttrs>();
  DType t = f.call.in[0].dtype;
  if (!channel_scale(f) || !bytes(t) || at.dtype != t || f.call.in[1].dtype != DType::i8) return {};
  const Shape& kernel = f.call.in[1].shape;
  Names in{f.in[0], scale(w, at.x_scale), zero(w, at.x_zero, t)};
  for (std::string& name : weight(w, f)) in.push_back(std::move(name));
  in.insert(in.end(), {scale(w, at.y_scale), zero(w, at.y_zero, at.dtype)});
  if (f.in.size() == 4) in.push_back(f.in[3]);
  std::string y = w.emit_one("QLinearConv", in, {{"dilations", list(at.dilation)}, {"group", at.groups}, {"kernel_shape", std::vector<int64_t>{kernel[2], kernel[3]}},
                                                 {"pads", list(at.padding)}, {"strides", list(at.stride)}});
  return Names{cut(w, y, at.lo, at.hi, at.dtype)};
}

std::optional<Names> qoperator_matmul(ForeignWriter& w, const ForeignCall& f) {
  const auto& at = f.call.as<QMatmulAttrs>();
  DType t = f.call.in[0].dtype;
  bool bias = f.in.size() == 4;
  if (!channel_scale(f) || !bytes(t) || at.dtype != t || f.call.in[1].dtype != DType::i8 || (bias && f.call.in[0].shape.rank != 2)) return {};
  Names in{f.in[0], scale(w, at.x_scale), zero(w, at.x_zero, t)};
  for (std::string& name : weight(w, f)) in.push_back(std::move(name));
  if (bias) in.push_back(f.in[3]);
  in.insert(in.end(), {scale(w, at.y_scale), zero(w, at.y_zero, at.dtype)});
  return Names{cut(w, w.emit_one(bias ? "com.microsoft.QGemm" : "QLinearMatMul", in), at.lo, at.hi, at.dtype)};
}

std::optional<Names> qoperator_pair(ForeignWriter& w, const ForeignCall& f, std::string_view op) {
  const auto& at = f.call.as<QAddAttrs>();
  DType t = f.call.in[0].dtype;
  if (!bytes(t) || (op != "Add" && op != "Mul")) return {};
  std::string y = w.emit_one("com.microsoft.QLinear" + std::string(op), {f.in[0], scale(w, at.a_scale), zero(w, at.a_zero, t), f.in[1], scale(w, at.b_scale), zero(w, at.b_zero, t),
                                                                         scale(w, at.y_scale), zero(w, at.y_zero, t)});
  return Names{cut(w, y, at.lo, at.hi, t)};
}

std::optional<Names> qoperator_avg_pool(ForeignWriter& w, const ForeignCall& f) {
  const auto& at = f.call.as<QAvgPool2dAttrs>();
  const Spec& x = f.call.in[0];
  if (!bytes(x.dtype) || at.kernel != Dims{x.shape[2], x.shape[3]} || at.padding != Dims{0, 0, 0, 0}) return {};
  return Names{w.emit_one("com.microsoft.QLinearGlobalAveragePool", {f.in[0], scale(w, at.x_scale), zero(w, at.x_zero, x.dtype), scale(w, at.y_scale), zero(w, at.y_zero, x.dtype)},
                          {{"channels_last", int64_t{0}}})};
}

}  // namespace miniten::onnx
