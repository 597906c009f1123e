#include "kernels/qsimd-inl.h"
#include "kernels/qtable.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

// The taps of one axis that lie inside: [first, last), the first at input position `from`.
struct Reach {
  int64_t first, last, from, counted;      // counted: those inside input and padding
};
Reach reach_of(int64_t out, int64_t in, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad, int64_t pad_end) {
  const int64_t start = out * stride - pad, end = in + (pad_end < 0 ? pad : pad_end);
  Reach r = {0, 0, 0, 0};
  for (int64_t i = 0; i < kernel; ++i) {
    const int64_t at = start + i * dilation;
    if (at < 0) r.first = r.last = i + 1;
    else if (at < in) r.last = i + 1;
    r.counted += at < end;
  }
  r.from = start + r.first * dilation;
  return r;
}

// Calls f(x, rows, cols, y) for each output pixel: x at the first tap inside, rows and cols how many are.
template <class F>
MINITEN_INLINE void for_windows(const PoolShape& s, const void* x, void* y, int64_t row_begin, int64_t row_end, F f) {
  for (int64_t p = row_begin; p < row_end; ++p) {
    const Reach h = reach_of(p, s.in_h, s.kernel_h, s.stride_h, s.dilation_h, s.pad_h, s.pad_h_end);
    for (int64_t q = 0; q < s.out_w; ++q) {
      const Reach w = reach_of(q, s.in_w, s.kernel_w, s.stride_w, s.dilation_w, s.pad_w, s.pad_w_end);
      f(static_cast<const uint8_t*>(x) + h.from * s.x_row + w.from * s.x_col, h, w,
        static_cast<uint8_t*>(y) + p * s.y_row + q * s.y_col);
    }
  }
}

}  // namespace

void qavg_pool(const PoolShape& s, const void* x, void* y, const QPoolParams& p, int64_t row_begin, int64_t row_end) {
  const int32_t lo = p.is_signed ? -128 : 0;
  const Rounding round(p.y_zero, lo, lo + 255);
  const int64_t row = s.dilation_h * s.x_row, col = s.dilation_w * s.x_col;
  for_windows(s, x, y, row_begin, row_end, [&](const uint8_t* from, const Reach& h, const Reach& w, uint8_t* to) {
    const int64_t rows = h.last - h.first, cols = w.last - w.first, inside = rows * cols;
    const int64_t counted = s.count_include_pad ? h.counted * w.counted : inside;
    const V multiplier = set(counted ? p.x_scale / p.y_scale / (float)counted : 0.0f);
    const I start = set_i((int32_t)-(inside * p.x_zero));
    const auto sum = [&](int64_t c, auto& acc) {
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < cols; ++j) {
          const uint8_t* at = from + i * row + j * col + c;
          MINITEN_UNROLL(4)
          for (int t = 0; t < 4; ++t) acc[t] += widen(at + t * kLanes, p.is_signed);
        }
    };
    int64_t c = 0;
    for (; c + kWide <= s.channels; c += kWide) {
      I acc[4] = {start, start, start, start};
      sum(c, acc);
      V f[4];
      MINITEN_UNROLL(4)
      for (int t = 0; t < 4; ++t) f[t] = to_float(acc[t]) * multiplier;
      store_as<W>(to + c, round.four(f));
    }
    for (; c < s.channels; c += kLanes) {
      const int64_t n = s.channels - c < kLanes ? s.channels - c : (int64_t)kLanes;
      I acc = start;
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < cols; ++j) acc += load_bytes(from + i * row + j * col + c, n, p.is_signed);
      store_bytes(to + c, round.one(to_float(acc) * multiplier), n);
    }
  });
}

void qmax_pool(const PoolShape& s, const void* x, void* y, bool is_signed, int64_t row_begin, int64_t row_end) {
  if (row_begin >= row_end || s.in_h <= 0 || s.in_w <= 0) return;
  const uint8_t* end = static_cast<const uint8_t*>(x) + (s.in_h - 1) * s.x_row + (s.in_w - 1) * s.x_col + s.channels;
  const W flip = (W)set_i(is_signed ? (int32_t)0x80808080 : 0);   // signed bytes in the order of unsigned ones
  for_windows(s, x, y, row_begin, row_end, [&](const uint8_t* from, const Reach& h, const Reach& w, uint8_t* to) {
    for (int64_t c = 0; c < s.channels; c += kWide) {
      const int64_t n = s.channels - c < kWide ? s.channels - c : (int64_t)kWide;
      W best = {};
      for (int64_t i = 0; i < h.last - h.first; ++i)
        for (int64_t j = 0; j < w.last - w.first; ++j) {
          const W v = load_wide(from + i * s.dilation_h * s.x_row + j * s.dilation_w * s.x_col + c, n, end) ^ flip;
          best = v > best ? v : best;
        }
      store_wide(to + c, best ^ flip, n);
    }
  });
}

}  // namespace miniten::kernels::MINITEN_TARGET
