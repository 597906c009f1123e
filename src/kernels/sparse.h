#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/gemm.h"
#include "kernels/qgemm.h"

namespace miniten::kernels {

// The products of gemm.h and qgemm.h where B holds many zeros. What is left out are steps of K: in a panel of 16 columns
// one row of B (floats) or four rows along a segment (int8), 64 bytes in either packed form, that hold zeros alone.
//
// Results have the bits of the dense product for finite A: the same products in the same order, less those that are 0. A
// NaN or infinity in A times a weight that was left out is nothing here.

// How many of the steps in `panels` packed panels of `steps` each hold anything.
int64_t sparse_steps(const std::byte* panels, int64_t count, int64_t steps);

// Packed: where each panel's steps begin, each step's offset in A, and the steps. 64-byte aligned.
uint64_t sparse_packed_bytes(int64_t count, int64_t kept);

// panels: dense ones, as gemm_pack writes them or as they follow the sums of qgemm_pack. The walk over K is shape's;
// its strides must be those of A when the kernel runs, less a_k. False where an offset does not fit 32 bits.
bool sparse_pack(const GemmShape& shape, const std::byte* panels, std::byte* to);
bool sparse_qpack(const QGemmShape& shape, const std::byte* panels, std::byte* to);

// As gemm, for columns [16 * panel, 16 * panel + n): c, bias and residual point at the first of them.
// Nothing is added to what C holds.
void sparse_gemm(const GemmShape& shape, const float* a, const std::byte* packed, int64_t panel, float* c, const Epilogue& epilogue);

// As qgemm and qgemm_f32. sums: what qgemm_pack writes first.
void sparse_qgemm(const QGemmShape& shape, const void* a, const int32_t* sums, const std::byte* packed, void* c, const QEpilogue& epilogue);
void sparse_qgemm_f32(const QGemmShape& shape, const void* a, const int32_t* sums, const std::byte* packed, float* c,
                      const QEpilogueF32& epilogue);

// Single zeros, in floats: for each column of B the rows that hold a weight, ascending. K is shape.segment, of at most
// csr_most rows where there is more than one pixel. The bits are those of gemm, as above.
inline constexpr int64_t csr_most = 1024;
uint64_t csr_packed_bytes(int64_t n, int64_t nonzero);
void csr_pack(const float* b, int64_t k, int64_t n, int64_t b_k, int64_t b_n, std::byte* to);   // k and the weights below 2^31

// A matrix in compressed rows times rows of n floats: y[r * n + j] is the sum over i in [begin[r], begin[r + 1]) of
// value[i] * x[column[i] * n + j], in that order.
void csr_product(const int32_t* begin, const int32_t* column, const float* value, int64_t rows, const float* x, int64_t n, float* y);

// Of integers from their dense panels, as they follow the sums of qgemm_pack: K is shape.segment of at most csr_most. A sum of more
// than csr_exact products of bytes may not be a float: then csr_qcount is -1.
inline constexpr int64_t csr_exact = (int64_t{1} << 24) / (255 * 127);
int64_t csr_qcount(const std::byte* panels, int64_t n, int64_t steps);
void csr_qpack(const std::byte* panels, int64_t n, int64_t steps, std::byte* to);

// Columns [first, first + n): c, bias and residual point at the first of them.
void csr_gemm(const GemmShape& shape, const float* a, const std::byte* packed, int64_t first, float* c, const Epilogue& epilogue);

// As qgemm and qgemm_f32, byte for byte.
void csr_qgemm(const QGemmShape& shape, const void* a, const int32_t* sums, const std::byte* packed, void* c, const QEpilogue& epilogue);
void csr_qgemm_f32(const QGemmShape& shape, const void* a, const int32_t* sums, const std::byte* packed, float* c, const QEpilogueF32& epilogue);

}  // namespace miniten::kernels
