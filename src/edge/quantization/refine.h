#pragma once
#include <map>
#include "edge/quantization/steps.h"
#include "ops/quantized/lowering.h"

namespace miniten::edge {

// Divides the output channels of a layer and multiplies the inputs of the only layer that reads them, so that both
// weights are about as wide (Nagel et al., "Data-free quantization through weight equalization and bias correction",
// 2019). -> how many pairs were changed.
int equalize(Graph&, const Decisions&);

// What calibration tells of the inputs of layers with weights, in memory that does not grow with the data.
class Refiner {
 public:
  Refiner(const Graph&, const Decisions&);
  void see(int value, const Tensor&);

  // Weights chosen so that what one rounds away the later ones make up for, by the inputs' second moments (Frantar et
  // al., "GPTQ", 2023): floats on the grid of q, or of the scale of each block. Null where nothing was seen.
  Tensor rounded(int node, const Quantized& q) const;
  Tensor rounded(int node, const std::vector<BlockScale>&, int64_t block, Limits) const;

  // The bias with what quantised weights shift the output by on average taken away; null where nothing was seen.
  Tensor corrected_bias(int node, const Tensor& weight_now) const;

 private:
  struct Seen {
    int node;
    Tensor mean;                                     // of one sample, float64
    int64_t samples = 0, rows = 0;
    Tensor moments;                                  // (K, K) float64: sum of x^T x
  };
  Tensor chosen(const Seen&, const std::function<BlockScale(int64_t channel, int64_t k)>& scale, Limits) const;
  const Seen* find(int node) const;
  const Graph& g_;
  const Decisions& d_;
  std::multimap<int, Seen> seen_;                    // by the value that is watched
};

}  // namespace miniten::edge
