#include "kernels/qfinish-inl.h"
#include "kernels/qtable.h"
#include "kernels/sparse-inl.h"
#include "kernels/turn-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

constexpr int kPanel = 16;
constexpr int kVectors = kPanel / kLanes;
// Enough sums in flight to hide the latency of a dot product.
#if MINITEN_SCALAR
constexpr int kRows = 1;
#elif defined(__AVX512VNNI__)
constexpr int kRows = 16;
#elif MINITEN_LANES == 16
constexpr int kRows = 8;
#elif defined(__SSE2__) && MINITEN_LANES == 4
constexpr int kRows = 2;
#else
constexpr int kRows = 4;
#endif
constexpr bool kStraight = kRows == 16;
constexpr int kLonePanels = 4 / kVectors < 1 ? 1 : 4 / kVectors;  // of a lone pixel
constexpr int64_t kBlock = 24576;                                 // bytes of A and C that stay in the first cache while all panels pass

// One panel of columns.
struct Panel {
  const int32_t* offset;
  const int8_t* b;
  int64_t count, left;
  const int32_t *sums, *bias;
};
struct Common {
  int32_t correction;  // what each unit of a column's sum adds, to be taken away
  I flip;
};

template <int MR>
MINITEN_INLINE void begin_tile(const Panel& p, const Common& all, I (&acc)[MR][kVectors]) {
  MINITEN_UNROLL(16)
  for (int j = 0; j < kVectors; ++j) {
    I start = (I)(load_as<U>(p.sums + j * kLanes) * (U)set_i(-all.correction));
    if (p.bias && j * kLanes < p.left) start = add(start, load_ints(p.bias + j * kLanes, p.left - j * kLanes));
    MINITEN_UNROLL(16)
    for (int r = 0; r < MR; ++r) acc[r][j] = start;
  }
}
template <bool Flips, int MR>
MINITEN_INLINE void add_step(const uint8_t* a, int64_t a_col, const int8_t* b, I flip, I (&acc)[MR][kVectors]) {
  Weight w[kVectors];
  MINITEN_UNROLL(16)
  for (int j = 0; j < kVectors; ++j) w[j] = weight(b + j * kLanes * 4);
  MINITEN_UNROLL(16)
  for (int r = 0; r < MR; ++r) {
    const I bytes = set_i(load_as<int32_t>(a + r % 4 * a_col));  // four pixels share an address register
    const Activation x = activation(Flips ? bytes ^ flip : bytes);
    MINITEN_UNROLL(16)
    for (int j = 0; j < kVectors; ++j) acc[r][j] = dot(acc[r][j], x, w[j]);
    if (r % 4 == 3) a += 4 * a_col;
  }
}

template <bool Flips, int MR>
MINITEN_INLINE void sum_up(const Panel& p, const Common& all, const uint8_t* a, int64_t a_col, I (&acc)[MR][kVectors]) {
  begin_tile<MR>(p, all, acc);
  const int8_t* b = p.b;
  const int32_t *offset = p.offset, *end = offset + p.count;
  const I flip = all.flip;
  for (; offset < end; ++offset, b += kPanel * 4) add_step<Flips, MR>(a + *offset, a_col, b, flip, acc);
}
template <bool Flips, int MR>
__attribute__((noinline)) void store_sums(const Panel& p, const Common& all, const uint8_t* a, int64_t a_col, int32_t* to) {
  I acc[MR][kVectors];
  sum_up<Flips, MR>(p, all, a, a_col, acc);
  MINITEN_UNROLL(16)
  for (int r = 0; r < MR; ++r)
    MINITEN_UNROLL(16)
    for (int j = 0; j < kVectors; ++j) store_as<I>(to + r * kPanel + j * kLanes, acc[r][j]);
}
// As bytes straight from the registers: steps are so short there that a way through memory shows.
template <int MR, class Finish>
__attribute__((noinline)) void run_tile(const Panel& p, const Common& all, const Finish& finish, const uint8_t* a, int64_t a_col, int64_t row, int64_t col, int64_t j0) {
  I acc[MR][kVectors];
  sum_up<false, MR>(p, all, a, a_col, acc);
  finish(acc, row, col, j0, p.left);
}

template <bool Flips, class Finish>
void run_pixels(const Panel& p, const Common& all, const Finish& finish, const uint8_t* a, int64_t a_col, int64_t row, int64_t col, int64_t cols, int64_t j0) {
  int32_t sums[kRows * kPanel] __attribute__((aligned(64)));
  constexpr int kFew = kRows < 4 ? 1 : 4;
  const int64_t end = col + cols;
  for (int64_t at = col, rows; at < end; at += rows) {
    rows = end - at;
    if (kFew < rows && kRows <= cols) {  // the last whole tile may overlap the one before
      if (rows < kRows) at = end - kRows;
      rows = kRows;
    } else {
      rows = kFew <= rows ? kFew : 1;
    }
    const uint8_t* from = a + (at - col) * a_col;
    if constexpr (!Flips && kStraight && 1 < Finish::kTogether)
      if (rows == kRows) {
        run_tile<kRows>(p, all, finish, from, a_col, row, at, j0);
        continue;
      }
    (rows == kRows ? store_sums<Flips, kRows> : rows == kFew ? store_sums<Flips, kFew> : store_sums<Flips, 1>)(p, all, from, a_col, sums);
    finish_sums(finish, sums, rows, row, at, j0, p.left);
  }
}

// One pixel, some panels side by side.
template <bool Flips>
__attribute__((noinline)) void store_lone_sums(const Panel* p, const Common& all, const uint8_t* a, int32_t* to) {
  I acc[kLonePanels][1][kVectors];
  int64_t shortest = p[0].count;
  for (int i = 0; i < kLonePanels; ++i) {
    if (p[i].count < shortest) shortest = p[i].count;
    begin_tile<1>(p[i], all, acc[i]);
  }
  const I flip = all.flip;
  for (int64_t s = 0; s < shortest; ++s)
    MINITEN_UNROLL(4)
    for (int i = 0; i < kLonePanels; ++i) add_step<Flips, 1>(a + p[i].offset[s], 0, p[i].b + s * kPanel * 4, flip, acc[i]);
  MINITEN_UNROLL(4)
  for (int i = 0; i < kLonePanels; ++i) {
    for (int64_t s = shortest; s < p[i].count; ++s) add_step<Flips, 1>(a + p[i].offset[s], 0, p[i].b + s * kPanel * 4, flip, acc[i]);
    MINITEN_UNROLL(16)
    for (int j = 0; j < kVectors; ++j) store_as<I>(to + i * kPanel + j * kLanes, acc[i][0][j]);
  }
}

template <class Finish>
struct Product {
  const QGemmShape& s;
  const int32_t *sums, *bias;
  const Finish& finish;
  Common all;
  int64_t count;
  const int32_t *begin, *offset;
  const int8_t* values;

  Panel panel(int64_t i) const {
    const int64_t j0 = i * kPanel;
    return {offset + begin[i], values + int64_t(begin[i]) * kPanel * 4, begin[i + 1] - begin[i], s.n - j0, sums + j0, bias ? bias + j0 : nullptr};
  }
  // All panels of some pixels of a row.
  template <bool Flips>
  void run(const uint8_t* a, int64_t a_col, int64_t row, int64_t col, int64_t cols) const {
    int64_t i = 0;
    if (1 < kLonePanels && cols == 1)
      for (; i + kLonePanels <= count; i += kLonePanels) {
        Panel p[kLonePanels];
        for (int k = 0; k < kLonePanels; ++k) p[k] = panel(i + k);
        int32_t lone[kLonePanels * kPanel] __attribute__((aligned(64)));
        store_lone_sums<Flips>(p, all, a, lone);
        for (int k = 0; k < kLonePanels; ++k) finish_sums(finish, lone + k * kPanel, 1, row, col, (i + k) * kPanel, p[k].left);
      }
    for (; i < count; ++i) run_pixels<Flips>(panel(i), all, finish, a, a_col, row, col, cols, i * kPanel);
  }
};

template <class Finish>
void run(const QGemmShape& s, const void* data, const int32_t* sums, const std::byte* packed, const int32_t* bias, int32_t x_zero, bool x_signed,
         const Finish& finish) {
  if (s.rows <= 0 || s.cols <= 0 || s.n <= 0) return;
  const auto* a = static_cast<const uint8_t*>(data);
  const auto* header = reinterpret_cast<const int32_t*>(packed);
  const int64_t count = header[0];
  const int32_t *begin = header + 1, *offset = begin + count + 1;
  const Product<Finish> product{s, sums, bias, finish, {x_zero + shift_of(x_signed), flip_of(x_signed)}, count, begin, offset,
                                reinterpret_cast<const int8_t*>(packed + sparse_header_bytes(count, begin[count]))};
  const int64_t k = s.outer * s.inner * s.segment;
  int64_t block = kBlock / (k + s.n * int64_t(sizeof(typename Finish::Output))) / kRows * kRows;
  if (block < kRows) block = kRows;
  if (s.cols < block) block = s.cols;
  if constexpr (kTurns) {
    uint8_t turned[kBlock + 4096];
    const int64_t depth = (s.segment + 3) / 4 * 4;
    const bool turns = x_signed && s.outer * s.inner == 1 && block * depth <= int64_t(sizeof turned);
    for (int64_t row = 0; row < s.rows; ++row)
      for (int64_t col = 0; col < s.cols; col += block) {
        const uint8_t* from = a + row * s.a_row + col * s.a_col;
        const int64_t cols = s.cols - col < block ? s.cols - col : block;
        if (turns) {
          if (s.a_col == depth) turn_bytes(from, cols * depth, (W)product.all.flip, turned);
          else
            for (int64_t q = 0; q < cols; ++q) turn_bytes(from + q * s.a_col, depth, (W)product.all.flip, turned + q * depth);
          product.template run<false>(turned, depth, row, col, cols);
        } else if (x_signed) {
          product.template run<true>(from, s.a_col, row, col, cols);
        } else {
          product.template run<false>(from, s.a_col, row, col, cols);
        }
      }
  } else {
    for (int64_t row = 0; row < s.rows; ++row)
      for (int64_t col = 0; col < s.cols; col += block)
        product.template run<true>(a + row * s.a_row + col * s.a_col, s.a_col, row, col, s.cols - col < block ? s.cols - col : block);
  }
}

}  // namespace

void sparse_qgemm(const QGemmShape& s, const void* a, const int32_t* sums, const std::byte* packed, void* c, const QEpilogue& e) {
  run(s, a, sums, packed, e.bias, e.x_zero, e.x_signed, ToBytes(Rounding(e.y_zero, e.lo, e.hi), e.multiplier, c, s.c_row, s.c_col));
}
void sparse_qgemm_f32(const QGemmShape& s, const void* a, const int32_t* sums, const std::byte* packed, float* c, const QEpilogueF32& e) {
  run(s, a, sums, packed, nullptr, e.x_zero, e.x_signed, ToFloats{e, c, s.c_row, s.c_col});
}

}  // namespace miniten::kernels::MINITEN_TARGET
