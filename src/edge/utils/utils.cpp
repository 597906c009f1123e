#include "miniten/edge/utils.h"
#include <cmath>
#include <set>
#include "miniten/graph/passes.h"
#include "miniten/nn/graph_module.h"

namespace miniten::edge {

namespace {
Graph bound(const char* who, nn::Module& m, const std::vector<Spec>& inputs) {
  std::vector<Spec> specs = inputs;
  if (specs.empty()) {
    auto* g = dynamic_cast<nn::GraphModule*>(&m);
    specs = g && g->has_graph() ? g->input_specs() : nn::specs_or_last(who, m, {});
  }
  Graph g = nn::graph_of(who, m, specs);
  for (const Spec& s : specs)
    if (!s.shape.is_static()) throw Error(ErrorKind::value, who, "known sizes", s.text(), "pass input_shape");
  return bind_inputs(g, specs);
}
std::string with_commas(int64_t n) {
  std::string s = std::to_string(n);
  for (int i = int(s.size()) - 3; i > 0; i -= 3) s.insert(size_t(i), ",");
  return s;
}
}  // namespace

ParameterCount count_parameters(nn::Module& m) {
  ParameterCount c;
  if (auto* g = dynamic_cast<nn::GraphModule*>(&m)) {
    if (!g->has_graph()) {
      for (auto& [name, t] : g->snapshot()) if (is_float(t.dtype())) { c.total += t.numel(); c.trainable += t.numel(); }
      return c;
    }
    for (const Value& v : g->graph().values) {             // weights in integers are parameters that are not trained
      if (!v.constant || !(v.trainable || v.quantized || v.mask)) continue;
      c.total += v.constant.numel();
      c.trainable += v.constant.requires_grad() ? v.constant.numel() : 0;
    }
  } else {
    for (const Tensor& p : m.parameters()) {
      c.total += p.numel();
      c.trainable += p.requires_grad() ? p.numel() : 0;
    }
  }
  c.non_trainable = c.total - c.trainable;
  return c;
}

FlopCount count_flops(nn::Module& m, const std::vector<Spec>& inputs) {
  Graph g = bound("count_flops", m, inputs);
  FlopCount f;
  for (const Node& n : g.nodes) {
    Cost c = cost_of(g, n);
    f.macs += c.macs;
    f.elementwise_flops += c.flops;
    if (c.macs || c.flops) f.by_layer.push_back({n.name, std::string(n.op->name), c.macs, 2 * c.macs + c.flops});
  }
  return f;
}

MemoryEstimate estimate_memory(nn::Module& m, const std::vector<Spec>& inputs, DType dtype) {
  if (!is_float(dtype) && !is_integer(dtype)) throw Error(ErrorKind::value, "estimate_memory", "a number type", std::string(name_of(dtype)));
  Graph g = bound("estimate_memory", m, inputs);
  auto bytes = [&](const Spec& s) { return int64_t(bytes_of(s.dtype == DType::f32 ? dtype : s.dtype, s.shape.count())); };
  MemoryEstimate e;
  std::set<const Storage*> seen;
  for (const Value& v : g.values)
    if (v.constant && seen.insert(v.constant->storage.get()).second) e.parameter += bytes(v.spec);
  for (int id : g.inputs) e.input += bytes(g.values[size_t(id)].spec);
  Session s(g, {.threads = 1});
  e.activation = int64_t(double(s.arena_bytes()) * bits_of(dtype) / 32.0);
  for (const Value& v : g.values) if (v.quantized) { e.activation = int64_t(s.arena_bytes()); break; }   // planned in integers already
  return e;
}

PowerEstimate estimate_power(nn::Module& m, const std::vector<Spec>& inputs, const std::string& device, double ops_per_watt) {
  static const std::map<std::string, double> defaults{{"cpu", 1e9}, {"gpu", 1e10}, {"edge_cpu", 5e9}, {"npu", 2e10}, {"dsp", 1.5e10}};
  auto d = defaults.find(device);
  if (d == defaults.end()) throw Error(ErrorKind::value, "estimate_power", "device cpu, gpu, edge_cpu, npu or dsp", "\"" + device + "\"");
  if (ops_per_watt < 0 || std::isnan(ops_per_watt)) throw Error(ErrorKind::value, "estimate_power", "ops_per_watt above 0", std::to_string(ops_per_watt));
  PowerEstimate p{count_flops(m, inputs).total(), device, ops_per_watt > 0 ? ops_per_watt : d->second, 0, 0};
  p.energy_j = double(p.flops) / p.ops_per_watt;
  p.inferences_per_joule = p.energy_j > 0 ? 1 / p.energy_j : 0;
  return p;
}

std::string model_summary(nn::Module& m, const std::vector<Spec>& inputs) {
  Graph g = bound("model_summary", m, inputs);
  std::string s = "layer                     op                output                   parameters            MACs\n";
  Cost total;
  int64_t parameters = 0;
  std::set<int> counted;
  for (const Node& n : g.nodes) {
    int64_t own = 0;
    for (int id : n.in) {
      int constant = source_constant(g, id);
      if (constant >= 0 && (g.values[size_t(constant)].trainable || g.values[size_t(constant)].quantized) && counted.insert(constant).second)
        own += g.values[size_t(constant)].constant.numel();
    }
    Cost c = cost_of(g, n);
    char line[220];
    std::snprintf(line, sizeof line, "%-25s %-17s %-22s %12s %15s\n", n.name.empty() ? "-" : n.name.c_str(), std::string(n.op->name).c_str(),
                  g.values[size_t(n.out[0])].spec.shape.text().c_str(), with_commas(own).c_str(), with_commas(c.macs).c_str());
    s += line;
    total.macs += c.macs;
    total.flops += c.flops;
    parameters += own;
  }
  MemoryEstimate e = estimate_memory(m, inputs);
  return s + "parameters " + with_commas(parameters) + "; MACs " + with_commas(total.macs) + "; elementwise operations " + with_commas(total.flops) +
         "; weights " + with_commas(e.parameter) + " bytes; arena " + with_commas(e.activation) + " bytes\n";
}

bool Compatibility::passes_all() const {
  for (const Check& c : checks) if (!c.passes) return false;
  return true;
}
Compatibility check_edge_compatibility(nn::Module& m, const std::vector<Spec>& inputs, const std::map<std::string, double>& constraints) {
  std::map<std::string, double> limits = constraints;
  if (limits.empty()) limits = {{"max_parameters", 10e6}, {"max_memory_mb", 100}, {"max_flops", 1e9}};
  Compatibility c;
  for (auto& [name, limit] : limits) {
    double actual = 0;
    if (std::isnan(limit)) throw Error(ErrorKind::value, "check_edge_compatibility", "a number for " + name, "NaN");
    if (name == "max_parameters") actual = double(count_parameters(m).total);
    else if (name == "max_memory_mb") actual = double(estimate_memory(m, inputs).total()) / 1048576.0;
    else if (name == "max_flops") actual = double(count_flops(m, inputs).total());
    else throw Error(ErrorKind::value, "check_edge_compatibility", "constraints max_parameters, max_memory_mb and max_flops", "\"" + name + "\"");
    c.checks.push_back({name, actual, limit, actual <= limit});
  }
  return c;
}

}  // namespace miniten::edge
