#include "kernels/image.h"

#include "kernel_bench.h"

namespace miniten::kernels::benchmarks {
namespace {

// A 640 x 480 picture of three channels, or a grey one.
constexpr int64_t kRow = 640 * 3, kRows = 480;

struct Picture {
  std::vector<uint8_t> pixels, out = std::vector<uint8_t>(kRow);
  std::vector<int16_t> gx = std::vector<int16_t>(kRow), gy = gx, line = std::vector<int16_t>(3 * kRow);
  std::vector<uint16_t> sums = std::vector<uint16_t>(2 * kRow);
  Floats floats = filled(2 * kRow);
  Picture() : pixels(kRow * (kRows + 12)) {
    uint32_t state = 1;
    for (uint8_t& p : pixels) p = static_cast<uint8_t>((state = state * 1664525u + 1013904223u) >> 24);
  }
  const uint8_t* row(int64_t y) const { return pixels.data() + y * kRow; }
};

template <class F>
void add(const char* name, double bytes_of_a_row, F f) {
  on_every_isa(name, [=](benchmark::State& state) {
    Picture picture;
    for (auto _ : state) {
      for (int64_t y = 0; y < kRows; ++y) f(picture, y);
      benchmark::ClobberMemory();
    }
    count_bytes(state, bytes_of_a_row * kRows);
  });
}

const bool registered = [] {
  static const std::vector<int32_t> first = [] {
    std::vector<int32_t> v;
    for (int j = 0; j < 224; ++j) v.push_back(j * 638 / 224 * 3);
    return v;
  }();
  static const std::vector<int16_t> across(4 * 224, 12345);
  static const std::vector<float> shares(2 * 224, 0.5f);
  static const uint16_t weight[] = {13072, 11536, 7929, 4244, 1769, 574, 146};
  static const float scale[] = {1.1f, 1.2f, 1.3f}, shift[] = {0.1f, 0.2f, 0.3f};
  add("image/bilinear/224", 2 * kRow, [](Picture& p, int64_t y) {
    image_bilinear(p.row(y), p.row(y + 1), 9999, kRow, first.data(), across.data(), 3, p.line.data(), p.out.data(), 224);
  });
  add("image/rows/f32/2", 2 * kRow, [](Picture& p, int64_t y) {
    const uint8_t* rows[] = {p.row(y), p.row(y + 1)};
    image_rows(rows, shares.data(), 2, p.floats.data(), kRow);
  });
  add("image/columns/f32/224", 8 * kRow, [](Picture& p, int64_t) {
    image_columns(p.floats.data(), first.data(), shares.data(), 2, 3, p.floats.data() + kRow, 224);
  });
  add("image/blur/13", 2 * kRow, [](Picture& p, int64_t y) {
    const uint8_t* rows[13];
    for (int k = 0; k < 13; ++k) rows[k] = p.row(y + k);
    image_blur_rows(rows, weight, 6, p.sums.data() + 18, kRow);
    image_blur_taps(p.sums.data(), weight, 6, 3, p.out.data(), kRow);
  });
  add("image/sobel/grey", 640, [](Picture& p, int64_t y) {
    image_sobel(p.row(y), p.row(y) + 642, p.row(y) + 1284, 1, p.gx.data(), p.gy.data(), 638);
  });
  add("image/canny/grey", 640, [](Picture& p, int64_t y) {
    image_sobel(p.row(y), p.row(y) + 642, p.row(y) + 1284, 1, p.gx.data(), p.gy.data(), 638);
    image_magnitude(p.gx.data(), p.gy.data(), p.line.data() + 1, 638);
    image_canny(p.line.data() + 1, p.line.data() + 2, p.line.data() + 3, p.gx.data(), p.gy.data(), 100, 200, p.out.data(), 638);
  });
  add("image/normalise", 5 * kRow, [](Picture& p, int64_t y) {
    image_scale(p.row(y), scale, shift, 3, p.floats.data(), kRow);
  });
  return true;
}();

}  // namespace
}  // namespace miniten::kernels::benchmarks
