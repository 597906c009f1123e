#include "viz/isolines.h"
#include <gtest/gtest.h>
#include <cmath>
#include <random>

namespace miniten::viz {
namespace {

using Numbers = std::vector<double>;

double area(const std::vector<GridPoints>& loops) {  // holes turn the other way
  double sum = 0;
  for (const GridPoints& loop : loops) {
    for (size_t i = 0; i < loop.size(); ++i) {
      const auto& [x0, y0] = loop[i];
      const auto& [x1, y1] = loop[(i + 1) % loop.size()];
      sum += (x0 * y1 - x1 * y0) / 2;
    }
  }
  return sum;
}

TEST(Contour, OfACircleIsAClosedCircle) {
  constexpr int n = 41;
  Numbers z, axis;
  for (int i = 0; i < n; ++i) axis.push_back((i - 20) / 10.0);
  for (double y : axis) for (double x : axis) z.push_back(std::hypot(x, y));
  const auto lines = contour_lines(z, axis, axis, 1.5);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].front(), lines[0].back());
  for (const auto& [x, y] : lines[0]) EXPECT_NEAR(std::hypot(x, y), 1.5, 0.01);
  EXPECT_TRUE(contour_lines(z, axis, axis, 9).empty());
  Numbers holes = z;
  holes[20 * n + 35] = NAN;           // on the circle: it opens there
  EXPECT_NE(contour_lines(holes, axis, axis, 1.5)[0].front(), contour_lines(holes, axis, axis, 1.5)[0].back());
}

TEST(Contour, SaddlesDoNotCross) {
  const Numbers z = {1, 0, 0, 1}, axis = {0, 1};
  EXPECT_EQ(contour_lines(z, axis, axis, 0.4).size(), 2u);
  EXPECT_EQ(contour_lines(z, axis, axis, 0.6).size(), 2u);
}

TEST(Regions, OfAPlaneAreCutAtTheLevel) {
  Numbers z, axis;
  for (int i = 0; i < 9; ++i) axis.push_back(i);
  for (int r = 0; r < 9; ++r) for (double x : axis) z.push_back(x);
  EXPECT_DOUBLE_EQ(area(contour_regions(z, axis, axis, 2.5)), 8 * 5.5);
  EXPECT_DOUBLE_EQ(area(contour_regions(z, axis, axis, -HUGE_VAL)), 64);
  EXPECT_TRUE(contour_regions(z, axis, axis, 8.5).empty());
  const auto all = contour_regions(z, axis, axis, 0);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_LE(all[0].size(), 5u);                          // straight borders are not cut up
}

TEST(Regions, OfARingHaveAHole) {
  constexpr int n = 81;
  Numbers z, axis;
  for (int i = 0; i < n; ++i) axis.push_back((i - 40) / 20.0);
  for (double y : axis) for (double x : axis) z.push_back(-std::abs(std::hypot(x, y) - 1));
  const auto loops = contour_regions(z, axis, axis, -0.25);
  EXPECT_EQ(loops.size(), 2u);
  EXPECT_NEAR(area(loops), M_PI * (1.25 * 1.25 - 0.75 * 0.75), 0.01);
}

// What is above a level and what is below it make up the whole grid, holes left out, whatever the values are.
TEST(Regions, AboveAndBelowMakeUpTheGrid) {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> value(-1, 1);
  for (int trial = 0; trial < 200; ++trial) {
    const size_t cols = 2 + random() % 7, rows = 2 + random() % 7;
    Numbers x, y, z(cols * rows), turned(cols * rows);
    for (size_t i = 0; i < cols; ++i) x.push_back((i ? x.back() : 0) + 0.1 + std::abs(value(random)));
    for (size_t i = 0; i < rows; ++i) y.push_back((i ? y.back() : 0) + 0.1 + std::abs(value(random)));
    for (size_t i = 0; i < z.size(); ++i) {
      z[i] = trial % 3 == 0 ? std::round(2 * value(random)) / 2 : value(random);       // with many values that are the level
      if (random() % 9 == 0) z[i] = NAN;
      turned[i] = -z[i];
    }
    double whole = 0;
    for (size_t r = 0; r + 1 < rows; ++r) {
      for (size_t c = 0; c + 1 < cols; ++c) {
        const size_t i = r * cols + c;
        if (std::isfinite(z[i] + z[i + 1] + z[i + cols] + z[i + cols + 1])) whole += (x[c + 1] - x[c]) * (y[r + 1] - y[r]);
      }
    }
    double before = whole;
    EXPECT_NEAR(area(contour_regions(z, x, y, -HUGE_VAL)), whole, 1e-9);
    for (double level : {-0.75, -0.5, 0.0, 0.3, 0.5}) {
      const double above = area(contour_regions(z, x, y, level)), below = area(contour_regions(turned, x, y, std::nextafter(-level, 1e9)));
      EXPECT_NEAR(above + below, whole, 1e-9) << trial << " " << level;
      EXPECT_LE(above, before + 1e-9);
      before = above;
    }
  }
}

}  // namespace
}  // namespace miniten::viz
