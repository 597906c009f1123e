#include <array>
#include <cmath>
#include "edge/benchmark/bench.h"
#include "edge/benchmark/json.h"
#include "miniten/base/random.h"

namespace miniten::edge {

namespace {

constexpr double least_difference = 0.01, level = 0.99;
constexpr size_t least_rounds = 20;

// Logarithms of latency over the reference's, apart for the rounds in which each order ran. What the system holds up now and
// then spoils single rounds of either model; medians do not see it, and the mean of both orders' cancels what order does.
using LogRatios = std::array<std::vector<double>, 2>;
LogRatios log_ratios(const std::vector<double>& reference, const std::vector<double>& other) {
  LogRatios ratios;
  for (size_t i = 0; i < reference.size(); ++i)
    if (double r = std::log(other[i] / reference[i]); std::isfinite(r)) ratios[i % 2].push_back(r);     // else below the clock's step
  return ratios;
}
double middle(const LogRatios& r) {
  if (r[0].empty() || r[1].empty()) return median_of(r[0].empty() ? r[1] : r[0]);
  return (median_of(r[0]) + median_of(r[1])) / 2;
}
Interval interval(const LogRatios& r) {
  size_t resamples = std::clamp<size_t>(20'000'000 / std::max<size_t>(1, r[0].size() + r[1].size()), 200, 1000);
  Generator random(1);
  LogRatios drawn = r;
  std::vector<double> found;
  for (size_t k = 0; k < resamples; ++k) {
    for (int order = 0; order < 2; ++order)
      for (double& d : drawn[size_t(order)]) d = r[size_t(order)][random.below(r[size_t(order)].size())];
    found.push_back(middle(drawn));
  }
  std::sort(found.begin(), found.end());
  auto skipped = size_t((1 - level) / 2 * double(resamples));
  return {found[skipped], found[resamples - 1 - skipped]};
}

void judge(const BenchmarkResult& reference, ComparedModel& c) {
  LogRatios ratios = log_ratios(reference.latencies_ms, c.latencies_ms);
  if (ratios[0].empty() && ratios[1].empty()) {
    c.verdict = "too few runs";
    return;
  }
  Interval i = interval(ratios);
  c.ratio = std::exp(middle(ratios));
  c.ratio_interval = {std::exp(i.low), std::exp(i.high)};
  bool differs = std::abs(c.ratio - 1) >= least_difference && (c.ratio_interval.low > 1 || c.ratio_interval.high < 1);
  c.verdict = ratios[0].size() + ratios[1].size() < least_rounds ? "too few runs" : !differs ? "no difference" : c.ratio < 1 ? "faster" : "slower";
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
