#include "kernels/pool.h"

#include "kernels/ftable.h"

namespace miniten::kernels {
namespace {

struct Reach {
  int64_t first, last;  // coordinates of the window's first and one past its last counted tap
};

Reach counted(int64_t first, int64_t kernel, int64_t dilation, int64_t size, int64_t pad) {
  const int64_t last = first + (kernel - 1) * dilation + 1;
  return {first, last < size + pad ? last : size + pad};
}

template <class Start, class Tap, class End>
void each_window(const PoolShape& s, int64_t row_begin, int64_t row_end, Start start, Tap tap, End end) {
  const int64_t below = s.pad_h_end < 0 ? s.pad_h : s.pad_h_end, right = s.pad_w_end < 0 ? s.pad_w : s.pad_w_end;
  for (int64_t i = row_begin; i < row_end; ++i) {
    for (int64_t j = 0; j < s.out_w; ++j) {
      const Reach h = counted(i * s.stride_h - s.pad_h, s.kernel_h, s.dilation_h, s.in_h, below);
      const Reach w = counted(j * s.stride_w - s.pad_w, s.kernel_w, s.dilation_w, s.in_w, right);
      for (int64_t c = 0; c < s.channels; ++c) {
        start();
        int64_t inside = 0, padded = 0;
        for (int64_t p = h.first; p < h.last; p += s.dilation_h) {
          for (int64_t q = w.first; q < w.last; q += s.dilation_w) {
            ++padded;
            if (p < 0 || s.in_h <= p || q < 0 || s.in_w <= q) continue;
            ++inside;
            tap(p * s.x_row + q * s.x_col + c);
          }
        }
        end(i * s.y_row + j * s.y_col + c, s.count_include_pad ? padded : inside);
      }
    }
  }
}

}  // namespace

void max_pool(const PoolShape& shape, const float* x, float* y, int64_t row_begin, int64_t row_end) {
  ftable().max_pool(shape, x, y, row_begin, row_end);
}
void avg_pool(const PoolShape& shape, const float* x, float* y, int64_t row_begin, int64_t row_end) {
  ftable().avg_pool(shape, x, y, row_begin, row_end);
}
void max_pool_scatter(const PoolShape& shape, const float* x, const float* g, float* y) {
  ftable().max_pool_scatter(shape, x, g, y);
}

void max_pool(const PoolShape& shape, const double* x, double* y, int64_t row_begin, int64_t row_end) {
  double best = 0;
  each_window(
      shape, row_begin, row_end, [&] { best = -__builtin_inf(); },
      [&](int64_t at) { best = best != best || x[at] <= best ? best : x[at]; },
      [&](int64_t out, int64_t) { y[out] = best; });
}
void avg_pool(const PoolShape& shape, const double* x, double* y, int64_t row_begin, int64_t row_end) {
  double total = 0;
  each_window(
      shape, row_begin, row_end, [&] { total = 0; }, [&](int64_t at) { total += x[at]; },
      [&](int64_t out, int64_t taps) { y[out] = total / static_cast<double>(taps); });
}

}  // namespace miniten::kernels
