#include "edge/quantization/doctor/state.h"

namespace miniten::edge {

static bool counts(const Graph& g, const Node& n) {
  if (n.out.size() != 1 || n.op->traits.movement || n.op->traits.converts != Conversion::none) return false;
  const Value& v = g.values[size_t(n.out[0])];
  return is_float(v.spec.dtype) || v.quantized;
}

// Both graphs keep the model's order, so the nodes of one layer stand for each other one by one.
std::vector<Match> match(const Graph& from, const Graph& quantized) {
  std::map<std::string, std::vector<int>> theirs;
  std::map<std::string, size_t> ours, next;
  for (size_t i = 0; i < quantized.nodes.size(); ++i) if (counts(quantized, quantized.nodes[i])) theirs[quantized.nodes[i].name].push_back(int(i));
  for (const Node& n : from.nodes) if (counts(from, n)) ++ours[n.name];
  std::vector<Match> all;
  for (size_t i = 0; i < from.nodes.size(); ++i) {
    const Node& n = from.nodes[i];
    if (!counts(from, n) || theirs[n.name].size() != ours[n.name]) continue;
    int other = theirs[n.name][next[n.name]++];
    if (from.values[size_t(n.out[0])].spec.shape == quantized.values[size_t(quantized.nodes[size_t(other)].out[0])].spec.shape) all.push_back({int(i), other});
  }
  return all;
}

std::shared_ptr<const Quantized> integers_of(const Graph& g, int value) {
  if (value < 0) return nullptr;
  if (!is_float(g.values[size_t(value)].spec.dtype)) return g.values[size_t(value)].quantized;
  for (int reader : g.readers(value)) {
    const Node& n = g.nodes[size_t(reader)];
    if (n.op->traits.converts == Conversion::to_integers && n.in[0] == value) return g.values[size_t(n.out[0])].quantized;
  }
  return nullptr;
}

int counterpart(const QuantizationComparison::State& s, int value) {
  for (size_t i = 0; i < s.from.inputs.size(); ++i) if (s.from.inputs[i] == value) return s.quantized.inputs[i];
  for (const Match& m : s.matches)
    if (s.from.nodes[size_t(m.node)].out[0] == value) return s.quantized.nodes[size_t(m.quantized)].out[0];
  return -1;
}

}  // namespace miniten::edge
