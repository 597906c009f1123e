#include "miniten/edge/benchmark.h"
#include <unistd.h>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <numeric>
#include "miniten/base/parallel.h"
#include "miniten/base/random.h"
#include "miniten/nn/graph_module.h"

namespace miniten::edge {

namespace {
double now_ms() { return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// A compiled model and inputs for it: floats are standard normal, integers 0.
struct Bench {
  Session session;
  std::vector<Tensor> inputs;
};
std::vector<Spec> specs_of(const char* who, nn::Module& m, const std::vector<Spec>& given) {
  if (!given.empty()) return given;
  auto* g = dynamic_cast<nn::GraphModule*>(&m);
  std::vector<Spec> specs = g && g->has_graph() ? g->input_specs() : nn::specs_or_last(who, m, {});
  for (const Spec& s : specs)
    if (!s.shape.is_static()) throw Error(ErrorKind::value, who, "known sizes", s.text(), "pass input_shape");
  return specs;
}
Bench bench_of(const char* who, nn::Module& m, const std::vector<Spec>& given, int threads) {
  std::vector<Spec> specs = specs_of(who, m, given);
  Bench b{Session(bind_inputs(nn::graph_of(who, m, specs), specs), {.threads = threads}), {}};
  Generator random(1);
  for (const Spec& s : specs) {
    Tensor t = Tensor::zeros(s.shape, s.dtype);
    if (s.dtype == DType::f32) for (int64_t i = 0; i < t.numel(); ++i) t.view().f32()[i] = random.normal();
    b.inputs.push_back(t);
  }
  return b;
}
void check_runs(const char* who, const BenchmarkOptions& o) {
  if (o.num_runs < 1 || o.warmup_runs < 0)
    throw Error(ErrorKind::value, who, "num_runs of at least 1 and warmup_runs of at least 0", std::to_string(o.num_runs) + " and " + std::to_string(o.warmup_runs));
}
double timed(Bench& b) {
  double start = now_ms();
  b.session.run_into(b.inputs);
  return now_ms() - start;
}
size_t status_bytes(const char* key) {                    // a line of /proc/self/status, in kB there
  size_t kb = 0;
  if (FILE* f = std::fopen("/proc/self/status", "r")) {
    char line[256], format[32];
    std::snprintf(format, sizeof format, "%s: %%zu", key);
    while (std::fgets(line, sizeof line, f)) if (std::sscanf(line, format, &kb) == 1) break;
    std::fclose(f);
  }
  return kb * 1024;
}
}  // namespace

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
  std::vector<double> v = latencies_ms;
  std::sort(v.begin(), v.end());
  double at = p / 100 * double(v.size() - 1);
  auto low = size_t(at);
  return low + 1 < v.size() ? v[low] + (at - double(low)) * (v[low + 1] - v[low]) : v[low];
}
double BenchmarkResult::throughput() const { return 1000 / mean(); }
std::string BenchmarkResult::to_text() const {
  char s[256];
  std::snprintf(s, sizeof s, "latency %.4f ms median, %.4f mean, %.4f std, %.4f p95, %.4f p99; %.0f inferences/s; %zu runs, %d thread%s", percentile(50), mean(), stddev(),
                percentile(95), percentile(99), throughput(), latencies_ms.size(), threads, threads == 1 ? "" : "s");
  return s;
}

BenchmarkResult benchmark_model(nn::Module& m, const std::vector<Spec>& inputs, const BenchmarkOptions& o) {
  check_runs("benchmark_model", o);
  Bench b = bench_of("benchmark_model", m, inputs, o.threads);
  for (int i = 0; i < o.warmup_runs; ++i) b.session.run_into(b.inputs);
  BenchmarkResult r;
  r.threads = o.threads > 0 ? o.threads : get_num_threads();
  for (int i = 0; i < o.num_runs; ++i) r.latencies_ms.push_back(timed(b));
  return r;
}

ThroughputResult throughput_test(nn::Module& m, const std::vector<Spec>& inputs, double seconds, int threads) {
  if (!(seconds > 0)) throw Error(ErrorKind::value, "throughput_test", "a duration above 0 s", std::to_string(seconds));
  Bench b = bench_of("throughput_test", m, inputs, threads);
  b.session.run_into(b.inputs);
  ThroughputResult r;
  double start = now_ms();
  do {
    b.session.run_into(b.inputs);
    ++r.inferences;
    r.seconds = (now_ms() - start) / 1000;
  } while (r.seconds < seconds);
  return r;
}

MemoryResult memory_benchmark(nn::Module& m, const std::vector<Spec>& inputs) {
  if (FILE* f = std::fopen("/proc/self/clear_refs", "w")) {  // the peak begins anew
    std::fputs("5", f);
    std::fclose(f);
  }
  Bench b = bench_of("memory_benchmark", m, inputs, 1);
  b.session.run_into(b.inputs);
  return {status_bytes("VmRSS"), status_bytes("VmHWM"), b.session.arena_bytes(), b.session.weight_bytes()};
}

std::vector<BenchmarkResult> compare_models(const std::vector<nn::Module*>& models, const std::vector<Spec>& inputs, const BenchmarkOptions& o) {
  check_runs("compare_models", o);
  std::vector<Bench> benches;
  for (nn::Module* m : models) benches.push_back(bench_of("compare_models", *m, inputs, o.threads));
  std::vector<BenchmarkResult> results(models.size());
  for (auto& r : results) r.threads = o.threads > 0 ? o.threads : get_num_threads();
  for (Bench& b : benches) for (int i = 0; i < o.warmup_runs; ++i) b.session.run_into(b.inputs);
  for (int i = 0; i < o.num_runs; ++i)
    for (size_t k = 0; k < benches.size(); ++k) results[k].latencies_ms.push_back(timed(benches[k]));
  return results;
}

std::vector<LayerLatency> profile_by_layer(nn::Module& m, const std::vector<Spec>& inputs, int runs) {
  Bench b = bench_of("profile_by_layer", m, inputs, 1);
  std::vector<LayerLatency> rows;
  for (const StepProfile& s : b.session.profile(b.inputs, runs)) rows.push_back({s.name, s.op, s.in, s.out, s.nanoseconds / 1e6, s.cost});
  return rows;
}

}  // namespace miniten::edge
