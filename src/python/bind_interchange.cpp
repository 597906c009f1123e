#include <nanobind/stl/optional.h>
#include "miniten/edge/export.h"
#include "miniten/interchange/safetensors.h"
#include "python/bind.h"
#include "python/memory_limit.h"

namespace miniten::python {

using namespace nb::literals;

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

uint64_t bytes_of_mb(const char* op, double mb) {
  if (!(mb > 0) || mb > 0x1p40) throw Error(ErrorKind::value, op, "max_memory_mb above 0", std::to_string(mb));
  return uint64_t(mb * 0x1p20);
}

// Calls load with the path or the bytes that a user gave.
static auto from_source(nb::handle source, auto load) {
  if (!nb::isinstance<nb::bytes>(source)) return load(path_of(source));
  nb::bytes b = nb::borrow<nb::bytes>(source);
  return load(std::span(static_cast<const std::byte*>(b.data()), b.size()));
}
static std::vector<NamedTensor> named_tensors(const char* op, nb::dict d) {
  std::vector<NamedTensor> tensors;
  for (auto [name, value] : d) tensors.push_back({nb::cast<std::string>(nb::str(name)), to_tensor(op, value)});
  return tensors;
}
static nb::dict dict_of(const std::vector<NamedTensor>& tensors) {
  nb::dict d;
  for (const NamedTensor& t : tensors) d[nb::str(t.name.data(), t.name.size())] = t.tensor;
  return d;
}

void bind_interchange(nb::module_& m) {
  m.def("_save_file", [](std::string kind, std::string extra, nb::dict tensors, nb::object path) {
    NativeFile f;
    f.kind = std::move(kind);
    f.extra = std::move(extra);
    f.tensors = named_tensors("save", tensors);
    return save_native(f, path_of(path));
  });
  m.def("_load_file", [](nb::object source, double max_memory_mb) -> nb::object {       // a model, or what the tensors of a file without one are
    NativeFile f = from_source(source, [most = bytes_of_mb("load", max_memory_mb)](const auto& from) { return load_native(from, most); });
    if (f.has_graph || (f.kind != "tensor" && f.kind != "state_dict")) return nb::cast(edge::load_miniten(f));
    return nb::make_tuple(f.kind, f.extra, dict_of(f.tensors));
  });
  m.def("save_safetensors", [](nb::dict tensors, nb::object path, nb::object metadata) {
    Safetensors f{named_tensors("save_safetensors", tensors), {}};
    if (!metadata.is_none())
      for (auto [key, value] : nb::cast<nb::dict>(metadata)) {
        if (!nb::isinstance<nb::str>(key) || !nb::isinstance<nb::str>(value))
          throw Error(ErrorKind::type, "save_safetensors", "metadata of text by text", type_text(key) + " and " + type_text(value), "the format stores text alone: use str(...)");
        f.metadata.emplace_back(nb::cast<std::string>(key), nb::cast<std::string>(value));
      }
    return save_safetensors(f, path_of(path));
  }, "tensors"_a, "path"_a, "metadata"_a = nb::none(),
  nb::sig("def save_safetensors(tensors: collections.abc.Mapping[str, Tensor | numpy.typing.ArrayLike], path: str | os.PathLike[str], metadata: collections.abc.Mapping[str, str] | None = None) -> int"),
  "Writes arrays by name, a state_dict for one, as a .safetensors file that appears whole or not at all -> bytes. Raises NotImplementedError for int4 and uint4, which the format lacks, OSError where it cannot be written.");
  m.def("load_safetensors", [](nb::object source, bool with_metadata, double max_memory_mb) -> nb::object {
    Safetensors f = from_source(source, [most = bytes_of_mb("load_safetensors", max_memory_mb)](const auto& from) { return load_safetensors(from, most); });
    if (!with_metadata) return dict_of(f.tensors);
    nb::dict metadata;
    for (const auto& [key, value] : f.metadata) metadata[nb::str(key.data(), key.size())] = nb::str(value.data(), value.size());
    return nb::make_tuple(dict_of(f.tensors), metadata);
  }, "source"_a, nb::kw_only(), "with_metadata"_a = false, "max_memory_mb"_a = default_max_memory_mb,
  nb::sig("def load_safetensors(source: str | os.PathLike[str] | bytes, *, with_metadata: bool = False, max_memory_mb: float = 4096) -> dict[str, Tensor] | tuple[dict[str, Tensor], dict[str, str]]"),
  "The tensors of a .safetensors file, from a path or bytes, by name; with_metadata=True: and the file's texts. Raises ValueError for a damaged file, NotImplementedError for float8 and complex elements.");
}

}  // namespace miniten::python
