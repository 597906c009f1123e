#include "kernels/gemm.h"

#include <cstring>

#include "kernels/ftable.h"
#include "kernels/transpose.h"

namespace miniten::kernels {
namespace {
constexpr int64_t kPanel = 16;
}

int64_t gemm_packed_floats(int64_t k, int64_t n) { return (n + kPanel - 1) / kPanel * kPanel * k; }

void gemm_pack(const float* b, int64_t k, int64_t n, int64_t b_k, int64_t b_n, float* packed) {
  for (int64_t j = 0; j < n; j += kPanel) {
    const int64_t width = n - j < kPanel ? n - j : kPanel;
    const float* from = b + j * b_n;
    if (b_k == 1) transpose(from, b_n, packed, kPanel, k, width);
    for (int64_t i = 0; i < k; ++i, from += b_k, packed += kPanel) {
      if (b_n == 1 && width == kPanel) std::memcpy(packed, from, kPanel * sizeof(float));
      else if (b_k != 1) for (int64_t l = 0; l < width; ++l) packed[l] = from[l * b_n];
      for (int64_t l = width; l < kPanel; ++l) packed[l] = 0;
    }
  }
}

void gemm(const GemmShape& shape, const float* a, const float* packed, float* c, const Epilogue& epilogue) {
  ftable().gemm(shape, a, packed, c, epilogue);
}

void gemm_f64(const GemmShape& s, const double* a, const double* b, int64_t b_k, int64_t b_n, double* c,
              const EpilogueF64& e) {
  for (int64_t r = 0; r < s.rows; ++r) {
    for (int64_t q = 0; q < s.cols; ++q) {
      double* to = c + r * s.c_row + q * s.c_col;
      const double* residual = e.residual ? e.residual + r * s.r_row + q * s.r_col : nullptr;
      for (int64_t j = 0; j < s.n; ++j) {
        double total = (e.bias ? e.bias[j] : 0) + (e.accumulate ? to[j] : 0);
        const double* column = b + j * b_n;
        for (int64_t o = 0; o < s.outer; ++o) {
          for (int64_t i = 0; i < s.inner; ++i) {
            const double* from = a + r * s.a_row + q * s.a_col + o * s.outer_stride + i * s.inner_stride;
            for (int64_t k = 0; k < s.segment; ++k, column += b_k) total += from[k * s.a_k] * *column;
          }
        }
        if (residual) total += residual[j];
        if (total < e.lo) total = e.lo;
        if (total > e.hi) total = e.hi;
        to[j] = total;
      }
    }
  }
}

}  // namespace miniten::kernels
