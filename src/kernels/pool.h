#pragma once
#include <cstdint>

namespace miniten::kernels {

// Pooling over one channels-last image without stored padding; strides of x and y count elements, channels are
// contiguous. x points at input pixel (0, 0), y at output pixel (0, 0).
struct PoolShape {
  int64_t channels = 0, in_h = 0, in_w = 0, out_h = 0, out_w = 0;
  int64_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1;
  int64_t pad_h = 0, pad_w = 0;          // top, left
  int64_t x_row = 0, x_col = 0, y_row = 0, y_col = 0;
  bool count_include_pad = true;
  int64_t dilation_h = 1, dilation_w = 1;
  int64_t pad_h_end = -1, pad_w_end = -1;  // bottom, right; -1: as pad_h, pad_w. Only avg_pool's divisor needs them.
};

// Output rows [row_begin, row_end). Padding never wins; a NaN in the window gives NaN; a window wholly outside the
// input gives -infinity.
void max_pool(const PoolShape& shape, const float* x, float* y, int64_t row_begin, int64_t row_end);

// The divisor counts the taps inside the input, or with count_include_pad those inside input and padding (taps past
// the padding, as ceil_mode makes them, never count), as torch does. A window with no tap to count gives NaN.
void avg_pool(const PoolShape& shape, const float* x, float* y, int64_t row_begin, int64_t row_end);

// max_pool's gradient for a whole image: each window's g to the first of its greatest taps or its first NaN, 0 elsewhere;
// windows that share a tap add up in their order. y lies as x, g as max_pool's output; of y only its channels are written.
void max_pool_scatter(const PoolShape& shape, const float* x, const float* g, float* y);

// The same in double precision: for gradient checks.
void max_pool(const PoolShape& shape, const double* x, double* y, int64_t row_begin, int64_t row_end);
void avg_pool(const PoolShape& shape, const double* x, double* y, int64_t row_begin, int64_t row_end);

}  // namespace miniten::kernels
