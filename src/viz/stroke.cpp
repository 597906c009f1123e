#include <algorithm>
#include <cmath>
#include "viz/mask.h"

namespace miniten::viz {
namespace {

void oriented(Mask& mask, std::span<const Point> corners) {  // turned as the segments' boxes are
  double area = 0;
  for (size_t i = 0; i < corners.size(); ++i) {
    const Point a = corners[i], b = corners[(i + 1) % corners.size()];
    area += a.x * b.y - b.x * a.y;
  }
  if (area > 0) return mask.polygon(corners);
  std::vector<Point> turned(corners.rbegin(), corners.rend());
  mask.polygon(turned);
}

// What is missing on the outer side between two segments that meet at p; d, e: their directions.
void join_segments(Mask& mask, Point p, Point d, Point e, double half, Join join) {
  const double cross = d.x * e.y - d.y * e.x, dot = d.x * e.x + d.y * e.y;
  if (std::abs(cross) < 1e-9 && dot > 0) return;
  const double side = cross > 0 ? -half : half;  // the outer side
  const Point a{p.x - d.y * side, p.y + d.x * side}, b{p.x - e.y * side, p.y + e.x * side};
  if (join == Join::miter && dot > -0.875) {      // a limit of 4
    const double k = 1 / (1 + dot);
    const Point tip{p.x + (a.x - p.x + b.x - p.x) * k, p.y + (a.y - p.y + b.y - p.y) * k};
    const Point kite[] = {p, a, tip, b};
    return oriented(mask, kite);
  }
  const double from = std::atan2(a.y - p.y, a.x - p.x);
  double turn = std::atan2(b.y - p.y, b.x - p.x) - from;
  if (turn > M_PI) turn -= 2 * M_PI;
  if (turn < -M_PI) turn += 2 * M_PI;
  if (std::abs(std::abs(turn) - M_PI) < 1e-6) turn = cross > 0 ? M_PI : -M_PI;  // straight back
  const int n = join == Join::miter ? 1 : std::clamp(int(std::ceil(std::abs(turn) / std::acos(1 - std::min(0.9, 0.06 / std::max(half, 0.07))) / 2)), 1, 64);
  std::vector<Point> fan{p, a};
  for (int i = 1; i < n; ++i) fan.push_back({p.x + half * std::cos(from + turn * i / n), p.y + half * std::sin(from + turn * i / n)});
  fan.push_back(b);
  oriented(mask, fan);
}

}  // namespace

void stroke_outline(Mask& mask, std::span<const Point> points, bool closed, double width, Join join, bool square_cap) {
  std::vector<Point> line;
  for (Point p : points) if (line.empty() || std::hypot(p.x - line.back().x, p.y - line.back().y) > 1e-6) line.push_back(p);
  if (closed && line.size() > 2 && std::hypot(line.front().x - line.back().x, line.front().y - line.back().y) <= 1e-6) line.pop_back();
  const size_t n = line.size();
  if (n < 2) return;
  const double half = width / 2;
  const size_t segments = closed ? n : n - 1;
  auto direction = [&](size_t i) {
    const Point a = line[i % n], b = line[(i + 1) % n];
    const double length = std::hypot(b.x - a.x, b.y - a.y);
    return Point{(b.x - a.x) / length, (b.y - a.y) / length};
  };
  Point d = direction(0);
  for (size_t i = 0; i < segments; ++i) {
    Point a = line[i], b = line[(i + 1) % n];
    const Point e = i + 1 < segments ? direction(i + 1) : direction(0);
    if (square_cap && !closed) {
      if (i == 0) a = {a.x - d.x * half, a.y - d.y * half};
      if (i + 1 == segments) b = {b.x + d.x * half, b.y + d.y * half};
    }
    const double nx = -d.y * half, ny = d.x * half;
    const Point box[] = {{a.x - nx, a.y - ny}, {b.x - nx, b.y - ny}, {b.x + nx, b.y + ny}, {a.x + nx, a.y + ny}};
    mask.polygon(box);
    if (closed || i + 1 < segments) join_segments(mask, line[(i + 1) % n], d, e, half, join);
    d = e;
  }
}

std::vector<Subpath> cut_dashes(std::span<const Point> points, bool closed, std::span<const double> dashes) {
  std::vector<Subpath> parts;
  double total = 0;
  for (double d : dashes) total += d;
  if (!(total > 0.05)) return {{{points.begin(), points.end()}, closed}};
  size_t k = 0;
  double left = dashes[0];
  bool on = true;
  const size_t n = points.size(), segments = closed ? n : n - 1;
  if (n == 0) return parts;
  parts.push_back({{points[0]}, false});
  for (size_t i = 0; i < segments; ++i) {
    const Point a = points[i], b = points[(i + 1) % n];
    const double length = std::hypot(b.x - a.x, b.y - a.y);
    double at = 0;
    while (length - at > left) {
      at += left;
      const Point p{a.x + (b.x - a.x) * at / length, a.y + (b.y - a.y) * at / length};
      if (on) parts.back().points.push_back(p);
      else parts.push_back({{p}, false});
      on = !on;
      k = (k + 1) % dashes.size();
      left = dashes[k];
    }
    left -= length - at;
    if (on) parts.back().points.push_back(b);
  }
  return parts;
}

}  // namespace miniten::viz
