#include "core/c_loops.h"
#include <algorithm>

namespace miniten::c {

Loops::Loops(const Shape& shape, std::span<const Strides> operands, bool keep_order) : stride_(operands.size(), Dims::filled(Dims::capacity, 0)) {
  Axes order;
  for (int i = 0; i < shape.rank; ++i) if (shape[i] != 1) order.push(i);
  if (!keep_order)
    std::stable_sort(order.begin(), order.end(), [&](Dim a, Dim b) { return std::abs(operands[0][int(a)]) > std::abs(operands[0][int(b)]); });
  for (Dim d : order) {
    int axis = int(d);
    bool merges = rank_ > 0;
    for (size_t k = 0; k < operands.size() && merges; ++k) merges = stride_[k][rank_ - 1] == operands[k][axis] * shape[axis];
    if (merges) size_[rank_ - 1] *= shape[axis];
    else size_[rank_++] = shape[axis];
    for (size_t k = 0; k < operands.size(); ++k) stride_[k][rank_ - 1] = operands[k][axis];
  }
}
void Loops::open(CWriter& w, std::string_view names) const {
  names_ = names;
  for (int i = 0; i < rank_; ++i) {
    std::string v(1, names_[size_t(i)]);
    w.line("for (int32_t " + v + " = 0; " + v + " < " + text(size_[i]) + "; ++" + v + ") {");
  }
  if (!rank_) w.line("{");
}
void Loops::close(CWriter& w) const {
  for (int i = 0; i < std::max(rank_, 1); ++i) w.line("}");
}
std::string Loops::index(int operand) const {
  std::string s;
  for (int i = 0; i < rank_; ++i) {
    int64_t step = stride_[size_t(operand)][i];
    if (step == 0) continue;
    std::string term = (std::abs(step) == 1 ? "" : text(std::abs(step)) + " * ") + names_[size_t(i)];
    s += s.empty() ? (step < 0 ? "-" : "") + term : (step < 0 ? " - " : " + ") + term;
  }
  return s.empty() ? "0" : s;
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (size_t at = 0; (at = text.find(what, at)) != text.npos; at += by.size()) text.replace(at, what.size(), by);
  return text;
}
std::string short_name(DType t) {
  switch (t) {
    case DType::f32: return "f32";
    case DType::f64: return "f64";
    case DType::boolean: return "u8";
    default: return (is_signed(t) ? "s" : "u") + text(bits_of(t));
  }
}
std::string element(CWriter& w, const COperand& x, const std::string& index) {
  if (x.constant && x.constant.numel() == 1) {
    double v = x.constant.item();
    std::string literal = c_number(v, x.spec.dtype);
    if (literal.find_first_of("IN") != literal.npos && is_float(x.spec.dtype)) w.include("math.h");
    return literal;
  }
  return w.pointer(x) + "[" + index + "]";
}
std::string text(int64_t n) { return std::to_string(n); }
namespace {
std::string together(std::initializer_list<Part> parts, std::string_view between) {
  std::string s;
  for (const Part& p : parts) {
    if (&p != parts.begin()) s += between;
    if (!p.name.empty()) s.append(".").append(p.name).append(" = ");
    if (p.number) s += text(p.n);
    else s += p.s;
    if (!p.name.empty()) s += ", ";
  }
  return s;
}
}  // namespace
std::string join(std::initializer_list<Part> parts) { return together(parts, ""); }
std::string call(std::string_view function, std::initializer_list<Part> arguments) { return std::string(function) + "(" + together(arguments, ", ") + ");"; }
bool needs_math(std::string_view e) {
  for (std::string_view name : {"expf", "logf", "log1pf", "tanhf", "sqrtf", "fabsf", "erff", "erfcf", "sinf", "cosf", "floorf", "ceilf", "powf", "rintf", "fmodf",
                                "tanf", "asinf", "acosf", "atanf", "sinhf", "coshf", "asinhf", "acoshf", "atanhf", "expm1f", "log2f", "truncf", "atan2f", "INFINITY", "NAN"})
    if (e.find(name) != e.npos) return true;
  return false;
}

}  // namespace miniten::c
