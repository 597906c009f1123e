#include "miniten/optim/lr_scheduler.h"
#include <algorithm>
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

double multi_step_lr(double lr, int64_t epoch, std::span<const int64_t> milestones, double gamma) {
  require(epoch >= 0, "multi_step_lr", "an epoch of 0 or more", epoch);
  return lr * std::pow(gamma, double(std::count_if(milestones.begin(), milestones.end(), [=](int64_t m) { return m <= epoch; })));
}
double linear_lr(double lr, int64_t epoch, double start, double end, int64_t total) {
  require(total > 0, "linear_lr", "total_iters of at least 1", total);
  require(epoch >= 0, "linear_lr", "an epoch of 0 or more", epoch);
  return lr * (start + (end - start) * double(std::min(epoch, total)) / double(total));
}
double polynomial_lr(double lr, int64_t epoch, int64_t total, double power) {
  require(total > 0, "polynomial_lr", "total_iters of at least 1", total);
  require(epoch >= 0, "polynomial_lr", "an epoch of 0 or more", epoch);
  return lr * std::pow(1 - double(std::min(epoch, total)) / double(total), power);
}
double warm_restarts_lr(double lr, int64_t epoch, int64_t T_0, int64_t T_mult, double eta_min) {
  require(T_0 > 0, "warm_restarts_lr", "a T_0 of at least 1", T_0);
  require(T_mult > 0, "warm_restarts_lr", "a T_mult of at least 1", T_mult);
  require(epoch >= 0, "warm_restarts_lr", "an epoch of 0 or more", epoch);
  int64_t length = T_0;
  if (T_mult == 1) epoch %= T_0;
  else for (; epoch >= length; length *= T_mult) epoch -= length;
  return cosine_annealing_lr(lr, epoch, length, eta_min);
}

double OneCycle::at(int64_t step, double start, double top, double end) const {
  struct Phase { double last, from, to; };
  double total = double(total_steps), up = pct_start * total - 1;
  Phase two[] = {{up, start, top}, {total - 1, top, end}}, three[] = {{up, start, top}, {2 * pct_start * total - 2, top, start}, {total - 1, start, end}};
  std::span<const Phase> phases = three_phase ? std::span<const Phase>(three) : std::span<const Phase>(two);
  double t = std::min(double(step), total - 1), begin = 0;
  for (const Phase& p : phases) {
    if (t > p.last && &p != &phases.back()) { begin = p.last; continue; }
    double share = p.last > begin ? std::clamp((t - begin) / (p.last - begin), 0.0, 1.0) : 1;
    return cosine ? p.to + (p.from - p.to) / 2 * (1 + std::cos(3.141592653589793 * share)) : p.from + (p.to - p.from) * share;
  }
  return end;
}
double one_cycle_lr(double max_lr, int64_t step, const OneCycle& c) {
  require(c.total_steps > 0, "one_cycle_lr", "total_steps of at least 1", c.total_steps);
  require(step >= 0, "one_cycle_lr", "a step of 0 or more", step);
  double start = max_lr / c.div_factor;
  return c.at(step, start, max_lr, start / c.final_div_factor);
}

Scheduler::Scheduler(Ref<Optimizer> optimizer, Form form, std::string name) : Scheduler(std::move(optimizer), std::vector<Form>{std::move(form)}, std::move(name)) {}
Scheduler::Scheduler(Ref<Optimizer> optimizer, std::vector<Form> forms, std::string name)
    : optimizer_(std::move(optimizer)), forms_(std::move(forms)), name_(std::move(name)) {
  if (!optimizer_) throw Error(ErrorKind::type, name_, "an optimizer", "none");
  size_t n = optimizer_->groups().size();
  if (forms_.size() != 1 && forms_.size() != n) throw Error(ErrorKind::value, name_, "one function, or one for each of " + std::to_string(n) + " groups", std::to_string(forms_.size()));
  for (size_t g = 0; g < n; ++g) {
    if (!optimizer_->groups()[g].initial_lr) optimizer_->set_initial_lr(optimizer_->lr(g), g);
    base_lr_.push_back(*optimizer_->groups()[g].initial_lr);
  }
  set();
}
double Scheduler::lr_at(int64_t step, size_t group) const { return forms_[forms_.size() == 1 ? 0 : group](base_lr_.at(group), step); }
void Scheduler::set() {
  for (size_t g = 0; g < base_lr_.size(); ++g) optimizer_->set_lr(lr_at(step_, g), g);
  if (also) also(*optimizer_, step_);
}
void Scheduler::step() {
  ++step_;
  set();
}
void Scheduler::restore(int64_t step, std::span<const double> base_lr) {
  require(step >= 0, "scheduler", "a step of 0 or more", step);
  require(base_lr.size() == base_lr_.size(), "scheduler", "a base_lr for each group", int64_t(base_lr.size()));
  step_ = step;
  base_lr_.assign(base_lr.begin(), base_lr.end());
  set();
}

static Ref<Scheduler> scheduler(Ref<Optimizer> o, Scheduler::Form form, const char* name) { return make<Scheduler>(std::move(o), std::move(form), name); }
Ref<Scheduler> StepLR(Ref<Optimizer> o, int64_t step_size, double gamma) {
  return scheduler(std::move(o), [=](double lr, int64_t step) { return step_lr(lr, step, step_size, gamma); }, "StepLR");
}
Ref<Scheduler> MultiStepLR(Ref<Optimizer> o, std::vector<int64_t> milestones, double gamma) {
  return scheduler(std::move(o), [=](double lr, int64_t step) { return multi_step_lr(lr, step, milestones, gamma); }, "MultiStepLR");
}
Ref<Scheduler> ExponentialLR(Ref<Optimizer> o, double gamma) {
  return scheduler(std::move(o), [=](double lr, int64_t step) { return exponential_lr(lr, step, gamma); }, "ExponentialLR");
}
Ref<Scheduler> CosineAnnealingLR(Ref<Optimizer> o, int64_t T_max, double eta_min) {
  return scheduler(std::move(o), [=](double lr, int64_t step) { return cosine_annealing_lr(lr, step, T_max, eta_min); }, "CosineAnnealingLR");
}
Ref<Scheduler> CosineAnnealingWarmRestarts(Ref<Optimizer> o, int64_t T_0, int64_t T_mult, double eta_min) {
  return scheduler(std::move(o), [=](double lr, int64_t step) { return warm_restarts_lr(lr, step, T_0, T_mult, eta_min); }, "CosineAnnealingWarmRestarts");
}
Ref<Scheduler> LinearLR(Ref<Optimizer> o, double start, double end, int64_t total) {
  return scheduler(std::move(o), [=](double lr, int64_t step) { return linear_lr(lr, step, start, end, total); }, "LinearLR");
}
Ref<Scheduler> ConstantLR(Ref<Optimizer> o, double factor, int64_t total) {
  return scheduler(std::move(o), [=](double lr, int64_t step) { return step < total ? lr * factor : lr; }, "ConstantLR");
}
Ref<Scheduler> PolynomialLR(Ref<Optimizer> o, int64_t total, double power) {
  return scheduler(std::move(o), [=](double lr, int64_t step) { return polynomial_lr(lr, step, total, power); }, "PolynomialLR");
}
Ref<Scheduler> LinearWarmup(Ref<Optimizer> o, int64_t warmup_steps) {
  return scheduler(std::move(o), [=](double lr, int64_t step) { return warmup_lr(lr, step, warmup_steps); }, "LinearWarmup");
}
Ref<Scheduler> WarmupCosine(Ref<Optimizer> o, int64_t warmup_steps, int64_t total_steps, double eta_min) {
  return scheduler(std::move(o), [=](double lr, int64_t step) { return warmup_cosine_lr(lr, step, warmup_steps, total_steps, eta_min); }, "WarmupCosine");
}
Ref<Scheduler> OneCycleLR(Ref<Optimizer> o, double max_lr, const OneCycle& c, bool cycle_momentum) {
  if (!(c.pct_start >= 0 && c.pct_start <= 1)) throw Error(ErrorKind::value, "OneCycleLR", "a pct_start in [0, 1]", std::to_string(c.pct_start));
  const char* name = o && o->has_option("momentum") ? "momentum" : "beta1";
  if (cycle_momentum && o && !o->has_option(name)) throw Error(ErrorKind::value, "OneCycleLR", "an optimizer with momentum or betas, or cycle_momentum=False", o->type_name());
  auto made = scheduler(std::move(o), [=](double, int64_t step) { return one_cycle_lr(max_lr, step, c); }, "OneCycleLR");
  if (!cycle_momentum) return made;
  made->also = [=](Optimizer& optimizer, int64_t step) {
    for (size_t g = 0; g < optimizer.groups().size(); ++g) optimizer.set_option(name, c.at(step, c.max_momentum, c.base_momentum, c.max_momentum), g);
  };
  made->also(*made->optimizer(), 0);
  return made;
}
Ref<Scheduler> LambdaLR(Ref<Optimizer> o, std::vector<std::function<double(int64_t)>> factors) {
  std::vector<Scheduler::Form> forms;
  for (auto& f : factors) forms.push_back([f](double lr, int64_t step) { return lr * f(step); });
  return make<Scheduler>(std::move(o), std::move(forms), "LambdaLR");
}
Ref<Scheduler> SequentialLR(Ref<Optimizer> o, std::vector<Ref<Scheduler>> parts, std::vector<int64_t> milestones) {
  if (parts.empty() || milestones.size() + 1 != parts.size() || !std::is_sorted(milestones.begin(), milestones.end()))
    throw Error(ErrorKind::value, "SequentialLR", "schedulers and one milestone less, ascending", std::to_string(parts.size()) + " and " + std::to_string(milestones.size()));
  for (auto& p : parts) if (p->optimizer() != o) throw Error(ErrorKind::value, "SequentialLR", "schedulers of this optimizer", "one of another");
  std::vector<Scheduler::Form> forms;
  for (size_t g = 0; g < o->groups().size(); ++g)
    forms.push_back([=](double, int64_t step) {
      size_t i = size_t(std::upper_bound(milestones.begin(), milestones.end(), step) - milestones.begin());
      return parts[i]->lr_at(step - (i ? milestones[i - 1] : 0), g);
    });
  return make<Scheduler>(std::move(o), std::move(forms), "SequentialLR");
}

ReduceLROnPlateau::ReduceLROnPlateau(Ref<Optimizer> o, const Options& options) : optimizer_(std::move(o)), options_(options) {
  if (!optimizer_) throw Error(ErrorKind::type, "ReduceLROnPlateau", "an optimizer", "none");
  if (!(options.factor > 0 && options.factor < 1)) throw Error(ErrorKind::value, "ReduceLROnPlateau", "a factor in (0, 1)", std::to_string(options.factor));
  state_ = {options.maximize ? -HUGE_VAL : HUGE_VAL, 0, 0, 0};
}
bool ReduceLROnPlateau::step(double metric) {
  double sign = options_.maximize ? 1 : -1, t = options_.threshold;
  double bar = options_.relative ? state_.best * (1 + sign * t) : state_.best + sign * t;
  ++state_.last_step;
  if (options_.maximize ? metric > bar : metric < bar) {
    state_.best = metric;
    state_.bad_steps = 0;
  } else ++state_.bad_steps;
  if (state_.cooldown_left > 0) {
    --state_.cooldown_left;
    state_.bad_steps = 0;
  }
  if (state_.bad_steps <= options_.patience) return false;
  state_.cooldown_left = options_.cooldown;
  state_.bad_steps = 0;
  bool lowered = false;
  for (size_t g = 0; g < optimizer_->groups().size(); ++g) {
    double old = optimizer_->lr(g), now = std::max(old * options_.factor, options_.min_lr);
    if (old - now <= options_.eps) continue;
    optimizer_->set_lr(now, g);
    lowered = true;
  }
  return lowered;
}

}  // namespace miniten::optim
