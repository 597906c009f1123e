#include "miniten/viz/figure.h"
#include <gtest/gtest.h>
#include <unistd.h>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>
#include "miniten/base/error.h"
#include "viz/text.h"
#include "xml.h"

namespace miniten::viz {
namespace {

using Numbers = std::vector<double>;
using Names = std::vector<std::string>;
using check::Element;
using check::Xml;

double number(const Element& e, const std::string& key) {
  auto at = e.attributes.find(key);
  return at == e.attributes.end() ? 0 : std::stod(at->second);
}

struct Box { double left, top, right, bottom; std::string text; Point corners[4]; };

// Whether two texts, turned ones too, share more than half a pixel: no side of either has the other wholly behind it.
bool overlap(const Box& a, const Box& b) {
  for (const Box* one : {&a, &b}) {
    for (int side = 0; side < 4; ++side) {
      const Point p = one->corners[side], q = one->corners[(side + 1) % 4], d{q.y - p.y, p.x - q.x};
      const double length = std::hypot(d.x, d.y);
      double low[2] = {1e9, 1e9}, high[2] = {-1e9, -1e9};
      for (int k = 0; k < 4; ++k) {
        const double at[2] = {(a.corners[k].x * d.x + a.corners[k].y * d.y) / length, (b.corners[k].x * d.x + b.corners[k].y * d.y) / length};
        for (int who = 0; who < 2; ++who) low[who] = std::min(low[who], at[who]), high[who] = std::max(high[who], at[who]);
      }
      if (high[0] < low[1] + 0.5 || high[1] < low[0] + 0.5) return false;
    }
  }
  return true;
}

// Estimated boxes of all texts.
std::vector<Box> text_boxes(const Xml& xml) {
  std::vector<Box> boxes;
  for (const Element& e : xml.named("text")) {
    const double size = number(e, "font-size"), width = text_width(e.text, size, e.attributes.count("font-weight"));
    const std::string anchor = e.attributes.count("text-anchor") ? e.attributes.at("text-anchor") : "start";
    const double x = number(e, "x"), y = number(e, "y"), left = anchor == "start" ? 0 : anchor == "middle" ? -width / 2 : -width;
    double angle = 0;
    if (e.attributes.count("transform")) angle = std::stod(e.attributes.at("transform").substr(7)) * M_PI / 180;
    Box box{1e9, 1e9, -1e9, -1e9, e.text, {}};
    for (int right = 0; right < 2; ++right) {
      for (int down = 0; down < 2; ++down) {
        const double dx = right ? left + width : left, dy = down ? 0 : -cap_height(size);
        const double px = x + dx * std::cos(angle) - dy * std::sin(angle), py = y + dx * std::sin(angle) + dy * std::cos(angle);
        box.corners[right ? 3 - down : down] = {px, py};
        box.left = std::min(box.left, px), box.right = std::max(box.right, px);
        box.top = std::min(box.top, py), box.bottom = std::max(box.bottom, py);
      }
    }
    boxes.push_back(box);
  }
  return boxes;
}

void expect_no_overlap(const std::string& svg, double width, double height) {
  const Xml xml(svg);
  ASSERT_EQ(xml.error, "");
  const std::vector<Box> boxes = text_boxes(xml);
  for (size_t i = 0; i < boxes.size(); ++i) {
    const Box& a = boxes[i];
    EXPECT_TRUE(a.left >= -1 && a.top >= -1 && a.right <= width + 1 && a.bottom <= height + 1) << a.text << " leaves the page";
    for (size_t k = i + 1; k < boxes.size(); ++k) {
      const Box& b = boxes[k];
      EXPECT_FALSE(overlap(a, b)) << "'" << a.text << "' on '" << b.text << "'";
    }
  }
}

TEST(Figure, HoldsWhatWasGiven) {
  Figure figure;
  Axes& axes = figure.add_subplot();
  axes.plot(Numbers{0, 1, 2}, Numbers{0, 1, 4}, {.color = "#123456", .linewidth = 3.6, .label = "curve"});
  axes.set_title("Title");
  axes.set_xlabel("abscissa");
  axes.set_ylabel("ordinate");
  axes.legend();
  axes.grid();
  const Xml xml(figure.to_svg());
  ASSERT_EQ(xml.error, "");
  EXPECT_EQ(xml.elements[0].attributes.at("viewBox"), "0 0 800 600");
  for (const char* text : {"Title", "abscissa", "ordinate", "curve", "0", "2", "4"}) EXPECT_TRUE(xml.has_text(text)) << text;
  int lines = 0;
  for (const Element& e : xml.named("path")) lines += e.attributes.count("stroke") && e.attributes.at("stroke") == "#123456" && e.attributes.at("stroke-width") == "5";
  EXPECT_EQ(lines, 2) << "the curve and its key";
}

TEST(Figure, DpiSizesEverything) {
  auto svg_of = [](double dpi) {
    Figure figure({.width = 4, .height = 3, .dpi = dpi});
    figure.add_subplot().plot(Numbers{1, 2}, {.color = "red", .linewidth = 2});
    return Xml(figure.to_svg());
  };
  const Xml small = svg_of(72), large = svg_of(144);
  EXPECT_EQ(large.elements[0].attributes.at("width"), "576");
  auto width = [](const Xml& xml) {
    for (const Element& e : xml.named("path")) if (e.attributes.count("stroke") && e.attributes.at("stroke") == "#ff0000") return number(e, "stroke-width");
    return 0.0;
  };
  EXPECT_EQ(width(small), 2);
  EXPECT_EQ(width(large), 4);
  EXPECT_EQ(number(small.named("text")[0], "font-size") * 2, number(large.named("text")[0], "font-size"));
}

TEST(Figure, HostileTextStaysText) {
  const std::string nasty = "<script>alert(1)</script>&amp;\"'\x01\xff]]>\xe2\x80\xae" "end";
  Figure figure;
  Axes& axes = figure.add_subplot();
  axes.plot(Numbers{1, 2}, {.label = nasty});
  axes.bar(Names{nasty, "b"}, Numbers{1, 2});
  axes.set_title(nasty);
  axes.set_xlabel(nasty);
  axes.text(0, 1, nasty);
  axes.legend();
  figure.suptitle(nasty + std::string(1 << 20, 'x'));
  const std::string svg = figure.to_svg();
  const Xml xml(svg);
  EXPECT_EQ(xml.error, "");
  EXPECT_TRUE(xml.named("script").empty());
  EXPECT_EQ(svg.find("<script"), svg.npos);
  EXPECT_EQ(svg.find("\xe2\x80\xae"), svg.npos);
  EXPECT_TRUE(xml.has_text("<script>alert(1)</script>&amp;\"'\ufffd\ufffd]]>\ufffdend"));
}

TEST(Figure, NeedsNothingFromOutside) {
  Figure figure;
  figure.add_subplot(1, 2, 1).imshow(Numbers{1, 2, 3, 4}, 2, 2);
  figure.add_subplot(1, 2, 2).plot(Numbers{1, 2});
  for (const Element& e : Xml(figure.to_svg()).elements) {
    for (const auto& [key, value] : e.attributes) {
      if (key == "href") EXPECT_EQ(value.substr(0, 22), "data:image/png;base64,");
      else if (key != "xmlns") EXPECT_EQ(value.find("//"), value.npos) << key;
      EXPECT_NE(key.substr(0, 2), "on");
    }
  }
}

TEST(Figure, IdsDifferBetweenFiguresOfOnePage) {
  auto ids = [](double top) {
    Figure figure;
    figure.add_subplot(1, 2, 1).plot(Numbers{1, top});
    figure.add_subplot(1, 2, 2).plot(Numbers{1, top});
    std::set<std::string> out;
    const Xml xml(figure.to_svg());
    for (const Element& e : xml.named("clipPath")) out.insert(e.attributes.at("id"));
    for (const Element& e : xml.named("g")) {
      if (e.attributes.count("clip-path")) EXPECT_TRUE(out.count(e.attributes.at("clip-path").substr(5, e.attributes.at("clip-path").size() - 6)));
    }
    return out;
  };
  const auto a = ids(2), b = ids(3);
  EXPECT_EQ(a.size(), 2u);
  for (const std::string& id : a) EXPECT_EQ(b.count(id), 0u);
}

TEST(Figure, AwkwardDataDraw) {
  const double inf = INFINITY, nan = NAN;
  const std::vector<Numbers> all = {{},           {0},          {5, 5, 5},        {nan, nan},      {inf, -inf, nan}, {1, nan, 3}, {1e-320, 2e-320},
                                    {-1.7e308, 1.7e308}, {1e300, 1}, {1e15, 1e15 + 1}, {-1e-9, 1e-9}, {1, 1 + 1e-15}};
  for (const char* scale : {"linear", "log"}) {
    for (size_t i = 0; i < all.size(); ++i) {
      Figure figure({.width = 10, .height = 6});
      const Numbers& y = all[i];
      figure.add_subplot(2, 3, 1).plot(y, {.marker = "^", .label = "l"});
      figure.add_subplot(2, 3, 2).scatter(y, y);
      figure.add_subplot(2, 3, 3).bar(y, y, {.value_format = "g"});
      figure.add_subplot(2, 3, 4).fill_between(y, y, Numbers(y.size(), 0.5));
      figure.add_subplot(2, 3, 5).imshow(y, y.empty() ? 0 : 1, int64_t(y.size()), {.aspect = "auto"});
      figure.add_subplot(2, 3, 6).heatmap(y, 1, int64_t(y.size()), {.annotate = true});
      for (int k = 1; k <= 4; ++k) {
        figure.add_subplot(2, 3, k).set_xscale(scale);
        figure.add_subplot(2, 3, k).set_yscale(scale);
        figure.add_subplot(2, 3, k).legend();
      }
      const std::string svg = figure.to_svg();
      const Xml xml(svg);
      EXPECT_EQ(xml.error, "") << i;
      for (const Element& e : xml.elements) {
        for (const auto& [key, value] : e.attributes) {
          if (key == "href") continue;
          EXPECT_EQ(value.find("nan"), value.npos) << i << ' ' << key;
          EXPECT_EQ(value.find("inf"), value.npos) << i << ' ' << key;
          if (key == "x" || key == "y" || key == "cx" || key == "cy") EXPECT_LT(std::abs(std::stod(value)), 3000) << i << ' ' << key;
        }
      }
    }
  }
}

TEST(Figure, BarsStayInsideTheAxes) {
  Figure figure;
  Axes& axes = figure.add_subplot();
  axes.bar(Names{"a", "b", "c"}, Numbers{3, -2, 5}, {.color = "#010203"});
  const Xml xml(figure.to_svg());
  const Element clip = xml.named("rect")[1];  // the page, then the clip's
  int bars = 0;
  for (const Element& e : xml.named("rect")) {
    if (!e.attributes.count("fill") || e.attributes.at("fill") != "#010203") continue;
    ++bars;
    EXPECT_GE(number(e, "x"), number(clip, "x"));
    EXPECT_LE(number(e, "x") + number(e, "width"), number(clip, "x") + number(clip, "width"));
    EXPECT_GE(number(e, "y"), number(clip, "y"));
    EXPECT_LE(number(e, "y") + number(e, "height"), number(clip, "y") + number(clip, "height"));
  }
  EXPECT_EQ(bars, 3);
}

TEST(Figure, HistogramDrawsItsBars) {
  Figure figure;
  figure.add_subplot().hist(Numbers{1, 2, 2, 3, 3, 3}, 3, {.color = "#010203"});
  Numbers heights;
  for (const Element& e : Xml(figure.to_svg()).named("rect")) {
    if (e.attributes.count("fill") && e.attributes.at("fill") == "#010203") heights.push_back(number(e, "height"));
  }
  ASSERT_EQ(heights.size(), 3u);
  EXPECT_NEAR(heights[1] / heights[0], 2, 0.01);
  EXPECT_NEAR(heights[2] / heights[0], 3, 0.01);
}

TEST(Figure, LegendAvoidsTheData) {
  auto legend_x = [](bool rising) {
    Figure figure;
    Numbers y;
    for (int i = 0; i <= 100; ++i) y.push_back(rising ? std::pow(i, 4) : std::pow(100 - i, 4));
    Axes& axes = figure.add_subplot();
    axes.plot(y, {.label = "power"});
    axes.legend();
    for (const Element& e : Xml(figure.to_svg()).named("text")) if (e.text == "power") return number(e, "x");
    return -1.0;
  };
  EXPECT_GT(legend_x(false), 500);
  EXPECT_LT(legend_x(true), 300);
}

TEST(Figure, NothingOverlaps) {
  const Names layers = {"depthwise_separable_conv_1", "squeeze_and_excite", "global_average_pool", "fully_connected", "softmax", "layer_norm"};
  for (double width : {4.0, 7.0, 12.0}) {
    Figure figure({.width = width, .height = 8});
    figure.suptitle("A heading that is long enough to need more than a single line on the narrowest of these pages");
    Axes& a = figure.add_subplot(2, 2, 1);
    a.bar(layers, Numbers{1, 2, 3, 4, 5, 6});
    a.set_title("Time per layer, milliseconds");
    a.set_xlabel("layer");
    Axes& b = figure.add_subplot(2, 2, 2);
    b.barh(layers, Numbers{1, 2, 3, 4, 5, 6});
    b.set_ylabel("layer");
    b.set_title("The same, lying");
    Axes& c = figure.add_subplot(2, 2, 3);
    c.plot(Numbers{-123456, 654321}, Numbers{1e-9, 5e-9});
    c.set_xlabel("x"), c.set_ylabel("y");
    Axes& d = figure.add_subplot(2, 2, 4);
    d.heatmap(Numbers(36, 1.5), 6, 6, {.xlabels = layers, .ylabels = layers, .colorbar_label = "a label"});
    d.set_title("Heat");
    expect_no_overlap(figure.to_svg(), width * 100, 800);
  }
}

TEST(Figure, SubplotsOfOneGridAreAligned) {
  Figure figure({.width = 9, .height = 6});
  figure.add_subplot(2, 2, 1).plot(Numbers{0, 1e6});
  figure.add_subplot(2, 2, 2).plot(Numbers{0, 1});
  figure.add_subplot(2, 2, 3).plot(Numbers{0, 1});
  figure.add_subplot(2, 2, 4).set_title("title");
  const Xml xml(figure.to_svg());
  std::vector<Element> frames;
  for (size_t i = 0; i + 1 < xml.elements.size(); ++i) if (xml.elements[i].name == "clipPath") frames.push_back(xml.elements[i + 1]);
  ASSERT_EQ(frames.size(), 4u);
  EXPECT_EQ(number(frames[0], "x"), number(frames[2], "x"));
  EXPECT_EQ(number(frames[1], "x"), number(frames[3], "x"));
  EXPECT_EQ(number(frames[0], "y"), number(frames[1], "y"));
  for (const Element& f : frames) EXPECT_NEAR(number(f, "width"), number(frames[0], "width"), 1);
}

TEST(Figure, AMillionPointsKeepTheirExtremes) {
  Numbers y(1000000, 0);
  for (size_t i = 0; i < y.size(); ++i) y[i] = double(i % 7);
  y[123456] = 100;
  Figure figure;
  figure.add_subplot().plot(y, {.color = "#010203"});
  const std::string svg = figure.to_svg();
  EXPECT_LT(svg.size(), 200000u);
  const Xml xml(svg);
  const Element frame = xml.named("rect")[1];
  double highest = 1e9;
  for (const Element& e : xml.named("path")) {
    if (!e.attributes.count("stroke") || e.attributes.at("stroke") != "#010203") continue;
    std::string d = e.attributes.at("d").substr(1);
    std::replace(d.begin(), d.end(), 'L', ' ');
    std::istringstream points(d);
    std::string x, y_text;
    while (points >> x >> y_text) highest = std::min(highest, std::stod(y_text));
  }
  EXPECT_NEAR((highest - number(frame, "y")) / number(frame, "height"), 0.05 / 1.1, 0.003);
}

TEST(Figure, RefusesBadOptionsAndCells) {
  EXPECT_THROW(Figure({.width = 0}), Error);
  EXPECT_THROW(Figure({.height = NAN}), Error);
  EXPECT_THROW(Figure({.dpi = -1}), Error);
  EXPECT_THROW(Figure({.theme = "blue"}), Error);
  EXPECT_THROW(Figure({.background = "blurple"}), Error);
  Figure figure;
  EXPECT_THROW(figure.add_subplot(0, 1, 1), Error);
  EXPECT_THROW(figure.add_subplot(2, 2, 5), Error);
  Axes& first = figure.add_subplot(2, 2, 1);
  for (int i = 2; i <= 4; ++i) figure.add_subplot(2, 2, i);
  EXPECT_EQ(&first, &figure.add_subplot(2, 2, 1));
}

TEST(Figure, BackgroundMayBeTransparent) {
  Figure figure({.background = "none"});
  for (const Element& e : Xml(figure.to_svg()).named("rect")) EXPECT_NE(number(e, "width"), 800);
}

TEST(Save, WritesByExtensionAndRefusesTheRest) {
  Figure figure({.width = 2, .height = 1});
  figure.add_subplot().plot(Numbers{1, 2});
  const std::string path = testing::TempDir() + "miniten_viz_" + std::to_string(getpid()) + ".svg";
  auto written = [&](const std::string& name, const std::string& format = "", double dpi = 0) {
    figure.save(name, format, dpi);
    std::ostringstream content;
    content << std::ifstream(name, std::ios::binary).rdbuf();
    std::filesystem::remove(name);
    return content.str();
  };
  EXPECT_EQ(written(path), figure.to_svg());
  EXPECT_EQ(written(path + ".HTML"), figure.to_html());
  EXPECT_EQ(written(path + ".txt"), figure.to_text({.width = 100, .color = false}));
  const std::vector<uint8_t> png = figure.to_png(), large = figure.to_png(200);
  EXPECT_EQ(written(path + ".png"), std::string(png.begin(), png.end()));
  EXPECT_EQ(written(path, "png", 200), std::string(large.begin(), large.end()));
  EXPECT_EQ(png[19], 200);
  EXPECT_EQ(png[23], 100);
  EXPECT_EQ(large[18] * 256 + large[19], 400);
  EXPECT_THROW(figure.to_png(1), Error);
  EXPECT_THROW(figure.to_png(9999.0 * 2), Error);
  auto kind = [&](const std::string& name, const std::string& format) {
    try {
      figure.save(name, format);
    } catch (const Error& e) {
      EXPECT_FALSE(std::filesystem::exists(name)) << name;
      return e.kind();
    }
    ADD_FAILURE() << name << " was accepted";
    return ErrorKind::value;
  };
  EXPECT_EQ(kind(path + ".bmp", ""), ErrorKind::unsupported);
  EXPECT_EQ(kind(testing::TempDir() + "no_extension", ""), ErrorKind::unsupported);
  EXPECT_EQ(kind(path, "gif"), ErrorKind::unsupported);
  EXPECT_EQ(kind(testing::TempDir() + "no_such_folder_of_miniten/a.svg", ""), ErrorKind::io);
}

}  // namespace
}  // namespace miniten::viz
