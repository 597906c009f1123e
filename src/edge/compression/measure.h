#pragma once
#include "miniten/nn/module.h"

// What a model costs, by the units of budgets.
namespace miniten::edge {

double flash_kb(nn::Module&, const std::vector<Spec>& inputs);       // of the file that its save writes
double ram_kb(nn::Module&, const std::vector<Spec>& inputs);
double median_ms(nn::Module&, const std::vector<Spec>& inputs);      // measured, one thread

}  // namespace miniten::edge
