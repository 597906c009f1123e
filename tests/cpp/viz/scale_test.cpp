#include "viz/scale.h"
#include <gtest/gtest.h>
#include <cmath>

namespace miniten::viz {
namespace {

std::vector<std::string> texts(const Ticks& ticks) {
  std::vector<std::string> out;
  for (const Label& l : ticks.labels) out.push_back(l.text + (l.exponent.empty() ? "" : "^" + l.exponent));
  return out;
}
using Texts = std::vector<std::string>;

TEST(Scale, MapsLinearLogAndTurnedRound) {
  EXPECT_DOUBLE_EQ((Scale{ScaleKind::linear, 2, 4}.unit(3)), 0.5);
  EXPECT_DOUBLE_EQ((Scale{ScaleKind::linear, 4, 2}.unit(4)), 0);
  EXPECT_DOUBLE_EQ((Scale{ScaleKind::log, 1, 100}.unit(10)), 0.5);
  EXPECT_TRUE(std::isnan(Scale{ScaleKind::log, 1, 100}.unit(0)));
  EXPECT_TRUE(std::isnan(Scale{ScaleKind::log, 1, 100}.unit(-5)));
  EXPECT_TRUE(std::isnan(Scale{}.unit(INFINITY)));
  EXPECT_TRUE(std::isnan(Scale{}.unit(NAN)));
}

TEST(Ticks, AreNiceNumbersInside) {
  EXPECT_EQ(texts(choose_ticks({ScaleKind::linear, 0, 1}, 5, false)), (Texts{"0.0", "0.2", "0.4", "0.6", "0.8", "1.0"}));
  EXPECT_EQ(texts(choose_ticks({ScaleKind::linear, -0.3, 2.7}, 4, false)), (Texts{"0", "1", "2"}));
  EXPECT_EQ(texts(choose_ticks({ScaleKind::linear, -1, 1}, 4, false)), (Texts{"−1.0", "−0.5", "0.0", "0.5", "1.0"}));
  EXPECT_EQ(texts(choose_ticks({ScaleKind::linear, 10, 0}, 5, false)), (Texts{"0", "2", "4", "6", "8", "10"}));
}

TEST(Ticks, OfIntegersAreIntegers) {
  EXPECT_EQ(texts(choose_ticks({ScaleKind::linear, 0, 10}, 4, false)), (Texts{"0.0", "2.5", "5.0", "7.5", "10.0"}));
  EXPECT_EQ(texts(choose_ticks({ScaleKind::linear, 0, 10}, 4, true)), (Texts{"0", "5", "10"}));
  EXPECT_EQ(texts(choose_ticks({ScaleKind::linear, 0.9, 3.1}, 9, true)), (Texts{"1", "2", "3"}));
}

TEST(Ticks, LeaveOutWhatTheyShare) {
  auto shown = [](double lo, double hi, int most) {
    const Ticks ticks = choose_ticks({ScaleKind::linear, lo, hi}, most, false);
    Texts all = texts(ticks);
    all.push_back(ticks.offset.text + (ticks.offset.exponent.empty() ? "" : "^" + ticks.offset.exponent));
    return all;
  };
  EXPECT_EQ(shown(0, 400, 4), (Texts{"0", "100", "200", "300", "400", ""}));
  EXPECT_EQ(shown(2016, 2024, 4), (Texts{"2016", "2018", "2020", "2022", "2024", ""}));
  EXPECT_EQ(shown(1e-8, 4e-8, 4), (Texts{"1", "2", "3", "4", "×10^−8"}));
  EXPECT_EQ(shown(0, 3e9, 3), (Texts{"0", "1", "2", "3", "×10^9"}));
  EXPECT_EQ(shown(-3e9, 0, 3), (Texts{"−3", "−2", "−1", "0", "×10^9"}));
  EXPECT_EQ(shown(1e6, 1e6 + 2, 2), (Texts{"0", "1", "2", "+1000000"}));
  EXPECT_EQ(shown(123456.7, 123456.7 + 0.002, 2), (Texts{"0.000", "0.001", "0.002", "+123456.7"}));
  EXPECT_EQ(shown(-123456.7 - 0.002, -123456.7, 2), (Texts{"−0.002", "−0.001", "0.000", "−123456.7"}));
  EXPECT_EQ(shown(999999999.9995, 999999999.9997, 2).back(), "+999999999.999");
  EXPECT_EQ(shown(1.5e12, 1.5e12 + 2e3, 2), (Texts{"0", "1000", "2000", "+1.5×10^12"}));
  EXPECT_EQ(shown(0.123, 0.123 + 2e-8, 2), (Texts{"0", "1", "2", "+0.123, ×10^−8"}));
}

TEST(Ticks, OfAnySpanAreFewFiniteAndRising) {
  for (double lo : {-1e299, -1e15, -3.7, 0.0, 1e-300, 0.1, 123456789.0}) {
    for (double span : {1e-320, 1e-12, 1e-3, 0.7, 1.0, 9.99, 1e9, 1e299}) {
      const double hi = lo + span;
      if (!(hi > lo)) continue;
      for (int most = 1; most <= 10; ++most) {
        const Ticks ticks = choose_ticks({ScaleKind::linear, lo, hi}, most, false);
        EXPECT_LE(ticks.major.size(), size_t(most) + 1) << lo << ' ' << span;
        ASSERT_EQ(ticks.major.size(), ticks.labels.size());
        for (size_t i = 0; i < ticks.major.size(); ++i) {
          EXPECT_GE(ticks.major[i], lo - span * 1e-5);
          EXPECT_LE(ticks.major[i], hi + span * 1e-5);
          if (i) EXPECT_GT(ticks.major[i], ticks.major[i - 1]);
          if (i && span > 1e-9) EXPECT_NE(ticks.labels[i], ticks.labels[i - 1]) << lo << ' ' << span << ' ' << most;
        }
      }
    }
  }
}

TEST(Ticks, OfLogAxes) {
  EXPECT_EQ(texts(choose_ticks({ScaleKind::log, 1e-6, 1}, 8, false)), (Texts{"10^−6", "10^−5", "10^−4", "10^−3", "10^−2", "10^−1", "10^0"}));
  EXPECT_EQ(texts(choose_ticks({ScaleKind::log, 0.05, 200}, 8, false)), (Texts{"0.1", "1", "10", "100"}));
  EXPECT_EQ(texts(choose_ticks({ScaleKind::log, 1.5, 8}, 8, false)), (Texts{"2", "3", "5", "7"}));
  EXPECT_EQ(choose_ticks({ScaleKind::log, 1, 100}, 8, false).minor.size(), 16u);
  EXPECT_LE(choose_ticks({ScaleKind::log, 1e-300, 1e299}, 8, false).major.size(), 9u);
  EXPECT_GE(choose_ticks({ScaleKind::log, 1e-300, 1e299}, 8, false).major.size(), 3u);
}

TEST(AutoScale, HandlesEveryKindOfData) {
  auto of = [](std::vector<double> data, ScaleKind kind = ScaleKind::linear) {
    Range range;
    for (double v : data) range.add(v);
    return auto_scale(range, kind);
  };
  auto expect = [](Scale s, double lo, double hi) { EXPECT_NEAR(s.lo, lo, 1e-9 * std::abs(hi)); EXPECT_NEAR(s.hi, hi, 1e-9 * std::abs(hi)); };
  expect(of({}), 0, 1);
  expect(of({NAN, INFINITY}), 0, 1);
  expect(of({0, 10}), -0.5, 10.5);
  expect(of({0}), -1, 1);
  expect(of({5, 5}), 4.5, 5.5);
  expect(of({1, NAN, INFINITY, 2}), 0.95, 2.05);
  expect(of({-3, 0}, ScaleKind::log), 0.1, 10);
  expect(of({-3, 10}, ScaleKind::log), 10 / 3.0, 30);
  const Scale wide = of({-1.7e308, 1.7e308, 2, 3});  // too large to compute with: not counted
  expect(wide, 1.95, 3.05);
}

TEST(AutoScale, KeepsTheFootOfBars) {
  Range range;
  range.sticky = {0};
  range.add(0), range.add(10);
  EXPECT_EQ(auto_scale(range, ScaleKind::linear).lo, 0);
  EXPECT_GT(auto_scale(range, ScaleKind::linear).hi, 10);
}

}  // namespace
}  // namespace miniten::viz
