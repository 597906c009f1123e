#include "kernels/qgemm16.h"

#include "kernels/qdepthwise16.h"
#include "kernels/qpointwise16.h"
#include "qkernel_test.h"

namespace miniten::kernels::testing {
namespace {

constexpr int16_t kUntouched = 0x5a5a;

// As qgemm16.h says it: the sum to the nearest float, one multiply, half to even.
int wanted(int64_t acc, float multiplier, int32_t zero, int32_t lo, int32_t hi) {
  return rounded(static_cast<float>(acc) * multiplier, zero, lo, hi);
}
void fill_words(Random& random, Guarded<int16_t>& values, int lo, int hi) { random.fill(values, lo, hi); }

struct Epilogues {
  std::vector<int64_t> bias;
  std::vector<float> multiplier, bias_f;
  Q16Epilogue e;
  Q16EpilogueF32 f;
  Epilogues(Random& random, int64_t n, int64_t terms, bool narrow) {
    const double spread = std::sqrt(static_cast<double>(std::max<int64_t>(terms, 1))) * (narrow ? 60.0 : 15000.0);
    for (int64_t j = 0; j < n; ++j) {
      bias.push_back(random.in(0, 3) ? random.in(-1000000, 1000000) : random.of({-(int64_t{1} << 50), int64_t{1} << 50, 0}));
      multiplier.push_back(static_cast<float>((1.0 + static_cast<double>(random.in(0, 999)) / 1000) * std::ldexp(1.0, static_cast<int>(random.in(-3, 3))) / spread));
      bias_f.push_back(static_cast<float>(random.in(-100, 100)) / 7);
    }
    e.bytes = random.in(0, 3) == 0;
    const int32_t least = e.bytes ? (random.coin() ? -128 : 0) : -32768, width = e.bytes ? 255 : 65535;
    e.bias = random.coin() ? bias.data() : nullptr;
    e.multiplier = multiplier.data();
    e.y_zero = e.bytes ? static_cast<int32_t>(random.in(least, least + width)) : 0;
    e.lo = random.coin() ? e.y_zero : least;
    e.hi = random.coin() ? least + width : static_cast<int32_t>(random.in(e.lo, least + width));
    f = {.bias = random.coin() ? bias_f.data() : nullptr, .multiplier = multiplier.data(), .lo = random.coin() ? -50.0f : -kInf, .hi = random.coin() ? 90.0f : kInf};
  }
};

void check_gemm(Random& random, const QGemmShape& s, bool narrow) {
  const int64_t segments = s.outer * s.inner, outputs = (s.rows - 1) * s.c_row + (s.cols - 1) * s.c_col + s.n;
  Guarded<int16_t> a((s.rows - 1) * s.a_row + (s.cols - 1) * s.a_col + (s.outer - 1) * s.outer_stride + (s.inner - 1) * s.inner_stride + s.segment, random.edge());
  Guarded<int16_t> w(segments * s.segment * s.n);
  Guarded<std::byte> packed(static_cast<int64_t>(qgemm16_packed_bytes(segments, s.segment, s.n, narrow)));
  fill_words(random, a, -32768, 32767);
  fill_words(random, w, narrow ? -255 : -32767, narrow ? 255 : 32767);
  ASSERT_EQ(qgemm16_is_narrow(w.data(), w.size()), narrow || w.size() == 0);
  qgemm16_pack(w.data(), segments, s.segment, s.n, s.segment * s.n, s.n, 1, narrow, packed.data());
  Epilogues ends(random, s.n, segments * s.segment, narrow);
  if (ends.e.bytes) ends.e.bias = nullptr;
  std::vector<int16_t> want(static_cast<size_t>(outputs), kUntouched);
  std::vector<uint8_t> want_bytes(static_cast<size_t>(outputs), 0x5a);
  std::vector<float> want_f(static_cast<size_t>(outputs), -77.0f);
  for (int64_t r = 0; r < s.rows; ++r)
    for (int64_t q = 0; q < s.cols; ++q)
      for (int64_t j = 0; j < s.n; ++j) {
        int64_t acc = 0;
        for (int64_t o = 0; o < s.outer; ++o)
          for (int64_t i = 0; i < s.inner; ++i)
            for (int64_t k = 0; k < s.segment; ++k)
              acc += int64_t{a[r * s.a_row + q * s.a_col + o * s.outer_stride + i * s.inner_stride + k]} * w[((o * s.inner + i) * s.segment + k) * s.n + j];
        const auto at = static_cast<size_t>(r * s.c_row + q * s.c_col + j);
        const int y = wanted(acc + (ends.e.bias ? ends.bias[static_cast<size_t>(j)] : 0), ends.multiplier[static_cast<size_t>(j)], ends.e.y_zero, ends.e.lo, ends.e.hi);
        want[at] = static_cast<int16_t>(y);
        want_bytes[at] = static_cast<uint8_t>(y);
        want_f[at] = std::clamp(static_cast<float>(acc) * ends.multiplier[static_cast<size_t>(j)] + (ends.f.bias ? ends.bias_f[static_cast<size_t>(j)] : 0.0f), ends.f.lo, ends.f.hi);
      }
  Guarded<int16_t> c(outputs, random.edge());
  Guarded<uint8_t> bytes(outputs, random.edge());
  Guarded<float> f(outputs, random.edge());
  on_every_isa([&] {
    std::fill_n(c.data(), outputs, kUntouched);
    std::fill_n(bytes.data(), outputs, uint8_t{0x5a});
    std::fill_n(f.data(), outputs, -77.0f);
    qgemm16(s, a.data(), packed.data(), narrow, ends.e.bytes ? static_cast<void*>(bytes.data()) : c.data(), ends.e);
    qgemm16_f32(s, a.data(), packed.data(), narrow, f.data(), ends.f);
    if (ends.e.bytes) ASSERT_EQ(bytes.values(), want_bytes);
    else ASSERT_EQ(c.values(), want);
    ASSERT_EQ(f.values(), want_f);
  });
}

QGemmShape random_shape(Random& random) {
  QGemmShape s;
  s.rows = random.in(1, 3), s.cols = random.in(1, 11);
  s.n = random.of({1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 47, 64});
  s.outer = random.in(1, 3), s.inner = random.in(1, 3), s.segment = random.of({0, 1, 2, 3, 4, 5, 8, 13, 130, 257});
  s.inner_stride = s.segment + random.in(0, 3);
  s.outer_stride = s.inner_stride * s.inner + random.in(0, 5);
  s.a_col = random.coin() ? random.in(1, 9) : s.outer_stride * s.outer;
  s.a_row = s.a_col * s.cols + random.in(0, 2);
  s.c_col = s.n + random.in(0, 2);
  s.c_row = s.c_col * s.cols + random.in(0, 2);
  return s;
}

TEST(Qgemm16Test, EveryIsaEqualsSumsIn64Bits) {
  for (uint32_t seed = 0; seed < 300 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    check_gemm(random, random_shape(random), false);
    check_gemm(random, random_shape(random), true);
  }
}

// Terms that are all as large as can be, at the lengths where 32-bit sums are emptied.
TEST(Qgemm16Test, GreatestTerms) {
  for (const bool narrow : {false, true})
    for (const int64_t depth : {255, 256, 257, 258, 5000})
      for (const int x : {-32768, 32767})
        for (const int sign : {-1, 1}) {
          const int top = sign * (narrow ? 255 : 32767);
          std::vector<int16_t> a(static_cast<size_t>(depth), static_cast<int16_t>(x)), w(static_cast<size_t>(depth * 3), static_cast<int16_t>(top));
          std::vector<std::byte> packed(qgemm16_packed_bytes(1, depth, 3, narrow));
          qgemm16_pack(w.data(), 1, depth, 3, 0, 3, 1, narrow, packed.data());
          const float multiplier[3] = {1.0f / 65536, 1e-3f, 1e-9f};
          const int64_t bias[3] = {int64_t{1} << 51, -(int64_t{1} << 51), 1};
          on_every_isa([&] {
            float f[3];
            int16_t c[3];
            qgemm16_f32({.n = 3, .c_col = 3, .segment = depth}, a.data(), packed.data(), narrow, f, {.multiplier = multiplier});
            qgemm16({.n = 3, .c_col = 3, .segment = depth}, a.data(), packed.data(), narrow, c, {.bias = bias, .multiplier = multiplier});
            for (int j = 0; j < 3; ++j) {
              const int64_t acc = depth * x * top;
              ASSERT_EQ(f[j], static_cast<float>(acc) * multiplier[j]);
              ASSERT_EQ(c[j], wanted(acc + bias[j], multiplier[j], 0, -32768, 32767));
            }
          });
        }
}

TEST(Qdepthwise16Test, EveryIsaEqualsSumsIn64Bits) {
  for (uint32_t seed = 0; seed < 150 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const bool narrow = random.coin();
    QDepthwiseShape s{.channels = random.of({1, 3, 4, 7, 8, 16, 17, 33}), .out_h = random.in(1, 3), .out_w = random.in(1, 5), .kernel_h = random.in(1, 4),
                      .kernel_w = random.in(1, 4), .stride_h = random.in(1, 2), .stride_w = random.in(1, 3), .dilation_h = random.in(1, 2), .dilation_w = random.in(1, 2)};
    if (seed % 10 == 0) s.kernel_h = 12, s.kernel_w = 13, s.out_w = 1;
    const int64_t width = (s.out_w - 1) * s.stride_w + (s.kernel_w - 1) * s.dilation_w + 1, height = (s.out_h - 1) * s.stride_h + (s.kernel_h - 1) * s.dilation_h + 1;
    s.x_col = s.channels, s.x_row = width * s.channels, s.y_col = s.channels, s.y_row = s.out_w * s.channels;
    Guarded<int16_t> x(height * s.x_row, random.edge()), w(s.kernel_h * s.kernel_w * s.channels, random.edge()), y(s.out_h * s.y_row, random.edge());
    Guarded<float> f(s.out_h * s.y_row, random.edge());
    fill_words(random, x, -32768, 32767);
    fill_words(random, w, narrow ? -255 : -32767, narrow ? 255 : 32767);
    Epilogues ends(random, s.channels, s.kernel_h * s.kernel_w, narrow);
    ends.e.bytes = false, ends.e.y_zero = 0, ends.e.lo = -32768, ends.e.hi = 30000;
    std::vector<int16_t> want;
    std::vector<float> want_f;
    for (int64_t p = 0; p < s.out_h; ++p)
      for (int64_t q = 0; q < s.out_w; ++q)
        for (int64_t c = 0; c < s.channels; ++c) {
          int64_t acc = 0;
          for (int64_t u = 0; u < s.kernel_h; ++u)
            for (int64_t v = 0; v < s.kernel_w; ++v)
              acc += int64_t{x[(p * s.stride_h + u * s.dilation_h) * s.x_row + (q * s.stride_w + v * s.dilation_w) * s.x_col + c]} * w[(u * s.kernel_w + v) * s.channels + c];
          const auto j = static_cast<size_t>(c);
          want.push_back(static_cast<int16_t>(wanted(acc + (ends.e.bias ? ends.bias[j] : 0), ends.multiplier[j], 0, -32768, 30000)));
          want_f.push_back(std::clamp(static_cast<float>(acc) * ends.multiplier[j] + (ends.f.bias ? ends.bias_f[j] : 0.0f), ends.f.lo, ends.f.hi));
        }
    on_every_isa([&] {
      qdepthwise16(s, x.data(), w.data(), narrow, y.data(), ends.e);
      qdepthwise16_f32(s, x.data(), w.data(), narrow, f.data(), ends.f);
      ASSERT_EQ(y.values(), want);
      ASSERT_EQ(f.values(), want_f);
    });
  }
}

TEST(Qpointwise16Test, EveryIsaEqualsScalarFormulas) {
  for (uint32_t seed = 0; seed < 100 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const int64_t n = random.in(0, 70);
    Guarded<int16_t> a(n, random.edge()), b(n, random.edge()), y(n, random.edge());
    Guarded<uint8_t> c(n, random.edge()), d(n, random.edge()), z(n, random.edge());
    Guarded<float> f(n, random.edge());
    fill_words(random, a, -32768, 32767);
    fill_words(random, b, -32768, 32767);
    random.fill(c, 0, 255);
    random.fill(d, 0, 255);
    const QAddParams add{.a_scale = 0.01f * static_cast<float>(random.in(1, 300)), .b_scale = -0.003f * static_cast<float>(random.in(1, 300)), .y_scale = 0.7f, .lo = -32768, .hi = 32767};
    const QMulParams mul16{.multiplier = 1e-5f * static_cast<float>(random.in(1, 300)), .lo = -32768, .hi = 32767};
    const bool is_signed = random.coin();
    const int32_t least = is_signed ? -128 : 0;
    const QMulParams mul{.multiplier = 1e-3f * static_cast<float>(random.in(1, 300)), .a_zero = static_cast<int32_t>(random.in(least, least + 255)),
                         .b_zero = static_cast<int32_t>(random.in(least, least + 255)), .y_zero = static_cast<int32_t>(random.in(least, least + 255)), .lo = least, .hi = least + 255, .is_signed = is_signed};
    const float scale = 0.001f * static_cast<float>(random.in(1, 500));
    std::vector<int16_t> sums, products, quantized;
    std::vector<uint8_t> small;
    std::vector<float> reals;
    for (int64_t i = 0; i < n; ++i) {
      sums.push_back(static_cast<int16_t>(rounded((static_cast<float>(a[i]) * add.a_scale + static_cast<float>(b[i]) * add.b_scale) / add.y_scale, 0, -32768, 32767)));
      products.push_back(static_cast<int16_t>(rounded(static_cast<float>(a[i] * b[i]) * mul16.multiplier, 0, -32768, 32767)));
      small.push_back(static_cast<uint8_t>(rounded(static_cast<float>((stored(c[i], is_signed) - mul.a_zero) * (stored(d[i], is_signed) - mul.b_zero)) * mul.multiplier, mul.y_zero, mul.lo, mul.hi)));
      reals.push_back(static_cast<float>(a[i] - 7) * scale);
    }
    for (float v : reals) quantized.push_back(static_cast<int16_t>(rounded(v / (3 * scale), 5, -32768, 32767)));
    on_every_isa([&] {
      qadd16(a.data(), b.data(), y.data(), n, add);
      ASSERT_EQ(y.values(), sums);
      qmul16(a.data(), b.data(), y.data(), n, mul16);
      ASSERT_EQ(y.values(), products);
      qmul(c.data(), d.data(), z.data(), n, mul);
      ASSERT_EQ(z.values(), small);
      dequantize16(a.data(), f.data(), n, scale, 7);
      ASSERT_EQ(f.values(), reals);
      quantize16(f.data(), y.data(), n, 3 * scale, 5);
      ASSERT_EQ(y.values(), quantized);
    });
  }
  float odd[4] = {kNaN, kInf, -kInf, 1e30f};
  on_every_isa([&] {
    int16_t q[4];
    quantize16(odd, q, 4, 0.5f, 3);
    EXPECT_EQ(std::vector<int16_t>(q, q + 4), (std::vector<int16_t>{3, 32767, -32768, 32767}));
  });
}

TEST(Qpointwise16Test, TableGivesItsPointsAndTheLinesBetween) {
  for (int shift : {0, 4, 7, 12}) {
    std::vector<int16_t> table;
    for (int64_t i = 0; i <= 65536 >> shift; ++i) table.push_back(static_cast<int16_t>(i % 2 ? 32767 : -32768));
    table.push_back(0);
    std::vector<int16_t> x, y(65536);
    for (int v = -32768; v <= 32767; ++v) x.push_back(static_cast<int16_t>(v));
    table_line16(x.data(), table.data(), shift, y.data(), 65536);
    for (int64_t u = 0; u < 65536; ++u) {
      const int64_t i = u >> shift, rest = u - (i << shift);
      const auto k = static_cast<size_t>(i);
      const double line = table[k] + static_cast<double>(table[k + 1] - table[k]) * static_cast<double>(rest) / static_cast<double>(1 << shift);
      ASSERT_EQ(y[static_cast<size_t>(u)], static_cast<int16_t>(std::floor(line + 0.5))) << u;
    }
  }
}

}  // namespace
}  // namespace miniten::kernels::testing
