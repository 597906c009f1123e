#pragma once
#include <cmath>
#include "miniten/core/op.h"
#include "ops/quantized/lowering.h"

namespace miniten {

inline void check_zero(const Call& c, std::string_view name, int64_t zero, DType t) {
  if (zero < least_of(t) || zero > greatest_of(t)) c.fail(std::string(name) + " within " + std::string(name_of(t)), std::to_string(zero));
}
inline void check_scale(const Call& c, std::string_view name, float scale) {
  if (!(scale > 0) || std::isinf(scale)) c.fail("a finite " + std::string(name) + " above 0", std::to_string(scale));
}

// The scales of input i, where its values are known.
inline void check_scales(const Call& c, int i) {
  if (c.in[size_t(i)].dtype != DType::f32) c.fail("float32 scales", c.in[size_t(i)].text(), "", ErrorKind::type);
  const Tensor* t = c.value(i);
  if (!t || t->rank() != 1) return;
  for (int64_t k = 0; k < t->dim(0); ++k) check_scale(c, "w_scale", t->view().f32()[k * t->strides()[0]]);
}
inline void check_sums(const Call& c, int64_t taps) {
  DType x = c.in[0].dtype;
  if (bias_limit(taps, x) < 0)
    c.fail("at most " + std::to_string(bias_limit(0, x) / product_limit(x)) + " products in a sum", std::to_string(taps), "sums could not hold more", ErrorKind::unsupported);
}
// Of one output channel each, in the type that sums are in.
inline void check_bias(const Call& c, size_t bias, Dim channels) {
  Spec want{bias_type(c.in[0].dtype), {channels}};
  if (c.in.size() > bias && c.in[bias] != want) c.fail("a bias " + want.text(), c.in[bias].text());
}

// x of bytes and w int8, or x int16 and w int8 or int16; w_scale float32, and parameters within the types.
template <class A> void check_quantized_operands(const Call& c, size_t x, size_t w, size_t w_scale, const A& at) {
  if (!is_activation(c.in[x].dtype)) c.fail("int8, uint8 or int16 input", c.in[x].text(), "quantise it first", ErrorKind::type);
  bool wide = c.in[x].dtype == DType::i16;
  if (c.in[w].dtype != DType::i8 && !(wide && c.in[w].dtype == DType::i16)) c.fail(wide ? "int8 or int16 weights" : "int8 weights", c.in[w].text(), "", ErrorKind::type);
  check_scales(c, int(w_scale));
  if (wide ? at.dtype != DType::i16 : !is_byte(at.dtype)) c.fail(wide ? "an int16 output" : "an int8 or uint8 output", std::string(name_of(at.dtype)), "", ErrorKind::type);
  if (wide && at.x_zero) c.fail("x_zero 0 of int16", std::to_string(at.x_zero));
  check_scale(c, "x_scale", at.x_scale);
  check_scale(c, "y_scale", at.y_scale);
  check_zero(c, "x_zero", at.x_zero, c.in[x].dtype);
  for (int64_t v : {at.y_zero, at.lo, at.hi}) check_zero(c, "y_zero, lo and hi", v, at.dtype);
  if (at.lo > at.hi) c.fail("lo <= hi", std::to_string(at.lo) + " and " + std::to_string(at.hi));
}
inline void check_dynamic_operands(const Call& c) {
  bool wide = c.in[0].dtype == DType::i16;
  if (!wide && c.in[0].dtype != DType::u8) c.fail("input of dynamic_quantize", c.in[0].text(), "", ErrorKind::type);
  const Shape each = c.in[1].shape.rank == 1 && !wide && c.in[0].shape.rank ? Shape{c.in[0].shape[0]} : Shape{};     // of the rows of quantize_rows
  if (c.in[1] != Spec{DType::f32, each}) c.fail("x_scale " + Spec{DType::f32, each}.text(), c.in[1].text());
  if (c.in[2] != Spec{c.in[0].dtype, each}) c.fail("x_zero " + Spec{c.in[0].dtype, each}.text(), c.in[2].text());
  if (c.in[3].dtype != DType::i8 && !(wide && c.in[3].dtype == DType::i16)) c.fail(wide ? "int8 or int16 weights" : "int8 weights", c.in[3].text(), "", ErrorKind::type);
  check_scales(c, 4);
}

// x_scale * w_scale / y_scale, left to right, and finite. -> the greatest
inline float multipliers_of(float x_scale, const View& w_scale, float y_scale, float* to) {
  float most = 0;
  for (int64_t j = 0; j < w_scale.shape()[0]; ++j) most = std::max(most, to[j] = std::min(x_scale * w_scale.f32()[j] / y_scale, std::numeric_limits<float>::max()));
  return most;
}

}  // namespace miniten
