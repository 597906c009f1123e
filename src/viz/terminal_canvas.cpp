#include "viz/terminal_canvas.h"
#include <algorithm>
#include <cmath>
#include "viz/text.h"

namespace miniten::viz {
namespace {

void append(std::string& out, char32_t c) {
  if (c < 0x80) return void(out += char(c));
  if (c < 0x800) out += char(0xc0 | c >> 6);
  else if (c < 0x10000) out += char(0xe0 | c >> 12), out += char(0x80 | (c >> 6 & 0x3f));
  else out += char(0xf0 | c >> 18), out += char(0x80 | (c >> 12 & 0x3f)), out += char(0x80 | (c >> 6 & 0x3f));
  out += char(0x80 | (c & 0x3f));
}

bool control(char32_t c) {  // escapes, and marks that turn the direction of writing
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200e && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

Color over(const Color& ground, const Color& color) {
  return color.a >= 1 ? color : mix({ground.r, ground.g, ground.b}, {color.r, color.g, color.b}, color.a);
}

}  // namespace

int columns_of(char32_t c) {
  if (control(c) || (c >= 0x300 && c < 0x370) || (c >= 0x200b && c < 0x2010) || (c >= 0xfe00 && c < 0xfe10)) return 0;
  return (c >= 0x1100 && c < 0x1160) || (c >= 0x2e80 && c < 0xa4d0) || (c >= 0xac00 && c < 0xd7a4) || (c >= 0xf900 && c < 0xfb00) ||
                 (c >= 0xff00 && c < 0xff61) || c >= 0x1f000 ? 2 : 1;
}

int columns_of(std::string_view text) {
  int n = 0;
  while (!text.empty()) n += columns_of(next_code_point(text));
  return n;
}

std::string cut_columns(std::string_view text, int columns) {
  if (columns_of(text) <= columns) return std::string(text);
  std::string out;
  int used = 1;
  while (!text.empty()) {
    const char32_t c = next_code_point(text);
    used += columns_of(c);
    if (used > columns) break;
    append(out, c);
  }
  return columns > 0 ? out + "…" : "";
}

std::string superscript(const Label& label) {
  static constexpr const char* digits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string out = label.text;
  std::string_view rest = label.exponent;
  while (!rest.empty()) {
    const char32_t c = next_code_point(rest);
    if (c >= '0' && c <= '9') out += digits[c - '0'];
    else if (c == 0x2212 || c == '-') out += "⁻";
    else append(out, c);
  }
  return out;
}

TerminalCanvas::TerminalCanvas(int columns, int lines, const Theme& theme)
    : columns_(columns), lines_(lines), theme_(&theme), cells_(size_t(columns) * size_t(lines)), mask_(2 * columns, 4 * lines),
      clips_{{0, 0, 2 * columns, 4 * lines}} {}

void TerminalCanvas::write(int column, int line, std::string_view text, const Color& color, bool bold) {
  while (!text.empty()) {
    const char32_t c = next_code_point(text);
    const int wide = columns_of(c);
    if (wide == 0) continue;
    for (int k = 0; k < wide; ++k, ++column) {
      Cell* cell = at(column, line);
      if (!cell) continue;
      cell->letter.clear();
      if (k == 0) append(cell->letter, column + wide > columns_ ? U' ' : c);
      else cell->letter.assign(1, '\0');
      cell->ink = color, cell->bold = bold;
      cell->plain = cell->quarters == 0 && (color == theme_->text || color == theme_->muted);
    }
  }
}

void TerminalCanvas::dot(int x, int y, const Color& color) {
  const Pixels& clip = clips_.back();
  if (x < clip.left || y < clip.top || x >= clip.right || y >= clip.bottom || color.a < 0.08) return;
  Cell* cell = at(x / 2, y / 4);
  if (!cell) return;
  static constexpr uint8_t bits[2][4] = {{1, 2, 4, 64}, {8, 16, 32, 128}};
  cell->dots |= bits[x & 1][y & 3];
  cell->ink = over(theme_->background, color), cell->plain = false;
}

void TerminalCanvas::quarter(int x, int y, const Color& color) {
  Cell* cell = at(x / 2, y / 4);
  if (!cell || color.a < 0.08) return;
  const int which = (x & 1) + 2 * ((y & 3) / 2);
  const Color ground = cell->quarters >> which & 1 ? cell->quarter[which] : theme_->background;
  cell->quarters |= uint8_t(1 << which), cell->quarter[which] = over(ground, color);
  cell->dots = 0;
}

// Dashes are of two dots or more, or they could not be told apart.
void TerminalCanvas::segment(Point a, Point b, const Stroke& stroke, double& along) {
  const int n = std::max(1, int(std::ceil(std::max(std::abs(b.x - a.x), std::abs(b.y - a.y)))));
  for (int i = 0; i <= n; ++i) {
    const double t = double(i) / n;
    bool on = true;
    if (!stroke.dashes.empty()) {
      double period = 0, left;
      for (double d : stroke.dashes) period += std::max(d * 1.6, 1.6);
      left = std::fmod(along + t * std::hypot(b.x - a.x, b.y - a.y), period);
      for (size_t k = 0; k < stroke.dashes.size() && left >= 0; ++k) on = k % 2 == 0, left -= std::max(stroke.dashes[k] * 1.6, 1.6);
    }
    if (on) dot(int(std::floor(a.x + (b.x - a.x) * t)), int(std::floor(a.y + (b.y - a.y) * t)), stroke.color);
  }
  along += std::hypot(b.x - a.x, b.y - a.y);
}

void TerminalCanvas::polyline(std::span<const Point> points, const Stroke& stroke) {
  if (stroke.width <= 0 || stroke.color.a <= 0) return;
  double along = 0;
  for (size_t i = 1; i < points.size(); ++i) segment(points[i - 1], points[i], stroke, along);
}

// What the mask covers, as dots (every other one where the colour is faint), or as quarters of cells.
void TerminalCanvas::area(const Color& color, bool dots) {
  std::vector<float> covered(size_t(4 * columns_ * 2 * lines_), 0);
  std::pair<double, Point> best{0, {}};
  bool any = false;
  mask_.sweep([&](int y, int x, std::span<const float> row) {
    for (size_t i = 0; i < row.size(); ++i) {
      const int px = x + int(i);
      if (row[i] > best.first) best = {row[i], {double(px), double(y)}};
      if (!dots) covered[size_t(y / 2) * size_t(2 * columns_) + size_t(px)] += row[i];
      else if (row[i] >= 0.5 && (color.a > 0.6 || (px + 2 * y) % 4 == 0)) dot(px, y, {color.r, color.g, color.b}), any = true;
    }
  });
  if (!dots) {
    for (int y = 0; y < 2 * lines_; ++y) {
      for (int x = 0; x < 2 * columns_; ++x) if (covered[size_t(y) * size_t(2 * columns_) + size_t(x)] >= 1) quarter(x, 2 * y, color), any = true;
    }
  }
  if (!any && best.first > 0.02) dot(int(best.second.x), int(best.second.y), color);  // nothing vanishes
}

void TerminalCanvas::path(const Path& path, const Paint& paint) {
  const std::vector<Subpath> parts = flatten(path);
  if (paint.fill.a > 0) {
    for (const Subpath& part : parts) mask_.polygon(part.points);
    area(paint.fill, true);
  }
  if (paint.stroke.width <= 0 || paint.stroke.color.a <= 0 || paint.fill.a > 0) return;
  for (const Subpath& part : parts) {
    std::vector<Point> line = part.points;
    if (part.closed && !line.empty()) line.push_back(line[0]);
    polyline(line, paint.stroke);
  }
}

void TerminalCanvas::rect(const Rect& r, const Paint& paint, double) {
  const Point corners[] = {{r.x, r.y}, {r.right(), r.y}, {r.right(), r.bottom()}, {r.x, r.bottom()}, {r.x, r.y}};
  if (paint.fill.a > 0) {
    mask_.polygon(std::span(corners).first(4));
    area(paint.fill, paint.fill.a < 0.6);
  } else {
    polyline(corners, paint.stroke);
  }
}

void TerminalCanvas::circles(std::span<const Point> centres, double radius, const Paint& paint, std::span<const Color> fills) {
  for (size_t i = 0; i < centres.size(); ++i) {
    const Color& color = fills.empty() ? paint.fill : fills[i];
    const int reach = int(radius);
    const int x = int(std::floor(centres[i].x)), y = int(std::floor(centres[i].y));
    for (int dy = -reach; dy <= reach; ++dy) {
      for (int dx = -reach; dx <= reach; ++dx) if (dx * dx + dy * dy <= radius * radius) dot(x + dx, y + dy, color);
    }
  }
}

void TerminalCanvas::text(Point p, const Label& label, const TextStyle& style) {
  if (style.size < 2.8) return;  // its letters would not fit where they belong
  const std::string line = superscript(label);
  const int width = columns_of(line);
  const double left = p.x / 2 - (style.anchor == Anchor::start ? 0 : style.anchor == Anchor::middle ? width / 2.0 : double(width));
  write(int(std::lround(left)), int(std::floor((p.y - 0.36 * style.size) / 4)), line, style.color, style.bold);
}

void TerminalCanvas::image(const Rect& r, const Bitmap& bitmap) {
  const Pixels& clip = clips_.back();
  for (int y = std::max(clip.top / 2, int(r.y / 2)); y < std::min(clip.bottom / 2, int(std::ceil(r.bottom() / 2))); ++y) {
    for (int x = std::max(clip.left, int(r.x)); x < std::min(clip.right, int(std::ceil(r.right()))); ++x) {
      const double u = (x / 2 * 2 + 1 - r.x) / r.width, v = (2 * y + 1 - r.y) / r.height;  // both quarters of a row alike
      if (!(u >= 0 && u < 1 && v >= 0 && v < 1)) continue;
      const uint8_t* p = &bitmap.rgba[(size_t(v * bitmap.height) * size_t(bitmap.width) + size_t(u * bitmap.width)) * 4];
      quarter(x, 2 * y, {p[0], p[1], p[2], p[3] / 255.0});
    }
  }
}

void TerminalCanvas::push_clip(const Rect& r) {
  const Pixels& now = clips_.back();
  Pixels to{std::max(now.left, int(std::lround(r.x))), std::max(now.top, int(std::lround(r.y))), std::min(now.right, int(std::lround(r.right()))),
            std::min(now.bottom, int(std::lround(r.bottom())))};
  to.right = std::max(to.right, to.left), to.bottom = std::max(to.bottom, to.top);
  clips_.push_back(to);
  mask_.clip(to);
}

void TerminalCanvas::pop_clip() {
  clips_.pop_back();
  mask_.clip(clips_.back());
}

std::string TerminalCanvas::line_text(int line, bool color) const {
  static constexpr const char* blocks[] = {" ", "▘", "▝", "▀", "▖", "▌", "▞", "▛", "▗", "▚", "▐", "▜", "▄", "▙", "▟", "█"};
  static constexpr const char* shades[] = {"░", "▒", "▓", "█"};
  std::string out, now;
  int last = columns_;
  auto empty = [](const Cell& c) { return (c.letter.empty() || c.letter == " ") && c.dots == 0 && c.quarters == 0; };
  while (last > 0 && empty(cells_[size_t(line * columns_ + last - 1)])) --last;
  for (int column = 0; column < last; ++column) {
    const Cell& cell = cells_[size_t(line * columns_ + column)];
    if (cell.letter.size() == 1 && cell.letter[0] == '\0') continue;
    std::string glyph = " ", style;
    auto paint = [&](int layer, const Color& c) {
      style += ";" + std::to_string(layer) + ";2;" + std::to_string(c.r) + ";" + std::to_string(c.g) + ";" + std::to_string(c.b);
    };
    int first = 0;
    while (first < 4 && !(cell.quarters >> first & 1)) ++first;
    const Color area = first < 4 ? cell.quarter[first] : Color{};
    if (!cell.letter.empty() || cell.dots) {
      glyph = cell.letter;
      if (cell.letter.empty()) glyph.clear(), append(glyph, 0x2800 + cell.dots);
      if (cell.bold) style += ";1";
      if (!cell.plain) paint(38, cell.ink);
      if (cell.quarters) paint(48, area);
    } else if (cell.quarters) {
      int same = 0;
      Color other = area;
      for (int k = 0; k < 4; ++k) {
        if (!(cell.quarters >> k & 1)) continue;
        if (cell.quarter[k] == area) same |= 1 << k;
        else other = cell.quarter[k];
      }
      if (color) {
        glyph = blocks[same];
        paint(38, area);
        if (!(other == area)) paint(48, other);
      } else if (cell.quarters == 15) {
        double light = 0;
        for (const Color& c : cell.quarter) light += luminance(c) / 4;
        glyph = shades[std::clamp(int(std::sqrt(light) * 4), 0, 3)];
      } else {
        glyph = blocks[cell.quarters];
      }
    }
    if (color && style != now) out += "\x1b[0" + style + "m", now = style;
    out += glyph;
  }
  if (!now.empty()) out += "\x1b[0m";
  return out;
}

std::string TerminalCanvas::finish(bool color) const {
  std::string out;
  for (int line = 0; line < lines_; ++line) out += line_text(line, color) + "\n";
  return out;
}

}  // namespace miniten::viz
