#include "ops/quantized/rows.h"
#include <cmath>
#include "kernels/qpointwise.h"
#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/loops.h"
#include "ops/onnx_rules.h"
#include "ops/tflite_write.h"

namespace miniten {

namespace {

struct Steps { float scale, inverse, offset, least; };     // offset: the zero point of int8

Steps steps_of(float lo, float hi, bool asymmetric) {
  if (!asymmetric) {
    float range = std::max(hi, -lo);
    if (!(range > 0)) range = 1;
    return {range / 127.0f, 127.0f / range, 0, -127};
  }
  double top = std::max(double(hi), 0.0), bottom = std::min(double(lo), 0.0), step = (top - bottom) / 255;
  if (!(step > 0)) return {1, 1, 0, -128};
  bool nearer = 128 + std::abs(bottom / step) < 127 + std::abs(top / step);
  auto offset = float(std::round(std::clamp(nearer ? -128 - bottom / step : 127 - top / step, -128.0, 127.0)));
  return {float(step), 1.0f / float(step), offset, -128};
}
View row_of(const View& v, int64_t i) {
  View r = v;
  r.data += i * v.strides[0] * int64_t(bits_of(v.spec.dtype) / 8);
  r.spec.shape = {};
  r.strides = {};
  for (int k = 1; k < v.shape().rank; ++k) { r.spec.shape.push(v.shape()[k]); r.strides.push(v.strides[k]); }
  return r;
}
void eval(const Context& c) {
  auto [begin, end] = c.slice(c.in[0].shape()[0]);
  Context whole = c;
  whole.piece = 0;
  whole.pieces = 1;
  for (int64_t row = begin; row < end; ++row) {
    View operands[] = {row_of(c.out[0], row), row_of(c.in[0], row)};
    ElementLoop loop(operands[0].shape(), operands);
    float lo = infinity, hi = -infinity;
    loop.run(whole, [&](const int64_t* at, const int64_t* step, int64_t n) {
      for (int64_t i = 0, run = step[1] == 1 ? n : 1; i < n; i += run) {
        float least, greatest;
        kernels::minmax(operands[1].f32() + at[1] + i * step[1], run, least, greatest);
        lo = std::min(lo, least);
        hi = std::max(hi, greatest);
      }
    });
    const Steps s = steps_of(lo, hi, c.as<QuantizeRowsAttrs>().asymmetric);
    c.out[1].f32()[row] = s.scale;
    c.out[2].as<uint8_t>()[row] = uint8_t(s.offset + 128);
    loop.run(whole, [&](const int64_t* at, const int64_t* step, int64_t n) {
      quantize_run(operands[1].f32() + at[1], n, step[1], s.inverse, s.offset, s.least, operands[0].as<uint8_t>() + at[0], step[0]);
    });
  }
}

}  // namespace

constinit const OpDef quantize_rows_op{.name = "quantize_rows", .doc = "uint8 by each row's own range, as LiteRT's hybrid kernels: q, scales, zeros", .outputs = 3,
    .infer = [](const Call& c, Specs& out) {
      const Shape& x = c.in[0].shape;
      if (c.in[0].dtype != DType::f32 || x.rank < 1) c.fail("float32 of at least one axis", c.in[0].text(), "", ErrorKind::type);
      out.push({DType::u8, x});
      out.push({DType::f32, {x[0]}});
      out.push({DType::u8, {x[0]}});
    },
    .eval = eval, .work = [](const Call& c) { return Work{.pieces = int(std::clamp<int64_t>(c.in[0].shape[0], 1, pieces_for(c.in[0].shape.count())))}; },
    .cost = [](const Call& c) { return Cost{0, 4 * c.in[0].shape.count()}; },
    .samples = []() -> std::vector<Sample> {
      return {{{sample_values({2, 5})}, nullptr}, {{transpose(sample_values({3, 4}))}, std::make_shared<QuantizeRowsAttrs>(QuantizeRowsAttrs{false})}};
    },
    .traits = {.pointwise = true, .stops_gradient = true}, .onnx = {"DynamicQuantizeLinear", 11, &onnx::quantize_rows}, .tflite = {"QUANTIZE", 1, &to_tflite::quantize_rows},
    .c = {"quantize_rows", 0, &c::quantize_rows}, .attrs = codec<QuantizeRowsAttrs>};

}  // namespace miniten
