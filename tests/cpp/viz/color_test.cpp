#include "miniten/viz/color.h"
#include <gtest/gtest.h>
#include <cmath>
#include "miniten/base/error.h"
#include "viz/theme.h"

namespace miniten::viz {
namespace {

TEST(Color, ReadsEveryForm) {
  EXPECT_EQ(to_hex(parse_color("steelblue")), "#4682b4");
  EXPECT_EQ(to_hex(parse_color("AliceBlue")), "#f0f8ff");
  EXPECT_EQ(to_hex(parse_color("yellowgreen")), "#9acd32");
  EXPECT_EQ(to_hex(parse_color("r")), "#ff0000");
  EXPECT_EQ(to_hex(parse_color("g")), "#008000");
  EXPECT_EQ(to_hex(parse_color("tab:orange")), "#ff7f0e");
  EXPECT_EQ(to_hex(parse_color("C0")), "#1f77b4");
  EXPECT_EQ(to_hex(parse_color("C13")), "#d62728");
  EXPECT_EQ(to_hex(parse_color("#abc")), "#aabbcc");
  EXPECT_EQ(to_hex(parse_color("#12345680")), "#12345680");
  EXPECT_EQ(to_hex(parse_color("0.5")), "#808080");
  EXPECT_EQ(parse_color("none").a, 0);
}

TEST(Color, RefusesWhatIsNoColour) {
  for (const char* text : {"", "#", "#12", "#ggg", "#-12", "#12345", "blu", "C", "C-1", "Cx", "1.5", "-0.1", "nan", "tab:black", "0x10"}) {
    EXPECT_THROW(parse_color(text), Error) << text;
  }
}

TEST(Color, CycleTurnsRound) {
  EXPECT_EQ(get_color(0), "#1f77b4");
  EXPECT_EQ(get_color(9), "#17becf");
  EXPECT_EQ(get_color(10), get_color(0));
  EXPECT_THROW(get_color(-1), Error);
}

TEST(Color, ContrastIsWcags) {
  EXPECT_DOUBLE_EQ(contrast(parse_color("white"), parse_color("black")), 21);
  EXPECT_NEAR(contrast(parse_color("#777777"), parse_color("white")), 4.48, 0.01);
}

TEST(Theme, TextMeetsWcagAaAndMarksStandOut) {
  for (const char* name : {"light", "dark"}) {
    const Theme& theme = theme_of(name);
    EXPECT_GE(contrast(theme.text, theme.background), 7) << name;
    EXPECT_GE(contrast(theme.muted, theme.background), 4.5) << name;
  }
  for (int i = 0; i < 10; ++i) EXPECT_GE(contrast(theme_of("dark").cycle_color(i), theme_of("dark").background), 4.5) << i;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(to_hex(theme_of("light").cycle_color(i)), get_color(i));
  EXPECT_THROW(theme_of("solarized"), Error);
}

TEST(Theme, TextOnCellsCanBeRead) {
  for (const std::string& name : colormap_names()) {
    for (int i = 0; i <= 100; ++i) {
      const Color ground = colormap_at(name, i / 100.0);
      EXPECT_GE(contrast(readable_on(ground), ground), 4.1) << name << ' ' << i;
    }
  }
}

// The published tables at 0, 1/4, 1/2, 3/4 and 1.
TEST(Colormap, IsThePublishedOne) {
  const struct { const char* name; const char* colors[5]; } expected[] = {
      {"viridis", {"#440154", "#3b528b", "#21918c", "#5ec962", "#fde725"}},
      {"plasma", {"#0d0887", "#7e03a8", "#cc4778", "#f89540", "#f0f921"}},
      {"magma", {"#000004", "#51127c", "#b73779", "#fc8961", "#fcfdbf"}},
      {"inferno", {"#000004", "#57106e", "#bc3754", "#f98e09", "#fcffa4"}},
      {"gray", {"#000000", "#404040", "#808080", "#c0c0c0", "#ffffff"}},
      {"coolwarm", {"#3b4cc0", "#8db0fe", "#dddcdc", "#f49a7b", "#b40426"}},
      {"jet", {"#000080", "#0080ff", "#7dff7a", "#ff9400", "#800000"}}};
  for (const auto& map : expected) {
    for (int i = 0; i < 5; ++i) {
      const Color is = colormap_at(map.name, i / 4.0), want = parse_color(map.colors[i]);
      EXPECT_LE(std::abs(is.r - want.r) + std::abs(is.g - want.g) + std::abs(is.b - want.b), 6) << map.name << ' ' << i << ' ' << to_hex(is);
    }
  }
  EXPECT_EQ(to_hex(colormap_at("tab10", 0.35)), get_color(3));
  EXPECT_EQ(to_hex(colormap_at("tab10", 1)), get_color(9));
  EXPECT_EQ(colormap_at("viridis_r", 0), colormap_at("viridis", 1));
  EXPECT_THROW(colormap_at("turbid", 0), Error);
  EXPECT_THROW(colormap_at("viridis", NAN), Error);
}

TEST(Colormap, LightnessOfViridisRises) {
  double before = -1;
  for (int i = 0; i < 256; ++i) {
    const double now = luminance(colormap_at("viridis", i / 255.0));
    EXPECT_GT(now, before - 1e-3) << i;
    before = now;
  }
}

TEST(Colormap, ScalesClampsAndMarksMissing) {
  const std::vector<double> data = {0, 10, 5, -INFINITY, INFINITY, NAN};
  const std::vector<uint8_t> rgb = colormap(data, "gray", NAN, NAN);
  EXPECT_EQ(rgb, (std::vector<uint8_t>{0, 0, 0, 255, 255, 255, 128, 128, 128, 0, 0, 0, 255, 255, 255, 128, 128, 128}));
  EXPECT_EQ(colormap(std::vector<double>{5, 20}, "gray", 0, 10), (std::vector<uint8_t>{128, 128, 128, 255, 255, 255}));
  EXPECT_EQ(colormap(std::vector<double>{7, 7}, "gray", NAN, NAN)[0], 128);
  EXPECT_EQ(colormap(std::vector<double>{-1e308, 1e308}, "gray", NAN, NAN)[3], 255);
  EXPECT_TRUE(colormap({}, "gray", NAN, NAN).empty());
  EXPECT_THROW(colormap(data, "gray", 2, 1), Error);
}

}  // namespace
}  // namespace miniten::viz
