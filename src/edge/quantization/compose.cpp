#include "edge/quantization/steps.h"

namespace miniten::edge {

namespace {

// Puts the nodes of `part` in place of n: its inputs are what n reads, its outputs what n gives.
void splice(Graph& g, const Node& n, const Graph& part, std::vector<Node>& nodes) {
  std::vector<int> ids(part.values.size(), -1);
  for (size_t i = 0; i < part.inputs.size(); ++i) ids[size_t(part.inputs[i])] = n.in[i];
  std::vector<std::pair<int, int>> same;                       // an output that is an input, or an earlier output
  for (size_t i = 0; i < part.outputs.size(); ++i) {
    int& id = ids[size_t(part.outputs[i])];
    if (id < 0 && !part.values[size_t(part.outputs[i])].constant) id = n.out[i];
    else same.emplace_back(part.outputs[i], n.out[i]);
  }
  for (size_t i = 0; i < ids.size(); ++i)
    if (ids[i] < 0) ids[i] = g.add_value(part.values[i].spec, part.values[i].constant ? part.values[i].name : "", part.values[i].constant);
  for (Node inner : part.nodes) {
    for (int& id : inner.in) id = ids[size_t(id)];
    for (int& id : inner.out) id = ids[size_t(id)];
    inner.name = n.name;
    nodes.push_back(std::move(inner));
  }
  for (auto [from, to] : same) nodes.push_back({&copy_op, nullptr, {ids[size_t(from)]}, {to}, n.name, {}});
}

bool may_compose(const Node& n, const QuantizationConfig& config) {
  auto meant = [&](const std::string& p) { return is_named(n, p); };
  auto stored = [&](const LayerOverride& o) { return meant(o.layers) && (o.skip.value_or(false) || o.mode == "weight_only" || o.dtype == "int4"); };
  return n.op->quant.compose && std::none_of(config.skip.begin(), config.skip.end(), meant) && std::none_of(config.overrides.begin(), config.overrides.end(), stored);
}
// What n is composed of; of no outputs where it is not, for these operands.
Graph parts_of(const Graph& g, const Node& n, size_t& outputs) {
  auto in = g.specs(n.in), out = g.specs(n.out);
  return trace(in, [&](const std::vector<Tensor>& inputs) {
    auto given = n.op->quant.compose({*n.op, n.attributes(), in, out}, inputs);
    outputs = given.size();
    return given.empty() ? std::vector<Tensor>{inputs[0]} : given;
  });
}

}  // namespace

Graph with_sizes(const Graph& g, const QuantizationConfig& config, const std::vector<Spec>& inputs) {
  for (size_t i = 0; i < g.nodes.size() && inputs.size() == g.inputs.size(); ++i) {
    size_t now = 0, then = 0;
    if (!may_compose(g.nodes[i], config) || (parts_of(g, g.nodes[i], now), now > 0)) continue;
    Graph bound = bind_inputs(g, inputs);
    parts_of(bound, bound.nodes[i], then);
    if (then > 0) return bound;
  }
  return g;
}

bool widen_states(const Graph& g, QuantizationConfig& config) {
  if (bits_of(config.activation_dtype) != 8) return false;
  std::vector<LayerOverride> wide;
  for (const Node& n : g.nodes) {
    auto known = [&](const LayerOverride& o) { return o.layers == n.name; };
    if (n.op->quant.compose && !n.name.empty() && std::none_of(wide.begin(), wide.end(), known)) wide.push_back({.layers = n.name, .activation_dtype = "int16"});
  }
  config.overrides.insert(config.overrides.begin(), wide.begin(), wide.end());       // the given ones win
  return !wide.empty();
}

void compose(Graph& g, const QuantizationConfig& config) {
  std::vector<Node> nodes;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node n = g.nodes[i];
    if (!may_compose(n, config)) { nodes.push_back(n); continue; }
    size_t given = 0;
    const Graph part = parts_of(g, n, given);
    bool whole = given > 0;
    for (size_t k = given; k < n.out.size(); ++k) whole &= g.readers(n.out[k]).empty() && !std::count(g.outputs.begin(), g.outputs.end(), n.out[k]);
    if (whole) splice(g, n, part, nodes);
    else nodes.push_back(n);
  }
  g.nodes = std::move(nodes);
}

}  // namespace miniten::edge
