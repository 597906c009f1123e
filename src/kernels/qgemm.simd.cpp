#include "kernels/qsimd-inl.h"
#include "kernels/qtable.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

constexpr int kPanel = 16;
constexpr int kPanelVectors = kPanel / kLanes;
#if MINITEN_SCALAR
constexpr int kRows = 1, kVectors = 4;
#elif MINITEN_LANES == 16 && defined(__AVX512VNNI__)
constexpr int kRows = 8, kVectors = 2;
#elif MINITEN_LANES == 16
constexpr int kRows = 6, kVectors = 2;
#elif MINITEN_LANES == 8
constexpr int kRows = 4, kVectors = 2;
#else
constexpr int kRows = 2, kVectors = 2;
#endif

struct Tile {
  const uint8_t* a;
  int64_t a_col, outer, outer_stride, inner, inner_stride, groups;
  uint32_t flip;
  const int8_t* b;         // of the tile's first column
  int64_t b_panel;         // bytes between panels
  const int32_t *sums, *bias;
  int32_t correction;      // what each unit of a column's sum adds, to be taken away
  int64_t left;            // columns
};

template <int MR, int NV>
MINITEN_INLINE void accumulate(const Tile& t, I (&acc)[MR][NV]) {
  MINITEN_UNROLL(4)
  for (int j = 0; j < NV; ++j) {
    I start = load_as<I>(t.sums + j * kLanes) * set_i(-t.correction);
    if (t.bias) start += load_ints(t.bias + j * kLanes, t.left - j * kLanes);
    MINITEN_UNROLL(8)
    for (int r = 0; r < MR; ++r) acc[r][j] = start;
  }
  const int8_t* b = t.b;
  for (int64_t o = 0; o < t.outer; ++o)
    for (int64_t i = 0; i < t.inner; ++i) {
      const uint8_t* a = t.a + o * t.outer_stride + i * t.inner_stride;
      for (int64_t g = 0; g < t.groups; ++g, a += 4, b += kPanel * 4) {
        Weight w[NV];
        MINITEN_UNROLL(4)
        for (int j = 0; j < NV; ++j) w[j] = weight(b + j / kPanelVectors * t.b_panel + j % kPanelVectors * kLanes * 4);
        MINITEN_UNROLL(8)
        for (int r = 0; r < MR; ++r) {
          const Activation x = activation(load_as<uint32_t>(a + r * t.a_col) ^ t.flip);
          MINITEN_UNROLL(4)
          for (int j = 0; j < NV; ++j) acc[r][j] = dot(acc[r][j], x, w[j]);
        }
      }
    }
}

struct ToBytes {
  const QEpilogue& e;
  uint8_t* c;
  int64_t c_row, c_col;
  template <int MR, int NV>
  MINITEN_INLINE void operator()(const I (&acc)[MR][NV], int64_t row, int64_t col, int64_t j0, int64_t left) const {
    const V lo = bound(e.lo, e.y_zero), hi = bound(e.hi, e.y_zero);
    const I zero = set_i(e.y_zero);
    for (int j = 0; j < NV; ++j) {
      const int64_t n = left - j * kLanes;
      if (n <= 0) return;
      const V multiplier = load_n(e.multiplier + j0 + j * kLanes, n);
      for (int r = 0; r < MR; ++r)
        store_bytes(c + row * c_row + (col + r) * c_col + j0 + j * kLanes, requantize(to_float(acc[r][j]) * multiplier, zero, lo, hi), n);
    }
  }
};
struct ToFloats {
  const QEpilogueF32& e;
  float* c;
  int64_t c_row, c_col;
  template <int MR, int NV>
  MINITEN_INLINE void operator()(const I (&acc)[MR][NV], int64_t row, int64_t col, int64_t j0, int64_t left) const {
    const V lo = set(e.lo), hi = set(e.hi);
    for (int j = 0; j < NV; ++j) {
      const int64_t n = left - j * kLanes;
      if (n <= 0) return;
      const V multiplier = load_n(e.multiplier + j0 + j * kLanes, n), bias = e.bias ? load_n(e.bias + j0 + j * kLanes, n) : V{};
      for (int r = 0; r < MR; ++r) {
        V v = to_float(acc[r][j]) * multiplier;
        v = v + bias;
        store_n(c + row * c_row + (col + r) * c_col + j0 + j * kLanes, clamp(v, lo, hi), n);
      }
    }
  }
};

template <int MR, int NV, class Finish>
void run_tile(const Tile& t, const Finish& finish, int64_t row, int64_t col, int64_t j0) {
  I acc[MR][NV];
  accumulate(t, acc);
  finish(acc, row, col, j0, t.left);
}

// Pixels [col, col + count) of a row, in tiles as tall as there are pixels.
template <int MR, int NV, class Finish>
void run_pixels(Tile& t, const Finish& finish, const uint8_t* a, int64_t row, int64_t cols, int64_t col, int64_t j0) {
  for (; col + MR <= cols; col += MR) {
    t.a = a + col * t.a_col;
    run_tile<MR, NV>(t, finish, row, col, j0);
  }
  if constexpr (1 < MR) run_pixels<MR / 2, NV>(t, finish, a, row, cols, col, j0);
}

template <class Finish>
void run(const QGemmShape& s, const void* a, const std::byte* packed, const int32_t* bias, int32_t x_zero, bool x_signed, const Finish& finish) {
  if (s.rows <= 0 || s.cols <= 0 || s.n <= 0) return;
  const int64_t padded = (s.n + kPanel - 1) / kPanel * kPanel;
  Tile t{};
  t.a_col = s.a_col;
  t.outer = s.outer;
  t.outer_stride = s.outer_stride;
  t.inner = s.inner;
  t.inner_stride = s.inner_stride;
  t.groups = (s.segment + 3) / 4;
  t.flip = flip_of(x_signed);
  t.correction = x_zero + shift_of(x_signed);
  t.b_panel = t.outer * t.inner * t.groups * kPanel * 4;
  const auto* sums = reinterpret_cast<const int32_t*>(packed);
  const auto* panels = reinterpret_cast<const int8_t*>(packed) + padded * 4;
  for (int64_t r = 0; r < s.rows; ++r)
    for (int64_t j0 = 0; j0 < padded;) {
      // Vectors past the last whole panel do not exist: a tile narrows there.
      const int64_t vectors = (padded - j0) / kLanes;
      t.b = panels + j0 / kPanel * t.b_panel + j0 % kPanel * 4;
      t.sums = sums + j0;
      t.bias = bias ? bias + j0 : nullptr;
      t.left = s.n - j0;
      if (t.left <= 0) break;
      const auto* from = static_cast<const uint8_t*>(a) + r * s.a_row;
      if (vectors >= kVectors) {
        run_pixels<kRows, kVectors>(t, finish, from, r, s.cols, 0, j0);
        j0 += kVectors * kLanes;
      } else {
        run_pixels<kRows, 1>(t, finish, from, r, s.cols, 0, j0);
        j0 += kLanes;
      }
    }
}

}  // namespace

void qgemm(const QGemmShape& shape, const void* a, const std::byte* packed, void* c, const QEpilogue& e) {
  run(shape, a, packed, e.bias, e.x_zero, e.x_signed, ToBytes{e, static_cast<uint8_t*>(c), shape.c_row, shape.c_col});
}
void qgemm_f32(const QGemmShape& shape, const void* a, const std::byte* packed, float* c, const QEpilogueF32& e) {
  run(shape, a, packed, nullptr, e.x_zero, e.x_signed, ToFloats{e, c, shape.c_row, shape.c_col});
}

}  // namespace miniten::kernels::MINITEN_TARGET
