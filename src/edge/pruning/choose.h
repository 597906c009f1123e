#pragma once
#include "miniten/edge/pruning.h"

// Which elements of weights go.
namespace miniten::edge {

void check_sparsity(const char* who, double sparsity);

struct Candidate {
  std::string name;
  Tensor tensor;
  const Quantized* quantized = nullptr;      // of integers
  Tensor prior;                              // mask of an earlier pruning, or null
  Tensor mask;                               // the answer
};
void choose(std::vector<Candidate>&, double sparsity, const PruneOptions&);

// Sets elements outside the mask to what stands for 0. In place: true where anything changed.
Tensor with_zeros(const Tensor&, const Tensor& mask, const Quantized* = nullptr);
bool put_zeros(const Tensor&, const Tensor& mask, const Quantized* = nullptr);

}  // namespace miniten::edge
