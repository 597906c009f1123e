#pragma once
#include "miniten/core/foreign_tflite.h"

// How ops are written to .tflite files; each op's row names its rules. Definitions: tflite_write_*.cpp.
namespace miniten::to_tflite {

extern const TfliteRules add, sub, mul, div, maximum, minimum, pow, gate, equal, not_equal, less, less_equal, greater, greater_equal, where, bitwise_xor, right_shift, floor_divide, remainder,
    relu, neg, abs, square, sign, exp, log, log1p, expm1, log2, tanh, sigmoid, sqrt, reciprocal, gelu, silu, softplus, leaky_relu, elu, hard_swish, sin, cos, tan, sinh, cosh, atan, asin, acos, atan2,
    floor, ceil, round, trunc, clamp, cast, sum, mean, max, min, argmax, argmin, softmax, log_softmax, cumsum,
    reshape, permute, expand, slice, pad, concat, identity, gather, one_hot,
    conv2d, conv2d_input, matmul, batch_norm, max_pool2d, avg_pool2d, recurrent,
    qconv2d, qconv2d_dynamic, qmatmul, qmatmul_dynamic, qadd, qsub, qmul, qmatmul_pair, qtable, qsoftmax, qavg_pool2d, dynamic_quantize, quantize_rows;

constexpr OpDef with(OpDef row, Foreign form) {          // for rows that functions make
  row.tflite = form;
  return row;
}

// ---- what the rules share ----
using Values = std::vector<TfliteValue>;
using QuantizedRef = std::shared_ptr<const Quantized>;

inline Spec typed(DType t, const QuantizedRef& q, const Shape& shape) { return {q ? q->dtype : t, shape}; }
bool same(const QuantizedRef&, const QuantizedRef&);
// The order in which a value of the logical shape lies, whole axes, and its tensor's shape agrees; none: by pieces.
std::optional<Axes> axes_of(const TfliteWriter&, const TfliteValue&, const Shape&);
Shape ordered(const Shape&, const Axes&);
Axes channels_last_axes(int rank);                       // (N, C, ..) as N, .., C
int axis_in(const Axes& order, int64_t axis);            // where it is stored

// Options for a result cut to [lo, hi], where the format has them.
std::optional<int64_t> activation_of(float lo, float hi);
// The cut as operators of its own. q: of y, whose type it keeps.
int cut(TfliteWriter&, int y, float lo, float hi);
int cut_integers(TfliteWriter&, int y, int64_t lo, int64_t hi);
int number(TfliteWriter&, double value, DType = DType::f32);     // a scalar constant

int padded(TfliteWriter&, int x, const Shape& before, const Shape& after, std::optional<double> value = {});
struct Window { bool fits = false; int64_t option = 1; Dims before, after; };     // fits: SAME or VALID says it all
Window window_of(const Shape& x, const Shape& y, const Dims& kernel, const Dims& stride, const Dims& dilation, const Dims& padding);

// Symmetric int8 for a float weight, by output channel along `axis` of t, the file's `file_axis`.
QuantizedRef weight_scales(const Tensor& t, int axis, int file_axis);
int bias(TfliteWriter&, const Tensor* values, int64_t n, const QuantizedRef& x, const QuantizedRef& w);      // int32, or int64 for int16 activations

struct ConvOptions { Dims stride, padding, dilation; int64_t groups; };
// w_as: of integer weights. bias: a tensor of the file, -1 none.
TfliteValue convolution(TfliteWriter&, const TfliteCall&, int weight, const ConvOptions&, const QuantizedRef& w_as, int bias, int64_t activation, const QuantizedRef& out);
// x @ weight where weight is a constant matrix (K, N); in integers with w_as along the file's axis 0.
TfliteValue fully_connected(TfliteWriter&, const TfliteCall&, int weight, const QuantizedRef& w_as, int bias, int64_t activation, const QuantizedRef& out);

}  // namespace miniten::to_tflite
