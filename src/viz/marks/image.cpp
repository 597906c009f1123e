#include <algorithm>
#include <cmath>
#include "viz/marks/marks.h"
#include "viz/text.h"

namespace miniten::viz {
namespace {

Rect between(Point a, Point b) { return {std::min(a.x, b.x), std::min(a.y, b.y), std::abs(b.x - a.x), std::abs(b.y - a.y)}; }

// Which source pixels one of the result's is mixed from.
struct Taps {
  int at[4], nearest;
  float share[4];
};
// `from`: where the result begins, in source pixels; bilinear: the two nearest; bicubic: four, by Catmull and Rom's curve.
std::vector<Taps> taps(int count, double from, double step, int size, bool cubic) {
  std::vector<Taps> all(size_t(std::max(count, 0)));
  for (int i = 0; i < count; ++i) {
    const double u = from + (i + 0.5) * step - 0.5, low = std::floor(u), t = u - low;
    Taps& tap = all[size_t(i)];
    for (int k = 0; k < 4; ++k) {
      tap.at[k] = std::clamp(int(low) + k - 1, 0, size - 1);
      const double d = std::abs(t - (k - 1));
      tap.share[k] = float(!cubic ? std::max(0.0, 1 - d) : d < 1 ? 1 + d * d * (1.5 * d - 2.5) : d < 2 ? 2 + d * (d * (2.5 - 0.5 * d) - 4) : 0);
    }
    tap.nearest = std::clamp(int(std::lround(u)), 0, size - 1);
  }
  return all;
}

}  // namespace

void ImageMark::extend(Range& x, Range& y) const {
  if (bitmap.width == 0 || bitmap.height == 0) return;
  const bool by_index = left == -0.5 && first == -0.5;
  const bool integral_x = x.integral, integral_y = y.integral;
  for (double edge : {left, right}) x.add(edge), x.sticky.push_back(edge);
  for (double edge : {first, last}) y.add(edge), y.sticky.push_back(edge);
  if (by_index) x.integral = integral_x, y.integral = integral_y;  // pixels are counted
}

Rect ImageMark::place(const Frame& frame) const { return between(frame.at(left, first), frame.at(right, last)); }

Bitmap ImageMark::smoothed(const Frame& frame, Rect& part) const {
  const Rect whole = place(frame), &a = frame.area;
  const double x0 = std::max(std::floor(whole.x), a.x), x1 = std::min(std::ceil(whole.right()), a.right());
  const double y0 = std::max(std::floor(whole.y), a.y), y1 = std::min(std::ceil(whole.bottom()), a.bottom());
  part = {x0, y0, std::max(0.0, x1 - x0), std::max(0.0, y1 - y0)};
  const int width = int(part.width), height = int(part.height);
  const bool turned_x = frame.x_at(left) > frame.x_at(right), turned_y = frame.y_at(first) > frame.y_at(last);
  auto along = [&](int count, double begin, const Rect& r, bool across, int size, bool turned) {
    const double step = size / (across ? r.width : r.height), from = (begin - (across ? r.x : r.y)) * step;
    return taps(count, turned ? size - from : from, turned ? -step : step, size, interpolation == "bicubic");
  };
  const std::vector<Taps> columns = along(width, part.x, whole, true, bitmap.width, turned_x), rows = along(height, part.y, whole, false, bitmap.height, turned_y);
  Bitmap out{width, height, {}};
  out.rgba.reserve(size_t(width) * size_t(height) * 4);
  const Color& bad = frame.theme->bad;
  for (const Taps& row : rows) {
    for (const Taps& column : columns) {
      const size_t here = size_t(row.nearest) * size_t(bitmap.width) + size_t(column.nearest);
      float sum[4] = {}, weight = 0;
      for (int v = 0; v < 4; ++v) {
        for (int u = 0; u < 4; ++u) {
          const float w = row.share[v] * column.share[u];
          const size_t i = size_t(row.at[v]) * size_t(bitmap.width) + size_t(column.at[u]);
          if (w == 0 || (colors && !std::isfinite(values[i]))) continue;
          weight += w;
          if (colors) {
            sum[0] += w * values[i];
          } else {
            const uint8_t* p = &bitmap.rgba[i * 4];
            for (int c = 0; c < 3; ++c) sum[c] += w * float(p[c]) * float(p[3]);
            sum[3] += w * float(p[3]);
          }
        }
      }
      const uint8_t* p = &bitmap.rgba[here * 4];
      if (colors && (!std::isfinite(values[here]) || !(weight > 0))) {
        const bool none = std::isnan(values[here]);
        out.rgba.insert(out.rgba.end(), {none ? bad.r : p[0], none ? bad.g : p[1], none ? bad.b : p[2], p[3]});
      } else if (colors) {
        const Color& c = colors->table[size_t(colors->norm.index(sum[0] / weight))];
        out.rgba.insert(out.rgba.end(), {c.r, c.g, c.b, p[3]});
      } else {
        auto level = [](float v) { return uint8_t(std::clamp(v + 0.5f, 0.0f, 255.0f)); };
        const float opaque = std::max(sum[3], 1e-6f);
        out.rgba.insert(out.rgba.end(), {level(sum[0] / opaque), level(sum[1] / opaque), level(sum[2] / opaque), level(sum[3])});
      }
    }
  }
  return out;
}

void ImageMark::draw(Canvas& canvas, const Frame& frame) const {
  if (bitmap.width == 0 || bitmap.height == 0) return;
  const Rect whole = place(frame);
  if (!std::isfinite(whole.x + whole.y + whole.width + whole.height)) return;
  if (interpolation != "nearest" && whole.width > bitmap.width && whole.height > bitmap.height) {
    Rect part;
    const Bitmap shown = smoothed(frame, part);
    return canvas.image(part, shown);
  }
  Bitmap shown = bitmap;
  for (size_t i = 0; i < missing.size(); ++i) {
    const Color& bad = frame.theme->bad;
    if (missing[i]) shown.rgba[i * 4] = bad.r, shown.rgba[i * 4 + 1] = bad.g, shown.rgba[i * 4 + 2] = bad.b;
  }
  const size_t row = size_t(shown.width) * 4;
  if (frame.y_at(first) > frame.y_at(last)) {  // row 0 is below
    for (size_t top = 0, end = size_t(shown.height) - 1; top < end; ++top, --end) {
      std::swap_ranges(&shown.rgba[top * row], &shown.rgba[top * row] + row, &shown.rgba[end * row]);
    }
  }
  if (frame.x_at(left) > frame.x_at(right)) {
    for (size_t y = 0; y < size_t(shown.height); ++y) {
      for (size_t a = 0, b = size_t(shown.width) - 1; a < b; ++a, --b) {
        std::swap_ranges(&shown.rgba[y * row + a * 4], &shown.rgba[y * row + a * 4] + 4, &shown.rgba[y * row + b * 4]);
      }
    }
  }
  canvas.image(whole, shown);
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
  const Rect cell = between(frame.at(-0.5, -0.5), frame.at(0.5, 0.5));
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
  if (values.size() > most_asked) return out;
  for (size_t i = 0; i < values.size(); ++i) {
    const double c = (double(i % size_t(bitmap.width)) + 0.5) / bitmap.width, r = (double(i / size_t(bitmap.width)) + 0.5) / bitmap.height;
    const double x = left + (right - left) * c, y = first + (last - first) * r;
    out.points.push_back({frame.at(x, y), x, y, format_value(values[i], "g")});
  }
  return out;
}

}  // namespace miniten::viz
