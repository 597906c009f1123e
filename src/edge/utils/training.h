#pragma once
#include "miniten/nn/module.h"

namespace miniten::edge {

Cost backward_cost(nn::Module&, const std::vector<Spec>& inputs);      // of what backward adds to a training forward pass

}  // namespace miniten::edge
