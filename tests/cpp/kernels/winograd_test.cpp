#include "kernels/winograd.h"

#include "kernel_test.h"

namespace miniten::kernels {
namespace {

struct Problem {
  WinogradShape shape;
  std::vector<float> x, w, bias, residual;

  explicit Problem(const WinogradShape& s)
      : shape(s),
        x(random_floats(s.images * s.height * s.width * s.channels, 1)),
        w(random_floats(s.n * 9 * s.channels, 2)),
        bias(random_floats(s.n, 3)),
        residual(random_floats(s.images * s.out_h * s.out_w * s.n, 4)) {}

  // The definition, weights [n][row][column][channel].
  double exact(int64_t image, int64_t i, int64_t j, int64_t o) const {
    double total = 0;
    for (int64_t t = 0; t < 9; ++t) {
      const int64_t row = i - shape.top + t / 3, column = j - shape.left + t % 3;
      if (row < 0 || column < 0 || shape.height <= row || shape.width <= column) continue;
      for (int64_t c = 0; c < shape.channels; ++c)
        total += double(x[((image * shape.height + row) * shape.width + column) * shape.channels + c]) *
                 w[(o * 9 + t) * shape.channels + c];
    }
    return total;
  }
  std::vector<float> packed() const {
    std::vector<float> to(winograd_packed_floats(shape), kNaN);
    for (int64_t j = 0; j < shape.n; j += 16)
      winograd_pack(shape, w.data(), 9 * shape.channels, shape.channels, 1, j, std::min(shape.n, j + 16), to.data());
    return to;
  }
};

WinogradShape shape_of(int64_t tile, int64_t channels, int64_t n, int64_t images, int64_t height, int64_t width,
                       int64_t top, int64_t left, int64_t bottom, int64_t right) {
  return {.tile = tile, .channels = channels, .n = n, .images = images, .height = height, .width = width,
          .out_h = height + top + bottom - 2, .out_w = width + left + right - 2, .top = top, .left = left};
}

void check(const Problem& p, Edge edge) {
  const WinogradShape& s = p.shape;
  const double limit = s.tile == 4 ? 1e-5 : 2e-6;
  Guarded<float> x(p.x, edge), packed(p.packed(), edge), bias(p.bias, edge), residual(p.residual, edge);
  Guarded<float> y(s.images * s.out_h * s.out_w * s.n, edge), scratch(winograd_scratch_floats(s), edge);
  std::fill_n(scratch.data(), scratch.size(), kNaN);
  const int64_t tiles = winograd_tiles(s);
  winograd(s, x.data(), packed.data(), {}, y.data(), 0, tiles, scratch.data());
  double largest = 1;
  for (const float v : y.values()) largest = std::max(largest, double(std::fabs(v)));
  for (int64_t i = 0, at = 0; i < s.images; ++i)
    for (int64_t r = 0; r < s.out_h; ++r)
      for (int64_t q = 0; q < s.out_w; ++q)
        for (int64_t o = 0; o < s.n; ++o, ++at)
          ASSERT_NEAR(y[at], p.exact(i, r, q, o), limit * largest) << i << " " << r << " " << q << " " << o;

  Guarded<float> cut(y.size(), edge);
  for (int64_t t = 0; t < tiles; t += 3)
    winograd(s, x.data(), packed.data(), {}, cut.data(), t, std::min(tiles, t + 3), scratch.data());
  const std::vector<float> whole = y.values();
  ASSERT_TRUE(same_bits(whole, cut.values()));

  Guarded<float> inputs(winograd_input_floats(s), edge), columns(y.size(), edge);
  for (const int64_t wide : {16, 32, 1024}) {
    std::fill_n(inputs.data(), inputs.size(), kNaN);
    std::fill_n(scratch.data(), scratch.size(), kNaN);
    for (int64_t t = 0; t < tiles; t += 5) winograd_transform(s, x.data(), t, std::min(tiles, t + 5), inputs.data(), scratch.data());
    for (int64_t j = 0; j < s.n; j += wide)
      winograd_columns(s, inputs.data(), packed.data(), {}, columns.data(), j, std::min(s.n, j + wide), scratch.data());
    ASSERT_TRUE(same_bits(whole, columns.values()));
  }

  Epilogue e;
  e.bias = bias.data(), e.residual = residual.data(), e.lo = -0.5f, e.hi = 2.0f;
  winograd(s, x.data(), packed.data(), e, cut.data(), 0, tiles, scratch.data());
  for (int64_t at = 0; at < y.size(); ++at)
    ASSERT_EQ(cut[at], std::clamp(y[at] + p.bias[at % s.n] + p.residual[at], -0.5f, 2.0f));
  for (int64_t j = 0; j < s.n; j += 16)
    winograd_columns(s, inputs.data(), packed.data(), e, columns.data(), j, std::min(s.n, j + 16), scratch.data());
  ASSERT_TRUE(same_bits(cut.values(), columns.values()));
  e.residual = residual.data();
  winograd(s, x.data(), packed.data(), e, residual.data(), 0, tiles, scratch.data());
  ASSERT_TRUE(same_bits(cut.values(), residual.values()));
}

TEST(Winograd, ImagesAroundEveryTileEdge) {
  on_every_isa([] {
    for (const int64_t tile : {2, 4})
      for (const int64_t size : {3, 4, 5, 6, 7, 8, 9, 13})
        check(Problem(shape_of(tile, 5, 3, 2, size, size + 1, 1, 1, 1, 1)), size % 2 ? Edge::end : Edge::begin);
  });
}

TEST(Winograd, ChannelsAroundEveryVector) {
  on_every_isa([] {
    for (const int64_t tile : {2, 4})
      for (const auto& [c, n] : {std::pair<int64_t, int64_t>{1, 1}, {4, 16}, {15, 17}, {16, 8}, {17, 33}, {33, 48}})
        check(Problem(shape_of(tile, c, n, 1, 6, 6, 1, 1, 1, 1)), c % 2 ? Edge::end : Edge::begin);
  });
}

TEST(Winograd, UnevenPaddingAndManyBlocks) {
  on_every_isa([] {
    check(Problem(shape_of(4, 4, 4, 1, 9, 7, 0, 2, 1, 0)), Edge::end);
    check(Problem(shape_of(2, 4, 4, 1, 9, 7, 0, 2, 1, 0)), Edge::begin);
    check(Problem(shape_of(4, 4, 4, 1, 1, 1, 2, 2, 2, 2)), Edge::end);
    check(Problem(shape_of(4, 3, 4, 1, 5, 2, 5, 6, 0, 7)), Edge::end);
    check(Problem(shape_of(4, 64, 80, 2, 20, 20, 1, 1, 1, 1)), Edge::end);
  });
}

TEST(Winograd, NaNStaysNearItsTile) {
  Problem p(shape_of(4, 2, 2, 1, 16, 16, 1, 1, 1, 1));
  p.x[0] = kNaN;
  const auto packed = p.packed();
  on_every_isa([&] {
    std::vector<float> y(16 * 16 * 2), scratch(winograd_scratch_floats(p.shape));
    Epilogue relu;
    relu.lo = 0;
    winograd(p.shape, p.x.data(), packed.data(), relu, y.data(), 0, winograd_tiles(p.shape), scratch.data());
    EXPECT_TRUE(std::isnan(y[0]));
    EXPECT_FALSE(std::isnan(y[(15 * 16 + 15) * 2]));
  });
}

}  // namespace
}  // namespace miniten::kernels
