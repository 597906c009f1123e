#pragma once
#include "miniten/edge/quantization.h"

namespace miniten::edge {

// Quantisation-aware training: docs/edge/qat.md. A model is prepared, trained as any other, and converted.

struct QatOptions {
  QuantizationConfig config;             // mode static, weights by output channel. The method finds the first ranges
  bool learned_scales = false;           // scales are parameters (LSQ, Esser et al. 2020); else ranges follow the data
  double momentum = 0.95;                // what a range keeps of itself at each step
  std::optional<int64_t> freeze_observers_at;      // the step from which ranges stay as they are
  std::optional<int64_t> freeze_batch_norm_at;     // the step from which batch norms use and keep their running statistics
};

// What stands for one activation: a range that follows the data, or a learned scale.
struct ObserverRow { std::string layer; float lo = 0, hi = 0, scale = 0; int32_t zero_point = 0; };

// In training mode floats that are rounded as the integers will be, with straight-through gradients: weights by output
// channel, activations where integers will stand. Batch norm behind a layer is folded: it trains as a batch norm over
// the rounded weights, whose steps follow its scale. In eval mode the integer model that convert gives: equal bytes.
// Parameters and buffers have the names of the model given and the masks of a pruned one; its dropout is gone. Its own
// states are buffers "quantization.*", learned scales parameters "quantization.scales.*".
class PreparedModel : public nn::Module {
 public:
  PreparedModel(Graph, const QatOptions&, const Batches& calibration = nullptr);     // a float graph, which becomes this module's own
  ~PreparedModel() override;
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "PreparedModel"; }
  std::string extra_repr() const override;

  Ref<QuantizedModel> convert() const;   // shares nothing. Throws before the first step where there was no calibration data
  void freeze_observers(bool on = true);
  void freeze_batch_norm(bool on = true);
  int64_t steps() const;                 // forward passes in training mode
  std::vector<ObserverRow> observers() const;
  const QatOptions& options() const;
  Ref<PreparedModel> clone() const;      // shares nothing

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A trainable copy; the model given is not modified. Shapes are those of the calibration data, else `inputs`, else of
// the model's last call. Without calibration data the first step finds the ranges; learned scales need it.
Ref<PreparedModel> prepare_qat(nn::Module& model, const QatOptions& = {}, const Batches& calibration = nullptr, const std::vector<Spec>& inputs = {});
Ref<QuantizedModel> convert(nn::Module& prepared);       // PreparedModel::convert; throws for other modules

}  // namespace miniten::edge
