#include "edge/models.h"
#include <set>
#include "miniten/base/random.h"
#include "miniten/edge/benchmark.h"
#include "miniten/edge/pruning.h"
#include "miniten/edge/qat.h"

namespace miniten::edge {

std::vector<Spec> known_specs(const char* who, nn::Module& m, const std::vector<Spec>& given) {
  std::vector<Spec> specs = given;
  auto* g = dynamic_cast<nn::GraphModule*>(&m);
  if (specs.empty() && g && (g->has_graph() || g->source())) specs = g->input_specs();
  if (specs.empty()) specs = nn::specs_or_last(who, m, {});
  for (const Spec& s : specs)
    if (!s.shape.is_static()) throw Error(ErrorKind::value, who, "known sizes", s.text(), "pass input_shape, or call the model once on real data");
  return specs;
}

Graph graph_for(const char* who, nn::Module& m, const std::vector<Spec>& inputs) {
  if (auto* p = dynamic_cast<const PreparedModel*>(&m)) return p->convert()->graph();
  auto* g = dynamic_cast<nn::GraphModule*>(&m);
  if (!g || g->has_graph()) return nn::graph_of(who, m, inputs);
  auto copy = copy_waiting(*g);
  copy->materialize(inputs.empty() ? known_specs(who, m, inputs) : inputs);
  return copy->graph();
}
Graph whole_graph(const char* who, nn::Module& m, const std::vector<Spec>& inputs) {
  auto* g = dynamic_cast<nn::GraphModule*>(&m);
  return g && g->has_graph() && inputs.empty() ? g->graph() : graph_for(who, m, known_specs(who, m, inputs));
}
Graph bound_graph(const char* who, nn::Module& m, const std::vector<Spec>& given) {
  std::vector<Spec> specs = known_specs(who, m, given);
  return bind_inputs(graph_for(who, m, specs), specs);
}

Ref<nn::GraphModule> copy_waiting(const nn::GraphModule& m) {
  if (auto* q = dynamic_cast<const QuantizedModel*>(&m)) return q->clone();
  if (auto* p = dynamic_cast<const PrunedModel*>(&m)) return p->clone();
  auto* inner = dynamic_cast<nn::GraphModule*>(m.source().get());
  auto copy = make<nn::GraphModule>(inner && !inner->has_graph() ? nn::ModuleRef(copy_waiting(*inner)) : m.source(), m.transforms());
  for (auto& [name, t] : m.snapshot()) copy->replace_weight(name, t);
  return copy;
}

Graph own_copy(const Graph& from) {
  Graph g = from;
  for (Value& v : g.values) {
    if (!v.constant) continue;
    Tensor own = Tensor::empty(v.spec, v.constant.strides());
    copy_values(v.constant.view(), own.view());
    v.constant = v.trainable && is_float(v.spec.dtype) ? parameter(own) : own;
    if (v.mask) v.mask = v.mask.clone();
  }
  for (Node& n : g.nodes) for (Graph& sub : n.subgraphs) sub = own_copy(sub);
  return g;
}

void drop_unread(Graph& g) {
  std::vector<bool> read(g.values.size());
  auto mark = [&](const std::vector<int>& ids) { for (int id : ids) read[size_t(id)] = true; };
  for (const Node& n : g.nodes) { mark(n.in); mark(n.out); }
  mark(g.inputs);
  mark(g.outputs);
  for (State& s : g.states) read[size_t(s.entry)] = read[size_t(s.exit)] = true;
  std::vector<int> moved(g.values.size());
  std::vector<Value> values;
  for (size_t i = 0; i < read.size(); ++i) {
    moved[i] = int(values.size());
    if (read[i]) values.push_back(std::move(g.values[i]));
  }
  g.values = std::move(values);
  auto rename = [&](auto& ids) { for (int& id : ids) id = moved[size_t(id)]; };
  for (Node& n : g.nodes) { rename(n.in); rename(n.out); }
  rename(g.inputs);
  rename(g.outputs);
  for (State& s : g.states) s = {moved[size_t(s.entry)], moved[size_t(s.exit)]};
}

std::map<std::string, std::string> layer_types(nn::Module& m) {
  std::map<std::string, std::string> types;
  if (!dynamic_cast<nn::GraphModule*>(&m))
    for (auto& [name, inner] : m.named_modules()) types[name] = inner->type_name();
  return types;
}

namespace {
bool is_bit(uint32_t bits, size_t i) { return i < 32 && (bits >> i & 1); }

// What a dequantize node with constant parameters says of its integers.
std::shared_ptr<const Quantized> parameters_of(const Graph& g, const Node& n, DType dtype) {
  if (n.in.size() < 3 || !g.is_constant(n.in[1]) || !g.is_constant(n.in[2])) return nullptr;
  auto q = std::make_shared<Quantized>();
  q->dtype = dtype;
  q->scale = cast(g.values[size_t(n.in[1])].constant, DType::f32).to_vector<float>();
  q->zero = cast(g.values[size_t(n.in[2])].constant, DType::i32).to_vector<int32_t>();
  if (q->scale.size() > 1) {
    auto attrs = n.op->attrs.clone(n.attributes());
    n.op->attrs.fields(attrs.get(), [&](std::string_view name, FieldSlot slot) {
      if (name == "axis" && std::holds_alternative<int64_t*>(slot)) q->axis = int(*std::get<int64_t*>(slot));
    });
  }
  return q;
}
}  // namespace

std::vector<Weight> weights_of(const Graph& g) {
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  std::vector<int> producer(g.values.size(), -1);
  for (size_t n = 0; n < g.nodes.size(); ++n) for (int id : g.nodes[n].out) producer[size_t(id)] = int(n);
  std::vector<Weight> all;
  std::map<int, size_t> known;
  for (const Node& n : g.nodes)
    for (size_t i = 0; i < n.in.size(); ++i) {
      if (!is_bit(n.op->traits.weights, i)) continue;
      int id = n.in[i];
      const Node* converts = nullptr;
      while (!g.values[size_t(id)].constant && producer[size_t(id)] >= 0) {
        const Node& by = g.nodes[size_t(producer[size_t(id)])];
        if (by.op->traits.converts == Conversion::to_floats) converts = &by;
        else if (!by.op->traits.movement || by.in.size() != 1) break;
        id = by.in[0];
      }
      if (!g.is_constant(id)) continue;
      auto [at, is_new] = known.try_emplace(id, all.size());
      if (is_new) {
        const Value& v = g.values[size_t(id)];
        all.push_back({id, v.quantized ? v.quantized : converts ? parameters_of(g, *converts, v.spec.dtype) : nullptr, {}, {}});
      }
      all[at->second].layers.push_back(n.name);
      all[at->second].ops.push_back(std::string(n.op->name));
    }
  return all;
}

std::vector<int> parameters_of(const Graph& g) {
  std::set<int> ids, beside;
  std::map<int, const Quantized*> weights;
  std::vector<Weight> all = weights_of(g);
  for (const Weight& w : all) weights[w.value] = w.quantized.get();
  for (const Node& n : g.nodes) {
    const Quantized* q = nullptr;
    for (int id : n.in) if (auto w = weights.find(source_constant(g, id)); w != weights.end()) q = w->second;
    for (int id : n.in) {
      int constant = source_constant(g, id);
      if (constant < 0 || g.is_state(constant)) continue;
      const Value& v = g.values[size_t(constant)];
      bool is_scale = q && v.spec.dtype == DType::f32 && size_t(v.constant.numel()) >= q->scale.size() && !v.trainable;
      if (is_scale) {
        auto values = v.constant.to_vector<float>();
        for (size_t i = 0; i < values.size(); ++i) is_scale &= values[i] == q->scale[q->scale.size() == 1 ? 0 : i];
      }
      if (v.trainable || is_parameter(v.constant) || weights.count(constant)) ids.insert(constant);
      else if (n.op->traits.weights && n.op->traits.converts == Conversion::none && !is_scale) beside.insert(constant);
    }
  }
  for (auto& [id, q] : weights) ids.insert(id);
  ids.insert(beside.begin(), beside.end());
  return {ids.begin(), ids.end()};
}

int64_t zeros_of(const Tensor& t, const Quantized* q) {
  Tensor wide = Tensor::empty({DType::f64, t.shape()});
  copy_values(t.view(), wide.view());
  const double* v = wide.view().as<double>();
  int64_t zeros = 0, inner = 1;
  bool by_channel = q && q->zero.size() > 1 && q->axis >= 0 && q->axis < t.rank();
  if (by_channel) for (int i = q->axis + 1; i < t.rank(); ++i) inner *= t.dim(i);
  for (int64_t i = 0; i < t.numel(); ++i)
    zeros += v[i] == (!q || q->zero.empty() ? 0 : by_channel ? q->zero[size_t(i / inner % t.dim(q->axis))] : q->zero[0]);
  return zeros;
}

std::vector<LayerWork> layers_of(const Graph& g) {
  std::vector<LayerWork> layers;
  std::vector<Cost> greatest;
  std::map<std::string, size_t> by_name;
  std::set<int> parameters, counted;
  for (int id : parameters_of(g)) parameters.insert(id);
  for (const Node& n : g.nodes) {
    size_t at = layers.size();
    if (!n.name.empty()) at = by_name.try_emplace(n.name, at).first->second;
    if (at == layers.size()) {
      layers.push_back({n.name, std::string(n.op->name), {}, -1, -1, {}});
      greatest.emplace_back();
    }
    LayerWork& layer = layers[at];
    Cost c = cost_of(g, n);
    if (c.macs > greatest[at].macs || (c.macs == greatest[at].macs && c.flops > greatest[at].flops)) {
      greatest[at] = c;
      layer.op = std::string(n.op->name);
    }
    layer.cost.macs += c.macs;
    layer.cost.flops += c.flops;
    if (!n.out.empty()) layer.output = n.out[0];
    for (int id : n.in) if (layer.input < 0 && source_constant(g, id) < 0) layer.input = id;
    for (int id : n.in)
      if (int constant = source_constant(g, id); constant >= 0 && parameters.count(constant) && counted.insert(constant).second) layer.parameters.push_back(constant);
  }
  return layers;
}

bool matches(std::string_view pattern, std::string_view name) {
  size_t p = 0, n = 0, star = std::string_view::npos, from = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') { star = p++; from = n; }
    else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) { ++p; ++n; }
    else if (star != std::string_view::npos) { p = star + 1; n = ++from; }
    else return false;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::vector<Tensor> random_inputs(const std::vector<Spec>& specs) {
  Generator random(1);
  std::vector<Tensor> inputs;
  for (const Spec& s : specs) {
    Tensor floats = Tensor::empty({DType::f32, s.shape});
    if (!is_float(s.dtype)) { inputs.push_back(Tensor::zeros(s.shape, s.dtype)); continue; }
    for (int64_t i = 0; i < floats.numel(); ++i) floats.view().f32()[i] = random.normal();
    inputs.push_back(Tensor::empty(s));
    copy_values(floats.view(), inputs.back().view());
  }
  return inputs;
}

}  // namespace miniten::edge
