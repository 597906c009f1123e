#pragma once
#include "miniten/core/op.h"

namespace miniten {

// The integer form of float ops whose operands are quantised; none where there is no exact one.
std::optional<Lowered> lower_conv2d(const Lowering&);
std::optional<Lowered> lower_matmul(const Lowering&);
std::optional<Lowered> lower_add(const Lowering&);
std::optional<Lowered> lower_avg_pool2d(const Lowering&);
std::optional<Lowered> lower_mean(const Lowering&);        // over H and W

// The form with int8 weights and activations quantised at run time.
std::optional<Lowered> dynamic_conv2d(const Lowering&);
std::optional<Lowered> dynamic_matmul(const Lowering&);

}  // namespace miniten
