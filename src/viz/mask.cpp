#include "viz/mask.h"
#include <algorithm>
#include <cmath>

namespace miniten::viz {

Mask::Mask(int width, int height)
    : height_(height), stride_(size_t(width) + 2), first_(height), clip_{0, 0, width, height}, area_(stride_ * size_t(height), 0.0f), touched_(size_t(height)) {}

void Mask::edge(Point a, Point b) {
  if (a.y == b.y || !std::isfinite(a.x + a.y + b.x + b.y)) return;
  float sign = 1;
  if (a.y > b.y) std::swap(a, b), sign = -1;
  if (b.y <= clip_.top || a.y >= clip_.bottom) return;
  const double slope = (b.x - a.x) / (b.y - a.y);
  auto x_at = [&](double y) { return a.x + slope * (y - a.y); };
  const double top = std::max<double>(a.y, clip_.top), bottom = std::min<double>(b.y, clip_.bottom);
  double x0 = x_at(top), x1 = bottom == b.y ? b.x : x_at(bottom);
  // What lies left or right of the clip counts as lying on its edge.
  double cuts[4] = {top, bottom, bottom, bottom};
  int n = 1;
  for (double side : {double(clip_.left), double(clip_.right)}) {
    if ((x0 < side) == (x1 < side) || slope == 0) continue;
    cuts[n++] = std::clamp(a.y + (side - a.x) / slope, top, bottom);
  }
  if (n == 3 && cuts[1] > cuts[2]) std::swap(cuts[1], cuts[2]);
  cuts[n] = bottom;
  for (int i = 0; i < n; ++i) {
    const double from = cuts[i], to = cuts[i + 1], p = i == 0 ? x0 : x_at(from), q = i + 1 == n ? x1 : x_at(to), middle = (p + q) / 2;
    if (to <= from) continue;
    auto fit = [&](double x) { return std::clamp<double>(x, clip_.left, clip_.right); };
    const bool out = middle <= clip_.left || middle >= clip_.right;
    piece(fit(out ? middle : p), from, fit(out ? middle : q), to, sign);
  }
}

void Mask::piece(double x, double y, double to_x, double to_y, float sign) {
  const int begin = int(y), end = std::min(clip_.bottom, int(std::ceil(to_y)));
  first_ = std::min(first_, begin), last_ = std::max(last_, end);
  const double slope = (to_x - x) / (to_y - y);
  for (int row = begin; row < end; ++row) {
    const double high = std::max<double>(row, y), low = std::min<double>(row + 1, to_y), dy = low - high;
    double next = low == to_y ? to_x : x + slope * dy;
    next = slope > 0 ? std::min(next, to_x) : std::max(next, to_x);
    const float d = float(dy) * sign;
    const double x0 = std::min(x, next), x1 = std::max(x, next);
    const int left = int(x0), right = int(std::ceil(x1));
    float* a = &area_[size_t(row) * stride_];
    Touched& touched = touched_[size_t(row)];
    touched.low = std::min(touched.low, left), touched.high = std::max(touched.high, std::max(right, left + 1));
    if (right <= left + 1) {
      const float part = float((x0 + x1) / 2 - left);
      a[left] += d - d * part, a[left + 1] += d * part;
    } else {
      const float s = float(1 / (x1 - x0)), f0 = float(x0 - left), f1 = float(x1 - right + 1);
      const float first = 0.5f * s * (1 - f0) * (1 - f0), last = 0.5f * s * f1 * f1;
      a[left] += d * first;
      if (right == left + 2) {
        a[left + 1] += d * (1 - first - last);
      } else {
        const float second = s * (1.5f - f0);
        a[left + 1] += d * (second - first);
        for (int i = left + 2; i < right - 1; ++i) a[i] += d * s;
        a[right - 1] += d * (1 - second - float(right - left - 3) * s - last);
      }
      a[right] += d * last;
    }
    x = next;
  }
}

void Mask::polygon(std::span<const Point> corners) {
  for (size_t i = 0; i < corners.size(); ++i) edge(corners[i], corners[i + 1 == corners.size() ? 0 : i + 1]);
}

void Mask::fill(const Path& path) {
  for (const Subpath& part : flatten(path)) polygon(part.points);
}

std::vector<Subpath> flatten(const Path& path) {
  std::vector<Subpath> parts;
  size_t next = 0;
  for (Path::Verb verb : path.verbs) {
    if (verb == Path::Verb::close) {
      if (!parts.empty()) parts.back().closed = true;
      continue;
    }
    const Point p = path.points[next];
    if (verb == Path::Verb::move) {
      parts.emplace_back();
      parts.back().points.push_back(p), ++next;
    } else if (verb == Path::Verb::line) {
      parts.back().points.push_back(p), ++next;
    } else {
      const Point a = parts.back().points.back(), b = p, c = path.points[next + 1], d = path.points[next + 2];
      next += 3;
      // A cubic departs from its chord by at most 3/4 sqrt(max second difference) / n^2 or so.
      const double bend = std::max(std::hypot(a.x - 2 * b.x + c.x, a.y - 2 * b.y + c.y), std::hypot(b.x - 2 * c.x + d.x, b.y - 2 * c.y + d.y));
      const int n = std::clamp(int(std::ceil(std::sqrt(bend * 0.75 / 0.02))), 1, 200);
      for (int i = 1; i <= n; ++i) {
        const double t = double(i) / n, u = 1 - t;
        const double wa = u * u * u, wb = 3 * u * u * t, wc = 3 * u * t * t, wd = t * t * t;
        parts.back().points.push_back({wa * a.x + wb * b.x + wc * c.x + wd * d.x, wa * a.y + wb * b.y + wc * c.y + wd * d.y});
      }
    }
  }
  return parts;
}

}  // namespace miniten::viz
