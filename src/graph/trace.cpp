#include "miniten/base/symbol.h"
#include "miniten/core/observer.h"
#include "miniten/graph/graph.h"

namespace miniten {

namespace {

thread_local std::vector<std::string> layer_names;

// A tensor met with data is a constant; once an op overwrites it, a state.
struct GraphRecorder : Recorder {
  Graph graph;
  const TraceNames& names;
  struct Home { Tensor tensor; int value; };
  std::vector<Home> homes;
  explicit GraphRecorder(const TraceNames& names) : names(names) {}

  // Identity is the memory, not the handle: a detached or tied parameter is the same state.
  Home* home_of(const Tensor& t) {
    for (Home& h : homes)
      if (h.tensor->storage.get() == t->storage.get() && h.tensor->offset == t->offset && h.tensor.strides() == t.strides() &&
          h.tensor.spec() == t.spec())
        return &h;
    return nullptr;
  }
  std::string name_of_constant(const Tensor& t) const {
    for (auto& [tensor, name] : names.constants)
      if (tensor.same(t) || (tensor.has_data() && tensor->storage.get() == t->storage.get() && tensor->offset == t->offset &&
                             tensor.spec() == t.spec() && tensor.strides() == t.strides()))
        return name;
    return "";
  }
  int value_of(const Tensor& t) {
    if (t->trace == serial) return t->value;
    if (!t.has_data()) throw Error(ErrorKind::value, "trace", "a value of this trace", "one of an earlier trace");
    if (Home* home = home_of(t)) {
      if (t.requires_grad() && t.is_leaf()) graph.values[size_t(home->value)].trainable |= graph.values[size_t(home->value)].constant.same(home->tensor);
      return home->value;
    }
    int id = graph.add_value(t.spec(), name_of_constant(t), t);
    graph.values[size_t(id)].trainable = t.requires_grad() && t.is_leaf();
    homes.push_back({t, id});
    return id;
  }
  void record(const Call& call, std::span<const Input> in, std::span<Tensor> out) override {
    const OpDef& op = call.op;
    Node node{&op, op.attrs.clone ? Attrs(op.attrs.clone(call.attrs)) : nullptr, {}, {}, LayerScope::current(), {}};
    for (const Input& i : in) node.in.push_back(value_of(*i.tensor));
    for (size_t i = 0; i < out.size(); ++i) {
      int id = graph.add_value(call.out[i]);
      node.out.push_back(id);
      if (int(i) < op.traits.writes.n) {
        auto which = size_t(op.traits.writes.at[i]);
        int before = node.in[which];
        out[i] = *in[which].tensor;
        auto state = std::find_if(graph.states.begin(), graph.states.end(), [&](State& s) { return s.exit == before; });
        if (state != graph.states.end()) state->exit = id;
        else if (graph.values[size_t(before)].constant) graph.states.push_back({before, id});
        else throw Error(ErrorKind::value, op.name, "a state to overwrite", "a value computed in this trace", "overwrite tensors made before");
        home_of(out[i])->value = id;                   // later reads see the new contents
      } else {
        out[i] = Tensor::spec_only(call.out[i]);
        out[i]->trace = serial;
        out[i]->value = id;
      }
    }
    graph.nodes.push_back(std::move(node));
  }
};

}  // namespace

LayerScope::LayerScope(std::string_view name) {
  layer_names.emplace_back(name);
  if (Watcher* w = watcher()) w->enter(Watcher::layer, name);
}
LayerScope::~LayerScope() {
  layer_names.pop_back();
  if (Watcher* w = watcher()) w->leave();
}
std::string LayerScope::current() {
  std::string path;
  for (const std::string& n : layer_names) if (!n.empty()) path += (path.empty() ? "" : ".") + n;
  return path;
}

Graph trace(const std::vector<Spec>& inputs, const std::function<std::vector<Tensor>(const std::vector<Tensor>&)>& f, const TraceNames& names) {
  static std::atomic<uint64_t> serial{0};
  GraphRecorder recorder(names);
  recorder.serial = ++serial;
  std::vector<Tensor> in;
  for (size_t i = 0; i < inputs.size(); ++i) {
    std::string name = i < names.inputs.size() ? names.inputs[i] : inputs.size() == 1 ? "input" : "input_" + std::to_string(i);
    in.push_back(Tensor::spec_only(inputs[i]));
    in.back()->trace = recorder.serial;
    in.back()->value = recorder.graph.add_value(inputs[i], name);
    recorder.graph.inputs.push_back(in.back()->value);
  }
  Swap<Recorder*> on(mode().recorder, &recorder);
  for (const Tensor& t : f(in)) recorder.graph.outputs.push_back(recorder.value_of(t));
  for (size_t i = 0; i < recorder.graph.outputs.size(); ++i) {
    std::string& name = recorder.graph.values[size_t(recorder.graph.outputs[i])].name;
    if (name.empty()) name = recorder.graph.outputs.size() == 1 ? "output" : "output_" + std::to_string(i);
  }
  verify(recorder.graph);
  return std::move(recorder.graph);
}

std::vector<Tensor> replay(const Graph& g, const std::vector<Tensor>& inputs, const Replay& how) {
  if (inputs.size() != g.inputs.size())
    throw Error(ErrorKind::value, "replay", std::to_string(g.inputs.size()) + " inputs", std::to_string(inputs.size()));
  std::vector<Tensor> at(g.values.size());
  for (size_t i = 0; i < at.size(); ++i) {
    const Value& v = g.values[i];
    at[i] = v.constant;
    // A pruned weight is zero already; the product keeps its gradient zero, so no optimizer moves it.
    if (v.mask && v.constant.requires_grad() && mode().grad && (how.training || !mode().recorder)) {
      Tensor kept = Tensor::empty({v.spec.dtype, v.spec.shape});
      copy_values(v.mask.view(), kept.view());
      at[i] = apply(mul_op, {v.constant, kept});
    }
  }
  auto put = [&](int id, const Tensor& t) { at[size_t(id)] = how.gives ? how.gives(id, t) : t; };
  for (size_t i = 0; i < inputs.size(); ++i) put(g.inputs[i], inputs[i]);
  for (size_t k = 0; k < g.nodes.size(); ++k) {
    const Node& n = g.nodes[k];
    LayerScope layer(n.name);
    std::vector<Tensor> read;
    for (int id : n.in) read.push_back(at[size_t(id)]);
    if (how.reads) how.reads(int(k), read);
    std::vector<Input> in(read.begin(), read.end());
    std::vector<Tensor> out(n.out.size());
    if (how.training && n.op->train) n.op->train({*n.op, n.attributes(), read, how.frozen, out});
    else if (n.subgraphs.empty()) apply(*n.op, in, n.attrs.get(), out);
    else if (n.subgraphs.size() == 2 && !n.in.empty()) {       // a branch: condition, then what the chosen graph takes
      const Graph& chosen = n.subgraphs[at[size_t(n.in[0])].item() != 0 ? 0 : 1];
      std::vector<Tensor> arguments;
      for (size_t i = 1; i < n.in.size(); ++i) arguments.push_back(at[size_t(n.in[i])]);
      out = replay(chosen, arguments, {.training = how.training, .frozen = how.frozen});
    } else throw Error(ErrorKind::unsupported, n.op->name, "a branch of two graphs", std::to_string(n.subgraphs.size()) + " subgraphs");
    for (size_t i = 0; i < out.size(); ++i) put(n.out[i], out[i]);
  }
  std::vector<Tensor> result;
  for (int id : g.outputs) result.push_back(at[size_t(id)]);
  return result;
}

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

Graph bind_inputs(const Graph& from, const std::vector<Spec>& inputs) {
  if (inputs.size() != from.inputs.size())
    throw Error(ErrorKind::value, "inputs", std::to_string(from.inputs.size()) + " inputs", std::to_string(inputs.size()));
  Graph g = from;
  std::vector<std::pair<Dim, Dim>> bound;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Value& v = from.values[size_t(from.inputs[i])];
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
