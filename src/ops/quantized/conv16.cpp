#include "ops/quantized/conv16.h"
#include "base/allocate.h"
#include "kernels/qdepthwise16.h"
#include "miniten/ops/attrs.h"
#include "ops/conv_geometry.h"
#include "ops/quantized/checks.h"

namespace miniten {

namespace {

// In memory: a padded copy of the input, packed weights, multipliers.
struct Parts {
  ConvGeometry g;
  bool runs, narrow;                               // narrow: int8 weights
  int64_t segment, segments;
  uint64_t input_bytes, group_bytes, weight_bytes, multiplier_bytes;
  Parts(const Shape& x, const Spec& w, const Shape& y, const auto& at) : g(conv_geometry(x, w.shape, y, at)), narrow(w.dtype == DType::i8) {
    runs = g.groups == 1 && g.dilation_w == 1;
    segment = runs ? g.s * g.c : g.c_group();
    segments = g.taps() / std::max<int64_t>(segment, 1);
    input_bytes = g.is_padded() ? aligned(uint64_t(g.n * g.padded_h() * g.padded_w() * g.c) * 2) : 0;
    group_bytes = aligned(kernels::qgemm16_packed_bytes(segments, segment, g.o_group(), narrow));
    weight_bytes = g.is_depthwise() ? aligned(uint64_t(g.r * g.s * g.c) * 2) : group_bytes * uint64_t(g.groups);
    multiplier_bytes = aligned(uint64_t(g.o) * sizeof(float));
  }
  int pieces() const { return int(std::clamp<int64_t>(std::min(g.macs() / 131072, g.n * g.p), 1, 64)); }
};

template <class T> void pack_as(const Parts& p, const T* w, std::byte* to) {   // w: (o, r, s, c / groups) in memory
  const ConvGeometry& g = p.g;
  if (g.is_depthwise()) {
    auto* taps = reinterpret_cast<int16_t*>(to);
    for (int64_t i = 0; i < g.r * g.s; ++i)
      for (int64_t o = 0; o < g.c; ++o) taps[i * g.c + o] = w[o * g.r * g.s + i];
    return;
  }
  for (int64_t k = 0; k < g.groups; ++k)
    kernels::qgemm16_pack(w + k * g.o_group() * g.taps(), p.segments, p.segment, g.o_group(), p.segment, 1, g.taps(), p.narrow,
                          to + uint64_t(k) * p.group_bytes);
}
void pack(const Parts& p, const View& w, std::byte* to) { p.narrow ? pack_as(p, w.as<int8_t>(), to) : pack_as(p, w.as<int16_t>(), to); }

// Rows [begin, end) of n * p output rows; finish gives the epilogue from a channel on.
template <class Y, class Finish>
void convolve(const Parts& parts, const int16_t* x, const std::byte* weights, Y* y, int64_t begin, int64_t end, Finish finish) {
  const ConvGeometry& g = parts.g;
  int64_t row = g.padded_w() * g.c, image = g.padded_h() * row;
  bool pointwise = g.r == 1 && g.s == 1 && g.stride_h == 1 && g.stride_w == 1 && g.groups == 1 && !g.is_padded();
  for (int64_t i = begin; i < end;) {
    int64_t p = i % g.p, rows = pointwise ? end - i : std::min(end - i, g.p - p);
    const int16_t* from = x + i / g.p * image + p * g.stride_h * row;
    Y* to = y + i * g.q * g.o;
    if (g.is_depthwise()) {
      kernels::QDepthwiseShape s{.channels = g.c, .out_h = rows, .out_w = g.q, .kernel_h = g.r, .kernel_w = g.s, .stride_h = g.stride_h,
                                 .stride_w = g.stride_w, .dilation_h = g.dilation_h, .dilation_w = g.dilation_w, .x_row = row,
                                 .x_col = g.c, .y_row = g.q * g.c, .y_col = g.c};
      const auto* w = reinterpret_cast<const int16_t*>(weights);
      if constexpr (std::is_same_v<Y, float>) kernels::qdepthwise16_f32(s, from, w, parts.narrow, to, finish(0));
      else kernels::qdepthwise16(s, from, w, parts.narrow, to, finish(0));
    } else {
      kernels::QGemmShape s{.rows = rows, .cols = g.q, .n = g.o_group(), .a_row = g.stride_h * row, .a_col = g.stride_w * g.c, .c_row = g.q * g.o,
                            .c_col = g.o, .outer = parts.runs ? 1 : g.r, .outer_stride = g.dilation_h * row, .inner = parts.runs ? g.r : g.s,
                            .inner_stride = parts.runs ? g.dilation_h * row : g.dilation_w * g.c, .segment = parts.segment};
      if (pointwise) { s.cols *= rows; s.rows = 1; }
      for (int64_t k = 0; k < g.groups; ++k) {
        const std::byte* w = weights + uint64_t(k) * parts.group_bytes;
        int64_t first = k * g.o_group();
        if constexpr (std::is_same_v<Y, float>) kernels::qgemm16_f32(s, from + k * g.c_group(), w, parts.narrow, to + first, finish(first));
        else kernels::qgemm16(s, from + k * g.c_group(), w, parts.narrow, to + first, finish(first));
      }
    }
    i += rows;
  }
}

Parts parts_of(const Call& c) { return {c.in[0].shape, c.in[1], c.out[0].shape, c.as<QConv2dAttrs>()}; }
Parts dynamic_parts(const Call& c) { return {c.in[0].shape, c.in[3], c.out[0].shape, c.as<Conv2dAttrs>()}; }

void pad_input(const Context& c, const Parts& p, int16_t* to) {
  auto [begin, end] = c.slice(p.g.n * p.g.padded_h());
  pad_rows<int16_t>(c.in[0].as<int16_t>(), p.g, 0, begin, end, to + begin * p.g.padded_w() * p.g.c);
}

}  // namespace

Work qconv16_work(const Call& c) {
  Parts p = parts_of(c);
  uint64_t shared = p.input_bytes + (c.prepared ? 0 : p.weight_bytes + p.multiplier_bytes);
  return {.pieces = p.pieces(), .shared = shared, .phases = shared ? 2 : 1};
}
uint64_t qconv16_prepare(const Call& c, std::span<const View> in, std::byte* to) {
  if (!in[1].data || !in[2].data || !in[1].is_channels_last()) return 0;
  Parts p = parts_of(c);
  if (to) {
    pack(p, in[1], to);
    multipliers_of(c.as<QConv2dAttrs>().x_scale, in[2], c.as<QConv2dAttrs>().y_scale, reinterpret_cast<float*>(to + p.weight_bytes));
  }
  return p.weight_bytes + p.multiplier_bytes;
}
void qconv16_eval(const Context& c) {
  const auto& at = c.as<QConv2dAttrs>();
  Parts p(c.in[0].shape(), c.in[1].spec, c.out[0].shape(), at);
  auto* input = reinterpret_cast<int16_t*>(c.shared);
  std::byte* packing = c.shared + p.input_bytes;
  if (c.phase == 0 && (p.input_bytes || !c.prepared)) {
    if (p.input_bytes) pad_input(c, p, input);
    if (!c.prepared && c.piece == 0) {
      pack(p, c.in[1], packing);
      multipliers_of(at.x_scale, c.in[2], at.y_scale, reinterpret_cast<float*>(packing + p.weight_bytes));
    }
    return;
  }
  const std::byte* weights = c.prepared ? c.prepared : packing;
  const auto* multiplier = reinterpret_cast<const float*>(weights + p.weight_bytes);
  const int64_t* bias = c.in.size() == 4 ? c.in[3].as<int64_t>() : nullptr;
  auto [begin, end] = c.slice(p.g.n * p.g.p);
  convolve(p, p.input_bytes ? input : c.in[0].as<int16_t>(), weights, c.out[0].as<int16_t>(), begin, end, [&](int64_t first) {
    return kernels::Q16Epilogue{.bias = bias ? bias + first : nullptr, .multiplier = multiplier + first, .y_zero = int32_t(at.y_zero), .lo = int32_t(at.lo), .hi = int32_t(at.hi)};
  });
}

Work qconv16_dynamic_work(const Call& c) {
  Parts p = dynamic_parts(c);
  return {.pieces = p.pieces(), .shared = p.input_bytes + p.multiplier_bytes + (c.prepared ? 0 : p.weight_bytes), .phases = 2};
}
uint64_t qconv16_dynamic_prepare(const Call& c, std::span<const View> in, std::byte* to) {
  if (!in[3].data || !in[3].is_channels_last()) return 0;
  Parts p = dynamic_parts(c);
  if (to) pack(p, in[3], to);
  return p.weight_bytes;
}
void qconv16_dynamic_eval(const Context& c) {
  const auto& at = c.as<Conv2dAttrs>();
  Parts p(c.in[0].shape(), c.in[3].spec, c.out[0].shape(), at);
  auto* input = reinterpret_cast<int16_t*>(c.shared);
  auto* multiplier = reinterpret_cast<float*>(c.shared + p.input_bytes);
  std::byte* packing = c.shared + p.input_bytes + p.multiplier_bytes;
  if (c.phase == 0) {
    if (p.input_bytes) pad_input(c, p, input);
    if (c.piece) return;
    if (!c.prepared) pack(p, c.in[3], packing);
    multipliers_of(*c.in[1].f32(), c.in[4], 1, multiplier);
    return;
  }
  const float* bias = c.in.size() == 6 ? c.in[5].f32() : nullptr;
  auto [begin, end] = c.slice(p.g.n * p.g.p);
  convolve(p, p.input_bytes ? input : c.in[0].as<int16_t>(), c.prepared ? c.prepared : packing, c.out[0].f32(), begin, end, [&](int64_t first) {
    return kernels::Q16EpilogueF32{.bias = bias ? bias + first : nullptr, .multiplier = multiplier + first, .lo = at.lo, .hi = at.hi};
  });
}

// ---- x (.., K) times w (K, N) ----
namespace {
struct Product {
  int64_t k, n, rows = 1;
  bool narrow;
  uint64_t weight_bytes, multiplier_bytes;
  Product(const Shape& x, const Spec& w) : k(w.shape[0]), n(w.shape[1]), narrow(w.dtype == DType::i8) {
    for (int i = 0; i + 1 < x.rank; ++i) rows *= x[i];
    weight_bytes = aligned(kernels::qgemm16_packed_bytes(1, k, n, narrow));
    multiplier_bytes = aligned(uint64_t(n) * sizeof(float));
  }
  int pieces() const { return int(std::clamp<int64_t>(std::min(rows * n * k / 131072, rows), 1, 32)); }
  kernels::QGemmShape shape(int64_t begin, int64_t end) const { return {.cols = end - begin, .n = n, .a_col = k, .c_col = n, .segment = k}; }
};
void pack(const Product& p, const View& w, std::byte* to) {
  if (p.narrow) kernels::qgemm16_pack(w.as<int8_t>(), 1, p.k, p.n, 0, w.strides[0], w.strides[1], true, to);
  else kernels::qgemm16_pack(w.as<int16_t>(), 1, p.k, p.n, 0, w.strides[0], w.strides[1], false, to);
}
}  // namespace

Work qmatmul16_work(const Call& c) {
  Product p(c.in[0].shape, c.in[1]);
  return c.prepared ? Work{.pieces = p.pieces()} : Work{.pieces = p.pieces(), .shared = p.weight_bytes + p.multiplier_bytes, .phases = 2};
}
uint64_t qmatmul16_prepare(const Call& c, std::span<const View> in, std::byte* to) {
  if (!in[1].data || !in[2].data) return 0;
  Product p(c.in[0].shape, c.in[1]);
  if (to) {
    pack(p, in[1], to);
    multipliers_of(c.as<QMatmulAttrs>().x_scale, in[2], c.as<QMatmulAttrs>().y_scale, reinterpret_cast<float*>(to + p.weight_bytes));
  }
  return p.weight_bytes + p.multiplier_bytes;
}
void qmatmul16_eval(const Context& c) {
  const auto& at = c.as<QMatmulAttrs>();
  Product p(c.in[0].shape(), c.in[1].spec);
  if (c.phase == 0 && !c.prepared) {
    if (c.piece) return;
    pack(p, c.in[1], c.shared);
    multipliers_of(at.x_scale, c.in[2], at.y_scale, reinterpret_cast<float*>(c.shared + p.weight_bytes));
    return;
  }
  const std::byte* weights = c.prepared ? c.prepared : c.shared;
  auto [begin, end] = c.slice(p.rows);
  kernels::qgemm16(p.shape(begin, end), c.in[0].as<int16_t>() + begin * p.k, weights, p.narrow, c.out[0].as<int16_t>() + begin * p.n,
                   {.bias = c.in.size() == 4 ? c.in[3].as<int64_t>() : nullptr, .multiplier = reinterpret_cast<const float*>(weights + p.weight_bytes),
                    .y_zero = int32_t(at.y_zero), .lo = int32_t(at.lo), .hi = int32_t(at.hi)});
}

Work qmatmul16_dynamic_work(const Call& c) {
  Product p(c.in[0].shape, c.in[3]);
  return {.pieces = p.pieces(), .shared = p.multiplier_bytes + (c.prepared ? 0 : p.weight_bytes), .phases = 2};
}
uint64_t qmatmul16_dynamic_prepare(const Call& c, std::span<const View> in, std::byte* to) {
  if (!in[3].data) return 0;
  Product p(c.in[0].shape, c.in[3]);
  if (to) pack(p, in[3], to);
  return p.weight_bytes;
}
void qmatmul16_dynamic_eval(const Context& c) {
  const auto& at = c.as<ClampAttrs>();
  Product p(c.in[0].shape(), c.in[3].spec);
  auto* multiplier = reinterpret_cast<float*>(c.shared);
  std::byte* packing = c.shared + p.multiplier_bytes;
  if (c.phase == 0) {
    if (c.piece) return;
    if (!c.prepared) pack(p, c.in[3], packing);
    multipliers_of(*c.in[1].f32(), c.in[4], 1, multiplier);
    return;
  }
  auto [begin, end] = c.slice(p.rows);
  kernels::qgemm16_f32(p.shape(begin, end), c.in[0].as<int16_t>() + begin * p.k, c.prepared ? c.prepared : packing, p.narrow, c.out[0].f32() + begin * p.n,
                       {.bias = c.in.size() == 6 ? c.in[5].f32() : nullptr, .multiplier = multiplier, .lo = at.lo, .hi = at.hi});
}

}  // namespace miniten
