#include "miniten/nn/graph_module.h"

namespace miniten::nn {

GraphModule::GraphModule(Graph g) { adopt(std::move(g)); }

GraphModule::GraphModule(ModuleRef source, std::vector<std::function<void(Graph&)>> transforms)
    : source_(std::move(source)), transforms_(std::move(transforms)) {
  for (auto& [name, t] : source_->state_dict()) snapshot_.emplace_back(name, t.clone());
  train(source_->training());
}

// The graph's constants become this module's own: parameters and buffers under names that are legal and unique.
void GraphModule::adopt(Graph g) {
  graph_ = std::move(g);
  has_graph_ = true;
  bound_.clear();
  std::vector<std::string> taken;
  std::vector<std::pair<Tensor, std::string>> seen;
  for (size_t i = 0; i < graph_.values.size(); ++i) {
    Value& v = graph_.values[i];
    if (!v.constant) continue;
    std::string name;
    for (char c : v.name) name += c == '.' ? '/' : c;
    if (name.empty()) name = "constant_" + std::to_string(i);
    while (std::count(taken.begin(), taken.end(), name)) name += "_";
    taken.push_back(name);
    if (v.trainable && is_float(v.spec.dtype)) v.constant = register_parameter(name, v.constant);
    else register_buffer(name, v.constant);
  }
  initial_.clear();
  for (const State& s : graph_.states) initial_.push_back(graph_.values[size_t(s.entry)].constant.clone());
}

void GraphModule::reset() {
  for (size_t i = 0; i < initial_.size(); ++i) copy_values(initial_[i].view(), graph_.values[size_t(graph_.states[i].entry)].constant.view());
}

const Graph& GraphModule::graph() const {
  if (!has_graph_)
    throw Error(ErrorKind::value, type_name(), "a model whose input shape is known", "one that was never called",
                "call it once, or give input_shape");
  return graph_;
}

void GraphModule::materialize(const std::vector<Spec>& inputs) {
  if (has_graph_) return;
  NoGrad no_grad;
  Graph g = dynamic_cast<GraphModule*>(source_.get()) ? graph_of(type_name(), *source_, inputs) : trace_module(*source_, inputs);
  StateDict source = source_->state_dict();
  for (Value& v : g.values) {
    if (!v.constant) continue;
    bool found = false;
    for (auto& [name, t] : source) {
      if (t->storage.get() != v.constant->storage.get() || t->offset != v.constant->offset || t.spec() != v.spec) continue;
      for (auto& [known, own] : snapshot_) if (known == name) { v.constant = own; found = true; }
      if (found) break;
    }
    if (!found) v.constant = v.constant.clone();         // the result shares no memory with its source
  }
  for (auto& transform : transforms_) transform(g);
  transforms_.clear();
  adopt(std::move(g));
  source_ = {};
  snapshot_.clear();
}

void GraphModule::add_transform(std::function<void(Graph&)> transform) {
  if (!has_graph_) { transforms_.push_back(std::move(transform)); return; }
  Graph g = graph_;
  transform(g);
  verify(g);
  clear_refs();
  sessions_.clear();
  adopt(std::move(g));
}

void GraphModule::replace_weight(const std::string& name, const Tensor& t) {
  for (auto& [known, own] : snapshot_) if (known == name) { own = t.clone(); return; }
  for (Value& v : graph_.values)
    if (v.constant && v.name == name) {
      NoGrad no_grad;
      assign(v.constant, t);
      return;
    }
  throw Error(ErrorKind::value, type_name(), "the name of a weight", "\"" + name + "\"");
}

std::vector<Spec> GraphModule::input_specs() const {
  if (!last_input_specs().empty()) return last_input_specs();
  if (!has_graph_) return source_->last_input_specs();
  return graph_.specs(graph_.inputs);
}

const Graph& GraphModule::bound_graph(const std::vector<Spec>& inputs) {
  for (const Bound& b : bound_) if (b.inputs == inputs) return b.graph;
  if (bound_.size() >= 8) bound_.erase(bound_.begin());
  bound_.push_back({inputs, bind_inputs(graph_, inputs)});
  return bound_.back().graph;
}

uint64_t GraphModule::weights_version() const {
  uint64_t sum = 0;
  for (const Value& v : graph_.values) if (v.constant) sum += v.constant->storage->version;
  return sum;
}

Session& GraphModule::session(const std::vector<Spec>& inputs) {
  materialize(inputs);
  uint64_t version = weights_version();
  for (size_t i = 0; i < sessions_.size(); ++i)
    if (sessions_[i].inputs == inputs && sessions_[i].version == version) {
      if (i) std::swap(sessions_[0], sessions_[i]);
      return *sessions_[0].session;
    }
  std::erase_if(sessions_, [&](const Compiled& c) { return c.version != version; });
  if (sessions_.size() >= 8) sessions_.pop_back();
  sessions_.insert(sessions_.begin(), {inputs, version, std::make_unique<Session>(bind_inputs(graph_, inputs))});
  return *sessions_[0].session;
}

static bool has_training_form(const Graph& g) {
  return std::any_of(g.nodes.begin(), g.nodes.end(), [](const Node& n) { return n.op->train != nullptr; });
}

std::vector<Tensor> GraphModule::forward(const std::vector<Tensor>& inputs) {
  std::vector<Spec> specs;
  bool wants_grad = false;
  for (const Tensor& t : inputs) {
    specs.push_back(t.spec());
    wants_grad |= t.requires_grad() && mode().grad;
  }
  materialize(mode().recorder && !last_input_specs().empty() ? last_input_specs() : specs);
  bool trains = training() && (mode().grad || has_training_form(graph_));
  if (mode().recorder || wants_grad || trains) return replay(bound_graph(specs), inputs, {.training = training()});
  return session(specs).run(inputs);
}

Graph graph_of(std::string_view op, Module& m, const std::vector<Spec>& inputs) {
  if (auto* g = dynamic_cast<GraphModule*>(&m)) {
    if (!g->has_graph()) g->materialize(!inputs.empty() ? inputs : g->input_specs().empty() ? specs_or_last(op, m, inputs) : g->input_specs());
    if (!inputs.empty()) bind_inputs(g->graph(), inputs);          // throws where they do not fit
    return g->graph();
  }
  return trace_module(m, specs_or_last(op, m, inputs));
}

}  // namespace miniten::nn
