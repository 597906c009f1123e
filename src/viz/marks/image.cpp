#include <algorithm>
#include <cmath>
#include "viz/marks/marks.h"
#include "viz/text.h"

namespace miniten::viz {
namespace {

Rect place(const Frame& frame, double left, double right, double top, double bottom) {
  const Point a = frame.at(left, top), b = frame.at(right, bottom);
  return {std::min(a.x, b.x), std::min(a.y, b.y), std::abs(b.x - a.x), std::abs(b.y - a.y)};
}

}  // namespace

void ImageMark::extend(Range& x, Range& y) const {
  if (bitmap.width == 0 || bitmap.height == 0) return;
  for (double edge : {-0.5, bitmap.width - 0.5}) x.add(edge), x.sticky.push_back(edge);
  for (double edge : {-0.5, bitmap.height - 0.5}) y.add(edge), y.sticky.push_back(edge);
  x.integral = y.integral = true;
}

void ImageMark::draw(Canvas& canvas, const Frame& frame) const {
  if (bitmap.width == 0 || bitmap.height == 0) return;
  Bitmap shown = bitmap;
  for (size_t i = 0; i < missing.size(); ++i) {
    const Color& bad = frame.theme->bad;
    if (missing[i]) shown.rgba[i * 4] = bad.r, shown.rgba[i * 4 + 1] = bad.g, shown.rgba[i * 4 + 2] = bad.b;
  }
  const size_t row = size_t(shown.width) * 4;
  if (frame.y_at(0) > frame.y_at(1)) {  // row 0 is below
    for (size_t top = 0, end = size_t(shown.height) - 1; top < end; ++top, --end) {
      std::swap_ranges(&shown.rgba[top * row], &shown.rgba[top * row] + row, &shown.rgba[end * row]);
    }
  }
  if (frame.x_at(0) > frame.x_at(1)) {
    for (size_t y = 0; y < size_t(shown.height); ++y) {
      for (size_t a = 0, b = size_t(shown.width) - 1; a < b; ++a, --b) {
        std::swap_ranges(&shown.rgba[y * row + a * 4], &shown.rgba[y * row + a * 4] + 4, &shown.rgba[y * row + b * 4]);
      }
    }
  }
  canvas.image(place(frame, -0.5, shown.width - 0.5, -0.5, shown.height - 0.5), shown);
}

void HeatmapMark::draw(Canvas& canvas, const Frame& frame) const {
  ImageMark::draw(canvas, frame);
  if (bitmap.width == 0 || bitmap.height == 0) return;
  if (gap > 0) {
    const Stroke line{frame.theme->background, gap * frame.px};
    for (int c = 1; c < bitmap.width; ++c) {
      const Point ends[] = {frame.at(c - 0.5, -0.5), frame.at(c - 0.5, bitmap.height - 0.5)};
      canvas.polyline(ends, line);
    }
    for (int r = 1; r < bitmap.height; ++r) {
      const Point ends[] = {frame.at(-0.5, r - 0.5), frame.at(bitmap.width - 0.5, r - 0.5)};
      canvas.polyline(ends, line);
    }
  }
  if (texts.empty()) return;
  const Rect cell = place(frame, -0.5, 0.5, -0.5, 0.5);
  double widest = 1e-9;
  for (const std::string& text : texts) widest = std::max(widest, text_width(text, 1));
  const double size = std::min({10 * frame.px, cell.height * 0.6, cell.width * 0.88 / widest});
  for (size_t i = 0; i < texts.size(); ++i) {
    if (texts[i].empty()) continue;
    const double c = double(i % size_t(bitmap.width)), r = double(i / size_t(bitmap.width));
    const uint8_t* p = &bitmap.rgba[i * 4];
    const Color ground = !missing.empty() && missing[i] ? frame.theme->bad : Color{p[0], p[1], p[2]};
    draw_label(canvas, frame.at(c, r), {texts[i]}, {readable_on(ground), size, Anchor::middle}, VAlign::middle);
  }
}

HoverPoints ImageMark::hover(const Frame& frame) const {
  HoverPoints out{frame.theme->muted, {}, true};
  for (size_t i = 0; i < values.size(); ++i) {
    const double c = double(i % size_t(bitmap.width)), r = double(i / size_t(bitmap.width));
    out.points.push_back({frame.at(c, r), c, r, format_value(values[i], "g")});
  }
  return out;
}

}  // namespace miniten::viz
