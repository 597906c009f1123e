#include "miniten/viz/figure.h"
#include <algorithm>
#include <cmath>
#include <fstream>
#include "miniten/base/error.h"
#include "viz/checks.h"
#include "viz/draw.h"
#include "viz/hover.h"
#include "viz/png.h"
#include "viz/raster.h"
#include "viz/svg.h"
#include "viz/terminal.h"

namespace miniten::viz {

static void check_dpi(std::string_view op, double dpi) {
  if (!(dpi >= 10 && dpi <= 10000)) refuse(op, "dpi of 10 to 10000", format_value(dpi, "g"));
}

Figure::Figure(const FigureOptions& options) : options_(options) {
  for (auto [what, value] : {std::pair{"width", options.width}, std::pair{"height", options.height}}) {
    if (!(value >= 0.1 && value <= 1000)) refuse("figure", std::string(what) + " of 0.1 to 1000 inches", format_value(value, "g"));
  }
  check_dpi("figure", options.dpi);
  const Theme& theme = theme_of(options.theme);
  if (!options.background.empty()) theme.resolve(options.background);
}
Figure::~Figure() = default;
Figure::Figure(Figure&&) noexcept = default;
Figure& Figure::operator=(Figure&&) noexcept = default;

Axes& Figure::add_subplot(int rows, int cols, int index, int last) {
  if (last == 0) last = index;
  if (rows < 1 || cols < 1 || rows > 100 || cols > 100) {
    refuse("add_subplot", "1 to 100 rows and columns", std::to_string(rows) + " and " + std::to_string(cols));
  }
  if (index < 1 || index > rows * cols) refuse("add_subplot", "an index of 1 to " + std::to_string(rows * cols), std::to_string(index));
  if (last < index || last > rows * cols || (last - 1) % cols < (index - 1) % cols) {
    refuse("add_subplot", "a last cell below and right of the first, up to " + std::to_string(rows * cols), std::to_string(index) + " to " + std::to_string(last));
  }
  for (Cell& cell : cells_) if (cell.rows == rows && cell.cols == cols && cell.index == index && cell.last == last) return *cell.axes;
  cells_.push_back({rows, cols, index, last, std::make_unique<Axes>(options_.theme)});
  return *cells_.back().axes;
}

std::vector<Axes*> Figure::axes() const {
  std::vector<Axes*> all;
  for (const Cell& cell : cells_) all.push_back(cell.axes.get());
  return all;
}

void Figure::share(std::string_view x, std::string_view y) {
  for (bool of_x : {true, false}) {
    const std::string_view how = of_x ? x : y;
    if (how != "all" && how != "col" && how != "row" && how != "none") refuse("share", "'all', 'col', 'row' or 'none'", quoted(how));
    if (how == "none") continue;
    auto group = [&](const Cell& cell) { return how == "all" ? 0 : how == "col" ? (cell.index - 1) % cell.cols : (cell.index - 1) / cell.cols; };
    for (Cell& cell : cells_) {
      for (Cell& first : cells_) {
        if (group(first) != group(cell)) continue;
        first.axes->share(*cell.axes, of_x ? "x" : "y");
        break;
      }
      const bool edge = of_x ? (cell.last - 1) / cell.cols + 1 == cell.rows : (cell.index - 1) % cell.cols == 0;
      cell.axes->set_inner(of_x ? "x" : "y", !edge && how != (of_x ? "row" : "col"));
    }
  }
}

void Figure::suptitle(const std::string& title, double size) {
  check_positive("suptitle", "size", size);
  suptitle_ = title, suptitle_size_ = size;
}

void Figure::set_ratios(std::vector<double> widths, std::vector<double> heights) {
  for (const auto* all : {&widths, &heights}) for (double v : *all) check_positive("set_ratios", "ratio", v);
  widths_ = std::move(widths), heights_ = std::move(heights);
}

void Figure::resize(double width, double height) {
  FigureOptions wanted = options_;
  wanted.width = width, wanted.height = height;
  options_ = Figure(wanted).options_;                 // checked
}

void Figure::set_background(const std::string& color) {
  if (!color.empty()) theme_of(options_.theme).resolve(color);
  options_.background = color;
}

// What the outputs share: the cells, the page's size for a resolution, colours.
struct Figure::Sheet {
  std::vector<CellScene> cells;
  std::string title;
  double width, height, px;
  Color background;
  const Theme* theme;
};

Figure::Sheet Figure::sheet(double dpi) const {
  const Theme& theme = theme_of(options_.theme);
  Sheet sheet{{}, suptitle_, std::round(options_.width * dpi), std::round(options_.height * dpi), dpi / 72,
              options_.background.empty() ? theme.background : theme.resolve(options_.background), &theme};
  for (const Cell& cell : cells_) {
    sheet.cells.push_back({cell.rows, cell.cols, cell.index, cell.last, &cell.axes->scene()});
    const std::string& title = cell.axes->scene().title;
    if (!title.empty()) sheet.title += (sheet.title.empty() ? "" : "; ") + title;
  }
  return sheet;
}

std::string Figure::to_svg() const {
  const Sheet s = sheet(options_.dpi);
  SvgCanvas canvas(s.width, s.height, s.title);
  draw_page(canvas, lay_out({s.cells, suptitle_, suptitle_size_, widths_, heights_}, s.width, s.height, s.px), *s.theme, s.width, s.height, s.background);
  return canvas.finish();
}

std::vector<uint8_t> Figure::to_png(double dpi) const {
  const double used = dpi == 0 ? options_.dpi : dpi;
  check_dpi("to_png", used);
  const Sheet s = sheet(used);
  if (s.width * s.height > 2.5e8) refuse("to_png", "at most 250 million pixels", format_value(s.width, "g") + " x " + format_value(s.height, "g"), "a lower dpi, or SVG");
  RasterCanvas canvas(std::max(1, int(s.width)), std::max(1, int(s.height)));
  draw_page(canvas, lay_out({s.cells, suptitle_, suptitle_size_, widths_, heights_}, s.width, s.height, s.px), *s.theme, s.width, s.height, s.background);
  return encode_png(canvas.finish(), used);
}

std::string Figure::to_html() const {
  const Sheet s = sheet(options_.dpi);
  const PageLayout page = lay_out({s.cells, suptitle_, suptitle_size_, widths_, heights_}, s.width, s.height, s.px);
  return hover_page(to_svg(), page, s.title, *s.theme, s.background);
}

std::string Figure::to_text(const TerminalOptions& options) const {
  if (options.width < 20 || options.width > 1000) refuse("to_text", "a width of 20 to 1000 columns", std::to_string(options.width));
  if (options.height != 0 && (options.height < 5 || options.height > 1000)) refuse("to_text", "a height of 5 to 1000 lines", std::to_string(options.height));
  const Sheet s = sheet(options_.dpi);
  const int height = options.height ? options.height : std::clamp(int(std::lround(options.width * options_.height / options_.width / 2)), 8, 200);
  return draw_terminal(s.cells, suptitle_, *s.theme, options.width, height, options.color);
}

std::string Figure::render(std::string_view format, double dpi) const {
  std::string kind(format);
  for (char& c : kind) c = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
  if (kind == "svg" || kind == "html" || kind == "htm" || kind == "txt") {
    if (dpi != 0) check_dpi("save", dpi);
    return kind == "svg" ? to_svg() : kind == "txt" ? to_text({.width = 100, .color = false}) : to_html();
  }
  if (kind != "png") throw Error(ErrorKind::unsupported, "save", "the format 'png', 'svg', 'html' or 'txt'", quoted(kind));
  const std::vector<uint8_t> png = to_png(dpi);
  return {png.begin(), png.end()};
}

void Figure::save(const std::string& path, std::string_view format, double dpi) const {
  const size_t dot = path.find_last_of("./\\");
  std::string kind(format);
  if (kind.empty() && dot != std::string::npos && path[dot] == '.') kind = path.substr(dot + 1);
  if (kind.empty()) {
    throw Error(ErrorKind::unsupported, "save", "a file name ending in .png, .svg, .html or .txt", quoted(path), "or format=");
  }
  const std::string bytes = render(kind, dpi);
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), std::streamsize(bytes.size()));
  file.close();
  if (!file) throw Error(ErrorKind::io, "save", "a file that can be written", quoted(path));
}

}  // namespace miniten::viz
