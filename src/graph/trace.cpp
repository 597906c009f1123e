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

}  // namespace miniten
