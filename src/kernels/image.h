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

// Pixels to planes: y[c * n + i] = x[i * channels + c] / 255 * scale[c] + shift[c], rounded after each step.
void image_planes(const uint8_t* x, int64_t channels, const float* scale, const float* shift, float* y, int64_t n);

// ---- 8 bits in fixed point ----

// A row of width pixels between the rows a and b of n elements, by weights in 1/32768 of the second of two neighbours: down
// between the rows, across[4 j ... 4 j + 3] (four times the same) between the pixels at elements first[j] and
// first[j] + channels. Within 0.53 of exact. line: scratch of n + width * channels + 8.
void image_bilinear(const uint8_t* a, const uint8_t* b, int16_t down, int64_t n, const int32_t* first, const int16_t* across,
                    int64_t channels, int16_t* line, uint8_t* y, int64_t width);

// Symmetric filters of 2 side + 1 taps, their weights in 1/65536 from the middle one outwards, with a sum of 1.
// y = the sum over rows, in 1/128; y = the sum over x[i + k step], k = 0 ... 2 side, of such numbers, to nearest.
void image_blur_rows(const uint8_t* const* rows, const uint16_t* weight, int side, uint16_t* y, int64_t n);
void image_blur_taps(const uint16_t* x, const uint16_t* weight, int side, int64_t step, uint8_t* y, int64_t n);

// y = (19595 r + 38470 g + 7471 b) / 65536 to nearest, of n pixels of 3 or 4 channels: Pillow's luma.
void image_luma(const uint8_t* x, int64_t channels, uint8_t* y, int64_t n);

// m = |gx| + |gy|
void image_magnitude(const int16_t* gx, const int16_t* gy, int16_t* m, int64_t n);
// Canny's marks for a row of magnitudes m between those above and below, each with a neighbour on both sides of its n: 255
// where m is a peak along the gradient and > up, 1 where such a peak is > low >= 0, else 0. |gx|, |gy| <= 1020.
void image_canny(const int16_t* above, const int16_t* m, const int16_t* below, const int16_t* gx, const int16_t* gy, int16_t low,
                 int16_t up, uint8_t* mark, int64_t n);

}  // namespace miniten::kernels
