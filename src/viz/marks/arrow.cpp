#include <cmath>
#include "viz/geometry.h"
#include "viz/marks/marks.h"
#include "viz/text.h"

namespace miniten::viz {

void ArrowMark::extend(Range& rx, Range& ry) const { rx.add(to_x), ry.add(to_y); }

void ArrowMark::draw(Canvas& canvas, const Frame& frame) const {
  const Point tip = frame.at(to_x, to_y), base = frame.at(x, y);
  if (arrow && finite(tip) && finite(base) && std::abs(tip.x) < 1e6 && std::abs(tip.y) < 1e6) {
    // From the side of the text's box that looks at the point.
    const double size = options.size * frame.px, width = text_width(text, size, options.bold), gap = 3 * frame.px;
    const double lines = double(split_lines(text).size() - 1) * line_height(size);
    const double left = options.ha == "left" ? base.x : options.ha == "center" ? base.x - width / 2 : base.x - width;
    const double top = options.va == "top" ? base.y : options.va == "center" ? base.y - (cap_height(size) + lines) / 2 : base.y - cap_height(size) - lines;
    const Rect box = Rect{left, top, width, cap_height(size) + lines}.grown(gap);
    const Point middle{box.x + box.width / 2, box.y + box.height / 2};
    const double dx = tip.x - middle.x, dy = tip.y - middle.y;
    const double out = std::min(std::abs(dx) > 1e-9 ? box.width / 2 / std::abs(dx) : 1e9, std::abs(dy) > 1e-9 ? box.height / 2 / std::abs(dy) : 1e9);
    const double length = std::hypot(dx, dy) * (1 - out);
    if (out < 1 && length > 4 * frame.px) {
      const Point from{middle.x + dx * out, middle.y + dy * out};
      const double ux = dx / std::hypot(dx, dy), uy = dy / std::hypot(dx, dy), head = std::min(7 * frame.px, length), half = head * 0.4;
      const Point end{tip.x - ux * 1.5 * frame.px, tip.y - uy * 1.5 * frame.px}, neck{end.x - ux * head * 0.85, end.y - uy * head * 0.85};
      const Point shaft[] = {from, neck};
      canvas.polyline(shaft, {arrow_color, 1.1 * frame.px});
      Path path;
      path.move(end), path.line({end.x - ux * head - uy * half, end.y - uy * head + ux * half}), path.line(neck),
          path.line({end.x - ux * head + uy * half, end.y - uy * head - ux * half});
      path.close();
      canvas.path(path, {arrow_color});
    }
  }
  TextMark::draw(canvas, frame);
}

}  // namespace miniten::viz
