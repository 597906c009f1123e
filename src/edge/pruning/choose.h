#pragma once
#include "miniten/edge/pruning.h"

// Which elements of weights go.
namespace miniten::edge {

void check_sparsity(const char* who, double sparsity);
void check_finite_weight(const char* who, const std::string& name, const Tensor&);

struct Candidate {
  std::string name;
  Tensor tensor;
  const Quantized* quantized = nullptr;      // of integers
  Tensor prior;                              // mask of an earlier pruning, or null
  Tensor mask;                               // the answer
  double ratio = -1;                         // a sparsity of its own
};
void choose(std::vector<Candidate>&, double sparsity, const PruneOptions&);

// Sets elements outside the mask to what stands for 0. In place: true where anything changed.
Tensor with_zeros(const Tensor&, const Tensor& mask, const Quantized* = nullptr);
bool put_zeros(const Tensor&, const Tensor& mask, const Quantized* = nullptr);

}  // namespace miniten::edge
