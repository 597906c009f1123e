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

static void apply(std::string_view op, const AxesScene& scene, Look& to, const TextLook& look) {
  if (look.size) check_positive(op, "size", *look.size);
  if (!look.color.empty()) to.color = scene.theme->resolve(look.color);
  to.size = look.size.value_or(to.size), to.bold = look.bold.value_or(to.bold);
}

void Axes::set_title(const std::string& title, const TextLook& look) {
  if (!look.loc.empty() && look.loc != "left" && look.loc != "center" && look.loc != "right") refuse("set_title", "loc 'left', 'center' or 'right'", quoted(look.loc));
  apply("set_title", *scene_, scene_->title_look, look);
  if (!look.loc.empty()) scene_->title_loc = look.loc;
  scene_->title = title;
}
void Axes::set_xlabel(const std::string& label, const TextLook& look) {
  apply("set_xlabel", *scene_, scene_->x.label_look, look);
  scene_->x.label = label;
}
void Axes::set_ylabel(const std::string& label, const TextLook& look) {
  apply("set_ylabel", *scene_, scene_->y.label_look, look);
  scene_->y.label = label;
}
const std::string& Axes::title() const { return scene_->title; }
const std::string& Axes::label(std::string_view axis) const {
  if (axis != "x" && axis != "y") refuse("label", "axis 'x' or 'y'", quoted(axis));
  return axis == "x" ? scene_->x.label : scene_->y.label;
}
void Axes::set_spine(std::string_view side, bool visible) {
  static constexpr std::string_view sides[] = {"left", "right", "top", "bottom"};
  const auto found = std::find(std::begin(sides), std::end(sides), side);
  if (found == std::end(sides)) refuse("set_spine", "'left', 'right', 'top' or 'bottom'", quoted(side));
  scene_->spines[found - sides] = visible;
}
void Axes::set_ticks_look(std::string_view axis, const TickLook& look) {
  if (axis != "both" && axis != "x" && axis != "y") refuse("tick_params", "axis 'x', 'y' or 'both'", quoted(axis));
  if (look.size) check_positive("tick_params", "labelsize", *look.size);
  if (look.length) check_positive("tick_params", "length", *look.length, true);
  if (look.rotation && axis != "y") set_xtick_rotation(*look.rotation);
  for (Axis* one : {&scene_->x, &scene_->y}) {
    if ((one == &scene_->x ? "y" : "x") == axis) continue;
    if (!look.color.empty()) one->tick_look.color = scene_->theme->resolve(look.color);
    one->tick_look.size = look.size.value_or(one->tick_look.size), one->tick_length = look.length.value_or(one->tick_length);
    one->tick_labels = look.labels.value_or(one->tick_labels);
  }
}
void Axes::set_margins(std::optional<double> x, std::optional<double> y) {
  for (const auto& v : {x, y}) if (v) check_positive("margins", "margin", *v, true);
  if (x) each_axis(*scene_, true, [&](Axis& axis) { axis.margin = x; });
  if (y) each_axis(*scene_, false, [&](Axis& axis) { axis.margin = y; });
}
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

void Axes::set_tick_labels(std::string_view axis, std::span<const std::string> labels) {
  if (axis != "x" && axis != "y") refuse("set_tick_labels", "axis 'x' or 'y'", quoted(axis));
  Axis& one = axis == "x" ? scene_->x : scene_->y;
  if (!one.fixed_ticks) refuse("set_tick_labels", "ticks that were set before", "none", "set_xticks(positions, labels)");
  check_lengths("set_tick_labels", "positions and labels", one.tick_values.size(), labels.size());
  one.tick_texts.assign(labels.begin(), labels.end());
}

std::vector<double> Axes::categories(std::string_view axis, std::span<const std::string> names) {
  if (axis != "x" && axis != "y") refuse("categories", "axis 'x' or 'y'", quoted(axis));
  return category_positions(axis == "x" ? scene_->x : scene_->y, names);
}

void Axes::clear() {
  AxesScene &s = *scene_, fresh;
  fresh.theme = s.theme, fresh.twin_of = s.twin_of, fresh.shared_x = s.shared_x, fresh.shared_y = s.shared_y;
  fresh.x.inner = s.x.inner, fresh.y.inner = s.y.inner;
  for (bool of_x : {true, false}) {                            // others' scale stays theirs
    const auto& shared = of_x ? s.shared_x : s.shared_y;
    for (size_t i = 0; shared && i < shared->size(); ++i) {
      const AxesScene* other = (*shared)[i];
      if (other == &s || other->twin_of == &s) continue;
      const Axis& from = of_x ? other->x : other->y;
      Axis& to = of_x ? fresh.x : fresh.y;
      to.kind = from.kind, to.threshold = from.threshold, to.limits = from.limits, to.dates = from.dates, to.margin = from.margin;
      break;
    }
  }
  fresh.twinx = std::move(s.twinx), fresh.twiny = std::move(s.twiny);
  s = std::move(fresh);
  for (const auto* twin : {&s.twinx, &s.twiny}) if (*twin) (*twin)->clear();
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

void Axes::set_labels(std::span<const std::string> labels) {
  size_t next = 0, keyed = 0;
  for (const auto& mark : scene_->marks) keyed += mark->keyed();
  if (labels.size() > keyed) refuse("legend", "at most " + std::to_string(keyed) + " labels, one for each mark", std::to_string(labels.size()));
  for (const auto& mark : scene_->marks) if (mark->keyed() && next < labels.size()) mark->label = labels[next++];
}
void Axes::set_mark_zorder(size_t mark, double order) {
  if (mark >= scene_->marks.size()) refuse("set_mark_zorder", "a mark of these axes", std::to_string(mark));
  check_finite("set_mark_zorder", "order", order);
  scene_->marks[mark]->layer = order;
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

void Axes::grid(bool on, std::string_view axis, const GridStyle& style) {
  if (axis != "both" && axis != "x" && axis != "y") refuse("grid", "axis 'x', 'y' or 'both'", quoted(axis));
  check_style("grid", {.linestyle = style.linestyle, .linewidth = style.linewidth, .alpha = style.alpha});
  if (!style.color.empty()) scene_->theme->resolve(style.color);
  for (Axis* one : {&scene_->x, &scene_->y}) {
    if ((one == &scene_->x ? "y" : "x") != axis) one->grid = on, one->grid_style = style;
  }
}

void Axes::legend(const std::string& loc, const LegendStyle& style) {
  static constexpr std::string_view known[] = {"best", "upper right", "upper left", "lower left", "lower right", "right", "center left",
                                               "center right", "lower center", "upper center", "center", "outside right"};
  if (std::find(std::begin(known), std::end(known), loc) == std::end(known)) {
    std::string all;
    for (std::string_view each : known) all += (all.empty() ? "'" : ", '") + std::string(each) + "'";
    refuse("legend", "a known place", quoted(loc), all);
  }
  if (style.columns < 1) refuse("legend", "columns of 1 or more", std::to_string(style.columns));
  check_positive("legend", "size", style.size);
  scene_->legend = style, scene_->legend_loc = loc;
}

}  // namespace miniten::viz
