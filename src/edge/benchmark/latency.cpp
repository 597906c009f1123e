#include <chrono>
#include <cmath>
#include <thread>
#include "base/json.h"
#include "edge/benchmark/bench.h"
#include "edge/benchmark/json.h"
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
  if (!(o.period_ms >= 0) || std::isinf(o.period_ms)) throw Error(ErrorKind::value, who, "a period_ms of 0 or more", std::to_string(o.period_ms));
}

static std::vector<Spec> specs_for(const std::vector<Spec>& given, const std::vector<Tensor>& real) {
  std::vector<Spec> specs = given;
  if (!real.empty()) specs.clear();
  for (const Tensor& t : real) specs.push_back(t.spec());
  return specs;
}
Bench::Bench(const char* who, nn::Module& m, const std::vector<Spec>& given, int threads, const std::vector<Tensor>& real)
    : session(bound_graph(who, m, specs_for(given, real)), {.threads = threads_of(who, threads)}), inputs(real) {
  if (inputs.empty()) inputs = random_inputs(session.input_specs());
}

// ---- timing ----
void time_rounds(const std::vector<Workload>& workloads, const BenchmarkOptions& o, const std::vector<BenchmarkResult*>& results) {
  MachineWatch watch;
  for (size_t k = 0; k < workloads.size(); ++k) {
    BenchmarkResult& r = *results[k];
    r.warmup_runs = o.warmup_runs;
    r.period_ms = o.period_ms;
    for (auto* list : {&r.context_switches, &r.page_faults}) list->reserve(size_t(o.num_runs));
    r.latencies_ms.reserve(size_t(o.num_runs));
    for (int i = 0; i < o.warmup_runs; ++i) workloads[k]();
  }
  double due = now_ms();
  for (int i = 0; i < o.num_runs; ++i) {
    if (o.progress) o.progress(double(i) / double(o.num_runs));
    for (size_t turn = 0; turn < workloads.size(); ++turn) {
      size_t k = i % 2 ? workloads.size() - 1 - turn : turn;
      BenchmarkResult& r = *results[k];
      if (o.period_ms > 0 && (i || turn)) {
        due += o.period_ms;
        double left = due - now_ms();
        if (left > 0) std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(left));
        else { ++r.late; due = now_ms(); }
      }
      auto before = events_now();
      double start = now_ms();
      workloads[k]();
      r.latencies_ms.push_back(now_ms() - start);
      auto after = events_now();
      if (!before || !after) continue;
      r.context_switches.push_back(after->context_switches - before->context_switches);
      r.page_faults.push_back(after->page_faults - before->page_faults);
    }
  }
  Machine machine = watch.end();
  if (o.progress) o.progress(1);
  for (BenchmarkResult* r : results) r->machine = machine;
}

double median_ms(const Workload& run) {
  std::vector<double> ms;
  double total = 0;
  for (int i = 0; i < 3; ++i) run();
  while (ms.size() < 15 || (total < 30 && ms.size() < 400)) {
    double start = now_ms();
    run();
    ms.push_back(now_ms() - start);
    total += ms.back();
  }
  return median_of(std::move(ms));
}

BenchmarkResult benchmark_model(const Workload& run, const BenchmarkOptions& o) {
  check_runs("benchmark_model", o);
  BenchmarkResult r;
  r.threads = threads_of("benchmark_model", o.threads);
  time_rounds({run}, o, {&r});
  return r;
}
BenchmarkResult benchmark_model(nn::Module& m, const std::vector<Spec>& inputs, const BenchmarkOptions& o) {
  check_runs("benchmark_model", o);
  return benchmark_model(workload(m, inputs, o), o);
}
Workload workload(nn::Module& m, const std::vector<Spec>& inputs, const BenchmarkOptions& o, const char* who) {
  return [b = std::make_shared<Bench>(who, m, inputs, o.threads, o.inputs)] { b->run(); };
}
Workload workload(Session& session, const std::vector<Tensor>& given) {
  return [&session, inputs = given.empty() ? random_inputs(session.input_specs()) : given] { session.run_into(inputs); };
}

// ---- results ----
std::string BenchmarkResult::to_text() const {
  char s[320];
  Interval i = median_interval();
  std::snprintf(s, sizeof s, "latency %.4f ms median (95 %% interval %.4f to %.4f), %.4f mean, %.4f std, %.4f p95, %.4f p99, %.4f p99.9; %.1f inferences/s; %zu runs after %d, %d thread%s",
                percentile(50), i.low, i.high, mean(), stddev(), percentile(95), percentile(99), percentile(99.9), throughput(), latencies_ms.size(), warmup_runs, threads, threads == 1 ? "" : "s");
  std::string text = s;
  if (period_ms > 0) {
    std::snprintf(s, sizeof s, "\none inference every %.4g ms: busy %.1f %% of the time, %lld late", period_ms, 100 * mean() / period_ms, (long long)late);
    text += s;
  }
  if (Outliers o = outliers(); !o.runs.empty()) {
    std::snprintf(s, sizeof s, "\n%zu outlier%s: %lld with context switches, %lld with page faults, %lld of unknown cause", o.runs.size(), o.runs.size() == 1 ? "" : "s",
                  (long long)o.context_switches, (long long)o.page_faults, (long long)o.unknown);
    text += s;
  }
  text += "\n" + (machine.cpu.empty() ? "unknown CPU" : machine.cpu) + ", " + machine.isa + ", " + std::to_string(machine.cores) + " core" + (machine.cores == 1 ? "" : "s");
  if (machine.start_mhz > 0) {
    std::snprintf(s, sizeof s, ", %.0f MHz at the start, %.0f at the end", machine.start_mhz, machine.end_mhz);
    text += s;
  }
  return text + (machine.throttled.value_or(false) ? ", throttled meanwhile" : "");
}
nlohmann::ordered_json json_of(const BenchmarkResult& r) {
  using json = nlohmann::ordered_json;
  auto pair = [](Interval i) { return json::array({i.low, i.high}); };
  Outliers o = r.outliers();
  const Machine& m = r.machine;
  auto told = [](double mhz) { return mhz > 0 ? json(mhz) : json(); };
  json j{{"mean_latency_ms", r.mean()}, {"std_latency_ms", r.stddev()}, {"min_latency_ms", r.min()}, {"max_latency_ms", r.max()},
         {"median_latency_ms", r.percentile(50)}, {"p95_latency_ms", r.percentile(95)}, {"p99_latency_ms", r.percentile(99)},
         {"p999_latency_ms", r.percentile(99.9)}, {"throughput_fps", r.throughput()}, {"num_runs", r.latencies_ms.size()},
         {"warmup_runs", r.warmup_runs}, {"threads", r.threads},
         {"mean_interval_ms", pair(r.mean_interval())}, {"median_interval_ms", pair(r.median_interval())}, {"interval_level", 0.95},
         {"outliers", o.runs.size()}, {"outlier_runs", o.runs},
         {"outlier_causes", {{"context_switches", o.context_switches}, {"page_faults", o.page_faults}, {"unknown", o.unknown}}},
         {"machine", {{"cpu", m.cpu}, {"isa", m.isa}, {"cores", m.cores}, {"start_mhz", told(m.start_mhz)}, {"end_mhz", told(m.end_mhz)},
                      {"throttled", m.throttled ? json(*m.throttled) : json()}}}};
  if (r.period_ms > 0) {
    j["period_ms"] = r.period_ms;
    j["late_runs"] = r.late;
    j["duty_cycle"] = r.mean() / r.period_ms;
  }
  j["latencies_ms"] = r.latencies_ms;
  return j;
}
std::string BenchmarkResult::to_json() const { return json_of(*this).dump(); }

LatencyTest latency_test(const BenchmarkResult& r, double target_latency_ms, double percentile) {
  if (!(target_latency_ms > 0)) throw Error(ErrorKind::value, "latency_test", "a target above 0 ms", std::to_string(target_latency_ms));
  if (!(percentile >= 0 && percentile <= 100)) throw Error(ErrorKind::value, "latency_test", "a percentile in [0, 100]", std::to_string(percentile));
  return {r.percentile(percentile), target_latency_ms, percentile};
}
LatencyTest latency_test(nn::Module& m, const std::vector<Spec>& inputs, double target_latency_ms, double percentile, const BenchmarkOptions& o) {
  BenchmarkResult nothing;
  nothing.latencies_ms = {0};
  latency_test(nothing, target_latency_ms, percentile);                // refuses before it measures
  return latency_test(benchmark_model(m, inputs, o), target_latency_ms, percentile);
}
std::string LatencyTest::to_json() const {
  return nlohmann::ordered_json{{"passes", passes()}, {"actual_latency_ms", actual_ms}, {"target_latency_ms", target_ms}, {"margin_ms", margin_ms()},
                                {"percentile", percentile}}.dump();
}

static void check_seconds(const char* who, double seconds) {
  if (!(seconds > 0) || std::isinf(seconds)) throw Error(ErrorKind::value, who, "a duration above 0 s", std::to_string(seconds));
}
ThroughputResult throughput_test(const Workload& run, double seconds) {
  check_seconds("throughput_test", seconds);
  for (int i = 0; i < 2; ++i) run();
  ThroughputResult r;
  r.threads = get_num_threads();
  double start = now_ms();
  do {
    run();
    ++r.inferences;
    r.seconds = (now_ms() - start) / 1000;
  } while (r.seconds < seconds);
  return r;
}
ThroughputResult throughput_test(nn::Module& m, const std::vector<Spec>& inputs, double seconds, const BenchmarkOptions& o) {
  check_seconds("throughput_test", seconds);
  Bench b("throughput_test", m, inputs, o.threads, o.inputs);
  ThroughputResult r = throughput_test([&] { b.run(); }, seconds);
  r.threads = threads_of("throughput_test", o.threads);
  if (!b.inputs.empty() && b.inputs[0].rank() > 0) r.batch = b.inputs[0].dim(0);
  return r;
}
std::string ThroughputResult::to_json() const {
  return nlohmann::ordered_json{{"total_inferences", inferences}, {"duration_seconds", seconds}, {"throughput_fps", throughput()},
                                {"latency_ms", 1000 / throughput()}, {"batch", batch}, {"samples_per_second", samples_per_second()}, {"threads", threads}}.dump();
}

}  // namespace miniten::edge
