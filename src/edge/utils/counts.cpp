#include <cmath>
#include <limits>
#include <set>
#include "base/json.h"
#include "edge/models.h"
#include "edge/utils/training.h"
#include "miniten/edge/utils.h"

namespace miniten::edge {

ParameterCount count_parameters(nn::Module& m) {
  ParameterCount c;
  auto add = [&](const Tensor& t, bool trainable, const Quantized* q) {
    c.total += t.numel();
    c.trainable += trainable ? t.numel() : 0;
    c.nonzero += t.numel() - zeros_of(t, q);
  };
  auto* g = dynamic_cast<nn::GraphModule*>(&m);
  if (!g) {
    for (const Tensor& p : m.parameters()) add(p, p.requires_grad(), nullptr);
  } else if (g->has_graph()) {
    std::map<int, std::shared_ptr<const Quantized>> quantized;
    for (const Weight& w : weights_of(g->graph())) quantized[w.value] = w.quantized;
    for (int id : parameters_of(g->graph())) {
      const Tensor& t = g->graph().values[size_t(id)].constant;
      add(t, t.requires_grad(), quantized[id].get());
    }
  } else {                                                   // it waits: its weights are a snapshot of its source's
    while (auto* inner = dynamic_cast<nn::GraphModule*>(g->source().get())) {
      if (inner->has_graph()) return count_parameters(*inner);
      g = inner;
    }
    std::map<std::string, bool> trainable;
    for (auto& [name, t] : g->source()->named_parameters()) trainable[name] = t.requires_grad();
    for (auto& [name, t] : g->snapshot()) if (trainable.count(name)) add(t, trainable[name], nullptr);
  }
  c.non_trainable = c.total - c.trainable;
  return c;
}
std::string ParameterCount::to_json() const {
  return nlohmann::ordered_json{{"total_parameters", total}, {"trainable_parameters", trainable}, {"non_trainable_parameters", non_trainable},
                                {"nonzero_parameters", nonzero}}.dump();
}

// MACs by weights that are not zero: each element of a weight is multiplied as often as every other.
static std::map<std::string, int64_t> effective_macs(const Graph& g) {
  std::map<int, std::pair<int64_t, int64_t>> filled;                  // by value: elements, those not zero
  for (const Weight& w : weights_of(g)) {
    const Tensor& t = g.values[size_t(w.value)].constant;
    filled[w.value] = {t.numel(), t.numel() - zeros_of(t, w.quantized.get())};
  }
  std::map<std::string, int64_t> macs;
  int unnamed = 0;
  for (const Node& n : g.nodes) {
    int64_t all = 0, kept = 0;
    for (size_t i = 0; i < n.in.size(); ++i)
      if (auto w = i < 32 && (n.op->traits.weights >> i & 1) ? filled.find(source_constant(g, n.in[i])) : filled.end(); w != filled.end()) {
        all += w->second.first;
        kept += w->second.second;
      }
    int64_t own = cost_of(g, n).macs;
    macs[n.name.empty() ? "\n" + std::to_string(unnamed++) : n.name] += all ? int64_t(std::llround(double(own) * double(kept) / double(all))) : own;
  }
  return macs;
}

FlopCount count_flops(nn::Module& m, const std::vector<Spec>& inputs, const FlopOptions& o) {
  FlopCount f;
  Graph g = bound_graph("count_flops", m, inputs);
  std::map<std::string, int64_t> effective;
  if (o.effective) {
    effective = effective_macs(g);
    f.effective_macs = 0;
    for (auto& [name, macs] : effective) *f.effective_macs += macs;
  }
  int unnamed = 0;
  for (const LayerWork& l : layers_of(g)) {
    f.macs += l.cost.macs;
    f.elementwise_flops += l.cost.flops;
    int64_t kept = o.effective ? effective[l.name.empty() ? "\n" + std::to_string(unnamed++) : l.name] : 0;
    if (l.cost.macs || l.cost.flops) f.by_layer.push_back({l.name, l.op, l.cost.macs, 2 * l.cost.macs + l.cost.flops, kept});
  }
  if (o.backward) {
    Cost c = backward_cost(m, inputs);
    f.backward_macs = c.macs;
    f.backward_elementwise_flops = c.flops;
  }
  return f;
}
std::string FlopCount::to_json() const {
  nlohmann::ordered_json j{{"total_flops", total()}, {"total_mflops", double(total()) / 1e6}, {"total_gflops", double(total()) / 1e9},
                           {"total_macs", macs}, {"elementwise_flops", elementwise_flops}};
  if (effective_macs) j["effective_macs"] = *effective_macs;
  if (backward_macs) {
    j["backward_macs"] = *backward_macs;
    j["backward_elementwise_flops"] = *backward_elementwise_flops;
    j["backward_flops"] = 2 * *backward_macs + *backward_elementwise_flops;
  }
  j["by_layer"] = nlohmann::ordered_json::array();
  for (const LayerFlops& l : by_layer) {
    j["by_layer"].push_back({{"layer", l.layer}, {"op", l.op}, {"macs", l.macs}, {"elementwise_flops", l.elementwise_flops()}, {"flops", l.flops}});
    if (effective_macs) j["by_layer"].back()["effective_macs"] = l.effective_macs;
  }
  return j.dump();
}

PowerEstimate estimate_power(nn::Module& m, const std::vector<Spec>& inputs, const std::string& device, double ops_per_watt) {
  static const std::map<std::string, double> defaults{{"cpu", 1e9}, {"gpu", 1e10}, {"edge_cpu", 5e9}, {"npu", 2e10}, {"dsp", 1.5e10}};
  auto d = defaults.find(device);
  if (d == defaults.end()) throw Error(ErrorKind::value, "estimate_power", "device cpu, gpu, edge_cpu, npu or dsp, or the name of a board", "\"" + device + "\"");
  if (!(ops_per_watt >= 0) || ops_per_watt == HUGE_VAL)
    throw Error(ErrorKind::value, "estimate_power", "ops_per_watt above 0", std::to_string(ops_per_watt), "leave it out for the device's default");
  PowerEstimate p{count_flops(m, inputs).total(), device, ops_per_watt > 0 ? ops_per_watt : d->second, 0, 0};
  p.energy_j = double(p.flops) / p.ops_per_watt;
  p.inferences_per_joule = p.flops ? 1 / p.energy_j : std::numeric_limits<double>::infinity();
  return p;
}
PowerEstimate estimate_power(nn::Module& m, const std::vector<Spec>& inputs, const Device& d, double watts) {
  if (!(watts >= 0) || std::isinf(watts)) throw Error(ErrorKind::value, "estimate_power", "watts above 0", std::to_string(watts));
  if (!watts) watts = d.watts;
  if (!watts) throw Error(ErrorKind::value, "estimate_power", "the watts that the device draws while it computes", "none known for " + d.name, "pass watts=");
  LatencyEstimate l = estimate_latency(m, inputs, d);
  PowerEstimate p{count_flops(m, inputs).total(), d.name, 0, l.latency_ms / 1000 * watts, 0, l.latency_ms, watts, l.error};
  p.ops_per_watt = p.energy_j > 0 ? double(p.flops) / p.energy_j : 0;
  p.inferences_per_joule = p.energy_j > 0 ? 1 / p.energy_j : std::numeric_limits<double>::infinity();
  return p;
}
std::string PowerEstimate::to_json() const {
  nlohmann::ordered_json j{{"flops", flops}, {"device", device}, {"ops_per_watt", ops_per_watt}, {"energy_per_inference_j", energy_j},
                           {"energy_per_inference_mj", energy_j * 1000}, {"inferences_per_joule", inferences_per_joule}, {"estimate", true}};
  if (watts > 0) {
    j["latency_ms"] = latency_ms;
    j["watts"] = watts;
    j["error"] = error;
  }
  return j.dump();
}

}  // namespace miniten::edge
