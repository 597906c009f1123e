#include <algorithm>
#include <cmath>
#include <map>
#include "viz/geometry.h"
#include "viz/marks/marks.h"
#include "viz/number.h"
#include "viz/text.h"

namespace miniten::viz {

using Points = std::vector<std::pair<double, double>>;

std::vector<Points> contour_lines(std::span<const double> z, std::span<const double> x, std::span<const double> y, double level) {
  const size_t cols = x.size(), rows = y.size();
  // A line crosses edges of squares; an edge is its lower left corner and a direction (0: along x, 1: along y).
  using Edge = size_t;
  auto crossing = [&](Edge e) {
    const size_t i = e / 2, r = i / cols, c = i % cols, other = e % 2 ? i + cols : i + 1;
    const double t = (level - z[i]) / (z[other] - z[i]);
    return e % 2 ? std::pair{x[c], y[r] + (y[r + 1] - y[r]) * t} : std::pair{x[c] + (x[c + 1] - x[c]) * t, y[r]};
  };
  std::map<Edge, std::vector<Edge>> next;
  for (size_t r = 0; r + 1 < rows; ++r) {
    for (size_t c = 0; c + 1 < cols; ++c) {
      const size_t i = r * cols + c;
      const double a = z[i], b = z[i + 1], d = z[i + cols], e = z[i + cols + 1];
      if (!std::isfinite(a + b + d + e)) continue;
      const Edge low = 2 * i, left = 2 * i + 1, high = 2 * (i + cols), right = 2 * (i + 1) + 1;
      auto join = [&](Edge p, Edge q) { next[p].push_back(q), next[q].push_back(p); };
      const int kind = (a >= level) | (b >= level) << 1 | (e >= level) << 2 | (d >= level) << 3;
      switch (kind) {
        case 1: case 14: join(low, left); break;
        case 2: case 13: join(low, right); break;
        case 3: case 12: join(left, right); break;
        case 4: case 11: join(right, high); break;
        case 6: case 9: join(low, high); break;
        case 7: case 8: join(left, high); break;
        case 5: case 10: {  // a saddle: its middle decides
          const bool middle_up = (a + b + d + e) / 4 >= level;
          if ((kind == 5) == middle_up) join(low, right), join(left, high);
          else join(low, left), join(right, high);
          break;
        }
        default: break;
      }
    }
  }
  std::vector<Points> lines;
  auto follow = [&](Edge start) {
    Points line{crossing(start)};
    Edge at = start;
    while (!next[at].empty()) {
      const Edge to = next[at].back();
      next[at].pop_back();
      auto& back = next[to];
      back.erase(std::find(back.begin(), back.end(), at));
      line.push_back(crossing(to));
      at = to;
    }
    lines.push_back(std::move(line));
  };
  std::vector<Edge> ends, all;
  for (const auto& [edge, others] : next) (others.size() == 1 ? ends : all).push_back(edge);
  for (Edge e : ends) if (!next[e].empty()) follow(e);
  for (Edge e : all) if (!next[e].empty()) follow(e);
  return lines;
}

void ContourMark::extend(Range& rx, Range& ry) const {
  for (double v : x) rx.add(v);
  for (double v : y) ry.add(v);
  rx.sticky = {rx.lo, rx.hi}, ry.sticky = {ry.lo, ry.hi};
}

void ContourMark::draw(Canvas& canvas, const Frame& frame) const {
  const Rect view = frame.area.grown(20 * frame.px);
  const double size = 8 * frame.px;
  for (const Line& line : lines) {
    Polyline longest;
    double most = 0;
    for (const Points& part : line.parts) {
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
