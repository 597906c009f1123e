#include <algorithm>
#include <cmath>
#include "viz/geometry.h"
#include "viz/marks/marks.h"

namespace miniten::viz {

void ErrorMark::extend(Range& rx, Range& ry) const {
  for (size_t i = 0; i < x.size(); ++i) {
    if (!std::isfinite(x[i]) || !std::isfinite(y[i])) continue;
    auto add = [i](Range& range, double v, const Errors& error) {
      range.add(v);
      if (!error.low.empty()) range.add(v - error.low[i]), range.add(v + error.high[i]);
    };
    add(rx, x[i], x_error), add(ry, y[i], y_error);
  }
}

void ErrorMark::draw(Canvas& canvas, const Frame& frame) const {
  const Stroke stroke = pen.stroke(frame.px);
  const Rect view = frame.area.grown(20 * frame.px);
  auto line = [&](Point a, Point b) {
    const Point ends[] = {a, b};
    for (const Polyline& part : clip_polyline(ends, view)) canvas.polyline(part, stroke);
  };
  // On a log axis a whisker that would pass 0 ends at the axis.
  auto within = [](const Scale& scale, double v) { return scale.kind == ScaleKind::log && v <= 0 ? std::min(scale.lo, scale.hi) * 1e-3 : v; };
  const double reach = cap * frame.px;
  for (size_t i = 0; i < x.size(); ++i) {
    if (!finite(frame.at(x[i], y[i]))) continue;
    if (!y_error.low.empty()) {
      const Point a = frame.at(x[i], within(frame.y, y[i] - y_error.low[i])), b = frame.at(x[i], y[i] + y_error.high[i]);
      line(a, b);
      for (Point p : {a, b}) if (cap > 0) line({p.x - reach, p.y}, {p.x + reach, p.y});
    }
    if (!x_error.low.empty()) {
      const Point a = frame.at(within(frame.x, x[i] - x_error.low[i]), y[i]), b = frame.at(x[i] + x_error.high[i], y[i]);
      line(a, b);
      for (Point p : {a, b}) if (cap > 0) line({p.x, p.y - reach}, {p.x, p.y + reach});
    }
  }
}

void ErrorMark::avoid(const Frame& frame, Obstacles& obstacles) const {
  for (size_t i = 0; i < x.size() && !y_error.low.empty(); ++i) {
    const Point a = frame.at(x[i], y[i] - y_error.low[i]), b = frame.at(x[i], y[i] + y_error.high[i]);
    if (finite(a) && finite(b)) obstacles.segments.emplace_back(a, b);
  }
}

void SpanMark::extend(Range& x, Range& y) const {
  Range& range = horizontal ? y : x;
  range.add(low), range.add(high);
}

void SpanMark::draw(Canvas& canvas, const Frame& frame) const {
  const Rect& a = frame.area;
  const double from = horizontal ? frame.y_at(low) : frame.x_at(low), to = horizontal ? frame.y_at(high) : frame.x_at(high);
  if (std::isnan(from) || std::isnan(to)) return;
  const double begin = std::clamp(std::min(from, to), (horizontal ? a.y : a.x) - 1, (horizontal ? a.bottom() : a.right()) + 1);
  const double end = std::clamp(std::max(from, to), (horizontal ? a.y : a.x) - 1, (horizontal ? a.bottom() : a.right()) + 1);
  canvas.rect(horizontal ? Rect{a.x, begin, a.width, end - begin} : Rect{begin, a.y, end - begin, a.height}, {color});
}

void SpanMark::draw_key(Canvas& canvas, const Rect& box, const Frame&) const { canvas.rect(box, {color}); }

}  // namespace miniten::viz
