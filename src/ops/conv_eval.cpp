#include "kernels/depthwise.h"
#include "kernels/gemm.h"
#include "kernels/reduce.h"
#include "kernels/winograd.h"
#include "ops/conv_geometry.h"
#include "ops/loops.h"

namespace miniten {

// All operands are channels-last: x (n, h, w, c), weight (o, r, s, c / groups), y (n, p, q, o) in memory.
namespace {

size_t floats(int64_t n) { return size_t(n) * sizeof(float); }
size_t aligned(size_t n) { return (n + 63) / 64 * 64; }
// Each piece reads all weights once more: some microseconds of work make that cheap.
int pieces_of(const ConvGeometry& g, int64_t units) {
  return int(std::clamp<int64_t>(std::min(g.macs() / (g.is_depthwise() ? 65536 : 393216), units), 1, 64));
}
const Conv2dAttrs& attrs(const Call& c) { return c.as<Conv2dAttrs>(); }

// In double precision, the formula as it stands: `which` is the operand computed (0 x, 1 weight, 2 y).
void conv_f64(const Context& c, const ConvGeometry& g, const View& x, const View& w, const View& y, int which) {
  if (c.piece) return;
  const auto& at = c.as<Conv2dAttrs>();
  double* result = c.out[0].as<double>();
  for (int64_t i = 0, n = c.out[0].shape().count(); i < n; ++i) result[i] = 0;
  for (int64_t n = 0; n < g.n; ++n)
    for (int64_t p = 0; p < g.p; ++p)
      for (int64_t q = 0; q < g.q; ++q)
        for (int64_t o = 0; o < g.o; ++o) {
          double& fy = y.as<double>()[n * y.strides[0] + o * y.strides[1] + p * y.strides[2] + q * y.strides[3]];
          for (int64_t r = 0; r < g.r; ++r)
            for (int64_t s = 0; s < g.s; ++s) {
              int64_t h = p * g.stride_h + r * g.dilation_h - g.top, v = q * g.stride_w + s * g.dilation_w - g.left;
              if (h < 0 || h >= g.h || v < 0 || v >= g.w) continue;
              for (int64_t k = 0; k < g.c_group(); ++k) {
                int64_t channel = o / g.o_group() * g.c_group() + k;
                double& fx = x.as<double>()[n * x.strides[0] + channel * x.strides[1] + h * x.strides[2] + v * x.strides[3]];
                double& fw = w.as<double>()[o * w.strides[0] + k * w.strides[1] + r * w.strides[2] + s * w.strides[3]];
                if (which == 2) fy += fx * fw;
                else if (which == 0) fx += fy * fw;
                else fw += fx * fy;
              }
            }
          if (which != 2) continue;
          if (c.in.size() >= 3) fy += c.in[2].as<double>()[o];
          if (c.in.size() == 4) {
            const View& r = c.in[3];
            fy += r.as<double>()[n * r.strides[0] + o * r.strides[1] + p * r.strides[2] + q * r.strides[3]];
          }
          fy = fy < double(at.lo) ? double(at.lo) : fy > double(at.hi) ? double(at.hi) : fy;
        }
}

// Weights in the form the kernels take: depthwise [r * s][c]; else one packed matrix (r, s, c / groups) x o a group.
size_t packed_floats(const ConvGeometry& g) {
  if (g.is_depthwise()) return size_t(g.r * g.s * g.c);
  return size_t(g.groups) * size_t(kernels::gemm_packed_floats(g.taps(), g.o_group()));
}
void pack_weights(const ConvGeometry& g, const float* w, float* to, int piece, int pieces) {
  auto range = [&](int64_t n) { return std::pair<int64_t, int64_t>{n * piece / pieces, n * (piece + 1) / pieces}; };
  if (g.is_depthwise()) {
    auto [begin, end] = range(g.c);
    for (int64_t i = 0; i < g.r * g.s; ++i)
      for (int64_t o = begin; o < end; ++o) to[i * g.c + o] = w[o * g.r * g.s + i];
    return;
  }
  int64_t panels = (g.o_group() + 15) / 16, each = kernels::gemm_packed_floats(g.taps(), g.o_group());
  auto [begin, end] = range(g.groups * panels);
  for (int64_t i = begin; i < end; ++i) {
    int64_t group = i / panels, first = i % panels * 16, n = std::min<int64_t>(16, g.o_group() - first);
    kernels::gemm_pack(w + (group * g.o_group() + first) * g.taps(), g.taps(), n, 1, g.taps(), to + group * each + first * g.taps());
  }
}

// Output rows made at a time: their input, copied with its padding, stays in the first cache.
int64_t band_rows(const ConvGeometry& g) {
  int64_t row = g.stride_h * g.padded_w() * g.c;
  return std::clamp<int64_t>(6144 / std::max<int64_t>(row, 1), std::min<int64_t>(4, g.p), g.p);
}
int64_t band_reach(const ConvGeometry& g, int64_t rows) { return (rows - 1) * g.stride_h + g.dilation_h * (g.r - 1) + 1; }
size_t band_bytes(const ConvGeometry& g) {
  return g.is_padded() ? aligned(floats(band_reach(g, band_rows(g)) * g.padded_w() * g.c)) : 0;
}

// Rows [begin, end) of n * p output rows. Only `columns` output channels (0: all) are made, those that packed, finish
// and y point at. band: band_bytes of scratch.
void convolve(const ConvGeometry& g, const float* x, const float* packed, const kernels::Epilogue& finish, float* y, int64_t begin, int64_t end,
              float* band, int64_t columns = 0) {
  int64_t row = g.padded_w() * g.c, image = g.padded_h() * row;
  bool padded = g.is_padded(), pointwise = !padded && g.r == 1 && g.s == 1 && g.stride_h == 1 && g.stride_w == 1 && g.groups == 1;
  for (int64_t i = begin; i < end;) {
    int64_t n = i / g.p, p = i % g.p, rows = pointwise ? end - i : std::min({end - i, g.p - p, padded ? band_rows(g) : g.p});
    const float* from = x + n * image + p * g.stride_h * row;
    if (padded) {
      int64_t first = n * g.padded_h() + p * g.stride_h;
      pad_rows(x, g, 0.0f, first, first + band_reach(g, rows), band);
      from = band;
    }
    float* to = y + i * g.q * g.o;
    if (g.is_depthwise()) {
      kernels::depthwise({.channels = g.c, .out_h = rows, .out_w = g.q, .kernel_h = g.r, .kernel_w = g.s, .stride_h = g.stride_h,
                          .stride_w = g.stride_w, .dilation_h = g.dilation_h, .dilation_w = g.dilation_w, .x_row = row, .x_col = g.c,
                          .y_row = g.q * g.c, .y_col = g.c}, from, packed, finish.bias, finish.lo, finish.hi, to);
    } else {
      bool runs = g.groups == 1 && g.dilation_w == 1;          // a kernel row is one contiguous segment
      int64_t each = kernels::gemm_packed_floats(g.taps(), g.o_group());
      kernels::GemmShape shape{.rows = rows, .cols = g.q, .n = columns ? columns : g.o_group(), .a_row = g.stride_h * row, .a_col = g.stride_w * g.c,
                               .c_row = g.q * g.o, .c_col = g.o, .r_row = g.q * g.o, .r_col = g.o, .outer = runs ? 1 : g.r, .outer_stride = g.dilation_h * row,
                               .inner = runs ? g.r : g.s, .inner_stride = runs ? g.dilation_h * row : g.dilation_w * g.c,
                               .segment = runs ? g.s * g.c : g.c_group()};
      if (pointwise) { shape.cols *= rows; shape.rows = 1; }
      for (int64_t k = 0; k < g.groups; ++k)
        kernels::gemm(shape, from + k * g.c_group(), packed + k * each, to + k * g.o_group(),
                      {.bias = finish.bias ? finish.bias + k * g.o_group() : nullptr,
                       .residual = finish.residual ? finish.residual + (to - y) + k * g.o_group() : nullptr, .lo = finish.lo, .hi = finish.hi});
    }
    i += rows;
  }
}

}  // namespace

// ---- y from x and weight ----
namespace {

// How y is made: by Winograd's tiles of a size, or directly (0).
struct Choice {
  kernels::WinogradShape winograd;
  size_t packed = 0, scratch = 0;                              // bytes
  int pieces = 1;
  bool by_columns = false;                                     // few pixels: pieces share out the output channels, not the rows
  explicit operator bool() const { return winograd.tile > 0; }
};
kernels::WinogradShape winograd_shape(const ConvGeometry& g, int64_t tile) {
  return {.tile = tile, .channels = g.c, .n = g.o, .images = g.n, .height = g.h, .width = g.w, .out_h = g.p, .out_w = g.q, .top = g.top, .left = g.left};
}
// In multiplications that take as long: products, transforms and the traffic of weights beyond the first cache.
int64_t winograd_tile(const ConvGeometry& g, bool exact) {
  if (exact || g.groups != 1 || g.r != 3 || g.s != 3 || g.stride_h != 1 || g.stride_w != 1 || g.dilation_h != 1 || g.dilation_w != 1) return 0;
  if (g.c < 8 || g.o < 8) return 0;
  auto traffic = [&](int64_t products) { return products * g.c * g.o * (products * g.c * g.o > 262144 ? 13 : 4); };
  int64_t best = 0, least = g.macs() + traffic(9);
  for (int64_t tile : {2, 4}) {
    int64_t tiles = kernels::winograd_tiles(winograd_shape(g, tile)), products = (tile + 2) * (tile + 2);
    int64_t cost = tiles * products * (g.c * g.o * 11 / 10 + (g.c + g.o) * 11) + traffic(products);
    if (cost < least) { least = cost; best = tile; }
  }
  return best;
}
Choice choose(const ConvGeometry& g, bool exact) {
  Choice c;
  c.winograd = winograd_shape(g, winograd_tile(g, exact));
  if (c) {
    c.packed = floats(kernels::winograd_packed_floats(c.winograd));
    c.scratch = floats(kernels::winograd_scratch_floats(c.winograd));
    c.pieces = pieces_of(g, kernels::winograd_tiles(c.winograd) / 28);
  } else {
    c.packed = packed_floats(g) * sizeof(float);
    c.scratch = band_bytes(g);
    c.pieces = pieces_of(g, g.n * g.p);
    int64_t pairs = g.o / 32;                                  // of panels
    if (g.groups == 1 && g.n * g.p * g.q < 28 * int64_t(pieces_of(g, pairs)) && pairs > 1) {
      c.by_columns = true;
      c.pieces = pieces_of(g, pairs);
    }
  }
  return c;
}
void pack_for(const Choice& choice, const ConvGeometry& g, const float* w, float* to, int piece, int pieces) {
  if (!choice) return pack_weights(g, w, to, piece, pieces);
  int64_t panels = (g.o + 15) / 16;
  kernels::winograd_pack(choice.winograd, w, 9 * g.c, g.c, 1, panels * piece / pieces * 16, std::min(g.o, panels * (piece + 1) / pieces * 16), to);
}

// The piece of c.
void run(const Choice& choice, const ConvGeometry& g, const Context& c, const float* x, const float* packed, kernels::Epilogue finish) {
  auto* scratch = reinterpret_cast<float*>(c.scratch);
  float* y = c.out[0].f32();
  if (choice) {
    auto [begin, end] = c.slice(kernels::winograd_tiles(choice.winograd));
    return kernels::winograd(choice.winograd, x, packed, finish, y, begin, end, scratch);
  }
  if (choice.by_columns) {
    auto [first, last] = c.slice(g.o, 32);
    if (finish.bias) finish.bias += first;
    if (finish.residual) finish.residual += first;
    return convolve(g, x, packed + first * g.taps(), finish, y + first, 0, g.n * g.p, scratch, last - first);
  }
  auto [begin, end] = c.slice(g.n * g.p);
  convolve(g, x, packed, finish, y, begin, end, scratch);
}

}  // namespace

Work conv2d_work(const Call& c) {
  if (c.in[0].dtype == DType::f64) return {};
  ConvGeometry g = conv_geometry(c.in[0].shape, c.in[1].shape, c.out[0].shape, attrs(c));
  Choice choice = choose(g, c.exact);
  return {.pieces = choice.pieces, .scratch = choice.scratch, .shared = c.prepared ? 0 : choice.packed, .phases = c.prepared ? 1 : 2};
}
size_t conv2d_prepare(const Call& c, std::span<const View> in, std::byte* to) {
  if (!in[1].data || c.in[0].dtype == DType::f64 || !in[1].is_channels_last()) return 0;
  ConvGeometry g = conv_geometry(c.in[0].shape, c.in[1].shape, c.out[0].shape, attrs(c));
  Choice choice = choose(g, c.exact);
  if (to) pack_for(choice, g, in[1].f32(), reinterpret_cast<float*>(to), 0, 1);
  return choice.packed;
}
void conv2d_eval(const Context& c) {
  const auto& at = c.as<Conv2dAttrs>();
  ConvGeometry g = conv_geometry(c.in[0].shape(), c.in[1].shape(), c.out[0].shape(), at);
  if (c.out[0].spec.dtype == DType::f64) return conv_f64(c, g, c.in[0], c.in[1], c.out[0], 2);
  Choice choice = choose(g, c.exact);
  auto* packing = reinterpret_cast<float*>(c.shared);
  if (!c.prepared && c.phase == 0) return pack_for(choice, g, c.in[1].f32(), packing, c.piece, c.pieces);
  const float* packed = c.prepared ? reinterpret_cast<const float*>(c.prepared) : packing;
  run(choice, g, c, c.in[0].f32(), packed, {.bias = c.in.size() > 2 ? c.in[2].f32() : nullptr, .residual = c.in.size() > 3 ? c.in[3].f32() : nullptr, .lo = at.lo, .hi = at.hi});
}

// ---- x from y and weight: a forward convolution of y, spread by the stride, with the kernel turned round ----
namespace {
struct Turned {
  ConvGeometry g;                                              // y's role is x's, o's is c's
  size_t spread = 0;                                           // bytes; 0: y is taken as it is
  Choice choice;
};
Turned turned(const ConvGeometry& g, bool exact) {
  Turned t{g, 0, {}};
  int64_t reach_h = g.dilation_h * (g.r - 1), reach_w = g.dilation_w * (g.s - 1);
  std::swap(t.g.c, t.g.o);
  t.g.p = g.h; t.g.q = g.w;
  t.g.stride_h = t.g.stride_w = 1;
  if (g.stride_h == 1 && g.stride_w == 1 && std::max(g.top, g.bottom) <= reach_h && std::max(g.left, g.right) <= reach_w) {
    t.g.h = g.p; t.g.w = g.q;
    t.g.top = reach_h - g.top; t.g.bottom = reach_h - g.bottom;
    t.g.left = reach_w - g.left; t.g.right = reach_w - g.right;
  } else {
    t.g.h = g.h + reach_h; t.g.w = g.w + reach_w;
    t.g.top = t.g.left = t.g.bottom = t.g.right = 0;
    t.spread = aligned(floats(t.g.n * t.g.h * t.g.w * t.g.c));
  }
  t.choice = choose(t.g, exact || t.spread);
  return t;
}
// As pack_for on weights (c, r', s', o) by group, with the taps reversed.
void pack_turned(const Turned& t, const ConvGeometry& g, const float* w, float* to, int piece, int pieces) {
  int64_t taps = g.r * g.s, og = g.o_group(), cg = g.c_group(), panels = (cg + 15) / 16;
  auto range = [&](int64_t n) { return std::pair<int64_t, int64_t>{n * piece / pieces, n * (piece + 1) / pieces}; };
  if (t.choice) {
    auto [begin, end] = range(panels);
    return kernels::winograd_pack(t.choice.winograd, w + 8 * g.c, 1, -g.c, 9 * g.c, begin * 16, std::min(g.c, end * 16), to);
  }
  if (g.is_depthwise()) {
    auto [begin, end] = range(g.c);
    for (int64_t i = 0; i < taps; ++i)
      for (int64_t o = begin; o < end; ++o) to[i * g.c + o] = w[o * taps + taps - 1 - i];
    return;
  }
  int64_t each = kernels::gemm_packed_floats(taps * og, cg);
  auto [begin, end] = range(g.groups * panels);
  for (int64_t i = begin; i < end; ++i) {
    int64_t group = i / panels, first = i % panels * 16, n = std::min<int64_t>(16, cg - first);
    for (int64_t tap = 0; tap < taps; ++tap)
      kernels::gemm_pack(w + (group * og * taps + taps - 1 - tap) * cg + first, og, n, taps * cg, 1, to + group * each + (first * taps + tap * 16) * og);
  }
}
void spread_rows(const ConvGeometry& g, const ConvGeometry& t, const float* y, float* to, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    float* row = to + i * t.w * t.c;
    std::memset(row, 0, floats(t.w * t.c));
    int64_t at_h = i % t.h - (g.dilation_h * (g.r - 1) - g.top), p = at_h / g.stride_h;
    if (at_h < 0 || at_h % g.stride_h || p >= g.p) continue;
    const float* from = y + (i / t.h * g.p + p) * g.q * g.o;
    for (int64_t q = 0; q < g.q; ++q) {
      int64_t at_w = q * g.stride_w + g.dilation_w * (g.s - 1) - g.left;
      if (at_w >= 0 && at_w < t.w) std::memcpy(row + at_w * t.c, from + q * g.o, floats(g.o));
    }
  }
}
}  // namespace
Work conv2d_input_work(const Call& c) {
  ConvGeometry g = conv_geometry(c.out[0].shape, c.in[1].shape, c.in[0].shape, attrs(c));
  if (c.in[0].dtype == DType::f64) return {};
  Turned t = turned(g, c.exact);
  return {.pieces = t.choice.pieces, .scratch = t.choice.scratch, .shared = t.spread + t.choice.packed, .phases = 2};
}
void conv2d_input_eval(const Context& c) {
  const auto& at = c.as<Conv2dAttrs>();
  ConvGeometry g = conv_geometry(c.out[0].shape(), c.in[1].shape(), c.in[0].shape(), at);
  if (c.out[0].spec.dtype == DType::f64) return conv_f64(c, g, c.out[0], c.in[1], c.in[0], 0);
  Turned t = turned(g, c.exact);
  auto *spread = reinterpret_cast<float*>(c.shared), *packed = reinterpret_cast<float*>(c.shared + t.spread);
  if (c.phase == 0) {
    pack_turned(t, g, c.in[1].f32(), packed, c.piece, c.pieces);
    auto [begin, end] = c.slice(t.g.n * t.g.h);
    if (t.spread) spread_rows(g, t.g, c.in[0].f32(), spread, begin, end);
    return;
  }
  run(t.choice, t.g, c, t.spread ? spread : c.in[0].f32(), packed, {});
}

// ---- weight from x and y: a product over pixels; images are summed in chunks, then the chunks in order ----
namespace {
// Each chunk costs two passes over the weights: some hundreds of pixels make that cheap.
int64_t chunks_of(const ConvGeometry& g) {
  return std::clamp<int64_t>(std::min({g.n, g.macs() / 262144, g.n * g.p * g.q / (g.is_depthwise() ? 64 : 512)}), 1, 16);
}
int64_t chunk_images(const ConvGeometry& g) { return (g.n + chunks_of(g) - 1) / chunks_of(g); }
size_t padded_bytes(const ConvGeometry& g) { return g.is_padded() ? aligned(floats(chunk_images(g) * g.padded_h() * g.padded_w() * g.c)) : 0; }
}  // namespace
Work conv2d_weight_work(const Call& c) {
  ConvGeometry g = conv_geometry(c.in[0].shape, c.out[0].shape, c.in[1].shape, attrs(c));
  if (c.in[0].dtype == DType::f64) return {};
  size_t pack = g.is_depthwise() ? 0 : floats(kernels::gemm_packed_floats(chunk_images(g) * g.p * g.q, g.o_group()));
  return {.pieces = int(chunks_of(g)), .scratch = padded_bytes(g) + pack, .shared = size_t(chunks_of(g)) * floats(g.o * g.taps()), .phases = 2};
}
void conv2d_weight_eval(const Context& c) {
  const auto& at = c.as<Conv2dAttrs>();
  ConvGeometry g = conv_geometry(c.in[0].shape(), c.out[0].shape(), c.in[1].shape(), at);
  if (c.out[0].spec.dtype == DType::f64) return conv_f64(c, g, c.in[0], c.out[0], c.in[1], 1);
  int64_t row = g.padded_w() * g.c, image = g.padded_h() * row, size = g.o * g.taps();
  auto* parts = reinterpret_cast<float*>(c.shared);                      // by chunk: (groups, r, s, c / groups, o / groups)
  if (c.phase == 0) {
    int64_t begin = std::min(g.n, c.piece * chunk_images(g)), end = std::min(g.n, begin + chunk_images(g));
    const float *x = c.in[0].f32() + begin * image, *y = c.in[1].f32() + begin * g.p * g.q * g.o;
    if (g.is_padded()) {
      auto* padded = reinterpret_cast<float*>(c.scratch);
      pad_rows(c.in[0].f32(), g, 0.0f, begin * g.padded_h(), end * g.padded_h(), padded);
      x = padded;
    }
    float* part = parts + c.piece * size;
    std::memset(part, 0, floats(size));
    if (g.is_depthwise()) {
      for (int64_t n = 0; n < end - begin; ++n)
        kernels::depthwise_weight({.channels = g.c, .out_h = g.p, .out_w = g.q, .kernel_h = g.r, .kernel_w = g.s, .stride_h = g.stride_h,
                                   .stride_w = g.stride_w, .dilation_h = g.dilation_h, .dilation_w = g.dilation_w, .x_row = row, .x_col = g.c,
                                   .y_row = g.q * g.c, .y_col = g.c}, x + n * image, y + n * g.p * g.q * g.o, part);
      return;
    }
    if (begin == end) return;
    auto* packed = reinterpret_cast<float*>(c.scratch + padded_bytes(g));
    int64_t cg = g.c_group(), og = g.o_group();
    bool runs = g.groups == 1 && g.dilation_w == 1;
    for (int64_t k = 0; k < g.groups; ++k) {
      kernels::gemm_pack(y + k * og, (end - begin) * g.p * g.q, og, g.o, 1, packed);
      for (int64_t s = 0; s < (runs ? 1 : g.s); ++s)
        kernels::gemm({.rows = g.r, .cols = runs ? g.s * cg : cg, .n = og, .a_row = g.dilation_h * row, .a_col = 1, .a_k = g.stride_w * g.c,
                       .c_row = g.s * cg * og, .c_col = og, .outer = end - begin, .outer_stride = image, .inner = g.p,
                       .inner_stride = g.stride_h * row, .segment = g.q},
                      x + s * g.dilation_w * g.c + k * cg, packed, part + k * g.r * g.s * cg * og + s * cg * og, {});
    }
    return;
  }
  auto [begin, end] = c.slice(size);                           // to (o, c / groups, r, s), row-major
  int64_t cg = g.c_group(), og = g.o_group(), taps = g.r * g.s;
  constexpr int64_t step = 256;
  for (int64_t first = begin; first < end; first += step) {
    float total[step] = {};
    int64_t n = std::min(step, end - first);
    kernels::add_rows(parts + first, c.pieces, size, n, total);
    for (int64_t i = 0; i < n; ++i) {
      int64_t from = first + i, to = from % g.c * taps + from / g.c;     // depthwise: (r, s, c)
      if (!g.is_depthwise()) to = ((from / (og * cg * taps) * og + from % og) * cg + from / og % cg) * taps + from / (og * cg) % taps;
      c.out[0].f32()[to] = total[i];
    }
  }
}

}  // namespace miniten
