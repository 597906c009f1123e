#include "kernels/gemm_bf16.h"

#include "kernels/dispatch.h"
#include "miniten/base/half.h"

namespace miniten::kernels {

int64_t bf16_column_bytes(int64_t k) { return (k + 31) / 32 * 64; }
int64_t bf16_packed_bytes(int64_t k, int64_t n) { return (n + 15) / 16 * 16 * bf16_column_bytes(k); }

void bf16_pack(const float* b, int64_t k, int64_t n, int64_t b_k, int64_t b_n, std::byte* packed) {
  auto* to = reinterpret_cast<uint16_t*>(packed);
  for (int64_t j = 0; j < n; j += 16)
    for (int64_t i = 0; i < bf16_column_bytes(k) / 2; i += 2)
      for (int64_t l = j; l < j + 16; ++l)
        for (int64_t at = i; at < i + 2; ++at) *to++ = at < k && l < n ? float_to_bfloat16(b[at * b_k + l * b_n]) : uint16_t{0};
}

void gemm_bf16(const GemmShape& shape, const float* a, const std::byte* packed, float* c, const Epilogue& epilogue,
               bool keep_a) {
  bf16_table().gemm(shape, a, packed, c, epilogue, keep_a);
}
// Intel's dot products are half as fast as its float32: its tiles are what counts.
int bf16_speed() { return bf16_table().speed == 2 && cpu_info().vendor == "GenuineIntel" ? 1 : bf16_table().speed; }
int bf16_few_rows() { return bf16_table().few_rows; }

}  // namespace miniten::kernels
