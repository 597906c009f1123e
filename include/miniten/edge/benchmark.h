#pragma once
#include "miniten/nn/module.h"

namespace miniten::edge {

// Measurements of a model compiled for its inputs (random values), one inference at a time with the steady clock.
// threads 0: as many as MiniTen uses.
struct BenchmarkOptions { int num_runs = 100, warmup_runs = 10, threads = 0; };
struct BenchmarkResult {
  std::vector<double> latencies_ms;              // every run, in order
  int threads = 1;
  double mean() const;
  double stddev() const;                         // of the population
  double min() const;
  double max() const;
  double percentile(double p) const;             // p in [0, 100], linear between ranks as NumPy's default
  double throughput() const;                     // inferences in a second, by the mean; times the batch is samples
  std::string to_text() const;
};
// Throws for runs below 1 and a model without known shapes.
BenchmarkResult benchmark_model(nn::Module& model, const std::vector<Spec>& inputs = {}, const BenchmarkOptions& = {});

// Runs for about this long after a warm-up; -> inferences done and seconds taken.
struct ThroughputResult { int64_t inferences = 0; double seconds = 0; };
ThroughputResult throughput_test(nn::Module& model, const std::vector<Spec>& inputs = {}, double seconds = 5, int threads = 0);

struct MemoryResult { size_t current_bytes = 0, peak_bytes = 0, arena_bytes = 0, weight_bytes = 0; };   // resident set now and at its highest since before the run
MemoryResult memory_benchmark(nn::Module& model, const std::vector<Spec>& inputs = {});

// Rounds in turn, so that a busy machine is busy for all.
std::vector<BenchmarkResult> compare_models(const std::vector<nn::Module*>& models, const std::vector<Spec>& inputs = {}, const BenchmarkOptions& = {});

struct LayerLatency { std::string layer, op; std::vector<Spec> in, out; double latency_ms = 0; Cost cost; };
std::vector<LayerLatency> profile_by_layer(nn::Module& model, const std::vector<Spec>& inputs = {}, int runs = 20);

}  // namespace miniten::edge
