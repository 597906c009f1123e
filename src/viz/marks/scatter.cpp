#include <algorithm>
#include <cmath>
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
  double largest = size;
  for (double v : sizes) largest = std::max(largest, v);
  const double across = std::sqrt(largest) * frame.px;
  const Rect visible = frame.area.grown(across);
  const bool each = colors.size() > 1;
  // Many opaque points of one colour: those that would fall on a quarter of a pixel already taken are left out.
  const bool sparse = x.size() > 20000 && !each && sizes.empty() && colors[0].a == 1;
  auto quarters = [](double v) { return size_t(std::max(0.0, v * 4)); };
  const size_t row = quarters(visible.width) + 2;
  std::vector<bool> taken(sparse ? row * (quarters(visible.height) + 2) : 0);
  std::vector<Point> points;
  std::vector<Color> fills;
  for (size_t i = 0; i < x.size(); ++i) {
    const Point p = frame.at(x[i], y[i]);
    if (!finite(p) || p.x < visible.x || p.x > visible.right() || p.y < visible.y || p.y > visible.bottom()) continue;
    if (sparse) {
      std::vector<bool>::reference there = taken[quarters(p.y - visible.y) * row + quarters(p.x - visible.x)];
      if (there) continue;
      there = true;
    }
    if (!sizes.empty()) {
      const Color one[] = {colors[each ? i : 0]};
      draw_markers(canvas, marker, std::span(&p, 1), std::sqrt(sizes[i]) * frame.px, edge, edge_width * frame.px, one);
      continue;
    }
    points.push_back(p);
    if (each) fills.push_back(colors[i]);
  }
  draw_markers(canvas, marker, points, across, edge, edge_width * frame.px, each ? std::span<const Color>(fills) : std::span(colors.data(), 1));
}

void ScatterMark::draw_key(Canvas& canvas, const Rect& box, const Frame& frame) const {
  const Point centre[] = {{box.x + box.width / 2, box.y + box.height / 2}};
  draw_markers(canvas, marker, centre, std::min(std::sqrt(size) * frame.px, box.height), edge, edge_width * frame.px, std::span(colors.data(), 1));
}

void ScatterMark::avoid(const Frame& frame, Obstacles& obstacles) const {
  const size_t stride = x.size() / 20000 + 1;
  for (size_t i = 0; i < x.size(); i += stride) {
    const Point p = frame.at(x[i], y[i]);
    if (finite(p)) obstacles.points.push_back(p);
  }
}

HoverPoints ScatterMark::hover(const Frame& frame) const {
  HoverPoints out{colors.empty() ? Color{} : colors[0]};
  for (size_t i = 0; i < x.size(); ++i) out.points.push_back({frame.at(x[i], y[i]), x[i], y[i]});
  return out;
}

}  // namespace miniten::viz
