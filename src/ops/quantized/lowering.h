#pragma once
#include "miniten/core/op.h"

namespace miniten {

// The integer form of float ops whose operands are quantised; none where there is no exact one.
std::optional<Lowered> lower_conv2d(const Lowering&);
std::optional<Lowered> lower_matmul(const Lowering&);
std::optional<Lowered> lower_add(const Lowering&);
std::optional<Lowered> lower_avg_pool2d(const Lowering&);
std::optional<Lowered> lower_mean(const Lowering&);        // over H and W

// Sums of `taps` products of 8-bit x and w need this much of int32; the rest is a bias's. Negative: they do not fit.
inline int64_t bias_limit(int64_t taps) { return 2147483647 - taps * 255 * 127; }

// The form with int8 weights and activations quantised at run time.
std::optional<Lowered> dynamic_conv2d(const Lowering&);
std::optional<Lowered> dynamic_matmul(const Lowering&);

}  // namespace miniten
