#include "miniten/edge/export.h"
#include "miniten/edge/pruning.h"
#include "miniten/edge/quantization.h"

namespace miniten::edge {

OnnxReport export_onnx(nn::Module& m, const std::vector<Spec>& inputs, const std::string& path, const OnnxExport& o, bool dynamic_batch) {
  auto* graph_module = dynamic_cast<nn::GraphModule*>(&m);
  std::vector<Spec> specs = inputs;
  if (specs.empty()) specs = graph_module && graph_module->has_graph() ? graph_module->input_specs() : nn::specs_or_last("export_onnx", m, {});
  Graph g = nn::graph_of("export_onnx", m, specs);
  bool known = true;
  for (const Spec& s : specs) known &= s.shape.is_static();
  if (!dynamic_batch && known) g = bind_inputs(g, specs);
  return miniten::export_onnx(g, path, o);
}

static Ref<nn::GraphModule> imported(Graph g) {
  auto m = make<nn::GraphModule>(std::move(g));
  m->eval();
  return m;
}
Ref<nn::GraphModule> load_onnx(const std::string& path, const OnnxOptions& o) { return imported(miniten::load_onnx(path, o)); }
Ref<nn::GraphModule> load_onnx(std::span<const std::byte> bytes, const OnnxOptions& o) { return imported(miniten::load_onnx(bytes, o)); }

size_t export_miniten(nn::Module& m, const std::string& path, const std::vector<Spec>& inputs, const optim::Optimizer* optimizer) {
  if (auto* g = dynamic_cast<nn::GraphModule*>(&m); g && !g->has_graph() && !inputs.empty()) g->materialize(inputs);
  if (!optimizer) {
    if (auto* q = dynamic_cast<QuantizedModel*>(&m)) return q->save(path);
    if (auto* p = dynamic_cast<PrunedModel*>(&m)) return p->save(path);
  }
  NativeFile f;
  f.graph = nn::graph_of("export_miniten", m, inputs);
  f.has_graph = true;
  f.kind = "graph";
  if (optimizer) for (auto& [name, t] : optimizer->state_dict()) f.tensors.push_back({"optimizer." + name, t});
  return save_native(f, path);
}

static Ref<nn::GraphModule> from_file(const NativeFile& f, optim::Optimizer::State* state) {
  if (state)
    for (const NamedTensor& t : f.tensors)
      if (t.name.starts_with("optimizer.")) state->emplace_back(t.name.substr(10), t.tensor);
  if (f.kind == "quantized") return QuantizedModel::from_file(f);
  if (f.kind == "pruned") return PrunedModel::from_file(f);
  if (!f.has_graph) throw Error(ErrorKind::value, "load_miniten", "a file with a model", "kind \"" + f.kind + "\"", "load its arrays with load_state_dict");
  return imported(f.graph);
}
Ref<nn::GraphModule> load_miniten(const std::string& path, optim::Optimizer::State* state) { return from_file(load_native(path), state); }
Ref<nn::GraphModule> load_miniten(std::span<const std::byte> bytes, optim::Optimizer::State* state) { return from_file(load_native(bytes), state); }

}  // namespace miniten::edge
