#pragma once
#include "kernels/sparse.h"
#include "miniten/ops/sparse.h"

namespace miniten {

// In front of what prepare packs: which form follows.
struct alignas(64) PreparedForm {
  int64_t sparse = 0;                      // 1: sums of integer weights (64 bytes a panel), then what kernels/sparse.h packs
  int64_t bytes = 0;                       // of the weights behind it, aligned
};
inline const PreparedForm& form_of(const std::byte* prepared) { return *reinterpret_cast<const PreparedForm*>(prepared); }
inline const std::byte* weights_of(const std::byte* prepared) { return prepared + sizeof(PreparedForm); }

// Should these dense panels be multiplied sparsely? pixels: rows of A. dense_share: the time of the dense algorithm over
// that of the direct one. Tells who listens.
struct SparseQuestion {
  const std::byte* weight;
  int64_t numel;
  bool integers;
  int64_t panels, steps, pixels;
  double dense_share = 1;
};
bool may_be_sparse(const SparseQuestion&);                               // by a look at the weight alone: worth packing?
int64_t choose_sparse(const SparseQuestion&, const std::byte* packed);   // steps kept, -1: dense

}  // namespace miniten
