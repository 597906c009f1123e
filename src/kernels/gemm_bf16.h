#pragma once
#include <cstddef>

#include "kernels/gemm.h"

namespace miniten::kernels {

// As gemm, with B rounded to bfloat16 when it is packed, to nearest with ties to even. A is rounded likewise, or with
// keep_a stays as it is: then only weights are smaller, which is what counts where they are read for a few rows.
// Products are exact; sums are float32 and their order depends on K, keep_a and the instruction set alone. Instructions
// for bfloat16 take subnormal operands and results for 0. The residual may not be C.
void gemm_bf16(const GemmShape& shape, const float* a, const std::byte* packed, float* c, const Epilogue& epilogue,
               bool keep_a);

// Of a packed B: panels of 16 columns of pairs of K, a whole number of 16 pairs. The layout is the same for every
// instruction set; column j0, a multiple of 16, begins at j0 * bf16_column_bytes(k). B is multiplied by the scale before it is rounded.
int64_t bf16_column_bytes(int64_t k);
int64_t bf16_packed_bytes(int64_t k, int64_t n);
void bf16_pack(const float* b, int64_t k, int64_t n, int64_t b_k, int64_t b_n, std::byte* packed, float scale = 1);

// How many times as fast as float32 the instruction set in use multiplies what is rounded: 1 where it has no
// instructions for it, or slow ones. And up to how many rows keep_a gains.
int bf16_speed();
int bf16_few_rows();

struct Bf16Table {
  void (*gemm)(const GemmShape&, const float*, const std::byte*, float*, const Epilogue&, bool);
  int speed, few_rows;
};

}  // namespace miniten::kernels
