#include <set>
#include <stdexcept>
#include "base/pages.h"
#include "interchange/limits.h"
#include "interchange/tflite/model.h"
#include "miniten/interchange/native.h"
#include "miniten/interchange/tflite.h"

namespace miniten {

namespace M = tflite_model;

// What outlives one run: variables by name, and weights in the order that rules want them.
struct TfliteProgram::Memory {
  struct Variable { Tensor value; std::shared_ptr<const Quantized> meaning; };     // of its integers
  std::map<std::string, Variable, std::less<>> variables;
  struct Arranged { int subgraph, tensor; Axes order; Tensor weight; };
  std::vector<Arranged> arranged;
  std::vector<std::pair<Tensor, std::string>> weights;         // made while reading
  std::set<std::string, std::less<>> done;                     // graphs that run once
};

struct TfliteReading {
  const M::Model& model;
  const TfliteOptions& options;
  TfliteProgram::Memory& memory;
  int64_t nodes_left = most_nodes;
};

namespace {

constexpr int deepest_call = 32;

ReadRule rule_of(const std::string& type) {
  for (const ForeignComposition& c : foreign_compositions())
    if (c.format == "tflite" && c.type == type) return c.read;
  return nullptr;
}

struct Scope {
  TfliteReading& reading;
  int subgraph;
  int depth = 0;
  std::vector<Tensor> values = {};
  std::vector<bool> weights = {};                // float constants, and what is made of them alone
  const M::Subgraph& graph() const { return reading.model.subgraphs[size_t(subgraph)]; }
};
std::vector<Tensor> run_graph(TfliteReading&, int subgraph, std::span<const Tensor> inputs, int depth);
void spend_node(TfliteReading& r) {               // operators, and graphs that may have none
  if (mode().recorder && --r.nodes_left < 0) throw TooLarge(ErrorKind::value, "load_tflite", "at most " + std::to_string(most_nodes) + " operators, loops and calls unrolled", "more");
}

// "features/conv/BiasAdd;features/relu" -> "features/conv/BiasAdd"
std::string short_name(const std::string& s) { return s.substr(0, s.find(';')); }

class Node final : public ForeignNode {
 public:
  Node(const M::Operator& n, Scope& s) : n_(n), s_(s), name_(n.out.empty() ? "" : short_name(s.graph().tensors[size_t(n.out[0])].name)) {}
  std::string_view type() const override { return n_.type; }
  std::string_view name() const override { return name_; }
  int version() const override { return n_.version; }
  int inputs() const override { return int(n_.in.size()); }
  int outputs() const override { return int(n_.out.size()); }
  Tensor input(int i) const override {
    int id = n_.in.at(size_t(i));
    if (id < 0) return {};
    if (!s_.values[size_t(id)] && info(id).other.empty() && info(id).spec.shape.count() == 0) return Tensor::empty(info(id).spec);   // constants without bytes look computed
    if (!s_.values[size_t(id)]) fail("inputs computed before", "\"" + info(id).name + "\"" + (info(id).other.empty() ? "" : " of " + info(id).other));
    return s_.values[size_t(id)];
  }
  bool has(std::string_view a) const override { return n_.attributes.find(a) != n_.attributes.end(); }
  int64_t integer(std::string_view a, int64_t other) const override { auto* v = find<int64_t>(a); return v ? *v : other; }
  double number(std::string_view a, double other) const override { auto* v = find<double>(a); return v ? *v : other; }
  std::string text(std::string_view a, std::string other) const override { auto* v = find<std::string>(a); return v ? *v : other; }
  std::vector<int64_t> integers(std::string_view a, std::vector<int64_t> other) const override { auto* v = find<std::vector<int64_t>>(a); return v ? *v : other; }
  std::vector<float> numbers(std::string_view a, std::vector<float> other) const override { auto* v = find<std::vector<float>>(a); return v ? *v : other; }
  Tensor tensor(std::string_view) const override { return {}; }
  const Quantized* quantized_input(int i) const override {
    int id = i < inputs() ? n_.in[size_t(i)] : -1;
    return id < 0 ? nullptr : info(id).quantized.get();
  }
  const Quantized* quantized_output(int i) const override { return i < outputs() ? info(n_.out[size_t(i)]).quantized.get() : nullptr; }
  Spec output_spec(int i) const override { return info(n_.out.at(size_t(i))).spec; }
  const Quantized* quantized_intermediate(int i) const override {
    int id = size_t(i) < n_.intermediates.size() ? n_.intermediates[size_t(i)] : -1;
    return id < 0 ? nullptr : info(id).quantized.get();
  }
  std::string_view arithmetic() const override { return s_.reading.options.exact; }

  Tensor weight(int i, const Axes& order) const override {
    int id = n_.in.at(size_t(i));
    if (id < 0 || !info(id).constant) return {};
    for (auto& a : s_.reading.memory.arranged) if (a.subgraph == s_.subgraph && a.tensor == id && a.order == order) return a.weight;
    const Tensor& from = info(id).constant;
    if (order.rank != from.rank()) return {};
    Spec spec{from.dtype(), {}};
    Strides strides;
    for (Dim axis : order) { spec.shape.push(from.dim(int(axis))); strides.push(from.strides()[int(axis)]); }
    Tensor moved = Tensor::wrap(from->storage, spec, strides, from->offset);
    if (!moved.view().is_channels_last()) moved = moved.clone();
    if (is_parameter(from)) moved = parameter(moved);
    s_.reading.memory.arranged.push_back({s_.subgraph, id, order, moved});
    s_.reading.memory.weights.emplace_back(moved, info(id).name);
    return moved;
  }
  Tensor variable(std::string_view name, const Spec& spec) const override {
    std::string key(name);
    if (key.empty()) fail("variables with a name", "none");
    auto [at, is_new] = s_.reading.memory.variables.try_emplace(key);
    Tensor& value = at->second.value;
    if (is_new) {
      value = Tensor::zeros(spec.shape, spec.dtype);
      s_.reading.memory.weights.emplace_back(value, key);
    }
    if (n_.type == "READ_VARIABLE") mean(key, info(n_.out.at(0)));
    else if (n_.type == "ASSIGN_VARIABLE") mean(key, info(n_.in.at(1)));
    if (value.spec() != spec) fail("variable \"" + key + "\" of " + value.spec().text(), spec.text());
    return value;
  }
  void mean(const std::string& variable, const M::TensorInfo& t) const {
    if (t.quantized) s_.reading.memory.variables.at(variable).meaning = t.quantized;
  }
  int subgraph(std::string_view a) const {
    int64_t i = integer(a, -1);
    if (i < 0 || i >= int64_t(s_.reading.model.subgraphs.size())) fail("a subgraph as " + std::string(a), std::to_string(i));
    if (s_.depth >= deepest_call) fail("at most " + std::to_string(deepest_call) + " graphs within graphs", "more");
    return int(i);
  }
  int body_inputs(std::string_view a) const override { return int(s_.reading.model.subgraphs[size_t(subgraph(a))].in.size()); }
  std::vector<Tensor> body(std::string_view a, std::span<const Tensor> in) const override { return run_graph(s_.reading, subgraph(a), in, s_.depth + 1); }
  void once(std::string_view a) const override {
    int g = subgraph(a);
    if (!s_.reading.memory.done.insert("graph " + std::to_string(g)).second) return;
    NoGrad no_grad;
    Swap<Recorder*> eager(mode().recorder, nullptr);
    run_graph(s_.reading, g, {}, s_.depth + 1);
  }

 private:
  template <class T> const T* find(std::string_view a) const {
    auto v = n_.attributes.find(a);
    return v == n_.attributes.end() ? nullptr : std::get_if<T>(&v->second);
  }
  const M::TensorInfo& info(int id) const { return s_.graph().tensors[size_t(id)]; }
  const M::Operator& n_;
  Scope& s_;
  std::string name_;
};

std::string in_node(const M::Operator& n, std::string_view name) {
  return (n.type == "CUSTOM" ? "the custom operator " + n.custom : n.type) + ", version " + std::to_string(n.version) + (name.empty() ? "" : ", in node \"" + std::string(name) + "\"");
}
[[noreturn]] void unknown(const M::Subgraph& g, const M::Operator& n) {
  std::string name = n.out.empty() ? "" : short_name(g.tensors[size_t(n.out[0])].name);
  throw Error(ErrorKind::unsupported, "load_tflite", "operators that MiniTen reads", in_node(n, name), "docs/interchange/tflite.md lists them");
}

// Inputs, outputs and constants that a rule takes for granted may be missing.
std::vector<Tensor> applied(const M::Operator& n, const Node& node) {
  try {
    return n.rule(node);
  } catch (const std::out_of_range&) {
    node.fail("all its inputs, outputs and numbers", std::to_string(n.in.size()) + " inputs and " + std::to_string(n.out.size()) + " outputs");
  } catch (const std::bad_alloc&) {
    node.fail("values that fit into memory", "larger ones");
  } catch (const TooLarge& e) {
    throw TooLarge(e.kind(), e.op(), e.want(), e.got() + " by " + in_node(n, node.name()), e.hint());
  }
}

void run_node(const M::Operator& n, Scope& s) {
  Node node(n, s);
  LayerScope layer(node.name());
  spend_node(s.reading);
  const M::Subgraph& g = s.graph();
  // Of constants alone: computed now, so that shapes follow. What stands for integers stays, and so does what has a memory.
  bool known = mode().recorder && !n.in.empty(), weights = false;
  for (int id : n.in) {
    if (id < 0) continue;
    const Tensor& t = s.values[size_t(id)];
    const M::TensorInfo& info = g.tensors[size_t(id)];
    known &= t && t.has_data() && !is_parameter(t) && !info.variable && info.other.empty() && !(info.quantized && !is_float(info.spec.dtype));
    weights |= s.weights[size_t(id)];
  }
  std::vector<Tensor> out;
  if (known) {
    NoGrad no_grad;
    Swap<Recorder*> eager(mode().recorder, nullptr);
    out = applied(n, node);
  } else out = applied(n, node);
  if (out.size() < n.out.size()) node.fail(std::to_string(out.size()) + " outputs", std::to_string(n.out.size()));
  for (size_t i = 0; i < n.out.size(); ++i) {
    size_t id = size_t(n.out[i]);
    const M::TensorInfo& info = g.tensors[id];
    if (s.values[id]) node.fail("one writer per value", "two for \"" + info.name + "\"");
    if (!out[i]) continue;
    if (info.other.empty() && out[i].dtype() != info.spec.dtype) node.fail(info.spec.text() + " as output", out[i].spec().text());
    s.weights[id] = known && weights;
    if (s.weights[id] && out[i].dtype() == DType::f32 && out[i].rank()) {
      out[i] = parameter(out[i]);
      s.reading.memory.weights.emplace_back(out[i], info.name);
    }
    s.values[id] = out[i];
  }
}

std::vector<Tensor> run_graph(TfliteReading& r, int subgraph, std::span<const Tensor> inputs, int depth) {
  spend_node(r);
  Scope s{r, subgraph, depth};
  const M::Subgraph& g = s.graph();
  if (inputs.size() != g.in.size()) M::refuse(std::to_string(g.in.size()) + " inputs for the graph \"" + g.name + "\"", std::to_string(inputs.size()));
  s.values.resize(g.tensors.size());
  s.weights.resize(g.tensors.size());
  for (size_t i = 0; i < g.tensors.size(); ++i) {
    s.values[i] = g.tensors[i].constant;
    s.weights[i] = s.values[i] && is_float(g.tensors[i].spec.dtype);
  }
  for (size_t i = 0; i < inputs.size(); ++i) s.values[size_t(g.in[i])] = inputs[i];
  for (const M::Operator& n : g.operators) {
    for (int id : n.in) {                                        // a state of its operator: zeros at first
      if (id < 0 || !g.tensors[size_t(id)].variable || s.values[size_t(id)]) continue;
      const M::TensorInfo& info = g.tensors[size_t(id)];
      Node node(n, s);
      std::string name = "tensor " + std::to_string(subgraph) + " " + std::to_string(id) + " " + info.name;
      Tensor state = node.variable(name, info.spec);
      node.mean(name, info);
      s.values[size_t(id)] = state;
    }
    run_node(n, s);
  }
  std::vector<Tensor> out;
  for (int id : g.out) {
    if (!s.values[size_t(id)]) M::refuse("outputs that are computed", "\"" + g.tensors[size_t(id)].name + "\"");
    out.push_back(s.values[size_t(id)]);
  }
  return out;
}

// Every operator is known before anything runs.
void check_operators(const M::Model& model) {
  for (const M::Subgraph& g : model.subgraphs)
    for (const M::Operator& n : g.operators) {
      n.rule = rule_of(n.type == "CUSTOM" ? "custom " + n.custom : n.type);
      if (!n.rule) unknown(g, n);
    }
}

}  // namespace

TfliteProgram::TfliteProgram(std::span<const std::byte> bytes, TfliteOptions options) : options_(std::move(options)), memory_(std::make_shared<Memory>()) {
  if (!options_.exact.empty() && options_.exact != "tflite") throw Error(ErrorKind::value, "load_tflite", "exact=\"tflite\" or none", "\"" + options_.exact + "\"");
  if (bytes.size() > options_.max_memory) MemoryLimit::refuse("load_tflite", options_.max_memory, "a file of " + std::to_string(bytes.size()));
  MemoryLimit limit("load_tflite", options_.max_memory);
  auto model = std::make_shared<M::Model>(M::parse(bytes));
  model_ = model;
  check_operators(*model);
  const M::Signature* named = nullptr;
  for (const M::Signature& s : model->signatures)
    if (options_.signature.empty() ? s.subgraph == 0 && !named : s.key == options_.signature) named = &s;
  if (!options_.signature.empty() && !named) {
    std::string keys;
    for (const M::Signature& s : model->signatures) keys += (keys.empty() ? "\"" : ", \"") + s.key + "\"";
    throw Error(ErrorKind::value, "load_tflite", keys.empty() ? "no signature, the file has none" : "one of the signatures " + keys, "\"" + options_.signature + "\"");
  }
  if (named) subgraph_ = named->subgraph;
  for (M::Subgraph& g : model->subgraphs)
    for (M::TensorInfo& t : g.tensors) {
      if (!t.constant) continue;
      if (t.spec.dtype == DType::f32 && t.spec.shape.rank > 0) t.constant = parameter(t.constant);
      weights_.emplace_back(t.constant, t.name);
    }
  const M::Subgraph& g = model->subgraphs[size_t(subgraph_)];
  auto name_of = [&](int id, const std::vector<M::Entry>* entries) {
    if (entries) for (const M::Entry& e : *entries) if (e.tensor == id && !e.name.empty()) return e.name;
    return g.tensors[size_t(id)].name;
  };
  for (int id : g.in) {
    const M::TensorInfo& t = g.tensors[size_t(id)];
    if (!t.other.empty()) throw Error(ErrorKind::unsupported, "load_tflite", "tensors of numbers as input \"" + t.name + "\"", t.other);
    inputs_.push_back({name_of(id, named ? &named->in : nullptr), {t.spec.dtype, t.open}, t.spec});
  }
  for (int id : g.out) outputs_.push_back(name_of(id, named ? &named->out : nullptr));
  if (outputs_.empty()) M::refuse("at least one output", "none");
}
TfliteProgram::TfliteProgram(const std::string& path, TfliteOptions options) : TfliteProgram(read_pages(path, options.max_memory)->bytes(), options) {}

std::vector<std::string> TfliteProgram::signatures() const {
  std::vector<std::string> keys;
  for (const M::Signature& s : model_->signatures) keys.push_back(s.key);
  return keys;
}
const std::map<std::string, std::string>& TfliteProgram::metadata() const { return model_->metadata; }

bool TfliteProgram::loops() const {
  for (const M::Subgraph& g : model_->subgraphs) for (const M::Operator& n : g.operators) if (n.attributes.contains("cond_subgraph_index")) return true;
  return false;
}
void TfliteProgram::reset() { memory_ = std::make_shared<Memory>(); }

std::vector<Tensor> TfliteProgram::run(const std::vector<Tensor>& inputs) const {
  if (inputs.size() != inputs_.size()) throw Error(ErrorKind::value, "tflite", std::to_string(inputs_.size()) + " inputs", std::to_string(inputs.size()));
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Input& want = inputs_[i];
    if (inputs[i].dtype() != want.spec.dtype || inputs[i].rank() != want.spec.shape.rank)
      throw Error(inputs[i].dtype() != want.spec.dtype ? ErrorKind::type : ErrorKind::value, "tflite", "input \"" + want.name + "\" of " + want.spec.text(), inputs[i].spec().text());
  }
  TfliteReading reading{*model_, options_, *memory_};
  return run_graph(reading, subgraph_, inputs, 0);
}

Graph TfliteProgram::trace(const std::vector<Spec>& inputs) const {
  TraceNames names;
  for (const Input& i : inputs_) names.inputs.push_back(i.name);
  MemoryLimit limit("load_tflite", options_.max_memory);
  Graph g = miniten::trace(inputs, [&](const std::vector<Tensor>& in) { return run(in); }, names);
  auto name_of = [&](const Tensor& t) {
    for (const auto* known : {static_cast<const std::vector<std::pair<Tensor, std::string>>*>(&memory_->weights), &weights_})
      for (auto& [w, name] : *known) if (w->storage.get() == t->storage.get() && w->offset == t->offset) return name;
    return std::string();
  };
  for (Value& v : g.values) if (v.constant) if (std::string name = name_of(v.constant); !name.empty()) v.name = name;
  for (const State& s : g.states) {
    Value& v = g.values[size_t(s.entry)];
    if (auto known = memory_->variables.find(v.name); known != memory_->variables.end()) v.quantized = known->second.meaning;
  }
  for (size_t i = 0; i < g.outputs.size(); ++i) g.values[size_t(g.outputs[i])].name = outputs_[i];
  g.name = model_->subgraphs[size_t(subgraph_)].name;
  g.metadata = metadata();
  g.metadata.emplace("layout", "NHWC");          // written again as it lies
  const M::Subgraph& main = model_->subgraphs[size_t(subgraph_)];
  for (size_t i = 0; i < g.inputs.size(); ++i) g.values[size_t(g.inputs[i])].quantized = main.tensors[size_t(main.in[i])].quantized;
  check_declared(g, "load_tflite", options_.max_memory);
  return g;
}

Graph TfliteProgram::graph() const {
  std::vector<Spec> open, fixed;
  for (const Input& i : inputs_) { open.push_back(i.spec); fixed.push_back(i.fixed); }
  if (open != fixed) {
    try {
      return trace(open);
    } catch (const TooLarge&) {
      throw;
    } catch (const Error&) {                     // sizes that the file writes down as numbers
    }
  }
  return trace(fixed);
}
Graph load_tflite(std::span<const std::byte> bytes, const TfliteOptions& o) {
  MemoryLimit limit("load_tflite", o.max_memory);
  return TfliteProgram(bytes, o).graph();
}
Graph load_tflite(const std::string& path, const TfliteOptions& o) { return load_tflite(read_pages(path, o.max_memory)->bytes(), o); }

}  // namespace miniten
