#pragma once
#include "miniten/ops/ops.h"
#include "ops/loops.h"
#include "ops/quantized/checks.h"
#include "ops/quantized/fixed_point.h"

namespace miniten {

// Ops of bytes that LiteRT's reference kernels define.
inline void check_exact_output(const Call& c, DType t, int64_t zero, int64_t lo, int64_t hi) {
  if (!is_activation(t)) c.fail("an int8, uint8 or int16 output", std::string(name_of(t)), "", ErrorKind::type);
  for (int64_t v : {zero, lo, hi}) check_zero(c, "zero, lo and hi", v, t);
  if (lo > hi) c.fail("lo <= hi", std::to_string(lo) + " and " + std::to_string(hi));
}
// Inputs i and i + 1: multipliers and shifts, one or one for each of n.
inline void check_fixed_point(const Call& c, size_t i, Dim n, bool one = true) {
  const Spec each{DType::i32, {n}}, single{DType::i32, {1}};
  if ((c.in[i] != each && !(one && c.in[i] == single)) || c.in[i + 1] != c.in[i]) c.fail("multipliers and shifts " + each.text(), c.in[i].text() + " and " + c.in[i + 1].text());
}
// For samples.
inline Tensor integers(const Shape& s, float from, float to, DType t) { return cast(sample_values(s, from, to), t); }

}  // namespace miniten
