#include <numeric>
#include "edge/models.h"
#include "edge/quantization/steps.h"

namespace miniten::edge {

bool is_bit(uint32_t bits, size_t i) { return i < 32 && (bits >> i & 1); }

bool is_activation(const Graph& g, const Node& n, size_t k) {
  const QuantRule& rule = n.op->quant;
  return is_bit(rule.activations, k) || (is_bit(rule.either, k) && !g.is_constant(n.in[k]));
}

std::string layer_of(const Node& n) { return n.name.empty() ? std::string(n.op->name) : n.name; }

bool is_named(const Node& n, const std::string& p) { return matches(p, n.name) || matches(p + ".*", n.name) || p == n.op->name; }

std::vector<std::string> skipped_by(const Graph& g, const std::vector<std::string>& patterns) {
  std::vector<std::string> by(g.nodes.size());
  for (const std::string& p : patterns) {
    bool found = false;
    std::string layers;
    for (size_t i = 0; i < g.nodes.size(); ++i) {
      const Node& n = g.nodes[i];
      if (!n.op->traits.movement) layers += (layers.empty() ? "" : ", ") + layer_of(n);
      if (!is_named(n, p)) continue;
      by[i] = p;
      found = true;
    }
    if (!found) throw Error(ErrorKind::value, "quantize_model", "skip patterns that match a layer", "\"" + p + "\"", "layers, with what they absorbed: " + layers);
  }
  return by;
}

namespace {

bool is_finite(const Graph& g, int id) {
  Range r;
  return finite_range(g.values[size_t(id)].constant, r);
}

// Why a node has no integer form here; "" where it has, as far as its operands' kinds tell.
std::string obstacle(const Graph& g, const Node& n, bool dynamic) {
  const QuantRule& rule = n.op->quant;
  if (dynamic ? !rule.dynamic : !rule.lower) return dynamic ? "has no form with activations quantised at run time" : "has no integer form";
  if (n.out.size() != 1) return "gives several results";
  for (size_t k = 0; k < n.in.size(); ++k) {
    const Value& v = g.values[size_t(n.in[k])];
    std::string which = "input " + std::to_string(k) + " is ";
    if (v.spec.dtype != DType::f32) return which + std::string(name_of(v.spec.dtype));
    bool activation = is_bit(rule.activations, k), either = !dynamic && is_bit(rule.either, k);
    if (activation && g.is_constant(n.in[k])) return which + "a constant";
    if (!activation && !either && k > 0 && !g.is_constant(n.in[k])) return which + "computed at run time";
    if (either && !is_bit(n.op->traits.weights, k) && g.is_constant(n.in[k]) && !is_finite(g, n.in[k])) return which + "not finite everywhere";
  }
  return "";
}
bool may_pass(const Graph& g, const Node& n) {
  if (n.op->quant.mode != QuantMode::passes_through || n.out.size() != 1 || g.values[size_t(n.out[0])].spec.dtype != DType::f32) return false;
  bool any = false;
  for (int id : n.in) {
    if (!is_float(g.values[size_t(id)].spec.dtype)) continue;
    if (g.values[size_t(id)].spec.dtype != DType::f32 || (g.is_constant(id) && !is_finite(g, id))) return false;
    any = true;
  }
  return any;
}
bool computes_floats(const Graph& g, const Node& n) {
  for (int id : n.out) if (is_float(g.values[size_t(id)].spec.dtype)) return true;
  return false;
}

// Activation inputs of an integer node.
template <class F> void for_activations(const Graph& g, const Node& n, F f) {
  for (size_t k = 0; k < n.in.size(); ++k) if (is_activation(g, n, k)) f(n.in[k]);
}

int find(std::vector<int>& parent, int i) {
  while (parent[size_t(i)] != i) i = parent[size_t(i)] = parent[size_t(parent[size_t(i)])];
  return i;
}

}  // namespace

void regroup(const Graph& g, Decisions& d) {
  std::vector<int> parent(g.values.size());
  std::iota(parent.begin(), parent.end(), 0);
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& n = g.nodes[i];
    if (d.nodes[i].form != Decision::passes) continue;
    for (int id : n.in) if (is_float(g.values[size_t(id)].spec.dtype)) parent[size_t(find(parent, id))] = find(parent, n.out[0]);
  }
  d.group.resize(parent.size());
  for (size_t i = 0; i < parent.size(); ++i) d.group[i] = find(parent, int(i));
  d.quantized.assign(parent.size(), false);
  auto mark = [&](int id) { d.quantized[size_t(d.group[size_t(id)])] = true; };
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (d.nodes[i].form != Decision::integers) continue;
    for_activations(g, g.nodes[i], mark);
    mark(g.nodes[i].out[0]);
  }
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (d.nodes[i].form != Decision::passes || d.is_quantized(g.nodes[i].out[0])) continue;
    bool moves = g.nodes[i].op->traits.movement;
    d.nodes[i] = {moves ? Decision::untouched : Decision::floats, moves ? "" : "what it reads is float"};
  }
}

// Ops with weights are worth conversions; others become integers only where their operands are anyway.
static void decide_static(const Graph& g, Decisions& d, const std::vector<std::string>& skipped) {
  std::vector<bool> waits(g.nodes.size());
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& n = g.nodes[i];
    if (!skipped[i].empty() || !computes_floats(g, n)) continue;
    if (may_pass(g, n)) { d.nodes[i] = {Decision::passes, ""}; continue; }
    std::string reason = obstacle(g, n, false);
    waits[i] = reason.empty() && !n.op->traits.weights;
    if (waits[i]) reason = "what it reads is float";
    if (!reason.empty()) d.nodes[i] = {n.op->traits.movement ? Decision::untouched : Decision::floats, reason};
    else d.nodes[i] = {Decision::integers, ""};
  }
  std::vector<Decision> candidates = d.nodes;
  for (bool changed = true; changed;) {
    changed = false;
    d.nodes = candidates;                            // regroup gives up passes that a later round may need
    regroup(g, d);
    for (size_t i = 0; i < g.nodes.size(); ++i) {
      if (!waits[i] || candidates[i].form == Decision::integers) continue;
      bool ready = true;
      for_activations(g, g.nodes[i], [&](int id) { ready &= d.is_quantized(id); });
      if (!ready) continue;
      candidates[i] = {Decision::integers, ""};
      changed = true;
    }
  }
}

Decisions decide(const Graph& g, const std::vector<std::string>& skipped, const std::string& mode) {
  Decisions d;
  d.nodes.resize(g.nodes.size());
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& n = g.nodes[i];
    if (!computes_floats(g, n) || (n.op->traits.movement && !n.op->traits.weights)) continue;
    if (!skipped[i].empty()) { d.nodes[i] = {Decision::floats, "skipped by \"" + skipped[i] + "\""}; continue; }
    if (mode == "static") continue;
    std::string reason;
    if (mode == "dynamic") reason = obstacle(g, n, true);
    else {
      bool stored = false;
      for (size_t k = 0; k < n.in.size(); ++k)
        stored |= is_bit(n.op->traits.weights, k) && g.is_constant(n.in[k]) && g.values[size_t(n.in[k])].spec.dtype == DType::f32;
      if (!stored) reason = "has no constant weights";
    }
    d.nodes[i] = {reason.empty() ? Decision::integers : Decision::floats, reason};
  }
  if (mode == "static") decide_static(g, d, skipped);
  else {
    d.group.resize(g.values.size());
    std::iota(d.group.begin(), d.group.end(), 0);
    d.quantized.assign(g.values.size(), false);
  }
  return d;
}

std::vector<bool> origins(const Graph& g, const Decisions& d) {
  std::vector<bool> is(g.values.size());
  for (int id : g.inputs) is[size_t(id)] = d.is_quantized(id);
  for (size_t i = 0; i < g.nodes.size(); ++i)
    for (int id : g.nodes[i].in)
      if (d.nodes[i].form == Decision::passes && g.is_constant(id) && g.values[size_t(id)].spec.dtype == DType::f32) is[size_t(id)] = d.is_quantized(id);
  for (size_t i = 0; i < g.nodes.size(); ++i)
    for (int id : g.nodes[i].out) is[size_t(id)] = d.nodes[i].form != Decision::passes && d.is_quantized(id);
  return is;
}

}  // namespace miniten::edge
