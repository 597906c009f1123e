// Products, differences, tables and softmax in integers against plain int64 and float64, for random shapes, scales and zero
// points, on every instruction set: equal bytes.
#include "check.h"
#include "kernels/dispatch.h"
#include "ops/quantized/lowering.h"

namespace miniten {
namespace {

struct Random {
  Generator r;
  int64_t between(int64_t lo, int64_t hi) { return lo + int64_t(r.below(uint64_t(hi - lo + 1))); }
  float scale() { return std::exp2(float(between(-14, 4))) * (1 + r.uniform()); }
  // Ends of the type are drawn often: sums of them must not wrap.
  Tensor integers(const Shape& shape, DType t) {
    Tensor x = Tensor::empty({DType::i32, shape});
    for (int64_t i = 0; i < x.numel(); ++i) {
      int64_t kind = between(0, 9);
      x.view().as<int32_t>()[i] = int32_t(kind == 0 ? least_of(t) : kind == 1 ? greatest_of(t) : between(least_of(t), greatest_of(t)));
    }
    return cast(x, t);
  }
  QAddAttrs pair(DType t) {
    QAddAttrs at{scale(), scale(), scale()};
    if (t != DType::i16) { at.a_zero = between(least_of(t), greatest_of(t)); at.b_zero = between(least_of(t), greatest_of(t)); }
    at.y_zero = t == DType::i16 ? 0 : between(least_of(t), greatest_of(t));
    at.lo = between(least_of(t), at.y_zero);
    at.hi = between(at.y_zero, greatest_of(t));
    return at;
  }
};
std::vector<int64_t> whole(const Tensor& t) { return cast(t, DType::i64).to_vector<int64_t>(); }
int64_t rounded(float v, const QAddAttrs& at) { return int64_t(std::clamp(std::nearbyint(double(v)) + double(at.y_zero), double(at.lo), double(at.hi))); }

template <class F> void for_all(F body) {
  const std::string before(kernels::isa());
  for (std::string_view name : kernels::available_isas()) {
    ASSERT_TRUE(kernels::set_isa(name));
    for (DType t : {DType::i8, DType::u8, DType::i16})
      for (uint64_t seed = 0; seed < 12; ++seed) {
        SCOPED_TRACE(std::string(name) + " " + std::string(name_of(t)) + " seed " + std::to_string(seed));
        Random r{Generator(seed)};
        body(t, r);
        if (testing::Test::HasFatalFailure()) break;
      }
  }
  kernels::set_isa(before);
}

TEST(QSub, EqualsItsFormula) {
  for_all([](DType t, Random& r) {
    const Shape shape{r.between(1, 5), r.between(1, 70)};
    QAddAttrs at = r.pair(t);
    Tensor a = r.integers(shape, t), b = r.integers(shape, t);
    auto got = whole(apply(qsub_op, {a, b}, at)), x = whole(a), y = whole(b);
    for (size_t i = 0; i < got.size(); ++i) {
      float left = float(x[i] - at.a_zero) * at.a_scale, right = float(y[i] - at.b_zero) * at.b_scale, difference = left - right;
      ASSERT_EQ(got[i], rounded(difference / at.y_scale, at));
    }
  });
}

TEST(QMul, EqualsInt64AndBroadcasts) {
  for_all([](DType t, Random& r) {
    const int64_t n = r.between(1, 4), m = r.between(1, 70);
    const bool row = r.between(0, 1);
    QAddAttrs at = r.pair(t);
    Tensor a = r.integers({n, m}, t), b = r.integers(row ? Shape{1, m} : Shape{n, m}, t);
    auto got = whole(apply(qmul_op, {a, b}, at)), x = whole(a), y = whole(b);
    const float multiplier = at.a_scale * at.b_scale / at.y_scale;
    for (int64_t i = 0; i < n * m; ++i) {
      int64_t product = (x[size_t(i)] - at.a_zero) * (y[size_t(row ? i % m : i)] - at.b_zero);
      ASSERT_EQ(got[size_t(i)], rounded(float(product) * multiplier, at));
    }
  });
}

TEST(QMatmulPair, EqualsInt64) {
  for_all([](DType t, Random& r) {
    const int64_t batch = r.between(1, 3), m = r.between(1, 9), k = r.between(1, 80), n = r.between(1, 20);
    QAddAttrs at = r.pair(t);
    at.y_scale = at.a_scale * at.b_scale * std::sqrt(float(k)) * (t == DType::i16 ? 30000.0f : 90.0f) * (1 + r.r.uniform());
    const bool turned = r.between(0, 1);
    Tensor a = r.integers({batch, m, k}, t), b = turned ? transpose(r.integers({batch, n, k}, t), 1, 2) : r.integers({batch, k, n}, t);
    auto got = whole(apply(qmatmul_pair_op, {a, b}, at)), x = whole(a), y = whole(b);
    const float multiplier = at.a_scale * at.b_scale / at.y_scale;
    for (int64_t p = 0; p < batch; ++p)
      for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < n; ++j) {
          int64_t sum = 0;
          for (int64_t q = 0; q < k; ++q) sum += (x[size_t((p * m + i) * k + q)] - at.a_zero) * (y[size_t((p * k + q) * n + j)] - at.b_zero);
          ASSERT_EQ(got[size_t((p * m + i) * n + j)], rounded(float(sum) * multiplier, at)) << m << " " << k << " " << n;
        }
  });
}

TEST(QTable, ReadsBytesAndLinesBetweenPoints) {
  for_all([](DType t, Random& r) {
    const int shift = int(r.between(4, 7));
    const Shape shape{r.between(1, 3), r.between(1, 90)};
    QTableAttrs at{0.02f, 0.03f};
    Tensor x = r.integers(shape, t), table = r.integers({t == DType::i16 ? (65536 >> shift) + 1 : 256}, t);
    auto got = whole(apply(qtable_op, {x, table}, at)), in = whole(x), points = whole(table);
    for (size_t i = 0; i < got.size(); ++i) {
      const int64_t from = in[i] - least_of(t);
      if (t != DType::i16) { ASSERT_EQ(got[i], points[size_t(from)]); continue; }
      const int64_t left = points[size_t(from >> shift)], right = points[size_t((from >> shift) + 1)], part = from & ((1 << shift) - 1);
      ASSERT_LE(std::abs(double(got[i]) - (double(left) + double(right - left) * double(part) / double(1 << shift))), 0.5 + 1e-9);
    }
  });
}

TEST(QSoftmax, IsWithinAStepOfTheFunctionAndSumsToOne) {
  for_all([](DType t, Random& r) {
    const int64_t rows = r.between(1, 4), n = r.between(1, 60);
    const float x_scale = t == DType::i16 ? 6.0f / 32768 * (1 + r.r.uniform()) : 0.02f + 0.1f * r.r.uniform();
    QSoftmaxAttrs at{x_scale, t == DType::i16 ? 1.0f / 32768 : 1.0f / 256, t == DType::i8 ? -128 : 0};
    Tensor x = r.integers({rows, n}, t);
    auto got = whole(apply(qsoftmax_op, {x, softmax_table(x_scale, t)}, at)), in = whole(x);
    for (int64_t i = 0; i < rows; ++i) {
      double sum = 0;
      const int64_t greatest = *std::max_element(in.begin() + i * n, in.begin() + (i + 1) * n);
      for (int64_t j = 0; j < n; ++j) sum += std::exp(double(in[size_t(i * n + j)] - greatest) * double(x_scale));
      for (int64_t j = 0; j < n; ++j) {
        double p = std::exp(double(in[size_t(i * n + j)] - greatest) * double(x_scale)) / sum;
        double want = std::clamp(p / double(at.y_scale) + double(at.y_zero), double(least_of(t)), double(greatest_of(t)));
        ASSERT_NEAR(double(got[size_t(i * n + j)]), want, 0.51);
      }
    }
  });
}

}  // namespace
}  // namespace miniten
