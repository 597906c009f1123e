#pragma once
#include "miniten/core/op.h"

namespace miniten {

// Gradients of `of` (one element, or with `seed` any shape) with respect to `leaves`; a null tensor where there is no
// path. With create_graph the results can be differentiated again. Throws naming the op where a saved value was
// overwritten since, or where an op has no gradient.
std::vector<Tensor> gradients(const Tensor& of, std::span<const Tensor> leaves, bool create_graph = false, const Tensor& seed = {});

// Adds the gradients to grad() of every leaf that requires one. The tape may be walked again.
void backward(const Tensor& of, const Tensor& seed = {});

// The op whose gradient leads on from a computed tensor; null for a leaf.
const OpDef* producer_of(const Tensor&);

}  // namespace miniten
