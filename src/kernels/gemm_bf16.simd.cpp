#include "kernels/gemm_bf16.h"
#include "kernels/simd-inl.h"

// A block of pixels is laid out as rows of K, rounded, then multiplied by all panels: with tiles, with dot products of
// pairs, or with weights widened to float32, as the target has it.
#ifdef MINITEN_BF16_BASE
namespace miniten::kernels::MINITEN_BF16_BASE {
void gemm_bf16(const GemmShape& shape, const float* a, const std::byte* packed, float* c, const Epilogue& e, bool keep_a);
}
#endif

namespace miniten::kernels::MINITEN_TARGET {
namespace {

constexpr int64_t kPanel = 16, kChunk = 1024;   // columns; K per pass
constexpr int64_t kVectors = kPanel / kLanes;
constexpr int64_t kBlockBytes = 64 * 1024;      // of laid out pixels

#ifdef MINITEN_BF16_BASE
typedef uint16_t Element;
#else
typedef float Element;
#endif
constexpr int64_t kGap = 32;                    // between rows: not a power of two apart

MINITEN_INLINE int64_t padded(int64_t k) { return (k + 31) / 32 * 32; }

MINITEN_INLINE V rounded(V v) {
  const U bits = (U)v, up = bits + 0x7fffu + ((bits >> 16) & 1u);
  return select(v != v, (V)(bits | 0x400000u), (V)(up & 0xffff0000u));
}
// kLanes values of which `n` count; the others become 0.
MINITEN_INLINE void put(Element* to, V v, [[maybe_unused]] bool keep) {
#ifdef MINITEN_BF16_BASE
  store_as(to, (__m256i)_mm512_cvtneps_pbh((__m512)v));
#else
  store(to, keep ? v : rounded(v));
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
// Those values of one pixel, then zeros up to a multiple of 32.
MINITEN_INLINE void lay_out_pixel(const GemmShape& s, const float* a, const Range& range, Element* to, bool keep) {
  int64_t o = range.outer, i = range.inner, at = range.at, left = range.end - range.begin;
  Element* stop = to + padded(left);
  while (0 < left) {
    const int64_t n = s.segment - at < left ? s.segment - at : left;
    lay_out(a + o * s.outer_stride + i * s.inner_stride + at * s.a_k, s.a_k, n, to, keep);
    to += n, left -= n, at = 0;
    if (++i == s.inner) i = 0, ++o;
  }
  for (; to < stop; ++to) *to = 0;
}

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
#if defined(__AVX512BF16__)
constexpr int64_t kTall = 8, kWide = 2;
// The instruction by name and by value: g++ 12 spills accumulators of its intrinsic, and those that an asm changes in place.
MINITEN_INLINE V dot_pairs(V acc, V x, V w) {
  asm("vdpbf16ps %2, %1, %0" : "+v"(acc) : "v"(x), "v"(w));
  return acc;
}
template <int MR, int NP>
void tile(const Element* a, int64_t a_step, const std::byte* b, int64_t b_panel, int64_t k, float* sums) {
  V acc[MR][NP];
  MINITEN_UNROLL(8)
  for (int r = 0; r < MR; ++r)
    MINITEN_UNROLL(4)
    for (int j = 0; j < NP; ++j) acc[r][j] = V{};
  const auto* pairs = reinterpret_cast<const std::byte*>(a);
  for (; 0 < k; k -= 2, b += 64, pairs += 4) {
    V w[NP];
    MINITEN_UNROLL(4)
    for (int j = 0; j < NP; ++j) w[j] = load_as<V>(b + j * b_panel);
    MINITEN_UNROLL(8)
    for (int r = 0; r < MR; ++r) {
      const V x = (V)_mm512_set1_epi32(load_as<int32_t>(pairs + 2 * r * a_step));
      MINITEN_UNROLL(4)
      for (int j = 0; j < NP; ++j) acc[r][j] = dot_pairs(acc[r][j], x, w[j]);
    }
  }
  MINITEN_UNROLL(8)
  for (int r = 0; r < MR; ++r)
    MINITEN_UNROLL(4)
    for (int j = 0; j < NP; ++j) store(sums + (r * kWide + j) * kPanel, acc[r][j]);
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
#endif
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
  // Rows of A that need nothing done to them are read where they are.
  bool as_it_is = false;
#ifndef MINITEN_BF16_BASE
  as_it_is = keep && s.rows == 1 && s.a_k == 1 && s.outer == 1 && s.inner == 1 && k_all % 2 == 0;
#endif
  Element block[kBlockBytes / sizeof(Element) + kTall * kGap] __attribute__((aligned(64)));
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
