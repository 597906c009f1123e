#include "viz/terminal.h"
#include <gtest/gtest.h>
#include <cmath>
#include <sstream>
#include "miniten/base/error.h"
#include "miniten/viz/figure.h"
#include "viz/terminal_canvas.h"

namespace miniten::viz {
namespace {

using Numbers = std::vector<double>;
using Names = std::vector<std::string>;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}
std::string stripped(const std::string& text) {  // without ANSI colours
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') i = text.find('m', i);
    else out += text[i];
  }
  return out;
}

Figure busy() {
  Figure figure({.width = 9, .height = 6});
  Axes& a = figure.add_subplot(2, 2, 1);
  a.plot(Numbers{1, 4, 9, 16}, {.linestyle = "--", .marker = "o", .label = "a rather long label of a curve"});
  a.set_title("A title that is much longer than the narrowest of these terminals allows for a single plot");
  a.set_xlabel("epoch"), a.set_ylabel("loss"), a.legend();
  figure.add_subplot(2, 2, 2).bar(Names{"float32", "int8", "漢字"}, Numbers{3, 1, 2}, {.value_format = ".1f"});
  figure.add_subplot(2, 2, 3).heatmap(Numbers{1, 2, 3, 4, NAN, 6}, 2, 3, {.annotate = true, .colorbar_label = "value"});
  figure.add_subplot(2, 2, 4).scatter(Numbers{1, 10, 100}, Numbers{1e-3, 1, 1e3}, {.values = {1, 2, 3}});
  figure.add_subplot(2, 2, 4).set_xscale("log"), figure.add_subplot(2, 2, 4).set_yscale("log");
  figure.suptitle("Everything");
  return figure;
}

TEST(Terminal, KeepsToTheWidth) {
  const Figure figure = busy();
  for (int width : {20, 40, 80, 133, 200}) {
    for (bool color : {false, true}) {
      const std::string text = figure.to_text({.width = width, .color = color});
      for (const std::string& line : lines_of(stripped(text))) EXPECT_LE(columns_of(line), width) << line;
      EXPECT_EQ(text.find('\x1b') != text.npos, color);
    }
  }
}

TEST(Terminal, ShowsNamesNumbersAndData) {
  const std::string text = busy().to_text({.width = 100, .color = false});
  for (const char* part : {"Everything", "epoch", "loss", "a rather long label", "float32", "int8", "漢字", "3.0", "10", "█"}) {
    EXPECT_NE(text.find(part), text.npos) << part << "\n" << text;
  }
  bool dots = false;
  for (size_t i = 0; i + 2 < text.size(); ++i) dots = dots || (uint8_t(text[i]) == 0xe2 && (uint8_t(text[i + 1]) & 0xfc) == 0xa0);
  EXPECT_TRUE(dots) << "no braille dots";
}

TEST(Terminal, LinesRunWhereTheDataAre) {
  Figure figure;
  Axes& axes = figure.add_subplot();
  axes.plot(Numbers{0, 1}, Numbers{0, 1});
  axes.set_xlim(0, 1), axes.set_ylim(0, 1);
  const std::vector<std::string> lines = lines_of(figure.to_text({.width = 60, .height = 20, .color = false}));
  size_t before = 1000;
  int found = 0;
  for (const std::string& line : lines) {  // rising to the right: further down means further left
    const size_t first = std::min({line.find("\xe2\xa0"), line.find("\xe2\xa1"), line.find("\xe2\xa2"), line.find("\xe2\xa3")});
    if (first == line.npos) continue;
    EXPECT_LT(first, before) << line;
    before = first, ++found;
  }
  EXPECT_GE(found, 15);
}

TEST(Terminal, HostileTextCannotSteerTheTerminal) {
  Figure figure;
  figure.add_subplot().set_title("\x1b[2J\x07\x9b" "31mtitle\r\n\xe2\x80\xae" "turned");
  figure.add_subplot().bar(Names{"\x1b]0;owned\x07"}, Numbers{1});
  const std::string text = figure.to_text({.color = false});
  for (unsigned char c : text) EXPECT_TRUE(c == '\n' || (c >= 0x20 && c != 0x7f)) << int(c);
  EXPECT_EQ(text.find("\xe2\x80\xae"), text.npos);
}

TEST(Terminal, AwkwardDataAndSizes) {
  for (const Numbers& y : {Numbers{}, Numbers{0}, Numbers{NAN, INFINITY}, Numbers{1e300, -1e300}, Numbers(100000, 1.0)}) {
    Figure figure;
    figure.add_subplot(3, 3, 1).plot(y, {.label = "y"});
    figure.add_subplot(3, 3, 1).legend();
    figure.add_subplot(3, 3, 5).hist(y);
    const int64_t n = std::min<int64_t>(int64_t(y.size()), 30000);
    figure.add_subplot(3, 3, 9).imshow(Numbers(y.begin(), y.begin() + n), 1, n);
    EXPECT_FALSE(figure.to_text({.width = 20}).empty());
  }
  Figure many;
  for (int i = 1; i <= 100; ++i) many.add_subplot(1, 100, i).plot(Numbers{1, 2});
  for (const std::string& line : lines_of(many.to_text({.width = 40, .color = false}))) EXPECT_LE(columns_of(line), 40);
  EXPECT_THROW(many.to_text({.width = 0}), Error);
  EXPECT_THROW(many.to_text({.width = 80, .height = 1 << 30}), Error);
}

}  // namespace
}  // namespace miniten::viz
