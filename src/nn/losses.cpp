#include "miniten/nn/losses.h"
#include "nn/layer_parts.h"

namespace miniten::nn {

namespace F = functional;
using Inputs = const std::vector<Tensor>&;

std::vector<Tensor> Loss::forward(const std::vector<Tensor>& in) {
  if (int(in.size()) != inputs_)
    throw Error(ErrorKind::value, name_, inputs_ == 2 ? "a prediction and a target" : std::to_string(inputs_) + " tensors", std::to_string(in.size()) + " tensors");
  return {f_(*this, in)};
}
static ClassOptions with_weight(const Loss& l, ClassOptions o) {
  o.weight = l.buffer_of("weight");
  return o;
}
static ClassOptions without_weight(ClassOptions o) {
  o.weight = {};
  return o;
}
CrossEntropyLoss::CrossEntropyLoss(const ClassOptions& given)
    : Loss("CrossEntropyLoss", 2, [o = without_weight(given)](const Loss& l, Inputs in) { return F::cross_entropy(in[0], in[1], with_weight(l, o)); }),
      label_smoothing(given.label_smoothing) {
  if (!(label_smoothing >= 0 && label_smoothing <= 1)) throw Error(ErrorKind::value, "CrossEntropyLoss", "label_smoothing in [0, 1]", number(label_smoothing));
  if (given.weight) register_buffer("weight", given.weight);
}
NLLLoss::NLLLoss(const ClassOptions& given)
    : Loss("NLLLoss", 2, [o = without_weight(given)](const Loss& l, Inputs in) { return F::nll_loss(in[0], in[1], with_weight(l, o)); }) {
  if (given.weight) register_buffer("weight", given.weight);
}
MSELoss::MSELoss(Reduction r) : Loss("MSELoss", 2, [=](const Loss&, Inputs in) { return F::mse_loss(in[0], in[1], r); }) {}
L1Loss::L1Loss(Reduction r) : Loss("L1Loss", 2, [=](const Loss&, Inputs in) { return F::l1_loss(in[0], in[1], r); }) {}
SmoothL1Loss::SmoothL1Loss(double beta, Reduction r) : Loss("SmoothL1Loss", 2, [=](const Loss&, Inputs in) { return F::smooth_l1_loss(in[0], in[1], beta, r); }) {}
HuberLoss::HuberLoss(double delta, Reduction r) : Loss("HuberLoss", 2, [=](const Loss&, Inputs in) { return F::huber_loss(in[0], in[1], delta, r); }) {}
BCELoss::BCELoss(const Tensor& weight, Reduction r)
    : Loss("BCELoss", 2, [=](const Loss& l, Inputs in) { return F::binary_cross_entropy(in[0], in[1], l.buffer_of("weight"), r); }) {
  if (weight) register_buffer("weight", weight);
}
BCEWithLogitsLoss::BCEWithLogitsLoss(const Tensor& weight, const Tensor& pos_weight, Reduction r)
    : Loss("BCEWithLogitsLoss", 2, [=](const Loss& l, Inputs in) {
        return F::binary_cross_entropy_with_logits(in[0], in[1], l.buffer_of("weight"), l.buffer_of("pos_weight"), r);
      }) {
  if (weight) register_buffer("weight", weight);
  if (pos_weight) register_buffer("pos_weight", pos_weight);
}
KLDivLoss::KLDivLoss(Reduction r, bool log_target, bool batch_mean)
    : Loss("KLDivLoss", 2, [=](const Loss&, Inputs in) { return F::kl_div(in[0], in[1], r, log_target, batch_mean); }) {}
FocalLoss::FocalLoss(double alpha, double gamma, Reduction r) : Loss("FocalLoss", 2, [=](const Loss&, Inputs in) { return F::focal_loss(in[0], in[1], alpha, gamma, r); }) {}
TripletMarginLoss::TripletMarginLoss(double margin, double p, double eps, bool swap, Reduction r)
    : Loss("TripletMarginLoss", 3, [=](const Loss&, Inputs in) { return F::triplet_margin_loss(in[0], in[1], in[2], margin, p, eps, swap, r); }) {}
CosineEmbeddingLoss::CosineEmbeddingLoss(double margin, Reduction r)
    : Loss("CosineEmbeddingLoss", 3, [=](const Loss&, Inputs in) { return F::cosine_embedding_loss(in[0], in[1], in[2], margin, r); }) {}
MarginRankingLoss::MarginRankingLoss(double margin, Reduction r)
    : Loss("MarginRankingLoss", 3, [=](const Loss&, Inputs in) { return F::margin_ranking_loss(in[0], in[1], in[2], margin, r); }) {}
HingeEmbeddingLoss::HingeEmbeddingLoss(double margin, Reduction r)
    : Loss("HingeEmbeddingLoss", 2, [=](const Loss&, Inputs in) { return F::hinge_embedding_loss(in[0], in[1], margin, r); }) {}
CTCLoss::CTCLoss(int64_t blank, Reduction r, bool zero_infinity)
    : Loss("CTCLoss", 4, [=](const Loss&, Inputs in) { return F::ctc_loss(in[0], in[1], in[2], in[3], blank, r, zero_infinity); }) {}

}  // namespace miniten::nn
