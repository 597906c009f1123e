#include <algorithm>
#include <cmath>
#include "viz/geometry.h"
#include "viz/marks/marks.h"

namespace miniten::viz {

Stroke Pen::stroke(double px) const {
  Stroke stroke{color, style == "none" ? 0 : width * px};
  std::vector<double> pattern;  // in widths
  if (style == "--") pattern = {3.7, 1.6};
  else if (style == ":") pattern = {1, 1.65};
  else if (style == "-.") pattern = {6.4, 1.6, 1, 1.6};
  for (double part : pattern) stroke.dashes.push_back(part * stroke.width);
  return stroke;
}

void LineMark::extend(Range& rx, Range& ry) const {
  for (size_t i = 0; i < x.size(); ++i) {
    if (!std::isfinite(x[i]) || !std::isfinite(y[i])) continue;
    rx.add(x[i]), ry.add(y[i]);
  }
}

void LineMark::draw(Canvas& canvas, const Frame& frame) const {
  std::vector<Point> points(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    points[i] = frame.at(grounded == 'x' ? frame.x.foot(x[i]) : x[i], grounded == 'y' ? frame.y.foot(y[i]) : y[i]);
  }
  const Stroke stroke = pen.stroke(frame.px);
  const bool dense = double(x.size()) > 4 * frame.area.width;
  if (stroke.width > 0) {
    for (const Polyline& part : clip_polyline(points, frame.area.grown(20 * frame.px))) {
      canvas.polyline(dense ? thin_out(part, 0.5) : part, stroke);
    }
  }
  // A point between gaps has no line: it is shown as a dot.
  std::vector<Point> dots;
  const double size = (marker ? marker_size : 2 * pen.width) * frame.px;
  const Rect visible = frame.area.grown(size);
  for (size_t i = 0; i < points.size(); ++i) {
    const Point p = points[i];
    if (!finite(p) || p.x < visible.x || p.x > visible.right() || p.y < visible.y || p.y > visible.bottom()) continue;
    const bool alone = (i == 0 || !finite(points[i - 1])) && (i + 1 == points.size() || !finite(points[i + 1]));
    if (marker ? i % marker_every == 0 : alone && stroke.width > 0) dots.push_back(p);
  }
  if (dense) dots = thin_out(dots, 0.5);
  draw_points(canvas, frame, marker ? marker : 'o', dots, size);
}

void LineMark::draw_points(Canvas& canvas, const Frame& frame, char shape, std::span<const Point> points, double size) const {
  draw_markers(canvas, shape, points, size, marker_edge, marker_edge_width * frame.px, std::span(marker_face ? &*marker_face : &pen.color, 1));
}

void LineMark::draw_key(Canvas& canvas, const Rect& box, const Frame& frame) const {
  const double middle = box.y + box.height / 2;
  const Point ends[] = {{box.x, middle}, {box.right(), middle}}, centre[] = {{box.x + box.width / 2, middle}};
  canvas.polyline(ends, pen.stroke(frame.px));
  if (marker) draw_points(canvas, frame, marker, centre, marker_size * frame.px);
}

void LineMark::avoid(const Frame& frame, Obstacles& obstacles) const {
  std::vector<Point> points(x.size());
  for (size_t i = 0; i < x.size(); ++i) points[i] = frame.at(x[i], y[i]);
  for (const Polyline& part : clip_polyline(points, frame.area)) {
    const Polyline thin = thin_out(part, 3);
    for (size_t i = 0; i < thin.size(); ++i) {
      obstacles.points.push_back(thin[i]);
      if (i) obstacles.segments.emplace_back(thin[i - 1], thin[i]);
    }
  }
  if (points.size() == 1 && finite(points[0])) obstacles.points.push_back(points[0]);
}

HoverPoints LineMark::hover(const Frame& frame) const {
  HoverPoints out{pen.color};
  for (size_t i = 0; i < x.size(); ++i) out.points.push_back({frame.at(x[i], y[i]), x[i], y[i]});
  return out;
}

}  // namespace miniten::viz
