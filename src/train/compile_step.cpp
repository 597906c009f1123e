#include "miniten/train/compile_step.h"
#include "miniten/core/autograd.h"

namespace miniten::train {

namespace {
struct KeptGradients {                     // gradients of before, put back at the end
  std::vector<Tensor> parameters, before;
  explicit KeptGradients(std::vector<Tensor> all) : parameters(std::move(all)) {
    for (const Tensor& p : parameters) { before.push_back(p->grad); p->grad = Tensor(); }
  }
  ~KeptGradients() { for (size_t i = 0; i < parameters.size(); ++i) parameters[i]->grad = before[i]; }
};
}  // namespace

Graph trace_step(nn::Module& model, const LossFunction& loss, optim::Optimizer* optimizer, const std::vector<Spec>& inputs, const std::vector<Spec>& targets) {
  TraceNames names;
  for (auto& [name, t] : model.state_dict()) names.constants.emplace_back(t, name);
  std::vector<Spec> all = inputs;
  all.insert(all.end(), targets.begin(), targets.end());
  for (size_t i = 0; i < inputs.size(); ++i) names.inputs.push_back(inputs.size() == 1 ? "input" : "input_" + std::to_string(i));
  for (size_t i = 0; i < targets.size(); ++i) names.inputs.push_back(targets.size() == 1 ? "target" : "target_" + std::to_string(i));
  std::vector<Tensor> touched = model.parameters();
  if (optimizer) touched.insert(touched.end(), optimizer->parameters().begin(), optimizer->parameters().end());
  KeptGradients kept(touched);
  Swap grad(mode().grad, true);
  return trace(all, [&](const std::vector<Tensor>& in) {
    auto split = in.begin() + std::ptrdiff_t(inputs.size());
    std::vector<Tensor> outputs = model(std::vector<Tensor>(in.begin(), split));
    Tensor value = loss(outputs, {split, in.end()});
    if (value.rank() != 0) throw Error(ErrorKind::value, "compile_step", "a loss that is one number", value.shape().text(), "reduce it by mean() or sum()");
    backward(value);
    std::vector<Tensor> results{detach(value)};
    if (optimizer) {
      optimizer->step();
      for (const Tensor& o : outputs) results.push_back(detach(o));
    } else {
      for (const Tensor& p : kept.parameters) if (p->grad) results.push_back(p->grad);
    }
    return results;
  }, names);
}

CompiledStep::CompiledStep(nn::ModuleRef model, LossFunction loss, Ref<optim::Optimizer> optimizer, const std::vector<Spec>& inputs, const std::vector<Spec>& targets,
                           const CompileOptions& options)
    : model_(std::move(model)), optimizer_(std::move(optimizer)), inputs_(inputs), targets_(targets) {
  if (!model_ || !optimizer_) throw Error(ErrorKind::type, "compile_step", "a model and an optimizer", "none");
  if (!model_->training()) throw Error(ErrorKind::value, "compile_step", "a model in training mode", "one in eval mode", "call model.train()");
  session_ = std::make_unique<Session>(trace_step(*model_, loss, optimizer_.get(), inputs, targets), options);
}

CompiledStep::Result CompiledStep::run(std::span<const Tensor> given) {
  std::vector<Tensor> out = session_->run(given);
  const Graph& g = session_->graph();                          // who compiled with the weights of before looks at versions
  for (const State& s : g.states) ++g.values[size_t(s.entry)].constant->storage->version;
  return {out[0], {out.begin() + 1, out.end()}};
}

}  // namespace miniten::train
