#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>
#include "miniten/edge/export.h"
#include "miniten/edge/export_c.h"
#include "miniten/edge/pruning.h"
#include "miniten/edge/quantization.h"
#include "python/module_type.h"

namespace miniten::python {

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

// calibration_data: one array, or any iterable of batches (a DataLoader, a generator). Read once, not kept.
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

std::vector<std::string> patterns(nb::handle skip) {
  if (skip.is_none()) return {};
  if (nb::isinstance<nb::str>(skip)) return {nb::cast<std::string>(skip)};
  return nb::cast<std::vector<std::string>>(skip);
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
    if (k == "dtype") c.dtype = dtype_of("quantize_model", value);
    else if (k == "activation_dtype") c.activation_dtype = dtype_of("quantize_model", value);
    else if (k == "per_channel") c.per_channel = flag();
    else if (k == "symmetric") c.symmetric = flag();
    else if (k == "activation_symmetric") c.activation_symmetric = flag();
    else if (k == "method") c.method = text();
    else if (k == "mode") c.mode = text();
    else if (k == "percentile") c.percentile = number();
    else if (k == "momentum") c.momentum = number();
    else if (k == "skip") c.skip = patterns(value);
    else throw Error(ErrorKind::type, "quantize_model", "dtype, per_channel, symmetric, activation_dtype, activation_symmetric, calibration_data, method, mode, percentile, momentum or skip", "'" + k + "'");
  }
  return c;
}

nb::object load_any(nb::handle source, nb::handle optimizer) {
  optim::Optimizer::State state;
  Ref<nn::GraphModule> m;
  if (nb::isinstance<nb::bytes>(source)) {
    nb::bytes b = nb::borrow<nb::bytes>(source);
    m = edge::load_miniten(std::span(static_cast<const std::byte*>(b.data()), b.size()), &state);
  } else {
    m = edge::load_miniten(path_of(source), &state);
  }
  if (!optimizer.is_none()) {
    if (state.empty()) throw Error(ErrorKind::value, "load_miniten", "a file with an optimizer's state", "one without", "write it with optimizer=");
    nb::cast<optim::Optimizer&>(optimizer).load_state_dict(state);
  }
  return nb::cast(m);
}

edge::ExportReport write_native(nn::Module& m, nb::handle path, nb::handle optimizer, nb::handle shape, nb::handle dtypes) {
  const optim::Optimizer* o = optimizer.is_none() ? nullptr : &nb::cast<const optim::Optimizer&>(optimizer);
  return edge::export_miniten(m, path_of(path), specs_of("export_miniten", shape, dtypes).specs, o);
}

void bind_reports(nb::module_& m) {
  nb::class_<edge::QuantizationRow>(m, "QuantizationRow", "What became of one layer.")
      .def_ro("layer", &edge::QuantizationRow::layer).def_ro("op", &edge::QuantizationRow::op).def_ro("form", &edge::QuantizationRow::form)
      .def_ro("dtype", &edge::QuantizationRow::dtype).def_ro("reason", &edge::QuantizationRow::reason)
      .def_ro("input_scale", &edge::QuantizationRow::input_scale).def_ro("output_scale", &edge::QuantizationRow::output_scale);
  using R = edge::QuantizationReport;
  nb::class_<R>(m, "QuantizationReport", "What quantize_model did, layer by layer.")
      .def_ro("rows", &R::rows).def_ro("mode", &R::mode).def_ro("config", &R::config).def_ro("notes", &R::notes).def_ro("calibration_samples", &R::calibration_samples)
      .def_ro("float_bytes", &R::float_bytes).def_ro("bytes", &R::bytes).def("to_text", &R::to_text).def("to_json", &R::to_json).def("__str__", &R::to_text);
  nb::class_<edge::PruneRow>(m, "PruneRow", "Zeros of one weight.")
      .def_ro("weight", &edge::PruneRow::weight).def_ro("total", &edge::PruneRow::total).def_ro("zeros", &edge::PruneRow::zeros).def_ro("dtype", &edge::PruneRow::dtype);
  using P = edge::PruneReport;
  nb::class_<P>(m, "PruneReport", "What is zero, weight by weight.")
      .def_ro("wanted", &P::wanted).def_ro("rows", &P::rows).def_ro("method", &P::method).def_ro("scope", &P::scope).def_ro("dense_bytes", &P::dense_bytes).def_ro("bytes", &P::bytes)
      .def_prop_ro("total", &P::total).def_prop_ro("zeros", &P::zeros).def("to_text", &P::to_text).def("to_json", &P::to_json).def("__str__", &P::to_text);
  using E = edge::ExportReport;
  nb::class_<E>(m, "ExportReport", "What an exporter wrote.")
      .def_ro("path", &E::path).def_ro("bytes", &E::bytes).def_ro("opset", &E::opset).def_ro("ir_version", &E::ir_version).def_ro("nodes", &E::nodes).def_ro("checked_by", &E::checked_by)
      .def_ro("difference", &E::difference).def("to_text", &E::to_text).def("to_json", &E::to_json).def("__str__", &E::to_text)
      .def("__bool__", [](const E&) { return true; });
}

void bind_quantization(nb::module_& m) {
  using C = edge::QuantizationConfig;
  nb::class_<C>(m, "QuantizationConfig", "How quantize_model quantises; see its keywords.")
      .def("__init__", [](C* self, nb::kwargs given) { new (self) C(config_of(nb::none(), given)); },
           nb::sig("def __init__(self, *, dtype: DType | str = 'int8', per_channel: bool = True, symmetric: bool = True, activation_dtype: DType | str = 'int8', activation_symmetric: bool = False, "
                   "method: str = 'minmax', percentile: float = 99.999, momentum: float = 0.9, mode: str = 'static', skip: collections.abc.Sequence[str] = ()) -> None"))
      .def_rw("dtype", &C::dtype).def_rw("per_channel", &C::per_channel).def_rw("symmetric", &C::symmetric).def_rw("activation_dtype", &C::activation_dtype)
      .def_rw("activation_symmetric", &C::activation_symmetric).def_rw("method", &C::method).def_rw("percentile", &C::percentile).def_rw("momentum", &C::momentum)
      .def_rw("mode", &C::mode).def_rw("skip", &C::skip);
  m.def("quantize_tensor", [](ArrayLike tensor, DTypeLike dtype, bool symmetric, std::optional<int> axis) {
          edge::QuantizedTensor q = edge::quantize_tensor(to_tensor("quantize_tensor", tensor.object), dtype_of("quantize_tensor", dtype.object), symmetric, axis);
          return nb::make_tuple(q.q, q.scale, q.zero_point);
        }, "tensor"_a, "dtype"_a = "int8", "symmetric"_a = true, "axis"_a = nb::none(),
        nb::sig("def quantize_tensor(tensor: Tensor | numpy.typing.ArrayLike, dtype: DType | str = 'int8', symmetric: bool = True, axis: int | None = None) -> tuple[Tensor, Tensor, Tensor]"),
        "-> (q, scale, zero_point): q = round_half_even(x / scale) + zero_point, saturated.");
  m.def("dequantize_tensor", [](ArrayLike q, ArrayLike scale, ArrayLike zero_point, std::optional<int> axis) {
          Tensor t = q.tensor("dequantize_tensor"), s = to_tensor("dequantize_tensor", scale.object, {DType::f32});
          Tensor z = is_number(zero_point.object) ? number_tensor("dequantize_tensor", zero_point.object, t.dtype()) : zero_point.tensor("dequantize_tensor");
          return edge::dequantize_tensor(t, s, z, axis);
        }, "q"_a, "scale"_a, "zero_point"_a = 0, "axis"_a = nb::none(),
        nb::sig("def dequantize_tensor(q: Tensor | numpy.typing.ArrayLike, scale: Tensor | numpy.typing.ArrayLike, zero_point: Tensor | numpy.typing.ArrayLike = 0, axis: int | None = None) -> Tensor"),
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
  m.def("quantize_model", [](nn::ModuleRef model, nb::object config, nb::object calibration_data, nb::kwargs given) {
          edge::QuantizationConfig c = config_of(config, given);
          return edge::quantize_model(*model, c, batches_of(calibration_data, *model));
        }, "model"_a, "config"_a = nb::none(), nb::kw_only(), "calibration_data"_a = nb::none(), "options"_a,
        nb::sig("def quantize_model(model: Module, config: QuantizationConfig | None = None, *, calibration_data: typing.Any = None, dtype: DType | str = 'int8', per_channel: bool = True, "
                "symmetric: bool = True, activation_dtype: DType | str = 'int8', activation_symmetric: bool = False, method: str = 'minmax', percentile: float = 99.999, momentum: float = 0.9, "
                "mode: str = 'static', skip: collections.abc.Sequence[str] = ()) -> QuantizedModel"),
        "A quantised copy; the model given is not modified. calibration_data: an array, or an iterable of batches.\n\n"
        "Without it weights are static and activations get their scales at run time. Keywords override config.");
}

void bind_pruning(nb::module_& m) {
  m.def("magnitude_prune", [](ArrayLike weights, double sparsity) {
          edge::Pruned p = edge::magnitude_prune(weights.tensor("magnitude_prune"), sparsity);
          return nb::make_tuple(p.weights, p.mask);
        }, "weights"_a, "sparsity"_a, nb::sig("def magnitude_prune(weights: Tensor | numpy.typing.ArrayLike, sparsity: float) -> tuple[Tensor, Tensor]"), "-> (pruned, mask): round(sparsity * n) zeros, the least magnitudes.");
  m.def("structured_prune", [](ArrayLike weights, double sparsity, int dim) {
          edge::StructuredPruned p = edge::structured_prune(weights.tensor("structured_prune"), sparsity, dim);
          return nb::make_tuple(p.weights, p.mask, p.kept);
        }, "weights"_a, "sparsity"_a, "dim"_a = 0,
        nb::sig("def structured_prune(weights: Tensor | numpy.typing.ArrayLike, sparsity: float, dim: int = 0) -> tuple[Tensor, Tensor, list[int]]"),
        "-> (pruned, mask, kept): whole slices along dim, the least by L1 norm; kept are the indices of the others, ascending.");
  using P = edge::PrunedModel;
  nb::class_<P, nn::GraphModule> p(m, "PrunedModel", nb::type_slots(ModuleSlots<P>::slots), "A model whose weights are partly zero and stay so in training.");
  ModuleSlots<P>::dict_offset = nb::cast<Py_ssize_t>(p.attr("__dictoffset__"));
  p.def("forward", [](P& self, nb::args args) { return single_or_tuple(self.P::forward(module_inputs(self, args))); }, nb::sig("def forward(self, *inputs: Tensor | numpy.typing.ArrayLike) -> typing.Any"))
      .def_prop_ro("masks", [](const P& self) {
          nb::dict d;
          for (auto& [name, mask] : self.masks()) d[name.c_str()] = mask;
          return d;
        }, nb::sig("def masks(self) -> dict[str, Tensor]"), "bool, False at zeros, by the weight's name.")
      .def_prop_ro("kept", [](const P& self) {
          nb::dict d;
          for (const edge::KeptIndices& k : self.kept())
            for (auto& [name, axis] : k.axes) {
              if (!d.contains(name.c_str())) d[name.c_str()] = nb::dict();
              nb::cast<nb::dict>(d[name.c_str()])[nb::int_(axis)] = k.kept;
            }
          return d;
        }, nb::sig("def kept(self) -> dict[str, dict[int, list[int]]]"), "Of method structured: the indices that stayed, ascending, by the constant's name and axis.")
      .def("actual_sparsity", &P::actual_sparsity, "Zeros among the prunable weights, counted.")
      .def("nonzero_parameters", &P::nonzero_parameters)
      .def("compression_ratio", &P::compression_ratio, "Bytes of the file with all weights in full over those of this one.")
      .def("size_reduction", &P::size_reduction, "The float model's file over this one's.")
      .def("size_bytes", &P::size_bytes, "Of the file that save writes.")
      .def("report", &P::report)
      .def("prune", &P::prune, "sparsity"_a, "More zeros in place.")
      .def("save", [](const P& self, nb::object path) { return self.save(path_of(path)); }, "path"_a, nb::sig("def save(self, path: str | os.PathLike[str]) -> int"), "-> bytes.")
      .def_static("load", [](nb::object path) { return P::load(path_of(path)); }, "path"_a, nb::sig("def load(path: str | os.PathLike[str]) -> PrunedModel"))
      .def("__deepcopy__", [](const P& self, nb::dict) { return self.clone(); }, "memo"_a, nb::sig("def __deepcopy__(self, memo: dict) -> PrunedModel"));
  m.def("prune_model", [](nn::ModuleRef model, std::optional<double> sparsity, std::string method, std::string scope, nb::object skip, uint64_t seed,
                          std::map<std::string, double> ratios, std::string importance, int64_t min_channels, std::optional<int64_t> round_to, nb::object input_shape, nb::object input_dtypes) {
          if (!sparsity) throw Error(ErrorKind::value, "prune_model", "a sparsity in [0, 1)", "none", "pass sparsity=0.5");
          edge::PruneOptions o{.method = method, .scope = scope, .skip = patterns(skip), .seed = seed, .ratios = {ratios.begin(), ratios.end()}, .importance = importance,
                              .min_channels = min_channels, .round_to = round_to.value_or(1)};
          return edge::prune_model(*model, *sparsity, o, specs_of("prune_model", input_shape, input_dtypes).specs);
        }, "model"_a, "sparsity"_a = nb::none(), "method"_a = "magnitude", "scope"_a = "global", nb::kw_only(), "skip"_a = nb::none(), "seed"_a = 0,
        "ratios"_a = std::map<std::string, double>(), "importance"_a = "l1", "min_channels"_a = 1, "round_to"_a = nb::none(), "input_shape"_a = nb::none(), "input_dtypes"_a = nb::none(),
        nb::sig("def prune_model(model: Module, sparsity: float | None = None, method: str = 'magnitude', scope: str = 'global', *, skip: str | collections.abc.Sequence[str] | None = None, seed: int = 0, "
                "ratios: dict[str, float] = {}, importance: str = 'l1', min_channels: int = 1, round_to: int | None = None, input_shape: typing.Any = None, input_dtypes: typing.Any = None) -> PrunedModel"),
        "A pruned copy; the model given is not modified. Of a quantised model the integers become zero, the scales stay.");
  using S = edge::ChannelSummary;
  nb::class_<S>(m, "ChannelSummary", "Channels that exist only together.")
      .def_ro("name", &S::name).def_ro("channels", &S::channels).def_ro("layers", &S::layers).def_ro("axes", &S::axes).def("to_text", &S::to_text).def("__str__", &S::to_text)
      .def("__repr__", &S::to_text);
  m.def("channel_groups", [](nn::ModuleRef model, nb::object input_shape, nb::object input_dtypes) { return edge::channel_groups(*model, specs_of("channel_groups", input_shape, input_dtypes).specs); },
        "model"_a, "input_shape"_a = nb::none(), "input_dtypes"_a = nb::none(),
        nb::sig("def channel_groups(model: Module, input_shape: typing.Any = None, input_dtypes: typing.Any = None) -> list[ChannelSummary]"),
        "The sets of channels that method structured chooses from, with everything that is cut with them.");
  using G = edge::GradualPruning;
  nb::class_<G>(m, "GradualPruning", "Sparsity that grows from step to step by a cubic law (Zhu and Gupta 2017).")
      .def(nb::init<double, double, int64_t, int64_t, int64_t>(), "initial_sparsity"_a = 0.0, "final_sparsity"_a = 0.9, "start_step"_a = 0, "end_step"_a = 1000, "frequency"_a = 100)
      .def("get_sparsity", &G::get_sparsity, "step"_a).def("should_update", &G::should_update, "step"_a, "Every frequency steps from start_step on, and at end_step.")
      .def("step", &G::step, "Moves on by one -> the sparsity now.")
      .def("apply", &G::apply, "model"_a, "After step(): prunes the model in place where this step is one to update at -> whether it did.")
      .def_prop_ro("last_step", &G::last_step);
}

// As the class it is.
nb::object module_object(const nn::ModuleRef& m) {
  if (auto* g = dynamic_cast<nn::GraphModule*>(m.get())) return nb::cast(Ref<nn::GraphModule>(g));
  return nb::cast(Ref<edge::OnnxModule>(dynamic_cast<edge::OnnxModule*>(m.get())));
}

void bind_export_c(nb::module_& m) {
  using R = edge::ExportCReport;
  nb::class_<R>(m, "ExportCReport", "What export_c wrote, and what it needs.")
      .def_ro("directory", &R::directory).def_ro("files", &R::files).def_ro("arena_bytes", &R::arena_bytes).def_ro("state_bytes", &R::state_bytes).def_ro("weight_bytes", &R::weight_bytes)
      .def_ro("macs", &R::macs).def_ro("steps", &R::steps).def_ro("input_dtypes", &R::input_dtypes).def_ro("output_dtypes", &R::output_dtypes).def_ro("verified_by", &R::verified_by)
      .def_ro("code_bytes", &R::code_bytes).def_ro("stack_bytes", &R::stack_bytes).def("to_text", &R::to_text).def("to_json", &R::to_json).def("__str__", &R::to_text);
  m.def("export_c", [](nn::ModuleRef model, nb::object input_shape, nb::object output_dir, std::string name, nb::object calibration_data, std::optional<double> max_ram_kb, std::optional<std::string> verify, nb::object input_dtypes) {
          if (output_dir.is_none()) throw Error(ErrorKind::type, "export_c", "output_dir", "none");
          edge::ExportCOptions o{.name = name, .calibration = batches_of(calibration_data, *model), .max_ram_kb = max_ram_kb, .verify = verify.value_or("")};
          if (verify && verify->empty()) throw Error(ErrorKind::value, "export_c", "verify as 'host', 'qemu' or None", "''");
          return edge::export_c(*model, specs_of("export_c", input_shape, input_dtypes).specs, path_of(output_dir), o);
        }, "model"_a, "input_shape"_a = nb::none(), "output_dir"_a = nb::none(), "name"_a = "model", "calibration_data"_a = nb::none(), "max_ram_kb"_a = nb::none(), "verify"_a = nb::none(),
        nb::kw_only(), "input_dtypes"_a = nb::none(),
        "Writes a model as C99: <name>.h, <name>.c and <name>_self_test.c. Nothing is written where a layer has no form in C: NotImplementedError names it.");
}

void bind_export(nb::module_& m) {
  m.def("export_onnx", [](nn::ModuleRef model, nb::object input_shape, nb::object output_path, std::optional<int> opset_version, nb::object input_dtypes, std::string quantization, std::vector<std::string> input_names,
                          std::vector<std::string> output_names, nb::object dynamic_axes, std::optional<std::string> target_runtime) {
          if (output_path.is_none()) throw Error(ErrorKind::type, "export_onnx", "output_path", "none");
          NamedSpecs s = specs_of("export_onnx", input_shape, input_dtypes);
          OnnxTarget target{13, 0};
          if (target_runtime) target = onnx_target(*target_runtime);
          if (target_runtime && opset_version.value_or(0) > target.opset)
            throw Error(ErrorKind::value, "export_onnx", "an opset that " + *target_runtime + " reads, at most " + std::to_string(target.opset), std::to_string(*opset_version));
          OnnxExport o{.opset = opset_version.value_or(target.opset), .ir_version = target.ir_version, .quantization = quantization, .input_names = input_names.empty() ? s.names : input_names, .output_names = output_names};
          bool dynamic = false;
          if (!dynamic_axes.is_none())
            for (auto [name, axes] : nb::cast<nb::dict>(dynamic_axes))
              for (nb::handle axis : axes) {
                if (integer_of("export_onnx", axis) != 0)
                  throw Error(ErrorKind::unsupported, "export_onnx", "dynamic_axes of the first axis, the batch", nb::cast<std::string>(nb::repr(dynamic_axes)));
                dynamic = true;
              }
          return edge::export_onnx(*model, s.specs, path_of(output_path), o, dynamic);
        }, "model"_a, "input_shape"_a = nb::none(), "output_path"_a = nb::none(), "opset_version"_a = nb::none(), nb::kw_only(), "input_dtypes"_a = nb::none(), "quantization"_a = "qdq",
        "input_names"_a = std::vector<std::string>(), "output_names"_a = std::vector<std::string>(), "dynamic_axes"_a = nb::none(), "target_runtime"_a = nb::none(),
        "Writes an ONNX file and reads it again. Without input_shape the model's last call tells the shapes. Nothing is written where a layer has no form in ONNX: NotImplementedError names it.");
  m.def("load_onnx", [](nb::object source, bool fold_batch_norm) {
          if (!nb::isinstance<nb::bytes>(source)) return module_object(edge::load_onnx(path_of(source), {fold_batch_norm}));
          nb::bytes b = nb::borrow<nb::bytes>(source);
          return module_object(edge::load_onnx(std::span(static_cast<const std::byte*>(b.data()), b.size()), {fold_batch_norm}));
        }, "source"_a, nb::kw_only(), "fold_batch_norm"_a = false, nb::sig("def load_onnx(source: str | os.PathLike[str] | bytes, *, fold_batch_norm: bool = False) -> GraphModule | OnnxModule"),
        "A model from a path or bytes: a GraphModule, or an OnnxModule where sizes or branches depend on the inputs.");
  m.def("load_tflite", [](nb::object source, std::optional<std::string> exact, std::optional<std::string> signature) {
          TfliteOptions o{exact.value_or(""), signature.value_or("")};
          if (!nb::isinstance<nb::bytes>(source)) return module_object(edge::load_tflite(path_of(source), o));
          auto b = nb::cast<nb::bytes>(source);
          return module_object(edge::load_tflite(std::span(static_cast<const std::byte*>(b.data()), b.size()), o));
        }, "source"_a, nb::kw_only(), "exact"_a = nb::none(), "signature"_a = nb::none(),
        nb::sig("def load_tflite(source: str | os.PathLike[str] | bytes, *, exact: str | None = None, signature: str | None = None) -> GraphModule"),
        "A model from a path or bytes. exact='tflite': integers rounded as LiteRT's reference kernels round them.");
  using O = edge::OnnxModule;
  nb::class_<O, nn::Module> o(m, "OnnxModule", nb::type_slots(ModuleSlots<O>::slots), "An ONNX model whose sizes or branches depend on its inputs. Called with arrays in order or by name.");
  ModuleSlots<O>::dict_offset = nb::cast<Py_ssize_t>(o.attr("__dictoffset__"));
  o.def("forward", [](O& self, nb::args args) { return single_or_tuple(self.O::forward(module_inputs(self, args))); }, nb::sig("def forward(self, *inputs: Tensor | numpy.typing.ArrayLike) -> typing.Any"))
      .def_prop_ro("runs_by_node", [](const O& self) { return self.runs_by_node(); }, "Why the last call ran node by node; empty where it ran as a compiled graph.");
  m.def("export_miniten", [](nn::ModuleRef model, nb::object output_path, bool include_optimizer, nb::object optimizer, nb::object input_shape, nb::object input_dtypes) {
          if (include_optimizer && optimizer.is_none()) throw Error(ErrorKind::value, "export_miniten", "the optimizer to include", "none", "pass optimizer=");
          return write_native(*model, output_path, optimizer, input_shape, input_dtypes);
        }, "model"_a, "output_path"_a, "include_optimizer"_a = false, "optimizer"_a = nb::none(), "input_shape"_a = nb::none(), "input_dtypes"_a = nb::none(),
        "Writes MiniTen's own file, a .npz that NumPy reads.");
  m.def("load_miniten", [](nb::object source, nb::object optimizer) { return load_any(source, optimizer); }, "source"_a, "optimizer"_a = nb::none(),
        nb::sig("def load_miniten(source: str | os.PathLike[str] | bytes, optimizer: Optimizer | None = None) -> GraphModule"),
        "A model from a path or bytes, as what it was: GraphModule, QuantizedModel or PrunedModel. optimizer takes the state that the file holds.");
  nb::class_<nn::Module> module = nb::borrow<nb::class_<nn::Module>>(nb::type<nn::Module>());
  module.def("save", [](nn::Module& self, nb::object path, nb::object input_shape) { return write_native(self, path, nb::none(), input_shape, nb::none()).bytes; }, "path"_a, "input_shape"_a = nb::none(),
             nb::sig("def save(self, path: str | os.PathLike[str], input_shape: typing.Any = None) -> int"), "Writes MiniTen's own file -> bytes. Without input_shape the last call tells the shapes.");
  module.def_static("load", [](nb::object path) { return load_any(path, nb::none()); }, "path"_a, nb::sig("def load(path: str | os.PathLike[str] | bytes) -> GraphModule"), "The model in a file of MiniTen.");
}

}  // namespace

void bind_edge(nb::module_& m) {
  bind_reports(m);
  bind_quantization(m);
  bind_pruning(m);
  bind_export(m);
  bind_export_c(m);
}

}  // namespace miniten::python
