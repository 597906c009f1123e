#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>
#include "miniten/edge/benchmark.h"
#include "miniten/edge/export.h"
#include "miniten/edge/utils.h"
#include "python/module_type.h"

// miniten.edge.benchmark and miniten.edge.utils. Results are dicts: each result's JSON has Python's keys.
namespace miniten::python {

namespace {

using namespace nb::literals;

// A device by its name, as a Device, or (none) this machine.
edge::Device device_of(const char* op, nb::handle o) {
  if (nb::isinstance<edge::Device>(o)) return nb::cast<const edge::Device&>(o);
  if (nb::isinstance<nb::str>(o)) return edge::find_device(nb::cast<std::string>(o));
  throw Error(ErrorKind::type, op, "the name of a device, or a Device as probe() gives", type_text(o));
}

nb::object from_json(const std::string& text) { return nb::module_::import_("json").attr("loads")(text); }

nn::ModuleRef model_of(const char* op, nb::handle model) {
  if (nb::isinstance<Graph>(model)) return make<nn::GraphModule>(nb::cast<const Graph&>(model));
  if (!nb::isinstance<nn::Module>(model)) throw Error(ErrorKind::type, op, "a Module", type_text(model));
  return nb::cast<nn::ModuleRef>(model);
}
std::vector<Spec> inputs_of(const char* op, nb::handle shape, nb::handle dtypes) { return specs_of(op, shape, dtypes).specs; }

edge::BenchmarkOptions options(int num_runs, int warmup_runs, std::optional<int> threads) { return {num_runs, warmup_runs, threads.value_or(0)}; }

// Real inputs: one array, or a tuple or list of them.
std::vector<Tensor> tensors_of(const char* op, nb::handle inputs) {
  if (inputs.is_none()) return {};
  if (!nb::isinstance<nb::tuple>(inputs) && !nb::isinstance<nb::list>(inputs)) return {to_tensor(op, inputs)};
  std::vector<Tensor> out;
  for (nb::handle t : inputs) out.push_back(to_tensor(op, t));
  return out;
}

template <class F> auto without_lock(F f) {
  nb::gil_scoped_release release;
  return f();
}

// What can be timed: a model (a Module, a Graph, or a file of one), or something to call: a Session or any callable.
struct Target {
  nn::ModuleRef model;
  edge::Workload call;
  bool python = false;                           // calling it needs the interpreter's lock
};
Target target_of(const char* op, nb::handle o, nb::handle shape, nb::handle dtypes, const std::vector<Tensor>& real) {
  if (nb::isinstance<nn::Module>(o) || nb::isinstance<Graph>(o)) return {model_of(op, o), {}, false};
  if (nb::isinstance<Session>(o)) return {{}, edge::workload(nb::cast<Session&>(o), real), false};
  if (nb::isinstance<nb::str>(o) || nb::hasattr(o, "__fspath__")) {
    std::string path = path_of(o);
    if (path.ends_with(".npz")) return {edge::load_miniten(path), {}, false};
    if (path.ends_with(".onnx")) return {edge::load_onnx(path), {}, false};
    if (path.ends_with(".tflite")) return {edge::load_tflite(path), {}, false};
    throw Error(ErrorKind::type, op, "a Module, a callable, or a .npz, .onnx or .tflite file", "\"" + path + "\"");
  }
  if (!PyCallable_Check(o.ptr())) throw Error(ErrorKind::type, op, "a Module, a Session, a callable, or a .npz, .onnx or .tflite file", type_text(o));
  nb::list args;
  for (const Tensor& t : real.empty() ? edge::random_inputs(specs_of(op, shape, dtypes).specs) : real) args.append(t);
  return {{}, [f = nb::borrow(o), args = nb::tuple(args)] {
            nb::object result = nb::steal(PyObject_CallObject(f.ptr(), args.ptr()));
            if (!result.is_valid()) throw nb::python_error();
          }, true};
}
template <class F> auto measured(const Target& t, F f) {
  if (t.python) return f();
  auto result = without_lock(f);
  raise_pending_error();
  return result;
}

#define SHAPES "input_shape"_a = nb::none(), "input_dtypes"_a = nb::none()
#define MODEL "model: Module | Graph, input_shape: typing.Any = None"
#define TARGET "model: Module | Graph | Session | str | os.PathLike[str] | collections.abc.Callable[..., typing.Any], input_shape: typing.Any = None"

void bind_benchmark(nb::module_& m) {
  for (const char* name : {"benchmark_model", "benchmark_layer"})
    m.def(name, [name](nb::object model, nb::object shape, int num_runs, int warmup_runs, nb::object inputs, double period_ms, std::optional<int> threads, nb::object dtypes) {
            edge::BenchmarkOptions o = options(num_runs, warmup_runs, threads);
            o.period_ms = period_ms;
            o.inputs = tensors_of(name, inputs);
            Target t = target_of(name, model, shape, dtypes, o.inputs);
            std::vector<Spec> in = inputs_of(name, shape, dtypes);
            return from_json(measured(t, [&] { return t.model ? edge::benchmark_model(*t.model, in, o) : edge::benchmark_model(t.call, o); }).to_json());
          }, "model"_a, "input_shape"_a = nb::none(), "num_runs"_a = 100, "warmup_runs"_a = 10, nb::kw_only(), "inputs"_a = nb::none(), "period_ms"_a = 0.0, "threads"_a = nb::none(), "input_dtypes"_a = nb::none(),
          nb::sig((std::string("def ") + name + "(" TARGET ", num_runs: int = 100, warmup_runs: int = 10, *, inputs: typing.Any = None, period_ms: float = 0, threads: int | None = None, input_dtypes: typing.Any = None) -> dict[str, typing.Any]").c_str()),
          "Latency of the compiled model, or of any callable: mean, std, min, max, median, p95 and p99 in ms with intervals, throughput_fps, outliers and their causes.\n\n"
          "inputs: real arrays instead of random ones. period_ms: one inference begins every period.");
  m.def("latency_test", [](nb::object model, nb::object shape, double target, double percentile, int num_runs, int warmup_runs, nb::object inputs, std::optional<int> threads, nb::object dtypes) {
          edge::BenchmarkOptions o = options(num_runs, warmup_runs, threads);
          o.inputs = tensors_of("latency_test", inputs);
          Target t = target_of("latency_test", model, shape, dtypes, o.inputs);
          std::vector<Spec> in = inputs_of("latency_test", shape, dtypes);
          return from_json(measured(t, [&] { return t.model ? edge::latency_test(*t.model, in, target, percentile, o) : edge::latency_test(edge::benchmark_model(t.call, o), target, percentile); }).to_json());
        }, "model"_a, "input_shape"_a = nb::none(), "target_latency_ms"_a = 10.0, nb::kw_only(), "percentile"_a = 50.0, "num_runs"_a = 100, "warmup_runs"_a = 10, "inputs"_a = nb::none(), "threads"_a = nb::none(), "input_dtypes"_a = nb::none(),
        nb::sig("def latency_test(" TARGET ", target_latency_ms: float = 10, *, percentile: float = 50, num_runs: int = 100, warmup_runs: int = 10, inputs: typing.Any = None, threads: int | None = None, input_dtypes: typing.Any = None) -> dict[str, typing.Any]"),
        "passes, actual_latency_ms, target_latency_ms, margin_ms.");
  m.def("throughput_test", [](nb::object model, nb::object shape, double seconds, nb::object inputs, std::optional<int> threads, nb::object dtypes) {
          edge::BenchmarkOptions o{.threads = threads.value_or(0), .inputs = tensors_of("throughput_test", inputs)};
          Target t = target_of("throughput_test", model, shape, dtypes, o.inputs);
          std::vector<Spec> in = inputs_of("throughput_test", shape, dtypes);
          return from_json(measured(t, [&] { return t.model ? edge::throughput_test(*t.model, in, seconds, o) : edge::throughput_test(t.call, seconds); }).to_json());
        }, "model"_a, "input_shape"_a = nb::none(), "duration_seconds"_a = 5.0, nb::kw_only(), "inputs"_a = nb::none(), "threads"_a = nb::none(), "input_dtypes"_a = nb::none(),
        nb::sig("def throughput_test(" TARGET ", duration_seconds: float = 5, *, inputs: typing.Any = None, threads: int | None = None, input_dtypes: typing.Any = None) -> dict[str, typing.Any]"),
        "total_inferences, duration_seconds, throughput_fps, latency_ms, batch, samples_per_second.");
  m.def("soak_test", [](nb::object model, nb::object shape, double seconds, nb::object inputs, std::optional<int> threads, nb::object dtypes) {
          edge::BenchmarkOptions o{.threads = threads.value_or(0), .inputs = tensors_of("soak_test", inputs)};
          Target t = target_of("soak_test", model, shape, dtypes, o.inputs);
          std::vector<Spec> in = inputs_of("soak_test", shape, dtypes);
          return from_json(measured(t, [&] { return t.model ? edge::soak_test(*t.model, in, seconds, o) : edge::soak_test(t.call, seconds); }).to_json());
        }, "model"_a, "input_shape"_a = nb::none(), "seconds"_a = 60.0, nb::kw_only(), "inputs"_a = nb::none(), "threads"_a = nb::none(), "input_dtypes"_a = nb::none(),
        nb::sig("def soak_test(" TARGET ", seconds: float = 60, *, inputs: typing.Any = None, threads: int | None = None, input_dtypes: typing.Any = None) -> dict[str, typing.Any]"),
        "One inference after another: memory_slope_bytes_per_second, latency_drift, slow_from_seconds, samples.");
  m.def("memory_benchmark", [](nb::object model, nb::object shape, nb::object dtypes) {
          nn::ModuleRef r = model_of("memory_benchmark", model);
          std::vector<Spec> in = inputs_of("memory_benchmark", shape, dtypes);
          return from_json(without_lock([&] { return edge::memory_benchmark(*r, in); }).to_json());
        }, "model"_a, SHAPES, nb::sig("def memory_benchmark(" MODEL ", input_dtypes: typing.Any = None) -> dict[str, typing.Any]"), "current_memory_mb, peak_memory_mb and the model's own share.");
  m.def("compare_models", [](nb::object models, nb::object shape, nb::object labels, int num_runs, int warmup_runs, nb::object inputs, std::optional<int> threads, nb::object dtypes) {
          std::vector<Target> targets;
          std::vector<std::string> names;
          edge::BenchmarkOptions o = options(num_runs, warmup_runs, threads);
          o.inputs = tensors_of("compare_models", inputs);
          auto add = [&](nb::handle model) { targets.push_back(target_of("compare_models", model, shape, dtypes, o.inputs)); };
          if (nb::isinstance<nb::dict>(models))
            for (auto [name, model] : nb::borrow<nb::dict>(models)) {
              names.push_back(nb::cast<std::string>(nb::str(name)));
              add(model);
            }
          else for (nb::handle model : models) add(model);
          if (!labels.is_none()) names = nb::cast<std::vector<std::string>>(labels);
          std::vector<Spec> in = inputs_of("compare_models", shape, dtypes);
          std::vector<nn::Module*> modules;
          std::vector<edge::Workload> calls;
          bool python = false, both = false;
          for (Target& t : targets) {
            python |= t.python;
            both |= !t.model;
          }
          for (Target& t : targets) {
            if (!both) modules.push_back(t.model.get());
            else calls.push_back(t.model ? edge::workload(*t.model, in, o, "compare_models") : t.call);
          }
          auto all = [&] { return calls.empty() ? edge::compare_models(modules, in, o, names) : edge::compare_models(calls, o, names); };
          nb::list out;
          for (const auto& c : python ? all() : without_lock(all)) out.append(from_json(c.to_json()));
          return out;
        }, "models"_a, "input_shape"_a = nb::none(), "labels"_a = nb::none(), nb::kw_only(), "num_runs"_a = 100, "warmup_runs"_a = 10, "inputs"_a = nb::none(), "threads"_a = nb::none(), "input_dtypes"_a = nb::none(),
        nb::sig("def compare_models(models: collections.abc.Iterable[typing.Any] | dict[str, typing.Any], input_shape: typing.Any = None, labels: collections.abc.Sequence[str] | None = None, *, num_runs: int = 100, "
                "warmup_runs: int = 10, inputs: typing.Any = None, threads: int | None = None, input_dtypes: typing.Any = None) -> list[dict[str, typing.Any]]"),
        "A row for each: label, latency_ms, throughput_fps, peak_memory_mb, and beside the first: ratio, ratio_interval, verdict.\n\n"
        "Runs take turns, so that a busy machine is busy for all.");
  m.def("profile_by_layer", [](nb::object model, nb::object shape, int runs, nb::object dtypes) {
          nn::ModuleRef r = model_of("profile_by_layer", model);
          std::vector<Spec> in = inputs_of("profile_by_layer", shape, dtypes);
          nb::list rows;
          auto layers = without_lock([&] { return edge::profile_by_layer(*r, in, runs); });
          for (size_t i = 0; i < layers.size(); ++i) {
            const edge::LayerLatency& l = layers[i];
            nb::dict row;
            row["layer_index"] = i;
            row["layer"] = l.layer;
            row["layer_type"] = l.type;
            row["op"] = l.op;
            row["input_shape"] = l.in.empty() ? nb::tuple() : shape_tuple(l.in[0].shape);
            row["output_shape"] = l.out.empty() ? nb::tuple() : shape_tuple(l.out[0].shape);
            row["latency_ms"] = l.latency_ms;
            row["macs"] = l.cost.macs;
            row["bytes"] = l.bytes;
            row["roofline_ms"] = l.roofline_ms;
            row["roofline_share"] = l.roofline_share();
            rows.append(row);
          }
          return rows;
        }, "model"_a, "input_shape"_a = nb::none(), nb::kw_only(), "num_runs"_a = 20, "input_dtypes"_a = nb::none(),
        nb::sig("def profile_by_layer(" MODEL ", *, num_runs: int = 20, input_dtypes: typing.Any = None) -> list[dict[str, typing.Any]]"),
        "A row for each step: layer_index, layer, layer_type, op, input_shape, output_shape, latency_ms, macs, bytes, roofline_share.");
  using B = edge::BenchmarkReport;
  nb::class_<B>(m, "BenchmarkReport", "Latency, memory and layers of one model together.")
      .def("__init__", [](B* self, nn::Module& model, nb::object shape, int num_runs, int warmup_runs, nb::object dtypes) {
          new (self) B(model, inputs_of("BenchmarkReport", shape, dtypes), options(num_runs, warmup_runs, {}));
        }, "model"_a, "input_shape"_a = nb::none(), nb::kw_only(), "num_runs"_a = 100, "warmup_runs"_a = 10, "input_dtypes"_a = nb::none(), nb::keep_alive<1, 2>(),
        nb::sig("def __init__(self, model: Module, input_shape: typing.Any = None, *, num_runs: int = 100, warmup_runs: int = 10, input_dtypes: typing.Any = None) -> None"))
      .def("run_all", [](B& self) { without_lock([&] { return self.run_all(), 0; }); })
      .def("summary", &B::summary).def("__str__", &B::summary).def("to_json", &B::to_json)
      .def("to_dict", [](B& self) { return from_json(self.to_json()); }, nb::sig("def to_dict(self) -> dict[str, typing.Any]"))
      .def("save", [](B& self, nb::object path) { return self.save(path_of(path)); }, "path"_a, nb::sig("def save(self, path: str | os.PathLike[str]) -> int"), "As .json, .csv, .html with figures, or .txt -> bytes.")
      .def("to_csv", &B::to_csv, "The layers.").def("to_html", &B::to_html, "One page with figures, no outside reference.");
}

void bind_estimates(nb::module_& m) {
  m.def("count_parameters", [](nb::object model) { return from_json(edge::count_parameters(*model_of("count_parameters", model)).to_json()); }, "model"_a,
        nb::sig("def count_parameters(model: Module | Graph) -> dict[str, int]"), "total_parameters, trainable_parameters, non_trainable_parameters.");
  m.def("count_flops", [](nb::object model, nb::object shape, nb::object dtypes, bool effective, bool backward) {
          return from_json(edge::count_flops(*model_of("count_flops", model), inputs_of("count_flops", shape, dtypes), {effective, backward}).to_json());
        }, "model"_a, SHAPES, nb::kw_only(), "effective"_a = false, "backward"_a = false,
        nb::sig("def count_flops(" MODEL ", input_dtypes: typing.Any = None, *, effective: bool = False, backward: bool = False) -> dict[str, typing.Any]"),
        "total_flops = 2 * total_macs + elementwise_flops; total_mflops, total_gflops, by_layer.\n\n"
        "effective: also effective_macs, without those by weights that are zero. backward: also backward_macs and backward_flops, what gradients of all parameters add.");
  m.def("estimate_memory", [](nb::object model, nb::object shape, DTypeLike dtype, nb::object dtypes, std::optional<std::string> training, std::optional<double> limit_mb) {
          if (limit_mb && !(training && *limit_mb > 0)) throw Error(ErrorKind::value, "estimate_memory", "a limit_mb above 0 beside training=", training ? std::to_string(*limit_mb) : "no training=");
          nn::ModuleRef r = model_of("estimate_memory", model);
          std::vector<Spec> in = inputs_of("estimate_memory", shape, dtypes);
          nb::object result = from_json(edge::estimate_memory(*r, in, dtype_of("estimate_memory", dtype.object)).to_json());
          if (training) {
            auto t = edge::estimate_training_memory(*r, in, *training, int64_t(limit_mb.value_or(0) * 1048576));
            raise_pending_error();
            result.attr("__setitem__")("training", from_json(t.to_json()));
          }
          return result;
        }, "model"_a, "input_shape"_a = nb::none(), "dtype"_a = "float32", "input_dtypes"_a = nb::none(), nb::kw_only(), "training"_a = nb::none(), "limit_mb"_a = nb::none(),
        nb::sig("def estimate_memory(" MODEL ", dtype: DType | str = 'float32', input_dtypes: typing.Any = None, *, training: str | None = None, limit_mb: float | None = None) -> dict[str, typing.Any]"),
        "{parameter,input,activation,total}_memory_{bytes,mb}.\n\n"
        "training: an optimizer's name (sgd, momentum, adam, adamw, rmsprop, adagrad, lion); result['training'] is then of one compiled training step, and with limit_mb tells the largest_batch.");
  m.def("estimate_power", [](nb::object model, nb::object shape, nb::object device, std::optional<double> ops_per_watt, nb::object dtypes, std::optional<double> watts) {
          auto wrong = [](const std::optional<double>& v) { return v && !(*v > 0); };
          if (wrong(ops_per_watt) || wrong(watts)) throw Error(ErrorKind::value, "estimate_power", "ops_per_watt and watts above 0", std::to_string(*(wrong(watts) ? watts : ops_per_watt)));
          nn::ModuleRef r = model_of("estimate_power", model);
          std::vector<Spec> in = inputs_of("estimate_power", shape, dtypes);
          std::string name = nb::isinstance<nb::str>(device) ? nb::cast<std::string>(device) : "";
          bool board = nb::isinstance<edge::Device>(device) || std::any_of(edge::devices().begin(), edge::devices().end(), [&](auto& d) { return d.name == name; });
          if (!board && watts) throw Error(ErrorKind::value, "estimate_power", "watts of a board", "of \"" + name + "\"", "classes as cpu take ops_per_watt=");
          if (board && ops_per_watt) throw Error(ErrorKind::value, "estimate_power", "watts= of a board", "ops_per_watt");
          return from_json((board ? edge::estimate_power(*r, in, device_of("estimate_power", device), watts.value_or(0)) : edge::estimate_power(*r, in, name, ops_per_watt.value_or(0))).to_json());
        }, "model"_a, "input_shape"_a = nb::none(), "device"_a = "cpu", "ops_per_watt"_a = nb::none(), "input_dtypes"_a = nb::none(), nb::kw_only(), "watts"_a = nb::none(),
        nb::sig("def estimate_power(" MODEL ", device: str | Device = 'cpu', ops_per_watt: float | None = None, input_dtypes: typing.Any = None, *, watts: float | None = None) -> dict[str, typing.Any]"),
        "Energy of one inference: an estimate, not a measurement. device: a class (cpu, gpu, edge_cpu, npu, dsp), by its FLOPs; or a board of edge.devices, by its predicted latency and its watts.");
  m.def("model_summary", [](nb::object model, nb::object shape, nb::object dtypes, int depth, nb::object device) {
          edge::SummaryOptions o{depth, nullptr};
          edge::Device d;
          if (!device.is_none()) {
            d = device_of("model_summary", device);
            o.device = &d;
          }
          return edge::model_summary(*model_of("model_summary", model), inputs_of("model_summary", shape, dtypes), o);
        }, "model"_a, SHAPES, nb::kw_only(), "depth"_a = 0, "device"_a = nb::none(),
        nb::sig("def model_summary(" MODEL ", input_dtypes: typing.Any = None, *, depth: int = 0, device: str | Device | None = None) -> str"),
        "A table of layers: parameters, MACs, int8 bytes, RAM, and with a device time; then totals. depth above 0 folds deeper layers into one row.");
  m.def("check_edge_compatibility", [](nb::object model, nb::object shape, nb::object constraints, nb::object dtypes) {
          nn::ModuleRef r = model_of("check_edge_compatibility", model);
          std::map<std::string, double> limits;
          if (nb::isinstance<nb::str>(constraints)) limits = edge::constraints_of(edge::find_device(nb::cast<std::string>(constraints)));
          else if (nb::isinstance<edge::Device>(constraints)) limits = edge::constraints_of(nb::cast<const edge::Device&>(constraints));
          else if (nb::isinstance<nb::dict>(constraints)) limits = nb::cast<std::map<std::string, double>>(constraints);
          else if (!constraints.is_none()) throw Error(ErrorKind::type, "check_edge_compatibility", "constraints as a dict, the name of a device, or a Device", type_text(constraints));
          nb::object result = from_json(edge::check_edge_compatibility(*r, inputs_of("check_edge_compatibility", shape, dtypes), limits).to_json());
          nb::object apply = nb::module_::import_("miniten.edge.utils").attr("_apply_fix"), partial = nb::module_::import_("functools").attr("partial");
          for (nb::handle fix : result["fixes"]) fix.attr("__setitem__")("apply", partial(apply, r, fix["int8"], fix["channels"], fix["layer"], shape));
          return result;
        }, "model"_a, "input_shape"_a = nb::none(), "constraints"_a = nb::none(), "input_dtypes"_a = nb::none(),
        nb::sig("def check_edge_compatibility(" MODEL ", constraints: dict[str, float] | str | Device | None = None, input_dtypes: typing.Any = None) -> dict[str, typing.Any]"),
        "passes_all and checks: name, actual, limit, passes. Constraints: a device's name, or max_parameters, max_memory_mb, max_flops, max_latency_ms, max_flash_kb, max_ram_kb, any of them.\n\n"
        "Where one fails, fixes tells what int8 and fewer channels make of it, tried by doing it, what fits first: text, checks, and apply(calibration_data=...) -> the changed model.");
}

void bind_devices(nb::module_& m) {
  using D = edge::Device;
  nb::class_<D>(m, "Device", "What a chip or a machine can do, with the source of its figures.")
      .def_ro("name", &D::name).def_ro("chip", &D::chip).def_ro("core", &D::core).def_ro("clock_mhz", &D::clock_mhz).def_ro("cores", &D::cores)
      .def_ro("macs_per_second", &D::macs_per_second, "By dtype: float32, int8.").def_ro("bytes_per_second", &D::bytes_per_second)
      .def_ro("cache_bytes_per_second", &D::cache_bytes_per_second).def_ro("cache_bytes", &D::cache_bytes)
      .def_ro("ram_kb", &D::ram_kb, "0: not known, or as large as what is put in.").def_ro("flash_kb", &D::flash_kb).def_ro("watts", &D::watts, "While computing; 0: not known.")
      .def_ro("source", &D::source).def_ro("slowdown", &D::slowdown, "How much longer a step takes than its roofline says, by op.").def_ro("step_seconds", &D::step_seconds)
      .def_ro("error", &D::error, "Median relative error of predicted latencies; 1 where it was never measured.").def_ro("measured", &D::measured)
      .def("to_json", &D::to_json).def("to_text", &D::to_text).def("__str__", &D::to_text)
      .def("__repr__", [](const D& d) { return "<miniten Device " + d.name + ">"; })
      .def_static("from_json", &D::from_json, "text"_a);
  m.def("_devices", [] { return edge::devices(); });
  m.def("probe", [](int threads) { return without_lock([&] { return edge::probe(threads); }); }, "threads"_a = 1, nb::sig("def probe(threads: int = 1) -> Device"),
        "Measures this machine: peak rates, bandwidth, and how small nets run beside their roofline. Takes some seconds.");
  m.def("estimate_latency", [](nb::object model, nb::object shape, nb::object device, nb::object dtypes) {
          return from_json(edge::estimate_latency(*model_of("estimate_latency", model), inputs_of("estimate_latency", shape, dtypes), device_of("estimate_latency", device)).to_json());
        }, "model"_a, "input_shape"_a = nb::none(), "device"_a = nb::none(), "input_dtypes"_a = nb::none(),
        nb::sig("def estimate_latency(" MODEL ", device: str | Device | None = None, input_dtypes: typing.Any = None) -> dict[str, typing.Any]"),
        "latency_ms and its error, without running the model. device: a name of edge.devices, or what probe() gave.");
  m.def("battery_life", [](nb::object model, nb::object shape, nb::object device, double capacity_mah, double voltage, double inferences_per_hour, double sleep_watts, double watts, nb::object dtypes) {
          edge::BatteryOptions o{capacity_mah, voltage, inferences_per_hour, sleep_watts, watts};
          return from_json(edge::battery_life(*model_of("battery_life", model), inputs_of("battery_life", shape, dtypes), device_of("battery_life", device), o).to_json());
        }, "model"_a, "input_shape"_a, "device"_a, "capacity_mah"_a, "voltage"_a = 3.7, "inferences_per_hour"_a = 3600.0, nb::kw_only(), "sleep_watts"_a = 0.0, "watts"_a = 0.0, "input_dtypes"_a = nb::none(),
        nb::sig("def battery_life(model: Module | Graph, input_shape: typing.Any, device: str | Device, capacity_mah: float, voltage: float = 3.7, inferences_per_hour: float = 3600, *, "
                "sleep_watts: float = 0, watts: float = 0, input_dtypes: typing.Any = None) -> dict[str, typing.Any]"),
        "hours that a battery lasts, with energy_per_inference_mj and duty_cycle. watts: of the device while it computes, where the table does not know them.");
}

}  // namespace

void bind_measure(nb::module_& m) {
  bind_devices(m);
  bind_benchmark(m);
  bind_estimates(m);
}

}  // namespace miniten::python
