#include <algorithm>
#include <cmath>
#include "python/bind.h"
#include "python/bind_viz.h"

namespace miniten::python {

using namespace nb::literals;
using viz::Axes;

namespace {

constexpr double gap = NAN;

// Lines at `at` from low to high, as one mark.
nb::object rules(nb::handle self, bool horizontal, nb::handle at, nb::handle low, nb::handle high, nb::handle colors, nb::handle linestyles, nb::handle label, nb::kwargs given) {
  Axes& a = nb::cast<Axes&>(self);
  const char *op = horizontal ? "hlines" : "vlines", *along_axis = horizontal ? "x" : "y";
  Keywords more(op, given);
  viz::LineStyle s;
  nb::object color = colors.is_none() ? more.take({"color", "c"}) : nb::borrow(colors);
  s.color = is_color_list(color) ? colors_of(op, color).at(0) : color_of(op, color);
  const std::string style = linestyles.is_none() ? word(more.take({"linestyle", "ls"})) : word(linestyles);
  s.linestyle = style.empty() || style == "solid" ? "-" : style == "dashed" ? "--" : style == "dotted" ? ":" : style;
  s.linewidth = more.number({"linewidth", "linewidths", "lw"}, s.linewidth);
  s.alpha = more.number({"alpha"}, 1);
  s.label = word(label);
  more.done("colors (color), linestyles (linestyle), linewidth (lw), label, alpha");
  const std::vector<double> where = positions(a, horizontal ? "y" : "x", op, at);
  std::vector<double> from = positions(a, along_axis, op, low), to = positions(a, along_axis, op, high), across, along;
  for (auto* ends : {&from, &to}) {
    if (ends->size() == 1) ends->assign(where.size(), (*ends)[0]);
    if (ends->size() != where.size()) throw Error(ErrorKind::value, op, "an end for all, or for each of " + std::to_string(where.size()), std::to_string(ends->size()));
  }
  for (size_t i = 0; i < where.size(); ++i) across.insert(across.end(), {where[i], where[i], gap}), along.insert(along.end(), {from[i], to[i], gap});
  horizontal ? a.plot(along, across, s) : a.plot(across, along, s);
  return last_mark(self);
}

nb::object stem(nb::handle self, nb::handle x, nb::handle y, const std::string& format, nb::handle label) {
  Axes& a = nb::cast<Axes&>(self);
  const std::vector<double> along = numbers("stem", y.is_none() ? x : y);
  std::vector<double> across, lines_x, lines_y;
  if (!y.is_none()) across = positions(a, "x", "stem", x);
  else for (size_t i = 0; i < along.size(); ++i) across.push_back(double(i));
  if (across.size() != along.size()) throw Error(ErrorKind::value, "stem", "x and y of one length", std::to_string(across.size()) + " and " + std::to_string(along.size()));
  viz::LineStyle heads = viz::line_format(format);
  if (heads.marker.empty()) heads.marker = "o";
  if (heads.color.empty()) heads.color = "C0";
  viz::LineStyle lines{.color = heads.color, .linewidth = 1.2};
  for (size_t i = 0; i < along.size(); ++i) lines_x.insert(lines_x.end(), {across[i], across[i], gap}), lines_y.insert(lines_y.end(), {0, along[i], gap});
  a.plot(lines_x, lines_y, lines);
  a.axhline(0);
  heads.linestyle = "none", heads.label = word(label);
  a.plot(across, along, heads);
  return last_mark(self);
}

nb::list stackplot(nb::handle self, nb::handle x, nb::args layers, nb::handle labels, nb::handle colors, double alpha) {
  Axes& a = nb::cast<Axes&>(self);
  const std::vector<double> across = positions(a, "x", "stackplot", x);
  std::vector<std::vector<double>> all;
  for (nb::handle one : layers) {
    Tensor t = to_tensor("stackplot", one, {DType::f64});
    const std::vector<double> v = t.to_vector<double>();
    for (size_t row = 0; row < (t.rank() == 2 ? size_t(t.dim(0)) : 1); ++row) all.emplace_back(v.begin() + ptrdiff_t(row * across.size()), v.begin() + ptrdiff_t(std::min(v.size(), (row + 1) * across.size())));
  }
  const std::vector<std::string> names = strings(labels), fills = colors_of("stackplot", colors);
  std::vector<double> foot(across.size(), 0);
  nb::list marks;
  for (size_t k = 0; k < all.size(); ++k) {
    std::vector<double> top = all[k];
    if (top.size() != across.size()) throw Error(ErrorKind::value, "stackplot", "x and each layer of one length", std::to_string(across.size()) + " and " + std::to_string(top.size()));
    for (size_t i = 0; i < top.size(); ++i) top[i] += foot[i];
    a.fill_between(across, foot, top, {fills.empty() ? "" : fills[k % fills.size()], alpha, k < names.size() ? names[k] : ""});
    marks.append(last_mark(self));
    foot = top;
  }
  return marks;
}

// Gaussian kernels of Scott's width, as SciPy's gaussian_kde.
void violin(Axes& a, std::vector<double> data, double at, double width, const std::string& color) {
  std::erase_if(data, [](double v) { return !std::isfinite(v); });
  if (data.size() < 2) return;
  double mean = 0, squares = 0, lo = data[0], hi = data[0];
  for (double v : data) mean += v / double(data.size()), lo = std::min(lo, v), hi = std::max(hi, v);
  for (double v : data) squares += (v - mean) * (v - mean);
  const double scale = std::sqrt(squares / double(data.size() - 1)) * std::pow(double(data.size()), -0.2);
  if (!(scale > 0)) return;
  std::vector<double> y, density, left, right;
  for (int i = 0; i < 100; ++i) {
    y.push_back(lo + (hi - lo) * i / 99);
    double sum = 0;
    for (double v : data) sum += std::exp(-0.5 * (y.back() - v) * (y.back() - v) / (scale * scale));
    density.push_back(sum);
  }
  const double most = *std::max_element(density.begin(), density.end());
  for (double d : density) left.push_back(at - width / 2 * d / most), right.push_back(at + width / 2 * d / most);
  a.fill_between(y, left, right, {.color = color, .alpha = 0.4, .horizontal = true});
  const double ends[] = {lo, hi, gap, lo, lo, gap, hi, hi}, across[] = {at, at, gap, at - width / 8, at + width / 8, gap, at - width / 8, at + width / 8};
  a.plot(across, ends, {.color = color});
}

// Edges or centres of evenly spaced columns or rows -> the outer edges.
std::pair<double, double> outer(const char* what, nb::handle o, int64_t n) {
  if (o.is_none()) return {0, double(n)};
  Tensor t = to_tensor("pcolormesh", o, {DType::f64});
  std::vector<double> v = t.to_vector<double>();
  if (t.rank() == 2) {
    std::vector<double> line;
    const size_t rows = size_t(t.dim(0)), cols = size_t(t.dim(1));
    for (size_t i = 0; i < (*what == 'x' ? cols : rows); ++i) line.push_back(v[*what == 'x' ? i : i * cols]);
    v = line;
  }
  const bool edges = int64_t(v.size()) == n + 1;
  if (!edges && int64_t(v.size()) != n) throw Error(ErrorKind::value, "pcolormesh", std::string(what) + " of " + std::to_string(n) + " centres or " + std::to_string(n + 1) + " edges", std::to_string(v.size()));
  const double step = v.size() > 1 ? (v.back() - v.front()) / double(v.size() - 1) : 1;
  for (size_t i = 1; i < v.size(); ++i)
    if (!(std::abs(v[i] - v[i - 1] - step) <= 1e-6 * std::abs(step))) throw Error(ErrorKind::value, "pcolormesh", std::string(what) + " evenly spaced", "steps of " + viz::format_value(step, "g") + " and " + viz::format_value(v[i] - v[i - 1], "g"), "contourf takes any spacing");
  return edges ? std::pair(v.front(), v.back()) : std::pair(v.front() - step / 2, v.back() + step / 2);
}

}  // namespace

void bind_composed(nb::class_<Axes>& axes) {
  for (const char* name : {"semilogx", "semilogy", "loglog"}) {
    axes.def(name, [name](nb::handle self, nb::args data, nb::kwargs style) {
          Axes& a = nb::cast<Axes&>(self);
          const std::string which = name;
          if (which != "semilogy") a.set_xscale("log");
          if (which != "semilogx") a.set_yscale("log");
          return self.attr("plot")(*data, **style);
        }, "data"_a, "style"_a, "plot on log axes.");
  }
  for (bool horizontal : {true, false}) {
    axes.def(horizontal ? "hlines" : "vlines", [horizontal](nb::handle self, nb::object at, nb::object low, nb::object high, nb::object colors, nb::object linestyles, nb::object label, nb::kwargs more) {
          return rules(self, horizontal, at, low, high, colors, linestyles, label, more);
        }, horizontal ? "y"_a : "x"_a, horizontal ? "xmin"_a : "ymin"_a, horizontal ? "xmax"_a : "ymax"_a, "colors"_a = nb::none(), "linestyles"_a = nb::none(), "label"_a = nb::none(), "more"_a);
  }
  axes.def("stem", [](nb::handle self, nb::object x, nb::object y, std::string fmt, nb::object label) { return stem(self, x, y, fmt, label); },
           "x"_a, "y"_a = nb::none(), "fmt"_a = "o", "label"_a = nb::none(), "stem(y) or stem(x, y): a line from 0 to each point.")
      .def("stackplot", stackplot, "x"_a, "layers"_a, "labels"_a = nb::none(), "colors"_a = nb::none(), "alpha"_a = 0.8, "Areas on each other: stackplot(x, y1, y2), or the rows of a matrix.")
      .def("violinplot", [](Axes& a, nb::object data, nb::object positions_of, double widths, nb::object color) {
          std::vector<std::vector<double>> groups;
          if (first_is_sequence(data)) for (nb::handle one : data) groups.push_back(flat("violinplot", one));
          else groups.push_back(flat("violinplot", data));
          std::vector<double> at = positions_of.is_none() ? std::vector<double>() : numbers("violinplot", positions_of);
          for (size_t i = at.size(); positions_of.is_none() && i < groups.size(); ++i) at.push_back(double(i + 1));
          if (at.size() != groups.size()) throw Error(ErrorKind::value, "violinplot", "a position for each of " + std::to_string(groups.size()) + " sets", std::to_string(at.size()));
          const std::string fill = color.is_none() ? "C0" : color_of("violinplot", color);
          for (size_t i = 0; i < groups.size(); ++i) violin(a, groups[i], at[i], widths, fill);
          a.set_xticks(at);
        }, "data"_a, "positions"_a = nb::none(), "widths"_a = 0.5, "color"_a = nb::none(), "The density of each array of a list by Gaussian kernels, with its extremes.")
      .def("matshow", [](nb::handle self, nb::object z, nb::kwargs style) { return self.attr("imshow")(z, **style); }, "z"_a, "style"_a)
      .def("pcolormesh", [](nb::handle self, nb::args given, nb::kwargs style) {
          if (given.size() != 1 && given.size() != 3) throw Error(ErrorKind::type, "pcolormesh", "(z) or (x, y, z)", std::to_string(given.size()) + " arguments");
          nb::object z = given[given.size() - 1], x = given.size() == 3 ? nb::object(given[0]) : nb::none(), y = given.size() == 3 ? nb::object(given[1]) : nb::none();
          const Grid g = matrix("pcolormesh", z);
          const auto [left, right] = outer("x", x, g.cols);
          const auto [bottom, top] = outer("y", y, g.rows);
          if (style.contains("shading")) nb::del(style["shading"]);     // there is no other than flat: each value its cell
          return self.attr("imshow")(z, "origin"_a = "lower", "aspect"_a = "auto", "extent"_a = nb::make_tuple(left, right, bottom, top), **style);
        }, "given"_a, "style"_a, "pcolormesh(z) or (x, y, z): cells of evenly spaced centres or edges.")
      .def("clabel", [](Axes& a, const Mark& lines, nb::kwargs more) {
          Keywords words("clabel", more);
          nb::object size = words.take({"fontsize"});
          if (!words.flag({"inline"}, true)) throw Error(ErrorKind::unsupported, "clabel", "values in their lines", "inline=False");
          words.done("fontsize, inline=True");
          a.clabel(lines.index, size.is_none() ? 8 : font_size("clabel", size));
        }, "lines"_a, "more"_a, "Each level's value on its longest line, of what contour gave.");
}

}  // namespace miniten::python
