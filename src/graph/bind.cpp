#include "miniten/base/symbol.h"
#include "miniten/graph/graph.h"

namespace miniten {

static Specs inferred(const Graph& g, const Node& n) {
  auto in = g.specs(n.in);
  auto constants = g.constants(n.in);
  std::vector<Input> known(constants.begin(), constants.end());
  Specs out;
  infer_outputs(*n.op, n.attributes(), in, out, known);
  return out;
}

void infer_all(Graph& g) {
  for (Node& n : g.nodes) {
    if (!n.subgraphs.empty()) {
      for (size_t i = 0; i < n.out.size(); ++i) g.values[size_t(n.out[i])].spec = n.subgraphs[0].values[size_t(n.subgraphs[0].outputs[i])].spec;
      continue;
    }
    Specs specs = inferred(g, n);
    for (int i = 0; i < specs.n; ++i) g.values[size_t(n.out[size_t(i)])].spec = specs.at[i];
  }
}

static void bind_symbol(Graph& g, Dim symbol, int64_t size) {
  for (Value& v : g.values)
    for (Dim& d : v.spec.shape) d = bound(d, symbol, size);
  for (Node& n : g.nodes) {
    n.attrs = attrs_bound(n.op->attrs, n.attrs.get(), symbol, size);
    for (Graph& sub : n.subgraphs) bind_symbol(sub, symbol, size);
  }
}
Graph bind(const Graph& from, Dim symbol, int64_t size) {
  if (size < 0) throw Error(ErrorKind::value, "bind", "a size of 0 or more", std::to_string(size));
  Graph g = from;
  bind_symbol(g, symbol, size);
  infer_all(g);
  return g;
}

Graph bind_inputs(Graph g, const std::vector<Spec>& inputs) {
  if (inputs.size() != g.inputs.size())
    throw Error(ErrorKind::value, "inputs", std::to_string(g.inputs.size()) + " inputs", std::to_string(inputs.size()));
  std::vector<std::pair<Dim, Dim>> bound;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Value& v = g.values[size_t(g.inputs[i])];
    const Shape &want = v.spec.shape, &got = inputs[i].shape;
    std::string name = "input \"" + v.name + "\" of ";
    if (inputs[i].dtype != v.spec.dtype) throw Error(ErrorKind::type, "inputs", name + v.spec.text(), inputs[i].text(), "convert the array first");
    bool fits = want.rank == got.rank;
    for (int k = 0; k < want.rank && fits; ++k) {
      if (!is_symbol(want[k])) { fits = want[k] == got[k]; continue; }
      auto known = std::find_if(bound.begin(), bound.end(), [&](auto& b) { return b.first == want[k]; });
      if (known == bound.end()) bound.push_back({want[k], got[k]});
      else fits = known->second == got[k];
    }
    if (!fits) throw Error(ErrorKind::value, "inputs", name + v.spec.text(), inputs[i].text());
  }
  for (auto [symbol, size] : bound) bind_symbol(g, symbol, size);
  infer_all(g);
  return g;
}

}  // namespace miniten
