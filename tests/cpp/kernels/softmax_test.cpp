#include "kernels/softmax.h"

#include "kernel_test.h"

namespace miniten::kernels {
namespace {

void check(const std::vector<float>& values, Edge edge) {
  const int64_t n = static_cast<int64_t>(values.size());
  double top = -kInf, total = 0;
  for (const double v : values) top = std::max(top, v);
  for (const double v : values) total += std::exp(v - top);
  Guarded<float> x(values, edge), y(n, edge), z(n, edge);
  softmax(x.data(), y.data(), 1, n);
  log_softmax(x.data(), z.data(), 1, n);
  for (int64_t i = 0; i < n; ++i) {
    const double want = std::exp(values[i] - top) / total, logarithm = values[i] - top - std::log(total);
    if (values[i] == -kInf) {
      ASSERT_EQ(y[i], 0);
      ASSERT_EQ(z[i], -kInf);
      continue;
    }
    ASSERT_NEAR(y[i], want, 3e-7 * (1 + top - values[i]) * want + 1e-38) << n << " " << i;
    ASSERT_NEAR(z[i], logarithm, 3e-7 * (1 + std::fabs(logarithm))) << n << " " << i;
  }
  Guarded<float> in_place(values, edge);
  softmax(in_place.data(), in_place.data(), 1, n);
  ASSERT_TRUE(same_bits(in_place.values(), y.values()));
  log_softmax(x.data(), x.data(), 1, n);
  ASSERT_TRUE(same_bits(x.values(), z.values()));
}

TEST(Softmax, EverySize) {
  on_every_isa([] {
    for (int64_t n = 0; n <= 70; ++n) check(random_floats(n, 1, -10, 10), n % 2 ? Edge::end : Edge::begin);
    check(random_floats(1000, 1, -10, 10), Edge::end);
    check(random_floats(50000, 1, -1, 1), Edge::end);
  });
}

TEST(Softmax, RowsAreAsIfAlone) {
  on_every_isa([] {
    for (const int64_t n : {1, 7, 16, 17, 33, 100, 300})
      for (int64_t rows = 0; rows <= 9; ++rows) {
        const Edge edge = rows % 2 ? Edge::end : Edge::begin;
        const auto values = random_floats(rows * n, 1, -10, 10);
        Guarded<float> x(values, edge), y(rows * n, edge), z(rows * n, edge);
        softmax(x.data(), y.data(), rows, n);
        log_softmax(x.data(), z.data(), rows, n);
        Guarded<float> parts(values, edge), shares(rows, edge);
        softmax_parts(parts.data(), parts.data(), shares.data(), rows, n);
        scale_rows(parts.data(), shares.data(), rows, n);
        ASSERT_TRUE(same_bits(parts.values(), y.values())) << rows << " " << n;
        std::vector<float> one(n);
        auto row_of = [&](const Guarded<float>& all, int64_t r) { return std::vector<float>(all.data() + r * n, all.data() + (r + 1) * n); };
        for (int64_t r = 0; r < rows; ++r) {
          softmax(values.data() + r * n, one.data(), 1, n);
          ASSERT_TRUE(same_bits(one, row_of(y, r))) << rows << " " << n;
          log_softmax(values.data() + r * n, one.data(), 1, n);
          ASSERT_TRUE(same_bits(one, row_of(z, r))) << rows << " " << n;
        }
      }
  });
}

TEST(Softmax, LargeLogits) {
  on_every_isa([] {
    check({1000.0f, 1000.0f, 999.0f, -1000.0f}, Edge::end);
    check({-3e38f, -3e38f}, Edge::end);
    check({-90.0f, 0.0f, -80.0f, -200.0f}, Edge::end);
    check({0.0f, -kInf}, Edge::end);
  });
}

TEST(Softmax, RowsWithoutAnAnswerAreNaN) {
  on_every_isa([] {
    for (const int64_t n : {1, 3, 40})
      for (const float value : {kNaN, kInf, -kInf}) {
        std::vector<float> x(n, value == -kInf ? -kInf : 1.0f), y(n);
        x[n / 2] = value;
        softmax(x.data(), y.data(), 1, n);
        EXPECT_TRUE(std::isnan(y[n / 2])) << n << " " << value;
        log_softmax(x.data(), y.data(), 1, n);
        EXPECT_TRUE(std::isnan(y[n / 2])) << n << " " << value;
      }
    const std::vector<float> x = {1, kNaN, 2};
    std::vector<float> y(3);
    softmax(x.data(), y.data(), 1, 3);
    for (const float v : y) EXPECT_TRUE(std::isnan(v));
  });
}

TEST(Softmax, DoublePrecision) {
  const std::vector<double> x = {1000, 1001, 998.5, -5};
  std::vector<double> y(4), z(4);
  softmax(x.data(), y.data(), 1, 4);
  log_softmax(x.data(), z.data(), 1, 4);
  const double total = std::exp(-1) + 1 + std::exp(-2.5);
  EXPECT_NEAR(y[1], 1 / total, 1e-15);
  EXPECT_NEAR(y[2], std::exp(-2.5) / total, 1e-15);
  EXPECT_NEAR(z[0], -1 - std::log(total), 1e-12);
  EXPECT_NEAR(z[3], -1006 - std::log(total), 1e-12);
}

}  // namespace
}  // namespace miniten::kernels
