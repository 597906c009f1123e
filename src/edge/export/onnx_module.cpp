#include "miniten/edge/export.h"
#include "miniten/graph/passes.h"

namespace miniten::edge {

OnnxModule::OnnxModule(OnnxProgram p) : program_(std::move(p)) {
  std::vector<std::string> taken;
  for (auto& [t, given] : program_.weights()) {
    std::string name;
    for (char c : given) name += c == '.' ? '/' : c;
    while (name.empty() || std::count(taken.begin(), taken.end(), name)) name += "_";
    taken.push_back(name);
    if (is_parameter(t)) register_parameter(name, t);
    else register_buffer(name, t);
  }
  eval();
}

std::vector<Tensor> OnnxModule::forward(const std::vector<Tensor>& inputs) {
  std::vector<Spec> specs;
  bool wants_grad = training();
  for (const Tensor& t : inputs) {
    specs.push_back(t.spec());
    wants_grad |= t.requires_grad() && mode().grad;
  }
  if (mode().recorder || wants_grad) return program_.run(inputs, training() && !mode().recorder);
  NoGrad no_grad;
  if (by_node_.empty()) {
    auto known = std::find_if(compiled_.begin(), compiled_.end(), [&](const Compiled& c) { return c.inputs == specs; });
    if (known == compiled_.end()) {
      try {
        if (compiled_.size() >= 8) compiled_.erase(compiled_.begin());
        compiled_.push_back({specs, make<nn::GraphModule>(program_.trace(specs))});
        compiled_.back().graph->eval();
        known = compiled_.end() - 1;
      } catch (const Error& e) {
        by_node_ = e.what();                             // if it is an error of the inputs, the run below says so
      }
    }
    if (by_node_.empty()) return (*known->graph)(inputs);
  }
  std::string reason = std::move(by_node_);
  by_node_.clear();
  auto out = program_.run(inputs, false, &islands_);
  by_node_ = std::move(reason);
  return out;
}

static nn::ModuleRef module_of(OnnxProgram p, const OnnxOptions& o) {
  std::vector<Spec> specs;
  for (const OnnxProgram::Input& i : p.inputs()) specs.push_back(i.spec);
  try {
    Graph g = p.trace(specs);
    if (o.fold_batch_norm) {
      fold_batch_norm(g);
      for (size_t i = 0; i < g.values.size(); ++i)       // what went up in other weights is none any more
        if (g.readers(int(i)).empty() && !std::count(g.outputs.begin(), g.outputs.end(), int(i))) g.values[i].constant = {};
    }
    auto m = make<nn::GraphModule>(std::move(g));
    m->eval();
    return m;
  } catch (const TooLarge&) {
    throw;
  } catch (const Error& e) {
    if (o.fold_batch_norm)
      throw Error(ErrorKind::unsupported, "load_onnx", "a model whose graph is known without inputs, to fold batch norms", e.what(), "load without fold_batch_norm");
    return make<OnnxModule>(std::move(p));
  }
}
nn::ModuleRef load_onnx(const std::string& path, const OnnxOptions& o) { return module_of(OnnxProgram(path, o.max_memory), o); }
nn::ModuleRef load_onnx(std::span<const std::byte> bytes, const OnnxOptions& o) { return module_of(OnnxProgram(bytes, "", o.max_memory), o); }

}  // namespace miniten::edge
