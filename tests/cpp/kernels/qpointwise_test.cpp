#include "kernels/qpointwise.h"

#include "qkernel_test.h"

namespace miniten::kernels::testing {
namespace {

std::vector<float> awkward_floats(Random& random, int64_t n, float scale) {
  static const float special[] = {0.0f, -0.0f, 1e-40f, -1e-40f, 3.4e38f, -3.4e38f, kInf, -kInf, kNaN, -kNaN, 2147483648.0f, -2147483904.0f};
  std::vector<float> values(static_cast<size_t>(n));
  for (float& v : values)
    switch (random.in(0, 3)) {
      case 0: v = special[random.in(0, 11)]; break;
      case 1: v = static_cast<float>(random.in(-600, 600)) * 0.5f * scale; break;      // near ties
      default: v = static_cast<float>(random.in(-40000, 40000)) / 100 * scale;
    }
  return values;
}

constexpr int64_t kSizes[] = {0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 130, 257};

TEST(QpointwiseTest, QuantizesByTrueDivisionAndBack) {
  Random random(1);
  for (const int64_t n : kSizes)
    for (const float scale : {0.1f, 1.0f, 0.0078125f, 1e-38f, 12.5f})
      for (const bool is_signed : {false, true}) {
        const int32_t least = is_signed ? -128 : 0, zero = static_cast<int32_t>(random.in(least, least + 255));
        const int32_t lo = random.coin() ? zero : least, hi = least + 255;
        Guarded<float> x(awkward_floats(random, n, scale), random.edge());
        std::vector<uint8_t> want(static_cast<size_t>(n));
        std::vector<float> back(static_cast<size_t>(n));
        for (int64_t i = 0; i < n; ++i) {
          const float ratio = x[i] / scale;
          const int q = std::isnan(x[i]) ? zero : std::isinf(ratio) ? (ratio < 0 ? lo : hi) : rounded(ratio, zero, lo, hi);
          want[i] = static_cast<uint8_t>(q);
          back[i] = static_cast<float>(q - zero) * scale;
        }
        Guarded<uint8_t> q(n, random.edge());
        Guarded<float> y(n, random.edge());
        on_every_isa([&] {
          quantize(x.data(), q.data(), n, scale, zero, lo, hi);
          ASSERT_EQ(q.values(), want) << "scale " << scale << " zero " << zero;
          dequantize(q.data(), y.data(), n, scale, zero, is_signed);
          ASSERT_TRUE(same_bits(y.values(), back));
        });
      }
}

TEST(QpointwiseTest, RequantizesEveryByte) {
  Random random(2);
  for (const int64_t n : {1, 15, 33, 64, 256, 300})
    for (int repeat = 0; repeat < 20; ++repeat) {
      QRequantizeParams p;
      p.x_signed = random.coin();
      p.x_zero = static_cast<int32_t>(p.x_signed ? random.in(-128, 127) : random.in(0, 255));
      const int32_t least = random.coin() ? -128 : 0;
      p.y_zero = static_cast<int32_t>(random.in(least, least + 255)), p.lo = random.coin() ? p.y_zero : least, p.hi = least + 255;
      const float spread = std::ldexp(static_cast<float>(random.in(1, 1000)), static_cast<int>(random.in(-14, -4)));
      p.multiplier = repeat == 0 ? 0.5f : repeat == 1 ? 3.4e38f : spread;
      Guarded<uint8_t> x(n, random.edge()), y(n, random.edge());
      std::vector<uint8_t> want(static_cast<size_t>(n));
      for (int64_t i = 0; i < n; ++i) {
        x[i] = static_cast<uint8_t>(i * 37);
        want[i] = static_cast<uint8_t>(requantized(stored(x[i], p.x_signed) - p.x_zero, p.multiplier, p.y_zero, p.lo, p.hi));
      }
      on_every_isa([&] {
        requantize(x.data(), y.data(), n, p);
        ASSERT_EQ(y.values(), want);
      });
    }
}

TEST(QpointwiseTest, AddsEveryPairOfBytes) {
  Random random(3);
  constexpr int64_t n = 65536 + 5;
  Guarded<uint8_t> a(n), b(n), y(n);
  for (int64_t i = 0; i < n; ++i) a[i] = static_cast<uint8_t>(i), b[i] = static_cast<uint8_t>(i >> 8);
  // The usual; halves and what rounds beside them; sums far beyond a byte; differences; subnormal scales.
  constexpr float kScales[][3] = {{0.03f, 0.11f, 0.07f}, {0.5f, 0.5f, 1}, {0.3f, 0.1f, 0.2f}, {3, 2, 0.5f}, {0.03f, -0.03f, 0.02f}, {1e-39f, 2e-39f, 1.5e-39f}};
  for (const auto& [a_scale, b_scale, y_scale] : kScales)
    for (const bool is_signed : {false, true}) {
      const int32_t least = is_signed ? -128 : 0;
      QAddParams p{.a_scale = a_scale, .b_scale = b_scale, .y_scale = y_scale, .is_signed = is_signed};
      p.a_zero = static_cast<int32_t>(random.in(least, least + 255)), p.b_zero = static_cast<int32_t>(random.in(least, least + 255));
      p.y_zero = static_cast<int32_t>(random.in(least, least + 255)), p.lo = p.y_zero, p.hi = least + 255;
      std::vector<uint8_t> want(n);
      for (int64_t i = 0; i < n; ++i) {
        const float left = static_cast<float>(stored(a[i], is_signed) - p.a_zero) * p.a_scale;
        const float right = static_cast<float>(stored(b[i], is_signed) - p.b_zero) * p.b_scale;
        const float sum = left + right;
        want[i] = static_cast<uint8_t>(rounded(sum / p.y_scale, p.y_zero, p.lo, p.hi));
      }
      on_every_isa([&] {
        qadd(a.data(), b.data(), y.data(), n, p);
        ASSERT_EQ(y.values(), want) << a_scale << " " << b_scale << " " << y_scale;
      });
    }
}

TEST(QpointwiseTest, FindsTheRangeOfWhatIsFinite) {
  Random random(4);
  on_every_isa([&] {
    for (const int64_t n : kSizes)
      for (const int64_t spoiled : {-1, 0, 5, 40, 128}) {
        Guarded<float> x(random_floats(n, static_cast<uint32_t>(n + 7), -3, 2), random.edge());
        float least = kInf, greatest = -kInf, lo = 0, hi = 0;
        if (spoiled >= 0 && spoiled < n) x[spoiled] = spoiled == 0 ? kNaN : spoiled == 5 ? kInf : spoiled == 40 ? -kInf : -kNaN;
        for (const float v : x.values())
          if (std::isfinite(v)) least = std::min(least, v), greatest = std::max(greatest, v);
        ASSERT_EQ(minmax(x.data(), n, lo, hi), spoiled < 0 || spoiled >= n) << n << " " << spoiled;
        ASSERT_EQ(lo, least);
        ASSERT_EQ(hi, greatest);
      }
  });
}

TEST(QpointwiseTest, LooksBytesUp) {
  uint8_t table[256];
  for (int i = 0; i < 256; ++i) table[i] = static_cast<uint8_t>(i * 7 + 3);
  Guarded<uint8_t> x(259), y(259);
  for (int64_t i = 0; i < 259; ++i) x[i] = static_cast<uint8_t>(i);
  table_lookup(x.data(), table, y.data(), 259);
  for (int64_t i = 0; i < 259; ++i) ASSERT_EQ(y[i], table[i % 256]);
}

}  // namespace
}  // namespace miniten::kernels::testing
