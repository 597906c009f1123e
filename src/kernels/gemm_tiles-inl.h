#pragma once
#include "kernels/gemm.h"
#include "kernels/simd-inl.h"

// One walk over a packed product for every kind of product. P says what a step of K is: a float of A by 16 of B, or a pair of narrower
// numbers that lies in a float's place.
//   static V add(V acc, V a, V b);
//   static constexpr int max_rows_of(int vectors);              // tallest tile across so many vectors; 0: none
//   static int64_t lone_columns(const GemmShape&);              // last columns that run_lone does in the place of tiles
//   static void run_lone(const GemmShape&, const Tile&, int64_t column, int64_t begin, int64_t end);
namespace miniten::kernels::MINITEN_TARGET {
namespace {

constexpr int kPanel = 16;                    // columns of a packed panel
constexpr int kPanelVectors = kPanel / kLanes;
constexpr bool kMasksAreFree = kLanes == 16;  // a part of a vector costs as much as a whole one
constexpr int64_t kAhead = 64 * kPanel;       // floats of weights asked for in advance: a page

// One tile of the product: a range of K for up to MR pixels and NV vectors of columns.
struct Tile {
  const float* a;
  int64_t a_col, a_k;
  int64_t outer, outer_stride, inner, inner_stride, segment;
  const float* b;
  int64_t b_panel;  // floats between panels
  float* c;
  int64_t c_col;
  const float* residual;  // null but for the last range of K
  int64_t r_col;
  const float* bias;
  int64_t tail;  // columns in the last vector
  bool load_c, first, last;
  float lo, hi;
};

// Full: the last vector is whole.
template <int MR, int NV, bool Full>
MINITEN_INLINE void finish_tile(const Tile& t, V (&acc)[MR][NV]) {
  const int64_t tail = t.tail;
  if (const float* residual = t.residual) {
    const int64_t r_col = t.r_col;
    MINITEN_UNROLL(32)
    for (int r = 0; r < MR; ++r) {
      MINITEN_UNROLL(8)
      for (int j = 0; j < NV; ++j) {
        const float* from = residual + r * r_col + j * kLanes;
        acc[r][j] += j + 1 < NV ? load(from) : load_if<Full>(from, tail);
      }
    }
  }
  if (t.last) {
    const V lo = set(t.lo), hi = set(t.hi);
    MINITEN_UNROLL(32)
    for (int r = 0; r < MR; ++r) {
      MINITEN_UNROLL(8)
      for (int j = 0; j < NV; ++j) acc[r][j] = clamp(acc[r][j], lo, hi);
    }
  }
  float* c = t.c;
  const int64_t c_col = t.c_col;
  MINITEN_UNROLL(32)
  for (int r = 0; r < MR; ++r) {
    MINITEN_UNROLL(8)
    for (int j = 0; j < NV; ++j) {
      float* to = c + r * c_col + j * kLanes;
      j + 1 < NV ? store(to, acc[r][j]) : store_if<Full>(to, acc[r][j], tail);
    }
  }
}

// Every element starts from its bias (and C), adds its products in the order of K and ends with the residual and the
// clamp, so neither the tile's size nor a cut in K shows in the bits.
template <class P, int MR, int NV>
void run_tile(const Tile& t) {
  V acc[MR][NV];
  MINITEN_UNROLL(8)
  for (int j = 0; j < NV; ++j) {
    const int64_t lanes = j == NV - 1 ? t.tail : kLanes;
    const V bias = t.first && t.bias ? load_n(t.bias + j * kLanes, lanes) : V{};
    MINITEN_UNROLL(32)
    for (int r = 0; r < MR; ++r) acc[r][j] = t.load_c ? load_n(t.c + r * t.c_col + j * kLanes, lanes) + bias : bias;
  }
  constexpr int kPanels = (NV + kPanelVectors - 1) / kPanelVectors;
  constexpr int kGroups = (MR + 2) / 3;  // three pixels share an address register
  const float* b[kPanels];
  MINITEN_UNROLL(8)
  for (int p = 0; p < kPanels; ++p) b[p] = t.b + p * t.b_panel;
  const int64_t a_col = t.a_col, a_k = t.a_k;
  for (int64_t o = 0; o < t.outer; ++o) {
    for (int64_t i = 0; i < t.inner; ++i) {
      const float* a[kGroups];
      MINITEN_UNROLL(16)
      for (int g = 0; g < kGroups; ++g) a[g] = t.a + o * t.outer_stride + i * t.inner_stride + 3 * g * a_col;
      for (int64_t k = 0; k < t.segment; ++k) {
        V bv[NV];
        if constexpr (1 < MR) {  // one row alone leaves the processor free to run ahead
          MINITEN_UNROLL(8)
          for (int p = 0; p < kPanels; ++p) __builtin_prefetch(b[p] + kAhead);
        }
        MINITEN_UNROLL(8)
        for (int j = 0; j < NV; ++j) bv[j] = load(b[j / kPanelVectors] + j % kPanelVectors * kLanes);
        MINITEN_UNROLL(32)
        for (int r = 0; r < MR; ++r) {
          const V av = set(a[r / 3][r % 3 * a_col]);
          MINITEN_UNROLL(8)
          for (int j = 0; j < NV; ++j) acc[r][j] = P::add(acc[r][j], av, bv[j]);
        }
        MINITEN_UNROLL(16)
        for (int g = 0; g < kGroups; ++g) a[g] += a_k;
        MINITEN_UNROLL(8)
        for (int p = 0; p < kPanels; ++p) b[p] += kPanel;
      }
    }
  }
  if (!kMasksAreFree && t.tail == kLanes) return finish_tile<MR, NV, true>(t, acc);
  finish_tile<MR, NV, false>(t, acc);
}

using TileFn = void (*)(const Tile&);

constexpr int kUsual = kLanes == 16 ? 2 : kLanes == 1 ? 4 : kPanelVectors;  // vectors across a tile of many pixels

constexpr int kMaxRows = 14;
struct Tiles {
  TileFn fn[kMaxRows];
};

template <class P, int NV, int MR>
constexpr void add_tiles(Tiles& tiles) {
  if constexpr (0 < MR) {
    tiles.fn[MR - 1] = &run_tile<P, MR, NV>;
    add_tiles<P, NV, MR - 1>(tiles);
  }
}

template <class P, int NV>
constexpr Tiles make_tiles() {
  Tiles tiles{};
  add_tiles<P, NV, P::max_rows_of(NV)>(tiles);
  return tiles;
}

template <class P>
constexpr Tiles kTiles[] = {make_tiles<P, 1>(), make_tiles<P, 2>(), make_tiles<P, 3>(), make_tiles<P, 4>(), make_tiles<P, 8>()};

template <class P>
const TileFn* tiles_of(int nv) { return kTiles<P>[nv == 8 ? 4 : nv - 1].fn; }

// Few pixels leave registers for a wider tile. Pixels a multiple of 4096 bytes apart share the lines of one cache set,
// so tall tiles give way to wide ones.
template <class P>
int vectors_for(int64_t cols, int64_t a_col) {
  for (int nv = 8; kUsual < nv; nv /= 2)
    if (cols <= P::max_rows_of(nv)) return nv;
  return kLanes == 16 && a_col % 1024 == 0 ? 2 * kUsual : kUsual;
}

constexpr int64_t kBlockK = 1024;            // K per pass: keeps the panels of a tile in the second-level cache
constexpr int64_t kBlockBytes = 256 * 1024;  // of A per pass over all columns

// How the pixels of a product are cut into tiles: `longer` of a row's tiles are one pixel more than `each`.
struct Cuts {
  int usual;
  int64_t across, each, longer, total, block;
  int64_t column(int64_t at) const { return at * each + (at < longer ? at : longer); }
};
template <class P>
Cuts cuts_of(const GemmShape& s, int64_t k) {
  Cuts c;
  c.usual = vectors_for<P>(s.cols, s.a_col);
  const int64_t height = P::max_rows_of(c.usual);
  c.across = s.cols <= height ? 1 : (s.cols + height - 1) / height;
  c.each = c.across == 1 ? s.cols : s.cols / c.across;
  c.longer = s.cols - c.each * c.across;
  c.total = c.across * s.rows;
  c.block = c.total;
  if (4 < c.total && kBlockBytes < 4 * height * k * c.total) {
    c.block = kBlockBytes / (4 * height * k);
    if (c.block < 4) c.block = 4;
  }
  return c;
}

// All pixels and columns for one range of K, of which t.a and packed point at the first element.
template <class P>
void run_range(const GemmShape& s, const Cuts& cuts, Tile t, const float* packed, float* c, const Epilogue& e) {
  const float* a = t.a;
  for (int64_t begin = 0; begin < cuts.total; begin += cuts.block) {
    const int64_t end = begin + cuts.block < cuts.total ? begin + cuts.block : cuts.total;
    const int64_t first_row = begin ? begin / cuts.across : 0, first_at = begin - first_row * cuts.across;
    const auto go_to = [&](int64_t j) {
      t.b = packed + j / kPanel * t.b_panel + j % kPanel;
      t.bias = e.bias ? e.bias + j : nullptr;
    };
    int64_t n = s.n, width = 0;
    if (const int64_t lone = P::lone_columns(s)) {
      n -= lone;
      go_to(n);
      t.a = a, t.c = c + n;
      if (t.last && e.residual) t.residual = e.residual + n;
      const auto pixel = [&](int64_t tile) { return tile / cuts.across * s.cols + cuts.column(tile % cuts.across); };
      P::run_lone(s, t, n, pixel(begin), pixel(end));
    }
    for (int64_t j = 0; j < n; j += width) {
      const int64_t left = (n - j + kLanes - 1) / kLanes;
      int nv = cuts.usual;
      while (left < nv) nv = kPanelVectors < nv ? nv / 2 : (int)left;
      width = n - j < nv * kLanes ? n - j : nv * kLanes;
      const TileFn* fn = tiles_of<P>(nv) - 1;
      t.tail = width - (nv - 1) * kLanes;
      go_to(j);
      int64_t row = first_row, at = first_at;
      for (int64_t index = begin; index < end; ++index) {
        const int64_t x = cuts.column(at);
        t.a = a + row * s.a_row + x * s.a_col;
        t.c = c + row * s.c_row + x * s.c_col + j;
        if (t.last && e.residual) t.residual = e.residual + row * s.r_row + x * s.r_col + j;
        fn[cuts.each + (at < cuts.longer)](t);
        if (++at == cuts.across) {
          at = 0;
          ++row;
        }
      }
    }
  }
}

Tile tile_of(const GemmShape& s, int64_t b_panel, const Epilogue& e) {
  Tile t{};
  t.a_col = s.a_col;
  t.a_k = s.a_k;
  t.outer = s.outer;
  t.outer_stride = s.outer_stride;
  t.inner = s.inner;
  t.inner_stride = s.inner_stride;
  t.segment = s.segment;
  t.b_panel = b_panel;
  t.c_col = s.c_col;
  t.r_col = s.r_col;
  t.lo = e.lo;
  t.hi = e.hi;
  return t;
}

// The same product with as few rows of pixels as there can be.
GemmShape flattened(GemmShape s, bool has_residual) {
  if (s.cols == 1) {
    s.cols = s.rows;
    s.a_col = s.a_row;
    s.c_col = s.c_row;
    s.r_col = s.r_row;
    s.rows = 1;
  } else if (s.a_row == s.cols * s.a_col && s.c_row == s.cols * s.c_col && (!has_residual || s.r_row == s.cols * s.r_col)) {
    s.cols *= s.rows;
    s.rows = 1;
  }
  return s;
}

// b_panel: floats between panels.
template <class P>
void run_product(const GemmShape& shape, const float* a, const float* packed, int64_t b_panel, float* c, const Epilogue& e) {
  if (shape.rows <= 0 || shape.cols <= 0 || shape.n <= 0) return;
  const bool has_residual = e.residual != nullptr;
  GemmShape s = flattened(shape, has_residual);
  if (s.segment <= 0 || s.outer <= 0 || s.inner <= 0) s.segment = 0;

  Tile t = tile_of(s, b_panel, e);

  // A long K is cut in the outermost loop that has more than one step; not so where the residual is C itself, which
  // must survive until the end.
  int64_t* count = 1 < s.outer ? &t.outer : 1 < s.inner ? &t.inner : &t.segment;
  const int64_t stride = 1 < s.outer ? s.outer_stride : 1 < s.inner ? s.inner_stride : s.a_k;
  const int64_t each = 1 < s.outer ? s.inner * s.segment : 1 < s.inner ? s.segment : 1;
  const int64_t all = *count;
  int64_t step = 0 < each && each < kBlockK ? kBlockK / each : 1;
  if (all * each < kBlockK + kBlockK / 2 || (has_residual && e.residual == c)) step = all;
  int64_t at = 0;
  do {
    *count = all - at < step ? all - at : step;
    t.a = a + at * stride;
    const int64_t next = at + *count;
    t.first = at == 0;
    t.last = all <= next;
    t.load_c = !t.first || e.accumulate;
    run_range<P>(s, cuts_of<P>(s, *count * each), t, packed + at * each * kPanel, c, e);
    at = next;
  } while (at < all);
}

}  // namespace
}  // namespace miniten::kernels::MINITEN_TARGET
