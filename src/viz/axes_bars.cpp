#include <algorithm>
#include <cmath>
#include "miniten/viz/axes.h"
#include "viz/checks.h"
#include "viz/number.h"

namespace miniten::viz {
namespace {

void add_bars(std::string_view op, AxesScene& scene, bool horizontal, std::span<const double> at, std::span<const double> height,
              const BarStyle& style) {
  check_positive(op, "width", style.width);
  check_alpha(op, style.alpha);
  const size_t n = at.size();
  if (style.bottom.size() > 1) check_lengths(op, "bars and bottom", n, style.bottom.size());
  if (!style.colors.empty()) check_lengths(op, "bars and colors", n, style.colors.size());
  if (!style.value_format.empty()) check_format(op, style.value_format);
  auto mark = std::make_unique<BarMark>();
  mark->layer = layer_area;
  mark->horizontal = horizontal;
  if (!style.edgecolor.empty()) mark->edge = scene.theme->resolve(style.edgecolor);
  for (const std::string& name : style.colors) {
    mark->fills.push_back(scene.theme->resolve(name));
    mark->fills.back().a *= style.alpha;
  }
  if (mark->fills.empty()) mark->fills = {pick_color(scene, style.color, style.alpha)};
  for (size_t i = 0; i < n; ++i) {
    const double foot = style.bottom.empty() ? 0 : style.bottom.size() == 1 ? style.bottom[0] : style.bottom[i];
    mark->left.push_back(at[i] - style.width / 2);
    mark->right.push_back(at[i] + style.width / 2);
    mark->foot.push_back(foot);
    mark->top.push_back(foot + height[i]);
    if (!style.value_format.empty()) mark->texts.push_back(std::isfinite(height[i]) ? format_value(height[i], style.value_format) : "");
  }
  mark->texts_inside = !style.bottom.empty();
  mark->label = style.label;
  scene.marks.push_back(std::move(mark));
}

void add_category_bars(std::string_view op, AxesScene& scene, bool horizontal, std::span<const std::string> names,
                       std::span<const double> height, const BarStyle& style) {
  check_lengths(op, "categories and values", names.size(), height.size());
  Axis& axis = horizontal ? scene.y : scene.x;
  Axis before = axis;
  const std::vector<double> at = category_positions(axis, names);
  try {
    add_bars(op, scene, horizontal, at, height, style);
  } catch (...) {
    axis = before;
    throw;
  }
}

}  // namespace

void Axes::bar(std::span<const double> x, std::span<const double> height, const BarStyle& style) {
  check_lengths("bar", "x and height", x.size(), height.size());
  add_bars("bar", *scene_, false, x, height, style);
}

void Axes::barh(std::span<const double> y, std::span<const double> width, const BarStyle& style) {
  check_lengths("barh", "y and width", y.size(), width.size());
  add_bars("barh", *scene_, true, y, width, style);
}

void Axes::bar(std::span<const std::string> categories, std::span<const double> height, const BarStyle& style) {
  add_category_bars("bar", *scene_, false, categories, height, style);
}

void Axes::barh(std::span<const std::string> categories, std::span<const double> width, const BarStyle& style) {
  add_category_bars("barh", *scene_, true, categories, width, style);
}

void Axes::grouped_bar(std::span<const std::string> categories, std::span<const std::string> series, std::span<const double> values,
                       const GroupedBarStyle& style) {
  const size_t groups = categories.size(), count = series.size();
  if (values.size() != groups * count) {
    refuse("grouped_bar", "series x categories = " + std::to_string(count) + " x " + std::to_string(groups) + " values", std::to_string(values.size()));
  }
  if (!style.colors.empty()) check_lengths("grouped_bar", "series and colors", count, style.colors.size());
  check_positive("grouped_bar", "width", style.width);
  if (!style.value_format.empty()) check_format("grouped_bar", style.value_format);
  for (const std::string& color : style.colors) scene_->theme->resolve(color);
  Axis& axis = style.horizontal ? scene_->y : scene_->x;
  const std::vector<double> centres = category_positions(axis, categories);
  std::vector<double> up(groups, 0), down(groups, 0);  // where the next of a stack stands
  const double slot = style.stacked ? style.width : style.width / double(std::max<size_t>(count, 1));
  for (size_t s = 0; s < count; ++s) {
    BarStyle bars;
    bars.width = style.stacked ? slot : slot * (count > 1 ? 0.92 : 1);
    if (!style.colors.empty()) bars.color = style.colors[s];
    bars.label = series[s];
    bars.value_format = style.value_format;
    std::vector<double> at = centres;
    const std::span<const double> row = values.subspan(s * groups, groups);
    if (style.stacked) {
      for (size_t g = 0; g < groups; ++g) {
        double& foot = row[g] < 0 ? down[g] : up[g];
        bars.bottom.push_back(foot);
        if (std::isfinite(row[g])) foot += row[g];
      }
    } else {
      const double shift = (double(s) - double(count - 1) / 2) * slot;
      for (double& v : at) v += style.horizontal ? -shift : shift;
    }
    add_bars("grouped_bar", *scene_, style.horizontal, at, row, bars);
  }
}

Histogram Axes::hist(std::span<const double> data, int bins, const HistStyle& style) {
  if (bins < 1 || bins > 1000000) refuse("hist", "1 to 1000000 bins", std::to_string(bins));
  double lo = HUGE_VAL, hi = -HUGE_VAL;
  for (double v : data) if (std::abs(v) < 1e300) lo = std::min(lo, v), hi = std::max(hi, v);
  if (lo > hi) lo = 0, hi = 1;
  if (style.lo) lo = *style.lo;
  if (style.hi) hi = *style.hi;
  if (!(lo <= hi) || !(std::abs(lo) < 1e300) || !(std::abs(hi) < 1e300)) {
    refuse("hist", "a finite range with lo <= hi", format_value(lo, "g") + " to " + format_value(hi, "g"));
  }
  if (lo == hi) lo -= 0.5, hi += 0.5;
  std::vector<double> edges;
  for (int i = 0; i <= bins; ++i) edges.push_back(i == bins ? hi : lo + (hi - lo) * i / bins);
  if (!std::is_sorted(edges.begin(), edges.end(), std::less_equal<>())) {
    refuse("hist", "bins wide enough to differ", std::to_string(bins) + " bins from " + format_value(lo, ".17g") + " to " + format_value(hi, ".17g"));
  }
  return hist(data, edges, style);
}

Histogram Axes::hist(std::span<const double> data, std::span<const double> edges, const HistStyle& style) {
  if (edges.size() < 2) refuse("hist", "2 edges or more", std::to_string(edges.size()));
  for (size_t i = 0; i < edges.size(); ++i) {
    if (!(std::abs(edges[i]) < 1e300) || (i && !(edges[i] > edges[i - 1]))) refuse("hist", "finite, rising edges", format_value(edges[i], "g") + " at " + std::to_string(i));
  }
  check_alpha("hist", style.alpha);
  Histogram result{std::vector<double>(edges.size() - 1, 0), {edges.begin(), edges.end()}};
  double total = 0;
  for (double v : data) {
    if (!(v >= edges.front() && v <= edges.back())) continue;
    const size_t above = size_t(std::upper_bound(edges.begin(), edges.end(), v) - edges.begin());
    result.counts[std::min(above, edges.size() - 1) - 1] += 1;
    total += 1;
  }
  auto mark = std::make_unique<BarMark>();
  mark->layer = layer_area;
  if (!style.edgecolor.empty()) mark->edge = scene_->theme->resolve(style.edgecolor);
  mark->fills = {pick_color(*scene_, style.color, style.alpha)};
  if (style.edgecolor.empty() && style.alpha == 1) mark->edge = scene_->theme->background;
  for (size_t i = 0; i + 1 < edges.size(); ++i) {
    if (style.density && total > 0) result.counts[i] /= total * (edges[i + 1] - edges[i]);
    mark->left.push_back(edges[i]);
    mark->right.push_back(edges[i + 1]);
    mark->foot.push_back(0);
    mark->top.push_back(result.counts[i]);
  }
  mark->label = style.label;
  scene_->marks.push_back(std::move(mark));
  return result;
}

}  // namespace miniten::viz
