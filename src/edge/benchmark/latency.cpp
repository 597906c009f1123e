#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include "edge/benchmark/bench.h"
#include "edge/models.h"
#include "miniten/base/parallel.h"

namespace miniten::edge {

double now_ms() { return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

int threads_of(const char* who, int threads) {
  if (threads < 0) throw Error(ErrorKind::value, who, "a number of threads, 0 for as many as MiniTen uses", std::to_string(threads));
  return threads ? threads : get_num_threads();
}
void check_runs(const char* who, const BenchmarkOptions& o) {
  if (o.num_runs < 1 || o.warmup_runs < 0)
    throw Error(ErrorKind::value, who, "num_runs of at least 1 and warmup_runs of at least 0", std::to_string(o.num_runs) + " and " + std::to_string(o.warmup_runs));
}

static Session session_of(const char* who, nn::Module& m, const std::vector<Spec>& given, int threads) {
  return Session(bound_graph(who, m, given), {.threads = threads_of(who, threads)});
}
Bench::Bench(const char* who, nn::Module& m, const std::vector<Spec>& given, int threads)
    : session(session_of(who, m, given, threads)), inputs(random_inputs(session.input_specs())) {}
double Bench::timed_ms() {
  double start = now_ms();
  run();
  return now_ms() - start;
}

// ---- what a list of latencies tells ----
double BenchmarkResult::mean() const { return std::accumulate(latencies_ms.begin(), latencies_ms.end(), 0.0) / double(latencies_ms.size()); }
double BenchmarkResult::stddev() const {
  double m = mean(), sum = 0;
  for (double v : latencies_ms) sum += (v - m) * (v - m);
  return std::sqrt(sum / double(latencies_ms.size()));
}
double BenchmarkResult::min() const { return *std::min_element(latencies_ms.begin(), latencies_ms.end()); }
double BenchmarkResult::max() const { return *std::max_element(latencies_ms.begin(), latencies_ms.end()); }
double BenchmarkResult::percentile(double p) const {
  if (!(p >= 0 && p <= 100)) throw Error(ErrorKind::value, "percentile", "a percentile in [0, 100]", std::to_string(p));
  if (latencies_ms.empty()) throw Error(ErrorKind::value, "percentile", "at least one latency", "none");
  std::vector<double> v = latencies_ms;
  std::sort(v.begin(), v.end());
  double at = p / 100 * double(v.size() - 1);
  auto low = std::min(size_t(at), v.size() - 1), high = std::min(low + 1, v.size() - 1);
  double t = at - double(low), step = v[high] - v[low];
  return t < 0.5 ? v[low] + step * t : v[high] - step * (1 - t);         // NumPy's lerp: exact at both ends
}
double BenchmarkResult::throughput() const { return 1000 / mean(); }
std::string BenchmarkResult::to_text() const {
  char s[256];
  std::snprintf(s, sizeof s, "latency %.4f ms median, %.4f mean, %.4f std, %.4f p95, %.4f p99; %.1f inferences/s; %zu runs after %d, %d thread%s", percentile(50), mean(),
                stddev(), percentile(95), percentile(99), throughput(), latencies_ms.size(), warmup_runs, threads, threads == 1 ? "" : "s");
  return s;
}
static nlohmann::ordered_json json_of(const BenchmarkResult& r) {
  return {{"mean_latency_ms", r.mean()}, {"std_latency_ms", r.stddev()}, {"min_latency_ms", r.min()}, {"max_latency_ms", r.max()},
          {"median_latency_ms", r.percentile(50)}, {"p95_latency_ms", r.percentile(95)}, {"p99_latency_ms", r.percentile(99)},
          {"p999_latency_ms", r.percentile(99.9)}, {"throughput_fps", r.throughput()}, {"num_runs", r.latencies_ms.size()},
          {"warmup_runs", r.warmup_runs}, {"threads", r.threads}, {"latencies_ms", r.latencies_ms}};
}
std::string BenchmarkResult::to_json() const { return json_of(*this).dump(); }
std::string ComparedModel::to_json() const {
  nlohmann::ordered_json j{{"label", label}, {"latency_ms", percentile(50)}, {"throughput_fps", throughput()}, {"peak_memory_mb", double(memory_bytes) / 1048576}};
  j.update(json_of(*this));
  return j.dump();
}

BenchmarkResult benchmark_model(nn::Module& m, const std::vector<Spec>& inputs, const BenchmarkOptions& o) {
  check_runs("benchmark_model", o);
  Bench b("benchmark_model", m, inputs, o.threads);
  BenchmarkResult r;
  r.threads = threads_of("benchmark_model", o.threads);
  r.warmup_runs = o.warmup_runs;
  for (int i = 0; i < o.warmup_runs; ++i) b.run();
  for (int i = 0; i < o.num_runs; ++i) r.latencies_ms.push_back(b.timed_ms());
  return r;
}

LatencyTest latency_test(nn::Module& m, const std::vector<Spec>& inputs, double target_latency_ms, double percentile, const BenchmarkOptions& o) {
  if (!(target_latency_ms > 0)) throw Error(ErrorKind::value, "latency_test", "a target above 0 ms", std::to_string(target_latency_ms));
  if (!(percentile >= 0 && percentile <= 100)) throw Error(ErrorKind::value, "latency_test", "a percentile in [0, 100]", std::to_string(percentile));
  return {benchmark_model(m, inputs, o).percentile(percentile), target_latency_ms, percentile};
}
std::string LatencyTest::to_json() const {
  return nlohmann::ordered_json{{"passes", passes()}, {"actual_latency_ms", actual_ms}, {"target_latency_ms", target_ms}, {"margin_ms", margin_ms()},
                                {"percentile", percentile}}.dump();
}

ThroughputResult throughput_test(nn::Module& m, const std::vector<Spec>& inputs, double seconds, int threads) {
  if (!(seconds > 0) || std::isinf(seconds)) throw Error(ErrorKind::value, "throughput_test", "a duration above 0 s", std::to_string(seconds));
  Bench b("throughput_test", m, inputs, threads);
  for (int i = 0; i < 2; ++i) b.run();
  ThroughputResult r;
  r.threads = threads_of("throughput_test", threads);
  double start = now_ms();
  do {
    b.run();
    ++r.inferences;
    r.seconds = (now_ms() - start) / 1000;
  } while (r.seconds < seconds);
  return r;
}
std::string ThroughputResult::to_json() const {
  return nlohmann::ordered_json{{"total_inferences", inferences}, {"duration_seconds", seconds}, {"throughput_fps", throughput()},
                                {"latency_ms", 1000 / throughput()}, {"threads", threads}}.dump();
}

std::vector<ComparedModel> compare_models(const std::vector<nn::Module*>& models, const std::vector<Spec>& inputs, const BenchmarkOptions& o,
                                          const std::vector<std::string>& labels) {
  check_runs("compare_models", o);
  if (!labels.empty() && labels.size() != models.size())
    throw Error(ErrorKind::value, "compare_models", "a label for each of " + std::to_string(models.size()) + " models", std::to_string(labels.size()));
  std::vector<Bench> benches;
  std::vector<ComparedModel> results(models.size());
  benches.reserve(models.size());
  for (size_t k = 0; k < models.size(); ++k) {
    ComparedModel& r = results[k];
    Bench& b = benches.emplace_back("compare_models", *models[k], inputs, o.threads);
    r.threads = threads_of("compare_models", o.threads);
    r.warmup_runs = o.warmup_runs;
    r.label = labels.empty() ? "model_" + std::to_string(k) : labels[k];
    r.memory_bytes = b.session.weight_bytes() + b.session.arena_bytes();
    for (const Tensor& t : b.inputs) r.memory_bytes += t.spec().bytes();
    for (int i = 0; i < o.warmup_runs; ++i) b.run();
  }
  for (int i = 0; i < o.num_runs; ++i)
    for (size_t turn = 0; turn < benches.size(); ++turn) {
      size_t k = i % 2 ? benches.size() - 1 - turn : turn;
      results[k].latencies_ms.push_back(benches[k].timed_ms());
    }
  return results;
}

}  // namespace miniten::edge
