#pragma once
#include <cstdint>

namespace miniten::kernels {

// Loops over image rows. A row is n = width * channels elements, channels interleaved.

// y[i] = sum over k of weight[k] * rows[k][i]
void image_rows(const uint8_t* const* rows, const float* weight, int taps, float* y, int64_t n);
void image_rows(const uint16_t* const* rows, const float* weight, int taps, float* y, int64_t n);
void image_rows(const float* const* rows, const float* weight, int taps, float* y, int64_t n);

// y[i] = sum over k of weight[k] * x[i + k*step]
void image_taps(const float* x, const float* weight, int taps, int64_t step, float* y, int64_t n);

// y[j*channels + c] = sum over k of weight[j*taps + k] * x[(first[j] + k)*channels + c], j < width
void image_columns(const float* x, const int32_t* first, const float* weight, int taps, int64_t channels, float* y, int64_t width);

// To nearest, saturated.
void image_store(const float* x, uint8_t* y, int64_t n);

// y[i] = x[i] * scale[i % period] + shift[i % period]; the tables hold `period` values, n a multiple of it.
void image_scale(const uint8_t* x, const float* scale, const float* shift, int64_t period, float* y, int64_t n);
void image_scale(const float* x, const float* scale, const float* shift, int64_t period, float* y, int64_t n);

// The 3x3 Sobel kernels around b, rows a above and e below, each of n + 2*channels elements, their first pixel being the
// one left of y's first: with s = a + 2b + e and d = e - a, gx = s[right] - s[left], gy = d[left] + 2 d[middle] + d[right].
void image_sobel(const uint8_t* a, const uint8_t* b, const uint8_t* e, int64_t channels, int16_t* gx, int16_t* gy, int64_t n);

}  // namespace miniten::kernels
