#pragma once
#include <cstdint>

namespace miniten::kernels {

// q = clamp(round_half_even(x / scale) + zero, lo, hi), a true division; NaN gives zero. lo and hi lie in the type's range.
void quantize(const float* x, void* q, int64_t n, float scale, int32_t zero, int32_t lo, int32_t hi);

// x = float(q - zero) * scale
void dequantize(const void* q, float* x, int64_t n, float scale, int32_t zero, bool is_signed);

// y = clamp(round_half_even(float(x - x_zero) * multiplier) + y_zero, lo, hi); y's type is the one lo and hi lie in.
struct QRequantizeParams {
  float multiplier = 1;                          // x_scale / y_scale
  int32_t x_zero = 0, y_zero = 0, lo = -128, hi = 127;
  bool x_signed = true;
};
void requantize(const void* x, void* y, int64_t n, const QRequantizeParams& params);

// y = clamp(round_half_even((float(a - a_zero) * a_scale + float(b - b_zero) * b_scale) / y_scale) + y_zero, lo, hi)
struct QAddParams {
  float a_scale = 1, b_scale = 1, y_scale = 1;
  int32_t a_zero = 0, b_zero = 0, y_zero = 0, lo = -128, hi = 127;
  bool is_signed = true;
};
void qadd(const void* a, const void* b, void* y, int64_t n, const QAddParams& params);

// Least and greatest finite values; false where some value is NaN or infinite. Nothing: lo = +inf, hi = -inf.
bool minmax(const float* x, int64_t n, float& lo, float& hi);

// y = table[x], bytes.
void table_lookup(const uint8_t* x, const uint8_t* table, uint8_t* y, int64_t n);

}  // namespace miniten::kernels
