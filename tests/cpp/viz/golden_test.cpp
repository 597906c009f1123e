#include <gtest/gtest.h>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include "miniten/viz/figure.h"
#include "xml.h"

// Pictures are compared byte for byte with tests/golden/viz. MINITEN_UPDATE_GOLDEN=1 writes them anew: look at them then.
namespace miniten::viz {
namespace {

using Numbers = std::vector<double>;
using Names = std::vector<std::string>;

void expect_golden(const Figure& figure, const std::string& name) {
  const std::string svg = figure.to_svg(), path = std::string(MINITEN_SOURCE_DIR) + "/tests/golden/viz/" + name + ".svg";
  EXPECT_EQ(check::Xml(svg).error, "") << name;
  EXPECT_EQ(svg, figure.to_svg()) << "a second drawing differs";
  const char* update = std::getenv("MINITEN_UPDATE_GOLDEN");
  if (update && std::string(update) == "1") std::ofstream(path, std::ios::binary) << svg;
  std::ifstream file(path, std::ios::binary);
  ASSERT_TRUE(file) << path;
  std::ostringstream golden;
  golden << file.rdbuf();
  EXPECT_TRUE(golden.str() == svg) << name << " differs from " << path << "; MINITEN_UPDATE_GOLDEN=1 rewrites it";
}

Numbers noise(size_t n, uint32_t seed) {  // about normal
  Numbers out;
  for (size_t i = 0; i < n; ++i) {
    double sum = 0;
    for (int k = 0; k < 6; ++k) seed = seed * 1664525u + 1013904223u, sum += (seed >> 8) / 16777216.0 - 0.5;
    out.push_back(sum * 1.414);
  }
  return out;
}

Figure training(const std::string& theme) {
  Figure figure({.width = 10, .height = 4, .theme = theme});
  const Numbers e = noise(30, 7);
  Numbers epoch, train, val, low, high, accuracy;
  for (int i = 0; i < 30; ++i) {
    epoch.push_back(i + 1);
    train.push_back(2.2 * std::exp(-i / 6.0) + 0.03);
    val.push_back(2.2 * std::exp(-i / 7.0) + 0.12 + 0.02 * e[size_t(i)]);
    low.push_back(val.back() * 0.85), high.push_back(val.back() * 1.15);
    accuracy.push_back(1 - val.back() / 3);
  }
  Axes& loss = figure.add_subplot(1, 2, 1);
  loss.fill_between(epoch, low, high, {.color = "C1", .alpha = 0.2});
  loss.plot(epoch, train, {.color = "C0", .label = "train"});
  loss.plot(epoch, val, {.color = "C1", .linestyle = "--", .marker = "o", .markersize = 4, .label = "validation"});
  loss.set_title("Loss");
  loss.set_xlabel("epoch");
  loss.set_ylabel("cross-entropy");
  loss.grid();
  loss.legend();
  Axes& right = figure.add_subplot(1, 2, 2);
  right.plot(epoch, accuracy, {.color = "C2", .label = "validation"});
  right.axhline(0.95, {.linestyle = ":", .label = "target"});
  right.set_title("Accuracy");
  right.set_xlabel("epoch");
  right.grid();
  right.legend();
  figure.suptitle("Digits · 62 k parameters");
  return figure;
}

TEST(Golden, TrainingCurves) { expect_golden(training("light"), "training"); }
TEST(Golden, TrainingCurvesDark) { expect_golden(training("dark"), "training_dark"); }

TEST(Golden, ConfusionMatrix) {
  Figure figure({.width = 6.5, .height = 5.5});
  Numbers counts;
  Names labels;
  for (int i = 0; i < 10; ++i) {
    labels.push_back(std::to_string(i));
    for (int k = 0; k < 10; ++k) counts.push_back(i == k ? 950 + (i * 7) % 40 : (i * 5 + k * 3) % 11);
  }
  Axes& axes = figure.add_subplot();
  axes.heatmap(counts, 10, 10, {.cmap = "blues", .annotate = true, .format = "d", .xlabels = labels, .ylabels = labels,
                                .colorbar_label = "samples", .square = true});
  axes.set_title("Confusion matrix");
  axes.set_xlabel("predicted");
  axes.set_ylabel("true");
  expect_golden(figure, "confusion");
}

TEST(Golden, Bars) {
  Figure figure({.width = 10, .height = 7.5});
  Axes& size = figure.add_subplot(2, 2, 1);
  size.bar(Names{"float32", "int16", "int8", "int8 + pruned", "int4"}, Numbers{248.3, 124.4, 63.1, 31.8, 33.2}, {.value_format = ".1f"});
  size.set_ylabel("KiB");
  size.set_title("Model size");
  size.grid(true, "y");
  Axes& latency = figure.add_subplot(2, 2, 2);
  latency.grouped_bar(Names{"scalar", "sse2", "avx2", "avx512"}, Names{"float32", "int8"}, Numbers{12.1, 6.2, 2.4, 1.6, 8.3, 3.1, 0.9, 0.5},
                      {.value_format = ".1f"});
  latency.set_title("Latency");
  latency.set_ylabel("ms");
  latency.legend();
  Axes& stacked = figure.add_subplot(2, 2, 3);
  stacked.grouped_bar(Names{"eager", "compiled"}, Names{"forward", "backward", "update"}, Numbers{3, 2, 5, 4, 1, 0.7},
                      {.value_format = ".1f", .stacked = true, .horizontal = true});
  stacked.set_xlabel("ms a step");
  stacked.legend("outside right");
  Axes& change = figure.add_subplot(2, 2, 4);
  change.bar(Names{"depthwise_separable_conv", "squeeze_excite", "global_average_pool", "fully_connected", "softmax", "layer_norm"},
             Numbers{3, -1.2, 2, 4, NAN, 2}, {.color = "C4", .value_format = ".1f"});
  change.axhline(0);
  change.set_title("Gain");
  expect_golden(figure, "bars");
}

TEST(Golden, HistogramLogScatter) {
  Figure figure({.width = 10, .height = 7});
  Axes& hist = figure.add_subplot(2, 2, 1);
  Numbers a = noise(2000, 1), b = noise(2000, 2);
  for (double& v : b) v = 1.5 + 0.6 * v;
  hist.hist(a, 30, {.label = "layer 1", .alpha = 0.7});
  hist.hist(b, 30, {.label = "layer 2", .alpha = 0.7});
  hist.legend();
  hist.set_title("Weights");
  Axes& log = figure.add_subplot(2, 2, 2);
  Numbers rate, loss;
  for (int i = 0; i < 60; ++i) {
    rate.push_back(std::pow(10, -6 + i * 0.1));
    loss.push_back(0.4 + 1.9 / (1 + std::exp((i - 30) / 4.0)) + std::exp((i - 55) / 3.0));
  }
  log.plot(rate, loss, {.marker = "."});
  log.set_xscale("log");
  log.set_yscale("log");
  log.grid();
  log.set_xlabel("learning rate");
  log.set_ylabel("loss");
  Axes& scatter = figure.add_subplot(2, 2, 3);
  Numbers x = noise(200, 3), y = noise(200, 4), c;
  for (size_t i = 0; i < x.size(); ++i) y[i] = 0.5 * (x[i] + y[i]), c.push_back(x[i] + y[i]);
  scatter.scatter(x, y, {.values = c, .edgecolor = "white"});
  scatter.colorbar("x + y");
  scatter.text(-2, 1.2, "200 points", {.bold = true});
  Axes& gaps = figure.add_subplot(2, 2, 4);
  gaps.plot(Numbers{0, 1, 2, 3, 4, 5, 6}, Numbers{1, 2, NAN, 3, NAN, INFINITY, 4}, {.marker = "s", .label = "gaps"});
  gaps.axvline(2.5, {.color = "red", .linestyle = "-.", .linewidth = 1});
  gaps.legend("lower right");
  expect_golden(figure, "kinds");
}

TEST(Golden, Images) {
  Figure figure({.width = 8, .height = 3.6});
  for (int k = 0; k < 10; ++k) {
    Numbers image;
    for (int i = 0; i < 64; ++i) {
      const double dx = i % 8 - 3.5, dy = (i / 8 - 3.5) * (0.6 + k * 0.1);
      image.push_back(std::max(0.0, 16 - std::abs(std::sqrt(dx * dx + dy * dy) - 2.5) * 8));
    }
    Axes& axes = figure.add_subplot(2, 5, k + 1);
    axes.imshow(image, 8, 8, {.cmap = "gray_r"});
    axes.set_axis(false);
    axes.set_title(std::to_string(k));
  }
  figure.suptitle("Samples");
  expect_golden(figure, "images");
}

TEST(Golden, FieldsAndLooks) {
  Figure figure({.width = 11, .height = 3.6});
  figure.set_ratios({1, 1, 1.4}, {});
  Numbers z, axis;
  for (int i = 0; i < 21; ++i) axis.push_back((i - 10) / 5.0);
  for (double y : axis) for (double x : axis) z.push_back(std::exp(-x * x - y * y) - 0.7 * std::exp(-(x - 1) * (x - 1) - (y + 1) * (y + 1)));
  z[5 * 21 + 15] = NAN;
  Axes& filled = figure.add_subplot(1, 3, 1);
  filled.contourf(z, 21, 21, axis, axis, {.cmap = "RdBu_r"});
  filled.contour(z, 21, 21, axis, axis, {.color = "k", .linewidth = 0.5, .labels = true});
  filled.colorbar("z");
  Axes& hist = figure.add_subplot(1, 3, 2);
  const std::vector<HistSet> sets{{noise(300, 5), "a", "", {}}, {noise(200, 6), "b", "", {}}};
  hist.hist(sets, 8);
  hist.hist(sets[0].values, 8, {.color = "k", .type = "step"});
  hist.legend("best", {.title = "sets", .size = 8});
  Axes& looks = figure.add_subplot(1, 3, 3);
  Numbers x, y;
  for (int i = 0; i < 12; ++i) x.push_back(1e6 * i), y.push_back(123456.7 + 0.001 * (i % 5));
  looks.plot(x, y, {.color = "C2", .marker = "o", .markerfacecolor = "none", .markeredgewidth = 1.5, .markevery = 2});
  looks.set_title("Looks", {.size = 16, .color = "C3", .bold = false, .loc = "left"});
  looks.set_xlabel("samples", {.size = 8});
  looks.grid(true, "y", {.color = "C0", .linestyle = ":", .alpha = 0.6});
  looks.set_spine("right", true);
  looks.set_spine("bottom", false);
  looks.text(0.95, 0.9, "boxed", {.ha = "right", .fraction = true, .box = "#fff3c4"});
  expect_golden(figure, "fields");
}

}  // namespace
}  // namespace miniten::viz
