#include "kernels/depthwise.h"

#include "kernel_test.h"

namespace miniten::kernels {
namespace {

// A shape whose pixels and rows lie `gap` and `row_gap` floats further apart than they need to.
DepthwiseShape make(int64_t channels, int64_t out_h, int64_t out_w, int64_t kernel, int64_t stride, int64_t dilation,
                    int64_t gap, int64_t row_gap) {
  DepthwiseShape s;
  s.channels = channels, s.out_h = out_h, s.out_w = out_w;
  s.kernel_h = s.kernel_w = kernel, s.stride_h = s.stride_w = stride, s.dilation_h = s.dilation_w = dilation;
  const int64_t in_w = (out_w - 1) * stride + (kernel - 1) * dilation + 1;
  s.x_col = s.y_col = channels + gap;
  s.x_row = in_w * s.x_col + row_gap;
  s.y_row = out_w * s.y_col + row_gap;
  return s;
}

int64_t taps(const DepthwiseShape& s) { return s.kernel_h * s.kernel_w; }
int64_t w_tap(const DepthwiseShape& s) { return s.w_tap ? s.w_tap : s.channels; }
int64_t x_extent(const DepthwiseShape& s) {
  return ((s.out_h - 1) * s.stride_h + (s.kernel_h - 1) * s.dilation_h) * s.x_row +
         ((s.out_w - 1) * s.stride_w + (s.kernel_w - 1) * s.dilation_w) * s.x_col + s.channels;
}
int64_t y_extent(const DepthwiseShape& s) { return (s.out_h - 1) * s.y_row + (s.out_w - 1) * s.y_col + s.channels; }
int64_t w_extent(const DepthwiseShape& s) { return (taps(s) - 1) * w_tap(s) + s.channels; }

// Calls f(y offset, x offset, w offset) for every product of the convolution.
template <class F>
void each_product(const DepthwiseShape& s, F f) {
  for (int64_t i = 0; i < s.out_h; ++i)
    for (int64_t j = 0; j < s.out_w; ++j)
      for (int64_t u = 0; u < s.kernel_h; ++u)
        for (int64_t v = 0; v < s.kernel_w; ++v)
          for (int64_t c = 0; c < s.channels; ++c)
            f(i * s.y_row + j * s.y_col + c,
              (i * s.stride_h + u * s.dilation_h) * s.x_row + (j * s.stride_w + v * s.dilation_w) * s.x_col + c,
              (u * s.kernel_w + v) * w_tap(s) + c);
}

void expect_near(const std::vector<double>& want, const std::vector<float>& got, double tolerance) {
  ASSERT_EQ(want.size(), got.size());
  for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(want[i], got[i], tolerance) << i;
}

struct Buffers {
  std::vector<float> x, y, w, bias;
  explicit Buffers(const DepthwiseShape& s)
      : x(random_floats(x_extent(s), 1)), y(random_floats(y_extent(s), 2)), w(random_floats(w_extent(s), 3)),
        bias(random_floats(s.channels, 4)) {}
};

void check_forward(const DepthwiseShape& s, Edge edge) {
  const Buffers b(s);
  std::vector<double> want(b.y.begin(), b.y.end());
  each_product(s, [&](int64_t y, int64_t, int64_t w) { want[y] = b.bias[w % w_tap(s)]; });
  each_product(s, [&](int64_t y, int64_t x, int64_t w) { want[y] += double(b.x[x]) * b.w[w]; });
  std::vector<bool> done(want.size());
  each_product(s, [&](int64_t y, int64_t, int64_t) {
    if (!done[y]) want[y] = std::min(std::max(want[y], -0.5), 0.7);
    done[y] = true;
  });
  Guarded<float> x(b.x, edge), y(b.y, edge), w(b.w, edge), bias(b.bias, edge);
  depthwise(s, x.data(), w.data(), bias.data(), -0.5f, 0.7f, y.data());
  expect_near(want, y.values(), 1e-5);
}

void check_input(const DepthwiseShape& s, Edge edge) {
  const Buffers b(s);
  std::vector<double> want(b.x.begin(), b.x.end());
  each_product(s, [&](int64_t y, int64_t x, int64_t w) { want[x] += double(b.y[y]) * b.w[w]; });
  Guarded<float> x(b.x, edge), y(b.y, edge), w(b.w, edge);
  depthwise_input(s, y.data(), w.data(), x.data());
  expect_near(want, x.values(), 1e-5);
}

void check_weight(const DepthwiseShape& s, Edge edge) {
  const Buffers b(s);
  std::vector<double> want(b.w.begin(), b.w.end());
  each_product(s, [&](int64_t y, int64_t x, int64_t w) { want[w] += double(b.y[y]) * b.x[x]; });
  Guarded<float> x(b.x, edge), y(b.y, edge), w(b.w, edge);
  depthwise_weight(s, x.data(), y.data(), w.data());
  expect_near(want, w.values(), 2e-5);
}

template <class F>
void each_shape(F f) {
  for (const int64_t kernel : {1, 2, 3, 5, 7})
    for (const int64_t stride : {1, 2, 3})
      for (const int64_t dilation : {1, 2})
        for (const int64_t channels : {1, 3, 4, 8, 15, 16, 17, 24, 40})
          for (const auto& [h, w] : {std::pair<int64_t, int64_t>{1, 1}, {1, 4}, {2, 3}, {3, 5}, {4, 9}})
            for (const int64_t gap : {0, 1}) {
              const DepthwiseShape s = make(channels, h, w, kernel, stride, dilation, gap, channels % 3);
              SCOPED_TRACE("kernel " + std::to_string(kernel) + " stride " + std::to_string(stride) + " dilation " +
                           std::to_string(dilation) + " channels " + std::to_string(channels) + " out " +
                           std::to_string(h) + "x" + std::to_string(w) + " gap " + std::to_string(gap));
              f(s, (channels + h) % 2 ? Edge::end : Edge::begin);
              if (::testing::Test::HasFatalFailure()) return;
            }
}

TEST(Depthwise, Forward) {
  on_every_isa([] { each_shape(check_forward); });
}

TEST(Depthwise, GradientOfTheInput) {
  on_every_isa([] { each_shape(check_input); });
}

TEST(Depthwise, GradientOfTheWeights) {
  on_every_isa([] { each_shape(check_weight); });
}

TEST(Depthwise, OblongKernelsAndStrides) {
  DepthwiseShape s = make(21, 5, 6, 3, 1, 1, 2, 5);
  s.kernel_h = 7, s.kernel_w = 4, s.stride_h = 2, s.dilation_w = 2;
  s.x_row = 40 * s.x_col;
  on_every_isa([&] {
    check_forward(s, Edge::end);
    check_input(s, Edge::end);
    check_weight(s, Edge::end);
  });
}

TEST(Depthwise, LongRowsOfFewChannels) {
  on_every_isa([] {
    for (const int64_t channels : {1, 2, 3, 4, 5, 6, 7, 8}) {
      SCOPED_TRACE(channels);
      DepthwiseShape s = make(channels, 3, 150 / channels, 3, 1, 1, 0, 1);
      check_forward(s, Edge::end);
      s.stride_h = 2, s.dilation_w = 2, s.x_row = (150 / channels + 4) * channels;
      check_forward(s, Edge::end);
    }
  });
}

TEST(Depthwise, GapsInTheInputOrTheOutputAlone) {
  on_every_isa([] {
    for (const bool in_x : {false, true}) {
      DepthwiseShape s = make(2, 3, 40, 3, 1, 1, 0, 0);
      if (in_x) s.x_col = 3, s.x_row = 42 * 3;
      if (!in_x) s.y_col = 3, s.y_row = 40 * 3;
      check_forward(s, Edge::end);
      check_input(s, Edge::end);
      check_weight(s, Edge::end);
    }
  });
}

// An input without its border gives the bits of one that holds it as zeros, however its rows are cut.
void check_padding(int64_t kernel, int64_t stride, int64_t channels, int64_t h, int64_t w, int64_t before, int64_t after) {
  DepthwiseShape s = make(channels, h, w, kernel, stride, 1, 0, 0), bare = s;
  const int64_t in_h = (h - 1) * stride + kernel - before - after, in_w = (w - 1) * stride + kernel - before - after;
  if (in_h < 1 || in_w < 1) return;
  bare.x_row = in_w * channels;
  bare.row_begin = bare.col_begin = before;
  bare.row_end = before + in_h;
  bare.col_end = before + in_w;
  ASSERT_EQ(depthwise_pads(bare), kernel < 7 || stride == 1);
  if (!depthwise_pads(bare)) return;
  Guarded<float> x(random_floats(in_h * bare.x_row, 1), h % 2 ? Edge::begin : Edge::end);
  std::vector<float> whole(x_extent(s)), want(y_extent(s));
  for (int64_t i = 0; i < in_h; ++i)
    std::copy_n(x.data() + i * bare.x_row, bare.x_row, whole.data() + (i + before) * s.x_row + before * channels);
  const auto weights = random_floats(w_extent(s), 3), bias = random_floats(channels, 4);
  depthwise(s, whole.data(), weights.data(), bias.data(), -0.5f, 0.7f, want.data());
  const float* corner = x.data() - before * bare.x_row - before * channels;
  Guarded<float> y(want.size()), rows(want.size());
  depthwise(bare, corner, weights.data(), bias.data(), -0.5f, 0.7f, y.data());
  ASSERT_TRUE(same_bits(want, y.values()));
  for (int64_t i = 0; i < h; ++i) {
    DepthwiseShape row = bare;
    row.out_h = 1;
    row.row_begin -= i * stride;
    row.row_end -= i * stride;
    depthwise(row, corner + i * stride * bare.x_row, weights.data(), bias.data(), -0.5f, 0.7f, rows.data() + i * s.y_row);
  }
  ASSERT_TRUE(same_bits(want, rows.values()));
}

TEST(Depthwise, PaddingThatIsNotStored) {
  on_every_isa([] {
    for (const int64_t kernel : {3, 5, 7})
      for (const int64_t stride : {1, 2})
        for (const int64_t channels : {9, 16, 17, 18, 19, 20, 40})
          for (const auto& [h, w] : {std::pair<int64_t, int64_t>{1, 1}, {3, 1}, {1, 2}, {2, 3}, {5, 4}, {4, 5}, {3, 6}, {2, 7}, {7, 9}, {3, 11}, {2, 14}})
            for (const int64_t before : {int64_t{0}, kernel / 2})
              for (const int64_t after : {int64_t{0}, kernel / 2}) {
                check_padding(kernel, stride, channels, h, w, before, after);
                ASSERT_FALSE(::testing::Test::HasFatalFailure())
                    << kernel << " " << stride << " " << channels << " " << h << "x" << w << " " << before << " " << after;
              }
  });
}

TEST(Depthwise, AFewChannelsOfManyRows) {
  on_every_isa([] {
    for (const int64_t channels : {1, 3, 17, 18, 20})
      for (const int64_t stride : {1, 2}) check_forward(make(channels, 70, 33, 3, stride, 1, 1, 0), Edge::end);
    check_forward(make(17, 2, 1200, 5, 1, 1, 0, 0), Edge::end);    // rows too long to be laid out
  });
}

TEST(Depthwise, WithoutBias) {
  for (const int64_t channels : {5, 16}) {
    const DepthwiseShape s = make(channels, 3, 6, 3, 1, 1, 0, 0);
    on_every_isa([&] {
      const Buffers b(s);
      std::vector<double> want(b.y.size());
      each_product(s, [&](int64_t y, int64_t x, int64_t w) { want[y] += double(b.x[x]) * b.w[w]; });
      std::vector<float> y = b.y;
      depthwise(s, b.x.data(), b.w.data(), nullptr, -kInf, kInf, y.data());
      expect_near(want, y, 1e-5);
    });
  }
}

TEST(Depthwise, CutsOfRowsColumnsAndChannelsGiveTheSameBits) {
  for (const int64_t kernel : {3, 4, 5, 7})
    for (const int64_t channels : {6, 24, 50}) {
      const DepthwiseShape s = make(channels, 7, 9, kernel, 1, 1, 0, 0);
      on_every_isa([&] {
        const Buffers b(s);
        std::vector<float> whole = b.y, pieces = b.y;
        depthwise(s, b.x.data(), b.w.data(), b.bias.data(), 0, kInf, whole.data());
        for (int64_t i = 0; i < s.out_h; i += 3)
          for (int64_t j = 0; j < s.out_w; j += 5)
            for (int64_t c = 0; c < channels; c += 5) {
              DepthwiseShape part = s;
              part.out_h = std::min<int64_t>(3, s.out_h - i);
              part.out_w = std::min<int64_t>(5, s.out_w - j);
              part.channels = std::min<int64_t>(5, channels - c);
              part.w_tap = channels;
              depthwise(part, b.x.data() + i * s.x_row + j * s.x_col + c, b.w.data() + c, b.bias.data() + c, 0, kInf,
                        pieces.data() + i * s.y_row + j * s.y_col + c);
            }
        EXPECT_TRUE(same_bits(whole, pieces)) << kernel << " " << channels;

        std::vector<float> dx = b.x, dx_pieces = b.x, dw = b.w, dw_pieces = b.w;
        depthwise_input(s, b.y.data(), b.w.data(), dx.data());
        depthwise_weight(s, b.x.data(), b.y.data(), dw.data());
        for (int64_t i = 0; i < s.out_h; ++i) {
          DepthwiseShape row = s;
          row.out_h = 1;
          depthwise_input(row, b.y.data() + i * s.y_row, b.w.data(), dx_pieces.data() + i * s.x_row);
          depthwise_weight(row, b.x.data() + i * s.x_row, b.y.data() + i * s.y_row, dw_pieces.data());
        }
        EXPECT_TRUE(same_bits(dx, dx_pieces));
        EXPECT_TRUE(same_bits(dw, dw_pieces));
      });
    }
}

TEST(Depthwise, TheClampKeepsNaN) {
  for (const int64_t channels : {3, 16}) {
    const DepthwiseShape s = make(channels, 4, 6, 3, 1, 1, 0, 0);
    on_every_isa([&] {
      Buffers b(s);
      b.x[0] = kNaN;  // seen by output (0, 0), channel 0 alone
      depthwise(s, b.x.data(), b.w.data(), b.bias.data(), 0, 6, b.y.data());
      for (size_t i = 0; i < b.y.size(); ++i) EXPECT_EQ(std::isnan(b.y[i]), i == 0) << i;
    });
  }
}

TEST(Depthwise, DoublePrecisionAgrees) {
  const DepthwiseShape s = make(5, 3, 4, 3, 2, 1, 1, 2);
  const Buffers b(s);
  std::vector<double> x(b.x.begin(), b.x.end()), y(b.y.begin(), b.y.end()), w(b.w.begin(), b.w.end()), dx = x, dw = w;
  const std::vector<double> bias(b.bias.begin(), b.bias.end()), dy = y;
  std::vector<float> fy = b.y, fdx = b.x, fdw = b.w;
  depthwise(s, x.data(), w.data(), bias.data(), -0.5, 0.5, y.data());
  depthwise(s, b.x.data(), b.w.data(), b.bias.data(), -0.5f, 0.5f, fy.data());
  expect_near(y, fy, 1e-5);
  depthwise_input(s, dy.data(), w.data(), dx.data());
  depthwise_input(s, b.y.data(), b.w.data(), fdx.data());
  expect_near(dx, fdx, 1e-5);
  depthwise_weight(s, x.data(), dy.data(), dw.data());
  depthwise_weight(s, b.x.data(), b.y.data(), fdw.data());
  expect_near(dw, fdw, 1e-5);
}

}  // namespace
}  // namespace miniten::kernels
