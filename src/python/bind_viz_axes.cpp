#include "python/bind.h"
#include "python/bind_viz.h"

namespace miniten::python {

using namespace nb::literals;
using viz::Axes;

void bind_axes(nb::module_& m) {
  nb::class_<Axes> axes(m, "Axes", nb::is_weak_referenceable(), "One plot of a Figure. Data are copied; NaN and infinities are gaps.");
  nb::class_<Mark>(m, "Mark", "What a plotting call drew.")
      .def_prop_ro("axes", [](const Mark& mark) { return mark.axes; }, nb::sig("def axes(self) -> Axes"))
      .def_prop_rw("label", [](const Mark& mark) { return nb::cast<Axes&>(mark.axes).mark_label(mark.index); },
                   [](Mark& mark, std::string label) { nb::cast<Axes&>(mark.axes).set_mark_label(mark.index, label); })
      .def("set_label", [](Mark& mark, std::string label) { nb::cast<Axes&>(mark.axes).set_mark_label(mark.index, label); }, "label"_a)
      .def("set_zorder", [](Mark& mark, double zorder) { nb::cast<Axes&>(mark.axes).set_mark_zorder(mark.index, zorder); }, "zorder"_a);
  bind_marks(axes);
  bind_fields(axes);
  bind_composed(axes);
  bind_settings(m, axes);
}

}  // namespace miniten::python
