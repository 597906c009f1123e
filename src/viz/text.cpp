#include "viz/text.h"
#include <algorithm>
#include <cmath>
#include <numbers>
#include "viz/font.h"

namespace miniten::viz {
namespace {

// What the typeface lacks is as wide as other typefaces have it.
double foreign_width(char32_t c) {
  if (c < 0x20 || (c >= 0x7f && c < 0xa0)) return 0;
  if ((c >= 0x300 && c < 0x370) || (c >= 0x200b && c < 0x2010) || (c >= 0xfe00 && c < 0xfe10)) return 0;
  if ((c >= 0x1100 && c < 0x1160) || (c >= 0x2e80 && c < 0xa4d0) || (c >= 0xac00 && c < 0xd7a4) || (c >= 0xf900 && c < 0xfb00) ||
      (c >= 0xff00 && c < 0xff61) || c >= 0x1f000) return 1;  // wide scripts and pictures
  return 0.61;
}

double width_of(std::string_view line, double size, bool bold) {
  double total = 0;
  char32_t before = 0;
  while (!line.empty()) {
    const char32_t c = next_code_point(line);
    total += letter_width(c, bold) + face(bold).kerning(before, c);
    before = c;
  }
  return total * size;
}

double first_baseline(size_t lines, double size, VAlign align) {
  double below = double(lines - 1) * line_height(size);
  switch (align) {
    case VAlign::top: return cap_height(size);
    case VAlign::middle: return (cap_height(size) - below) / 2;
    case VAlign::bottom: return -below - descent(size);
    default: return -below;
  }
}

Point turned(Point at, double down, double degrees) {
  double angle = degrees * std::numbers::pi / 180;
  return {at.x + down * std::sin(angle), at.y + down * std::cos(angle)};
}

}  // namespace

double letter_width(char32_t c, bool bold) { return face(bold).has(c) ? face(bold).advance(c) : foreign_width(c); }

double cap_height(double size) { return 0.73 * size; }
double descent(double size) { return 0.21 * size; }
double line_height(double size) { return 1.25 * size; }
double exponent_size(double size) { return 0.72 * size; }
double exponent_rise(double size) { return 0.38 * size; }

char32_t next_code_point(std::string_view& text) {
  auto byte = [&](size_t i) { return i < text.size() ? unsigned(static_cast<unsigned char>(text[i])) : 0u; };
  unsigned first = byte(0);
  size_t length = first < 0x80 ? 1 : first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
  char32_t c = length < 2 ? first : first & (0x7fu >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) length = 0;
    else c = (c << 6) | (byte(i) & 0x3f);
  }
  bool overlong = (length == 3 && c < 0x800) || (length == 4 && (c < 0x10000 || c > 0x10ffff));
  if (length == 0 || overlong || (c >= 0xd800 && c < 0xe000)) {
    text.remove_prefix(1);
    return 0xfffd;
  }
  text.remove_prefix(length);
  return c;
}

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  for (size_t start = 0;;) {
    size_t end = text.find('\n', start);
    lines.emplace_back(text.substr(start, end == text.npos ? text.npos : end - start));
    if (end == text.npos) return lines;
    start = end + 1;
  }
}

double text_width(std::string_view text, double size, bool bold) {
  double widest = 0;
  for (const std::string& line : split_lines(text)) widest = std::max(widest, width_of(line, size, bold));
  return widest;
}

double label_width(const Label& label, double size, bool bold) {
  return text_width(label.text, size, bold) + width_of(label.exponent, exponent_size(size), bold);
}

std::string elide(std::string_view text, double size, double width, bool bold) {
  double used = 0;
  const double mark = letter_width(0x2026, bold) * size;
  std::string_view rest = text;
  size_t fits = 0;
  while (!rest.empty()) {
    used += letter_width(next_code_point(rest), bold) * size;
    if (used > width) return std::string(text.substr(0, fits)) + "…";
    if (used + mark <= width) fits = text.size() - rest.size();
  }
  return std::string(text);
}

std::vector<std::string> wrap(std::string_view text, double size, double width, bool bold) {
  std::vector<std::string> lines;
  for (const std::string& line : split_lines(text)) {
    std::string current;
    for (size_t start = 0; start <= line.size();) {
      size_t end = std::min(line.find(' ', start), line.size());
      std::string word = line.substr(start, end - start);
      std::string longer = current.empty() ? word : current + " " + word;
      if (!current.empty() && width_of(longer, size, bold) > width) {
        lines.push_back(current);
        longer = word;
      }
      current = longer;
      start = end + 1;
      if (lines.size() > 20) break;
    }
    lines.push_back(elide(current, size, std::max(width, 4 * size), bold));
  }
  for (std::string& line : lines) line = elide(line, size, std::max(width, 4 * size), bold);
  return lines;
}

void draw_text(Canvas& canvas, Point at, const std::vector<std::string>& lines, const TextStyle& style, VAlign align) {
  double down = first_baseline(lines.size(), style.size, align);
  for (const std::string& line : lines) {
    if (!line.empty()) canvas.text(turned(at, down, style.rotation), {line}, style);
    down += line_height(style.size);
  }
}

void draw_label(Canvas& canvas, Point at, const Label& label, const TextStyle& style, VAlign align) {
  if (!label.exponent.empty()) return canvas.text(turned(at, first_baseline(1, style.size, align), style.rotation), label, style);
  draw_text(canvas, at, split_lines(label.text), style, align);
}

}  // namespace miniten::viz
