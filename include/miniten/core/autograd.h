#pragma once
#include <functional>
#include "miniten/core/op.h"

namespace miniten {

// Gradients of `of` (one element, or with `seed` any shape) with respect to `inputs`, leaves or computed tensors; a null
// tensor where there is no path. With create_graph the results can be differentiated again. Throws naming the op where a
// saved value was overwritten since (and the op that overwrote it), or where an op has no gradient. The values that ops saved
// are freed on the way, so the tape can be walked once; retain_graph (by default what create_graph is) keeps them.
std::vector<Tensor> gradients(const Tensor& of, std::span<const Tensor> inputs, bool create_graph = false, const Tensor& seed = {}, std::optional<bool> retain_graph = {});

// Adds the gradients to grad() of every leaf that requires one.
void backward(const Tensor& of, const Tensor& seed = {}, std::optional<bool> retain_graph = {}, bool create_graph = false);

// The op whose gradient leads on from a computed tensor; null for a leaf.
const OpDef* producer_of(const Tensor&);

// Called with the gradient that reaches a tensor; what it returns takes the gradient's place, null leaves it.
using GradientHook = std::function<Tensor(const Tensor& gradient)>;
int64_t add_hook(const Tensor&, GradientHook);                // a number for remove_hook
void remove_hook(const Tensor&, int64_t);
void retain_grad(const Tensor&);                              // backward() fills grad() of this computed tensor too

// x becomes f(x), in its own memory: every view sees the new values, and x takes the result's place on the tape. The
// result must have x's shape and dtype. Refused: a leaf that requires a gradient (but under no_grad), read-only memory, tracing. Using another view of memory that was overwritten so is an
// error where gradients are recorded.
void update_in_place(const Tensor& x, const OpDef& writer, const std::function<Tensor(const Tensor& old)>& f);

// Runs f without keeping what its gradient needs; backward runs it once more. Leaves that f captured get their gradients
// too. The second run sees the same random numbers and states (batch-norm statistics, dropout keys) as the first.
using TensorFunction = std::function<std::vector<Tensor>(const std::vector<Tensor>&)>;
std::vector<Tensor> checkpoint(const TensorFunction& f, const std::vector<Tensor>& in);

// Says where the program is, for errors of detect_anomaly; null: nowhere. A host language sets it once.
void set_place_reporter(std::string (*)());

}  // namespace miniten
