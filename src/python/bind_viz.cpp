#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>
#include <algorithm>
#include <cstdlib>
#include "miniten/viz/figure.h"
#include "python/bind.h"
#include "python/bind_viz.h"

namespace miniten::python {

namespace {

using namespace nb::literals;
using viz::Axes;
using viz::Figure;

nb::object coloured(nb::handle data, const std::string& name, std::optional<double> vmin, std::optional<double> vmax) {
  Tensor t = to_tensor("colormap", data, {DType::f64});
  Shape shape = t.shape();
  shape.push(3);
  double nan = std::numeric_limits<double>::quiet_NaN();
  return numpy_of(Tensor::of<uint8_t>(shape, viz::colormap(t.to_vector<double>(), name, vmin.value_or(nan), vmax.value_or(nan))));
}

nb::bytes png_of(const Figure& f, double dpi) {
  std::vector<uint8_t> png = f.to_png(dpi);
  return nb::bytes(png.data(), png.size());
}

// The output's width in columns; 80 where it is none.
int terminal_width() {
  nb::object size = nb::module_::import_("shutil").attr("get_terminal_size")();
  return std::clamp(nb::cast<int>(size.attr("columns")), 20, 1000);
}
bool terminal_colors() {
  nb::object out = nb::module_::import_("sys").attr("stdout");
  if (std::getenv("NO_COLOR") || out.is_none() || !nb::hasattr(out, "isatty")) return false;
  const char* term = std::getenv("TERM");
  return nb::cast<bool>(out.attr("isatty")()) && !(term && std::string(term) == "dumb");
}

void write_figure(const Figure& f, nb::object to, nb::object format, std::optional<double> dpi) {
  if (!nb::hasattr(to, "write")) return f.save(path_of(to), word(format), dpi.value_or(0));
  const std::string kind = format.is_none() ? "png" : word(format), bytes = f.render(kind, dpi.value_or(0));
  const bool text = kind != "png" && PyObject_IsInstance(to.ptr(), nb::module_::import_("io").attr("TextIOBase").ptr()) == 1;
  if (text) to.attr("write")(nb::str(bytes.data(), bytes.size()));
  else to.attr("write")(nb::bytes(bytes.data(), bytes.size()));
}

// bbox_inches='tight' is what every figure is; transparent and facecolor hold for this file alone.
void save_figure(Figure& f, nb::object to, nb::object format, std::optional<double> dpi, nb::kwargs given) {
  Keywords more("savefig", given);
  const std::string box = word(more.take({"bbox_inches"})), ground = more.flag({"transparent"}, false) ? "none" : more.color({"facecolor"});
  more.take({"facecolor"});
  if (!box.empty() && box != "tight") throw Error(ErrorKind::value, "savefig", "bbox_inches 'tight'", "'" + box + "'", "figsize is the size");
  more.done("format, dpi, bbox_inches='tight', transparent, facecolor");
  struct Back {
    Figure& figure;
    std::string before = figure.options().background;
    ~Back() { figure.set_background(before); }
  } back{f};
  if (!ground.empty()) f.set_background(ground);
  write_figure(f, to, format, dpi);
}

// index: a cell from 1, or (first, last).
Axes& subplot(Figure& f, int rows, int cols, nb::handle index) {
  if (PyTuple_Check(index.ptr()) || PyList_Check(index.ptr())) {
    const auto [first, last] = nb::cast<std::pair<int, int>>(index);
    return f.add_subplot(rows, cols ? cols : 1, first, last);
  }
  const int at = int(integer_of("add_subplot", index));
  if (cols == 0 && at == 0 && rows > 99) return f.add_subplot(rows / 100, rows / 10 % 10, rows % 10);  // 211
  return f.add_subplot(rows, cols ? cols : 1, at ? at : 1);
}

void colorbar(Figure& f, nb::handle mark, nb::handle ax, nb::handle label) {
  nb::object target = !ax.is_none() ? nb::borrow(ax) : !mark.is_none() ? nb::borrow(mark.attr("axes")) : nb::none();
  if (!target.is_none()) return nb::cast<Axes&>(target).colorbar(word(label));
  if (f.axes().empty()) throw Error(ErrorKind::value, "colorbar", "a figure with axes", "none");
  f.axes().back()->colorbar(word(label));
}

#define ARRAY "numpy.typing.ArrayLike"

}  // namespace

void bind_viz(nb::module_& m) {
  bind_axes(m);
  nb::class_<Figure>(m, "Figure", nb::is_weak_referenceable(), "A page of axes, laid out so that nothing overlaps.")
      .def("__init__", [](Figure* self, std::pair<double, double> figsize, double dpi, std::string theme, nb::object facecolor) {
          new (self) Figure({figsize.first, figsize.second, dpi, theme, word(facecolor)});
        }, "figsize"_a = std::pair(8.0, 6.0), "dpi"_a = 100.0, "theme"_a = "light", "facecolor"_a = nb::none(),
        nb::sig("def __init__(self, figsize: tuple[float, float] = (8, 6), dpi: float = 100, theme: str = 'light', facecolor: str | None = None) -> None"))
      .def("add_subplot", [](Figure& f, int rows, int cols, nb::object index) -> Axes& { return subplot(f, rows, cols, index); },
           "rows"_a = 1, "cols"_a = 0, "index"_a = 0, nb::rv_policy::reference_internal,
           nb::sig("def add_subplot(self, rows: int = 1, cols: int = 0, index: int | tuple[int, int] = 0) -> Axes"),
           "The cell index (from 1, row by row) of a grid, or the cells from one to another; the same cell gives the same axes.")
      .def_prop_ro("axes", [](Figure& f) { return f.axes(); }, nb::rv_policy::reference_internal, "All axes, in the order of their making.")
      .def("_share", [](Figure& f, std::string x, std::string y) { f.share(x, y); }, "x"_a, "y"_a)
      .def("_set_ratios", [](Figure& f, nb::object widths, nb::object heights) {
          f.set_ratios(widths.is_none() ? std::vector<double>() : numbers("subplots", widths), heights.is_none() ? std::vector<double>() : numbers("subplots", heights));
        }, "widths"_a.none(), "heights"_a.none())
      .def("gca", [](nb::handle self) { return self.attr("axes").attr("__len__")().equal(nb::int_(0)) ? nb::object(self.attr("add_subplot")()) : nb::object(self.attr("axes")[-1]); },
           nb::sig("def gca(self) -> Axes"), "The axes made last; those of the whole figure where there are none.")
      .def("set_size_inches", [](Figure& f, nb::object width, std::optional<double> height) {
          const std::vector<double> size = height ? std::vector<double>{nb::cast<double>(nb::float_(width)), *height} : numbers("set_size_inches", width);
          if (size.size() != 2) throw Error(ErrorKind::value, "set_size_inches", "a width and a height", std::to_string(size.size()) + " numbers");
          f.resize(size[0], size[1]);
        }, "width"_a, "height"_a = nb::none())
      .def("autofmt_xdate", [](Figure& f, double rotation) { for (Axes* a : f.axes()) a->set_xtick_rotation(rotation); }, "rotation"_a = 30.0)
      .def("colorbar", [](Figure& f, nb::object mark, nb::object ax, nb::object label) { colorbar(f, mark, ax, label); },
           "mark"_a = nb::none(), "ax"_a = nb::none(), "label"_a = nb::none(), "Of what imshow, heatmap, scatter or contour gave, or of the last of these in ax.")
      .def("suptitle", [](Figure& f, std::string title, nb::kwargs more) {
          Keywords words("suptitle", more);
          nb::object size = words.take({"fontsize", "size"});
          words.done("fontsize (size)");
          f.suptitle(title, size.is_none() ? 14 : font_size("suptitle", size));
        }, "title"_a, "more"_a)
      .def("tight_layout", [](Figure&) {}, "Figures are always laid out tightly; here for matplotlib's sake.")
      .def("to_svg", &Figure::to_svg, "The figure as one <svg> element that may stand inline in HTML.")
      .def("to_png", [](const Figure& f, std::optional<double> dpi) { return png_of(f, dpi.value_or(0)); }, "dpi"_a = nb::none(), nb::sig("def to_png(self, dpi: float | None = None) -> bytes"))
      .def("to_html", &Figure::to_html, "A whole page that shows the values under the pointer; it needs nothing from outside.")
      .def("to_text", [](const Figure& f, std::optional<int> width, std::optional<int> height, std::optional<bool> color) {
          return f.to_text({width ? *width : terminal_width(), height.value_or(0), color ? *color : terminal_colors()});
        }, "width"_a = nb::none(), "height"_a = nb::none(), "color"_a = nb::none(),
        "The figure for a terminal, in braille dots and blocks. width: the terminal's own by default; color: ANSI colours, by default where the output is a terminal and NO_COLOR is not set.")
      .def("show", [](nb::object self) { nb::module_::import_("miniten.viz").attr("show")(self); }, nb::sig("def show(self) -> None"), "As an image in a notebook, else as text on the standard output.")
      .def("close", [](nb::object self) { nb::module_::import_("miniten.viz").attr("close")(self); }, nb::sig("def close(self) -> None"), "miniten.viz forgets the figure.")
      .def("_repr_svg_", &Figure::to_svg)
      .def("_repr_png_", [](const Figure& f) { return png_of(f, 0); })
      .def_prop_ro("figsize", [](const Figure& f) { return std::pair(f.options().width, f.options().height); })
      .def_prop_ro("dpi", [](const Figure& f) { return f.options().dpi; })
      .def_prop_ro("theme", [](const Figure& f) { return f.options().theme; });
  nb::class_<Figure> figure = nb::borrow<nb::class_<Figure>>(nb::type<Figure>());
  for (const char* name : {"save", "savefig"})
    figure.def(name, save_figure, "filename"_a, "format"_a = nb::none(), "dpi"_a = nb::none(), "more"_a,
      nb::sig((std::string("def ") + name + "(self, filename: str | os.PathLike[str] | typing.IO[typing.Any], format: str | None = None, dpi: float | None = None, **more: typing.Any) -> None").c_str()),
      "Writes to a path, whose extension says how ('.png', '.svg', '.html', '.txt') unless format does, or to an open file (PNG unless format says else).");
  m.def("colormap", [](ArrayLike data, std::string name, std::optional<double> vmin, std::optional<double> vmax) { return coloured(data.object, name, vmin, vmax); },
        "data"_a, "name"_a = "viridis", "vmin"_a = nb::none(), "vmax"_a = nb::none(), nb::sig("def colormap(data: " ARRAY ", name: str = 'viridis', vmin: float | None = None, vmax: float | None = None) -> numpy.ndarray"),
        "uint8 RGB of the data's shape and a last axis of 3; NaN is grey.");
  m.def("get_color", viz::get_color, "index"_a, "The cycle's colour as '#rrggbb'.");
  m.def("colormap_names", viz::colormap_names);
}

}  // namespace miniten::python
