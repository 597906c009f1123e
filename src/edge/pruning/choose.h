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
  std::vector<double> score = {};            // by element, where data told it; else its magnitude
  std::vector<int64_t> block = {};           // by element, which go together; of n:m, which are chosen from
};
PruneOptions checked(PruneOptions);          // bn_scale and geometric_median as structured; throws for unknown names and patterns
void choose(std::vector<Candidate>&, double sparsity, const PruneOptions&);

// By element of a constant: its block of rows x cols in the matrix (outputs x inputs) of the layer that reads it.
std::vector<int64_t> blocks_of(const Graph&, int value, int64_t rows, int64_t cols);

struct Seen { Tensor places; int channel_axis = 0; };        // the constant's element numbers as a layer sees them
Seen seen(const Graph&, int value);

// By weight, the score of each element by the batches' gradients.
bool needs_data(const PruneOptions&);
std::map<int, std::vector<double>> scores_by_data(const Graph&, const PruneOptions&, const PruneData&);

// Sets elements outside the mask to what stands for 0. In place: true where anything changed.
Tensor with_zeros(const Tensor&, const Tensor& mask, const Quantized* = nullptr);
bool put_zeros(const Tensor&, const Tensor& mask, const Quantized* = nullptr);

}  // namespace miniten::edge
