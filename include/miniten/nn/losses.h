#pragma once
#include "miniten/nn/functional.h"
#include "miniten/nn/module.h"

namespace miniten::nn {

using functional::ClassOptions;
using functional::Reduction;

// Losses take (prediction, target) unless said otherwise; formulas stand in nn/functional.h. A given weight is a buffer.
class Loss : public Module {
 public:
  using Function = std::function<Tensor(const Loss&, const std::vector<Tensor>&)>;
  Loss(const char* name, int inputs, Function f) : name_(name), inputs_(inputs), f_(std::move(f)) {}
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return name_; }

 private:
  const char* name_;
  int inputs_;
  Function f_;
};
struct CrossEntropyLoss : Loss {           // logits (N, C, ..); labels (N, ..) integers in [0, C), or probabilities
  explicit CrossEntropyLoss(const ClassOptions& = {});
  explicit CrossEntropyLoss(double label_smoothing) : CrossEntropyLoss(ClassOptions{{}, -100, label_smoothing, Reduction::mean}) {}
  double label_smoothing;
};
struct NLLLoss : Loss { explicit NLLLoss(const ClassOptions& = {}); };
struct MSELoss : Loss { explicit MSELoss(Reduction = Reduction::mean); };
struct L1Loss : Loss { explicit L1Loss(Reduction = Reduction::mean); };
struct SmoothL1Loss : Loss { explicit SmoothL1Loss(double beta = 1, Reduction = Reduction::mean); };
struct HuberLoss : Loss { explicit HuberLoss(double delta = 1, Reduction = Reduction::mean); };
struct BCELoss : Loss { explicit BCELoss(const Tensor& weight = {}, Reduction = Reduction::mean); };
struct BCEWithLogitsLoss : Loss { explicit BCEWithLogitsLoss(const Tensor& weight = {}, const Tensor& pos_weight = {}, Reduction = Reduction::mean); };
struct KLDivLoss : Loss { explicit KLDivLoss(Reduction = Reduction::mean, bool log_target = false, bool batch_mean = false); };
struct FocalLoss : Loss { explicit FocalLoss(double alpha = 0.25, double gamma = 2, Reduction = Reduction::mean); };
struct TripletMarginLoss : Loss {          // anchor, positive, negative
  explicit TripletMarginLoss(double margin = 1, double p = 2, double eps = 1e-6, bool swap = false, Reduction = Reduction::mean);
};
struct CosineEmbeddingLoss : Loss { explicit CosineEmbeddingLoss(double margin = 0, Reduction = Reduction::mean); };   // a, b, target
struct MarginRankingLoss : Loss { explicit MarginRankingLoss(double margin = 0, Reduction = Reduction::mean); };       // a, b, target
struct HingeEmbeddingLoss : Loss { explicit HingeEmbeddingLoss(double margin = 1, Reduction = Reduction::mean); };
struct CTCLoss : Loss {                    // log probabilities (T, N, C), targets (N, S), input lengths, target lengths
  explicit CTCLoss(int64_t blank = 0, Reduction = Reduction::mean, bool zero_infinity = false);
};

}  // namespace miniten::nn
