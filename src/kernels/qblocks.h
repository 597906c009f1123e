#pragma once
#include <cstdint>

namespace miniten::kernels {

// Float activations times integer weights that are stored in blocks along K, each with a scale:
//   y = sum over blocks of scale[b] * (sum over the block of q * x)
// of one row of weights: int4, two a byte with the first in the low half, or int8. block is a multiple of 16. The order of
// sums depends on the instruction set alone.
//
// x is laid out by blocks_arrange: for int4 the elements of even index of each block, then those of odd index.
void blocks_arrange(const float* x, int64_t k, int64_t blocks, int64_t block, bool four_bits, float* to);   // zeros from k on

// y[j] for `rows` rows of weights, row_bytes apart, with `blocks` scales each.
void blocks_matvec(const float* x, const void* w, bool four_bits, const float* scale, int64_t rows, int64_t blocks, int64_t block, float* y);

// A row of weights as floats.
void blocks_expand(const void* w, bool four_bits, const float* scale, int64_t k, int64_t block, float* to);

}  // namespace miniten::kernels
