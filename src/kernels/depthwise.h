#pragma once
#include <cstdint>

namespace miniten::kernels {

// Depthwise convolution on channels-last float data; strides count elements, channels are contiguous.
// x points at the first tap of output pixel (0, 0) in an input that already holds its padding: output pixel (i, j) and
// tap (u, v) read x[(i*stride_h + u*dilation_h)*x_row + (j*stride_w + v*dilation_w)*x_col + channel].
// w is [kernel_h*kernel_w][w_tap or, if 0, channels].
// To split by channels, advance the pointers and set w_tap to the full channel count.
struct DepthwiseShape {
  int64_t channels = 0, out_h = 0, out_w = 0;
  int64_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int64_t x_row = 0, x_col = 0, y_row = 0, y_col = 0;
  int64_t w_tap = 0;
  // Taps outside these rows and columns of the walk from x are padding: 0, and not read. Where depthwise_pads allows.
  int64_t row_begin = 0, row_end = kUnbounded, col_begin = 0, col_end = kUnbounded;
  static constexpr int64_t kUnbounded = int64_t{1} << 40;
};

// Whether depthwise (not its gradients) takes this shape's padding for zeros by itself.
bool depthwise_pads(const DepthwiseShape& shape);

// y = clamp(bias + sum of taps in row order, lo, hi); bias may be null; a NaN sum stays NaN. No element depends on how
// rows, columns or channels are split among calls.
void depthwise(const DepthwiseShape& shape, const float* x, const float* w, const float* bias, float lo, float hi,
               float* y);

// Adds the gradient of the input into dx, which has x's layout. Outputs are visited row by row, so cutting out_h into
// consecutive calls changes no bit.
void depthwise_input(const DepthwiseShape& shape, const float* dy, const float* w, float* dx);

// Adds the gradient of the weights into dw, laid out as w. Each output row is summed on its own, then added.
void depthwise_weight(const DepthwiseShape& shape, const float* x, const float* dy, float* dw);

// The same in double precision: for gradient checks, correct rather than fast.
void depthwise(const DepthwiseShape& shape, const double* x, const double* w, const double* bias, double lo, double hi,
               double* y);
void depthwise_input(const DepthwiseShape& shape, const double* dy, const double* w, double* dx);
void depthwise_weight(const DepthwiseShape& shape, const double* x, const double* dy, double* dw);

}  // namespace miniten::kernels
