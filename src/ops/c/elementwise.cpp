#include <cmath>
#include "miniten/ops/attrs.h"
#include "core/c_loops.h"
#include "ops/c_rules.h"

namespace miniten::c {

namespace {

// y[..] = expression of a, b and c, the inputs' elements.
void write_loop(CWriter& w, const CCall& c, std::string_view expression, std::string_view after = "") {
  const COperand& y = c.out[0];
  std::vector<Strides> operands{y.strides};
  for (const COperand& x : c.in) operands.push_back(spread(x, y.spec.shape));
  if (needs_math(expression) || needs_math(after)) w.include("math.h");
  Loops loops(y.spec.shape, operands);
  std::string to = w.pointer(y);
  std::vector<std::string> elements;
  loops.open(w);
  for (size_t i = 0; i < c.in.size(); ++i)
    w.line(join({"const ", c_type(c.in[i].spec.dtype), " ", std::string_view("abc").substr(i, 1), " = ", element(w, c.in[i], loops.index(int(i) + 1)), ";"}));
  std::string target = to + "[" + loops.index(0) + "]";
  if (after.empty()) w.line(join({target, " = ", expression, ";"}));
  else {
    w.line(join({"const ", c_type(y.spec.dtype), " v = ", expression, ";"}));
    w.line(join({target, " = ", after, ";"}));
  }
  loops.close(w);
}
void require_numbers(const CCall& c, bool integers) {
  for (const COperand& x : c.in)
    if (x.spec.dtype != DType::f32 && !(integers && bits_of(x.spec.dtype) >= 8 && !is_float(x.spec.dtype)))
      c.refuse(integers ? "float32 or integers" : "float32", x.spec.text(), "convert with cast first");
}
std::string clamped(const ClampAttrs& at) {
  std::string s;
  if (at.lo > -infinity) s += "v < " + c_number(at.lo, DType::f32) + " ? " + c_number(at.lo, DType::f32) + " : ";
  if (at.hi < infinity) s += "v > " + c_number(at.hi, DType::f32) + " ? " + c_number(at.hi, DType::f32) + " : ";
  return s.empty() ? s : s + "v";
}
bool has_clamp(const OpDef& op) {
  bool lo = false;
  if (op.attrs.fields) op.attrs.fields(op.attrs.clone(op.attrs.defaults).get(), [&](std::string_view name, FieldSlot) { lo |= name == "lo"; });
  return lo;
}

}  // namespace

// The row's name is the expression, for float32.
const CRules elementwise{[](CWriter& w, const CCall& c) {
  require_numbers(c, false);
  write_loop(w, c, c.call.op.c.name, has_clamp(c.call.op) ? clamped(c.call.as<ClampAttrs>()) : "");
}};
// Of floats or integers: of these "a > b" is enough.
const CRules extreme{[](CWriter& w, const CCall& c) {
  require_numbers(c, true);
  std::string_view e = c.call.op.c.name;
  const bool floats = c.out[0].spec.dtype == DType::f32;
  write_loop(w, c, floats ? std::string(e) : join({e.substr(0, e.find("|| ")), e.substr(e.find('?'))}), floats && has_clamp(c.call.op) ? clamped(c.call.as<ClampAttrs>()) : "");
}};
// The same with alpha where it says $.
const CRules with_alpha{[](CWriter& w, const CCall& c) {
  require_numbers(c, false);
  std::string e(c.call.op.c.name);
  write_loop(w, c, e.replace(e.find('$'), 1, c_number(c.call.as<AlphaAttrs>().alpha, DType::f32)));
}};
const CRules select{[](CWriter& w, const CCall& c) {
  if (c_type(c.out[0].spec.dtype).empty()) c.refuse("types that C has", c.out[0].spec.text(), "convert with cast first");
  write_loop(w, c, c.call.op.c.name);
}};
const CRules clamp{[](CWriter& w, const CCall& c) {
  require_numbers(c, false);
  write_loop(w, c, "a", clamped(c.call.as<ClampAttrs>()));
}};
const CRules clamp_slope{[](CWriter& w, const CCall& c) {
  require_numbers(c, false);
  const auto& at = c.call.as<ClampAttrs>();
  std::string inside;
  if (at.lo > -infinity) inside = "b >= " + c_number(at.lo, DType::f32);
  if (at.hi < infinity) inside += (inside.empty() ? "b <= " : " && b <= ") + c_number(at.hi, DType::f32);
  write_loop(w, c, inside.empty() ? "a" : inside + " ? a : 0.0f");
}};

// The row's name is an operator; integers wrap.
const CRules arithmetic{[](CWriter& w, const CCall& c) {
  require_numbers(c, true);
  DType t = c.out[0].spec.dtype;
  std::string op(c.call.op.c.name), expression = "a " + op + " b";
  if (t == DType::boolean) expression = op == "+" ? "(uint8_t)(a | b)" : "(uint8_t)(a & b)";
  else if (t != DType::f32) expression = "(" + c_type(t) + ")((uint64_t)a " + op + " (uint64_t)b)";
  write_loop(w, c, expression, t == DType::f32 ? clamped(c.call.as<ClampAttrs>()) : "");
}};

const CRules compare{[](CWriter& w, const CCall& c) {
  require_numbers(c, true);
  write_loop(w, c, "(uint8_t)(a " + std::string(c.call.op.c.name) + " b)");
}};

const CRules cast{[](CWriter& w, const CCall& c) {
  DType from = c.in[0].spec.dtype, to = c.out[0].spec.dtype;
  if (c_type(from).empty() || c_type(to).empty()) c.refuse("types that C has", c.in[0].spec.text() + " to " + std::string(name_of(to)));
  write_loop(w, c, to == DType::boolean ? "(uint8_t)(a != 0)" : from == DType::f64 || to == DType::f64 || c_type(from) != c_type(to) ? "(" + c_type(to) + ")a" : "a");
}};

const CRules batch_norm{[](CWriter& w, const CCall& c) {
  require_numbers(c, false);
  for (int i = 1; i < 5; ++i) if (!c.call.value(i)) c.refuse("constant statistics", "input " + text(i) + " computed at run time");
  std::vector<float> p[4];
  for (int i = 0; i < 4; ++i) p[i] = c.call.value(i + 1)->to_vector<float>();
  Shape shape = Dims::filled(c.in[0].spec.shape.rank, 1);
  shape[1] = int64_t(p[0].size());
  std::vector<float> scale, shift;
  for (size_t k = 0; k < p[0].size(); ++k) {
    double s = double(p[0][k]) / std::sqrt(double(p[3][k]) + c.call.as<BatchNormAttrs>().eps);
    scale.push_back(float(s));
    shift.push_back(float(double(p[1][k]) - double(p[2][k]) * s));
  }
  const COperand &x = c.in[0], &y = c.out[0];
  Strides by_channel = Dims::filled(shape.rank, 0);
  by_channel[1] = 1;
  Strides operands[] = {y.strides, x.strides, by_channel};
  Loops loops(y.spec.shape, operands);
  std::string to = w.pointer(y), from = w.pointer(x), a = w.constant(Tensor::of<float>({shape[1]}, scale), "scale"), b = w.constant(Tensor::of<float>({shape[1]}, shift), "shift");
  loops.open(w);
  w.line(join({to, "[", loops.index(0), "] = ", from, "[", loops.index(1), "] * ", a, "[", loops.index(2), "] + ", b, "[", loops.index(2), "];"}));
  loops.close(w);
}};

}  // namespace miniten::c
