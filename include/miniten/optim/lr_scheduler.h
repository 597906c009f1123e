#pragma once
#include <functional>
#include "miniten/optim/optimizer.h"

namespace miniten::optim {

// Closed forms; after their last step they stay at the end.
double step_lr(double initial_lr, int64_t epoch, int64_t step_size, double gamma = 0.1);
double multi_step_lr(double initial_lr, int64_t epoch, std::span<const int64_t> milestones, double gamma = 0.1);
double exponential_lr(double initial_lr, int64_t epoch, double gamma);
double cosine_annealing_lr(double initial_lr, int64_t epoch, int64_t T_max, double eta_min = 0);
double warmup_lr(double target_lr, int64_t current_step, int64_t warmup_steps);            // target * (step + 1) / warmup_steps until 1
double warmup_cosine_lr(double initial_lr, int64_t current_step, int64_t warmup_steps, int64_t total_steps, double eta_min = 0);
double linear_lr(double initial_lr, int64_t epoch, double start_factor = 1.0 / 3, double end_factor = 1, int64_t total_iters = 5);
double polynomial_lr(double initial_lr, int64_t epoch, int64_t total_iters = 5, double power = 1);
double warm_restarts_lr(double initial_lr, int64_t epoch, int64_t T_0, int64_t T_mult = 1, double eta_min = 0);

// Smith and Topin 2018: from max / div_factor up to max in pct_start of the steps, then down to that / final_div_factor.
struct OneCycle {
  int64_t total_steps = 1;
  double pct_start = 0.3;
  bool cosine = true;                            // else straight lines
  double div_factor = 25, final_div_factor = 1e4;
  bool three_phase = false;                      // back to the start first, then down
  double base_momentum = 0.85, max_momentum = 0.95;      // momentum, or beta1, runs the other way
  double at(int64_t step, double start, double top, double end) const;
};
double one_cycle_lr(double max_lr, int64_t step, const OneCycle&);

// Sets the optimizer's rates from a closed form of (base rate, step), at once and after each step(). A group's base is
// its rate before its first schedule.
class Scheduler : public Object {
 public:
  using Form = std::function<double(double base_lr, int64_t step)>;
  Scheduler(Ref<Optimizer>, Form, std::string name);
  Scheduler(Ref<Optimizer>, std::vector<Form> by_group, std::string name);
  void step();
  double lr_at(int64_t step, size_t group = 0) const;
  double get_last_lr(size_t group = 0) const { return lr_at(step_, group); }
  int64_t last_step() const { return step_; }
  double base_lr(size_t group = 0) const { return base_lr_.at(group); }
  size_t groups() const { return base_lr_.size(); }
  void restore(int64_t step, std::span<const double> base_lr);   // resumes
  const std::string& name() const { return name_; }
  const Ref<Optimizer>& optimizer() const { return optimizer_; }
  std::function<void(Optimizer&, int64_t step)> also;            // moved with the rate, as one cycle's momentum

 private:
  void set();
  Ref<Optimizer> optimizer_;
  std::vector<Form> forms_;                      // one, or one for each group
  std::string name_;
  std::vector<double> base_lr_;
  int64_t step_ = 0;
};
Ref<Scheduler> StepLR(Ref<Optimizer>, int64_t step_size, double gamma = 0.1);
Ref<Scheduler> MultiStepLR(Ref<Optimizer>, std::vector<int64_t> milestones, double gamma = 0.1);
Ref<Scheduler> ExponentialLR(Ref<Optimizer>, double gamma);
Ref<Scheduler> CosineAnnealingLR(Ref<Optimizer>, int64_t T_max, double eta_min = 0);
Ref<Scheduler> CosineAnnealingWarmRestarts(Ref<Optimizer>, int64_t T_0, int64_t T_mult = 1, double eta_min = 0);
Ref<Scheduler> LinearLR(Ref<Optimizer>, double start_factor = 1.0 / 3, double end_factor = 1, int64_t total_iters = 5);
Ref<Scheduler> ConstantLR(Ref<Optimizer>, double factor = 1.0 / 3, int64_t total_iters = 5);
Ref<Scheduler> PolynomialLR(Ref<Optimizer>, int64_t total_iters = 5, double power = 1);
Ref<Scheduler> LinearWarmup(Ref<Optimizer>, int64_t warmup_steps);
Ref<Scheduler> WarmupCosine(Ref<Optimizer>, int64_t warmup_steps, int64_t total_steps, double eta_min = 0);
Ref<Scheduler> OneCycleLR(Ref<Optimizer>, double max_lr, const OneCycle&, bool cycle_momentum = true);
Ref<Scheduler> LambdaLR(Ref<Optimizer>, std::vector<std::function<double(int64_t)>> factors);   // one, or one for each group
Ref<Scheduler> SequentialLR(Ref<Optimizer>, std::vector<Ref<Scheduler>>, std::vector<int64_t> milestones);   // each begins anew at its milestone

// Lowers the rates when a metric has not improved for `patience` steps. Torch's rules.
class ReduceLROnPlateau : public Object {
 public:
  struct Options {
    bool maximize = false;
    double factor = 0.1;
    int64_t patience = 10;
    double threshold = 1e-4;
    bool relative = true;                        // of the threshold
    int64_t cooldown = 0;
    double min_lr = 0, eps = 1e-8;
  };
  ReduceLROnPlateau(Ref<Optimizer>, const Options&);
  bool step(double metric);                      // true: lowered now
  struct State { double best; int64_t bad_steps, cooldown_left, last_step; };
  const State& state() const { return state_; }
  void restore(const State& s) { state_ = s; }
  const Ref<Optimizer>& optimizer() const { return optimizer_; }

 private:
  Ref<Optimizer> optimizer_;
  Options options_;
  State state_;
};

}  // namespace miniten::optim
