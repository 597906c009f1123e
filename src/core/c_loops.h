#pragma once
#include <concepts>
#include "miniten/core/c_form.h"

namespace miniten::c {

// Loops over a shape, written out: axes ordered by the first operand's strides and merged where all operands allow.
class Loops {
 public:
  Loops(const Shape&, std::span<const Strides> operands, bool keep_order = false);   // strides by axis of the shape; 0: broadcast
  void open(CWriter&, std::string_view names = "ijklmnpq") const;
  void close(CWriter&) const;
  std::string index(int operand) const;              // "16 * i + j"
  bool is_flat() const { return rank_ <= 1; }
  int64_t inner() const { return rank_ ? size_[rank_ - 1] : 1; }

 private:
  int rank_ = 0;
  int64_t size_[Dims::capacity] = {};
  std::vector<Strides> stride_;
  mutable std::string names_ = "ijklmnpq";
};

inline Strides spread(const COperand& x, const Shape& to) { return broadcast_strides(View{nullptr, x.spec, x.strides}, to); }

std::string replaced(std::string text, std::string_view what, std::string_view by);        // every one
std::string short_name(DType);                                                             // "f32", "s8": ends of function names
// Elements as the op reads them: a literal where they are one known value, else pointer[index].
std::string element(CWriter&, const COperand&, const std::string& index);
std::string text(int64_t);

// Code of parts: text and whole numbers, {"name", value} for a field ".name = value, ".
struct Part {
  std::string_view name, s;
  int64_t n = 0;
  bool number = false;
  Part(const char* v) : s(v) {}
  Part(std::string_view v) : s(v) {}
  Part(const std::string& v) : s(v) {}
  template <std::integral T> Part(T v) : n(int64_t(v)), number(true) {}
  Part(char) = delete;
  Part(std::string_view field, Part v) : Part(v) { name = field; }
};
std::string join(std::initializer_list<Part>);
std::string call(std::string_view function, std::initializer_list<Part> arguments);     // "f(a, b);"
bool needs_math(std::string_view expression);

}  // namespace miniten::c
