#include <cmath>
#include "edge/models.h"
#include "edge/pruning/choose.h"
#include "miniten/core/autograd.h"
#include "miniten/ops/ops.h"

namespace miniten::edge {

bool needs_data(const PruneOptions& o) {
  return o.method == "taylor" || o.method == "movement" || (o.method == "structured" && o.importance == "taylor");
}

static Tensor usual_loss(const std::vector<Tensor>& outputs, const Tensor& target) {
  const Tensor& y = outputs.at(0);
  if (!is_float(target.dtype())) return cross_entropy(y, target);
  if (target.shape() != y.shape())
    throw Error(ErrorKind::value, "prune_model", "targets of the output's shape " + y.shape().text() + ", or integers", target.spec().text(), "pass loss=");
  Tensor d = y - cast(target, y.dtype());
  return mean(d * d);
}

std::map<int, std::vector<double>> scores_by_data(const Graph& given, const PruneOptions& o, const PruneData& data) {
  const char* op = "prune_model";
  std::string what = o.method == "structured" ? "importance taylor" : "method " + o.method;
  if (!data.next) throw Error(ErrorKind::value, op, "data for " + what, "none", "pass data=, batches of (inputs, target)");
  Graph g = own_copy(given);
  std::map<int, std::vector<double>> scores;
  std::vector<Weight> all = weights_of(g);
  if (o.method == "structured")                              // tables and transposed convolutions have channels too
    for (const Node& n : g.nodes)
      for (int id : n.in)
        if (int c = source_constant(g, id); c >= 0 && g.values[size_t(c)].trainable && is_float(g.values[size_t(c)].spec.dtype)) all.push_back({c, nullptr, {}, {}});
  for (const Weight& w : all) {
    if (scores.count(w.value)) continue;
    Value& v = g.values[size_t(w.value)];
    if (w.quantized || !is_float(v.spec.dtype))
      throw Error(ErrorKind::unsupported, op, "float weights for " + what, "\"" + v.name + "\" of " + v.spec.text(), "prune the float model, then quantise it");
    v.constant = parameter(v.constant);
    scores[w.value].assign(size_t(v.constant.numel()), 0.0);
  }
  std::vector<Tensor> inputs;
  Tensor target;
  int64_t batches = 0;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  for (; data.next(inputs, target); ++batches) {
    Swap<bool> grad(mode().grad, true);
    std::vector<Spec> specs;
    for (const Tensor& t : inputs) specs.push_back(t.spec());
    Graph bound = bind_inputs(g, specs);
    Tensor loss = (data.loss ? data.loss : usual_loss)(replay(bound, inputs), target);
    std::vector<Tensor> weights;
    for (auto& [id, score] : scores) weights.push_back(bound.values[size_t(id)].constant);
    std::vector<Tensor> slopes = gradients(loss, weights);
    Swap<bool> no_grad(mode().grad, false);
    size_t next = 0;
    for (auto& [id, score] : scores) {
      Tensor w = weights[next], d = slopes[next++];
      if (!d) continue;
      auto product = cast(w * d, DType::f64).clone().to_vector<double>();
      for (size_t i = 0; i < score.size(); ++i) {
        if (!std::isfinite(product[i]))
          throw Error(ErrorKind::value, op, "finite gradients", "\"" + bound.values[size_t(id)].name + "\" in batch " + std::to_string(batches + 1), "look at the data and the loss");
        score[i] += o.method == "movement" ? -product[i] : product[i] * product[i];
      }
    }
  }
  if (!batches) throw Error(ErrorKind::value, op, "at least one batch of data for " + what, "none");
  return scores;
}

}  // namespace miniten::edge
