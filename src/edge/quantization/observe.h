#pragma once
#include "miniten/edge/quantization.h"

namespace miniten::edge {

struct Observed { int64_t batches = 0, samples = 0; };

// Runs the graph node by node on every batch; values die after their last reader. see is told of every value, with the
// number of the batch. A batch that does not fit throws in the name of `who`.
Observed observe(const char* who, const Graph&, const Batches&, const std::function<void(int value, const Tensor&, int64_t batch)>& see);

}  // namespace miniten::edge
