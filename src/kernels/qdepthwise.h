#pragma once
#include "kernels/qgemm.h"

namespace miniten::kernels {

// Depthwise convolution on channels-last 8-bit data, with qgemm.h's arithmetic. Strides count elements. Nothing past the
// last byte needed is read.
struct QDepthwiseShape {
  int64_t channels = 0, out_h = 0, out_w = 0;
  int64_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int64_t x_row = 0, x_col = 0, y_row = 0, y_col = 0;
  // in_h = 0: x points at the first tap of output pixel (0, 0) in an input that holds its padding. Else (8 bits alone) at the first
  // pixel of in_h x in_w, the first tap lies `top` rows above it, or -top below, and `left` columns before it, and taps outside count as
  // x_zero.
  int64_t in_h = 0, in_w = 0, top = 0, left = 0;
};

// w is [kernel_h*kernel_w][channels]; bias and multiplier hold one value per channel.
void qdepthwise(const QDepthwiseShape& shape, const void* x, const int8_t* w, void* y, const QEpilogue& epilogue);
void qdepthwise_f32(const QDepthwiseShape& shape, const void* x, const int8_t* w, float* y, const QEpilogueF32& epilogue);

}  // namespace miniten::kernels
