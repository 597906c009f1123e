#include <cmath>
#include "kernels/qpointwise16.h"
#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/loops.h"
#include "ops/onnx_rules.h"
#include "ops/tflite_write.h"

namespace miniten {

namespace {

int32_t nibble(const View& v, int64_t i) { return int8_t(uint8_t(v.as<uint8_t>()[i / 2] << (i % 2 ? 0 : 4))) >> 4; }   // of int4
int32_t zero_at(const View& zero, int64_t i) {
  switch (zero.spec.dtype) {
    case DType::i8: return zero.as<int8_t>()[i];
    case DType::u8: return zero.as<uint8_t>()[i];
    case DType::i16: return zero.as<int16_t>()[i];
    case DType::u16: return zero.as<uint16_t>()[i];
    case DType::i4: return nibble(zero, i);
    default: return zero.as<int32_t>()[i];
  }
}
struct Range { double lo, hi; };
Range range_of(DType t) {
  switch (t) {
    case DType::i8: return {-128, 127};
    case DType::u8: return {0, 255};
    case DType::i16: return {-32768, 32767};
    case DType::u16: return {0, 65535};
    default: return {-2147483648.0, 2147483647.0};
  }
}
bool is_quantized_type(DType t) { return t == DType::i8 || t == DType::u8 || t == DType::i16 || t == DType::u16 || t == DType::i32; }

// One scale and zero point for all, or one for each index along an axis.
void check_parameters(const Call& c, const Shape& x) {
  const auto& at = c.as<QuantizeAttrs>();
  Shape want = at.axis < 0 ? Shape{} : Shape{at.axis < x.rank ? x[int(at.axis)] : -1};
  if (at.axis >= x.rank) c.fail("an axis below " + std::to_string(x.rank), std::to_string(at.axis), "", ErrorKind::index);
  if (c.in[1].dtype != DType::f32 || c.in[1].shape != want) c.fail("a scale float32" + want.text(), c.in[1].text());
  if (c.in[2].dtype != at.dtype || c.in[2].shape != want) c.fail("a zero point " + Spec{at.dtype, want}.text(), c.in[2].text());
  if (!is_quantized_type(at.dtype) && !(at.dtype == DType::i4 && c.op.traits.converts == Conversion::to_floats)) c.fail("8-, 16- or 32-bit integers", std::string(name_of(at.dtype)), "", ErrorKind::unsupported);
  if (const Tensor* scale = c.value(1))
    for (float s : scale->to_vector<float>())
      if (!(s > 0) || std::isinf(s)) c.fail("finite scales above 0", std::to_string(s));
}

// Calls f(offset of x, offset of y, step of x, step of y, n, index along the axis) for every row.
template <class F> void for_scaled_rows(const Context& c, F f) {
  const auto& at = c.as<QuantizeAttrs>();
  Shape per_axis = Dims::filled(c.out[0].shape().rank, 1);
  Strides steps = Dims::filled(per_axis.rank, 0);
  if (at.axis >= 0) { per_axis[int(at.axis)] = c.out[0].shape()[int(at.axis)]; steps[int(at.axis)] = 1; }
  View index{nullptr, {DType::f32, per_axis}, steps};
  View operands[] = {c.out[0], c.in[0], index};
  ElementLoop(c.out[0].shape(), operands).run(c, [&](const int64_t* o, const int64_t* step, int64_t n) {
    if (step[2] == 0) return f(o[1], o[0], step[1], step[0], n, o[2]);
    for (int64_t i = 0; i < n; ++i) f(o[1] + i * step[1], o[0] + i * step[0], int64_t{1}, int64_t{1}, int64_t{1}, o[2] + i * step[2]);
  });
}

template <class T> void quantize_as(const Context& c) {
  Range r = range_of(c.out[0].spec.dtype);
  for_scaled_rows(c, [&](int64_t x, int64_t y, int64_t from, int64_t to, int64_t n, int64_t k) {
    float scale = c.in[1].f32()[k];
    int32_t zero = zero_at(c.in[2], k);
    if constexpr (sizeof(T) == 1)
      if (from == 1 && to == 1) return kernels::quantize(c.in[0].f32() + x, c.out[0].as<T>() + y, n, scale, zero, int32_t(r.lo), int32_t(r.hi));
    if constexpr (std::is_same_v<T, int16_t>)
      if (from == 1 && to == 1) return kernels::quantize16(c.in[0].f32() + x, c.out[0].as<T>() + y, n, scale, zero);
    for (int64_t i = 0; i < n; ++i) {
      float v = c.in[0].f32()[x + i * from] / scale;
      double q = v != v ? zero : std::nearbyint(double(v)) + zero;
      c.out[0].as<T>()[y + i * to] = T(std::clamp(q, r.lo, r.hi));
    }
  });
}
template <class T> void dequantize_as(const Context& c) {
  for_scaled_rows(c, [&](int64_t x, int64_t y, int64_t from, int64_t to, int64_t n, int64_t k) {
    float scale = c.in[1].f32()[k];
    int32_t zero = zero_at(c.in[2], k);
    if constexpr (sizeof(T) == 1)
      if (from == 1 && to == 1) return kernels::dequantize(c.in[0].as<T>() + x, c.out[0].f32() + y, n, scale, zero, std::is_signed_v<T>);
    if constexpr (std::is_same_v<T, int16_t>)
      if (from == 1 && to == 1) return kernels::dequantize16(c.in[0].as<T>() + x, c.out[0].f32() + y, n, scale, zero);
    for (int64_t i = 0; i < n; ++i) c.out[0].f32()[y + i * to] = float(int64_t(c.in[0].as<T>()[x + i * from]) - zero) * scale;
  });
}
void dequantize_int4(const Context& c) {
  for_scaled_rows(c, [&](int64_t x, int64_t y, int64_t from, int64_t to, int64_t n, int64_t k) {
    float scale = c.in[1].f32()[k];
    int32_t zero = zero_at(c.in[2], k);
    for (int64_t i = 0; i < n; ++i) c.out[0].f32()[y + i * to] = float(nibble(c.in[0], x + i * from) - zero) * scale;
  });
}
template <template <class> class Run> void by_type(DType t, const Context& c) {
  switch (t) {
    case DType::i8: return Run<int8_t>::eval(c);
    case DType::u8: return Run<uint8_t>::eval(c);
    case DType::i16: return Run<int16_t>::eval(c);
    case DType::u16: return Run<uint16_t>::eval(c);
    default: return Run<int32_t>::eval(c);
  }
}
template <class T> struct QuantizeRun { static void eval(const Context& c) { quantize_as<T>(c); } };
template <class T> struct DequantizeRun { static void eval(const Context& c) { dequantize_as<T>(c); } };

Tensor bytes(std::initializer_list<int8_t> v) { return Tensor::of<int8_t>({int64_t(v.size())}, std::span(v.begin(), v.size())); }
std::vector<Sample> quantize_samples() {
  auto all = std::make_shared<QuantizeAttrs>(), by_axis = std::make_shared<QuantizeAttrs>(QuantizeAttrs{DType::i8, 1});
  return {{{sample_values({3, 5}), Tensor::full({}, 0.02), Tensor::full({}, 3, DType::i8)}, all},
          {{sample_values({2, 3, 2}), Tensor::of({3}, {0.02f, 0.1f, 0.01f}), bytes({0, 4, -9})}, by_axis}};
}
std::vector<Sample> dequantize_samples() {
  auto s = quantize_samples();
  for (Sample& sample : s) sample.in[0] = cast(sample.in[0] * 50.0, DType::i8);
  return s;
}

}  // namespace

constinit const OpDef quantize_op{.name = "quantize", .doc = "integers nearest to x / scale + zero", .min_inputs = 3, .max_inputs = 3,
    .infer = [](const Call& c, Specs& out) {
      if (c.in[0].dtype != DType::f32) c.fail("float32", c.in[0].text(), "convert with cast first", ErrorKind::type);
      check_parameters(c, c.in[0].shape);
      out.push({c.as<QuantizeAttrs>().dtype, c.in[0].shape});
    },
    .eval = [](const Context& c) { by_type<QuantizeRun>(c.out[0].spec.dtype, c); }, .work = elementwise_work,
    .cost = [](const Call& c) { return Cost{0, 2 * c.in[0].shape.count()}; }, .samples = quantize_samples,
    .traits = {.pointwise = true, .stops_gradient = true, .dense = 6, .converts = Conversion::to_integers},
    .onnx = {"QuantizeLinear", 10, &onnx::quantize}, .c = {"quantize", 0, &c::quantize}, .attrs = codec<QuantizeAttrs>};

constinit const OpDef dequantize_op{.name = "dequantize", .doc = "(q - zero) * scale", .min_inputs = 3, .max_inputs = 3,
    .infer = [](const Call& c, Specs& out) {
      if (c.in[0].dtype != c.as<QuantizeAttrs>().dtype) c.fail(std::string(name_of(c.as<QuantizeAttrs>().dtype)), c.in[0].text(), "", ErrorKind::type);
      check_parameters(c, c.in[0].shape);
      out.push({DType::f32, c.in[0].shape});
    },
    .eval = [](const Context& c) { c.in[0].spec.dtype == DType::i4 ? dequantize_int4(c) : by_type<DequantizeRun>(c.in[0].spec.dtype, c); }, .work = elementwise_work,
    .cost = [](const Call& c) { return Cost{0, 2 * c.in[0].shape.count()}; }, .samples = dequantize_samples,
    .traits = {.pointwise = true, .stops_gradient = true, .dense = 6, .converts = Conversion::to_floats},
    .onnx = {"DequantizeLinear", 10, &onnx::dequantize}, .c = {"dequantize", 0, &c::dequantize}, .attrs = codec<QuantizeAttrs>};

// The whole tensor's finite range, 0 included, to uint8: ONNX DynamicQuantizeLinear; or to int16 with zero point 0. Each
// piece finds its range, then all agree on the scale.
namespace {
struct Parameters { float scale, zero; };
Parameters dynamic_parameters(const float* ranges, int pieces, bool wide) {
  float lo = 0, hi = 0;
  for (int i = 0; i < pieces; ++i) {
    lo = std::min(lo, ranges[2 * i]);
    hi = std::max(hi, ranges[2 * i + 1]);
  }
  if (wide) {
    float scale = std::max(-lo, hi) / 32767.0f;
    return {scale >= std::numeric_limits<float>::min() ? scale : hi > lo ? std::numeric_limits<float>::min() : 1.0f, 0};
  }
  float scale = (hi - lo) / 255.0f;
  if (std::isinf(scale)) scale = hi / 255.0f - lo / 255.0f;
  if (!(scale >= std::numeric_limits<float>::min())) scale = hi > lo ? std::numeric_limits<float>::min() : 1.0f;
  return {scale, std::nearbyint(std::clamp(0.0f - lo / scale, 0.0f, 255.0f))};
}
void dynamic_eval(const Context& c) {
  auto* ranges = reinterpret_cast<float*>(c.shared);
  Parameters p{};
  const bool wide = c.out[0].spec.dtype == DType::i16;
  if (c.phase == 0) {
    ranges[2 * c.piece] = infinity;
    ranges[2 * c.piece + 1] = -infinity;
  } else {
    p = dynamic_parameters(ranges, c.pieces, wide);
    if (c.piece == 0) {
      *c.out[1].f32() = p.scale;
      if (wide) *c.out[2].as<int16_t>() = 0;
      else *c.out[2].as<uint8_t>() = uint8_t(p.zero);
    }
  }
  View operands[] = {c.out[0], c.in[0]};
  ElementLoop(c.out[0].shape(), operands).run(c, [&](const int64_t* at, const int64_t* step, int64_t n) {
    const float* x = c.in[0].f32() + at[1];
    bool whole = step[0] == 1 && step[1] == 1;
    for (int64_t i = 0, run = whole ? n : 1; i < n; i += run) {
      if (c.phase == 1) {
        int64_t to = at[0] + i * step[0];
        if (wide) kernels::quantize16(x + i * step[1], c.out[0].as<int16_t>() + to, run, p.scale, 0);
        else kernels::quantize(x + i * step[1], c.out[0].as<uint8_t>() + to, run, p.scale, int32_t(p.zero), 0, 255);
        continue;
      }
      float lo, hi;
      kernels::minmax(x + i * step[1], run, lo, hi);
      ranges[2 * c.piece] = std::min(ranges[2 * c.piece], lo);
      ranges[2 * c.piece + 1] = std::max(ranges[2 * c.piece + 1], hi);
    }
  });
}
}  // namespace
constinit const OpDef dynamic_quantize_op{.name = "dynamic_quantize", .doc = "uint8 or int16 by the tensor's own range: q, scale, zero", .outputs = 3,
    .infer = [](const Call& c, Specs& out) {
      if (c.in[0].dtype != DType::f32) c.fail("float32", c.in[0].text(), "convert with cast first", ErrorKind::type);
      DType t = c.as<DynamicQuantizeAttrs>().dtype;
      if (t != DType::u8 && t != DType::i16) c.fail("uint8 or int16", std::string(name_of(t)), "", ErrorKind::unsupported);
      out.push({t, c.in[0].shape});
      out.push({DType::f32, {}});
      out.push({t, {}});
    },
    .eval = dynamic_eval,
    .work = [](const Call& c) {
      int pieces = pieces_for_threads(c, c.in[0].shape.count());
      return Work{.pieces = pieces, .shared = uint64_t(pieces) * 2 * sizeof(float), .phases = 2};
    },
    .cost = [](const Call& c) { return Cost{0, 4 * c.in[0].shape.count()}; },
    .samples = []() -> std::vector<Sample> { 
      return {{{sample_values({2, 5})}, nullptr}, {{transpose(sample_values({3, 4}))}, nullptr},
              {{sample_values({4, 3})}, std::make_shared<DynamicQuantizeAttrs>(DynamicQuantizeAttrs{DType::i16})}};
    },
    .traits = {.pointwise = true, .stops_gradient = true}, .onnx = {"DynamicQuantizeLinear", 11, &onnx::dynamic_quantize}, .tflite = {"QUANTIZE", 1, &to_tflite::dynamic_quantize}, .c = {"dynamic_quantize", 0, &c::dynamic_quantize}, .attrs = codec<DynamicQuantizeAttrs>};

Tensor quantize(const Tensor& x, const Tensor& scale, const Tensor& zero, int axis) {
  return apply(quantize_op, {x, scale, zero}, QuantizeAttrs{zero.dtype(), axis < 0 && scale.rank() ? axis + x.rank() : axis});
}
Tensor dequantize(const Tensor& q, const Tensor& scale, const Tensor& zero, int axis) {
  return apply(dequantize_op, {q, scale, zero}, QuantizeAttrs{q.dtype(), axis < 0 && scale.rank() ? axis + q.rank() : axis});
}

}  // namespace miniten
