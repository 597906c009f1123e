#include <cmath>
#include "viz/geometry.h"
#include "viz/marks/marks.h"
#include "viz/number.h"
#include "viz/text.h"

namespace miniten::viz {
namespace {

Point on_circle(Point c, double r, double degrees) {
  const double a = degrees * M_PI / 180;
  return {c.x + r * std::cos(a), c.y - r * std::sin(a)};
}

void arc(Path& path, Point c, double r, double from, double to) {  // goes on from its beginning
  const int n = std::max(1, int(std::ceil(std::abs(to - from) / 45)));
  const double step = (to - from) / n * M_PI / 180, k = 4.0 / 3 * std::tan(step / 4) * r;
  for (int i = 0; i < n; ++i) {
    const double a = from * M_PI / 180 + step * i, b = a + step;
    const Point p{c.x + r * std::cos(a), c.y - r * std::sin(a)}, q{c.x + r * std::cos(b), c.y - r * std::sin(b)};
    path.cubic({p.x - k * std::sin(a), p.y - k * std::cos(a)}, {q.x + k * std::sin(b), q.y + k * std::cos(b)}, q);
  }
}

}  // namespace

void PieMark::extend(Range& x, Range& y) const {
  const bool named = !labels.empty();
  double out = 0;
  for (double v : explode) out = std::max(out, v);
  for (double v : {-1.0, 1.0}) x.add(v * (out + (named ? 1.45 : 1.05))), x.sticky.push_back(v * (out + (named ? 1.45 : 1.05)));
  for (double v : {-1.0, 1.0}) y.add(v * (out + 1.15)), y.sticky.push_back(v * (out + 1.15));
}

void PieMark::draw(Canvas& canvas, const Frame& frame) const {
  const Point middle_of_all = frame.at(0, 0);
  const double r = std::min(std::abs(frame.x_at(1) - middle_of_all.x), std::abs(frame.y_at(1) - middle_of_all.y)), size = 9.5 * frame.px;
  double from = start;
  for (size_t i = 0; i < shares.size(); ++i) {
    const double to = from + (clockwise ? -360 : 360) * shares[i], middle = (from + to) / 2;
    const Point centre = on_circle(middle_of_all, explode.empty() ? 0 : explode[i] * r, middle);
    Path path;
    if (shares[i] > 0) {
      if (hole > 0 || shares[i] >= 1) {
        path.move(on_circle(centre, r, from)), arc(path, centre, r, from, to);
        if (hole > 0) path.line(on_circle(centre, r * hole, to)), arc(path, centre, r * hole, to, from);
      } else {
        path.move(centre), path.line(on_circle(centre, r, from)), arc(path, centre, r, from, to);
      }
      path.close();
      canvas.path(path, {fills[i], {frame.theme->background, shares.size() > 1 ? 1.2 * frame.px : 0}});
    }
    if (!texts.empty() && shares[i] > 0.035) {
      const double at = hole > 0 ? (1 + hole) / 2 : 0.62;
      draw_label(canvas, on_circle(centre, r * at, middle), {texts[i]}, {readable_on(fills[i]), size, Anchor::middle}, VAlign::middle);
    }
    if (!labels.empty() && shares[i] > 0) {
      const Point p = on_circle(centre, r * 1.08, middle);
      const double side = std::cos(middle * M_PI / 180);
      const Anchor anchor = std::abs(side) < 0.15 ? Anchor::middle : side > 0 ? Anchor::start : Anchor::end;
      draw_label(canvas, p, {elide(labels[i], size, std::max(frame.area.width * 0.35, 5 * size))}, {frame.theme->text, size, anchor}, VAlign::middle);
    }
    from = to;
  }
}

HoverPoints PieMark::hover(const Frame& frame) const {
  HoverPoints out{frame.theme->muted};
  double from = start;
  for (size_t i = 0; i < shares.size(); ++i) {
    const double to = from + (clockwise ? -360 : 360) * shares[i], a = (from + to) / 2 * M_PI / 180, at = std::max(0.62, (1 + hole) / 2);
    out.points.push_back({frame.at(at * std::cos(a), at * std::sin(a)), NAN, NAN, (labels.empty() ? "" : labels[i] + ": ") + format_value(shares[i], ".1%")});
    from = to;
  }
  return out;
}

}  // namespace miniten::viz
