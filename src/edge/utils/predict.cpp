#include "edge/utils/predict.h"
#include <cmath>
#include <nlohmann/json.hpp>
#include "edge/models.h"

namespace miniten::edge {

StepWork work_of(std::string_view op, const Cost& cost, std::span<const Spec> in, std::span<const Spec> out) {
  StepWork w{std::string(op), cost, 0, 0, false, false, 0};
  for (const Spec& s : in) {
    w.bytes += s.bytes();
    w.integers |= s.dtype == DType::i8 || s.dtype == DType::u8;
  }
  for (const Spec& s : out) {
    w.bytes += s.bytes();
    w.outputs += size_t(s.shape.count());
  }
  return w;
}
// Direct forms are packed as they are, padded at most; Winograd's have 16 or 36 values for 9.
static bool is_transformed(const Graph& g, const Node& n) {
  if (!n.op->prepare || n.in.size() < 2 || !g.is_constant(n.in[1])) return false;
  std::vector<View> constants;
  for (int id : n.in) constants.push_back(g.is_constant(id) ? g.values[size_t(id)].constant.view() : View{});
  auto in = g.specs(n.in), out = g.specs(n.out);
  size_t packed = n.op->prepare({.op = *n.op, .attrs = n.attributes(), .in = in, .out = out, .exact = false}, constants, nullptr);
  const Spec& weight = in[1];
  return weight.dtype == DType::f32 && weight.shape.rank == 4 && weight.shape[2] == 3 && weight.shape[3] == 3 && weight.shape[0] % 16 == 0 && double(packed) > 1.5 * double(weight.bytes());
}
std::vector<StepWork> steps_of(const Session& s) {
  std::vector<StepWork> steps;
  const Graph& g = s.graph();
  for (int n : s.plan().steps) {
    const Node& node = g.nodes[size_t(n)];
    steps.push_back(work_of(node.op->name, cost_of(g, node), g.specs(node.in), g.specs(node.out)));
    steps.back().transformed = is_transformed(g, node);
  }
  return steps;
}

std::string kind_of(const StepWork& w) {
  int bucket = 0;
  for (double products = double(w.cost.macs) / double(std::max<size_t>(1, w.outputs)); products >= 1 && bucket < 6; products /= 4) ++bucket;
  return w.op + (w.transformed ? "+/" : "/") + std::to_string(bucket);
}

double roofline_seconds(const Device& d, const Cost& cost, size_t bytes, bool integers) {
  double rate = d.macs_per_second.at(integers ? "int8" : "float32");
  double work = (double(cost.macs) + double(cost.flops) / 2) / rate;
  bool cached = d.cache_bytes_per_second > 0 && double(bytes) <= d.cache_bytes;
  double bandwidth = cached ? d.cache_bytes_per_second : d.bytes_per_second;
  return bandwidth > 0 ? std::max(work, double(bytes) / bandwidth) : work;
}

double predicted_seconds(const Device& d, const StepWork& w) {
  auto factor = d.slowdown.find(kind_of(w));
  if (factor == d.slowdown.end()) factor = d.slowdown.find(w.op + (w.transformed ? "+" : ""));
  if (factor == d.slowdown.end()) factor = d.slowdown.find(w.op);
  if (factor == d.slowdown.end()) factor = d.slowdown.find("*");
  return d.step_seconds + roofline_seconds(d, w.cost, w.bytes, w.integers) * (factor == d.slowdown.end() ? 1 : factor->second);
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
