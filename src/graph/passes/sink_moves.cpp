#include "miniten/graph/passes.h"

namespace miniten {

// Law: every value keeps its elements. An op whose operands are all turned the same way works on them as they lie, and its
// result is turned instead: so turns meet and cancel. Files that keep channels last are full of them.
void sink_moves(Graph& g) {
  if (!g.states.empty()) return;
  struct Turn { int from = -1; Axes order; Attrs attrs; const OpDef* op; };
  std::vector<Turn> turns(g.values.size());
  std::vector<std::vector<int>> readers(g.values.size());
  for (size_t i = 0; i < g.nodes.size(); ++i) for (int id : g.nodes[i].in) readers[size_t(id)].push_back(int(i));
  std::vector<const OpDef*> ops;
  std::vector<int> results;
  for (const Node& n : g.nodes) { ops.push_back(n.op); results.push_back(n.out.size() == 1 ? n.out[0] : -1); }
  // Read by one op with weights alone, which may take it up, past a turn and what goes element by element.
  auto ends_in_weights = [&](int value) {
    while (value >= 0 && readers[size_t(value)].size() == 1) {
      auto reader = size_t(readers[size_t(value)][0]);
      if (ops[reader]->traits.weights) return true;
      if (!ops[reader]->traits.pointwise && !ops[reader]->view) return false;
      value = results[reader];
    }
    return false;
  };
  std::vector<Node> nodes;
  for (Node& n : g.nodes) {
    bool plain = n.out.size() == 1 && n.op->traits.writes.n == 0 && !n.op->traits.random && n.subgraphs.empty() && !n.in.empty();
    auto order = plain ? turn_of(*n.op, n.attributes()) : std::nullopt;
    if (order) turns[size_t(n.out[0])] = {n.in[0], *order, n.attrs, n.op};
    nodes.push_back(std::move(n));
    if (!plain || order) continue;
    Node& f = nodes.back();
    std::vector<int> in = f.in;
    const Turn* turn = nullptr;
    for (int& id : in) {
      const Shape& shape = g.values[size_t(id)].spec.shape;
      const Turn& t = turns[size_t(id)];
      if (t.from >= 0 && (!turn || t.order == turn->order)) { turn = &t; id = t.from; }
      else if (!f.op->traits.pointwise || !shape.is_static() || shape.count() != 1 || shape.rank > 1) { turn = nullptr; break; }
    }
    if (!turn) continue;
    Attrs attrs = f.op->traits.pointwise ? f.attrs : turned(*f.op, f.attributes(), turn->order);
    if (!f.op->traits.pointwise && !attrs) continue;
    // A result written row by row is only worth turning where it is absorbed or small.
    if (f.op->traits.out == Layout::dense && g.values[size_t(f.out[0])].spec.shape.is_static() &&
        g.values[size_t(f.out[0])].spec.shape.count() >= g.values[size_t(f.in[0])].spec.shape.count() && !ends_in_weights(f.out[0])) continue;
    const void* given = attrs ? attrs.get() : f.op->attrs.defaults;
    auto specs = g.specs(in);
    auto constants = g.constants(in);
    std::vector<Input> known(constants.begin(), constants.end());
    Specs out, back;
    try {
      infer_outputs(*f.op, given, specs, out, known);
      if (out.n != 1) continue;
      infer_outputs(*turn->op, turn->attrs.get(), out.span(), back);
    } catch (const Error&) {
      continue;                                          // an op that means its axes
    }
    int result = f.out[0];
    if (back.at[0] != g.values[size_t(result)].spec) continue;
    int lies = g.add_value(out.at[0]);
    auto quantized = g.values[size_t(result)].quantized;
    if (quantized && quantized->axis < 0) g.values[size_t(lies)].quantized = quantized;
    f.in = in;
    f.attrs = attrs;
    f.out = {lies};
    Turn back_turned{lies, turn->order, turn->attrs, turn->op};
    turns.resize(g.values.size());
    turns[size_t(result)] = back_turned;
    std::string name = f.name;
    nodes.push_back({back_turned.op, back_turned.attrs, {lies}, {result}, name, {}});
  }
  g.nodes = std::move(nodes);
  remove_dead(g);
}

}  // namespace miniten
