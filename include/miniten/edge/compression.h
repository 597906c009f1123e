#pragma once
#include "miniten/edge/pruning.h"
#include "miniten/interchange/native.h"
#include "miniten/optim/optimizer.h"

namespace miniten::edge {

// Smaller models by fewer distinct weights, products of low rank, and small students: docs/edge/compression.md. The
// models given are not modified.

// ---- weight sharing ----
// The k-means of numbers, exactly: least sum of squared distances, by a search for the price of a cluster at which the best
// clusters of the sorted values are k (n log n time for each price tried, whatever k; linear memory; Grønlund et al. 2017).
// Fewer centroids where there are fewer distinct values. Throws for k below 1, no values, NaN and infinities.
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
  size_t size_bytes(Entropy = Entropy::none) const;
  NativeFile file() const;
  size_t save(const std::string& path, Entropy = Entropy::none) const;
  static Ref<SharedModel> from_file(const NativeFile&);
  static Ref<SharedModel> load(const std::string& path);
  Ref<SharedModel> clone() const;        // shares nothing
  // The same model, in eval mode, whose weights stay indices of a byte in memory: a layer's are decoded into scratch when it
  // runs. A quarter of the memory, and slower. Those of more than 256 values stay as they are.
  Ref<nn::GraphModule> packed() const;

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

// The rank that variational Bayes finds in w, of what is not noise (Nakajima et al. 2013, analytic); at least 1.
int64_t vbmf_rank(const Tensor& w);

struct LowRankOptions {
  // Of convolutions; whatever has no such form (1x1, linear layers, what recurrent layers multiply their inputs by) is a
  // product of two matrices.
  //   svd      r outputs, then a 1x1
  //   spatial  k x 1 to r channels, then 1 x k
  //   tucker   1x1, k x k between fewer channels, 1x1
  //   cp       1x1, a depthwise k x k of r channels, 1x1
  std::string method = "svd";
  // At most one of these; none: by ratio.
  int64_t rank = 0;                      // of each layer
  double energy = 0;                     // the share of squared singular values that stays, in (0, 1]
  double budget = 0;                     // the share of all layers' weights that stays, in (0, 1): the greatest common energy that meets it
  bool vbmf = false;                     // vbmf_rank of each
  double rank_ratio = 0.5;
  // Inputs: errors count by what the layers read, so that the outputs come nearest in least squares, not the weights. For
  // products of two matrices but spatial ones.
  Batches data = nullptr;
  bool measure = true;                   // only layers that a session on this machine runs faster, with one thread
  std::vector<std::string> skip;
};
// form: the method, or svd. error: |w - w'| / |w|, or with data that of the layer's outputs. input_rank: tucker's; 0: none.
struct LowRankRow {
  std::string layer, op, form = {};
  int64_t rank = 0, input_rank = 0, full_rank = 0, before = 0, after = 0;
  double error = 0, dense_us = 0, factored_us = 0;           // medians, 0: not measured
  std::string reason = {};               // why it stays
};
struct LowRankReport {
  std::vector<LowRankRow> rows;
  std::string to_text() const;
  std::string to_json() const;
};
// Layers become chains of smaller ones, where that has fewer weights and is measured faster; the report says why a layer
// stays. The result is a Module that trains on. Throws for a budget that rank 1 everywhere does not meet.
Ref<nn::GraphModule> low_rank(nn::Module& model, const LowRankOptions& = {}, const std::vector<Spec>& inputs = {}, LowRankReport* = nullptr);

// ---- distillation ----
// alpha T^2 KL(teacher || student, both softened by T) + (1 - alpha) CE(student, labels), means over the batch. Logits are
// (N, C), labels (N,) of integers. Throws for logits of other shapes, labels out of range, T not above 0, alpha outside [0, 1].
Tensor distillation_loss(const Tensor& student_logits, const Tensor& teacher_logits, const Tensor& labels, double temperature = 3, double alpha = 0.5);

// What else a student learns of a teacher: outputs of inner layers, by their paths ("features.3"). Teacher layers are the
// first teacher's; of a GraphModule they go by the names of its layers.
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
  // The student's outputs in its present mode, and what train_step makes less. Throws where there is no teacher, and for
  // features that do not fit.
  struct Lesson { std::vector<Tensor> outputs; Tensor loss; };
  Lesson lesson(const std::vector<Tensor>& inputs, const Tensor& labels);
  // One step -> the loss before it. Throws as lesson, and for a loss that is not finite, before anything moved.
  double train_step(const std::vector<Tensor>& inputs, const Tensor& labels);
  // Answers of the teachers are kept in this folder, a file for each batch of inputs, and read where inputs and teachers are
  // the same bit for bit. Weights of teachers count as they are now. Empty: no longer.
  void cache(const std::string& folder);
  int cached() const { return cached_; }                        // answers that were read
  void set_teachers(std::vector<nn::ModuleRef>);                // throws as the constructor
  void set_alpha(double);
  double alpha() const { return alpha_; }
  optim::Optimizer& optimizer();                                // Adam of the student's parameters unless set
  void set_optimizer(Ref<optim::Optimizer> o) { optimizer_ = std::move(o); }
  const nn::ModuleRef& student() const { return student_; }
  const nn::ModuleRef& teacher() const { return teachers_.at(0); }                // null: none
  const std::vector<nn::ModuleRef>& teachers() const { return teachers_; }
  const std::vector<nn::ModuleRef>& adapters() const { return adapters_; }        // by hint; null: none was needed so far
  optim::Optimizer* adapter_optimizer() const { return adapter_optimizer_.get(); }     // null: none

 private:
  std::vector<Tensor> taught(const std::vector<Tensor>& inputs);                  // logits, then features by hint
  std::vector<Tensor> answers(const std::vector<Tensor>& inputs);
  Tensor hint_loss(size_t hint, Tensor own, const Tensor& taught);
  nn::ModuleRef student_;
  std::vector<nn::ModuleRef> teachers_;
  double temperature_, alpha_;
  std::vector<Hint> hints_;
  std::vector<nn::ModuleRef> adapters_;
  Ref<optim::Optimizer> optimizer_, adapter_optimizer_;
  Ref<nn::GraphModule> watched_;                               // the first teacher, its layers among the outputs
  std::string folder_;
  uint64_t fingerprint_ = 0;                                   // of the teachers
  int cached_ = 0;
};

}  // namespace miniten::edge
