#include "viz/geometry.h"
#include <gtest/gtest.h>
#include <algorithm>
#include <cmath>

namespace miniten::viz {
namespace {

const Rect view{0, 0, 10, 10};

TEST(Clip, CutsLinesAtTheFrameAndAtGaps) {
  const Point line[] = {{-10, 5}, {5, 5}, {NAN, 1}, {1, 1}, {2, 2}, {2, 1e200}, {4, 4}};
  const auto parts = clip_polyline(line, view);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_DOUBLE_EQ(parts[0][0].x, 0);
  EXPECT_DOUBLE_EQ(parts[0][1].x, 5);
  ASSERT_EQ(parts[1].size(), 3u);
  for (const Polyline& part : parts) {
    for (Point p : part) EXPECT_TRUE(p.x >= 0 && p.x <= 10 && p.y >= 0 && p.y <= 10 + 1e-9) << p.x << ' ' << p.y;
  }
  const Point outside[] = {{-5, -5}, {-1, 20}};
  EXPECT_TRUE(clip_polyline(outside, view).empty());
}

TEST(Clip, CutsPolygons) {
  const Point square[] = {{-5, -5}, {5, -5}, {5, 5}, {-5, 5}};
  Polyline kept = clip_polygon(square, view);
  double area = 0;
  for (size_t i = 0; i < kept.size(); ++i) {
    const Point a = kept[i], b = kept[(i + 1) % kept.size()];
    area += (a.x * b.y - b.x * a.y) / 2;
  }
  EXPECT_NEAR(std::abs(area), 25, 1e-9);
}

TEST(ThinOut, KeepsExtremesOfEveryColumn) {
  Polyline line;
  for (int i = 0; i < 100000; ++i) line.push_back({i / 1000.0, std::sin(i * 0.7) * (i == 54321 ? 9 : 1)});
  const Polyline thin = thin_out(line, 0.5);
  EXPECT_LE(thin.size(), 4u * 200);
  auto higher = [](Point a, Point b) { return a.y < b.y; };
  EXPECT_EQ(std::max_element(thin.begin(), thin.end(), higher)->y, std::max_element(line.begin(), line.end(), higher)->y);
  EXPECT_EQ(std::min_element(thin.begin(), thin.end(), higher)->y, std::min_element(line.begin(), line.end(), higher)->y);
  EXPECT_TRUE(std::is_sorted(thin.begin(), thin.end(), [](Point a, Point b) { return a.x < b.x; }));
  EXPECT_EQ(thin.front().x, line.front().x);
  EXPECT_EQ(thin.back().x, line.back().x);
}

}  // namespace
}  // namespace miniten::viz
