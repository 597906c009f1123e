#include "kernels/sparse.h"

#include "qkernel_test.h"

// The dense kernels are the oracle: tested against naive loops themselves, and the contract is equality of bits.
namespace miniten::kernels::testing {
namespace {

enum class Zeros { none, some, blocks, all };
constexpr Zeros kinds[] = {Zeros::none, Zeros::some, Zeros::blocks, Zeros::all};

// Of weights (k, n) row-major: single ones, or rows of 16 columns and `deep` rows.
template <class T>
void put_zeros(Random& random, T& w, int64_t k, int64_t n, Zeros kind, int64_t deep) {
  for (int64_t i = 0; i < k; i += deep)
    for (int64_t j = 0; j < n; j += 16) {
      const bool gone = kind == Zeros::all || (kind == Zeros::blocks && random.in(0, 9) < 7);
      for (int64_t r = i; r < std::min(k, i + deep); ++r)
        for (int64_t c = j; c < std::min(n, j + 16); ++c)
          if (gone || (kind == Zeros::some && random.in(0, 9) < 8)) w[r * n + c] = 0;
    }
}

std::vector<GemmShape> float_shapes() {
  std::vector<GemmShape> all;
  for (int64_t cols : {1, 2, 5, 13, 30})
    for (int64_t n : {1, 15, 16, 17, 70})
      for (int64_t k : {1, 7, 64}) all.push_back({.rows = 1, .cols = cols, .n = n, .a_col = k, .c_col = n + 3, .r_col = n + 1, .segment = k});
  // A 3 x 3 kernel on 9 x 7 pixels of 5 channels, a long K in many segments, and a column of pixels with a stride in K.
  all.push_back({.rows = 7, .cols = 5, .n = 33, .a_row = 35, .a_col = 5, .c_row = 170, .c_col = 34, .r_row = 165, .r_col = 33, .inner = 3, .inner_stride = 35, .segment = 15});
  all.push_back({.rows = 1, .cols = 20, .n = 40, .a_col = 3000, .c_col = 40, .r_col = 40, .outer = 3, .outer_stride = 1000, .inner = 2, .inner_stride = 500, .segment = 480});
  all.push_back({.rows = 9, .cols = 1, .n = 20, .a_row = 1, .a_k = 9, .c_row = 20, .r_row = 20, .segment = 11});
  return all;
}

TEST(Sparse, FloatsHaveTheBitsOfTheDenseProduct) {
  on_every_isa([] {
    Random random(1);
    for (const GemmShape& s : float_shapes())
      for (Zeros kind : kinds) {
        const int64_t k = s.outer * s.inner * s.segment, panels = (s.n + 15) / 16;
        const int64_t extent = (s.rows - 1) * s.a_row + (s.cols - 1) * s.a_col + (s.outer - 1) * s.outer_stride + (s.inner - 1) * s.inner_stride +
                               (s.segment - 1) * s.a_k + 1;
        const int64_t outputs = (s.rows - 1) * s.c_row + (s.cols - 1) * s.c_col + s.n, others = (s.rows - 1) * s.r_row + (s.cols - 1) * s.r_col + s.n;
        std::vector<float> b = random_floats(k * s.n, 3), start = random_floats(outputs, 4);
        put_zeros(random, b, k, s.n, kind, 1);
        Guarded<float> a(random_floats(extent, 2), random.edge()), bias(random_floats(s.n, 5), random.edge()), residual(random_floats(others, 6), random.edge());
        Guarded<float> packed(gemm_packed_floats(k, s.n)), dense(start, random.edge()), sparse(start, random.edge());
        gemm_pack(b.data(), k, s.n, s.n, 1, packed.data());
        const auto* bytes = reinterpret_cast<const std::byte*>(packed.data());
        const int64_t kept = sparse_steps(bytes, panels, k);
        if (kind == Zeros::all) EXPECT_EQ(kept, 0);
        if (kind == Zeros::none) EXPECT_EQ(kept, panels * k);
        Guarded<std::byte> to(static_cast<int64_t>(sparse_packed_bytes(panels, kept)));
        ASSERT_TRUE(sparse_pack(s, bytes, to.data()));
        Epilogue e{random.coin() ? bias.data() : nullptr, random.coin() ? residual.data() : nullptr};
        if (random.coin()) e.lo = -0.5f, e.hi = 0.75f;
        gemm(s, a.data(), packed.data(), dense.data(), e);
        sparse_gemm(s, a.data(), to.data(), 0, sparse.data(), e);
        ASSERT_TRUE(same_bits(dense.values(), sparse.values())) << s.rows << "x" << s.cols << " n " << s.n << " k " << k << " zeros " << int(kind);
        if (panels < 2) continue;  // the columns from the second panel on
        GemmShape part = s;
        part.n = s.n - 16;
        Guarded<float> cut(start, random.edge());
        if (e.bias) e.bias += 16;
        if (e.residual) e.residual += 16;
        sparse_gemm(part, a.data(), to.data(), 1, cut.data() + 16, e);
        for (int64_t r = 0; r < s.rows; ++r)
          for (int64_t q = 0; q < s.cols; ++q)
            for (int64_t j = 0; j < s.n; ++j) {
              const int64_t at = r * s.c_row + q * s.c_col + j;
              ASSERT_EQ(cut[at], j < 16 ? start[size_t(at)] : dense[at]);
            }
      }
  });
}

TEST(Sparse, CompressedRowsTimesRows) {
  on_every_isa([] {
    Random random(5);
    for (int64_t rows : {0, 1, 9, 40})
      for (int64_t n : {1, 7, 15, 16, 17, 40}) {
        std::vector<int32_t> begin{0}, column;
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t many = random.in(0, 6); many > 0; --many) column.push_back(int32_t(random.in(0, 19)));
          begin.push_back(int32_t(column.size()));
        }
        const std::vector<float> value = random_floats(int64_t(column.size()), 1), from = random_floats(20 * n, 2);
        Guarded<float> x(from, random.edge()), whole(rows * n), parts(rows * n);
        csr_product(begin.data(), column.data(), value.data(), rows, x.data(), n, whole.data());
        csr_product(begin.data(), column.data(), value.data(), rows / 2, x.data(), n, parts.data());
        csr_product(begin.data() + rows / 2, column.data(), value.data(), rows - rows / 2, x.data(), n, parts.data() + rows / 2 * n);
        ASSERT_TRUE(same_bits(whole.values(), parts.values()));
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t j = 0; j < n; ++j) {
            double sum = 0;
            for (int32_t i = begin[size_t(r)]; i < begin[size_t(r + 1)]; ++i) sum += double(value[size_t(i)]) * from[size_t(column[size_t(i)] * n + j)];
            ASSERT_NEAR(whole[r * n + j], sum, 1e-5);
          }
      }
  });
}

TEST(Sparse, SingleZerosLeaveTheBitsOfTheDenseProduct) {
  on_every_isa([] {
    Random random(3);
    for (int64_t cols : {1, 2, 15, 16, 33, 70})
      for (int64_t n : {1, 3, 16, 37})
        for (int64_t k : {1, 9, 64, 300, 1024})
          for (int64_t a_k : {1, 2}) {
            const GemmShape s{.cols = cols, .n = n, .a_col = k * a_k, .a_k = a_k, .c_col = n + 2, .r_col = n + 1, .segment = k};
            std::vector<float> b = random_floats(k * n, 3), start = random_floats((cols - 1) * s.c_col + n, 4);
            put_zeros(random, b, k, n, kinds[random.in(0, 3)], 1);
            Guarded<float> a(random_floats((cols - 1) * s.a_col + (k - 1) * a_k + 1, 2), random.edge()), bias(random_floats(n, 5), random.edge());
            Guarded<float> residual(random_floats((cols - 1) * s.r_col + n, 6), random.edge()), packed(gemm_packed_floats(k, n)), dense(start, random.edge()), sparse(start, random.edge());
            gemm_pack(b.data(), k, n, n, 1, packed.data());
            int64_t nonzero = 0;
            for (float w : b) nonzero += w != 0;
            Guarded<std::byte> to(static_cast<int64_t>(csr_packed_bytes(n, nonzero)));
            csr_pack(b.data(), k, n, n, 1, to.data());
            Epilogue e{random.coin() ? bias.data() : nullptr, random.coin() ? residual.data() : nullptr};
            if (random.coin()) e.lo = -0.5f, e.hi = 0.75f;
            gemm(s, a.data(), packed.data(), dense.data(), e);
            csr_gemm(s, a.data(), to.data(), 0, sparse.data(), e);
            ASSERT_TRUE(same_bits(dense.values(), sparse.values())) << cols << " " << n << " " << k;
            if (n < 3) continue;  // the columns from the third on
            GemmShape part = s;
            part.n = n - 2;
            Guarded<float> cut(start, random.edge());
            if (e.bias) e.bias += 2;
            if (e.residual) e.residual += 2;
            csr_gemm(part, a.data(), to.data(), 2, cut.data() + 2, e);
            for (int64_t q = 0; q < cols; ++q)
              for (int64_t j = 0; j < n; ++j) ASSERT_EQ(cut[q * s.c_col + j], j < 2 ? start[size_t(q * s.c_col + j)] : dense[q * s.c_col + j]);
          }
  });
}

TEST(Sparse, NothingIsReadForStepsThatAreLeftOut) {
  on_every_isa([] {
    GemmShape s{.cols = 5, .n = 32, .a_col = 8, .c_col = 32, .segment = 8};
    std::vector<float> b(8 * 32, 0.0f), a(40, kNaN);
    for (int64_t j = 0; j < 32; ++j) b[size_t(3 * 32 + j)] = 2;
    for (int64_t i = 0; i < 5; ++i) a[size_t(i * 8 + 3)] = float(i);
    Guarded<float> packed(gemm_packed_floats(8, 32));
    gemm_pack(b.data(), 8, 32, 32, 1, packed.data());
    const auto* bytes = reinterpret_cast<const std::byte*>(packed.data());
    ASSERT_EQ(sparse_steps(bytes, 2, 8), 2);
    Guarded<std::byte> to(static_cast<int64_t>(sparse_packed_bytes(2, 2)));
    ASSERT_TRUE(sparse_pack(s, bytes, to.data()));
    std::vector<float> c(160);
    sparse_gemm(s, a.data(), to.data(), 0, c.data(), {});
    for (int64_t i = 0; i < 160; ++i) ASSERT_EQ(c[size_t(i)], float(2 * (i / 32)));
  });
}

TEST(Sparse, AnOffsetBeyond32BitsIsRefused) {
  GemmShape s{.cols = 1, .n = 16, .c_col = 16, .outer = 2, .outer_stride = int64_t{1} << 31, .segment = 1};
  std::vector<float> b(32, 1.0f), packed(32);
  gemm_pack(b.data(), 2, 16, 16, 1, packed.data());
  std::vector<std::byte> to(sparse_packed_bytes(1, 2));
  EXPECT_FALSE(sparse_pack(s, reinterpret_cast<const std::byte*>(packed.data()), to.data()));
}

TEST(Sparse, BytesAreThoseOfTheDenseProduct) {
  on_every_isa([] {
    Random random(7);
    for (int round = 0; round < 160; ++round) {
      QGemmShape s;
      const bool kernel = random.in(0, 3) == 0;
      s.cols = random.of({1, 2, 3, 7, 9, 17, 20, 23, 37, 70});
      s.n = random.of({1, 15, 16, 17, 50, 64, 80});
      s.segment = random.of({1, 3, 4, 8, 37, 64});
      s.a_col = s.segment, s.c_col = s.n + random.in(0, 2);
      if (kernel) {
        s.rows = 3, s.inner = 3, s.outer = 1;
        s.inner_stride = s.a_row = (s.cols + 2) * s.a_col, s.c_row = s.cols * s.c_col;
        s.segment *= 3;
      }
      const int64_t segments = s.outer * s.inner, k = segments * s.segment, panels = (s.n + 15) / 16, steps = segments * ((s.segment + 3) / 4);
      const int64_t outputs = (s.rows - 1) * s.c_row + (s.cols - 1) * s.c_col + s.n;
      Guarded<uint8_t> a((s.rows - 1) * s.a_row + (s.cols - 1) * s.a_col + (s.inner - 1) * s.inner_stride + s.segment + (s.segment % 4 ? 3 : 0), random.edge());
      Guarded<int8_t> w(k * s.n);
      Guarded<int32_t> bias(s.n, random.edge());
      Guarded<float> multiplier(s.n, random.edge()), bias_f(s.n, random.edge());
      random.fill(a, 0, 255);
      random.fill(w, -127, 127);
      random.fill(bias, -70000, 70000);
      for (int64_t j = 0; j < s.n; ++j) multiplier[j] = float(random.in(1, 999)) * 1e-5f, bias_f[j] = float(random.in(-100, 100)) / 7;
      const Zeros kind = kinds[round % 4];
      put_zeros(random, w, k, s.n, kind, 4);
      Guarded<std::byte> packed(static_cast<int64_t>(qgemm_packed_bytes(segments, s.segment, s.n)));
      qgemm_pack(w.data(), segments, s.segment, s.n, s.segment * s.n, s.n, 1, packed.data());
      const auto* sums = reinterpret_cast<const int32_t*>(packed.data());
      const std::byte* bytes = packed.data() + panels * 64;
      Guarded<std::byte> to(static_cast<int64_t>(sparse_packed_bytes(panels, sparse_steps(bytes, panels, steps))));
      ASSERT_TRUE(sparse_qpack(s, bytes, to.data()));
      QEpilogue e;
      e.bias = random.coin() ? bias.data() : nullptr;
      e.multiplier = multiplier.data();
      e.x_signed = random.coin();
      e.x_zero = static_cast<int32_t>(e.x_signed ? random.in(-128, 127) : random.in(0, 255));
      e.y_zero = static_cast<int32_t>(random.in(-20, 20));
      std::vector<uint8_t> start(static_cast<size_t>(outputs), 0x5a);
      Guarded<uint8_t> dense(start, random.edge()), sparse(start, random.edge());
      qgemm(s, a.data(), packed.data(), dense.data(), e);
      sparse_qgemm(s, a.data(), sums, to.data(), sparse.data(), e);
      ASSERT_EQ(dense.values(), sparse.values()) << s.rows << "x" << s.cols << " n " << s.n << " k " << k;
      QEpilogueF32 f{.bias = random.coin() ? bias_f.data() : nullptr, .multiplier = multiplier.data(), .x_zero = e.x_zero, .x_signed = e.x_signed, .lo = -40, .hi = 90};
      std::vector<float> begin(static_cast<size_t>(outputs), 0.25f);
      Guarded<float> dense_f(begin, random.edge()), sparse_f(begin, random.edge());
      qgemm_f32(s, a.data(), packed.data(), dense_f.data(), f);
      sparse_qgemm_f32(s, a.data(), sums, to.data(), sparse_f.data(), f);
      ASSERT_TRUE(same_bits(dense_f.values(), sparse_f.values()));
      if (kernel) continue;
      const int64_t nonzero = csr_qcount(bytes, s.n, steps);
      ASSERT_EQ(nonzero, k * s.n - std::count(w.data(), w.data() + k * s.n, int8_t(0)));
      Guarded<std::byte> columns(static_cast<int64_t>(csr_packed_bytes(s.n, nonzero)));
      csr_qpack(bytes, s.n, steps, columns.data());
      Guarded<uint8_t> exact(s.cols * s.a_col, random.edge()), singles(start, random.edge());   // nothing beyond A is read
      std::copy_n(a.data(), s.cols * s.a_col, exact.data());
      csr_qgemm(s, exact.data(), sums, columns.data(), singles.data(), e);
      ASSERT_EQ(dense.values(), singles.values()) << s.cols << " n " << s.n << " k " << k;
      Guarded<float> singles_f(begin, random.edge());
      csr_qgemm_f32(s, exact.data(), sums, columns.data(), singles_f.data(), f);
      ASSERT_TRUE(same_bits(dense_f.values(), singles_f.values()));
    }
  });
}

TEST(Sparse, IntegersOfSinglesStayExactAtTheirBound) {
  for (int64_t k : {csr_exact, csr_exact + 1}) {
    const int64_t steps = (k + 3) / 4;
    std::vector<int8_t> w(size_t(k), int8_t(-127));
    std::vector<std::byte> packed(qgemm_packed_bytes(1, k, 1));
    qgemm_pack(w.data(), 1, k, 1, 0, 1, 1, packed.data());
    const int64_t nonzero = csr_qcount(packed.data() + 64, 1, steps);
    EXPECT_EQ(nonzero, k == csr_exact ? k : -1);
    if (nonzero < 0) continue;
    Guarded<std::byte> to(static_cast<int64_t>(csr_packed_bytes(1, nonzero)));
    csr_qpack(packed.data() + 64, 1, steps, to.data());
    on_every_isa([&] {
      const QGemmShape s{.cols = 70, .n = 1, .a_col = k, .c_col = 1, .segment = k};
      std::vector<uint8_t> a(size_t(70 * k), 255), dense(70), sparse(70);
      a[size_t(69 * k)] = 254;
      a.resize(a.size() + 3);
      const float multiplier = 1.0f / 128;
      std::vector<float> out(70), want(70);
      const QEpilogueF32 e{.multiplier = &multiplier, .x_signed = false};
      qgemm_f32(s, a.data(), packed.data(), want.data(), e);
      csr_qgemm_f32(s, a.data(), reinterpret_cast<const int32_t*>(packed.data()), to.data(), out.data(), e);
      EXPECT_TRUE(same_bits(out, want));
      EXPECT_EQ(out[0], float(-127 * 255 * k) / 128);
      EXPECT_EQ(out[69], float(-127 * 255 * k + 127) / 128);
    });
  }
}

}  // namespace
}  // namespace miniten::kernels::testing
