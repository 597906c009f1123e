#pragma once
#include "miniten/core/tensor.h"
#include "miniten/ops/attrs.h"

namespace miniten::optim {

// Moves parameters by their gradients. Updates are ops that overwrite states, so a training step can be traced.
// Formulas are torch's. Throws for an empty list, a parameter given twice, or a hyper-parameter out of range.
class Optimizer : public Object {
 public:
  explicit Optimizer(std::vector<Tensor> parameters, double lr);
  void step();                                   // parameters without gradient are passed over
  void zero_grad();
  double lr() const;
  void set_lr(double);
  const std::vector<Tensor>& parameters() const { return parameters_; }
  int64_t steps() const;
  using State = std::vector<std::pair<std::string, Tensor>>;
  State state_dict() const;                      // "lr", "step" and per parameter "<slot>.<index>"; copies
  void load_state_dict(const State&);            // throws for missing or mis-shaped entries; nothing is changed then
  virtual std::string type_name() const = 0;

 protected:
  virtual void update(size_t i, const Tensor& p, const Tensor& g) = 0;
  Tensor slot(std::string_view name, size_t i);  // zeros like parameter i, made at first use
  Tensor step_, lr_;                             // float32 scalars: states that a traced step moves

 private:
  std::vector<Tensor> parameters_;
  struct Slot { std::string name; size_t index; Tensor value; };
  std::vector<Slot> slots_;
};

class SGD : public Optimizer {
 public:
  struct Options { double lr = 1e-3, momentum = 0, weight_decay = 0; bool nesterov = false; };
  SGD(std::vector<Tensor> parameters, const Options&);
  std::string type_name() const override { return "SGD"; }

 private:
  void update(size_t, const Tensor&, const Tensor&) override;
  SgdAttrs attrs_;
};
class Adam : public Optimizer {                  // Kingma and Ba 2015; decoupled: AdamW, Loshchilov and Hutter 2019
 public:
  struct Options { double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0; };
  Adam(std::vector<Tensor> parameters, const Options&, bool decoupled = false);
  std::string type_name() const override { return attrs_.decoupled ? "AdamW" : "Adam"; }

 private:
  void update(size_t, const Tensor&, const Tensor&) override;
  AdamAttrs attrs_;
};
struct AdamW : Adam {
  static Options defaults() { Options o; o.weight_decay = 0.01; return o; }
  explicit AdamW(std::vector<Tensor> parameters, const Options& o = defaults()) : Adam(std::move(parameters), o, true) {}
};

double clip_grad_norm(std::span<const Tensor> parameters, double max_norm);    // -> the 2-norm before clipping
void clip_grad_value(std::span<const Tensor> parameters, double clip_value);

}  // namespace miniten::optim
