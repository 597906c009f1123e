#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>
#include "miniten/edge/benchmark.h"
#include "miniten/edge/utils.h"
#include "python/module_type.h"

// miniten.edge.benchmark and miniten.edge.utils. Results are dicts: each result's JSON has Python's keys.
namespace miniten::python {

namespace {

using namespace nb::literals;

nb::object from_json(const std::string& text) { return nb::module_::import_("json").attr("loads")(text); }

nn::ModuleRef model_of(const char* op, nb::handle model) {
  if (nb::isinstance<Graph>(model)) return make<nn::GraphModule>(nb::cast<const Graph&>(model));
  if (!nb::isinstance<nn::Module>(model)) throw Error(ErrorKind::type, op, "a Module", type_text(model));
  return nb::cast<nn::ModuleRef>(model);
}
std::vector<Spec> inputs_of(const char* op, nb::handle shape, nb::handle dtypes) { return specs_of(op, shape, dtypes).specs; }

edge::BenchmarkOptions options(int num_runs, int warmup_runs, std::optional<int> threads) { return {num_runs, warmup_runs, threads.value_or(0)}; }

template <class F> auto without_lock(F f) {
  nb::gil_scoped_release release;
  return f();
}

#define SHAPES "input_shape"_a = nb::none(), "input_dtypes"_a = nb::none()
#define MODEL "model: Module | Graph, input_shape: typing.Any = None"

void bind_benchmark(nb::module_& m) {
  for (const char* name : {"benchmark_model", "benchmark_layer"})
    m.def(name, [name](nb::object model, nb::object shape, int num_runs, int warmup_runs, std::optional<int> threads, nb::object dtypes) {
            nn::ModuleRef r = model_of(name, model);
            std::vector<Spec> in = inputs_of(name, shape, dtypes);
            auto result = without_lock([&] { return edge::benchmark_model(*r, in, options(num_runs, warmup_runs, threads)); });
            raise_pending_error();
            return from_json(result.to_json());
          }, "model"_a, "input_shape"_a = nb::none(), "num_runs"_a = 100, "warmup_runs"_a = 10, nb::kw_only(), "threads"_a = nb::none(), "input_dtypes"_a = nb::none(),
          nb::sig((std::string("def ") + name + "(" MODEL ", num_runs: int = 100, warmup_runs: int = 10, *, threads: int | None = None, input_dtypes: typing.Any = None) -> dict[str, typing.Any]").c_str()),
          "Latency of the compiled model: mean, std, min, max, median, p95 and p99 in ms, throughput_fps, num_runs.");
  m.def("latency_test", [](nb::object model, nb::object shape, double target, double percentile, int num_runs, int warmup_runs, nb::object dtypes) {
          nn::ModuleRef r = model_of("latency_test", model);
          std::vector<Spec> in = inputs_of("latency_test", shape, dtypes);
          return from_json(without_lock([&] { return edge::latency_test(*r, in, target, percentile, options(num_runs, warmup_runs, {})); }).to_json());
        }, "model"_a, "input_shape"_a = nb::none(), "target_latency_ms"_a = 10.0, nb::kw_only(), "percentile"_a = 50.0, "num_runs"_a = 100, "warmup_runs"_a = 10, "input_dtypes"_a = nb::none(),
        nb::sig("def latency_test(" MODEL ", target_latency_ms: float = 10, *, percentile: float = 50, num_runs: int = 100, warmup_runs: int = 10, input_dtypes: typing.Any = None) -> dict[str, typing.Any]"),
        "passes, actual_latency_ms, target_latency_ms, margin_ms.");
  m.def("throughput_test", [](nb::object model, nb::object shape, double seconds, std::optional<int> threads, nb::object dtypes) {
          nn::ModuleRef r = model_of("throughput_test", model);
          std::vector<Spec> in = inputs_of("throughput_test", shape, dtypes);
          return from_json(without_lock([&] { return edge::throughput_test(*r, in, seconds, threads.value_or(0)); }).to_json());
        }, "model"_a, "input_shape"_a = nb::none(), "duration_seconds"_a = 5.0, nb::kw_only(), "threads"_a = nb::none(), "input_dtypes"_a = nb::none(),
        nb::sig("def throughput_test(" MODEL ", duration_seconds: float = 5, *, threads: int | None = None, input_dtypes: typing.Any = None) -> dict[str, typing.Any]"),
        "total_inferences, duration_seconds, throughput_fps, latency_ms.");
  m.def("memory_benchmark", [](nb::object model, nb::object shape, nb::object dtypes) {
          nn::ModuleRef r = model_of("memory_benchmark", model);
          std::vector<Spec> in = inputs_of("memory_benchmark", shape, dtypes);
          return from_json(without_lock([&] { return edge::memory_benchmark(*r, in); }).to_json());
        }, "model"_a, SHAPES, nb::sig("def memory_benchmark(" MODEL ", input_dtypes: typing.Any = None) -> dict[str, typing.Any]"), "current_memory_mb, peak_memory_mb and the model's own share.");
  m.def("compare_models", [](nb::object models, nb::object shape, nb::object labels, int num_runs, int warmup_runs, std::optional<int> threads, nb::object dtypes) {
          std::vector<nn::ModuleRef> kept;
          std::vector<std::string> names;
          auto add = [&](nb::handle model) { kept.push_back(model_of("compare_models", model)); };
          if (nb::isinstance<nb::dict>(models))
            for (auto [name, model] : nb::borrow<nb::dict>(models)) {
              names.push_back(nb::cast<std::string>(nb::str(name)));
              add(model);
            }
          else for (nb::handle model : models) add(model);
          if (!labels.is_none()) names = nb::cast<std::vector<std::string>>(labels);
          std::vector<nn::Module*> list;
          for (auto& r : kept) list.push_back(r.get());
          std::vector<Spec> in = inputs_of("compare_models", shape, dtypes);
          nb::list out;
          for (const auto& c : without_lock([&] { return edge::compare_models(list, in, options(num_runs, warmup_runs, threads), names); })) out.append(from_json(c.to_json()));
          return out;
        }, "models"_a, "input_shape"_a = nb::none(), "labels"_a = nb::none(), nb::kw_only(), "num_runs"_a = 100, "warmup_runs"_a = 10, "threads"_a = nb::none(), "input_dtypes"_a = nb::none(),
        nb::sig("def compare_models(models: collections.abc.Sequence[Module] | dict[str, Module], input_shape: typing.Any = None, labels: collections.abc.Sequence[str] | None = None, *, num_runs: int = 100, "
                "warmup_runs: int = 10, threads: int | None = None, input_dtypes: typing.Any = None) -> list[dict[str, typing.Any]]"),
        "A row for each: label, latency_ms, throughput_fps, peak_memory_mb. Runs take turns, so that a busy machine is busy for all.");
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
            rows.append(row);
          }
          return rows;
        }, "model"_a, "input_shape"_a = nb::none(), nb::kw_only(), "num_runs"_a = 20, "input_dtypes"_a = nb::none(),
        nb::sig("def profile_by_layer(" MODEL ", *, num_runs: int = 20, input_dtypes: typing.Any = None) -> list[dict[str, typing.Any]]"),
        "A row for each step: layer_index, layer, layer_type, op, input_shape, output_shape, latency_ms, macs.");
  using B = edge::BenchmarkReport;
  nb::class_<B>(m, "BenchmarkReport", "Latency, memory and layers of one model together.")
      .def("__init__", [](B* self, nn::Module& model, nb::object shape, int num_runs, int warmup_runs, nb::object dtypes) {
          new (self) B(model, inputs_of("BenchmarkReport", shape, dtypes), options(num_runs, warmup_runs, {}));
        }, "model"_a, "input_shape"_a = nb::none(), nb::kw_only(), "num_runs"_a = 100, "warmup_runs"_a = 10, "input_dtypes"_a = nb::none(), nb::keep_alive<1, 2>(),
        nb::sig("def __init__(self, model: Module, input_shape: typing.Any = None, *, num_runs: int = 100, warmup_runs: int = 10, input_dtypes: typing.Any = None) -> None"))
      .def("run_all", [](B& self) { without_lock([&] { return self.run_all(), 0; }); })
      .def("summary", &B::summary).def("__str__", &B::summary).def("to_json", &B::to_json)
      .def("to_dict", [](B& self) { return from_json(self.to_json()); }, nb::sig("def to_dict(self) -> dict[str, typing.Any]"))
      .def("save", [](B& self, nb::object path) { return self.save(path_of(path)); }, "path"_a, nb::sig("def save(self, path: str | os.PathLike[str]) -> int"), "JSON -> bytes.");
}

void bind_estimates(nb::module_& m) {
  m.def("count_parameters", [](nb::object model) { return from_json(edge::count_parameters(*model_of("count_parameters", model)).to_json()); }, "model"_a,
        nb::sig("def count_parameters(model: Module | Graph) -> dict[str, int]"), "total_parameters, trainable_parameters, non_trainable_parameters.");
  m.def("count_flops", [](nb::object model, nb::object shape, nb::object dtypes) {
          return from_json(edge::count_flops(*model_of("count_flops", model), inputs_of("count_flops", shape, dtypes)).to_json());
        }, "model"_a, SHAPES, nb::sig("def count_flops(" MODEL ", input_dtypes: typing.Any = None) -> dict[str, typing.Any]"),
        "total_flops = 2 * total_macs + elementwise_flops; total_mflops, total_gflops, by_layer.");
  m.def("estimate_memory", [](nb::object model, nb::object shape, DTypeLike dtype, nb::object dtypes) {
          return from_json(edge::estimate_memory(*model_of("estimate_memory", model), inputs_of("estimate_memory", shape, dtypes), dtype_of("estimate_memory", dtype.object)).to_json());
        }, "model"_a, "input_shape"_a = nb::none(), "dtype"_a = "float32", "input_dtypes"_a = nb::none(),
        nb::sig("def estimate_memory(" MODEL ", dtype: DType | str = 'float32', input_dtypes: typing.Any = None) -> dict[str, typing.Any]"), "{parameter,input,activation,total}_memory_{bytes,mb}.");
  m.def("estimate_power", [](nb::object model, nb::object shape, std::string device, std::optional<double> ops_per_watt, nb::object dtypes) {
          if (ops_per_watt && !(*ops_per_watt > 0)) throw Error(ErrorKind::value, "estimate_power", "ops_per_watt above 0", std::to_string(*ops_per_watt));
          return from_json(edge::estimate_power(*model_of("estimate_power", model), inputs_of("estimate_power", shape, dtypes), device, ops_per_watt.value_or(0)).to_json());
        }, "model"_a, "input_shape"_a = nb::none(), "device"_a = "cpu", "ops_per_watt"_a = nb::none(), "input_dtypes"_a = nb::none(),
        nb::sig("def estimate_power(" MODEL ", device: str = 'cpu', ops_per_watt: float | None = None, input_dtypes: typing.Any = None) -> dict[str, typing.Any]"),
        "Energy of one inference from its FLOPs: an estimate, not a measurement.");
  m.def("model_summary", [](nb::object model, nb::object shape, nb::object dtypes) { return edge::model_summary(*model_of("model_summary", model), inputs_of("model_summary", shape, dtypes)); },
        "model"_a, SHAPES, nb::sig("def model_summary(" MODEL ", input_dtypes: typing.Any = None) -> str"), "A table of layers, then totals.");
  m.def("check_edge_compatibility", [](nb::object model, nb::object shape, std::optional<std::map<std::string, double>> constraints, nb::object dtypes) {
          return from_json(edge::check_edge_compatibility(*model_of("check_edge_compatibility", model), inputs_of("check_edge_compatibility", shape, dtypes), constraints.value_or(std::map<std::string, double>{})).to_json());
        }, "model"_a, "input_shape"_a = nb::none(), "constraints"_a = nb::none(), "input_dtypes"_a = nb::none(),
        nb::sig("def check_edge_compatibility(" MODEL ", constraints: dict[str, float] | None = None, input_dtypes: typing.Any = None) -> dict[str, typing.Any]"),
        "passes_all and checks: name, actual, limit, passes. Constraints: max_parameters, max_memory_mb, max_flops, max_latency_ms, max_flash_kb, max_ram_kb, any of them.");
}

}  // namespace

void bind_measure(nb::module_& m) {
  bind_benchmark(m);
  bind_estimates(m);
}

}  // namespace miniten::python
