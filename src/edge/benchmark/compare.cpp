#include <cmath>
#include "edge/benchmark/bench.h"
#include "edge/benchmark/json.h"

namespace miniten::edge {

namespace {

constexpr double least_difference = 0.01, level = 0.99;
constexpr size_t least_pairs = 10;

// Of two rounds, in which each ran once first and once last, what order does cancels.
std::vector<double> paired_log_ratios(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> ratios;
  auto one = [&](size_t i) { return std::log(b[i] / a[i]); };
  for (size_t i = 0; i + 1 < a.size(); i += 2) ratios.push_back((one(i) + one(i + 1)) / 2);
  if (ratios.empty() && !a.empty()) ratios.push_back(one(0));
  std::erase_if(ratios, [](double r) { return !std::isfinite(r); });             // below the clock's step
  return ratios;
}

void judge(const BenchmarkResult& reference, ComparedModel& c) {
  std::vector<double> ratios = paired_log_ratios(reference.latencies_ms, c.latencies_ms);
  if (ratios.empty()) {
    c.verdict = "too few runs";
    return;
  }
  Interval i = bootstrap(ratios, Statistic::median, level);
  c.ratio = std::exp(median_of(ratios));
  c.ratio_interval = {std::exp(i.low), std::exp(i.high)};
  bool differs = std::abs(c.ratio - 1) >= least_difference && (c.ratio_interval.low > 1 || c.ratio_interval.high < 1);
  c.verdict = ratios.size() < least_pairs ? "too few runs" : !differs ? "no difference" : c.ratio < 1 ? "faster" : "slower";
}

std::vector<ComparedModel> compare(const std::vector<Workload>& workloads, const BenchmarkOptions& o, const std::vector<std::string>& labels) {
  std::vector<ComparedModel> results(workloads.size());
  std::vector<BenchmarkResult*> into;
  for (size_t k = 0; k < results.size(); ++k) {
    results[k].label = labels.empty() ? "model_" + std::to_string(k) : labels[k];
    results[k].threads = threads_of("compare_models", o.threads);
    into.push_back(&results[k]);
  }
  time_rounds(workloads, o, into);
  for (size_t k = 0; k < results.size(); ++k) {
    if (k) judge(results[0], results[k]);
    else results[k].verdict = "reference";
  }
  return results;
}
void check_labels(size_t models, const std::vector<std::string>& labels) {
  if (!labels.empty() && labels.size() != models)
    throw Error(ErrorKind::value, "compare_models", "a label for each of " + std::to_string(models) + " models", std::to_string(labels.size()));
}

}  // namespace

std::string ComparedModel::verdict_text() const {
  if (verdict == "reference" || verdict == "too few runs") return verdict;
  auto percent = [&](double r) { return 100 * (verdict == "faster" ? 1 - r : r - 1); };
  double a = percent(ratio_interval.low), b = percent(ratio_interval.high);
  char s[128];
  if (verdict == "no difference") std::snprintf(s, sizeof s, "no difference (%.1f to %.1f %%)", a, b);
  else std::snprintf(s, sizeof s, "%s by %.1f %% (%.1f to %.1f)", verdict.c_str(), percent(ratio), std::min(a, b), std::max(a, b));
  return s;
}
std::string ComparedModel::to_json() const {
  nlohmann::ordered_json j{{"label", label}, {"latency_ms", percentile(50)}, {"throughput_fps", throughput()}, {"peak_memory_mb", double(memory_bytes) / 1048576},
                           {"ratio", ratio}, {"ratio_interval", {ratio_interval.low, ratio_interval.high}}, {"verdict", verdict}, {"verdict_text", verdict_text()}};
  j.update(json_of(*this));
  return j.dump();
}

std::vector<ComparedModel> compare_models(const std::vector<Workload>& workloads, const BenchmarkOptions& o, const std::vector<std::string>& labels) {
  check_runs("compare_models", o);
  check_labels(workloads.size(), labels);
  return compare(workloads, o, labels);
}

std::vector<ComparedModel> compare_models(const std::vector<nn::Module*>& models, const std::vector<Spec>& inputs, const BenchmarkOptions& o,
                                          const std::vector<std::string>& labels) {
  check_runs("compare_models", o);
  check_labels(models.size(), labels);
  std::vector<std::unique_ptr<Bench>> benches;
  std::vector<Bench*> of;
  std::vector<Workload> workloads;
  for (size_t k = 0; k < models.size(); ++k) {
    size_t same = size_t(std::find(models.begin(), models.begin() + ptrdiff_t(k), models[k]) - models.begin());
    if (same == k) benches.push_back(std::make_unique<Bench>("compare_models", *models[k], inputs, o.threads, o.inputs));
    of.push_back(same == k ? benches.back().get() : of[same]);
    workloads.push_back([b = of.back()] { b->run(); });
  }
  std::vector<ComparedModel> results = compare(workloads, o, labels);
  for (size_t k = 0; k < results.size(); ++k) {
    results[k].memory_bytes = of[k]->session.weight_bytes() + of[k]->session.arena_bytes();
    for (const Tensor& t : of[k]->inputs) results[k].memory_bytes += t.spec().bytes();
  }
  return results;
}

}  // namespace miniten::edge
