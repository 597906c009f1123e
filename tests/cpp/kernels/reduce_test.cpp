#include "kernels/reduce.h"

#include "kernel_test.h"

namespace miniten::kernels {
namespace {

TEST(Reduce, EverySize) {
  on_every_isa([] {
    std::vector<int64_t> sizes;
    for (int64_t n = 0; n <= 140; ++n) sizes.push_back(n);
    for (int64_t n : {1023, 1024, 1025, 2047, 2049, 5000, 10241}) sizes.push_back(n);
    for (const int64_t n : sizes) {
      const auto values = random_floats(n, static_cast<uint32_t>(n));
      Guarded<float> x(values, n % 2 ? Edge::end : Edge::begin);
      double total = 0, squares = 0, size = 0, top = -kInf, bottom = kInf;
      for (const double v : values) {
        total += v, squares += v * v, size += std::fabs(v);
        top = std::max(top, v), bottom = std::min(bottom, v);
      }
      ASSERT_NEAR(sum(x.data(), n), total, 5e-7 * size) << n;
      ASSERT_NEAR(sum_squares(x.data(), n), squares, 1e-6 * squares) << n;
      ASSERT_NEAR(sum_f64(x.data(), n), total, 1e-13 * size) << n;
      ASSERT_EQ(max(x.data(), n), top) << n;
      ASSERT_EQ(min(x.data(), n), bottom) << n;
    }
  });
}

TEST(Reduce, LongSumsKeepTheirPrecision) {
  const std::vector<float> x(5'000'003, 0.1f);  // added one by one, a float sum is off by 5 %
  on_every_isa([&] {
    const double want = 0.1f * static_cast<double>(x.size());
    EXPECT_NEAR(sum(x.data(), static_cast<int64_t>(x.size())), want, 1e-6 * want);
    EXPECT_NEAR(sum_f64(x.data(), static_cast<int64_t>(x.size())), want, 1e-13 * want);
  });
}

TEST(Reduce, NaNWinsWhereverItStands) {
  on_every_isa([] {
    for (const int64_t n : {1, 5, 16, 64, 70, 131})
      for (int64_t at = 0; at < n; ++at)
        for (const float rest : {0.5f, kInf, -kInf}) {
          std::vector<float> x(n, rest);
          x[at] = kNaN;
          ASSERT_TRUE(std::isnan(max(x.data(), n))) << n << " " << at;
          ASSERT_TRUE(std::isnan(min(x.data(), n))) << n << " " << at;
          ASSERT_TRUE(std::isnan(sum(x.data(), n))) << n << " " << at;
        }
  });
}

TEST(Reduce, Rows) {
  on_every_isa([] {
    for (const int64_t n : {1, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130})
      for (const int64_t rows : {0, 1, 2, 127, 128, 129, 300}) {
        const int64_t stride = n + rows % 3, extent = rows ? (rows - 1) * stride + n : 0;
        const Edge edge = rows % 2 ? Edge::end : Edge::begin;
        const auto values = random_floats(extent, 1), start = random_floats(n, 2);
        Guarded<float> x(values, edge), added(start, edge), top(start, edge), bottom(start, edge), mean(n, edge),
            var(n, edge);
        add_rows(x.data(), rows, stride, n, added.data());
        max_rows(x.data(), rows, stride, n, top.data());
        min_rows(x.data(), rows, stride, n, bottom.data());
        mean_var_rows(x.data(), rows, stride, n, mean.data(), var.data());
        for (int64_t j = 0; j < n; ++j) {
          double total = 0, squares = 0, largest = start[j], smallest = start[j];
          for (int64_t i = 0; i < rows; ++i) {
            const double v = values[i * stride + j];
            total += v;
            largest = std::max(largest, v), smallest = std::min(smallest, v);
          }
          const double centre = total / rows;
          for (int64_t i = 0; i < rows; ++i) squares += std::pow(values[i * stride + j] - centre, 2);
          ASSERT_NEAR(added[j], start[j] + total, 2e-5);
          ASSERT_EQ(top[j], largest);
          ASSERT_EQ(bottom[j], smallest);
          if (rows == 0) {
            ASSERT_TRUE(std::isnan(mean[j]) && std::isnan(var[j]));
            continue;
          }
          ASSERT_NEAR(mean[j], centre, 1e-6);
          ASSERT_NEAR(var[j], squares / rows, 1e-6);
        }
      }
  });
}

TEST(Reduce, DotRows) {
  on_every_isa([] {
    for (const int64_t n : {0, 1, 3, 15, 16, 17, 63, 64, 65, 130, 1000})
      for (const int64_t rows : {0, 1, 2, 3, 4, 5, 9}) {
        const int64_t stride = n + rows % 3;
        const Edge edge = rows % 2 ? Edge::end : Edge::begin;
        Guarded<float> a(random_floats(rows ? (rows - 1) * stride + n : 0, 1), edge), x(random_floats(n, 2), edge), y(rows, edge), one(rows ? 1 : 0, edge);
        dot_rows(a.data(), stride, rows, n, x.data(), y.data());
        for (int64_t i = 0; i < rows; ++i) {
          double want = 0, size = 0;
          for (int64_t j = 0; j < n; ++j) want += double(a[i * stride + j]) * x[j], size += std::fabs(double(a[i * stride + j]) * x[j]);
          ASSERT_NEAR(y[i], want, 1e-6 * size) << n << " " << i;
          dot_rows(a.data() + i * stride, stride, 1, n, x.data(), one.data());
          ASSERT_EQ(one[0], y[i]);                             // rows may be split
        }
      }
  });
}

TEST(Reduce, ColumnsMayBeSplit) {
  const auto x = random_floats(200 * 50, 1);
  on_every_isa([&] {
    std::vector<float> whole(50), parts(50);
    add_rows(x.data(), 200, 50, 50, whole.data());
    for (int64_t j = 0; j < 50; j += 7)
      add_rows(x.data() + j, 200, 50, std::min<int64_t>(7, 50 - j), parts.data() + j);
    EXPECT_TRUE(same_bits(whole, parts));
  });
}

TEST(Reduce, RowsPropagateNaN) {
  on_every_isa([] {
    for (const bool in_start : {false, true}) {
      std::vector<float> x(3 * 70, 1.0f), top(70, 0.0f), bottom(70, 0.0f);
      (in_start ? top[69] : x[70 + 69]) = kNaN;
      bottom = top;
      max_rows(x.data(), 3, 70, 70, top.data());
      min_rows(x.data(), 3, 70, 70, bottom.data());
      for (int j = 0; j < 70; ++j) {
        EXPECT_EQ(std::isnan(top[j]), j == 69);
        EXPECT_EQ(std::isnan(bottom[j]), j == 69);
      }
    }
  });
}

TEST(Reduce, VarianceOfLargeMeans) {
  std::vector<float> x;
  for (int i = 0; i < 1000; ++i) x.push_back(10000.0f + static_cast<float>(i % 2));
  on_every_isa([&] {
    float mean = 0, var = 0;
    mean_var_rows(x.data(), 1000, 1, 1, &mean, &var);
    EXPECT_NEAR(mean, 10000.5, 1e-3);
    EXPECT_NEAR(var, 0.25, 1e-5);
  });
}

TEST(Reduce, DoublePrecision) {
  const auto values = random_floats(3 * 101, 5);
  const std::vector<double> x(values.begin(), values.end());
  const int64_t n = static_cast<int64_t>(x.size());
  EXPECT_NEAR(sum(x.data(), n), sum_f64(values.data(), n), 1e-12);
  EXPECT_NEAR(sum_squares(x.data(), n), sum_squares(values.data(), n), 1e-4);
  EXPECT_EQ(max(x.data(), n), max(values.data(), n));
  EXPECT_EQ(min(x.data(), n), min(values.data(), n));
  std::vector<double> added(101, 1.0), top(101, 0.1), bottom(101, 0.1), mean(101), var(101);
  std::vector<float> added_f(101, 1.0f), mean_f(101), var_f(101);
  add_rows(x.data(), 3, 101, 101, added.data());
  add_rows(values.data(), 3, 101, 101, added_f.data());
  max_rows(x.data(), 3, 101, 101, top.data());
  min_rows(x.data(), 3, 101, 101, bottom.data());
  mean_var_rows(x.data(), 3, 101, 101, mean.data(), var.data());
  mean_var_rows(values.data(), 3, 101, 101, mean_f.data(), var_f.data());
  for (int j = 0; j < 101; ++j) {
    EXPECT_NEAR(added[j], added_f[j], 1e-6);
    EXPECT_NEAR(mean[j], mean_f[j], 1e-6);
    EXPECT_NEAR(var[j], var_f[j], 1e-6);
    EXPECT_EQ(top[j], std::max({0.1, x[j], x[101 + j], x[202 + j]}));
    EXPECT_EQ(bottom[j], std::min({0.1, x[j], x[101 + j], x[202 + j]}));
  }
}

}  // namespace
}  // namespace miniten::kernels
