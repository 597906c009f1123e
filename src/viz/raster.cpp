#include "viz/raster.h"
#include <algorithm>
#include <cmath>
#include <numbers>
#include "viz/font.h"
#include "viz/text.h"

namespace miniten::viz {
namespace {

Path circle(Point c, double r) {
  Path path;
  const double k = 0.5522847498 * r;
  path.move({c.x + r, c.y});
  path.cubic({c.x + r, c.y + k}, {c.x + k, c.y + r}, {c.x, c.y + r});
  path.cubic({c.x - k, c.y + r}, {c.x - r, c.y + k}, {c.x - r, c.y});
  path.cubic({c.x - r, c.y - k}, {c.x - k, c.y - r}, {c.x, c.y - r});
  path.cubic({c.x + k, c.y - r}, {c.x + r, c.y - k}, {c.x + r, c.y});
  path.close();
  return path;
}

Path box(const Rect& r, double radius) {
  Path path;
  const double c = std::min({radius, r.width / 2, r.height / 2}), k = c * (1 - 0.5522847498);
  if (!(c > 0)) {
    path.move({r.x, r.y}), path.line({r.right(), r.y}), path.line({r.right(), r.bottom()}), path.line({r.x, r.bottom()});
    path.close();
    return path;
  }
  path.move({r.x + c, r.y}), path.line({r.right() - c, r.y});
  path.cubic({r.right() - k, r.y}, {r.right(), r.y + k}, {r.right(), r.y + c});
  path.line({r.right(), r.bottom() - c});
  path.cubic({r.right(), r.bottom() - k}, {r.right() - k, r.bottom()}, {r.right() - c, r.bottom()});
  path.line({r.x + c, r.bottom()});
  path.cubic({r.x + k, r.bottom()}, {r.x, r.bottom() - k}, {r.x, r.bottom() - c});
  path.line({r.x, r.y + c});
  path.cubic({r.x, r.y + k}, {r.x + k, r.y}, {r.x + c, r.y});
  path.close();
  return path;
}

}  // namespace

RasterCanvas::RasterCanvas(int width, int height)
    : page_{width, height, std::vector<uint8_t>(size_t(width) * size_t(height) * 4, 0)}, mask_(width, height), clips_{{0, 0, width, height}} {}

void RasterCanvas::blend_row(int y, int x, std::span<const float> coverage, const Color& color) {
  uint8_t* p = &page_.rgba[(size_t(y) * size_t(page_.width) + size_t(x)) * 4];
  const int level[3] = {color.r, color.g, color.b};
  const float opaque = float(color.a);
  for (float covered : coverage) {
    const int a = int(covered * opaque * 256 + 0.5f);  // of 256
    if (a >= 256) {
      p[0] = color.r, p[1] = color.g, p[2] = color.b, p[3] = 255;
    } else if (a > 0 && p[3] == 255) {
      for (int c = 0; c < 3; ++c) p[c] = uint8_t((p[c] * (256 - a) + level[c] * a + 128) >> 8);
    } else if (a > 0) {
      const float source = covered * opaque, under = float(p[3]) / 255 * (1 - source), sum = source + under;
      for (int c = 0; c < 3; ++c) p[c] = uint8_t((float(level[c]) * source + float(p[c]) * under) / sum + 0.5f);
      p[3] = uint8_t(sum * 255 + 0.5f);
    }
    p += 4;
  }
}

void RasterCanvas::blend(const Color& color) {
  mask_.sweep([&](int y, int x, std::span<const float> coverage) { blend_row(y, x, coverage, color); });
}

void RasterCanvas::outline(std::span<const Point> points, bool closed, const Stroke& stroke, Join join) {
  if (stroke.dashes.empty()) return stroke_outline(mask_, points, closed, stroke.width, join, stroke.square_cap);
  for (const Subpath& dash : cut_dashes(points, closed, stroke.dashes)) stroke_outline(mask_, dash.points, dash.closed, stroke.width, join, false);
}

void RasterCanvas::polyline(std::span<const Point> points, const Stroke& stroke) {
  if (stroke.width <= 0 || stroke.color.a <= 0) return;
  outline(points, false, stroke, Join::round);
  blend(stroke.color);
}

void RasterCanvas::path(const Path& path, const Paint& paint) {
  const std::vector<Subpath> parts = flatten(path);
  if (paint.fill.a > 0) {
    for (const Subpath& part : parts) mask_.polygon(part.points);
    blend(paint.fill);
  }
  if (paint.stroke.width <= 0 || paint.stroke.color.a <= 0) return;
  for (const Subpath& part : parts) outline(part.points, part.closed, paint.stroke, Join::miter);
  blend(paint.stroke.color);
}

void RasterCanvas::rect(const Rect& r, const Paint& paint, double radius) { path(box(r, radius), paint); }

// Many circles are one stamp, kept for each eighth of a pixel.
void RasterCanvas::circles(std::span<const Point> centres, double radius, const Paint& paint, std::span<const Color> fills) {
  if (centres.size() < 64 || paint.stroke.width > 0 || radius > 40) {
    for (size_t i = 0; i < centres.size(); ++i) path(circle(centres[i], radius), {fills.empty() ? paint.fill : fills[i], paint.stroke});
    return;
  }
  constexpr int parts = 8;
  const int reach = int(std::ceil(radius)) + 1, side = 2 * reach + 1;
  std::vector<std::vector<float>> stamps(parts * parts);
  Mask mask(side, side);
  const Pixels clip = clips_.back();
  for (size_t i = 0; i < centres.size(); ++i) {
    const Color& color = fills.empty() ? paint.fill : fills[i];
    const double fx = centres[i].x * parts, fy = centres[i].y * parts;
    if (color.a <= 0 || !(std::abs(fx) < 1e8 && std::abs(fy) < 1e8)) continue;
    const int qx = int(std::floor(fx + 0.5)), qy = int(std::floor(fy + 0.5));
    const int px = qx >> 3, py = qy >> 3, which = (qy & (parts - 1)) * parts + (qx & (parts - 1));
    std::vector<float>& stamp = stamps[size_t(which)];
    if (stamp.empty()) {
      stamp.assign(size_t(side) * size_t(side), 0);
      mask.fill(circle({reach + double(qx & (parts - 1)) / parts, reach + double(qy & (parts - 1)) / parts}, radius));
      mask.sweep([&](int y, int x, std::span<const float> row) { std::copy(row.begin(), row.end(), &stamp[size_t(y * side + x)]); });
    }
    const int left = std::max(clip.left, px - reach), right = std::min(clip.right, px - reach + side);
    if (left >= right) continue;
    for (int y = std::max(clip.top, py - reach); y < std::min(clip.bottom, py - reach + side); ++y) {
      blend_row(y, left, std::span<const float>(stamp).subspan(size_t((y - py + reach) * side + left - px + reach), size_t(right - left)), color);
    }
  }
}

void RasterCanvas::text(Point at, const Label& label, const TextStyle& style) {
  const Face& letters = face(style.bold);
  const double width = label_width(label, style.size, style.bold);
  const double angle = -style.rotation * std::numbers::pi / 180, c = std::cos(angle), s = std::sin(angle);
  // Lines of text stand on whole pixels, along the line a letter may be anywhere.
  if (style.rotation == 0) at.y = std::round(at.y);
  else if (std::abs(style.rotation) == 90) at.x = std::round(at.x);
  double x = style.anchor == Anchor::start ? 0 : style.anchor == Anchor::middle ? -width / 2 : -width;
  Path path;
  auto run = [&](std::string_view text, double size, double rise) {
    char32_t before = 0;
    while (!text.empty()) {
      const char32_t letter = next_code_point(text);
      x += letters.kerning(before, letter) * size;
      if (!letters.has(letter) && letter_width(letter, style.bold) > 0) {  // a box for what the typeface lacks
        const double w = letter_width(letter, style.bold) * size;
        for (const auto& [inset, turn] : {std::pair{0.08, false}, std::pair{0.14, true}}) {
          const double l = x + inset * w, r = x + w - inset * w, b = rise - inset * w * 0.4, t = rise - 0.72 * size + inset * w * 0.4;
          path.move({l, b}), turn ? path.line({l, t}) : path.line({r, b}), path.line({r, t}), turn ? path.line({r, b}) : path.line({l, t});
          path.close();
        }
      } else {
        letters.outline(letter, {x, rise}, size, path);
      }
      x += letter_width(letter, style.bold) * size;
      before = letter;
    }
  };
  run(label.text, style.size, 0);
  run(label.exponent, exponent_size(style.size), -exponent_rise(style.size));
  for (Point& p : path.points) p = {at.x + c * p.x - s * p.y, at.y + s * p.x + c * p.y};
  mask_.fill(path);
  blend(style.color);
}

// Enlarged pixels keep hard edges; where several fall on one of the page's, their mean is shown.
void RasterCanvas::image(const Rect& r, const Bitmap& bitmap) {
  if (bitmap.width <= 0 || bitmap.height <= 0 || !(r.width > 0 && r.height > 0)) return;
  const Pixels clip = clips_.back();
  auto inside = [](double v, int lo, int hi) { return int(std::clamp<double>(v, lo, hi)); };
  const int left = inside(std::ceil(r.x - 0.5), clip.left, clip.right), right = inside(std::ceil(r.right() - 0.5), clip.left, clip.right);
  const int top = inside(std::ceil(r.y - 0.5), clip.top, clip.bottom), bottom = inside(std::ceil(r.bottom() - 0.5), clip.top, clip.bottom);
  const double sx = bitmap.width / r.width, sy = bitmap.height / r.height;
  auto range = [](double from, double step, int n) {  // source pixels of one of the page's
    const int middle = std::clamp(int(from + step / 2), 0, n - 1);
    if (step <= 1) return std::pair{middle, middle + 1};
    const int a = std::clamp(int(std::lround(from)), 0, n - 1);
    return std::pair{a, std::clamp(int(std::lround(from + step)), a + 1, n)};
  };
  for (int y = top; y < bottom; ++y) {
    const auto [y0, y1] = range((y - r.y) * sy, sy, bitmap.height);
    for (int x = left; x < right; ++x) {
      const auto [x0, x1] = range((x - r.x) * sx, sx, bitmap.width);
      uint64_t sum[4] = {};
      for (int v = y0; v < y1; ++v) {
        const uint8_t* p = &bitmap.rgba[(size_t(v) * size_t(bitmap.width) + size_t(x0)) * 4];
        for (int u = x0; u < x1; ++u, p += 4) {
          for (int k = 0; k < 3; ++k) sum[k] += uint64_t(p[k]) * p[3];
          sum[3] += p[3];
        }
      }
      if (sum[3] == 0) continue;
      auto mean = [&](int k) { return uint8_t((sum[k] + sum[3] / 2) / sum[3]); };
      const float full = 1;
      blend_row(y, x, {&full, 1}, {mean(0), mean(1), mean(2), double(sum[3]) / (255.0 * double(uint64_t(y1 - y0) * uint64_t(x1 - x0)))});
    }
  }
}

void RasterCanvas::push_clip(const Rect& r) {
  const Pixels& now = clips_.back();
  auto pixel = [](double v) { return int(std::lround(std::clamp(v, -1e6, 1e6))); };
  Pixels to{std::max(now.left, pixel(r.x)), std::max(now.top, pixel(r.y)), std::min(now.right, pixel(r.right())), std::min(now.bottom, pixel(r.bottom()))};
  to.right = std::max(to.right, to.left), to.bottom = std::max(to.bottom, to.top);
  clips_.push_back(to);
  mask_.clip(to);
}

void RasterCanvas::pop_clip() {
  clips_.pop_back();
  mask_.clip(clips_.back());
}

}  // namespace miniten::viz
