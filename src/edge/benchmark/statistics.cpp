#include <cmath>
#include <numeric>
#include "edge/benchmark/bench.h"
#include "miniten/base/random.h"

// What a list of latencies tells.
namespace miniten::edge {

double median_of(std::vector<double> v) {
  size_t half = v.size() / 2;
  std::nth_element(v.begin(), v.begin() + ptrdiff_t(half), v.end());
  if (v.size() % 2) return v[half];
  return (*std::max_element(v.begin(), v.begin() + ptrdiff_t(half)) + v[half]) / 2;
}

static double quantile(const std::vector<double>& sorted, double q) {
  double at = q * double(sorted.size() - 1);
  size_t low = std::min(size_t(at), sorted.size() - 1), high = std::min(low + 1, sorted.size() - 1);
  double t = at - double(low), step = sorted[high] - sorted[low];
  return t < 0.5 ? sorted[low] + step * t : sorted[high] - step * (1 - t);       // NumPy's lerp: exact at both ends
}

// Efron's percentile bootstrap. Long lists are resampled less often: their intervals are narrow.
Interval bootstrap(std::span<const double> v, Statistic statistic, double level) {
  if (!(level > 0 && level < 1)) throw Error(ErrorKind::value, "interval", "a level in (0, 1)", std::to_string(level));
  if (v.empty()) throw Error(ErrorKind::value, "interval", "at least one latency", "none");
  size_t resamples = std::clamp<size_t>(20'000'000 / v.size(), 200, 1000);
  Generator random(1);
  std::vector<double> found(resamples), drawn(v.size());
  for (double& f : found) {
    for (double& d : drawn) d = v[random.below(v.size())];
    f = statistic == Statistic::median ? median_of(drawn) : std::accumulate(drawn.begin(), drawn.end(), 0.0) / double(drawn.size());
  }
  std::sort(found.begin(), found.end());
  return {quantile(found, (1 - level) / 2), quantile(found, (1 + level) / 2)};
}

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
  return quantile(v, p / 100);
}
double BenchmarkResult::throughput() const { return 1000 / mean(); }
Interval BenchmarkResult::mean_interval(double level) const { return bootstrap(latencies_ms, Statistic::mean, level); }
Interval BenchmarkResult::median_interval(double level) const { return bootstrap(latencies_ms, Statistic::median, level); }

Outliers BenchmarkResult::outliers() const {
  double low = percentile(25), high = percentile(75), fence = high + 1.5 * (high - low);
  bool told = context_switches.size() == latencies_ms.size() && page_faults.size() == latencies_ms.size();
  std::vector<double> usual_switches, usual_faults;
  Outliers o;
  for (size_t i = 0; i < latencies_ms.size(); ++i) {
    if (latencies_ms[i] > fence) { o.runs.push_back(i); continue; }
    if (!told) continue;
    usual_switches.push_back(double(context_switches[i]));
    usual_faults.push_back(double(page_faults[i]));
  }
  double switches = usual_switches.empty() ? 0 : median_of(usual_switches), faults = usual_faults.empty() ? 0 : median_of(usual_faults);
  for (size_t i : o.runs) {
    if (told && double(context_switches[i]) > switches) ++o.context_switches;
    else if (told && double(page_faults[i]) > faults) ++o.page_faults;
    else ++o.unknown;
  }
  return o;
}

}  // namespace miniten::edge
