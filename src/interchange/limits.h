#pragma once
#include "miniten/core/memory_limit.h"
#include "miniten/graph/graph.h"

namespace miniten {

inline constexpr int64_t most_nodes = int64_t{1} << 20;      // applied while reading: graphs call graphs, and loops are unrolled

// Throws TooLarge for a value that alone would need more than `limit` bytes where it is computed.
void check_declared(const Graph&, std::string_view op, uint64_t limit);

}  // namespace miniten
