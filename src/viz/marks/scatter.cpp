#include <algorithm>
#include <cmath>
#include <unordered_set>
#include "viz/geometry.h"
#include "viz/marks/marks.h"

namespace miniten::viz {

void ScatterMark::extend(Range& rx, Range& ry) const {
  for (size_t i = 0; i < x.size(); ++i) {
    if (!std::isfinite(x[i]) || !std::isfinite(y[i])) continue;
    rx.add(x[i]), ry.add(y[i]);
  }
}

void ScatterMark::draw(Canvas& canvas, const Frame& frame) const {
  const double across = std::sqrt(size) * frame.px;
  const Rect visible = frame.area.grown(across);
  const bool each = colors.size() > 1;
  // Many opaque points of one colour: those that would fall on a quarter of a pixel already taken are left out.
  const bool sparse = x.size() > 20000 && !each && colors[0].a == 1;
  std::unordered_set<uint64_t> taken;
  std::vector<Point> points;
  std::vector<Color> fills;
  for (size_t i = 0; i < x.size(); ++i) {
    const Point p = frame.at(x[i], y[i]);
    if (!finite(p) || p.x < visible.x || p.x > visible.right() || p.y < visible.y || p.y > visible.bottom()) continue;
    if (sparse) {
      auto quarter = [](double v) { return uint64_t(uint32_t(std::lround(v * 4))); };
      if (!taken.insert(quarter(p.x) << 32 | quarter(p.y)).second) continue;
    }
    points.push_back(p);
    if (each) fills.push_back(colors[i]);
  }
  draw_markers(canvas, marker, points, across, edge, 0.8 * frame.px, each ? std::span<const Color>(fills) : std::span(colors.data(), 1));
}

void ScatterMark::draw_key(Canvas& canvas, const Rect& box, const Frame& frame) const {
  const Point centre[] = {{box.x + box.width / 2, box.y + box.height / 2}};
  draw_markers(canvas, marker, centre, std::min(std::sqrt(size) * frame.px, box.height), edge, 0.8 * frame.px, std::span(colors.data(), 1));
}

void ScatterMark::avoid(const Frame& frame, Obstacles& obstacles) const {
  const size_t stride = x.size() / 20000 + 1;
  for (size_t i = 0; i < x.size(); i += stride) {
    const Point p = frame.at(x[i], y[i]);
    if (finite(p)) obstacles.points.push_back(p);
  }
}

}  // namespace miniten::viz
