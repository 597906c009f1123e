#pragma once
#include "kernel_test.h"
#include "kernels/gemm.h"

// A product with everything that it reads, and what it has to give.
namespace miniten::kernels {

inline int64_t depth(const GemmShape& s) { return s.outer * s.inner * s.segment; }

// Floats from the first to the last element A, C or the residual touch (non-negative strides).
inline int64_t a_extent(const GemmShape& s) {
  if (depth(s) == 0) return 0;
  return (s.rows - 1) * s.a_row + (s.cols - 1) * s.a_col + (s.outer - 1) * s.outer_stride +
         (s.inner - 1) * s.inner_stride + (s.segment - 1) * s.a_k + 1;
}
inline int64_t c_extent(const GemmShape& s) { return (s.rows - 1) * s.c_row + (s.cols - 1) * s.c_col + s.n; }
inline int64_t r_extent(const GemmShape& s) { return (s.rows - 1) * s.r_row + (s.cols - 1) * s.r_col + s.n; }

struct Problem {
  GemmShape shape;
  std::vector<float> a, b, bias, residual, c;  // empty bias or residual: none; c: what C holds before
  float lo = -kInf, hi = kInf;
  bool accumulate = false;
};

inline Problem make(GemmShape s, bool bias = true, bool residual = true, uint32_t seed = 1) {
  Problem p{s, random_floats(a_extent(s), seed), random_floats(depth(s) * s.n, seed + 1), {}, {}, {}};
  if (bias) p.bias = random_floats(s.n, seed + 2);
  if (residual) p.residual = random_floats(r_extent(s), seed + 3);
  p.c = random_floats(c_extent(s), seed + 4);
  return p;
}

// in_a, in_b: what the kernel makes of an operand's value.
template <class A, class B>
void expect_right(const Problem& p, const std::vector<float>& got, A in_a, B in_b) {
  const GemmShape& s = p.shape;
  std::vector<float> untouched = p.c;
  ASSERT_EQ(got.size(), p.c.size());
  for (int64_t r = 0; r < s.rows; ++r) {
    for (int64_t q = 0; q < s.cols; ++q) {
      for (int64_t j = 0; j < s.n; ++j) {
        const int64_t at = r * s.c_row + q * s.c_col + j;
        double total = p.bias.empty() ? 0 : p.bias[j], size = std::fabs(total) + 1;
        if (p.accumulate) total += p.c[at];
        if (!p.residual.empty()) total += p.residual[r * s.r_row + q * s.r_col + j];
        int64_t i = 0;
        for (int64_t o = 0; o < s.outer; ++o)
          for (int64_t n = 0; n < s.inner; ++n)
            for (int64_t k = 0; k < s.segment; ++k, ++i) {
              const double term =
                  double(in_a(p.a[r * s.a_row + q * s.a_col + o * s.outer_stride + n * s.inner_stride + k * s.a_k])) *
                  in_b(p.b[i * s.n + j]);
              total += term;
              size += std::fabs(term);
            }
        total = std::min<double>(std::max<double>(total, p.lo), p.hi);
        ASSERT_NEAR(got[at], total, size * 1.2e-7 * (2 + std::sqrt(double(i)))) << r << "," << q << "," << j;
        untouched[at] = got[at];
      }
    }
  }
  EXPECT_TRUE(same_bits(untouched, got)) << "wrote between the elements of C";
}

inline GemmShape dense(int64_t m, int64_t k, int64_t n) {
  GemmShape s;
  s.cols = m, s.n = n, s.segment = k, s.a_col = k, s.c_col = n, s.r_col = n;
  return s;
}

}  // namespace miniten::kernels
