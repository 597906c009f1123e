#include <cmath>
#include "viz/geometry.h"
#include "viz/marks/marks.h"

namespace miniten::viz {

void FillMark::extend(Range& rx, Range& ry) const {
  for (size_t i = 0; i < x.size(); ++i) {
    if (!std::isfinite(x[i]) || !std::isfinite(low[i]) || !std::isfinite(high[i])) continue;
    (horizontal ? ry : rx).add(x[i]);
    for (double v : {low[i], high[i]}) (horizontal ? rx : ry).add(v);
  }
}

Point FillMark::at(const Frame& frame, double across, double along) const {
  if (grounded) along = (horizontal ? frame.x : frame.y).foot(along);
  return horizontal ? frame.at(along, across) : frame.at(across, along);
}

void FillMark::draw(Canvas& canvas, const Frame& frame) const {
  const Rect view = frame.area.grown(20 * frame.px);
  const bool dense = double(x.size()) > 4 * frame.area.width && !horizontal;
  for (size_t i = 0; i < x.size();) {
    Polyline upper, lower;
    for (; i < x.size(); ++i) {
      const Point a = at(frame, x[i], high[i]), b = at(frame, x[i], low[i]);
      if (!finite(a) || !finite(b)) break;
      upper.push_back(a), lower.push_back(b);
    }
    ++i;
    if (upper.size() < 2) continue;
    if (dense) upper = thin_out(upper, 0.5), lower = thin_out(lower, 0.5);
    upper.insert(upper.end(), lower.rbegin(), lower.rend());
    Path path;
    for (Point p : clip_polygon(upper, view)) path.points.empty() ? path.move(p) : path.line(p);
    if (path.points.empty()) continue;
    path.close();
    canvas.path(path, {color});
  }
}

void FillMark::avoid(const Frame& frame, Obstacles& obstacles) const {
  for (const std::vector<double>* edge : {&low, &high}) {
    std::vector<Point> points(x.size());
    for (size_t i = 0; i < x.size(); ++i) points[i] = at(frame, x[i], (*edge)[i]);
    for (const Polyline& part : clip_polyline(points, frame.area)) {
      const Polyline thin = thin_out(part, 3);
      for (size_t i = 1; i < thin.size(); ++i) obstacles.segments.emplace_back(thin[i - 1], thin[i]);
    }
  }
}

void FillMark::draw_key(Canvas& canvas, const Rect& box, const Frame&) const { canvas.rect(box, {color}); }

}  // namespace miniten::viz
