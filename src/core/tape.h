#pragma once
#include "miniten/core/op.h"

namespace miniten {

struct Saved {
  Tensor tensor;
  uint32_t version = 0;
};

// One application on the tape. Its outputs are stored without producer: the node must not own itself.
struct TapeNode {
  std::atomic<int> refs{0};
  uint64_t order = 0;                          // creation order is a topological order
  const OpDef* op = nullptr;
  Attrs attrs;
  int inputs = 0, outputs = 0;
  uint32_t place = 0;                          // of the watcher that was there
  std::unique_ptr<Saved[]> saved;              // inputs, then outputs
  void inc_ref() noexcept { refs.fetch_add(1, std::memory_order_relaxed); }
  void dec_ref() noexcept { if (refs.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(this); }
  static void destroy(TapeNode*);
};

void push_tape(const OpDef&, std::span<const Input> in, const void* attrs, std::span<Tensor> out);

}  // namespace miniten
