#include "miniten/optim/optimizer.h"
#include <algorithm>
#include <cmath>
#include "miniten/core/observer.h"
#include "miniten/ops/ops.h"

namespace miniten::optim {

static std::string text_of(double x) {
  std::string s = std::to_string(x);
  while (s.back() == '0') s.pop_back();
  return s.back() == '.' ? s + "0" : s;
}
static void check_range(const char* who, const Rule& r, double value) {
  if (!(value >= r.low && value < r.high))
    throw Error(ErrorKind::value, who, std::string_view(r.name) == "lr" ? "a learning rate of 0 or more" : std::string(r.name) + " in [" + text_of(r.low) + ", " + text_of(r.high) + ")", text_of(value));
}

// ---- 8-bit states ----
namespace {
constexpr int64_t block_size = 256;
constexpr double levels = 127;
Tensor root_four(const Tensor& code) { return square(square(code * (1 / levels))); }     // what a code stands for, over the block's greatest
Tensor decoded(const Tensor& codes, const Tensor& scale) {
  Tensor c = cast(codes, DType::f32);
  return root_four(c) * sign(c) * scale;
}
}  // namespace

Optimizer::Optimizer(const char* name, const Parameters& given, std::vector<Rule> rules) : name_(name), rules_(std::move(rules)), step_(Tensor::scalar(0)) {
  for (const Rule& r : rules_) check_range(name_, r, r.value);
  size_t total = 0;
  for (const GroupSpec& g : given.groups) total += g.parameters.size();
  if (total == 0) throw Error(ErrorKind::value, name_, "at least one parameter", "none", "a generator can be used once: pass model.parameters() anew");
  for (const GroupSpec& g : given.groups) add_group(g);
}
void Optimizer::add_group(const GroupSpec& given) {
  if (given.parameters.empty()) throw Error(ErrorKind::value, name_, "at least one parameter in each group", "none", "a generator can be used once");
  Group group;
  double rate = 0;
  for (const Rule& r : rules_) (std::string_view(r.name) == "lr" ? rate = r.value : group.options.emplace_back(r.name, r.value).second);
  for (auto& [name, value] : given.options) {
    check_range(name_, rule(name), value);
    if (name == "lr") rate = value;
    for (auto& [known, slot] : group.options) if (known == name) slot = value;
  }
  for (size_t i = 0; i < given.parameters.size(); ++i) {
    const Tensor& p = given.parameters[i];
    if (!is_float(p.dtype())) throw Error(ErrorKind::type, name_, "floating-point parameters", p.spec().text());
    if (!p.is_leaf()) throw Error(ErrorKind::value, name_, "leaf tensors", "a computed one at position " + std::to_string(i));
    for (size_t k = 0; k < parameters_.size() + i; ++k) {
      const Tensor& other = k < parameters_.size() ? parameters_[k] : given.parameters[k - parameters_.size()];
      if (other.same(p)) throw Error(ErrorKind::value, name_, "each parameter once", "one twice at " + std::to_string(k) + " and " + std::to_string(parameters_.size() + i));
    }
    group.members.push_back(parameters_.size() + i);
  }
  group.lr = Tensor::scalar(rate);
  parameters_.insert(parameters_.end(), given.parameters.begin(), given.parameters.end());
  missed_.resize(parameters_.size(), steps());
  groups_.push_back(std::move(group));
}

const Rule& Optimizer::rule(std::string_view name) const {
  std::string known;
  for (const Rule& r : rules_) {
    if (name == r.name) return r;
    known += (known.empty() ? "" : ", ") + std::string(r.name);
  }
  throw Error(ErrorKind::value, name_, "one of " + known, "\"" + std::string(name) + "\"");
}
bool Optimizer::has_option(std::string_view name) const {
  for (const Rule& r : rules_) if (name == r.name) return true;
  return false;
}
double Optimizer::get(const Group& g, std::string_view name) {
  for (auto& [known, value] : g.options) if (known == name) return value;
  return 0;
}
static void check_group(const char* who, size_t group, size_t count) {
  if (group >= count) throw Error(ErrorKind::index, who, "a group below " + std::to_string(count), std::to_string(group));
}
double Optimizer::lr(size_t group) const { check_group(name_, group, groups_.size()); return groups_[group].lr.item(); }
double Optimizer::option(std::string_view name, size_t group) const {
  rule(name);
  return name == "lr" ? lr(group) : (check_group(name_, group, groups_.size()), get(groups_[group], name));
}
void Optimizer::set_option(std::string_view name, double value, size_t group) {
  check_group(name_, group, groups_.size());
  if (name == "lr") return set_lr(value, group);
  check_range(name_, rule(name), value);
  for (auto& [known, slot] : groups_[group].options) if (known == name) slot = value;
}
void Optimizer::set_lr(double lr) { for (size_t i = 0; i < groups_.size(); ++i) set_lr(lr, i); }
void Optimizer::set_lr(double lr, size_t group) {
  check_group(name_, group, groups_.size());
  if (!(lr >= 0) || std::isinf(lr)) throw Error(ErrorKind::value, name_, "a learning rate of 0 or more", text_of(lr));
  NoGrad no_grad;
  assign(groups_[group].lr, Tensor::scalar(lr));
}
void Optimizer::set_initial_lr(double lr, size_t group) { check_group(name_, group, groups_.size()); groups_[group].initial_lr = lr; }
int64_t Optimizer::steps() const { return int64_t(step_.item()); }
Tensor Optimizer::step_of(size_t i) const { return missed_[i] ? step_ - double(missed_[i]) : step_; }

Tensor& Optimizer::stored(std::string_view name, size_t i, const std::function<Tensor()>& fresh) {
  for (Slot& s : slots_) if (s.index == i && s.name == name) return s.value;
  return slots_.emplace_back(Slot{std::string(name), i, fresh()}).value;
}
Tensor Optimizer::slot(std::string_view name, size_t i, double start, bool scalar) {
  if (scalar) return stored(name, i, [&] { return Tensor::full({}, start, DType::f64); });
  const Tensor& p = parameters_[i];
  auto like_parameter = [&] { return Tensor::full(p.shape(), start, p.dtype()); };
  if (!int8_ || p.numel() < block_size) return stored(name, i, like_parameter);
  if (mode().recorder) throw Error(ErrorKind::unsupported, name_, "float32 states in a traced step", "8-bit states", "take eager steps");
  int64_t blocks = (p.numel() + block_size - 1) / block_size;
  bool is_new = std::none_of(slots_.begin(), slots_.end(), [&](const Slot& s) { return s.index == i && s.name == name; });
  Tensor codes = stored(name, i, [&] { return Tensor::zeros({blocks, block_size}, DType::i8); });
  Tensor scale = stored(std::string(name) + "_scale", i, [&] { return Tensor::zeros({blocks, 1}); });
  Tensor value = is_new ? like_parameter() : cast(reshape(slice(reshape(decoded(codes, scale), {-1}), 0, 0, p.numel()), p.shape()), p.dtype()).clone();
  open_.push_back({std::string(name), i, value});
  return value;
}
void Optimizer::put_back() {
  for (const Slot& o : open_) {
    Tensor flat = cast(reshape(o.value, {-1}), DType::f32);
    int64_t blocks = (flat.numel() + block_size - 1) / block_size;
    flat = reshape(pad(flat, {0}, {blocks * block_size - flat.numel()}), {blocks, block_size});
    Tensor scale = max(abs(flat), {1}, true), share = abs(flat) / where(greater(scale, number_like(scale, 0)), scale, Tensor::full({}, 1));
    Tensor low = clamp(floor(sqrt(sqrt(share)) * levels), 0, float(levels)), below = root_four(low), above = root_four(low + 1.0);
    int64_t key[] = {0x5eed, steps()};                         // by step and slot alone, so a resumed run draws the same
    int64_t stream = int64_t(o.index) * 64;
    for (char c : o.name) stream += c % 8;
    Tensor chance = uniform(Tensor::of<int64_t>({2}, key), flat.shape(), stream);
    Tensor up = cast(less(chance * (above - below), share - below), DType::f32);
    Tensor codes = clamp(low + up, 0, float(levels)) * sign(flat);
    assign(stored(o.name, o.index, nullptr), cast(codes, DType::i8));
    assign(stored(o.name + "_scale", o.index, nullptr), scale);
  }
  open_.clear();
}
void Optimizer::use_int8_states() {
  if (!slots_.empty()) throw Error(ErrorKind::value, name_, "8-bit states before the first step", "states that are there");
  int8_ = true;
}
bool Optimizer::passes(const std::vector<Tensor>& grads) const {
  if (on_nonfinite == OnNonfinite::step) return true;
  if (mode().recorder) throw Error(ErrorKind::unsupported, name_, "on_nonfinite 'step' in a traced step", "another policy", "check the loss between steps");
  for (size_t i = 0; i < grads.size(); ++i) {
    if (!grads[i] || sum(grads[i] * 0.0).item() == 0) continue;
    if (on_nonfinite == OnNonfinite::skip) return false;
    throw Error(ErrorKind::value, name_, "finite gradients", "NaN or infinity in that of parameter " + std::to_string(i) + " " + parameters_[i].shape().text(),
                "lower the rate, clip gradients, or pass on_nonfinite='skip'");
  }
  return true;
}
void Optimizer::step() {
  NoGrad no_grad;
  WatchedScope watched(Watcher::optimizer, "");
  std::vector<Tensor> grads;
  for (const Tensor& p : parameters_) grads.push_back(p.grad());
  if (!passes(grads)) return;
  assign(step_, step_ + 1.0);
  if (mode().recorder)                                         // a state, or the rate of now would be folded into the graph
    for (const Group& group : groups_) assign(group.lr, group.lr * 1.0);
  for (const Group& group : groups_)
    for (size_t i : group.members) {
      if (!grads[i]) { ++missed_[i]; continue; }
      Tensor g = cast(grads[i], parameters_[i].dtype());
      update(i, parameters_[i], get(group, "maximize") != 0 ? -g : g, group);
      if (!open_.empty()) put_back();
    }
}
void Optimizer::zero_grad() { for (const Tensor& p : parameters_) p->grad = Tensor(); }

// ---- state ----
Optimizer::State Optimizer::state_dict() const {
  State s{{"lr", groups_[0].lr.clone()}, {"step", step_.clone()}};
  for (size_t g = 0; g < groups_.size(); ++g) {
    std::string number = ":" + std::to_string(g);
    if (g) s.emplace_back("lr" + number, groups_[g].lr.clone());
    if (groups_[g].initial_lr) s.emplace_back("initial_lr" + number, Tensor::full({}, *groups_[g].initial_lr, DType::f64));
    for (auto& [name, value] : groups_[g].options) s.emplace_back(name + number, Tensor::full({}, value, DType::f64));
  }
  for (size_t i = 0; i < missed_.size(); ++i) if (missed_[i]) s.emplace_back("missed." + std::to_string(i), Tensor::full({}, double(missed_[i]), DType::f64));
  for (const Slot& slot : slots_) s.emplace_back(slot.name + "." + std::to_string(slot.index), slot.value.clone());
  return s;
}
namespace {
// "momentum:1" -> ("momentum", 1); none where it is not of this form.
std::optional<std::pair<std::string, size_t>> numbered(const std::string& name, char mark) {
  size_t at = name.rfind(mark);
  if (at == name.npos || at + 1 >= name.size() || name.size() - at > 9 || name.find_first_not_of("0123456789", at + 1) != name.npos) return {};
  return std::pair{name.substr(0, at), size_t(std::stoul(name.substr(at + 1)))};
}
}  // namespace
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
  std::vector<int64_t> missed(parameters_.size(), 0);
  struct Change { std::string name; size_t group; double value; };
  std::vector<Change> changes;
  for (auto& [name, t] : given) {
    if (name == "lr" || name == "step") continue;
    if (auto option = numbered(name, ':')) {
      auto& [key, group] = *option;
      if (group >= groups_.size() || t.rank() != 0) throw Error(ErrorKind::value, "load_state_dict", "options of " + std::to_string(groups_.size()) + " groups", "\"" + name + "\"");
      if (key != "initial_lr") check_range(name_, rule(key), t.item());
      changes.push_back({key, group, t.item()});
      continue;
    }
    auto entry = numbered(name, '.');
    size_t index = entry ? entry->second : parameters_.size();
    if (index >= parameters_.size()) throw Error(ErrorKind::value, "load_state_dict", "the state of " + std::to_string(parameters_.size()) + " parameters", "\"" + name + "\"");
    if (entry->first == "missed") { missed[index] = int64_t(t.item()); continue; }
    bool scalar = t.rank() == 0 && is_float(t.dtype());
    int64_t blocks = (parameters_[index].numel() + block_size - 1) / block_size;
    bool packed = parameters_[index].numel() >= block_size && (t.spec() == Spec{DType::i8, {blocks, block_size}} || (t.spec() == Spec{DType::f32, {blocks, 1}} && entry->first.ends_with("_scale")));
    if (packed != (int8_ && parameters_[index].numel() >= block_size && !scalar))
      throw Error(ErrorKind::value, "load_state_dict", int8_ ? "8-bit states" : "float states", "\"" + name + "\" of " + t.spec().text(), "make the optimizer with the same state_dtype");
    if (!packed && t.spec() != parameters_[index].spec() && !scalar) throw Error(ErrorKind::value, "load_state_dict", "\"" + name + "\" of " + parameters_[index].spec().text(), t.spec().text());
    slots.push_back({entry->first, index, scalar && parameters_[index].rank() ? cast(t, DType::f64).clone() : t.clone()});
  }
  NoGrad no_grad;
  assign(groups_[0].lr, *find("lr"));
  assign(step_, *find("step"));
  for (const Change& c : changes) {
    if (c.name == "initial_lr") groups_[c.group].initial_lr = c.value;
    else if (c.name == "lr") set_lr(c.value, c.group);
    else if (float(option(c.name, c.group)) != float(c.value)) set_option(c.name, c.value, c.group);
  }
  slots_ = std::move(slots);
  missed_ = std::move(missed);
}

// ---- averages, clipping ----
EMA::EMA(std::vector<Tensor> parameters, double decay) : decay(decay), parameters_(std::move(parameters)) {
  if (!(decay >= 0 && decay <= 1)) throw Error(ErrorKind::value, "EMA", "a decay in [0, 1]", text_of(decay));
  if (parameters_.empty()) throw Error(ErrorKind::value, "EMA", "at least one parameter", "none");
  for (const Tensor& p : parameters_) averages_.push_back(p.clone());
}
void EMA::update() {
  NoGrad no_grad;
  for (size_t i = 0; i < parameters_.size(); ++i) assign(averages_[i], averages_[i] * decay + detach(parameters_[i]) * (1 - decay));
}
void EMA::swap() {
  NoGrad no_grad;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    Tensor now = parameters_[i].clone();
    assign(parameters_[i], averages_[i]);
    assign(averages_[i], now);
  }
}
static void copy_all(std::span<const Tensor> from, std::span<const Tensor> to) {
  if (from.size() != to.size()) throw Error(ErrorKind::value, "EMA", std::to_string(from.size()) + " tensors", std::to_string(to.size()));
  for (size_t i = 0; i < from.size(); ++i)
    if (from[i].shape() != to[i].shape()) throw Error(ErrorKind::value, "EMA", "tensor " + std::to_string(i) + " of shape " + from[i].shape().text(), to[i].shape().text());
  NoGrad no_grad;
  for (size_t i = 0; i < from.size(); ++i) assign(to[i], cast(from[i], to[i].dtype()));
}
void EMA::copy_to(std::span<const Tensor> parameters) const { copy_all(averages_, parameters); }
void EMA::restore(std::span<const Tensor> averages) { copy_all(averages, averages_); }

double clip_grad_norm(std::span<const Tensor> parameters, double max_norm, double p, bool error_if_nonfinite) {
  if (!(max_norm > 0)) throw Error(ErrorKind::value, "clip_grad_norm", "a norm above 0", text_of(max_norm));
  if (!(p > 0)) throw Error(ErrorKind::value, "clip_grad_norm", "a norm_type above 0", text_of(p));
  NoGrad no_grad;
  double total = 0;
  for (const Tensor& parameter : parameters) {
    Tensor g = parameter.grad();
    if (!g || g.numel() == 0) continue;
    double part = std::isinf(p) ? max(abs(g)).item() : p == 2 ? sum(square(g)).item() : p == 1 ? sum(abs(g)).item() : sum(pow(abs(g), p)).item();
    total = std::isinf(p) ? (std::isnan(part) ? part : std::max(total, part)) : total + part;
  }
  double norm = std::isinf(p) || p == 1 ? total : std::pow(total, 1 / p), scale = max_norm / (norm + 1e-6);
  if (error_if_nonfinite && !std::isfinite(norm)) throw Error(ErrorKind::value, "clip_grad_norm", "finite gradients", "a norm of " + std::to_string(norm), "error_if_nonfinite=False lets it pass");
  if (!(scale >= 1)) for (const Tensor& parameter : parameters) if (Tensor g = parameter.grad()) parameter->grad = g * scale;
  return norm;
}
void clip_grad_value(std::span<const Tensor> parameters, double limit) {
  if (!(limit >= 0)) throw Error(ErrorKind::value, "clip_grad_value", "a limit of 0 or more", text_of(limit));
  NoGrad no_grad;
  for (const Tensor& p : parameters) if (Tensor g = p.grad()) p->grad = clamp(g, float(-limit), float(limit));
}

}  // namespace miniten::optim
