#include "kernels/activation.h"

#include <functional>

#include "kernel_test.h"

namespace miniten::kernels {
namespace {

constexpr double kAlpha = 0.3;

struct Case {
  Activation kind;
  const char* name;
  double limit;  // ULP
  std::function<double(double)> exact, slope;
};
const std::vector<Case>& cases() {
  constexpr double alpha = static_cast<float>(kAlpha);
  static const std::vector<Case> all = {
      {Activation::leaky_relu, "leaky_relu", 1, [](double x) { return x > 0 ? x : x * alpha; },
       [](double x) { return x > 0 ? 1 : alpha; }},
      {Activation::elu, "elu", 3, [](double x) { return x > 0 ? x : alpha * std::expm1(x); },
       [](double x) { return x > 0 ? 1 : alpha * std::exp(x); }},
      {Activation::hard_swish, "hard_swish", 2, [](double x) { return x * std::fmin(std::fmax(x + 3, 0), 6) / 6; },
       [](double x) { return x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + 0.5; }},
  };
  return all;
}
std::vector<float> places() {
  std::vector<float> x = random_floats(2000, 1, -6, 6);
  for (const float v : random_floats(500, 2, -100, 0)) x.push_back(v);
  for (const float v : random_floats(500, 3, -1e-3f, 1e-3f)) x.push_back(v);
  for (const float v : {0.0f, -0.0f, 3.0f, -3.0f, 1e30f, -1e-30f}) x.push_back(v);
  return x;
}

TEST(Activation, StatedErrors) {
  const std::vector<float> x = places(), g = random_floats(static_cast<int64_t>(x.size()), 4, -2, 2);
  const auto n = static_cast<int64_t>(x.size());
  on_every_isa([&] {
    for (const Case& c : cases()) {
      std::vector<float> y(x.size()), d(x.size());
      activation(c.kind, kAlpha, x.data(), y.data(), n);
      activation_slope(c.kind, kAlpha, g.data(), x.data(), d.data(), n);
      for (size_t i = 0; i < x.size(); ++i) {
        const double exact = c.exact(x[i]), slope = static_cast<double>(g[i]) * c.slope(x[i]);
        // The sum x + 3 and the slope's x / 3 + 0.5 cancel near -3 and -1.5: there errors are of the terms.
        const bool cancels = c.kind == Activation::hard_swish && x[i] < 0;
        if (cancels) ASSERT_NEAR(y[i], exact, 1e-6) << c.name << "(" << x[i] << ")";
        else ASSERT_LE(ulps(y[i], exact), c.limit) << c.name << "(" << x[i] << ")";
        if (cancels) ASSERT_NEAR(d[i], slope, 1e-6) << c.name << "'(" << x[i] << ")";
        else ASSERT_LE(ulps(d[i], slope), 4) << c.name << "'(" << x[i] << ")";
      }
    }
  });
}

TEST(Activation, NaNStaysAndInfinitiesHaveLimits) {
  on_every_isa([] {
    const std::vector<float> x = {kNaN, kInf, -kInf};
    std::vector<float> y(3);
    for (const Case& c : cases()) {
      activation(c.kind, kAlpha, x.data(), y.data(), 3);
      EXPECT_TRUE(std::isnan(y[0])) << c.name;
      EXPECT_EQ(y[1], kInf) << c.name;
    }
    activation(Activation::elu, kAlpha, x.data(), y.data(), 3);
    EXPECT_EQ(y[2], -static_cast<float>(kAlpha));
  });
}

TEST(Activation, TailsStayInsideTheirBuffersAndMayBeInPlace) {
  on_every_isa([] {
    for (const Case& c : cases())
      for (int64_t n = 0; n <= 35; ++n)
        for (const Edge edge : {Edge::end, Edge::begin}) {
          Guarded<float> x(random_floats(n, 7, -4, 4), edge), g(random_floats(n, 8, -1, 1), edge), y(n, edge), d(n, edge);
          activation(c.kind, kAlpha, x.data(), y.data(), n);
          activation_slope(c.kind, kAlpha, g.data(), x.data(), d.data(), n);
          activation_slope(c.kind, kAlpha, g.data(), x.data(), g.data(), n);
          activation(c.kind, kAlpha, x.data(), x.data(), n);
          ASSERT_TRUE(same_bits(x.values(), y.values())) << c.name << " " << n;
          ASSERT_TRUE(same_bits(g.values(), d.values())) << c.name << " " << n;
        }
  });
}

TEST(Activation, DoublePrecision) {
  for (const Case& c : cases()) {
    const std::vector<double> x = {-50, -3.5, -3, -1.25, -1e-9, 0, 1e-9, 0.5, 3, 7};
    std::vector<double> y(x.size()), d(x.size()), g(x.size(), -2.0);
    activation(c.kind, static_cast<float>(kAlpha), x.data(), y.data(), static_cast<int64_t>(x.size()));
    activation_slope(c.kind, static_cast<float>(kAlpha), g.data(), x.data(), d.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_NEAR(y[i], c.exact(x[i]), 1e-15 * std::fmax(1, std::fabs(y[i]))) << c.name << "(" << x[i] << ")";
      EXPECT_NEAR(d[i], -2 * c.slope(x[i]), 1e-15) << c.name << "'(" << x[i] << ")";
    }
  }
}

}  // namespace
}  // namespace miniten::kernels
