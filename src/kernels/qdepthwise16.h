#pragma once
#include "kernels/qdepthwise.h"
#include "kernels/qgemm16.h"

namespace miniten::kernels {

// Depthwise convolution on channels-last 16-bit data, with qgemm16.h's arithmetic; shapes as in qdepthwise.h, the input
// holding its padding of zeros. w is [kernel_h*kernel_w][channels].
void qdepthwise16(const QDepthwiseShape& shape, const int16_t* x, const int16_t* w, bool narrow, int16_t* y, const Q16Epilogue& epilogue);
void qdepthwise16_f32(const QDepthwiseShape& shape, const int16_t* x, const int16_t* w, bool narrow, float* y, const Q16EpilogueF32& epilogue);

}  // namespace miniten::kernels
