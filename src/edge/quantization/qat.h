#pragma once
#include "edge/quantization/steps.h"
#include "miniten/ops/ops.h"

// The training side of a prepared model: a float graph, and where values are rounded as the integers will be.
namespace miniten::edge {

struct ObservedValue { int value; std::string label; Tensor range; };       // range: (2,) a buffer, empty while lo > hi
struct Learned { Tensor scale; int32_t zero = 0; };
// A weight as a node of the float graph reads it, and the value it is in the folded graph.
struct WeightPoint {
  int node, slot, folded, axis;
  DType dtype;
  int64_t block;                                   // 0: one scale for each index along axis
  bool stored;                                     // computes in floats
  Tensor scale;                                    // learned, or null
};

struct FakeQuantization {
  Graph graph;                                     // float, not folded
  Decisions decisions;                             // about folded(graph)
  std::vector<ObservedValue> observed;
  std::vector<WeightPoint> weights;
  std::map<int, Learned> learned;                  // by group
  void find_weights(const Graph& from);
  bool is_ready() const;                           // every range is known
  Tensor operand(const WeightPoint&) const;        // its values now
  const QuantizationConfig& config_of(const ObservedValue& point) const { return decisions.config_of_value(point.value); }
  void round_stored_weights(Graph& folded) const;  // those that are stored alone: to the grid that they trained on
  std::vector<Tensor> train(const Graph& bound, const std::vector<Tensor>& inputs, double momentum, const Tensor& frozen_ranges, const Tensor& frozen_statistics) const;
  std::vector<Quantized> parameters(const Decisions&) const;       // of activations, by group
  std::map<int, Quantized> learned_weights(const Graph& from) const;        // by value of the folded graph

 private:
  Tensor see(const ObservedValue&, const Tensor&, double momentum, const Tensor& frozen) const;
  std::pair<Tensor, Tensor> scale_and_zero(int group, const QuantizationConfig&, const Tensor& like, bool frozen) const;
  Tensor rounded(const WeightPoint&, const Tensor&) const;
};

}  // namespace miniten::edge
