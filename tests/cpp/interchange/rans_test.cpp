#include "check.h"
#include "interchange/native/sparse.h"

namespace miniten {
namespace {

using check::error_of;
using check::values;

// n draws of k values, the i-th about `skew` times rarer than the one before.
Tensor skewed(int64_t n, int64_t k, double skew, uint64_t seed) {
  Generator random(seed);
  Tensor t = Tensor::empty({DType::f32, {n}});
  for (int64_t i = 0; i < n; ++i) {
    int64_t value = 0;
    while (value + 1 < k && random.uniform() < 1 / skew) ++value;
    t.view().f32()[i] = float(value) - 2;
  }
  return t;
}
Tensor book_of(int64_t k) {
  Tensor b = Tensor::empty({DType::f32, {k}});
  for (int64_t i = 0; i < k; ++i) b.view().f32()[i] = float(i) - 2;
  return b;
}
double entropy_bytes(const Tensor& t) {
  std::map<double, double> count;
  for (double v : values(t)) ++count[v];
  double bits = 0;
  for (auto& [v, n] : count) bits -= n * std::log2(n / double(t.numel()));
  return bits / 8;
}

TEST(Rans, GivesBackWhatItTookNearTheEntropy) {
  for (int64_t n : {1, 2, 7, 1000, 50000})
    for (int64_t k : {1, 2, 16, 300})
      for (double skew : {1.05, 2.0, 20.0}) {
        Tensor t = skewed(n, k, skew, uint64_t(n + k)), book = book_of(k);
        auto coded = code_indices(t, book);
        if (!coded) { EXPECT_EQ(entropy_bytes(t), 0); continue; }              // one value alone, too often
        EXPECT_EQ(values(decode_indices(*coded, book, t.spec())), values(t));
        EXPECT_LE(double(coded->numel()), 1.01 * entropy_bytes(t) + 2 * double(k) + 8) << n << " " << k << " " << skew;
      }
}

TEST(Rans, RefusesValuesThatAreInNoCodebook) {
  EXPECT_FALSE(code_indices(Tensor::of<float>({2}, std::vector<float>{0, 0.5f}), book_of(8)));
  EXPECT_FALSE(code_indices(Tensor::of<float>({1}, std::vector<float>{NAN}), book_of(8)));
  EXPECT_FALSE(code_indices(skewed(10, 4, 2, 1), book_of(5000)));
}

TEST(Rans, DamageIsAnErrorOrOtherIndicesNeverACrash) {
  Tensor t = skewed(500, 16, 1.5, 3), book = book_of(16), coded = *code_indices(t, book);
  std::vector<uint8_t> bytes = coded.to_vector<uint8_t>();
  auto tried = [&](const std::vector<uint8_t>& b, const Spec& spec) {
    return error_of([&] { decode_indices(Tensor::of<uint8_t>({int64_t(b.size())}, b), book, spec); });
  };
  for (size_t cut = 0; cut < bytes.size(); ++cut) EXPECT_NE(tried({bytes.begin(), bytes.begin() + int64_t(cut)}, t.spec()), "no error") << cut;
  int unseen = 0;
  for (size_t i = 0; i < bytes.size(); ++i)
    for (uint8_t bit : {1, 16, 128}) {
      auto b = bytes;
      b[i] ^= bit;
      unseen += tried(b, t.spec()) == "no error";
    }
  EXPECT_LT(unseen, 5);                                        // the state ends as it began
  EXPECT_NE(tried(bytes, {DType::f32, {501}}), "no error");
  EXPECT_NE(tried(bytes, {DType::f32, {499}}), "no error");
  EXPECT_NE(tried(bytes, {DType::f32, {int64_t{1} << 40}}), "no error");
  EXPECT_NE(error_of([&] { decode_indices(coded, book_of(15), t.spec()); }), "no error");
}

}  // namespace
}  // namespace miniten
