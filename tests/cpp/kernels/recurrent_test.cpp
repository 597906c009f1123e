#include "kernels/recurrent.h"

#include "kernel_test.h"

namespace miniten::kernels {
namespace {

std::vector<double> widen(const std::vector<float>& v) { return {v.begin(), v.end()}; }
void expect_near(const std::vector<double>& want, const std::vector<float>& got) {
  ASSERT_EQ(want.size(), got.size());
  for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(want[i], got[i], 2e-6 * (std::fabs(want[i]) + 1)) << i;
}
double logistic(double x) { return 1 / (1 + std::exp(-x)); }

constexpr int lstm_orders[2][4] = {{0, 1, 2, 3}, {0, 2, 3, 1}}, gru_orders[2][3] = {{0, 1, 2}, {1, 0, 2}};

TEST(Recurrent, LstmCellIsItsFormula) {
  for (const auto& order : lstm_orders) {
    const std::vector<double> gates = widen(random_floats(4 * 5, 1, -3, 3)), before = widen(random_floats(5, 2));
    std::vector<double> c(5), h(5), saved(25);
    lstm_cell(gates.data(), order, before.data(), c.data(), h.data(), saved.data(), 5);
    for (int j = 0; j < 5; ++j) {
      auto gate = [&](int k) { return gates[order[k] * 5 + j]; };
      const double cell = logistic(gate(1)) * before[j] + logistic(gate(0)) * std::tanh(gate(2));
      ASSERT_NEAR(c[j], cell, 1e-14);
      ASSERT_NEAR(h[j], logistic(gate(3)) * std::tanh(cell), 1e-14);
      ASSERT_EQ(saved[4 * 5 + j], c[j]);
    }
  }
}

TEST(Recurrent, GruCellIsItsFormula) {
  for (const auto& order : gru_orders) {
    const std::vector<double> x = widen(random_floats(15, 1, -3, 3)), own = widen(random_floats(15, 2)), before = widen(random_floats(5, 3));
    std::vector<double> h(5);
    gru_cell(x.data(), own.data(), order, before.data(), h.data(), nullptr, 5);
    for (int j = 0; j < 5; ++j) {
      auto at = [&](const std::vector<double>& v, int k) { return v[order[k] * 5 + j]; };
      const double r = logistic(at(x, 0) + at(own, 0)), z = logistic(at(x, 1) + at(own, 1)), n = std::tanh(at(x, 2) + r * at(own, 2));
      ASSERT_NEAR(h[j], (1 - z) * n + z * before[j], 1e-14);
    }
  }
}

// Every instruction set gives what double precision gives, and touches nothing beside its rows.
TEST(Recurrent, LstmOnEveryTarget) {
  on_every_isa([] {
    for (int64_t n = 0; n <= 35; ++n) {
      const Edge edge = n % 2 ? Edge::end : Edge::begin;
      const int* order = lstm_orders[n % 2];
      const auto gates = random_floats(4 * n, 1, -4, 4), before = random_floats(n, 2), dh = random_floats(n, 3), dc = random_floats(n, 4);
      Guarded<float> g(gates, edge), b(before, edge), c(n, edge), h(n, edge), saved(5 * n, edge), d(dh, edge), e(dc, edge), back(4 * n, edge);
      std::vector<double> wc(n), wh(n), wsaved(5 * n), we = widen(dc), wback(4 * n);
      lstm_cell(g.data(), order, b.data(), c.data(), h.data(), saved.data(), n);
      lstm_cell(widen(gates).data(), order, widen(before).data(), wc.data(), wh.data(), wsaved.data(), n);
      lstm_cell_backward(saved.data(), b.data(), d.data(), order, e.data(), back.data(), n);
      lstm_cell_backward(wsaved.data(), widen(before).data(), widen(dh).data(), order, we.data(), wback.data(), n);
      expect_near(wc, c.values());
      expect_near(wh, h.values());
      expect_near(wsaved, saved.values());
      expect_near(we, e.values());
      expect_near(wback, back.values());
      lstm_cell(g.data(), order, b.data(), b.data(), h.data(), nullptr, n);   // the state in place
      expect_near(wc, b.values());
    }
  });
}

TEST(Recurrent, GruOnEveryTarget) {
  on_every_isa([] {
    for (int64_t n = 0; n <= 35; ++n) {
      const Edge edge = n % 2 ? Edge::end : Edge::begin;
      const int* order = gru_orders[n % 2];
      const auto from_x = random_floats(3 * n, 1, -4, 4), from_h = random_floats(3 * n, 2), before = random_floats(n, 3), dh = random_floats(n, 4);
      Guarded<float> x(from_x, edge), own(from_h, edge), b(before, edge), h(n, edge), saved(4 * n, edge), d(dh, edge), dx(3 * n, edge), down(3 * n, edge);
      std::vector<double> wh(n), wsaved(4 * n), wd = widen(dh), wdx(3 * n), wdown(3 * n);
      gru_cell(x.data(), own.data(), order, b.data(), h.data(), saved.data(), n);
      gru_cell(widen(from_x).data(), widen(from_h).data(), order, widen(before).data(), wh.data(), wsaved.data(), n);
      gru_cell_backward(saved.data(), b.data(), order, d.data(), dx.data(), down.data(), n);
      gru_cell_backward(wsaved.data(), widen(before).data(), order, wd.data(), wdx.data(), wdown.data(), n);
      expect_near(wh, h.values());
      expect_near(wsaved, saved.values());
      expect_near(wd, d.values());
      expect_near(wdx, dx.values());
      expect_near(wdown, down.values());
    }
  });
}

// Units from `at` on, in rows of whole blocks.
TEST(Recurrent, SomeUnitsAreTheSameBits) {
  on_every_isa([] {
    for (int64_t n : {48, 61})
      for (int64_t at : {0, 16, 32}) {
        const auto gates = random_floats(4 * n, 1, -4, 4), from_h = random_floats(4 * n, 2), before = random_floats(n, 3);
        std::vector<float> c(n), h(n), saved(5 * n), some_c(n), some_h(n), some_saved(5 * n);
        auto expect_equal = [&](int64_t blocks) {
          for (int64_t j = at; j < n; ++j) {
            EXPECT_EQ(some_h[j], h[j]);
            EXPECT_EQ(some_c[j], c[j]);
            for (int64_t k = 0; k < blocks; ++k) EXPECT_EQ(some_saved[k * n + j], saved[k * n + j]);
          }
          for (int64_t j = 0; j < at; ++j) EXPECT_EQ(some_h[j], 0);
        };
        lstm_cell(gates.data(), lstm_orders[1], before.data(), c.data(), h.data(), saved.data(), n);
        lstm_cell(gates.data() + at, lstm_orders[1], before.data() + at, some_c.data() + at, some_h.data() + at, some_saved.data() + at, n - at, n);
        expect_equal(5);
        gru_cell(gates.data(), from_h.data(), gru_orders[1], before.data(), h.data(), saved.data(), n);
        gru_cell(gates.data() + at, from_h.data() + at, gru_orders[1], before.data() + at, some_h.data() + at, some_saved.data() + at, n - at, n);
        expect_equal(4);
      }
  });
}

}  // namespace
}  // namespace miniten::kernels
