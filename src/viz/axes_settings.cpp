#include <algorithm>
#include <cmath>
#include "miniten/viz/axes.h"
#include "viz/checks.h"
#include "viz/number.h"

namespace miniten::viz {
namespace {

void check_limits(std::string_view op, const Axis& axis, double lo, double hi) {
  const bool fit = std::abs(lo) < 1e300 && std::abs(hi) < 1e300 && lo != hi;
  if (!fit) refuse(op, "two different finite limits", format_value(lo, "g") + " and " + format_value(hi, "g"));
  if (axis.kind == ScaleKind::log && !(lo > 0 && hi > 0)) {
    refuse(op, "limits above 0 on a log axis", format_value(lo, "g") + " and " + format_value(hi, "g"));
  }
}

// The scene's axis and those that share their limits with it.
template <class Act> void each_axis(AxesScene& scene, bool x, Act&& act) {
  const auto& shared = x ? scene.shared_x : scene.shared_y;
  if (!shared) return act(x ? scene.x : scene.y);
  for (AxesScene* one : *shared) act(x ? one->x : one->y);
}

void set_scale(std::string_view op, AxesScene& scene, bool x, std::string_view scale, double threshold) {
  if (scale != "linear" && scale != "log" && scale != "symlog") refuse(op, "'linear', 'log' or 'symlog'", quoted(scale));
  check_positive(op, "linthresh", threshold);
  const Axis& own = x ? scene.x : scene.y;
  if (scale == "log" && own.limits && !(own.limits->first > 0 && own.limits->second > 0)) {
    refuse(op, "limits above 0 on a log axis", format_value(own.limits->first, "g") + " and " + format_value(own.limits->second, "g"));
  }
  each_axis(scene, x, [&](Axis& axis) {
    axis.kind = scale == "log" ? ScaleKind::log : scale == "symlog" ? ScaleKind::symlog : ScaleKind::linear;
    axis.threshold = threshold;
  });
}

void set_ticks(std::string_view op, Axis& axis, std::span<const double> positions, std::span<const std::string> labels, std::optional<double> rotation) {
  if (rotation && !(*rotation >= -90 && *rotation <= 90)) refuse(op, "a rotation of -90 to 90 degrees", format_value(*rotation, "g"));
  if (!labels.empty()) check_lengths(op, "positions and labels", positions.size(), labels.size());
  for (double v : positions) if (!std::isfinite(v)) refuse(op, "finite positions", format_value(v, "g"));
  axis.fixed_ticks = true;
  axis.rotation = rotation;
  axis.tick_values.assign(positions.begin(), positions.end());
  axis.tick_texts.assign(labels.begin(), labels.end());
}

}  // namespace

Axes::Axes(std::string theme) : scene_(std::make_unique<AxesScene>()) { scene_->theme = &theme_of(theme); }
Axes::~Axes() = default;

void Axes::set_title(const std::string& title) { scene_->title = title; }
void Axes::set_xlabel(const std::string& label) { scene_->x.label = label; }
void Axes::set_ylabel(const std::string& label) { scene_->y.label = label; }
void Axes::set_xlim(double left, double right) {
  check_limits("set_xlim", scene_->x, left, right);
  each_axis(*scene_, true, [&](Axis& axis) { axis.limits = {left, right}; });
}
void Axes::set_ylim(double bottom, double top) {
  check_limits("set_ylim", scene_->y, bottom, top);
  each_axis(*scene_, false, [&](Axis& axis) { axis.limits = {bottom, top}; });
}
std::pair<double, double> Axes::get_xlim() const {
  const Scale s = scene_->limits().x;
  return {s.lo, s.hi};
}
std::pair<double, double> Axes::get_ylim() const {
  const Scale s = scene_->limits().y;
  return {s.lo, s.hi};
}
void Axes::invert_xaxis() { scene_->x_turned = !scene_->x_turned; }
void Axes::invert_yaxis() { scene_->y_turned = !scene_->y_turned; }
void Axes::set_xscale(std::string_view scale, double linthresh) { set_scale("set_xscale", *scene_, true, scale, linthresh); }
void Axes::set_yscale(std::string_view scale, double linthresh) { set_scale("set_yscale", *scene_, false, scale, linthresh); }
void Axes::set_aspect(std::string_view aspect) {
  if (aspect != "equal" && aspect != "auto") refuse("set_aspect", "'equal' or 'auto'", quoted(aspect));
  scene_->equal_aspect = aspect == "equal";
}
void Axes::set_axis(bool visible) { scene_->visible = visible; }
void Axes::set_dates(std::string_view axis) {
  if (axis != "x" && axis != "y") refuse("set_dates", "axis 'x' or 'y'", quoted(axis));
  each_axis(*scene_, axis == "x", [](Axis& one) { one.dates = true; });
}
void Axes::minorticks(bool on) { scene_->x.minor = scene_->y.minor = on; }

void Axes::set_xticks(std::span<const double> positions, std::span<const std::string> labels, std::optional<double> rotation) {
  set_ticks("set_xticks", scene_->x, positions, labels, rotation);
}
void Axes::set_yticks(std::span<const double> positions, std::span<const std::string> labels) {
  set_ticks("set_yticks", scene_->y, positions, labels, {});
}
void Axes::set_xtick_rotation(double degrees) {
  if (!(degrees >= -90 && degrees <= 90)) refuse("set_xtick_rotation", "-90 to 90 degrees", format_value(degrees, "g"));
  scene_->x.rotation = degrees;
}

std::vector<double> Axes::categories(std::string_view axis, std::span<const std::string> names) {
  if (axis != "x" && axis != "y") refuse("categories", "axis 'x' or 'y'", quoted(axis));
  return category_positions(axis == "x" ? scene_->x : scene_->y, names);
}

size_t Axes::mark_count() const { return scene_->marks.size(); }
std::string Axes::mark_label(size_t mark) const {
  if (mark >= scene_->marks.size()) refuse("mark_label", "a mark of these axes", std::to_string(mark));
  return scene_->marks[mark]->label;
}
void Axes::set_mark_label(size_t mark, const std::string& label) {
  if (mark >= scene_->marks.size()) refuse("set_mark_label", "a mark of these axes", std::to_string(mark));
  scene_->marks[mark]->label = label;
}

Axes& Axes::twinx() {
  if (scene_->twin_of) refuse("twinx", "axes that are no twin", "a twin");
  if (!scene_->twinx) {
    scene_->twinx = std::make_unique<Axes>(std::string(scene_->theme->name));
    scene_->twinx->scene_->twin_of = scene_.get();
    scene_->share(*scene_->twinx->scene_, true);
  }
  return *scene_->twinx;
}
Axes& Axes::twiny() {
  if (scene_->twin_of) refuse("twiny", "axes that are no twin", "a twin");
  if (!scene_->twiny) {
    scene_->twiny = std::make_unique<Axes>(std::string(scene_->theme->name));
    scene_->twiny->scene_->twin_of = scene_.get();
    scene_->share(*scene_->twiny->scene_, false);
  }
  return *scene_->twiny;
}
void Axes::set_inner(std::string_view axis, bool inner) {
  if (axis != "x" && axis != "y") refuse("set_inner", "axis 'x' or 'y'", quoted(axis));
  (axis == "x" ? scene_->x : scene_->y).inner = inner;
}
void Axes::share(Axes& other, std::string_view axis) {
  if (axis != "x" && axis != "y") refuse("share", "axis 'x' or 'y'", quoted(axis));
  scene_->share(*other.scene_, axis == "x");
}

void Axes::grid(bool on, std::string_view axis) {
  if (axis != "both" && axis != "x" && axis != "y") refuse("grid", "axis 'x', 'y' or 'both'", quoted(axis));
  if (axis != "y") scene_->x.grid = on;
  if (axis != "x") scene_->y.grid = on;
}

void Axes::legend(const std::string& loc, int columns, const std::string& title) {
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
  scene_->legend_title = title;
}

}  // namespace miniten::viz
