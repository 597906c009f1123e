#include "viz/geometry.h"
#include <algorithm>
#include <cmath>

namespace miniten::viz {
namespace {

// Liang-Barsky: the part [t0, t1] of a + t (b - a) inside the rectangle.
bool clip_segment(Point a, Point b, const Rect& r, double& t0, double& t1) {
  t0 = 0, t1 = 1;
  const double d[4] = {a.x - b.x, b.x - a.x, a.y - b.y, b.y - a.y};
  const double q[4] = {a.x - r.x, r.right() - a.x, a.y - r.y, r.bottom() - a.y};
  for (int i = 0; i < 4; ++i) {
    if (d[i] == 0) {
      if (q[i] < 0) return false;
      continue;
    }
    const double t = q[i] / d[i];
    if (d[i] < 0) t0 = std::max(t0, t);
    else t1 = std::min(t1, t);
  }
  return t0 <= t1;
}

Point between(Point a, Point b, double t) { return {a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t}; }

}  // namespace

bool finite(Point p) { return std::isfinite(p.x) && std::isfinite(p.y); }

std::vector<Polyline> clip_polyline(std::span<const Point> points, const Rect& rect) {
  std::vector<Polyline> parts;
  bool open = false;
  for (size_t i = 1; i < points.size(); ++i) {
    const Point a = points[i - 1], b = points[i];
    double t0, t1;
    if (!finite(a) || !finite(b) || !clip_segment(a, b, rect, t0, t1)) {
      open = false;
      continue;
    }
    if (!open || t0 > 0) parts.push_back({t0 > 0 ? between(a, b, t0) : a});
    parts.back().push_back(t1 < 1 ? between(a, b, t1) : b);
    open = t1 == 1;
  }
  return parts;
}

Polyline clip_polygon(std::span<const Point> points, const Rect& rect) {
  Polyline shape(points.begin(), points.end());
  for (int side = 0; side < 4; ++side) {
    auto inside = [&](Point p) {
      return side == 0 ? p.x - rect.x : side == 1 ? rect.right() - p.x : side == 2 ? p.y - rect.y : rect.bottom() - p.y;
    };
    Polyline kept;
    for (size_t i = 0; i < shape.size(); ++i) {
      const Point a = shape[i], b = shape[(i + 1) % shape.size()];
      const double da = inside(a), db = inside(b);
      if (da >= 0) kept.push_back(a);
      if ((da >= 0) != (db >= 0)) kept.push_back(between(a, b, da / (da - db)));
    }
    shape = std::move(kept);
  }
  return shape;
}

Polyline thin_out(const Polyline& line, double column) {
  Polyline thin;
  for (size_t i = 0; i < line.size();) {
    const double here = std::floor(line[i].x / column);
    size_t end = i, low = i, high = i;
    for (; end < line.size() && std::floor(line[end].x / column) == here; ++end) {
      if (line[end].y < line[low].y) low = end;
      if (line[end].y > line[high].y) high = end;
    }
    size_t keep[4] = {i, std::min(low, high), std::max(low, high), end - 1};
    for (size_t k = 0; k < 4; ++k) if (k == 0 || keep[k] != keep[k - 1]) thin.push_back(line[keep[k]]);
    i = end;
  }
  return thin;
}

bool segment_meets(Point a, Point b, const Rect& rect) {
  double t0, t1;
  return clip_segment(a, b, rect, t0, t1);
}

}  // namespace miniten::viz
