#include "kernels/gemm.h"

#include "gemm_problem.h"

namespace miniten::kernels {
namespace {

std::vector<float> run(const Problem& p, Edge edge = Edge::end) {
  const GemmShape& s = p.shape;
  Guarded<float> a(p.a, edge), c(p.c, edge), bias(p.bias, edge), residual(p.residual, edge);
  Guarded<float> packed(gemm_packed_floats(depth(s), s.n), edge), b(p.b, edge);
  gemm_pack(b.data(), depth(s), s.n, s.n, 1, packed.data());
  Epilogue e{p.bias.empty() ? nullptr : bias.data(), p.residual.empty() ? nullptr : residual.data(), p.lo, p.hi,
             p.accumulate};
  gemm(s, a.data(), packed.data(), c.data(), e);
  return c.values();
}

float as_it_is(float v) { return v; }
void expect_right(const Problem& p, const std::vector<float>& got) { expect_right(p, got, as_it_is, as_it_is); }

TEST(Gemm, PackedSizeCountsWholePanels) {
  EXPECT_EQ(gemm_packed_floats(7, 1), 7 * 16);
  EXPECT_EQ(gemm_packed_floats(7, 16), 7 * 16);
  EXPECT_EQ(gemm_packed_floats(7, 17), 7 * 32);
  EXPECT_EQ(gemm_packed_floats(0, 5), 0);
}

TEST(Gemm, EverySizeAroundEveryTileEdge) {
  on_every_isa([] {
    for (int64_t m : {1, 2, 3, 5, 6, 7, 8, 13, 14, 15, 29})
      for (int64_t n : {1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65, 100, 127, 128, 129, 140})
        for (int64_t k : {0, 1, 2, 19}) {
          SCOPED_TRACE(std::to_string(m) + "x" + std::to_string(k) + "x" + std::to_string(n));
          const Problem p = make(dense(m, k, n), n % 2 == 0, m % 2 == 0);
          expect_right(p, run(p, m % 3 == 0 ? Edge::begin : Edge::end));
          if (::testing::Test::HasFatalFailure()) return;
        }
  });
}

TEST(Gemm, AFewColumnsBesideWholePanels) {
  on_every_isa([] {
    for (int64_t m : {15, 16, 31, 32, 33, 70})
      for (int64_t n : {1, 2, 3, 4, 5, 17, 18, 19, 33, 34})
        for (int64_t k : {31, 32, 64, 75, 1600}) {
          SCOPED_TRACE(std::to_string(m) + "x" + std::to_string(k) + "x" + std::to_string(n));
          Problem p = make(dense(m, k, n), n % 2 == 0, m % 2 == 0);
          p.accumulate = k % 2;
          p.lo = -0.5f;
          expect_right(p, run(p, m % 3 == 0 ? Edge::begin : Edge::end));
          if (::testing::Test::HasFatalFailure()) return;
        }
    for (int64_t n : {1, 3, 17}) {  // rows of 7 pixels, of which some share a vector
      constexpr int64_t kChannels = 20, kWidth = 9;
      GemmShape s;
      s.rows = 11, s.cols = 7, s.n = n;
      s.a_row = kWidth * kChannels, s.a_col = kChannels;
      s.inner = 3, s.inner_stride = kWidth * kChannels, s.segment = 3 * kChannels;
      s.c_col = n + 2, s.c_row = s.cols * s.c_col + 3;
      s.r_col = n + 1, s.r_row = s.cols * s.r_col + 5;
      const Problem p = make(s);
      expect_right(p, run(p));
    }
  });
}

TEST(Gemm, AFewColumnsHaveTheBitsThatAPanelHas) {
  on_every_isa([] {
    const GemmShape s = dense(50, 1700, 18);
    const Problem p = make(s);
    const std::vector<float> whole = run(p);
    std::vector<float> packed(gemm_packed_floats(depth(s), s.n)), c = p.c;
    gemm_pack(p.b.data(), depth(s), s.n, s.n, 1, packed.data());
    for (int64_t m = 0; m < 50; m += 5) {  // too few pixels for lanes of their own
      GemmShape piece = s;
      piece.cols = 5;
      gemm(piece, p.a.data() + m * s.a_col, packed.data(), c.data() + m * s.c_col, {p.bias.data(), p.residual.data() + m * s.r_col, p.lo, p.hi, p.accumulate});
    }
    EXPECT_TRUE(same_bits(whole, c));
  });
}

TEST(Gemm, LongSumsAreCutInKWithoutChangingTheResult) {
  on_every_isa([] {
    for (int64_t k : {1024, 1537, 4100}) {
      Problem p = make(dense(5, k, 37));
      expect_right(p, run(p));
      p.accumulate = true;
      expect_right(p, run(p));
      p.lo = -0.5f, p.hi = 0.5f;  // partial sums go beyond and come back
      expect_right(p, run(p));
    }
  });
}

TEST(Gemm, RowsOfCOrOfTheResidualMayHaveGaps) {
  for (const bool in_c : {false, true}) {
    GemmShape s = dense(6, 9, 20);
    s.rows = 4, s.a_row = 6 * 9;
    s.c_row = 6 * 20 + (in_c ? 7 : 0), s.r_row = 6 * 20 + (in_c ? 0 : 7);
    on_every_isa([&] {
      const Problem p = make(s);
      expect_right(p, run(p));
    });
  }
}

TEST(Gemm, PixelsAMultipleOf4096BytesApart) {
  on_every_isa([] {
    for (int64_t m : {1, 6, 7, 20}) {
      GemmShape s = dense(m, 70, 145);
      s.a_col = 1024;
      const Problem p = make(s);
      expect_right(p, run(p));
    }
  });
}

TEST(Gemm, ConvolutionOnAPaddedImage) {
  for (int64_t stride : {1, 2}) {
    constexpr int64_t kChannels = 5, kHeight = 11, kWidth = 13, kOut = 19;
    GemmShape s;
    s.rows = (kHeight - 3) / stride + 1, s.cols = (kWidth - 3) / stride + 1, s.n = kOut;
    s.a_row = stride * kWidth * kChannels, s.a_col = stride * kChannels;
    s.inner = 3, s.inner_stride = kWidth * kChannels, s.segment = 3 * kChannels;
    s.c_col = kOut + 2, s.c_row = s.cols * s.c_col + 3;
    s.r_col = kOut + 1, s.r_row = s.cols * s.r_col;
    on_every_isa([&] {
      Problem p = make(s);
      p.lo = 0, p.hi = 0.5f;
      expect_right(p, run(p));
    });
  }
}

TEST(Gemm, WeightGradientReadsATransposedOverImagesAndRows) {
  constexpr int64_t kImages = 3, kRows = 4, kCols = 7, kChannels = 9, kOut = 21;
  GemmShape s;
  s.cols = kChannels, s.n = kOut, s.a_col = 1, s.a_k = kChannels;
  s.segment = kCols, s.inner = kRows, s.inner_stride = (kCols + 2) * kChannels;
  s.outer = kImages, s.outer_stride = (kRows + 2) * s.inner_stride;
  s.c_col = kOut;
  on_every_isa([&] {
    Problem p = make(s, false, false);
    p.accumulate = true;
    expect_right(p, run(p));
  });
}

TEST(Gemm, ALongKIsCutInItsOutermostLoop) {
  for (int loop : {0, 1, 2}) {
    GemmShape s = dense(4, 8, 18);
    if (loop == 0) s.outer = 400, s.outer_stride = 3, s.inner = 2, s.inner_stride = 1;
    if (loop == 1) s.inner = 400, s.inner_stride = 3;
    if (loop == 2) s.outer = 3, s.outer_stride = 5, s.segment = 2000, s.a_col = 2;
    on_every_isa([&] {
      const Problem p = make(s);
      expect_right(p, run(p));
    });
  }
}

TEST(Gemm, AnyCutOfRowsAndColumnsGivesTheSameBits) {
  GemmShape s;
  s.rows = 5, s.cols = 17, s.n = 83, s.segment = 1700, s.a_row = 40, s.a_col = 3;
  s.c_col = 83, s.c_row = 17 * 83, s.r_col = 83, s.r_row = 17 * 83;
  on_every_isa([&] {
    Problem p = make(s);
    p.accumulate = true;
    const std::vector<float> whole = run(p);
    std::vector<float> packed(gemm_packed_floats(depth(s), s.n));
    gemm_pack(p.b.data(), depth(s), s.n, s.n, 1, packed.data());
    for (const auto& [rows, cols, n] : {std::array<int64_t, 3>{1, 1, 16}, {2, 5, 83}, {5, 3, 32}, {1, 17, 48}}) {
      std::vector<float> c = p.c;
      for (int64_t r = 0; r < s.rows; r += rows)
        for (int64_t q = 0; q < s.cols; q += cols)
          for (int64_t j = 0; j < s.n; j += n) {
            GemmShape piece = s;
            piece.rows = std::min(rows, s.rows - r);
            piece.cols = std::min(cols, s.cols - q);
            piece.n = std::min(n, s.n - j);
            const int64_t at = r * s.c_row + q * s.c_col + j;
            Epilogue e{p.bias.data() + j, p.residual.data() + at, p.lo, p.hi, true};
            gemm(piece, p.a.data() + r * s.a_row + q * s.a_col, packed.data() + j * depth(s), c.data() + at, e);
          }
      EXPECT_TRUE(same_bits(whole, c)) << rows << "x" << cols << "x" << n;
    }
  });
}

TEST(Gemm, TheResidualMayBeC) {
  for (int64_t k : {33, 5000}) {
    on_every_isa([&] {
      Problem p = make(dense(9, k, 35));
      p.residual = p.c;
      const std::vector<float> apart = run(p);
      std::vector<float> packed(gemm_packed_floats(k, 35)), c = p.c;
      gemm_pack(p.b.data(), k, 35, 35, 1, packed.data());
      Epilogue e;
      e.bias = p.bias.data();
      e.residual = c.data();
      gemm(p.shape, p.a.data(), packed.data(), c.data(), e);
      EXPECT_TRUE(same_bits(apart, c));
    });
  }
}

TEST(Gemm, TheClampKeepsNaN) {
  on_every_isa([] {
    for (int64_t n : {1, 16, 40}) {
      Problem p = make(dense(3, 4, n), false, false);
      p.a[0] = kNaN;
      p.lo = 0, p.hi = 6;
      const std::vector<float> got = run(p);
      for (int64_t i = 0; i < 3 * n; ++i) EXPECT_EQ(std::isnan(got[i]), i < n) << i;
    }
  });
}

TEST(Gemm, PacksAnyStrides) {
  const auto b = random_floats(6 * 20, 3);
  std::vector<float> rows(gemm_packed_floats(6, 20)), columns(rows.size());
  std::vector<float> transposed(b.size());
  for (int64_t i = 0; i < 6; ++i)
    for (int64_t j = 0; j < 20; ++j) transposed[j * 6 + i] = b[i * 20 + j];
  gemm_pack(b.data(), 6, 20, 20, 1, rows.data());
  gemm_pack(transposed.data(), 6, 20, 1, 6, columns.data());
  EXPECT_TRUE(same_bits(rows, columns));
  EXPECT_EQ(rows[2 * 16 + 5], b[2 * 20 + 5]);
  EXPECT_EQ(rows[6 * 16 + 2 * 16 + 3], b[2 * 20 + 19]);
  EXPECT_EQ(rows[6 * 16 + 2 * 16 + 4], 0);
}

TEST(Gemm, DoublePrecisionAgreesWithTheSum) {
  GemmShape s = dense(3, 5, 4);
  s.inner = 2, s.inner_stride = 5, s.a_col = 10;
  const Problem p = make(s);
  const std::vector<double> a(p.a.begin(), p.a.end()), b(p.b.begin(), p.b.end()), bias(p.bias.begin(), p.bias.end()),
      residual(p.residual.begin(), p.residual.end());
  std::vector<double> c(p.c.begin(), p.c.end());
  gemm_f64(s, a.data(), b.data(), 4, 1, c.data(), {bias.data(), residual.data(), 0.0, 1.0, true});
  Problem clamped = p;
  clamped.lo = 0, clamped.hi = 1, clamped.accumulate = true;
  expect_right(clamped, std::vector<float>(c.begin(), c.end()));
}

}  // namespace
}  // namespace miniten::kernels
