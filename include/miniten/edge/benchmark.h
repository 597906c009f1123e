#pragma once
#include "miniten/nn/module.h"

namespace miniten::edge {

// Measurements of a model compiled for its inputs (floats are random, integers 0), one inference at a time with the steady
// clock: docs/edge/benchmark.md. Inputs: specs, or none for those of the model's last call. Results stay in the arena: copying
// them out is not timed. Every to_json has the keys of the Python results.

// threads 0: as many as MiniTen uses.
struct BenchmarkOptions { int num_runs = 100, warmup_runs = 10, threads = 0; };
struct BenchmarkResult {
  std::vector<double> latencies_ms;              // every run, in order; never empty in a result
  int threads = 1, warmup_runs = 0;
  double mean() const;
  double stddev() const;                         // of the population
  double min() const;
  double max() const;
  double percentile(double p) const;             // p in [0, 100], linear between ranks as NumPy's default
  double throughput() const;                     // inferences in a second, by the mean; times the batch is samples
  std::string to_text() const;
  std::string to_json() const;
};
// Throws for num_runs below 1, warmup_runs or threads below 0, and a model without known shapes.
BenchmarkResult benchmark_model(nn::Module& model, const std::vector<Spec>& inputs = {}, const BenchmarkOptions& = {});
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

// Runs for about this long after a warm-up; -> inferences done and seconds taken.
struct ThroughputResult {
  int64_t inferences = 0;
  double seconds = 0;
  int threads = 1;
  double throughput() const { return double(inferences) / seconds; }
  std::string to_json() const;
};
ThroughputResult throughput_test(nn::Module& model, const std::vector<Spec>& inputs = {}, double seconds = 5, int threads = 0);

// current, peak: resident bytes of the process after the runs, and at their highest while the model was compiled and run;
// start: before. arena: planned and touched by a run; weights: constants with their packed forms.
struct MemoryResult {
  size_t current_bytes = 0, peak_bytes = 0, arena_bytes = 0, weight_bytes = 0, start_bytes = 0, measured_arena_bytes = 0;
  bool peak_is_sampled = false;                  // the system does not let its mark be reset: read after each run instead
  std::string to_json() const;
};
MemoryResult memory_benchmark(nn::Module& model, const std::vector<Spec>& inputs = {});

// One run of each in turn, the order turning round, so that a busy machine is busy for all.
struct ComparedModel : BenchmarkResult {
  std::string label;                             // "model_0" ... unless given
  size_t memory_bytes = 0;                       // of the model alone: weights, inputs and arena
  std::string to_json() const;
};
std::vector<ComparedModel> compare_models(const std::vector<nn::Module*>& models, const std::vector<Spec>& inputs = {}, const BenchmarkOptions& = {},
                                          const std::vector<std::string>& labels = {});

// Each step of the compiled model, one thread, the median of runs. type: the class of the module it came from, else the op.
struct LayerLatency { std::string layer, op; std::vector<Spec> in, out; double latency_ms = 0; Cost cost; std::string type; };
std::vector<LayerLatency> profile_by_layer(nn::Module& model, const std::vector<Spec>& inputs = {}, int runs = 20);

// Latency, memory and layers of one model together.
class BenchmarkReport {
 public:
  explicit BenchmarkReport(nn::Module& model, std::vector<Spec> inputs = {}, const BenchmarkOptions& = {});   // the model must outlive run_all
  void run_all();
  std::string summary();                         // text; runs first if nothing ran yet, as the others do
  std::string to_json();
  size_t save(const std::string& path);          // JSON, atomic; -> bytes
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
