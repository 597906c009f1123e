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
