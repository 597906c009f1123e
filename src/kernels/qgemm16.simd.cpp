#include "kernels/qsimd16-inl.h"
#include "kernels/qtable.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

constexpr int kPanel = 16;
constexpr int kPanelVectors = kPanel / kLanes;
#if MINITEN_SCALAR
constexpr int kRows = 1, kVectors = 4;
#elif MINITEN_LANES == 16
constexpr int kRows = 8, kVectors = 2;
#else
constexpr int kRows = 4, kVectors = 2;
#endif

struct Tile {
  const int16_t* a;
  int64_t a_col, outer, outer_stride, inner, inner_stride, segment;
  const int32_t* b;        // pairs, of the tile's first column
  int64_t b_panel;         // pairs between panels
  int64_t left;            // columns
};

template <int Planes, int MR, int NV>
__attribute__((noinline)) void sum_up(const Tile& t, int64_t height, Wide (*total)[NV]) {
  if constexpr (1 < MR)
    if (height < MR) return sum_up<Planes, MR - 1, NV>(t, height, total);
  for (int r = 0; r < MR; ++r)
    for (int j = 0; j < NV; ++j) total[r][j] = Wide::zero();
  I acc[MR][NV][Planes];
  const auto clear = [&] {
    for (int r = 0; r < MR; ++r)
      for (int j = 0; j < NV; ++j)
        for (int p = 0; p < Planes; ++p) acc[r][j][p] = I{};
  };
  const int32_t* b = t.b;
  const auto step = [&](const int16_t* a, bool lone) {
    I w[NV][Planes];
    MINITEN_UNROLL(4)
    for (int j = 0; j < NV; ++j)
      MINITEN_UNROLL(2)
      for (int p = 0; p < Planes; ++p) w[j][p] = load_as<I>(b + j / kPanelVectors * t.b_panel + p * kPanel + j % kPanelVectors * kLanes);
    b += Planes * kPanel;
    MINITEN_UNROLL(8)
    for (int r = 0; r < MR; ++r) {
      const int16_t* at = a + r * t.a_col;
      const I x = set_i(lone ? (int32_t)load_as<uint16_t>(at) : load_as<int32_t>(at));
      MINITEN_UNROLL(4)
      for (int j = 0; j < NV; ++j)
        MINITEN_UNROLL(2)
        for (int p = 0; p < Planes; ++p) acc[r][j][p] = dot_pair(acc[r][j][p], x, w[j][p]);
    }
  };
  const auto leave = [&] {
    for (int r = 0; r < MR; ++r)
      for (int j = 0; j < NV; ++j) flush<Planes>(total[r][j], acc[r][j]);
    clear();
  };
  clear();
  int64_t room = kFlush;
  for (int64_t o = 0; o < t.outer; ++o)
    for (int64_t i = 0; i < t.inner; ++i) {
      const int16_t* a = t.a + o * t.outer_stride + i * t.inner_stride;
      for (int64_t pairs = t.segment / 2; 0 < pairs;) {
        const int64_t now = pairs < room ? pairs : room;
        for (int64_t g = 0; g < now; ++g, a += 2) step(a, false);
        pairs -= now, room -= now;
        if (room == 0) leave(), room = kFlush;
      }
      if (t.segment % 2) {
        step(a, true);
        if (--room == 0) leave(), room = kFlush;
      }
    }
  if (room != kFlush) leave();
}

struct ToIntegers {
  WideRounding round;
  const Q16Epilogue& e;
  void* c;
  int64_t c_row, c_col;
  MINITEN_INLINE Wide start(int64_t j, int64_t n) const { return e.bias ? load_wide_ints(e.bias + j, n) : Wide::zero(); }
  MINITEN_INLINE void leave(const Wide& total, int64_t row, int64_t col, int64_t j, int64_t n) const {
    const int64_t at = row * c_row + col * c_col + j;
    const I y = round(to_float(total) * load_n(e.multiplier + j, n));
    e.bytes ? store_bytes(static_cast<uint8_t*>(c) + at, y, n) : store_words(static_cast<int16_t*>(c) + at, y, n);
  }
};
struct ToFloats {
  const Q16EpilogueF32& e;
  float* c;
  int64_t c_row, c_col;
  MINITEN_INLINE Wide start(int64_t, int64_t) const { return Wide::zero(); }
  MINITEN_INLINE void leave(const Wide& total, int64_t row, int64_t col, int64_t j, int64_t n) const {
    V v = to_float(total) * load_n(e.multiplier + j, n);
    v = v + (e.bias ? load_n(e.bias + j, n) : V{});
    store_n(c + row * c_row + col * c_col + j, clamp(v, set(e.lo), set(e.hi)), n);
  }
};

template <int Planes, int NV, class Finish>
void run_tile(const Tile& t, const Finish& finish, int64_t height, int64_t row, int64_t col, int64_t j0) {
  Wide total[kRows][NV];
  sum_up<Planes, kRows, NV>(t, height, total);
  for (int j = 0; j < NV && j * kLanes < t.left; ++j) {
    const int64_t n = t.left - j * kLanes < kLanes ? t.left - j * kLanes : (int64_t)kLanes;
    const Wide start = finish.start(j0 + j * kLanes, n);
    for (int64_t r = 0; r < height; ++r) finish.leave(sum(total[r][j], start), row, col + r, j0 + j * kLanes, n);
  }
}

template <int Planes, class Finish>
void run(const QGemmShape& s, const int16_t* a, const std::byte* packed, const Finish& finish) {
  constexpr int wide = Planes == 2 && kVectors == 2 ? 1 : kVectors;        // as many sums as registers hold
  if (s.rows <= 0 || s.cols <= 0 || s.n <= 0) return;
  Tile t{};
  t.a_col = s.a_col;
  t.outer = s.outer;
  t.outer_stride = s.outer_stride;
  t.inner = s.inner;
  t.inner_stride = s.inner_stride;
  t.segment = s.segment;
  t.b_panel = s.outer * s.inner * ((s.segment + 1) / 2) * kPanel * Planes;
  const int64_t padded = (s.n + kPanel - 1) / kPanel * kPanel;
  const auto* panels = reinterpret_cast<const int32_t*>(packed);
  for (int64_t j0 = 0; j0 < s.n;) {
    const int vectors = padded - j0 >= wide * kLanes && s.n - j0 > kLanes ? wide : 1;
    t.b = panels + j0 / kPanel * t.b_panel + j0 % kPanel;
    t.left = s.n - j0;
    for (int64_t row = 0; row < s.rows; ++row)
      for (int64_t col = 0; col < s.cols; col += kRows) {
        t.a = a + row * s.a_row + col * s.a_col;
        const int64_t height = s.cols - col < kRows ? s.cols - col : (int64_t)kRows;
        vectors == 1 ? run_tile<Planes, 1>(t, finish, height, row, col, j0) : run_tile<Planes, wide>(t, finish, height, row, col, j0);
      }
    j0 += vectors * kLanes;
  }
}

}  // namespace

void qgemm16(const QGemmShape& shape, const int16_t* a, const std::byte* packed, bool narrow, void* c, const Q16Epilogue& e) {
  const ToIntegers finish{WideRounding(e.y_zero, e.lo, e.hi), e, c, shape.c_row, shape.c_col};
  narrow ? run<1>(shape, a, packed, finish) : run<2>(shape, a, packed, finish);
}
void qgemm16_f32(const QGemmShape& shape, const int16_t* a, const std::byte* packed, bool narrow, float* c, const Q16EpilogueF32& e) {
  const ToFloats finish{e, c, shape.c_row, shape.c_col};
  narrow ? run<1>(shape, a, packed, finish) : run<2>(shape, a, packed, finish);
}

}  // namespace miniten::kernels::MINITEN_TARGET
