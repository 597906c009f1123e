#include "kernels/qsimd-inl.h"
#include "kernels/qtable.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

MINITEN_INLINE float sum_of(V v) {
  float s = 0;
  for (int i = 0; i < kLanes; ++i) s += v[i];
  return s;
}

// Rows at once, so that one reading of x serves them all.
template <int Rows>
void dot_rows(const float* x, const uint8_t* w, int64_t row_bytes, const float* scale, int64_t blocks, int64_t block, bool four_bits, float* y) {
  V total[Rows];
  for (V& t : total) t = V{};
  const int64_t bytes = four_bits ? block / 2 : block;
  const V eight = set(8);
  for (int64_t b = 0; b < blocks; ++b, x += block, w += bytes) {
    V sum[Rows];
    for (V& s : sum) s = V{};
    for (int64_t i = 0; i < bytes; i += kLanes) {
      const int64_t n = bytes - i < kLanes ? bytes - i : (int64_t)kLanes;
      const V even = load_n(x + i, n);
      if (four_bits) {
        const V odd = load_n(x + bytes + i, n);
        MINITEN_UNROLL(4)
        for (int r = 0; r < Rows; ++r) {
          const I pair = load_bytes(w + r * row_bytes + i, n, false);      // with the sign bit turned: q + 8
          sum[r] = fma(to_float((pair & 15) ^ 8) - eight, even, sum[r]);
          sum[r] = fma(to_float((pair >> 4) ^ 8) - eight, odd, sum[r]);
        }
      } else {
        MINITEN_UNROLL(4)
        for (int r = 0; r < Rows; ++r) sum[r] = fma(to_float(load_bytes(w + r * row_bytes + i, n, true)), even, sum[r]);
      }
    }
    MINITEN_UNROLL(4)
    for (int r = 0; r < Rows; ++r) total[r] = fma(sum[r], set(scale[r * blocks + b]), total[r]);
  }
  for (int r = 0; r < Rows; ++r) y[r] = sum_of(total[r]);
}

}  // namespace

void blocks_matvec(const float* x, const void* w, bool four_bits, const float* scale, int64_t rows, int64_t blocks, int64_t block, float* y) {
  const int64_t row_bytes = blocks * (four_bits ? block / 2 : block);
  const auto* from = static_cast<const uint8_t*>(w);
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) dot_rows<4>(x, from + r * row_bytes, row_bytes, scale + r * blocks, blocks, block, four_bits, y + r);
  for (; r < rows; ++r) dot_rows<1>(x, from + r * row_bytes, row_bytes, scale + r * blocks, blocks, block, four_bits, y + r);
}

}  // namespace miniten::kernels::MINITEN_TARGET
