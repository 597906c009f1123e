#include <cmath>
#include "viz/geometry.h"
#include "viz/marks/marks.h"
#include "viz/number.h"

namespace miniten::viz {

void BoxMark::extend(Range& x, Range& y) const {
  Range &across = horizontal ? y : x, &along = horizontal ? x : y;
  for (const Box& box : boxes) {
    across.add(box.at - 0.5), across.add(box.at + 0.5);
    if (std::isnan(box.median)) continue;
    along.add(box.low), along.add(box.high);
    for (double v : box.fliers) along.add(v);
  }
  across.sticky = {0.5, double(boxes.size()) + 0.5};
}

void BoxMark::draw(Canvas& canvas, const Frame& frame) const {
  auto at = [&](double across, double along) { return horizontal ? frame.at(along, across) : frame.at(across, along); };
  const Stroke stroke{color, 1.3 * frame.px}, thick{color, 2.2 * frame.px};
  const Rect view = frame.area.grown(20 * frame.px);
  auto line = [&](double a0, double v0, double a1, double v1, const Stroke& how) {
    const Point ends[] = {at(a0, v0), at(a1, v1)};
    for (const Polyline& part : clip_polyline(ends, view)) canvas.polyline(part, how);
  };
  Color faint = color;
  faint.a *= 0.22;
  for (const Box& box : boxes) {
    if (std::isnan(box.median)) continue;
    const double l = box.at - width / 2, r = box.at + width / 2, cap_l = box.at - width / 4, cap_r = box.at + width / 4;
    const Point p = at(l, box.q1), q = at(r, box.q3);
    if (finite(p) && finite(q) && std::abs(p.x) + std::abs(p.y) + std::abs(q.x) + std::abs(q.y) < 1e6) {
      canvas.rect({std::min(p.x, q.x), std::min(p.y, q.y), std::abs(p.x - q.x), std::abs(p.y - q.y)}, {faint, stroke});
    }
    line(box.at, box.q1, box.at, box.low, stroke), line(box.at, box.q3, box.at, box.high, stroke);
    line(cap_l, box.low, cap_r, box.low, stroke), line(cap_l, box.high, cap_r, box.high, stroke);
    line(l, box.median, r, box.median, thick);
    std::vector<Point> outside;
    for (double v : box.fliers) if (finite(at(box.at, v))) outside.push_back(at(box.at, v));
    canvas.circles(outside, 2.5 * frame.px, {{0, 0, 0, 0}, {color, frame.px}});
  }
}

void BoxMark::avoid(const Frame& frame, Obstacles& obstacles) const {
  for (const Box& box : boxes) {
    const Point p = horizontal ? frame.at(box.low, box.at - width / 2) : frame.at(box.at - width / 2, box.low);
    const Point q = horizontal ? frame.at(box.high, box.at + width / 2) : frame.at(box.at + width / 2, box.high);
    if (finite(p) && finite(q)) obstacles.boxes.push_back({std::min(p.x, q.x), std::min(p.y, q.y), std::abs(p.x - q.x), std::abs(p.y - q.y)});
  }
}

HoverPoints BoxMark::hover(const Frame& frame) const {
  HoverPoints out{color};
  for (const Box& box : boxes) {
    if (std::isnan(box.median)) continue;
    auto text = [](double v) { return format_value(v, ".4g"); };
    out.points.push_back({horizontal ? frame.at(box.median, box.at) : frame.at(box.at, box.median), horizontal ? NAN : box.at, horizontal ? box.at : NAN,
                          "median " + text(box.median) + ", quartiles " + text(box.q1) + " to " + text(box.q3)});
  }
  return out;
}

}  // namespace miniten::viz
