#include "kernels/qpool.h"
#include <cmath>

namespace miniten::kernels {

namespace {
template <class T>
void average(const PoolShape& s, const T* x, T* y, const QPoolParams& p, int64_t row_begin, int64_t row_end) {
  constexpr int64_t block = 64;
  int64_t end_h = s.in_h + (s.pad_h_end < 0 ? s.pad_h : s.pad_h_end), end_w = s.in_w + (s.pad_w_end < 0 ? s.pad_w : s.pad_w_end);
  float lo = float(T(-1) < T(0) ? -128 : 0) - float(p.y_zero), hi = lo + 255.0f;
  for (int64_t r = row_begin; r < row_end; ++r)
    for (int64_t q = 0; q < s.out_w; ++q)
      for (int64_t c0 = 0; c0 < s.channels; c0 += block) {
        int64_t n = s.channels - c0 < block ? s.channels - c0 : block, inside = 0, counted = 0;
        int32_t sum[block] = {};
        for (int64_t i = 0; i < s.kernel_h * s.kernel_w; ++i) {
          int64_t h = r * s.stride_h - s.pad_h + i / s.kernel_w * s.dilation_h, w = q * s.stride_w - s.pad_w + i % s.kernel_w * s.dilation_w;
          if (h < end_h && w < end_w) ++counted;
          if (h < 0 || h >= s.in_h || w < 0 || w >= s.in_w) continue;
          ++inside;
          const T* from = x + h * s.x_row + w * s.x_col + c0;
          for (int64_t c = 0; c < n; ++c) sum[c] += int32_t(from[c]) - p.x_zero;
        }
        float multiplier = p.x_scale / p.y_scale / float(s.count_include_pad ? counted : inside);
        T* to = y + r * s.y_row + q * s.y_col + c0;
        for (int64_t c = 0; c < n; ++c) {
          float v = float(sum[c]) * multiplier;
          v = v < lo ? lo : v > hi ? hi : v;
          to[c] = T(int32_t(std::nearbyint(v)) + p.y_zero);
        }
      }
}
}  // namespace

void qavg_pool(const PoolShape& shape, const void* x, void* y, const QPoolParams& params, int64_t row_begin, int64_t row_end) {
  if (params.is_signed) average(shape, static_cast<const int8_t*>(x), static_cast<int8_t*>(y), params, row_begin, row_end);
  else average(shape, static_cast<const uint8_t*>(x), static_cast<uint8_t*>(y), params, row_begin, row_end);
}

}  // namespace miniten::kernels
