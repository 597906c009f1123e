#include "kernels/qpool.h"

#include "qkernel_test.h"

namespace miniten::kernels::testing {
namespace {

constexpr uint8_t kUntouched = 0x5a;

PoolShape random_shape(Random& random) {
  PoolShape s;
  s.channels = random.of({1, 3, 4, 5, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 130});
  s.in_h = random.in(1, 9), s.in_w = random.in(1, 9), s.kernel_h = random.in(1, 4), s.kernel_w = random.in(1, 4);
  s.stride_h = random.in(1, 3), s.stride_w = random.in(1, 3), s.dilation_h = random.in(1, 2), s.dilation_w = random.in(1, 2);
  s.pad_h = random.in(0, 2), s.pad_w = random.in(0, 2);
  if (random.coin()) s.pad_h_end = random.in(0, 3), s.pad_w_end = random.in(0, 3);
  s.out_h = random.in(1, 5), s.out_w = random.in(1, 5);      // windows may lie partly or wholly outside
  s.x_col = s.channels + random.in(0, 3), s.x_row = s.in_w * s.x_col;
  s.y_col = s.channels + random.in(0, 3), s.y_row = s.out_w * s.y_col;
  s.count_include_pad = random.coin();
  return s;
}

TEST(QpoolTest, EveryIsaEqualsWindowsTakenOneByOne) {
  for (uint32_t seed = 0; seed < 300 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const PoolShape s = random_shape(random);
    const int64_t end_h = s.in_h + (s.pad_h_end < 0 ? s.pad_h : s.pad_h_end), end_w = s.in_w + (s.pad_w_end < 0 ? s.pad_w : s.pad_w_end);
    Guarded<uint8_t> x((s.in_h - 1) * s.x_row + (s.in_w - 1) * s.x_col + s.channels, random.edge());
    random.fill(x, 0, 255);
    QPoolParams p;
    p.is_signed = random.coin();
    const int32_t least = p.is_signed ? -128 : 0;
    p.x_zero = static_cast<int32_t>(random.in(least, least + 255)), p.y_zero = static_cast<int32_t>(random.in(least, least + 255));
    p.x_scale = random.coin() ? 0.5f : 0.013f, p.y_scale = random.coin() ? 0.25f : 0.011f;
    const int64_t begin = random.in(0, s.out_h - 1), outputs = (s.out_h - 1) * s.y_row + (s.out_w - 1) * s.y_col + s.channels;
    std::vector<uint8_t> mean(static_cast<size_t>(outputs), kUntouched), greatest = mean;
    for (int64_t i = begin; i < s.out_h; ++i)
      for (int64_t j = 0; j < s.out_w; ++j)
        for (int64_t c = 0; c < s.channels; ++c) {
          int64_t sum = 0, inside = 0, counted = 0;
          int best = least;
          for (int64_t u = 0; u < s.kernel_h; ++u)
            for (int64_t v = 0; v < s.kernel_w; ++v) {
              const int64_t h = i * s.stride_h - s.pad_h + u * s.dilation_h, w = j * s.stride_w - s.pad_w + v * s.dilation_w;
              counted += h < end_h && w < end_w;
              if (h < 0 || h >= s.in_h || w < 0 || w >= s.in_w) continue;
              const int value = stored(x[h * s.x_row + w * s.x_col + c], p.is_signed);
              ++inside, sum += value - p.x_zero, best = std::max(best, value);
            }
          const int64_t count = s.count_include_pad ? counted : inside, at = i * s.y_row + j * s.y_col + c;
          const float multiplier = p.x_scale / p.y_scale / static_cast<float>(count);
          mean[at] = static_cast<uint8_t>(count ? requantized(sum, multiplier, p.y_zero, least, least + 255) : p.y_zero);
          greatest[at] = static_cast<uint8_t>(best);
        }
    Guarded<uint8_t> y(outputs, random.edge());
    on_every_isa([&] {
      std::fill_n(y.data(), outputs, kUntouched);
      qavg_pool(s, x.data(), y.data(), p, begin, s.out_h);
      ASSERT_EQ(y.values(), mean);
      std::fill_n(y.data(), outputs, kUntouched);
      qmax_pool(s, x.data(), y.data(), p.is_signed, begin, s.out_h);
      ASSERT_EQ(y.values(), greatest);
    });
  }
}

// 256 * 256 values of 255: past 16 and 24 bits.
TEST(QpoolTest, WholeImage) {
  constexpr int64_t size = 256, channels = 20;
  PoolShape s{.channels = channels, .in_h = size, .in_w = size, .out_h = 1, .out_w = 1, .kernel_h = size, .kernel_w = size,
              .x_row = size * channels, .x_col = channels, .y_row = channels, .y_col = channels};
  Guarded<uint8_t> x(size * size * channels), y(channels);
  std::fill_n(x.data(), x.size(), uint8_t{255});
  on_every_isa([&] {
    qavg_pool(s, x.data(), y.data(), {.x_scale = 1, .y_scale = 2, .x_zero = 0, .y_zero = 10, .is_signed = false}, 0, 1);
    ASSERT_EQ(y.values(), std::vector<uint8_t>(channels, 138));              // 127.5 + 10, half to even
    qavg_pool(s, x.data(), y.data(), {.x_scale = 1, .y_scale = 2, .x_zero = 127, .y_zero = 10, .is_signed = true}, 0, 1);
    ASSERT_EQ(y.values(), std::vector<uint8_t>(channels, static_cast<uint8_t>(-54)));  // -64 + 10
  });
}

}  // namespace
}  // namespace miniten::kernels::testing
