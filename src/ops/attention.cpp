#include <cmath>
#include "base/allocate.h"
#include "kernels/binary.h"
#include "kernels/gemm.h"
#include "kernels/softmax.h"
#include "miniten/ops/ops.h"
#include "ops/forms.h"
#include "ops/fused.h"
#include "ops/loops.h"
#include "ops/pattern_look.h"

namespace miniten {

// Scores exist for a block of queries at a time (Rabe and Staats 2021): memory grows with the length, not with its square.
namespace {

constexpr int64_t block_rows = 28;           // two tiles of the product

struct Sizes {
  bool bf16;
  int64_t heads, queries, depth, keys, width;
  int64_t blocks() const { return (queries + block_rows - 1) / block_rows; }
  uint64_t packed(int64_t k, int64_t n) const { return bf16 ? uint64_t(kernels::bf16_packed_bytes(k, n)) : uint64_t(kernels::gemm_packed_floats(k, n)) * sizeof(float); }
  uint64_t keys_packed() const { return aligned(packed(depth, keys)); }
  uint64_t head_packed() const { return keys_packed() + aligned(packed(keys, width)); }
};
Sizes sizes_of(const OpDef& op, const Shape& q, const Shape& k, const Shape& v) {
  Sizes s{bf16_kind(op) == bf16_both, 1, q[-2], q[-1], k[-1], v[-1]};
  for (int i = 0; i + 2 < q.rank; ++i) s.heads *= q[i];
  return s;
}
// Where the matrix of one head begins; axes that are broadcast do not move.
int64_t start_of(const View& v, const Shape& batch, int64_t head) {
  int64_t at = 0;
  for (int i = batch.rank - 2; i-- > 0;) {
    int own = i - (batch.rank - v.shape().rank);
    if (own >= 0 && v.shape()[own] > 1) at += head % batch[i] * v.strides[own];
    head /= batch[i];
  }
  return at;
}

void infer(const Call& c, Specs& out) {
  const auto& at = c.as<AttentionAttrs>();
  const Shape &q = c.in[0].shape, &k = c.in[1].shape, &v = c.in[2].shape;
  if (at.mask < 0 || at.mask > 2 || c.in.size() != size_t(at.mask ? 4 : 3)) c.fail("three inputs, and a mask of kind 1 or 2", std::to_string(c.in.size()) + " and kind " + std::to_string(at.mask));
  for (int i : {0, 1, 2}) if (c.in[size_t(i)].dtype != DType::f32) c.fail("float32", c.in[size_t(i)].text(), "", ErrorKind::type);
  bool fits = q.rank >= 2 && k.rank == q.rank && v.rank == q.rank && q[-1] == k[-2] && k[-1] == v[-2];
  for (int i = 0; i + 2 < q.rank && fits; ++i) fits = q[i] == k[i] && q[i] == v[i];
  if (!fits) c.fail("q (.., L, E), k (.., E, S) and v (.., S, F)", q.text() + ", " + k.text() + " and " + v.text());
  Shape y = q, scores = q;
  y[y.rank - 1] = v[-1];
  scores[scores.rank - 1] = k[-1];
  if (at.mask) {
    const Spec& mask = c.in[3];
    if (mask.dtype != (at.mask == 1 ? DType::f32 : DType::boolean)) c.fail(at.mask == 1 ? "a float32 mask" : "a bool mask", mask.text(), "", ErrorKind::type);
    bool over = mask.shape.rank <= scores.rank;
    for (int i = 1; i <= mask.shape.rank && over; ++i) over = mask.shape[-i] == 1 || mask.shape[-i] == scores[-i];
    if (!over) c.fail("a mask that broadcasts to " + scores.text(), mask.shape.text());
  }
  out.push({DType::f32, y});
}
Work work(const Call& c) {
  Sizes s = sizes_of(c.op, c.in[0].shape, c.in[1].shape, c.in[2].shape);
  int64_t macs = s.heads * s.queries * s.keys * (s.depth + s.width);
  return {.pieces = int(std::clamp<int64_t>(std::min(macs / 393216, s.heads * s.blocks()), 1, 64)), .scratch = uint64_t(block_rows * s.keys) * sizeof(float),
          .shared = uint64_t(s.heads) * s.head_packed(), .phases = 2};
}
void mask_row(const AttentionAttrs& at, const View& mask, const Shape& q, int64_t head, int64_t row, int64_t n, float* scores) {
  const Shape& m = mask.shape();
  int64_t from = start_of(mask, q, head), step = m.rank >= 1 && m[-1] > 1 ? mask.strides[m.rank - 1] : 0;
  if (m.rank >= 2 && m[-2] > 1) from += row * mask.strides[m.rank - 2];
  if (at.mask == 1) {
    const float* add = mask.f32() + from;
    if (step <= 1) return kernels::binary(kernels::Binary::add, scores, 1, add, step, scores, n);
    for (int64_t i = 0; i < n; ++i) scores[i] += add[i * step];
  } else {
    const bool* keep = mask.as<bool>() + from;
    for (int64_t i = 0; i < n; ++i) if (!keep[i * step]) scores[i] = -infinity;
  }
}
void eval(const Context& c) {
  const auto& at = c.as<AttentionAttrs>();
  const View &q = c.in[0], &k = c.in[1], &v = c.in[2];
  const Shape& shape = q.shape();
  Sizes s = sizes_of(c.op, shape, k.shape(), v.shape());
  auto stride = [](const View& x, int i) { return x.strides[x.shape().rank - i]; };
  auto pack = [&](const View& x, int64_t h, int64_t deep, int64_t n, float scale, std::byte* to) {
    const float* from = x.f32() + start_of(x, shape, h);
    if (s.bf16) return kernels::bf16_pack(from, deep, n, stride(x, 2), stride(x, 1), to, scale);
    auto* floats = reinterpret_cast<float*>(to);
    kernels::gemm_pack(from, deep, n, stride(x, 2), stride(x, 1), floats);
    if (scale != 1) kernels::binary(kernels::Binary::mul, floats, 1, &scale, 0, floats, kernels::gemm_packed_floats(deep, n));
  };
  auto multiply = [&](const kernels::GemmShape& product, const float* a, const std::byte* packed, float* to) {
    if (s.bf16) kernels::gemm_bf16(product, a, packed, to, {}, false);
    else kernels::gemm(product, a, reinterpret_cast<const float*>(packed), to, {});
  };
  if (c.phase == 0) {
    auto [begin, end] = c.slice(s.heads);
    for (int64_t h = begin; h < end; ++h) {
      std::byte* keys = c.shared + uint64_t(h) * s.head_packed();
      pack(k, h, s.depth, s.keys, float(at.scale), keys);
      pack(v, h, s.keys, s.width, 1, keys + s.keys_packed());
    }
    return;
  }
  auto* scores = reinterpret_cast<float*>(c.scratch);
  auto [begin, end] = c.slice(s.heads * s.blocks());
  for (int64_t unit = begin; unit < end; ++unit) {
    int64_t h = unit / s.blocks(), first = unit % s.blocks() * block_rows, rows = std::min(block_rows, s.queries - first);
    const std::byte* keys = c.shared + uint64_t(h) * s.head_packed();
    multiply({.cols = rows, .n = s.keys, .a_col = stride(q, 2), .a_k = stride(q, 1), .c_col = s.keys, .segment = s.depth},
             q.f32() + start_of(q, shape, h) + first * stride(q, 2), keys, scores);
    if (at.mask) for (int64_t r = 0; r < rows; ++r) mask_row(at, c.in[3], shape, h, first + r, s.keys, scores + r * s.keys);
    float shares[block_rows], *y = c.out[0].f32() + (h * s.queries + first) * s.width;
    kernels::softmax_parts(scores, scores, shares, rows, s.keys);
    multiply({.cols = rows, .n = s.width, .a_col = s.keys, .c_col = s.width, .segment = s.keys}, scores, keys + s.keys_packed(), y);
    kernels::scale_rows(y, shares, rows, s.width);
  }
}
Cost cost(const Call& c) {
  Sizes s = sizes_of(c.op, c.in[0].shape, c.in[1].shape, c.in[2].shape);
  int64_t scores = s.heads * s.queries * s.keys;
  return {scores * (s.depth + s.width), scores * (c.as<AttentionAttrs>().mask ? 6 : 5) + s.heads * s.queries * s.depth};
}

}  // namespace

Found attention_pattern(const PatternGraph& graph, int y) {
  Look g{graph};
  auto product = [&](int v) { return g.is(v, matmul_op) && graph.in(v).size() == 2 && g.plain(v); };
  auto alone = [&](int v) { return graph.readers(v) == 1; };
  if (graph.spec(y).dtype != DType::f32 || !product(y) || !g.is(g.in(y, 0), softmax_op) || !alone(g.in(y, 0))) return {};
  AttentionAttrs at;
  int scores = g.in(g.in(y, 0), 0), mask = -1, v = g.in(y, 1);
  auto scaled = [&](int& x, bool whole) {
    while ((whole ? alone(x) : true) && (g.is(x, mul_op) || g.is(x, div_op)) && g.plain(x)) {
      bool times = g.is(x, mul_op);
      int by = g.number(g.in(x, 1)) ? 1 : times && g.number(g.in(x, 0)) ? 0 : -1;
      if (by < 0) return;
      double n = *g.number(g.in(x, by));
      at.scale = times ? at.scale * n : at.scale / n;
      x = g.in(x, 1 - by);
    }
  };
  if (!alone(scores)) return {};
  if (g.is(scores, where_op) && g.number(g.in(scores, 2)) == -double(infinity)) {
    at.mask = 2;
    mask = g.in(scores, 0);
    scores = g.in(scores, 1);
  } else if (g.is(scores, add_op) && g.plain(scores)) {
    auto leads_to_product = [&](int x) { scaled(x, true); at.scale = 1; return product(x) && alone(x); };
    int side = leads_to_product(g.in(scores, 0)) ? 0 : 1;
    at.mask = 1;
    mask = g.in(scores, 1 - side);
    scores = g.in(scores, side);
  }
  scaled(scores, true);
  if (!product(scores) || !alone(scores)) return {};
  int q = g.in(scores, 0), k = g.in(scores, 1);
  scaled(q, false);
  const Shape &a = graph.spec(q).shape, &b = graph.spec(k).shape, &c = graph.spec(v).shape;
  if (a.rank < 2 || b.rank != a.rank || c.rank != a.rank || !std::isfinite(at.scale) || graph.spec(q).dtype != DType::f32) return {};
  for (int i = 0; i + 2 < a.rank; ++i) if (a[i] != b[i] || a[i] != c[i]) return {};
  if (!is_symbol(a[-2]) && a[-2] < 4) return {};              // packing keys and values would cost as much as the products
  if (mask >= 0) {
    const Spec& m = graph.spec(mask);
    if (m.dtype != (at.mask == 1 ? DType::f32 : DType::boolean) || m.shape.rank > a.rank) return {};
    for (int i = 1; i <= m.shape.rank; ++i) if (m.shape[-i] != 1 && m.shape[-i] != (i == 1 ? b[-1] : a[-i])) return {};
  }
  std::vector<int> in{q, k, v};
  if (mask >= 0) in.push_back(mask);
  return {{y, &attention_op, std::make_shared<AttentionAttrs>(at), in, {}}};
}

static constexpr OpDef attention_row(std::string_view name) {
  return {.name = name, .doc = "softmax(scale * q k + mask) v", .min_inputs = 3, .max_inputs = 4,
          .infer = infer, .eval = eval, .work = work, .cost = cost,
          .samples = []() -> std::vector<Sample> {
            auto with = [](AttentionAttrs at) { return std::make_shared<AttentionAttrs>(at); };
            return {{{sample_values({5, 3}), sample_values({3, 4}), sample_values({4, 2})}, with({})},
                    {{sample_values({2, 3, 30, 4}), transpose(sample_values({2, 3, 6, 4})), sample_values({2, 3, 6, 5}), sample_values({3, 30, 6})}, with({0.5, 1})},
                    {{sample_values({2, 4, 3}), sample_values({2, 3, 5}), sample_values({2, 5, 3}), greater(sample_values({4, 5}), sample_values({4, 1}, -0.5f, -0.4f))}, with({1.5, 2})}};
          },
          .traits = {.out = Layout::dense}, .attrs = codec<AttentionAttrs>};
}
constinit const OpDef attention_op = attention_row("attention");
constinit const OpDef attention_bf16_op = attention_row("attention_bf16");

}  // namespace miniten
