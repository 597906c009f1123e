#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>
#include <nanobind/stl/pair.h>
#include <algorithm>
#include <cstdlib>
#include "miniten/viz/figure.h"
#include "python/bind.h"

namespace miniten::python {

namespace {

using namespace nb::literals;
using viz::Axes;
using viz::Figure;

std::vector<double> numbers(const char* what, nb::handle o) {
  Tensor t = to_tensor(what, o, {DType::f64});
  std::vector<double> out = t.to_vector<double>();
  return out;
}
std::vector<std::string> strings(nb::handle o) {
  std::vector<std::string> out;
  if (o.is_none()) return out;
  for (nb::handle s : o) out.push_back(nb::cast<std::string>(nb::str(s)));
  return out;
}
bool is_text_list(nb::handle o) {
  if (!PySequence_Check(o.ptr()) || PyUnicode_Check(o.ptr()) || nb::isinstance<Tensor::Impl>(o) || nb::hasattr(o, "dtype")) return false;
  for (nb::handle s : o) if (!PyUnicode_Check(s.ptr())) return false;
  return nb::len(o) > 0;
}
std::string word(nb::handle o) { return o.is_none() ? "" : nb::cast<std::string>(nb::str(o)); }

struct Grid {                        // a matrix of numbers
  std::vector<double> values;
  int64_t rows, cols;
};
Grid matrix(const char* what, nb::handle o) {
  Tensor t = to_tensor(what, o, {DType::f64});
  if (t.rank() != 2) throw Error(ErrorKind::value, what, "data of two axes", t.shape().text());
  return {t.to_vector<double>(), t.dim(0), t.dim(1)};
}

void plot(Axes& a, nb::object x, nb::object y, nb::object format, nb::object color, nb::object linestyle, double linewidth, nb::object marker, double markersize, nb::object label, double alpha) {
  if (nb::isinstance<nb::str>(y)) std::swap(y, format);          // plot(y, 'r--')
  viz::LineStyle s = format.is_none() || !nb::isinstance<nb::str>(format) ? viz::LineStyle{} : viz::line_format(nb::cast<std::string>(format));
  if (!color.is_none()) s.color = word(color);
  if (!linestyle.is_none()) s.linestyle = word(linestyle);
  if (!marker.is_none()) s.marker = word(marker);
  s.linewidth = linewidth;
  s.markersize = markersize;
  s.label = word(label);
  s.alpha = alpha;
  if (y.is_none()) a.plot(numbers("plot", x), s);
  else a.plot(numbers("plot", x), numbers("plot", y), s);
}

viz::LineStyle rule(nb::handle color, const std::string& linestyle, double linewidth, nb::handle label, double alpha) {
  viz::LineStyle s;
  s.color = word(color);
  s.linestyle = linestyle;
  s.linewidth = linewidth;
  s.label = word(label);
  s.alpha = alpha;
  return s;
}

void bar(Axes& a, bool horizontal, nb::handle x, nb::handle height, double width, nb::handle bottom, nb::handle color, nb::handle edgecolor, nb::handle label, nb::handle value_format, double alpha) {
  viz::BarStyle s;
  s.width = width;
  if (PyList_Check(color.ptr()) || PyTuple_Check(color.ptr())) s.colors = strings(color);
  else s.color = word(color);
  s.edgecolor = word(edgecolor);
  if (!bottom.is_none()) {
    s.bottom = numbers("bar", bottom);
  }
  s.label = word(label);
  s.value_format = word(value_format);
  s.alpha = alpha;
  std::vector<double> h = numbers("bar", height);
  if (is_text_list(x)) horizontal ? a.barh(strings(x), h, s) : a.bar(strings(x), h, s);
  else horizontal ? a.barh(numbers("bar", x), h, s) : a.bar(numbers("bar", x), h, s);
}

nb::object array_of(const std::vector<double>& v) { return numpy_of(Tensor::of<double>({int64_t(v.size())}, v)); }

nb::tuple hist(Axes& a, nb::handle data, nb::handle bins, bool density, nb::handle range, nb::handle color, nb::handle edgecolor, nb::handle label, double alpha) {
  viz::HistStyle s;
  s.density = density;
  if (!range.is_none()) {
    std::vector<double> r = numbers("hist", range);
    if (r.size() != 2) throw Error(ErrorKind::value, "hist", "range as (low, high)", std::to_string(r.size()) + " values");
    s.lo = r[0];
    s.hi = r[1];
  }
  s.color = word(color);
  s.edgecolor = word(edgecolor);
  s.label = word(label);
  s.alpha = alpha;
  std::vector<double> x = numbers("hist", data);
  viz::Histogram h = PyIndex_Check(bins.ptr()) && !nb::hasattr(bins, "__len__") ? a.hist(x, int(integer_of("hist", bins)), s) : a.hist(x, numbers("hist", bins), s);
  return nb::make_tuple(array_of(h.counts), array_of(h.edges));
}

void imshow(Axes& a, nb::handle data, const std::string& cmap, std::optional<double> vmin, std::optional<double> vmax, const std::string& aspect, const std::string& origin) {
  viz::ImageStyle s{cmap, vmin, vmax, aspect, origin};
  Tensor t = to_tensor("imshow", data);
  if (t.rank() == 2) {
    Grid g = matrix("imshow", data);
    return a.imshow(g.values, g.rows, g.cols, s);
  }
  if (t.rank() != 3) throw Error(ErrorKind::value, "imshow", "data (H, W) or an image (H, W, 1, 3 or 4)", t.shape().text());
  std::vector<uint8_t> pixels;
  if (t.dtype() == DType::u8) pixels = t.to_vector<uint8_t>();
  else if (is_float(t.dtype())) {
    for (double v : to_tensor("imshow", data, {DType::f64}).to_vector<double>()) pixels.push_back(uint8_t(std::min(1.0, std::max(0.0, v == v ? v : 0.0)) * 255 + 0.5));
  } else throw Error(ErrorKind::type, "imshow", "an image of uint8, or floats in [0, 1]", t.spec().text());
  a.imshow(pixels, t.dim(0), t.dim(1), t.dim(2), s);
}

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

void save_figure(const Figure& f, nb::object to, nb::object format, std::optional<double> dpi) {
  if (!nb::hasattr(to, "write")) return f.save(path_of(to), word(format), dpi.value_or(0));
  const std::string kind = format.is_none() ? "png" : word(format), bytes = f.render(kind, dpi.value_or(0));
  const bool text = kind != "png" && PyObject_IsInstance(to.ptr(), nb::module_::import_("io").attr("TextIOBase").ptr()) == 1;
  if (text) to.attr("write")(nb::str(bytes.data(), bytes.size()));
  else to.attr("write")(nb::bytes(bytes.data(), bytes.size()));
}

#define ARRAY "numpy.typing.ArrayLike"

void bind_axes(nb::module_& m) {
  nb::class_<Axes>(m, "Axes", "One plot of a Figure. Data are copied; NaN and infinities are gaps.")
      .def("plot", plot, "x"_a, "y"_a = nb::none(), "fmt"_a = nb::none(), "color"_a = nb::none(), "linestyle"_a = nb::none(), "linewidth"_a = 1.5, "marker"_a = nb::none(), "markersize"_a = 6.0,
           "label"_a = nb::none(), "alpha"_a = 1.0, "plot(y), plot(x, y), plot(x, y, 'r--o'): a line, with markers where asked.")
      .def("scatter", [](Axes& a, ArrayLike x, ArrayLike y, double s, nb::object c, std::string marker, std::string cmap, std::optional<double> vmin, std::optional<double> vmax,
                         nb::object edgecolor, nb::object label, double alpha) {
          viz::ScatterStyle style;
          style.size = s;
          if (nb::isinstance<nb::str>(c)) style.color = word(c);
          else if (!c.is_none()) style.values = numbers("scatter", c);
          style.marker = marker;
          style.cmap = cmap;
          style.vmin = vmin;
          style.vmax = vmax;
          style.edgecolor = word(edgecolor);
          style.label = word(label);
          style.alpha = alpha;
          a.scatter(numbers("scatter", x.object), numbers("scatter", y.object), style);
        }, "x"_a, "y"_a, "s"_a = 20.0, "c"_a = nb::none(), "marker"_a = "o", "cmap"_a = "viridis", "vmin"_a = nb::none(), "vmax"_a = nb::none(), "edgecolor"_a = nb::none(),
        "label"_a = nb::none(), "alpha"_a = 1.0, "c: a colour, or a number for each point, coloured by cmap.")
      .def("bar", [](Axes& a, nb::object x, nb::object height, double width, nb::object bottom, nb::object color, nb::object edgecolor, nb::object label, nb::object value_format, double alpha) {
          bar(a, false, x, height, width, bottom, color, edgecolor, label, value_format, alpha);
        }, "x"_a, "height"_a, "width"_a = 0.8, "bottom"_a = nb::none(), "color"_a = nb::none(), "edgecolor"_a = nb::none(), "label"_a = nb::none(), "value_format"_a = nb::none(), "alpha"_a = 1.0,
        "x: positions or category names. value_format ('.1f') writes each bar's value.")
      .def("barh", [](Axes& a, nb::object y, nb::object width, double height, nb::object left, nb::object color, nb::object edgecolor, nb::object label, nb::object value_format, double alpha) {
          bar(a, true, y, width, height, left, color, edgecolor, label, value_format, alpha);
        }, "y"_a, "width"_a, "height"_a = 0.8, "left"_a = nb::none(), "color"_a = nb::none(), "edgecolor"_a = nb::none(), "label"_a = nb::none(), "value_format"_a = nb::none(), "alpha"_a = 1.0)
      .def("grouped_bar", [](Axes& a, nb::object categories, nb::object series, nb::object values, double width, nb::object colors, nb::object value_format, bool stacked, bool horizontal) {
          Grid g = matrix("grouped_bar", values);
          std::vector<std::string> names = strings(series), groups = strings(categories);
          if (g.rows != int64_t(names.size()) || g.cols != int64_t(groups.size()))
            throw Error(ErrorKind::value, "grouped_bar", "values (" + std::to_string(names.size()) + ", " + std::to_string(groups.size()) + ")", "(" + std::to_string(g.rows) + ", " + std::to_string(g.cols) + ")");
          a.grouped_bar(groups, names, g.values, {width, strings(colors), word(value_format), stacked, horizontal});
        }, "categories"_a, "series"_a, "values"_a, "width"_a = 0.8, "colors"_a = nb::none(), "value_format"_a = nb::none(), "stacked"_a = false, "horizontal"_a = false,
        "values: a row for each series, a column for each category.")
      .def("hist", [](Axes& a, ArrayLike x, nb::object bins, bool density, nb::object range, nb::object color, nb::object edgecolor, nb::object label, double alpha) {
          return hist(a, x.object, bins, density, range, color, edgecolor, label, alpha);
        }, "x"_a, "bins"_a = 10, "density"_a = false, "range"_a = nb::none(), "color"_a = nb::none(), "edgecolor"_a = nb::none(), "label"_a = nb::none(), "alpha"_a = 1.0,
        "-> (counts, edges), as NumPy's histogram. bins: a number, or the edges.")
      .def("imshow", [](Axes& a, ArrayLike data, std::string cmap, std::optional<double> vmin, std::optional<double> vmax, std::string aspect, std::string origin) {
          imshow(a, data.object, cmap, vmin, vmax, aspect, origin);
        }, "data"_a, "cmap"_a = "viridis", "vmin"_a = nb::none(), "vmax"_a = nb::none(), "aspect"_a = "equal", "origin"_a = "upper", "(H, W) numbers by colour map, or an image (H, W, 1, 3 or 4).")
      .def("heatmap", [](Axes& a, ArrayLike data, std::string cmap, std::optional<double> vmin, std::optional<double> vmax, bool annot, std::string fmt, bool cbar, nb::object xlabels, nb::object ylabels,
                         nb::object cbar_label, bool square, double linewidth) {
          Grid g = matrix("heatmap", data.object);
          a.heatmap(g.values, g.rows, g.cols, {cmap, vmin, vmax, annot, fmt, strings(xlabels), strings(ylabels), cbar, word(cbar_label), square, linewidth});
        }, "data"_a, "cmap"_a = "viridis", "vmin"_a = nb::none(), "vmax"_a = nb::none(), "annot"_a = false, "fmt"_a = ".2f", "cbar"_a = true, "xlabels"_a = nb::none(), "ylabels"_a = nb::none(),
        "cbar_label"_a = nb::none(), "square"_a = false, "linewidth"_a = 0.0, "A matrix by colour; annot writes the values.")
      .def("colorbar", [](Axes& a, nb::object label) { a.colorbar(word(label)); }, "label"_a = nb::none(), "Of the last image, heatmap or coloured scatter.")
      .def("fill_between", [](Axes& a, ArrayLike x, ArrayLike y1, nb::object y2, nb::object color, double alpha, nb::object label) {
          std::vector<double> low = numbers("fill_between", y1.object), high = numbers("fill_between", y2);
          if (high.size() == 1) high.assign(low.size(), high[0]);
          a.fill_between(numbers("fill_between", x.object), low, high, {word(color), alpha, word(label)});
        }, "x"_a, "y1"_a, "y2"_a = 0.0, "color"_a = nb::none(), "alpha"_a = 0.3, "label"_a = nb::none())
      .def("axhline", [](Axes& a, double y, nb::object color, std::string linestyle, double linewidth, nb::object label, double alpha) { a.axhline(y, rule(color, linestyle, linewidth, label, alpha)); },
           "y"_a = 0.0, "color"_a = nb::none(), "linestyle"_a = "-", "linewidth"_a = 1.5, "label"_a = nb::none(), "alpha"_a = 1.0)
      .def("axvline", [](Axes& a, double x, nb::object color, std::string linestyle, double linewidth, nb::object label, double alpha) { a.axvline(x, rule(color, linestyle, linewidth, label, alpha)); },
           "x"_a = 0.0, "color"_a = nb::none(), "linestyle"_a = "-", "linewidth"_a = 1.5, "label"_a = nb::none(), "alpha"_a = 1.0)
      .def("text", [](Axes& a, double x, double y, std::string s, nb::object color, double fontsize, std::string ha, std::string va, double rotation, bool bold) {
          a.text(x, y, s, {word(color), fontsize, ha, va, rotation, bold});
        }, "x"_a, "y"_a, "s"_a, "color"_a = nb::none(), "fontsize"_a = 10.0, "ha"_a = "left", "va"_a = "baseline", "rotation"_a = 0.0, "bold"_a = false, "In data coordinates.")
      .def("set_title", &Axes::set_title, "title"_a)
      .def("set_xlabel", &Axes::set_xlabel, "label"_a)
      .def("set_ylabel", &Axes::set_ylabel, "label"_a)
      .def("set_xlim", &Axes::set_xlim, "left"_a, "right"_a)
      .def("set_ylim", &Axes::set_ylim, "bottom"_a, "top"_a)
      .def("set_xscale", [](Axes& a, std::string scale) { a.set_xscale(scale); }, "scale"_a, "'linear' or 'log'.")
      .def("set_yscale", [](Axes& a, std::string scale) { a.set_yscale(scale); }, "scale"_a, "'linear' or 'log'.")
      .def("set_xticks", [](Axes& a, ArrayLike positions, nb::object labels) { a.set_xticks(numbers("set_xticks", positions.object), strings(labels)); }, "positions"_a, "labels"_a = nb::none())
      .def("set_yticks", [](Axes& a, ArrayLike positions, nb::object labels) { a.set_yticks(numbers("set_yticks", positions.object), strings(labels)); }, "positions"_a, "labels"_a = nb::none())
      .def("set_axis", &Axes::set_axis, "visible"_a, "False: no frame, ticks or labels.")
      .def("grid", [](Axes& a, bool on, std::string axis) { a.grid(on, axis); }, "visible"_a = true, "axis"_a = "both")
      .def("legend", [](Axes& a, std::string loc, int ncols) { a.legend(loc, ncols); }, "loc"_a = "best", "ncols"_a = 1);
}

}  // namespace

void bind_viz(nb::module_& m) {
  bind_axes(m);
  nb::class_<Figure>(m, "Figure", nb::is_weak_referenceable(), "A page of axes, laid out so that nothing overlaps.")
      .def("__init__", [](Figure* self, std::pair<double, double> figsize, double dpi, std::string theme, nb::object facecolor) {
          new (self) Figure({figsize.first, figsize.second, dpi, theme, word(facecolor)});
        }, "figsize"_a = std::pair(8.0, 6.0), "dpi"_a = 100.0, "theme"_a = "light", "facecolor"_a = nb::none(),
        nb::sig("def __init__(self, figsize: tuple[float, float] = (8, 6), dpi: float = 100, theme: str = 'light', facecolor: str | None = None) -> None"))
      .def("add_subplot", [](Figure& f, int rows, int cols, int index) -> Axes& {
          if (cols == 0 && index == 0 && rows > 99) return f.add_subplot(rows / 100, rows / 10 % 10, rows % 10);      // 211
          return f.add_subplot(rows, cols ? cols : 1, index ? index : 1);
        }, "rows"_a = 1, "cols"_a = 0, "index"_a = 0, nb::rv_policy::reference_internal, "The cell index (from 1, row by row) of a grid; the same cell gives the same axes.")
      .def("suptitle", &Figure::suptitle, "title"_a)
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
    figure.def(name, save_figure, "filename"_a, "format"_a = nb::none(), "dpi"_a = nb::none(),
      nb::sig((std::string("def ") + name + "(self, filename: str | os.PathLike[str] | typing.IO[typing.Any], format: str | None = None, dpi: float | None = None) -> None").c_str()),
      "Writes to a path, whose extension says how ('.png', '.svg', '.html', '.txt') unless format does, or to an open file (PNG unless format says else).");
  m.def("colormap", [](ArrayLike data, std::string name, std::optional<double> vmin, std::optional<double> vmax) { return coloured(data.object, name, vmin, vmax); },
        "data"_a, "name"_a = "viridis", "vmin"_a = nb::none(), "vmax"_a = nb::none(), nb::sig("def colormap(data: " ARRAY ", name: str = 'viridis', vmin: float | None = None, vmax: float | None = None) -> numpy.ndarray"),
        "uint8 RGB of the data's shape and a last axis of 3; NaN is grey.");
  m.def("get_color", viz::get_color, "index"_a, "The cycle's colour as '#rrggbb'.");
  m.def("colormap_names", viz::colormap_names);
}

}  // namespace miniten::python
