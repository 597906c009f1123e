#pragma once
#include <cstddef>
#include <cstdint>

namespace miniten::kernels {

// Integer products with int8 weights in [-127, 127], one scale per output column, and 8-bit activations x with a zero
// point. The same bytes on every instruction set:
//
//   acc[j] = bias[j] + sum over K of (x - x_zero) * w[.., j]                          exact in 32 bits
//   y[j]   = clamp(round_half_even(float(acc[j]) * multiplier[j]) + y_zero, lo, hi)   one float32 multiply
//
// K = outer*inner*segment, walked as kernels/gemm.h does; inside a segment the bytes of A are contiguous.
struct QGemmShape {
  int64_t rows = 1, cols = 1, n = 1;             // output: rows x cols pixels, n channels each
  int64_t a_row = 0, a_col = 0;                  // bytes
  int64_t c_row = 0, c_col = 0;                  // elements of C
  int64_t outer = 1, outer_stride = 0;
  int64_t inner = 1, inner_stride = 0;
  int64_t segment = 0;
  int64_t packed_n = 0, first = 0;               // n columns from `first`, a multiple of 16, of packed_n (0: of n) packed ones
};

struct QEpilogue {
  const int32_t* bias = nullptr;                 // or none
  const float* multiplier = nullptr;             // n finite values, (x_scale * w_scale[j]) / y_scale
  float most = 0;                                // none is greater; 0: not known
  int32_t x_zero = 0;
  bool x_signed = true;
  int32_t y_zero = 0, lo = -128, hi = 127;       // within the range of the output's type
};

struct QEpilogueF32 {                            // y = clamp(float(acc) * min(multiplier * scale, FLT_MAX) + bias, lo, hi)
  const float* bias = nullptr;                   // or none
  const float* multiplier = nullptr;
  float scale = 1;
  int32_t x_zero = 0;
  bool x_signed = true;
  float lo = -__builtin_inff(), hi = __builtin_inff();
};

// Packed weights: int32 sums of each column (n rounded up to 16), then panels of 16 columns, each of groups of 4 along a
// segment (the last filled with zeros): 16 columns x 4 bytes. One layout for every instruction set; 64-byte aligned.
uint64_t qgemm_packed_bytes(int64_t segments, int64_t segment, int64_t n);

// w element (s, k, j) at w[s*w_segment + k*w_k + j*w_n].
void qgemm_pack(const int8_t* w, int64_t segments, int64_t segment, int64_t n, int64_t w_segment, int64_t w_k, int64_t w_n,
                std::byte* packed);

// Where segment % 4 != 0, up to 3 bytes past a segment's end are read (and have no effect): they must be readable.
// Nothing beyond C is written.
void qgemm(const QGemmShape& shape, const void* a, const std::byte* packed, void* c, const QEpilogue& epilogue);
void qgemm_f32(const QGemmShape& shape, const void* a, const std::byte* packed, float* c, const QEpilogueF32& epilogue);

// From how many columns on signed bytes that several pixels share are better flipped beforehand, to be unsigned: zero points 128 more,
// the same sums.
int64_t qgemm_flips_from();
void flip_signs(uint8_t* x, int64_t n);          // in place

}  // namespace miniten::kernels
