#include <cmath>
#include "base/json.h"
#include "edge/benchmark/bench.h"

namespace miniten::edge {

namespace {

constexpr size_t stretches = 100, kept = 512;              // latencies kept of each stretch

double slope(const std::vector<SoakSample>& samples) {
  size_t first = samples.size() / 10;
  double n = double(samples.size() - first), x = 0, y = 0, xx = 0, xy = 0;
  if (n < 2) return 0;
  for (size_t i = first; i < samples.size(); ++i) {
    x += samples[i].seconds / n;
    y += double(samples[i].resident_bytes) / n;
  }
  for (size_t i = first; i < samples.size(); ++i) {
    double d = samples[i].seconds - x;
    xx += d * d;
    xy += d * (double(samples[i].resident_bytes) - y);
  }
  return xx > 0 ? xy / xx : 0;
}
double median_latency(const std::vector<SoakSample>& s, size_t from, size_t to) {
  std::vector<double> v;
  for (size_t i = from; i < to; ++i) v.push_back(s[i].latency_ms);
  return median_of(v);
}

}  // namespace

SoakResult soak_test(const Workload& run, double seconds, const std::function<void(double)>& progress) {
  if (!(seconds > 0) || std::isinf(seconds)) throw Error(ErrorKind::value, "soak_test", "a duration above 0 s", std::to_string(seconds));
  for (int i = 0; i < 2; ++i) run();
  SoakResult r;
  r.start_celsius = celsius_now();
  r.samples.reserve(stretches + 1);                        // everything is there before: the watching takes no memory
  std::vector<double> latencies(kept, 0.0), scratch;
  scratch.reserve(kept);
  resident_bytes("soak_test");
  double start = now_ms();
  while (r.seconds < seconds) {
    double until = seconds * double(r.samples.size() + 1) / double(stretches);
    int64_t n = 0;
    do {
      double t = now_ms();
      run();
      double end = now_ms();
      latencies[size_t(n++) % kept] = end - t;
      r.seconds = (end - start) / 1000;
    } while (r.seconds < until);
    r.inferences += n;
    scratch.assign(latencies.begin(), latencies.begin() + ptrdiff_t(std::min<int64_t>(n, int64_t(kept))));
    std::sort(scratch.begin(), scratch.end());
    r.samples.push_back({r.seconds, scratch[scratch.size() / 2], resident_bytes("soak_test"), n});
    if (progress) progress(r.seconds / seconds);
    if (r.samples.size() == stretches) break;
  }
  if (progress) progress(1);
  r.end_celsius = celsius_now();
  r.memory_slope = slope(r.samples);
  size_t quarter = std::max<size_t>(1, r.samples.size() / 4);
  double first = median_latency(r.samples, 0, quarter), last = median_latency(r.samples, r.samples.size() - quarter, r.samples.size());
  r.latency_drift = first > 0 ? last / first - 1 : 0;
  size_t slow = r.samples.size();
  while (slow > 0 && r.samples[slow - 1].latency_ms > 1.1 * first) --slow;
  if (slow < r.samples.size() && r.samples.size() - slow >= quarter) r.slow_from = slow ? r.samples[slow - 1].seconds : 0;
  return r;
}
SoakResult soak_test(nn::Module& m, const std::vector<Spec>& inputs, double seconds, const BenchmarkOptions& o) {
  if (!(seconds > 0) || std::isinf(seconds)) throw Error(ErrorKind::value, "soak_test", "a duration above 0 s", std::to_string(seconds));
  Bench b("soak_test", m, inputs, o.threads, o.inputs);
  return soak_test([&] { b.run(); }, seconds, o.progress);
}

std::string SoakResult::to_text() const {
  char s[256];
  std::snprintf(s, sizeof s, "%lld inferences in %.1f s; memory grows by %.1f KB a minute; latency drifts by %.1f %%", (long long)inferences, seconds, memory_slope * 60 / 1024,
                100 * latency_drift);
  std::string text = s;
  if (slow_from) {
    std::snprintf(s, sizeof s, "; slower by more than 10 %% from second %.1f on", *slow_from);
    text += s;
  }
  if (start_celsius && end_celsius) {
    std::snprintf(s, sizeof s, "; %.1f degrees at the start, %.1f at the end", *start_celsius, *end_celsius);
    text += s;
  }
  return text + "\n";
}
std::string SoakResult::to_json() const {
  using json = nlohmann::ordered_json;
  auto maybe = [](const std::optional<double>& v) { return v ? json(*v) : json(); };
  json j{{"total_inferences", inferences}, {"duration_seconds", seconds}, {"memory_slope_bytes_per_second", memory_slope}, {"latency_drift", latency_drift},
         {"slow_from_seconds", maybe(slow_from)}, {"start_celsius", maybe(start_celsius)}, {"end_celsius", maybe(end_celsius)}, {"samples", json::array()}};
  for (const SoakSample& x : samples)
    j["samples"].push_back({{"seconds", x.seconds}, {"latency_ms", x.latency_ms}, {"resident_bytes", x.resident_bytes}, {"inferences", x.inferences}});
  return j.dump();
}

}  // namespace miniten::edge
