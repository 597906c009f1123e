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

}  // namespace miniten
