#pragma once
#include "miniten/edge/quantization.h"

namespace miniten::edge {

// Weights that are zero and stay zero: docs/edge/pruning.md. A sparsity is the share of zeros wanted, in [0, 1); the
// number of zeros is round(sparsity * n), halves to even, and of equal magnitudes the first go.

// ---- single tensors ----
// mask: bool, false where a weight became zero. Floats of any width; integers are taken as they are. Throws for a sparsity
// outside [0, 1) and for NaN and infinities.
struct Pruned { Tensor weights, mask; };
Pruned magnitude_prune(const Tensor& weights, double sparsity);

// Whole slices along dim, the least by L1 norm; at least one stays. kept: indices of those that stay, ascending.
struct StructuredPruned { Tensor weights, mask; std::vector<int64_t> kept; };
StructuredPruned structured_prune(const Tensor& weights, double sparsity, int dim = 0);

// ---- models ----
struct PruneOptions {
  std::string method = "magnitude";      // magnitude, random, lamp, taylor, movement: zeros; structured: channels are cut
                                         // out; bn_scale and geometric_median: structured by that importance
  std::string scope = "global";          // global: one threshold for all layers; layer: each to the same sparsity
  std::vector<std::string> skip;         // what stays whole: names of weights or layers with * and ?, "features" means all
                                         // below it too, or names of ops. One that matches nothing is an error
  uint64_t seed = 0;                     // of method and importance random
  std::vector<std::pair<std::string, double>> ratios;   // pattern as in skip -> the sparsity of what it names, alone
  // Zeros in blocks, by layers' matrices (outputs x inputs, for each tap of a kernel): of m inputs in a row n stay whatever
  // the sparsity of the rest, or rows x cols go or stay together, the least by their mean. Edges have smaller blocks.
  int64_t n = 0, m = 0;                  // 0: no such pattern; the sparsity must be 1 - n / m then
  int64_t rows = 1, cols = 1;            // rows 0: what kernels leave out, 16 x 1 of floats and 16 x 4 of integers
  // Of method structured:
  std::string importance = "l1";         // of a channel: l1, l2, bn_scale, geometric_median, taylor, random
  int64_t min_channels = 1;              // that stay in each set
  int64_t round_to = 1;                  // what stays is a multiple of it where the set allows, upwards
};
// What methods that ask data are given.
struct PruneData {
  std::function<bool(std::vector<Tensor>& inputs, Tensor& target)> next;       // the next batch; false: there is none
  std::function<Tensor(const std::vector<Tensor>& outputs, const Tensor& target)> loss;   // null: cross entropy of integer targets, else mean squared error
};
// total: elements before; zeros: those that are 0 or were cut out.
struct PruneRow { std::string weight; int64_t total = 0, zeros = 0; std::string dtype; };
// Along these axes of these constants all but the kept indices (ascending) were cut out.
struct KeptIndices {
  std::vector<std::pair<std::string, int>> axes;
  int64_t size = 0;                      // before
  std::vector<int64_t> kept;
};
struct PruneReport {
  double wanted = 0;                     // the sparsity asked for
  std::vector<PruneRow> rows;            // every prunable weight, the skipped ones too
  std::string method, scope;
  size_t dense_bytes = 0, bytes = 0;     // of the native file with all weights in full, and as it is
  int64_t total() const;
  int64_t zeros() const;
  std::string to_text() const;
  std::string to_json() const;
};
struct ChannelCut { std::vector<KeptIndices> kept; size_t given_bytes = 0; };        // given_bytes: the file of the model given

// A model whose weights are partly zero. The zeros hold in training with any optimizer: masked weights get zero gradients
// (replay multiplies them by their masks), and each call and save puts back to zero what something else moved. Masks
// are of the graph's values, so later steps see them. Names are those of the model given ("0.weight").
class PrunedModel : public nn::GraphModule {
 public:
  explicit PrunedModel(Graph, double wanted = 0, const PruneOptions& = {}, std::shared_ptr<QuantizationReport> = nullptr, ChannelCut = {});   // a pruned graph
  // Traced at its first call. `weights` become the snapshot and are pruned at once; see prune_model.
  PrunedModel(nn::ModuleRef source, std::vector<std::function<void(Graph&)>> before, const nn::StateDict& weights,
              std::vector<std::pair<std::string, Tensor>> masks, double sparsity, const PruneOptions&);
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "PrunedModel"; }

  std::vector<std::pair<std::string, Tensor>> masks() const;        // of the weights that were pruned: bool, false at zeros
  double actual_sparsity() const;        // zeros among the prunable weights, counted
  int64_t nonzero_parameters() const;    // of count_parameters
  const std::vector<KeptIndices>& kept() const { return cut_.kept; }   // of method structured
  double compression_ratio() const;      // bytes of the file with all weights in full over those of this one
  PruneReport report() const;            // counted now
  // More zeros (or as many) in place, with the method, scope and seed of the making: an optimizer keeps its parameters.
  // Throws for method structured: channels go from copies.
  void prune(double sparsity, const PruneData& = {});
  void hold() const;                     // puts back to zero now what something else moved
  // Weights of the state given, the zeros of now: the lottery ticket's way (Frankle and Carbin 2019). Names are those of
  // the model given or of this one; where channels were cut out the same go. Throws naming what is missing, too much or
  // of another shape; nothing is changed then.
  void rewind(const nn::StateDict&);

  // What the quantised model it was made from knew; null: its weights are floats.
  const QuantizationReport* quantization() const { return quantization_.get(); }
  double size_reduction() const;         // the float model's file over this one's; of a float model compression_ratio
  size_t size_bytes() const;             // of the native file, byte for byte what save writes
  NativeFile file() const;               // what save writes
  size_t save(const std::string& path) const;                       // atomic; -> bytes
  static Ref<PrunedModel> load(const std::string& path);
  static Ref<PrunedModel> from_file(const NativeFile&);
  Ref<PrunedModel> clone() const;        // shares nothing

 private:
  Graph held() const;                    // the graph, or before there is one the weights alone; zeros put back
  double wanted_ = 0;
  PruneOptions options_;
  std::vector<std::pair<std::string, Tensor>> waiting_;             // masks while there is no graph
  std::shared_ptr<QuantizationReport> quantization_;
  ChannelCut cut_;
  mutable uint64_t held_version_ = 0;
};

// A pruned copy; the model given is not modified. Prunable are the weights of two or more axes that layers multiply by
// (the weights bits of an op's traits), in floats or integers; integers become their zero point, scales stay, and their
// magnitude is |q - zero| * scale. Every weight keeps at least its greatest element. Masks of an earlier pruning stay.
// Shapes are `inputs`, else those of the model's last call; of a model that was never called every float parameter of two
// or more axes is pruned at once, and the graph traced at the first call.
// Throws for a sparsity outside [0, 1), NaN and infinities in weights (naming them), an unknown method or scope, a skip
// pattern that matches nothing and a model without weights.
// Method structured cuts channels out, with everything that reads or scales them, so that the model gets smaller and
// faster: it computes what it would with these channels' weights all zero. The sparsity is the share of channels that go.
// It needs known shapes and floats, as methods taylor and movement and patterns do.
// taylor: the sum over batches of (gradient * weight)^2 (Molchanov et al. 2019); movement: of -gradient * weight, what
// training would shrink goes first (Sanh et al. 2020). The model runs in eval mode, its weights stay.
Ref<PrunedModel> prune_model(nn::Module& model, double sparsity, const PruneOptions& = {}, const std::vector<Spec>& inputs = {}, const PruneData& = {});
void prune_graph(Graph&, double sparsity, const PruneOptions& = {}, const PruneData& = {});        // new constants and masks
std::vector<KeptIndices> prune_channels(Graph&, double sparsity, const PruneOptions& = {}, const PruneData& = {});    // method structured; -> what stays

// What pruning broke, mended in place from inputs alone, without labels or training.
//   batch_norm     running means and variances are those of the batches now
//   bias           each layer's bias takes up what the mean of its outputs lost against `original`, layer after layer
//   least_squares  the weights left (and the bias) of each layer are those whose outputs come nearest to the original's, given
//                  what the layer reads now (He, Zhang and Sun 2017; in zeros' place nothing grows); linear layers and
//                  ungrouped convolutions
// original: the model before pruning, of the same layers; needed by bias and least_squares. The model keeps its zeros and
// channels; a layer that would not come nearer stays. Throws for integers, no data, and models whose layers differ.
struct RepairRow { std::string layer; double before = 0, after = 0; };   // of batch_norm: distance of the means in standard
                                                                         // deviations; else the error relative to the original's outputs
struct RepairReport {
  std::string method;
  std::vector<RepairRow> rows;
  std::string to_text() const;
  std::string to_json() const;
};
RepairReport repair(nn::GraphModule& pruned, const std::vector<std::vector<Tensor>>& batches, const std::string& method = "least_squares",
                    nn::Module* original = nullptr);

// How a session runs a model's layers, measured here with one thread, all forms in turn: what is left out are steps of 16
// outputs by one input (floats) or by four (8 bits) that hold zeros alone, or in floats single weights (miniten/ops/sparse.h).
// Layers without a sparse form (depthwise, grouped,
// int16) are not among the rows. Throws where shapes are not known.
struct SparseRow {
  std::string layer, op;
  int64_t weights = 0, zeros = 0;        // elements
  int64_t kept = 0, steps = 0;           // steps that hold a weight, of all
  bool single = false;                   // the sparse form leaves out single weights, not steps
  bool sparse = false;                   // what a session chooses, by the gain it expects
  double expected_gain = 0;
  double dense_us = 0, sparse_us = 0;    // medians
  std::string decision() const;          // "blocks: 3.90x", "single weights: 1.80x", "kept dense: slower (0.80x)"
};
struct SparseReport {
  std::string isa;
  std::vector<SparseRow> rows;
  double dense_us = 0, chosen_us = 0;    // of all layers together
  std::string to_text() const;
  std::string to_json() const;
};
SparseReport sparse_execution(nn::Module& model, const std::vector<Spec>& inputs = {}, int runs = 20);

// Channels that exist only together: outputs of layers whose results are added, what batch norm scales of them and what
// the layers after them read. These sets are what method structured chooses from. Inputs and outputs of the graph, and
// channels that an op mixes otherwise (softmax, a mean over channels), are in no set.
struct ChannelSummary {
  std::string name;                      // the first layer whose outputs they are
  int64_t channels = 0;
  std::vector<std::string> layers;       // whose outputs they are
  std::vector<std::pair<std::string, int>> axes;        // constants and their axes that are cut
  std::string to_text() const;
};
std::vector<ChannelSummary> channel_groups(nn::Module& model, const std::vector<Spec>& inputs = {});

// Sparsity that grows from step to step by a cubic law (Zhu and Gupta, "To prune, or not to prune", 2017):
// final + (initial - final) * (1 - (step - start) / (end - start))^3, constant before start_step and after end_step.
class GradualPruning {
 public:
  GradualPruning(double initial_sparsity = 0, double final_sparsity = 0.9, int64_t start_step = 0, int64_t end_step = 1000, int64_t frequency = 100);
  double get_sparsity(int64_t step) const;
  bool should_update(int64_t step) const;        // every `frequency` steps from start_step on, and at end_step
  double step();                                 // moves on by one; -> the sparsity now
  // After step(): prunes a model in place where this step is one to update at. -> whether it did
  bool apply(PrunedModel&, const PruneData& = {}) const;
  int64_t last_step() const { return at_; }
  void set_last_step(int64_t);           // to go on from there

 private:
  double initial_, final_;
  int64_t start_, end_, frequency_, at_ = 0;
};

}  // namespace miniten::edge
