#include <cmath>
#include <tuple>
#include "miniten/core/autograd.h"
#include "miniten/edge/compression.h"
#include "miniten/nn/layers.h"
#include "miniten/ops/ops.h"

namespace miniten::edge {

Tensor distillation_loss(const Tensor& student, const Tensor& teacher, const Tensor& labels, double temperature, double alpha) {
  const char* op = "distillation_loss";
  if (!(temperature > 0) || std::isinf(temperature)) throw Error(ErrorKind::value, op, "a temperature above 0", std::to_string(temperature));
  if (!(alpha >= 0 && alpha <= 1)) throw Error(ErrorKind::value, op, "an alpha in [0, 1]", std::to_string(alpha));
  if (student.rank() != 2) throw Error(ErrorKind::value, op, "logits of shape (N, C)", student.spec().text());
  if (teacher.shape() != student.shape())
    throw Error(ErrorKind::value, op, "teacher logits of the student's shape " + student.shape().text(), teacher.shape().text(), "both need the same classes");
  Tensor soft = cast(detach(teacher), student.dtype()), t = Tensor::scalar(temperature, student.dtype());
  Tensor log_p = log_softmax(soft / t, 1), log_q = log_softmax(student / t, 1);
  Tensor kl = sum(exp(log_p) * (log_p - log_q), {0, 1}) * (temperature * temperature / double(std::max<Dim>(student.dim(0), 1)));
  if (alpha == 1) return kl;
  Tensor hard = cross_entropy(student, labels);
  return alpha == 0 ? hard : kl * alpha + hard * (1 - alpha);
}

Distillation::Distillation(nn::ModuleRef student, nn::ModuleRef teacher, double temperature, double alpha)
    : Distillation(std::move(student), std::vector<nn::ModuleRef>{std::move(teacher)}, temperature, alpha) {}

Distillation::Distillation(nn::ModuleRef student, std::vector<nn::ModuleRef> teachers, double temperature, double alpha, std::vector<Hint> hints)
    : student_(std::move(student)), teachers_(std::move(teachers)), temperature_(temperature), alpha_(alpha), hints_(std::move(hints)), adapters_(hints_.size()) {
  const char* op = "knowledge_distillation";
  if (!student_) throw Error(ErrorKind::type, op, "a student", "none");
  if (teachers_.empty()) teachers_.emplace_back();
  for (const nn::ModuleRef& t : teachers_) {
    if (student_.get() == t.get()) throw Error(ErrorKind::value, op, "a student that is not its own teacher", "one model for both", "copy it first");
    if (!t && (teachers_.size() > 1 || !hints_.empty())) throw Error(ErrorKind::type, op, "a teacher", "none");
  }
  if (!(temperature > 0) || std::isinf(temperature)) throw Error(ErrorKind::value, op, "a temperature above 0", std::to_string(temperature));
  if (!(alpha >= 0 && alpha <= 1)) throw Error(ErrorKind::value, op, "an alpha in [0, 1]", std::to_string(alpha));
  for (const Hint& h : hints_) {
    if (!(h.weight > 0) || std::isinf(h.weight)) throw Error(ErrorKind::value, op, "a weight of a hint above 0", std::to_string(h.weight));
    for (auto& [whose, model, path] : {std::tuple{"student", student_, h.student}, {"teacher", teachers_[0], h.teacher}}) {
      if (!path.empty() && model->find_module(path)) continue;
      std::string known;
      for (auto& [name, m] : model->named_modules()) if (!name.empty()) known += (known.empty() ? "" : ", ") + name;
      throw Error(ErrorKind::value, op, std::string("the path of a layer of the ") + whose, "\"" + path + "\"", known.empty() ? "it has no layers inside" : "layers: " + known);
    }
  }
}
optim::Optimizer& Distillation::optimizer() {
  if (!optimizer_) optimizer_ = make<optim::Adam>(student_->parameters(), optim::Adam::Options{});
  return *optimizer_;
}

namespace {
// Keeps what layers give while it lives.
struct Listener {
  std::vector<std::pair<nn::ModuleRef, int>> hooks;
  std::vector<Tensor> heard;
  explicit Listener(size_t n) : heard(n) {}
  void listen(nn::Module& model, const std::string& path, size_t i) {
    nn::ModuleRef layer = model.find_module(path);
    hooks.emplace_back(layer, layer->add_forward_hook([this, i](nn::Module&, const std::vector<Tensor>&, const std::vector<Tensor>& out) -> std::optional<std::vector<Tensor>> {
      heard[i] = out.at(0);
      return {};
    }));
  }
  ~Listener() { for (auto& [layer, number] : hooks) layer->remove_hook(number); }
};
Tensor attention_map(const Tensor& f) {                          // (N, pixels), each of length 1
  Tensor a = reshape(mean(f * f, {1}), {f.dim(0), -1});
  return a / (sqrt(sum(a * a, {1}, true)) + Tensor::scalar(1e-12, a.dtype()));
}
}  // namespace

Tensor Distillation::taught(const std::vector<Tensor>& inputs, std::vector<Tensor>& features) {
  NoGrad no_grad;
  Tensor all;
  for (size_t i = 0; i < teachers_.size(); ++i) {
    nn::Module& t = *teachers_[i];
    struct Back {
      nn::Module& m;
      bool mode;
      ~Back() { m.train(mode); }
    } back{t, t.training()};
    t.eval();
    Listener listener(hints_.size());
    for (size_t k = 0; i == 0 && k < hints_.size(); ++k) listener.listen(t, hints_[k].teacher, k);
    Tensor logits = t(inputs).at(0);
    if (i == 0) features = listener.heard;
    if (teachers_.size() == 1) return logits;
    Tensor p = softmax(logits / Tensor::scalar(temperature_, logits.dtype()), 1) / Tensor::scalar(double(teachers_.size()), logits.dtype());
    if (all && all.shape() != p.shape()) throw Error(ErrorKind::value, "train_step", "teachers of the same classes", all.shape().text() + " and " + p.shape().text());
    all = all ? all + p : p;
  }
  return log(all + Tensor::scalar(1e-30, all.dtype())) * temperature_;      // softened again these are the means
}

Tensor Distillation::hint_loss(size_t i, Tensor own, const Tensor& taught) {
  const Hint& h = hints_[i];
  auto refuse = [&](const std::string& want) {
    throw Error(ErrorKind::value, "train_step", want, "\"" + h.student + "\" of " + (own ? own.shape().text() : "nothing") + " and \"" + h.teacher + "\" of " + (taught ? taught.shape().text() : "nothing"));
  };
  if (!own || !taught) refuse("layers that run");
  bool image = own.rank() == 4;
  bool fits = own.rank() == taught.rank() && own.rank() >= 2 && is_float(own.dtype());
  int channels = image ? 1 : own.rank() - 1;
  for (int a = 0; fits && a < own.rank(); ++a) fits = a == channels || own.dim(a) == taught.dim(a);
  if (!fits) refuse("features of equal sizes but for their channels");
  if (h.attention) {
    if (!image) refuse("features of images for attention");
    Tensor d = attention_map(own) - attention_map(taught);
    return mean(sum(d * d, {1})) * h.weight;
  }
  Dim from = own.dim(channels), to = taught.dim(channels);
  if (from != to && !adapters_[i]) {
    if (image) adapters_[i] = make<nn::Conv2d>(from, to, nn::Conv2dOptions{.kernel_size = {1, 1}});
    else adapters_[i] = make<nn::Linear>(from, to);
    std::vector<Tensor> parameters;
    for (const nn::ModuleRef& a : adapters_) if (a) for (const Tensor& p : a->parameters()) parameters.push_back(p);
    adapter_optimizer_ = make<optim::Adam>(parameters, optim::Adam::Options{});
  }
  Tensor d = (adapters_[i] ? (*adapters_[i])(own) : own) - taught;
  return mean(d * d) * h.weight;
}

double Distillation::train_step(const std::vector<Tensor>& inputs, const Tensor& labels) {
  if (!teachers_[0]) throw Error(ErrorKind::value, "train_step", "a teacher", "none", "pass teacher_model to knowledge_distillation");
  std::vector<Tensor> features;
  Tensor logits = taught(inputs, features);
  student_->train();
  Listener listener(hints_.size());
  for (size_t i = 0; i < hints_.size(); ++i) listener.listen(*student_, hints_[i].student, i);
  Tensor own = (*student_)(inputs).at(0), l = loss(own, logits, labels);
  for (size_t i = 0; i < hints_.size(); ++i) l = l + hint_loss(i, listener.heard[i], features[i]);
  double value = l.item();
  if (!std::isfinite(value)) throw Error(ErrorKind::value, "train_step", "a finite loss", std::to_string(value), "lower the learning rate, or look at the inputs");
  optimizer().zero_grad();
  if (adapter_optimizer_) adapter_optimizer_->zero_grad();
  backward(l);
  optimizer().step();
  if (adapter_optimizer_) adapter_optimizer_->step();
  return value;
}

}  // namespace miniten::edge
