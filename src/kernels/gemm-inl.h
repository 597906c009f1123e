#pragma once
#include "kernels/gemm.h"

namespace miniten::kernels::MINITEN_TARGET {

// `count` plain products of one shape, cols x segment by segment x n, each a step further in a, packed and c.
void gemm_batch(const GemmShape& shape, int64_t count, const float* a, int64_t a_step, const float* packed,
                int64_t packed_step, float* c, int64_t c_step);

}  // namespace miniten::kernels::MINITEN_TARGET
