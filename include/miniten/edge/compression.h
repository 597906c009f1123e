#pragma once
#include "miniten/edge/pruning.h"
#include "miniten/optim/optimizer.h"

namespace miniten::edge {

// Smaller models by fewer distinct weights, products of low rank, and small students: docs/edge/compression.md. The
// models given are not modified.

// ---- weight sharing ----
// The k-means of numbers, exactly: least sum of squared distances, by dynamic programming over the sorted values
// (k n log n time, linear memory). Fewer centroids where there are fewer distinct values. Throws for k below 1, no
// values, NaN and infinities.
struct Clusters {
  std::vector<float> centroids;          // ascending
  std::vector<int32_t> labels;           // by value
  double cost = 0;                       // sum of squared distances
};
Clusters kmeans_1d(std::span<const float> values, int64_t num_clusters);

struct ShareOptions {
  int64_t num_clusters = 16;             // distinct values of each weight, 0 included where it occurs
  std::string start = "optimal";         // optimal: exact; linear, density, random: Lloyd's iterations from there
  std::string scope = "layer";           // layer: a codebook for each weight; global: one for all
  std::vector<std::string> skip;         // as in PruneOptions
  uint64_t seed = 0;                     // of start random
  bool trainable = false;                // centroids move in training; of scope layer
};
struct ShareRow { std::string weight; int64_t total = 0, clusters = 0; double error = 0; };        // error: root of the mean squared change
struct ShareReport {
  std::vector<ShareRow> rows;
  size_t given_bytes = 0, bytes = 0;     // files: of the model given, of this one
  std::string to_text() const;
  std::string to_json() const;
  static ShareReport from_json(std::string_view);
};
// Weights hold few distinct values; their file holds indices of a few bits and codebooks. Weights that are shared do not
// move in training unless they are trainable: then every element of a value gets the sum of their gradients, so that they
// move as one (Han, Mao and Dally 2016). The rest does. Zeros stay zeros, masks stay.
class SharedModel : public nn::GraphModule {
 public:
  SharedModel(Graph, ShareReport, bool trainable = false);     // a graph whose shared constants have codebooks
  std::string type_name() const override { return "SharedModel"; }
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  bool trainable() const { return trainable_; }
  std::vector<std::pair<std::string, Tensor>> centroids() const;
  ShareReport report() const;            // with the bytes of now
  double compression_ratio() const;      // given_bytes over bytes
  // entropy: indices by their frequencies (rANS) instead of as equal numbers of bits.
  size_t size_bytes(bool entropy = false) const;
  NativeFile file() const;
  size_t save(const std::string& path, bool entropy = false) const;
  static Ref<SharedModel> from_file(const NativeFile&);
  static Ref<SharedModel> load(const std::string& path);
  Ref<SharedModel> clone() const;        // shares nothing

 private:
  struct Tie {                           // of a trainable weight: which value each element holds
    Tensor labels, first, keep;          // first: an element of each; keep: 0 at zeros, or null
  };
  Tensor tied(const Value&, const Tie&) const;
  Graph current() const;                 // with the codebooks of now
  ShareReport report_;
  bool trainable_;
  std::map<int, Tie> ties_;              // by value
};
// Weights of two or more axes, floats. Throws for a pattern that matches nothing, quantised models (share the float
// model, then quantise), num_clusters below 1 or above 65536, NaN and infinities.
Ref<SharedModel> weight_sharing(nn::Module& model, const ShareOptions& = {}, const std::vector<Spec>& inputs = {});

// ---- low rank ----
// w (m, n) of rank r as left (m, r) times right (r, n), the best in least squares.
struct LowRank { Tensor left, right; };
struct Svd { Tensor u, s, v; };          // w = u diag(s) v^T; s descending
Svd svd(const Tensor& w);                // float32 (m, n), no gradient
LowRank low_rank_factors(const Tensor& w, int64_t rank);

class LowRankApproximation {
 public:
  explicit LowRankApproximation(double rank_ratio = 0.5);      // of min(m, n), in (0, 1]
  int64_t rank_of(const Shape& matrix) const;                  // at most what makes the factors smaller than the matrix; throws where none does
  LowRank compress_matrix(const Tensor& w) const;
  static Tensor reconstruct(const LowRank&);
  static double compression_ratio(const LowRank&);             // m n / (r (m + n))

 private:
  double ratio_;
};

struct LowRankOptions {
  int64_t rank = 0;                      // of each layer; 0: by energy or ratio
  double energy = 0;                     // the share of squared singular values that stays, in (0, 1]; 0: by ratio
  double rank_ratio = 0.5;
  std::vector<std::string> skip;
};
struct LowRankRow { std::string layer, op; int64_t rank = 0, full_rank = 0; int64_t before = 0, after = 0; double error = 0; std::string reason; };   // error: |w - lr| / |w|
struct LowRankReport {
  std::vector<LowRankRow> rows;
  std::string to_text() const;
  std::string to_json() const;
};
// Linear layers become two, convolutions one with fewer outputs and a 1x1, where that is smaller; the report says why a
// layer stays. The result is a Module that trains on.
Ref<nn::GraphModule> low_rank(nn::Module& model, const LowRankOptions& = {}, const std::vector<Spec>& inputs = {}, LowRankReport* = nullptr);

// ---- distillation ----
// alpha T^2 KL(teacher || student, both softened by T) + (1 - alpha) CE(student, labels), means over the batch. Logits are
// (N, C), labels (N,) of integers. Throws for logits of other shapes, labels out of range, T not above 0, alpha outside [0, 1].
Tensor distillation_loss(const Tensor& student_logits, const Tensor& teacher_logits, const Tensor& labels, double temperature = 3, double alpha = 0.5);

// What else a student learns of a teacher: outputs of inner layers, by their paths ("features.3"). Teacher layers are the
// first teacher's.
struct Hint {
  std::string student, teacher;
  double weight = 1;
  // false: the mean squared distance of the features, the student's through a 1x1 convolution or linear layer of its own
  // where channels differ (FitNets, Romero et al. 2015). true: the squared distance of the attention maps, means of squares
  // over channels, each of length 1, summed over pixels (Zagoruyko and Komodakis 2017).
  bool attention = false;
};

// Trains a student by a teacher's answers. The teacher runs in eval mode and keeps its weights and its mode. Of several
// teachers it is the mean of their softened distributions.
class Distillation {
 public:
  Distillation(nn::ModuleRef student, nn::ModuleRef teacher, double temperature = 3, double alpha = 0.5);     // teacher may be null: see train_step
  // Throws for paths that name no layer and weights that are not above 0.
  Distillation(nn::ModuleRef student, std::vector<nn::ModuleRef> teachers, double temperature = 3, double alpha = 0.5, std::vector<Hint> hints = {});
  Tensor loss(const Tensor& student_logits, const Tensor& teacher_logits, const Tensor& labels) const {
    return distillation_loss(student_logits, teacher_logits, labels, temperature_, alpha_);
  }
  // One step -> the loss before it. Throws where there is no teacher, for features that do not fit, and for a loss that is
  // not finite, before anything moved.
  double train_step(const std::vector<Tensor>& inputs, const Tensor& labels);
  optim::Optimizer& optimizer();                                // Adam of the student's parameters unless set
  void set_optimizer(Ref<optim::Optimizer> o) { optimizer_ = std::move(o); }
  const nn::ModuleRef& student() const { return student_; }
  const nn::ModuleRef& teacher() const { return teachers_.at(0); }                // null: none
  const std::vector<nn::ModuleRef>& teachers() const { return teachers_; }
  const std::vector<nn::ModuleRef>& adapters() const { return adapters_; }        // by hint; null: none was needed so far

 private:
  Tensor taught(const std::vector<Tensor>& inputs, std::vector<Tensor>& features);
  Tensor hint_loss(size_t hint, Tensor own, const Tensor& taught);
  nn::ModuleRef student_;
  std::vector<nn::ModuleRef> teachers_;
  double temperature_, alpha_;
  std::vector<Hint> hints_;
  std::vector<nn::ModuleRef> adapters_;
  Ref<optim::Optimizer> optimizer_, adapter_optimizer_;
};

}  // namespace miniten::edge
