#include "kernels/qsimd16-inl.h"
#include "kernels/qtable.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

// Channels [c, c + n) of one output pixel.
template <int Planes>
MINITEN_INLINE void sum_up(const QDepthwiseShape& s, const int16_t* x, const int16_t* w, int64_t n, Wide& total) {
  I acc[Planes] = {};
  int64_t room = kFlush;
  for (int64_t u = 0; u < s.kernel_h; ++u)
    for (int64_t v = 0; v < s.kernel_w; ++v, w += s.channels) {
      const I value = load_words(x + u * s.dilation_h * s.x_row + v * s.dilation_w * s.x_col, n), weight = load_words(w, n);
      if constexpr (Planes == 1) acc[0] = add(acc[0], value * weight);
      else {
        const I high = (weight + 128) >> 8;
        acc[0] = add(acc[0], value * high);
        acc[1] = add(acc[1], value * (weight - high * 256));
      }
      if (--room) continue;
      flush<Planes>(total, acc);
      for (I& a : acc) a = I{};
      room = kFlush;
    }
  flush<Planes>(total, acc);
}
template <int Planes, class Start, class Leave>
void run(const QDepthwiseShape& s, const int16_t* x, const int16_t* w, Start start, Leave leave) {
  for (int64_t c = 0; c < s.channels; c += kLanes) {
    const int64_t n = s.channels - c < kLanes ? s.channels - c : (int64_t)kLanes;
    const Wide first = start(c, n);
    for (int64_t p = 0; p < s.out_h; ++p)
      for (int64_t q = 0; q < s.out_w; ++q) {
        Wide total = first;
        sum_up<Planes>(s, x + p * s.stride_h * s.x_row + q * s.stride_w * s.x_col + c, w + c, n, total);
        leave(total, p * s.y_row + q * s.y_col + c, c, n);
      }
  }
}

}  // namespace

void qdepthwise16(const QDepthwiseShape& s, const int16_t* x, const int16_t* w, bool narrow, int16_t* y, const Q16Epilogue& e) {
  const WideRounding round(e.y_zero, e.lo, e.hi);
  const auto start = [&](int64_t c, int64_t n) { return e.bias ? load_wide_ints(e.bias + c, n) : Wide::zero(); };
  const auto leave = [&](const Wide& total, int64_t at, int64_t c, int64_t n) {
    store_words(y + at, round(to_float(total) * load_n(e.multiplier + c, n)), n);
  };
  narrow ? run<1>(s, x, w, start, leave) : run<2>(s, x, w, start, leave);
}
void qdepthwise16_f32(const QDepthwiseShape& s, const int16_t* x, const int16_t* w, bool narrow, float* y, const Q16EpilogueF32& e) {
  const auto start = [](int64_t, int64_t) { return Wide::zero(); };
  const auto leave = [&](const Wide& total, int64_t at, int64_t c, int64_t n) {
    V v = to_float(total) * load_n(e.multiplier + c, n);
    v = v + (e.bias ? load_n(e.bias + c, n) : V{});
    store_n(y + at, clamp(v, set(e.lo), set(e.hi)), n);
  };
  narrow ? run<1>(s, x, w, start, leave) : run<2>(s, x, w, start, leave);
}

}  // namespace miniten::kernels::MINITEN_TARGET
