#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>
#include "miniten/viz/color.h"
#include "python/bind.h"
#include "python/bind_viz.h"

namespace miniten::python {

using namespace nb::literals;
using viz::Axes;

namespace {

// matplotlib's short names: c, lw, ls, ms.
void line_aliases(const char* op, const nb::kwargs& more, viz::LineStyle& s) {
  for (auto [key, value] : more) {
    const std::string name = word(key);
    if (name == "c") s.color = color_of(op, value);
    else if (name == "ls") s.linestyle = word(value);
    else if (name == "lw") s.linewidth = nb::cast<double>(nb::float_(value));
    else if (name == "ms") s.markersize = nb::cast<double>(nb::float_(value));
    else throw Error(ErrorKind::type, op, "an argument it knows", "'" + name + "'", "color (c), linestyle (ls), linewidth (lw), marker, markersize (ms), label, alpha");
  }
}
viz::LineStyle line_style(const char* op, nb::handle format, nb::handle color, nb::handle linestyle, double linewidth, nb::handle marker, double markersize,
                          nb::handle label, double alpha, const nb::kwargs& more) {
  viz::LineStyle s;
  if (!format.is_none()) {
    const std::string text = nb::cast<std::string>(format);
    try {
      s = viz::line_format(text);
    } catch (const Error&) {                               // plot(x, y, 'steelblue')
      try {
        viz::parse_color(text);
      } catch (const Error&) {
        viz::line_format(text);                            // says what is wrong with it
      }
      s.color = text;
    }
  }
  if (!color.is_none()) s.color = color_of(op, color);
  if (!linestyle.is_none()) s.linestyle = word(linestyle);
  if (!marker.is_none()) s.marker = word(marker);
  s.linewidth = linewidth;
  s.markersize = markersize;
  if (!PyList_Check(label.ptr())) s.label = word(label);
  s.alpha = alpha;
  line_aliases(op, more, s);
  if (s.linestyle == "solid") s.linestyle = "-";
  if (s.linestyle == "dashed") s.linestyle = "--";
  if (s.linestyle == "dotted") s.linestyle = ":";
  if (s.linestyle == "dashdot") s.linestyle = "-.";
  return s;
}

nb::list plot(nb::handle self, nb::object x, nb::object y, nb::object format, nb::object color, nb::object linestyle, double linewidth, nb::object marker,
              double markersize, nb::object label, double alpha, nb::kwargs more) {
  Axes& a = nb::cast<Axes&>(self);
  if (nb::isinstance<nb::str>(y)) std::swap(y, format);  // plot(y, 'r--')
  viz::LineStyle s = line_style("plot", format, color, linestyle, linewidth, marker, markersize, label, alpha, more);
  nb::object values = y.is_none() ? x : y;
  nb::list marks;
  Tensor t = is_text(values) || is_date(values) ? Tensor() : to_tensor("plot", values, {DType::f64});
  const bool table = bool(t) && t.rank() == 2;
  const std::vector<double> all = table ? t.to_vector<double>() : positions(a, "y", "plot", values);
  const size_t rows = table ? size_t(t.dim(0)) : all.size(), columns = table ? size_t(t.dim(1)) : 1;
  std::vector<double> across;
  if (!y.is_none()) across = positions(a, "x", "plot", x);
  else for (size_t i = 0; i < rows; ++i) across.push_back(double(i));
  const std::vector<std::string> labels = PyList_Check(label.ptr()) ? strings(label) : std::vector<std::string>();
  if (!labels.empty() && labels.size() != columns)
    throw Error(ErrorKind::value, "plot", "a label for each of " + std::to_string(columns) + " columns", std::to_string(labels.size()));
  for (size_t c = 0; c < columns; ++c) {
    std::vector<double> along(rows);
    for (size_t r = 0; r < rows; ++r) along[r] = all[r * columns + c];
    if (!labels.empty()) s.label = labels[c];
    a.plot(across, along, s);
    marks.append(last_mark(self));
  }
  return marks;
}

viz::LineStyle rule(const char* op, nb::handle color, nb::handle linestyle, double linewidth, nb::handle label, double alpha, const nb::kwargs& more) {
  return line_style(op, nb::none(), color, linestyle, linewidth, nb::none(), 6, label, alpha, more);
}

viz::Errors errors_of(const char* op, nb::handle o, size_t points) {
  viz::Errors e;
  if (o.is_none()) return e;
  Tensor t = to_tensor(op, o, {DType::f64});
  const std::vector<double> v = t.to_vector<double>();
  if (t.rank() == 2 && t.dim(0) == 2) {
    e.low.assign(v.begin(), v.begin() + t.dim(1)), e.high.assign(v.begin() + t.dim(1), v.end());
  } else if (t.rank() < 2) {
    e.low = e.high = v.size() == 1 ? std::vector<double>(points, v[0]) : v;
  } else {
    throw Error(ErrorKind::value, op, "errors (n,) or (2, n)", t.shape().text());
  }
  return e;
}

nb::object bar(nb::handle self, bool horizontal, nb::handle x, nb::handle height, double width, nb::handle bottom, nb::handle color, nb::handle edgecolor,
               nb::handle label, nb::handle value_format, double alpha, nb::handle error, double capsize) {
  Axes& a = nb::cast<Axes&>(self);
  const char* op = horizontal ? "barh" : "bar";
  viz::BarStyle s;
  s.width = width;
  if (is_color_list(color)) s.colors = colors_of(op, color);
  else s.color = color_of(op, color);
  s.edgecolor = color_of(op, edgecolor);
  if (!bottom.is_none()) s.bottom = numbers(op, bottom);
  s.label = word(label);
  s.value_format = word(value_format);
  s.alpha = alpha;
  std::vector<double> h = numbers(op, height);
  const viz::Errors errors = errors_of(op, error, h.size());
  if (is_text(x)) horizontal ? a.barh(strings(x), h, s) : a.bar(strings(x), h, s);
  else {
    const std::vector<double> at = positions(a, horizontal ? "y" : "x", op, x);
    if (h.size() == 1 && at.size() > 1) h.assign(at.size(), h[0]);
    horizontal ? a.barh(at, h, s) : a.bar(at, h, s);
  }
  nb::object mark = last_mark(self);
  if (!error.is_none()) {
    const std::vector<double> at = positions(a, horizontal ? "y" : "x", op, x);
    std::vector<double> ends = h;
    for (size_t i = 0; i < ends.size() && !s.bottom.empty(); ++i) ends[i] += s.bottom[s.bottom.size() == 1 ? 0 : i];
    viz::ErrorBarStyle whiskers{{.color = "0.35", .linestyle = "none"}, "", 1.2, capsize};
    horizontal ? a.errorbar(ends, at, {}, errors, whiskers) : a.errorbar(at, ends, errors, {}, whiskers);
  }
  return mark;
}

std::pair<double, double> limits(nb::handle a, nb::handle b, std::pair<double, double> now) {
  if (b.is_none() && (PyTuple_Check(a.ptr()) || PyList_Check(a.ptr()))) return nb::cast<std::pair<double, double>>(a);
  return {a.is_none() ? now.first : nb::cast<double>(nb::float_(a)), b.is_none() ? now.second : nb::cast<double>(nb::float_(b))};
}

// set(title='Loss', xlabel='epoch', ...): the setter of each name.
void set_all(nb::handle self, nb::kwargs all) {
  for (auto [key, value] : all) {
    const std::string name = "set_" + word(key);
    if (!nb::hasattr(self, name.c_str())) throw Error(ErrorKind::type, "set", "names that Axes has a setter for", "'" + word(key) + "'");
    self.attr(name.c_str())(value);
  }
}

void bind_marks(nb::class_<Axes>& axes);
void bind_settings(nb::class_<Axes>& axes);

}  // namespace

void bind_axes(nb::module_& m) {
  nb::class_<Axes> axes(m, "Axes", nb::is_weak_referenceable(), "One plot of a Figure. Data are copied; NaN and infinities are gaps.");
  nb::class_<Mark>(m, "Mark", "What a plotting call drew.")
      .def_prop_ro("axes", [](const Mark& mark) { return mark.axes; }, nb::sig("def axes(self) -> Axes"))
      .def_prop_rw("label", [](const Mark& mark) { return nb::cast<Axes&>(mark.axes).mark_label(mark.index); },
                   [](Mark& mark, std::string label) { nb::cast<Axes&>(mark.axes).set_mark_label(mark.index, label); })
      .def("set_label", [](Mark& mark, std::string label) { nb::cast<Axes&>(mark.axes).set_mark_label(mark.index, label); }, "label"_a);
  bind_marks(axes);
  bind_fields(axes);
  bind_settings(axes);
}

namespace {

void bind_marks(nb::class_<Axes>& axes) {
  axes.def("plot", plot, "x"_a, "y"_a = nb::none(), "fmt"_a = nb::none(), "color"_a = nb::none(), "linestyle"_a = nb::none(), "linewidth"_a = 1.5, "marker"_a = nb::none(), "markersize"_a = 6.0,
           "label"_a = nb::none(), "alpha"_a = 1.0, "more"_a,
           "plot(y), plot(x, y), plot(x, y, 'r--o'): a line, with markers where asked; of a matrix y, a line per column -> the marks.")
      .def("step", [](nb::handle self, nb::object x, nb::object y, std::string where, nb::object color, nb::object linestyle, double linewidth, nb::object label, double alpha, nb::kwargs more) {
          Axes& a = nb::cast<Axes&>(self);
          a.step(positions(a, "x", "step", x), numbers("step", y), where, rule("step", color, linestyle, linewidth, label, alpha, more));
          return last_mark(self);
        }, "x"_a, "y"_a, "where"_a = "pre", "color"_a = nb::none(), "linestyle"_a = nb::none(), "linewidth"_a = 1.5, "label"_a = nb::none(), "alpha"_a = 1.0, "more"_a)
      .def("errorbar", [](nb::handle self, nb::object x, nb::object y, nb::object yerr, nb::object xerr, nb::object fmt, nb::object color, nb::object ecolor, double elinewidth, double capsize,
                          nb::object linestyle, double linewidth, nb::object marker, double markersize, nb::object label, double alpha, nb::kwargs more) {
          Axes& a = nb::cast<Axes&>(self);
          const std::vector<double> across = positions(a, "x", "errorbar", x), along = numbers("errorbar", y);
          viz::ErrorBarStyle s;
          s.line = line_style("errorbar", fmt, color, linestyle, linewidth, marker, markersize, label, alpha, more);
          s.color = color_of("errorbar", ecolor);
          s.linewidth = elinewidth, s.capsize = capsize;
          a.errorbar(across, along, errors_of("errorbar", yerr, across.size()), errors_of("errorbar", xerr, across.size()), s);
          return last_mark(self);
        }, "x"_a, "y"_a, "yerr"_a = nb::none(), "xerr"_a = nb::none(), "fmt"_a = nb::none(), "color"_a = nb::none(), "ecolor"_a = nb::none(), "elinewidth"_a = 1.2, "capsize"_a = 3.0,
        "linestyle"_a = nb::none(), "linewidth"_a = 1.5, "marker"_a = nb::none(), "markersize"_a = 6.0, "label"_a = nb::none(), "alpha"_a = 1.0, "more"_a,
        "A line with whiskers: an error for all, (n,), or (2, n) for lower and upper.")
      .def("scatter", [](nb::handle self, nb::object x, nb::object y, nb::object s, nb::object c, std::string marker, std::string cmap, std::optional<double> vmin, std::optional<double> vmax,
                         nb::object edgecolor, nb::object label, double alpha, nb::object color) {
          Axes& a = nb::cast<Axes&>(self);
          viz::ScatterStyle style;
          if (PyFloat_Check(s.ptr()) || PyLong_Check(s.ptr())) style.size = nb::cast<double>(s);
          else if (!s.is_none()) style.sizes = flat("scatter", s);
          const bool one = c.is_none() || nb::isinstance<nb::str>(c) || (PyTuple_Check(c.ptr()) && !is_color_list(c));
          if (!one && is_color_list(c)) style.colors = colors_of("scatter", c);
          else if (one) style.color = color_of("scatter", c.is_none() ? color : c);
          else style.values = flat("scatter", c);
          style.marker = marker;
          style.cmap = cmap;
          style.vmin = vmin;
          style.vmax = vmax;
          style.edgecolor = color_of("scatter", edgecolor);
          style.label = word(label);
          style.alpha = alpha;
          a.scatter(positions(a, "x", "scatter", x), positions(a, "y", "scatter", y), style);
          return last_mark(self);
        }, "x"_a, "y"_a, "s"_a = 20.0, "c"_a = nb::none(), "marker"_a = "o", "cmap"_a = "viridis", "vmin"_a = nb::none(), "vmax"_a = nb::none(), "edgecolor"_a = nb::none(),
        "label"_a = nb::none(), "alpha"_a = 1.0, "color"_a = nb::none(), "c: a colour, or a colour or a number (coloured by cmap) for each point; s: points squared, one or for each.")
      .def("bar", [](nb::handle self, nb::object x, nb::object height, double width, nb::object bottom, nb::object color, nb::object edgecolor, nb::object label, nb::object value_format, double alpha, nb::object yerr, double capsize) {
          return bar(self, false, x, height, width, bottom, color, edgecolor, label, value_format, alpha, yerr, capsize);
        }, "x"_a, "height"_a, "width"_a = 0.8, "bottom"_a = nb::none(), "color"_a = nb::none(), "edgecolor"_a = nb::none(), "label"_a = nb::none(), "value_format"_a = nb::none(), "alpha"_a = 1.0,
        "yerr"_a = nb::none(), "capsize"_a = 3.0, "x: positions or category names. value_format ('.1f') writes each bar's value.")
      .def("barh", [](nb::handle self, nb::object y, nb::object width, double height, nb::object left, nb::object color, nb::object edgecolor, nb::object label, nb::object value_format, double alpha, nb::object xerr, double capsize) {
          return bar(self, true, y, width, height, left, color, edgecolor, label, value_format, alpha, xerr, capsize);
        }, "y"_a, "width"_a, "height"_a = 0.8, "left"_a = nb::none(), "color"_a = nb::none(), "edgecolor"_a = nb::none(), "label"_a = nb::none(), "value_format"_a = nb::none(), "alpha"_a = 1.0,
        "xerr"_a = nb::none(), "capsize"_a = 3.0)
      .def("grouped_bar", [](Axes& a, nb::object categories, nb::object series, nb::object values, double width, nb::object colors, nb::object value_format, bool stacked, bool horizontal) {
          Grid g = matrix("grouped_bar", values);
          std::vector<std::string> names = strings(series), groups = strings(categories);
          if (g.rows != int64_t(names.size()) || g.cols != int64_t(groups.size()))
            throw Error(ErrorKind::value, "grouped_bar", "values (" + std::to_string(names.size()) + ", " + std::to_string(groups.size()) + ")", "(" + std::to_string(g.rows) + ", " + std::to_string(g.cols) + ")");
          a.grouped_bar(groups, names, g.values, {width, colors_of("grouped_bar", colors), word(value_format), stacked, horizontal});
        }, "categories"_a, "series"_a, "values"_a, "width"_a = 0.8, "colors"_a = nb::none(), "value_format"_a = nb::none(), "stacked"_a = false, "horizontal"_a = false,
        "values: a row for each series, a column for each category.")
      .def("fill_between", [](nb::handle self, nb::object x, nb::object y1, nb::object y2, nb::object color, double alpha, nb::object label) {
          Axes& a = nb::cast<Axes&>(self);
          std::vector<double> across = positions(a, "x", "fill_between", x), low = numbers("fill_between", y1), high = numbers("fill_between", y2);
          if (low.size() == 1) low.assign(across.size(), low[0]);
          if (high.size() == 1) high.assign(across.size(), high[0]);
          a.fill_between(across, low, high, {color_of("fill_between", color), alpha, word(label)});
          return last_mark(self);
        }, "x"_a, "y1"_a, "y2"_a = 0.0, "color"_a = nb::none(), "alpha"_a = 0.3, "label"_a = nb::none());
  for (bool horizontal : {true, false}) {
    axes.def(horizontal ? "axhline" : "axvline", [horizontal](nb::handle self, nb::object at, nb::object color, nb::object linestyle, double linewidth, nb::object label, double alpha, nb::kwargs more) {
          Axes& a = nb::cast<Axes&>(self);
          const char* op = horizontal ? "axhline" : "axvline";
          const viz::LineStyle s = rule(op, color, linestyle, linewidth, label, alpha, more);
          horizontal ? a.axhline(position(a, "y", op, at), s) : a.axvline(position(a, "x", op, at), s);
          return last_mark(self);
        }, horizontal ? "y"_a = 0.0 : "x"_a = 0.0, "color"_a = nb::none(), "linestyle"_a = nb::none(), "linewidth"_a = 1.5, "label"_a = nb::none(), "alpha"_a = 1.0, "more"_a);
    axes.def(horizontal ? "axhspan" : "axvspan", [horizontal](nb::handle self, nb::object low, nb::object high, nb::object color, double alpha, nb::object label) {
          Axes& a = nb::cast<Axes&>(self);
          const char *op = horizontal ? "axhspan" : "axvspan", *axis = horizontal ? "y" : "x";
          const viz::FillStyle s{color_of(op, color), alpha, word(label)};
          const double from = position(a, axis, op, low), to = position(a, axis, op, high);
          horizontal ? a.axhspan(from, to, s) : a.axvspan(from, to, s);
          return last_mark(self);
        }, "low"_a, "high"_a, "color"_a = nb::none(), "alpha"_a = 0.2, "label"_a = nb::none());
  }
  axes.def("text", [](Axes& a, nb::object x, nb::object y, std::string s, nb::object color, double fontsize, std::string ha, std::string va, double rotation, bool bold) {
          a.text(position(a, "x", "text", x), position(a, "y", "text", y), s, {color_of("text", color), fontsize, ha, va, rotation, bold});
        }, "x"_a, "y"_a, "s"_a, "color"_a = nb::none(), "fontsize"_a = 10.0, "ha"_a = "left", "va"_a = "baseline", "rotation"_a = 0.0, "bold"_a = false, "In data coordinates.")
      .def("annotate", [](Axes& a, std::string text, std::pair<nb::object, nb::object> xy, std::optional<std::pair<nb::object, nb::object>> xytext, bool arrow, nb::object color, nb::object arrow_color, double fontsize,
                          std::string ha, std::string va, bool bold) {
          auto at = [&](const std::pair<nb::object, nb::object>& p) { return std::pair(position(a, "x", "annotate", p.first), position(a, "y", "annotate", p.second)); };
          const auto [x, y] = at(xy);
          const auto [tx, ty] = at(xytext.value_or(xy));
          a.annotate(text, x, y, tx, ty, {{color_of("annotate", color), fontsize, ha, va, 0, bold}, arrow && xytext, color_of("annotate", arrow_color)});
        }, "text"_a, "xy"_a, "xytext"_a = nb::none(), "arrow"_a = true, "color"_a = nb::none(), "arrow_color"_a = nb::none(), "fontsize"_a = 10.0, "ha"_a = "center", "va"_a = "center", "bold"_a = false,
        "Text at xytext with an arrow to xy, in data coordinates.");
}

void bind_settings(nb::class_<Axes>& axes) {
  axes.def("twinx", &Axes::twinx, nb::rv_policy::reference_internal, "Axes on the same frame with a y axis of their own on the right.")
      .def("twiny", &Axes::twiny, nb::rv_policy::reference_internal, "Axes on the same frame with an x axis of their own on top.")
      .def("set_title", &Axes::set_title, "title"_a)
      .def("set_xlabel", &Axes::set_xlabel, "label"_a)
      .def("set_ylabel", &Axes::set_ylabel, "label"_a)
      .def("set_xlim", [](Axes& a, nb::object left, nb::object right) {
          const auto [lo, hi] = limits(left, right, a.get_xlim());
          a.set_xlim(lo, hi);
          return std::pair(lo, hi);
        }, "left"_a = nb::none(), "right"_a = nb::none(), "set_xlim(0, 1), set_xlim((0, 1)), or one side alone -> both.")
      .def("set_ylim", [](Axes& a, nb::object bottom, nb::object top) {
          const auto [lo, hi] = limits(bottom, top, a.get_ylim());
          a.set_ylim(lo, hi);
          return std::pair(lo, hi);
        }, "bottom"_a = nb::none(), "top"_a = nb::none())
      .def("get_xlim", &Axes::get_xlim)
      .def("get_ylim", &Axes::get_ylim)
      .def("invert_xaxis", &Axes::invert_xaxis)
      .def("invert_yaxis", &Axes::invert_yaxis)
      .def("set_xscale", [](Axes& a, std::string scale, double linthresh) { a.set_xscale(scale, linthresh); }, "scale"_a, "linthresh"_a = 1.0, "'linear', 'log' or 'symlog' (linear from -linthresh to linthresh).")
      .def("set_yscale", [](Axes& a, std::string scale, double linthresh) { a.set_yscale(scale, linthresh); }, "scale"_a, "linthresh"_a = 1.0, "'linear', 'log' or 'symlog' (linear from -linthresh to linthresh).")
      .def("set_aspect", [](Axes& a, std::string aspect) { a.set_aspect(aspect); }, "aspect"_a, "'equal': a unit is as long on both axes; 'auto'.")
      .def("set_xticks", [](Axes& a, nb::object at, nb::object labels, std::optional<double> rotation) { a.set_xticks(positions(a, "x", "set_xticks", at), strings(labels), rotation); },
           "positions"_a, "labels"_a = nb::none(), "rotation"_a = nb::none(), "rotation: of the labels, -90 to 90 degrees; by default upright where they fit.")
      .def("set_yticks", [](Axes& a, nb::object at, nb::object labels) { a.set_yticks(positions(a, "y", "set_yticks", at), strings(labels)); }, "positions"_a, "labels"_a = nb::none())
      .def("set_xtick_rotation", &Axes::set_xtick_rotation, "degrees"_a)
      .def("minorticks_on", [](Axes& a) { a.minorticks(true); })
      .def("minorticks_off", [](Axes& a) { a.minorticks(false); })
      .def("set_axis", &Axes::set_axis, "visible"_a, "False: no frame, ticks or labels.")
      .def("axis", [](Axes& a, std::string what) {
          if (what == "off" || what == "on") a.set_axis(what == "on");
          else a.set_aspect(what);
        }, "what"_a, "'off', 'on', 'equal' or 'auto'.")
      .def("set", set_all, "names"_a, "set(title='Loss', yscale='log', ...): the setter of each name.")
      .def("grid", [](Axes& a, bool on, std::string axis) { a.grid(on, axis); }, "visible"_a = true, "axis"_a = "both")
      .def("legend", [](Axes& a, nb::object loc, int ncols, nb::object title) {
          if (!PyUnicode_Check(loc.ptr()))
            throw Error(ErrorKind::type, "legend", "a place such as 'best' or 'upper left'", nb::cast<std::string>(nb::str(loc.type().attr("__name__"))), "labels are given where marks are drawn: plot(..., label='a'), or mark.label = 'a'");
          a.legend(word(loc), ncols, word(title));
        }, "loc"_a = "best", "ncols"_a = 1, "title"_a = nb::none(),
        nb::sig("def legend(self, loc: str = 'best', ncols: int = 1, title: str | None = None) -> None"),
        "Of the marks that have a label. loc: 'best', a corner or side such as 'upper left', 'center right' or 'lower center', or 'outside right'.");
}

}  // namespace

}  // namespace miniten::python
