#include "viz/raster.h"
#include <gtest/gtest.h>
#include <cmath>
#include <random>
#include "viz/font.h"
#include "viz/text.h"

namespace miniten::viz {
namespace {

std::vector<float> covered(Mask& mask, int width, int height) {
  std::vector<float> out(size_t(width) * size_t(height), 0);
  mask.sweep([&](int y, int x, std::span<const float> row) { std::copy(row.begin(), row.end(), &out[size_t(y * width + x)]); });
  return out;
}

bool inside(const std::vector<Point>& shape, Point p) {  // winding number
  int winding = 0;
  for (size_t i = 0; i < shape.size(); ++i) {
    const Point a = shape[i], b = shape[(i + 1) % shape.size()];
    const double side = (b.x - a.x) * (p.y - a.y) - (p.x - a.x) * (b.y - a.y);
    if (a.y <= p.y && b.y > p.y && side > 0) ++winding;
    if (a.y > p.y && b.y <= p.y && side < 0) --winding;
  }
  return winding != 0;
}

TEST(Mask, CoverageIsArea) {
  Mask mask(4, 3);
  const Point box[] = {{0.25, 0.5}, {2.5, 0.5}, {2.5, 2}, {0.25, 2}};
  mask.polygon(box);
  const std::vector<float> c = covered(mask, 4, 3);
  const float expected[] = {0.375f, 0.5f, 0.25f, 0, 0.75f, 1, 0.5f, 0, 0, 0, 0, 0};
  for (size_t i = 0; i < 12; ++i) EXPECT_NEAR(c[i], expected[i], 1e-6) << i;
  for (float v : covered(mask, 4, 3)) EXPECT_EQ(v, 0) << "a sweep empties it";
}

// Against counting sample points, with corners far outside of the page too.
TEST(Mask, ConvexShapesMatchSampling) {
  std::mt19937 random(5);
  constexpr int n = 24, fine = 16;
  for (int round = 0; round < 60; ++round) {
    const double reach = round % 3 ? 14 : 60, cx = std::uniform_real_distribution<>(0, n)(random), cy = std::uniform_real_distribution<>(0, n)(random);
    std::vector<Point> shape;
    const int corners = 3 + round % 5;
    for (int i = 0; i < corners; ++i) {
      const double angle = 2 * M_PI * (i + 0.3 * std::uniform_real_distribution<>(0, 1)(random)) / corners;
      shape.push_back({cx + reach * std::cos(angle), cy + reach * std::sin(angle)});
    }
    if (round % 2) std::reverse(shape.begin(), shape.end());
    Mask mask(n, n);
    mask.polygon(shape);
    const std::vector<float> c = covered(mask, n, n);
    for (int y = 0; y < n; ++y) {
      for (int x = 0; x < n; ++x) {
        int hits = 0;
        for (int k = 0; k < fine * fine; ++k) hits += inside(shape, {x + (k % fine + 0.5) / fine, y + (k / fine + 0.5) / fine});
        ASSERT_NEAR(c[size_t(y * n + x)], double(hits) / (fine * fine), 0.05) << round << ": " << x << ' ' << y;
      }
    }
  }
}

TEST(Mask, ClipKeepsToItsPixels) {
  Mask mask(10, 10);
  mask.clip({2, 3, 7, 8});
  const Point box[] = {{-50, -50}, {50, -50}, {50, 50}, {-50, 50}};
  mask.polygon(box);
  double sum = 0;
  const std::vector<float> c = covered(mask, 10, 10);
  for (int i = 0; i < 100; ++i) {
    const bool within = i % 10 >= 2 && i % 10 < 7 && i / 10 >= 3 && i / 10 < 8;
    EXPECT_EQ(c[size_t(i)], within ? 1 : 0) << i;
    sum += c[size_t(i)];
  }
  EXPECT_EQ(sum, 25);
}

double ink(const Bitmap& b) {  // of black on transparent
  double sum = 0;
  for (size_t i = 3; i < b.rgba.size(); i += 4) sum += b.rgba[i] / 255.0;
  return sum;
}

TEST(Raster, StrokesHaveTheirWidth) {
  for (double width : {0.4, 1.0, 2.5, 7.0}) {
    for (double angle : {0.0, 0.2, 0.7854, 1.3}) {
      RasterCanvas canvas(100, 100);
      const Point ends[] = {{20, 20}, {20 + 60 * std::cos(angle), 20 + 60 * std::sin(angle)}};
      canvas.polyline(ends, {{0, 0, 0}, width});
      EXPECT_NEAR(ink(canvas.finish()), 60 * width, 60 * width * 0.02 + 0.6) << width << ' ' << angle;
    }
  }
}

TEST(Raster, JoinsLeaveNoGapAndDoNotSpike) {
  RasterCanvas canvas(100, 100);
  const Point zigzag[] = {{10, 80}, {50, 20}, {54, 80}, {90, 30}};
  canvas.polyline(zigzag, {{0, 0, 0}, 8});
  const Bitmap b = canvas.finish();
  for (Point p : zigzag) if (p.x != 10 && p.x != 90) EXPECT_EQ(b.rgba[(size_t(p.y) * 100 + size_t(p.x)) * 4 + 3], 255);
  for (size_t x = 0; x < 100; ++x) EXPECT_EQ(b.rgba[(13 * 100 + x) * 4 + 3], 0) << "a miter at the sharp corner";
}

TEST(Raster, DashesAreOnAndOff) {
  RasterCanvas canvas(100, 11);
  const Point ends[] = {{0, 5}, {100, 5}};
  canvas.polyline(ends, {{0, 0, 0}, 2, {6, 4}});
  const Bitmap b = canvas.finish();
  for (size_t x = 0; x < 100; ++x) EXPECT_EQ(b.rgba[(5 * 100 + x) * 4 + 3], x % 10 < 6 ? 255 : 0) << x;
}

TEST(Raster, ManyCirclesLookLikeSingleOnes) {
  std::vector<Point> centres;
  for (int i = 0; i < 100; ++i) centres.push_back({8 + i % 10 * 12.125, 8 + i / 10 * 12.375});
  RasterCanvas stamped(130, 130), drawn(130, 130);
  stamped.circles(centres, 4.3, {{0, 0, 0}}, {});
  for (Point p : centres) drawn.circles(std::span(&p, 1), 4.3, {{0, 0, 0}}, {});
  const Bitmap a = stamped.finish(), b = drawn.finish();
  for (size_t i = 3; i < a.rgba.size(); i += 4) ASSERT_NEAR(a.rgba[i], b.rgba[i], 2) << i;
  EXPECT_NEAR(ink(a), 100 * M_PI * 4.3 * 4.3, 100 * 0.5);
}

TEST(Raster, BlendsOverOpaqueAndTransparent) {
  RasterCanvas canvas(3, 1);
  canvas.rect({0, 0, 1, 1}, {{255, 255, 255}}, 0);
  canvas.rect({0, 0, 2, 1}, {{255, 0, 0, 0.5}}, 0);
  const Bitmap b = canvas.finish();
  const uint8_t expected[] = {255, 128, 128, 255, 255, 0, 0, 128, 0, 0, 0, 0};
  for (size_t i = 0; i < 12; ++i) EXPECT_NEAR(b.rgba[i], expected[i], 1) << i;
}

TEST(Raster, ImagesKeepHardEdgesAndAverageWhenSmall) {
  RasterCanvas canvas(8, 4);
  const Bitmap two{2, 1, {255, 0, 0, 255, 0, 0, 255, 255}};
  canvas.image({0, 0, 8, 3}, two);
  canvas.image({0, 3, 1, 1}, two);
  const Bitmap b = canvas.finish();
  for (size_t x = 0; x < 8; ++x) EXPECT_EQ(b.rgba[x * 4], x < 4 ? 255 : 0) << x;
  EXPECT_NEAR(b.rgba[3 * 8 * 4], 128, 1);
}

TEST(Font, KnowsItsLettersAndKernsThem) {
  for (bool bold : {false, true}) {
    for (char32_t c : U"Az09.−×∞±°µαβγΩ→≤≥√éßŁ…“”·²") if (c) EXPECT_TRUE(face(bold).has(c)) << std::hex << uint32_t(c);
    EXPECT_FALSE(face(bold).has(U'漢'));
    EXPECT_FALSE(face(bold).has(0x1f600));
    EXPECT_LT(face(bold).kerning('A', 'V'), 0);
    EXPECT_EQ(face(bold).kerning('n', 'n'), 0);
    EXPECT_GT(face(bold).advance('W'), face(bold).advance('i') * 2);
  }
}

// Letters of which the area is known well enough: a bar, a dot above it, a bowl.
TEST(Font, DrawsWhatItMeasures) {
  for (const char* text : {"Hello", "αβγ Ω", "10−3 ×", "Łódź", "漢字", "\xff"}) {
    for (double rotation : {0.0, 30.0, 90.0}) {
      RasterCanvas canvas(300, 300);
      const double size = 24, width = text_width(text, size);
      canvas.text({150, 150}, {text}, {{0, 0, 0}, size, Anchor::middle, rotation});
      const Bitmap b = canvas.finish();
      EXPECT_GT(ink(b), 20) << text;
      const double angle = -rotation * M_PI / 180;
      for (int i = 0; i < 300 * 300; ++i) {
        if (b.rgba[size_t(i) * 4 + 3] < 64) continue;
        const double x = i % 300 + 0.5 - 150, y = i / 300 + 0.5 - 150, along = x * std::cos(angle) + y * std::sin(angle), down = -x * std::sin(angle) + y * std::cos(angle);
        ASSERT_LE(std::abs(along), width / 2 + 2) << text << ' ' << rotation;
        ASSERT_GE(down, -size * 1.1) << text;
        ASSERT_LE(down, size * 0.35) << text;
      }
    }
  }
}

TEST(Font, CountersStayOpen) {
  RasterCanvas canvas(60, 60);
  canvas.text({30, 50}, {"O"}, {{0, 0, 0}, 60, Anchor::middle});
  const Bitmap b = canvas.finish();
  const size_t middle = 28;  // of the letter's height
  EXPECT_EQ(b.rgba[(middle * 60 + 30) * 4 + 3], 0);
  int runs = 0;
  for (size_t x = 1; x < 60; ++x) runs += b.rgba[(middle * 60 + x) * 4 + 3] > 128 && b.rgba[(middle * 60 + x - 1) * 4 + 3] <= 128;
  EXPECT_EQ(runs, 2);
}

}  // namespace
}  // namespace miniten::viz
