#include "kernels/depthwise.h"

#include "kernels/ftable.h"

namespace miniten::kernels {
namespace {

bool is_padding(const DepthwiseShape& s, int64_t row, int64_t col) {
  return row < s.row_begin || s.row_end <= row || col < s.col_begin || s.col_end <= col;
}

// For every output element: begin(output, channel), tap(output, input, weight) for each tap, end(output); all offsets.
template <class Begin, class Tap, class End>
void each_output(const DepthwiseShape& s, Begin begin, Tap tap, End end) {
  const int64_t w_tap = s.w_tap ? s.w_tap : s.channels;
  for (int64_t i = 0; i < s.out_h; ++i) {
    for (int64_t j = 0; j < s.out_w; ++j) {
      for (int64_t c = 0; c < s.channels; ++c) {
        const int64_t out = i * s.y_row + j * s.y_col + c;
        begin(out, c);
        for (int64_t u = 0; u < s.kernel_h; ++u)
          for (int64_t v = 0; v < s.kernel_w; ++v)
            if (!is_padding(s, i * s.stride_h + u * s.dilation_h, j * s.stride_w + v * s.dilation_w))
              tap(out, (i * s.stride_h + u * s.dilation_h) * s.x_row + (j * s.stride_w + v * s.dilation_w) * s.x_col + c,
                (u * s.kernel_w + v) * w_tap + c);
        end(out);
      }
    }
  }
}

}  // namespace

bool depthwise_pads(const DepthwiseShape& s) {
  const bool three = s.kernel_h == 3 && s.kernel_w == 3 && s.dilation_h == 1 && s.stride_h == s.stride_w;
  const bool known = s.dilation_w == 1 && ((three && s.stride_w <= 2) || (s.kernel_w == 5 && s.stride_w <= 2) ||
                                           (s.kernel_w == 7 && s.stride_w == 1));
  const int64_t right = (s.out_w - 1) * s.stride_w + s.kernel_w - s.col_end;
  return known && 8 < s.channels && s.col_begin <= s.kernel_w / 2 && right <= s.kernel_w / 2;
}

void depthwise(const DepthwiseShape& shape, const float* x, const float* w, const float* bias, float lo, float hi,
               float* y) {
  ftable().depthwise(shape, x, w, bias, lo, hi, y);
}
void depthwise_input(const DepthwiseShape& shape, const float* dy, const float* w, float* dx) {
  ftable().depthwise_input(shape, dy, w, dx);
}
void depthwise_weight(const DepthwiseShape& shape, const float* x, const float* dy, float* dw) {
  ftable().depthwise_weight(shape, x, dy, dw);
}

void depthwise(const DepthwiseShape& shape, const double* x, const double* w, const double* bias, double lo, double hi,
               double* y) {
  double total = 0;
  each_output(
      shape, [&](int64_t, int64_t c) { total = bias ? bias[c] : 0; },
      [&](int64_t, int64_t in, int64_t t) { total += x[in] * w[t]; },
      [&](int64_t out) { y[out] = total < lo ? lo : total > hi ? hi : total; });
}
void depthwise_input(const DepthwiseShape& shape, const double* dy, const double* w, double* dx) {
  each_output(
      shape, [](int64_t, int64_t) {}, [&](int64_t out, int64_t in, int64_t t) { dx[in] += dy[out] * w[t]; },
      [](int64_t) {});
}
void depthwise_weight(const DepthwiseShape& shape, const double* x, const double* dy, double* dw) {
  each_output(
      shape, [](int64_t, int64_t) {}, [&](int64_t out, int64_t in, int64_t t) { dw[t] += dy[out] * x[in]; },
      [](int64_t) {});
}

}  // namespace miniten::kernels
