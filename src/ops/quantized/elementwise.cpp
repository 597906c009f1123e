#include <cmath>
#include "kernels/binary.h"
#include "kernels/qpointwise16.h"
#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/loops.h"
#include "ops/onnx_rules.h"
#include "ops/quantized/checks.h"
#include "ops/tflite_write.h"

namespace miniten {

// Sums, differences and products of two operands of one dtype that broadcast, and functions of one by table.
namespace {

void pair_infer(const Call& c, Specs& out) {
  const auto& at = c.as<QAddAttrs>();
  DType t = c.in[0].dtype;
  if (!is_activation(t) || c.in[1].dtype != t) c.fail("two inputs of int8, uint8 or int16", c.in[0].text() + " and " + c.in[1].text());
  for (float s : {at.a_scale, at.b_scale, at.y_scale}) check_scale(c, "scale", s);
  for (int64_t z : {at.a_zero, at.b_zero, at.y_zero, at.lo, at.hi}) check_zero(c, "zero points, lo and hi", z, t);
  out.push({t, broadcast(c.op.name, c.in[0].shape, c.in[1].shape)});
}
void product_infer(const Call& c, Specs& out) {
  const auto& at = c.as<QAddAttrs>();
  if (c.in[0].dtype == DType::i16 && (at.a_zero || at.b_zero)) c.fail("zero points 0 of int16", std::to_string(at.a_zero) + " and " + std::to_string(at.b_zero));
  pair_infer(c, out);
}

// Runs kernel(a, b, y, n) on rows; a row that is one number repeated, and what is strided, goes by way of a small buffer.
template <class T, class Kernel> void pair_rows(const Context& c, Kernel kernel) {
  View operands[] = {c.out[0], c.in[0], c.in[1]};
  ElementLoop(c.out[0].shape(), operands).run(c, [&](const int64_t* o, const int64_t* step, int64_t n) {
    const T *a = c.in[0].as<T>() + o[1], *b = c.in[1].as<T>() + o[2];
    T* y = c.out[0].as<T>() + o[0];
    if (step[0] == 1 && step[1] == 1 && step[2] == 1) return kernel(a, b, y, n);
    constexpr int64_t chunk = 256;
    T left[chunk], right[chunk], result[chunk];
    auto line = [&](const T* x, int64_t x_step, int64_t i, int64_t m, T* buffer) -> const T* {
      if (x_step == 1) return x + i;
      if (x_step != 0) for (int64_t j = 0; j < m; ++j) buffer[j] = x[(i + j) * x_step];
      else if (i == 0) std::fill_n(buffer, m, *x);
      return buffer;
    };
    for (int64_t i = 0; i < n; i += chunk) {
      int64_t m = std::min(chunk, n - i);
      kernel(line(a, step[1], i, m, left), line(b, step[2], i, m, right), step[0] == 1 ? y + i : result, m);
      if (step[0] != 1) for (int64_t j = 0; j < m; ++j) y[(i + j) * step[0]] = result[j];
    }
  });
}

template <int sign> void sum_eval(const Context& c) {
  const auto& at = c.as<QAddAttrs>();
  kernels::QAddParams p{.a_scale = at.a_scale, .b_scale = float(sign) * at.b_scale, .y_scale = at.y_scale, .a_zero = int32_t(at.a_zero),
                        .b_zero = int32_t(at.b_zero), .y_zero = int32_t(at.y_zero), .lo = int32_t(at.lo), .hi = int32_t(at.hi),
                        .is_signed = c.in[0].spec.dtype == DType::i8};
  if (c.in[0].spec.dtype == DType::i16) pair_rows<int16_t>(c, [&](auto* a, auto* b, auto* y, int64_t n) { kernels::qadd16(a, b, y, n, p); });
  else pair_rows<uint8_t>(c, [&](auto* a, auto* b, auto* y, int64_t n) { kernels::qadd(a, b, y, n, p); });
}
void product_eval(const Context& c) {
  const auto& at = c.as<QAddAttrs>();
  kernels::QMulParams p{.multiplier = std::min(at.a_scale * at.b_scale / at.y_scale, std::numeric_limits<float>::max()), .a_zero = int32_t(at.a_zero),
                        .b_zero = int32_t(at.b_zero), .y_zero = int32_t(at.y_zero), .lo = int32_t(at.lo), .hi = int32_t(at.hi),
                        .is_signed = c.in[0].spec.dtype == DType::i8};
  if (c.in[0].spec.dtype == DType::i16) pair_rows<int16_t>(c, [&](auto* a, auto* b, auto* y, int64_t n) { kernels::qmul16(a, b, y, n, p); });
  else pair_rows<uint8_t>(c, [&](auto* a, auto* b, auto* y, int64_t n) { kernels::qmul(a, b, y, n, p); });
}

std::vector<Sample> pair_samples() {
  Tensor a = cast(sample_values({2, 3, 2, 2}, -128, 127), DType::i8), b = cast(sample_values({2, 3, 2, 2}, 100, -100), DType::i8);
  Tensor wide = cast(sample_values({2, 3, 2, 2}, -32768, 32767), DType::i16), channel = cast(sample_values({3, 1, 1}, 100, -100), DType::i8);
  auto at = std::make_shared<QAddAttrs>(QAddAttrs{0.02f, 0.05f, 0.06f, 3, -4, 9, 9, 127});
  return {{{a, b}, at}, {{a, channel}, at}, {{wide, transpose(wide, 2, 3)}, std::make_shared<QAddAttrs>(QAddAttrs{0.02f, 0.05f, 7.0f, 0, 0, 0, -32768, 32767})}};
}
constexpr OpDef pair_row(std::string_view name, std::string_view doc, void (*infer)(const Call&, Specs&), void (*eval)(const Context&), Foreign onnx, Foreign tflite = {}, Foreign c = {}) {
  return {.name = name, .doc = doc, .min_inputs = 2, .max_inputs = 2, .infer = infer, .eval = eval, .work = elementwise_work,
          .cost = [](const Call& c) { return Cost{0, 6 * c.out[0].shape.count()}; }, .samples = pair_samples,
          .traits = {.pointwise = true, .stops_gradient = true}, .onnx = onnx, .tflite = tflite, .c = c, .attrs = codec<QAddAttrs>};
}

}  // namespace

// A TFLite form without a name is written for models that are quantised already, not sought: floats have builtins of their own.
constinit const OpDef qadd_op = pair_row("qadd", "a + b in integers, each with its scale", pair_infer, sum_eval<1>, {"QLinearAdd", 1, &onnx::qadd}, {"ADD", 1, &to_tflite::qadd}, {"qadd", 0, &c::qadd});
constinit const OpDef qsub_op = pair_row("qsub", "a - b in integers, each with its scale", pair_infer, sum_eval<-1>, {"Sub", 1, &onnx::qsub}, {"", 0, &to_tflite::qsub}, {"qsub", 0, &c::qsub});
constinit const OpDef qmul_op = pair_row("qmul", "a * b in integers, each with its scale", product_infer, product_eval, {"QLinearMul", 1, &onnx::qmul}, {"", 0, &to_tflite::qmul}, {"qmul", 0, &c::qmul});

// ---- y = table[x]: 256 bytes; of int16 the ends of 2^n equal steps, with straight lines between ----
namespace {
int table_shift(int64_t points) {                    // -1: not 2^n + 1 points, n from 4 to 16
  for (int shift = 0; shift <= 12; ++shift) if (points == (65536 >> shift) + 1) return shift;
  return -1;
}
void table_infer(const Call& c, Specs& out) {
  const auto& at = c.as<QTableAttrs>();
  DType x = c.in[0].dtype, y = c.in[1].dtype;
  if (!is_activation(x)) c.fail("int8, uint8 or int16 input", c.in[0].text(), "quantise it first", ErrorKind::type);
  bool fits = x == DType::i16 ? y == DType::i16 && c.in[1].shape.rank == 1 && table_shift(c.in[1].shape[0]) >= 0 : is_byte(y) && c.in[1].shape == Shape{256};
  if (!fits) c.fail(x == DType::i16 ? "a table int16 of 2^n + 1 points, n from 4 to 16" : "a table of 256 bytes", c.in[1].text());
  check_scale(c, "x_scale", at.x_scale);
  check_scale(c, "y_scale", at.y_scale);
  check_zero(c, "x_zero", at.x_zero, x);
  check_zero(c, "y_zero", at.y_zero, y);
  out.push({y, c.in[0].shape});
}
template <class T, class F> void table_rows(const Context& c, F look_up) {
  View operands[] = {c.out[0], c.in[0]};
  ElementLoop(c.out[0].shape(), operands).run(c, [&](const int64_t* o, const int64_t* step, int64_t n) {
    const T* x = c.in[0].as<T>() + o[1];
    T* y = c.out[0].as<T>() + o[0];
    if (step[0] == 1 && step[1] == 1) return look_up(x, y, n);
    for (int64_t i = 0; i < n; ++i) look_up(x + i * step[1], y + i * step[0], 1);
  });
}
void table_eval(const Context& c) {
  if (c.in[0].spec.dtype == DType::i16) {
    int shift = table_shift(c.in[1].shape()[0]);
    return table_rows<int16_t>(c, [&](auto* x, auto* y, int64_t n) { kernels::table_line16(x, c.in[1].as<int16_t>(), shift, y, n); });
  }
  uint8_t table[256];                                // by the byte as it is stored
  int move = c.in[0].spec.dtype == DType::i8 ? 128 : 0;
  for (int i = 0; i < 256; ++i) table[(i + move) & 255] = c.in[1].as<uint8_t>()[i];
  table_rows<uint8_t>(c, [&](auto* x, auto* y, int64_t n) { kernels::table_lookup(x, table, y, n); });
}
}  // namespace
constinit const OpDef qtable_op{.name = "qtable", .doc = "a function of one number in integers: x, table", .min_inputs = 2, .max_inputs = 2,
    .infer = table_infer, .eval = table_eval, .work = elementwise_work, .cost = [](const Call& c) { return Cost{0, 2 * c.out[0].shape.count()}; },
    .samples = []() -> std::vector<Sample> {
      auto at = std::make_shared<QTableAttrs>(QTableAttrs{0.05f, 0.01f, 3, -7, "tanh"});
      return {{{cast(sample_values({3, 4}, -128, 127), DType::i8), cast(sample_values({256}, -128, 127), DType::i8)}, at},
              {{transpose(cast(sample_values({3, 4}, -32768, 32767), DType::i16)), cast(sample_values({513}, -32768, 32767), DType::i16)},
               std::make_shared<QTableAttrs>(QTableAttrs{0.05f, 0.01f, 0, 0, "tanh"})}};
    },
    .traits = {.pointwise = true, .stops_gradient = true, .dense = 2}, .onnx = {"Gather", 1, &onnx::qtable}, .tflite = {"", 0, &to_tflite::qtable}, .c = {"qtable", 0, &c::qtable}, .attrs = codec<QTableAttrs>};

// ---- softmax along the last axis ----
// e = the table's exp(x - greatest) * 2^30, of int16 as the product of two halves: with d = greatest - x,
// table[d & 255] * table[256 + (d >> 8)] / 2^30, rounded. y = clamp(round(float(e) * m) + y_zero), m = float(1 / (sum of e * y_scale)).
namespace {
void softmax_infer(const Call& c, Specs& out) {
  const auto& at = c.as<QSoftmaxAttrs>();
  DType t = c.in[0].dtype;
  if (!is_activation(t)) c.fail("int8, uint8 or int16 input", c.in[0].text(), "quantise it first", ErrorKind::type);
  if (c.in[0].shape.rank < 1) c.fail("at least one axis", c.in[0].shape.text());
  if (Spec want{DType::i32, {t == DType::i16 ? 512 : 256}}; c.in[1] != want) c.fail("a table " + want.text(), c.in[1].text());
  check_scale(c, "x_scale", at.x_scale);
  check_scale(c, "y_scale", at.y_scale);
  check_zero(c, "y_zero", at.y_zero, t);
  out.push(c.in[0]);
}
template <class T> void softmax_rows(const Context& c) {
  const auto& at = c.as<QSoftmaxAttrs>();
  const int32_t* table = c.in[1].as<int32_t>();
  auto* powers = reinterpret_cast<float*>(c.scratch);
  const auto zero = int32_t(at.y_zero);
  int64_t n = c.in[0].shape()[-1], rows = n ? c.in[0].shape().count() / n : 0;
  auto [begin, end] = c.slice(rows);
  for (int64_t r = begin; r < end; ++r) {
    const T* x = c.in[0].as<T>() + r * n;
    T* y = c.out[0].as<T>() + r * n;
    const int32_t greatest = *std::max_element(x, x + n);
    int64_t sum = 0;
    for (int64_t i = 0; i < n; ++i) {
      const int32_t d = greatest - x[i];
      int64_t power = table[sizeof(T) == 1 ? d : d & 255];
      if constexpr (sizeof(T) == 2) power = (power * table[256 + (d >> 8)] + (int64_t{1} << 29)) >> 30;
      sum += power;
      powers[i] = float(power);
    }
    const auto multiplier = float(1.0 / (double(sum) * double(at.y_scale)));
    kernels::binary(kernels::Binary::mul, powers, 1, &multiplier, 0, powers, n);
    if constexpr (sizeof(T) == 1) kernels::quantize(powers, y, n, 1, zero, std::numeric_limits<T>::min(), std::numeric_limits<T>::max());
    else kernels::quantize16(powers, y, n, 1, zero);
  }
}
}  // namespace
constinit const OpDef qsoftmax_op{.name = "qsoftmax", .doc = "softmax along the last axis in integers: x, table of powers", .min_inputs = 2, .max_inputs = 2,
    .infer = softmax_infer,
    .eval = [](const Context& c) {
      switch (c.in[0].spec.dtype) {
        case DType::i8: return softmax_rows<int8_t>(c);
        case DType::u8: return softmax_rows<uint8_t>(c);
        default: return softmax_rows<int16_t>(c);
      }
    },
    .work = [](const Call& c) { return Work{.pieces = pieces_for_threads(c, c.in[0].shape.count() * 8), .scratch = uint64_t(c.in[0].shape[-1]) * sizeof(float)}; },
    .cost = [](const Call& c) { return Cost{0, 5 * c.in[0].shape.count()}; },
    .samples = []() -> std::vector<Sample> {
      Tensor bytes = cast(sample_values({2, 5}, -128, 127), DType::i8), words = cast(sample_values({2, 5}, -32768, 32767), DType::i16);
      return {{{bytes, softmax_table(0.03f, DType::i8)}, std::make_shared<QSoftmaxAttrs>(QSoftmaxAttrs{0.03f, 1.0f / 256, -128})},
              {{words, softmax_table(1e-4f, DType::i16)}, std::make_shared<QSoftmaxAttrs>(QSoftmaxAttrs{1e-4f, 1.0f / 32768, 0})}};
    },
    .traits = {.stops_gradient = true, .dense = 3, .out = Layout::dense}, .onnx = {"Softmax", 1, &onnx::qsoftmax}, .tflite = {"", 0, &to_tflite::qsoftmax}, .c = {"qsoftmax", 0, &c::qsoftmax}, .attrs = codec<QSoftmaxAttrs>};

Tensor softmax_table(float x_scale, DType x) {
  std::vector<int32_t> e;
  for (int i = 0; i < (x == DType::i16 ? 512 : 256); ++i) e.push_back(int32_t(std::nearbyint(std::ldexp(std::exp(-double(x_scale) * (i < 256 ? i : (i - 256) * 256.0)), 30))));
  return Tensor::of<int32_t>({int64_t(e.size())}, e);
}

}  // namespace miniten
