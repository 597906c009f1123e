#include <immintrin.h>

#include "kernels/qfinish-inl.h"
#include "kernels/qtable.h"

// Products of bytes in the processor's tiles. A group of packed weights is 16 columns of 4 bytes, so 16 groups are one
// tile of B as they lie; 16 pixels of 64 bytes are one of A.
namespace miniten::kernels::MINITEN_TARGET {
namespace {

constexpr int64_t kPanel = 16, kGroup = 4 * kPanel;  // columns, and the bytes of a group
constexpr int64_t kHeight = 16, kDepth = 16;         // of a tile: pixels, groups

// Tiles 0 to 3 hold the sums of two times `height` pixels by two panels; 4 and 5 an A and a B of `depth` groups, 6 and 7
// those of the groups left over at the end of a segment.
struct Config {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t bytes[16] = {};
  uint8_t rows[16] = {};
  Config(int64_t height, int64_t depth, int64_t rest) {
    for (int i = 0; i < 4; ++i) rows[i] = (uint8_t)height, bytes[i] = kGroup;
    for (int i = 4; i < 8; i += 2) {
      const int64_t groups = i == 4 ? depth : rest;
      rows[i] = (uint8_t)(groups ? height : 0), bytes[i] = (uint16_t)(4 * groups);
      rows[i + 1] = (uint8_t)groups, bytes[i + 1] = (uint16_t)(groups ? kGroup : 0);
    }
  }
  void load() const { asm volatile("ldtilecfg %0" ::"m"(*this)); }
};

struct Block {
  const uint8_t* a[2];  // of the first pixel of either tile; null: there is no second
  int64_t a_col, outer, outer_stride, inner, inner_stride, whole, depth, rest;  // whole: tiles of depth groups in a segment
  const int8_t* b[2];
};

#define MINITEN_MULTIPLY(c, a, b) \
  if constexpr (Signed) _tile_dpbssd(c, a, b); else _tile_dpbusd(c, a, b)
#define MINITEN_STEP(A, B)                                  \
  _tile_loadd(A, a, t.a_col);                               \
  _tile_loadd(B, b, kGroup);                                \
  MINITEN_MULTIPLY(0, A, B);                                \
  if (across) {                                             \
    _tile_loadd(B, b + across, kGroup);                     \
    MINITEN_MULTIPLY(1, A, B);                              \
  }                                                         \
  if (down) {                                               \
    _tile_loadd(A, a + down, t.a_col);                      \
    if (across) { MINITEN_MULTIPLY(3, A, B); }              \
    _tile_loadd(B, b, kGroup);                              \
    MINITEN_MULTIPLY(2, A, B);                              \
  }

template <bool Signed>
void multiply(const Block& t, int32_t* sums) {
  const int64_t across = t.b[1] ? t.b[1] - t.b[0] : 0, down = t.a[1] ? t.a[1] - t.a[0] : 0;
  const int8_t* b = t.b[0];
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t o = 0; o < t.outer; ++o)
    for (int64_t i = 0; i < t.inner; ++i) {
      const uint8_t* a = t.a[0] + o * t.outer_stride + i * t.inner_stride;
      for (int64_t k = 0; k < t.whole; ++k, a += 4 * t.depth, b += kGroup * t.depth) {
        MINITEN_STEP(4, 5)
      }
      if (t.rest) {
        MINITEN_STEP(6, 7)
        b += kGroup * t.rest;
      }
    }
  _tile_stored(0, sums, kGroup);
  if (across) _tile_stored(1, sums + 256, kGroup);
  if (down) _tile_stored(2, sums + 512, kGroup);
  if (across && down) _tile_stored(3, sums + 768, kGroup);
}

template <int MR, class Finish>
MINITEN_INLINE void finish_rows(const Finish& finish, const int32_t* sums, I start, int64_t row, int64_t col, int64_t j0, int64_t left) {
  I acc[MR][1];
  MINITEN_UNROLL(4)
  for (int r = 0; r < MR; ++r) acc[r][0] = add(load_as<I>(sums + r * kPanel), start);
  finish(acc, row, col, j0, left);
}
// Rows past a multiple of four are written with some of those before them once more.
template <class Finish>
void finish_tile(const Finish& finish, const int32_t* sums, I start, int64_t height, int64_t row, int64_t col, int64_t j0, int64_t left) {
  if (height < 4) {
    for (int64_t r = 0; r < height; ++r) finish_rows<1>(finish, sums + r * kPanel, start, row, col + r, j0, left);
    return;
  }
  for (int64_t r = 0; r < height; r += 4) {
    const int64_t from = r + 4 <= height ? r : height - 4;
    finish_rows<4>(finish, sums + from * kPanel, start, row, col + from, j0, left);
  }
}

template <class Finish>
void run(const QGemmShape& s, const void* data, const std::byte* packed, const int32_t* bias, int32_t x_zero, bool x_signed,
         const Finish& finish) {
  const int64_t groups = (s.segment + 3) / 4;
  // A row of pixels in tiles of one height: the last one may overlap the one before.
  const int64_t in_row = (s.cols + kHeight - 1) / kHeight, height = (s.cols + in_row - 1) / in_row, tiles = in_row * s.rows;
  Block t;
  t.a_col = s.a_col;
  t.outer = s.outer, t.outer_stride = s.outer_stride, t.inner = s.inner, t.inner_stride = s.inner_stride;
  t.depth = groups < kDepth ? groups : kDepth;
  t.whole = groups / t.depth, t.rest = groups % t.depth;
  const Config config(height, t.depth, t.rest);
  config.load();
  const int64_t b_panel = s.outer * s.inner * groups * kGroup;
  const auto* a = static_cast<const uint8_t*>(data);
  const int32_t* of_columns = qgemm_sums(s, packed);
  const int8_t* panels = qgemm_panels(s, packed);
  int32_t sums[4 * 256] __attribute__((aligned(64)));
  for (int64_t j0 = 0; j0 < s.n; j0 += 2 * kPanel) {
    const bool wide = j0 + kPanel < s.n;
    t.b[0] = panels + j0 / kPanel * b_panel;
    t.b[1] = wide ? t.b[0] + b_panel : nullptr;
    I start[2];
    for (int64_t j = 0; j < 1 + wide; ++j) {
      const int64_t at = j0 + j * kPanel;
      start[j] = (I)(load_as<U>(of_columns + at) * (U)set_i(-x_zero));
      if (bias) start[j] = add(start[j], load_ints(bias + at, s.n - at));
    }
    int64_t row[2], col[2];
    for (int64_t tile = 0; tile < tiles; tile += 2) {
      const bool tall = tile + 1 < tiles;
      t.a[1] = nullptr;
      for (int64_t i = 0; i < 1 + tall; ++i) {
        row[i] = (tile + i) / in_row;
        col[i] = (tile + i) % in_row * height;
        if (s.cols - height < col[i]) col[i] = s.cols - height;
        t.a[i] = a + row[i] * s.a_row + col[i] * s.a_col;
      }
      x_signed ? multiply<true>(t, sums) : multiply<false>(t, sums);
      for (int64_t i = 0; i < 1 + tall; ++i)
        for (int64_t j = 0; j < 1 + wide; ++j)
          finish_tile(finish, sums + (2 * i + j) * 256, start[j], height, row[i], col[i], j0 + j * kPanel, s.n - j0 - j * kPanel);
    }
  }
  _tile_release();
}

// Where it costs less than vectors: measured. A call has its tiles set up, and few groups leave them mostly empty.
bool fits(const QGemmShape& s) {
  const int64_t k = s.outer * s.inner * s.segment;
  return 2 <= s.cols && 24 <= k && 49152 <= s.rows * s.cols * s.n * k;
}

}  // namespace

void qgemm(const QGemmShape& shape, const void* a, const std::byte* packed, void* c, const QEpilogue& e) {
  if (!fits(shape)) return MINITEN_DOT_BASE::qgemm(shape, a, packed, c, e);
  run(shape, a, packed, e.bias, e.x_zero, e.x_signed,
      ToBytes(Rounding(e.y_zero, e.lo, e.hi), e.multiplier, c, shape.c_row, shape.c_col));
}
void qgemm_f32(const QGemmShape& shape, const void* a, const std::byte* packed, float* c, const QEpilogueF32& e) {
  if (!fits(shape)) return MINITEN_DOT_BASE::qgemm_f32(shape, a, packed, c, e);
  run(shape, a, packed, nullptr, e.x_zero, e.x_signed, ToFloats{e, c, shape.c_row, shape.c_col});
}

int64_t qgemm_flips_from() { return INT64_MAX; }  // tiles multiply signed bytes as they are

}  // namespace miniten::kernels::MINITEN_TARGET
