#pragma once
#include "miniten/core/foreign.h"

// How ops whose ONNX form is not one node with the same attribute names are written and read; each op's row names its
// rule. Definitions: onnx_rules_*.cpp.
namespace miniten::onnx {

extern const ForeignRules arithmetic, clamp, compare, conv2d, matmul, max_pool2d, avg_pool2d, reduce, arg, reshape, permute, expand, slice, pad,
    concat, cast, softmax, batch_norm, recurrent, gather, identity, gelu, silu, leaky_relu, elu, hard_swish, square, log1p, not_equal, variadic, gate, one_hot, nonzero,
    where, quantize, dequantize, dynamic_quantize, quantize_rows, qconv2d, qconv2d_dynamic, qmatmul, qmatmul_dynamic, qadd, qsub, qmul, qavg_pool2d,
    qtable, qsoftmax, qmatmul_pair, matmul_blocks, conv_transpose, gather_elements, scatter_elements, scatter_add, cumsum, argsort, count,
    floor_divide, remainder, bits, shift, log2, expm1, trunc, atan2;

// ONNX operators without an op of their own, by file.
using Compositions = std::span<const ForeignComposition>;
Compositions shape_rules(), math_rules(), index_rules(), norm_rules(), pool_rules(), quantized_rules(), recurrent_rules(), attention_rules(),
    control_rules(), loss_rules(), vision_rules(), constant_rules(), layer_rules();

// Integer ops in the form of quantization="qoperator"; nothing where that has none for them.
std::optional<std::vector<std::string>> qoperator_conv(ForeignWriter&, const ForeignCall&), qoperator_matmul(ForeignWriter&, const ForeignCall&),
    qoperator_pair(ForeignWriter&, const ForeignCall&, std::string_view op), qoperator_avg_pool(ForeignWriter&, const ForeignCall&);

// ---- what the rules share ----
using Tensors = std::vector<Tensor>;
using Ints = std::vector<int64_t>;
Tensors read_div(const ForeignNode&), read_pow(const ForeignNode&), read_scatter_elements(const ForeignNode&);
int axis_of(const ForeignNode&, int64_t axis, int rank);                  // normalised; refuses what lies outside
void require_static(const ForeignNode&, const Tensor&);
Tensor optional(const ForeignNode&, int i);                               // input i or null
Tensor ints(const Ints&);                                                 // (n,) int64
Tensor counting(int64_t n);                                               // 0, 1 .. n-1
std::vector<double> numbers_of(const ForeignNode&, int i);                // the values of input i, which must be known
Tensor of_numbers(const Shape&, const std::vector<double>&, DType);       // numbers that float64 holds
Tensor in_float64(const Tensor&, Tensor (*)(const Tensor&));              // f(x) of integers by way of float64
Tensor flip(const Tensor&, int axis);
Tensor repeat(const Tensor&, int axis, int64_t times);                    // each slice so many times: a, a, b, b
// One element for each index tuple of shape, row-major.
template <class F> void for_each_index(const Shape& shape, F f) {
  Dims at = Dims::filled(shape.rank, 0);
  for (int64_t i = 0, n = shape.count(); i < n; ++i) {
    f(at, i);
    for (int k = shape.rank; k-- > 0;) { if (++at[k] < shape[k]) break; at[k] = 0; }
  }
}

}  // namespace miniten::onnx
