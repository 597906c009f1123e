#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>
#include "miniten/monitor/dashboard.h"
#include "miniten/monitor/experiment.h"
#include "miniten/monitor/profiler.h"
#include "miniten/monitor/terminal.h"
#include "python/bind.h"

namespace miniten::python {

namespace {

using namespace nb::literals;
using monitor::Experiment;
using monitor::MetricsLogger;
using Step = std::optional<int64_t>;

nb::object from_json(const std::string& text) { return nb::module_::import_("json").attr("loads")(text); }
std::string to_json(nb::handle object, const char* who) { return nb::cast<std::string>(nb::module_::import_("miniten.monitor._json").attr("dumps")(object, who)); }
nb::list points_list(const std::vector<monitor::Point>& points) {
  nb::list out;
  for (const auto& p : points) out.append(nb::make_tuple(p.step, p.value));
  return out;
}

// uint8, or floats in [0, 1]; (H, W) or (H, W, C).
void log_image(MetricsLogger& self, std::string_view name, nb::handle image, Step step) {
  Tensor t = to_tensor("log_image", image);
  if (t.rank() != 2 && t.rank() != 3) throw Error(ErrorKind::value, "log_image", "an image (H, W) or (H, W, 1, 3 or 4)", t.shape().text());
  std::vector<uint8_t> pixels;
  if (t.dtype() == DType::u8) pixels = t.to_vector<uint8_t>();
  else if (is_float(t.dtype()) || t.dtype() == DType::boolean) {
    std::vector<double> values = to_tensor("log_image", image, {DType::f64}).to_vector<double>();
    pixels.reserve(values.size());
    for (double v : values) pixels.push_back(uint8_t(std::min(1.0, std::max(0.0, v == v ? v : 0.0)) * 255 + 0.5));
  } else throw Error(ErrorKind::type, "log_image", "an image of uint8, or floats in [0, 1]", t.spec().text());
  int64_t channels = t.rank() == 3 ? t.dim(2) : 1, height = t.dim(0), width = t.dim(1);
  nb::gil_scoped_release release;
  self.log_image(name, pixels, height, width, channels, step);
}

void bind_logger(nb::module_& m) {
  nb::class_<MetricsLogger>(m, "MetricsLogger", "Logs one run into a folder of its own, as JSON Lines: docs/monitor/logging.md. A context manager.")
      .def("__init__", [](MetricsLogger* self, nb::object log_dir, std::optional<std::string> experiment_name, std::string comment, double flush_secs, std::optional<std::string> resume, nb::object system_metrics) {
          double system = nb::isinstance<nb::bool_>(system_metrics) ? (nb::cast<bool>(system_metrics) ? 1.0 : 0.0) : nb::cast<double>(system_metrics);
          std::string environment = nb::cast<std::string>(nb::module_::import_("miniten.monitor._json").attr("environment")());
          new (self) MetricsLogger({path_of(log_dir), experiment_name.value_or(""), comment, flush_secs, resume.value_or(""), system, environment});
        }, "log_dir"_a = "./runs", "experiment_name"_a = nb::none(), "comment"_a = "", "flush_secs"_a = 30.0, nb::kw_only(), "resume"_a = nb::none(), "system_metrics"_a = false,
        nb::sig("def __init__(self, log_dir: str | os.PathLike[str] = './runs', experiment_name: str | None = None, comment: str = '', flush_secs: float = 30, *, resume: str | None = None, "
                "system_metrics: bool | float = False) -> None"),
        "resume: name of a run in log_dir to go on with. system_metrics: True, or seconds between two readings of memory and CPU.")
      .def("log", [](MetricsLogger& self, std::string_view name, double value, Step step) { self.log(name, value, step); }, "name"_a, "value"_a, "step"_a = nb::none(),
           nb::sig("def log(self, name: str, value: typing.Any, step: int | None = None) -> None"), "Without a step: one more than the name's last.")
      .def("log_metrics", [](MetricsLogger& self, nb::dict values, Step step) {
          std::vector<std::pair<std::string, double>> list;
          for (auto [name, value] : values) list.emplace_back(nb::cast<std::string>(name), nb::cast<double>(value));
          self.log_metrics(list, step);
        }, "metrics"_a, "step"_a = nb::none(), nb::sig("def log_metrics(self, metrics: dict[str, typing.Any], step: int | None = None) -> None"))
      .def("log_histogram", [](MetricsLogger& self, std::string_view name, ArrayLike values, Step step, int bins) {
          std::vector<double> v = to_tensor("log_histogram", values.object, {DType::f64}).to_vector<double>();
          nb::gil_scoped_release release;
          self.log_histogram(name, v, step, bins);
        }, "name"_a, "values"_a, "step"_a = nb::none(), "bins"_a = 64, "Counts of the finite values in equal bins.")
      .def("log_image", [](MetricsLogger& self, std::string_view name, ArrayLike image, Step step) { log_image(self, name, image.object, step); }, "name"_a, "image"_a, "step"_a = nb::none(),
           "(H, W) or (H, W, 1, 3 or 4): uint8, or floats in [0, 1]. Kept as PNG.")
      .def("log_text", [](MetricsLogger& self, std::string_view name, std::string_view text, Step step) { self.log_text(name, text, step); }, "name"_a, "text"_a, "step"_a = nb::none())
      .def("log_hyperparams", [](MetricsLogger& self, nb::dict params) { self.log_hyperparams(to_json(params, "log_hyperparams")); }, "params"_a,
           nb::sig("def log_hyperparams(self, params: dict[str, typing.Any]) -> None"), "Joins those logged before.")
      .def("set_tags", [](MetricsLogger& self, nb::args names) {
          std::vector<std::string> tags;
          for (nb::handle n : names) tags.push_back(nb::cast<std::string>(n));
          self.set_tags(tags);
        }, "names"_a, nb::sig("def set_tags(self, *names: str) -> None"), "Instead of those before.")
      .def("get_metric", [](MetricsLogger& self, std::string_view name) {
          nb::list out;
          for (const auto& p : self.get_metric(name)) out.append(nb::make_tuple(p.step, p.value, p.time));
          return out;
        }, "name"_a, nb::sig("def get_metric(self, name: str) -> list[tuple[int, float, float]]"), "(step, value, seconds since 1970), read back from the file.")
      .def("get_latest", [](MetricsLogger& self, std::string_view name) -> std::optional<double> {
          auto p = self.get_latest(name);
          return p ? std::optional(p->value) : std::nullopt;
        }, "name"_a, "The last value, or None.")
      .def("flush", &MetricsLogger::flush)
      .def("close", [](MetricsLogger& self) { self.close(); })
      .def("__enter__", [](nb::object self) { return self; }, nb::sig("def __enter__(self) -> MetricsLogger"))
      .def("__exit__", [](MetricsLogger& self, nb::handle type, nb::handle, nb::handle) {
          self.close(type.is_none() ? "closed" : "failed: " + nb::cast<std::string>(type.attr("__name__")));
        }, "type"_a = nb::none(), "value"_a = nb::none(), "traceback"_a = nb::none())
      .def_prop_ro("run_name", &MetricsLogger::run_name)
      .def_prop_ro("run_dir", &MetricsLogger::run_dir)
      .def_prop_ro("closed", [](const MetricsLogger& self) { return !self.is_open(); })
      .def_prop_ro("recovered_bytes", &MetricsLogger::recovered_bytes, "Of a torn last line that resume= cut off.");
}

monitor::RunData read(const Experiment& self, const std::string& run) {
  monitor::RunData data = self.get_run_metrics(run);
  if ((data.torn_bytes && from_json(self.get_run_metadata(run))["status"].equal(nb::str("interrupted"))) || data.damaged_lines) {
    std::string text = "[get_run_metrics] run \"" + run + "\": " + std::to_string(data.torn_bytes) + " bytes of a torn last line dropped, " + std::to_string(data.damaged_lines) + " unreadable lines passed over";
    if (PyErr_WarnEx(PyExc_RuntimeWarning, text.c_str(), 1) < 0) throw nb::python_error();
  }
  return data;
}

void bind_experiment(nb::module_& m) {
  nb::class_<Experiment>(m, "Experiment", "The runs in one folder: docs/monitor/experiments.md.")
      .def("__init__", [](Experiment* self, nb::object dir) { new (self) Experiment(path_of(dir)); }, "experiments_dir"_a = "./runs",
           nb::sig("def __init__(self, experiments_dir: str | os.PathLike[str] = './runs') -> None"))
      .def_prop_ro("experiments_dir", &Experiment::dir)
      .def("list_runs", &Experiment::list_runs, "Names, oldest first.")
      .def("get_run_metadata", [](const Experiment& self, const std::string& run) { return from_json(self.get_run_metadata(run)); }, "run"_a,
           nb::sig("def get_run_metadata(self, run: str) -> dict[str, typing.Any]"))
      .def("get_run_metrics", [](const Experiment& self, const std::string& run) {
          nb::dict out;
          for (const auto& s : read(self, run).metrics) out[nb::str(s.name.c_str(), s.name.size())] = points_list(s.points);
          return out;
        }, "run"_a, nb::sig("def get_run_metrics(self, run: str) -> dict[str, list[tuple[int, float]]]"), "metric -> [(step, value)].")
      .def("tags", &Experiment::tags, "run"_a)
      .def("compare", [](const Experiment& self, const std::vector<std::string>& runs, std::string_view metric) {
          nb::dict out;
          for (const auto& c : self.compare(runs, metric)) out[nb::str(c.run.c_str(), c.run.size())] = points_list(c.points);
          return out;
        }, "run_names"_a, "metric"_a, nb::sig("def compare(self, run_names: collections.abc.Sequence[str], metric: str) -> dict[str, list[tuple[int, float]]]"), "run -> [(step, value)].")
      .def("get_best_run", [](const Experiment& self, std::string_view metric, std::string_view mode) { return self.get_best_run(metric, mode); }, "metric"_a, "mode"_a = "min",
           "By the best value a run ever had; None where no run has the metric.")
      .def("filter", [](const Experiment& self, std::string_view expression) { return self.filter(expression); }, "expression"_a, "Runs for which it holds: \"metric('val_loss') < 0.3 and params['lr'] > 1e-3\".")
      .def("to_csv", [](const Experiment& self, nb::object path) -> nb::object {
          std::string text = self.to_csv();
          if (path.is_none()) return nb::str(text.c_str(), text.size());
          nb::module_::import_("pathlib").attr("Path")(path).attr("write_text")(nb::str(text.c_str(), text.size()), "encoding"_a = "utf-8");
          return nb::none();
        }, "path"_a = nb::none(), nb::sig("def to_csv(self, path: str | os.PathLike[str] | None = None) -> str | None"), "run,metric,step,value,time: the text, or into a file.")
      .def("to_dict", [](const Experiment& self) { return from_json(self.to_json()); }, nb::sig("def to_dict(self) -> dict[str, typing.Any]"))
      .def("to_text", [](const Experiment& self, std::optional<std::string> run, int width, bool color) { return monitor::terminal_text(self, {.run = run.value_or(""), .width = width, .color = color}); },
           "run"_a = nb::none(), "width"_a = 80, "color"_a = false, "For a terminal: the runs as a table, and curves of one, by default the newest.")
      .def("delete_run", &Experiment::delete_run, "run"_a, "Removes the run's folder. Refuses what is no run of this folder, and a run that is being written.");
}

void bind_dashboard(nb::module_& m) {
  using monitor::Dashboard;
  nb::class_<Dashboard>(m, "DashboardPages", "The pages of miniten.monitor.Dashboard.")
      .def("__init__", [](Dashboard* self, nb::object dir) { new (self) Dashboard(path_of(dir)); }, "experiments_dir"_a, nb::sig("def __init__(self, experiments_dir: str | os.PathLike[str]) -> None"))
      .def("html", [](const Dashboard& self, const std::vector<std::string>& runs, const std::string& title) {
          nb::gil_scoped_release release;
          return self.html(runs, title);
        }, "runs"_a, "title"_a)
      .def("generate", [](const Dashboard& self, nb::object path, const std::vector<std::string>& runs, const std::string& title) {
          std::string to = path_of(path);
          nb::gil_scoped_release release;
          return self.generate(to, runs, title);
        }, "output_path"_a, "runs"_a, "title"_a, nb::sig("def generate(self, output_path: str | os.PathLike[str], runs: collections.abc.Sequence[str], title: str) -> int"))
      .def("live_html", [](const Dashboard& self, const std::string& run) {
          nb::gil_scoped_release release;
          return self.live_html(run);
        }, "run"_a);
}

struct TimerScope {
  nb::object profiler;
  std::string name;
  std::vector<uint64_t> tokens;                  // one object may be entered again inside itself
};

nb::dict timing_dict(const monitor::Timing& t) {
  nb::dict d;
  d["count"] = t.count;
  d["total"] = t.total;
  d["min"] = t.min;
  d["max"] = t.max;
  d["mean"] = t.mean();
  d["p50"] = t.p50;
  d["p95"] = t.p95;
  return d;
}

void write(nb::handle path, const std::string& text) {
  nb::module_::import_("pathlib").attr("Path")(path).attr("write_text")(nb::str(text.c_str(), text.size()), "encoding"_a = "utf-8");
}

void bind_timers(nb::module_& m) {
  using P = monitor::PerformanceProfiler;
  nb::class_<TimerScope>(m, "TimerScope")
      .def("__enter__", [](TimerScope& s) { s.tokens.push_back(nb::cast<P&>(s.profiler).begin(s.name)); })
      .def("__exit__", [](TimerScope& s, nb::handle, nb::handle, nb::handle) {
          if (s.tokens.empty()) throw Error(ErrorKind::value, "timer", "a timer that was entered", "one that was not");
          uint64_t token = s.tokens.back();
          s.tokens.pop_back();
          nb::cast<P&>(s.profiler).end(token);
        }, "type"_a = nb::none(), "value"_a = nb::none(), "traceback"_a = nb::none());
  nb::class_<P>(m, "PerformanceProfiler", "Named timers that nest, on any thread.")
      .def(nb::init<>())
      .def("start", &P::start)
      .def("stop", &P::stop)
      .def("timer", [](nb::object self, std::string name) { return TimerScope{self, name, {}}; }, "name"_a, "with profiler.timer('step'): ...")
      .def("summary", &P::summary, "A table of the timers as a tree.")
      .def("__str__", &P::summary)
      .def("stats", [](const P& p) {
          nb::dict out;
          for (auto& [name, t] : p.stats()) out[nb::str(name.c_str(), name.size())] = timing_dict(t);
          return out;
        }, nb::sig("def stats(self) -> dict[str, dict[str, float]]"), "name -> count, total, min, max, mean, p50, p95; seconds.")
      .def("tree", [](const P& p) {
          nb::list out;
          for (auto& r : p.tree()) {
            nb::dict d = timing_dict(r.timing);
            d["path"] = r.path;
            d["depth"] = r.depth;
            out.append(d);
          }
          return out;
        }, nb::sig("def tree(self) -> list[dict[str, typing.Any]]"), "As stats, by path ('epoch/step'), parents first.")
      .def("get_timing", [](const P& p, std::string_view name) { return timing_dict(p.get_timing(name)); }, "name"_a, nb::sig("def get_timing(self, name: str) -> dict[str, float]"), "Of a name, or of a path.")
      .def("reset", &P::reset)
      .def_static("overhead", &P::overhead, "Seconds that one timer costs in C++ here.")
      .def("__enter__", [](nb::object self) { nb::cast<P&>(self).start(); return self; }, nb::sig("def __enter__(self) -> PerformanceProfiler"))
      .def("__exit__", [](P& p, nb::handle, nb::handle, nb::handle) { p.stop(); }, "type"_a = nb::none(), "value"_a = nb::none(), "traceback"_a = nb::none());
}

void bind_memory(nb::module_& m) {
  using P = monitor::MemoryProfiler;
  nb::class_<P>(m, "MemoryProfiler", "Resident memory of the process between start and stop; the peak is the system's own, begun anew at start.")
      .def(nb::init<>())
      .def("start", &P::start)
      .def("sample", [](P& p, std::string label) {
          monitor::MemorySample s = p.sample(label);
          nb::dict d;
          d["label"] = s.label;
          d["seconds"] = s.seconds;
          d["memory_mb"] = double(s.resident) / 1048576;
          d["allocated_mb"] = double(s.allocated) / 1048576;
          return d;
        }, "label"_a = "", nb::sig("def sample(self, label: str = '') -> dict[str, typing.Any]"))
      .def("stop", [](P& p) { return from_json(p.stop().to_json()); }, nb::sig("def stop(self) -> dict[str, typing.Any]"),
           "start_memory_mb, end_memory_mb, peak_memory_mb, memory_increase_mb, samples, ...")
      .def("report", [](const P& p) { return p.report().to_text(); }, "Text.")
      .def("plot", [](const P& p, nb::object path) { p.report().plot(path_of(path)); }, "path"_a, nb::sig("def plot(self, path: str | os.PathLike[str]) -> None"), "Samples over time and the peak: .svg, .png, .html or .txt.")
      .def("__str__", [](const P& p) { return p.report().to_text(); })
      .def("to_dict", [](const P& p) { return from_json(p.report().to_json()); }, nb::sig("def to_dict(self) -> dict[str, typing.Any]"))
      .def("__enter__", [](nb::object self) { nb::cast<P&>(self).start(); return self; }, nb::sig("def __enter__(self) -> MemoryProfiler"))
      .def("__exit__", [](P& p, nb::handle, nb::handle, nb::handle) { if (p.running()) p.stop(); }, "type"_a = nb::none(), "value"_a = nb::none(), "traceback"_a = nb::none());
}

void bind_op_profiler(nb::module_& m) {
  using monitor::NanFinder;
  using monitor::Profile;
  using monitor::Profiler;
  nb::class_<Profile>(m, "Profile", "What ops took, by stage, layer and op.")
      .def_prop_ro("rows", [](const Profile& p) { return nb::object(from_json(p.to_json())["rows"]); }, nb::sig("def rows(self) -> list[dict[str, typing.Any]]"), "stage, layer, op, calls, ms, share, macs, flops, bytes, shapes; most time first.")
      .def_prop_ro("wall_ms", [](const Profile& p) { return p.wall_nanoseconds / 1e6; })
      .def_prop_ro("op_ms", [](const Profile& p) { return p.op_nanoseconds() / 1e6; })
      .def("to_text", &Profile::to_text)
      .def("__str__", &Profile::to_text)
      .def("to_json", &Profile::to_json)
      .def("to_dict", [](const Profile& p) { return from_json(p.to_json()); }, nb::sig("def to_dict(self) -> dict[str, typing.Any]"))
      .def("chrome_trace", [](const Profile& p, nb::object path) { write(path, p.chrome_trace()); }, "path"_a, nb::sig("def chrome_trace(self, path: str | os.PathLike[str]) -> None"), "JSON for Perfetto or chrome://tracing.")
      .def("flame_graph", [](const Profile& p, nb::object path, double width) { write(path, p.flame_graph(width)); }, "path"_a, "width"_a = 1200.0,
           nb::sig("def flame_graph(self, path: str | os.PathLike[str], width: float = 1200) -> None"), "SVG: stage, layers, op; widths are time.")
      .def("_repr_svg_", [](const Profile& p) { return p.flame_graph(); });
  nb::class_<Profiler>(m, "Profiler", "Watches every op that this thread applies. A context manager; .profile afterwards.", nb::dynamic_attr())
      .def(nb::init<>())
      .def("start", &Profiler::start)
      .def("stop", &Profiler::stop)
      .def_prop_ro("running", &Profiler::running);
  nb::class_<NanFinder>(m, "NanFinder", "Watches every op that this thread applies, and keeps the first NaN.")
      .def(nb::init<>())
      .def("found", &NanFinder::found, "'' or what gave the first NaN.")
      .def("__enter__", [](nb::object self) { nb::cast<NanFinder&>(self).start(); return self; }, nb::sig("def __enter__(self) -> NanFinder"))
      .def("__exit__", [](NanFinder& f, nb::handle, nb::handle, nb::handle) { f.stop(); }, "type"_a = nb::none(), "value"_a = nb::none(), "traceback"_a = nb::none());
}

}  // namespace

void bind_monitor(nb::module_& m) {
  bind_logger(m);
  bind_experiment(m);
  bind_dashboard(m);
  bind_timers(m);
  bind_memory(m);
  bind_op_profiler(m);
}

}  // namespace miniten::python
