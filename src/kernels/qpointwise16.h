#pragma once
#include "kernels/qpointwise.h"

namespace miniten::kernels {

// The arithmetic of qpointwise.h on 16-bit numbers.
void quantize16(const float* x, int16_t* q, int64_t n, float scale, int32_t zero);
void dequantize16(const int16_t* q, float* x, int64_t n, float scale, int32_t zero);
void qadd16(const int16_t* a, const int16_t* b, int16_t* y, int64_t n, const QAddParams& params);

// y = clamp(round_half_even(float((a - a_zero) * (b - b_zero)) * multiplier) + y_zero, lo, hi); the product is exact, and
// goes to float as the nearest one.
struct QMulParams {
  float multiplier = 1;                          // a_scale * b_scale / y_scale, left to right
  int32_t a_zero = 0, b_zero = 0, y_zero = 0, lo = -128, hi = 127;
  bool is_signed = true;
};
void qmul(const void* a, const void* b, void* y, int64_t n, const QMulParams& params);               // bytes
void qmul16(const int16_t* a, const int16_t* b, int16_t* y, int64_t n, const QMulParams& params);    // without zero points of a and b

// Straight lines between the 2^(16 - shift) + 1 points of a table that starts at x = -32768:
//   u = x + 32768, i = u >> shift, y = table[i] + (((table[i + 1] - table[i]) * (u - (i << shift)) + half) >> shift)
// with half = 2^(shift - 1), or 0 where shift is 0. 0 <= shift <= 12.
void table_line16(const int16_t* x, const int16_t* table, int shift, int16_t* y, int64_t n);

}  // namespace miniten::kernels
