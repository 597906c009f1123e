#include "kernels/update.h"

#include <limits>

#include "kernel_test.h"

namespace miniten::kernels {
namespace {

void expect_near(const std::vector<double>& want, const std::vector<float>& got) {
  ASSERT_EQ(want.size(), got.size());
  for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(want[i], got[i], 5e-7 * (std::fabs(want[i]) + 1)) << i;
}

std::vector<double> widen(const std::vector<float>& v) { return {v.begin(), v.end()}; }

// The formulas of torch.optim.Adam and AdamW, written out for one value.
struct AdamOracle {
  double p, m, v;
  void step(double g, const AdamStep& s) {
    if (s.decoupled) p = p - s.lr * s.weight_decay * p;
    if (!s.decoupled) g = g + s.weight_decay * p;
    m = s.beta1 * m + (1 - s.beta1) * g;
    v = s.beta2 * v + (1 - s.beta2) * g * g;
    p = p - s.lr * (m / s.bias1) / (std::sqrt(v / s.bias2) + s.eps);
  }
};

TEST(Update, Adam) {
  on_every_isa([] {
    for (const bool decoupled : {false, true})
      for (int64_t n = 0; n <= 35; ++n) {
        AdamStep s;
        s.lr = 0.01, s.weight_decay = 0.1, s.decoupled = decoupled, s.eps = 0.05;
        const Edge edge = n % 2 ? Edge::end : Edge::begin;
        const auto start = random_floats(n, 1);
        Guarded<float> p(start, edge), m(std::vector<float>(n), edge), v(std::vector<float>(n), edge);
        std::vector<double> pd = widen(start), md(n), vd(n);
        std::vector<AdamOracle> oracle(n);
        for (int64_t i = 0; i < n; ++i) oracle[i] = {start[i], 0, 0};
        for (int t = 1; t <= 5; ++t) {
          const auto gradient = random_floats(n, 10 + t);
          Guarded<float> g(gradient, edge);
          s.bias1 = 1 - std::pow(s.beta1, t), s.bias2 = 1 - std::pow(s.beta2, t);
          adam(s, g.data(), p.data(), m.data(), v.data(), n);
          adam(s, widen(gradient).data(), pd.data(), md.data(), vd.data(), n);
          for (int64_t i = 0; i < n; ++i) oracle[i].step(gradient[i], s);
        }
        for (int64_t i = 0; i < n; ++i) {
          ASSERT_NEAR(pd[i], oracle[i].p, 1e-12) << i;
          ASSERT_NEAR(md[i], oracle[i].m, 1e-12) << i;
          ASSERT_NEAR(vd[i], oracle[i].v, 1e-12) << i;
        }
        expect_near(pd, p.values());
        expect_near(md, m.values());
        for (int64_t i = 0; i < n; ++i) ASSERT_NEAR(v[i], vd[i], 1e-6 * vd[i]);
      }
  });
}

// A moment that rounding keeps above 0 for ever: the least subnormal number times 0.9 is itself.
TEST(Update, MomentsWithoutAGradientEndAtZero) {
  on_every_isa([] {
    for (const float rest : {1e-45f, 1e-40f, -1e-40f}) {
      const int64_t n = 19;
      const auto start = random_floats(n, 1);
      std::vector<float> g(n), p = start, m(n, rest), v(n, std::fabs(rest)), buf(n, rest);
      adam(AdamStep{}, g.data(), p.data(), m.data(), v.data(), n);
      sgd({.momentum = 0.9}, g.data(), p.data(), buf.data(), n);
      EXPECT_EQ(p, start);
      for (const auto& state : {m, v, buf}) EXPECT_EQ(state, std::vector<float>(n));
      volatile float least = std::numeric_limits<float>::denorm_min();
      EXPECT_GT(least * 2, 0) << "the caller's arithmetic is as it was";
    }
  });
}

TEST(Update, Sgd) {
  on_every_isa([] {
    for (const double momentum : {0.0, 0.9})
      for (const double dampening : {0.0, 0.3})
        for (const bool nesterov : {false, true})
          for (int64_t n : {0, 1, 3, 4, 7, 8, 9, 15, 16, 17, 33}) {
            SgdStep s;
            s.lr = 0.1, s.momentum = momentum, s.dampening = dampening, s.weight_decay = 0.05, s.nesterov = nesterov;
            const Edge edge = n % 2 ? Edge::end : Edge::begin;
            const auto start = random_floats(n, 1), dirty = random_floats(n, 2);
            Guarded<float> p(start, edge), buf(dirty, edge);
            float* const used = momentum != 0 ? buf.data() : nullptr;
            std::vector<double> pd = widen(start), bd = widen(dirty), want = pd, moved(n);
            for (int t = 0; t < 3; ++t) {
              s.first = t == 0;
              const auto gradient = random_floats(n, 10 + t);
              Guarded<float> g(gradient, edge);
              sgd(s, g.data(), p.data(), used, n);
              sgd(s, widen(gradient).data(), pd.data(), used ? bd.data() : nullptr, n);
              for (int64_t i = 0; i < n; ++i) {
                double d = gradient[i] + s.weight_decay * want[i];
                if (momentum != 0) {
                  moved[i] = t == 0 ? d : momentum * moved[i] + (1 - dampening) * d;
                  d = nesterov ? d + momentum * moved[i] : moved[i];
                }
                want[i] -= s.lr * d;
              }
            }
            for (int64_t i = 0; i < n; ++i) ASSERT_NEAR(pd[i], want[i], 1e-12);
            expect_near(want, p.values());
            if (used) {
              expect_near(moved, buf.values());
            } else {
              EXPECT_EQ(buf.values(), dirty);
            }
          }
  });
}

}  // namespace
}  // namespace miniten::kernels
