#include <algorithm>
#include "miniten/graph/passes.h"

namespace miniten {

namespace {

class Looker : public PatternGraph {
 public:
  explicit Looker(const Graph& g) : g_(g), node_(g.values.size(), -1), readers_(g.values.size()) {
    for (size_t i = 0; i < g.nodes.size(); ++i) {
      for (int id : g.nodes[i].in) ++readers_[size_t(id)];
      for (int id : g.nodes[i].out) node_[size_t(id)] = int(i);
    }
    for (int id : g.outputs) ++readers_[size_t(id)];
    for (const State& s : g.states) ++readers_[size_t(s.exit)];
  }
  int node(int value) const { return node_[size_t(value)]; }
  const OpDef* op(int value) const override { return node(value) < 0 || at(value).out[0] != value ? nullptr : at(value).op; }
  const void* attrs(int value) const override { return at(value).attributes(); }
  std::span<const int> in(int value) const override { return at(value).in; }
  const Tensor* constant(int value) const override { return g_.is_constant(value) ? &g_.values[size_t(value)].constant : nullptr; }
  const Spec& spec(int value) const override { return g_.values[size_t(value)].spec; }
  int readers(int value) const override { return readers_[size_t(value)]; }

 private:
  const Node& at(int value) const { return g_.nodes[size_t(node(value))]; }
  const Graph& g_;
  std::vector<int> node_, readers_;
};

// Nodes behind what they read, else in their order.
void sort(Graph& g) {
  std::vector<int> maker(g.values.size(), -1);
  for (size_t i = 0; i < g.nodes.size(); ++i) for (int id : g.nodes[i].out) maker[size_t(id)] = int(i);
  std::vector<uint8_t> state(g.nodes.size());
  std::vector<int> order, stack;
  for (size_t first = 0; first < g.nodes.size(); ++first) {
    stack.push_back(int(first));
    while (!stack.empty()) {
      auto k = size_t(stack.back());
      if (state[k] == 0) {
        state[k] = 1;
        for (int id : g.nodes[k].in) if (maker[size_t(id)] >= 0 && state[size_t(maker[size_t(id)])] == 0) stack.push_back(maker[size_t(id)]);
        continue;
      }
      stack.pop_back();
      if (state[k] == 1) order.push_back(int(k));
      state[k] = 2;
    }
  }
  std::vector<Node> nodes;
  for (int k : order) nodes.push_back(std::move(g.nodes[size_t(k)]));
  g.nodes = std::move(nodes);
}

}  // namespace

// What a state holds, or a look at it.
static bool is_state(const Graph& g, const Looker& look, int id) {
  for (int n; (n = look.node(id)) >= 0; id = g.nodes[size_t(n)].in[0]) {
    const OpDef& op = *g.nodes[size_t(n)].op;
    if (op.traits.writes.n) return true;
    if (!op.view) return false;
  }
  return std::any_of(g.states.begin(), g.states.end(), [&](const State& s) { return s.entry == id; });
}
// across: what stands in may read later than the first of what it replaces, so it reads no state.
static void stand_in(Graph& g, std::span<const Pattern> patterns, bool across) {
  bool any = false;
  std::optional<Looker> look;
  for (size_t i = g.nodes.size(); i-- > 0;) {
    if (g.nodes[i].out.empty()) continue;
    if (!look) look.emplace(g);
    for (Pattern find : patterns) {
      auto found = find(*look, g.nodes[i].out[0]);
      auto reads_state = [&](const StandIn& s) { return std::any_of(s.in.begin(), s.in.end(), [&](int id) { return is_state(g, *look, id); }); };
      if (found.empty() || (across && std::any_of(found.begin(), found.end(), reads_state))) continue;
      std::string layer = g.nodes[i].name;
      for (StandIn& s : found) {
        Node& old = g.nodes[size_t(look->node(s.value))];
        Node n{s.op, s.attrs, s.in, old.out, layer, {}};
        for (Tensor& t : s.constants) n.in.push_back(g.add_value(t.spec(), "", t));
        old = std::move(n);
      }
      look.reset();
      any = true;
      break;
    }
  }
  if (!any) return;
  sort(g);
  remove_dead(g);
}
// Law: a value is computed by the ops that a pattern names for it; what only it needed is dead.
void recognise(Graph& g, std::span<const Pattern> patterns) { stand_in(g, patterns, false); }
static void recognise_between_writes(Graph& g, std::span<const Pattern> patterns) {
  for (const Node& n : g.nodes) if (n.op->traits.writes.n) return;
  recognise(g, patterns);
}
void keep_factors(Graph& g) { recognise(g, factor_patterns()); }
void recognise_functions(Graph& g) { recognise_between_writes(g, function_patterns()); }
void fuse_rows(Graph& g) {
  recognise_between_writes(g, session_patterns());
  stand_in(g, step_patterns(), true);
}

}  // namespace miniten
