#include "miniten/optim/lr_scheduler.h"
#include <cmath>

namespace miniten::optim {

static void require(bool ok, const char* who, const char* want, int64_t got) {
  if (!ok) throw Error(ErrorKind::value, who, want, std::to_string(got));
}

double step_lr(double lr, int64_t epoch, int64_t step_size, double gamma) {
  require(step_size > 0, "step_lr", "a step_size of at least 1", step_size);
  require(epoch >= 0, "step_lr", "an epoch of 0 or more", epoch);
  return lr * std::pow(gamma, double(epoch / step_size));
}
double exponential_lr(double lr, int64_t epoch, double gamma) {
  require(epoch >= 0, "exponential_lr", "an epoch of 0 or more", epoch);
  return lr * std::pow(gamma, double(epoch));
}
double cosine_annealing_lr(double lr, int64_t epoch, int64_t T_max, double eta_min) {
  require(T_max > 0, "cosine_annealing_lr", "a T_max of at least 1", T_max);
  require(epoch >= 0, "cosine_annealing_lr", "an epoch of 0 or more", epoch);
  double t = double(std::min(epoch, T_max)) / double(T_max);
  return eta_min + (lr - eta_min) * (1 + std::cos(3.141592653589793 * t)) / 2;
}
double warmup_lr(double lr, int64_t step, int64_t warmup_steps) {
  require(warmup_steps >= 0, "warmup_lr", "warmup_steps of 0 or more", warmup_steps);
  require(step >= 0, "warmup_lr", "a step of 0 or more", step);
  return step >= warmup_steps ? lr : lr * double(step + 1) / double(warmup_steps);
}
double warmup_cosine_lr(double lr, int64_t step, int64_t warmup_steps, int64_t total_steps, double eta_min) {
  require(warmup_steps >= 0, "warmup_cosine_lr", "warmup_steps of 0 or more", warmup_steps);
  require(total_steps > warmup_steps, "warmup_cosine_lr", "total_steps above warmup_steps", total_steps);
  if (step < warmup_steps) return warmup_lr(lr, step, warmup_steps);
  return cosine_annealing_lr(lr, step - warmup_steps, total_steps - warmup_steps, eta_min);
}

Scheduler::Scheduler(Ref<Optimizer> optimizer, std::function<double(double, int64_t)> lr_at, std::string name)
    : optimizer_(std::move(optimizer)), lr_at_(std::move(lr_at)), name_(std::move(name)) {
  if (!optimizer_) throw Error(ErrorKind::type, name_, "an optimizer", "none");
  base_lr_ = optimizer_->lr();
  optimizer_->set_lr(lr_at_(base_lr_, 0));
}
void Scheduler::step() {
  ++step_;
  optimizer_->set_lr(lr_at_(base_lr_, step_));
}
double Scheduler::get_last_lr() const { return lr_at_(base_lr_, step_); }
void Scheduler::restore(int64_t step, double base_lr) {
  require(step >= 0, "scheduler", "a step of 0 or more", step);
  step_ = step;
  base_lr_ = base_lr;
  optimizer_->set_lr(lr_at_(base_lr_, step_));
}

Ref<Scheduler> StepLR(Ref<Optimizer> o, int64_t step_size, double gamma) {
  return make<Scheduler>(std::move(o), [=](double lr, int64_t step) { return step_lr(lr, step, step_size, gamma); }, "StepLR");
}
Ref<Scheduler> ExponentialLR(Ref<Optimizer> o, double gamma) {
  return make<Scheduler>(std::move(o), [=](double lr, int64_t step) { return exponential_lr(lr, step, gamma); }, "ExponentialLR");
}
Ref<Scheduler> CosineAnnealingLR(Ref<Optimizer> o, int64_t T_max, double eta_min) {
  return make<Scheduler>(std::move(o), [=](double lr, int64_t step) { return cosine_annealing_lr(lr, step, T_max, eta_min); }, "CosineAnnealingLR");
}
Ref<Scheduler> LinearWarmup(Ref<Optimizer> o, int64_t warmup_steps) {
  return make<Scheduler>(std::move(o), [=](double lr, int64_t step) { return warmup_lr(lr, step, warmup_steps); }, "LinearWarmup");
}
Ref<Scheduler> WarmupCosine(Ref<Optimizer> o, int64_t warmup_steps, int64_t total_steps, double eta_min) {
  return make<Scheduler>(std::move(o), [=](double lr, int64_t step) { return warmup_cosine_lr(lr, step, warmup_steps, total_steps, eta_min); }, "WarmupCosine");
}

}  // namespace miniten::optim
