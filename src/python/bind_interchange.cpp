#include <nanobind/stl/optional.h>
#include "miniten/interchange/native.h"
#include "python/bind.h"

namespace miniten::python {

// A path as text, from str or os.PathLike.
std::string path_of(nb::handle path) {
  nb::object text = nb::steal(PyOS_FSPath(path.ptr()));
  if (!text.is_valid()) {
    PyErr_Clear();
    throw Error(ErrorKind::type, "file", "a path", type_text(path));
  }
  if (nb::isinstance<nb::bytes>(text)) return {nb::cast<nb::bytes>(text).c_str()};
  return nb::cast<std::string>(text);
}

static NativeFile native_file(nb::handle source) {
  if (!nb::isinstance<nb::bytes>(source)) return load_native(path_of(source));
  nb::bytes b = nb::borrow<nb::bytes>(source);
  return load_native(std::span(static_cast<const std::byte*>(b.data()), b.size()));
}

void bind_interchange(nb::module_& m) {
  m.def("_save_file", [](std::string kind, std::string extra, nb::dict tensors, nb::object path) {
    NativeFile f;
    f.kind = std::move(kind);
    f.extra = std::move(extra);
    for (auto [name, value] : tensors) f.tensors.push_back({nb::cast<std::string>(nb::str(name)), to_tensor("save", value)});
    return save_native(f, path_of(path));
  });
  m.def("_load_file", [](nb::object source) {
    NativeFile f = native_file(source);
    nb::dict tensors;
    for (const NamedTensor& t : f.tensors) tensors[t.name.c_str()] = t.tensor;
    return nb::make_tuple(f.kind, f.extra, tensors, f.has_graph);
  });
}

}  // namespace miniten::python
