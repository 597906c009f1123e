#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>
#include "miniten/edge/diff.h"
#include "miniten/edge/export_check.h"
#include "python/module_type.h"

namespace miniten::python {

using namespace nb::literals;

static nn::ModuleRef model_of(const char* op, nb::handle model) {
  if (nb::isinstance<Graph>(model)) return make<nn::GraphModule>(nb::cast<const Graph&>(model));
  if (!nb::isinstance<nn::Module>(model)) throw Error(ErrorKind::type, op, "a Module or Graph", type_text(model));
  return nb::cast<nn::ModuleRef>(model);
}

void bind_diff(nb::module_& m) {
  nb::class_<edge::DiffRow>(m, "DiffRow", "One layer of two models side by side.")
      .def_ro("layer", &edge::DiffRow::layer).def_ro("other", &edge::DiffRow::other).def_ro("op", &edge::DiffRow::op)
      .def_prop_ro("shape", [](const edge::DiffRow& r) { return shape_tuple(r.shape); }, nb::sig("def shape(self) -> tuple[int, ...]"))
      .def_ro("difference", &edge::DiffRow::difference).def_ro("sqnr_db", &edge::DiffRow::sqnr_db).def_ro("parts", &edge::DiffRow::parts);
  using R = edge::DiffReport;
  nb::class_<R>(m, "DiffReport", "Where two models part.")
      .def_ro("rows", &R::rows).def_ro("first", &R::first).def_ro("tolerance", &R::tolerance).def("to_text", &R::to_text).def("to_json", &R::to_json).def("__str__", &R::to_text);
  m.def("diff", [](nb::object a, nb::object b, nb::object inputs, double tolerance) {
          nn::ModuleRef x = model_of("diff", a), y = model_of("diff", b);
          std::vector<Tensor> in;
          bool several = nb::isinstance<nb::tuple>(inputs) || nb::isinstance<nb::list>(inputs);
          if (several) for (nb::handle i : inputs) in.push_back(to_tensor("diff", i));
          else in.push_back(to_tensor("diff", inputs));
          R report = edge::diff(*x, *y, in, tolerance);
          raise_pending_error();
          return report;
        }, "a"_a, "b"_a, "inputs"_a, nb::kw_only(), "tolerance"_a = 1e-3,
        nb::sig("def diff(a: Module | Graph, b: Module | Graph, inputs: typing.Any, *, tolerance: float = 0.001) -> DiffReport"),
        "Runs both models, of any formats, on the same inputs (an array, or a tuple of them) and names the first layer where they part.");

  nb::class_<edge::ExportCheckRow>(m, "ExportCheckRow", "One op and where it has a form.")
      .def_ro("op", &edge::ExportCheckRow::op).def_ro("layer", &edge::ExportCheckRow::layer).def_ro("reasons", &edge::ExportCheckRow::reasons, "By target; empty where it can be written.");
  using C = edge::ExportCheck;
  nb::class_<C>(m, "ExportCheck", "Ops by targets.")
      .def_ro("targets", &C::targets).def_ro("rows", &C::rows).def("ok", &C::ok, "target"_a, "Whether every op has a form there.")
      .def("to_text", &C::to_text).def("to_json", &C::to_json).def("__str__", &C::to_text);
  m.def("export_check", [](nb::object model, nb::object input_shape, std::vector<std::string> targets, nb::object input_dtypes) {
          nn::ModuleRef r = model_of("export_check", model);
          return edge::export_check(*r, specs_of("export_check", input_shape, input_dtypes).specs, std::move(targets));
        }, "model"_a, "input_shape"_a = nb::none(), nb::kw_only(), "targets"_a = std::vector<std::string>(), "input_dtypes"_a = nb::none(),
        nb::sig("def export_check(model: Module | Graph, input_shape: typing.Any = None, *, targets: collections.abc.Sequence[str] = (), input_dtypes: typing.Any = None) -> ExportCheck"),
        "Which ops have a form in which target (\"onnx-13\", \"onnxruntime==1.14\", \"native\"), before anything is written.");
}

}  // namespace miniten::python
