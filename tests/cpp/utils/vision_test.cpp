#include "miniten/utils/vision.h"
#include <gmock/gmock.h>
#include "check.h"
#include "kernels/dispatch.h"
#include "kernels/image.h"

namespace miniten {
namespace {

using namespace utils::vision;
using check::error_of;
using testing::HasSubstr;

Tensor noise(const Shape& shape, DType dtype = DType::u8, uint64_t seed = 0) {
  Generator g(seed);
  Tensor t = Tensor::empty({dtype, shape});
  visit_dtype(dtype, [&](auto v) {
    using T = decltype(v);
    for (int64_t i = 0; i < t.numel(); ++i) t.view().as<T>()[i] = std::is_floating_point_v<T> ? T(g.uniform()) : T(g.next());
  });
  return t;
}

TEST(VisionFiles, RoundTripInEveryFormat) {
  for (auto [format, c] : {std::pair{"png", 1}, {"png", 2}, {"png", 3}, {"png", 4}, {"bmp", 1}, {"bmp", 3}, {"bmp", 4}, {"ppm", 3}, {"pgm", 1}}) {
    Tensor image = noise({5, 7, c});
    EXPECT_EQ(decode_image(encode_image(image, format), {ColorMode::unchanged}).to_vector<uint8_t>(), image.to_vector<uint8_t>()) << format << c;
  }
  Tensor deep = noise({5, 7, 3}, DType::u16);
  EXPECT_EQ(decode_image(encode_image(deep, "png"), {ColorMode::unchanged}).to_vector<uint16_t>(), deep.to_vector<uint16_t>());
  Tensor flat = Tensor::full({9, 9, 3}, 120, DType::u8);
  EXPECT_EQ(decode_image(encode_image(flat, "jpg")).to_vector<uint8_t>(), flat.to_vector<uint8_t>());
}

TEST(VisionFiles, DamageIsAnErrorWithoutReadingBeyond) {
  for (const char* format : {"png", "jpg", "bmp", "ppm"}) {
    std::vector<std::byte> whole = encode_image(noise({12, 11, 3}), format);
    Generator g(3);
    for (int i = 0; i < 300; ++i) {
      std::vector<std::byte> bytes(whole.begin(), i % 2 ? whole.end() : whole.begin() + int64_t(g.below(whole.size())));
      for (int k = 0; k < 3 && !bytes.empty(); ++k) bytes[g.below(bytes.size())] = std::byte(g.next());
      try {
        EXPECT_EQ(decode_image(bytes, {.max_pixels = 100000}).rank(), 3);
      } catch (const Error& e) {
        EXPECT_EQ(e.op(), "load_image");
      }
    }
  }
}

// A weighted mean by the definition: every input pixel by the triangle around each output's centre.
std::vector<double> naive_bilinear(const Tensor& image, int64_t h, int64_t w, bool antialias) {
  int64_t ih = image.dim(0), iw = image.dim(1), c = image.dim(2);
  std::vector<uint8_t> x = image.to_vector<uint8_t>();
  auto weight = [&](int64_t out, int64_t n, int64_t in, int64_t i) {
    double scale = double(in) / double(n), wide = antialias ? std::max(scale, 1.0) : 1.0, center = (double(out) + 0.5) * scale - 0.5;
    if (!antialias) center = std::clamp(center, 0.0, double(in - 1));
    return std::max(0.0, 1 - std::abs(double(i) - center) / wide);
  };
  std::vector<double> out;
  for (int64_t oy = 0; oy < h; ++oy)
    for (int64_t ox = 0; ox < w; ++ox)
      for (int64_t k = 0; k < c; ++k) {
        double sum = 0, total = 0;
        for (int64_t y = 0; y < ih; ++y)
          for (int64_t xx = 0; xx < iw; ++xx) {
            double v = weight(oy, h, ih, y) * weight(ox, w, iw, xx);
            sum += v * x[size_t((y * iw + xx) * c + k)];
            total += v;
          }
        out.push_back(sum / total);
      }
  return out;
}

TEST(VisionResize, EqualsTheDefinitionOnEveryInstructionSet) {
  std::string before(kernels::isa());
  for (std::string_view isa : kernels::available_isas()) {
    ASSERT_TRUE(kernels::set_isa(isa));
    for (int64_t c : {1, 2, 3, 4})
      for (auto [h, w] : {std::pair<int64_t, int64_t>{5, 9}, {23, 31}, {13, 4}, {1, 1}})
        for (bool antialias : {false, true}) {
          Tensor image = noise({11, 17, c});
          std::vector<double> want = naive_bilinear(image, h, w, antialias);
          std::vector<uint8_t> got = resize(image, h, w, {.antialias = antialias}).to_vector<uint8_t>();
          for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], 0.53) << isa << " " << c << " " << h << "x" << w;
        }
  }
  kernels::set_isa(before);
}

TEST(VisionKernels, AgreeOnEveryInstructionSet) {
  std::string before(kernels::isa());
  for (std::string_view isa : kernels::available_isas()) {
    ASSERT_TRUE(kernels::set_isa(isa));
    for (int64_t n : {1, 3, 47, 48, 49, 515, 1030}) {
      std::vector<std::vector<uint8_t>> rows;
      for (uint64_t k = 0; k < 5; ++k) rows.push_back(noise({n + 8}, DType::u8, k).to_vector<uint8_t>());
      std::vector<const uint8_t*> at;
      for (auto& row : rows) at.push_back(row.data());
      std::vector<float> weight{0.5f, -0.25f, 0.125f, 2, 1}, sums(static_cast<size_t>(n)), line(static_cast<size_t>(n + 8));
      for (int taps = 1; taps <= 5; ++taps) {
        kernels::image_rows(at.data(), weight.data(), taps, sums.data(), n);
        for (int64_t i = 0; i < n; ++i) {
          float want = 0;
          for (int k = 0; k < taps; ++k) want += weight[size_t(k)] * rows[size_t(k)][size_t(i)];
          ASSERT_FLOAT_EQ(sums[size_t(i)], want) << isa << n << taps;
        }
        for (size_t i = 0; i < line.size(); ++i) line[i] = rows[0][i];
        kernels::image_taps(line.data(), weight.data(), taps, 2, sums.data(), n);
        for (int64_t i = 0; i < n; ++i) {
          float want = 0;
          for (int k = 0; k < taps; ++k) want += weight[size_t(k)] * line[size_t(i + 2 * k)];
          ASSERT_FLOAT_EQ(sums[size_t(i)], want) << isa << n << taps;
        }
      }
      for (int64_t period : {1, 3, 5})
        if (n % period == 0) {
          std::vector<float> scale{2, 3, 4, 5, 6}, shift{1, -1, 0, 7, 8};
          kernels::image_scale(rows[0].data(), scale.data(), shift.data(), period, sums.data(), n);
          for (int64_t i = 0; i < n; ++i) ASSERT_FLOAT_EQ(sums[size_t(i)], float(rows[0][size_t(i)]) * scale[size_t(i % period)] + shift[size_t(i % period)]);
        }
      std::vector<uint8_t> bytes(static_cast<size_t>(n));
      std::vector<float> values(static_cast<size_t>(n));
      for (size_t i = 0; i < values.size(); ++i) values[i] = float(i) * 1.7f - 300;
      kernels::image_store(values.data(), bytes.data(), n);
      for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(bytes[i], uint8_t(std::clamp(std::floor(values[i] + 0.5f), 0.0f, 255.0f))) << isa;
      std::vector<int16_t> gx(static_cast<size_t>(n)), gy(static_cast<size_t>(n));
      for (int64_t c : {1, 3}) {
        auto px = [&](size_t r, int64_t i) { return int(rows[r][size_t(i)]); };
        kernels::image_sobel(rows[0].data(), rows[1].data(), rows[2].data(), c, gx.data(), gy.data(), n);
        for (int64_t i = 0; i < n; ++i) {
          ASSERT_EQ(gx[size_t(i)], px(0, i + 2 * c) - px(0, i) + 2 * (px(1, i + 2 * c) - px(1, i)) + px(2, i + 2 * c) - px(2, i)) << isa;
          ASSERT_EQ(gy[size_t(i)], px(2, i) - px(0, i) + 2 * (px(2, i + c) - px(0, i + c)) + px(2, i + 2 * c) - px(0, i + 2 * c)) << isa;
        }
      }
    }
  }
  kernels::set_isa(before);
}

TEST(Vision, FunctionsLeaveTheImageAndKeepRankAndDtype) {
  for (DType dtype : {DType::u8, DType::u16, DType::f32, DType::f64})
    for (const Shape& shape : {Shape{9, 7}, Shape{9, 7, 1}, Shape{9, 7, 3}}) {
      Tensor image = noise(shape, dtype), copy = image.clone();
      Generator g(1);
      for (const Tensor& out : {resize(image, 5, 6), crop(image, 1, 2, 5, 4), center_crop(image, 3, 3), random_crop(image, 2, 2, g), pad(image, {1, 2, 3, 4}), flip_horizontal(image),
                                random_flip(image, true, true, g), rotate(image, 33, true), affine(image, {.degrees = 10}), adjust_brightness(image, 1.2), adjust_contrast(image, 0.5),
                                adjust_saturation(image, 2), adjust_hue(image, 0.1), gaussian_blur(image, 1.2), invert(image), autocontrast(image)}) {
        EXPECT_EQ(out.dtype(), dtype);
        EXPECT_EQ(out.rank(), image.rank());
      }
      EXPECT_EQ(check::difference(image, copy), 0);
      EXPECT_EQ(canny_edge_detection(image, 0.1, 0.2).dtype(), DType::u8);
    }
}

TEST(Vision, ErrorsSayWhatCame) {
  Tensor image = noise({4, 5, 3});
  EXPECT_EQ(error_of([&] { crop(image, 2, 0, 3, 3); }), "[crop] expected a rectangle inside the image of 4 x 5, got 3 x 3 at top 2, left 0 (pad the image first)");
  EXPECT_THAT(error_of([&] { resize(image, 0, 3); }), HasSubstr("[resize] expected a height of 1 or more, got 0"));
  EXPECT_THAT(error_of([&] { resize(Tensor::zeros({4, 4}, DType::i32), 2, 2); }), HasSubstr("cast it first"));
  EXPECT_THAT(error_of([&] { gaussian_blur(image, -1); }), HasSubstr("sigma above 0"));
  EXPECT_THAT(error_of([&] { decode_image({}); }), HasSubstr("an empty file"));
  EXPECT_THAT(error_of([&] { load_image("/nonexistent/a.png"); }), HasSubstr("/nonexistent/a.png"));
}

}  // namespace
}  // namespace miniten
