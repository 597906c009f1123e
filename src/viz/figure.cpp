#include "miniten/viz/figure.h"
#include <cmath>
#include <fstream>
#include "miniten/base/error.h"
#include "viz/checks.h"
#include "viz/draw.h"
#include "viz/svg.h"

namespace miniten::viz {

Figure::Figure(const FigureOptions& options) : options_(options) {
  for (auto [what, value] : {std::pair{"width", options.width}, std::pair{"height", options.height}}) {
    if (!(value >= 0.1 && value <= 1000)) refuse("figure", std::string(what) + " of 0.1 to 1000 inches", format_value(value, "g"));
  }
  if (!(options.dpi >= 10 && options.dpi <= 10000)) refuse("figure", "dpi of 10 to 10000", format_value(options.dpi, "g"));
  const Theme& theme = theme_of(options.theme);
  if (!options.background.empty()) theme.resolve(options.background);
}
Figure::~Figure() = default;
Figure::Figure(Figure&&) noexcept = default;
Figure& Figure::operator=(Figure&&) noexcept = default;

Axes& Figure::add_subplot(int rows, int cols, int index) {
  if (rows < 1 || cols < 1 || rows > 100 || cols > 100) {
    refuse("add_subplot", "1 to 100 rows and columns", std::to_string(rows) + " and " + std::to_string(cols));
  }
  if (index < 1 || index > rows * cols) refuse("add_subplot", "an index of 1 to " + std::to_string(rows * cols), std::to_string(index));
  for (Cell& cell : cells_) if (cell.rows == rows && cell.cols == cols && cell.index == index) return *cell.axes;
  cells_.push_back({rows, cols, index, std::make_unique<Axes>(options_.theme)});
  return *cells_.back().axes;
}

void Figure::suptitle(const std::string& title) { suptitle_ = title; }

std::string Figure::to_svg() const {
  const Theme& theme = theme_of(options_.theme);
  const double width = std::round(options_.width * options_.dpi), height = std::round(options_.height * options_.dpi), px = options_.dpi / 72;
  std::vector<CellScene> cells;
  std::string title = suptitle_;
  for (const Cell& cell : cells_) {
    cells.push_back({cell.rows, cell.cols, cell.index, &cell.axes->scene()});
    if (!cell.axes->scene().title.empty()) title += (title.empty() ? "" : "; ") + cell.axes->scene().title;
  }
  SvgCanvas canvas(width, height, title);
  const Color background = options_.background.empty() ? theme.background : theme.resolve(options_.background);
  draw_page(canvas, lay_out(cells, suptitle_, width, height, px), theme, width, height, background, px);
  return canvas.finish();
}

void Figure::save(const std::string& path, std::string_view format) const {
  const size_t dot = path.find_last_of("./\\");
  std::string kind(format);
  if (kind.empty() && dot != std::string::npos && path[dot] == '.') kind = path.substr(dot + 1);
  for (char& c : kind) c = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
  if (kind != "svg") {
    throw Error(ErrorKind::unsupported, "save", "a file name ending in .svg, or format 'svg'", kind.empty() ? quoted(path) : quoted(kind), "SVG is the supported format");
  }
  const std::string svg = to_svg();
  std::ofstream file(path, std::ios::binary);
  file.write(svg.data(), std::streamsize(svg.size()));
  file.close();
  if (!file) throw Error(ErrorKind::io, "save", "a file that can be written", quoted(path));
}

}  // namespace miniten::viz
