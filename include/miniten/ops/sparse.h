#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace miniten {

// How sessions multiply by constant weights that hold many zeros. A step is what kernels leave out where it holds zeros
// alone: 16 outputs by one input (floats) or by four (8 bits). Single zeros are left out by linear layers and 1x1
// convolutions of at most 1024 inputs, in floats by those of one row too. Results are those of the dense kernels, bit for bit in
// integers, and in floats for finite values against the direct product (a 3 x 3 convolution may be one of Winograd's).
enum class Sparse { automatic, never, always };        // automatic: where a model of the cost says that it is faster

struct SparseChoice {
  const std::byte* weight = nullptr;                   // the constant of the session's graph
  int64_t kept = 0, steps = 0;                         // steps that hold a weight, of all
  int64_t nonzero = 0, weights = 0;                    // single weights, where they can be left out; else 0 of 0
  double gain = 0;                                     // expected of the better form: dense time over sparse time
  bool single = false;                                 // that form leaves out single weights
  bool used = false;
};

// For the sessions made on this thread while it lives. log: what was chosen for each constant weight of a convolution or
// product that has a sparse form.
class SparseScope {
 public:
  explicit SparseScope(Sparse use, std::vector<SparseChoice>* log = nullptr);
  ~SparseScope();
  SparseScope(const SparseScope&) = delete;

 private:
  Sparse use_;
  std::vector<SparseChoice>* log_;
};

}  // namespace miniten
