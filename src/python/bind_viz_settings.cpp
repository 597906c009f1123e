#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include "python/bind.h"
#include "python/bind_viz.h"

namespace miniten::python {

using namespace nb::literals;
using viz::Axes;

namespace {

std::pair<double, double> limits(Axes& a, const char* axis, const char* op, nb::handle lo, nb::handle hi, std::pair<double, double> now) {
  nb::object from = nb::borrow(lo), to = nb::borrow(hi);
  if (hi.is_none() && !lo.is_none() && nb::hasattr(lo, "__len__") && !PyUnicode_Check(lo.ptr()) && nb::len(lo) == 2) from = nb::object(lo[0]), to = nb::object(lo[1]);
  return {from.is_none() ? now.first : position(a, axis, op, from), to.is_none() ? now.second : position(a, axis, op, to)};
}

// set(title='Loss', xlabel='epoch', ...): the setter of each name.
void set_all(nb::handle self, nb::kwargs all) {
  for (auto [key, value] : all) {
    const std::string name = "set_" + word(key);
    if (!nb::hasattr(self, name.c_str())) throw Error(ErrorKind::type, "set", "names that Axes has a setter for", "'" + word(key) + "'");
    self.attr(name.c_str())(value);
  }
}

void set_ticks(Axes& a, bool x, nb::handle at, nb::handle labels, std::optional<double> rotation, nb::kwargs given) {
  const char* op = x ? "set_xticks" : "set_yticks";
  Keywords more(op, given);
  const viz::TextLook look = more.look();
  more.done("rotation, fontsize, color");
  const std::vector<double> where = positions(a, x ? "x" : "y", op, at);
  x ? a.set_xticks(where, strings(labels), rotation) : a.set_yticks(where, strings(labels));
  a.set_ticks_look(x ? "x" : "y", {look.size, {}, {}, look.color, {}});
}

void set_tick_labels(Axes& a, bool x, nb::handle labels, std::optional<double> rotation, nb::kwargs given) {
  Keywords more(x ? "set_xticklabels" : "set_yticklabels", given);
  const viz::TextLook look = more.look();
  more.done("rotation, fontsize, color");
  a.set_tick_labels(x ? "x" : "y", strings(labels));
  a.set_ticks_look(x ? "x" : "y", {look.size, x ? rotation : std::nullopt, {}, look.color, {}});
}

void tick_params(Axes& a, std::string axis, nb::kwargs given) {
  Keywords more("tick_params", given);
  viz::TickLook look;
  if (nb::object size = more.take({"labelsize"}); !size.is_none()) look.size = font_size("tick_params", size);
  look.rotation = more.number({"labelrotation", "rotation"});
  look.length = more.number({"length", "size"});
  look.color = more.color({"labelcolor", "colors"});
  nb::object below = more.take({"labelbottom"}), left = more.take({"labelleft"}), bottom = more.take({"bottom"}), beside = more.take({"left"});
  const std::string which = word(more.take({"which"}));
  if (!which.empty() && which != "major" && which != "both") throw Error(ErrorKind::value, "tick_params", "which 'major' or 'both'", "'" + which + "'");
  more.done("axis, labelsize, labelrotation (rotation), labelcolor (colors), length, labelbottom, labelleft, bottom, left");
  a.set_ticks_look(axis, look);
  auto one = [&](const char* name, nb::handle labels, nb::handle ticks) {
    viz::TickLook hidden;
    if (!labels.is_none()) hidden.labels = nb::cast<bool>(labels);
    if (!ticks.is_none()) hidden.length = nb::cast<bool>(ticks) ? 3.5 : 0;
    a.set_ticks_look(name, hidden);
  };
  one("x", below, bottom), one("y", left, beside);
}

void legend(Axes& a, nb::args given, nb::handle loc, int ncols, nb::handle title, nb::handle labels, nb::kwargs others) {
  Keywords more("legend", others);
  std::string where = word(loc);
  viz::LegendStyle style{int(more.number({"ncol"}, ncols)), word(title)};
  if (nb::object size = more.take({"fontsize", "prop"}); !size.is_none()) style.size = font_size("legend", size);
  style.frame = more.flag({"frameon"}, true);
  nb::object handles = more.take({"handles"});
  more.done("loc, ncols (ncol), title, labels, handles, fontsize, frameon; loc='outside right' stands beside the axes");
  nb::object names = nb::borrow(labels);
  for (size_t i = 0; i < given.size(); ++i) {                     // legend('upper left'), (labels), (handles, labels)
    nb::object one = given[i];
    if (PyUnicode_Check(one.ptr())) where = word(one);
    else if (given.size() == 2 && i == 0) handles = one;
    else names = one;
  }
  if (!handles.is_none()) {
    const std::vector<std::string> all = names.is_none() ? std::vector<std::string>() : strings(names);
    size_t i = 0;
    for (nb::handle mark : handles) {
      if (!nb::isinstance<Mark>(mark)) throw Error(ErrorKind::type, "legend", "handles that plotting calls gave", nb::cast<std::string>(nb::str(mark.type().attr("__name__"))));
      if (i < all.size()) mark.attr("label") = all[i];
      ++i;
    }
  } else if (!names.is_none()) {
    a.set_labels(strings(names));
  }
  a.legend(where, style);
}

void axis(Axes& a, nb::handle what) {
  if (!PyUnicode_Check(what.ptr())) {
    const std::vector<double> v = numbers("axis", what);
    if (v.size() != 4) throw Error(ErrorKind::value, "axis", "'off', 'on', 'equal', 'auto', or (left, right, bottom, top)", std::to_string(v.size()) + " numbers");
    a.set_xlim(v[0], v[1]), a.set_ylim(v[2], v[3]);
    return;
  }
  const std::string name = word(what);
  if (name == "off" || name == "on") a.set_axis(name == "on");
  else if (name == "tight") a.set_margins(0, 0);
  else a.set_aspect(name == "square" || name == "scaled" || name == "image" ? "equal" : name);
}

// ax.spines['top'].set_visible(False), ax.spines[['top', 'right']].set_visible(False)
struct Spines {
  nb::object axes;
  std::vector<std::string> sides;
};

}  // namespace

void bind_settings(nb::module_& m, nb::class_<Axes>& axes) {
  nb::class_<Spines>(m, "Spines", "Sides of a frame: spines['top'].set_visible(False).")
      .def("__getitem__", [](const Spines& all, nb::object side) { return Spines{all.axes, PyUnicode_Check(side.ptr()) ? std::vector<std::string>{word(side)} : strings(side)}; }, "side"_a)
      .def("set_visible", [](const Spines& some, bool visible) { for (const std::string& side : some.sides) nb::cast<Axes&>(some.axes).set_spine(side, visible); }, "visible"_a);
  axes.def("twinx", &Axes::twinx, nb::rv_policy::reference_internal, "Axes on the same frame with a y axis of their own on the right.")
      .def("twiny", &Axes::twiny, nb::rv_policy::reference_internal, "Axes on the same frame with an x axis of their own on top.")
      .def_prop_ro("spines", [](nb::handle self) { return Spines{nb::borrow(self), {"left", "right", "top", "bottom"}}; }, nb::sig("def spines(self) -> Spines"));
  for (const char* which : {"title", "xlabel", "ylabel"}) {
    axes.def((std::string("set_") + which).c_str(), [which](Axes& a, std::string text, nb::kwargs more) {
          const std::string op = std::string("set_") + which;
          Keywords words(op.c_str(), more);
          const viz::TextLook look = words.look();
          words.done("fontsize (size), color (c), fontweight (weight), loc of a title");
          which[0] == 't' ? a.set_title(text, look) : which[0] == 'x' ? a.set_xlabel(text, look) : a.set_ylabel(text, look);
        }, which[0] == 't' ? "title"_a : "label"_a, "more"_a, "fontsize, color and fontweight as matplotlib's.");
    axes.def((std::string("get_") + which).c_str(), [which](Axes& a) { return which[0] == 't' ? a.title() : a.label(which[0] == 'x' ? "x" : "y"); });
  }
  for (const char* name : {"clear", "cla"}) axes.def(name, &Axes::clear, "As new: no marks, titles, limits or looks; what is shared stays so.");
  for (bool x : {true, false}) {
    const char* axis_name = x ? "x" : "y";
    axes.def(x ? "set_xlim" : "set_ylim", [x, axis_name](Axes& a, nb::object low, nb::object high) {
          const char* op = x ? "set_xlim" : "set_ylim";
          const auto [lo, hi] = limits(a, axis_name, op, low, high, x ? a.get_xlim() : a.get_ylim());
          x ? a.set_xlim(lo, hi) : a.set_ylim(lo, hi);
          return std::pair(lo, hi);
        }, x ? nb::arg("left") = nb::none() : nb::arg("bottom") = nb::none(), x ? nb::arg("right") = nb::none() : nb::arg("top") = nb::none(), "(0, 1), ((0, 1)), or one side alone -> both.");
    axes.def(x ? "set_xscale" : "set_yscale", [x](Axes& a, std::string scale, double linthresh) { x ? a.set_xscale(scale, linthresh) : a.set_yscale(scale, linthresh); },
             "scale"_a, "linthresh"_a = 1.0, "'linear', 'log' or 'symlog' (linear from -linthresh to linthresh).");
    axes.def(x ? "set_xticks" : "set_yticks", [x](Axes& a, nb::object at, nb::object labels, std::optional<double> rotation, nb::kwargs more) { set_ticks(a, x, at, labels, rotation, more); },
             "positions"_a, "labels"_a = nb::none(), "rotation"_a = nb::none(), "more"_a, "rotation: of the x labels, -90 to 90 degrees; by default upright where they fit.");
    axes.def(x ? "set_xticklabels" : "set_yticklabels", [x](Axes& a, nb::object labels, std::optional<double> rotation, nb::kwargs more) { set_tick_labels(a, x, labels, rotation, more); },
             "labels"_a, "rotation"_a = nb::none(), "more"_a, "For the positions that were set before.");
  }
  axes.def("get_xlim", &Axes::get_xlim)
      .def("get_ylim", &Axes::get_ylim)
      .def("invert_xaxis", &Axes::invert_xaxis)
      .def("invert_yaxis", &Axes::invert_yaxis)
      .def("set_aspect", [](Axes& a, std::string aspect) { a.set_aspect(aspect); }, "aspect"_a, "'equal': a unit is as long on both axes; 'auto'.")
      .def("set_xtick_rotation", &Axes::set_xtick_rotation, "degrees"_a)
      .def("tick_params", tick_params, "axis"_a = "both", "more"_a, "labelsize, labelrotation, labelcolor, length of 'x', 'y' or 'both'; labelbottom=False and labelleft=False hide the numbers.")
      .def("margins", [](Axes& a, std::optional<double> both, std::optional<double> x, std::optional<double> y) { a.set_margins(x ? x : both, y ? y : both); },
           "both"_a = nb::none(), "x"_a = nb::none(), "y"_a = nb::none(), "Of the data's span, at both ends.")
      .def("minorticks_on", [](Axes& a) { a.minorticks(true); })
      .def("minorticks_off", [](Axes& a) { a.minorticks(false); })
      .def("set_axis", &Axes::set_axis, "visible"_a, "False: no frame, ticks or labels.")
      .def("set_axis_off", [](Axes& a) { a.set_axis(false); })
      .def("set_axis_on", [](Axes& a) { a.set_axis(true); })
      .def("axis", [](Axes& a, nb::object what) { axis(a, what); }, "what"_a, "'off', 'on', 'equal', 'auto', 'tight', or (left, right, bottom, top).")
      .def("set", set_all, "names"_a, "set(title='Loss', yscale='log', ...): the setter of each name.")
      .def("grid", [](Axes& a, bool on, std::string axis, nb::kwargs more) {
          Keywords words("grid", more);
          viz::GridStyle s;
          s.color = words.color({"color", "c"});
          if (nb::object style = words.take({"linestyle", "ls"}); !style.is_none()) s.linestyle = word(style);
          s.linewidth = words.number({"linewidth", "lw"}, s.linewidth), s.alpha = words.number({"alpha"}, 1);
          const std::string which = word(words.take({"which"}));
          words.done("axis, which, color (c), linestyle (ls), linewidth (lw), alpha");
          s.minor = which == "minor" || which == "both";
          if (s.minor) a.minorticks();
          a.grid(on, axis, s);
        }, "visible"_a = true, "axis"_a = "both", "more"_a, "which='both': at minor ticks, too.")
      .def("legend", legend, "given"_a, "loc"_a = "best", "ncols"_a = 1, "title"_a = nb::none(), "labels"_a = nb::none(), "more"_a,
           "Of the marks that have a label; legend(labels) names them in order. loc: 'best', a corner or side such as 'upper left', 'center right' or 'lower center', or 'outside right'.");
}

}  // namespace miniten::python
