#pragma once
#include "miniten/core/op.h"

namespace miniten {

// Convolutions and products with constant weights as y = x W^T, for what improves quantised weights.

// The rows of x that meet the weights, (rows, K) with K the weights of one output channel; at most about `most` rows.
// Null where there is no such matrix: grouped convolutions, products of two activations.
Tensor rows_of_input(const Call&, const Tensor& x, int64_t most);
Tensor weight_matrix(const Call&, const Tensor& weight);             // (channels, K), contiguous
Tensor weight_from_matrix(const Call&, const Tensor& matrix);        // back in the weight's shape

// The axis of the weight along which the channels of x run; -1: none does.
int input_axis(const Call&);
// May y's channels be scaled by positive numbers before the cut as well as after?
bool commutes_with_scale(const Call&);
// y for another weight, without bias and cut.
Tensor apply_linear(const Call&, const Tensor& x, const Tensor& weight);
int channel_axis_of_output(const Call&);

}  // namespace miniten
