#pragma once
#include "miniten/core/op.h"

namespace miniten {

// The integer form of float ops whose operands are quantised; none where there is no exact one.
std::optional<Lowered> lower_conv2d(const Lowering&);
std::optional<Lowered> lower_matmul(const Lowering&);
std::optional<Lowered> lower_add(const Lowering&), lower_sub(const Lowering&), lower_mul(const Lowering&);
std::optional<Lowered> lower_function(const Lowering&);    // of one quantised input, the others being numbers: a table
std::optional<Lowered> lower_softmax(const Lowering&);
std::optional<Lowered> lower_avg_pool2d(const Lowering&);
std::optional<Lowered> lower_mean(const Lowering&);        // over H and W

Tensor softmax_table(float x_scale, DType x);              // what op qsoftmax reads

inline bool is_byte(DType t) { return t == DType::i8 || t == DType::u8; }
inline bool is_activation(DType t) { return is_byte(t) || t == DType::i16; }
inline int64_t least_of(DType t) { return t == DType::i8 ? -128 : t == DType::i16 ? -32768 : 0; }
inline int64_t greatest_of(DType t) { return t == DType::i16 ? 32767 : least_of(t) + 255; }

// Sums of 8-bit x are int32, those of int16 x exact below 2^53. What `taps` products may need of that; the rest is a
// bias's. Negative: they do not fit.
inline int64_t product_limit(DType x) { return x == DType::i16 ? int64_t{1} << 30 : 255 * 127; }
inline int64_t bias_limit(int64_t taps, DType x) { return (x == DType::i16 ? int64_t{1} << 53 : 2147483647) - taps * product_limit(x); }
inline DType bias_type(DType x) { return x == DType::i16 ? DType::i64 : DType::i32; }

// The form with integer weights and activations quantised at run time.
std::optional<Lowered> dynamic_conv2d(const Lowering&);
std::optional<Lowered> dynamic_matmul(const Lowering&);

// A float product with constant weights as matmul_blocks: weights of int4 or int8 in blocks along K, each with the scale
// (and zero point, where not symmetric) of least squared error; rounded, if given: the weights on that grid. None for
// anything else.
struct BlockScale { float scale = 1; int zero = 0; };
std::optional<Lowered> block_form(const Call&, DType, int64_t block, bool symmetric, const Tensor& rounded = {});
std::vector<BlockScale> block_scales(const Call&, DType, int64_t block, bool symmetric);   // by output channel and block; empty for anything else
Tensor packed_int4(const Tensor& integers);                // of int8, saturated to [-8, 7]

// The way back: float ops, one after the other, for an integer op with known weights; what they read are the floats that
// the op's inputs stand for, then constants. An op null: the same value. Empty: there is none.
std::vector<Lowered> float_form(const Call&);
bool has_float_form(const OpDef&);
std::optional<Lowered> floats_of_blocks(const Call&);

}  // namespace miniten
