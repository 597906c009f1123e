#pragma once
#include "base/allocate.h"
#include "kernels/gemm.h"
#include "kernels/winograd.h"
#include "ops/conv_geometry.h"
#include "ops/forms.h"
#include "ops/sparse.h"

// What the three faces of the convolution share: conv_eval.cpp. All operands are channels-last: x (n, h, w, c), weight
// (o, r, s, c / groups), y (n, p, q, o) in memory.
namespace miniten::conv {

inline uint64_t floats(int64_t n) { return uint64_t(n) * sizeof(float); }
int pieces_of(const ConvGeometry&, int64_t units, int speed = 1);

// In double precision, the formula as it stands: `which` is the operand computed (0 x, 1 weight, 2 y).
void conv_f64(const Context&, const ConvGeometry&, const View& x, const View& w, const View& y, int which);

// Where an output's pixels lie: floats between images, rows and columns.
struct Target { float* data; int64_t image, row, col; };
inline Target dense(const ConvGeometry& g, float* y) { return {y, g.p * g.q * g.o, g.q * g.o, g.o}; }

// Weights in the form the kernels take: depthwise [r * s][c]; else one packed matrix (r, s, c / groups) x o a group.
uint64_t packed_floats(const ConvGeometry&);
void pack_weights(const ConvGeometry&, const float* w, float* to, int piece, int pieces);
// Does the depthwise kernel take the padding for zeros by itself? Then rows are as wide as x.
bool pads_itself(const ConvGeometry&);
inline int64_t row_floats(const ConvGeometry& g) { return (pads_itself(g) ? g.w : g.padded_w()) * g.c; }
// Rows [begin, end) of n * p output rows. Only `columns` output channels (0: all) are made, those that packed, finish
// and y point at. band: band_bytes of scratch.
uint64_t band_bytes(const ConvGeometry&);
inline int64_t band_reach(const ConvGeometry& g, int64_t rows) { return (rows - 1) * g.stride_h + g.dilation_h * (g.r - 1) + 1; }      // of output rows: the padded input's
// sparse: of one group, what kernels/sparse.h or gemm_bf16.h packs in place of `packed`.
struct SparsePanels { const std::byte* packed = nullptr; int64_t kind = 0, first = 0; };      // kind: of PreparedForm; first: column
// The sparse form of a constant weight, where it is faster than a dense one of this share of the direct product's time. -> bytes, 0: dense
uint64_t pack_sparse(const ConvGeometry&, double dense_share, const float* w, PreparedForm&, std::byte* to);
void convolve(const ConvGeometry&, const float* x, const float* packed, const kernels::Epilogue& finish, const Target& y, int64_t begin, int64_t end, float* band,
              int64_t columns = 0, SparsePanels sparse = {});

// How y is made: by Winograd's tiles of a size, or directly (0).
struct Choice {
  kernels::WinogradShape winograd;
  uint64_t packed = 0, scratch = 0;                              // bytes
  uint64_t inputs = 0;                                           // bytes: Winograd's transforms of x, where pieces share out the output channels
  double share = 1;                                            // of the direct form's time
  int pieces = 1;
  bool by_columns = false;                                     // few pixels: pieces share out the output channels, not the rows
  explicit operator bool() const { return winograd.tile > 0; }
};
Choice choose(const ConvGeometry&, bool exact, int speed = 1, FixedForm = {});    // speed: of direct products over float32
bool may_winograd(const ConvGeometry&);
// The inputs, if any, lie behind `shared` bytes of the caller's and are transformed in phase 0, with what else has to be done there.
Work work_of(const Choice&, uint64_t shared, int phases);
void transform(const Choice&, const Context&, const float* x, float* inputs);
void run(const Choice&, const ConvGeometry&, const Context&, const float* x, const float* packed, const float* inputs, kernels::Epilogue finish, SparsePanels sparse = {});   // c's piece

}  // namespace miniten::conv
