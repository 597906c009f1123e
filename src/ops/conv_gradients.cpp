#include "kernels/depthwise.h"
#include "kernels/reduce.h"
#include "kernels/transpose.h"
#include "ops/conv_parts.h"

namespace miniten {

using namespace conv;

// ---- x from y and weight: forward convolutions of y with the kernel turned round; spread by the stride where it must be ----
namespace {
struct Turned {
  ConvGeometry g;                                              // y's role is x's, o's is c's
  uint64_t spread = 0;                                           // bytes; 0: y is taken as it is
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
// With a stride, the rows and columns of x that the same taps reach are a convolution of their own, with those taps.
struct Part {
  ConvGeometry g;
  int64_t tap_h, tap_w, first_h, first_w;                      // the least tap, and the first pixel of x
  uint64_t packed;                                               // floats before its weights
};
struct Parts {
  Few<Part, 16> all;
  uint64_t packed = 0, band = 0;                                 // floats, bytes
  bool gaps = false;                                           // pixels that no tap reaches
};
struct Line { int64_t taps, first, count, before, after; };    // along one axis: taps, pixels of x, padding of y
Line line_of(int64_t tap, int64_t kernel, int64_t stride, int64_t size, int64_t padding, int64_t outputs) {
  int64_t taps = tap < kernel ? (kernel - tap - 1) / stride + 1 : 0;
  int64_t u = padding > tap ? (padding - tap + stride - 1) / stride : 0, end = size + padding > tap ? (size - 1 + padding - tap) / stride + 1 : 0;
  return {taps, u * stride + tap - padding, std::max<int64_t>(0, end - u), taps - 1 - u, end - outputs};
}
bool split(const ConvGeometry& g, Parts& parts) {
  if (g.groups != 1 || g.dilation_h != 1 || g.dilation_w != 1 || g.stride_h * g.stride_w < 2 || g.stride_h * g.stride_w > 16) return false;
  for (int64_t a = 0; a < g.stride_h; ++a)
    for (int64_t b = 0; b < g.stride_w; ++b) {
      Line h = line_of(a, g.r, g.stride_h, g.h, g.top, g.p), w = line_of(b, g.s, g.stride_w, g.w, g.left, g.q);
      if (!h.count || !w.count) continue;
      if (!h.taps || !w.taps) { parts.gaps = true; continue; }
      if (h.before < 0 || h.after < 0 || w.before < 0 || w.after < 0) return false;
      Part p{g, a, b, h.first, w.first, parts.packed};
      std::swap(p.g.c, p.g.o);
      p.g.h = g.p; p.g.w = g.q; p.g.p = h.count; p.g.q = w.count;
      p.g.r = h.taps; p.g.s = w.taps;
      p.g.stride_h = p.g.stride_w = 1;
      p.g.top = h.before; p.g.bottom = h.after; p.g.left = w.before; p.g.right = w.after;
      parts.packed += packed_floats(p.g);
      parts.band = std::max(parts.band, band_bytes(p.g));
      parts.all.push(p);
    }
  return true;
}
void pack_part(const ConvGeometry& g, const Part& p, const float* w, float* to, int piece, int pieces) {
  int64_t panels = (g.c + 15) / 16, k = p.g.taps();
  for (int64_t i = panels * piece / pieces; i < panels * (piece + 1) / pieces; ++i)
    for (int64_t r = 0; r < p.g.r; ++r)
      for (int64_t s = 0; s < p.g.s; ++s) {
        int64_t tap = (p.tap_h + (p.g.r - 1 - r) * g.stride_h) * g.s + p.tap_w + (p.g.s - 1 - s) * g.stride_w;
        kernels::gemm_pack(w + tap * g.c + i * 16, g.o, std::min<int64_t>(16, g.c - i * 16), g.r * g.s * g.c, 1, to + i * 16 * k + (r * p.g.s + s) * g.o * 16);
      }
}
void run_parts(const Context& c, const ConvGeometry& g, const Parts& parts) {
  auto* packed = reinterpret_cast<float*>(c.shared);
  float* x = c.out[0].f32();
  int64_t row = g.w * g.c;
  if (c.phase == 0) {
    auto [begin, end] = c.slice(g.n * g.h);
    if (parts.gaps) std::memset(x + begin * row, 0, floats((end - begin) * row));
    for (const Part& p : parts.all.span()) pack_part(g, p, c.in[1].f32(), packed + p.packed, c.piece, c.pieces);
    return;
  }
  for (const Part& p : parts.all.span()) {
    auto [begin, end] = c.slice(g.n * p.g.p);
    convolve(p.g, c.in[0].f32(), packed + p.packed, {}, {x + p.first_h * row + p.first_w * g.c, g.h * row, g.stride_h * row, g.stride_w * g.c}, begin, end,
             reinterpret_cast<float*>(c.scratch));
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
  ConvGeometry g = conv_geometry(c.out[0].shape, c.in[1].shape, c.in[0].shape, c.as<Conv2dAttrs>());
  if (c.in[0].dtype == DType::f64) return {};
  if (Parts parts; split(g, parts)) return {.pieces = pieces_of(g, g.n * g.h), .scratch = parts.band, .shared = floats(int64_t(parts.packed)), .phases = 2};
  Turned t = turned(g, c.exact);
  return work_of(t.choice, t.spread + t.choice.packed, 2);
}
void conv2d_input_eval(const Context& c) {
  const auto& at = c.as<Conv2dAttrs>();
  ConvGeometry g = conv_geometry(c.out[0].shape(), c.in[1].shape(), c.in[0].shape(), at);
  if (c.out[0].spec.dtype == DType::f64) return conv_f64(c, g, c.out[0], c.in[1], c.in[0], 0);
  if (Parts parts; split(g, parts)) return run_parts(c, g, parts);
  Turned t = turned(g, c.exact);
  auto *spread = reinterpret_cast<float*>(c.shared), *packed = reinterpret_cast<float*>(c.shared + t.spread);
  auto* inputs = reinterpret_cast<float*>(c.shared + aligned(t.spread + t.choice.packed));
  if (c.phase == 0) {
    pack_turned(t, g, c.in[1].f32(), packed, c.piece, c.pieces);
    auto [begin, end] = c.slice(t.g.n * t.g.h);
    if (t.spread) spread_rows(g, t.g, c.in[0].f32(), spread, begin, end);
    if (t.choice.inputs) transform(t.choice, c, c.in[0].f32(), inputs);
    return;
  }
  run(t.choice, t.g, c, t.spread ? spread : c.in[0].f32(), packed, inputs, {});
}

// ---- weight from x and y: a product over pixels; images are summed in chunks, then the chunks in order ----
namespace {
// Each chunk costs two passes over the weights: some hundreds of pixels make that cheap.
int64_t chunks_of(const ConvGeometry& g) {
  return std::clamp<int64_t>(std::min({g.n, g.macs() / 262144, g.n * g.p * g.q / (g.is_depthwise() ? 64 : 512)}), 1, 16);
}
// Few pixels make few chunks: then pieces share out a chunk's output channels.
int64_t splits_of(const ConvGeometry& g) {
  if (g.groups != 1 || chunks_of(g) > 8) return 1;
  return std::clamp<int64_t>(std::min(g.o / 32, g.macs() / chunks_of(g) / 262144), 1, 8);
}
int64_t chunk_images(const ConvGeometry& g) { return (g.n + chunks_of(g) - 1) / chunks_of(g); }
uint64_t padded_bytes(const ConvGeometry& g) { return g.is_padded() ? aligned(floats(chunk_images(g) * g.padded_h() * g.padded_w() * g.c)) : 0; }
}  // namespace
Work conv2d_weight_work(const Call& c) {
  ConvGeometry g = conv_geometry(c.in[0].shape, c.out[0].shape, c.in[1].shape, c.as<Conv2dAttrs>());
  if (c.in[0].dtype == DType::f64) return {};
  uint64_t pack = g.is_depthwise() ? 0 : floats(kernels::gemm_packed_floats(chunk_images(g) * g.p * g.q, g.o_group()));
  return {.pieces = int(chunks_of(g) * splits_of(g)), .scratch = padded_bytes(g) + pack, .shared = uint64_t(chunks_of(g)) * floats(g.o * g.taps()), .phases = 2};
}
void conv2d_weight_eval(const Context& c) {
  const auto& at = c.as<Conv2dAttrs>();
  ConvGeometry g = conv_geometry(c.in[0].shape(), c.out[0].shape(), c.in[1].shape(), at);
  if (c.out[0].spec.dtype == DType::f64) return conv_f64(c, g, c.in[0], c.out[0], c.in[1], 1);
  int64_t row = g.padded_w() * g.c, image = g.padded_h() * row, size = g.o * g.taps();
  auto* parts = reinterpret_cast<float*>(c.shared);                      // by chunk: (groups, r, s, c / groups, o / groups)
  if (c.phase == 0) {
    const int64_t splits = splits_of(g), chunk = c.piece / splits, split = c.piece % splits;
    int64_t begin = std::min(g.n, chunk * chunk_images(g)), end = std::min(g.n, begin + chunk_images(g));
    const float *x = c.in[0].f32() + begin * image, *y = c.in[1].f32() + begin * g.p * g.q * g.o;
    if (g.is_padded()) {
      auto* padded = reinterpret_cast<float*>(c.scratch);
      pad_rows(c.in[0].f32(), g, 0.0f, begin * g.padded_h(), end * g.padded_h(), padded);
      x = padded;
    }
    float* part = parts + chunk * size;
    if (g.is_depthwise()) {
      std::memset(part, 0, floats(size));
      for (int64_t n = 0; n < end - begin; ++n)
        kernels::depthwise_weight({.channels = g.c, .out_h = g.p, .out_w = g.q, .kernel_h = g.r, .kernel_w = g.s, .stride_h = g.stride_h,
                                   .stride_w = g.stride_w, .dilation_h = g.dilation_h, .dilation_w = g.dilation_w, .x_row = row, .x_col = g.c,
                                   .y_row = g.q * g.c, .y_col = g.c}, x + n * image, y + n * g.p * g.q * g.o, part);
      return;
    }
    int64_t cg = g.c_group(), og = g.o_group(), pixels = g.p * g.q;
    if (begin == end) {                                        // images did not share out evenly
      if (split == 0) std::memset(part, 0, floats(size));
      return;
    }
    auto* packed = reinterpret_cast<float*>(c.scratch + padded_bytes(g));
    bool runs = g.groups == 1 && g.dilation_w == 1;
    const int64_t panels = (og + 15) / 16, left = panels * split / splits * 16, right = std::min(og, panels * (split + 1) / splits * 16);
    kernels::GemmShape shape{.rows = g.r, .cols = runs ? g.s * cg : cg, .n = right - left, .a_row = g.dilation_h * row, .a_col = 1, .a_k = g.stride_w * g.c,
                             .c_row = g.s * cg * og, .c_col = og, .outer = end - begin, .outer_stride = image, .inner = g.p, .inner_stride = g.stride_h * row, .segment = g.q};
    if (shape.inner_stride == g.q * shape.a_k && image == g.p * shape.inner_stride) shape.segment *= std::exchange(shape.outer, 1) * std::exchange(shape.inner, 1);
    for (int64_t k = 0; k < g.groups; ++k) {
      kernels::gemm_pack(y + k * og + left, (end - begin) * pixels, right - left, g.o, 1, packed);
      for (int64_t s = 0; s < (runs ? 1 : g.s); ++s)
        kernels::gemm(shape, x + s * g.dilation_w * g.c + k * cg, packed, part + k * g.r * g.s * cg * og + s * cg * og + left, {});
    }
    return;
  }
  // To (o, c / groups, r, s), row-major: tiles of a tap's rows of o, some c at a time.
  const int64_t taps = g.r * g.s, each = g.is_depthwise() ? 1 : g.c_group(), across = g.is_depthwise() ? g.c : g.o_group();
  constexpr int64_t high = 16, wide = 64;
  const int64_t blocks = (each + high - 1) / high;
  auto [begin, end] = c.slice(size / (each * across) * blocks);
  float* w = c.out[0].f32();
  for (int64_t b = begin; b < end; ++b) {
    const int64_t matrix = b / blocks, tap = matrix % taps, group = matrix / taps, top = b % blocks * high, rows = std::min(high, each - top);
    for (int64_t left = 0; left < across; left += wide) {
      float total[high * wide] = {};
      const int64_t n = std::min(wide, across - left);
      for (int64_t i = 0; i < rows; ++i) kernels::add_rows(parts + (matrix * each + top + i) * across + left, chunks_of(g), size, n, total + i * wide);
      float* to = w + ((group * across + left) * each + top) * taps + tap;
      if (taps == 1) kernels::transpose(total, wide, to, each, n, rows);
      else for (int64_t o = 0; o < n; ++o) for (int64_t i = 0; i < rows; ++i) to[(o * each + i) * taps] = total[i * wide + o];
    }
  }
}

}  // namespace miniten
