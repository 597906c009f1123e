#include "kernels/qsimd-inl.h"
#include "kernels/qtable.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

// Sums for RX neighbouring pixels and kLanes channels. A product of a byte less its zero point and a weight of at most
// 127 fits 16 bits: 255 * 127 < 2^15.
template <int RX>
MINITEN_INLINE void accumulate(const QDepthwiseShape& s, const uint8_t* x, const int8_t* w, int64_t n, S zero, bool is_signed, I (&acc)[RX]) {
  for (int64_t u = 0; u < s.kernel_h; ++u)
    for (int64_t v = 0; v < s.kernel_w; ++v) {
      const S weight = load_bytes(w + (u * s.kernel_w + v) * s.channels, n, true);
      const uint8_t* from = x + u * s.dilation_h * s.x_row + v * s.dilation_w * s.x_col;
      MINITEN_UNROLL(4)
      for (int i = 0; i < RX; ++i) {
        const S value = load_bytes(from + i * s.stride_w * s.x_col, n, is_signed) - zero;
        acc[i] += __builtin_convertvector(value * weight, I);
      }
    }
}

template <int RX, class Finish>
MINITEN_INLINE void pixels(const QDepthwiseShape& s, const uint8_t* x, const int8_t* w, int64_t n, S zero, bool is_signed, I start,
                           const Finish& finish, int64_t row, int64_t& col, int64_t c) {
  for (; col + RX <= s.out_w; col += RX) {
    I acc[RX];
    for (int i = 0; i < RX; ++i) acc[i] = start;
    accumulate<RX>(s, x + row * s.stride_h * s.x_row + col * s.stride_w * s.x_col + c, w + c, n, zero, is_signed, acc);
    for (int i = 0; i < RX; ++i) finish(acc[i], row, col + i, c, n);
  }
}

template <class Finish>
void run(const QDepthwiseShape& s, const void* data, const int8_t* w, const int32_t* bias, int32_t x_zero, bool is_signed, const Finish& finish) {
  const auto* x = static_cast<const uint8_t*>(data);
  const S zero = S{} + (int16_t)x_zero;
  for (int64_t row = 0; row < s.out_h; ++row)
    for (int64_t c = 0; c < s.channels; c += kLanes) {
      const int64_t n = s.channels - c;
      const I start = bias ? load_ints(bias + c, n) : I{};
      int64_t col = 0;
      if (kLanes <= n) {
        pixels<4>(s, x, w, kLanes, zero, is_signed, start, finish, row, col, c);
        pixels<1>(s, x, w, kLanes, zero, is_signed, start, finish, row, col, c);
      } else pixels<1>(s, x, w, n, zero, is_signed, start, finish, row, col, c);
    }
}

}  // namespace

void qdepthwise(const QDepthwiseShape& s, const void* x, const int8_t* w, void* y, const QEpilogue& e) {
  const V lo = bound(e.lo, e.y_zero), hi = bound(e.hi, e.y_zero);
  const I zero = set_i(e.y_zero);
  auto* to = static_cast<uint8_t*>(y);
  run(s, x, w, e.bias, e.x_zero, e.x_signed, [&](I acc, int64_t row, int64_t col, int64_t c, int64_t n) {
    store_bytes(to + row * s.y_row + col * s.y_col + c, requantize(to_float(acc) * load_n(e.multiplier + c, n), zero, lo, hi), n);
  });
}
void qdepthwise_f32(const QDepthwiseShape& s, const void* x, const int8_t* w, float* y, const QEpilogueF32& e) {
  const V lo = set(e.lo), hi = set(e.hi);
  run(s, x, w, nullptr, e.x_zero, e.x_signed, [&](I acc, int64_t row, int64_t col, int64_t c, int64_t n) {
    V v = to_float(acc) * load_n(e.multiplier + c, n);
    v = v + (e.bias ? load_n(e.bias + c, n) : V{});
    store_n(y + row * s.y_row + col * s.y_col + c, clamp(v, lo, hi), n);
  });
}

}  // namespace miniten::kernels::MINITEN_TARGET
