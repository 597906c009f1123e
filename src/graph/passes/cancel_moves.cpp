#include "miniten/graph/passes.h"

namespace miniten {

namespace {

// How a value looks at an earlier one: strides over that one's row-major elements.
struct Look { int root; Strides strides; int64_t offset = 0; };

struct Canceller {
  Graph& g;
  std::vector<int> replaced;                            // by value: what stands for it
  std::vector<int> producer, readers;
  explicit Canceller(Graph& g) : g(g) {
    for (size_t i = 0; i < g.values.size(); ++i) replaced.push_back(int(i));
    producer.assign(g.values.size(), -1);
    readers.assign(g.values.size(), 0);
    for (size_t i = 0; i < g.nodes.size(); ++i) {
      for (int id : g.nodes[i].out) producer[size_t(id)] = int(i);
      for (int id : g.nodes[i].in) ++readers[size_t(id)];
    }
    for (int id : g.outputs) ++readers[size_t(id)];
  }
  const Shape& shape(int id) const { return g.values[size_t(id)].spec.shape; }
  const Node* view_of(int id) const {
    int n = producer[size_t(id)];
    if (n < 0) return nullptr;
    const Node& node = g.nodes[size_t(n)];
    return node.op->view && node.in.size() == 1 && node.out.size() == 1 && node.op->traits.writes.n == 0 && node.subgraphs.empty() ? &node : nullptr;
  }
  // Through the views in `nodes` (first to last) from a root: none where one of them would have to copy.
  std::optional<Look> through(int root, const std::vector<const Node*>& nodes) const {
    Look l{root, contiguous(shape(root)), 0};
    for (const Node* n : nodes) {
      Spec in[]{g.values[size_t(n->in[0])].spec}, out[]{g.values[size_t(n->out[0])].spec};
      if (!in[0].shape.is_static() || !out[0].shape.is_static()) return {};
      auto next = n->op->view({*n->op, n->attributes(), in, out}, l.strides, l.offset);
      if (!next) return {};
      l.strides = *next;
    }
    return l;
  }
  bool same_elements(int root, int id, const std::vector<const Node*>& nodes) const {
    if (g.values[size_t(root)].spec != g.values[size_t(id)].spec) return false;
    auto l = through(root, nodes);
    return l && l->offset == 0 && same_layout(shape(id), l->strides, contiguous(shape(id)));
  }
  // The earliest value that has the same elements as what `last` gives, itself where there is none.
  int origin(const Node& last) const {
    std::vector<const Node*> nodes{&last};
    int best = last.out[0];
    for (int at = last.in[0];;) {
      if (same_elements(at, last.out[0], nodes)) best = at;
      const Node* n = view_of(at);
      if (!n) return best;
      nodes.insert(nodes.begin(), n);
      at = n->in[0];
    }
  }
  // view(f(view(x), ..)) = f(x, ..) where the views undo each other and f works element by element.
  bool pull_through(Node& last) {
    int middle = last.in[0], which = producer[size_t(middle)];
    if (which < 0 || readers[size_t(middle)] != 1) return false;
    Node& f = g.nodes[size_t(which)];
    if (!f.op->traits.pointwise || f.out.size() != 1 || f.op->traits.writes.n) return false;
    std::vector<int> in = f.in;
    bool any = false;
    for (int& id : in) {
      if (shape(id).is_static() && shape(id).count() == 1 && shape(id).rank <= 1) continue;   // one number for all
      const Node* v = view_of(id);
      if (!v || shape(id) != shape(middle)) return false;
      const Spec &x = g.values[size_t(v->in[0])].spec, &y = g.values[size_t(last.out[0])].spec;
      if (x.shape != y.shape) return false;
      auto l = through(v->in[0], {v});
      if (!l) return false;
      Spec between[]{{x.dtype, shape(middle)}}, after[]{{x.dtype, y.shape}};
      auto back = last.op->view({*last.op, last.attributes(), between, after}, l->strides, l->offset);
      if (!back || l->offset != 0 || !same_layout(y.shape, *back, contiguous(y.shape))) return false;
      id = v->in[0];
      any = true;
    }
    if (!any) return false;
    Specs out;
    std::vector<Spec> specs = g.specs(in);
    std::vector<Tensor> constants = g.constants(in);
    std::vector<Input> known(constants.begin(), constants.end());
    try {
      infer_outputs(*f.op, f.attributes(), specs, out, known);
    } catch (const Error&) {
      return false;                                     // an op that means its axes
    }
    if (out.n != 1 || out.at[0] != g.values[size_t(last.out[0])].spec) return false;
    for (int id : f.in) --readers[size_t(id)];
    f.in = in;
    for (int id : f.in) ++readers[size_t(id)];
    f.out = last.out;                                   // written where f stands: its inputs are known there
    producer[size_t(last.out[0])] = which;
    last.out = {middle};
    return true;
  }
};

}  // namespace

// Law: every output keeps its elements and its name. A chain of views that comes back to an earlier value's elements gives
// that value; views around an elementwise op that undo each other go. States and what is overwritten are left alone.
void cancel_moves(Graph& g) {
  if (!g.states.empty()) return;
  Canceller c(g);
  std::vector<bool> gone(g.nodes.size());
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    Node& n = g.nodes[i];
    for (int& id : n.in) id = c.replaced[size_t(id)];
    if (n.out.empty() || c.view_of(n.out[0]) != &n) continue;
    int out = n.out[0], from = c.origin(n);
    bool given_out = std::count(g.outputs.begin(), g.outputs.end(), out) > 0;
    if (from != out && !given_out) {
      c.replaced[size_t(out)] = from;
      gone[i] = true;
    } else if (c.pull_through(n)) {
      gone[i] = true;
    }
  }
  std::vector<Node> kept;
  for (size_t i = 0; i < g.nodes.size(); ++i) if (!gone[i]) kept.push_back(std::move(g.nodes[i]));
  g.nodes = std::move(kept);
  remove_dead(g);
}

}  // namespace miniten
