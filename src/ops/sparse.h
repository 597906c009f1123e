#pragma once
#include "base/features.h"
#include "kernels/sparse.h"
#include "miniten/ops/sparse.h"

namespace miniten {

// In front of what prepare packs: which form follows.
struct alignas(64) PreparedForm {
  int64_t sparse = 0;                      // 1: steps, 2: single weights, as kernels/sparse.h packs them, of integers behind their sums (64 bytes a
                                           // panel); more: a BF16Kind
  int64_t bytes = 0;                       // of the weights behind it, aligned
  float most = 0;                          // the greatest of the multipliers behind these, if there are any
};
inline PreparedForm form_of(const std::byte* prepared) {
  PreparedForm form = *reinterpret_cast<const PreparedForm*>(prepared);
  if (!has_packed) form.sparse = 0;
  return form;
}
inline const std::byte* weights_of(const std::byte* prepared) { return prepared + sizeof(PreparedForm); }

// Should these dense panels be multiplied sparsely? pixels: rows of A. dense_share: the time of the dense algorithm over
// that of the direct one. outputs: of a matrix whose single weights may be left out. Tells who listens.
struct SparseQuestion {
  const std::byte* weight;
  int64_t numel;
  bool integers;
  int64_t panels, steps, pixels;
  double dense_share = 1;
  int64_t outputs = 0;
};
bool may_be_sparse(const SparseQuestion&);                               // by a look at the weight alone: worth packing?
struct SparseForm { int kind = 0; int64_t kept = 0; };                   // 0 dense, 1 steps, 2 single weights; how many are kept
SparseForm choose_sparse(const SparseQuestion&, const std::byte* packed);

// The form chosen for a float product, packed: b (k, n) of any strides, its panels, the walk of A. -> bytes, 0: dense
struct FloatMatrix { const float* b; int64_t k, n, b_k, b_n; };
uint64_t pack_sparse(const SparseQuestion&, const kernels::GemmShape&, const FloatMatrix&, const std::byte* panels, PreparedForm&, std::byte* to);

}  // namespace miniten
