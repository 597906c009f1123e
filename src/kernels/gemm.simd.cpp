#include "kernels/gemm_tiles-inl.h"
#include "kernels/ftable.h"
#include "kernels/gemm-inl.h"
#include "kernels/square-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

#if MINITEN_LANES == 16
constexpr int kLoneColumns = 3;               // four gain as well, for 6 KB
constexpr int kLonePixels = 32;

struct Places {                               // of pixels, in floats
  int64_t a[kLonePixels], c[kLonePixels], residual[kLonePixels];
  MINITEN_INLINE void put(int64_t i, const GemmShape& s, int64_t row, int64_t x) {
    a[i] = row * s.a_row + x * s.a_col, c[i] = row * s.c_row + x * s.c_col, residual[i] = row * s.r_row + x * s.r_col;
  }
};

// The last few columns. Lanes are pixels, so each column costs a product and not a panel: the same sums in the same order.
template <int NC>
void run_lone_tile(const Tile& t, const Places& at, int64_t pixels) {
  constexpr int kVectors = kLonePixels / kLanes;
  float values[NC][kLonePixels] = {};
  for (int j = 0; j < NC; ++j) {
    const float bias = t.first && t.bias ? t.bias[j] : 0.0f;
    for (int64_t p = 0; p < pixels; ++p) values[j][p] = t.load_c ? t.c[at.c[p] + j] + bias : bias;
  }
  V acc[kVectors][NC];
  MINITEN_UNROLL(2)
  for (int h = 0; h < kVectors; ++h) {
    MINITEN_UNROLL(8)
    for (int j = 0; j < NC; ++j) acc[h][j] = load(values[j] + h * kLanes);
  }
  const float* b = t.b;
  for (int64_t o = 0; o < t.outer; ++o)
    for (int64_t i = 0; i < t.inner; ++i) {
      const float* a = t.a + o * t.outer_stride + i * t.inner_stride;
      for (int64_t k = 0; k < t.segment; k += kLanes) {
        const int64_t deep = t.segment - k < kLanes ? t.segment - k : kLanes;
        MINITEN_UNROLL(2)
        for (int h = 0; h < kVectors; ++h) {
          V x[16];
          MINITEN_UNROLL(16)
          for (int r = 0; r < 16; ++r) x[r] = load_n(a + at.a[h * kLanes + r] + k, deep);
          turn(x);
          if (deep == kLanes) {
            MINITEN_UNROLL(16)
            for (int d = 0; d < kLanes; ++d) {
              MINITEN_UNROLL(8)
              for (int j = 0; j < NC; ++j) acc[h][j] = fma(x[d], set(b[d * kPanel + j]), acc[h][j]);
            }
          } else {
            V turned[16];
            __builtin_memcpy(turned, x, sizeof turned);
            for (int64_t d = 0; d < deep; ++d) {
              MINITEN_UNROLL(8)
              for (int j = 0; j < NC; ++j) acc[h][j] = fma(turned[d], set(b[d * kPanel + j]), acc[h][j]);
            }
          }
        }
        b += deep * kPanel;
      }
    }
  MINITEN_UNROLL(2)
  for (int h = 0; h < kVectors; ++h) {
    MINITEN_UNROLL(8)
    for (int j = 0; j < NC; ++j) store(values[j] + h * kLanes, acc[h][j]);
  }
  for (int64_t p = 0; p < pixels; ++p)
    for (int j = 0; j < NC; ++j) {
      float v = values[j][p];
      if (t.residual) v += t.residual[at.residual[p] + j];
      if (t.last) v = v < t.lo ? t.lo : v, v = t.hi < v ? t.hi : v;
      t.c[at.c[p] + j] = v;
    }
}
constexpr void (*kLoneTiles[kLoneColumns])(const Tile&, const Places&, int64_t) = {run_lone_tile<1>, run_lone_tile<2>, run_lone_tile<3>};

// How many columns pay alone.
int64_t lone_columns(const GemmShape& s) {
  const int64_t lone = s.n % kPanel;
  const bool pays = lone <= (s.n < kPanel ? kLoneColumns : 2) && 32 <= s.outer * s.inner * s.segment && kLanes <= s.rows * s.cols;
  return pays && s.a_k == 1 ? lone : 0;
}
// Pixels [begin, end) by the columns from j on.
void run_lone(const GemmShape& s, const Tile& t, int64_t j, int64_t begin, int64_t end) {
  Places at;
  int64_t row = begin / s.cols, x = begin % s.cols;
  for (int64_t p = begin; p < end; p += kLonePixels) {
    const int64_t pixels = end - p < kLonePixels ? end - p : kLonePixels;
    if (x + kLonePixels <= s.cols && pixels == kLonePixels) {
      for (int64_t i = 0; i < kLonePixels; ++i) at.put(i, s, row, x + i);  // in vectors
      x += kLonePixels;
    } else {
      for (int64_t i = 0; i < kLonePixels; ++i) {
        at.put(i, s, row, x);
        if (i + 1 < pixels && ++x == s.cols) x = 0, ++row;
      }
      ++x;
    }
    if (x == s.cols) x = 0, ++row;
    kLoneTiles[s.n - j - 1](t, at, pixels);
  }
}
#endif

struct Floats {
  static MINITEN_INLINE V add(V acc, V a, V b) { return fma(a, b, acc); }
  // By the registers there are; it falls as more vectors lie across.
  static constexpr int max_rows_of(int nv) {
    switch (kLanes) {
      case 16: return nv <= 2 ? 14 : nv == 4 ? 6 : nv == 8 ? 1 : 0;
      case 8: return nv == 1 ? 8 : nv == 2 ? 6 : nv == 4 ? 2 : nv == 8 ? 1 : 0;
#if defined(__aarch64__)
      case 4: return nv <= 4 ? 6 : nv == 8 ? 2 : 0;
#else
      case 4: return nv <= 4 ? 2 : 0;
#endif
      default: return nv <= 4 ? 2 : 0;
    }
  }
#if MINITEN_LANES == 16
  static int64_t lone_columns(const GemmShape& s) { return MINITEN_TARGET::lone_columns(s); }
  static void run_lone(const GemmShape& s, const Tile& t, int64_t j, int64_t begin, int64_t end) { MINITEN_TARGET::run_lone(s, t, j, begin, end); }
#else
  static constexpr int64_t lone_columns(const GemmShape&) { return 0; }
  static void run_lone(const GemmShape&, const Tile&, int64_t, int64_t, int64_t) {}
#endif
};

int64_t depth_of(const GemmShape& s) { return s.segment <= 0 || s.outer <= 0 || s.inner <= 0 ? 0 : s.outer * s.inner * s.segment; }

}  // namespace

void gemm(const GemmShape& shape, const float* a, const float* packed, float* c, const Epilogue& e) {
  run_product<Floats>(shape, a, packed, depth_of(shape) * kPanel, c, e);
}

void gemm_batch(const GemmShape& s, int64_t count, const float* a, int64_t a_step, const float* packed,
                int64_t packed_step, float* c, int64_t c_step) {
  if (kBlockK < s.segment) {
    for (int64_t i = 0; i < count; ++i)
      MINITEN_TARGET::gemm(s, a + i * a_step, packed + i * packed_step, c + i * c_step, {});
    return;
  }
  const Epilogue none;
  const Cuts cuts = cuts_of<Floats>(s, s.segment);
  Tile t = tile_of(s, depth_of(s) * kPanel, none);
  t.first = true;
  for (int64_t i = 0; i < count; ++i) {
    t.a = a + i * a_step;
    run_range<Floats>(s, cuts, t, packed + i * packed_step, c + i * c_step, none);
  }
}

}  // namespace miniten::kernels::MINITEN_TARGET
