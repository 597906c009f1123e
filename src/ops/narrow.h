#pragma once
#include "kernels/gemm_bf16.h"
#include "miniten/core/op.h"

// Rows of products that pack their constant weights in bfloat16; in all else they are the rows they are named after.
// Those called _weights leave x as it is.
namespace miniten {

#define MINITEN_BF16_OPS(OP) \
  OP(matmul_bf16) OP(matmul_bf16_weights) OP(conv2d_bf16) OP(conv2d_bf16_weights) OP(conv_chain_bf16) OP(recurrent_bf16) OP(recurrent_bf16_weights)
#define OP(name) extern const OpDef name##_op;
MINITEN_BF16_OPS(OP)
#undef OP

enum BF16Kind : int64_t { not_bf16 = 0, bf16_both = 3, bf16_weights = 4 };  // as PreparedForm says it
BF16Kind bf16_kind(const OpDef&);
bool bf16_pays(int64_t taps, int64_t outputs);                               // is the instruction set in use faster where x is rounded too?

}  // namespace miniten
