#pragma once
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

// A page of axes. The layout is always tight: nothing overlaps, and the frames of one grid are aligned.
class Figure {
 public:
  explicit Figure(const FigureOptions& options = {});
  ~Figure();
  Figure(Figure&&) noexcept;
  Figure& operator=(Figure&&) noexcept;

  // The cell `index` (from 1, row by row) of a grid. The reference stays good for the figure's life; the same cell again
  // gives the same axes.
  Axes& add_subplot(int rows = 1, int cols = 1, int index = 1);
  void suptitle(const std::string& title);

  // A whole <svg> element: valid XML, real text, no script, no outside reference; the same figure gives the same bytes.
  // It may stand inline in HTML beside other figures.
  std::string to_svg() const;
  // Writes the file, whose extension (or `format`) says how: "svg". Error(unsupported) for others, Error(io) if not writable.
  void save(const std::string& path, std::string_view format = "") const;

  const FigureOptions& options() const { return options_; }

 private:
  struct Cell { int rows, cols, index; std::unique_ptr<Axes> axes; };
  FigureOptions options_;
  std::string suptitle_;
  std::vector<Cell> cells_;
};

}  // namespace miniten::viz
