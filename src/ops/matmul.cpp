#include <cmath>
#include <tuple>
#include "base/allocate.h"
#include "kernels/binary.h"
#include "kernels/gemm.h"
#include "kernels/reduce.h"
#include "kernels/unary.h"
#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/fused.h"
#include "ops/loops.h"
#include "ops/forms.h"
#include "ops/onnx_rules.h"
#include "ops/pattern_look.h"
#include "ops/quantized/lowering.h"
#include "ops/sparse.h"
#include "ops/tflite_write.h"

namespace miniten {

// a (.., M, K) @ b (.., K, N) [+ bias (N,)], cut to [lo, hi]; batches broadcast. Operands may have any strides.
namespace {

struct Product {
  int64_t m, n, k, batches;
  bool one_b;                                          // every batch multiplies the same b: batches are rows then
  Shape batch_shape;
};
Product product_of(const Shape& a, const Shape& b, const Shape& out) {
  Product p{a[-2], b[-1], a[-1], 1, true, {}};
  for (int i = 0; i < out.rank - 2; ++i) { p.batches *= out[i]; p.batch_shape.push(out[i]); }
  for (int i = 0; i < b.rank - 2; ++i) p.one_b &= b[i] == 1;
  return p;
}
bool flattens(const View& a) {                         // may (.., M) be walked as one axis?
  for (int i = 0; i + 2 < a.shape().rank; ++i)
    if (a.shape()[i] != 1 && a.strides[i] != a.strides[i + 1] * a.shape()[i + 1]) return false;
  return true;
}

void matmul_infer(const Call& c, Specs& out) {
  require_same_dtype(c);
  const Shape &a = c.in[0].shape, &b = c.in[1].shape;
  if (DType t = c.in[0].dtype; t != DType::f32 && t != DType::f64) c.fail("float32 or float64", c.in[0].text(), "convert with cast first", ErrorKind::type);
  if (a.rank < 2 || b.rank < 2) c.fail("matrices", a.text() + " and " + b.text());
  if (a[-1] != b[-2]) c.fail("inner sizes that agree", a.text() + " and " + b.text(), "the last axis of a meets the second last of b");
  Shape x = a, y = b;
  x.rank -= 2;
  y.rank -= 2;
  Shape shape = broadcast("matmul", x, y);
  shape.push(a[-2]);
  shape.push(b[-1]);
  if (c.in.size() == 3 && c.in[2].shape != Shape{b[-1]}) c.fail("a bias of shape (" + std::to_string(b[-1]) + ",)", c.in[2].shape.text());
  out.push({c.in[0].dtype, shape});
}

uint64_t packed_bytes(const Product& p) { return uint64_t(kernels::gemm_packed_floats(p.k, p.n)) * sizeof(float); }
Work matmul_work(const Call& c) {
  Product p = product_of(c.in[0].shape, c.in[1].shape, c.out[0].shape);
  int64_t rows = p.batches * p.m, by_size = std::max<int64_t>(1, rows * p.n * p.k / 65536);
  if (c.in[0].dtype != DType::f32) return {};
  if (!p.one_b) return {.pieces = int(std::min({by_size, p.batches, int64_t{64}})), .scratch = packed_bytes(p)};
  if (bf16_kind(c.op) == bf16_both) by_size /= kernels::bf16_speed();
  int64_t blocks = std::max((rows + 13) / 14, (p.n + 63) / 64);
  int pieces = int(std::clamp<int64_t>(std::min(by_size, blocks), 1, p.n <= 16 ? 8 : 32));       // of one panel: reading a is what takes the time
  if (bf16_kind(c.op) == bf16_both) pieces = std::min(pieces, bf16_pieces(c));
  if (c.workers > 1) pieces = pieces_for_threads(c, std::min(pieces, 2 * c.workers), std::min(blocks, rows * p.n * p.k / 32768));       // each reads all of b or a again
  return c.prepared ? Work{.pieces = pieces} : Work{.pieces = pieces, .shared = packed_bytes(p), .phases = 2};
}

void pack_panels(const View& b, int64_t k, int64_t n, int64_t begin, int64_t end, float* to) {     // columns [begin, end)
  if (begin < end) kernels::gemm_pack(b.f32() + begin * b.strides[-1], k, std::min(end, n) - begin, b.strides[-2], b.strides[-1], to + begin * k);
}
uint64_t matmul_prepare(const Call& c, std::span<const View> in, std::byte* to) {
  Product p = product_of(c.in[0].shape, c.in[1].shape, c.out[0].shape);
  if (!in[1].data || !p.one_b || c.in[0].dtype != DType::f32) return 0;
  std::byte* weights = to ? to + sizeof(PreparedForm) : nullptr;
  PreparedForm form{.sparse = bf16_kind(c.op)};
  if (form.sparse) {
    if (to) kernels::bf16_pack(in[1].f32(), p.k, p.n, in[1].strides[-2], in[1].strides[-1], (new (to) PreparedForm(form), weights));
    return sizeof(PreparedForm) + uint64_t(kernels::bf16_packed_bytes(p.k, p.n));
  }
  uint64_t sparse = 0;
  bool dense = fixed_form(c.op).split != FixedForm::by_model;
  bool filled = std::abs(in[1].strides[-1] * (p.n - 1)) + std::abs(in[1].strides[-2] * (p.k - 1)) == p.n * p.k - 1;   // no element twice
  SparseQuestion q{in[1].data, filled ? p.k * p.n : 0, false, (p.n + 15) / 16, p.k, p.batches * p.m, 1, p.n};
  if (!dense && p.k == int32_t(p.k) && may_be_sparse(q)) {
    std::vector<float> panels(addressable(packed_bytes(p) / sizeof(float)));
    pack_panels(in[1], p.k, p.n, 0, p.n, panels.data());
    sparse = pack_sparse(q, {.n = p.n, .segment = p.k}, {in[1].f32(), p.k, p.n, in[1].strides[-2], in[1].strides[-1]}, reinterpret_cast<const std::byte*>(panels.data()), form, weights);
  }
  if (to) new (to) PreparedForm(form);
  if (to && !sparse) pack_panels(in[1], p.k, p.n, 0, p.n, reinterpret_cast<float*>(weights));
  return sizeof(PreparedForm) + (sparse ? sparse : packed_bytes(p));
}

kernels::Epilogue epilogue_of(const Context& c, const float* bias) {
  const auto& at = c.as<ClampAttrs>();
  return {.bias = bias, .lo = at.lo, .hi = at.hi};
}
View batch_view(const View& v, int64_t index, const Shape& batches) {          // the index-th matrix
  View m{v.data, {v.spec.dtype, {v.shape()[-2], v.shape()[-1]}}, {v.strides[-2], v.strides[-1]}};
  int64_t offset = 0;
  for (int i = 1; i <= batches.rank; ++i) {
    int64_t at = index % batches[-i];
    index /= batches[-i];
    int axis = v.shape().rank - 2 - i;
    if (axis >= 0 && v.shape()[axis] != 1) offset += at * v.strides[axis];
  }
  m.data += offset * int64_t(bytes_of(v.spec.dtype, 1));
  return m;
}

void matmul_f64(const Context& c, const Product& p) {
  const auto& at = c.as<ClampAttrs>();
  for (int64_t i = 0; i < p.batches; ++i) {
    View a = batch_view(c.in[0], i, p.batch_shape), b = batch_view(c.in[1], i, p.batch_shape);
    kernels::GemmShape s{.rows = 1, .cols = p.m, .n = p.n, .a_col = a.strides[0], .a_k = a.strides[1], .c_col = p.n, .segment = p.k};
    const double* given = c.in.size() == 3 ? c.in[2].as<double>() : nullptr;
    kernels::gemm_f64(s, a.as<double>(), b.as<double>(), b.strides[0], b.strides[1], c.out[0].as<double>() + i * p.m * p.n,
                      {.bias = given, .lo = at.lo, .hi = at.hi});
  }
}

// A column of a matrix whose rows lie along K is a page or more away from the next: all rows take some columns before the next ones,
// while these are in the second cache. Products of one panel alone: others spend their time on what lies there.
constexpr int64_t far_floats = 131072, least_steps = 64;

// A matrix, row by row, times one vector that is no weight: there is nothing to pack.
bool multiply_vector(const Context& c, const Product& p, const float* bias) {
  const View &a = c.in[0], &x = c.in[1];
  if (p.n != 1 || c.prepared || a.strides[-1] != 1 || x.strides[-2] != 1 || !flattens(a)) return false;
  if (c.phase) return true;
  auto [first, last] = c.slice(p.batches * p.m, 16);
  const auto& at = c.as<ClampAttrs>();
  float* y = c.out[0].f32() + first;
  const int64_t rows = last - first;
  kernels::dot_rows(a.f32() + first * a.strides[-2], a.strides[-2], rows, p.k, x.f32(), y);
  if (bias) kernels::binary(kernels::Binary::add, y, 1, bias, 0, y, rows);
  if (at.lo > -infinity || at.hi < infinity) kernels::clamp(y, at.lo, at.hi, y, rows);
  return true;
}

void matmul_eval(const Context& c) {
  Product p = product_of(c.in[0].shape(), c.in[1].shape(), c.out[0].shape());
  if (c.out[0].spec.dtype == DType::f64) return matmul_f64(c, p);
  const float* bias = c.in.size() == 3 ? c.in[2].f32() : nullptr;
  float* y = c.out[0].f32();
  auto shape_of = [&](const View& a, int64_t rows) {
    return kernels::GemmShape{.rows = 1, .cols = rows, .n = p.n, .a_col = a.strides[-2], .a_k = a.strides[-1], .c_col = p.n, .segment = p.k};
  };
  if (!p.one_b) {
    auto [begin, end] = c.slice(p.batches);
    auto* packed = reinterpret_cast<float*>(c.scratch);
    for (int64_t i = begin; i < end; ++i) {
      View a = batch_view(c.in[0], i, p.batch_shape), b = batch_view(c.in[1], i, p.batch_shape);
      pack_panels(b, p.k, p.n, 0, p.n, packed);
      kernels::gemm(shape_of(a, p.m), a.f32(), packed, y + i * p.m * p.n, epilogue_of(c, bias));
    }
    return;
  }
  if (multiply_vector(c, p, bias)) return;
  const std::byte* weights = c.prepared ? weights_of(c.prepared) : c.shared;
  const auto* packed = reinterpret_cast<const float*>(weights);
  int64_t sparse = c.prepared ? form_of(c.prepared).sparse : 0;
  if (!c.prepared && c.phase == 0) {
    auto [begin, end] = c.slice(p.n, 16);
    return pack_panels(c.in[1], p.k, p.n, begin, end, reinterpret_cast<float*>(c.shared));
  }
  int64_t first = 0, last = p.batches * p.m, left = 0, right = p.n;
  if (c.pieces > 1) {                                  // few rows: each piece takes columns
    FixedForm form = fixed_form(c.op);
    bool by_columns = form.split == FixedForm::by_model ? right > last : form.split == FixedForm::columns;
    if (by_columns) std::tie(left, right) = c.slice(right, 16);
    else std::tie(first, last) = c.slice(last, 2);
  }
  if (first >= last || left >= right) return;
  auto run = [&](const View& a, int64_t begin, int64_t end, int64_t at) {   // rows [begin, end) of a matrix to rows at.. of y
    kernels::GemmShape s = shape_of(a, end - begin);
    s.n = right - left;
    const float* from = a.f32() + begin * a.strides[-2];
    kernels::Epilogue e = epilogue_of(c, bias ? bias + left : nullptr);
    if (sparse == 1) return kernels::sparse_gemm(s, from, weights, left / 16, y + at * p.n + left, e);
    if (sparse == 2) return kernels::csr_gemm(s, from, weights, left, y + at * p.n + left, e);
    if (sparse) return kernels::gemm_bf16(s, from, weights + left * kernels::bf16_column_bytes(p.k), y + at * p.n + left, e, sparse == bf16_weights);
    const int64_t steps = std::clamp(far_floats / std::max<int64_t>(end - begin, 1), least_steps, 4 * least_steps);
    if (a.strides[-1] == 1 || p.k < 2 * steps || right - left > 16) return kernels::gemm(s, from, packed + left * p.k, y + at * p.n + left, e);
    for (int64_t k = 0; k < p.k; k += steps) {
      s.segment = std::min(steps, p.k - k);
      if (s.a_col == 1)                                // in the order in which they lie: tiles would ask for one line of each at a time
        for (int64_t i = k; i < k + s.segment; ++i)
          for (int64_t j = 0; j < end - begin; j += 16) __builtin_prefetch(from + i * a.strides[-1] + j, 0, 2);
      const bool begins = k == 0, ends = k + steps >= p.k;
      kernels::gemm(s, from + k * a.strides[-1], packed + left * p.k + k * 16, y + at * p.n + left,
                    {.bias = begins ? e.bias : nullptr, .lo = ends ? e.lo : -infinity, .hi = ends ? e.hi : infinity, .accumulate = !begins});
    }
  };
  if (flattens(c.in[0])) return run(c.in[0], first, last, first);
  for (int64_t row = first; row < last;) {
    int64_t i = row / p.m, stop = std::min(last, (i + 1) * p.m);
    run(batch_view(c.in[0], i, p.batch_shape), row - i * p.m, stop - i * p.m, row);
    row = stop;
  }
}

void matmul_vjp(const Vjp& v) {
  const auto& at = v.as<ClampAttrs>();
  if (at.lo > -infinity || at.hi < infinity)
    throw Error(ErrorKind::unsupported, "matmul", "its plain form", "one fused with a clamp", "differentiate before compiling");
  if (v.needs(0)) v.result[0] = sum_to(matmul(v.grad[0], transpose(v.in[1])), v.in[0].shape());
  if (v.needs(1)) {
    bool rows = v.in[1].rank() == 2 && v.in[0].rank() > 2;         // one product over all batches
    Tensor a = rows ? reshape(v.in[0], {-1, v.in[0].dim(-1)}) : v.in[0], g = rows ? reshape(v.grad[0], {-1, v.grad[0].dim(-1)}) : v.grad[0];
    v.result[1] = sum_to(matmul(transpose(a), g), v.in[1].shape());
  }
  if (v.needs(2)) v.result[2] = sum_to(v.grad[0], v.in[2].shape());
}

std::optional<Absorbed> matmul_absorb(const Fusion& f) {
  const auto& own = f.first.as<ClampAttrs>();
  if (f.first.in[0].dtype != DType::f32 || own.lo > -infinity || own.hi < infinity) return {};
  if (&f.next.op == &relu_op) return Absorbed{std::make_shared<ClampAttrs>(ClampAttrs{0, infinity}), {}, {}};
  if (&f.next.op == &clamp_op) return Absorbed{std::make_shared<ClampAttrs>(f.next.as<ClampAttrs>()), {}, {}};
  Shape bias{f.first.out[0].shape[-1]};
  if (&f.next.op == &add_op && f.first.in.size() == 2 && f.next.in[size_t(1 - f.slot)].shape == bias && f.next.out[0] == f.first.out[0])
    return Absorbed{std::make_shared<ClampAttrs>(f.next.as<ClampAttrs>()), {1 - f.slot}, {}};
  if (&f.next.op == &batch_norm_op && f.slot == 0 && f.first.out[0].shape.rank == 2) {
    const Tensor *w = f.first.value(1), *b = f.first.in.size() == 3 ? f.first.value(2) : nullptr;
    const Tensor* norm[] = {f.next.value(1), f.next.value(2), f.next.value(3), f.next.value(4)};
    if (!w || w->rank() != 2 || (f.first.in.size() == 3 && !b) || !norm[0] || !norm[1] || !norm[2] || !norm[3]) return {};
    int64_t k = w->dim(0), n = w->dim(1);
    std::vector<float> weight = w->to_vector<float>(), bias_values(size_t(n), 0.0f), p[4];
    if (b) bias_values = b->to_vector<float>();
    for (int i = 0; i < 4; ++i) p[i] = norm[i]->to_vector<float>();
    for (size_t j = 0; j < size_t(n); ++j) {
      double scale = p[0][j] / std::sqrt(double(p[3][j]) + f.next.as<BatchNormAttrs>().eps);
      for (size_t i = 0; i < size_t(k); ++i) weight[i * size_t(n) + j] = float(weight[i * size_t(n) + j] * scale);
      bias_values[j] = float((double(bias_values[j]) - p[2][j]) * scale + p[1][j]);
    }
    return Absorbed{std::make_shared<ClampAttrs>(), {}, {{1, Tensor::of<float>(w->shape(), weight)}, {2, Tensor::of<float>({n}, bias_values)}}};
  }
  return {};
}

Cost matmul_cost(const Call& c) {
  int64_t outputs = c.out[0].shape.count();
  return {outputs * c.in[0].shape[-1], c.in.size() == 3 ? outputs : 0};
}
std::vector<Sample> matmul_samples() {
  auto none = std::make_shared<ClampAttrs>();
  return {{{sample_values({2, 3}), transpose(sample_values({4, 3}))}, none},
          {{sample_values({2, 2, 3}), sample_values({3, 5})}, none},
          {{sample_values({2, 1, 2, 3}), sample_values({3, 3, 2})}, none},
          {{sample_values({5, 3}), sample_values({3, 2}), sample_values({2})}, none}};
}

}  // namespace

static consteval OpDef matmul_row(std::string_view name) {
  return {.name = name, .doc = "matrix product", .min_inputs = 2, .max_inputs = 3, .infer = matmul_infer,
    .eval = matmul_eval, .work = matmul_work, .vjp = matmul_vjp, .keep = {3, 0}, .cost = matmul_cost, .absorb = matmul_absorb,
    .prepare = matmul_prepare, .samples = matmul_samples, .quant = {QuantMode::has_integer_form, 0, lower_matmul, dynamic_matmul, 3},
    .traits = {.dense = 4, .out = Layout::dense, .weights = 2, .channel_axis = 1}, .onnx = {"MatMul", 1, &onnx::matmul}, .tflite = {"FULLY_CONNECTED", 1, &to_tflite::matmul}, .c = {"matmul", 0, &c::matmul}, .attrs = codec<ClampAttrs>};
}
constinit const OpDef matmul_op = matmul_row("matmul");
constinit const OpDef matmul_bf16_op = matmul_row("matmul_bf16");
constinit const OpDef matmul_bf16_weights_op = matmul_row("matmul_bf16_weights");
constinit const OpDef matmul_rows_op = matmul_row("matmul_rows");
constinit const OpDef matmul_columns_op = matmul_row("matmul_columns");

// ---- transpose(a @ b) row-major: transpose(b) @ transpose(a). The gradient of a linear layer's weight. ----
namespace {
template <class T> T turned(T v) {                     // of a view or a spec
  if constexpr (std::is_same_v<T, View>) { v.spec = turned(v.spec); std::swap(v.strides[0], v.strides[1]); }
  else std::swap(v.shape[0], v.shape[1]);
  return v;
}
}  // namespace
constinit const OpDef matmul_turned_op{.name = "matmul_turned", .doc = "matrix product, transposed", .min_inputs = 2, .max_inputs = 2,
    .infer = [](const Call& c, Specs& out) {
      matmul_infer(c, out);
      if (out.at[0].shape.rank != 2) c.fail("two matrices", c.in[0].text() + " and " + c.in[1].text());
      out.at[0] = turned(out.at[0]);
    },
    .eval = [](const Context& c) {
      Context t = c;
      View in[] = {turned(c.in[1]), turned(c.in[0])};
      t.in = in;
      matmul_eval(t);
    },
    .work = [](const Call& c) {
      Spec in[] = {turned(c.in[1]), turned(c.in[0])};
      return matmul_work({.op = c.op, .attrs = c.attrs, .in = in, .out = c.out, .exact = c.exact, .workers = c.workers});
    },
    .cost = matmul_cost, .samples = []() -> std::vector<Sample> { return {{{transpose(sample_values({2, 3})), sample_values({2, 5})}, std::make_shared<ClampAttrs>()}}; },
    .traits = {.stops_gradient = true, .out = Layout::dense}, .attrs = codec<ClampAttrs>};
Found matmul_turned_pattern(const PatternGraph& graph, int y) {
  Look g{graph};
  if (!g.is(y, permute_op) || g.attrs<PermuteAttrs>(y).order != Axes{1, 0}) return {};
  int m = g.in(y, 0);
  if (!g.is(m, matmul_op) || graph.in(m).size() != 2 || !g.plain(m) || graph.readers(m) != 1 || graph.spec(m).dtype != DType::f32) return {};
  int a = g.in(m, 0), b = g.in(m, 1);
  if (graph.spec(a).shape.rank != 2 || graph.spec(b).shape.rank != 2 || graph.constant(a) || graph.constant(b)) return {};
  return {{y, &matmul_turned_op, std::make_shared<ClampAttrs>(), {a, b}, {}}};
}

static void require_real(std::string_view op, const Tensor& x) {
  if (!is_float(x.dtype())) throw Error(ErrorKind::type, op, "floating-point tensors", x.spec().text(), "convert with cast first");
}

Tensor matmul(const Tensor& a, const Tensor& b) {
  if (a.rank() == 0 || b.rank() == 0)
    throw Error(ErrorKind::value, "matmul", "vectors or matrices", a.shape().text() + " and " + b.shape().text(), "multiply scalars with *");
  require_real("matmul", a);
  require_real("matmul", b);
  DType t = promote(a.dtype(), b.dtype()), wide = t == DType::f64 ? t : DType::f32;
  Tensor x = cast(a, wide), y = cast(b, wide);
  if (a.rank() == 1) x = unsqueeze(x, 0);
  if (b.rank() == 1) y = unsqueeze(y, 1);
  Tensor out = cast(apply(matmul_op, {x, y}, ClampAttrs{}), t);
  if (a.rank() > 1 && b.rank() > 1) return out;
  Shape shape;
  for (int i = 0; i < out.rank(); ++i)
    if (!(a.rank() == 1 && i == out.rank() - 2) && !(b.rank() == 1 && i == out.rank() - 1)) shape.push(out.dim(i));
  return reshape(out, shape);
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  if (weight.rank() != 2) throw Error(ErrorKind::value, "linear", "a weight of shape (out, in)", weight.shape().text());
  if (x.rank() < 1 || x.dim(-1) != weight.dim(1))
    throw Error(ErrorKind::value, "linear", "input of shape (.., " + std::to_string(weight.dim(1)) + ")", x.shape().text(),
                "the last axis holds in_features");
  Tensor y = matmul(x, transpose(weight));
  return bias ? y + bias : y;
}

}  // namespace miniten
