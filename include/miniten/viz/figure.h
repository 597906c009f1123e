#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>
#include "miniten/viz/axes.h"
#include "miniten/viz/color.h"

namespace miniten::viz {

struct FigureOptions {
  double width = 8, height = 6;  // inches
  double dpi = 100;
  std::string theme = "light";   // "light" or "dark"
  std::string background;        // a colour, "none" for transparent; empty: the theme's
};

struct TerminalOptions {
  int width = 80, height = 0;    // columns and lines; height 0: as the figure's shape wants it
  bool color = true;             // 24-bit ANSI colours; without, images are shaded
};

// A page of axes. The layout is always tight: nothing overlaps, and the frames of one grid are aligned.
class Figure {
 public:
  explicit Figure(const FigureOptions& options = {});
  ~Figure();
  Figure(Figure&&) noexcept;
  Figure& operator=(Figure&&) noexcept;

  // The cell `index` (from 1, row by row) of a grid. The reference stays good for the figure's life; the same cell again
  // gives the same axes.
  // With `last`, the axes span from the one cell to the other.
  Axes& add_subplot(int rows = 1, int cols = 1, int index = 1, int last = 0);
  std::vector<Axes*> axes() const;  // in the order of their making
  // The axes there are now get one x scale (and y scale): "all", those of each "col" or "row", or "none". Only the lowest (leftmost)
  // of those that share carry its numbers.
  void share(std::string_view x, std::string_view y);
  void suptitle(const std::string& title, double size = 14);
  // How wide the columns and how high the rows of the grids of so many cells are to each other; empty: alike.
  void set_ratios(std::vector<double> widths, std::vector<double> heights);
  void resize(double width, double height);            // inches

  // A whole <svg> element: valid XML, real text, no script, no outside reference; the same figure gives the same bytes.
  // It may stand inline in HTML beside other figures.
  std::string to_svg() const;
  std::vector<uint8_t> to_png(double dpi = 0) const;   // 0: the figure's own
  // A whole page: the SVG, and a script that shows the values under the pointer, or under the arrow keys.
  std::string to_html() const;
  // For a terminal: lines of braille dots, blocks and text, each at most options.width columns wide.
  std::string to_text(const TerminalOptions& options = {}) const;
  // The bytes of a file: format is "png", "svg", "html" or "txt"; else Error(unsupported). dpi 0: the figure's own.
  std::string render(std::string_view format, double dpi = 0) const;
  // Writes the file, whose extension (or `format`) says how. Error(io) if not writable.
  void save(const std::string& path, std::string_view format = "", double dpi = 0) const;
  void set_background(const std::string& color);       // "none": transparent; empty: the theme's

  const FigureOptions& options() const { return options_; }

 private:
  struct Sheet;
  Sheet sheet(double dpi) const;
  struct Cell { int rows, cols, index, last; std::unique_ptr<Axes> axes; };
  FigureOptions options_;
  std::string suptitle_;
  double suptitle_size_ = 14;
  std::vector<double> widths_, heights_;
  std::vector<Cell> cells_;
};

}  // namespace miniten::viz
