#pragma once
#include "miniten/core/autograd.h"

namespace miniten {

struct Tensor::Impl::Extra {
  std::vector<std::pair<int64_t, GradientHook>> hooks;        // of a leaf
  Impl* self = nullptr;                                       // null once the tensor is gone
};

// What the tape keeps of an input or output: the tensor itself where backward needs its data or its grad, else its spec
// and its place.
struct Saved {
  Tensor tensor;
  Spec spec;
  Ref<TapeNode> producer;                      // of an input
  int producer_output = 0;
  bool requires_grad = false;
  uint32_t version = 0;
  uint64_t trace = 0;
  int value = -1;
};

// One application on the tape. Its outputs are stored without producer: the node must not own itself.
struct TapeNode {
  std::atomic<int> refs{0};
  int inputs = 0, outputs = 0;
  uint64_t order = 0;                          // creation order is a topological order
  const OpDef* op = nullptr;
  Attrs attrs;
  static constexpr int inline_count = 3;
  Saved few[inline_count];
  std::unique_ptr<Saved[]> many;
  bool released = false;                       // a walk took what it saved for backward
  uint32_t place = 0;                          // of the watcher that was there
  std::string line;                            // where it was made, in anomaly mode
  std::vector<std::pair<int64_t, GradientHook>> hooks;        // for output 0 .. outputs - 1, see hook_output
  std::vector<int> hook_output;
  Saved* saved() { return many ? many.get() : few; }          // inputs, then outputs
  const Saved* saved() const { return many ? many.get() : few; }
  void inc_ref() noexcept { refs.fetch_add(1, std::memory_order_relaxed); }
  void dec_ref() noexcept { if (refs.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(this); }
  static void destroy(TapeNode*);
};

uint64_t tape_position();                        // order of the newest node
void push_tape(const OpDef&, std::span<const Input> in, const void* attrs, std::span<Tensor> out);

// A saved value with its place on the tape.
Tensor revived(const Saved&, const Ref<TapeNode>& producer, int output, bool requires_grad);

// As gradients, but the walk ends at the inputs.
std::vector<Tensor> gradients_up_to(const Tensor& of, std::span<const Tensor> inputs, bool create_graph, const Tensor& seed);

// Throws where a view is used whose memory was overwritten by a recorded op through another tensor.
void check_history(const OpDef&, const Tensor&);

}  // namespace miniten
