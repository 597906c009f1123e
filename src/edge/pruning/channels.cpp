#include "edge/pruning/channels.h"
#include <numeric>
#include <set>
#include "ops/axes.h"

namespace miniten::edge {

namespace {

bool is_bit(uint32_t bits, size_t i) { return i < 32 && (bits >> i & 1); }

// One element for each index of each axis of each value; what exists only together is one set.
struct Elements {
  const Graph& g;
  std::vector<int64_t> first;                                // by value: its first axis in `begin`
  std::vector<int64_t> begin;                                // by axis: its first element
  std::vector<int64_t> parent;
  std::vector<bool> stays;                                   // of a root: all of its set

  explicit Elements(const Graph& graph) : g(graph) {
    int64_t n = 0;
    for (const Value& v : g.values) {
      first.push_back(int64_t(begin.size()));
      for (Dim d : v.spec.shape) { begin.push_back(n); n += d; }
    }
    begin.push_back(n);
    parent.resize(size_t(n));
    std::iota(parent.begin(), parent.end(), 0);
    stays.assign(size_t(n), false);
  }
  int64_t at(int value, int axis, int64_t i) const { return begin[size_t(first[size_t(value)] + axis)] + i; }
  int64_t root(int64_t e) {
    while (parent[size_t(e)] != e) e = parent[size_t(e)] = parent[size_t(parent[size_t(e)])];
    return e;
  }
  void join(int64_t a, int64_t b) {
    a = root(a);
    b = root(b);
    if (a == b) return;
    parent[size_t(b)] = a;
    if (stays[size_t(b)]) stays[size_t(a)] = true;
  }
  void keep(int64_t e) { stays[size_t(root(e))] = true; }
  void keep_value(int value) { for (int a = 0; a < g.values[size_t(value)].spec.shape.rank; ++a) keep_axis(value, a); }
  void keep_axis(int value, int axis) { for (int64_t i = 0; i < g.values[size_t(value)].spec.shape[axis]; ++i) keep(at(value, axis, i)); }
};

struct Split { int choice = 0, options = 1, axis = 0; };      // by node: of an axis that becomes several
struct Links : AxisLinks {
  Elements& elements;
  const Node& node;
  Split& of;
  std::set<std::pair<int, int>> told;                        // axes of results
  Links(Elements& e, const Node& n, Split& s) : elements(e), node(n), of(s) {}
  int split(int axis, int options) override {
    of.options = options;
    of.axis = axis;
    return of.choice;
  }
  int value(Axis a) const { return a.operand < 0 ? node.out[size_t(Axis::result - a.operand)] : node.in[size_t(a.operand)]; }
  int64_t at(Axis a, int64_t i) {
    if (a.operand < 0) told.insert({value(a), a.axis});
    return elements.at(value(a), a.axis, i);
  }
  void join(Axis a, int64_t i, Axis b, int64_t j) override { elements.join(at(a, i), at(b, j)); }
  void keep(Axis a, int64_t i) override { elements.keep(at(a, i)); }
  bool is_kept(Axis a) const override {
    bool all = true;
    for (int64_t i = 0; i < size(a); ++i) all &= elements.stays[size_t(elements.root(elements.at(value(a), a.axis, i)))];
    return all;
  }
  int64_t size(Axis a) const override { return elements.g.values[size_t(value(a))].spec.shape[a.axis]; }
  using AxisLinks::join;
  using AxisLinks::keep;
};

Call call_of(const Node& n, const std::vector<Spec>& in, const std::vector<Spec>& out) { return {*n.op, n.attributes(), in, out}; }

void link(Elements& e, const Graph& g, std::vector<Split>& splits) {
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  for (int id : g.inputs) e.keep_value(id);
  for (const State& s : g.states) e.keep_value(s.entry);
  for (size_t at = 0; at < g.nodes.size(); ++at) {
    const Node& n = g.nodes[at];
    const AxisRule* rule = n.subgraphs.empty() ? axis_rule(*n.op) : nullptr;
    if (!rule) {
      for (int id : n.in) e.keep_value(id);
      for (int id : n.out) e.keep_value(id);
      continue;
    }
    Links links(e, n, splits[at]);
    auto in = g.specs(n.in), out = g.specs(n.out);
    rule->link(call_of(n, in, out), links);
    for (int id : n.out)
      for (int a = 0; a < g.values[size_t(id)].spec.shape.rank; ++a) if (!links.told.count({id, a})) e.keep_axis(id, a);
  }
  for (int id : g.outputs) e.keep_value(id);
}

Graph of_one_sample(const Graph& g) {                        // symbols are 1
  std::vector<Spec> specs = g.specs(g.inputs);
  for (Spec& s : specs) for (Dim& d : s.shape) if (is_symbol(d)) d = 1;
  return bind_inputs(g, specs);
}

}  // namespace

std::vector<ChannelSet> find_channels(const Graph& given) {
  Graph g = of_one_sample(given);
  for (const Value& v : g.values)
    if (!v.spec.shape.is_static())
      throw Error(ErrorKind::unsupported, "channel_groups", "a graph whose sizes are known", "one with sizes known at run time");
  std::optional<Elements> linked;
  std::vector<Split> splits(g.nodes.size());
  for (bool again = true; again;) {                          // packed heads are cut along their second axis, not between q, k and v
    again = false;
    Elements& e = linked.emplace(g);
    link(e, g, splits);
    for (size_t at = 0; at < splits.size(); ++at) {
      Split& s = splits[at];
      int x = s.options > 1 ? g.nodes[at].in[0] : -1;
      bool stays = x >= 0 && s.choice + 1 < s.options;
      for (int64_t i = 0; stays && i < g.values[size_t(x)].spec.shape[s.axis]; ++i) stays = e.stays[size_t(e.root(e.at(x, s.axis, i)))];
      if (stays) { ++s.choice; again = true; }
    }
  }
  Elements& e = *linked;
  std::map<int64_t, size_t> by_root;
  std::vector<Channel> all;
  auto add = [&](int64_t root) { if (!e.stays[size_t(root)] && by_root.try_emplace(root, all.size()).second) all.emplace_back(); };
  struct Output { int value, axis; size_t weight; };
  std::vector<Weight> weights = weights_of(g);
  std::vector<Output> outputs;
  for (const Node& n : g.nodes)
    for (size_t i = 0; i < n.in.size(); ++i) {
      int source = -1, axis = n.op->traits.channel_axis;
      const AxisRule* rule = axis_rule(*n.op);
      if (is_bit(n.op->traits.weights, i)) source = source_constant(g, n.in[i]);
      else if (rule && rule->weight == int(i) && g.values[size_t(n.in[i])].spec.shape.rank > 1 && is_float(g.values[size_t(n.in[i])].spec.dtype)) {
        source = source_constant(g, n.in[i]);
        axis = rule->weight_axis;
        if (source >= 0) weights.push_back({source, nullptr, {n.name}, {std::string(n.op->name)}});
      }
      auto w = std::find_if(weights.begin(), weights.end(), [&](const Weight& known) { return source >= 0 && known.value == source; });
      if (w == weights.end() || axis >= g.values[size_t(n.in[i])].spec.shape.rank) continue;
      bool known = std::any_of(outputs.begin(), outputs.end(), [&](const Output& o) { return o.value == n.in[i] && o.axis == axis; });
      if (!known) outputs.push_back({n.in[i], axis, size_t(w - weights.begin())});
      for (int64_t k = 0; k < g.values[size_t(n.in[i])].spec.shape[axis]; ++k) add(e.root(e.at(n.in[i], axis, k)));
    }
  for (size_t v = 0; v < g.values.size(); ++v)
    for (int a = 0; a < g.values[v].spec.shape.rank; ++a)
      for (int64_t i = 0; i < g.values[v].spec.shape[a]; ++i)
        if (auto known = by_root.find(e.root(e.at(int(v), a, i))); known != by_root.end()) all[known->second].slices.push_back({int(v), a, i});
  std::vector<ChannelSet> sets;
  std::map<std::vector<std::pair<int, int>>, size_t> by_axes;
  for (Channel& c : all) {
    std::set<std::pair<int, int>> axes;
    for (const Slice& s : c.slices) axes.insert({s.value, s.axis});
    std::vector<std::pair<int, int>> key(axes.begin(), axes.end());
    auto [at, is_new] = by_axes.try_emplace(key, sets.size());
    if (is_new) {
      sets.emplace_back();
      sets.back().axes = key;
    }
    sets[at->second].channels.push_back(std::move(c));
  }
  for (ChannelSet& set : sets) {
    std::set<std::pair<int, int>> axes(set.axes.begin(), set.axes.end());
    for (const Output& o : outputs)
      if (axes.count({o.value, o.axis})) {
        set.weights.push_back(weights[o.weight]);
        set.outputs.emplace_back(o.value, o.axis);
      }
    set.name = set.weights[0].layers[0];
    std::set<int> scales;
    for (const Node& n : g.nodes) {
      const AxisRule* rule = axis_rule(*n.op);
      if (!rule || !rule->scale) continue;
      int id = n.in[size_t(rule->scale)];
      if (g.is_constant(id) && axes.count({id, 0})) scales.insert(id);
    }
    set.scales.assign(scales.begin(), scales.end());
  }
  return sets;
}

std::vector<int64_t> kept_of(int64_t size, const std::vector<int64_t>& removed) {
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < size; ++i) if (!std::binary_search(removed.begin(), removed.end(), i)) kept.push_back(i);
  return kept;
}

Tensor take(const Tensor& given, int axis, const std::vector<int64_t>& kept) {
  Tensor t = given.clone();
  Spec spec = t.spec();
  size_t inner = bytes_of(spec.dtype, 1);
  if (bits_of(spec.dtype) < 8) throw Error(ErrorKind::unsupported, "prune_model", "elements of whole bytes", spec.text());
  int64_t outer = 1, size = spec.shape[axis];
  for (int i = 0; i < axis; ++i) outer *= spec.shape[i];
  for (int i = axis + 1; i < spec.shape.rank; ++i) inner *= size_t(spec.shape[i]);
  spec.shape[axis] = int64_t(kept.size());
  Tensor out = Tensor::empty(spec);
  const std::byte* from = t.view().data;
  std::byte* to = out.view().data;
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t k : kept) to = std::copy_n(from + size_t(o * size + k) * inner, inner, to);
  return out;
}

Graph cut(const Graph& given, const Removed& removed) {
  Graph g = given;
  const Graph bound = of_one_sample(given);
  auto kept = [&](int value, int axis) {
    auto gone = removed.find({value, axis});
    return kept_of(bound.values[size_t(value)].spec.shape[axis], gone == removed.end() ? std::vector<int64_t>{} : gone->second);
  };
  for (auto& [where, indices] : removed) {
    Value& v = g.values[size_t(where.first)];
    if (!v.constant || indices.empty()) continue;
    std::vector<int64_t> stay = kept(where.first, where.second);
    Tensor smaller = take(v.constant, where.second, stay);
    v.constant = v.trainable && is_float(v.spec.dtype) ? parameter(smaller) : smaller;
    if (v.mask) v.mask = take(v.mask, where.second, stay);
    v.spec = smaller.spec();
  }
  for (Node& n : g.nodes) {
    const AxisRule* rule = axis_rule(*n.op);
    if (!rule || !rule->shrink) continue;
    auto in = bound.specs(n.in), out = bound.specs(n.out);
    n.attrs = rule->shrink(call_of(n, in, out), [&](Axis a) { return kept(a.operand < 0 ? n.out[size_t(Axis::result - a.operand)] : n.in[size_t(a.operand)], a.axis); });
  }
  infer_all(g);
  verify(g);
  return g;
}

}  // namespace miniten::edge
