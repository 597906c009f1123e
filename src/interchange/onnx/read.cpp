#include <filesystem>
#include <stdexcept>
#include "base/pages.h"
#include "interchange/limits.h"
#include "interchange/onnx/run.h"
#include "miniten/interchange/native.h"

namespace miniten {

namespace {

namespace M = onnx_model;

constexpr int newest_opset = 28, deepest_call = 64;

// How nodes of this kind are read; an empty one where MiniTen does not know it.
M::Reader reader_of(const std::string& key) {
  for (const OpDef* op : all_ops()) {
    if (op->onnx.name != key) continue;
    auto* rules = static_cast<const ForeignRules*>(op->onnx.rules);
    if (rules && rules->read) return {op, rules->read, rules->states};
    if (!rules) return {op, nullptr};
  }
  for (const ForeignComposition& c : foreign_compositions())
    if (c.format == "onnx" && c.type == key) return {nullptr, c.read};
  return {};
}

using onnx_run::Scope, onnx_run::run_nodes, onnx_run::run_node;
bool holds_symbols(const Tensor& t) {
  if (!t || !t.has_data() || t.dtype() != DType::i64 || t.numel() > 64) return false;
  for (int64_t d : t.to_vector<int64_t>()) if (is_symbol(d)) return true;
  return false;
}
void spend_node(const Scope& s) {                 // nodes, and graphs that may have none
  if (mode().recorder && --s.nodes_left < 0) throw TooLarge(ErrorKind::value, "load_onnx", "at most " + std::to_string(most_nodes) + " nodes, loops and calls unrolled", "more");
}

std::vector<Tensor> outputs_of(const std::vector<std::string>& names, const Scope& s) {
  std::vector<Tensor> out;
  for (const std::string& name : names) {
    const Tensor* t = s.find(name);
    if (!t) M::refuse("outputs that are computed", "\"" + name + "\"");
    out.push_back(*t);
  }
  return out;
}

class Reading final : public ForeignNode {
 public:
  Reading(const M::Node& n, int version, const Scope& scope) : n_(n), version_(version), scope_(scope) {}
  std::string_view type() const override { return n_.type; }
  std::string_view name() const override { return n_.name; }
  int version() const override { return version_; }
  int inputs() const override { return int(n_.in.size()); }
  int outputs() const override { return int(n_.out.size()); }
  bool training() const override { return scope_.training; }
  bool open(int i) const override { return i < inputs() && scope_.is_open(n_.in[size_t(i)]); }
  Tensor input(int i) const override {
    const std::string& name = n_.in.at(size_t(i));
    if (name.empty()) return {};
    const Tensor* t = scope_.find(name);
    if (!t) fail("inputs computed before", "\"" + name + "\"");
    return *t;
  }
  bool has(std::string_view a) const override { return find(a) != nullptr; }
  int64_t integer(std::string_view a, int64_t other) const override { auto* v = find(a); return v ? v->i : other; }
  double number(std::string_view a, double other) const override { auto* v = find(a); return v ? double(v->f) : other; }
  std::string text(std::string_view a, std::string other) const override { auto* v = find(a); return v ? v->s : other; }
  std::vector<int64_t> integers(std::string_view a, std::vector<int64_t> other) const override { auto* v = find(a); return v ? v->ints : other; }
  std::vector<float> numbers(std::string_view a, std::vector<float> other) const override { auto* v = find(a); return v ? v->floats : other; }
  std::vector<std::string> texts(std::string_view a) const override { auto* v = find(a); return v ? v->strings : std::vector<std::string>(); }
  Tensor tensor(std::string_view a) const override {
    auto* v = find(a);
    if (v && !v->t && !v->unread.empty()) fail("tensors of numbers that MiniTen has", v->unread);
    return v ? v->t : Tensor();
  }
  int body_inputs(std::string_view a) const override { return int(graph(a).inputs.size()); }
  std::vector<Tensor> body(std::string_view a, std::span<const Tensor> in) const override {
    const M::Graph& g = graph(a);
    if (in.size() != g.inputs.size()) fail("a graph of " + std::to_string(in.size()) + " inputs as " + std::string(a), std::to_string(g.inputs.size()));
    if (scope_.depth >= deepest_call) fail("at most " + std::to_string(deepest_call) + " calls within calls", "more");
    spend_node(scope_);
    for (const Tensor& t : in) if (holds_symbols(t) && scope_.any_open()) fail("known sizes in a loop", "open ones", "call it with arrays, or fix the sizes");
    Scope inner{scope_.model, scope_.opsets, scope_.nodes_left, scope_.training, scope_.islands, &scope_, scope_.depth + 1};
    for (const M::Initializer& i : g.initializers) inner.values[i.name] = i.tensor;
    for (size_t i = 0; i < in.size(); ++i) {
      inner.values[g.inputs[i].name] = in[i];
      inner.computed.insert(g.inputs[i].name);
    }
    run_nodes(g.nodes, g.outputs, inner);
    return outputs_of(g.outputs, inner);
  }

 private:
  const M::Attribute* find(std::string_view a) const { auto v = n_.attributes.find(a); return v == n_.attributes.end() ? nullptr : &v->second; }
  const M::Graph& graph(std::string_view a) const {
    auto* v = find(a);
    if (!v || !v->g) fail("a graph as attribute " + std::string(a), "none");
    return *v->g;
  }
  const M::Node& n_;
  int version_;
  const Scope& scope_;
};

// Attributes of a 1:1 op by their names.
Attrs attributes_by_name(const OpDef& op, const ForeignNode& n) {
  if (!op.attrs.clone) return nullptr;
  auto attrs = op.attrs.clone(op.attrs.defaults);
  op.attrs.fields(attrs.get(), [&](std::string_view name, FieldSlot slot) {
    if (auto** v = std::get_if<int64_t*>(&slot)) **v = n.integer(name, **v);
    else if (auto** b = std::get_if<bool*>(&slot)) **b = n.integer(name, **b) != 0;
    else if (auto** f = std::get_if<float*>(&slot)) **f = float(n.number(name, double(**f)));
  });
  return attrs;
}
std::vector<Tensor> run_one_to_one(const OpDef& op, const ForeignNode& n) {
  std::vector<Tensor> in;
  for (int i = 0; i < n.inputs(); ++i) in.push_back(n.required(i));
  std::vector<Input> inputs(in.begin(), in.end());
  std::vector<Tensor> out(size_t(op.outputs));
  Attrs attrs = attributes_by_name(op, n);
  apply(op, inputs, attrs.get(), out);
  return out;
}

const M::Function* function_of(const M::Model& model, const M::Node& n) {
  for (const M::Function& f : model.functions) if (f.name == n.type && f.domain == n.domain) return &f;
  return nullptr;
}
// The nodes of a function with what they take from the caller's attributes; what neither side gives is left out.
std::vector<M::Node> filled_in(const std::vector<M::Node>& nodes, const M::Function& f, const M::Node& caller) {
  std::vector<M::Node> out = nodes;
  for (M::Node& n : out)
    for (auto at = n.attributes.begin(); at != n.attributes.end();) {
      M::Attribute& a = at->second;
      if (!a.refers.empty()) {
        auto given = caller.attributes.find(a.refers), otherwise = f.defaults.find(a.refers);
        if (given != caller.attributes.end()) a = given->second;
        else if (otherwise != f.defaults.end()) a = otherwise->second;
        else { at = n.attributes.erase(at); continue; }
      } else if (a.g) {
        auto g = std::make_shared<M::Graph>(*a.g);
        g->nodes = filled_in(g->nodes, f, caller);
        a.g = g;
      }
      ++at;
    }
  return out;
}
std::vector<Tensor> call(const M::Function& f, const M::Node& n, const Scope& s) {
  if (s.depth >= deepest_call) M::refuse("functions that do not call themselves", "\"" + f.name + "\"");
  Scope inner{s.model, f.opsets, s.nodes_left, s.training, nullptr, nullptr, s.depth + 1};
  for (size_t i = 0; i < f.in.size() && i < n.in.size(); ++i) {
    if (n.in[i].empty()) continue;
    const Tensor* t = s.find(n.in[i]);
    if (!t) M::refuse("inputs computed before", "\"" + n.in[i] + "\"");
    inner.values[f.in[i]] = *t;
    if (s.is_open(n.in[i])) inner.open.insert(f.in[i]);
  }
  for (const std::string& name : f.in) inner.values.try_emplace(name);     // left out: null
  std::vector<std::string> names(f.out.begin(), f.out.begin() + int64_t(std::min(f.out.size(), n.out.size())));
  run_nodes(filled_in(f.nodes, f, n), names, inner);
  return outputs_of(names, inner);
}

[[noreturn]] void unknown(const M::Node& n, int version) {
  throw Error(ErrorKind::unsupported, "load_onnx", "operators that MiniTen reads",
              n.key() + "-" + std::to_string(version) + (n.name.empty() ? "" : " in node \"" + n.name + "\""), "docs/interchange/onnx.md lists them");
}
int version_of(const M::Opsets& opsets, const M::Node& n) {
  auto v = opsets.find(n.domain == "ai.onnx" ? "" : n.domain);
  return v == opsets.end() ? 1 : int(v->second);
}

}  // namespace

void onnx_run::run_node(const M::Node& n, Scope& s) {
  LayerScope layer(n.name);
  Reading node(n, version_of(s.opsets, n), s);
  spend_node(s);
  auto read = [&]() -> std::vector<Tensor> {
    if (n.reader.rule) return n.reader.rule(node);
    if (n.reader.op) return run_one_to_one(*n.reader.op, node);
    if (const M::Function* f = function_of(s.model, n)) return call(*f, n, s);
    n.reader = reader_of(n.key());
    if (n.reader.rule) return n.reader.rule(node);
    if (n.reader.op) return run_one_to_one(*n.reader.op, node);
    unknown(n, node.version());
  };
  auto run = [&] {                                    // what a rule takes for granted may be missing
    try {
      return read();
    } catch (const std::out_of_range&) {
      node.fail("all its inputs, outputs and numbers", std::to_string(n.in.size()) + " inputs and " + std::to_string(n.out.size()) + " outputs");
    } catch (const std::bad_alloc&) {
      node.fail("values that fit into memory", "larger ones");
    } catch (const TooLarge& e) {
      throw TooLarge(e.kind(), e.op(), e.want(), e.got() + " by " + n.key() + (n.name.empty() ? "" : " in node \"" + n.name + "\""), e.hint());
    }
  };
  std::vector<Tensor> out;
  bool known = mode().recorder && !n.in.empty();      // of constants alone: computed now, so shapes follow
  for (const std::string& name : n.in) {
    const Tensor* t = known ? s.find(name) : nullptr;
    known &= name.empty() || (t && *t && t->has_data() && !is_parameter(*t));
  }
  for (auto& [name, a] : n.attributes) known &= !a.g; // a body sees traced values
  if (n.reader.op && n.reader.op->traits.converts == Conversion::to_floats) known = false;   // what stands for integers stays
  OpenSizes open;
  bool traced = false;
  for (int i = 0; i < node.inputs(); ++i) {
    const Tensor* t = s.find(n.in[size_t(i)]);
    traced |= mode().recorder && t && *t && !t->has_data();
  }
  for (int i = 0; i < node.inputs(); ++i) if (node.open(i)) { open = read_open_sizes(node); break; }
  if (open.how == OpenSizes::known && !known) node.fail("known sizes", "open ones", "call it with arrays, or fix the sizes");
  if (open.how == OpenSizes::given) out = open.out;
  else if (known && open.how != OpenSizes::traced) {
    NoGrad no_grad;
    Swap<Recorder*> eager(mode().recorder, nullptr);
    out = run();
  } else out = run();
  if (out.size() < n.out.size()) node.fail(std::to_string(out.size()) + " outputs", std::to_string(n.out.size()));
  for (size_t i = 0; i < n.out.size(); ++i) {
    if (n.out[i].empty()) continue;
    if ((traced || open.how != OpenSizes::none) && holds_symbols(out[i])) s.open.insert(n.out[i]);
    s.computed.insert(n.out[i]);
    if (!s.values.emplace(n.out[i], out[i]).second) node.fail("one writer per value", "two for \"" + n.out[i] + "\"");
  }
}
void onnx_run::run_nodes(const std::vector<M::Node>& nodes, const std::vector<std::string>& outputs, Scope& s) {
  if (s.islands && !mode().recorder && !mode().grad) return run_islands(nodes, outputs, s, *s.islands);
  for (const M::Node& n : nodes) run_node(n, s);
}

namespace {

// Every operator is known before anything runs.
void check_operators(const std::vector<M::Node>& nodes, const M::Model& model, const M::Opsets& opsets, int depth = 0) {
  if (depth > deepest_call) M::refuse("graphs within graphs to a bounded depth", "deeper ones");
  for (const M::Node& n : nodes) {
    if (!function_of(model, n)) {
      n.reader = reader_of(n.key());
      if (!n.reader.rule && !n.reader.op) unknown(n, version_of(opsets, n));
    }
    for (auto& [name, a] : n.attributes) if (a.g) check_operators(a.g->nodes, model, opsets, depth + 1);
  }
}

void count_readers(const M::Graph& g, std::map<std::string, int>& readers) {
  for (const std::string& name : g.outputs) ++readers[name];
  for (const M::Node& n : g.nodes) {
    for (const std::string& name : n.in) ++readers[name];
    for (auto& [name, a] : n.attributes) if (a.g) count_readers(*a.g, readers);
  }
}
// Exporters write equal tensors once: a state that others read gets memory of its own. Names of all states.
std::set<std::string> part_states(M::Graph& g) {
  std::map<std::string, int> readers;
  std::set<std::string> states;
  count_readers(g, readers);
  for (M::Node& n : g.nodes)
    for (size_t i = 0; i < n.in.size() && i < 32; ++i) {
      if (!(n.reader.states >> i & 1)) continue;
      auto at = std::find_if(g.initializers.begin(), g.initializers.end(), [&](const M::Initializer& v) { return v.name == n.in[i]; });
      if (at == g.initializers.end()) continue;
      if (readers[n.in[i]]-- > 1) {
        std::string own = n.in[i];
        do own += "_"; while (readers.contains(own));
        readers[own] = 1;
        g.initializers.push_back({own, at->tensor.clone()});
        n.in[i] = own;
      }
      states.insert(n.in[i]);
    }
  return states;
}

void add_weights(M::Graph& g, std::vector<std::pair<Tensor, std::string>>& weights) {
  std::set<std::string> states = part_states(g);
  for (M::Initializer& i : g.initializers) {
    if (is_float(i.tensor.dtype()) && i.tensor.rank() > 0 && !states.contains(i.name)) i.tensor = parameter(i.tensor);
    weights.emplace_back(i.tensor, i.name);
  }
  for (M::Node& n : g.nodes)
    for (auto& [name, a] : n.attributes)
      if (a.g) {
        auto inner = std::make_shared<M::Graph>(*a.g);
        add_weights(*inner, weights);
        a.g = inner;
      }
}

}  // namespace

OnnxProgram::OnnxProgram(std::span<const std::byte> bytes, const std::string& folder, uint64_t max_memory) : max_memory_(max_memory) {
  if (bytes.size() > max_memory) MemoryLimit::refuse("load_onnx", max_memory, "a file of " + std::to_string(bytes.size()));
  MemoryLimit limit("load_onnx", max_memory);
  auto model = std::make_shared<M::Model>(M::parse(bytes, folder, max_memory));
  model_ = model;
  int64_t opset = model->opsets.contains("") ? model->opsets[""] : model->graph.nodes.empty() ? newest_opset : 0;
  if (model->opsets.size() == 1 && !model->opsets.contains("")) opset = newest_opset;      // of another domain alone
  if (opset < 1 || opset > newest_opset)
    throw Error(ErrorKind::unsupported, "load_onnx", "an opset from 1 to " + std::to_string(newest_opset), std::to_string(opset));
  check_operators(model->graph.nodes, *model, model->opsets);
  for (const M::Function& f : model->functions) check_operators(f.nodes, *model, f.opsets);
  add_weights(model->graph, weights_);
  std::set<std::string> given;
  for (auto& [t, name] : weights_) given.insert(name);
  for (const M::Input& i : model->graph.inputs) {
    if (given.contains(i.name)) continue;               // an initializer, listed as input too
    if (!i.typed)
      throw Error(ErrorKind::unsupported, "load_onnx", "a tensor of numbers of known rank as input \"" + i.name + "\"", i.other.empty() ? "no type" : i.other);
    inputs_.push_back({i.name, i.spec});
  }
  if (model->graph.outputs.empty()) M::refuse("at least one output", "none");
}
OnnxProgram::OnnxProgram(const std::string& path, uint64_t max_memory)
    : OnnxProgram(read_pages(path, max_memory)->bytes(), [&] {
        std::string folder = std::filesystem::path(path).parent_path().string();
        return folder.empty() ? std::string(".") : folder;
      }(), max_memory) {}

const std::vector<std::string>& OnnxProgram::outputs() const { return model_->graph.outputs; }
const std::string& OnnxProgram::name() const { return model_->graph.name; }
const std::map<std::string, std::string>& OnnxProgram::metadata() const { return model_->metadata; }

std::vector<Tensor> OnnxProgram::run(const std::vector<Tensor>& inputs, bool training, OnnxIslands* islands) const {
  if (inputs.size() != inputs_.size()) throw Error(ErrorKind::value, "onnx", std::to_string(inputs_.size()) + " inputs", std::to_string(inputs.size()));
  int64_t nodes_left = most_nodes;
  Scope s{*model_, model_->opsets, nodes_left, training, islands ? islands->all.get() : nullptr};
  for (const M::Initializer& i : model_->graph.initializers) s.values[i.name] = i.tensor;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Input& want = inputs_[i];
    if (inputs[i].dtype() != want.spec.dtype || inputs[i].rank() != want.spec.shape.rank)
      throw Error(inputs[i].dtype() != want.spec.dtype ? ErrorKind::type : ErrorKind::value, "onnx", "input \"" + want.name + "\" of " + want.spec.text(), inputs[i].spec().text());
    s.values[want.name] = inputs[i];
    s.computed.insert(want.name);
  }
  run_nodes(model_->graph.nodes, model_->graph.outputs, s);
  for (const std::string& name : outputs())
    if (s.is_open(name)) throw Error(ErrorKind::unsupported, "load_onnx", "known sizes as output \"" + name + "\"", "open ones", "call it with arrays, or fix the sizes");
  return outputs_of(model_->graph.outputs, s);
}

Graph OnnxProgram::trace(const std::vector<Spec>& inputs) const {
  TraceNames names{weights_, {}};
  for (const Input& i : inputs_) names.inputs.push_back(i.name);
  MemoryLimit limit("load_onnx", max_memory_);
  Graph g = miniten::trace(inputs, [&](const std::vector<Tensor>& in) { return run(in); }, names);
  for (size_t i = 0; i < g.outputs.size(); ++i) g.values[size_t(g.outputs[i])].name = outputs()[i];
  g.name = name();
  g.metadata = metadata();
  check_declared(g, "load_onnx", max_memory_);
  return g;
}

static Graph traced(const OnnxProgram& p) {
  std::vector<Spec> specs;
  for (const OnnxProgram::Input& i : p.inputs()) specs.push_back(i.spec);
  return p.trace(specs);
}
Graph load_onnx(std::span<const std::byte> bytes, const OnnxOptions& o) {
  MemoryLimit limit("load_onnx", o.max_memory);
  return traced(OnnxProgram(bytes, "", o.max_memory));
}
Graph load_onnx(const std::string& path, const OnnxOptions& o) {
  MemoryLimit limit("load_onnx", o.max_memory);
  return traced(OnnxProgram(path, o.max_memory));
}

}  // namespace miniten
