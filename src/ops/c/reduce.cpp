#include "miniten/ops/attrs.h"
#include "core/c_loops.h"
#include "ops/c_rules.h"

namespace miniten::c {

namespace {

// Kept axes outside, reduced ones inside.
void write_reduce(CWriter& w, const CCall& c, const std::string& start, const std::string& next, const std::string& finish) {
  const COperand &x = c.in[0], &y = c.out[0];
  Shape kept = y.spec.shape, reduced = x.spec.shape;
  for (int i = 0; i < kept.rank; ++i) if (kept[i] == x.spec.shape[i]) reduced[i] = 1;
  Strides outside[] = {y.strides, x.strides};
  for (int i = 0; i < kept.rank; ++i) if (kept[i] == 1) outside[0][i] = outside[1][i] = 0;
  Strides inside[] = {x.strides};
  Loops outer(kept, outside, true), inner(reduced, inside);
  std::string to = w.pointer(y), from = w.pointer(x), type = c_type(y.spec.dtype);
  if (needs_math(start)) w.include("math.h");
  outer.open(w, "ijklmnpq");
  w.line(join({type, " total = ", start, ";"}));
  inner.open(w, "abcdefgh");
  std::string base = outer.index(1), at = inner.index(0);
  w.line(join({"const ", c_type(x.spec.dtype), " v = ", from, "[", (base == "0" ? at : base + " + " + at), "];"}));
  w.line(join({"total = ", next, ";"}));
  inner.close(w);
  w.line(join({to, "[", outer.index(0), "] = ", finish, ";"}));
  outer.close(w);
}
void require_f32(const CCall& c) {
  if (c.in[0].spec.dtype != DType::f32) c.refuse("float32", c.in[0].spec.text(), "convert with cast first");
}
void write_arg(CWriter& w, const CCall& c, const std::string& beats) {
  const COperand &x = c.in[0], &y = c.out[0];
  if (is_float(x.spec.dtype) ? x.spec.dtype != DType::f32 : c_type(x.spec.dtype).empty()) c.refuse("float32 or integers", x.spec.text());
  int axis = int(c.call.as<AxisAttrs>().axis);
  Strides operands[] = {y.strides, x.strides};
  Loops loops(y.spec.shape, operands);
  std::string to = w.pointer(y), from = w.pointer(x), step = text(x.strides[axis]), nan = x.spec.dtype == DType::f32 ? " || (v != v && best == best)" : "";
  loops.open(w);
  w.line(join({"const ", c_type(x.spec.dtype), " *row = ", from, " + ", loops.index(1), ", *at = row;"}));
  w.line("int32_t best_index = 0;");
  w.line(join({"for (int32_t a = 1; a < ", x.spec.shape[axis], "; ++a) {"}));
  w.line(join({"const ", c_type(x.spec.dtype), " v = row[", step, " * a], best = *at;"}));
  w.line(join({"if (v ", beats, " best", nan, ") {"}));
  w.line(join({"at = row + ", step, " * a;"}));
  w.line("best_index = a;");
  w.line("}");
  w.line("}");
  w.line(join({to, "[", loops.index(0), "] = best_index;"}));
  loops.close(w);
}

}  // namespace

const CRules sum{[](CWriter& w, const CCall& c) {
  if (c.in[0].spec.dtype != DType::f32 && (is_float(c.in[0].spec.dtype) || c_type(c.in[0].spec.dtype).empty())) c.refuse("float32 or integers", c.in[0].spec.text());
  bool floats = c.in[0].spec.dtype == DType::f32;
  write_reduce(w, c, floats ? "0.0f" : "0", "total + " + std::string(floats ? "v" : "(int64_t)v"), "total");
}};
const CRules mean{[](CWriter& w, const CCall& c) {
  require_f32(c);
  double share = double(c.out[0].spec.shape.count()) / double(c.in[0].spec.shape.count());
  write_reduce(w, c, "0.0f", "total + v", "total * " + c_number(float(share), DType::f32));
}};
const CRules max{[](CWriter& w, const CCall& c) {
  require_f32(c);
  write_reduce(w, c, "-INFINITY", "total != total || v <= total ? total : v", "total");
}};
const CRules min{[](CWriter& w, const CCall& c) {
  require_f32(c);
  write_reduce(w, c, "INFINITY", "total != total || v >= total ? total : v", "total");
}};
const CRules argmax{[](CWriter& w, const CCall& c) { write_arg(w, c, ">"); }};
const CRules argmin{[](CWriter& w, const CCall& c) { write_arg(w, c, "<"); }};

const CRules cumsum{[](CWriter& w, const CCall& c) {
  require_f32(c);
  const auto& at = c.call.as<ScanAttrs>();
  const COperand &x = c.in[0], &y = c.out[0];
  int axis = int(at.axis);
  Shape lines = y.spec.shape;
  int64_t n = lines[axis];
  lines[axis] = 1;
  Strides operands[] = {y.strides, x.strides};
  Loops loops(lines, operands);
  std::string to = w.pointer(y), from = w.pointer(x), out = to + "[" + loops.index(0) + "]";
  loops.open(w);
  w.line("double total = 0.0;");
  w.line(at.reverse ? "for (int32_t a = " + text(n - 1) + "; a >= 0; --a) {" : "for (int32_t a = 0; a < " + text(n) + "; ++a) {");
  std::string target = to + "[" + loops.index(0) + " + " + text(y.strides[axis]) + " * a]", add = "total += (double)" + from + "[" + loops.index(1) + " + " + text(x.strides[axis]) + " * a];";
  if (at.exclusive) {
    w.line("const float before = (float)total;");
    w.line(add);
    w.line(target + " = before;");
  } else {
    w.line(add);
    w.line(target + " = (float)total;");
  }
  w.line("}");
  loops.close(w);
}};

}  // namespace miniten::c
