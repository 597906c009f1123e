#include <nanobind/stl/optional.h>
#include <cmath>
#include "python/bind.h"
#include "python/bind_viz.h"

namespace miniten::python {

using namespace nb::literals;
using viz::Axes;

namespace {

nb::object array_of(const std::vector<double>& v) { return numpy_of(Tensor::of<double>({int64_t(v.size())}, v)); }

// Edges by NumPy where bins is the name of a rule.
std::vector<double> named_bins(nb::handle bins, nb::handle range, const std::vector<viz::HistSet>& sets) {
  std::vector<double> all;
  for (const viz::HistSet& set : sets) for (double v : set.values) if (std::isfinite(v)) all.push_back(v);
  return numbers("hist", nb::module_::import_("numpy").attr("histogram_bin_edges")(array_of(all), bins, range));
}

// A list of arrays is a set each, any other array is one set.
nb::tuple hist(nb::handle self, nb::handle data, nb::handle bins, nb::handle range, nb::handle color, nb::handle label, nb::handle weights, viz::HistStyle s, bool stacked, bool log) {
  Axes& a = nb::cast<Axes&>(self);
  if (!range.is_none()) {
    std::vector<double> r = numbers("hist", range);
    if (r.size() != 2) throw Error(ErrorKind::value, "hist", "range as (low, high)", std::to_string(r.size()) + " values");
    s.lo = r[0];
    s.hi = r[1];
  }
  const bool many = first_is_sequence(data);
  std::vector<viz::HistSet> sets;
  if (many) for (nb::handle one : data) sets.push_back({flat("hist", one), "", "", {}});
  else sets.push_back({flat("hist", data), "", "", {}});
  auto for_each = [&](nb::handle given, const char* what, auto&& set) {
    if (given.is_none()) return;
    if (!many) return set(sets[0], given);
    if (!PySequence_Check(given.ptr()) || PyUnicode_Check(given.ptr()) || nb::len(given) != sets.size())
      throw Error(ErrorKind::value, "hist", std::string(what) + " for each of " + std::to_string(sets.size()) + " sets", PySequence_Check(given.ptr()) && !PyUnicode_Check(given.ptr()) ? std::to_string(nb::len(given)) : "one");
    size_t i = 0;
    for (nb::handle one : given) set(sets[i++], one);
  };
  for_each(color, "a colour", [](viz::HistSet& set, nb::handle o) { set.color = color_of("hist", o); });
  for_each(label, "a label", [](viz::HistSet& set, nb::handle o) { set.label = word(o); });
  for_each(weights, "weights", [](viz::HistSet& set, nb::handle o) { set.weights = flat("hist", o); });
  const size_t before = a.mark_count();
  const bool counted = PyIndex_Check(bins.ptr()) && !nb::hasattr(bins, "__len__");
  const viz::Histograms h = counted ? a.hist(sets, int(integer_of("hist", bins)), s, stacked) : a.hist(sets, PyUnicode_Check(bins.ptr()) ? named_bins(bins, range, sets) : numbers("hist", bins), s, stacked);
  if (log) s.horizontal ? a.set_xscale("log") : a.set_yscale("log");
  if (!many) return nb::make_tuple(array_of(h.counts[0]), array_of(h.edges), last_mark(self));
  nb::list counts, marks;
  for (size_t i = 0; i < sets.size(); ++i) counts.append(array_of(h.counts[i])), marks.append(nb::cast(Mark{nb::borrow(self), before + i}));
  return nb::make_tuple(nb::module_::import_("numpy").attr("array")(counts), array_of(h.edges), marks);
}

nb::object imshow(nb::handle self, nb::handle data, const std::string& cmap, std::optional<double> vmin, std::optional<double> vmax, const std::string& aspect, const std::string& origin,
                  nb::handle extent, nb::handle interpolation, double alpha) {
  Axes& a = nb::cast<Axes&>(self);
  viz::ImageStyle s{cmap, vmin, vmax, aspect, origin, {}, "nearest", alpha};
  if (!extent.is_none()) {
    const std::vector<double> e = numbers("imshow", extent);
    if (e.size() != 4) throw Error(ErrorKind::value, "imshow", "extent as (left, right, bottom, top)", std::to_string(e.size()) + " values");
    s.extent = {e[0], e[1], e[2], e[3]};
  }
  if (const std::string way = word(interpolation); !way.empty() && way != "none" && way != "auto" && way != "antialiased") s.interpolation = way;
  Tensor t = to_tensor("imshow", data);
  if (t.rank() == 2) {
    Grid g = matrix("imshow", data);
    a.imshow(g.values, g.rows, g.cols, s);
    return last_mark(self);
  }
  if (t.rank() != 3) throw Error(ErrorKind::value, "imshow", "data (H, W) or an image (H, W, 1, 3 or 4)", t.shape().text());
  std::vector<uint8_t> pixels;
  if (t.dtype() == DType::u8) pixels = t.to_vector<uint8_t>();
  else if (is_float(t.dtype())) {
    for (double v : to_tensor("imshow", data, {DType::f64}).to_vector<double>()) pixels.push_back(uint8_t(std::min(1.0, std::max(0.0, v == v ? v : 0.0)) * 255 + 0.5));
  } else throw Error(ErrorKind::type, "imshow", "an image of uint8, or floats in [0, 1]", t.spec().text());
  a.imshow(pixels, t.dim(0), t.dim(1), t.dim(2), s);
  return last_mark(self);
}

// A list of arrays, one array, or the columns of a matrix.
std::vector<std::vector<double>> groups_of(nb::handle o) {
  std::vector<std::vector<double>> groups;
  const bool nested = first_is_sequence(o);
  if (nested) {
    for (nb::handle one : o) groups.push_back(flat("boxplot", one));
    return groups;
  }
  Tensor t = to_tensor("boxplot", o, {DType::f64});
  const std::vector<double> v = t.to_vector<double>();
  if (t.rank() != 2) return {v};
  groups.resize(size_t(t.dim(1)));
  for (size_t i = 0; i < v.size(); ++i) groups[i % groups.size()].push_back(v[i]);
  return groups;
}



// contour(z), (z, levels), (x, y, z), (x, y, z, levels): matplotlib's forms.
struct Field {
  Grid z;
  std::vector<double> x, y, levels;
  int count;
};
std::vector<double> grid_axis(const char* op, nb::handle o, const Grid& z, bool across) {
  if (o.is_none()) return {};
  Tensor t = to_tensor(op, o, {DType::f64});
  if (t.rank() != 2) return numbers(op, o);
  const Grid g{t.to_vector<double>(), t.dim(0), t.dim(1)};                  // as numpy.meshgrid gives it
  std::vector<double> line;
  for (int64_t i = 0; i < (across ? g.cols : g.rows); ++i) line.push_back(g.values[size_t(across ? i : i * g.cols)]);
  bool straight = g.rows == z.rows && g.cols == z.cols;
  for (int64_t i = 0; straight && i < g.rows * g.cols; ++i) straight = g.values[size_t(i)] == line[size_t(across ? i % g.cols : i / g.cols)];
  if (!straight) throw Error(ErrorKind::value, op, std::string(across ? "x alike in each row" : "y alike in each column") + ", of z's shape", t.shape().text() + " that is not", "a rectangular grid, as numpy.meshgrid(x, y) makes it");
  return line;
}
Field field_of(const char* op, nb::args given, nb::handle x, nb::handle y, nb::handle levels, int count) {
  const size_t n = given.size();
  if (n < 1 || n > 4) throw Error(ErrorKind::type, op, "(z), (z, levels), (x, y, z) or (x, y, z, levels)", std::to_string(n) + " arguments");
  const bool placed = n >= 3;
  nb::object z = given[placed ? 2 : 0], last = n == 2 ? nb::object(given[1]) : n == 4 ? nb::object(given[3]) : nb::borrow(levels);
  Field f{matrix(op, z), {}, {}, {}, count};
  f.x = grid_axis(op, placed ? nb::object(given[0]) : nb::borrow(x), f.z, true);
  f.y = grid_axis(op, placed ? nb::object(given[1]) : nb::borrow(y), f.z, false);
  if (PyIndex_Check(last.ptr()) && !nb::hasattr(last, "__len__")) f.count = int(integer_of(op, last));
  else if (!last.is_none()) f.levels = numbers(op, last);
  return f;
}

}  // namespace

void bind_fields(nb::class_<Axes>& axes) {
  axes.def("hist", [](nb::handle self, nb::object x, nb::object bins, bool density, nb::object range, nb::object color, nb::object edgecolor, nb::object label, double alpha, bool stacked, std::string histtype,
                      bool cumulative, nb::object weights, std::string orientation, bool log, nb::kwargs more) {
          Keywords words("hist", more);
          if (color.is_none()) color = words.take({"facecolor", "fc"});
          if (edgecolor.is_none()) edgecolor = words.take({"ec"});
          words.done("bins, density, range, color (facecolor, fc), edgecolor (ec), label, alpha, stacked, histtype, cumulative, weights, orientation, log");
          if (orientation != "vertical" && orientation != "horizontal") throw Error(ErrorKind::value, "hist", "orientation 'vertical' or 'horizontal'", "'" + orientation + "'");
          return hist(self, x, bins, range, color, label, weights,
                      {.density = density, .edgecolor = color_of("hist", edgecolor), .alpha = alpha, .type = histtype, .cumulative = cumulative, .horizontal = orientation == "horizontal"}, stacked, log);
        }, "x"_a, "bins"_a = 10, "density"_a = false, "range"_a = nb::none(), "color"_a = nb::none(), "edgecolor"_a = nb::none(), "label"_a = nb::none(), "alpha"_a = 1.0,
        "stacked"_a = false, "histtype"_a = "bar", "cumulative"_a = false, "weights"_a = nb::none(), "orientation"_a = "vertical", "log"_a = false, "more"_a,
        "-> (counts, edges, mark), counts and edges as NumPy's histogram. bins: a number, the edges, or a rule of NumPy such as 'auto'. Of a list of arrays, each is a set with its own "
        "colour, label and weights: beside each other or stacked -> (counts by set, edges, marks). histtype: 'bar', 'step' or 'stepfilled'.")
      .def("boxplot", [](nb::handle self, nb::object x, nb::object labels, double width, double whis, bool horizontal, bool showfliers, nb::object color, nb::kwargs more) {
          Keywords words("boxplot", more);
          if (labels.is_none()) labels = words.take({"tick_labels"});
          width = words.number({"widths"}, width);
          horizontal = horizontal || !words.flag({"vert"}, true) || word(words.take({"orientation"})) == "horizontal";
          if (!words.flag({"patch_artist"}, true)) throw Error(ErrorKind::unsupported, "boxplot", "boxes that are filled", "patch_artist=False");
          words.done("labels (tick_labels), width (widths), whis, horizontal (vert, orientation), showfliers, color");
          nb::cast<Axes&>(self).boxplot(groups_of(x), {strings(labels), width, whis, horizontal, showfliers, color_of("boxplot", color)});
          return last_mark(self);
        }, "x"_a, "labels"_a = nb::none(), "width"_a = 0.5, "whis"_a = 1.5, "horizontal"_a = false, "showfliers"_a = true, "color"_a = nb::none(), "more"_a,
        "A box for each array of a list, or for each column of a matrix.")
      .def("pie", [](nb::handle self, ArrayLike x, nb::object labels, nb::object colors, nb::object value_format, double startangle, bool clockwise, double hole, nb::object explode, nb::object autopct, nb::kwargs more) {
          Keywords words("pie", more);
          clockwise = !words.flag({"counterclock"}, !clockwise);
          words.done("labels, colors, value_format, autopct, startangle, clockwise (counterclock), hole, explode");
          std::string shares = word(value_format);
          if (!autopct.is_none()) {                                  // '%1.1f%%'
            const std::string old = word(autopct);
            const size_t dot = old.find('.'), f = old.find('f');
            if (old.empty() || old[0] != '%' || f == old.npos || old.substr(f) != "f%%") throw Error(ErrorKind::value, "pie", "autopct such as '%1.1f%%'", "'" + old + "'", "or value_format='.1%'");
            shares = "." + (dot != old.npos && dot < f ? old.substr(dot + 1, f - dot - 1) : "6") + "%";
          }
          nb::cast<Axes&>(self).pie(numbers("pie", x.object), {strings(labels), colors_of("pie", colors), shares, startangle, clockwise, hole, explode.is_none() ? std::vector<double>() : numbers("pie", explode)});
          return last_mark(self);
        }, "x"_a, "labels"_a = nb::none(), "colors"_a = nb::none(), "value_format"_a = nb::none(), "startangle"_a = 90.0, "clockwise"_a = true, "hole"_a = 0.0, "explode"_a = nb::none(), "autopct"_a = nb::none(), "more"_a,
        "value_format: of each share, such as '.0%'. hole: of the radius, 0.6 makes a ring.")
      .def("contour", [](nb::handle self, nb::args z, nb::object x, nb::object y, nb::object levels, std::string cmap, nb::object color, double linewidth, bool labels, double alpha, nb::object colors, nb::kwargs more) {
          Keywords words("contour", more);
          linewidth = words.number({"linewidths", "lw"}, linewidth);
          words.done("x, y, levels, cmap, color (colors), linewidth (linewidths, lw), labels, alpha");
          const Field f = field_of("contour", z, x, y, levels, 8);
          const viz::ContourStyle s{f.levels, f.count, cmap, color_of("contour", color.is_none() ? colors : color), linewidth, labels, alpha};
          nb::cast<Axes&>(self).contour(f.z.values, f.z.rows, f.z.cols, f.x, f.y, s);
          return last_mark(self);
        }, "z"_a, "x"_a = nb::none(), "y"_a = nb::none(), "levels"_a = nb::none(), "cmap"_a = "viridis", "color"_a = nb::none(), "linewidth"_a = 1.2, "labels"_a = false, "alpha"_a = 1.0, "colors"_a = nb::none(), "more"_a,
        "contour(z), contour(z, levels), contour(x, y, z), contour(x, y, z, levels): lines of equal value of a matrix. x, y: of its columns and rows, or numpy.meshgrid's; levels: the values, or "
        "about how many; labels: each level's value on its line.")
      .def("contourf", [](nb::handle self, nb::args z, nb::object x, nb::object y, nb::object levels, std::string cmap, nb::object colors, std::string extend, double alpha) {
          const Field f = field_of("contourf", z, x, y, levels, 8);
          nb::cast<Axes&>(self).contourf(f.z.values, f.z.rows, f.z.cols, f.x, f.y, {f.levels, f.count, cmap, colors_of("contourf", colors), extend, alpha});
          return last_mark(self);
        }, "z"_a, "x"_a = nb::none(), "y"_a = nb::none(), "levels"_a = nb::none(), "cmap"_a = "viridis", "colors"_a = nb::none(), "extend"_a = "neither", "alpha"_a = 1.0,
        "As contour, but what lies between levels, by colour. extend: 'min', 'max' or 'both' colour what lies beyond them, too.")
      .def("imshow", [](nb::handle self, ArrayLike data, std::string cmap, std::optional<double> vmin, std::optional<double> vmax, std::string aspect, std::string origin, nb::object extent,
                        nb::object interpolation, double alpha, nb::kwargs more) {
          Keywords words("imshow", more);
          words.done("cmap, vmin, vmax, aspect, origin, extent, interpolation, alpha");
          return imshow(self, data.object, cmap, vmin, vmax, aspect, origin, extent, interpolation, alpha);
        }, "data"_a, "cmap"_a = "viridis", "vmin"_a = nb::none(), "vmax"_a = nb::none(), "aspect"_a = "equal", "origin"_a = "upper", "extent"_a = nb::none(), "interpolation"_a = "nearest", "alpha"_a = 1.0, "more"_a,
        "(H, W) numbers by colour map, or an image (H, W, 1, 3 or 4). extent: (left, right, bottom, top) of its outer edges; interpolation of what is enlarged: 'nearest', 'bilinear' or 'bicubic'.")
      .def("heatmap", [](nb::handle self, ArrayLike data, std::string cmap, std::optional<double> vmin, std::optional<double> vmax, bool annot, std::string fmt, bool cbar, nb::object xlabels, nb::object ylabels,
                         nb::object cbar_label, bool square, double linewidth) {
          Grid g = matrix("heatmap", data.object);
          nb::cast<Axes&>(self).heatmap(g.values, g.rows, g.cols, {cmap, vmin, vmax, annot, fmt, strings(xlabels), strings(ylabels), cbar, word(cbar_label), square, linewidth});
          return last_mark(self);
        }, "data"_a, "cmap"_a = "viridis", "vmin"_a = nb::none(), "vmax"_a = nb::none(), "annot"_a = false, "fmt"_a = ".2f", "cbar"_a = true, "xlabels"_a = nb::none(), "ylabels"_a = nb::none(),
        "cbar_label"_a = nb::none(), "square"_a = false, "linewidth"_a = 0.0, "A matrix by colour; annot writes the values.")
      .def("colorbar", [](Axes& a, nb::object label) { a.colorbar(word(label)); }, "label"_a = nb::none(), "Of the last image, heatmap, contour or coloured scatter.");
}

}  // namespace miniten::python
