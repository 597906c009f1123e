#include "viz/marks/marks.h"
#include <gtest/gtest.h>
#include <cmath>
#include <functional>
#include "miniten/base/error.h"
#include "miniten/viz/figure.h"
#include "xml.h"

namespace miniten::viz {
namespace {

using Numbers = std::vector<double>;
using Names = std::vector<std::string>;
using check::Element;
using check::Xml;

double number(const Element& e, const std::string& key) { return e.attributes.count(key) ? std::stod(e.attributes.at(key)) : 0; }

TEST(ErrorBar, ReachesItsEndsAndMovesTheLimits) {
  Axes axes("light");
  axes.errorbar(Numbers{1, 2}, Numbers{10, 20}, {{1, 2}, {3, 4}}, {{0.5, 0.5}, {0.5, 0.5}});
  const DataLimits l = axes.scene().limits();
  EXPECT_LT(l.y.lo, 9);
  EXPECT_GT(l.y.hi, 24);
  EXPECT_LT(l.x.lo, 0.5);
  EXPECT_GT(l.x.hi, 2.5);
  EXPECT_THROW(axes.errorbar(Numbers{1, 2}, Numbers{1, 2}, {{1}, {1}}), Error);
  EXPECT_THROW(axes.errorbar(Numbers{1}, Numbers{1}, {{-1}, {1}}), Error);
  EXPECT_EQ(axes.mark_count(), 2u);
}

TEST(Step, HoldsBeforeAfterOrBetween) {
  auto points = [](const char* where) {
    Axes axes("light");
    axes.step(Numbers{0, 1, 3}, Numbers{5, 6, 7}, where);
    const auto& line = static_cast<const LineMark&>(*axes.scene().marks[0]);
    return std::pair(line.x, line.y);
  };
  EXPECT_EQ(points("pre"), std::pair(Numbers({0, 0, 1, 1, 3}), Numbers({5, 6, 6, 7, 7})));
  EXPECT_EQ(points("post"), std::pair(Numbers({0, 1, 1, 3, 3}), Numbers({5, 5, 6, 6, 7})));
  EXPECT_EQ(points("mid"), std::pair(Numbers({0, 0.5, 0.5, 1, 2, 2, 3}), Numbers({5, 5, 6, 6, 6, 7, 7})));
  EXPECT_THROW(points("after"), Error);
}

TEST(BoxPlot, HasQuartilesWhiskersAndFliers) {
  Axes axes("light");
  const std::vector<Numbers> groups = {{1, 2, 3, 4, 5, 100, NAN}, {}, {7}};
  axes.boxplot(groups, {.labels = {"a", "b", "c"}});
  const auto& mark = static_cast<const BoxMark&>(*axes.scene().marks[0]);
  const BoxMark::Box& box = mark.boxes[0];
  EXPECT_DOUBLE_EQ(box.q1, 2.25);   // NumPy: percentile([1, 2, 3, 4, 5, 100], 25)
  EXPECT_DOUBLE_EQ(box.median, 3.5);
  EXPECT_DOUBLE_EQ(box.q3, 4.75);
  EXPECT_EQ(box.low, 1);
  EXPECT_EQ(box.high, 5);
  EXPECT_EQ(box.fliers, Numbers{100});
  EXPECT_TRUE(std::isnan(mark.boxes[1].median));
  EXPECT_EQ(mark.boxes[2].q1, 7);
}

TEST(Pie, SharesAndRefusals) {
  Axes axes("light");
  axes.pie(Numbers{1, 2, 5}, {.labels = {"a", "b", "c"}, .value_format = ".0%"});
  const auto& mark = static_cast<const PieMark&>(*axes.scene().marks[0]);
  EXPECT_EQ(mark.shares, (Numbers{0.125, 0.25, 0.625}));
  EXPECT_EQ(mark.texts[1], "25%");
  for (const Numbers& bad : {Numbers{}, Numbers{0, 0}, Numbers{1, -1}, Numbers{NAN}, Numbers{1e308, 1e308}}) EXPECT_THROW(axes.pie(bad), Error);
}

TEST(Contourf, NestsBandsByLevelAndColour) {
  Axes axes("light");
  Numbers z;
  for (int i = 0; i < 25; ++i) z.push_back(i % 5);
  axes.contourf(z, 5, 5, {}, {}, {.levels = {0.5, 1.5, 3.5}, .colors = {"red", "lime"}});
  const auto* mark = static_cast<const ContourMark*>(axes.scene().marks[0].get());
  ASSERT_EQ(mark->bands.size(), 2u);
  EXPECT_EQ(to_hex(mark->bands[0].color), "#ff0000");
  EXPECT_EQ(to_hex(axes.scene().mappable->table[84]), "#ff0000");           // a third of the bar
  EXPECT_EQ(to_hex(axes.scene().mappable->table[86]), "#00ff00");
  EXPECT_EQ(axes.scene().mappable->ticks, (Numbers{0.5, 1.5, 3.5}));
  axes.contourf(z, 5, 5, {}, {}, {.levels = {1, 3}, .extend = "both"});
  mark = static_cast<const ContourMark*>(axes.scene().marks[1].get());
  EXPECT_EQ(mark->bands.size(), 3u);
  axes.contourf(z, 5, 5);                                                    // levels of its own hold all values
  EXPECT_LE(axes.scene().mappable->norm.lo, 0);
  EXPECT_GE(axes.scene().mappable->norm.hi, 4);
  axes.contourf(Numbers(9, 7.0), 3, 3);                                      // constant
  EXPECT_THROW(axes.contourf(z, 5, 5, {}, {}, {.levels = {1}}), Error);
  EXPECT_THROW(axes.contourf(z, 5, 5, {}, {}, {.levels = {1, 2}, .colors = {"red", "lime"}}), Error);
  EXPECT_THROW(axes.contourf(z, 5, 5, {}, {}, {.extend = "left"}), Error);
  EXPECT_THROW(axes.contourf(z, 5, 4), Error);
}

TEST(Imshow, LiesInItsExtent) {
  Axes axes("light");
  axes.imshow(Numbers{1, 2, 3, 4, 5, 6}, 2, 3, {.extent = {{10, 40, 0, 1}}});
  const auto& mark = static_cast<const ImageMark&>(*axes.scene().marks[0]);
  EXPECT_EQ((Numbers{mark.left, mark.right, mark.first, mark.last}), (Numbers{10, 40, 1, 0}));   // row 0 is on top
  EXPECT_EQ(axes.get_xlim(), std::pair(10.0, 40.0));
  EXPECT_EQ(axes.get_ylim(), std::pair(0.0, 1.0));
  Axes below("light");
  below.imshow(Numbers{1, 2}, 2, 1, {.origin = "lower", .extent = {{4, 2, 0, 8}}});
  EXPECT_EQ(below.get_xlim(), std::pair(4.0, 2.0));                                              // turned round, as it was given
  EXPECT_EQ(static_cast<const ImageMark&>(*below.scene().marks[0]).first, 0);
  EXPECT_THROW(below.imshow(Numbers{1}, 1, 1, {.extent = {{1, 1, 0, 8}}}), Error);
  EXPECT_THROW(below.imshow(Numbers{1}, 1, 1, {.extent = {{1, NAN, 0, 8}}}), Error);
  EXPECT_THROW(below.imshow(Numbers{1}, 1, 1, {.interpolation = "lanczos"}), Error);
}

TEST(Hist, StandsSetsBesideEachOtherOrStacksThem) {
  const std::vector<HistSet> sets{{{1, 1, 2}, "a", "", {}}, {{2, 3}, "b", "", {2, 0.5}}};
  Axes axes("light");
  const Histograms h = axes.hist(sets, 2);
  EXPECT_EQ(h.edges, (Numbers{1, 2, 3}));
  EXPECT_EQ(h.counts, (std::vector<Numbers>{{2, 1}, {0, 2.5}}));
  const auto& a = static_cast<const BarMark&>(*axes.scene().marks[0]);
  const auto& b = static_cast<const BarMark&>(*axes.scene().marks[1]);
  EXPECT_DOUBLE_EQ(a.right[0], b.left[0]);
  EXPECT_GT(a.left[0], 1);
  EXPECT_LT(b.right[0], 2);
  EXPECT_EQ(axes.hist(sets, 2, {}, true).counts[1], (Numbers{2, 3.5}));
  EXPECT_EQ(static_cast<const BarMark&>(*axes.scene().marks[3]).foot, (Numbers{2, 1}));
  EXPECT_EQ(axes.hist(sets, 2, {.density = true}, true).counts[1], (Numbers{2 / 5.5, 3.5 / 5.5}));
  EXPECT_EQ(axes.hist(sets, 2, {.density = true, .cumulative = true}).counts[0], (Numbers{2.0 / 3, 1}));
  Axes lying("light");
  lying.hist(sets, 2, {.type = "step", .horizontal = true});
  EXPECT_EQ(lying.get_xlim().first, 0);                                                          // it stands on 0
  EXPECT_THROW(axes.hist(sets, 2, {.type = "barstacked"}), Error);
  EXPECT_THROW(axes.hist(std::vector<HistSet>{{{1, 2}, "", "", {1}}}, 2), Error);
}

TEST(Legend, CarriesATitle) {
  Figure figure;
  Axes& axes = figure.add_subplot();
  axes.plot(Numbers{1, 2}, {.label = "a"});
  axes.legend("best", {.title = "Sets & more"});
  const Xml xml(figure.to_svg());
  EXPECT_TRUE(xml.has_text("Sets & more"));
  EXPECT_NE(figure.to_text({.width = 60}).find("Sets & more"), std::string::npos);
}

TEST(Twins, ShareOneAxisOneCycleAndOneLegend) {
  Figure figure;
  Axes& left = figure.add_subplot();
  left.plot(Numbers{0, 10}, Numbers{0, 1}, {.label = "loss"});
  Axes& right = left.twinx();
  right.plot(Numbers{0, 20}, Numbers{0, 5000}, {.label = "rate"});
  right.set_ylabel("samples/s");
  left.legend();
  EXPECT_EQ(&right, &left.twinx());
  EXPECT_EQ(left.get_xlim(), right.get_xlim());
  EXPECT_GT(left.get_xlim().second, 20);
  EXPECT_LT(left.get_ylim().second, 2);
  EXPECT_THROW(right.twinx(), Error);
  const Xml xml(figure.to_svg());
  for (const char* text : {"loss", "rate", "samples/s", "4000"}) EXPECT_TRUE(xml.has_text(text)) << text;
  const auto& a = static_cast<const LineMark&>(*left.scene().marks[0]);
  const auto& b = static_cast<const LineMark&>(*right.scene().marks[0]);
  EXPECT_FALSE(a.pen.color == b.pen.color);
}

TEST(Shared, AxesHaveOneScaleAndInnerOnesNoNumbers) {
  Figure figure;
  for (int i = 1; i <= 4; ++i) figure.add_subplot(2, 2, i).plot(Numbers{0, double(i)}, Numbers{0, 100.0 * i});
  figure.share("all", "all");
  for (Axes* axes : figure.axes()) EXPECT_EQ(axes->get_ylim(), figure.axes()[0]->get_ylim());
  EXPECT_GT(figure.axes()[0]->get_ylim().second, 400);
  int zeros = 0;
  for (const std::string& text : Xml(figure.to_svg()).texts()) zeros += text == "400";
  EXPECT_EQ(zeros, 2) << "only the left column has numbers";
  figure.axes()[3]->set_yscale("symlog");
  figure.axes()[3]->set_ylim(-5, 5);
  EXPECT_EQ(figure.axes()[0]->get_ylim(), std::pair(-5.0, 5.0));
  EXPECT_EQ(figure.axes()[0]->scene().y.kind, ScaleKind::symlog);
}

TEST(Span, AxesReachOverCells) {
  Figure figure({.width = 9, .height = 6});
  figure.add_subplot(2, 3, 1, 3), figure.add_subplot(2, 3, 4), figure.add_subplot(2, 3, 5, 6);
  const Xml xml(figure.to_svg());
  std::vector<Element> frames;
  for (size_t i = 0; i + 1 < xml.elements.size(); ++i) if (xml.elements[i].name == "clipPath") frames.push_back(xml.elements[i + 1]);
  ASSERT_EQ(frames.size(), 3u);
  auto right = [](const Element& e) { return number(e, "x") + number(e, "width"); };
  EXPECT_EQ(number(frames[0], "x"), number(frames[1], "x"));
  EXPECT_NEAR(right(frames[0]), right(frames[2]), 1);
  EXPECT_LT(right(frames[1]), number(frames[2], "x"));
  EXPECT_THROW(figure.add_subplot(2, 3, 3, 4), Error);   // not below and right
  EXPECT_THROW(figure.add_subplot(2, 3, 2, 9), Error);
}

TEST(Symlog, IsLinearInsideAndLogarithmicBeyond) {
  const Scale s{ScaleKind::symlog, -1000, 1000, 1};
  EXPECT_DOUBLE_EQ(s.unit(0), 0.5);
  EXPECT_NEAR(s.unit(1000) - s.unit(100), s.unit(100) - s.unit(10), 1e-12);
  EXPECT_NEAR(s.unit(0.5) - s.unit(0), s.unit(1) - s.unit(0.5), 1e-12);
  EXPECT_DOUBLE_EQ(s.unit(-10), 1 - s.unit(10));
  std::vector<std::string> texts;
  for (const Label& l : choose_ticks(s, 9, false).labels) texts.push_back(l.text + l.exponent);
  EXPECT_EQ(texts, (std::vector<std::string>{"−1000", "−100", "−10", "−1", "0", "1", "10", "100", "1000"}));
}

TEST(Dates, TicksStandAtTheCalendarsUnits) {
  auto ticks = [](double lo, double hi) {
    std::vector<std::string> out;
    for (const Label& l : date_ticks({ScaleKind::linear, lo, hi}, 6).labels) out.push_back(l.text);
    return out;
  };
  const double y2024 = 1704067200, day = 86400;   // 2024-01-01, a leap year
  EXPECT_EQ(ticks(y2024, y2024 + 366 * day), (std::vector<std::string>{"2024", "Apr", "Jul", "Oct", "2025"}));
  EXPECT_EQ(ticks(y2024 + 31 * day, y2024 + 60 * day), (std::vector<std::string>{"Feb 5", "Feb 12", "Feb 19", "Feb 26"}));
  EXPECT_EQ(ticks(y2024, y2024 + day), (std::vector<std::string>{"2024", "06:00", "12:00", "18:00", "Jan 2"}));
  EXPECT_EQ(ticks(y2024 + 3600, y2024 + 3720), (std::vector<std::string>{"01:00:00", "01:00:30", "01:01:00", "01:01:30", "01:02:00"}));
  EXPECT_EQ(ticks(-day * 365 * 30, day * 365 * 30), (std::vector<std::string>{"1950", "1960", "1970", "1980", "1990"}));
  EXPECT_EQ(date_text(y2024 + 59 * day), "2024-02-29");
  EXPECT_EQ(date_text(-1), "1969-12-31 23:59:59");
  EXPECT_EQ(date_text(0.25), "1970-01-01 00:00:00.250");
  for (double span : {1e-6, 1e-3, 1.0, 60.0, 1e4, 1e6, 1e8, 1e10, 1e12}) {
    for (int most = 1; most < 10; ++most) {
      const Ticks t = date_ticks({ScaleKind::linear, y2024, y2024 + span}, most);
      EXPECT_LE(t.major.size(), size_t(most) + 16) << span;
      EXPECT_EQ(t.major.size(), t.labels.size());
      for (size_t i = 1; i < t.major.size(); ++i) EXPECT_GT(t.major[i], t.major[i - 1]) << span;
    }
  }
}

TEST(MinorTicks, LieBetweenTheMajorOnes) {
  Ticks ticks = choose_ticks({ScaleKind::linear, 0, 10}, 5, false);
  add_minor_ticks({ScaleKind::linear, 0, 10}, ticks);
  EXPECT_EQ(ticks.minor.size(), 15u);
  for (double v : ticks.minor) EXPECT_TRUE(v > 0 && v < 10 && std::fmod(v, 2) != 0) << v;
}

TEST(Labels, TurnAsAskedAndStayOnThePage) {
  for (double rotation : {-60.0, 0.0, 30.0, 90.0}) {
    Figure figure({.width = 4, .height = 3});
    Axes& axes = figure.add_subplot();
    axes.bar(Names{"depthwise", "pointwise", "softmax"}, Numbers{1, 2, 3});
    axes.set_xtick_rotation(rotation);
    const Xml xml(figure.to_svg());
    for (const Element& e : xml.named("text")) {
      if (e.text != "depthwise") continue;
      EXPECT_EQ(e.attributes.count("transform"), rotation == 0 ? 0u : 1u);
      EXPECT_LT(number(e, "y"), 300 - 8);
    }
  }
  EXPECT_THROW(Axes("light").set_xtick_rotation(91), Error);
}

TEST(Annotate, DrawsAnArrowFromTheTextToThePoint) {
  Figure figure;
  Axes& axes = figure.add_subplot();
  axes.set_xlim(0, 10), axes.set_ylim(0, 10);
  axes.annotate("here", 2, 2, 8, 8, {.arrow_color = "#123456"});
  const Xml xml(figure.to_svg());
  EXPECT_TRUE(xml.has_text("here"));
  int parts = 0;
  for (const Element& e : xml.named("path")) {
    for (const char* key : {"stroke", "fill"}) parts += e.attributes.count(key) && e.attributes.at(key) == "#123456";
  }
  EXPECT_EQ(parts, 2);
}

TEST(Marks, AwkwardDataDraw) {
  const double inf = INFINITY, nan = NAN;
  for (const Numbers& y : {Numbers{}, Numbers{0}, Numbers{nan, nan}, Numbers{inf, 1, -inf}, Numbers{1e300, -1e300}, Numbers{5, 5, 5}}) {
    for (const char* scale : {"linear", "log", "symlog"}) {
      Figure figure;
      Axes& a = figure.add_subplot(2, 2, 1);
      a.errorbar(y, y, {Numbers(y.size(), 1e5), Numbers(y.size(), nan)});
      a.step(y, y), a.axhspan(-1, 1), a.axvspan(2, 1e308 / 1e20);
      Axes& b = figure.add_subplot(2, 2, 2);
      const std::vector<Numbers> groups{y, y};
      b.boxplot(groups), b.annotate("a", 0, nan, inf, 0);
      Axes& c = figure.add_subplot(2, 2, 3);
      c.contour(Numbers{1, nan, inf, 4}, 2, 2), c.contourf(Numbers{1, nan, 3, 4, 1, 2}, 2, 3), c.contourf(Numbers{nan, nan, nan, nan}, 2, 2);
      c.imshow(Numbers{1, nan, inf, 4}, 2, 2, {.extent = {{-1, 1, -2, 1e3}}, .interpolation = "bicubic"});
      c.hist(y, Numbers{0, 1, 2}, {.type = "stepfilled"}), c.hist(y, Numbers{0, 1, 2}, {.type = "step"});
      c.twinx().plot(y), c.twiny().plot(y, y);
      Axes& d = figure.add_subplot(2, 2, 4);
      d.plot(y), d.set_dates("x");
      for (Axes* axes : figure.axes()) axes->set_xscale(scale), axes->set_yscale(scale), axes->minorticks(), axes->legend();
      const std::string svg = figure.to_svg();
      EXPECT_EQ(Xml(svg).error, "");
      EXPECT_EQ(svg.find("nan"), svg.npos) << scale;
      EXPECT_FALSE(figure.to_png(40).empty());
      EXPECT_FALSE(figure.to_text({.width = 60}).empty());
      EXPECT_FALSE(figure.to_html().empty());
    }
  }
}

}  // namespace
}  // namespace miniten::viz
