#include <algorithm>
#include <cmath>
#include "miniten/viz/axes.h"
#include "viz/checks.h"
#include "viz/number.h"

namespace miniten::viz {

void Axes::step(std::span<const double> x, std::span<const double> y, std::string_view where, const LineStyle& style) {
  check_lengths("step", "x and y", x.size(), y.size());
  if (where != "pre" && where != "post" && where != "mid") refuse("step", "where 'pre', 'post' or 'mid'", quoted(where));
  std::vector<double> across, along;
  auto add = [&](double a, double b) { across.push_back(a), along.push_back(b); };
  for (size_t i = 0; i < x.size(); ++i) {
    if (i > 0 && where == "pre") add(x[i - 1], y[i]);
    if (i > 0 && where == "post") add(x[i], y[i - 1]);
    if (i > 0 && where == "mid") add((x[i - 1] + x[i]) / 2, y[i - 1]), add((x[i - 1] + x[i]) / 2, y[i]);
    add(x[i], y[i]);
  }
  plot(across, along, style);
}

static std::unique_ptr<SpanMark> span_mark(std::string_view op, AxesScene& scene, double low, double high, const FillStyle& style) {
  check_finite(op, "band", low), check_finite(op, "band", high);
  check_alpha(op, style.alpha);
  auto mark = std::make_unique<SpanMark>();
  mark->low = low, mark->high = high;
  mark->color = style.color.empty() ? scene.theme->muted : scene.theme->resolve(style.color);
  mark->color.a *= style.alpha;
  mark->label = style.label;
  return mark;
}

void Axes::axhspan(double low, double high, const FillStyle& style) { scene_->marks.push_back(span_mark("axhspan", *scene_, low, high, style)); }

void Axes::axvspan(double low, double high, const FillStyle& style) {
  auto mark = span_mark("axvspan", *scene_, low, high, style);
  mark->horizontal = false;
  scene_->marks.push_back(std::move(mark));
}

void Axes::annotate(const std::string& text, double x, double y, double text_x, double text_y, const ArrowOptions& options) {
  check_text("annotate", options.text);
  auto mark = std::make_unique<ArrowMark>();
  mark->color = options.text.color.empty() ? scene_->theme->text : scene_->theme->resolve(options.text.color);
  mark->arrow_color = options.arrow_color.empty() ? scene_->theme->muted : scene_->theme->resolve(options.arrow_color);
  mark->arrow = options.arrow;
  mark->to_x = x, mark->to_y = y, mark->x = text_x, mark->y = text_y;
  mark->text = text;
  mark->options = options.text;
  scene_->marks.push_back(std::move(mark));
}

void Axes::pie(std::span<const double> values, const PieStyle& style) {
  double total = 0;
  for (double v : values) {
    if (!(v >= 0 && std::isfinite(v))) refuse("pie", "finite values of 0 or more", format_value(v, "g"));
    total += v;
  }
  if (!(total > 0 && std::isfinite(total))) refuse("pie", "values with a sum above 0", format_value(total, "g"));
  if (!style.labels.empty()) check_lengths("pie", "values and labels", values.size(), style.labels.size());
  if (!style.explode.empty()) check_lengths("pie", "values and explode", values.size(), style.explode.size());
  for (double v : style.explode) check_positive("pie", "explode", v, true);
  if (!style.colors.empty()) check_lengths("pie", "values and colors", values.size(), style.colors.size());
  if (!style.value_format.empty()) check_format("pie", style.value_format);
  if (!(style.hole >= 0 && style.hole < 1)) refuse("pie", "a hole of 0 to below 1", format_value(style.hole, "g"));
  check_finite("pie", "startangle", style.startangle);
  auto mark = std::make_unique<PieMark>();
  for (const std::string& color : style.colors) mark->fills.push_back(scene_->theme->resolve(color));
  for (size_t i = 0; i < values.size(); ++i) {
    if (style.colors.empty()) mark->fills.push_back(pick_color(*scene_, "", 1));
    mark->shares.push_back(values[i] / total);
    if (!style.value_format.empty()) mark->texts.push_back(format_value(style.value_format.back() == '%' ? values[i] / total : values[i], style.value_format));
  }
  mark->labels = style.labels;
  mark->explode = style.explode;
  mark->start = style.startangle, mark->clockwise = style.clockwise, mark->hole = style.hole;
  scene_->equal_aspect = true, scene_->visible = false;
  scene_->marks.push_back(std::move(mark));
}

}  // namespace miniten::viz
