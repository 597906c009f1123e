#include <algorithm>
#include <cmath>
#include "viz/geometry.h"
#include "viz/marks/marks.h"
#include "viz/number.h"
#include "viz/text.h"

namespace miniten::viz {
namespace {

double step(Point a, Point b) { return std::hypot(b.x - a.x, b.y - a.y); }

double length(const Polyline& line) {
  double sum = 0;
  for (size_t i = 1; i < line.size(); ++i) sum += step(line[i - 1], line[i]);
  return sum;
}

// What lies between two distances from the line's begin.
Polyline stretch(const Polyline& line, double from, double to) {
  Polyline part;
  double at = 0;
  for (size_t i = 1; i < line.size(); ++i) {
    const Point a = line[i - 1], b = line[i];
    const double d = step(a, b), next = at + d;
    auto between = [&](double s) { const double t = d > 0 ? (s - at) / d : 0; return Point{a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t}; };
    if (next >= from && at <= to) {
      if (part.empty()) part.push_back(between(std::max(from, at)));
      part.push_back(between(std::min(to, next)));
    }
    at = next;
  }
  return part;
}

}  // namespace

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
    std::vector<Polyline> parts;
    std::vector<double> lengths;
    for (const GridPoints& part : line.parts) {
      Polyline points;
      for (const auto& [px, py] : part) points.push_back(frame.at(px, py));
      lengths.push_back(length(points));
      parts.push_back(std::move(points));
    }
    const Stroke stroke{line.color, width * frame.px};
    auto draw_parts = [&] {
      for (const Polyline& part : parts) for (const Polyline& piece : clip_polyline(part, view)) canvas.polyline(piece, stroke);
    };
    const std::string text = format_value(line.level, "g");
    const auto longest = std::max_element(lengths.begin(), lengths.end());
    const double half = text_width(text, size) / 2 + 2.5 * frame.px;
    if (!texts || longest == lengths.end() || !(*longest > 8 * half) || !std::isfinite(*longest)) {
      draw_parts();
      continue;
    }
    // The line leaves room for its value.
    const Polyline whole = parts[size_t(longest - lengths.begin())];
    parts[size_t(longest - lengths.begin())] = stretch(whole, 0, *longest / 2 - half);
    parts.push_back(stretch(whole, *longest / 2 + half, *longest));
    draw_parts();
    const Polyline under = stretch(whole, *longest / 2 - half, *longest / 2 + half);
    const Point p = under.front(), q = under.back();
    double angle = -std::atan2(q.y - p.y, q.x - p.x) * 180 / M_PI;
    if (angle > 90) angle -= 180;
    if (angle < -90) angle += 180;
    draw_label(canvas, {(p.x + q.x) / 2, (p.y + q.y) / 2}, {text}, {line.color, size, Anchor::middle, angle}, VAlign::middle);
  }
}

}  // namespace miniten::viz
