#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <cmath>
#include "miniten/viz/color.h"
#include "python/bind.h"
#include "python/bind_viz.h"

namespace miniten::python {

using namespace nb::literals;
using viz::Axes;

namespace {

constexpr const char* line_words = "color (c), linestyle (ls), linewidth (lw), marker, markersize (ms), markerfacecolor (mfc), markeredgecolor (mec), markeredgewidth (mew), markevery, label, alpha, zorder";

viz::LineStyle line_style(const char* op, nb::handle format, nb::handle color, nb::handle linestyle, double linewidth, nb::handle marker, double markersize,
                          nb::handle label, double alpha, Keywords& more) {
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
  auto one = [&](nb::handle long_name, std::initializer_list<const char*> names) { return long_name.is_none() ? more.take(names) : nb::borrow(long_name); };
  if (nb::object o = one(color, {"c"}); !o.is_none()) s.color = color_of(op, o);
  if (nb::object o = one(linestyle, {"ls"}); !o.is_none()) s.linestyle = word(o);
  if (!marker.is_none()) s.marker = word(marker);
  s.linewidth = more.number({"lw"}, linewidth);
  s.markersize = more.number({"ms"}, markersize);
  s.markerfacecolor = more.color({"markerfacecolor", "mfc"});
  s.markeredgecolor = more.color({"markeredgecolor", "mec"});
  s.markeredgewidth = more.number({"markeredgewidth", "mew"}, 1);
  s.markevery = int(more.number({"markevery"}, 1));
  if (!PyList_Check(label.ptr())) s.label = word(label);
  s.alpha = alpha;
  static constexpr const char* words[][2] = {{"solid", "-"}, {"dashed", "--"}, {"dotted", ":"}, {"dashdot", "-."}};
  for (const auto& [name, style] : words) if (s.linestyle == name) s.linestyle = style;
  return s;
}

// plot(y), plot(x, y), plot(x, y, 'r--'), and more of these behind.
nb::list plot(nb::handle self, nb::args data, nb::handle color, nb::handle linestyle, double linewidth, nb::handle marker, double markersize, nb::handle label, double alpha, nb::kwargs given) {
  Axes& a = nb::cast<Axes&>(self);
  Keywords more("plot", given);
  nb::object named_x = more.take({"x"}), named_y = more.take({"y"}), named_format = more.take({"fmt"});
  std::vector<nb::object> all;
  for (nb::handle o : data) all.push_back(nb::borrow(o));
  if (!named_x.is_none()) all.insert(all.begin(), named_x);
  if (!named_y.is_none()) all.insert(all.begin() + std::min<ptrdiff_t>(1, ptrdiff_t(all.size())), named_y);
  if (!named_format.is_none()) all.push_back(named_format);
  auto is_format = [&](size_t i) { return i < all.size() && PyUnicode_Check(all[i].ptr()); };
  if (all.empty() || is_format(0)) throw Error(ErrorKind::type, "plot", "plot(y), plot(x, y) or plot(x, y, format)", all.empty() ? "no data" : "a text first");
  nb::list marks;
  const viz::LineStyle first = line_style("plot", nb::none(), color, linestyle, linewidth, marker, markersize, label, alpha, more);  // names wrong words before anything is drawn
  const std::optional<double> order = more.number({"zorder"});
  more.done(line_words);
  for (size_t i = 0; i < all.size();) {
    nb::object x = all[i++], y = nb::none(), format = nb::none();
    if (i < all.size() && all[i].is_none()) ++i;
    else if (i < all.size() && !is_format(i)) y = all[i++];
    if (i < all.size() && (is_format(i) || all[i].is_none())) format = all[i++];
    viz::LineStyle s = first;
    if (!format.is_none()) {
      nb::kwargs none;
      Keywords nothing("plot", none);
      viz::LineStyle read = line_style("plot", format, color, linestyle, linewidth, marker, markersize, label, alpha, nothing);
      if (s.color.empty()) s.color = read.color;
      if (s.marker.empty()) s.marker = read.marker;
      if (linestyle.is_none() && s.linestyle == "-") s.linestyle = read.linestyle;
    }
    nb::object values = y.is_none() ? x : y;
    Tensor t;
    if (nb::hasattr(values, "dtype") || first_is_sequence(values)) if (!is_text(values) && !is_date(values)) t = to_tensor("plot", values, {DType::f64});
    const bool table = bool(t) && t.rank() == 2;
    const std::vector<double> numbers_of = table ? t.to_vector<double>() : positions(a, "y", "plot", values);
    const size_t rows = table ? size_t(t.dim(0)) : numbers_of.size(), columns = table ? size_t(t.dim(1)) : 1;
    std::vector<double> across;
    if (!y.is_none()) across = positions(a, "x", "plot", x);
    else for (size_t r = 0; r < rows; ++r) across.push_back(double(r));
    const std::vector<std::string> labels = PyList_Check(label.ptr()) ? strings(label) : std::vector<std::string>();
    if (!labels.empty() && labels.size() != columns)
      throw Error(ErrorKind::value, "plot", "a label for each of " + std::to_string(columns) + " columns", std::to_string(labels.size()));
    for (size_t c = 0; c < columns; ++c) {
      std::vector<double> along(rows);
      for (size_t r = 0; r < rows; ++r) along[r] = numbers_of[r * columns + c];
      if (!labels.empty()) s.label = labels[c];
      a.plot(across, along, s);
      if (order) a.set_mark_zorder(a.mark_count() - 1, *order);
      marks.append(last_mark(self));
    }
  }
  return marks;
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
               nb::handle label, nb::handle value_format, double alpha, nb::handle error, double capsize, nb::kwargs given) {
  Axes& a = nb::cast<Axes&>(self);
  const char* op = horizontal ? "barh" : "bar";
  Keywords more(op, given);
  viz::BarStyle s;
  s.width = width;
  if (is_color_list(color)) s.colors = colors_of(op, color);
  else s.color = color_of(op, color);
  s.edgecolor = edgecolor.is_none() ? more.color({"ec"}) : color_of(op, edgecolor);
  s.linewidth = more.number({"linewidth", "lw"}, 1);
  if (!bottom.is_none()) s.bottom = numbers(op, bottom);
  s.label = word(label);
  if (error.is_none()) s.value_format = word(value_format);      // else behind the whiskers
  s.alpha = alpha;
  const std::string align = word(more.take({"align"})), error_color = more.color({"ecolor"});
  if (!align.empty() && align != "center" && align != "edge") throw Error(ErrorKind::value, op, "align 'center' or 'edge'", "'" + align + "'");
  s.centred = align != "edge";
  nb::object names = more.take({"tick_label"});
  std::vector<double> h = numbers(op, height);
  const viz::Errors errors = errors_of(op, error, h.size());
  const std::optional<double> order = more.number({"zorder"});
  more.done("color, edgecolor (ec), linewidth (lw), align, tick_label, ecolor, label, alpha, zorder");
  std::vector<double> at;
  if (is_text(x)) {
    horizontal ? a.barh(strings(x), h, s) : a.bar(strings(x), h, s);
  } else {
    at = positions(a, horizontal ? "y" : "x", op, x);
    if (h.size() == 1 && at.size() > 1) h.assign(at.size(), h[0]);
    horizontal ? a.barh(at, h, s) : a.bar(at, h, s);
  }
  if (!names.is_none()) horizontal ? a.set_yticks(at, strings(names)) : a.set_xticks(at, strings(names));
  nb::object mark = last_mark(self);
  if (order) a.set_mark_zorder(a.mark_count() - 1, *order);
  if (!error.is_none()) {
    at = positions(a, horizontal ? "y" : "x", op, x);
    if (!s.centred) for (double& v : at) v += width / 2;
    std::vector<double> ends = h;
    for (size_t i = 0; i < ends.size() && !s.bottom.empty(); ++i) ends[i] += s.bottom[s.bottom.size() == 1 ? 0 : i];
    viz::ErrorBarStyle whiskers{{.color = error_color.empty() ? "0.35" : error_color, .linestyle = "none"}, "", 1.2, capsize};
    const size_t bars = a.mark_count() - 1;
    horizontal ? a.errorbar(ends, at, {}, errors, whiskers) : a.errorbar(at, ends, errors, {}, whiskers);
    if (!value_format.is_none()) a.bar_label(bars, word(value_format));
  }
  return mark;
}

nb::object scatter(nb::handle self, nb::handle x, nb::handle y, nb::handle s, nb::handle c, const std::string& marker, const std::string& cmap, std::optional<double> vmin, std::optional<double> vmax,
                   nb::handle edgecolor, nb::handle label, double alpha, nb::handle color, nb::kwargs given) {
  Axes& a = nb::cast<Axes&>(self);
  Keywords more("scatter", given);
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
  const std::string face = more.color({"facecolors", "facecolor"}), edges = more.color({"edgecolors", "ec"});
  style.edgecolor = edgecolor.is_none() ? edges : color_of("scatter", edgecolor);
  if (!face.empty() && c.is_none()) style.color = face;
  if (style.edgecolor == "face") style.edgecolor = "";
  style.linewidth = more.number({"linewidths", "linewidth", "lw"}, style.linewidth);
  style.label = word(label);
  style.alpha = alpha;
  const std::optional<double> order = more.number({"zorder"});
  more.done("s, c, marker, cmap, vmin, vmax, edgecolor (edgecolors, ec), facecolor, linewidth (linewidths, lw), label, alpha, zorder");
  a.scatter(positions(a, "x", "scatter", x), positions(a, "y", "scatter", y), style);
  if (order) a.set_mark_zorder(a.mark_count() - 1, *order);
  return last_mark(self);
}

// where: only between neighbours that both hold; interpolate: up to where the edges cross.
nb::object fill(nb::handle self, bool horizontal, nb::handle x, nb::handle y1, nb::handle y2, nb::handle color, double alpha, nb::handle label, nb::handle where, bool interpolate, nb::kwargs given) {
  Axes& a = nb::cast<Axes&>(self);
  const char* op = horizontal ? "fill_betweenx" : "fill_between";
  Keywords more(op, given);
  viz::FillStyle style{color.is_none() ? more.color({"facecolor", "fc"}) : color_of(op, color), alpha, word(label), horizontal};
  const std::optional<double> order = more.number({"zorder"});
  more.done("color (facecolor, fc), alpha, label, where, interpolate, zorder");
  std::vector<double> across = positions(a, horizontal ? "y" : "x", op, x), low = numbers(op, y1), high = numbers(op, y2);
  if (low.size() == 1) low.assign(across.size(), low[0]);
  if (high.size() == 1) high.assign(across.size(), high[0]);
  if (!where.is_none()) {
    const std::vector<double> hold = flat(op, where);
    if (hold.size() != across.size() || low.size() != across.size() || high.size() != across.size())
      throw Error(ErrorKind::value, op, "x, both edges and where of one length", std::to_string(across.size()) + ", " + std::to_string(low.size()) + ", " + std::to_string(high.size()) + " and " + std::to_string(hold.size()));
    std::vector<double> to[3];
    auto put = [&](double u, double v, double w) { to[0].push_back(u), to[1].push_back(v), to[2].push_back(w); };
    for (size_t i = 0; i < hold.size(); ++i) {
      if (hold[i] != 0) put(across[i], low[i], high[i]);
      if (i + 1 == hold.size() || (hold[i] != 0) == (hold[i + 1] != 0)) continue;
      const double before = high[i] - low[i], after = high[i + 1] - low[i + 1], t = before / (before - after);
      if (hold[i] == 0) put(across[i], NAN, NAN);
      if (interpolate && before * after <= 0 && before != after) put(across[i] + t * (across[i + 1] - across[i]), low[i] + t * (low[i + 1] - low[i]), low[i] + t * (low[i + 1] - low[i]));
      if (hold[i] != 0) put(across[i], NAN, NAN);
    }
    across = to[0], low = to[1], high = to[2];
  }
  a.fill_between(across, low, high, style);
  if (order) a.set_mark_zorder(a.mark_count() - 1, *order);
  return last_mark(self);
}

// Colour, size, place and ground of a text, as matplotlib spells them.
viz::TextOptions text_options(const char* op, nb::handle color, nb::handle fontsize, const std::string& ha, const std::string& va, double rotation, bool bold, Keywords& more) {
  viz::TextOptions o{color_of(op, color), font_size(op, fontsize), ha, va, rotation, bold};
  const viz::TextLook look = more.look();
  if (look.size) o.size = *look.size;
  if (!look.color.empty()) o.color = look.color;
  o.bold = look.bold.value_or(bold);
  if (nb::object side = more.take({"horizontalalignment"}); !side.is_none()) o.ha = word(side);
  if (nb::object side = more.take({"verticalalignment"}); !side.is_none()) o.va = word(side);
  if (nb::object ground = more.take({"bbox"}); !ground.is_none()) {
    nb::object face = nb::none();
    for (const char* name : {"facecolor", "fc", "color"}) if (face.is_none()) face = ground.attr("get")(name);
    o.box = face.is_none() ? "w" : color_of(op, face);
  }
  const std::string place = word(more.take({"transform"}));
  if (!place.empty() && place != "axes fraction") throw Error(ErrorKind::value, op, "transform=ax.transAxes, or data coordinates", "'" + place.substr(0, 40) + "'");
  o.fraction = !place.empty();
  return o;
}

}  // namespace

void bind_marks(nb::class_<Axes>& axes) {
  axes.def("plot", plot, "data"_a, "color"_a = nb::none(), "linestyle"_a = nb::none(), "linewidth"_a = 1.5, "marker"_a = nb::none(), "markersize"_a = 6.0,
           "label"_a = nb::none(), "alpha"_a = 1.0, "more"_a,
           "plot(y), plot(x, y), plot(x, y, 'r--o'), more of these behind: lines, with markers where asked; of a matrix y, a line per column -> the marks.")
      .def("step", [](nb::handle self, nb::object x, nb::object y, std::string where, nb::object color, nb::object linestyle, double linewidth, nb::object label, double alpha, nb::kwargs more) {
          Axes& a = nb::cast<Axes&>(self);
          Keywords words("step", more);
          const viz::LineStyle s = line_style("step", nb::none(), color, linestyle, linewidth, nb::none(), 6, label, alpha, words);
          const std::optional<double> order = words.number({"zorder"});
          words.done(line_words);
          a.step(positions(a, "x", "step", x), numbers("step", y), where, s);
          if (order) a.set_mark_zorder(a.mark_count() - 1, *order);
          return last_mark(self);
        }, "x"_a, "y"_a, "where"_a = "pre", "color"_a = nb::none(), "linestyle"_a = nb::none(), "linewidth"_a = 1.5, "label"_a = nb::none(), "alpha"_a = 1.0, "more"_a)
      .def("errorbar", [](nb::handle self, nb::object x, nb::object y, nb::object yerr, nb::object xerr, nb::object fmt, nb::object color, nb::object ecolor, double elinewidth, double capsize,
                          nb::object linestyle, double linewidth, nb::object marker, double markersize, nb::object label, double alpha, nb::kwargs more) {
          Axes& a = nb::cast<Axes&>(self);
          Keywords words("errorbar", more);
          const std::vector<double> across = positions(a, "x", "errorbar", x), along = numbers("errorbar", y);
          viz::ErrorBarStyle s;
          s.line = line_style("errorbar", fmt, color, linestyle, linewidth, marker, markersize, label, alpha, words);
          words.done(line_words);
          s.color = color_of("errorbar", ecolor);
          s.linewidth = elinewidth, s.capsize = capsize;
          a.errorbar(across, along, errors_of("errorbar", yerr, across.size()), errors_of("errorbar", xerr, across.size()), s);
          return last_mark(self);
        }, "x"_a, "y"_a, "yerr"_a = nb::none(), "xerr"_a = nb::none(), "fmt"_a = nb::none(), "color"_a = nb::none(), "ecolor"_a = nb::none(), "elinewidth"_a = 1.2, "capsize"_a = 3.0,
        "linestyle"_a = nb::none(), "linewidth"_a = 1.5, "marker"_a = nb::none(), "markersize"_a = 6.0, "label"_a = nb::none(), "alpha"_a = 1.0, "more"_a,
        "A line with whiskers: an error for all, (n,), or (2, n) for lower and upper.")
      .def("scatter", [](nb::handle self, nb::object x, nb::object y, nb::object s, nb::object c, std::string marker, std::string cmap, std::optional<double> vmin, std::optional<double> vmax,
                         nb::object edgecolor, nb::object label, double alpha, nb::object color, nb::kwargs more) {
          return scatter(self, x, y, s, c, marker, cmap, vmin, vmax, edgecolor, label, alpha, color, more);
        }, "x"_a, "y"_a, "s"_a = 20.0, "c"_a = nb::none(), "marker"_a = "o", "cmap"_a = "viridis", "vmin"_a = nb::none(), "vmax"_a = nb::none(), "edgecolor"_a = nb::none(),
        "label"_a = nb::none(), "alpha"_a = 1.0, "color"_a = nb::none(), "more"_a, "c: a colour, or a colour or a number (coloured by cmap) for each point; s: points squared, one or for each.")
      .def("bar", [](nb::handle self, nb::object x, nb::object height, double width, nb::object bottom, nb::object color, nb::object edgecolor, nb::object label, nb::object value_format, double alpha, nb::object yerr, double capsize, nb::kwargs more) {
          return bar(self, false, x, height, width, bottom, color, edgecolor, label, value_format, alpha, yerr, capsize, more);
        }, "x"_a, "height"_a, "width"_a = 0.8, "bottom"_a = nb::none(), "color"_a = nb::none(), "edgecolor"_a = nb::none(), "label"_a = nb::none(), "value_format"_a = nb::none(), "alpha"_a = 1.0,
        "yerr"_a = nb::none(), "capsize"_a = 3.0, "more"_a, "x: positions or category names. value_format ('.1f') writes each bar's value.")
      .def("barh", [](nb::handle self, nb::object y, nb::object width, double height, nb::object left, nb::object color, nb::object edgecolor, nb::object label, nb::object value_format, double alpha, nb::object xerr, double capsize, nb::kwargs more) {
          return bar(self, true, y, width, height, left, color, edgecolor, label, value_format, alpha, xerr, capsize, more);
        }, "y"_a, "width"_a, "height"_a = 0.8, "left"_a = nb::none(), "color"_a = nb::none(), "edgecolor"_a = nb::none(), "label"_a = nb::none(), "value_format"_a = nb::none(), "alpha"_a = 1.0,
        "xerr"_a = nb::none(), "capsize"_a = 3.0, "more"_a)
      .def("grouped_bar", [](Axes& a, nb::object categories, nb::object series, nb::object values, double width, nb::object colors, nb::object value_format, bool stacked, bool horizontal) {
          Grid g = matrix("grouped_bar", values);
          std::vector<std::string> names = strings(series), groups = strings(categories);
          if (g.rows != int64_t(names.size()) || g.cols != int64_t(groups.size()))
            throw Error(ErrorKind::value, "grouped_bar", "values (" + std::to_string(names.size()) + ", " + std::to_string(groups.size()) + ")", "(" + std::to_string(g.rows) + ", " + std::to_string(g.cols) + ")");
          a.grouped_bar(groups, names, g.values, {width, colors_of("grouped_bar", colors), word(value_format), stacked, horizontal});
        }, "categories"_a, "series"_a, "values"_a, "width"_a = 0.8, "colors"_a = nb::none(), "value_format"_a = nb::none(), "stacked"_a = false, "horizontal"_a = false,
        "values: a row for each series, a column for each category.")
      .def("bar_label", [](Axes& a, const Mark& bars, std::string fmt) { a.bar_label(bars.index, fmt); }, "bars"_a, "fmt"_a = "g", "Each bar of what bar, barh or hist gave carries its value.");
  for (bool horizontal : {false, true}) {
    axes.def(horizontal ? "fill_betweenx" : "fill_between", [horizontal](nb::handle self, nb::object x, nb::object y1, nb::object y2, nb::object color, double alpha, nb::object label, nb::object where, bool interpolate, nb::kwargs more) {
          return fill(self, horizontal, x, y1, y2, color, alpha, label, where, interpolate, more);
        }, horizontal ? "y"_a : "x"_a, horizontal ? "x1"_a : "y1"_a, (horizontal ? "x2"_a : "y2"_a) = 0.0, "color"_a = nb::none(), "alpha"_a = 0.3, "label"_a = nb::none(), "where"_a = nb::none(), "interpolate"_a = false, "more"_a,
        "where: only where it holds; interpolate: up to where the edges cross.");
    axes.def(horizontal ? "axhline" : "axvline", [horizontal](nb::handle self, nb::object at, nb::object color, nb::object linestyle, double linewidth, nb::object label, double alpha, nb::kwargs more) {
          Axes& a = nb::cast<Axes&>(self);
          const char* op = horizontal ? "axhline" : "axvline";
          Keywords words(op, more);
          const viz::LineStyle s = line_style(op, nb::none(), color, linestyle, linewidth, nb::none(), 6, label, alpha, words);
          const std::optional<double> order = words.number({"zorder"});
          words.done(line_words);
          horizontal ? a.axhline(position(a, "y", op, at), s) : a.axvline(position(a, "x", op, at), s);
          if (order) a.set_mark_zorder(a.mark_count() - 1, *order);
          return last_mark(self);
        }, horizontal ? "y"_a = 0.0 : "x"_a = 0.0, "color"_a = nb::none(), "linestyle"_a = nb::none(), "linewidth"_a = 1.5, "label"_a = nb::none(), "alpha"_a = 1.0, "more"_a);
    axes.def(horizontal ? "axhspan" : "axvspan", [horizontal](nb::handle self, nb::object low, nb::object high, nb::object color, double alpha, nb::object label, nb::kwargs more) {
          Axes& a = nb::cast<Axes&>(self);
          const char *op = horizontal ? "axhspan" : "axvspan", *axis = horizontal ? "y" : "x";
          Keywords words(op, more);
          const viz::FillStyle s{color.is_none() ? words.color({"facecolor", "fc"}) : color_of(op, color), alpha, word(label)};
          const std::optional<double> order = words.number({"zorder"});
          words.done("color (facecolor, fc), alpha, label, zorder");
          const double from = position(a, axis, op, low), to = position(a, axis, op, high);
          horizontal ? a.axhspan(from, to, s) : a.axvspan(from, to, s);
          if (order) a.set_mark_zorder(a.mark_count() - 1, *order);
          return last_mark(self);
        }, "low"_a, "high"_a, "color"_a = nb::none(), "alpha"_a = 0.2, "label"_a = nb::none(), "more"_a);
  }
  axes.def_prop_ro("transAxes", [](Axes&) { return "axes fraction"; }, "For text(..., transform=ax.transAxes): positions are of the frame, (0, 0) to (1, 1).")
      .def("text", [](Axes& a, nb::object x, nb::object y, std::string s, nb::object color, nb::object fontsize, std::string ha, std::string va, double rotation, bool bold, nb::kwargs more) {
          Keywords words("text", more);
          viz::TextOptions o = text_options("text", color, fontsize, ha, va, rotation, bold, words);
          const std::optional<double> order = words.number({"zorder"});
          words.done("color (c), fontsize (size), fontweight (weight), ha, va, rotation, bold, bbox, transform, zorder");
          a.text(position(a, "x", "text", x), position(a, "y", "text", y), s, o);
          if (order) a.set_mark_zorder(a.mark_count() - 1, *order);
        }, "x"_a, "y"_a, "s"_a, "color"_a = nb::none(), "fontsize"_a = 10.0, "ha"_a = "left", "va"_a = "baseline", "rotation"_a = 0.0, "bold"_a = false, "more"_a,
        "In data coordinates, or with transform=ax.transAxes of the frame; bbox={'facecolor': ...} puts a ground behind it.")
      .def("annotate", [](Axes& a, std::string text, std::pair<nb::object, nb::object> xy, std::optional<std::pair<nb::object, nb::object>> xytext, bool arrow, nb::object color, nb::object arrow_color, nb::object fontsize,
                          std::string ha, std::string va, bool bold, nb::object arrowprops, nb::kwargs more) {
          Keywords words("annotate", more);
          viz::ArrowOptions o{text_options("annotate", color, fontsize, ha, va, 0, bold, words), arrow && xytext, color_of("annotate", arrow_color)};
          words.done("color (c), fontsize (size), fontweight (weight), ha, va, bold, bbox, arrow, arrow_color, arrowprops");
          if (o.text.fraction) throw Error(ErrorKind::value, "annotate", "data coordinates", "a transform");
          if (!arrowprops.is_none()) for (const char* name : {"color", "facecolor", "fc"}) if (nb::object c = arrowprops.attr("get")(name); !c.is_none()) o.arrow_color = color_of("annotate", c);
          auto at = [&](const std::pair<nb::object, nb::object>& p) { return std::pair(position(a, "x", "annotate", p.first), position(a, "y", "annotate", p.second)); };
          const auto [x, y] = at(xy);
          const auto [tx, ty] = at(xytext.value_or(xy));
          a.annotate(text, x, y, tx, ty, o);
        }, "text"_a, "xy"_a, "xytext"_a = nb::none(), "arrow"_a = true, "color"_a = nb::none(), "arrow_color"_a = nb::none(), "fontsize"_a = 10.0, "ha"_a = "center", "va"_a = "center", "bold"_a = false, "arrowprops"_a = nb::none(), "more"_a,
        "Text at xytext with an arrow to xy, in data coordinates. Of arrowprops the colour is taken.");
}

}  // namespace miniten::python
