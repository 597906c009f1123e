#include "kernels/image.h"

#include "kernels/ftable.h"

namespace miniten::kernels {

void image_rows(const uint8_t* const* rows, const float* weight, int taps, float* y, int64_t n) {
  ftable().image_rows_u8(rows, weight, taps, y, n);
}
void image_rows(const uint16_t* const* rows, const float* weight, int taps, float* y, int64_t n) {
  ftable().image_rows_u16(rows, weight, taps, y, n);
}
void image_rows(const float* const* rows, const float* weight, int taps, float* y, int64_t n) {
  ftable().image_rows_f32(rows, weight, taps, y, n);
}
void image_taps(const float* x, const float* weight, int taps, int64_t step, float* y, int64_t n) {
  ftable().image_taps(x, weight, taps, step, y, n);
}
void image_columns(const float* x, const int32_t* first, const float* weight, int taps, int64_t channels, float* y,
                   int64_t width) {
  ftable().image_columns(x, first, weight, taps, channels, y, width);
}
void image_store(const float* x, uint8_t* y, int64_t n) { ftable().image_store(x, y, n); }
void image_scale(const uint8_t* x, const float* scale, const float* shift, int64_t period, float* y, int64_t n) {
  ftable().image_scale_u8(x, scale, shift, period, y, n);
}
void image_scale(const float* x, const float* scale, const float* shift, int64_t period, float* y, int64_t n) {
  ftable().image_scale_f32(x, scale, shift, period, y, n);
}
void image_sobel(const uint8_t* a, const uint8_t* b, const uint8_t* e, int64_t channels, int16_t* gx, int16_t* gy,
                 int64_t n) {
  ftable().image_sobel(a, b, e, channels, gx, gy, n);
}
void image_planes(const uint8_t* x, int64_t channels, const float* scale, const float* shift, float* y, int64_t n) {
  ftable().image_planes(x, channels, scale, shift, y, n);
}
void image_bilinear(const uint8_t* a, const uint8_t* b, int16_t down, int64_t n, const int32_t* first, const int16_t* across,
                    int64_t channels, int16_t* line, uint8_t* y, int64_t width) {
  ftable().image_bilinear(a, b, down, n, first, across, channels, line, y, width);
}
void image_blur_rows(const uint8_t* const* rows, const uint16_t* weight, int side, uint16_t* y, int64_t n) {
  ftable().image_blur_rows(rows, weight, side, y, n);
}
void image_blur_taps(const uint16_t* x, const uint16_t* weight, int side, int64_t step, uint8_t* y, int64_t n) {
  ftable().image_blur_taps(x, weight, side, step, y, n);
}
void image_luma(const uint8_t* x, int64_t channels, uint8_t* y, int64_t n) { ftable().image_luma(x, channels, y, n); }
void image_magnitude(const int16_t* gx, const int16_t* gy, int16_t* m, int64_t n) { ftable().image_magnitude(gx, gy, m, n); }
void image_canny(const int16_t* above, const int16_t* m, const int16_t* below, const int16_t* gx, const int16_t* gy, int16_t low,
                 int16_t up, uint8_t* mark, int64_t n) {
  ftable().image_canny(above, m, below, gx, gy, low, up, mark, n);
}

}  // namespace miniten::kernels
