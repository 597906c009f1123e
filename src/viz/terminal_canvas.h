#pragma once
#include <string>
#include "viz/mask.h"
#include "viz/theme.h"

namespace miniten::viz {

// Columns a character takes in a terminal: 0 (combining, control), 1 or 2 (wide scripts).
int columns_of(char32_t c);
int columns_of(std::string_view text);
std::string cut_columns(std::string_view text, int columns);  // with '…' where too wide
std::string superscript(const Label& label);                  // one line of plain text

// Cells of a terminal, each 2 x 4 units: lines are braille dots, areas and images quarters of a cell, text letters.
class TerminalCanvas : public Canvas {
 public:
  TerminalCanvas(int columns, int lines, const Theme& theme);
  std::string finish(bool color) const;
  // In cells. The theme's own text colours become the terminal's.
  void write(int column, int line, std::string_view text, const Color& color, bool bold = false);

  void polyline(std::span<const Point> points, const Stroke& stroke) override;
  void path(const Path& path, const Paint& paint) override;
  void rect(const Rect& rect, const Paint& paint, double radius) override;
  void circles(std::span<const Point> centres, double radius, const Paint& paint, std::span<const Color> fills) override;
  void text(Point baseline, const Label& label, const TextStyle& style) override;
  void image(const Rect& rect, const Bitmap& bitmap) override;
  void push_clip(const Rect& rect) override;
  void pop_clip() override;

 private:
  struct Cell {
    std::string letter;               // UTF-8; "\0" as first byte: the right half of a wide one
    uint8_t dots = 0, quarters = 0;   // bits; quarters: upper left, upper right, lower left, lower right
    bool bold = false, plain = true;  // plain: in the terminal's own colour
    Color ink, quarter[4];
  };
  Cell* at(int column, int line) { return column < 0 || line < 0 || column >= columns_ || line >= lines_ ? nullptr : &cells_[size_t(line * columns_ + column)]; }
  void dot(int x, int y, const Color& color);
  void quarter(int x, int y, const Color& color);
  void segment(Point a, Point b, const Stroke& stroke, double& along);
  void area(const Color& color, bool dots);
  std::string line_text(int line, bool color) const;

  int columns_, lines_;
  const Theme* theme_;
  std::vector<Cell> cells_;
  Mask mask_;
  std::vector<Pixels> clips_;
};

}  // namespace miniten::viz
