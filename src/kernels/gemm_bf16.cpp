#include "kernels/gemm_bf16.h"

#include <algorithm>

#include "kernels/convert.h"
#include "kernels/dispatch.h"
#include "kernels/transpose.h"

namespace miniten::kernels {

int64_t bf16_column_bytes(int64_t k) { return (k + 31) / 32 * 64; }
int64_t bf16_packed_bytes(int64_t k, int64_t n) { return (n + 15) / 16 * 16 * bf16_column_bytes(k); }

// Sixteen columns at a time, along K or across, as they lie in memory.
void bf16_pack(const float* b, int64_t k, int64_t n, int64_t b_k, int64_t b_n, std::byte* packed, float scale) {
  constexpr int64_t panel = 16, deep = 256;
  const int64_t pairs = bf16_column_bytes(k) / 4;
  float values[2][deep];
  for (int64_t j = 0; j < n; j += panel) {
    auto* to = reinterpret_cast<uint32_t*>(packed) + j * pairs;
    const int64_t columns = std::min(panel, n - j);
    const float* from = b + j * b_n;
    std::fill(to, to + pairs * panel, 0u);
    if (b_k == 1 && b_n != 1) {
      for (int64_t i = 0; i < k; i += deep) {
        const int64_t steps = std::min(deep, k - i);
        uint32_t rounded[panel][deep / 2] = {};
        for (int64_t l = 0; l < columns; ++l) {
          for (int64_t at = 0; at < steps; ++at) values[0][at] = from[l * b_n + i + at] * scale;
          from_floats(Stored::bfloat16, values[0], rounded[l], steps);
        }
        transpose(reinterpret_cast<const float*>(rounded), deep / 2, reinterpret_cast<float*>(to + i / 2 * panel), panel, (steps + 1) / 2, panel);
      }
    } else {
      for (int64_t i = 0; i < k; i += 2) {
        for (int64_t at = i; at < i + 2; ++at)
          for (int64_t l = 0; l < columns; ++l) values[at - i][l] = at < k ? from[at * b_k + l * b_n] * scale : 0;
        narrow_pairs(values[0], values[1], to + i / 2 * panel, columns);
      }
    }
  }
}

void gemm_bf16(const GemmShape& shape, const float* a, const std::byte* packed, float* c, const Epilogue& epilogue,
               bool keep_a) {
  bf16_table().gemm(shape, a, packed, c, epilogue, keep_a);
}
// Intel's dot products are half as fast as its float32: its tiles are what counts.
int bf16_speed() { return bf16_table().speed == 2 && cpu_info().vendor == "GenuineIntel" ? 1 : bf16_table().speed; }
int bf16_few_rows() { return bf16_table().few_rows; }

}  // namespace miniten::kernels
