#pragma once
#include "kernels/qgemm.h"

namespace miniten::kernels {

// Integer products of 16-bit numbers: activations x of any value, weights within [-32767, 32767]. The same bytes on every
// instruction set:
//
//   acc[j] = bias[j] + sum over K of x * w[.., j]                                     exact: 64-bit sums
//   y[j]   = clamp(round_half_even(float(acc[j]) * multiplier[j]) + y_zero, lo, hi)   acc to float: nearest, half to even
//
// Sums gather in 32 bits over 2 * kFlush terms, then in float64, which holds every whole number up to 2^53 in size; so
// |bias| + K * 2^30 must stay below that. A zero point of x, if it has one, is taken away before.
struct Q16Epilogue {
  const int64_t* bias = nullptr;                 // or none
  const float* multiplier = nullptr;
  int32_t y_zero = 0, lo = -32768, hi = 32767;
  bool bytes = false;                            // y is of 8 bits
};
struct Q16EpilogueF32 {                          // y = clamp(float(acc) * multiplier + bias, lo, hi)
  const float* bias = nullptr;                   // or none
  const float* multiplier = nullptr;
  float lo = -__builtin_inff(), hi = __builtin_inff();
};

// Weights within [-255, 255] are summed as they are ("narrow"); wider ones as 256 * high + low.
bool qgemm16_is_narrow(const int16_t* w, int64_t n);

// Packed weights: panels of 16 columns, each of pairs along a segment (the last filled with a zero): 16 columns x 2
// numbers, of wide weights first those of `high`, then those of `low`. 64-byte aligned.
uint64_t qgemm16_packed_bytes(int64_t segments, int64_t segment, int64_t n, bool narrow);

// w element (s, k, j) at w[s*w_segment + k*w_k + j*w_n].
void qgemm16_pack(const int16_t* w, int64_t segments, int64_t segment, int64_t n, int64_t w_segment, int64_t w_k, int64_t w_n,
                  bool narrow, std::byte* packed);
void qgemm16_pack(const int8_t* w, int64_t segments, int64_t segment, int64_t n, int64_t w_segment, int64_t w_k, int64_t w_n,
                  bool narrow, std::byte* packed);

// Strides of the shape count elements, of A and of C. Nothing beyond a segment is read.
void qgemm16(const QGemmShape& shape, const int16_t* a, const std::byte* packed, bool narrow, void* c, const Q16Epilogue& epilogue);
void qgemm16_f32(const QGemmShape& shape, const int16_t* a, const std::byte* packed, bool narrow, float* c, const Q16EpilogueF32& epilogue);

}  // namespace miniten::kernels
