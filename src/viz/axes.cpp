#include "miniten/viz/axes.h"
#include <algorithm>
#include <cmath>
#include "viz/checks.h"
#include "viz/number.h"

namespace miniten::viz {

using Numbers = std::vector<double>;

LineStyle line_format(std::string_view format) {
  LineStyle style;
  style.linestyle = "none";
  std::string_view rest = format;
  auto take = [&](size_t n) { std::string part(rest.substr(0, n)); rest.remove_prefix(n); return part; };
  bool line = false;
  while (!rest.empty()) {
    const char c = rest[0];
    if (!line && (rest.substr(0, 2) == "--" || rest.substr(0, 2) == "-.")) style.linestyle = take(2), line = true;
    else if (!line && (c == '-' || c == ':')) style.linestyle = take(1), line = true;
    else if (style.color.empty() && c == 'C' && rest.size() > 1 && rest[1] >= '0' && rest[1] <= '9') style.color = take(2);
    else if (style.color.empty() && std::string_view("bgrcmykw").find(c) != std::string_view::npos) style.color = take(1);
    else if (style.marker.empty() && known_marker(c)) style.marker = take(1);
    else refuse("viz.line_format", "a colour letter, a marker and a line style, each once", quoted(format), "such as 'r--o'");
  }
  if (!line && style.marker.empty()) style.linestyle = "-";
  return style;
}

void Axes::plot(std::span<const double> x, std::span<const double> y, const LineStyle& style) {
  check_lengths("plot", "x and y", x.size(), y.size());
  check_style("plot", style);
  auto mark = std::make_unique<LineMark>();
  mark->marker = checked_marker("plot", style.marker);
  mark->pen = pen_of(style, pick_color(*scene_, style.color, style.alpha));
  mark->marker_size = style.markersize;
  if (!style.markerfacecolor.empty()) mark->marker_face = scene_->theme->resolve(style.markerfacecolor);
  if (!style.markeredgecolor.empty()) mark->marker_edge = scene_->theme->resolve(style.markeredgecolor);
  else if (mark->marker_face) mark->marker_edge = mark->pen.color;
  mark->marker_edge_width = style.markeredgewidth;
  mark->marker_every = size_t(style.markevery);
  mark->x = Numbers(x.begin(), x.end());
  mark->y = Numbers(y.begin(), y.end());
  mark->label = style.label;
  scene_->marks.push_back(std::move(mark));
}

void Axes::plot(std::span<const double> y, const LineStyle& style) {
  Numbers x(y.size());
  for (size_t i = 0; i < x.size(); ++i) x[i] = double(i);
  plot(x, y, style);
}

void Axes::scatter(std::span<const double> x, std::span<const double> y, const ScatterStyle& style) {
  check_lengths("scatter", "x and y", x.size(), y.size());
  if (!style.values.empty()) check_lengths("scatter", "x and values", x.size(), style.values.size());
  if (!style.colors.empty()) check_lengths("scatter", "x and colors", x.size(), style.colors.size());
  if (!style.sizes.empty()) check_lengths("scatter", "x and sizes", x.size(), style.sizes.size());
  for (double v : style.sizes) check_positive("scatter", "size", v, true);
  check_positive("scatter", "size", style.size);
  check_alpha("scatter", style.alpha);
  auto mark = std::make_unique<ScatterMark>();
  mark->marker = checked_marker("scatter", style.marker);
  if (!mark->marker) refuse("scatter", "a marker", quoted(style.marker));
  if (!style.edgecolor.empty()) mark->edge = scene_->theme->resolve(style.edgecolor);
  check_positive("scatter", "linewidth", style.linewidth, true);
  mark->edge_width = style.linewidth;
  mark->size = style.size;
  mark->x = Numbers(x.begin(), x.end());
  mark->y = Numbers(y.begin(), y.end());
  mark->label = style.label;
  mark->sizes = style.sizes;
  for (const std::string& name : style.colors) {
    mark->colors.push_back(scene_->theme->resolve(name));
    mark->colors.back().a *= style.alpha;
  }
  if (style.values.empty()) {
    if (mark->colors.empty()) mark->colors = {pick_color(*scene_, style.color, style.alpha)};
  } else {
    mark->colors.clear();
    const ColorScale colors{colormap_table(style.cmap), norm_of(style.values, style.vmin.value_or(NAN), style.vmax.value_or(NAN), "scatter")};
    for (double v : style.values) {
      mark->colors.push_back(std::isnan(v) ? scene_->theme->bad : colors.table[size_t(colors.norm.index(v))]);
      mark->colors.back().a = style.alpha;
    }
    scene_->mappable = colors;
  }
  scene_->marks.push_back(std::move(mark));
}

void Axes::fill_between(std::span<const double> x, std::span<const double> y1, std::span<const double> y2, const FillStyle& style) {
  check_lengths("fill_between", "x and y1", x.size(), y1.size());
  check_lengths("fill_between", "x and y2", x.size(), y2.size());
  check_alpha("fill_between", style.alpha);
  auto mark = std::make_unique<FillMark>();
  mark->color = pick_color(*scene_, style.color, style.alpha);
  mark->x = Numbers(x.begin(), x.end());
  mark->low = Numbers(y1.begin(), y1.end());
  mark->high = Numbers(y2.begin(), y2.end());
  mark->horizontal = style.horizontal;
  mark->label = style.label;
  scene_->marks.push_back(std::move(mark));
}

static std::unique_ptr<RuleMark> rule(std::string_view op, AxesScene& scene, double at, const LineStyle& style) {
  if (!std::isfinite(at)) refuse(op, "a finite position", format_value(at, "g"));
  check_style(op, style);
  auto mark = std::make_unique<RuleMark>();
  Color color = style.color.empty() ? scene.theme->muted : scene.theme->resolve(style.color);
  color.a *= style.alpha;
  mark->pen = pen_of(style, color);
  mark->at = at;
  mark->label = style.label;
  return mark;
}

void Axes::axhline(double y, const LineStyle& style) { scene_->marks.push_back(rule("axhline", *scene_, y, style)); }

void Axes::axvline(double x, const LineStyle& style) {
  auto mark = rule("axvline", *scene_, x, style);
  mark->horizontal = false;
  scene_->marks.push_back(std::move(mark));
}

void Axes::text(double x, double y, const std::string& text, const TextOptions& options) {
  check_text("text", options);
  auto mark = std::make_unique<TextMark>();
  mark->color = options.color.empty() ? scene_->theme->text : scene_->theme->resolve(options.color);
  mark->x = x, mark->y = y;
  mark->text = text;
  mark->options = options;
  if (!options.box.empty()) mark->box = scene_->theme->resolve(options.box);
  scene_->marks.push_back(std::move(mark));
}

}  // namespace miniten::viz
