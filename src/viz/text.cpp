#include "viz/text.h"
#include <algorithm>
#include <cmath>
#include <numbers>

namespace miniten::viz {
namespace {

// Thousandths of the size for U+0020 to U+007E: the mean of Liberation Sans (Arial's widths) and DejaVu Sans.
constexpr short advances[] = {
    298, 339, 407, 697, 596, 920, 723, 233, 362, 362, 445, 711, 298, 347, 298, 307, 596, 596, 596, 596, 596, 596, 596, 596,
    596, 596, 307, 307, 711, 711, 711, 543, 1008, 676, 677, 710, 746, 649, 593, 776, 737, 286, 397, 661, 557, 848, 735, 782,
    635, 782, 708, 651, 611, 727, 676, 966, 676, 639, 648, 334, 307, 334, 654, 528, 417, 584, 595, 525, 595, 586, 315, 595,
    595, 250, 250, 540, 250, 904, 595, 584, 595, 595, 372, 510, 335, 595, 546, 770, 546, 546, 512, 485, 298, 485, 711};

int advance(char32_t c) {
  if (c < 0x20) return 0;
  if (c < 0x7f) return advances[c - 0x20];
  if (c == 0x2212 || c == 0xd7) return 711;                                        // minus, times
  if (c == 0x2026) return 1000;                                                    // ellipsis
  if ((c >= 0x300 && c < 0x370) || (c >= 0x200b && c < 0x2010) || (c >= 0xfe00 && c < 0xfe10)) return 0;
  if ((c >= 0x1100 && c < 0x1160) || (c >= 0x2e80 && c < 0xa4d0) || (c >= 0xac00 && c < 0xd7a4) || (c >= 0xf900 && c < 0xfb00) ||
      (c >= 0xff00 && c < 0xff61) || c >= 0x1f000) return 1000;                    // wide scripts and pictures
  return 610;
}

double width_of(std::string_view line, double size, bool bold) {
  double total = 0;
  while (!line.empty()) total += advance(next_code_point(line));
  return total * size / 1000 * (bold ? 1.07 : 1);
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

double label_width(const Label& label, double size) {
  return text_width(label.text, size) + width_of(label.exponent, exponent_size(size), false);
}

std::string elide(std::string_view text, double size, double width) {
  double used = 0;
  const double mark = advance(0x2026) * size / 1000;
  std::string_view rest = text;
  size_t fits = 0;
  while (!rest.empty()) {
    used += advance(next_code_point(rest)) * size / 1000;
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
    lines.push_back(elide(current, size * (bold ? 1.07 : 1), std::max(width, 4 * size)));
  }
  for (std::string& line : lines) line = elide(line, size * (bold ? 1.07 : 1), std::max(width, 4 * size));
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
