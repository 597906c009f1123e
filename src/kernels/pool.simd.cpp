#include "kernels/ftable.h"
#include "kernels/simd-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

// Taps [begin, end) of a window that lie inside [0, size), and how many lie inside [-pad, size + pad_end).
struct Window {
  int64_t begin, end, padded;
};

int64_t taps_below(int64_t first, int64_t limit, int64_t dilation, int64_t kernel) {
  if (limit <= first) return 0;
  const int64_t taps = (limit - first + dilation - 1) / dilation;
  return taps < kernel ? taps : kernel;
}

Window window(int64_t out, int64_t stride, int64_t pad, int64_t pad_end, int64_t dilation, int64_t kernel,
              int64_t size) {
  const int64_t first = out * stride - pad;
  return {taps_below(first, 0, dilation, kernel), taps_below(first, size, dilation, kernel),
          taps_below(first, size + (pad_end < 0 ? pad : pad_end), dilation, kernel)};
}

Window rows_of(const PoolShape& s, int64_t i) {
  return window(i, s.stride_h, s.pad_h, s.pad_h_end, s.dilation_h, s.kernel_h, s.in_h);
}
Window columns_of(const PoolShape& s, int64_t j) {
  return window(j, s.stride_w, s.pad_w, s.pad_w_end, s.dilation_w, s.kernel_w, s.in_w);
}

// Reduces the taps of one output pixel for N vectors of channels.
template <int N, bool Max>
MINITEN_INLINE void pool_pixel(const PoolShape& s, const float* x, Window h, Window w, V scale, float* y,
                               int64_t lanes) {
  V acc[N];
  MINITEN_UNROLL(4)
  for (int k = 0; k < N; ++k) acc[k] = Max ? set(-__builtin_inff()) : V{};
  for (int64_t u = h.begin; u < h.end; ++u) {
    for (int64_t v = w.begin; v < w.end; ++v) {
      const float* from = x + u * s.dilation_h * s.x_row + v * s.dilation_w * s.x_col;
      MINITEN_UNROLL(4)
      for (int k = 0; k < N; ++k) {
        const V value = load_n(from + k * kLanes, N == 1 ? lanes : kLanes);
        acc[k] = Max ? max_nan(acc[k], value) : acc[k] + value;
      }
    }
  }
  MINITEN_UNROLL(4)
  for (int k = 0; k < N; ++k) store_n(y + k * kLanes, Max ? acc[k] : acc[k] / scale, N == 1 ? lanes : kLanes);
}

template <bool Max>
void pool(const PoolShape& s, const float* x, float* y, int64_t row_begin, int64_t row_end) {
  for (int64_t i = row_begin; i < row_end; ++i) {
    const Window h = rows_of(s, i);
    for (int64_t j = 0; j < s.out_w; ++j) {
      const Window w = columns_of(s, j);
      const int64_t taps =
          s.count_include_pad ? h.padded * w.padded : (h.end - h.begin) * (w.end - w.begin);
      const V scale = set((float)taps);
      const int64_t first = (i * s.stride_h - s.pad_h) * s.x_row + (j * s.stride_w - s.pad_w) * s.x_col;
      float* to = y + i * s.y_row + j * s.y_col;
      int64_t c = 0;
      for (; c + 4 * kLanes <= s.channels; c += 4 * kLanes)
        pool_pixel<4, Max>(s, x + first + c, h, w, scale, to + c, kLanes);
      for (; c < s.channels; c += kLanes)
        pool_pixel<1, Max>(s, x + first + c, h, w, scale, to + c, s.channels - c);
    }
  }
}

// Gives g to one tap of a window. Alone: no other window has its taps.
template <bool Alone>
MINITEN_INLINE void route_pixel(const PoolShape& s, const float* x, Window h, Window w, const float* g, float* y,
                                int64_t lanes) {
  const int64_t down = s.dilation_h * s.x_row, right = s.dilation_w * s.x_col, first = h.begin * down + w.begin * right;
  V best = load_n(x + first, lanes);
  I winner{};
  int32_t tap = 0;
  for (int64_t u = h.begin; u < h.end; ++u) {
    for (int64_t v = w.begin; v < w.end; ++v, ++tap) {
      const V value = load_n(x + u * down + v * right, lanes);
      const I takes = (I)(value > best) | ((I)(value != value) & (I)(best == best));
      best = select(takes, value, best);
      winner = (takes & tap) | (~takes & winner);
    }
  }
  const V given = load_n(g, lanes);
  tap = 0;
  for (int64_t u = h.begin; u < h.end; ++u) {
    for (int64_t v = w.begin; v < w.end; ++v, ++tap) {
      float* to = y + u * down + v * right;
      const V share = select((I)(winner == tap), given, V{});
      store_n(to, Alone ? share : load_n(to, lanes) + share, lanes);
    }
  }
}

void zero_pixels(const PoolShape& s, int64_t row, int64_t column, int64_t end, float* y) {
  for (int64_t j = column; j < end; ++j)
    for_lanes(s.channels, [&](int64_t c, int64_t m) { store_n(y + row * s.x_row + j * s.x_col + c, V{}, m); });
}

template <bool Alone>
void route(const PoolShape& s, const float* x, const float* g, float* y) {
  for (int64_t i = 0; i < s.out_h; ++i) {
    const Window h = rows_of(s, i);
    for (int64_t j = 0; j < s.out_w; ++j) {
      const Window w = columns_of(s, j);
      if (h.begin >= h.end || w.begin >= w.end) continue;
      const int64_t first = (i * s.stride_h - s.pad_h) * s.x_row + (j * s.stride_w - s.pad_w) * s.x_col;
      for_lanes(s.channels, [&](int64_t c, int64_t m) {
        route_pixel<Alone>(s, x + first + c, h, w, g + i * s.y_row + j * s.y_col + c, y + first + c, m);
      });
    }
  }
}

}  // namespace

void max_pool_scatter(const PoolShape& s, const float* x, const float* g, float* y) {
  const bool tiles = s.stride_h == s.kernel_h && s.stride_w == s.kernel_w && s.dilation_h == 1 && s.dilation_w == 1 &&
                     s.pad_h == 0 && s.pad_w == 0;
  for (int64_t i = 0; i < s.in_h; ++i)
    zero_pixels(s, i, tiles && i < s.out_h * s.kernel_h ? s.out_w * s.kernel_w : 0, s.in_w, y);
  tiles ? route<true>(s, x, g, y) : route<false>(s, x, g, y);
}

void max_pool(const PoolShape& shape, const float* x, float* y, int64_t row_begin, int64_t row_end) {
  pool<true>(shape, x, y, row_begin, row_end);
}

void avg_pool(const PoolShape& shape, const float* x, float* y, int64_t row_begin, int64_t row_end) {
  pool<false>(shape, x, y, row_begin, row_end);
}

}  // namespace miniten::kernels::MINITEN_TARGET
