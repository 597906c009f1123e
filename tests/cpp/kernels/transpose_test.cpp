#include "kernels/transpose.h"

#include "kernel_test.h"

namespace miniten::kernels {
namespace {

TEST(Transpose, EverySizeAroundTheTiles) {
  on_every_isa([] {
    for (const int64_t n : {0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 33, 48})
      for (const int64_t m : {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 35})
        for (const int64_t gap : {0, 2}) {
          const Edge edge = (n + m) % 2 ? Edge::end : Edge::begin;
          const int64_t x_row = n + gap, y_row = m + gap;
          const auto xv = random_floats(m ? (m - 1) * x_row + n : 0, 1);
          Guarded<float> x(xv, edge), y(std::vector<float>(n ? (n - 1) * y_row + m : 0, 7.0f), edge);
          transpose(x.data(), x_row, y.data(), y_row, n, m);
          for (int64_t i = 0; i < n; ++i)
            for (int64_t j = 0; j < (i + 1 < n ? y_row : m); ++j)
              ASSERT_EQ(y[i * y_row + j], j < m ? xv[j * x_row + i] : 7.0f) << n << "x" << m << " at " << i << ", " << j;
        }
  });
}

TEST(Transpose, MovesBits) {
  on_every_isa([] {
    std::vector<float> x(48), y(48);
    for (size_t i = 0; i < x.size(); ++i) {
      const uint32_t bits = 0x7f800001u + static_cast<uint32_t>(i);  // signalling NaNs
      std::memcpy(&x[i], &bits, 4);
    }
    for (const int64_t m : {3, 16, 5}) {
      const int64_t n = 48 / m;
      transpose(x.data(), n, y.data(), m, n, m);
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < m; ++j) ASSERT_EQ(std::memcmp(&y[i * m + j], &x[j * n + i], 4), 0);
    }
  });
}

}  // namespace
}  // namespace miniten::kernels
