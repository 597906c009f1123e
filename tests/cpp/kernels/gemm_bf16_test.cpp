#include "kernels/gemm_bf16.h"

#include "gemm_problem.h"
#include "miniten/base/half.h"

namespace miniten::kernels {
namespace {

float rounded(float v) { return bfloat16_to_float(float_to_bfloat16(v)); }

struct Bf16Problem : Problem {
  bool keep_a = false;
};
Bf16Problem make(GemmShape s, bool bias, bool residual, bool keep_a) { return {make(s, bias, residual), keep_a}; }

std::vector<float> run(const Bf16Problem& p, Edge edge = Edge::end) {
  Guarded<float> a(p.a, edge), b(p.b, edge), bias(p.bias, edge), residual(p.residual, edge), c(p.c, edge);
  Guarded<std::byte> packed(bf16_packed_bytes(depth(p.shape), p.shape.n), edge);
  bf16_pack(b.data(), depth(p.shape), p.shape.n, p.shape.n, 1, packed.data());
  gemm_bf16(p.shape, a.data(), packed.data(), c.data(),
            {p.bias.empty() ? nullptr : bias.data(), p.residual.empty() ? nullptr : residual.data(), p.lo, p.hi, p.accumulate}, p.keep_a);
  return c.values();
}

void expect_right(const Bf16Problem& p, const std::vector<float>& got) {
  expect_right(p, got, [&](float a) { return p.keep_a ? a : rounded(a); }, rounded);
}

TEST(GemmBf16, EverySizeAroundEveryTileEdge) {
  on_every_isa([] {
    for (const bool keep_a : {false, true})
      for (int64_t m : {1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 33, 49})
        for (int64_t n : {1, 15, 16, 17, 32, 33, 63, 64, 65})
          for (int64_t k : {0, 1, 2, 19, 31, 32, 33, 64}) {
            SCOPED_TRACE(std::to_string(m) + "x" + std::to_string(k) + "x" + std::to_string(n) + (keep_a ? " as it is" : ""));
            const Bf16Problem p = make(dense(m, k, n), n % 2 == 0, m % 2 == 0, keep_a);
            expect_right(p, run(p, m % 3 == 0 ? Edge::begin : Edge::end));
            if (::testing::Test::HasFatalFailure()) return;
          }
  });
}

TEST(GemmBf16, LongSumsInSeveralPassesAndManyPixels) {
  on_every_isa([] {
    for (const bool keep_a : {false, true})
      for (const auto& [m, k] : {std::pair<int64_t, int64_t>{3, 1024}, {70, 1025}, {5, 4100}, {1500, 24}}) {
        Bf16Problem p = make(dense(m, k, 37), true, true, keep_a);
        expect_right(p, run(p));
        p.accumulate = true;
        expect_right(p, run(p));
        p.lo = -0.5f, p.hi = 0.5f;
        expect_right(p, run(p));
      }
  });
}

TEST(GemmBf16, WalksConvolutionsAndOperandsWithStrides) {
  GemmShape s{.rows = 5, .cols = 6, .n = 20, .a_row = 8 * 7, .a_col = 7, .c_row = 6 * 20 + 3, .c_col = 20, .r_row = 6 * 20, .r_col = 20,
              .inner = 3, .inner_stride = 8 * 7, .segment = 21};
  GemmShape turned = dense(9, 33, 18);
  turned.a_col = 1, turned.a_k = 9;
  GemmShape dilated = s;
  dilated.outer = 2, dilated.outer_stride = 16, dilated.inner = 2, dilated.inner_stride = 14, dilated.segment = 7;
  on_every_isa([&] {
    for (const GemmShape& shape : {s, turned, dilated})
      for (const bool keep_a : {false, true}) {
        const Bf16Problem p = make(shape, true, true, keep_a);
        expect_right(p, run(p));
      }
  });
}

// A convolution of `channels`, rows x cols outputs, a square kernel, over an input without padding; `apart`: its segments are pixels, as those
// of a dilated one must be.
GemmShape convolution(int64_t channels, int64_t rows, int64_t cols, int64_t kernel, int64_t stride, bool apart) {
  const int64_t line = ((cols - 1) * stride + kernel) * channels, n = 37;
  GemmShape s{.rows = rows, .cols = cols, .n = n, .a_row = stride * line, .a_col = stride * channels, .c_row = cols * n, .c_col = n, .r_row = cols * n, .r_col = n,
              .inner = kernel, .inner_stride = line, .segment = kernel * channels};
  if (apart) s.outer = kernel, s.outer_stride = line, s.inner_stride = channels, s.segment = channels;
  return s;
}

TEST(GemmBf16, SharesWhatPixelsReadAlike) {
  const GemmShape shapes[] = {convolution(6, 7, 9, 3, 1, false), convolution(6, 7, 9, 3, 1, true), convolution(6, 7, 9, 3, 2, false), convolution(6, 7, 9, 3, 2, true),
                              convolution(2, 3, 20, 5, 1, false), convolution(34, 9, 21, 3, 1, false),   // lines in several blocks
                              convolution(130, 3, 90, 3, 1, false), convolution(66, 2, 170, 3, 2, true),  // and in several parts of their length
                              convolution(1024, 2, 3, 3, 1, false), convolution(5, 4, 6, 2, 1, true), convolution(4, 6, 1, 3, 1, false),
                              convolution(8, 5, 6, 2, 3, false)};                                         // too long, odd, one column, with gaps
  GemmShape row = convolution(6, 1, 40, 3, 1, false), along = convolution(6, 5, 12, 3, 1, false);         // one row of pixels; a kernel of one row
  along.inner = 1;
  on_every_isa([&] {
    for (const GemmShape& shape : shapes) {
      const Bf16Problem p = make(shape, true, true, false);
      expect_right(p, run(p));
    }
    for (const GemmShape& shape : {row, along}) {
      Bf16Problem p = make(shape, false, false, false);
      p.accumulate = true;
      expect_right(p, run(p));
      const std::vector<float> all = run(p);
      Bf16Problem one = p;                      // its last pixel alone
      one.shape.rows = one.shape.cols = 1;
      const int64_t at = (shape.rows - 1) * shape.a_row + (shape.cols - 1) * shape.a_col, to = (shape.rows * shape.cols - 1) * shape.n;
      one.a.assign(p.a.begin() + at, p.a.end());
      one.c.assign(p.c.begin() + to, p.c.begin() + to + shape.n);
      EXPECT_TRUE(same_bits(run(one), {all.begin() + to, all.begin() + to + shape.n}));
    }
  });
}

TEST(GemmBf16, AnElementDoesNotDependOnItsNeighbours) {
  on_every_isa([] {
    for (const bool keep_a : {false, true}) {
      const Bf16Problem whole = make(dense(37, 1100, 70), true, false, keep_a);
      const std::vector<float> all = run(whole);
      for (int64_t m : {0, 5, 36}) {
        Bf16Problem row = whole;
        row.shape.cols = 1;
        row.a.assign(whole.a.begin() + m * 1100, whole.a.begin() + (m + 1) * 1100);
        row.c.resize(70);
        EXPECT_TRUE(same_bits(run(row), {all.begin() + m * 70, all.begin() + (m + 1) * 70})) << m;
      }
    }
  });
}

TEST(GemmBf16, KeepsNaNAndInfinity) {
  on_every_isa([] {
    for (const float odd : {kNaN, kInf, std::bit_cast<float>(0x7fffffff)})
      for (const bool keep_a : {false, true}) {
        Bf16Problem p = make(dense(3, 5, 17), false, false, keep_a);
        p.a[4] = odd;
        for (float& b : p.b) b = std::fabs(b) + 0.5f;
        const auto got = run(p);
        for (int64_t j = 0; j < 17; ++j) EXPECT_TRUE(odd == kInf ? got[j] == kInf : std::isnan(got[j]));
        EXPECT_TRUE(std::isfinite(got[17]));
      }
  });
}

TEST(GemmBf16, PackedSizeCountsWholeTiles) {
  EXPECT_EQ(bf16_packed_bytes(1, 1), 16 * 64);
  EXPECT_EQ(bf16_packed_bytes(33, 17), 32 * 128);
  EXPECT_EQ(bf16_packed_bytes(0, 5), 0);
}

}  // namespace
}  // namespace miniten::kernels
