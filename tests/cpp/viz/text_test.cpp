#include "viz/text.h"
#include <gtest/gtest.h>
#include <cmath>
#include "miniten/base/error.h"
#include "miniten/viz/axes.h"
#include "viz/number.h"

namespace miniten::viz {
namespace {

TEST(Text, WidthsGrowWithTextAndSize) {
  EXPECT_EQ(text_width("", 10), 0);
  EXPECT_GT(text_width("WWW", 10), text_width("iii", 10));
  EXPECT_DOUBLE_EQ(text_width("abc", 20), 2 * text_width("abc", 10));
  EXPECT_DOUBLE_EQ(text_width("long\nx", 10), text_width("long", 10));
  EXPECT_DOUBLE_EQ(text_width("漢字", 10), 20);
}

TEST(Text, IsCutAndWrapped) {
  EXPECT_EQ(elide("short", 10, 1000), "short");
  const std::string cut = elide("a rather long label", 10, 60);
  EXPECT_LE(text_width(cut, 10), 60);
  EXPECT_EQ(cut.substr(cut.size() - 3), "…");
  for (const std::string& line : wrap("one two three four five six", 10, 60, false)) EXPECT_LE(text_width(line, 10), 60) << line;
  EXPECT_EQ(wrap("one\ntwo", 10, 1000, false), (std::vector<std::string>{"one", "two"}));
  EXPECT_LE(wrap(std::string(1 << 20, 'x'), 10, 100, true)[0].size(), 40u);
}

TEST(Text, ReadsUtf8AndReplacesWhatIsNot) {
  auto all = [](std::string_view text) {
    std::u32string out;
    while (!text.empty()) out += next_code_point(text);
    return out;
  };
  EXPECT_EQ(all("aé→😀"), U"aé→😀");
  EXPECT_EQ(all("\xff" "a"), U"\ufffda");
  EXPECT_EQ(all("\xc3"), U"\ufffd");
  EXPECT_EQ(all("\xc0\xaf"), U"\ufffd\ufffd");                 // overlong
  EXPECT_EQ(all("\xed\xa0\x80"), U"\ufffd\ufffd\ufffd");       // a surrogate
  EXPECT_EQ(all("\xf4\x90\x80\x80"), U"\ufffd\ufffd\ufffd\ufffd");
}

TEST(FormatValue, FollowsPythonsLanguage) {
  EXPECT_EQ(format_value(0.12345, ".2f"), "0.12");
  EXPECT_EQ(format_value(-1.5, ".1f"), "−1.5");
  EXPECT_EQ(format_value(-0.001, ".1f"), "0.0");
  EXPECT_EQ(format_value(0.123, ".1%"), "12.3%");
  EXPECT_EQ(format_value(1234567, ",d"), "1,234,567");
  EXPECT_EQ(format_value(999, ",d"), "999");
  EXPECT_EQ(format_value(-123456.5, ",.1f"), "−123,456.5");
  EXPECT_EQ(format_value(12.6, "d"), "13");
  EXPECT_EQ(format_value(12345.678, ".3g"), "1.23e+04");
  EXPECT_EQ(format_value(0.5, "g"), "0.5");
  EXPECT_EQ(format_value(1500, ".1e"), "1.5e+03");
  EXPECT_EQ(format_value(NAN, "d"), "nan");
  EXPECT_EQ(format_value(-INFINITY, "d"), "−∞");
  for (const char* bad : {".", ".f", "x", ".2d", "10f", ".2ff", ".99f", "{}"}) EXPECT_THROW(format_value(1, bad), Error) << bad;
}

TEST(Number, CoordinatesAreShort) {
  auto text = [](double v) { std::string s; append_coordinate(s, v); return s; };
  EXPECT_EQ(text(0), "0");
  EXPECT_EQ(text(-0.001), "0");
  EXPECT_EQ(text(12.5), "12.5");
  EXPECT_EQ(text(-3.14159), "-3.14");
  EXPECT_EQ(text(0.05), "0.05");
  EXPECT_EQ(text(100), "100");
}

}  // namespace
}  // namespace miniten::viz
