#include "miniten/ops/ops.h"
#include "ops/onnx_rules.h"

// ONNX losses as compositions.
namespace miniten::onnx {

namespace {

// log_p (N, C, d..), labels (N, d..): the loss of each element, weighted; then the reduction.
Tensor negative_log_likelihood(const ForeignNode& n, const Tensor& log_p, const Tensor& labels, const Tensor& weight) {
  if (log_p.rank() < 2 || labels.rank() != log_p.rank() - 1) n.fail("(N, C, ..) and a label for each element", log_p.spec().text() + " and " + labels.spec().text());
  Dim classes = log_p.dim(1);
  if (is_symbol(classes)) n.fail("a known number of classes", log_p.spec().text());
  Tensor at = miniten::cast(labels, DType::i64);
  Shape by_class = Dims::filled(log_p.rank(), 1);
  by_class[1] = classes;
  Tensor hit = equal(unsqueeze(at, 1), miniten::reshape(counting(classes), by_class));
  Tensor zero = number_like(log_p, 0), w = weight ? miniten::reshape(weight, by_class) : Tensor::full({}, 1, log_p.dtype());
  if (n.has("ignore_index")) {
    Tensor counts = miniten::not_equal(unsqueeze(at, 1), Tensor::full({}, double(n.integer("ignore_index", 0)), DType::i64));
    hit = miniten::where(hit, counts, Tensor::full({}, 0, DType::boolean));
  }
  Tensor chosen = miniten::where(hit, w, zero);
  Tensor loss = -sum(miniten::where(hit, log_p, zero) * chosen, {1});
  std::string how = n.text("reduction", "mean");
  if (how == "none") return loss;
  if (how == "sum") return sum(loss);
  if (how == "mean") return sum(loss) / sum(chosen);
  n.fail("reduction none, sum or mean", how);
}
Tensors read_nll(const ForeignNode& n) { return {negative_log_likelihood(n, n.required(0), n.required(1), optional(n, 2))}; }
Tensors read_softmax_cross_entropy(const ForeignNode& n) {
  Tensor log_p = miniten::log_softmax(n.required(0), 1);
  return {negative_log_likelihood(n, log_p, n.required(1), optional(n, 2)), log_p};
}

constexpr ForeignComposition rules[] = {{"onnx", "NegativeLogLikelihoodLoss", read_nll}, {"onnx", "SoftmaxCrossEntropyLoss", read_softmax_cross_entropy}};

}  // namespace

Compositions loss_rules() { return rules; }

}  // namespace miniten::onnx
