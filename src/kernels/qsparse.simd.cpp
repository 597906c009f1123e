#include "kernels/qfinish-inl.h"
#include "kernels/qtable.h"
#include "kernels/sparse-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

constexpr int kPanel = 16;
constexpr int kVectors = kPanel / kLanes;
#if MINITEN_SCALAR
constexpr int kRows = 1;
#elif MINITEN_LANES == 16
constexpr int kRows = 8;
#elif defined(__SSE2__) && MINITEN_LANES == 4
constexpr int kRows = 2;
#else
constexpr int kRows = 4;
#endif

// One panel of columns.
struct Panel {
  const int32_t* offset;
  const int8_t* b;
  int64_t count, left;
  const int32_t *sums, *bias;
  int32_t correction;  // what each unit of a column's sum adds, to be taken away
  I flip;
};

// Sums of MR pixels, 16 each.
template <int MR>
__attribute__((noinline)) void run_tile(const Panel& p, const uint8_t* a, int64_t a_col, int32_t* to) {
  I acc[MR][kVectors];
  MINITEN_UNROLL(16)
  for (int j = 0; j < kVectors; ++j) {
    I start = (I)(load_as<U>(p.sums + j * kLanes) * (U)set_i(-p.correction));
    if (p.bias && j * kLanes < p.left) start = add(start, load_ints(p.bias + j * kLanes, p.left - j * kLanes));
    MINITEN_UNROLL(8)
    for (int r = 0; r < MR; ++r) acc[r][j] = start;
  }
  const int8_t* b = p.b;
  const I flip = p.flip;
  for (int64_t i = 0; i < p.count; ++i, b += kPanel * 4) {
    Weight w[kVectors];
    MINITEN_UNROLL(16)
    for (int j = 0; j < kVectors; ++j) w[j] = weight(b + j * kLanes * 4);
    const uint8_t* from = a + p.offset[i];
    MINITEN_UNROLL(8)
    for (int r = 0; r < MR; ++r) {
      const Activation x = activation(set_i(load_as<int32_t>(from + r * a_col)) ^ flip);
      MINITEN_UNROLL(16)
      for (int j = 0; j < kVectors; ++j) acc[r][j] = dot(acc[r][j], x, w[j]);
    }
  }
  MINITEN_UNROLL(8)
  for (int r = 0; r < MR; ++r)
    MINITEN_UNROLL(16)
    for (int j = 0; j < kVectors; ++j) store_as<I>(to + r * kPanel + j * kLanes, acc[r][j]);
}

template <int MR, class Finish>
MINITEN_INLINE void finish_tile(const Finish& finish, const int32_t* sums, int64_t row, int64_t col, int64_t j0, int64_t left) {
  I acc[MR][kVectors];
  MINITEN_UNROLL(8)
  for (int r = 0; r < MR; ++r)
    MINITEN_UNROLL(16)
    for (int j = 0; j < kVectors; ++j) acc[r][j] = load_as<I>(sums + r * kPanel + j * kLanes);
  finish(acc, row, col, j0, left);
}

// Together: pixels that leave at once.
template <int Together, class Finish>
void run_pixels(const Panel& p, const Finish& finish, const uint8_t* a, int64_t a_col, int64_t row, int64_t col, int64_t cols, int64_t j0) {
  int32_t sums[kRows * kPanel] __attribute__((aligned(64)));
  constexpr int kFew = kRows < 4 ? 1 : 4;
  for (int64_t rows; 0 < cols; cols -= rows, col += rows) {
    const uint8_t* from = a + col * a_col;
    rows = kRows <= cols ? kRows : kFew <= cols ? kFew : 1;
    rows == kRows ? run_tile<kRows>(p, from, a_col, sums) : rows == kFew ? run_tile<kFew>(p, from, a_col, sums) : run_tile<1>(p, from, a_col, sums);
    int64_t r = 0;
    for (; r + Together <= rows; r += Together) finish_tile<Together>(finish, sums + r * kPanel, row, col + r, j0, p.left);
    if constexpr (1 < Together)
      for (; r < rows; ++r) finish_tile<1>(finish, sums + r * kPanel, row, col + r, j0, p.left);
  }
}

template <int Together, class Finish>
void run(const QGemmShape& s, const void* data, const int32_t* sums, const std::byte* packed, const int32_t* bias, int32_t x_zero, bool x_signed,
         const Finish& finish) {
  if (s.rows <= 0 || s.cols <= 0 || s.n <= 0) return;
  const auto* a = static_cast<const uint8_t*>(data);
  const auto* header = reinterpret_cast<const int32_t*>(packed);
  const int64_t count = header[0];
  const int32_t *begin = header + 1, *offset = begin + count + 1;
  const auto* values = reinterpret_cast<const int8_t*>(packed + sparse_header_bytes(count, begin[count]));
  Panel p{};
  p.flip = flip_of(x_signed);
  p.correction = x_zero + shift_of(x_signed);
  // Pixels whose A stays in the first cache while all panels pass.
  const int64_t k = s.outer * s.inner * s.segment;
  int64_t block = 24576 / (k < 1 ? 1 : k) / kRows * kRows;
  if (block < kRows) block = kRows;
  for (int64_t row = 0; row < s.rows; ++row)
    for (int64_t col = 0; col < s.cols; col += block)
      for (int64_t i = 0; i < count; ++i) {
        const int64_t j0 = i * kPanel;
        p.left = s.n - j0;
        p.offset = offset + begin[i];
        p.b = values + int64_t(begin[i]) * kPanel * 4;
        p.count = begin[i + 1] - begin[i];
        p.sums = sums + j0;
        p.bias = bias ? bias + j0 : nullptr;
        run_pixels<Together>(p, finish, a + row * s.a_row, s.a_col, row, col, s.cols - col < block ? s.cols - col : block, j0);
      }
}

}  // namespace

void sparse_qgemm(const QGemmShape& s, const void* a, const int32_t* sums, const std::byte* packed, void* c, const QEpilogue& e) {
  run<kRows < 4 ? 1 : 4>(s, a, sums, packed, e.bias, e.x_zero, e.x_signed,
      ToBytes{Rounding(e.y_zero, e.lo, e.hi), e.multiplier, static_cast<uint8_t*>(c), s.c_row, s.c_col});
}
void sparse_qgemm_f32(const QGemmShape& s, const void* a, const int32_t* sums, const std::byte* packed, float* c, const QEpilogueF32& e) {
  run<1>(s, a, sums, packed, nullptr, e.x_zero, e.x_signed, ToFloats{e, c, s.c_row, s.c_col});
}

}  // namespace miniten::kernels::MINITEN_TARGET
