#include "base/json.h"
#include "edge/utils/training.h"
#include <cmath>
#include "edge/models.h"
#include "miniten/base/random.h"
#include "miniten/edge/utils.h"
#include "miniten/graph/passes.h"
#include "miniten/optim/optimizer.h"
#include "miniten/train/compile_step.h"

// What a training step takes, from its trace: nothing runs.
namespace miniten::edge {

namespace {

// A model in training mode for as long as this lives; a GraphModule's stand-in shares its weights.
struct Training {
  nn::ModuleRef model;
  std::vector<std::pair<nn::ModuleRef, bool>> flags;
  Generator random = default_generator();
  Training(const char* who, nn::Module& m, const std::vector<Spec>& specs) : model(&m) {
    if (dynamic_cast<nn::GraphModule*>(&m)) model = make<nn::GraphModule>(graph_for(who, m, specs));
    for (auto& [name, inner] : model->named_modules()) flags.emplace_back(inner, inner->training());
    model->train();
  }
  ~Training() {
    for (auto& [m, on] : flags) if (m->training() != on) m->train(on);
    default_generator() = random;
  }
};

Tensor mean_square(const std::vector<Tensor>& outputs, const std::vector<Tensor>&) {
  Tensor sum;
  for (const Tensor& o : outputs)
    if (is_float(o.dtype())) sum = sum ? sum + mean(o * o) : mean(o * o);
  if (!sum) throw Error(ErrorKind::unsupported, "estimate_memory", "a float output to train on", "integers alone");
  return sum;
}
Tensor total(const std::vector<Tensor>& outputs, const std::vector<Tensor>&) {
  Tensor all;
  for (const Tensor& o : outputs)
    if (is_float(o.dtype())) all = all ? all + sum(o) : sum(o);
  if (!all) throw Error(ErrorKind::unsupported, "count_flops", "a float output to take gradients of", "integers alone");
  return all;
}

Ref<optim::Optimizer> optimizer_for(const std::string& name, const std::vector<Tensor>& parameters) {
  if (name == "sgd") return make<optim::SGD>(parameters, optim::SGD::Options{});
  if (name == "momentum") return make<optim::SGD>(parameters, optim::SGD::Options{.momentum = 0.9});
  if (name == "adam" || name == "adamw") return make<optim::Adam>(parameters, optim::Adam::Options{}, name == "adamw");
  if (name == "rmsprop") return make<optim::RMSprop>(parameters, optim::RMSprop::Options{});
  if (name == "adagrad") return make<optim::Adagrad>(parameters, optim::Adagrad::Options{});
  if (name == "lion") return make<optim::Lion>(parameters, optim::Lion::Options{});
  throw Error(ErrorKind::value, "estimate_memory", "an optimizer among sgd, momentum, adam, adamw, rmsprop, adagrad and lion", "\"" + name + "\"");
}

int64_t bytes_of_all(const std::vector<Spec>& specs) {
  int64_t n = 0;
  for (const Spec& s : specs) n += int64_t(s.bytes());
  return n;
}

TrainingMemory memory_of(nn::Module& model, const std::vector<Spec>& specs, const std::string& optimizer) {
  TrainingMemory t;
  t.optimizer = optimizer;
  t.batch = specs.empty() || specs[0].shape.rank == 0 ? 1 : specs[0].shape[0];
  for (auto& [name, value] : model.state_dict()) t.parameter += int64_t(value.spec().bytes());
  std::vector<Tensor> trained;
  for (const Tensor& p : model.parameters()) if (p.requires_grad()) trained.push_back(p);
  if (trained.empty()) throw Error(ErrorKind::unsupported, "estimate_memory", "parameters that can be trained", "none");
  for (const Tensor& p : trained) t.gradient += int64_t(p.spec().bytes());
  t.input = bytes_of_all(specs);
  Ref<optim::Optimizer> o = optimizer_for(optimizer, trained);
  Graph g = train::trace_step(model, mean_square, o.get(), specs, {});
  for (auto& [name, value] : o->state_dict())                          // "lr" and the like are single numbers
    if (name.find('.') != name.npos) t.optimizer_state += int64_t(value.spec().bytes());
  optimize(g);
  t.arena = int64_t(planned_arena(std::move(g)));
  return t;
}

}  // namespace

Cost backward_cost(nn::Module& m, const std::vector<Spec>& inputs) {
  std::vector<Spec> specs = known_specs("count_flops", m, inputs);
  Training t("count_flops", m, specs);
  Graph forward = trace(specs, [&](const std::vector<Tensor>& in) { return std::vector<Tensor>{total((*t.model)(in), {})}; });
  Cost all = cost_of(train::trace_step(*t.model, total, nullptr, specs, {})), once = cost_of(forward);
  return {all.macs - once.macs, all.flops - once.flops};
}

TrainingMemory estimate_training_memory(nn::Module& m, const std::vector<Spec>& inputs, const std::string& optimizer, int64_t limit) {
  std::vector<Spec> specs = known_specs("estimate_memory", m, inputs);
  if (limit < 0) throw Error(ErrorKind::value, "estimate_memory", "a limit of 0 bytes or more", std::to_string(limit));
  Training training("estimate_memory", m, specs);
  TrainingMemory now = memory_of(*training.model, specs, optimizer);
  if (!limit) return now;
  auto total_for = [&](int64_t batch) {
    std::vector<Spec> s = specs;
    for (Spec& spec : s) if (spec.shape.rank) spec.shape[0] = batch;
    return memory_of(*training.model, s, optimizer).total();
  };
  // Bytes grow with the batch by nearly a straight line: each guess is on the line through the last two, and is planned.
  int64_t fits = 0, too_much = INT64_MAX, fits_bytes = 0, first = total_for(1), second = total_for(2);
  double slope = std::max<double>(1, double(second - first));
  if (first > limit) { now.largest_batch = 0; return now; }
  fits = 1;
  fits_bytes = first;
  while (too_much - fits > 1) {
    int64_t guess = fits + std::max<int64_t>(1, int64_t(double(limit - fits_bytes) / slope));
    if (guess >= too_much) guess = fits + std::max<int64_t>(1, (too_much - fits) / 2);
    int64_t bytes = total_for(guess);
    if (bytes <= limit) {
      slope = std::max<double>(1, double(bytes - fits_bytes) / double(guess - fits));
      fits = guess;
      fits_bytes = bytes;
    } else {
      too_much = guess;
    }
  }
  now.largest_batch = fits;
  return now;
}

std::string TrainingMemory::to_json() const {
  nlohmann::ordered_json j{{"optimizer", optimizer}, {"batch", batch}};
  for (auto [name, bytes] : {std::pair{"parameter", parameter}, {"gradient", gradient}, {"optimizer", optimizer_state}, {"input", input}, {"arena", arena}, {"total", total()}}) {
    j[std::string(name) + "_memory_bytes"] = bytes;
    j[std::string(name) + "_memory_mb"] = double(bytes) / 1048576;
  }
  if (largest_batch) j["largest_batch"] = *largest_batch;
  return j.dump();
}

}  // namespace miniten::edge
