#include "kernels/unary.h"

#include <bit>
#include <functional>

#include "kernel_test.h"

namespace miniten::kernels {
namespace {

struct Case {
  Unary op;
  const char* name;
  double limit;  // ULP
  std::function<double(double)> exact;
};

double normal_tail_below(double x) { return 0.5 * std::erfc(-x * 0.70710678118654752440); }

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {Unary::relu, "relu", 0, [](double x) { return x < 0 ? 0 : x; }},
      {Unary::exp, "exp", 2, [](double x) { return std::exp(x); }},
      {Unary::log, "log", 2, [](double x) { return std::log(x); }},
      {Unary::neg, "neg", 0, [](double x) { return -x; }},
      {Unary::tanh, "tanh", 2, [](double x) { return std::tanh(x); }},
      {Unary::sigmoid, "sigmoid", 3, [](double x) { return 1 / (1 + std::exp(-x)); }},
      {Unary::sqrt, "sqrt", 0.5, [](double x) { return std::sqrt(x); }},
      {Unary::abs, "abs", 0, [](double x) { return std::fabs(x); }},
      {Unary::square, "square", 0.5, [](double x) { return x * x; }},
      {Unary::reciprocal, "reciprocal", 0.5, [](double x) { return 1 / x; }},
      {Unary::erf, "erf", 3, [](double x) { return std::erf(x); }},
      {Unary::gelu, "gelu", 12, [](double x) { return x == -kInf ? 0 : x * normal_tail_below(x); }},
      {Unary::gelu_tanh, "gelu_tanh", 2,
       [](double x) {
         const double u = std::sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x);
         return x == -kInf ? 0 : x / (1 + std::exp(-2 * u));
       }},
      {Unary::silu, "silu", 4, [](double x) { return x == -kInf ? 0 : x / (1 + std::exp(-x)); }},
      {Unary::sin, "sin", 1, [](double x) { return std::sin(x); }},
      {Unary::cos, "cos", 1, [](double x) { return std::cos(x); }},
      {Unary::floor, "floor", 0, [](double x) { return std::floor(x); }},
      {Unary::ceil, "ceil", 0, [](double x) { return std::ceil(x); }},
      {Unary::round, "round", 0, [](double x) { return std::nearbyint(x); }},
      {Unary::sign, "sign", 0, [](double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }},
      {Unary::log1p, "log1p", 1, [](double x) { return std::log1p(x); }},
      {Unary::expm1, "expm1", 1, [](double x) { return std::expm1(x); }},
      {Unary::softplus, "softplus", 4,
       [](double x) { return (x > 0 ? x : 0) + std::log1p(std::exp(-std::fabs(x))) + (x != x ? x : 0); }},
  };
  return all;
}

// All magnitudes from zero to NaN with both signs, and a closer look at [-20, 20] and [-110, 90].
const std::vector<float>& sweep() {
  static const std::vector<float> all = [] {
    std::vector<float> x;
    for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 8191) x.push_back(std::bit_cast<float>(uint32_t(bits)));
    for (int i = -200000; i <= 200000; ++i) x.push_back(static_cast<float>(i) * 1e-4f);
    for (int i = -110000; i <= 90000; ++i) x.push_back(static_cast<float>(i) * 1e-3f);
    for (const float edge : {0.0f, -0.0f, kInf, -kInf, kNaN, 1.0f, -1.0f, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f,
                             0x1p-149f, -0x1p-149f, 0x1p-126f, 0x1p-127f, 3.4028235e38f, -3.4028235e38f, 88.72283f,
                             88.72284f, -103.97208f, -103.97209f, 0.625f, 8388607.5f, 8388608.5f})
      x.push_back(edge);
    return x;
  }();
  return all;
}

TEST(Unary, EveryOpHasACase) { EXPECT_EQ(cases().size(), static_cast<size_t>(Unary::count_)); }

TEST(Unary, StatedErrorOverTheWholeRange) {
  const std::vector<float>& x = sweep();
  for (const Case& c : cases()) {
    std::vector<double> exact(x.size());
    for (size_t i = 0; i < x.size(); ++i) exact[i] = c.exact(x[i]);
    on_every_isa([&] {
      std::vector<float> y(x.size());
      unary(c.op, x.data(), y.data(), static_cast<int64_t>(x.size()));
      double worst = 0;
      size_t at = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        const double error = ulps(y[i], exact[i]);
        if (worst < error) worst = error, at = i;
      }
      EXPECT_LE(worst, c.limit) << c.name << "(" << x[at] << ") = " << y[at] << ", exact " << exact[at];
      RecordProperty(std::string(c.name) + "_" + std::string(isa()), std::to_string(worst));
    });
  }
}

TEST(Unary, TailsStayInsideTheirBuffersAndMayBeInPlace) {
  on_every_isa([] {
    for (const Case& c : cases())
      for (int64_t n = 0; n <= 35; ++n)
        for (const Edge edge : {Edge::end, Edge::begin}) {
          const auto values = random_floats(n, 7, 0.1f, 3.0f);
          Guarded<float> x(values, edge), y(n, edge);
          unary(c.op, x.data(), y.data(), n);
          for (int64_t i = 0; i < n; ++i) ASSERT_LE(ulps(y[i], c.exact(values[i])), c.limit) << c.name << " " << i;
          unary(c.op, x.data(), x.data(), n);
          ASSERT_TRUE(same_bits(x.values(), y.values())) << c.name << " " << n;
        }
  });
}

TEST(Unary, AValueDoesNotDependOnItsPlace) {
  const auto values = random_floats(100, 9, -8, 8);
  on_every_isa([&] {
    for (const Case& c : cases()) {
      std::vector<float> whole(100), single(100);
      unary(c.op, values.data(), whole.data(), 100);
      for (int64_t i = 0; i < 100; ++i) unary(c.op, values.data() + i, single.data() + i, 1);
      for (int64_t i = 0; i < 100; ++i) ASSERT_EQ(std::isnan(whole[i]), std::isnan(single[i]));
      for (int64_t i = 0; i < 100; ++i)
        if (!std::isnan(whole[i])) {
          ASSERT_EQ(whole[i], single[i]) << c.name << " " << i;
        }
    }
  });
}

TEST(Unary, ReluKeepsNaN) {
  on_every_isa([] {
    const std::vector<float> x(20, kNaN);
    std::vector<float> y(20);
    unary(Unary::relu, x.data(), y.data(), 20);
    for (const float v : y) EXPECT_TRUE(std::isnan(v));
  });
}

TEST(Unary, DoublePrecision) {
  std::vector<double> x = {-kInf, kInf, kNaN, 0.0, -0.0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 4503599627370495.5, -700};
  for (int i = -300; i <= 300; ++i) x.push_back(i * 0.1);
  std::vector<double> y(x.size());
  for (const Case& c : cases()) {
    unary(c.op, x.data(), y.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < x.size(); ++i) {
      const double want = c.exact(x[i]);
      if (std::isnan(want) || std::isinf(want)) {
        EXPECT_TRUE(std::isnan(want) ? std::isnan(y[i]) : y[i] == want) << c.name << "(" << x[i] << ") = " << y[i];
      } else {
        // exp(u) is as uncertain as u: a rounding of one near -700 moves it by 2e-13 of itself.
        EXPECT_NEAR(y[i], want, 4e-13 * std::fabs(want) + 1e-300) << c.name << "(" << x[i] << ")";
      }
    }
  }
}

TEST(Clamp, EverySizeAndSpecialValues) {
  on_every_isa([] {
    for (int64_t n = 0; n <= 35; ++n) {
      auto xv = random_floats(n, 1, -2, 2);
      if (4 < n) xv[0] = kNaN, xv[1] = kInf, xv[2] = -kInf, xv[3] = -0.0f;
      const std::vector<double> xd(xv.begin(), xv.end());
      for (const auto& [lo, hi] : {std::pair{-0.5f, 1.0f}, {0.0f, kInf}, {-kInf, 0.25f}}) {
        Guarded<float> x(xv, n % 2 ? Edge::end : Edge::begin), y(n, n % 2 ? Edge::end : Edge::begin);
        std::vector<double> yd(xd.size());
        clamp(x.data(), lo, hi, y.data(), n);
        clamp(xd.data(), lo, hi, yd.data(), n);
        for (int64_t i = 0; i < n; ++i) {
          const float want = xv[i] < lo ? lo : xv[i] > hi ? hi : xv[i];
          if (std::isnan(want)) {
            ASSERT_TRUE(std::isnan(y[i]) && std::isnan(yd[i]));
          } else {
            ASSERT_EQ(want, y[i]);
            ASSERT_EQ(want, yd[i]);
          }
        }
        clamp(x.data(), lo, hi, x.data(), n);
        ASSERT_TRUE(same_bits(x.values(), y.values()));
      }
    }
  });
}

TEST(Clamp, SlopePassesWhatLiesWithin) {
  const std::vector<float> x = {-2, -1, -0.5f, 0, 2, 2.5f, kNaN, kInf, -kInf, 1, 1.5f, -1.5f, 0.25f, 3, -0.0f, 1.75f, 2};
  const auto g = random_floats(int64_t(x.size()), 1);
  const std::vector<double> wide(x.begin(), x.end()), wide_g(g.begin(), g.end());
  std::vector<double> precise(x.size());
  clamp_slope(wide_g.data(), wide.data(), -1.0, 2.0, precise.data(), int64_t(x.size()));
  on_every_isa([&] {
    for (size_t n = 0; n <= x.size(); ++n) {
      Guarded<float> from(std::vector<float>(x.begin(), x.begin() + std::ptrdiff_t(n)), Edge::end), to(std::vector<float>(g.begin(), g.begin() + std::ptrdiff_t(n)), Edge::end);
      clamp_slope(to.data(), from.data(), -1, 2, to.data(), int64_t(n));
      for (size_t i = 0; i < n; ++i) {
        ASSERT_EQ(to[int64_t(i)], x[i] >= -1 && x[i] <= 2 ? g[i] : 0) << x[i];
        ASSERT_EQ(precise[i], to[int64_t(i)]);
      }
    }
  });
}

}  // namespace
}  // namespace miniten::kernels
