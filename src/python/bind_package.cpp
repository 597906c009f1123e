#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>
#include "miniten/edge/package.h"
#include "python/bind_edge.h"
#include "python/module_type.h"

namespace miniten::python {

using namespace nb::literals;

void bind_package(nb::module_& m) {
  using R = edge::PackageReport;
  nb::class_<R>(m, "PackageReport", "What package wrote.")
      .def_ro("path", &R::path).def_ro("bytes", &R::bytes).def_ro("targets", &R::targets).def_ro("files", &R::files, "Name in the zip -> bytes.").def("to_text", &R::to_text).def("to_json", &R::to_json).def("__str__", &R::to_text);
  m.def("package", [](nn::ModuleRef model, nb::object output_path, std::vector<std::string> targets, nb::object input_shape, std::string name, nb::object inputs, std::string license, std::optional<std::string> verify, nb::object input_dtypes) {
          edge::PackageOptions o{.targets = std::move(targets), .name = name, .license = license, .verify = verify.value_or("")};
          if (nb::isinstance<nb::tuple>(inputs) || nb::isinstance<nb::list>(inputs)) for (nb::handle i : inputs) o.inputs.push_back(to_tensor("package", i));
          else if (!inputs.is_none()) o.inputs.push_back(to_tensor("package", inputs));
          return edge::package(*model, path_of(output_path), specs_of("package", input_shape, input_dtypes).specs, o);
        }, "model"_a, "output_path"_a, "targets"_a = std::vector<std::string>{"onnx", "tflite", "c"}, "input_shape"_a = nb::none(), nb::kw_only(), "name"_a = "model", "inputs"_a = nb::none(), "license"_a = "",
        "verify"_a = nb::none(), "input_dtypes"_a = nb::none(),
        nb::sig("def package(model: Module, output_path: str | os.PathLike[str], targets: collections.abc.Sequence[str] = ('onnx', 'tflite', 'c'), input_shape: typing.Any = None, *, name: str = 'model', "
                "inputs: typing.Any = None, license: str = '', verify: str | None = None, input_dtypes: typing.Any = None) -> PackageReport"),
        "Writes a model as a zip for others: MiniTen's file, the targets' forms, golden inputs and outputs, a report, licences and a check.sh that runs and compares what the machine can. "
        "inputs: an array, or a tuple of them, that the golden outputs are computed of; without, random numbers.");
}

}  // namespace miniten::python
