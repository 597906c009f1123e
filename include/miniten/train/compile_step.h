#pragma once
#include "miniten/nn/module.h"
#include "miniten/optim/optimizer.h"

namespace miniten::train {

using LossFunction = std::function<Tensor(const std::vector<Tensor>& outputs, const std::vector<Tensor>& targets)>;

// Forward, loss, backward and update as one graph, not yet compiled: outputs are the loss and the model's outputs. Without an
// optimizer: the loss and the gradients of the parameters that have one. Gradients of before are put back.
Graph trace_step(nn::Module& model, const LossFunction&, optim::Optimizer*, const std::vector<Spec>& inputs, const std::vector<Spec>& targets);

// One whole training step as a planned graph: forward, loss, backward and the optimizer's update, for fixed shapes. It
// works on the model's parameters, the running statistics and the optimizer's states in place, so eager steps and compiled
// ones may alternate. Numbers are those of the eager step up to rounding. The rate is read at each run.
class CompiledStep : public Object {
 public:
  CompiledStep(nn::ModuleRef model, LossFunction, Ref<optim::Optimizer>, const std::vector<Spec>& inputs, const std::vector<Spec>& targets, const CompileOptions& = {});
  struct Result { Tensor loss; std::vector<Tensor> outputs; };
  Result run(std::span<const Tensor> inputs_and_targets);
  const Session& session() const { return *session_; }
  const std::vector<Spec>& inputs() const { return inputs_; }
  const std::vector<Spec>& targets() const { return targets_; }

 private:
  nn::ModuleRef model_;
  Ref<optim::Optimizer> optimizer_;
  std::vector<Spec> inputs_, targets_;
  std::unique_ptr<Session> session_;
};

}  // namespace miniten::train
