#include "kernels/ftable.h"
#include "kernels/simd-inl.h"
#include "kernels/sparse-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

constexpr int kPanel = 16;
constexpr int kVectors = kPanel / kLanes;
#if defined(__aarch64__)
constexpr int kRows = kLanes == 1 ? 1 : 6;
#else
constexpr int kRows = kLanes == 16 ? 12 : kLanes == 8 ? 6 : kLanes == 4 ? 2 : 1;
#endif
constexpr int kLonePanels = kLanes < 4 ? 1 : 4;  // of a lone row: enough sums in flight to hide their latency

struct Steps {
  const int32_t* offset;
  const float* b;
  int64_t count;
};

// One panel of columns for up to MR pixels; Whole: it has all of its columns.
struct Tile {
  const float* a;
  int64_t a_col, a_k;
  float* c;
  int64_t c_col;
  const float *residual, *bias;
  int64_t r_col;
  float lo, hi;
  int64_t left;
};

template <bool Whole, int MR>
MINITEN_INLINE void begin_tile(const Tile& t, V (&acc)[MR][kVectors]) {
  MINITEN_UNROLL(16)
  for (int j = 0; j < kVectors; ++j) {
    const int64_t n = Whole ? kLanes : t.left - j * kLanes;
    const V bias = t.bias && 0 < n ? load_n(t.bias + j * kLanes, n) : V{};
    MINITEN_UNROLL(16)
    for (int r = 0; r < MR; ++r) acc[r][j] = bias;
  }
}

template <bool Whole, int MR>
MINITEN_INLINE void finish_tile(const Tile& t, V (&acc)[MR][kVectors]) {
  const V lo = set(t.lo), hi = set(t.hi);
  MINITEN_UNROLL(16)
  for (int r = 0; r < MR; ++r) {
    MINITEN_UNROLL(16)
    for (int j = 0; j < kVectors; ++j) {
      const int64_t n = Whole ? kLanes : t.left - j * kLanes;
      if (n <= 0) break;
      V v = acc[r][j];
      if (t.residual) v += load_n(t.residual + r * t.r_col + j * kLanes, n);
      store_n(t.c + r * t.c_col + j * kLanes, clamp(v, lo, hi), n);
    }
  }
}

template <int MR>
MINITEN_INLINE void add_step(const float* a, int64_t a_col, const float* b, V (&acc)[MR][kVectors]) {
  V bv[kVectors];
  MINITEN_UNROLL(16)
  for (int j = 0; j < kVectors; ++j) bv[j] = load(b + j * kLanes);
  MINITEN_UNROLL(16)
  for (int r = 0; r < MR; ++r) {
    const V av = set(a[r % 3 * a_col]);  // three pixels share an address register
    MINITEN_UNROLL(16)
    for (int j = 0; j < kVectors; ++j) acc[r][j] = fma(av, bv[j], acc[r][j]);
    if (r % 3 == 2) a += 3 * a_col;
  }
}

template <bool Whole, int MR>
__attribute__((noinline)) void run_tile(const Tile& t, const Steps& s) {
  V acc[MR][kVectors];
  begin_tile<Whole, MR>(t, acc);
  const int64_t a_col = t.a_col, a_k = t.a_k;
  const float* b = s.b;
  for (int64_t i = 0; i < s.count; ++i, b += kPanel) add_step<MR>(t.a + s.offset[i] * a_k, a_col, b, acc);
  finish_tile<Whole, MR>(t, acc);
}

// As many pixels as there are, in tiles of falling height.
template <bool Whole, int MR>
void run_pixels(Tile& t, const Steps& s, int64_t cols) {
  for (; MR <= cols; cols -= MR) {
    run_tile<Whole, MR>(t, s);
    t.a += MR * t.a_col;
    t.c += MR * t.c_col;
    if (t.residual) t.residual += MR * t.r_col;
  }
  if constexpr (1 < MR) run_pixels<Whole, (MR < 4 ? 1 : MR / 4)>(t, s, cols);
}

// One pixel, some panels side by side.
template <int NP>
void run_lone(const Tile& first, const Steps* steps) {
  V acc[NP][1][kVectors];
  Tile t[NP];
  int64_t shortest = steps[0].count;
  for (int p = 0; p < NP; ++p) {
    t[p] = first;
    t[p].c += p * kPanel;
    if (first.bias) t[p].bias += p * kPanel;
    if (first.residual) t[p].residual += p * kPanel;
    if (steps[p].count < shortest) shortest = steps[p].count;
    begin_tile<true, 1>(t[p], acc[p]);
  }
  for (int64_t i = 0; i < shortest; ++i)
    MINITEN_UNROLL(4)
    for (int p = 0; p < NP; ++p) add_step<1>(first.a + steps[p].offset[i] * first.a_k, 0, steps[p].b + i * kPanel, acc[p]);
  MINITEN_UNROLL(4)
  for (int p = 0; p < NP; ++p) {
    for (int64_t i = shortest; i < steps[p].count; ++i)
      add_step<1>(first.a + steps[p].offset[i] * first.a_k, 0, steps[p].b + i * kPanel, acc[p]);
    finish_tile<true, 1>(t[p], acc[p]);
  }
}

}  // namespace

void sparse_gemm(const GemmShape& shape, const float* a, const std::byte* packed, int64_t panel, float* c, const Epilogue& e) {
  GemmShape s = shape;
  if (s.rows <= 0 || s.cols <= 0 || s.n <= 0) return;
  if (s.cols == 1) {
    s.cols = s.rows, s.rows = 1;
    s.a_col = s.a_row, s.c_col = s.c_row, s.r_col = s.r_row;
  }
  const auto* header = reinterpret_cast<const int32_t*>(packed);
  const int64_t count = header[0], panels = (s.n + kPanel - 1) / kPanel;
  const int32_t *begin = header + 1, *offset = begin + count + 1;
  const auto* values = reinterpret_cast<const float*>(packed + sparse_header_bytes(count, begin[count]));
  const auto steps_of = [&](int64_t p) {
    const int32_t first = begin[panel + p];
    return Steps{offset + first, values + int64_t(first) * kPanel, begin[panel + p + 1] - first};
  };
  Tile t{};
  t.a_col = s.a_col, t.a_k = s.a_k, t.c_col = s.c_col, t.r_col = s.r_col;
  t.lo = e.lo, t.hi = e.hi;
  const auto place = [&](int64_t row, int64_t col, int64_t p) {
    t.a = a + row * s.a_row + col * s.a_col;
    t.c = c + row * s.c_row + col * s.c_col + p * kPanel;
    t.residual = e.residual ? e.residual + row * s.r_row + col * s.r_col + p * kPanel : nullptr;
    t.bias = e.bias ? e.bias + p * kPanel : nullptr;
  };
  // Pixels whose A and C stay in the first caches while all panels pass.
  const int64_t k = s.outer * s.inner * s.segment;
  int64_t block = 12288 / (k + s.n) / kRows * kRows;
  if (block < kRows) block = kRows;
  for (int64_t row = 0; row < s.rows; ++row)
    for (int64_t col = 0; col < s.cols; col += block) {
      const int64_t cols = s.cols - col < block ? s.cols - col : block;
      int64_t p = 0;
      if (1 < kLonePanels && cols == 1)
        for (; (p + kLonePanels) * kPanel <= s.n; p += kLonePanels) {
          Steps steps[kLonePanels];
          for (int i = 0; i < kLonePanels; ++i) steps[i] = steps_of(p + i);
          place(row, col, p);
          run_lone<kLonePanels>(t, steps);
        }
      for (; p < panels; ++p) {
        place(row, col, p);
        t.left = s.n - p * kPanel;
        t.left < kPanel ? run_pixels<false, kRows>(t, steps_of(p), cols) : run_pixels<true, kRows>(t, steps_of(p), cols);
      }
    }
}

}  // namespace miniten::kernels::MINITEN_TARGET
