#include <cmath>
#include "miniten/ops/attrs.h"
#include "core/c_loops.h"
#include "ops/c_rules.h"

namespace miniten::c {

namespace {

void require_type(const CCall& c) {
  for (const COperand& x : c.in) if (c_type(x.spec.dtype).empty()) c.refuse("types that C has", x.spec.text(), "convert with cast first");
}
std::string moved(const std::string& pointer, int64_t offset) { return offset ? pointer + " + " + text(offset) : pointer; }

// Elements of a shape from one memory to another; bytes where both lie alike.
void write_copy(CWriter& w, const Shape& shape, const std::string& to, const Strides& to_strides, const std::string& from, const Strides& from_strides, DType t, bool keep_order = false) {
  if (shape.count() == 0) return;
  Strides operands[] = {to_strides, from_strides};
  Loops loops(shape, operands, keep_order);
  loops.open(w);
  auto at = [&](const std::string& p, int i) { return (p.find(' ') == p.npos ? p : "(" + p + ")") + "[" + loops.index(i) + "]"; };
  w.line(join({at(to, 0), " = ", at(from, 1), ";"}));
  loops.close(w);
  (void)t;
}
// One run on both sides: memcpy.
bool write_run(CWriter& w, const Shape& shape, const std::string& to, const Strides& to_strides, const std::string& from, const Strides& from_strides) {
  if (!same_layout(shape, to_strides, from_strides)) return false;
  int64_t span = 1;
  for (int i = 0; i < shape.rank; ++i) {
    if (to_strides[i] < 0) return false;
    span += (shape[i] - 1) * to_strides[i];
  }
  if (span != shape.count()) return false;
  w.include("string.h");
  w.line(join({"memcpy(", to, ", ", from, ", ", span, " * sizeof *(", to, "));"}));
  return true;
}
void copy_to(CWriter& w, const COperand& y, const Strides& strides, int64_t offset, const COperand& x) {
  std::string to = moved(w.pointer(y), offset), from = w.pointer(x);
  if (x.spec.shape.count() > 1 && write_run(w, x.spec.shape, to, strides, from, x.strides)) return;
  write_copy(w, x.spec.shape, to, strides, from, x.strides, y.spec.dtype);
}
void fill(CWriter& w, const COperand& y, double value) {
  w.line(join({"for (int32_t i = 0; i < ", y.spec.shape.count(), "; ++i) ", w.pointer(y), "[i] = ", c_number(value, y.spec.dtype), ";"}));
  if (!std::isfinite(value)) w.include("math.h");
}

}  // namespace

const CRules copy{[](CWriter& w, const CCall& c) {
  require_type(c);
  copy_to(w, c.out[0], c.out[0].strides, 0, c.in[0]);
}};
const CRules assign{[](CWriter& w, const CCall& c) {
  require_type(c);
  copy_to(w, c.out[0], c.out[0].strides, 0, c.in[1]);
}};
const CRules reshape{[](CWriter& w, const CCall& c) {
  require_type(c);
  copy_to(w, c.out[0], contiguous(c.in[0].spec.shape), 0, c.in[0]);
}};
const CRules pad{[](CWriter& w, const CCall& c) {
  require_type(c);
  const auto& at = c.call.as<PadAttrs>();
  const COperand& y = c.out[0];
  fill(w, y, at.value);
  int64_t offset = 0;
  for (int i = 0; i < at.before.rank; ++i) offset += at.before[i] * y.strides[i];
  copy_to(w, y, y.strides, offset, c.in[0]);
}};
const CRules slice_scatter{[](CWriter& w, const CCall& c) {
  require_type(c);
  const auto& at = c.call.as<SliceAttrs>();
  const COperand& y = c.out[0];
  fill(w, y, 0);
  Strides strides = y.strides;
  int64_t offset = 0;
  for (int i = 0; i < strides.rank; ++i) {
    offset += at.start[i] * strides[i];
    strides[i] *= at.step[i];
  }
  if (c.in[0].spec.shape.count()) copy_to(w, y, strides, offset, c.in[0]);
}};
const CRules concat{[](CWriter& w, const CCall& c) {
  require_type(c);
  int axis = int(c.call.as<AxisAttrs>().axis);
  int64_t at = 0;
  for (const COperand& x : c.in) {
    copy_to(w, c.out[0], c.out[0].strides, at * c.out[0].strides[axis], x);
    at += x.spec.shape[axis];
  }
}};

// ---- by index ----
namespace {
// A signed index into n entries; negative ones count from the end, what lies outside is cut.
std::string index_function(CWriter& w, DType t) {
  std::string name = "index_" + short_name(t);
  w.define(name, replaced(replaced(R"(/* An index into n entries: negative ones count from the end, what lies outside is cut. */
static int32_t @name(@T i, int32_t n) {
  if (i < 0) i = (@T)(i + n);
  return i < 0 ? 0 : i >= n ? n - 1 : (int32_t)i;
}
)", "@name", name), "@T", c_type(t)));
  return name;
}
}  // namespace
const CRules gather{[](CWriter& w, const CCall& c) {
  require_type(c);
  const COperand &table = c.in[0], &rows = c.in[1], &y = c.out[0];
  int axis = int(c.call.as<GatherAttrs>().axis);
  int64_t outer = 1, inner = 1, size = table.spec.shape[axis], n = rows.spec.shape.count();
  for (int i = 0; i < axis; ++i) outer *= table.spec.shape[i];
  for (int i = axis + 1; i < table.spec.shape.rank; ++i) inner *= table.spec.shape[i];
  std::string index = index_function(w, rows.spec.dtype), to = w.pointer(y), from = w.pointer(table), at = w.pointer(rows);
  w.line(join({"for (int32_t i = 0; i < ", outer, "; ++i) {"}));
  w.line(join({"for (int32_t j = 0; j < ", n, "; ++j) {"}));
  w.line(join({"const ", c_type(table.spec.dtype), " *row = ", from, " + (", size, " * i + ", index, "(", at, "[j], ", size, "))", (inner == 1 ? "" : " * " + text(inner)), ";"}));
  std::string place = to + " + (" + text(n) + " * i + j)" + (inner == 1 ? "" : " * " + text(inner));
  if (inner == 1) w.line(join({"*(", place, ") = *row;"}));
  else {
    w.include("string.h");
    w.line(join({"memcpy(", place, ", row, ", inner, " * sizeof *row);"}));
  }
  w.line("}");
  w.line("}");
}};
const CRules gather_elements{[](CWriter& w, const CCall& c) {
  require_type(c);
  const COperand &table = c.in[0], &index = c.in[1], &y = c.out[0];
  int axis = int(c.call.as<AxisAttrs>().axis);
  Strides base = table.strides;
  int64_t step = base[axis], size = table.spec.shape[axis];
  base[axis] = 0;
  Strides operands[] = {y.strides, index.strides, base};
  Loops loops(y.spec.shape, operands);
  std::string f = index_function(w, index.spec.dtype), to = w.pointer(y), from = w.pointer(table), at = w.pointer(index);
  loops.open(w);
  w.line(join({to, "[", loops.index(0), "] = ", from, "[", loops.index(2), " + ", step, " * ", f, "(", at, "[", loops.index(1), "], ", size, ")];"}));
  loops.close(w);
}};
const CRules one_hot{[](CWriter& w, const CCall& c) {
  int64_t size = c.out[0].spec.shape[-1], n = c.in[0].spec.shape.count();
  fill(w, c.out[0], 0);
  std::string x = w.pointer(c.in[0]), y = w.pointer(c.out[0]);
  w.line(join({"for (int32_t i = 0; i < ", n, "; ++i) {"}));
  w.line(join({"if (", x, "[i] >= 0 && ", x, "[i] < ", size, ") ", y, "[", size, " * i + (int32_t)", x, "[i]] = 1.0f;"}));
  w.line("}");
}};

}  // namespace miniten::c
