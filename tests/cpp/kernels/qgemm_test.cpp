#include "kernels/qgemm.h"

#include "qkernel_test.h"

namespace miniten::kernels::testing {
namespace {

constexpr uint8_t kUntouched = 0x5a;

// One product with all its buffers, each as large as the contract says and next to a forbidden page.
struct Problem {
  QGemmShape shape;
  int64_t segments, w_segment, w_k, w_n, outputs;
  Guarded<uint8_t> a;
  Guarded<int8_t> w;
  Guarded<std::byte> packed;
  Guarded<int32_t> bias;
  Guarded<float> multiplier, bias_f;
  QEpilogue e;

  Problem(Random& random, const QGemmShape& s)
      : shape(s),
        segments(s.outer * s.inner),
        w_segment(s.segment * s.n),
        w_k(s.n),
        w_n(1),
        outputs((s.rows - 1) * s.c_row + (s.cols - 1) * s.c_col + s.n),
        a((s.rows - 1) * s.a_row + (s.cols - 1) * s.a_col + (s.outer - 1) * s.outer_stride + (s.inner - 1) * s.inner_stride +
              s.segment + (s.segment % 4 ? 3 : 0),
          random.edge()),
        w(segments * s.segment * s.n),
        packed(static_cast<int64_t>(qgemm_packed_bytes(segments, s.segment, s.n))),
        bias(s.n, random.edge()),
        multiplier(s.n, random.edge()),
        bias_f(s.n, random.edge()) {
    if (random.coin()) w_segment = s.segment, w_k = 1, w_n = segments * s.segment;
    e.x_signed = random.coin();
    e.x_zero = static_cast<int32_t>(e.x_signed ? random.in(-128, 127) : random.in(0, 255));
    const int32_t least = random.coin() ? -128 : 0;
    e.y_zero = static_cast<int32_t>(random.in(least, least + 255));
    e.lo = random.coin() ? e.y_zero : least;
    e.hi = random.coin() ? least + 255 : static_cast<int32_t>(random.in(e.lo, least + 255));
    random.fill(a, 0, 255);
    random.fill(w, -127, 127);
    random.fill(bias, -70000, 70000);
    const float spread = std::sqrt(static_cast<float>(std::max<int64_t>(1, segments * s.segment))) * 50;
    for (int64_t j = 0; j < s.n; ++j) {
      multiplier[j] = std::ldexp(1.0f + static_cast<float>(random.in(0, 999)) / 1000, static_cast<int>(random.in(-6, 3))) / spread;
      bias_f[j] = static_cast<float>(random.in(-100, 100)) / 7;
    }
    e.bias = random.in(0, 3) ? bias.data() : nullptr;
    e.multiplier = multiplier.data();
    pack();
  }
  void pack() { qgemm_pack(w.data(), segments, shape.segment, shape.n, w_segment, w_k, w_n, packed.data()); }

  int64_t sum(int64_t row, int64_t col, int64_t j) {
    int64_t total = 0;
    for (int64_t o = 0; o < shape.outer; ++o)
      for (int64_t i = 0; i < shape.inner; ++i)
        for (int64_t k = 0; k < shape.segment; ++k) {
          const uint8_t x = a[row * shape.a_row + col * shape.a_col + o * shape.outer_stride + i * shape.inner_stride + k];
          total += (stored(x, e.x_signed) - e.x_zero) * int64_t{w[(o * shape.inner + i) * w_segment + k * w_k + j * w_n]};
        }
    return total;
  }

  void check_on_every_isa(Random& random) {
    const float scale = random.coin() ? 1.0f : 0.37f, lo = random.coin() ? -5.0f : -kInf, hi = random.coin() ? 9.0f : kInf;
    const bool with_bias = random.coin();
    e.most = random.coin() ? *std::max_element(multiplier.data(), multiplier.data() + shape.n) : 0;
    std::vector<uint8_t> want(static_cast<size_t>(outputs), kUntouched);
    std::vector<float> want_f(static_cast<size_t>(outputs), -77.0f);
    for (int64_t r = 0; r < shape.rows; ++r)
      for (int64_t q = 0; q < shape.cols; ++q)
        for (int64_t j = 0; j < shape.n; ++j) {
          const int64_t at = r * shape.c_row + q * shape.c_col + j, acc = sum(r, q, j);
          want[at] = static_cast<uint8_t>(requantized(acc + (e.bias ? bias[j] : 0), multiplier[j], e.y_zero, e.lo, e.hi));
          const float product = static_cast<float>(static_cast<int32_t>(acc)) * (multiplier[j] * scale);
          want_f[at] = std::clamp(product + (with_bias ? bias_f[j] : 0.0f), lo, hi);
        }
    Guarded<uint8_t> c(outputs, random.edge());
    Guarded<float> f(outputs, random.edge());
    on_every_isa([&] {
      std::fill_n(c.data(), outputs, kUntouched);
      std::fill_n(f.data(), outputs, -77.0f);
      qgemm(shape, a.data(), packed.data(), c.data(), e);
      qgemm_f32(shape, a.data(), packed.data(), f.data(),
                {.bias = with_bias ? bias_f.data() : nullptr, .multiplier = multiplier.data(), .scale = scale, .x_zero = e.x_zero,
                 .x_signed = e.x_signed, .lo = lo, .hi = hi});
      ASSERT_EQ(c.values(), want);
      ASSERT_EQ(f.values(), want_f);
      if (shape.n < 17) return;
      const int64_t cut = 16 * ((shape.n + 15) / 32);                       // the same in two ranges of columns
      std::fill_n(c.data(), outputs, kUntouched);
      for (const int64_t first : {int64_t{0}, cut}) {
        QGemmShape part = shape;
        part.packed_n = shape.n, part.first = first, part.n = first ? shape.n - cut : cut;
        QEpilogue finish = e;
        if (e.bias) finish.bias += first;
        finish.multiplier += first;
        qgemm(part, a.data(), packed.data(), c.data() + first, finish);
      }
      ASSERT_EQ(c.values(), want);
    });
  }
};

QGemmShape random_shape(Random& random) {
  QGemmShape s;
  s.rows = random.in(1, 3), s.cols = random.in(1, 19);
  s.n = random.of({1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 40, 47, 49, 64, 65, 80});
  s.outer = random.in(1, 3), s.inner = random.in(1, 3), s.segment = random.in(1, 21);
  s.inner_stride = s.segment + random.in(0, 3);
  s.outer_stride = s.inner_stride * s.inner + random.in(0, 5);
  s.a_col = random.coin() ? random.in(1, 9) : s.outer_stride * s.outer;     // pixels may overlap
  s.a_row = s.a_col * s.cols + random.in(0, 2);
  s.c_col = s.n + random.in(0, 2);
  s.c_row = s.c_col * s.cols + random.in(0, 2);
  return s;
}

TEST(QgemmTest, EveryIsaEqualsSumsIn64Bits) {
  for (uint32_t seed = 0; seed < 400 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    Problem(random, random_shape(random)).check_on_every_isa(random);
  }
}

TEST(QgemmTest, EveryTileHeightAndWidth) {
  Random random(1);
  for (int64_t cols = 1; cols <= 17; ++cols)
    for (int64_t n : {1, 4, 8, 12, 16, 20, 32, 36, 48, 52, 64, 68})
      Problem(random, {.cols = cols, .n = n, .a_col = 8, .c_col = n, .segment = 8}).check_on_every_isa(random);
}

// Tiles of 16 pixels, 64 bytes of a segment and 16 columns, two by two.
TEST(QgemmTest, AroundEveryEdgeOfATile) {
  Random random(8);
  for (const int64_t cols : {2, 3, 4, 5, 7, 15, 16, 17, 31, 32, 33, 49})
    for (const int64_t segment : {24, 63, 64, 65, 68, 127, 128, 131, 200}) {
      const int64_t inner = 1 + 49152 / (cols * 65 * segment);              // fewer go by vectors
      Problem(random, {.cols = cols, .n = random.of({65, 79, 80, 81, 96}), .a_col = inner * segment, .c_col = 96, .inner = inner, .inner_stride = segment,
                       .segment = segment}).check_on_every_isa(random);
    }
  for (const int64_t rows : {1, 2, 3, 5})
    for (const int64_t inner : {1, 2, 3})
      Problem(random, {.rows = rows, .cols = 19, .n = 49, .a_row = 1700, .a_col = 40, .c_row = 1000, .c_col = 50, .outer = 2, .outer_stride = 300,
                       .inner = inner, .inner_stride = 90, .segment = 77}).check_on_every_isa(random);
}

TEST(QgemmTest, RowsShorterThanATile) {
  Random random(8);
  for (const int64_t cols : {1, 2, 3, 5, 7})
    for (const int64_t segment : {1, 3, 4, 8, 13})
      for (const int64_t inner : {1, 4}) {
        QGemmShape s;
        s.rows = random.in(2, 6), s.cols = cols, s.n = random.in(64, 90), s.segment = segment;
        s.a_col = random.in(1, segment + 3), s.a_row = cols * s.a_col + random.in(0, 9);
        s.c_col = s.n + random.in(0, 3), s.c_row = cols * s.c_col;
        s.outer = random.in(1, 2), s.outer_stride = random.in(0, 40), s.inner = inner, s.inner_stride = random.in(0, 11);
        Problem(random, s).check_on_every_isa(random);
      }
}

TEST(QgemmTest, MoreWeightsThanAreReadAgainForEveryRow) {
  Random random(2);
  Problem(random, {.rows = 3, .cols = 3, .n = 328, .a_row = 2900, .a_col = 950, .c_row = 1000, .c_col = 330, .segment = 902})
      .check_on_every_isa(random);
}

TEST(QgemmTest, TinySegmentsAndLongSums) {
  Random random(9);
  Problem(random, {.cols = 3, .n = 33, .a_col = 2, .c_col = 33, .inner = 19000, .inner_stride = 1, .segment = 1}).check_on_every_isa(random);
  for (const int64_t segment : {4700, 9300, 20001})
    Problem(random, {.rows = 2, .cols = 11, .n = 65, .a_row = 7, .a_col = 3, .c_row = 65 * 11, .c_col = 65, .segment = segment}).check_on_every_isa(random);
}

TEST(QgemmTest, LoneRow) {
  Random random(3);
  for (int64_t n : {3, 16, 63, 64, 65, 96, 130})
    Problem(random, {.n = n, .segment = 131}).check_on_every_isa(random);
}

TEST(QgemmTest, NothingToSumAndNothingToWrite) {
  Random random(4);
  Problem(random, {.rows = 2, .cols = 3, .n = 18, .c_row = 54, .c_col = 18, .segment = 0}).check_on_every_isa(random);
  on_every_isa([] {
    qgemm({.rows = 0, .segment = 4}, nullptr, nullptr, nullptr, {});
    qgemm({.cols = 0, .segment = 4}, nullptr, nullptr, nullptr, {});
    qgemm_f32({.n = 0, .segment = 4}, nullptr, nullptr, nullptr, {});
  });
}

// The longest sums int32 holds, of the greatest terms: what instructions with 16-bit saturation get wrong.
TEST(QgemmTest, SumsAtTheLimitsOfInt32) {
  Random random(5);
  constexpr int64_t depth = 2147483647 / (255 * 127);
  for (const bool x_signed : {false, true})
    for (const bool zero_below : {false, true})
      for (const int sign : {-1, 1}) {
        Problem p(random, {.cols = 3, .n = 20, .a_col = 0, .c_col = 20, .segment = depth});
        p.e.x_signed = x_signed;
        p.e.x_zero = (zero_below ? 0 : 255) - (x_signed ? 128 : 0);
        const int far = (zero_below ? 255 : 0) - (x_signed ? 128 : 0);
        std::fill_n(p.a.data(), p.a.size(), static_cast<uint8_t>(far));
        std::fill_n(p.w.data(), p.w.size(), static_cast<int8_t>(127 * sign));
        const int64_t total = (far - p.e.x_zero) * int64_t{127} * sign * depth;
        ASSERT_GT(std::abs(total), int64_t{2147400000});
        std::fill_n(p.bias.data(), p.bias.size(), static_cast<int32_t>(total < 0 ? -2147483648LL - total : 2147483647LL - total));
        for (int64_t j = 0; j < p.shape.n; ++j) p.multiplier[j] = std::ldexp(1.3f, static_cast<int>(j) - 34);
        p.pack();
        p.check_on_every_isa(random);
      }
}

TEST(QgemmTest, AlternatingExtremesDoNotSaturateInPairs) {
  Random random(6);
  Problem p(random, {.cols = 33, .n = 33, .a_col = 64, .c_col = 33, .segment = 64});
  p.e.x_signed = false, p.e.x_zero = 0;
  for (int64_t i = 0; i < p.a.size(); ++i) p.a[i] = i % 4 == 3 ? 254 : 255;
  for (int64_t i = 0; i < p.w.size(); ++i) p.w[i] = i / 7 % 3 == 0 ? -127 : 127;
  p.pack();
  p.check_on_every_isa(random);
}

TEST(QgemmTest, RoundsHalfToEvenAndSaturates) {
  constexpr float tiny = 1e-45f, huge = 3.4028235e38f;
  const struct {
    int32_t acc;
    float multiplier;
  } cases[] = {{1, 0.5f}, {3, 0.5f}, {5, 0.5f}, {-1, 0.5f}, {-3, 0.5f}, {-5, 0.5f}, {253, 0.5f}, {255, 0.5f}, {-255, 0.5f},
               {-257, 0.5f}, {509, 0.5f}, {511, 0.5f}, {513, 0.5f}, {2147483647, 1.0f}, {-2147483647 - 1, 1.0f},
               {2147483647, huge}, {-2147483647 - 1, huge}, {1, huge}, {-1, huge}, {0, huge}, {1, tiny}, {-1, tiny},
               {2147483647, tiny}, {16777217, 1.0f / 16777216}, {16777219, 6.0f}, {8388609, 0.25f}, {65535, 1.0f},
               {65537, 1.0f}, {-65537, 1.0f}, {32767, 1.0f}, {-32769, 1.0f}, {131072, 1.0f}, {1, 0.49999997f},
               {1, 0.50000006f}, {127, 1.0f}, {128, 1.0f}, {-128, 1.0f}, {-129, 1.0f}, {255, 1.0f}, {256, 1.0f}};
  constexpr int64_t n = std::size(cases);
  Random random(7);
  for (const int32_t least : {-128, 0})
    for (const int32_t zero : {least, least + 127, least + 128, least + 255})
      for (const int64_t cols : {1, 2, 4, 9}) {
        Problem p(random, {.cols = cols, .n = n, .a_col = 4, .c_col = n, .segment = 4});
        std::fill_n(p.w.data(), p.w.size(), int8_t{0});
        for (int64_t j = 0; j < n; ++j) p.bias[j] = cases[j].acc, p.multiplier[j] = cases[j].multiplier;
        p.pack();
        p.e.bias = p.bias.data();
        p.e.y_zero = zero, p.e.lo = least, p.e.hi = least + 255;
        p.check_on_every_isa(random);
      }
}

}  // namespace
}  // namespace miniten::kernels::testing
