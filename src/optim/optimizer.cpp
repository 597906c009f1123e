#include "miniten/optim/optimizer.h"
#include <cmath>
#include "miniten/ops/ops.h"

namespace miniten::optim {

Optimizer::Optimizer(std::vector<Tensor> parameters, double lr)
    : step_(Tensor::scalar(0)), lr_(Tensor::scalar(lr)), parameters_(std::move(parameters)) {
  if (parameters_.empty())
    throw Error(ErrorKind::value, "optimizer", "at least one parameter", "none", "a generator can be used once: pass model.parameters() anew");
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& p = parameters_[i];
    if (!is_float(p.dtype())) throw Error(ErrorKind::type, "optimizer", "floating-point parameters", p.spec().text());
    if (!p.is_leaf()) throw Error(ErrorKind::value, "optimizer", "leaf tensors", "a computed one at position " + std::to_string(i));
    for (size_t k = 0; k < i; ++k) if (parameters_[k].same(p)) throw Error(ErrorKind::value, "optimizer", "each parameter once", "one twice at " + std::to_string(k) + " and " + std::to_string(i));
  }
  set_lr(lr);
}
double Optimizer::lr() const { return lr_.item(); }
void Optimizer::set_lr(double lr) {
  if (!(lr >= 0) || std::isinf(lr)) throw Error(ErrorKind::value, "optimizer", "a learning rate of 0 or more", std::to_string(lr));
  NoGrad no_grad;
  assign(lr_, Tensor::scalar(lr));
}
int64_t Optimizer::steps() const { return int64_t(step_.item()); }

Tensor Optimizer::slot(std::string_view name, size_t i) {
  for (const Slot& s : slots_) if (s.name == name && s.index == i) return s.value;
  Tensor zeros = Tensor::zeros(parameters_[i].shape(), parameters_[i].dtype());
  slots_.push_back({std::string(name), i, zeros});
  return zeros;
}
void Optimizer::step() {
  NoGrad no_grad;
  assign(step_, step_ + 1.0);
  for (size_t i = 0; i < parameters_.size(); ++i)
    if (Tensor g = parameters_[i].grad()) update(i, parameters_[i], cast(g, parameters_[i].dtype()));
}
void Optimizer::zero_grad() { for (const Tensor& p : parameters_) p->grad = Tensor(); }

Optimizer::State Optimizer::state_dict() const {
  State s{{"lr", lr_.clone()}, {"step", step_.clone()}};
  for (const Slot& slot : slots_) s.emplace_back(slot.name + "." + std::to_string(slot.index), slot.value.clone());
  return s;
}
void Optimizer::load_state_dict(const State& given) {
  auto find = [&](const std::string& name) -> const Tensor* {
    for (auto& [known, t] : given) if (known == name) return &t;
    return nullptr;
  };
  for (const char* name : {"lr", "step"}) {
    const Tensor* t = find(name);
    if (!t || t->spec() != Spec{DType::f32, {}}) throw Error(ErrorKind::value, "load_state_dict", std::string("\"") + name + "\" as a float32 scalar", t ? t->spec().text() : "none");
  }
  std::vector<Slot> slots;
  for (auto& [name, t] : given) {
    size_t dot = name.rfind('.');
    if (name == "lr" || name == "step") continue;
    bool number = dot != name.npos && dot + 1 < name.size() && name.find_first_not_of("0123456789", dot + 1) == name.npos && name.size() - dot < 10;
    size_t index = number ? size_t(std::stoul(name.substr(dot + 1))) : parameters_.size();
    if (index >= parameters_.size()) throw Error(ErrorKind::value, "load_state_dict", "the state of " + std::to_string(parameters_.size()) + " parameters", "\"" + name + "\"");
    if (t.spec() != parameters_[index].spec()) throw Error(ErrorKind::value, "load_state_dict", "\"" + name + "\" of " + parameters_[index].spec().text(), t.spec().text());
    slots.push_back({name.substr(0, dot), index, t.clone()});
  }
  NoGrad no_grad;
  assign(lr_, *find("lr"));
  assign(step_, *find("step"));
  slots_ = std::move(slots);
}

static void check_range(const char* who, const char* name, double value, double low, double high) {
  if (!(value >= low && value < high))
    throw Error(ErrorKind::value, who, std::string(name) + " in [" + std::to_string(low) + ", " + std::to_string(high) + ")", std::to_string(value));
}
static constexpr double large = 1e30;

SGD::SGD(std::vector<Tensor> parameters, const Options& o) : Optimizer(std::move(parameters), o.lr) {
  check_range("SGD", "momentum", o.momentum, 0, large);
  check_range("SGD", "weight_decay", o.weight_decay, 0, large);
  if (o.nesterov && o.momentum == 0) throw Error(ErrorKind::value, "SGD", "a momentum above 0 with nesterov", "0");
  attrs_ = {.momentum = float(o.momentum), .weight_decay = float(o.weight_decay), .nesterov = o.nesterov};
}
void SGD::update(size_t i, const Tensor& p, const Tensor& g) { sgd(p, g, slot("momentum", i), step_, lr_, attrs_); }

Adam::Adam(std::vector<Tensor> parameters, const Options& o, bool decoupled) : Optimizer(std::move(parameters), o.lr) {
  const char* who = decoupled ? "AdamW" : "Adam";
  check_range(who, "beta1", o.beta1, 0, 1);
  check_range(who, "beta2", o.beta2, 0, 1);
  check_range(who, "eps", o.eps, 0, large);
  check_range(who, "weight_decay", o.weight_decay, 0, large);
  attrs_ = {float(o.beta1), float(o.beta2), float(o.eps), float(o.weight_decay), decoupled};
}
void Adam::update(size_t i, const Tensor& p, const Tensor& g) { adam(p, g, slot("m", i), slot("v", i), step_, lr_, attrs_); }

double clip_grad_norm(std::span<const Tensor> parameters, double max_norm) {
  if (!(max_norm > 0)) throw Error(ErrorKind::value, "clip_grad_norm", "a norm above 0", std::to_string(max_norm));
  NoGrad no_grad;
  double total = 0;
  for (const Tensor& p : parameters) if (Tensor g = p.grad()) total += sum(square(g)).item();
  double norm = std::sqrt(total), scale = max_norm / (norm + 1e-6);
  if (scale < 1) for (const Tensor& p : parameters) if (Tensor g = p.grad()) p->grad = g * scale;
  return norm;
}
void clip_grad_value(std::span<const Tensor> parameters, double limit) {
  if (!(limit >= 0)) throw Error(ErrorKind::value, "clip_grad_value", "a limit of 0 or more", std::to_string(limit));
  NoGrad no_grad;
  for (const Tensor& p : parameters) if (Tensor g = p.grad()) p->grad = clamp(g, float(-limit), float(limit));
}

}  // namespace miniten::optim
