#pragma once
#include "miniten/optim/optimizer.h"

namespace miniten::optim {

// Closed forms; after their last step they stay at the end.
double step_lr(double initial_lr, int64_t epoch, int64_t step_size, double gamma = 0.1);
double exponential_lr(double initial_lr, int64_t epoch, double gamma);
double cosine_annealing_lr(double initial_lr, int64_t epoch, int64_t T_max, double eta_min = 0);
double warmup_lr(double target_lr, int64_t current_step, int64_t warmup_steps);            // target * (step + 1) / warmup_steps until 1
double warmup_cosine_lr(double initial_lr, int64_t current_step, int64_t warmup_steps, int64_t total_steps, double eta_min = 0);

// Sets the optimizer's rate from a closed form, at once and after each step().
class Scheduler : public Object {
 public:
  Scheduler(Ref<Optimizer>, std::function<double(double base_lr, int64_t step)> lr_at, std::string name);
  void step();
  double lr_at(int64_t step) const { return lr_at_(base_lr_, step); }
  double get_last_lr() const;
  int64_t last_step() const { return step_; }
  double base_lr() const { return base_lr_; }
  void restore(int64_t step, double base_lr);    // resumes
  const std::string& name() const { return name_; }

 private:
  Ref<Optimizer> optimizer_;
  std::function<double(double, int64_t)> lr_at_;
  std::string name_;
  double base_lr_;
  int64_t step_ = 0;
};
Ref<Scheduler> StepLR(Ref<Optimizer>, int64_t step_size, double gamma = 0.1);
Ref<Scheduler> ExponentialLR(Ref<Optimizer>, double gamma);
Ref<Scheduler> CosineAnnealingLR(Ref<Optimizer>, int64_t T_max, double eta_min = 0);
Ref<Scheduler> LinearWarmup(Ref<Optimizer>, int64_t warmup_steps);
Ref<Scheduler> WarmupCosine(Ref<Optimizer>, int64_t warmup_steps, int64_t total_steps, double eta_min = 0);

}  // namespace miniten::optim
