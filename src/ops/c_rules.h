#pragma once
#include "miniten/core/c_form.h"

// How ops are written in C; each op's row names its rule. Definitions: src/ops/c/*.cpp.
namespace miniten::c {

extern const CRules elementwise, extreme, with_alpha, arithmetic, select, clamp, clamp_slope, compare, copy, reshape, cast, pad, slice_scatter, concat, assign, sum, mean, max, min, argmax, argmin, cumsum, softmax, log_softmax,
    batch_norm, matmul, conv2d, conv2d_input, max_pool2d, avg_pool2d, gather, gather_elements, one_hot, quantize, dequantize, dynamic_quantize, quantize_rows, qconv2d, qconv2d_dynamic, qmatmul,
    qmatmul_dynamic, qmatmul_pair, exact_conv2d, exact_conv2d_input, exact_matmul, exact_pair, exact_avg_pool2d, exact_softmax, exact_quantize, requantize, qadd, qsub, qmul, qtable, qsoftmax, qavg_pool2d, recurrent;

// An elementwise op by its expression of a, b and c.
constexpr Foreign as_c(std::string_view expression) { return {expression, 0, &elementwise}; }

}  // namespace miniten::c
