#include "kernels/depthwise.h"

#include "kernels/ftable.h"

namespace miniten::kernels {
namespace {

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
            tap(out, (i * s.stride_h + u * s.dilation_h) * s.x_row + (j * s.stride_w + v * s.dilation_w) * s.x_col + c,
                (u * s.kernel_w + v) * w_tap + c);
        end(out);
      }
    }
  }
}

}  // namespace

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
