#include <queue>
#include "check.h"
#include "interchange/native/entropy.h"

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

const Entropy both[] = {Entropy::huffman, Entropy::rans};

TEST(Entropy, GivesBackWhatItTookNearItsBound) {
  for (Entropy e : both)
    for (int64_t n : {1, 2, 7, 1000, 50000})
      for (int64_t k : {1, 2, 16, 300})
        for (double skew : {1.05, 2.0, 20.0}) {
          Tensor t = skewed(n, k, skew, uint64_t(n + k)), book = book_of(k);
          auto coded = code_indices(t, book, {}, e);
          if (!coded) { EXPECT_TRUE(e == Entropy::rans && entropy_bytes(t) == 0); continue; }            // one value alone, too often
          EXPECT_EQ(values(decode_indices(*coded, book, {}, t.spec(), e)), values(t));
          if (e == Entropy::rans) EXPECT_LE(double(coded->numel()), 1.01 * entropy_bytes(t) + 2 * double(k) + 8) << n << " " << k << " " << skew;
          else EXPECT_LE(double(coded->numel()), entropy_bytes(t) + double(n) / 8 + double(k) / 2 + 2) << n << " " << k << " " << skew;
        }
  EXPECT_FALSE(code_indices(skewed(8, 4, 2, 1), book_of(4), {}, Entropy::none));
}

// Bits of the best code of any length: the least two become one, until one is left.
uint64_t best_bits(std::vector<uint64_t> count) {
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> left;
  for (uint64_t c : count) if (c) left.push(c);
  uint64_t bits = left.size() == 1 ? left.top() : 0;
  while (left.size() > 1) {
    uint64_t a = left.top();
    left.pop();
    a += left.top();
    left.pop();
    left.push(a);
    bits += a;
  }
  return bits;
}
// Of lengths up to `most`, by trying all that are complete and longer for what is rarer; count ascends.
uint64_t best_bits_within(const std::vector<uint64_t>& count, int most, size_t at = 0, uint64_t room = 1 << 15, int before = 15) {
  uint64_t best = at == count.size() && room == 0 ? 0 : UINT64_MAX;
  for (int l = std::min(before, most); at < count.size() && l > 0; --l) {
    uint64_t own = uint64_t{1 << 15} >> l;
    if (own > room) break;
    uint64_t rest = best_bits_within(count, most, at + 1, room - own, l);
    if (rest != UINT64_MAX) best = std::min(best, rest + count[at] * uint64_t(l));
  }
  return best;
}
std::vector<uint8_t> lengths_in(const std::vector<uint8_t>& coded, size_t n) {
  std::vector<uint8_t> l;
  for (size_t s = 0; s < n; ++s) l.push_back(s % 2 ? coded[s / 2] & 15 : coded[s / 2] >> 4);
  return l;
}
std::vector<uint8_t> huffman_lengths(const std::vector<uint64_t>& count) { return lengths_in(huffman_coder.code({}, count), count.size()); }

TEST(Huffman, CodesAreTheShortest) {
  Generator random(4, 2);
  for (size_t n : {1, 2, 3, 17, 300, 2048})
    for (int spread : {1, 2}) {
      std::vector<uint64_t> count(n);
      for (uint64_t& c : count) c = 1 + uint64_t(std::exp(spread * random.uniform()) * 10);
      auto length = huffman_lengths(count);
      uint64_t bits = 0, sum = 0;
      for (size_t s = 0; s < n; ++s) {
        ASSERT_TRUE(length[s] >= 1 && length[s] <= 15);
        bits += count[s] * length[s];
        sum += uint64_t{1 << 15} >> length[s];
      }
      EXPECT_EQ(sum, n == 1 ? 1u << 14 : 1u << 15);
      EXPECT_EQ(bits, best_bits(count)) << n << " " << spread;          // none of these needs more than 15 bits
    }
}

TEST(Huffman, FifteenBitsAtMostAndTheBestOfThose) {
  for (size_t n : {16, 17}) {                                        // Fibonacci's: the deepest tree there is
    std::vector<uint64_t> count{1, 1};
    while (count.size() < n) count.push_back(count[count.size() - 1] + count[count.size() - 2]);
    auto length = huffman_lengths(count);
    uint64_t bits = 0;
    for (size_t s = 0; s < n; ++s) bits += count[s] * length[s];
    EXPECT_EQ(*std::max_element(length.begin(), length.end()), 15);
    EXPECT_EQ(bits, best_bits_within(count, 15));
    if (n > 16) EXPECT_GT(bits, best_bits(count));
  }
}

TEST(Entropy, OfAMaskWhatIsInside) {
  Tensor t = skewed(3000, 9, 1.3, 8), mask = Tensor::empty({DType::boolean, {3000}}), book = book_of(9);
  for (int64_t i = 0; i < 3000; ++i)
    if (!(mask.view().as<bool>()[i] = i % 7 < 2)) t.view().f32()[i] = 0;
  for (Entropy e : both) {
    Tensor inside = *code_indices(t, book, mask, e), all = *code_indices(t, book, {}, e);
    EXPECT_LT(inside.numel(), all.numel());
    EXPECT_EQ(values(decode_indices(inside, book, mask, t.spec(), e)), values(t));
    EXPECT_NE(error_of([&] { decode_indices(inside, book, {}, t.spec(), e); }), "no error");
  }
  t.view().f32()[6] = 1;
  EXPECT_FALSE(code_indices(t, book, mask, Entropy::huffman));
}

TEST(Entropy, RefusesValuesThatAreInNoCodebook) {
  for (Entropy e : both) {
    EXPECT_FALSE(code_indices(Tensor::of<float>({2}, std::vector<float>{0, 0.5f}), book_of(8), {}, e));
    EXPECT_FALSE(code_indices(Tensor::of<float>({1}, std::vector<float>{NAN}), book_of(8), {}, e));
    EXPECT_FALSE(code_indices(skewed(10, 4, 2, 1), book_of(5000), {}, e));
  }
}

std::string tried(const std::vector<uint8_t>& b, const Tensor& book, const Spec& spec, Entropy e) {
  return error_of([&] { decode_indices(Tensor::of<uint8_t>({int64_t(b.size())}, b), book, {}, spec, e); });
}

TEST(Entropy, DamageIsAnErrorOrOtherIndicesNeverACrash) {
  Tensor t = skewed(500, 16, 1.5, 3), book = book_of(16);
  for (Entropy e : both) {
    Tensor coded = *code_indices(t, book, {}, e);
    std::vector<uint8_t> bytes = coded.to_vector<uint8_t>();
    for (size_t cut = 0; cut < bytes.size(); ++cut) EXPECT_NE(tried({bytes.begin(), bytes.begin() + int64_t(cut)}, book, t.spec(), e), "no error") << cut;
    int unseen = 0;
    for (size_t i = 0; i < bytes.size(); ++i)
      for (uint8_t bit : {1, 16, 128}) {
        auto b = bytes;
        b[i] ^= bit;
        const bool seen = tried(b, book, t.spec(), e) != "no error";
        unseen += !seen;
        if (e == Entropy::huffman && i < 8) EXPECT_TRUE(seen) << i;      // another length: no complete code
      }
    if (e == Entropy::rans) EXPECT_LT(unseen, 5);                        // the state ends as it began
    for (int64_t n : {int64_t{508}, int64_t{480}, int64_t{1} << 40}) EXPECT_NE(tried(bytes, book, {DType::f32, {n}}, e), "no error") << n;
    EXPECT_NE(tried(bytes, book_of(e == Entropy::rans ? 15 : 13), t.spec(), e), "no error");
    bytes.push_back(0);
    EXPECT_NE(tried(bytes, book, t.spec(), e), "no error");
    Generator random(9, 1);
    for (int k = 0; k < 3000; ++k) {
      std::vector<uint8_t> any(size_t(random.next() % 80));
      for (uint8_t& b : any) b = uint8_t(random.next());
      tried(any, book_of(int64_t(1 + random.next() % 20)), {DType::f32, {int64_t(random.next() % 400)}}, e);
    }
  }
}

TEST(Huffman, CodesThatAreNoneAreRefused) {
  auto of = [](std::vector<uint8_t> bytes, int64_t k, int64_t n) { return tried(bytes, book_of(k), {DType::f32, {n}}, Entropy::huffman); };
  EXPECT_EQ(of({0x11, 0x40}, 2, 3), "no error");                         // 0, 1, 0
  EXPECT_TRUE(check::contains(of({0x11, 0x10, 0x40}, 3, 3), "complete code"));    // three of one bit
  EXPECT_TRUE(check::contains(of({0x12, 0x40}, 2, 3), "complete code"));          // 11 is nobody's
  EXPECT_TRUE(check::contains(of({0x00, 0x40}, 2, 3), "complete code"));
  EXPECT_TRUE(check::contains(of({0x20, 0x00}, 1, 3), "complete code"));          // a lone value of two bits
  EXPECT_EQ(of({0x10, 0x00}, 1, 8), "no error");
  EXPECT_NE(of({0x10, 0x20}, 1, 8), "no error");                         // its code is 0
  EXPECT_NE(of({0x11, 0x00}, 1, 8), "no error");                         // a length of a value that is not
  EXPECT_NE(of({0x11, 0x41}, 2, 3), "no error");                         // what follows is not zeros
}

}  // namespace
}  // namespace miniten
