#pragma once
#include <functional>
#include <optional>
#include "miniten/nn/module.h"

namespace miniten::edge {

// Measurements of a model compiled for its inputs (floats are random, integers 0, unless real ones are given), one
// inference at a time with the steady clock: docs/edge/benchmark.md. Inputs: specs, or none for those of the model's last
// call. Results stay in the arena: copying them out is not timed. Every to_json has the keys of the Python results.

using Workload = std::function<void()>;          // anything else that can be measured: one call is one inference

// One run of a session, which must outlive it; without inputs random ones.
Workload workload(Session&, const std::vector<Tensor>& inputs = {});
// One tensor for each spec: floats standard normal, the same at each call; the rest 0.
std::vector<Tensor> random_inputs(const std::vector<Spec>&);

struct BenchmarkOptions {
  int num_runs = 100, warmup_runs = 10;
  int threads = 0;                               // 0: as many as MiniTen uses
  double period_ms = 0;                          // above 0: one inference begins every period, and the thread sleeps between
  std::vector<Tensor> inputs{};                  // real ones; their specs are the model's then
  std::function<void(double)> progress{};        // is told the share done, between runs and not on the clock
};
struct Interval { double low = 0, high = 0; };
struct Machine {
  std::string cpu, isa;
  int cores = 1;                                 // that this process may use
  double start_mhz = 0, end_mhz = 0;             // 0: the system does not tell
  std::optional<bool> throttled;                 // the processor slowed itself down meanwhile; none: not told
};
// Runs above the upper quartile + 1.5 interquartile ranges (Tukey's fence), each with one cause: what the system counted in
// it more of than in the runs inside the fence.
struct Outliers {
  std::vector<size_t> runs;
  int64_t context_switches = 0, page_faults = 0, unknown = 0;    // how many runs by cause
};
struct BenchmarkResult {
  std::vector<double> latencies_ms;              // every run, in order; never empty in a result
  int threads = 1, warmup_runs = 0;
  double period_ms = 0;
  int64_t late = 0;                              // runs that could not begin in time: the one before was not done
  std::vector<int64_t> context_switches, page_faults;            // of the process in each run; empty where not told
  Machine machine;
  double mean() const;
  double stddev() const;                         // of the population
  double min() const;
  double max() const;
  double percentile(double p) const;             // p in [0, 100], linear between ranks as NumPy's default
  double throughput() const;                     // inferences in a second, by the mean; times the batch is samples
  Interval mean_interval(double level = 0.95) const;             // percentile bootstrap, the same at each call
  Interval median_interval(double level = 0.95) const;
  Outliers outliers() const;
  std::string to_text() const;
  std::string to_json() const;
};
// One run of a model compiled for these inputs, or for the real ones of the options, with their threads; it owns what was
// compiled. who: the name that errors begin with.
Workload workload(nn::Module& model, const std::vector<Spec>& inputs = {}, const BenchmarkOptions& = {}, const char* who = "benchmark_model");
// Throws for num_runs below 1, warmup_runs, threads or period_ms below 0, and a model without known shapes.
BenchmarkResult benchmark_model(nn::Module& model, const std::vector<Spec>& inputs = {}, const BenchmarkOptions& = {});
BenchmarkResult benchmark_model(const Workload&, const BenchmarkOptions& = {});
inline BenchmarkResult benchmark_layer(nn::Module& layer, const std::vector<Spec>& inputs = {}, const BenchmarkOptions& o = {}) {
  return benchmark_model(layer, inputs, o);
}

// actual: the percentile asked for, the median by default.
struct LatencyTest {
  double actual_ms = 0, target_ms = 0, percentile = 50;
  bool passes() const { return actual_ms <= target_ms; }
  double margin_ms() const { return target_ms - actual_ms; }
  std::string to_json() const;
};
LatencyTest latency_test(nn::Module& model, const std::vector<Spec>& inputs = {}, double target_latency_ms = 10, double percentile = 50, const BenchmarkOptions& = {});

LatencyTest latency_test(const BenchmarkResult&, double target_latency_ms = 10, double percentile = 50);

// Runs for about this long after a warm-up; -> inferences done and seconds taken.
struct ThroughputResult {
  int64_t inferences = 0, batch = 1;             // batch: the first axis of the first input; 1 for a workload
  double seconds = 0;
  int threads = 1;
  double throughput() const { return double(inferences) / seconds; }
  double samples_per_second() const { return double(batch) * throughput(); }
  std::string to_json() const;
};
ThroughputResult throughput_test(nn::Module& model, const std::vector<Spec>& inputs = {}, double seconds = 5, const BenchmarkOptions& = {});
ThroughputResult throughput_test(const Workload&, double seconds = 5);

// current, peak: resident bytes of the process after the runs, and at their highest while the model was compiled and run;
// start: before. arena: planned and touched by a run; scratch: what of the arena a step needs for itself, of the one that needs
// most; weights: constants with their packed forms.
struct MemoryResult {
  size_t current_bytes = 0, peak_bytes = 0, arena_bytes = 0, weight_bytes = 0, start_bytes = 0, measured_arena_bytes = 0, scratch_bytes = 0;
  bool peak_is_sampled = false;                  // the system does not let its mark be reset: read after each run instead
  std::string to_json() const;
};
MemoryResult memory_benchmark(nn::Module& model, const std::vector<Spec>& inputs = {});

// Rounds of one run each, the order turning round, so that a busy machine is busy for all. Each is compared with the first:
// ratio is the median of its latency over the first's in the rounds of each order, averaged over both, with a 99 % bootstrap
// interval. A difference is one of 1 % or more whose interval does not hold 1; less than 20 runs tell none. A model that is
// given twice is compiled once.
struct ComparedModel : BenchmarkResult {
  std::string label;                             // "model_0" ... unless given
  size_t memory_bytes = 0;                       // of the model alone: weights, inputs and arena; 0 for a workload
  double ratio = 1;
  Interval ratio_interval{1, 1};
  std::string verdict;                           // "reference", "faster", "slower", "no difference" or "too few runs"
  std::string verdict_text() const;              // "faster by 3.1 % (2.7 to 3.5)"
  std::string to_json() const;
};
std::vector<ComparedModel> compare_models(const std::vector<nn::Module*>& models, const std::vector<Spec>& inputs = {}, const BenchmarkOptions& = {},
                                          const std::vector<std::string>& labels = {});
std::vector<ComparedModel> compare_models(const std::vector<Workload>&, const BenchmarkOptions& = {}, const std::vector<std::string>& labels = {});

// One inference after another for this long, looked at in equal stretches of time.
struct SoakSample { double seconds = 0, latency_ms = 0; size_t resident_bytes = 0; int64_t inferences = 0; };   // seconds: the stretch's end; latency: its median
struct SoakResult {
  std::vector<SoakSample> samples;
  int64_t inferences = 0;
  double seconds = 0;
  double memory_slope = 0;                       // bytes of the resident set a second: least squares without the first tenth
  double latency_drift = 0;                      // median of the last quarter of stretches over the first's, minus 1
  std::optional<double> slow_from;               // seconds after which every stretch is 10 % slower than the first quarter
  std::optional<double> start_celsius, end_celsius;              // of the first thermal zone, where there is one
  std::string to_text() const;
  std::string to_json() const;
};
SoakResult soak_test(nn::Module& model, const std::vector<Spec>& inputs = {}, double seconds = 60, const BenchmarkOptions& = {});
SoakResult soak_test(const Workload&, double seconds = 60, const std::function<void(double)>& progress = {});

// Each step of the compiled model, one thread, the median of runs. type: the class of the module it came from, else the op.
struct LayerLatency {
  std::string layer, op;
  std::vector<Spec> in, out;
  double latency_ms = 0;
  Cost cost;
  std::string type;
  size_t bytes = 0;                              // read and written
  double roofline_ms = 0;                        // what this machine's peak rates allow: see devices.h
  double roofline_share() const { return latency_ms > 0 ? roofline_ms / latency_ms : 0; }
};
std::vector<LayerLatency> profile_by_layer(nn::Module& model, const std::vector<Spec>& inputs = {}, int runs = 20);

// Latency, memory and layers of one model together.
class BenchmarkReport {
 public:
  explicit BenchmarkReport(nn::Module& model, std::vector<Spec> inputs = {}, const BenchmarkOptions& = {});   // the model must outlive run_all
  void run_all();
  std::string summary();                         // text; runs first if nothing ran yet, as the others do
  std::string to_json();
  std::string to_csv();                          // the layers
  std::string to_html();                         // one page with figures, no outside reference
  size_t save(const std::string& path);          // .json, .csv, .html or .txt (summary), atomic; -> bytes
  const BenchmarkResult& latency();
  const MemoryResult& memory();
  const std::vector<LayerLatency>& layers();

 private:
  nn::Module& model_;
  std::vector<Spec> inputs_;
  BenchmarkOptions options_;
  BenchmarkResult latency_;
  MemoryResult memory_;
  std::vector<LayerLatency> layers_;
};

}  // namespace miniten::edge
