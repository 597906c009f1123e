#include <cmath>
#include <numeric>
#include "base/allocate.h"
#include "kernels/gemm.h"
#include "kernels/qblocks.h"
#include "miniten/ops/ops.h"
#include "ops/loops.h"
#include "ops/onnx_rules.h"
#include "ops/quantized/lowering.h"

namespace miniten {

// x (.., K) float32 times the transpose of w (N, Kb) int4 or int8, Kb = K rounded up to whole blocks, with a scale for
// each block (N, Kb / block) and, of w's dtype, a zero point or none; bias (N,).
namespace {

constexpr int64_t few_rows = 8;                      // of x: up to here weights are read as they are, above they are expanded

int64_t integer_at(const View& v, int64_t i) {
  return v.spec.dtype == DType::i4 ? int8_t(uint8_t(v.as<uint8_t>()[i / 2] << (i % 2 ? 0 : 4))) >> 4 : v.as<int8_t>()[i];
}
template <class In> bool has_zeros(const In& in, const auto& shape_of) { return in.size() > 3 && shape_of(in[3]).rank == 2; }
bool has_zeros(const Call& c) { return has_zeros(c.in, [](const Spec& s) { return s.shape; }); }
struct Sizes {
  int64_t k, n, rows = 1, block, blocks, row_bytes;
  bool four_bits, few;
  Sizes(const Shape& x, const Spec& w, int64_t block) : k(x[-1]), n(w.shape[0]), block(block), blocks(w.shape[1] / block) {
    for (int i = 0; i + 1 < x.rank; ++i) rows *= x[i];
    four_bits = w.dtype == DType::i4;
    few = rows <= few_rows;
    row_bytes = int64_t(bytes_of(w.dtype, w.shape[1]));
  }
  int64_t columns() const { return 64; }             // that are expanded at once
  int pieces() const { return int(std::clamp<int64_t>(std::min(rows * n * k / 65536, (n + 63) / 64), 1, 32)); }
  uint64_t scratch() const {
    if (few) return aligned(uint64_t(blocks * block) * sizeof(float)) + aligned(uint64_t(blocks) * sizeof(float));
    return aligned(uint64_t(columns() * k) * sizeof(float)) + uint64_t(kernels::gemm_packed_floats(k, columns())) * sizeof(float);
  }
};

void blocks_eval(const Context& c) {
  const auto& at = c.as<MatmulBlocksAttrs>();
  Sizes s(c.in[0].shape(), c.in[1].spec, at.block);
  auto [begin, end] = c.slice(s.n, 16);
  if (begin >= end || s.rows == 0) return;
  const View* zeros = has_zeros(c.in, [](const View& v) { return v.shape(); }) ? &c.in[3] : nullptr;
  const size_t bias_at = zeros ? 4 : 3;
  const float *x = c.in[0].f32(), *scale = c.in[2].f32(), *bias = c.in.size() > bias_at ? c.in[bias_at].f32() : nullptr;
  const auto* w = c.in[1].as<std::byte>();
  float* y = c.out[0].f32();
  auto* memory = reinterpret_cast<float*>(c.scratch);
  if (s.few) {
    for (int64_t r = 0; r < s.rows; ++r) {
      float* to = y + r * s.n;
      kernels::blocks_arrange(x + r * s.k, s.k, s.blocks, s.block, s.four_bits, memory);
      kernels::blocks_matvec(memory, w + begin * s.row_bytes, s.four_bits, scale + begin * s.blocks, end - begin, s.blocks, s.block, to + begin);
      if (zeros) {
        float* sums = reinterpret_cast<float*>(c.scratch + aligned(uint64_t(s.blocks * s.block) * sizeof(float)));
        for (int64_t b = 0; b < s.blocks; ++b) sums[b] = std::accumulate(x + r * s.k + b * s.block, x + r * s.k + std::min(s.k, (b + 1) * s.block), 0.0f);
        for (int64_t j = begin; j < end; ++j)
          for (int64_t b = j * s.blocks, i = 0; i < s.blocks; ++i) to[j] -= scale[b + i] * float(integer_at(*zeros, b + i)) * sums[i];
      }
      for (int64_t j = begin; j < end; ++j) to[j] = std::clamp(bias ? to[j] + bias[j] : to[j], at.lo, at.hi);
    }
    return;
  }
  float* packed = reinterpret_cast<float*>(c.scratch + aligned(uint64_t(s.columns() * s.k) * sizeof(float)));
  for (int64_t j = begin; j < end; j += s.columns()) {
    int64_t m = std::min(s.columns(), end - j);
    for (int64_t i = 0; i < m; ++i) {
      float* to = memory + i * s.k;
      kernels::blocks_expand(w + (j + i) * s.row_bytes, s.four_bits, scale + (j + i) * s.blocks, s.k, s.block, to);
      for (int64_t b = 0, first = (j + i) * s.blocks; zeros && b < s.blocks; ++b) {
        const float shift = scale[first + b] * float(integer_at(*zeros, first + b));
        for (int64_t k = b * s.block; k < std::min(s.k, (b + 1) * s.block); ++k) to[k] -= shift;
      }
    }
    kernels::gemm_pack(memory, s.k, m, 1, s.k, packed);
    kernels::gemm({.rows = 1, .cols = s.rows, .n = m, .a_col = s.k, .a_k = 1, .c_col = s.n, .segment = s.k}, x, packed, y + j,
                  {.bias = bias ? bias + j : nullptr, .lo = at.lo, .hi = at.hi});
  }
}

}  // namespace

constinit const OpDef matmul_blocks_op{.name = "matmul_blocks", .doc = "x times weights of int4 or int8 with a scale for each block: x, w, scale, zero points if any, bias", .min_inputs = 3, .max_inputs = 5,
    .infer = [](const Call& c, Specs& out) {
      const auto& at = c.as<MatmulBlocksAttrs>();
      const Shape &x = c.in[0].shape, &w = c.in[1].shape;
      if (c.in[0].dtype != DType::f32) c.fail("float32", c.in[0].text(), "convert with cast first", ErrorKind::type);
      if (c.in[1].dtype != DType::i4 && c.in[1].dtype != DType::i8) c.fail("weights of int4 or int8", c.in[1].text(), "", ErrorKind::type);
      if (at.block < 16 || at.block % 16) c.fail("a block of 16, 32, 48 ..", std::to_string(at.block));
      if (x.rank < 1 || w.rank != 2 || w[1] % at.block) c.fail("input (.., K) and weights (N, whole blocks)", x.text() + " and " + w.text());
      if (is_symbol(x[-1]) || x[-1] > w[1] || x[-1] <= w[1] - at.block) c.fail("inner sizes that agree", x.text() + " and " + w.text());
      if (Spec want{DType::f32, {w[0], w[1] / at.block}}; c.in[2] != want) c.fail("scales " + want.text(), c.in[2].text());
      const size_t bias = has_zeros(c) ? 4 : 3;
      if (Spec want{c.in[1].dtype, {w[0], w[1] / at.block}}; bias == 4 && c.in[3] != want) c.fail("zero points " + want.text(), c.in[3].text());
      if (Spec want{DType::f32, {w[0]}}; c.in.size() > bias && c.in[bias] != want) c.fail("a bias " + want.text(), c.in[bias].text());
      Shape y = x;
      y[-1] = w[0];
      out.push({DType::f32, y});
    },
    .eval = blocks_eval,
    .work = [](const Call& c) {
      Sizes s(c.in[0].shape, c.in[1], c.as<MatmulBlocksAttrs>().block);
      return Work{.pieces = s.pieces(), .scratch = s.scratch()};
    },
    .cost = [](const Call& c) { return Cost{c.out[0].shape.count() * c.in[0].shape[-1], c.in.size() > (has_zeros(c) ? 4u : 3u) ? c.out[0].shape.count() : 0}; },
    .samples = []() -> std::vector<Sample> {
      Tensor four = Tensor::empty({DType::i4, {5, 32}}), eight = cast(sample_values({3, 48}, -127, 127), DType::i8);
      for (int64_t i = 0; i < 80; ++i) four.view().as<uint8_t>()[i] = uint8_t(i * 37);
      return {{{sample_values({2, 20}), four, sample_values({5, 2}, 0.01f, 0.1f), sample_values({5})}, std::make_shared<MatmulBlocksAttrs>(MatmulBlocksAttrs{16})},
              {{sample_values({11, 48}), eight, sample_values({3, 1}, 0.01f, 0.1f)}, std::make_shared<MatmulBlocksAttrs>(MatmulBlocksAttrs{48, -1, 1})},
              {{sample_values({2, 20}), four, sample_values({5, 2}, 0.01f, 0.1f), packed_int4(cast(sample_values({5, 2}, -8, 7), DType::i8)), sample_values({5})},
               std::make_shared<MatmulBlocksAttrs>(MatmulBlocksAttrs{16})},
              {{sample_values({11, 48}), eight, sample_values({3, 1}, 0.01f, 0.1f), cast(sample_values({3, 1}, -90, 90), DType::i8)}, std::make_shared<MatmulBlocksAttrs>(MatmulBlocksAttrs{48})}};
    },
    .traits = {.stops_gradient = true, .dense = 0b11111, .out = Layout::dense}, .onnx = {"MatMulNBits", 1, &onnx::matmul_blocks}, .attrs = codec<MatmulBlocksAttrs>};

namespace {

struct Levels { int lo, hi; };
Levels levels_of(DType t, bool symmetric) { return t == DType::i4 ? Levels{-8, 7} : Levels{symmetric ? -127 : -128, 127}; }
double squared_error(const float* w, int64_t n, BlockScale at, Levels q) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    double e = double(w[i]) - (std::clamp(std::nearbyint(double(w[i]) / double(at.scale)) + at.zero, double(q.lo), double(q.hi)) - at.zero) * double(at.scale);
    sum += e * e;
  }
  return sum;
}
// Of int4 a little of what is greatest may be cut, where that errs less.
BlockScale block_scale(const float* w, int64_t n, Levels q, bool symmetric) {
  const auto [least, greatest] = std::minmax_element(w, w + n);
  const double lo = std::min(*least, 0.0f), hi = std::max(*greatest, 0.0f), width = symmetric ? std::max(-lo, hi) : hi - lo, steps = symmetric ? q.hi : q.hi - q.lo;
  if (width == 0) return {1, 0};
  auto with_steps = [&](double n) {
    BlockScale at{std::max(float(width / n), std::numeric_limits<float>::min()), 0};
    if (!symmetric) at.zero = int(std::clamp(std::nearbyint(q.lo - lo * (steps / n) / double(at.scale)), double(q.lo), double(q.hi)));
    return at;
  };
  BlockScale best = with_steps(steps);
  if (q.hi > 7) return best;
  double error = squared_error(w, n, best, q);
  for (int k = -2; k <= 14; ++k) {
    BlockScale at = with_steps(steps + (symmetric ? 0.15 : 0.3) * k);
    for (int shift = symmetric ? 0 : -1; shift <= (symmetric ? 0 : 1); ++shift) {
      BlockScale moved{at.scale, std::clamp(at.zero + shift, symmetric ? 0 : q.lo, symmetric ? 0 : q.hi)};
      if (double e = squared_error(w, n, moved, q); e < error) { error = e; best = moved; }
    }
  }
  return best;
}

}  // namespace

std::vector<BlockScale> block_scales(const Call& c, DType t, int64_t block, bool symmetric) {
  if (&c.op != &matmul_op || !c.value(1) || c.in[1].shape.rank != 2 || c.in[1].dtype != DType::f32 || (c.in.size() == 3 && !c.value(2))) return {};
  const int64_t k = c.in[1].shape[0], n = c.in[1].shape[1];
  std::vector<float> w = transpose(*c.value(1)).to_vector<float>();
  std::vector<BlockScale> scales;
  for (int64_t j = 0; j < n; ++j)
    for (int64_t first = 0; first < k; first += block) scales.push_back(block_scale(w.data() + j * k + first, std::min(block, k - first), levels_of(t, symmetric), symmetric));
  return scales;
}
std::optional<Lowered> block_form(const Call& c, DType t, int64_t block, bool symmetric, const Tensor& rounded) {
  std::vector<BlockScale> scales = block_scales(c, t, block, symmetric);
  if (scales.empty()) return {};
  const int64_t k = c.in[1].shape[0], n = c.in[1].shape[1], blocks = (k + block - 1) / block;
  const Levels q = levels_of(t, symmetric);
  std::vector<float> w = transpose(rounded ? rounded : *c.value(1)).to_vector<float>();
  Tensor integers = Tensor::zeros({n, blocks * block}, DType::i8), scale = Tensor::empty({DType::f32, {n, blocks}}), zeros = Tensor::empty({DType::i8, {n, blocks}});
  for (int64_t j = 0; j < n; ++j)
    for (int64_t i = 0; i < k; ++i) {
      const BlockScale& at = scales[size_t(j * blocks + i / block)];
      integers.view().as<int8_t>()[j * blocks * block + i] = int8_t(std::clamp(std::nearbyint(double(w[size_t(j * k + i)]) / double(at.scale)) + at.zero, double(q.lo), double(q.hi)));
    }
  for (size_t i = 0; i < scales.size(); ++i) {
    scale.view().f32()[i] = scales[i].scale;
    zeros.view().as<int8_t>()[i] = int8_t(scales[i].zero);
  }
  auto stored = [&](const Tensor& bytes) { return t == DType::i4 ? packed_int4(bytes) : bytes; };
  const auto& cut = c.as<ClampAttrs>();
  Lowered lowered{&matmul_blocks_op, std::make_shared<MatmulBlocksAttrs>(MatmulBlocksAttrs{block, cut.lo, cut.hi}), {0}, {stored(integers), scale}};
  if (!symmetric) lowered.constants.push_back(stored(zeros));
  if (c.in.size() == 3) lowered.constants.push_back(*c.value(2));
  return lowered;
}
std::optional<Lowered> floats_of_blocks(const Call& c) {
  const size_t bias = has_zeros(c) ? 4 : 3;
  for (size_t i = 1; i < c.in.size(); ++i) if (!c.value(int(i))) return {};
  const auto& at = c.as<MatmulBlocksAttrs>();
  const int64_t k = c.in[0].shape[-1], n = c.in[1].shape[0], blocks = c.in[1].shape[1] / at.block;
  const View w = c.value(1)->view(), scale = c.value(2)->view();
  std::vector<float> values(size_t(k * n));
  for (int64_t j = 0; j < n; ++j)
    for (int64_t i = 0; i < k; ++i) {
      const int64_t b = j * blocks + i / at.block;
      values[size_t(i * n + j)] = float(integer_at(w, j * blocks * at.block + i) - (bias == 4 ? integer_at(c.value(3)->view(), b) : 0)) * scale.f32()[b];
    }
  Lowered floats{&matmul_op, std::make_shared<ClampAttrs>(), {0}, {Tensor::of<float>({k, n}, values)}};
  if (c.in.size() > bias) floats.constants.push_back(*c.value(int(bias)));
  return floats;
}

Tensor packed_int4(const Tensor& integers) {
  std::vector<int8_t> q = integers.to_vector<int8_t>();
  for (int8_t& v : q) v = std::clamp<int8_t>(v, -8, 7);
  Tensor packed = Tensor::empty({DType::i4, integers.shape()});
  auto* to = packed.view().as<uint8_t>();
  for (size_t i = 0; i < q.size(); ++i) to[i / 2] = uint8_t(i % 2 ? to[i / 2] | uint8_t(q[i] << 4) : q[i] & 15);
  return packed;
}

}  // namespace miniten
