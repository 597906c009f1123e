#pragma once
#include <cstdint>

namespace miniten::kernels {

// One matrix product for dense layers, convolutions on a padded channels-last input, attention and weight gradients.
//
//   C[r, c, j] = clamp(sum over o, i, k of A[r*a_row + c*a_col + o*outer_stride + i*inner_stride + k*a_k]
//                                        * B[(o*inner + i)*segment + k, j]
//                      + bias[j] + residual[r*r_row + c*r_col + j], lo, hi)      at C + r*c_row + c*c_col + j
//
// K = outer*inner*segment. Strides count elements and may be 0 or negative. A plain M x K by K x N product is
// rows=1, cols=M, segment=K; a KxK convolution is outer=1, inner=kernel_h, segment=kernel_w*channels,
// inner_stride=the input's row stride, a_col=stride_w*channels.
struct GemmShape {
  int64_t rows = 1, cols = 1, n = 1;             // output: rows x cols pixels, n channels each
  int64_t a_row = 0, a_col = 0, a_k = 1;         // A: between output rows, between output columns, inside a segment
  int64_t c_row = 0, c_col = 0;                  // C; its channels are contiguous
  int64_t r_row = 0, r_col = 0;                  // residual; its channels are contiguous
  int64_t outer = 1, outer_stride = 0;
  int64_t inner = 1, inner_stride = 0;
  int64_t segment = 0;
};

struct Epilogue {
  const float* bias = nullptr;      // n values
  const float* residual = nullptr;  // read before C is written: may be C itself with the same strides
  float lo = -__builtin_inff(), hi = __builtin_inff();  // a NaN sum stays NaN
  bool accumulate = false;          // adds to what C holds, before the clamp
};

// Floats that gemm_pack writes: panels of 16 columns, the last one padded with zeros. The layout is the same for
// every instruction set.
int64_t gemm_packed_floats(int64_t k, int64_t n);

// B[i, j] at b[i*b_k + j*b_n]; any strides.
void gemm_pack(const float* b, int64_t k, int64_t n, int64_t b_k, int64_t b_n, float* packed);

// The value of an element depends on its inputs and K alone, never on rows, cols or n of the call: work may be cut
// anywhere without changing a bit. To compute columns [j0, j0+n) with j0 a multiple of 16, pass packed + j0*K, c + j0,
// and bias and residual + j0. K = 0 is allowed. C may not overlap A or packed.
void gemm(const GemmShape& shape, const float* a, const float* packed, float* c, const Epilogue& epilogue);

struct EpilogueF64 {
  const double* bias = nullptr;
  const double* residual = nullptr;
  double lo = -__builtin_inf(), hi = __builtin_inf();
  bool accumulate = false;
};

// The same in double precision on an unpacked B with any strides: for gradient checks, correct rather than fast.
void gemm_f64(const GemmShape& shape, const double* a, const double* b, int64_t b_k, int64_t b_n, double* c,
              const EpilogueF64& epilogue);

}  // namespace miniten::kernels
