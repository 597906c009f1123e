#include <algorithm>
#include <cmath>
#include "viz/marks/marks.h"
#include "viz/text.h"

namespace miniten::viz {
namespace {

constexpr double text_size = 8.5;  // points

}  // namespace

void BarMark::extend(Range& x, Range& y) const {
  Range &across = horizontal ? y : x, &along = horizontal ? x : y;
  for (size_t i = 0; i < left.size(); ++i) {
    if (!std::isfinite(left[i]) || !std::isfinite(top[i]) || !std::isfinite(foot[i])) continue;
    across.add(left[i]), across.add(right[i]);
    along.add(foot[i]), along.add(top[i]);
    along.sticky.push_back(foot[i]);
  }
  if (!texts.empty() && !texts_inside) along.margin = std::max(along.margin, horizontal ? 0.12 : 0.08);
}

// False where the bar has no place in the frame. A foot that a log axis does not have stands on the axis' low end.
bool BarMark::box(const Frame& frame, size_t i, Rect& box) const {
  const Scale& along = horizontal ? frame.x : frame.y;
  const double f = along.foot(foot[i]);
  auto at = [&](double a, double b) { return horizontal ? frame.at(b, a) : frame.at(a, b); };
  Point p = at(left[i], f), q = at(right[i], top[i]);
  if (!std::isfinite(p.x + p.y + q.x + q.y)) return false;
  const Rect view = frame.area.grown(4 * frame.px);
  auto cut = [](double v, double lo, double hi) { return std::clamp(v, lo, hi); };
  p = {cut(p.x, view.x, view.right()), cut(p.y, view.y, view.bottom())};
  q = {cut(q.x, view.x, view.right()), cut(q.y, view.y, view.bottom())};
  box = {std::min(p.x, q.x), std::min(p.y, q.y), std::abs(p.x - q.x), std::abs(p.y - q.y)};
  return true;
}

void BarMark::draw(Canvas& canvas, const Frame& frame) const {
  const double size = text_size * frame.px;
  double narrowest = 1e9, widest_text = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    Rect r;
    if (box(frame, i, r)) narrowest = std::min(narrowest, horizontal ? r.height : r.width);
    widest_text = std::max(widest_text, text_width(texts[i], size));
  }
  const bool upright = !horizontal && widest_text > narrowest * 1.3;  // too wide for its bar: turned
  for (size_t i = 0; i < left.size(); ++i) {
    Rect r;
    if (!box(frame, i, r)) continue;
    const Color& fill = fills.size() > 1 ? fills[i] : fills[0];
    canvas.rect(r, {fill, {edge, edge.a > 0 ? edge_width * frame.px : 0}});
    if (texts.empty() || texts[i].empty()) continue;
    TextStyle style{frame.theme->text, size};
    if (texts_inside) {
      const double room = horizontal ? r.width : r.height, wanted = horizontal ? text_width(texts[i], size) : size;
      if (room < wanted * 1.1 || (!horizontal && text_width(texts[i], size) > r.width)) continue;
      style.color = readable_on(fill), style.anchor = Anchor::middle;
      draw_label(canvas, {r.x + r.width / 2, r.y + r.height / 2}, {texts[i]}, style, VAlign::middle);
      continue;
    }
    const bool negative = top[i] < foot[i];
    const double gap = 3 * frame.px;
    if (const double end = reach.empty() ? NAN : horizontal ? frame.x_at(reach[i]) : frame.y_at(reach[i]); std::isfinite(end)) {
      if (horizontal) r.width = std::max(r.width, end - r.x);
      else if (end < r.y) r.height += r.y - end, r.y = end;
    }
    if (horizontal) {
      style.anchor = negative ? Anchor::end : Anchor::start;
      draw_label(canvas, {negative ? r.x - gap : r.right() + gap, r.y + r.height / 2}, {texts[i]}, style, VAlign::middle);
    } else if (upright) {
      style.rotation = 90, style.anchor = negative ? Anchor::end : Anchor::start;
      draw_label(canvas, {r.x + r.width / 2, negative ? r.bottom() + gap : r.y - gap}, {texts[i]}, style, VAlign::middle);
    } else {
      style.anchor = Anchor::middle;
      draw_label(canvas, {r.x + r.width / 2, negative ? r.bottom() + gap : r.y - gap}, {texts[i]}, style, negative ? VAlign::top : VAlign::baseline);
    }
  }
}

void BarMark::draw_key(Canvas& canvas, const Rect& box, const Frame& frame) const {
  canvas.rect(box, {fills[0], {edge, edge.a > 0 ? frame.px : 0}});
}

void BarMark::avoid(const Frame& frame, Obstacles& obstacles) const {
  for (size_t i = 0; i < left.size(); ++i) {
    Rect r;
    if (!box(frame, i, r)) continue;
    if (!texts.empty()) r.y -= 14 * frame.px, r.height += 14 * frame.px;
    obstacles.boxes.push_back(r);
  }
}

HoverPoints BarMark::hover(const Frame& frame) const {
  HoverPoints out{fills[0]};
  for (size_t i = 0; i < left.size(); ++i) {
    const double across = (left[i] + right[i]) / 2, value = top[i] - foot[i];
    out.points.push_back(horizontal ? HoverPoint{frame.at(top[i], across), value, across} : HoverPoint{frame.at(across, top[i]), across, value});
  }
  return out;
}

}  // namespace miniten::viz
