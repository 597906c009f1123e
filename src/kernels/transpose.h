#pragma once
#include <cstdint>

namespace miniten::kernels {

// y[i*y_row + j] = x[j*x_row + i] for i in [0, n), j in [0, m); 4-byte values, moved bit by bit. y may not overlap x.
void transpose(const float* x, int64_t x_row, float* y, int64_t y_row, int64_t n, int64_t m);

}  // namespace miniten::kernels
