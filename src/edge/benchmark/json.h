#pragma once
#include "base/json.h"
#include "miniten/edge/benchmark.h"

namespace miniten::edge {

nlohmann::ordered_json json_of(const BenchmarkResult&);

}  // namespace miniten::edge
