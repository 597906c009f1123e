#include "miniten/viz/axes.h"
#include <gtest/gtest.h>
#include <cmath>
#include <functional>
#include <limits>
#include "miniten/base/error.h"
#include "viz/scene.h"

namespace miniten::viz {
namespace {

using Numbers = std::vector<double>;
using Names = std::vector<std::string>;

std::string error_of(const std::function<void(Axes&)>& act) {
  Axes axes("light");
  try {
    act(axes);
  } catch (const Error& e) {
    EXPECT_TRUE(axes.scene().marks.empty()) << "half a plot was left";
    return e.what();
  }
  return "no error";
}

TEST(Axes, RefusesWithNameWantAndGot) {
  const Numbers three{1, 2, 3}, four{1, 2, 3, 4};
  EXPECT_EQ(error_of([&](Axes& a) { a.plot(three, four); }), "[plot] expected x and y of one length, got 3 and 4");
  EXPECT_EQ(error_of([&](Axes& a) { a.plot(three, three, {.linestyle = "~"}); }),
            "[plot] expected a line style, got '~' (one of '-', '--', ':', '-.', 'none')");
  EXPECT_EQ(error_of([&](Axes& a) { a.plot(three, three, {.alpha = 1.5}); }), "[plot] expected alpha in [0, 1], got 1.5");
  EXPECT_EQ(error_of([&](Axes& a) { a.plot(three, three, {.linewidth = -1}); }), "[plot] expected linewidth of 0 or more, got −1");
  EXPECT_EQ(error_of([&](Axes& a) { a.scatter(three, three, {.values = four}); }), "[scatter] expected x and values of one length, got 3 and 4");
  EXPECT_EQ(error_of([&](Axes& a) { a.bar(Names{"a"}, three); }), "[bar] expected categories and values of one length, got 1 and 3");
  EXPECT_EQ(error_of([&](Axes& a) { a.fill_between(three, three, four); }), "[fill_between] expected x and y2 of one length, got 3 and 4");
  EXPECT_EQ(error_of([&](Axes& a) { a.imshow(three, 2, 2); }), "[imshow] expected rows x cols = 4 values for 2 x 2, got 3");
  EXPECT_EQ(error_of([&](Axes& a) { a.heatmap(four, 2, 2, {.xlabels = {"a"}}); }), "[heatmap] expected columns and xlabels of one length, got 2 and 1");
  EXPECT_EQ(error_of([&](Axes& a) { a.grouped_bar(Names{"a", "b"}, Names{"s"}, three); }), "[grouped_bar] expected series x categories = 1 x 2 values, got 3");
  EXPECT_EQ(error_of([&](Axes& a) { a.set_xlim(1, 1); }), "[set_xlim] expected two different finite limits, got 1 and 1");
  EXPECT_EQ(error_of([&](Axes& a) { a.set_yscale("log"); a.set_ylim(-1, 1); }), "[set_ylim] expected limits above 0 on a log axis, got −1 and 1");
  EXPECT_EQ(error_of([&](Axes& a) { a.colorbar(); }), "[colorbar] expected an image, a heatmap or a scatter with values before it, got none in these axes");
  const std::vector<std::function<void(Axes&)>> more = {
      [&](Axes& a) { a.plot(three, three, {.color = "blurple"}); },
      [&](Axes& a) { a.plot(three, three, {.marker = "oo"}); },
      [&](Axes& a) { a.heatmap(four, 2, 2, {.format = "%d"}); },
      [&](Axes& a) { a.heatmap(four, 2, 2, {.cmap = "nope"}); },
      [&](Axes& a) { a.imshow(four, 2, 2, {.origin = "left"}); },
      [&](Axes& a) { a.imshow(std::vector<uint8_t>(8), 2, 2, 2); },
      [&](Axes& a) { a.imshow(Numbers{}, -1, 0); },
      [&](Axes& a) { a.imshow(four, std::numeric_limits<int64_t>::max(), 4); },
      [&](Axes& a) { a.hist(three, 0); },
      [&](Axes& a) { a.hist(three, Numbers{1, 1}); },
      [&](Axes& a) { a.hist(three, 10, {.lo = 2, .hi = 1}); },
      [&](Axes& a) { a.legend("somewhere"); },
      [&](Axes& a) { a.set_xscale("cubic"); },
      [&](Axes& a) { a.grid(true, "z"); },
      [&](Axes& a) { a.text(0, 0, "x", {.ha = "middle"}); },
      [&](Axes& a) { a.axhline(NAN); },
      [&](Axes& a) { a.bar(Names{"a"}, Numbers{1}, {.color = "nope"}); EXPECT_TRUE(a.scene().x.categories.empty()); }};
  for (size_t i = 0; i < more.size(); ++i) EXPECT_NE(error_of(more[i]), "no error") << i;
}

TEST(Hist, CountsAsNumpyDoes) {
  Axes axes("light");
  const Histogram h = axes.hist(Numbers{1, 2, 1, 4, 5, 5, NAN, INFINITY}, 4);
  EXPECT_EQ(h.edges, (Numbers{1, 2, 3, 4, 5}));
  EXPECT_EQ(h.counts, (Numbers{2, 1, 0, 3}));  // the last bin is closed
  const Histogram d = axes.hist(Numbers{1, 2, 1, 4, 5, 5}, 4, {.density = true});
  double total = 0;
  for (size_t i = 0; i < 4; ++i) total += d.counts[i] * (d.edges[i + 1] - d.edges[i]);
  EXPECT_NEAR(total, 1, 1e-12);
  EXPECT_EQ(axes.hist(Numbers{3, 3, 3}, 2).edges, (Numbers{2.5, 3, 3.5}));
  EXPECT_EQ(axes.hist(Numbers{}, 2).counts, (Numbers{0, 0}));
  EXPECT_EQ(axes.hist(Numbers{-5, 0.5, 9}, 2, {.lo = 0, .hi = 1}).counts, (Numbers{0, 1}));
  EXPECT_EQ(axes.hist(Numbers{0, 1, 5}, Numbers{0, 1, 10}).counts, (Numbers{1, 2}));
}

TEST(Axes, LimitsFollowTheDataAndSetLimitsStay) {
  Axes axes("light");
  axes.plot(Numbers{0, 10}, Numbers{1, NAN});
  EXPECT_EQ(axes.scene().limits().x.hi, 1);  // the second point is a gap, so 0 is alone
  axes.set_xlim(8, -8);
  EXPECT_EQ(axes.scene().limits().x.lo, 8);
  EXPECT_EQ(axes.scene().limits().x.hi, -8);
}

TEST(Axes, CategoriesAreSharedByName) {
  Axes axes("light");
  axes.bar(Names{"a", "b"}, Numbers{1, 2});
  axes.bar(Names{"b", "c"}, Numbers{3, 4});
  EXPECT_EQ(axes.scene().x.categories, (Names{"a", "b", "c"}));
}

TEST(Axes, CycleGoesOnOnlyForMarksWithoutColour) {
  Axes axes("light");
  axes.plot(Numbers{1, 2});
  axes.plot(Numbers{1, 2}, {.color = "k"});
  axes.scatter(Numbers{1}, Numbers{2});
  EXPECT_EQ(axes.scene().next_color, 2);
}

TEST(LineFormat, ReadsAnyOrder) {
  LineStyle s = line_format("r--o");
  EXPECT_EQ(s.color + s.linestyle + s.marker, "r--o");
  s = line_format("o-.C3");
  EXPECT_EQ(s.color + s.linestyle + s.marker, "C3-.o");
  EXPECT_EQ(line_format("ks").linestyle, "none");
  EXPECT_EQ(line_format("k").linestyle, "-");
  EXPECT_EQ(line_format("").linestyle, "-");
  for (const char* bad : {"rr", "---", "q", "oo", "r--o?"}) EXPECT_THROW(line_format(bad), Error) << bad;
}

}  // namespace
}  // namespace miniten::viz
