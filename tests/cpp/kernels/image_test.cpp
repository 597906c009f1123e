#include "kernels/image.h"

#include "kernel_test.h"

namespace miniten::kernels {
namespace {

template <class T>
std::vector<T> random_integers(int64_t n, uint32_t seed, int lo, int hi) {
  std::mt19937 engine(seed);
  std::vector<T> values(static_cast<size_t>(n));
  for (T& v : values) v = static_cast<T>(lo + static_cast<int>(engine() % static_cast<uint32_t>(hi - lo + 1)));
  return values;
}
std::vector<uint8_t> random_bytes(int64_t n, uint32_t seed) { return random_integers<uint8_t>(n, seed, 0, 255); }

constexpr int64_t kWidths[] = {1, 2, 3, 5, 16, 31, 64, 65, 100, 300};

TEST(ImageBilinear, EqualOnEverySetAndNearExact) {
  for (const int64_t channels : {1, 2, 3, 4, 5, 8, 9})
    for (const int64_t width : kWidths)
      for (const int16_t down : {0, 1, 12345, 32767}) {
        const int64_t source = 37, n = source * channels;
        const auto av = random_bytes(n, 1), bv = random_bytes(n, 2);
        std::vector<int32_t> first;
        std::vector<int16_t> across;
        for (int64_t j = 0; j < width; ++j) {
          first.push_back(static_cast<int32_t>(j * (source - 2) / width * channels));
          across.insert(across.end(), 4, j % 7 ? static_cast<int16_t>(j * 7919 % 32768) : int16_t{32767});
        }
        first.back() = static_cast<int32_t>((source - 2) * channels);
        std::vector<uint8_t> reference;
        on_every_isa([&] {
          Guarded<uint8_t> a(av), b(bv), y(width * channels);
          Guarded<int16_t> line(std::vector<int16_t>(static_cast<size_t>(n + width * channels + 8)));
          Guarded<int32_t> f(first);
          Guarded<int16_t> w(across);
          image_bilinear(a.data(), b.data(), down, n, f.data(), w.data(), channels, line.data(), y.data(), width);
          if (reference.empty()) reference = y.values();
          ASSERT_EQ(y.values(), reference);
        });
        for (int64_t j = 0; j < width; ++j)
          for (int64_t c = 0; c < channels; ++c) {
            const double v = down / 32768.0, u = across[static_cast<size_t>(4 * j)] / 32768.0;
            const auto at = static_cast<size_t>(first[static_cast<size_t>(j)] + c), next = at + static_cast<size_t>(channels);
            const double exact = (1 - u) * ((1 - v) * av[at] + v * bv[at]) + u * ((1 - v) * av[next] + v * bv[next]);
            ASSERT_LE(std::fabs(reference[static_cast<size_t>(j * channels + c)] - exact), 0.53) << width << " at " << j;
          }
      }
}

TEST(ImageBlur, EqualOnEverySetAndNearExact) {
  for (const int side : {0, 1, 2, 5, 30})
    for (const int64_t channels : {1, 3})
      for (const int64_t width : kWidths)
        for (const int value : {-1, 255}) {
          const int taps = 2 * side + 1;
          const int64_t n = width * channels, padded = n + 2 * side * channels;
          auto pixels = random_bytes(taps * padded, 3);
          if (value >= 0) pixels.assign(pixels.size(), static_cast<uint8_t>(value));
          auto draws = random_integers<uint16_t>(side + 1, 4, 1, 100);
          int sum = draws[0];
          for (int k = 1; k <= side; ++k) sum += 2 * draws[static_cast<size_t>(k)];
          std::vector<uint16_t> weight(static_cast<size_t>(side + 1));
          int rest = 65536;
          for (int k = 1; k <= side; ++k) rest -= 2 * (weight[static_cast<size_t>(k)] = static_cast<uint16_t>(draws[static_cast<size_t>(k)] * 65536 / sum));
          weight[0] = static_cast<uint16_t>(std::min(rest, 65535));
          std::vector<uint8_t> reference;
          on_every_isa([&] {
            std::vector<const uint8_t*> rows;
            Guarded<uint8_t> x(pixels), y(n);
            Guarded<uint16_t> line(padded);
            for (int k = 0; k < taps; ++k) rows.push_back(x.data() + k * padded);
            image_blur_rows(rows.data(), weight.data(), side, line.data(), padded);
            image_blur_taps(line.data(), weight.data(), side, channels, y.data(), n);
            if (reference.empty()) reference = y.values();
            ASSERT_EQ(y.values(), reference);
          });
          for (int64_t i = 0; i < n; ++i) {
            double exact = 0;
            for (int p = 0; p < taps; ++p)
              for (int q = 0; q < taps; ++q)
                exact += weight[static_cast<size_t>(std::abs(p - side))] / 65536.0 * weight[static_cast<size_t>(std::abs(q - side))] / 65536.0 *
                         pixels[static_cast<size_t>(p * padded + i + q * channels)];
            ASSERT_LE(std::fabs(reference[static_cast<size_t>(i)] - exact), 0.52 + (side + 1) / 128.0) << i;
          }
        }
}

TEST(ImageCanny, MarksPeaksOnEverySet) {
  for (const int64_t n : kWidths)
    for (const int scale : {1, 60, 1020}) {
      const auto gx = random_integers<int16_t>(n, 5, -scale, scale), gy = random_integers<int16_t>(n, 6, -scale, scale);
      const auto above = random_integers<int16_t>(n + 2, 7, 0, 2 * scale), below = random_integers<int16_t>(n + 2, 8, 0, 2 * scale);
      const auto low = static_cast<int16_t>(scale / 4), up = static_cast<int16_t>(scale);
      on_every_isa([&] {
        Guarded<int16_t> x(gx), y(gy), a(above), b(below), m(n + 2);
        Guarded<uint8_t> mark(n);
        m[0] = m[n + 1] = 0;
        image_magnitude(x.data(), y.data(), m.data() + 1, n);
        image_canny(a.data() + 1, m.data() + 1, b.data() + 1, x.data(), y.data(), low, up, mark.data(), n);
        for (int64_t i = 0; i < n; ++i) {
          const int ax = std::abs(x[i]), ay = std::abs(y[i]), v = m[i + 1];
          ASSERT_EQ(v, ax + ay);
          bool peak;
          if (int64_t{ay} << 15 < int64_t{ax} * 13573) peak = v > m[i] && v >= m[i + 2];
          else if (int64_t{ay} << 15 > int64_t{ax} * 13573 + (int64_t{ax} << 16)) peak = v > a[i + 1] && v >= b[i + 1];
          else if ((x[i] < 0) == (y[i] < 0)) peak = v > a[i] && v > b[i + 2];
          else peak = v > a[i + 2] && v > b[i];
          ASSERT_EQ(mark[i], v > low && peak ? (v > up ? 255 : 1) : 0) << i;
        }
      });
    }
}

TEST(ImagePlanes, RoundAsDivisionDoes) {
  std::vector<uint8_t> all(256 * 5);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint8_t>(i * 7);
  const std::vector<float> scale{1, 3.7f, -0.3f, 1e-3f, 9}, shift{0, -1.1f, 5, 0.25f, 1e-7f};
  for (const int64_t channels : {1, 2, 3, 4, 5})
    for (const int64_t n : {1, 2, 7, 33, 256})
      on_every_isa([&] {
        Guarded<uint8_t> x(std::vector<uint8_t>(all.begin(), all.begin() + n * channels));
        Guarded<float> y(n * channels);
        image_planes(x.data(), channels, scale.data(), shift.data(), y.data(), n);
        for (int64_t c = 0; c < channels; ++c)
          for (int64_t i = 0; i < n; ++i) {
            const float unit = static_cast<float>(x[i * channels + c]) / 255.0f;
            const float scaled = unit * scale[static_cast<size_t>(c)];
            ASSERT_EQ(y[c * n + i], scaled + shift[static_cast<size_t>(c)]);
          }
      });
}

TEST(ImageLuma, IsPillows) {
  for (const int64_t channels : {3, 4})
    for (const int64_t n : kWidths) {
      const auto pixels = random_bytes(n * channels, 10);
      on_every_isa([&] {
        Guarded<uint8_t> x(pixels), y(n);
        image_luma(x.data(), channels, y.data(), n);
        for (int64_t i = 0; i < n; ++i) {
          const uint8_t* p = &pixels[static_cast<size_t>(i * channels)];
          ASSERT_EQ(y[i], (p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16);
        }
      });
    }
}

TEST(ImageSobel, IsTheTwoKernels) {
  for (const int64_t channels : {1, 3})
    for (const int64_t width : kWidths) {
      const int64_t n = width * channels, padded = n + 2 * channels;
      const auto pixels = random_bytes(3 * padded, 9);
      on_every_isa([&] {
        Guarded<uint8_t> x(pixels);
        Guarded<int16_t> gx(n), gy(n);
        image_sobel(x.data(), x.data() + padded, x.data() + 2 * padded, channels, gx.data(), gy.data(), n);
        const auto at = [&](int row, int64_t i) { return int{pixels[static_cast<size_t>(row * padded + i)]}; };
        for (int64_t i = 0; i < n; ++i) {
          const int64_t c = i + channels, r = c + channels;
          ASSERT_EQ(gx[i], at(0, r) - at(0, i) + 2 * (at(1, r) - at(1, i)) + at(2, r) - at(2, i));
          ASSERT_EQ(gy[i], at(2, i) - at(0, i) + 2 * (at(2, c) - at(0, c)) + at(2, r) - at(0, r));
        }
      });
    }
}

}  // namespace
}  // namespace miniten::kernels
