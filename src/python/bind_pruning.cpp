#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>
#include "miniten/edge/budget.h"
#include "python/bind_edge.h"
#include "python/module_type.h"

// miniten.edge.pruning.
namespace miniten::python {

namespace {

using namespace nb::literals;

bool is_array(nb::handle o) { return nb::isinstance<Tensor::Impl>(o) || (nb::hasattr(o, "dtype") && nb::hasattr(o, "shape")); }

// Batches (inputs.., target): an iterable of them, or one as a tuple of arrays. Read once, not kept.
edge::PruneData data_of(nb::handle data, nb::object loss) {
  edge::PruneData d;
  if (!loss.is_none()) {
    if (!nb::isinstance<nb::callable>(loss)) throw Error(ErrorKind::type, "prune_model", "a loss module or a function (output, target)", type_text(loss));
    d.loss = [loss](const std::vector<Tensor>& outputs, const Tensor& target) {
      nb::list args;
      for (const Tensor& t : outputs) args.append(tensor_object(t));
      args.append(tensor_object(target));
      return tensors_of("prune_model", loss(*nb::tuple(args))).at(0);
    };
  }
  if (data.is_none()) return d;
  bool whole = nb::isinstance<nb::tuple>(data) && nb::len(data) >= 2;
  if (whole) for (nb::handle part : data) whole &= is_array(part);
  nb::object iterator = whole ? nb::iter(nb::make_tuple(data)) : nb::steal(PyObject_GetIter(data.ptr()));
  if (!iterator.is_valid()) {
    PyErr_Clear();
    throw Error(ErrorKind::type, "prune_model", "data as batches (inputs, target)", type_text(data));
  }
  d.next = [iterator](std::vector<Tensor>& inputs, Tensor& target) {
    nb::object batch = nb::steal(PyIter_Next(iterator.ptr()));
    if (!batch.is_valid()) {
      if (PyErr_Occurred()) throw nb::python_error();
      return false;
    }
    if (!nb::isinstance<nb::tuple>(batch) && !nb::isinstance<nb::list>(batch)) throw Error(ErrorKind::type, "prune_model", "data as batches (inputs, target)", type_text(batch));
    nb::tuple items = nb::steal<nb::tuple>(PySequence_Tuple(batch.ptr()));
    if (items.size() < 2) throw Error(ErrorKind::value, "prune_model", "data as batches (inputs, target)", std::to_string(items.size()) + " entries");
    inputs.clear();
    for (size_t i = 0; i + 1 < items.size(); ++i) inputs.push_back(to_tensor("prune_model", items[i], {{}, true}));
    target = to_tensor("prune_model", items[items.size() - 1], {{}, true});
    return true;
  };
  return d;
}

// Inputs of each batch: an array is one batch; of a tuple the last entry is its target, which is not looked at.
std::vector<std::vector<Tensor>> inputs_of(const char* op, nb::handle data) {
  std::vector<std::vector<Tensor>> all;
  nb::object iterator = is_array(data) ? nb::iter(nb::make_tuple(nb::borrow(data))) : nb::steal(PyObject_GetIter(data.ptr()));
  if (!iterator.is_valid()) throw nb::python_error();
  while (nb::object batch = nb::steal(PyIter_Next(iterator.ptr()))) {
    std::vector<Tensor> inputs;
    if (nb::isinstance<nb::tuple>(batch) || nb::isinstance<nb::list>(batch)) {
      nb::tuple items = nb::steal<nb::tuple>(PySequence_Tuple(batch.ptr()));
      for (size_t i = 0; i + (items.size() > 1) < items.size(); ++i) inputs.push_back(to_tensor(op, items[i], {{}, true}));
    } else inputs.push_back(to_tensor(op, batch, {{}, true}));
    all.push_back(std::move(inputs));
  }
  if (PyErr_Occurred()) throw nb::python_error();
  return all;
}

// None, "n:m", "blocks", or (rows, cols); the sparsity where the pattern tells it.
void read_pattern(nb::handle pattern, edge::PruneOptions& o) {
  if (pattern.is_none()) return;
  if (nb::isinstance<nb::str>(pattern)) {
    if (nb::cast<std::string>(pattern) == "blocks") return void(o.rows = 0);
    std::string text = nb::cast<std::string>(pattern), left = text.substr(0, text.find(':')), right = text.find(':') == text.npos ? "" : text.substr(text.find(':') + 1);
    auto number = [](const std::string& s) { return s.empty() || s.size() > 6 || s.find_first_not_of("0123456789") != s.npos ? int64_t{-1} : int64_t{std::stol(s)}; };
    o.n = number(left);
    o.m = number(right);
    if (!(o.n >= 1 && o.n < o.m)) throw Error(ErrorKind::value, "prune_model", "a pattern \"blocks\", or \"n:m\" of 1 <= n < m, as \"2:4\"", "\"" + text + "\"");
    return;
  }
  bool pair = (nb::isinstance<nb::tuple>(pattern) || nb::isinstance<nb::list>(pattern)) && nb::len(pattern) == 2;
  if (!pair) throw Error(ErrorKind::type, "prune_model", "a pattern \"n:m\" or (rows, cols)", nb::cast<std::string>(nb::repr(pattern)));
  o.rows = integer_of("prune_model", pattern[0]);
  if (o.rows < 1) throw Error(ErrorKind::value, "prune_model", "blocks of at least 1 x 1", nb::cast<std::string>(nb::repr(pattern)));
  o.cols = integer_of("prune_model", pattern[1]);
}

edge::PruneTarget target_of(nb::handle given) {
  if (!nb::isinstance<nb::dict>(given)) throw Error(ErrorKind::type, "prune_model", "a target as {'macs': 0.5}, {'latency_ms': 8} or {'flash_kb': 200}", type_text(given));
  edge::PruneTarget t;
  for (auto [key, value] : nb::borrow<nb::dict>(given)) {
    std::string k = nb::cast<std::string>(key);
    double* to = k == "macs" ? &t.macs : k == "latency_ms" ? &t.latency_ms : k == "flash_kb" ? &t.flash_kb : nullptr;
    if (!to) throw Error(ErrorKind::value, "prune_model", "a target of macs, latency_ms or flash_kb", "\"" + k + "\"");
    *to = nb::cast<double>(value);
    if (!(*to > 0)) throw Error(ErrorKind::value, "prune_model", "a target above 0", std::to_string(*to));
  }
  return t;
}

edge::Evaluate evaluate_of(nb::object f) {
  if (!nb::isinstance<nb::callable>(f)) throw Error(ErrorKind::type, "evaluate", "a function of a model that gives its score", type_text(f));
  return [f](nn::Module& m) { return nb::cast<double>(nb::float_(f(nb::cast(Ref<nn::Module>(&m))))); };
}

void bind_budget(nb::module_& m) {
  using S = edge::SensitivityReport;
  nb::class_<edge::SensitivityRow>(m, "SensitivityRow", "Scores with one layer pruned, by sparsity.").def_ro("name", &edge::SensitivityRow::name).def_ro("scores", &edge::SensitivityRow::scores);
  nb::class_<S>(m, "SensitivityReport", "How much each layer's pruning costs.")
      .def_ro("base", &S::base).def_ro("sparsities", &S::sparsities).def_ro("rows", &S::rows)
      .def("ratios", [](const S& self, double max_drop) {
          std::map<std::string, double> d;
          for (auto& [name, s] : self.ratios(max_drop)) d[name] = s;
          return d;
        }, "max_drop"_a, "For prune_model's ratios: of each layer the greatest sparsity up to which the score drops by max_drop at most.")
      .def("to_text", &S::to_text).def("to_json", &S::to_json).def("__str__", &S::to_text);
  m.def("sensitivity_scan", [](nn::ModuleRef model, nb::object evaluate, std::vector<double> sparsities, std::string method, nb::object skip, nb::object pattern, std::string importance, nb::object shape, nb::object dtypes) {
          edge::PruneOptions o{.method = method, .skip = skip_patterns(skip), .importance = importance};
          read_pattern(pattern, o);
          return edge::sensitivity_scan(*model, evaluate_of(evaluate), sparsities, o, specs_of("sensitivity_scan", shape, dtypes).specs);
        }, "model"_a, "evaluate"_a, "sparsities"_a = std::vector<double>{0.25, 0.5, 0.75, 0.9}, "method"_a = "magnitude", nb::kw_only(), "skip"_a = nb::none(), "pattern"_a = nb::none(), "importance"_a = "l1",
        "input_shape"_a = nb::none(), "input_dtypes"_a = nb::none(),
        nb::sig("def sensitivity_scan(model: Module, evaluate: collections.abc.Callable[[Module], float], sparsities: collections.abc.Sequence[float] = (0.25, 0.5, 0.75, 0.9), method: str = 'magnitude', *, "
                "skip: str | collections.abc.Sequence[str] | None = None, pattern: tuple[int, int] | None = None, importance: str = 'l1', input_shape: typing.Any = None, "
                "input_dtypes: typing.Any = None) -> SensitivityReport"),
        "evaluate(model) with one layer (of method structured: one group of channels) pruned at a time.");
  using T = edge::CompressTrial;
  nb::class_<T>(m, "CompressTrial", "One recipe and what it costs.")
      .def_ro("recipe", &T::recipe).def_ro("score", &T::score).def_ro("flash_kb", &T::flash_kb).def_ro("ram_kb", &T::ram_kb).def_ro("latency_ms", &T::latency_ms).def_ro("failed", &T::failed);
  using R = edge::CompressReport;
  nb::class_<R>(m, "CompressReport", "What compress tried.")
      .def_ro("trials", &R::trials).def_ro("best", &R::best, "Index of the trial taken.").def_ro("resumed", &R::resumed, "Trials read from the journal.")
      .def("pareto", &R::pareto, "Indices of trials that no other beats in score, flash, RAM and latency at once.").def("meets", &R::meets, "trial"_a)
      .def("to_text", &R::to_text).def("to_json", &R::to_json).def("__str__", &R::to_text);
  m.def("_compress", [](nn::ModuleRef model, nb::object calibration, nb::object evaluate, std::map<std::string, double> budget, std::string journal, uint64_t seed, nb::object shape, nb::object dtypes) {
          edge::CompressBudget b;
          for (auto& [name, v] : budget) {
            double* to = name == "flash_kb" ? &b.flash_kb : name == "ram_kb" ? &b.ram_kb : name == "latency_ms" ? &b.latency_ms : name == "max_drop" ? &b.max_drop : nullptr;
            if (!to) throw Error(ErrorKind::value, "compress", "a budget of flash_kb, ram_kb, latency_ms and max_drop", "\"" + name + "\"");
            if (!(v > 0 || (to == &b.max_drop && v == 0))) throw Error(ErrorKind::value, "compress", name + " above 0", std::to_string(v));
            *to = v;
          }
          std::function<edge::Batches()> data;
          if (!calibration.is_none())
            data = [calibration]() -> edge::Batches {
              nb::object iterator = nb::steal(PyObject_GetIter(calibration.ptr()));
              if (!iterator.is_valid()) throw nb::python_error();
              return [iterator]() -> std::vector<Tensor> {
                nb::object batch = nb::steal(PyIter_Next(iterator.ptr()));
                if (!batch.is_valid()) {
                  if (PyErr_Occurred()) throw nb::python_error();
                  return {};
                }
                std::vector<Tensor> inputs;
                for (nb::handle part : nb::cast<nb::tuple>(batch)) inputs.push_back(to_tensor("compress", part, {{}, true}));
                return inputs;
              };
            };
          edge::Compressed c = edge::compress(*model, data, evaluate_of(evaluate), b, journal, seed, specs_of("compress", shape, dtypes).specs);
          return nb::make_tuple(nb::cast(c.model), std::move(c.report));
        }, "model"_a, "calibration"_a.none(), "evaluate"_a, "budget"_a, "journal"_a, "seed"_a, "input_shape"_a.none(), "input_dtypes"_a.none(),
        nb::sig("def _compress(model: Module, calibration: typing.Any, evaluate: typing.Any, budget: dict[str, float], journal: str, seed: int, input_shape: typing.Any, input_dtypes: typing.Any) -> "
                "tuple[GraphModule, CompressReport]"));
}

}  // namespace

void bind_pruning(nb::module_& m) {
  nb::class_<edge::PruneRow>(m, "PruneRow", "Zeros of one weight.")
      .def_ro("weight", &edge::PruneRow::weight).def_ro("total", &edge::PruneRow::total).def_ro("zeros", &edge::PruneRow::zeros).def_ro("dtype", &edge::PruneRow::dtype);
  using R = edge::PruneReport;
  nb::class_<R>(m, "PruneReport", "What is zero, weight by weight.")
      .def_ro("wanted", &R::wanted).def_ro("rows", &R::rows).def_ro("method", &R::method).def_ro("scope", &R::scope).def_ro("dense_bytes", &R::dense_bytes).def_ro("bytes", &R::bytes)
      .def_prop_ro("total", &R::total).def_prop_ro("zeros", &R::zeros).def("to_text", &R::to_text).def("to_json", &R::to_json).def("__str__", &R::to_text);
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
      .def("prune", [](P& self, double sparsity, nb::object data, nb::object loss) { self.prune(sparsity, data_of(data, loss)); }, "sparsity"_a, "data"_a = nb::none(), "loss"_a = nb::none(),
           nb::sig("def prune(self, sparsity: float, data: typing.Any = None, loss: typing.Any = None) -> None"), "More zeros in place, by the method, pattern and scope of the making.")
      .def("hold", &P::hold, "Puts back to zero now what something else moved; each call and save does.")
      .def("save", [](const P& self, nb::object path) { return self.save(path_of(path)); }, "path"_a, nb::sig("def save(self, path: str | os.PathLike[str]) -> int"), "-> bytes.")
      .def_static("load", [](nb::object path) { return P::load(path_of(path)); }, "path"_a, nb::sig("def load(path: str | os.PathLike[str]) -> PrunedModel"))
      .def("__deepcopy__", [](const P& self, nb::dict) { return self.clone(); }, "memo"_a, nb::sig("def __deepcopy__(self, memo: dict) -> PrunedModel"));
  m.def("rewind", [](P& model, nb::dict state) {
          nn::StateDict d;
          for (auto [name, value] : state) d.emplace_back(nb::cast<std::string>(name), to_tensor("rewind", value));
          model.rewind(d);
        }, "model"_a, "state_dict"_a, nb::sig("def rewind(model: PrunedModel, state_dict: collections.abc.Mapping[str, typing.Any]) -> None"),
        "Weights of that state, of the model given or of this one, in place; the zeros of now stay.");
  m.def("prune_model", [](nn::ModuleRef model, std::optional<double> sparsity, std::string method, std::string scope, nb::object pattern, nb::object skip, uint64_t seed, std::map<std::string, double> ratios,
                          nb::object target, nb::object data, nb::object loss, std::string importance, int64_t min_channels, std::optional<int64_t> round_to, nb::object input_shape, nb::object input_dtypes) {
          edge::PruneOptions o{.method = method, .scope = scope, .skip = skip_patterns(skip), .seed = seed, .ratios = {ratios.begin(), ratios.end()}, .importance = importance,
                              .min_channels = min_channels, .round_to = round_to.value_or(1)};
          read_pattern(pattern, o);
          if (!target.is_none()) {
            if (sparsity) throw Error(ErrorKind::value, "prune_model", "a sparsity or a target", "both");
            if (!data.is_none() || method == "taylor" || method == "movement")
              throw Error(ErrorKind::unsupported, "prune_model", "a method without data for a target", method);
            return edge::prune_to(*model, target_of(target), o, specs_of("prune_model", input_shape, input_dtypes).specs);
          }
          if (!sparsity && o.m) sparsity = 1 - double(o.n) / double(o.m);
          if (!sparsity) throw Error(ErrorKind::value, "prune_model", "a sparsity in [0, 1)", "none", "pass sparsity=0.5, or target={'flash_kb': 200}");
          return edge::prune_model(*model, *sparsity, o, specs_of("prune_model", input_shape, input_dtypes).specs, data_of(data, loss));
        }, "model"_a, "sparsity"_a = nb::none(), "method"_a = "magnitude", "scope"_a = "global", nb::kw_only(), "pattern"_a = nb::none(), "skip"_a = nb::none(), "seed"_a = 0,
        "ratios"_a = std::map<std::string, double>(), "target"_a = nb::none(), "data"_a = nb::none(), "loss"_a = nb::none(), "importance"_a = "l1", "min_channels"_a = 1, "round_to"_a = nb::none(), "input_shape"_a = nb::none(),
        "input_dtypes"_a = nb::none(),
        nb::sig("def prune_model(model: Module, sparsity: float | None = None, method: str = 'magnitude', scope: str = 'global', *, pattern: str | tuple[int, int] | None = None, "
                "skip: str | collections.abc.Sequence[str] | None = None, seed: int = 0, ratios: dict[str, float] = {}, target: dict[str, float] | None = None, data: typing.Any = None, loss: typing.Any = None, importance: str = 'l1', "
                "min_channels: int = 1, round_to: int | None = None, input_shape: typing.Any = None, input_dtypes: typing.Any = None) -> PrunedModel"),
        "A pruned copy; the model given is not modified. Of a quantised model the integers become zero, the scales stay.");
  using S = edge::ChannelSummary;
  nb::class_<S>(m, "ChannelSummary", "Channels that exist only together.")
      .def_ro("name", &S::name).def_ro("channels", &S::channels).def_ro("layers", &S::layers).def_ro("axes", &S::axes).def("to_text", &S::to_text).def("__str__", &S::to_text)
      .def("__repr__", &S::to_text);
  m.def("channel_groups", [](nn::ModuleRef model, nb::object input_shape, nb::object input_dtypes) { return edge::channel_groups(*model, specs_of("channel_groups", input_shape, input_dtypes).specs); },
        "model"_a, "input_shape"_a = nb::none(), "input_dtypes"_a = nb::none(),
        nb::sig("def channel_groups(model: Module, input_shape: typing.Any = None, input_dtypes: typing.Any = None) -> list[ChannelSummary]"),
        "The sets of channels that method structured chooses from, with everything that is cut with them.");
  using RR = edge::RepairReport;
  nb::class_<edge::RepairRow>(m, "RepairRow", "What became of one layer.").def_ro("layer", &edge::RepairRow::layer).def_ro("before", &edge::RepairRow::before).def_ro("after", &edge::RepairRow::after);
  nb::class_<RR>(m, "RepairReport", "What repair did, layer by layer.")
      .def_ro("method", &RR::method).def_ro("rows", &RR::rows).def("to_text", &RR::to_text).def("to_json", &RR::to_json).def("__str__", &RR::to_text);
  m.def("repair", [](nn::GraphModule& model, nb::object data, std::string method, std::optional<nn::ModuleRef> original) {
          return edge::repair(model, inputs_of("repair", data), method, original ? original->get() : nullptr);
        }, "model"_a, "data"_a, "method"_a = "least_squares", "original"_a = nb::none(),
        nb::sig("def repair(model: GraphModule, data: typing.Any, method: str = 'least_squares', original: Module | None = None) -> RepairReport"),
        "Mends in place what pruning broke, from inputs alone: method batch_norm, bias or least_squares; the last two against the model before pruning.");
  using E = edge::SparseReport;
  nb::class_<edge::SparseRow>(m, "SparseRow", "How a session runs one layer.")
      .def_ro("layer", &edge::SparseRow::layer).def_ro("op", &edge::SparseRow::op).def_ro("weights", &edge::SparseRow::weights).def_ro("zeros", &edge::SparseRow::zeros)
      .def_ro("kept", &edge::SparseRow::kept).def_ro("steps", &edge::SparseRow::steps).def_ro("single", &edge::SparseRow::single, "The sparse form leaves out single weights.").def_ro("sparse", &edge::SparseRow::sparse).def_ro("expected_gain", &edge::SparseRow::expected_gain)
      .def_ro("dense_us", &edge::SparseRow::dense_us).def_ro("sparse_us", &edge::SparseRow::sparse_us).def_prop_ro("decision", &edge::SparseRow::decision);
  nb::class_<E>(m, "SparseReport", "Dense and sparse times, layer by layer.")
      .def_ro("isa", &E::isa).def_ro("rows", &E::rows).def_ro("dense_us", &E::dense_us).def_ro("chosen_us", &E::chosen_us)
      .def("to_text", &E::to_text).def("to_json", &E::to_json).def("__str__", &E::to_text);
  m.def("sparse_execution", [](nn::ModuleRef model, nb::object input_shape, nb::object input_dtypes, int runs) { return edge::sparse_execution(*model, specs_of("sparse_execution", input_shape, input_dtypes).specs, runs); },
        "model"_a, "input_shape"_a = nb::none(), "input_dtypes"_a = nb::none(), "runs"_a = 20,
        nb::sig("def sparse_execution(model: Module, input_shape: typing.Any = None, input_dtypes: typing.Any = None, runs: int = 20) -> SparseReport"),
        "Which layers a session multiplies sparsely, and the measured times of both forms (one thread).");
  bind_budget(m);
  using G = edge::GradualPruning;
  nb::class_<G>(m, "GradualPruning", "Sparsity that grows from step to step by a cubic law (Zhu and Gupta 2017).")
      .def(nb::init<double, double, int64_t, int64_t, int64_t>(), "initial_sparsity"_a = 0.0, "final_sparsity"_a = 0.9, "start_step"_a = 0, "end_step"_a = 1000, "frequency"_a = 100)
      .def("get_sparsity", &G::get_sparsity, "step"_a).def("should_update", &G::should_update, "step"_a, "Every frequency steps from start_step on, and at end_step.")
      .def("step", &G::step, "Moves on by one -> the sparsity now.")
      .def("apply", [](const G& self, P& model, nb::object data, nb::object loss) { return self.apply(model, data_of(data, loss)); }, "model"_a, "data"_a = nb::none(), "loss"_a = nb::none(),
           nb::sig("def apply(self, model: PrunedModel, data: typing.Any = None, loss: typing.Any = None) -> bool"),
           "After step(): prunes the model in place where this step is one to update at -> whether it did.")
      .def_prop_rw("last_step", &G::last_step, &G::set_last_step, "Steps done; may be set, to go on from there.");
}

}  // namespace miniten::python
