#include <cmath>
#include <cstring>
#include <filesystem>
#include "miniten/core/autograd.h"
#include "miniten/edge/compression.h"
#include "miniten/interchange/native.h"
#include "miniten/nn/layers.h"
#include "miniten/ops/ops.h"

namespace miniten::edge {

namespace {

constexpr const char* who = "knowledge_distillation";

[[noreturn]] void no_layer(const char* whose, const std::string& path, const std::string& known) {
  throw Error(ErrorKind::value, who, std::string("the path of a layer of the ") + whose, "\"" + path + "\"", known.empty() ? "it has no layers inside" : "layers: " + known);
}
void require_layer(nn::Module& model, const char* whose, const std::string& path) {
  if (!path.empty() && model.find_module(path)) return;
  std::string known;
  for (auto& [name, m] : model.named_modules()) if (!name.empty()) known += (known.empty() ? "" : ", ") + name;
  no_layer(whose, path, known);
}
// A graph that also gives what these layers do.
Ref<nn::GraphModule> watching(Graph g, const std::vector<Hint>& hints) {
  for (const Hint& h : hints) {
    int found = -1;
    std::string known, last;
    for (const Node& n : g.nodes) {
      if (n.name == h.teacher && !h.teacher.empty()) found = n.out[0];
      if (n.name != last && !n.name.empty()) known += (known.empty() ? "" : ", ") + (last = n.name);
    }
    if (found < 0) no_layer("teacher", h.teacher, known);
    g.outputs.push_back(found);
  }
  return make<nn::GraphModule>(std::move(g));
}
uint64_t mix(uint64_t h, const Tensor& t) {                      // FNV-1a, eight bytes at a time
  Tensor flat = t.clone();
  for (char c : t.spec().text()) h = (h ^ uint64_t(static_cast<unsigned char>(c))) * 1099511628211u;
  const std::byte* data = flat.view().data;
  size_t n = bytes_of(t.dtype(), t.numel());
  for (size_t i = 0; i < n; i += 8) {
    uint64_t word = 0;
    std::memcpy(&word, data + i, std::min<size_t>(8, n - i));
    h = (h ^ word) * 1099511628211u;
    h ^= h >> 29;
  }
  return h;
}

}  // namespace

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
    : student_(std::move(student)), temperature_(temperature), hints_(std::move(hints)), adapters_(hints_.size()) {
  if (!student_) throw Error(ErrorKind::type, who, "a student", "none");
  if (!(temperature > 0) || std::isinf(temperature)) throw Error(ErrorKind::value, who, "a temperature above 0", std::to_string(temperature));
  set_alpha(alpha);
  for (const Hint& h : hints_) {
    if (!(h.weight > 0) || std::isinf(h.weight)) throw Error(ErrorKind::value, who, "a weight of a hint above 0", std::to_string(h.weight));
    require_layer(*student_, "student", h.student);
  }
  set_teachers(std::move(teachers));
}
void Distillation::set_alpha(double alpha) {
  if (!(alpha >= 0 && alpha <= 1)) throw Error(ErrorKind::value, who, "an alpha in [0, 1]", std::to_string(alpha));
  alpha_ = alpha;
}
void Distillation::set_teachers(std::vector<nn::ModuleRef> teachers) {
  if (teachers.empty()) teachers.emplace_back();
  for (const nn::ModuleRef& t : teachers) {
    if (student_.get() == t.get()) throw Error(ErrorKind::value, who, "a student that is not its own teacher", "one model for both", "copy it first");
    if (!t && (teachers.size() > 1 || !hints_.empty())) throw Error(ErrorKind::type, who, "a teacher", "none");
  }
  auto* graph = dynamic_cast<nn::GraphModule*>(teachers[0].get());
  if (!graph) for (const Hint& h : hints_) require_layer(*teachers[0], "teacher", h.teacher);
  teachers_ = std::move(teachers);
  watched_ = nullptr;
  if (!folder_.empty()) cache(folder_);
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

std::vector<Tensor> Distillation::answers(const std::vector<Tensor>& inputs) {
  NoGrad no_grad;
  std::vector<Tensor> all{{}};
  for (size_t i = 0; i < teachers_.size(); ++i) {
    auto* graph = i == 0 && !hints_.empty() ? dynamic_cast<nn::GraphModule*>(teachers_[i].get()) : nullptr;
    if (graph && !watched_) {
      std::vector<Spec> specs;
      for (const Tensor& t : inputs) specs.push_back(t.spec());
      graph->materialize(specs);
      watched_ = watching(graph->graph(), hints_);
    }
    nn::Module& t = graph ? static_cast<nn::Module&>(*watched_) : *teachers_[i];
    struct Back {
      nn::Module& m;
      bool mode;
      ~Back() { m.train(mode); }
    } back{t, t.training()};
    t.eval();
    Listener listener(hints_.size());
    for (size_t k = 0; i == 0 && !graph && k < hints_.size(); ++k) listener.listen(t, hints_[k].teacher, k);
    auto out = t(inputs);
    if (graph) all.insert(all.end(), out.end() - int64_t(hints_.size()), out.end());
    else if (i == 0) all.insert(all.end(), listener.heard.begin(), listener.heard.end());
    const Tensor& logits = out.at(0);
    if (teachers_.size() == 1) {
      all[0] = logits;
      return all;
    }
    Tensor p = softmax(logits / Tensor::scalar(temperature_, logits.dtype()), 1) / Tensor::scalar(double(teachers_.size()), logits.dtype());
    if (all[0] && all[0].shape() != p.shape()) throw Error(ErrorKind::value, "train_step", "teachers of the same classes", all[0].shape().text() + " and " + p.shape().text());
    all[0] = all[0] ? all[0] + p : p;
  }
  all[0] = log(all[0] + Tensor::scalar(1e-30, all[0].dtype())) * temperature_;      // softened again these are the means
  return all;
}

void Distillation::cache(const std::string& folder) {
  folder_ = folder;
  if (folder.empty()) return;
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed) throw Error(ErrorKind::io, who, "a folder for the teachers' answers that can be made", "\"" + folder + "\": " + failed.message());
  fingerprint_ = 14695981039346656037u;
  for (const nn::ModuleRef& t : teachers_)
    if (t) for (auto& [name, tensor] : t->state_dict()) fingerprint_ = mix(fingerprint_, tensor);
  if (teachers_.size() > 1) fingerprint_ = mix(fingerprint_, Tensor::scalar(temperature_, DType::f64));
  for (const Hint& h : hints_) for (char c : h.teacher + ";") fingerprint_ = (fingerprint_ ^ uint64_t(static_cast<unsigned char>(c))) * 1099511628211u;
}
std::vector<Tensor> Distillation::taught(const std::vector<Tensor>& inputs) {
  if (folder_.empty()) return answers(inputs);
  NoGrad no_grad;
  uint64_t key = fingerprint_;
  for (const Tensor& t : inputs) key = mix(key, t);
  char name[32];
  std::snprintf(name, sizeof name, "/%016llx.npz", static_cast<unsigned long long>(key));
  std::string path = folder_ + name;
  if (std::filesystem::exists(path)) {
    try {
      NativeFile f = load_native(path);
      if (f.kind == "answers" && f.tensors.size() == 1 + hints_.size()) {
        std::vector<Tensor> known;
        for (auto& [label, t] : f.tensors) known.push_back(t);
        ++cached_;
        return known;
      }
    } catch (const Error&) {}                                  // damaged: made again
  }
  std::vector<Tensor> all = answers(inputs);
  NativeFile f;
  f.kind = "answers";
  for (size_t i = 0; i < all.size(); ++i) {
    if (!all[i]) return all;                                   // a layer that did not run: said by its loss
    f.tensors.push_back({"answer." + std::to_string(i), all[i].clone()});
  }
  save_native(f, path);
  return all;
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

Distillation::Lesson Distillation::lesson(const std::vector<Tensor>& inputs, const Tensor& labels) {
  if (!teachers_[0]) throw Error(ErrorKind::value, "train_step", "a teacher", "none", "pass teacher_model to knowledge_distillation");
  std::vector<Tensor> known = taught(inputs);
  Listener listener(hints_.size());
  for (size_t i = 0; i < hints_.size(); ++i) listener.listen(*student_, hints_[i].student, i);
  Lesson l{(*student_)(inputs), {}};
  l.loss = loss(l.outputs.at(0), known[0], labels);
  for (size_t i = 0; i < hints_.size(); ++i) l.loss = l.loss + hint_loss(i, listener.heard[i], known[i + 1]);
  return l;
}

double Distillation::train_step(const std::vector<Tensor>& inputs, const Tensor& labels) {
  student_->train();
  Tensor l = lesson(inputs, labels).loss;
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
