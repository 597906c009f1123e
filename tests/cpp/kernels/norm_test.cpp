#include "kernels/norm.h"

#include "kernel_test.h"

namespace miniten::kernels {
namespace {

const int64_t kRows[] = {0, 1, 3, 4, 5, 63, 64, 65, 131}, kColumns[] = {1, 3, 4, 7, 8, 9, 15, 16, 17, 33};

TEST(Norm, EveryPassAtEverySize) {
  on_every_isa([] {
    for (const int64_t rows : kRows)
      for (const int64_t n : kColumns) {
        const Edge edge = (rows + n) % 2 ? Edge::end : Edge::begin;
        const auto xv = random_floats(rows * n, 1), gv = random_floats(rows * n, 2), av = random_floats(n, 3),
                   bv = random_floats(n, 4), cv = random_floats(n, 5);
        Guarded<float> x(xv, edge), g(gv, edge), a(av, edge), b(bv, edge), c(cv, edge), y(rows * n, edge);
        affine_rows(x.data(), rows, n, a.data(), b.data(), y.data());
        for (int64_t i = 0; i < rows * n; ++i) ASSERT_NEAR(y[i], double(xv[i]) * av[i % n] + bv[i % n], 3e-7);
        Guarded<float> in_place(xv, edge);
        affine_rows(in_place.data(), rows, n, a.data(), b.data(), in_place.data());
        ASSERT_TRUE(same_bits(in_place.values(), y.values()));

        blend_rows(g.data(), x.data(), rows, n, a.data(), b.data(), c.data(), y.data());
        for (int64_t i = 0; i < rows * n; ++i)
          ASSERT_NEAR(y[i], double(gv[i]) * av[i % n] + double(xv[i]) * bv[i % n] + cv[i % n], 5e-7);

        Guarded<float> sum(av, edge), product(bv, edge);
        moments_rows(g.data(), x.data(), rows, n, c.data(), sum.data(), product.data());
        std::vector<double> s(av.begin(), av.end()), p(bv.begin(), bv.end());
        for (int64_t i = 0; i < rows * n; ++i) {
          s[i % n] += gv[i];
          p[i % n] += double(gv[i]) * (double(xv[i]) - cv[i % n]);
        }
        for (int64_t j = 0; j < n; ++j) {
          ASSERT_NEAR(sum[j], s[j], 1e-5);
          ASSERT_NEAR(product[j], p[j], 1e-5);
        }
      }
  });
}

TEST(Norm, LayersAtEverySize) {
  on_every_isa([] {
    for (const int64_t rows : {0, 1, 5})
      for (const int64_t n : {1, 3, 8, 15, 16, 17, 33, 128, 1025, 3000}) {
        const Edge edge = (rows + n) % 2 ? Edge::end : Edge::begin;
        const auto xv = random_floats(rows * n, 1, 3, 5), wv = random_floats(n, 2), bv = random_floats(n, 3);
        Guarded<float> x(xv, edge), w(wv, edge), b(bv, edge), y(rows * n, edge);
        layer_norm_rows(x.data(), rows, n, 1e-3f, w.data(), b.data(), y.data());
        for (int64_t r = 0; r < rows; ++r) {
          double mean = 0, square = 0;
          for (int64_t j = 0; j < n; ++j) mean += xv[r * n + j] / double(n);
          for (int64_t j = 0; j < n; ++j) square += (xv[r * n + j] - mean) * (xv[r * n + j] - mean) / double(n);
          for (int64_t j = 0; j < n; ++j) ASSERT_NEAR(y[r * n + j], (xv[r * n + j] - mean) / std::sqrt(square + 1e-3) * wv[j] + bv[j], 1e-5);
        }
        layer_norm_rows(x.data(), rows, n, 1e-3f, w.data(), b.data(), x.data());
        ASSERT_TRUE(same_bits(x.values(), y.values()));
      }
  });
}

TEST(Norm, DoublePrecisionAgrees) {
  const int64_t rows = 9, n = 5;
  const auto x = random_floats(rows * n, 1), g = random_floats(rows * n, 2), a = random_floats(n, 3), b = random_floats(n, 4);
  const std::vector<double> xd(x.begin(), x.end()), gd(g.begin(), g.end()), ad(a.begin(), a.end()), bd(b.begin(), b.end());
  std::vector<float> y(x.size()), s(n), p(n);
  std::vector<double> yd(x.size()), sd(n), pd(n);
  affine_rows(x.data(), rows, n, a.data(), b.data(), y.data());
  affine_rows(xd.data(), rows, n, ad.data(), bd.data(), yd.data());
  for (size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y[i], yd[i], 1e-6);
  blend_rows(g.data(), x.data(), rows, n, a.data(), b.data(), a.data(), y.data());
  blend_rows(gd.data(), xd.data(), rows, n, ad.data(), bd.data(), ad.data(), yd.data());
  for (size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y[i], yd[i], 1e-6);
  moments_rows(g.data(), x.data(), rows, n, a.data(), s.data(), p.data());
  moments_rows(gd.data(), xd.data(), rows, n, ad.data(), sd.data(), pd.data());
  for (int64_t j = 0; j < n; ++j) {
    EXPECT_NEAR(s[j], sd[j], 1e-5);
    EXPECT_NEAR(p[j], pd[j], 1e-5);
  }
}

}  // namespace
}  // namespace miniten::kernels
