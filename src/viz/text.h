#pragma once
#include <string>
#include <string_view>
#include <vector>
#include "viz/canvas.h"

namespace miniten::viz {

// Widths are those of the embedded typeface: exact in a raster, an estimate where the reader's own fonts are used.
double letter_width(char32_t c, bool bold);                                // of a size of 1
double text_width(std::string_view text, double size, bool bold = false);  // the widest line
double label_width(const Label& label, double size, bool bold = false);
double exponent_size(double size);
double exponent_rise(double size);
double cap_height(double size);
double descent(double size);
double line_height(double size);

// The next code point, `text` moved behind it; U+FFFD for bytes that are not UTF-8. `text` is not empty.
char32_t next_code_point(std::string_view& text);

std::vector<std::string> split_lines(std::string_view text);
std::string elide(std::string_view text, double size, double width, bool bold = false);      // cut with '…' where too wide
std::vector<std::string> wrap(std::string_view text, double size, double width, bool bold);  // at spaces

enum class VAlign : uint8_t { top, middle, baseline, bottom };
// Lines of text as one block, turned around `at`.
void draw_text(Canvas& canvas, Point at, const std::vector<std::string>& lines, const TextStyle& style, VAlign align);
void draw_label(Canvas& canvas, Point at, const Label& label, const TextStyle& style, VAlign align);

}  // namespace miniten::viz
