#include "kernels/binary.h"

#include <functional>

#include "kernel_test.h"

namespace miniten::kernels {
namespace {

struct Case {
  Binary op;
  const char* name;
  std::function<double(float, float)> exact;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {Binary::add, "add", [](float a, float b) -> float { return a + b; }},
      {Binary::sub, "sub", [](float a, float b) { return a - b; }},
      {Binary::mul, "mul", [](float a, float b) { return a * b; }},
      {Binary::div, "div", [](float a, float b) { return a / b; }},
      {Binary::maximum, "maximum",
       [](float a, float b) { return std::isnan(a) || std::isnan(b) ? kNaN : std::max(a, b); }},
      {Binary::minimum, "minimum",
       [](float a, float b) { return std::isnan(a) || std::isnan(b) ? kNaN : std::min(a, b); }},
      {Binary::pow, "pow", [](double a, double b) { return std::pow(a, b); }},
      {Binary::gate, "gate", [](float a, float b) { return b > 0 ? a : 0; }},
      {Binary::prelu, "prelu", [](float a, float b) -> float { return a > 0 ? a : a * b; }},
  };
  return all;
}

void expect_same(double want, float got, const char* name, int64_t i) {
  if (std::isnan(want)) {
    ASSERT_TRUE(std::isnan(got)) << name << " " << i << ": " << got;
  } else if (std::string_view(name) == "pow") {
    ASSERT_LE(ulps(got, want), 1) << name << " " << i << ": " << got;
  } else {
    ASSERT_EQ(static_cast<float>(want), got) << name << " " << i;
  }
}

TEST(Binary, EveryOpHasACase) { EXPECT_EQ(cases().size(), static_cast<size_t>(Binary::count_)); }

TEST(Binary, EverySizeAndStep) {
  on_every_isa([] {
    for (const Case& c : cases())
      for (int64_t n = 0; n <= 35; ++n)
        for (const int64_t a_step : {0, 1})
          for (const int64_t b_step : {0, 1}) {
            const Edge edge = n % 2 ? Edge::end : Edge::begin;
            const auto av = random_floats(a_step ? n : 1, 1, 0.1f, 3), bv = random_floats(b_step ? n : 1, 2, -2, 2);
            Guarded<float> a(av, edge), b(bv, edge), y(n, edge);
            binary(c.op, a.data(), a_step, b.data(), b_step, y.data(), n);
            for (int64_t i = 0; i < n; ++i) expect_same(c.exact(av[i * a_step], bv[i * b_step]), y[i], c.name, i);
            if (a_step) {
              Guarded<float> in_place(av, edge);
              binary(c.op, in_place.data(), 1, b.data(), b_step, in_place.data(), n);
              ASSERT_TRUE(same_bits(in_place.values(), y.values())) << c.name;
            }
            if (b_step) {
              Guarded<float> in_place(bv, edge);
              binary(c.op, a.data(), a_step, in_place.data(), 1, in_place.data(), n);
              ASSERT_TRUE(same_bits(in_place.values(), y.values())) << c.name;
            }
          }
  });
}

TEST(Binary, EveryPairOfSpecialValues) {
  const std::vector<float> special = {0.0f, -0.0f, 1.0f, -1.0f, 2.0f, 0.5f, kInf, -kInf, kNaN, 0x1p-149f, 3.4e38f};
  std::vector<float> a, b;
  for (const float p : special)
    for (const float q : special) a.push_back(p), b.push_back(q);
  const int64_t n = static_cast<int64_t>(a.size());
  on_every_isa([&] {
    for (const Case& c : cases()) {
      std::vector<float> y(a.size());
      binary(c.op, a.data(), 1, b.data(), 1, y.data(), n);
      for (int64_t i = 0; i < n; ++i) expect_same(c.exact(a[i], b[i]), y[i], c.name, i);
      for (const float q : special) {
        binary(c.op, a.data(), 1, &q, 0, y.data(), n);
        for (int64_t i = 0; i < n; ++i) expect_same(c.exact(a[i], q), y[i], c.name, i);
      }
    }
  });
  const std::vector<double> ad(a.begin(), a.end()), bd(b.begin(), b.end());
  std::vector<double> y(a.size());
  for (const Case& c : cases()) {
    if (c.op == Binary::pow) continue;
    binary(c.op, ad.data(), 1, bd.data(), 1, y.data(), n);
    for (int64_t i = 0; i < n; ++i) expect_same(c.exact(a[i], b[i]), static_cast<float>(y[i]), c.name, i);
  }
  binary(Binary::pow, ad.data(), 1, bd.data(), 0, y.data(), n);
  for (const double v : y) EXPECT_EQ(v, 1.0);  // b[0] is 0
}

TEST(Binary, PowersOfAllMagnitudes) {
  const auto exponent = random_floats(20000, 3, -40, 40), log_size = random_floats(20000, 4, -87, 88);
  std::vector<float> a(exponent.size()), b = exponent;
  for (size_t i = 0; i < a.size(); ++i) {
    a[i] = std::exp(log_size[i]) * (i % 3 ? 1.0f : -1.0f);
    if (i % 2) b[i] = std::round(b[i]);
  }
  on_every_isa([&] {
    std::vector<float> y(a.size());
    binary(Binary::pow, a.data(), 1, b.data(), 1, y.data(), static_cast<int64_t>(a.size()));
    for (size_t i = 0; i < a.size(); ++i)
      expect_same(std::pow(static_cast<double>(a[i]), static_cast<double>(b[i])), y[i], "pow", static_cast<int64_t>(i));
  });
}

TEST(Binary, Choose) {
  on_every_isa([] {
    for (int64_t n = 0; n <= 35; ++n)
      for (const int64_t a_step : {0, 1})
        for (const int64_t b_step : {0, 1}) {
          const Edge edge = n % 2 ? Edge::end : Edge::begin;
          auto av = random_floats(a_step ? n : 1, 1), bv = random_floats(b_step ? n : 1, 2);
          if (n > 2) av[0] = kNaN, bv[0] = -0.0f;
          Guarded<float> a(av, edge), b(bv, edge), y(n, edge);
          Guarded<bool> condition(n, edge);
          for (int64_t i = 0; i < n; ++i) condition[i] = i * i % 3 == 1;
          choose(condition.data(), a.data(), a_step, b.data(), b_step, y.data(), n);
          std::vector<float> want(static_cast<size_t>(n));
          for (int64_t i = 0; i < n; ++i) want[static_cast<size_t>(i)] = condition[i] ? av[static_cast<size_t>(i * a_step)] : bv[static_cast<size_t>(i * b_step)];
          ASSERT_TRUE(same_bits(want, y.values())) << n;
        }
  });
}

TEST(Binary, AddScaled) {
  on_every_isa([] {
    for (int64_t n = 0; n <= 35; ++n) {
      const auto av = random_floats(n, 1), yv = random_floats(n, 2);
      Guarded<float> a(av), y(yv);
      std::vector<double> ad(av.begin(), av.end()), yd(yv.begin(), yv.end());
      add_scaled(a.data(), -0.3f, y.data(), n);
      add_scaled(ad.data(), -0.3, yd.data(), n);
      for (int64_t i = 0; i < n; ++i) {
        ASSERT_NEAR(y[i], yv[i] + -0.3 * av[i], 2e-7);
        ASSERT_NEAR(y[i], yd[i], 2e-7);
      }
    }
  });
}

}  // namespace
}  // namespace miniten::kernels
