#include "base/allocate.h"
#include "kernels/qgemm16.h"
#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/loops.h"
#include "ops/onnx_rules.h"
#include "ops/quantized/checks.h"
#include "ops/tflite_write.h"

namespace miniten {

// a (.., M, K) times b (.., K, N), both computed; batches broadcast. Zero points are taken away first, which leaves
// numbers of 9 bits or of 16.
namespace {

struct Sizes {
  int64_t m, k, n, batches = 1;
  bool narrow;
  uint64_t a_bytes, b_bytes, packed_bytes, multiplier_bytes;
  Sizes(const Spec& a, const Spec& b, const Shape& y) : m(a.shape[-2]), k(a.shape[-1]), n(b.shape[-1]), narrow(a.dtype != DType::i16) {
    for (int i = 0; i + 2 < y.rank; ++i) batches *= y[i];
    a_bytes = aligned(uint64_t(m * k) * 2);
    b_bytes = aligned(uint64_t(k * n) * 2);
    packed_bytes = aligned(kernels::qgemm16_packed_bytes(1, k, n, narrow));
    multiplier_bytes = aligned(uint64_t(n) * sizeof(float));
  }
};
View matrix_of(const View& v, int64_t index, const Shape& y) {
  View m{v.data, {v.spec.dtype, {v.shape()[-2], v.shape()[-1]}}, {v.strides[-2], v.strides[-1]}};
  int64_t offset = 0;
  for (int i = 3; i <= y.rank; ++i) {
    int64_t at = index % y[-i];
    index /= y[-i];
    if (i <= v.shape().rank && v.shape()[-i] != 1) offset += at * v.strides[-i];
  }
  m.data += offset * int64_t(bytes_of(v.spec.dtype, 1));
  return m;
}
// Less its zero point, row by row or, where that is how it lies and `as_it_lies`, by columns. -> strides
std::pair<int64_t, int64_t> centre(const View& from, int64_t zero, bool as_it_lies, int16_t* to) {
  bool turned = as_it_lies && from.strides[0] == 1 && from.strides[1] != 1;
  int64_t lines = from.shape()[turned ? 1 : 0], n = from.shape()[turned ? 0 : 1], line = from.strides[turned ? 1 : 0], step = from.strides[turned ? 0 : 1];
  auto run = [&](const auto* x) {
    for (int64_t i = 0; i < lines; ++i, x += line, to += n) {
      if (step == 1) for (int64_t j = 0; j < n; ++j) to[j] = int16_t(x[j] - zero);
      else for (int64_t j = 0; j < n; ++j) to[j] = int16_t(x[j * step] - zero);
    }
  };
  switch (from.spec.dtype) {
    case DType::i8: run(from.as<int8_t>()); break;
    case DType::u8: run(from.as<uint8_t>()); break;
    default: run(from.as<int16_t>());
  }
  return turned ? std::pair<int64_t, int64_t>{1, n} : std::pair<int64_t, int64_t>{n, 1};
}
void product_eval(const Context& c) {
  const auto& at = c.as<QAddAttrs>();
  Sizes s(c.in[0].spec, c.in[1].spec, c.out[0].shape());
  std::byte* memory = c.scratch;
  auto take = [&](uint64_t bytes) { return std::exchange(memory, memory + bytes); };
  auto *a = reinterpret_cast<int16_t*>(take(s.a_bytes)), *b = reinterpret_cast<int16_t*>(take(s.b_bytes));
  std::byte* packed = take(s.packed_bytes);
  auto* multiplier = reinterpret_cast<float*>(take(s.multiplier_bytes));
  std::fill_n(multiplier, s.n, std::min(at.a_scale * at.b_scale / at.y_scale, std::numeric_limits<float>::max()));
  auto [begin, end] = c.slice(s.batches);
  for (int64_t i = begin; i < end; ++i) {
    centre(matrix_of(c.in[0], i, c.out[0].shape()), at.a_zero, false, a);
    auto [b_k, b_n] = centre(matrix_of(c.in[1], i, c.out[0].shape()), at.b_zero, true, b);
    kernels::qgemm16_pack(b, 1, s.k, s.n, 0, b_k, b_n, s.narrow, packed);
    kernels::qgemm16({.cols = s.m, .n = s.n, .a_col = s.k, .c_col = s.n, .segment = s.k}, a, packed, s.narrow,
                     c.out[0].data + i * s.m * s.n * (s.narrow ? 1 : 2),
                     {.multiplier = multiplier, .y_zero = int32_t(at.y_zero), .lo = int32_t(at.lo), .hi = int32_t(at.hi), .bytes = s.narrow});
  }
}

}  // namespace

constinit const OpDef qmatmul_pair_op{.name = "qmatmul_pair", .doc = "matrix product of two activations in integers", .min_inputs = 2, .max_inputs = 2,
    .infer = [](const Call& c, Specs& out) {
      const auto& at = c.as<QAddAttrs>();
      DType t = c.in[0].dtype;
      if (!is_activation(t) || c.in[1].dtype != t) c.fail("two inputs of int8, uint8 or int16", c.in[0].text() + " and " + c.in[1].text());
      for (float s : {at.a_scale, at.b_scale, at.y_scale}) check_scale(c, "scale", s);
      for (int64_t z : {at.a_zero, at.b_zero, at.y_zero, at.lo, at.hi}) check_zero(c, "zero points, lo and hi", z, t);
      if (t == DType::i16 && (at.a_zero || at.b_zero)) c.fail("zero points 0 of int16", std::to_string(at.a_zero) + " and " + std::to_string(at.b_zero));
      // The float op owns the rules of shapes.
      ClampAttrs plain;
      Spec floats[] = {{DType::f32, c.in[0].shape}, {DType::f32, c.in[1].shape}};
      Specs y;
      infer_outputs(matmul_op, &plain, floats, y);
      if (Dim k = c.in[0].shape[-1]; !is_symbol(k)) check_sums(c, k);
      out.push({t, y.at[0].shape});
    },
    .eval = product_eval,
    .work = [](const Call& c) {
      Sizes s(c.in[0], c.in[1], c.out[0].shape);
      int64_t by_size = std::max<int64_t>(1, s.batches * s.m * s.n * s.k / 65536);
      return Work{.pieces = int(std::clamp<int64_t>(std::min(by_size, s.batches), 1, 64)), .scratch = s.a_bytes + s.b_bytes + s.packed_bytes + s.multiplier_bytes};
    },
    .cost = [](const Call& c) { return Cost{c.out[0].shape.count() * c.in[0].shape[-1], 2 * c.out[0].shape.count()}; },
    .samples = []() -> std::vector<Sample> {
      auto bytes = [](const Shape& s) { return cast(sample_values(s, -128, 127), DType::i8); };
      auto words = [](const Shape& s) { return cast(sample_values(s, -32768, 32767), DType::i16); };
      auto at = std::make_shared<QAddAttrs>(QAddAttrs{0.02f, 0.05f, 0.6f, 3, -4, 9, -128, 127});
      return {{{bytes({2, 1, 3, 4}), bytes({3, 4, 2})}, at}, {{bytes({3, 4}), transpose(bytes({5, 4}))}, at},
              {{words({2, 3, 5}), words({5, 4})}, std::make_shared<QAddAttrs>(QAddAttrs{0.02f, 0.05f, 700.0f, 0, 0, 0, -32768, 32767})}};
    },
    .traits = {.stops_gradient = true, .out = Layout::dense}, .onnx = {"QLinearMatMul", 10, &onnx::qmatmul_pair}, .tflite = {"", 0, &to_tflite::qmatmul_pair}, .c = {"qmatmul_pair", 0, &c::qmatmul_pair}, .attrs = codec<QAddAttrs>};

}  // namespace miniten
