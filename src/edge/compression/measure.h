#pragma once
#include "edge/benchmark/bench.h"

// What a model costs, by the units of budgets.
namespace miniten::edge {

double flash_kb(nn::Module&, const std::vector<Spec>& inputs);       // of the file that its save writes
double ram_kb(nn::Module&, const std::vector<Spec>& inputs);

}  // namespace miniten::edge
