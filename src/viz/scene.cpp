#include "viz/scene.h"
#include <algorithm>
#include <cmath>
#include "miniten/viz/axes.h"

namespace miniten::viz {

AxesScene::AxesScene() = default;
AxesScene::~AxesScene() = default;
AxesScene& AxesScene::operator=(AxesScene&&) = default;

Axis ColorScale::axis() const {
  Axis axis;
  axis.fixed_ticks = !ticks.empty();
  axis.tick_values = ticks;
  return axis;
}

int AxesScene::take_color() { return twin_of ? twin_of->take_color() : next_color++; }

void AxesScene::share(AxesScene& other, bool of_x) {
  auto& mine = of_x ? shared_x : shared_y;
  auto& theirs = of_x ? other.shared_x : other.shared_y;
  if (!mine) mine = std::make_shared<std::vector<AxesScene*>>(1, this);
  if (theirs == mine || &other == this) return;
  const std::vector<AxesScene*> joining = theirs ? *theirs : std::vector<AxesScene*>{&other};
  const Axis& from = of_x ? x : y;
  for (AxesScene* scene : joining) {
    (of_x ? scene->shared_x : scene->shared_y) = mine;
    mine->push_back(scene);
    Axis& to = of_x ? scene->x : scene->y;
    to.kind = from.kind, to.threshold = from.threshold, to.limits = from.limits, to.dates = from.dates;
  }
}

std::string axis_value(const Axis& axis, double v) {
  if (axis.dates) return date_text(v);
  return format_value(v, std::abs(v) < 1e9 && v == std::floor(v) ? "d" : "g");
}

Ticks axis_ticks(const Axis& axis, const Scale& scale, int most, bool integral) {
  Ticks ticks = axis.dates && scale.kind == ScaleKind::linear ? date_ticks(scale, most) : choose_ticks(scale, most, integral);
  if (axis.minor) add_minor_ticks(scale, ticks);
  return ticks;
}

DataLimits AxesScene::limits() const {
  Range ranges[2];
  auto gather = [&](const AxesScene& scene, bool of_x, bool of_y) {
    Range x_of, y_of;
    for (const auto& mark : scene.marks) {
      mark->extend(x_of, y_of);
      if (mark->grounded) (mark->grounded == 'x' ? x_of : y_of).sticky.push_back(0);
    }
    auto add = [](Range& to, const Range& from, const Axis& axis) {
      to.join(from);
      if (!axis.categories.empty()) to.add(0), to.add(double(axis.categories.size() - 1));
    };
    if (of_x) add(ranges[0], x_of, scene.x);
    if (of_y) add(ranges[1], y_of, scene.y);
  };
  gather(*this, true, true);
  for (bool of_x : {true, false}) {
    const auto& shared = of_x ? shared_x : shared_y;
    for (size_t i = 0; shared && i < shared->size(); ++i) if ((*shared)[i] != this) gather(*(*shared)[i], of_x, !of_x);
  }
  auto scale = [](const Axis& axis, const Range& range, bool turned) {
    Scale s = axis.limits ? Scale{axis.kind, axis.limits->first, axis.limits->second, axis.threshold} : auto_scale(range, axis.kind, axis.threshold, axis.margin);
    if (turned) std::swap(s.lo, s.hi);
    return s;
  };
  return {scale(x, ranges[0], x_turned), scale(y, ranges[1], y_turned), ranges[0].integral, ranges[1].integral};
}

}  // namespace miniten::viz
