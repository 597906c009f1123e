#include "miniten/viz/axes.h"
#include <algorithm>
#include <cmath>
#include "viz/checks.h"
#include "viz/number.h"

namespace miniten::viz {
namespace {

using Numbers = std::vector<double>;

void check_style(std::string_view op, const LineStyle& style) {
  static constexpr std::string_view known[] = {"-", "--", ":", "-.", "none", ""};
  if (std::find(std::begin(known), std::end(known), style.linestyle) == std::end(known)) {
    refuse(op, "a line style", quoted(style.linestyle), "one of '-', '--', ':', '-.', 'none'");
  }
  check_positive(op, "linewidth", style.linewidth, true);
  check_positive(op, "markersize", style.markersize, true);
  check_alpha(op, style.alpha);
}

Pen pen_of(const LineStyle& style, Color color) {
  return {color, style.linewidth, style.linestyle.empty() ? "none" : style.linestyle};
}

void set_limits(std::string_view op, Axis& axis, double lo, double hi) {
  const bool fit = std::abs(lo) < 1e300 && std::abs(hi) < 1e300 && lo != hi;
  if (!fit) refuse(op, "two different finite limits", format_value(lo, "g") + " and " + format_value(hi, "g"));
  if (axis.kind == ScaleKind::log && !(lo > 0 && hi > 0)) {
    refuse(op, "limits above 0 on a log axis", format_value(lo, "g") + " and " + format_value(hi, "g"));
  }
  axis.limits = {lo, hi};
}

void set_scale(std::string_view op, Axis& axis, std::string_view scale) {
  if (scale != "linear" && scale != "log") refuse(op, "'linear' or 'log'", quoted(scale));
  const bool log = scale == "log";
  if (log && axis.limits && !(axis.limits->first > 0 && axis.limits->second > 0)) {
    refuse(op, "limits above 0 on a log axis", format_value(axis.limits->first, "g") + " and " + format_value(axis.limits->second, "g"));
  }
  axis.kind = log ? ScaleKind::log : ScaleKind::linear;
}

void set_ticks(std::string_view op, Axis& axis, std::span<const double> positions, std::span<const std::string> labels) {
  if (!labels.empty()) check_lengths(op, "positions and labels", positions.size(), labels.size());
  for (double v : positions) if (!std::isfinite(v)) refuse(op, "finite positions", format_value(v, "g"));
  axis.fixed_ticks = true;
  axis.tick_values.assign(positions.begin(), positions.end());
  axis.tick_texts.assign(labels.begin(), labels.end());
}

}  // namespace

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

Axes::Axes(std::string theme) : scene_(std::make_unique<AxesScene>()) { scene_->theme = &theme_of(theme); }
Axes::~Axes() = default;

void Axes::plot(std::span<const double> x, std::span<const double> y, const LineStyle& style) {
  check_lengths("plot", "x and y", x.size(), y.size());
  check_style("plot", style);
  auto mark = std::make_unique<LineMark>();
  mark->marker = checked_marker("plot", style.marker);
  mark->pen = pen_of(style, pick_color(*scene_, style.color, style.alpha));
  mark->marker_size = style.markersize;
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
  check_positive("scatter", "size", style.size);
  check_alpha("scatter", style.alpha);
  auto mark = std::make_unique<ScatterMark>();
  mark->marker = checked_marker("scatter", style.marker);
  if (!mark->marker) refuse("scatter", "a marker", quoted(style.marker));
  if (!style.edgecolor.empty()) mark->edge = scene_->theme->resolve(style.edgecolor);
  mark->size = style.size;
  mark->x = Numbers(x.begin(), x.end());
  mark->y = Numbers(y.begin(), y.end());
  mark->label = style.label;
  if (style.values.empty()) {
    mark->colors = {pick_color(*scene_, style.color, style.alpha)};
  } else {
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
  if (options.ha != "left" && options.ha != "center" && options.ha != "right") refuse("text", "ha 'left', 'center' or 'right'", quoted(options.ha));
  if (options.va != "top" && options.va != "center" && options.va != "baseline" && options.va != "bottom") {
    refuse("text", "va 'top', 'center', 'baseline' or 'bottom'", quoted(options.va));
  }
  check_positive("text", "size", options.size);
  if (!std::isfinite(options.rotation)) refuse("text", "a finite rotation", format_value(options.rotation, "g"));
  auto mark = std::make_unique<TextMark>();
  mark->color = options.color.empty() ? scene_->theme->text : scene_->theme->resolve(options.color);
  mark->x = x, mark->y = y;
  mark->text = text;
  mark->options = options;
  scene_->marks.push_back(std::move(mark));
}

void Axes::set_title(const std::string& title) { scene_->title = title; }
void Axes::set_xlabel(const std::string& label) { scene_->x.label = label; }
void Axes::set_ylabel(const std::string& label) { scene_->y.label = label; }
void Axes::set_xlim(double left, double right) { set_limits("set_xlim", scene_->x, left, right); }
void Axes::set_ylim(double bottom, double top) { set_limits("set_ylim", scene_->y, bottom, top); }
void Axes::set_xscale(std::string_view scale) { set_scale("set_xscale", scene_->x, scale); }
void Axes::set_yscale(std::string_view scale) { set_scale("set_yscale", scene_->y, scale); }
void Axes::set_axis(bool visible) { scene_->visible = visible; }

void Axes::set_xticks(std::span<const double> positions, std::span<const std::string> labels) {
  set_ticks("set_xticks", scene_->x, positions, labels);
}
void Axes::set_yticks(std::span<const double> positions, std::span<const std::string> labels) {
  set_ticks("set_yticks", scene_->y, positions, labels);
}

void Axes::grid(bool on, std::string_view axis) {
  if (axis != "both" && axis != "x" && axis != "y") refuse("grid", "axis 'x', 'y' or 'both'", quoted(axis));
  if (axis != "y") scene_->x.grid = on;
  if (axis != "x") scene_->y.grid = on;
}

void Axes::legend(const std::string& loc, int columns) {
  static constexpr std::string_view known[] = {"best", "upper right", "upper left", "lower left", "lower right", "right", "center left",
                                               "center right", "lower center", "upper center", "center", "outside right"};
  if (std::find(std::begin(known), std::end(known), loc) == std::end(known)) {
    std::string all;
    for (std::string_view each : known) all += (all.empty() ? "'" : ", '") + std::string(each) + "'";
    refuse("legend", "a known place", quoted(loc), all);
  }
  if (columns < 1) refuse("legend", "columns of 1 or more", std::to_string(columns));
  scene_->legend = loc;
  scene_->legend_columns = columns;
}

std::string axis_value(const Axis&, double v) { return format_value(v, std::abs(v) < 1e9 && v == std::floor(v) ? "d" : "g"); }

DataLimits AxesScene::limits() const {
  Range rx, ry;
  for (const auto& mark : marks) mark->extend(rx, ry);
  auto scale = [](const Axis& axis, Range& range) {
    if (!axis.categories.empty()) range.add(0), range.add(double(axis.categories.size() - 1));
    return axis.limits ? Scale{axis.kind, axis.limits->first, axis.limits->second} : auto_scale(range, axis.kind);
  };
  return {scale(x, rx), scale(y, ry), rx.integral, ry.integral};
}

}  // namespace miniten::viz
