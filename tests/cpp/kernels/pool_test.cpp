#include "kernels/pool.h"

#include "kernel_test.h"

namespace miniten::kernels {
namespace {

int64_t x_extent(const PoolShape& s) { return (s.in_h - 1) * s.x_row + (s.in_w - 1) * s.x_col + s.channels; }
int64_t y_extent(const PoolShape& s) { return (s.out_h - 1) * s.y_row + (s.out_w - 1) * s.y_col + s.channels; }

PoolShape make(int64_t channels, int64_t size, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation,
               bool ceil_mode = false) {
  PoolShape s;
  s.channels = channels, s.in_h = size, s.in_w = size + 2;
  s.kernel_h = s.kernel_w = kernel, s.stride_h = s.stride_w = stride, s.pad_h = s.pad_w = pad;
  s.dilation_h = s.dilation_w = dilation;
  const int64_t reach = dilation * (kernel - 1) + 1, up = ceil_mode ? stride - 1 : 0;
  s.out_h = (s.in_h + 2 * pad - reach + up) / stride + 1;
  s.out_w = (s.in_w + 2 * pad - reach + up) / stride + 1;
  if ((s.out_h - 1) * stride >= s.in_h + pad) --s.out_h;
  if ((s.out_w - 1) * stride >= s.in_w + pad) --s.out_w;
  s.x_col = channels + 1, s.x_row = s.in_w * s.x_col + 2;
  s.y_col = channels + 2, s.y_row = s.out_w * s.y_col + 1;
  return s;
}

// Visits the taps of a window: f(inside, x offset).
template <class F>
void each_tap(const PoolShape& s, int64_t i, int64_t j, F f) {
  const int64_t below = s.pad_h_end < 0 ? s.pad_h : s.pad_h_end, right = s.pad_w_end < 0 ? s.pad_w : s.pad_w_end;
  for (int64_t u = 0; u < s.kernel_h; ++u)
    for (int64_t v = 0; v < s.kernel_w; ++v) {
      const int64_t p = i * s.stride_h - s.pad_h + u * s.dilation_h, q = j * s.stride_w - s.pad_w + v * s.dilation_w;
      if (p >= s.in_h + below || q >= s.in_w + right) continue;
      f(p >= 0 && p < s.in_h && q >= 0 && q < s.in_w, p * s.x_row + q * s.x_col);
    }
}

void check(const PoolShape& s, Edge edge) {
  const auto x = random_floats(x_extent(s), 1), before = random_floats(y_extent(s), 2);
  std::vector<double> largest(before.begin(), before.end()), mean = largest;
  for (int64_t i = 0; i < s.out_h; ++i)
    for (int64_t j = 0; j < s.out_w; ++j)
      for (int64_t c = 0; c < s.channels; ++c) {
        double top = -kInf, total = 0;
        int64_t taps = 0;
        each_tap(s, i, j, [&](bool inside, int64_t at) {
          taps += inside || s.count_include_pad;
          if (!inside) return;
          top = std::max<double>(top, x[at + c]);
          total += x[at + c];
        });
        largest[i * s.y_row + j * s.y_col + c] = top;
        mean[i * s.y_row + j * s.y_col + c] = total / taps;
      }
  Guarded<float> from(x, edge), top(before, edge), average(before, edge);
  const int64_t middle = s.out_h / 2;
  for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{middle, s.out_h}, {0, middle}}) {
    max_pool(s, from.data(), top.data(), begin, end);
    avg_pool(s, from.data(), average.data(), begin, end);
  }
  for (int64_t i = 0; i < top.size(); ++i) {
    ASSERT_EQ(top[i], static_cast<float>(largest[i])) << i;
    ASSERT_NEAR(average[i], mean[i], 1e-6) << i;
  }
}

// Each window's value goes to the first of its greatest taps, or to its first NaN.
void check_scatter(const PoolShape& s, Edge edge, std::vector<float> x) {
  const auto g = random_floats(y_extent(s), 2), before = random_floats(x_extent(s), 3);
  std::vector<float> wanted = before;
  for (int64_t p = 0; p < s.in_h; ++p)
    for (int64_t q = 0; q < s.in_w; ++q)
      for (int64_t c = 0; c < s.channels; ++c) wanted[p * s.x_row + q * s.x_col + c] = 0;
  for (int64_t i = 0; i < s.out_h; ++i)
    for (int64_t j = 0; j < s.out_w; ++j)
      for (int64_t c = 0; c < s.channels; ++c) {
        int64_t best = -1;
        each_tap(s, i, j, [&](bool inside, int64_t at) {
          if (!inside || (best >= 0 && std::isnan(x[best + c]))) return;
          if (best < 0 || std::isnan(x[at + c]) || x[at + c] > x[best + c]) best = at;
        });
        if (best >= 0) wanted[best + c] += g[i * s.y_row + j * s.y_col + c];
      }
  Guarded<float> from(x, edge), given(g, edge), to(before, edge);
  max_pool_scatter(s, from.data(), given.data(), to.data());
  for (int64_t i = 0; i < to.size(); ++i) ASSERT_EQ(to[i], wanted[i]) << i;
}

TEST(Pool, ScatterGivesToTheFirstOfTheGreatest) {
  on_every_isa([] {
    for (const int64_t channels : {1, 3, 8, 16, 17, 33, 64})
      for (const int64_t kernel : {1, 2, 3})
        for (const int64_t stride : {1, 2, 3})
          for (const int64_t pad : {0, 1})
            for (const int64_t dilation : {1, 2}) {
              if (pad * 2 > kernel) continue;
              const PoolShape s = make(channels, 9, kernel, stride, pad, dilation, channels % 2);
              std::vector<float> x = random_floats(x_extent(s), 1);
              for (float& v : x) v = std::round(4 * v);  // many are equal
              for (size_t i = 0; i < x.size(); i += 11) x[i] = i % 3 ? kNaN : -kInf;
              check_scatter(s, channels % 2 ? Edge::end : Edge::begin, x);
              if (::testing::Test::HasFatalFailure()) return;
            }
  });
}

TEST(Pool, EveryGeometry) {
  on_every_isa([] {
    for (const int64_t channels : {1, 3, 4, 7, 8, 16, 17, 33, 64, 65})
      for (const int64_t kernel : {1, 2, 3, 5})
        for (const int64_t stride : {1, 2, 3})
          for (const int64_t pad : {0, 1, 2})
            for (const int64_t dilation : {1, 2})
              for (const bool ceil_mode : {false, true}) {
                if (pad * 2 > kernel) continue;
                PoolShape s = make(channels, 9, kernel, stride, pad, dilation, ceil_mode);
                s.count_include_pad = channels % 2;
                SCOPED_TRACE("channels " + std::to_string(channels) + " kernel " + std::to_string(kernel) +
                             " stride " + std::to_string(stride) + " pad " + std::to_string(pad) + " dilation " +
                             std::to_string(dilation));
                check(s, channels % 2 ? Edge::end : Edge::begin);
                if (::testing::Test::HasFatalFailure()) return;
              }
  });
}

TEST(Pool, UnevenPaddingChangesTheDivisor) {
  on_every_isa([] {
    PoolShape s = make(5, 8, 3, 2, 0, 1);
    s.pad_h_end = 1, s.pad_w_end = 2;
    s.out_h = 4, s.out_w = 5;
    s.y_row = s.out_w * s.y_col;
    check(s, Edge::end);
    s.pad_h = 1, s.pad_h_end = 0;
    check(s, Edge::end);
  });
}

TEST(Pool, GlobalAverage) {
  on_every_isa([] {
    PoolShape s = make(37, 7, 7, 1, 0, 1);
    s.kernel_w = s.in_w, s.out_w = 1;
    check(s, Edge::end);
  });
}

TEST(Pool, NaNPropagatesAndPaddingNeverWins) {
  for (const int64_t channels : {1, 70}) {
    PoolShape s = make(channels, 4, 3, 1, 1, 1);
    on_every_isa([&] {
      std::vector<float> x(x_extent(s), -5.0f), y(y_extent(s), 0.0f);
      max_pool(s, x.data(), y.data(), 0, s.out_h);
      EXPECT_EQ(y[0], -5.0f);
      for (const float other : {-5.0f, kInf}) {
        x[s.x_col] = other;
        x[0] = kNaN;
        max_pool(s, x.data(), y.data(), 0, s.out_h);
        EXPECT_TRUE(std::isnan(y[0]));
        x[0] = other;
        x[s.x_col] = kNaN;
        max_pool(s, x.data(), y.data(), 0, s.out_h);
        EXPECT_TRUE(std::isnan(y[0]));
        EXPECT_FALSE(std::isnan(y[3 * s.y_row]));
      }
    });
  }
}

TEST(Pool, AWindowOutsideTheInput) {
  PoolShape s = make(3, 4, 2, 2, 0, 1);
  s.out_h = 3;
  s.count_include_pad = false;
  on_every_isa([&] {
    const auto x = random_floats(x_extent(s), 1);
    std::vector<float> y(y_extent(s));
    max_pool(s, x.data(), y.data(), 0, 3);
    EXPECT_EQ(y[2 * s.y_row], -kInf);
    avg_pool(s, x.data(), y.data(), 0, 3);
    EXPECT_TRUE(std::isnan(y[2 * s.y_row]));
  });
}

TEST(Pool, DoublePrecisionAgrees) {
  for (const bool include : {false, true}) {
    PoolShape s = make(3, 8, 3, 2, 1, 1, true);
    s.count_include_pad = include;
    const auto x = random_floats(x_extent(s), 1);
    const std::vector<double> xd(x.begin(), x.end());
    std::vector<float> top(y_extent(s)), mean(top);
    std::vector<double> top_d(top.size()), mean_d(top.size());
    max_pool(s, x.data(), top.data(), 0, s.out_h);
    max_pool(s, xd.data(), top_d.data(), 0, s.out_h);
    avg_pool(s, x.data(), mean.data(), 0, s.out_h);
    avg_pool(s, xd.data(), mean_d.data(), 0, s.out_h);
    for (size_t i = 0; i < top.size(); ++i) {
      EXPECT_EQ(top[i], top_d[i]);
      EXPECT_NEAR(mean[i], mean_d[i], 1e-6);
    }
  }
}

}  // namespace
}  // namespace miniten::kernels
