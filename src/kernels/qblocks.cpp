#include "kernels/qblocks.h"

#include "kernels/qtable.h"

namespace miniten::kernels {

void blocks_arrange(const float* x, int64_t k, int64_t blocks, int64_t block, bool four_bits, float* to) {
  for (int64_t b = 0; b < blocks; ++b, to += block)
    for (int64_t i = 0; i < block; ++i) {
      const int64_t at = b * block + i;
      to[four_bits ? i % 2 * (block / 2) + i / 2 : i] = at < k ? x[at] : 0;
    }
}

void blocks_matvec(const float* x, const void* w, bool four_bits, const float* scale, int64_t rows, int64_t blocks, int64_t block, float* y) {
  qtable().blocks_matvec(x, w, four_bits, scale, rows, blocks, block, y);
}

void blocks_expand(const void* w, bool four_bits, const float* scale, int64_t k, int64_t block, float* to) {
  const auto* bytes = static_cast<const uint8_t*>(w);
  for (int64_t i = 0; i < k; ++i) {
    const int q = four_bits ? int8_t(uint8_t(bytes[i / 2] << (i % 2 ? 0 : 4))) >> 4 : int8_t(bytes[i]);
    to[i] = float(q) * scale[i / block];
  }
}

}  // namespace miniten::kernels
