#include "base/json.h"
#include "edge/utils/predict.h"
#include <array>
#include <cmath>
#include "edge/models.h"

namespace miniten::edge {

StepWork work_of(std::string_view op, const Cost& cost, std::span<const Spec> in, std::span<const Spec> out) {
  StepWork w;
  w.op = op;
  w.cost = cost;
  for (const Spec& s : in) {
    w.bytes += s.bytes();
    w.integers |= s.dtype == DType::i8 || s.dtype == DType::u8;
  }
  for (const Spec& s : out) {
    w.bytes += s.bytes();
    w.outputs += size_t(s.shape.count());
    w.channels = size_t(std::max<Dim>(1, s.shape.rank == 0 ? 1 : s.shape.rank < 4 ? s.shape[s.shape.rank - 1] : s.shape[1]));
  }
  return w;
}
// Direct forms are packed as they are, padded at most; Winograd's have 16 or 36 values for 9.
static bool is_transformed(const Graph& g, const Node& n) {
  if (!n.op->prepare || n.in.size() < 2 || !g.is_constant(n.in[1])) return false;
  std::vector<View> constants;
  for (int id : n.in) constants.push_back(g.is_constant(id) ? g.values[size_t(id)].constant.view() : View{});
  auto in = g.specs(n.in), out = g.specs(n.out);
  uint64_t packed = n.op->prepare({.op = *n.op, .attrs = n.attributes(), .in = in, .out = out, .exact = false}, constants, nullptr);
  const Spec& weight = in[1];
  return weight.dtype == DType::f32 && weight.shape.rank == 4 && weight.shape[2] == 3 && weight.shape[3] == 3 && weight.shape[0] % 16 == 0 && double(packed) > 1.5 * double(weight.bytes());
}
std::vector<StepWork> steps_of(const Session& s) {
  std::vector<StepWork> steps;
  const Graph& g = s.graph();
  double footprint = double(s.weight_bytes() + s.arena_bytes());
  for (int n : s.plan().steps) {
    const Node& node = g.nodes[size_t(n)];
    steps.push_back(work_of(node.op->name, cost_of(g, node), g.specs(node.in), g.specs(node.out)));
    steps.back().transformed = is_transformed(g, node);
    steps.back().footprint = footprint;
  }
  return steps;
}

std::string kind_of(const StepWork& w) { return w.op + (w.transformed ? "+" : "") + (w.integers ? " int8" : ""); }
MeasuredStep measured_step(const Device& d, const StepWork& w) {
  MeasuredStep m{double(w.outputs), double(w.cost.macs) / double(std::max<size_t>(1, w.outputs)), double(w.channels), w.footprint, 1};
  double roof = roofline_seconds(d, w.cost, w.bytes, w.integers);
  if (w.seconds > 0 && roof > 0) m.slowdown = std::max(w.seconds - d.step_seconds, 0.1 * w.seconds) / roof;
  return m;
}

double roofline_seconds(const Device& d, const Cost& cost, size_t bytes, bool integers) {
  double rate = d.macs_per_second.at(integers ? "int8" : "float32");
  double work = (double(cost.macs) + double(cost.flops) / 2) / rate;
  bool cached = d.cache_bytes_per_second > 0 && double(bytes) <= d.cache_bytes;
  double bandwidth = cached ? d.cache_bytes_per_second : d.bytes_per_second;
  return bandwidth > 0 ? std::max(work, double(bytes) / bandwidth) : work;
}

// Nadaraya's and Watson's kernel regression of log(slowdown) on logarithms of sizes. It never leaves the range of what was
// measured; the nearest step always counts.
static double slowdown_of(const Device& d, const StepWork& w) {
  constexpr double octaves = 0.7;                                     // the kernel's standard deviation
  double cache = std::max(1.0, d.cache_bytes);
  auto place = [&](const MeasuredStep& m) {
    return std::array{std::log2(1 + m.outputs), std::log2(std::max(1.0, m.products)), std::log2(1 + m.channels), std::clamp(std::log2(std::max(1.0, m.footprint) / cache), -1.0, 1.0)};
  };
  auto here = place(measured_step(d, w));
  std::vector<std::pair<double, double>> seen;                        // squared distance, log of the slowdown
  double nearest = HUGE_VAL;
  auto look = [&](const std::vector<MeasuredStep>& steps) {
    for (const MeasuredStep& m : steps) {
      auto there = place(m);
      double distance = 0;
      for (size_t i = 0; i < here.size(); ++i) distance += (here[i] - there[i]) * (here[i] - there[i]);
      seen.emplace_back(distance, std::log(m.slowdown));
      nearest = std::min(nearest, distance);
    }
  };
  std::string kind = kind_of(w);
  if (auto own = d.steps.find(kind); own != d.steps.end()) look(own->second);
  else if (auto one = d.slowdown.find(kind); one != d.slowdown.end()) return one->second;
  else for (auto& [other, steps] : d.steps) look(steps);              // an op that the probe does not know
  if (seen.empty()) {
    auto all = d.slowdown.find("*");
    return all == d.slowdown.end() ? 1 : all->second;
  }
  double weights = 0, sum = 0;
  for (auto [distance, log] : seen) {
    double weight = std::exp((nearest - distance) / (2 * octaves * octaves));
    weights += weight;
    sum += weight * log;
  }
  return std::exp(sum / weights);
}
double predicted_seconds(const Device& d, const StepWork& w) {
  return d.step_seconds + roofline_seconds(d, w.cost, w.bytes, w.integers) * slowdown_of(d, w);
}
double predicted_seconds(const Device& d, const std::vector<StepWork>& steps) {
  double s = 0;
  for (const StepWork& w : steps) s += predicted_seconds(d, w);
  return s;
}

LatencyEstimate estimate_latency(nn::Module& m, const std::vector<Spec>& inputs, const Device& d) {
  Graph g = bound_graph("estimate_latency", m, inputs);
  if (!g.is_static())
    throw Error(ErrorKind::unsupported, "estimate_latency", "a graph whose sizes are known", "one with sizes known at run time", "measure it with benchmark_model");
  return {d.name, predicted_seconds(d, steps_of(Session(g, {.threads = 1}))) * 1000, d.error, d.measured};
}
std::string LatencyEstimate::to_json() const {
  return nlohmann::ordered_json{{"device", device}, {"latency_ms", latency_ms}, {"error", error}, {"measured_device", measured}, {"estimate", true}}.dump();
}

BatteryLife battery_life(nn::Module& m, const std::vector<Spec>& inputs, const Device& d, const BatteryOptions& o) {
  auto above = [](const char* what, double v) {
    if (!(v > 0) || std::isinf(v)) throw Error(ErrorKind::value, "battery_life", std::string(what) + " above 0", std::to_string(v));
  };
  above("capacity_mah", o.capacity_mah);
  above("voltage", o.voltage);
  above("inferences_per_hour", o.inferences_per_hour);
  if (!(o.sleep_watts >= 0) || !(o.watts >= 0) || std::isinf(o.sleep_watts) || std::isinf(o.watts))
    throw Error(ErrorKind::value, "battery_life", "watts and sleep_watts of 0 or more", std::to_string(o.watts) + " and " + std::to_string(o.sleep_watts));
  double watts = o.watts > 0 ? o.watts : d.watts;
  if (!(watts > 0)) throw Error(ErrorKind::value, "battery_life", "the watts that the device draws while it computes", "none known for " + d.name, "pass watts=");
  LatencyEstimate e = estimate_latency(m, inputs, d);
  double busy = e.latency_ms / 1000 * o.inferences_per_hour;                   // seconds of each hour
  if (busy > 3600)
    throw Error(ErrorKind::value, "battery_life", "inferences that an hour has time for", std::to_string(o.inferences_per_hour) + " of " + std::to_string(e.latency_ms) + " ms", "lower inferences_per_hour");
  double joules_an_hour = busy * watts + (3600 - busy) * o.sleep_watts;
  return {d.name, o.capacity_mah / 1000 * o.voltage * 3600 / joules_an_hour, e.latency_ms, e.latency_ms * watts, busy / 3600, e.error};
}
std::string BatteryLife::to_json() const {
  return nlohmann::ordered_json{{"device", device}, {"hours", std::isfinite(hours) ? nlohmann::ordered_json(hours) : nlohmann::ordered_json()}, {"latency_ms", latency_ms},
                                {"energy_per_inference_mj", energy_per_inference_mj}, {"duty_cycle", duty_cycle}, {"error", error}, {"estimate", true}}.dump();
}

}  // namespace miniten::edge
