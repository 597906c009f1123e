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
  check_positive(op, "linewidth", style.linewidth, true);
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
    mark->left.push_back(style.centred ? at[i] - style.width / 2 : at[i]);
    mark->right.push_back(mark->left.back() + style.width);
    mark->foot.push_back(foot);
    mark->top.push_back(foot + height[i]);
    if (!style.value_format.empty()) mark->texts.push_back(std::isfinite(height[i]) ? format_value(height[i], style.value_format) : "");
  }
  mark->texts_inside = !style.bottom.empty();
  mark->edge_width = style.linewidth;
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

void Axes::bar_label(size_t at, std::string_view format) {
  check_format("bar_label", format);
  auto* mark = at < scene_->marks.size() ? dynamic_cast<BarMark*>(scene_->marks[at].get()) : nullptr;
  if (!mark) refuse("bar_label", "what bar, barh or hist gave", "mark " + std::to_string(at));
  mark->texts.clear();
  bool stacked = false;
  for (size_t i = 0; i < mark->top.size(); ++i) {
    const double value = mark->top[i] - mark->foot[i];
    mark->texts.push_back(std::isfinite(value) ? format_value(value, format) : "");
    stacked = stacked || mark->foot[i] != 0;
  }
  mark->texts_inside = stacked;
  const auto* whiskers = at + 1 < scene_->marks.size() ? dynamic_cast<const ErrorMark*>(scene_->marks[at + 1].get()) : nullptr;
  if (!whiskers || whiskers->x.size() != mark->top.size()) return;            // those of a bar chart stand right behind it
  const std::vector<double>& up = mark->horizontal ? whiskers->x_error.high : whiskers->y_error.high;
  for (size_t i = 0; i < up.size(); ++i) mark->reach.push_back(mark->top[i] + up[i]);
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

}  // namespace miniten::viz
