#include <cmath>
#include "viz/geometry.h"
#include "viz/marks/marks.h"
#include "viz/text.h"

namespace miniten::viz {

void RuleMark::extend(Range& x, Range& y) const { (horizontal ? y : x).add(at); }

void RuleMark::draw(Canvas& canvas, const Frame& frame) const {
  const Rect& a = frame.area;
  const double place = horizontal ? frame.y_at(at) : frame.x_at(at);
  const Point ends[] = {horizontal ? Point{a.x, place} : Point{place, a.y}, horizontal ? Point{a.right(), place} : Point{place, a.bottom()}};
  for (const Polyline& part : clip_polyline(ends, a.grown(1))) canvas.polyline(part, pen.stroke(frame.px));
}

void RuleMark::draw_key(Canvas& canvas, const Rect& box, const Frame& frame) const {
  const Point ends[] = {{box.x, box.y + box.height / 2}, {box.right(), box.y + box.height / 2}};
  canvas.polyline(ends, pen.stroke(frame.px));
}

void RuleMark::avoid(const Frame& frame, Obstacles& obstacles) const {
  const Rect& a = frame.area;
  const double place = horizontal ? frame.y_at(at) : frame.x_at(at);
  if (std::isnan(place)) return;
  if (horizontal) obstacles.segments.emplace_back(Point{a.x, place}, Point{a.right(), place});
  else obstacles.segments.emplace_back(Point{place, a.y}, Point{place, a.bottom()});
}

Point TextMark::place(const Frame& frame) const {
  return options.fraction ? Point{frame.area.x + x * frame.area.width, frame.area.bottom() - y * frame.area.height} : frame.at(x, y);
}

void TextMark::draw(Canvas& canvas, const Frame& frame) const {
  const Point p = place(frame);
  const Rect view = frame.area.grown(1);
  if (!finite(p)) return;
  if (!options.fraction) if (p.x < view.x || p.x > view.right() || p.y < view.y || p.y > view.bottom()) return;
  const Anchor anchor = options.ha == "left" ? Anchor::start : options.ha == "center" ? Anchor::middle : Anchor::end;
  const VAlign align = options.va == "top" ? VAlign::top : options.va == "center" ? VAlign::middle : options.va == "bottom" ? VAlign::bottom : VAlign::baseline;
  if (box) {
    const double size = options.size * frame.px, width = text_width(text, size, options.bold), pad = 4 * frame.px, lines = double(split_lines(text).size() - 1) * line_height(size);
    const double left = anchor == Anchor::start ? p.x : anchor == Anchor::middle ? p.x - width / 2 : p.x - width, high = cap_height(size) + lines;
    const double top = align == VAlign::top ? p.y : align == VAlign::middle ? p.y - high / 2 : p.y - high;
    canvas.rect(Rect{left, top, width, high}.grown(pad), {*box, {frame.theme->spine, std::max(1.0, 0.8 * frame.px)}}, 3 * frame.px);
  }
  draw_text(canvas, p, split_lines(text), {color, options.size * frame.px, anchor, options.rotation, options.bold}, align);
}

void TextMark::avoid(const Frame& frame, Obstacles& obstacles) const {
  const Point p = place(frame);
  if (!finite(p)) return;
  const double size = options.size * frame.px, width = text_width(text, size);
  const double left = options.ha == "left" ? p.x : options.ha == "center" ? p.x - width / 2 : p.x - width;
  obstacles.boxes.push_back({left, p.y - size, width, 1.5 * size});
}

}  // namespace miniten::viz
