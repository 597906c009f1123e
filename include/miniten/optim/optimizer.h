#pragma once
#include <functional>
#include <optional>
#include <span>
#include "miniten/core/tensor.h"
#include "miniten/ops/attrs.h"

namespace miniten::optim {

// What to train: a list, or groups with hyper-parameters of their own by name ("lr", "weight_decay", ..).
using Options = std::vector<std::pair<std::string, double>>;
struct GroupSpec { std::vector<Tensor> parameters; Options options; };
struct Parameters {
  std::vector<GroupSpec> groups;
  Parameters(std::vector<Tensor> all) { groups.push_back({std::move(all), {}}); }
  Parameters(std::vector<GroupSpec> given) : groups(std::move(given)) {}
};

// A hyper-parameter's name, default and range [low, high). Switches are 0 or 1.
struct Rule { const char* name; double value, low = 0, high = 1e30; };

enum class OnNonfinite { step, skip, raise };    // gradients with NaN or infinities: as torch, pass the step over, refuse

// Moves parameters by their gradients. Updates are ops that overwrite states, so a training step can be traced.
// Formulas are torch's. Throws for an empty list, a parameter given twice, or a hyper-parameter unknown or out of range.
class Optimizer : public Object {
 public:
  struct Group {
    std::vector<size_t> members;                 // indices into parameters()
    Tensor lr;                                   // float32 scalar: a state that a traced step reads
    Options options;                             // the others
    std::optional<double> initial_lr;            // before the first schedule
  };
  Optimizer(const char* name, const Parameters&, std::vector<Rule> rules);
  void step();                                   // parameters without gradient are passed over
  void zero_grad();
  double lr(size_t group = 0) const;
  void set_lr(double);                           // of every group
  void set_lr(double, size_t group);
  const std::vector<Tensor>& parameters() const { return parameters_; }
  const std::vector<Group>& groups() const { return groups_; }
  void add_group(const GroupSpec&);
  double option(std::string_view name, size_t group = 0) const;            // "lr" too; throws for an unknown name
  bool has_option(std::string_view name) const;
  void set_option(std::string_view name, double value, size_t group);
  void set_initial_lr(double, size_t group);
  int64_t steps() const;
  using State = std::vector<std::pair<std::string, Tensor>>;
  State state_dict() const;                      // "lr", "step", "<option>:<group>", and per parameter "<slot>.<index>"; copies
  void load_state_dict(const State&);            // throws for missing or mis-shaped entries; nothing is changed then
  std::string type_name() const { return name_; }
  OnNonfinite on_nonfinite = OnNonfinite::step;
  // States of parameters of 256 values or more as 8-bit codes in blocks of 256: the fourth root of each magnitude over the
  // block's greatest, rounded up or down by chance so that no value drifts. Before the first step; eager steps alone.
  void use_int8_states();
  bool int8_states() const { return int8_; }

 protected:
  virtual void update(size_t i, const Tensor& p, const Tensor& g, const Group&) = 0;
  Tensor slot(std::string_view name, size_t i, double start = 0, bool scalar = false);   // like parameter i, or a float64 scalar; made at first use
                                                 // with 8-bit states a copy, which is put back after the update
  Tensor step_of(size_t i) const;                // float32: the steps in which parameter i had a gradient
  static double get(const Group&, std::string_view name);

 private:
  const Rule& rule(std::string_view name) const;
  bool passes(const std::vector<Tensor>& grads) const;
  Tensor& stored(std::string_view name, size_t i, const std::function<Tensor()>& fresh);
  void put_back();
  const char* name_;
  std::vector<Rule> rules_;
  Tensor step_;
  std::vector<Tensor> parameters_;
  std::vector<Group> groups_;
  std::vector<int64_t> missed_;                  // steps without a gradient, by parameter
  struct Slot { std::string name; size_t index; Tensor value; };
  std::vector<Slot> slots_;
  bool int8_ = false;
  std::vector<Slot> open_;                       // copies of 8-bit states while an update runs
};

class SGD : public Optimizer {
 public:
  struct Options { double lr = 1e-3, momentum = 0, weight_decay = 0; bool nesterov = false; double dampening = 0; bool maximize = false; };
  SGD(const Parameters&, const Options&);

 private:
  void update(size_t, const Tensor&, const Tensor&, const Group&) override;
};
class Adam : public Optimizer {                  // Kingma and Ba 2015; amsgrad: Reddi et al. 2018; decoupled: AdamW, Loshchilov and Hutter 2019
 public:
  struct Options { double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0; bool amsgrad = false, maximize = false; };
  Adam(const Parameters&, const Options&, bool decoupled = false);

 private:
  void update(size_t, const Tensor&, const Tensor&, const Group&) override;
  bool decoupled_;
};
struct AdamW : Adam {
  static Options defaults() { Options o; o.weight_decay = 0.01; return o; }
  explicit AdamW(const Parameters& parameters, const Options& o = defaults()) : Adam(parameters, o, true) {}
};
class NAdam : public Optimizer {                 // Dozat 2016
 public:
  struct Options { double lr = 2e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0, momentum_decay = 4e-3; bool decoupled_weight_decay = false, maximize = false; };
  NAdam(const Parameters&, const Options&);

 private:
  void update(size_t, const Tensor&, const Tensor&, const Group&) override;
};
class RAdam : public Optimizer {                 // Liu et al. 2020
 public:
  struct Options { double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0; bool decoupled_weight_decay = false, maximize = false; };
  RAdam(const Parameters&, const Options&);

 private:
  void update(size_t, const Tensor&, const Tensor&, const Group&) override;
};
class RMSprop : public Optimizer {
 public:
  struct Options { double lr = 1e-2, alpha = 0.99, eps = 1e-8, weight_decay = 0, momentum = 0; bool centered = false, maximize = false; };
  RMSprop(const Parameters&, const Options&);

 private:
  void update(size_t, const Tensor&, const Tensor&, const Group&) override;
};
class Adagrad : public Optimizer {               // Duchi et al. 2011
 public:
  struct Options { double lr = 1e-2, lr_decay = 0, weight_decay = 0, initial_accumulator_value = 0, eps = 1e-10; bool maximize = false; };
  Adagrad(const Parameters&, const Options&);

 private:
  void update(size_t, const Tensor&, const Tensor&, const Group&) override;
};
class Lion : public Optimizer {                  // Chen et al. 2023
 public:
  struct Options { double lr = 1e-4, beta1 = 0.9, beta2 = 0.99, weight_decay = 0; bool maximize = false; };
  Lion(const Parameters&, const Options&);

 private:
  void update(size_t, const Tensor&, const Tensor&, const Group&) override;
};

// An exponential moving average of parameters: average = decay * average + (1 - decay) * parameter.
class EMA : public Object {
 public:
  EMA(std::vector<Tensor> parameters, double decay = 0.999);
  void update();
  void swap();                                   // averages and parameters change places
  void copy_to(std::span<const Tensor> parameters) const;
  const std::vector<Tensor>& averages() const { return averages_; }
  void restore(std::span<const Tensor> averages);
  double decay;

 private:
  std::vector<Tensor> parameters_, averages_;
};

// Scales gradients so that their p-norm (infinity: the greatest) is at most max_norm -> the norm before.
double clip_grad_norm(std::span<const Tensor> parameters, double max_norm, double norm_type = 2, bool error_if_nonfinite = false);
void clip_grad_value(std::span<const Tensor> parameters, double clip_value);

}  // namespace miniten::optim
