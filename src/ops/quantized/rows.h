#pragma once
#include "miniten/core/op.h"

namespace miniten {

// x (N, ..) -> uint8 like x, and for each of the N a scale and a zero point: what LiteRT's kernels do to float activations
// that meet int8 weights. Asymmetric: the range with 0 in it, in steps of its 255th part; else the same on both sides of 0.
struct QuantizeRowsAttrs {
  bool asymmetric = true;
  void fields(auto f) { f("asymmetric", asymmetric); }
};
extern const OpDef quantize_rows_op;

// n values to x * inverse + offset within [least, 127], to nearest, halves away from 0; uint8 around 128.
void quantize_run(const float* x, int64_t n, int64_t x_step, float inverse, float offset, float least, uint8_t* q, int64_t q_step);

}  // namespace miniten
