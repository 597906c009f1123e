#include <cmath>
#include <numbers>
#include <string_view>
#include "viz/marks/marks.h"

namespace miniten::viz {
namespace {

struct Shape { char name; bool open; std::vector<Point> points; };

std::vector<Point> regular(int corners, double start, double inner = 1) {
  std::vector<Point> points;
  const int n = inner == 1 ? corners : 2 * corners;
  for (int i = 0; i < n; ++i) {
    const double angle = start + 2 * std::numbers::pi * i / n, r = i % 2 && inner != 1 ? inner : 1;
    points.push_back({r * std::cos(angle), r * std::sin(angle)});
  }
  return points;
}

// Of radius 1, y down. Open shapes are pairs of points to be joined.
const std::vector<Shape>& shapes() {
  constexpr double up = -std::numbers::pi / 2, s = 0.886, d = 0.75;
  static const std::vector<Shape> all = {
      {'s', false, {{-s, -s}, {s, -s}, {s, s}, {-s, s}}},
      {'^', false, {{0, -1}, {1, 0.85}, {-1, 0.85}}},
      {'v', false, {{0, 1}, {1, -0.85}, {-1, -0.85}}},
      {'<', false, {{-1, 0}, {0.85, -1}, {0.85, 1}}},
      {'>', false, {{1, 0}, {-0.85, -1}, {-0.85, 1}}},
      {'D', false, {{0, -1.2}, {1.2, 0}, {0, 1.2}, {-1.2, 0}}},
      {'d', false, {{0, -1.2}, {0.72, 0}, {0, 1.2}, {-0.72, 0}}},
      {'*', false, regular(5, up, 0.42)},
      {'p', false, regular(5, up)},
      {'h', false, regular(6, up)},
      {'+', true, {{-1, 0}, {1, 0}, {0, -1}, {0, 1}}},
      {'x', true, {{-d, -d}, {d, d}, {-d, d}, {d, -d}}},
      {'|', true, {{0, -1}, {0, 1}}},
      {'_', true, {{-1, 0}, {1, 0}}}};
  return all;
}

}  // namespace

bool known_marker(char marker) {
  if (marker == 'o' || marker == '.') return true;
  for (const Shape& shape : shapes()) if (shape.name == marker) return true;
  return false;
}

void draw_markers(Canvas& canvas, char marker, std::span<const Point> points, double size, const Color& edge, double edge_width,
                  std::span<const Color> fills) {
  if (points.empty() || fills.empty()) return;
  const double r = size / 2;
  const bool each = fills.size() > 1;
  if (marker == 'o' || marker == '.') {
    canvas.circles(points, marker == '.' ? r / 2 : r, {fills[0], {edge, edge.a > 0 ? edge_width : 0}}, each ? fills : std::span<const Color>());
    return;
  }
  for (const Shape& shape : shapes()) {
    if (shape.name != marker) continue;
    Path path;
    for (size_t i = 0; i < points.size(); ++i) {
      for (size_t k = 0; k < shape.points.size(); ++k) {
        const Point p{points[i].x + r * shape.points[k].x, points[i].y + r * shape.points[k].y};
        if (k == 0 || (shape.open && k % 2 == 0)) path.move(p);
        else path.line(p);
      }
      if (!shape.open) path.close();
      // Translucent ones are drawn one by one, so that overlaps show.
      if (!each && fills[0].a == 1 && edge.a == 0 && i + 1 < points.size()) continue;
      const Color& fill = each ? fills[i] : fills[0];
      if (shape.open) canvas.path(path, {{0, 0, 0, 0}, {fill, std::max(edge_width * 1.4, 1.0)}});
      else canvas.path(path, {fill, {edge, edge.a > 0 ? edge_width : 0}});
      path = {};
    }
  }
}

}  // namespace miniten::viz
