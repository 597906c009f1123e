#include "kernels/qdepthwise.h"

#include "qkernel_test.h"

namespace miniten::kernels::testing {
namespace {

constexpr uint8_t kUntouched = 0x5a;

void check_on_every_isa(Random& random, const QDepthwiseShape& s, bool extremes = false) {
  const int64_t taps = s.kernel_h * s.kernel_w;
  const int64_t last_row = s.in_h ? s.in_h - 1 : (s.out_h - 1) * s.stride_h + (s.kernel_h - 1) * s.dilation_h;
  const int64_t last_col = s.in_h ? s.in_w - 1 : (s.out_w - 1) * s.stride_w + (s.kernel_w - 1) * s.dilation_w;
  Guarded<uint8_t> x(last_row * s.x_row + last_col * s.x_col + s.channels, random.edge());
  const int64_t outputs = (s.out_h - 1) * s.y_row + (s.out_w - 1) * s.y_col + s.channels;
  Guarded<int8_t> w(taps * s.channels, random.edge());
  Guarded<int32_t> bias(s.channels, random.edge());
  Guarded<float> multiplier(s.channels, random.edge()), bias_f(s.channels, random.edge());
  random.fill(x, 0, 255);
  random.fill(w, -127, 127);
  random.fill(bias, -9000, 9000);
  if (extremes) {
    std::fill_n(x.data(), x.size(), uint8_t{255});
    std::fill_n(w.data(), w.size(), int8_t{random.coin() ? int8_t{127} : int8_t{-127}});
  }
  for (int64_t c = 0; c < s.channels; ++c) {
    multiplier[c] = std::ldexp(1.0f + static_cast<float>(random.in(0, 999)) / 1000, static_cast<int>(random.in(-6, 3))) / 300;
    bias_f[c] = static_cast<float>(random.in(-100, 100)) / 7;
  }
  QEpilogue e;
  e.x_signed = !extremes && random.coin();
  e.x_zero = extremes ? 0 : static_cast<int32_t>(e.x_signed ? random.in(-128, 127) : random.in(0, 255));
  const int32_t least = random.coin() ? -128 : 0;
  e.y_zero = static_cast<int32_t>(random.in(least, least + 255));
  e.lo = random.coin() ? e.y_zero : least, e.hi = least + 255;
  e.bias = random.in(0, 3) ? bias.data() : nullptr;
  e.multiplier = multiplier.data();
  const bool with_bias = random.coin();
  const float scale = random.coin() ? 1.0f : 0.37f;

  std::vector<uint8_t> want(static_cast<size_t>(outputs), kUntouched);
  std::vector<float> want_f(static_cast<size_t>(outputs), -77.0f);
  for (int64_t p = 0; p < s.out_h; ++p)
    for (int64_t q = 0; q < s.out_w; ++q)
      for (int64_t c = 0; c < s.channels; ++c) {
        int64_t acc = 0;
        for (int64_t u = 0; u < s.kernel_h; ++u)
          for (int64_t v = 0; v < s.kernel_w; ++v) {
            const int64_t row = p * s.stride_h + u * s.dilation_h - s.top, col = q * s.stride_w + v * s.dilation_w - s.left;
            if (s.in_h && (row < 0 || s.in_h <= row || col < 0 || s.in_w <= col)) continue;
            const uint8_t byte = x[row * s.x_row + col * s.x_col + c];
            acc += (stored(byte, e.x_signed) - e.x_zero) * int64_t{w[(u * s.kernel_w + v) * s.channels + c]};
          }
        const int64_t at = p * s.y_row + q * s.y_col + c;
        want[at] = static_cast<uint8_t>(requantized(acc + (e.bias ? bias[c] : 0), multiplier[c], e.y_zero, e.lo, e.hi));
        const float product = static_cast<float>(static_cast<int32_t>(acc)) * (multiplier[c] * scale);
        want_f[at] = std::clamp(product + (with_bias ? bias_f[c] : 0.0f), -20.0f, 60.0f);
      }
  Guarded<uint8_t> y(outputs, random.edge());
  Guarded<float> f(outputs, random.edge());
  on_every_isa([&] {
    std::fill_n(y.data(), outputs, kUntouched);
    std::fill_n(f.data(), outputs, -77.0f);
    qdepthwise(s, x.data(), w.data(), y.data(), e);
    qdepthwise_f32(s, x.data(), w.data(), f.data(),
                   {.bias = with_bias ? bias_f.data() : nullptr, .multiplier = multiplier.data(), .scale = scale, .x_zero = e.x_zero,
                    .x_signed = e.x_signed, .lo = -20, .hi = 60});
    ASSERT_EQ(y.values(), want);
    ASSERT_EQ(f.values(), want_f);
  });
}

// x_gap, y_gap: channels of other tensors between pixels.
QDepthwiseShape shape_of(int64_t channels, int64_t out_h, int64_t out_w, int64_t kernel_h, int64_t kernel_w, int64_t stride_h,
                         int64_t stride_w, int64_t dilation_h, int64_t dilation_w, int64_t x_gap = 0, int64_t y_gap = 0) {
  QDepthwiseShape s;
  s.channels = channels, s.out_h = out_h, s.out_w = out_w, s.kernel_h = kernel_h, s.kernel_w = kernel_w;
  s.stride_h = stride_h, s.stride_w = stride_w, s.dilation_h = dilation_h, s.dilation_w = dilation_w;
  s.x_col = channels + x_gap, s.y_col = channels + y_gap;
  s.x_row = ((out_w - 1) * stride_w + (kernel_w - 1) * dilation_w + 1) * s.x_col + x_gap;
  s.y_row = out_w * s.y_col + y_gap;
  return s;
}

TEST(QdepthwiseTest, EveryIsaEqualsSumsIn64Bits) {
  for (uint32_t seed = 0; seed < 300 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const bool spaced = random.in(0, 2) == 0;
    check_on_every_isa(random, shape_of(random.of({1, 2, 3, 4, 5, 7, 8, 12, 15, 16, 17, 20, 24, 31, 32, 33, 40, 48, 63, 64, 65, 72, 96, 130}),
                                        random.in(1, 5), random.in(1, 14), random.in(1, 7), random.in(1, 7), random.in(1, 3),
                                        random.in(1, 3), random.in(1, 3), random.in(1, 3), spaced ? random.in(0, 13) : 0,
                                        spaced ? random.in(0, 13) : 0));
  }
}

TEST(QdepthwiseTest, TakesTapsOutsideForTheZeroPoint) {
  for (uint32_t seed = 0; seed < 400 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const bool spaced = random.in(0, 2) == 0;
    QDepthwiseShape s = shape_of(random.of({1, 2, 3, 5, 8, 15, 16, 17, 24, 32, 33, 48, 64, 65, 96, 130}), random.in(1, 6), random.in(1, 40), random.in(1, 7), random.in(1, 7), random.in(1, 3),
                                 random.in(1, 3), random.in(1, 3), random.in(1, 3), 0, spaced ? random.in(0, 13) : 0);
    s.in_h = random.in(1, 9), s.in_w = random.in(1, 50);
    s.top = random.in(-3, 5), s.left = random.in(0, 6);
    s.x_col = s.channels + (spaced ? random.in(0, 13) : 0), s.x_row = s.in_w * s.x_col + random.in(0, 9);
    check_on_every_isa(random, s);
  }
  Random random(5);
  QDepthwiseShape far = shape_of(19, 2, 3, 15, 15, 1, 1, 1, 1);  // one pixel at a time
  far.in_h = 5, far.in_w = 4, far.top = 6, far.left = 7, far.x_row = 4 * far.x_col;
  check_on_every_isa(random, far);
}

TEST(QdepthwiseTest, EveryNumberOfChannels) {
  Random random(1);
  for (int64_t channels = 1; channels <= 80; ++channels)
    for (const int64_t stride : {1, 2}) check_on_every_isa(random, shape_of(channels, 3, 5, 3, 3, stride, stride, 1, 1));
}

TEST(QdepthwiseTest, RowsLongerThanABuffer) {
  Random random(2);
  check_on_every_isa(random, shape_of(64, 3, 71, 3, 3, 1, 1, 1, 1));
  check_on_every_isa(random, shape_of(8, 3, 600, 5, 5, 1, 1, 1, 1));
  check_on_every_isa(random, shape_of(5, 2, 700, 3, 3, 2, 2, 1, 1));
}

TEST(QdepthwiseTest, KernelsLargerThanTheBuffers) {
  Random random(3);
  check_on_every_isa(random, shape_of(19, 2, 3, 15, 15, 1, 1, 1, 1));
  check_on_every_isa(random, shape_of(3, 1, 2, 1, 70, 1, 1, 1, 1));
  check_on_every_isa(random, shape_of(40, 2, 2, 3, 3, 1, 1, 20, 40));
  check_on_every_isa(random, shape_of(9, 1, 1, 40, 1, 1, 1, 1, 1));
}

TEST(QdepthwiseTest, ExtremesDoNotSaturateInPairs) {
  Random random(4);
  for (const int64_t kernel : {2, 3, 4, 8}) check_on_every_isa(random, shape_of(33, 3, 4, kernel, kernel, 1, 1, 1, 1), true);
}

TEST(QdepthwiseTest, NothingToWrite) {
  on_every_isa([] { qdepthwise({.channels = 4, .out_h = 0, .out_w = 3}, nullptr, nullptr, nullptr, {}); });
}

}  // namespace
}  // namespace miniten::kernels::testing
