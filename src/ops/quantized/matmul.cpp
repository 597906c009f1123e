#include "base/allocate.h"
#include "kernels/qgemm.h"
#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/conv_geometry.h"
#include "ops/loops.h"
#include "ops/onnx_rules.h"
#include "ops/quantized/checks.h"
#include "ops/quantized/sparse.h"
#include "ops/tflite_write.h"
#include "ops/quantized/conv16.h"

namespace miniten {

// x (.., K) of bytes times w (K, N) int8.
namespace {

struct Parts {
  int64_t k, n, rows;
  uint64_t input_bytes, weight_bytes, multiplier_bytes;    // input: copied where rows are read past their end
  Parts(const Shape& x, const Shape& w) : k(w[0]), n(w[1]), rows(1) {
    for (int i = 0; i + 1 < x.rank; ++i) rows *= x[i];
    input_bytes = k % 4 ? aligned(uint64_t(rows * k) + 16) : 0;
    weight_bytes = aligned(kernels::qgemm_packed_bytes(1, k, n));
    multiplier_bytes = aligned(uint64_t(n) * sizeof(float));
  }
  ByteCut cut() const { return ByteCut(rows * n * k, rows, n, weight_bytes); }
  int pieces(const Call& c) const {                      // of rows at least two tiles high, where there are tiles
    ByteCut by = cut();
    return pieces_for_threads(c, c.workers > 1 && !by.columns ? std::min(by.pieces, 2 * c.workers) : by.pieces, by.most);
  }
  kernels::QGemmShape shape() const { return {.cols = rows, .n = n, .a_col = k, .c_col = n, .segment = k, .packed_n = n}; }
};
void pack(const Parts& p, const View& w, std::byte* to) { kernels::qgemm_pack(w.as<int8_t>(), 1, p.k, p.n, 0, w.strides[0], w.strides[1], to); }
uint64_t prepare_weights(const Parts& p, const View& w, std::byte* to) {
  auto dense = [&](std::byte* at) { pack(p, w, at); };
  bool filled = std::abs(w.strides[0] * (p.k - 1)) + std::abs(w.strides[1] * (p.n - 1)) == p.k * p.n - 1;      // no element twice
  return pack_form(p.shape(), {w.data, filled ? p.k * p.n : 0, true, 0, 0, p.rows}, p.weight_bytes, dense, to);
}
void copy_input(const Context& c, const Parts& p) {
  auto [begin, end] = c.slice(p.rows);
  std::memcpy(c.shared + begin * p.k, c.in[0].data + begin * p.k, size_t((end - begin) * p.k));
}
// c's piece of the product: product(shape, first row, first column).
template <class Product> void share_out(const Context& c, const Parts& p, Product product) {
  kernels::QGemmShape s = p.shape();
  int64_t row = 0;
  if (p.cut().columns && !(c.prepared && form_of(c.prepared).sparse)) {
    auto [first, last] = c.slice(p.n, 32);
    s.first = first;
    s.n = last - first;
  } else {
    auto [begin, end] = c.slice(p.rows);
    row = begin;
    s.cols = end - begin;
  }
  if (s.n > 0) product(s, row, s.first);
}
Shape product_shape(const Call& c, size_t w, size_t w_scale) {
  const Shape &x = c.in[0].shape, &weights = c.in[w].shape;
  if (x.rank < 1 || weights.rank != 2) c.fail("input (.., K) and weights (K, N)", x.text() + " and " + weights.text());
  if (x[-1] != weights[0]) c.fail("inner sizes that agree", x.text() + " and " + weights.text());
  check_sums(c, weights[0]);
  Shape y = x;
  y[-1] = weights[1];
  if (c.in[w_scale].shape != Shape{weights[1]}) c.fail("w_scale of shape (" + std::to_string(weights[1]) + ",)", c.in[w_scale].shape.text());
  return y;
}

Work static_work(const Call& c) {
  if (is_wide(c.in[0].dtype)) return qmatmul16_work(c);
  Parts p(c.in[0].shape, c.in[1].shape);
  uint64_t shared = p.input_bytes + (c.prepared ? 0 : p.weight_bytes + p.multiplier_bytes);
  return {.pieces = p.pieces(c), .shared = shared, .phases = shared ? 2 : 1};
}
uint64_t static_prepare(const Call& c, std::span<const View> in, std::byte* to) {
  if (is_wide(c.in[0].dtype)) return qmatmul16_prepare(c, in, to);
  if (!in[1].data || !in[2].data) return 0;
  Parts p(c.in[0].shape, c.in[1].shape);
  uint64_t bytes = prepare_weights(p, in[1], to);
  if (to) reinterpret_cast<PreparedForm*>(to)->most = multipliers_of(c.as<QMatmulAttrs>().x_scale, in[2], c.as<QMatmulAttrs>().y_scale, reinterpret_cast<float*>(to + bytes));
  return bytes + p.multiplier_bytes;
}
void static_eval(const Context& c) {
  if (is_wide(c.in[0].spec.dtype)) return qmatmul16_eval(c);
  const auto& at = c.as<QMatmulAttrs>();
  Parts p(c.in[0].shape(), c.in[1].shape());
  std::byte* packing = c.shared + p.input_bytes;
  if (c.phase == 0 && (p.input_bytes || !c.prepared)) {
    if (p.input_bytes) copy_input(c, p);
    if (!c.prepared && c.piece == 0) {
      pack(p, c.in[1], packing);
      multipliers_of(at.x_scale, c.in[2], at.y_scale, reinterpret_cast<float*>(packing + p.weight_bytes));
    }
    return;
  }
  const std::byte *weights = c.prepared ? weights_of(c.prepared) : packing, *x = p.input_bytes ? c.shared : c.in[0].data;
  const PreparedForm form = c.prepared ? form_of(c.prepared) : PreparedForm{.bytes = int64_t(p.weight_bytes)};
  auto* multiplier = reinterpret_cast<const float*>(weights + form.bytes);
  const int32_t* bias = c.in.size() == 4 ? c.in[3].as<int32_t>() : nullptr;
  share_out(c, p, [&](const kernels::QGemmShape& s, int64_t row, int64_t column) {
    multiply(c, s, x + row * p.k, weights, c.out[0].data + row * p.n + column,
             kernels::QEpilogue{.bias = bias ? bias + column : nullptr, .multiplier = multiplier + column, .most = form.most, .x_zero = int32_t(at.x_zero), .x_signed = c.in[0].spec.dtype == DType::i8,
                                .y_zero = int32_t(at.y_zero), .lo = int32_t(at.lo), .hi = int32_t(at.hi)});
  });
}

Work dynamic_work(const Call& c) {
  if (is_wide(c.in[0].dtype)) return qmatmul16_dynamic_work(c);
  Parts p(c.in[0].shape, c.in[3].shape);
  uint64_t shared = p.input_bytes + (c.prepared ? 0 : p.weight_bytes);
  return {.pieces = p.pieces(c), .shared = shared, .phases = shared ? 2 : 1};
}
uint64_t dynamic_prepare(const Call& c, std::span<const View> in, std::byte* to) {
  if (is_wide(c.in[0].dtype)) return qmatmul16_dynamic_prepare(c, in, to);
  if (!in[3].data) return 0;
  Parts p(c.in[0].shape, c.in[3].shape);
  return prepare_weights(p, in[3], to);
}
void dynamic_eval(const Context& c) {
  if (is_wide(c.in[0].spec.dtype)) return qmatmul16_dynamic_eval(c);
  const auto& at = c.as<ClampAttrs>();
  Parts p(c.in[0].shape(), c.in[3].shape());
  std::byte* packing = c.shared + p.input_bytes;
  if (c.phase == 0 && (p.input_bytes || !c.prepared)) {
    if (p.input_bytes) copy_input(c, p);
    if (!c.prepared && c.piece == 0) pack(p, c.in[3], packing);
    return;
  }
  const std::byte* x = p.input_bytes ? c.shared : c.in[0].data;
  const float* bias = c.in.size() == 6 ? c.in[5].f32() : nullptr;
  share_out(c, p, [&](kernels::QGemmShape s, int64_t row, int64_t column) {
    const int64_t last = row + s.cols;
    if (c.in[1].shape().rank) s.cols = 1;
    for (size_t range = 0; row < last; row += s.cols) {
      if (c.in[1].shape().rank) range = size_t(row);
      multiply(c, s, x + row * p.k, c.prepared ? weights_of(c.prepared) : packing, c.out[0].f32() + row * p.n + column,
               kernels::QEpilogueF32{.bias = bias ? bias + column : nullptr, .multiplier = c.in[4].f32() + column, .scale = c.in[1].f32()[range], .x_zero = c.in[2].as<uint8_t>()[range], .x_signed = false, .lo = at.lo, .hi = at.hi});
    }
  });
}

std::vector<Sample> static_samples() {
  auto sample = [](Shape x, Shape w) {
    auto at = std::make_shared<QMatmulAttrs>(QMatmulAttrs{.x_scale = 0.03f, .y_scale = 0.2f, .x_zero = 7, .y_zero = -11});
    return Sample{{cast(sample_values(x, -128, 127), DType::i8), transpose(cast(sample_values({w[1], w[0]}, -127, 127), DType::i8)),
                   sample_values({w[1]}, 0.001f, 0.02f), cast(sample_values({w[1]}, -900, 900), DType::i32)}, at};
  };
  Sample wide = sample({3, 7}, {7, 5});
  wide.in[0] = cast(sample_values({3, 7}, -32768, 32767), DType::i16);
  wide.in[1] = cast(sample_values({7, 5}, -32767, 32767), DType::i16);
  wide.in[3] = cast(wide.in[3], DType::i64);
  wide.attrs = std::make_shared<QMatmulAttrs>(QMatmulAttrs{.x_scale = 0.03f, .y_scale = 700.0f, .lo = -32768, .hi = 32767, .dtype = DType::i16});
  return {sample({3, 10}, {10, 5}), sample({2, 2, 8}, {8, 20}), wide};
}
std::vector<Sample> dynamic_samples() {
  std::vector<Sample> all;
  for (const Sample& s : static_samples()) {
    bool wide = s.in[0].dtype() == DType::i16;
    Tensor x = wide ? s.in[0] : cast(cast(s.in[0], DType::i32) + 128.0, DType::u8);
    all.push_back({{x, Tensor::full({}, 0.03), Tensor::full({}, wide ? 0 : 131, x.dtype()), s.in[1], s.in[2],
                    sample_values({s.in[2].dim(0)})}, std::make_shared<ClampAttrs>(ClampAttrs{-1, infinity})});
  }
  Sample rows = all[0];
  rows.in[1] = sample_values({3}, 0.01f, 0.05f);
  rows.in[2] = cast(sample_values({3}, 0, 255), DType::u8);
  all.push_back(rows);
  return all;
}

}  // namespace

constinit const OpDef qmatmul_op{.name = "qmatmul", .doc = "matrix product in integers: x, w, w_scale, bias", .min_inputs = 3, .max_inputs = 4,
    .infer = [](const Call& c, Specs& out) {
      check_quantized_operands(c, 0, 1, 2, c.as<QMatmulAttrs>());
      Shape y = product_shape(c, 1, 2);
      check_bias(c, 3, y[-1]);
      out.push({c.as<QMatmulAttrs>().dtype, y});
    },
    .eval = static_eval, .work = static_work,
    .cost = [](const Call& c) { return Cost{c.out[0].shape.count() * c.in[1].shape[0], 2 * c.out[0].shape.count()}; },
    .prepare = static_prepare, .samples = static_samples,
    .traits = {.stops_gradient = true, .dense = 0b1101, .out = Layout::dense, .weights = 2, .channel_axis = 1},
    .onnx = {"QLinearMatMul", 10, &onnx::qmatmul}, .tflite = {"FULLY_CONNECTED", 1, &to_tflite::qmatmul}, .c = {"qmatmul", 0, &c::qmatmul}, .attrs = codec<QMatmulAttrs>};

constinit const OpDef qmatmul_dynamic_op{.name = "qmatmul_dynamic", .doc = "matrix product in integers of x quantised at run time: x, x_scale, x_zero, w, w_scale, bias",
    .min_inputs = 5, .max_inputs = 6,
    .infer = [](const Call& c, Specs& out) {
      check_dynamic_operands(c);
      if (c.in[1].shape.rank && c.in[0].shape.rank != 2) c.fail("rows (N, K) where each has its scale", c.in[0].text());
      Shape y = product_shape(c, 3, 4);
      if (Spec want{DType::f32, {y[-1]}}; c.in.size() > 5 && c.in[5] != want) c.fail("a bias " + want.text(), c.in[5].text());
      out.push({DType::f32, y});
    },
    .eval = dynamic_eval, .work = dynamic_work,
    .cost = [](const Call& c) { return Cost{c.out[0].shape.count() * c.in[3].shape[0], 2 * c.out[0].shape.count()}; },
    .prepare = dynamic_prepare, .samples = dynamic_samples,
    .traits = {.stops_gradient = true, .dense = 0b110111, .out = Layout::dense, .weights = 8, .channel_axis = 1},
    .onnx = {"MatMulInteger", 10, &onnx::qmatmul_dynamic}, .tflite = {"FULLY_CONNECTED", 1, &to_tflite::qmatmul_dynamic}, .c = {"qmatmul_dynamic", 0, &c::qmatmul_dynamic}, .attrs = codec<ClampAttrs>};

}  // namespace miniten
