#include <algorithm>
#include <cmath>
#include "viz/geometry.h"
#include "viz/marks/marks.h"
#include "viz/number.h"
#include "viz/text.h"

namespace miniten::viz {

void ContourMark::extend(Range& rx, Range& ry) const {
  for (double v : x) rx.add(v);
  for (double v : y) ry.add(v);
  rx.sticky = {rx.lo, rx.hi}, ry.sticky = {ry.lo, ry.hi};
}

void ContourMark::draw(Canvas& canvas, const Frame& frame) const {
  const Rect view = frame.area.grown(20 * frame.px);
  const double size = text_size * frame.px;
  for (const Band& band : bands) {
    Path path;
    for (const GridPoints& outline : band.outlines) {
      Polyline points;
      for (const auto& [px, py] : outline) if (const Point p = frame.at(px, py); finite(p)) points.push_back(p);
      points = clip_polygon(points, view);
      if (points.size() < 3) continue;
      path.move(points[0]);
      for (size_t i = 1; i < points.size(); ++i) path.line(points[i]);
      path.close();
    }
    if (!path.points.empty()) canvas.path(path, {band.color});
  }
  for (const Line& line : lines) {
    Polyline longest;
    double most = 0;
    for (const GridPoints& part : line.parts) {
      Polyline points;
      double length = 0;
      for (const auto& [px, py] : part) {
        points.push_back(frame.at(px, py));
        if (points.size() > 1) length += std::hypot(points.back().x - points.end()[-2].x, points.back().y - points.end()[-2].y);
      }
      for (const Polyline& piece : clip_polyline(points, view)) canvas.polyline(piece, {line.color, width * frame.px});
      if (length > most) most = length, longest = points;
    }
    const std::string text = format_value(line.level, "g");
    if (!texts || most < 4 * text_width(text, size)) continue;
    const Point p = longest[longest.size() / 2], q = longest[longest.size() / 2 - 1];
    if (!finite(p) || !finite(q)) continue;
    double angle = -std::atan2(p.y - q.y, p.x - q.x) * 180 / M_PI;
    if (angle > 90) angle -= 180;
    if (angle < -90) angle += 180;
    const double wide = text_width(text, size) / 2 + 2 * frame.px, a = angle * M_PI / 180;
    const Point ground[] = {{p.x - wide * std::cos(a), p.y + wide * std::sin(a)}, {p.x + wide * std::cos(a), p.y - wide * std::sin(a)}};
    canvas.polyline(ground, {frame.theme->background, size * 1.1});
    draw_label(canvas, p, {text}, {line.color, size, Anchor::middle, angle}, VAlign::middle);
  }
}

}  // namespace miniten::viz
