#include <algorithm>
#include <cmath>
#include "miniten/viz/axes.h"
#include "viz/checks.h"
#include "viz/number.h"

namespace miniten::viz {

void Axes::errorbar(std::span<const double> x, std::span<const double> y, const Errors& yerr, const Errors& xerr, const ErrorBarStyle& style) {
  check_lengths("errorbar", "x and y", x.size(), y.size());
  for (const Errors* errors : {&yerr, &xerr}) {
    check_lengths("errorbar", "lower and upper errors", errors->low.size(), errors->high.size());
    if (!errors->low.empty()) check_lengths("errorbar", "points and errors", x.size(), errors->low.size());
    for (const auto* side : {&errors->low, &errors->high}) {
      for (double v : *side) if (v < 0) refuse("errorbar", "errors of 0 or more", format_value(v, "g"));
    }
  }
  check_style("errorbar", style.line);
  checked_marker("errorbar", style.line.marker);
  check_positive("errorbar", "linewidth", style.linewidth, true);
  check_positive("errorbar", "capsize", style.capsize, true);
  auto mark = std::make_unique<ErrorMark>();
  const Color line = pick_color(*scene_, style.line.color, style.line.alpha);
  mark->pen = {style.color.empty() ? line : scene_->theme->resolve(style.color), style.linewidth, "-"};
  mark->x.assign(x.begin(), x.end()), mark->y.assign(y.begin(), y.end());
  mark->x_error = xerr, mark->y_error = yerr;
  mark->cap = style.capsize;
  LineStyle points = style.line;
  points.color = to_hex({line.r, line.g, line.b});
  scene_->marks.push_back(std::move(mark));
  plot(x, y, points);
}

static double quantile(const std::vector<double>& sorted, double q) {
  const double at = q * double(sorted.size() - 1);
  const size_t below = size_t(at), above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - double(below));
}

void Axes::boxplot(std::span<const std::vector<double>> groups, const BoxStyle& style) {
  if (!style.labels.empty()) check_lengths("boxplot", "groups and labels", groups.size(), style.labels.size());
  check_positive("boxplot", "width", style.width);
  check_positive("boxplot", "whis", style.whis, true);
  auto mark = std::make_unique<BoxMark>();
  for (size_t i = 0; i < groups.size(); ++i) {
    std::vector<double> sorted;
    for (double v : groups[i]) if (std::isfinite(v)) sorted.push_back(v);
    std::sort(sorted.begin(), sorted.end());
    BoxMark::Box box{double(i + 1), NAN, NAN, NAN, NAN, NAN, {}};
    if (!sorted.empty()) {
      box.q1 = quantile(sorted, 0.25), box.median = quantile(sorted, 0.5), box.q3 = quantile(sorted, 0.75);
      const double reach = style.whis * (box.q3 - box.q1);
      box.low = box.q1, box.high = box.q3;
      for (double v : sorted) {
        if (v >= box.q1 - reach && v <= box.q3 + reach) box.low = std::min(box.low, v), box.high = std::max(box.high, v);
        else if (style.fliers) box.fliers.push_back(v);
      }
    }
    mark->boxes.push_back(std::move(box));
  }
  mark->horizontal = style.horizontal, mark->width = style.width;
  mark->color = pick_color(*scene_, style.color, 1);
  Axis& axis = style.horizontal ? scene_->y : scene_->x;
  axis.fixed_ticks = true;
  axis.tick_values.clear();
  for (size_t i = 0; i < groups.size(); ++i) axis.tick_values.push_back(double(i + 1));
  axis.tick_texts = style.labels;
  scene_->marks.push_back(std::move(mark));
}

}  // namespace miniten::viz
