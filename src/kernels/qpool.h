#pragma once
#include "kernels/pool.h"

namespace miniten::kernels {

// Average pooling of one channels-last 8-bit image: rows [row_begin, row_end) of
//   y = clamp(round_half_even(float(sum of (x - x_zero)) * (x_scale / y_scale / count)) + y_zero)   left to right in float32
// Padding counts as real 0 where shape.count_include_pad says so; else count is of the taps inside. A window with no tap
// to count gives y_zero.
struct QPoolParams {
  float x_scale = 1, y_scale = 1;
  int32_t x_zero = 0, y_zero = 0;
  bool is_signed = true;
};
void qavg_pool(const PoolShape& shape, const void* x, void* y, const QPoolParams& params, int64_t row_begin, int64_t row_end);

// Greatest of each window; a window wholly outside the input gives the type's least value.
void qmax_pool(const PoolShape& shape, const void* x, void* y, bool is_signed, int64_t row_begin, int64_t row_end);

}  // namespace miniten::kernels
