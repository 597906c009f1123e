#include <chrono>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>
#include "miniten/edge/export.h"
#include "miniten/edge/export_c.h"
#include "miniten/edge/pruning.h"
#include "miniten/edge/quantization.h"
#include "python/bind_edge.h"
#include "python/bind_quantization.h"
#include "python/memory_limit.h"
#include "python/module_type.h"

namespace miniten::python {

void bind_pruning(nb::module_&);

namespace {

using namespace nb::literals;

// One batch of calibration data as a model's inputs: an array, a dict by name, or a tuple whose first entries are the
// inputs (a data set's label after them is left out).
std::vector<Tensor> batch_of(nb::handle batch, size_t inputs, const std::vector<std::string>& names) {
  auto tensor = [](nb::handle o) { return to_tensor("calibration_data", o, {{}, true}); };
  if (nb::isinstance<nb::dict>(batch)) {
    nb::dict d = nb::borrow<nb::dict>(batch);
    std::vector<Tensor> out;
    for (const std::string& name : names)
      if (d.contains(name.c_str())) out.push_back(tensor(d[name.c_str()]));
    if (out.empty() || out.size() != d.size())
      for (auto [name, value] : (out.clear(), d)) out.push_back(tensor(value));
    return out;
  }
  if (!nb::isinstance<nb::tuple>(batch) && !nb::isinstance<nb::list>(batch)) return {tensor(batch)};
  nb::tuple items = nb::steal<nb::tuple>(PySequence_Tuple(batch.ptr()));
  std::vector<Tensor> out;
  for (size_t i = 0; i < std::min(inputs, items.size()); ++i) out.push_back(tensor(items[i]));
  return out;
}

}  // namespace

namespace {

// Tells of each batch that was read: a function, or (True, and where standard error is a terminal) a line there.
edge::Batches shown(edge::Batches batches, nb::handle data, nb::object progress) {
  nb::object err = nb::module_::import_("sys").attr("stderr");
  if (progress.is_none()) progress = nb::bool_(!err.is_none() && nb::hasattr(err, "isatty") && nb::cast<bool>(nb::bool_(err.attr("isatty")())));
  const bool calls = PyCallable_Check(progress.ptr());
  if (!calls && !PyBool_Check(progress.ptr())) throw Error(ErrorKind::type, "quantize_model", "progress as True, False or a function of (batches, of how many)", type_text(progress));
  if (!calls && !nb::cast<bool>(progress)) return batches;
  Py_ssize_t total = nb::isinstance<nb::list>(data) || nb::hasattr(data, "batch_size") ? PyObject_Size(data.ptr()) : -1;
  if (total < 0) PyErr_Clear();
  nb::object of = total < 0 ? nb::none() : nb::object(nb::int_(total));
  const auto start = std::chrono::steady_clock::now();
  return [=, done = int64_t{0}, told = start]() mutable -> std::vector<Tensor> {
    std::vector<Tensor> batch = batches();
    const auto now = std::chrono::steady_clock::now();
    const bool over = batch.empty();
    if (!over) ++done;
    if (calls) {
      if (!over) progress(done, of);
    } else if (now - start > std::chrono::seconds(1) && (over || now - told > std::chrono::milliseconds(200))) {
      told = now;
      std::string line = "\rcalibrating: " + std::to_string(done) + (total < 0 ? "" : " of " + std::to_string(total)) + " batches, " +
                         std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now - start).count()) + " s" + (over ? "\n" : "");
      err.attr("write")(line);
      err.attr("flush")();
    }
    return batch;
  };
}

}  // namespace

edge::Batches batches_of(nb::handle data, const nn::Module& m) {
  if (data.is_none()) return nullptr;
  std::vector<std::string> names;
  size_t inputs = std::max<size_t>(1, m.last_input_specs().size());
  if (auto* g = dynamic_cast<const nn::GraphModule*>(&m); g && g->has_graph()) {
    inputs = g->graph().inputs.size();
    for (int id : g->graph().inputs) names.push_back(g->graph().values[size_t(id)].name);
  }
  bool whole = nb::isinstance<Tensor::Impl>(data) || nb::isinstance<nb::dict>(data) || (nb::hasattr(data, "dtype") && nb::hasattr(data, "shape"));
  nb::object iterator = whole ? nb::iter(nb::make_tuple(data)) : nb::steal(PyObject_GetIter(data.ptr()));
  if (!iterator.is_valid()) {
    PyErr_Clear();
    throw Error(ErrorKind::type, "quantize_model", "calibration_data as an array or an iterable of batches", type_text(data));
  }
  return [iterator, inputs, names]() -> std::vector<Tensor> {
    nb::object batch = nb::steal(PyIter_Next(iterator.ptr()));
    if (!batch.is_valid()) {
      if (PyErr_Occurred()) throw nb::python_error();
      return {};
    }
    return batch_of(batch, inputs, names);
  };
}

// A pattern, or the number of a layer.
static std::string pattern(nb::handle p) {
  if (nb::isinstance<nb::str>(p)) return nb::cast<std::string>(p);
  if (nb::isinstance<nb::int_>(p) && !PyBool_Check(p.ptr())) return "#" + nb::cast<std::string>(nb::str(p));
  throw Error(ErrorKind::type, "quantize_model", "layers as patterns or numbers", type_text(p));
}
static std::vector<std::string> patterns(nb::handle skip) {
  if (skip.is_none()) return {};
  if (nb::isinstance<nb::str>(skip) || nb::isinstance<nb::int_>(skip)) return {pattern(skip)};
  std::vector<std::string> all;
  for (nb::handle p : skip) all.push_back(pattern(p));
  return all;
}
std::vector<std::string> skip_patterns(nb::handle skip) {
  if (skip.is_none()) return {};
  if (nb::isinstance<nb::str>(skip)) return {nb::cast<std::string>(skip)};
  return nb::cast<std::vector<std::string>>(skip);
}
static std::vector<edge::LayerOverride> overrides_of(nb::handle given) {
  if (given.is_none()) return {};
  if (!nb::isinstance<nb::dict>(given)) throw Error(ErrorKind::type, "quantize_model", "overrides as a dict: layers -> dict of settings", type_text(given));
  std::vector<edge::LayerOverride> all;
  for (auto [layers, settings] : nb::borrow<nb::dict>(given)) {
    edge::LayerOverride o{pattern(layers)};
    if (!nb::isinstance<nb::dict>(settings)) throw Error(ErrorKind::type, "quantize_model", "a dict of settings for \"" + o.layers + "\"", type_text(settings));
    nb::dict left = nb::cast<nb::dict>(nb::borrow<nb::dict>(settings).attr("copy")());
    std::string known;
    o.fields([&]<class T>(const char* key, std::optional<T>& field) {
      known += (known.empty() ? "" : ", ") + std::string(key);
      if (!left.contains(key)) return;
      nb::object value = left.attr("pop")(key);
      T got;
      if (!nb::try_cast<T>(value, got, false) && !(std::is_same_v<T, float> && is_number(value) && nb::try_cast<T>(value, got)))
        throw Error(ErrorKind::type, "quantize_model", std::string(key) + (std::is_same_v<T, bool> ? " as True or False" : std::is_same_v<T, std::string> ? " as text" : " as a number") + " for \"" + o.layers + "\"", type_text(value));
      field = got;
    });
    if (nb::len(left)) throw Error(ErrorKind::type, "quantize_model", known + " for \"" + o.layers + "\"", nb::cast<std::string>(nb::repr(left)));
    all.push_back(std::move(o));
  }
  return all;
}
static nb::dict dict_of(const std::vector<edge::LayerOverride>& overrides) {
  nb::dict all;
  for (edge::LayerOverride o : overrides) {
    nb::dict settings;
    if (all.contains(o.layers.c_str())) settings = nb::borrow<nb::dict>(all[o.layers.c_str()]);
    o.fields([&](const char* key, const auto& field) { if (field) settings[key] = *field; });
    all[o.layers.c_str()] = settings;
  }
  return all;
}

edge::QuantizationConfig config_of(nb::handle config, const nb::kwargs& given) {
  using C = edge::QuantizationConfig;
  C c = config.is_none() ? C{} : nb::isinstance<C>(config) ? nb::cast<const C&>(config) : throw Error(ErrorKind::type, "quantize_model", "a QuantizationConfig", type_text(config), "give dtype and the like by keyword");
  for (auto [key, value] : given) {
    std::string k = nb::cast<std::string>(key);
    auto flag = [&] {
      if (!PyBool_Check(value.ptr())) throw Error(ErrorKind::type, "quantize_model", k + " as True or False", type_text(value));
      return nb::cast<bool>(value);
    };
    auto text = [&] {
      if (!PyUnicode_Check(value.ptr())) throw Error(ErrorKind::type, "quantize_model", k + " as text", type_text(value));
      return nb::cast<std::string>(value);
    };
    auto number = [&] {
      if (!is_number(value)) throw Error(ErrorKind::type, "quantize_model", k + " as a number", type_text(value));
      return float(number_tensor("quantize_model", value, DType::f64).item());
    };
    if (k == "dtype") edge::set_dtype(c, nb::isinstance<nb::str>(value) ? nb::cast<std::string>(value) : std::string(name_of(dtype_of("quantize_model", value))));
    else if (k == "activation_dtype") c.activation_dtype = dtype_of("quantize_model", value);
    else if (k == "per_channel") c.per_channel = flag();
    else if (k == "symmetric") c.symmetric = flag();
    else if (k == "activation_symmetric") c.activation_symmetric = flag();
    else if (k == "method") c.method = text();
    else if (k == "rounding") c.rounding = text();
    else if (k == "correct_bias") c.correct_bias = flag();
    else if (k == "equalize") c.equalize = flag();
    else if (k == "optimize") c.optimize = text();
    else if (k == "mode") c.mode = text();
    else if (k == "percentile") c.percentile = number();
    else if (k == "momentum") c.momentum = number();
    else if (k == "block") c.block = int64_t(number());
    else if (k == "skip") c.skip = patterns(value);
    else if (k == "overrides") c.overrides = overrides_of(value);
    else if (k == "fallback") c.fallback = value.is_none() ? "none" : text();
    else throw Error(ErrorKind::type, "quantize_model", "dtype, block, per_channel, symmetric, activation_dtype, activation_symmetric, calibration_data, method, mode, percentile, momentum, rounding, correct_bias, equalize, optimize, skip, overrides or fallback", "'" + k + "'");
  }
  return c;
}

namespace {

nb::object load_any(nb::handle source, nb::handle optimizer, double max_memory_mb) {
  uint64_t most = bytes_of_mb("load_miniten", max_memory_mb);
  optim::Optimizer::State state;
  Ref<nn::GraphModule> m;
  if (nb::isinstance<nb::bytes>(source)) {
    nb::bytes b = nb::borrow<nb::bytes>(source);
    m = edge::load_miniten(std::span(static_cast<const std::byte*>(b.data()), b.size()), &state, most);
  } else {
    m = edge::load_miniten(path_of(source), &state, most);
  }
  if (!optimizer.is_none()) {
    if (state.empty()) throw Error(ErrorKind::value, "load_miniten", "a file with an optimizer's state", "one without", "write it with optimizer=");
    nb::cast<optim::Optimizer&>(optimizer).load_state_dict(state);
  }
  return nb::cast(m);
}

edge::ExportReport write_native(nn::Module& m, nb::handle path, nb::handle optimizer, nb::handle shape, nb::handle dtypes, const std::map<std::string, std::string>& metadata = {}, Entropy entropy = Entropy::none) {
  const optim::Optimizer* o = optimizer.is_none() ? nullptr : &nb::cast<const optim::Optimizer&>(optimizer);
  return edge::export_miniten(m, path_of(path), specs_of("export_miniten", shape, dtypes).specs, o, metadata, entropy);
}
// What goes into a file beside the model, as text. A History is what fit gives: epochs and, by name, their values.
std::map<std::string, std::string> notes_of(nb::handle labels, nb::handle history, nb::handle metadata) {
  std::map<std::string, std::string> notes;
  auto text_by_text = [](nb::handle h) { for (auto [k, v] : nb::cast<nb::dict>(h)) if (!nb::isinstance<nb::str>(k) || !nb::isinstance<nb::str>(v)) return false; return true; };
  if (!metadata.is_none()) {
    if (!nb::isinstance<nb::dict>(metadata) || !text_by_text(metadata)) throw Error(ErrorKind::type, "export_miniten", "metadata of text by text", type_text(metadata), "use str(...)");
    notes = nb::cast<std::map<std::string, std::string>>(metadata);
  }
  auto json = nb::module_::import_("json").attr("dumps");
  if (!labels.is_none()) {
    nb::list names;
    for (nb::handle l : nb::iter(labels)) names.append(nb::str(l));
    notes["labels"] = nb::cast<std::string>(json(names));
  }
  if (!history.is_none()) {
    nb::dict all;
    if (nb::hasattr(history, "history")) all["epoch"] = history.attr("epoch");
    all.update(nb::hasattr(history, "history") ? nb::object(history.attr("history")) : nb::borrow(history));
    notes["history"] = nb::cast<std::string>(json(all));
  }
  return notes;
}

void bind_reports(nb::module_& m) {
  nb::class_<edge::QuantizationRow>(m, "QuantizationRow", "What became of one layer.")
      .def_ro("layer", &edge::QuantizationRow::layer).def_ro("op", &edge::QuantizationRow::op).def_ro("form", &edge::QuantizationRow::form)
      .def_ro("dtype", &edge::QuantizationRow::dtype).def_ro("reason", &edge::QuantizationRow::reason)
      .def_ro("input_scale", &edge::QuantizationRow::input_scale).def_ro("output_scale", &edge::QuantizationRow::output_scale);
  using R = edge::QuantizationReport;
  nb::class_<R>(m, "QuantizationReport", "What quantize_model did, layer by layer.")
      .def_ro("rows", &R::rows).def_ro("mode", &R::mode).def_ro("config", &R::config).def_ro("notes", &R::notes).def_ro("fallback", &R::fallback).def_ro("requantized", &R::requantized).def_ro("calibration_samples", &R::calibration_samples)
      .def_ro("float_bytes", &R::float_bytes).def_ro("bytes", &R::bytes).def("to_text", &R::to_text).def("to_json", &R::to_json).def("__str__", &R::to_text);
  using X = edge::ExportedPort;
  nb::class_<X>(m, "ExportedPort", "An input or output of a written file.")
      .def_ro("name", &X::name).def_prop_ro("shape", [](const X& x) { return shape_tuple(x.spec.shape); }).def_prop_ro("dtype", [](const X& x) { return std::string(name_of(x.spec.dtype)); })
      .def_ro("axes", &X::axes).def_ro("scale", &X::scale).def_ro("zero_point", &X::zero_point);
  using E = edge::ExportReport;
  nb::class_<E>(m, "ExportReport", "What an exporter wrote.")
      .def_ro("path", &E::path).def_ro("bytes", &E::bytes).def_ro("opset", &E::opset).def_ro("ir_version", &E::ir_version).def_ro("nodes", &E::nodes).def_ro("checked_by", &E::checked_by)
      .def_ro("difference", &E::difference).def_ro("inputs", &E::inputs).def_ro("outputs", &E::outputs).def_ro("operators", &E::operators).def_ro("quantization", &E::quantization)
      .def_ro("notes", &E::notes).def("to_text", &E::to_text).def("to_json", &E::to_json).def("__str__", &E::to_text)
      .def("__bool__", [](const E&) { return true; });
}

void bind_quantization(nb::module_& m) {
  using C = edge::QuantizationConfig;
  nb::class_<C>(m, "QuantizationConfig", "How quantize_model quantises; see its keywords.")
      .def("__init__", [](C* self, nb::kwargs given) { new (self) C(config_of(nb::none(), given)); },
           nb::sig("def __init__(self, *, dtype: DType | str = 'int8', per_channel: bool = True, symmetric: bool = True, activation_dtype: DType | str = 'int8', activation_symmetric: bool = False, "
                   "method: str = 'minmax', percentile: float = 99.999, momentum: float = 0.9, rounding: str = 'nearest', correct_bias: bool = False, equalize: bool = False, optimize: str = 'none', mode: str = 'static', block: int = 0, "
                   "skip: collections.abc.Sequence[str | int] = (), overrides: dict[str | int, dict[str, typing.Any]] | None = None, fallback: str | None = None) -> None"))
      .def_rw("dtype", &C::dtype).def_rw("block", &C::block).def_rw("per_channel", &C::per_channel).def_rw("symmetric", &C::symmetric).def_rw("activation_dtype", &C::activation_dtype)
      .def_rw("activation_symmetric", &C::activation_symmetric).def_rw("method", &C::method).def_rw("percentile", &C::percentile).def_rw("momentum", &C::momentum)
      .def_rw("rounding", &C::rounding).def_rw("correct_bias", &C::correct_bias).def_rw("equalize", &C::equalize)
      .def_rw("optimize", &C::optimize).def_rw("mode", &C::mode).def_rw("skip", &C::skip).def_rw("fallback", &C::fallback)
      .def_prop_rw("overrides", [](const C& c) { return dict_of(c.overrides); }, [](C& c, nb::object given) { c.overrides = overrides_of(given); },
                   nb::for_getter(nb::sig("def overrides(self) -> dict[str, dict[str, typing.Any]]")), nb::for_setter(nb::sig("def overrides(self, value: dict[str | int, dict[str, typing.Any]] | None, /) -> None")));
  m.def("quantize_tensor", [](ArrayLike tensor, DTypeLike dtype, bool symmetric, std::optional<int> axis, int64_t block) {
          edge::QuantizedTensor q = edge::quantize_tensor(to_tensor("quantize_tensor", tensor.object), dtype_of("quantize_tensor", dtype.object), symmetric, axis, block);
          return nb::make_tuple(q.q, q.scale, q.zero_point);
        }, "tensor"_a, "dtype"_a = "int8", "symmetric"_a = true, "axis"_a = nb::none(), "block"_a = 0,
        nb::sig("def quantize_tensor(tensor: Tensor | numpy.typing.ArrayLike, dtype: DType | str = 'int8', symmetric: bool = True, axis: int | None = None, block: int = 0) -> tuple[Tensor, Tensor, Tensor]"),
        "-> (q, scale, zero_point): q = round_half_even(x / scale) + zero_point, saturated.");
  m.def("dequantize_tensor", [](ArrayLike q, ArrayLike scale, ArrayLike zero_point, std::optional<int> axis, int64_t block) {
          Tensor t = q.tensor("dequantize_tensor"), s = to_tensor("dequantize_tensor", scale.object, {DType::f32});
          Tensor z = is_number(zero_point.object) ? number_tensor("dequantize_tensor", zero_point.object, t.dtype() == DType::i4 ? DType::i8 : t.dtype()) : zero_point.tensor("dequantize_tensor");
          return edge::dequantize_tensor(t, s, z, axis, block);
        }, "q"_a, "scale"_a, "zero_point"_a = 0, "axis"_a = nb::none(), "block"_a = 0,
        nb::sig("def dequantize_tensor(q: Tensor | numpy.typing.ArrayLike, scale: Tensor | numpy.typing.ArrayLike, zero_point: Tensor | numpy.typing.ArrayLike = 0, axis: int | None = None, block: int = 0) -> Tensor"),
        "(q - zero_point) * scale, float32.");
  using Q = edge::QuantizedModel;
  nb::class_<Q, nn::GraphModule> q(m, "QuantizedModel", nb::type_slots(ModuleSlots<Q>::slots), "A model in integers. Takes and gives what the float model does.");
  ModuleSlots<Q>::dict_offset = nb::cast<Py_ssize_t>(q.attr("__dictoffset__"));
  q.def("report", [](const Q& self) { return self.report(); })
      .def("size_bytes", &Q::size_bytes, "Of the file that save writes.")
      .def("size_reduction", &Q::size_reduction, "The float model's file over this one's.")
      .def("save", [](const Q& self, nb::object path) { return self.save(path_of(path)); }, "path"_a, nb::sig("def save(self, path: str | os.PathLike[str]) -> int"), "-> bytes.")
      .def_static("load", [](nb::object path) { return Q::load(path_of(path)); }, "path"_a, nb::sig("def load(path: str | os.PathLike[str]) -> QuantizedModel"))
      .def("__deepcopy__", [](const Q& self, nb::dict) { return self.clone(); }, "memo"_a, nb::sig("def __deepcopy__(self, memo: dict) -> QuantizedModel"));
  m.def("quantize_model", [](nn::ModuleRef model, nb::object config, nb::object calibration_data, nb::object progress, nb::kwargs given) {
          edge::QuantizationConfig c = config_of(config, given);
          edge::Batches batches = batches_of(calibration_data, *model);
          if (batches) batches = shown(std::move(batches), calibration_data, progress);
          auto quantized = edge::quantize_model(*model, c, batches);
          if (quantized->report().requantized && PyErr_WarnEx(PyExc_UserWarning, "[quantize_model] the model is quantised already: what its first rounding lost stays lost. Quantise the float model where there is one", 1) < 0)
            throw nb::python_error();
          return quantized;
        }, "model"_a, "config"_a = nb::none(), nb::kw_only(), "calibration_data"_a = nb::none(), "progress"_a = nb::none(), "options"_a,
        nb::sig("def quantize_model(model: Module, config: QuantizationConfig | None = None, *, calibration_data: typing.Any = None, dtype: DType | str = 'int8', per_channel: bool = True, "
                "symmetric: bool = True, activation_dtype: DType | str = 'int8', activation_symmetric: bool = False, method: str = 'minmax', percentile: float = 99.999, momentum: float = 0.9, "
                "rounding: str = 'nearest', correct_bias: bool = False, equalize: bool = False, optimize: str = 'none', mode: str = 'static', block: int = 0, "
                "skip: collections.abc.Sequence[str | int] = (), overrides: dict[str | int, dict[str, typing.Any]] | None = None, fallback: str | None = None, "
                "progress: bool | collections.abc.Callable[[int, int | None], typing.Any] | None = None) -> QuantizedModel"),
        "A quantised copy; the model given is not modified. calibration_data: an array, or an iterable of batches. overrides: layers -> settings of their own.\n\n"
        "Without it weights are static and activations get their scales at run time. Keywords override config. progress: called with the number of batches read (and of\n"
        "how many); True, and by default in a terminal, shows a line.");
}

// As the class it is.
nb::object module_object(const nn::ModuleRef& m) {
  if (auto* g = dynamic_cast<nn::GraphModule*>(m.get())) return nb::cast(Ref<nn::GraphModule>(g));
  if (auto* t = dynamic_cast<edge::TfliteModule*>(m.get())) return nb::cast(Ref<edge::TfliteModule>(t));
  return nb::cast(Ref<edge::OnnxModule>(dynamic_cast<edge::OnnxModule*>(m.get())));
}

void bind_export_c(nb::module_& m) {
  using R = edge::ExportCReport;
  nb::class_<R>(m, "ExportCReport", "What export_c wrote, and what it needs.")
      .def_ro("directory", &R::directory).def_ro("files", &R::files).def_ro("arena_bytes", &R::arena_bytes).def_ro("state_bytes", &R::state_bytes).def_ro("weight_bytes", &R::weight_bytes)
      .def_ro("dense_weight_bytes", &R::dense_weight_bytes).def_ro("macs", &R::macs).def_ro("steps", &R::steps).def_ro("input_dtypes", &R::input_dtypes).def_ro("output_dtypes", &R::output_dtypes).def_ro("verified_by", &R::verified_by)
      .def_ro("code_bytes", &R::code_bytes).def_ro("stack_bytes", &R::stack_bytes).def("to_text", &R::to_text).def("to_json", &R::to_json).def("__str__", &R::to_text);
  m.def("export_c", [](nn::ModuleRef model, nb::object input_shape, nb::object output_dir, std::string name, nb::object calibration_data, std::optional<double> max_ram_kb, std::optional<std::string> verify, bool streaming, nb::object input_dtypes) {
          if (output_dir.is_none()) throw Error(ErrorKind::type, "export_c", "output_dir", "none");
          edge::ExportCOptions o{.name = name, .calibration = batches_of(calibration_data, *model), .max_ram_kb = max_ram_kb, .streaming = streaming, .verify = verify.value_or("")};
          if (verify && verify->empty()) throw Error(ErrorKind::value, "export_c", "verify as 'host', 'qemu' or None", "''");
          return edge::export_c(*model, specs_of("export_c", input_shape, input_dtypes).specs, path_of(output_dir), o);
        }, "model"_a, "input_shape"_a = nb::none(), "output_dir"_a = nb::none(), "name"_a = "model", "calibration_data"_a = nb::none(), "max_ram_kb"_a = nb::none(), "verify"_a = nb::none(),
        nb::kw_only(), "streaming"_a = false, "input_dtypes"_a = nb::none(),
        "Writes a model as C99: <name>.h, <name>.c and <name>_self_test.c. Nothing is written where a layer has no form in C: NotImplementedError names it.");
}

void bind_export(nb::module_& m) {
  m.def("export_onnx", [](nn::ModuleRef model, nb::object input_shape, nb::object output_path, std::optional<int> opset_version, nb::object input_dtypes, std::string quantization, std::vector<std::string> input_names,
                          std::vector<std::string> output_names, nb::object dynamic_axes, std::optional<std::string> target_runtime, bool sparse) {
          if (output_path.is_none()) throw Error(ErrorKind::type, "export_onnx", "output_path", "none");
          NamedSpecs s = specs_of("export_onnx", input_shape, input_dtypes);
          OnnxTarget target{13, 0};
          if (target_runtime) target = onnx_target(*target_runtime);
          if (target_runtime && opset_version.value_or(0) > target.opset)
            throw Error(ErrorKind::value, "export_onnx", "an opset that " + *target_runtime + " reads, at most " + std::to_string(target.opset), std::to_string(*opset_version));
          OnnxExport o{.opset = opset_version.value_or(target.opset), .ir_version = target.ir_version, .quantization = quantization, .input_names = input_names.empty() ? s.names : input_names, .output_names = output_names, .sparse = sparse};
          edge::OpenAxes open;
          if (!dynamic_axes.is_none()) {
            nb::dict given;
            if (!nb::try_cast(dynamic_axes, given)) throw Error(ErrorKind::type, "export_onnx", "dynamic_axes as {input: {axis: name}}", type_text(dynamic_axes));
            for (auto [name, axes] : given)
              for (nb::handle axis : axes) {
                nb::object symbol_of = nb::isinstance<nb::dict>(axes) ? nb::borrow<nb::dict>(axes)[axis] : nb::object(nb::str(""));
                open[nb::cast<std::string>(nb::str(name))][integer_of("export_onnx", axis)] = nb::cast<std::string>(nb::str(symbol_of));
              }
          }
          return edge::export_onnx(*model, s.specs, path_of(output_path), o, open);
        }, "model"_a, "input_shape"_a = nb::none(), "output_path"_a = nb::none(), "opset_version"_a = nb::none(), nb::kw_only(), "input_dtypes"_a = nb::none(), "quantization"_a = "qdq",
        "input_names"_a = std::vector<std::string>(), "output_names"_a = std::vector<std::string>(), "dynamic_axes"_a = nb::none(), "target_runtime"_a = nb::none(), "sparse"_a = false,
        "Writes an ONNX file and reads it again. Without input_shape the model's last call tells the shapes. sparse: constants with many zeros as sparse initializers, where that is smaller. Nothing is written where a layer has no form in ONNX: NotImplementedError names it.");
  m.def("export_tflite", [](nn::ModuleRef model, nb::object input_shape, nb::object output_path, nb::object quantize, nb::object calibration_data, std::string inference_input_type,
                            std::optional<std::string> inference_output_type, nb::object input_dtypes, std::vector<std::string> input_names, std::vector<std::string> output_names, bool keep_layout, bool unroll, bool sparse) {
          if (output_path.is_none()) throw Error(ErrorKind::type, "export_tflite", "output_path", "none");
          NamedSpecs s = specs_of("export_tflite", input_shape, input_dtypes);
          edge::TfliteSettings o;
          if (nb::isinstance<nb::str>(quantize)) o.quantize = nb::cast<std::string>(quantize);
          else if (nb::isinstance<nb::bool_>(quantize)) o.quantize = nb::cast<bool>(quantize) ? "int8" : "";
          else if (!quantize.is_none()) throw Error(ErrorKind::type, "export_tflite", "quantize as False, True or a name", type_text(quantize));
          o.keep_layout = keep_layout;
          o.unroll = unroll;
          o.sparse = sparse;
          o.input_type = dtype_of("export_tflite", nb::str(inference_input_type.c_str()));
          o.output_type = dtype_of("export_tflite", nb::str(inference_output_type.value_or(inference_input_type).c_str()));
          o.input_names = input_names.empty() ? s.names : input_names;
          o.output_names = output_names;
          if (!calibration_data.is_none()) {
            nb::object data = calibration_data;
            if (PyIter_Check(data.ptr())) data = nb::steal(PySequence_List(data.ptr()));              // it is read twice
            if (!data.is_valid()) throw nb::python_error();
            o.calibration = [data, model] { return batches_of(data, *model); };
          }
          return edge::export_tflite(*model, s.specs, path_of(output_path), o);
        }, "model"_a, "input_shape"_a = nb::none(), "output_path"_a = nb::none(), "quantize"_a = false, "calibration_data"_a = nb::none(), "inference_input_type"_a = "float32",
        nb::kw_only(), "inference_output_type"_a = nb::none(), "input_dtypes"_a = nb::none(), "input_names"_a = std::vector<std::string>(), "output_names"_a = std::vector<std::string>(), "keep_layout"_a = false, "unroll"_a = false, "sparse"_a = false,
        "Writes a TFLite file. quantize: False, 'int8' (or True), 'int16x8', 'dynamic' or 'float16'; a quantised model keeps its own scales. Pictures are stored (N, H, W, C), inputs and outputs too: "
        "the report's inputs tell. keep_layout=True keeps the model's (N, C, H, W) behind a transpose. sparse=True stores constants with many zeros as sparse tensors, each behind a DENSIFY, where that is smaller.");
  m.def("load_onnx", [](nb::object source, bool fold_batch_norm, double max_memory_mb) {
          OnnxOptions o{fold_batch_norm, bytes_of_mb("load_onnx", max_memory_mb)};
          if (!nb::isinstance<nb::bytes>(source)) return module_object(edge::load_onnx(path_of(source), o));
          nb::bytes b = nb::borrow<nb::bytes>(source);
          return module_object(edge::load_onnx(std::span(static_cast<const std::byte*>(b.data()), b.size()), o));
        }, "source"_a, nb::kw_only(), "fold_batch_norm"_a = false, "max_memory_mb"_a = default_max_memory_mb,
        nb::sig("def load_onnx(source: str | os.PathLike[str] | bytes, *, fold_batch_norm: bool = False, max_memory_mb: float = 4096) -> GraphModule | OnnxModule"),
        "A model from a path or bytes: a GraphModule, or an OnnxModule where sizes or branches depend on the inputs. ValueError for a file that would need more memory than max_memory_mb, before it does.");
  m.def("load_tflite", [](nb::object source, std::optional<std::string> exact, std::optional<std::string> signature, double max_memory_mb) {
          TfliteOptions o{exact.value_or(""), signature.value_or(""), bytes_of_mb("load_tflite", max_memory_mb)};
          if (!nb::isinstance<nb::bytes>(source)) return module_object(edge::load_tflite(path_of(source), o));
          auto b = nb::cast<nb::bytes>(source);
          return module_object(edge::load_tflite(std::span(static_cast<const std::byte*>(b.data()), b.size()), o));
        }, "source"_a, nb::kw_only(), "exact"_a = nb::none(), "signature"_a = nb::none(), "max_memory_mb"_a = default_max_memory_mb,
        nb::sig("def load_tflite(source: str | os.PathLike[str] | bytes, *, exact: str | None = None, signature: str | None = None, max_memory_mb: float = 4096) -> GraphModule | TfliteModule"),
        "A model from a path or bytes: a GraphModule, or a TfliteModule where values end its loops. exact='tflite': integers rounded as LiteRT's reference kernels round them. ValueError for a file that would need more memory than max_memory_mb, before it does.");
  using O = edge::OnnxModule;
  nb::class_<O, nn::Module> o(m, "OnnxModule", nb::type_slots(ModuleSlots<O>::slots), "An ONNX model whose sizes or branches depend on its inputs. Called with arrays in order or by name.");
  ModuleSlots<O>::dict_offset = nb::cast<Py_ssize_t>(o.attr("__dictoffset__"));
  o.def("forward", [](O& self, nb::args args) { return single_or_tuple(self.O::forward(module_inputs(self, args))); }, nb::sig("def forward(self, *inputs: Tensor | numpy.typing.ArrayLike) -> typing.Any"))
      .def_prop_ro("runs_by_node", [](const O& self) { return self.runs_by_node(); }, "What the last call found known by value alone: such nodes run one by one, what lies between compiled. Empty where all ran as one compiled graph.")
      .def_prop_ro("compiled", [](const O& self) { return self.compiled(); }, "Compiled graphs made so far: one for each stretch between such nodes and each set of sizes.");
  using T = edge::TfliteModule;
  nb::class_<T, nn::Module> t(m, "TfliteModule", nb::type_slots(ModuleSlots<T>::slots), "A TFLite model whose loops end when computed values say so: runs operator by operator, without gradients.");
  ModuleSlots<T>::dict_offset = nb::cast<Py_ssize_t>(t.attr("__dictoffset__"));
  t.def("forward", [](T& self, nb::args args) { return single_or_tuple(self.T::forward(module_inputs(self, args))); }, nb::sig("def forward(self, *inputs: Tensor | numpy.typing.ArrayLike) -> typing.Any"))
      .def("reset", &T::reset, "Variables as the file has them.");
  m.def("export_miniten", [](nn::ModuleRef model, nb::object output_path, bool include_optimizer, nb::object optimizer, nb::object input_shape, nb::object input_dtypes, nb::object labels, nb::object history, nb::object metadata, std::optional<std::string> entropy) {
          if (include_optimizer && optimizer.is_none()) throw Error(ErrorKind::value, "export_miniten", "the optimizer to include", "none", "pass optimizer=");
          return write_native(*model, output_path, optimizer, input_shape, input_dtypes, notes_of(labels, history, metadata), entropy_of(entropy));
        }, "model"_a, "output_path"_a, "include_optimizer"_a = false, "optimizer"_a = nb::none(), "input_shape"_a = nb::none(), "input_dtypes"_a = nb::none(),
        nb::kw_only(), "labels"_a = nb::none(), "history"_a = nb::none(), "metadata"_a = nb::none(), "entropy"_a = nb::none(),
        "Writes MiniTen's own file, a .npz that NumPy reads. entropy 'huffman' or 'rans': frequent values of shared weights take fewer bits. labels: names of the classes; history: what fit gave; metadata: text by text.");
  m.def("load_miniten", [](nb::object source, nb::object optimizer, double max_memory_mb) { return load_any(source, optimizer, max_memory_mb); }, "source"_a, "optimizer"_a = nb::none(),
        nb::kw_only(), "max_memory_mb"_a = default_max_memory_mb,
        nb::sig("def load_miniten(source: str | os.PathLike[str] | bytes, optimizer: Optimizer | None = None, *, max_memory_mb: float = 4096) -> GraphModule"),
        "A model from a path or bytes, as what it was: GraphModule, QuantizedModel or PrunedModel. optimizer takes the state that the file holds. ValueError for a file that would need more memory than max_memory_mb, before it does.");
  nb::class_<nn::Module> module = nb::borrow<nb::class_<nn::Module>>(nb::type<nn::Module>());
  module.def("save", [](nn::Module& self, nb::object path, nb::object input_shape) { return write_native(self, path, nb::none(), input_shape, nb::none()).bytes; }, "path"_a, "input_shape"_a = nb::none(),
             nb::sig("def save(self, path: str | os.PathLike[str], input_shape: typing.Any = None) -> int"), "Writes MiniTen's own file -> bytes. Without input_shape the last call tells the shapes.");
  module.def_static("load", [](nb::object path) { return load_any(path, nb::none(), default_max_memory_mb); }, "path"_a, nb::sig("def load(path: str | os.PathLike[str] | bytes) -> GraphModule"), "The model in a file of MiniTen.");
}

}  // namespace

void bind_edge(nb::module_& m) {
  bind_reports(m);
  bind_quantization(m);
  bind_pruning(m);
  bind_export(m);
  bind_export_c(m);
  bind_package(m);
}

}  // namespace miniten::python
