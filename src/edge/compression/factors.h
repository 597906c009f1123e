#pragma once
#include "miniten/edge/compression.h"
#include "ops/factor.h"

namespace miniten::edge {

// One weight and its products of low rank.
class Factoring {
 public:
  // As the rule unfolds it. whiten: l (n, n) where errors count as |(w - w') l|, of matrices; or null.
  Factoring(Factors, Tensor unfolded, const Tensor& whiten = {});
  Factors form() const { return form_; }
  int64_t full_rank() const { return full_[0]; }
  int64_t size() const { return w_.numel(); }
  int64_t size(const std::vector<int64_t>& ranks) const;      // weights of the factors
  // One rank, or those of outputs and inputs (tucker); each from 1 to the full one.
  std::vector<int64_t> ranks(const std::function<int64_t(const std::vector<float>& spectrum, int64_t rows, int64_t columns)>&) const;
  struct Made { std::vector<Tensor> factors; double error; };  // in FactorRule's order; error: relative, in the norm above
  Made make(const std::vector<int64_t>& ranks) const;

 private:
  Made product(int64_t rank) const;
  Made tucker(int64_t outputs, int64_t inputs) const;
  Made parallel(int64_t rank) const;
  Factors form_;
  Tensor w_;
  std::vector<Svd> modes_;                                     // of the matrix, or of the tensor by outputs and by inputs
  std::vector<int64_t> full_;
};

int64_t rank_of_energy(const std::vector<float>& spectrum, double energy);
int64_t rank_of_vbmf(const std::vector<float>& spectrum, int64_t rows, int64_t columns);

}  // namespace miniten::edge
