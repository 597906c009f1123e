#include "miniten/ops/ops.h"
#include "ops/onnx_rules.h"

// How ops that pick, place, order and count elements, and functions without a node of their own, are written to ONNX.
namespace miniten::onnx {

namespace {

using Names = std::vector<std::string>;

void since(const ForeignWriter& w, const ForeignCall& f, int opset, std::string_view what = {}) {
  if (w.version() >= opset) return;
  if (what.empty()) what = f.call.op.onnx.name;
  throw Error(ErrorKind::unsupported, "export", "opset " + std::to_string(opset) + " or later for " + std::string(what),
              "opset " + std::to_string(w.version()) + " in layer \"" + std::string(f.node) + "\"");
}
std::string number(ForeignWriter& w, const ForeignCall& f, double v) { return w.constant(Tensor::full({}, v, f.call.in[0].dtype), "number"); }
std::string list(ForeignWriter& w, const Ints& v) { return w.constant(ints(v), "sizes"); }
std::string as(ForeignWriter& w, const std::string& x, DType from, DType to) { return from == to ? x : w.emit_one("Cast", {x}, {{"to", onnx_type(to)}}); }

Names write_gather_elements(ForeignWriter& w, const ForeignCall& f) {
  since(w, f, 11);
  return {w.emit_one("GatherElements", {f.in[0], f.in[1]}, {{"axis", f.call.as<AxisAttrs>().axis}})};
}
Names write_scatter_elements(ForeignWriter& w, const ForeignCall& f) {
  const auto& at = f.call.as<ScatterAttrs>();
  ForeignAttributes a{{"axis", at.axis}};
  since(w, f, 11);
  if (at.reduction != "none") {
    since(w, f, at.reduction == "add" || at.reduction == "mul" ? 16 : 18, "ScatterElements with reduction " + at.reduction);
    a.emplace_back("reduction", at.reduction);
  }
  return {w.emit_one("ScatterElements", {f.in.begin(), f.in.end()}, a)};
}
Names write_scatter_add(ForeignWriter& w, const ForeignCall& f) {
  const Shape &to = f.call.out[0].shape, &rows = f.call.in[1].shape;
  since(w, f, 16);
  if (!to.is_static() || !rows.is_static()) throw Error(ErrorKind::unsupported, "export", "known sizes", to.text() + " in layer \"" + std::string(f.node) + "\"", "export with a fixed shape");
  Ints wide(rows.begin(), rows.end());
  wide.push_back(1);
  std::string at = w.emit_one("Reshape", {f.in[1], list(w, wide)});
  return {w.emit_one("ScatterND", {w.constant(Tensor::zeros(to, f.call.out[0].dtype), "zeros"), as(w, at, f.call.in[1].dtype, DType::i64), f.in[0]}, {{"reduction", std::string("add")}})};
}
Names write_cumsum(ForeignWriter& w, const ForeignCall& f) {
  const auto& at = f.call.as<ScanAttrs>();
  since(w, f, 11);
  std::string x = as(w, f.in[0], f.call.in[0].dtype, f.call.out[0].dtype), axis = w.constant(Tensor::full({}, double(at.axis), DType::i64), "axis");
  return {w.emit_one("CumSum", {x, axis}, {{"exclusive", int64_t{at.exclusive}}, {"reverse", int64_t{at.reverse}}})};
}
Names write_argsort(ForeignWriter& w, const ForeignCall& f) {
  const auto& at = f.call.as<SortAttrs>();
  since(w, f, 11);
  DType t = f.call.in[0].dtype, wide = t == DType::f16 || t == DType::bf16 ? DType::f32 : is_float(t) || t == DType::i64 ? t : DType::i64;
  return {w.emit("TopK", {as(w, f.in[0], t, wide), list(w, {f.call.out[0].shape[int(at.axis)]})}, {{"axis", at.axis}, {"largest", int64_t{at.descending}}}, 2)[1]};
}
Names write_count(ForeignWriter& w, const ForeignCall& f) { return {as(w, w.emit_one("Size", {f.in[0]}), DType::i64, DType::f32)}; }

Names write_floor_divide(ForeignWriter& w, const ForeignCall& f) {
  if (!is_float(f.call.in[0].dtype)) since(w, f, 10, "Mod");
  if (is_float(f.call.in[0].dtype)) return {w.emit_one("Floor", {w.emit_one("Div", {f.in[0], f.in[1]})})};
  return {w.emit_one("Div", {w.emit_one("Sub", {f.in[0], w.emit_one("Mod", {f.in[0], f.in[1]})}), f.in[1]})};
}
Names write_remainder(ForeignWriter& w, const ForeignCall& f) {
  if (!is_float(f.call.in[0].dtype)) {
    since(w, f, 10);
    return {w.emit_one("Mod", {f.in[0], f.in[1]})};
  }
  return {w.emit_one("Sub", {f.in[0], w.emit_one("Mul", {w.emit_one("Floor", {w.emit_one("Div", {f.in[0], f.in[1]})}), f.in[1]})})};
}
Names write_bits(ForeignWriter& w, const ForeignCall& f) {
  std::string_view type = f.call.op.onnx.name;
  if (f.call.in[0].dtype == DType::boolean) return {w.emit_one(type.substr(7), {f.in[0], f.in[1]})};            // And, Or, Xor
  since(w, f, 18);
  return {w.emit_one(type, {f.in[0], f.in[1]})};
}
Names write_shift(ForeignWriter& w, const ForeignCall& f) {
  DType t = f.call.in[0].dtype;
  bool is_signed = t == DType::i8 || t == DType::i16 || t == DType::i32 || t == DType::i64;
  if (is_signed) throw Error(ErrorKind::unsupported, "export", "shifts of unsigned integers", std::string(name_of(t)) + " in layer \"" + std::string(f.node) + "\"", "multiply or floor_divide by a power of 2");
  since(w, f, 11);
  return {w.emit_one("BitShift", {f.in[0], f.in[1]}, {{"direction", std::string(f.call.op.name == "left_shift" ? "LEFT" : "RIGHT")}})};
}

Names write_log2(ForeignWriter& w, const ForeignCall& f) { return {w.emit_one("Mul", {w.emit_one("Log", {f.in[0]}), number(w, f, 1.4426950408889634)})}; }
Names write_expm1(ForeignWriter& w, const ForeignCall& f) { return {w.emit_one("Sub", {w.emit_one("Exp", {f.in[0]}), number(w, f, 1)})}; }
Names write_trunc(ForeignWriter& w, const ForeignCall& f) { return {w.emit_one("Mul", {w.emit_one("Sign", {f.in[0]}), w.emit_one("Floor", {w.emit_one("Abs", {f.in[0]})})})}; }
Names write_atan2(ForeignWriter& w, const ForeignCall& f) {
  since(w, f, 11);
  const std::string &y = f.in[0], &x = f.in[1];
  std::string zero = number(w, f, 0), pi = number(w, f, 3.141592653589793), half = number(w, f, 1.5707963267948966), up = w.emit_one("Less", {y, zero});
  auto sided = [&](const std::string& v) { return w.emit_one("Where", {up, w.emit_one("Neg", {v}), v}); };
  std::string flat = w.emit_one("Atan", {w.emit_one("Div", {y, x})}), behind = w.emit_one("Where", {w.emit_one("Less", {x, zero}), w.emit_one("Add", {flat, sided(pi)}), flat});
  std::string upright = w.emit_one("Where", {w.emit_one("Equal", {y, zero}), zero, sided(half)});
  return {w.emit_one("Where", {w.emit_one("Equal", {x, zero}), upright, behind})};
}

// ---- what they are read as ----
std::string reduction_of(const ForeignNode& n) {
  std::string how = n.text("reduction", "none");
  for (const char* known : {"none", "add", "mul", "max", "min"}) if (how == known) return how;
  n.fail("reduction none, add, mul, max or min", how);
}
Tensors read_gather_elements(const ForeignNode& n) {
  Tensor x = n.required(0);
  return {miniten::gather_elements(x, n.required(1), axis_of(n, n.integer("axis", 0), x.rank()))};
}
Tensors read_cumsum(const ForeignNode& n) {
  Tensor x = n.required(0);
  int at = axis_of(n, n.constant_integers(1).at(0), x.rank());
  return {miniten::cast(miniten::cumsum(x, at, n.integer("exclusive", 0) != 0, n.integer("reverse", 0) != 0), x.dtype())};
}
Tensors read_top_k(const ForeignNode& n) {
  Tensor x = n.required(0);
  int axis = axis_of(n, n.integer("axis", -1), x.rank());
  int64_t k = n.version() < 10 ? n.integer("k", 0) : n.constant_integers(1).at(0);
  if (k < 0 || (!is_symbol(x.dim(axis)) && k > x.dim(axis))) n.fail("k of at most " + std::to_string(x.dim(axis)), std::to_string(k));
  Sorted top = miniten::topk(x, k, axis, n.integer("largest", 1) != 0);
  return {top.values, top.indices};
}
Tensors read_mod(const ForeignNode& n) {
  Tensor a = n.required(0), b = n.required(1);
  if (n.integer("fmod", 0) == 0) return {miniten::remainder(a, b)};
  Tensor zero = Tensor::full({}, 0, a.dtype()), rest = miniten::remainder(miniten::where(less(a, zero), zero - a, a), miniten::where(less(b, zero), zero - b, b));
  return {miniten::where(less(a, zero), zero - rest, rest)};                // has the dividend's sign
}
Tensors read_bits(const ForeignNode& n) {
  Tensor a = n.required(0), b = n.required(1);
  return {n.type() == "BitwiseAnd" ? bitwise_and(a, b) : n.type() == "BitwiseOr" ? bitwise_or(a, b) : bitwise_xor(a, b)};
}
Tensors read_shift(const ForeignNode& n) {
  Tensor a = n.required(0), b = n.required(1);
  return {n.text("direction", "") == "LEFT" ? left_shift(a, b) : right_shift(a, b)};
}

}  // namespace

Tensors read_scatter_elements(const ForeignNode& n) {
  Tensor x = n.required(0);
  return {miniten::scatter_elements(x, n.required(1), n.required(2), axis_of(n, n.integer("axis", 0), x.rank()), reduction_of(n))};
}

constinit const ForeignRules gather_elements{write_gather_elements, read_gather_elements}, scatter_elements{write_scatter_elements, read_scatter_elements}, scatter_add{write_scatter_add, nullptr},
    cumsum{write_cumsum, read_cumsum}, argsort{write_argsort, read_top_k}, count{write_count, nullptr}, floor_divide{write_floor_divide, nullptr}, remainder{write_remainder, read_mod},
    bits{write_bits, read_bits}, shift{write_shift, read_shift}, log2{write_log2, nullptr}, expm1{write_expm1, nullptr}, trunc{write_trunc, nullptr}, atan2{write_atan2, nullptr};

}  // namespace miniten::onnx
