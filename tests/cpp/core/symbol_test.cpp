#include "miniten/base/symbol.h"
#include <gtest/gtest.h>
#include <random>

namespace miniten {
namespace {

TEST(Symbol, FormulasAreReckonedOnceTheSizeIsKnown) {
  Dim h = symbol("symbol_test_h");
  Dim half = derived({h, 1, 1, 2}), quarter = derived({half, 1, 1, 2}), back = derived({half, 2}), wide = derived({h, 3, -2});
  EXPECT_EQ(symbol_name(half), "symbol_test_h+1/2");
  EXPECT_EQ(symbol_name(quarter), "symbol_test_h+3/4");
  EXPECT_EQ(symbol_name(back), "symbol_test_h+1/2*2");
  for (int64_t n : {1, 2, 5, 17, 64}) {
    EXPECT_EQ(bound(half, h, n), (n + 1) / 2);
    EXPECT_EQ(bound(quarter, h, n), ((n + 1) / 2 + 1) / 2);
    EXPECT_EQ(bound(back, h, n), (n + 1) / 2 * 2);
    EXPECT_EQ(bound(wide, h, n), 3 * n - 2);
  }
  EXPECT_EQ(bound(half, symbol("symbol_test_other"), 3), half);
  Dim w = symbol("symbol_test_w");
  EXPECT_EQ(bound(half, h, w), derived({w, 1, 1, 2}));               // under another name
}

TEST(Symbol, EqualFormulasAreOneSymbol) {
  Dim h = symbol("symbol_test_h");
  EXPECT_EQ(derived({derived({h, 1, 2}), 1, -2}), h);
  EXPECT_EQ(derived({derived({h, 2}), 1, 0, 2}), h);
  EXPECT_EQ(derived({derived({h, 2, 1}), 1, 0, 2}), h);
  EXPECT_EQ(derived({derived({h, 4, 6}), 1, 0, 2}), derived({h, 2, 3}));
  EXPECT_EQ(derived({7, 2, 1, 4}), 3);
  EXPECT_EQ(derived({-1, 1, 0, 2}), -1);
  EXPECT_EQ(symbol("symbol_test_h+1/2*2"), derived({derived({h, 1, 1, 2}), 2}));      // as a file spells it
  EXPECT_EQ(derivation(symbol("past+sequence")), std::nullopt);
  EXPECT_EQ(derivation(h), std::nullopt);
  EXPECT_EQ(difference(derived({h, 1, 5}), h), 5);
  EXPECT_EQ(difference(derived({h, 1, 1, 2}), derived({h, 1, 5, 2})), -2);
  EXPECT_EQ(difference(h, symbol("symbol_test_w")), std::nullopt);
  EXPECT_EQ(difference(9, 4), 5);
  EXPECT_THROW(derived({h, int64_t{1} << 40}), Error);
  EXPECT_THROW(derived({derived({h, 1 << 20}), 1 << 20}), Error);
  EXPECT_THROW(derived({int64_t{1} << 60, 64}), Error);
  EXPECT_TRUE(may_equal(h, derived({derived({h, 1, 1, 2}), 2})));
  EXPECT_FALSE(may_equal(h, symbol("symbol_test_w")));
  EXPECT_FALSE(may_equal(h, 4));
}

TEST(Symbol, ChainsAtRandomAgreeWithNumbers) {
  std::mt19937 random(3);
  Dim h = symbol("symbol_test_h");
  auto below = [&](int n) { return int64_t(random() % unsigned(n)); };
  for (int round = 0; round < 300; ++round) {
    Dim d = h;
    std::vector<int64_t> sizes{8, 9, 31, 100}, at = sizes;
    for (int step = 0; step < 4; ++step) {
      Derived how{0, below(3) + 1, below(7), below(3) + 1};
      d = derived({d, how.times, how.plus, how.over});
      for (int64_t& v : at) v = (v * how.times + how.plus) / how.over;
    }
    for (size_t i = 0; i < sizes.size(); ++i) ASSERT_EQ(bound(d, h, sizes[i]), at[i]) << symbol_name(d);
  }
}

}  // namespace
}  // namespace miniten
