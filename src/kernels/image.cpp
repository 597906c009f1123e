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

}  // namespace miniten::kernels
