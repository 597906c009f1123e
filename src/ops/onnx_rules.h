#pragma once
#include "miniten/core/foreign.h"

// How ops whose ONNX form is not one node with the same attribute names are written and read; each op's row names its
// rule. Definitions: onnx_rules_*.cpp.
namespace miniten::onnx {

extern const ForeignRules arithmetic, clamp, conv2d, matmul, max_pool2d, avg_pool2d, reduce, arg, reshape, permute, expand, slice, pad,
    concat, cast, softmax, batch_norm, gather, identity, gelu, silu, square, log1p, not_equal, variadic, gate, one_hot, nonzero,
    where, quantize, dequantize, dynamic_quantize, qconv2d, qconv2d_dynamic, qmatmul, qmatmul_dynamic, qadd, qavg_pool2d;

}  // namespace miniten::onnx
