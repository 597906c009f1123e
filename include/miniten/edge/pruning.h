#pragma once
#include "miniten/nn/graph_module.h"

namespace miniten {
struct NativeFile;
}
namespace miniten::edge {

// ---- single tensors ----
// mask: bool, false where a weight became zero. The number of zeros is round(sparsity * n); of equal magnitudes the
// first go. Throws for a sparsity outside [0, 1) and for NaN.
struct Pruned { Tensor weights, mask; };
Pruned magnitude_prune(const Tensor& weights, double sparsity);

// Whole slices along dim, the least by L1 norm; at least one stays. kept: indices of those that stay, ascending.
struct StructuredPruned { Tensor weights, mask; std::vector<int64_t> kept; };
StructuredPruned structured_prune(const Tensor& weights, double sparsity, int dim = 0);

// ---- models ----
struct PruneOptions {
  std::string method = "magnitude";      // magnitude, random
  std::string scope = "global";          // global: one threshold for all layers; layer: each to the same sparsity
  std::vector<std::string> skip;         // names of weights that stay whole, with * and ?; one that matches nothing is an error
  uint64_t seed = 0;                     // of method random
};
struct PruneRow { std::string weight; int64_t total = 0, zeros = 0; };
struct PruneReport {
  double wanted = 0;
  std::vector<PruneRow> rows;
  std::string to_text() const;
  std::string to_json() const;
};

// A model whose weights are partly zero and stay so in training with any optimizer. Weights in integers keep their
// scales; their magnitude is judged as |q * scale|.
class PrunedModel : public nn::GraphModule {
 public:
  explicit PrunedModel(Graph);
  PrunedModel(nn::ModuleRef source, double sparsity, const PruneOptions&);      // a model that never ran: see GraphModule
  std::string type_name() const override { return "PrunedModel"; }
  std::vector<std::pair<std::string, Tensor>> masks() const;
  double actual_sparsity() const;        // zeros among the prunable weights
  double compression_ratio() const;      // parameters in all over those that are not zero
  int64_t nonzero_parameters() const;
  PruneReport report() const;
  size_t size_bytes() const;             // of the native file
  size_t save(const std::string& path) const;                       // atomic; -> bytes
  static Ref<PrunedModel> load(const std::string& path);
  static Ref<PrunedModel> from_file(const NativeFile&);

 private:
  NativeFile file() const;
  double wanted_ = 0;
};

// A pruned copy; the model given is not modified. Prunable are the weights of two or more axes that layers multiply by.
// Throws for a sparsity outside [0, 1), NaN in weights (naming them), an unknown method, and a model without weights.
Ref<PrunedModel> prune_model(nn::Module& model, double sparsity, const PruneOptions& = {}, const std::vector<Spec>& inputs = {});
void prune_graph(Graph&, double sparsity, const PruneOptions& = {});

// Sparsity that grows from step to step by a cubic law (Zhu and Gupta, "To prune, or not to prune", 2017).
class GradualPruning {
 public:
  GradualPruning(double initial_sparsity = 0, double final_sparsity = 0.9, int64_t start_step = 0, int64_t end_step = 1000, int64_t frequency = 100);
  double get_sparsity(int64_t step) const;
  bool should_update(int64_t step) const;
  double step();                         // moves on by one; -> the sparsity now

 private:
  double initial_, final_;
  int64_t start_, end_, frequency_, at_ = 0;
};

}  // namespace miniten::edge
