#pragma once
#include "kernels/gemm_bf16.h"
#include "miniten/core/op.h"

// Rows that do the same as those they are named after by other means.
namespace miniten {

#define MINITEN_FORMS(OP) \
  OP(matmul_bf16) OP(matmul_bf16_weights) OP(conv2d_bf16) OP(conv2d_bf16_weights) OP(conv_chain_bf16) OP(attention_bf16) OP(recurrent_bf16) OP(recurrent_bf16_weights) OP(recurrent_factored) \
  OP(matmul_rows) OP(matmul_columns) OP(conv2d_rows) OP(conv2d_columns) OP(conv2d_winograd2) OP(conv2d_winograd4) OP(prelu) \
  OP(matmul_turned) OP(sparse_product)
#define OP(name) extern const OpDef name##_op;
MINITEN_FORMS(OP)
#undef OP

// Constant weights, or keys and values, are packed in bfloat16; those rows called _weights leave x as it is.
inline int bf16_pieces(const Call& c) { return c.workers; }                 // each rounds its pixels, of channels all of them, again
enum BF16Kind : int64_t { not_bf16 = 0, bf16_both = 3, bf16_weights = 4 };  // as PreparedForm says it
BF16Kind bf16_kind(const OpDef&);
bool bf16_pays(int64_t taps, int64_t outputs);                               // is the instruction set in use faster where x is rounded too?

// What the others leave to no model: dense weights, pieces of rows or of output channels, and how a convolution is made.
struct FixedForm {
  enum Split : int8_t { by_model, rows, columns } split = by_model;
  int8_t winograd = 0;                                                        // its tile, 0: directly
};
FixedForm fixed_form(const OpDef&);

}  // namespace miniten
