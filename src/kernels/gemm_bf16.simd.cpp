#include "kernels/gemm_bf16.h"
#if defined(__AVX512BF16__) && !defined(__AMX_BF16__)
#define MINITEN_PAIRS 1
#include "kernels/gemm_tiles-inl.h"
#else
#define MINITEN_PAIRS 0
#include "kernels/bf16-inl.h"
#endif

// A block of pixels is laid out as rows of K, rounded, then multiplied by all panels: with tiles, with dot products of
// pairs, or with weights widened to float32, as the target has it.
#ifdef MINITEN_BF16_BASE
namespace miniten::kernels::MINITEN_BF16_BASE {
void gemm_bf16(const GemmShape& shape, const float* a, const std::byte* packed, float* c, const Epilogue& e, bool keep_a);
}
#endif

namespace miniten::kernels::MINITEN_TARGET {
namespace {

#if !MINITEN_PAIRS
constexpr int64_t kPanel = 16;                  // columns
constexpr int64_t kVectors = kPanel / kLanes;
#endif
constexpr int64_t kChunk = 1024;                // K per pass
constexpr int64_t kRoomBytes = 64 * 1024;      // of laid out pixels

#ifdef MINITEN_BF16_BASE
typedef uint16_t Element;
#else
typedef float Element;
#endif
constexpr int64_t kGap = 32;                    // between rows: not a power of two apart

MINITEN_INLINE int64_t padded(int64_t k) { return (k + 31) / 32 * 32; }

// kLanes values of which `n` count; the others become 0.
MINITEN_INLINE void put(Element* to, V v, [[maybe_unused]] bool keep) {
#ifdef MINITEN_BF16_BASE
  store_as(to, (__m256i)_mm512_cvtneps_pbh((__m512)v));
#else
  store(to, keep ? v : (V)(round_to_bf16(v) & 0xffff0000u));
#endif
}
void lay_out(const float* from, int64_t step, int64_t n, Element* to, bool keep) {
  if (step == 1) return for_lanes(n, [&](int64_t i, int64_t m) { put(to + i, load_n(from + i, m), keep); });
  for_lanes(n, [&](int64_t i, int64_t m) {
    float some[kLanes] = {};
    for (int64_t l = 0; l < m; ++l) some[l] = from[(i + l) * step];
    put(to + i, load(some), keep);
  });
}

// A range of K, and where it begins: in which segment, and how far in.
struct Range {
  int64_t begin, end, outer, inner, at;
  Range(const GemmShape& s, int64_t begin, int64_t end) : begin(begin), end(end) {
    const int64_t run = begin / s.segment;
    at = begin - run * s.segment, outer = run / s.inner, inner = run - outer * s.inner;
  }
};
// Those values of one pixel, then zeros up to a multiple of 32; for dot products to whole pairs.
MINITEN_INLINE void lay_out_pixel(const GemmShape& s, const float* a, const Range& range, Element* to, bool keep) {
  int64_t o = range.outer, i = range.inner, at = range.at, left = range.end - range.begin;
  [[maybe_unused]] Element* stop = to + padded(left);
  while (0 < left) {
    const int64_t n = s.segment - at < left ? s.segment - at : left;
    lay_out(a + o * s.outer_stride + i * s.inner_stride + at * s.a_k, s.a_k, n, to, keep);
    to += n, left -= n, at = 0;
    if (++i == s.inner) i = 0, ++o;
  }
#if !MINITEN_PAIRS
  for (; to < stop; ++to) *to = 0;
#endif
}

#if MINITEN_PAIRS
struct Pairs {
  // The instruction by name: g++ 12 spills the accumulators of its intrinsic.
  static MINITEN_INLINE V add(V acc, V a, V b) {
    asm("vdpbf16ps %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b));
    return acc;
  }
  static constexpr int max_rows_of(int nv) { return nv <= 2 ? 8 : nv == 4 ? 3 : nv == 8 ? 1 : 0; }
  static constexpr int64_t lone_columns(const GemmShape&) { return 0; }
  static void run_lone(const GemmShape&, const Tile&, int64_t, int64_t, int64_t) {}
};
constexpr int64_t kBlock = kRoomBytes / (int64_t)sizeof(Element);

// Lines of A, each one run of memory that pixels share or in which they follow one another: values of a pixel in a line, lines of
// a pixel, floats from line to line, lines from one row of pixels to the next.
struct Lines {
  int64_t run, count, stride, down;
  bool deep;                                    // a line holds all inner segments of a pixel
  explicit Lines(const GemmShape& s) : deep(1 < s.outer) {
    run = s.segment + (deep ? (s.inner - 1) * s.inner_stride : 0);
    count = deep ? s.outer : s.inner;
    stride = 1 < count ? deep ? s.outer_stride : s.inner_stride : s.a_row;
    down = 1 < s.rows && 0 < stride ? s.a_row / stride : 1;
  }
  int64_t width(const GemmShape& s, int64_t cols) const { return (cols - 1) * s.a_col + run; }
  bool fit(const GemmShape& s) const {          // pairs must not be torn, and few values be laid out in vain
    const bool whole = s.a_k == 1 && s.segment % 2 == 0 && s.a_col % 2 == 0 && (!deep || s.inner == 1 || (s.inner_stride % 2 == 0 && 0 < s.inner_stride));
    const bool joined = 0 < s.a_col && s.a_col <= run && (1 < count || s.a_col < run || run <= kChunk);
    return whole && joined && 0 < run && (s.rows == 1 || (0 < down && down * stride == s.a_row)) && (count == 1 || 0 < stride);
  }
};
MINITEN_INLINE int64_t spaced(int64_t width) { return padded(width) + kGap; }

// Calls run(product, its A, C and end) for blocks of at most tall rows of wide pixels; how A is laid out is still to be said.
template <class Run>
void by_blocks(const GemmShape& s, int64_t tall, int64_t wide, const float* a, float* c, const Epilogue& e, const Run& run) {
  for (int64_t row = 0; row < s.rows; row += tall)
    for (int64_t col = 0; col < s.cols; col += wide) {
      GemmShape p = s;
      p.rows = s.rows - row < tall ? s.rows - row : tall, p.cols = s.cols - col < wide ? s.cols - col : wide, p.a_k = 1;
      Epilogue end = e;
      if (e.residual) end.residual = e.residual + row * s.r_row + col * s.r_col;
      run(p, a + row * s.a_row + col * s.a_col, c + row * s.c_row + col * s.c_col, end);
    }
}

// Each with its block on the stack: one at a time.
__attribute__((noinline)) bool multiply_lines(const GemmShape& s, const float* a, const float* packed, int64_t b_panel, float* c, const Epilogue& e) {
  const Lines lines(s);
  if (!lines.fit(s)) return false;
  const int64_t room = kBlock / lines.count;    // of a line
  int64_t wide = s.cols;
  if (room < spaced(lines.width(s, wide))) {
    wide = (room - 2 * kGap - lines.run) / s.a_col + 1;
    if (wide < 8) return false;
  }
  const int64_t step = spaced(lines.width(s, wide)), tall = (kBlock / step - lines.count) / lines.down + 1;
  Element block[kBlock] __attribute__((aligned(64)));
  by_blocks(s, tall, wide, a, c, e, [&](GemmShape p, const float* from, float* to, const Epilogue& end) {
    const int64_t width = lines.width(s, p.cols);
    for (int64_t l = 0; l < (p.rows - 1) * lines.down + lines.count; ++l) lay_out(from + l * lines.stride, 1, width, block + l * step, false);
    p.a_row = lines.down * step / 2, p.a_col = s.a_col / 2, p.segment = s.segment / 2;
    p.outer_stride = step / 2, p.inner_stride = (lines.deep ? s.inner_stride : step) / 2;
    run_product<Pairs>(p, reinterpret_cast<const float*>(block), packed, b_panel, to, end);
  });
  return true;
}

__attribute__((noinline)) void multiply_pixels(const GemmShape& s, int64_t k_all, const float* a, const float* packed, int64_t b_panel, float* c, const Epilogue& e) {
  Element block[kBlock] __attribute__((aligned(64)));
  for (int64_t k0 = 0; k0 == 0 || k0 < k_all; k0 += kChunk) {
    const int64_t k1 = k_all < k0 + kChunk ? k_all : k0 + kChunk, step = spaced(k1 - k0), most = kBlock / step;
    const int64_t wide = s.cols < most ? s.cols : most, tall = most / wide;
    const Range range(s, k0, k1);
    by_blocks(s, tall, wide, a, c, e, [&](GemmShape p, const float* from, float* to, const Epilogue& end) {
      Element* pixel = block;
      for (int64_t r = 0; r < p.rows; ++r)
        for (int64_t i = 0; i < p.cols; ++i, pixel += step) lay_out_pixel(s, from + r * s.a_row + i * s.a_col, range, pixel, false);
      p.a_row = p.cols * step / 2, p.a_col = step / 2, p.outer = p.inner = 1, p.segment = (k1 - k0 + 1) / 2;
      Tile t = tile_of(p, b_panel, end);
      t.a = reinterpret_cast<const float*>(block);
      t.first = k0 == 0, t.last = k1 == k_all, t.load_c = !t.first || e.accumulate;
      run_range<Pairs>(p, cuts_of<Pairs>(p, p.segment), t, packed + k0 / 2 * kPanel, to, end);
    });
  }
}
#else
// sums[r][j] of `height` rows of A, a_step elements apart, by `panels` panels, b_panel bytes apart; sums' rows are
// kWide * kPanel floats.
#if defined(__AMX_BF16__)
constexpr int64_t kTall = 32, kWide = 2;
struct Config {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {};
  explicit Config(int64_t height) {
    for (int i = 0; i < 8; ++i) rows[i] = (uint8_t)(i < 6 && height < 16 ? height : 16);
  }
};
void multiply(const Element* a, int64_t a_step, int64_t height, const std::byte* b, int64_t b_panel, int64_t panels, int64_t k, float* sums) {
  const bool tall = 16 < height, wide = 1 < panels;
  const int64_t step = 2 * a_step, row = 4 * kWide * kPanel;
  const auto* x = reinterpret_cast<const std::byte*>(a);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (; 0 < k; k -= 32, x += 64, b += 1024) {
    _tile_loadd(4, x, step);
    _tile_loadd(6, b, 64);
    _tile_dpbf16ps(0, 4, 6);
    if (wide) {
      _tile_loadd(7, b + b_panel, 64);
      _tile_dpbf16ps(1, 4, 7);
    }
    if (tall) {
      _tile_loadd(5, x + 16 * step, step);
      _tile_dpbf16ps(2, 5, 6);
      if (wide) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, sums, row);
  if (wide) _tile_stored(1, sums + kPanel, row);
  if (tall) _tile_stored(2, sums + 16 * kWide * kPanel, row);
  if (tall && wide) _tile_stored(3, sums + 16 * kWide * kPanel + kPanel, row);
}
#else
constexpr int64_t kTall = kLanes == 16 ? 4 : kLanes == 8 ? 2 : 1, kWide = kLanes == 16 ? 4 : kLanes == 8 ? 2 : 1;
// Even and odd elements of K have sums of their own, so that additions need not wait for each other.
template <int MR, int NP>
void tile(const Element* a, int64_t a_step, const std::byte* b, int64_t b_panel, int64_t k, float* sums) {
  constexpr int kAll = NP * kVectors;
  V even[MR][kAll] = {}, odd[MR][kAll] = {};
  for (; 0 < k; k -= 2, b += 64, a += 2)
    MINITEN_UNROLL(16)
    for (int j = 0; j < kAll; ++j) {
      const U pair = load_as<U>(b + j / kVectors * b_panel + j % kVectors * kLanes * 4);
      const V first = (V)(pair << 16), second = (V)(pair & 0xffff0000u);
      MINITEN_UNROLL(4)
      for (int r = 0; r < MR; ++r) {
        even[r][j] = fma(set(a[r * a_step]), first, even[r][j]);
        odd[r][j] = fma(set(a[r * a_step + 1]), second, odd[r][j]);
      }
    }
  MINITEN_UNROLL(4)
  for (int r = 0; r < MR; ++r)
    MINITEN_UNROLL(16)
    for (int j = 0; j < kAll; ++j) store(sums + r * kWide * kPanel + j * kLanes, even[r][j] + odd[r][j]);
}
template <int MR>
void multiply(const Element* a, int64_t a_step, int64_t height, const std::byte* b, int64_t b_panel, int64_t panels, int64_t k, float* sums) {
  if constexpr (1 < MR)
    if (height < MR) return multiply<MR / 2>(a, a_step, height, b, b_panel, panels, k, sums);
  constexpr int kMost = MR == kTall && kLanes == 16 && 2 < kWide ? 2 : kWide;   // four rows leave registers for two panels
  int64_t j = 0;
  for (; j + kMost <= panels; j += kMost) tile<MR, kMost>(a, a_step, b + j * b_panel, b_panel, k, sums + j * kPanel);
  if constexpr (1 < kMost)
    for (; j < panels; ++j) tile<MR, 1>(a, a_step, b + j * b_panel, b_panel, k, sums + j * kPanel);
  if constexpr (1 < MR)
    if (MR < height) multiply<MR / 2>(a + MR * a_step, a_step, height - MR, b, b_panel, panels, k, sums + MR * kWide * kPanel);
}
void multiply(const Element* a, int64_t a_step, int64_t height, const std::byte* b, int64_t b_panel, int64_t panels, int64_t k, float* sums) {
  multiply<kTall>(a, a_step, height, b, b_panel, panels, k, sums);
}
#endif
#endif

}  // namespace

void gemm_bf16(const GemmShape& shape, const float* a, const std::byte* packed, float* c, const Epilogue& e, bool keep) {
#ifdef MINITEN_BF16_BASE
  if (keep) return MINITEN_BF16_BASE::gemm_bf16(shape, a, packed, c, e, true);
#endif
  GemmShape s = shape;
  if (s.segment <= 0 || s.outer <= 0 || s.inner <= 0) s.segment = s.outer = s.inner = 1;
  const int64_t k_all = shape.segment <= 0 || shape.outer <= 0 || shape.inner <= 0 ? 0 : s.outer * s.inner * s.segment;
  const int64_t pixels = s.rows * s.cols, b_panel = kPanel * 2 * padded(k_all);
  if (pixels <= 0 || s.n <= 0) return;
#if MINITEN_PAIRS
  s = flattened(s, e.residual != nullptr);
  const auto* panels = reinterpret_cast<const float*>(packed);
  if (k_all == 0 || !multiply_lines(s, a, panels, b_panel / 4, c, e)) multiply_pixels(s, k_all, a, panels, b_panel / 4, c, e);
#else
  // Rows of A that need nothing done to them are read where they are.
  bool as_it_is = false;
#ifndef MINITEN_BF16_BASE
  as_it_is = keep && s.rows == 1 && s.a_k == 1 && s.outer == 1 && s.inner == 1 && k_all % 2 == 0;
#endif
  Element block[kRoomBytes / sizeof(Element) + kTall * kGap] __attribute__((aligned(64)));
  float sums[kTall * kWide * kPanel] __attribute__((aligned(64)));
  for (int64_t k0 = 0; k0 == 0 || k0 < k_all; k0 += kChunk) {
    const int64_t k1 = k_all < k0 + kChunk ? k_all : k0 + kChunk, width = padded(k1 - k0);
    const bool first = k0 == 0, last = k1 == k_all, load_c = !first || e.accumulate;
    const V lo = set(last ? e.lo : -__builtin_inff()), hi = set(last ? e.hi : __builtin_inff());
    const Range range(s, k0, k1);
    int64_t step = width + kGap, most = (int64_t)(sizeof(block) / sizeof(Element)) / step / kTall * kTall;
    if (as_it_is) step = s.a_col, most = pixels;
    for (int64_t p0 = 0; p0 < pixels; p0 += most) {
      const int64_t count = pixels - p0 < most ? pixels - p0 : most;
      const Element* rows = block;
#ifndef MINITEN_BF16_BASE
      if (as_it_is) rows = a + p0 * step + k0;
#endif
      for (int64_t i = 0, row = p0 / s.cols, col = p0 - row * s.cols; !as_it_is && i < count; ++i) {
        lay_out_pixel(s, a + row * s.a_row + col * s.a_col, range, block + i * step, keep);
        if (++col == s.cols) col = 0, ++row;
      }
#if defined(__AMX_BF16__)
      const Config config(count);
      asm volatile("ldtilecfg %0" ::"m"(config));
#endif
      for (int64_t j = 0; j < s.n; j += kWide * kPanel) {
        const std::byte* b = packed + j / kPanel * b_panel + k0 * 2 * kPanel;
        const int64_t columns = s.n - j < kWide * kPanel ? s.n - j : kWide * kPanel, panels = (columns + kPanel - 1) / kPanel;
        int64_t row = p0 / s.cols, col = p0 - row * s.cols;
        for (int64_t i = 0; i < count; i += kTall) {
          const int64_t height = count - i < kTall ? count - i : kTall;
          multiply(rows + i * step, step, height, b, b_panel, panels, k1 - k0, sums);
          for (int64_t r = 0; r < height; ++r) {
            float* to = c + row * s.c_row + col * s.c_col + j;
            const float* residual = last && e.residual ? e.residual + row * s.r_row + col * s.r_col + j : nullptr;
            for_lanes(columns, [&](int64_t l, int64_t m) {
              V v = load(sums + r * kWide * kPanel + l);
              if (load_c) v += load_n(to + l, m);
              if (first && e.bias) v += load_n(e.bias + j + l, m);
              if (residual) v += load_n(residual + l, m);
              store_n(to + l, clamp(v, lo, hi), m);
            });
            if (++col == s.cols) col = 0, ++row;
          }
        }
      }
    }
  }
#if defined(__AMX_BF16__)
  _tile_release();
#endif
#endif
}

#if defined(__AMX_BF16__)
constexpr int kSpeed = 8;
#elif defined(__AVX512BF16__)
constexpr int kSpeed = 2;
#else
constexpr int kSpeed = 1;
#endif
extern const Bf16Table bf16_table;
const Bf16Table bf16_table = {&gemm_bf16, kSpeed, kLanes == 16 ? 4 : kLanes == 8 ? 2 : 1};

}  // namespace miniten::kernels::MINITEN_TARGET
