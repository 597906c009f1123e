// Integer ops against plain int64 loops, on every instruction set: equal bytes.
#include "check.h"
#include "kernels/dispatch.h"
#include "miniten/graph/passes.h"

namespace miniten {
namespace {

using check::error_of;
using check::normal;

template <class F> void on_every_isa(F body) {
  const std::string before(kernels::isa());
  for (std::string_view name : kernels::available_isas()) {
    ASSERT_TRUE(kernels::set_isa(name));
    SCOPED_TRACE(std::string(name));
    body();
  }
  kernels::set_isa(before);
}

Tensor integers(const Shape& shape, DType t, int64_t lo, int64_t hi, Generator& r) {
  Tensor x = Tensor::empty({DType::i32, shape});
  for (int64_t i = 0; i < x.numel(); ++i) x.view().as<int32_t>()[i] = int32_t(lo + int64_t(r.below(uint64_t(hi - lo + 1))));
  return cast(x, t);
}
Tensor floats(const Shape& shape, float lo, float hi, Generator& r) {
  Tensor x = Tensor::empty({DType::f32, shape});
  for (int64_t i = 0; i < x.numel(); ++i) x.view().f32()[i] = lo + (hi - lo) * r.uniform();
  return x;
}
std::vector<int64_t> whole(const Tensor& t) { return cast(t, DType::i64).to_vector<int64_t>(); }
int64_t least(DType t) { return t == DType::i8 ? -128 : t == DType::i16 ? -32768 : 0; }
int64_t greatest(DType t) { return t == DType::i16 ? 32767 : least(t) + 255; }

int64_t requantized(int64_t acc, float x_scale, float w_scale, float y_scale, int64_t y_zero, int64_t lo, int64_t hi) {
  float multiplier = x_scale * w_scale;
  multiplier = multiplier / y_scale;
  double v = std::nearbyint(double(float(acc) * multiplier)) + double(y_zero);
  return int64_t(std::clamp(v, double(lo), double(hi)));
}
// f(output index, sum of (x - zero) * w over the window) for each output of a convolution.
template <class F> void convolve(const Tensor& x, int64_t zero, const Tensor& w, const Shape& y, const Dims& stride, const Dims& padding, const Dims& dilation, int64_t groups, F f) {
  auto in = whole(x), weight = whole(w);
  int64_t c = x.dim(1), h = x.dim(2), wide = x.dim(3), o = w.dim(0), cg = w.dim(1), at = 0;
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t k = 0; k < o; ++k)
      for (int64_t p = 0; p < y[2]; ++p)
        for (int64_t q = 0; q < y[3]; ++q, ++at) {
          int64_t sum = 0;
          for (int64_t i = 0; i < cg; ++i)
            for (int64_t r = 0; r < w.dim(2); ++r)
              for (int64_t s = 0; s < w.dim(3); ++s) {
                int64_t row = p * stride[0] - padding[0] + r * dilation[0], col = q * stride[1] - padding[1] + s * dilation[1];
                if (row < 0 || row >= h || col < 0 || col >= wide) continue;
                sum += (in[size_t(((n * c + k / (o / groups) * cg + i) * h + row) * wide + col)] - zero) * weight[size_t(((k * cg + i) * w.dim(2) + r) * w.dim(3) + s)];
              }
          f(at, k, sum);
        }
}
Tensor in_channels_last(const Tensor& t) { return permute(copy(permute(t, {0, 2, 3, 1})), {0, 3, 1, 2}); }

struct ConvCase { Shape x, w; Dims stride, padding, dilation; int64_t groups; };
const ConvCase conv_cases[] = {
    {{2, 3, 7, 6}, {5, 3, 3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1},  {{1, 16, 5, 5}, {24, 16, 1, 1}, {1, 1}, {0, 0, 0, 0}, {1, 1}, 1},
    {{3, 7, 6, 6}, {9, 7, 1, 1}, {2, 2}, {0, 0, 0, 0}, {1, 1}, 1},  {{1, 12, 9, 8}, {12, 1, 3, 3}, {2, 1}, {1, 0, 2, 1}, {1, 2}, 12},
    {{2, 8, 6, 7}, {12, 4, 3, 2}, {1, 2}, {0, 1, 1, 0}, {2, 1}, 2}, {{1, 33, 4, 4}, {33, 1, 5, 5}, {1, 1}, {2, 2, 2, 2}, {1, 1}, 33},
    {{1, 4, 8, 8}, {4, 4, 3, 3}, {1, 1}, {2, 2, 2, 2}, {2, 2}, 1},  {{2, 6, 5, 5}, {6, 2, 2, 2}, {1, 1}, {0, 0, 0, 0}, {1, 1}, 3},
    {{2, 5, 4, 3}, {70, 5, 3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1}, {{1, 6, 3, 4}, {128, 3, 3, 3}, {1, 1}, {0, 1, 2, 1}, {1, 1}, 2},
    {{0, 3, 5, 5}, {2, 3, 3, 3}, {1, 1}, {0, 0, 0, 0}, {1, 1}, 1},  {{1, 1, 20, 20}, {8, 1, 3, 3}, {2, 2}, {1, 1, 1, 1}, {1, 1}, 1}};

struct Format { DType in, out, weight; };
const Format formats[] = {{DType::i8, DType::i8, DType::i8},   {DType::i8, DType::u8, DType::i8},   {DType::u8, DType::i8, DType::i8},
                          {DType::u8, DType::u8, DType::i8},   {DType::i16, DType::i16, DType::i8}, {DType::i16, DType::i16, DType::i16}};

TEST(QConv2d, EqualsInt64) {
  on_every_isa([] {
    Generator r(1);
    for (const ConvCase& c : conv_cases)
      for (const auto& [in, out, weight] : formats)
          for (bool corner : {false, true}) {
            bool wide = in == DType::i16;
            int64_t top = weight == DType::i16 ? 32767 : 127;
            float y_scale = !wide ? 1 : weight == DType::i16 ? 20000 : 80;     // of sums about so much greater
            QConv2dAttrs at{.stride = c.stride, .padding = c.padding, .dilation = c.dilation, .groups = c.groups,
                            .x_scale = corner ? 3.0f : 0.02f + 0.05f * r.uniform(), .y_scale = corner ? 1e-3f : (0.05f + r.uniform()) * y_scale,
                            .x_zero = wide ? 0 : corner ? least(in) : least(in) + int64_t(r.below(256)), .y_zero = wide ? 0 : least(out) + int64_t(r.below(256)), .dtype = out};
            at.lo = corner ? least(out) : at.y_zero;
            at.hi = greatest(out);
            Tensor x = integers(c.x, in, least(in), greatest(in), r), w = integers(c.w, weight, corner ? top : -top, top, r);
            Tensor scale = floats({c.w[0]}, 1e-3f, 0.02f, r), bias = integers({c.w[0]}, wide ? DType::i64 : DType::i32, -5000, 5000, r);
            bool biased = r.below(2);
            Tensor y = biased ? apply(qconv2d_op, {in_channels_last(x), w, scale, bias}, at) : apply(qconv2d_op, {x, w, scale}, at);
            auto got = whole(y), b = whole(bias);
            auto s = scale.to_vector<float>();
            convolve(x, at.x_zero, w, y.shape(), at.stride, at.padding, at.dilation, at.groups, [&](int64_t i, int64_t k, int64_t sum) {
              int64_t want = requantized(sum + (biased ? b[size_t(k)] : 0), at.x_scale, s[size_t(k)], at.y_scale, at.y_zero, at.lo, at.hi);
              ASSERT_EQ(got[size_t(i)], want) << c.x.text() << " " << c.w.text() << " at " << i;
            });
          }
  });
}

TEST(QConv2d, DynamicEqualsInt64) {
  on_every_isa([] {
    Generator r(2);
    for (const ConvCase& c : conv_cases)
      for (const auto& [in, out, weight] : {Format{DType::u8, DType::f32, DType::i8}, Format{DType::i16, DType::f32, DType::i8}, Format{DType::i16, DType::f32, DType::i16}}) {
      Conv2dAttrs at{.stride = c.stride, .padding = c.padding, .dilation = c.dilation, .groups = c.groups, .lo = -0.5f, .hi = 2.0f};
      int64_t zero = in == DType::i16 ? 0 : int64_t(r.below(256)), top = weight == DType::i16 ? 32767 : 127;
      Tensor x = integers(c.x, in, least(in), greatest(in), r), w = integers(c.w, weight, -top, top, r), scale = floats({c.w[0]}, 1e-3f / float(top), 0.02f / float(top), r);
      Tensor bias = floats({c.w[0]}, -1, 1, r), x_scale = Tensor::full({}, 0.013), x_zero = Tensor::full({}, double(zero), in);
      Tensor y = apply(qconv2d_dynamic_op, {x, x_scale, x_zero, w, scale, bias}, at);
      auto got = cast(y, DType::f32).to_vector<float>(), s = scale.to_vector<float>(), b = bias.to_vector<float>();
      convolve(x, zero, w, y.shape(), at.stride, at.padding, at.dilation, at.groups, [&](int64_t i, int64_t k, int64_t sum) {
        float scaled = float(sum) * (0.013f * s[size_t(k)]);
        ASSERT_EQ(got[size_t(i)], std::clamp(scaled + b[size_t(k)], at.lo, at.hi)) << c.x.text() << " at " << i;
      });
    }
  });
}

TEST(QMatmul, EqualsInt64) {
  on_every_isa([] {
    Generator r(3);
    for (auto [m, k, n] : {std::array<int64_t, 3>{1, 10, 5}, {7, 64, 33}, {3, 1, 1}, {16, 131, 48}, {2, 4096, 17}, {0, 4, 4}}) {
      QMatmulAttrs at{.x_scale = 0.03f, .y_scale = 0.5f, .x_zero = 9, .y_zero = -20, .lo = -20, .hi = 127};
      Tensor x = integers({m, k}, DType::i8, -128, 127, r), w = transpose(integers({n, k}, DType::i8, -127, 127, r));
      Tensor scale = floats({n}, 1e-3f, 0.02f, r), bias = integers({n}, DType::i32, -9000, 9000, r), f_bias = floats({n}, -1, 1, r);
      auto got = whole(apply(qmatmul_op, {x, w, scale, bias}, at)), in = whole(x), weight = whole(w), b = whole(bias);
      auto s = scale.to_vector<float>(), fb = f_bias.to_vector<float>();
      Tensor shifted = cast(cast(x, DType::i32) + 128.0, DType::u8);
      auto dynamic = apply(qmatmul_dynamic_op, {shifted, Tensor::full({}, 0.03), Tensor::full({}, 137, DType::u8), w, scale, f_bias}, ClampAttrs{0, infinity}).to_vector<float>();
      for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < n; ++j) {
          int64_t sum = 0;
          for (int64_t q = 0; q < k; ++q) sum += (in[size_t(i * k + q)] - 9) * weight[size_t(q * n + j)];
          ASSERT_EQ(got[size_t(i * n + j)], requantized(sum + b[size_t(j)], at.x_scale, s[size_t(j)], at.y_scale, at.y_zero, at.lo, at.hi)) << m << " " << k << " " << n;
          float scaled = float(sum) * (0.03f * s[size_t(j)]);
          ASSERT_EQ(dynamic[size_t(i * n + j)], std::max(scaled + fb[size_t(j)], 0.0f));
        }
    }
  });
}

TEST(QMatmul, OfInt16EqualsInt64) {
  on_every_isa([] {
    Generator r(13);
    for (DType type : {DType::i8, DType::i16})
      for (auto [m, k, n] : {std::array<int64_t, 3>{1, 10, 5}, {7, 64, 33}, {3, 1, 1}, {5, 131, 48}, {2, 4097, 17}, {0, 4, 4}}) {
        int64_t top = type == DType::i16 ? 32767 : 127;
        QMatmulAttrs at{.x_scale = 0.03f, .y_scale = 0.02f * float(top) * std::sqrt(float(k)), .lo = -20000, .hi = 32767, .dtype = DType::i16};
        Tensor x = integers({m, k}, DType::i16, -32768, 32767, r), w = transpose(integers({n, k}, type, -top, top, r));
        Tensor scale = floats({n}, 1e-3f, 0.02f, r), bias = integers({n}, DType::i64, -9000000, 9000000, r), f_bias = floats({n}, -1, 1, r);
        auto got = whole(apply(qmatmul_op, {x, w, scale, bias}, at)), in = whole(x), weight = whole(w), b = whole(bias);
        auto s = scale.to_vector<float>(), fb = f_bias.to_vector<float>();
        auto dynamic = apply(qmatmul_dynamic_op, {x, Tensor::full({}, 0.03), Tensor::full({}, 0, DType::i16), w, scale, f_bias}, ClampAttrs{0, infinity}).to_vector<float>();
        for (int64_t i = 0; i < m; ++i)
          for (int64_t j = 0; j < n; ++j) {
            int64_t sum = 0;
            for (int64_t q = 0; q < k; ++q) sum += in[size_t(i * k + q)] * weight[size_t(q * n + j)];
            ASSERT_EQ(got[size_t(i * n + j)], requantized(sum + b[size_t(j)], at.x_scale, s[size_t(j)], at.y_scale, 0, at.lo, at.hi)) << m << " " << k << " " << n;
            float scaled = float(sum) * (0.03f * s[size_t(j)]);
            ASSERT_EQ(dynamic[size_t(i * n + j)], std::max(scaled + fb[size_t(j)], 0.0f));
          }
      }
  });
}

TEST(QAdd, EqualsItsFormula) {
  on_every_isa([] {
    Generator r(4);
    for (DType t : {DType::i8, DType::u8, DType::i16})
      for (int64_t n : {1, 31, 64, 1000}) {
        QAddAttrs at{0.02f, 0.07f, 0.05f, least(t) + 100, least(t) + 3, least(t) + 140, least(t) + 10, greatest(t) - 5};
        Tensor a = integers({n}, t, least(t), greatest(t), r), b = integers({n}, t, least(t), greatest(t), r);
        auto got = whole(apply(qadd_op, {a, b}, at)), x = whole(a), y = whole(b);
        for (size_t i = 0; i < got.size(); ++i) {
          float left = float(x[i] - at.a_zero) * at.a_scale, right = float(y[i] - at.b_zero) * at.b_scale, sum = left + right;
          ASSERT_EQ(got[i], int64_t(std::clamp(std::nearbyint(double(sum / at.y_scale)) + double(at.y_zero), double(at.lo), double(at.hi))));
        }
      }
  });
}

TEST(QAvgPool2d, EqualsInt64) {
  Generator r(5);
  for (DType t : {DType::i8, DType::u8, DType::i16})
    for (bool include : {false, true}) {
      QAvgPool2dAttrs at{.kernel = {3, 2}, .stride = {2, 1}, .padding = {1, 0, 1, 1}, .count_include_pad = include, .x_scale = 0.1f, .y_scale = 0.06f,
                         .x_zero = least(t) + 30, .y_zero = least(t) + 99};
      Tensor x = integers({2, 5, 6, 5}, t, least(t), greatest(t), r), y = apply(qavg_pool2d_op, {x}, at);
      auto in = whole(x), got = whole(y);
      size_t i = 0;
      for (int64_t plane = 0; plane < 10; ++plane)
        for (int64_t p = 0; p < y.dim(2); ++p)
          for (int64_t q = 0; q < y.dim(3); ++q, ++i) {
            int64_t sum = 0, inside = 0;
            for (int64_t h = 2 * p - 1; h < 2 * p + 2; ++h)
              for (int64_t w = q; w < q + 2; ++w)
                if (h >= 0 && h < 6 && w < 5) { sum += in[size_t((plane * 6 + h) * 5 + w)] - at.x_zero; ++inside; }
            float multiplier = at.x_scale / at.y_scale;
            multiplier = multiplier / float(include ? 6 : inside);
            double v = std::nearbyint(double(float(sum) * multiplier)) + double(at.y_zero);
            ASSERT_EQ(got[i], int64_t(std::clamp(v, double(least(t)), double(greatest(t)))));
          }
    }
}

TEST(Quantize, RoundsHalfToEvenAndSaturates) {
  on_every_isa([] {
    Tensor x = Tensor::of({9}, {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 1e30f, -1e30f, NAN, INFINITY});
    Tensor one = Tensor::full({}, 1), zero = Tensor::full({}, 3, DType::i8);
    EXPECT_EQ(whole(quantize(x, one, zero)), (std::vector<int64_t>{3, 5, 5, 3, 1, 127, -128, 3, 127}));
    Tensor wide = Tensor::full({}, 0, DType::i16);
    EXPECT_EQ(whole(quantize(x, one, wide)), (std::vector<int64_t>{0, 2, 2, 0, -2, 32767, -32768, 0, 32767}));
    Tensor byte = Tensor::full({}, 200, DType::u8);
    EXPECT_EQ(whole(quantize(x, one, byte)), (std::vector<int64_t>{200, 202, 202, 200, 198, 255, 0, 200, 255}));
  });
}

TEST(Quantize, TakesScalesAlongAnAxisInAnyOrder) {
  Tensor x = normal({3, 4, 5}, 1) * 4.0, scale = Tensor::of({4}, {0.1f, 0.02f, 1.0f, 0.3f});
  Tensor zero = cast(Tensor::of({4}, {0, -7, 5, 100}), DType::i8);
  Tensor q = quantize(x, scale, zero, 1), turned = quantize(permute(x, {2, 1, 0}), scale, zero, 1);
  EXPECT_EQ(whole(q), whole(permute(turned, {2, 1, 0})));
  auto values = x.to_vector<float>(), back = dequantize(q, scale, zero, 1).to_vector<float>();
  auto got = whole(q);
  auto s = scale.to_vector<float>();
  auto z = whole(zero);
  for (size_t i = 0; i < got.size(); ++i) {
    size_t k = i / 5 % 4;
    int64_t want = int64_t(std::clamp(std::nearbyint(double(values[i] / s[k])) + double(z[k]), -128.0, 127.0));
    ASSERT_EQ(got[i], want);
    ASSERT_EQ(back[i], float(want - z[k]) * s[k]);
  }
}

TEST(DynamicQuantize, TakesTheWholeTensorsRange) {
  auto run = [](const Tensor& x) {
    Tensor out[3];
    Input in[]{x};
    apply(dynamic_quantize_op, in, nullptr, out);
    return std::tuple{whole(out[0]), out[1].item(), out[2].item()};
  };
  auto [q, scale, zero] = run(Tensor::of({4}, {-1, 0, 1.55f, 0.5f}));
  EXPECT_FLOAT_EQ(float(scale), 2.55f / 255);
  EXPECT_EQ(zero, 100);
  EXPECT_EQ(q, (std::vector<int64_t>{0, 100, 255, 150}));
  EXPECT_EQ(std::get<0>(run(Tensor::full({3}, 0.3))), (std::vector<int64_t>{255, 255, 255}));       // 0 is in the range
  for (double constant : {0.0, 1e-44, 3e38, -3e38}) {
    auto [ignored, s, z] = run(Tensor::full({2}, constant));
    EXPECT_GT(s, 0) << constant;
    EXPECT_TRUE(std::isfinite(s)) << constant;
  }
  Tensor big = normal({40, 3, 50, 7}, 3);
  EXPECT_EQ(std::get<0>(run(big)).size(), size_t(big.numel()));
  auto [straight, s1, z1] = run(big);
  auto [turned, s2, z2] = run(in_channels_last(big));
  EXPECT_EQ(straight, turned);
  EXPECT_EQ(s1, s2);
  EXPECT_EQ(z1, z2);
  Tensor part = slice(big, 2, 1, 50, 2);
  EXPECT_EQ(std::get<0>(run(part)), std::get<0>(run(copy(part))));
}

TEST(QuantizedOps, GiveTheSameBytesForThreadsAndBatches) {
  Generator r(6);
  Tensor w = integers({32, 16, 3, 3}, DType::i8, -127, 127, r), scale = floats({32}, 1e-3f, 1e-2f, r), x = integers({8, 16, 20, 20}, DType::i8, -128, 127, r);
  QConv2dAttrs at{.padding = {1, 1, 1, 1}, .x_scale = 0.02f, .y_scale = 0.4f, .x_zero = -5, .y_zero = 4};
  Tensor y = apply(qconv2d_op, {x, w, scale}, at);
  Graph g = trace({x.spec()}, [&](auto& in) { return std::vector{apply(qconv2d_op, {in[0], w, scale}, at)}; });
  for (int threads : {1, 2, 3}) EXPECT_EQ(whole(Session(g, {.threads = threads}).run(std::vector{x})[0]), whole(y));
  for (int64_t i : {0, 5}) EXPECT_EQ(whole(apply(qconv2d_op, {slice(x, 0, i, i + 1), w, scale}, at)), whole(slice(y, 0, i, i + 1)));
}

// So many weights that pieces share out the output channels; a hundred channels alone are few enough not to be.
TEST(QuantizedOps, GiveTheSameBytesWhereChannelsAreCut) {
  Generator r(8);
  QConv2dAttrs conv{.padding = {1, 1, 1, 1}, .x_scale = 0.02f, .y_scale = 2.0f, .x_zero = -5, .y_zero = 4};
  Conv2dAttrs dynamic_conv{.padding = {1, 1, 1, 1}, .lo = -3};
  QMatmulAttrs product{.x_scale = 0.02f, .y_scale = 3.0f, .x_zero = -5, .y_zero = 4};
  Tensor w = integers({250, 130, 3, 3}, DType::i8, -127, 127, r), m = integers({250, 1170}, DType::i8, -127, 127, r), scale = floats({250}, 1e-3f, 1e-2f, r);
  Tensor bias = integers({250}, DType::i32, -9000, 9000, r), f_bias = floats({250}, -1, 1, r), x_scale = Tensor::full({}, 0.02), zero = Tensor::full({}, 130, DType::u8);
  Tensor x = integers({2, 130, 6, 7}, DType::i8, -128, 127, r), rows = integers({9, 1170}, DType::i8, -128, 127, r);
  Tensor ux = integers({2, 130, 6, 7}, DType::u8, 0, 255, r), urows = integers({9, 1170}, DType::u8, 0, 255, r);
  auto all = [&](auto& in, const Tensor& w, const Tensor& m, const Tensor& scale, const Tensor& bias, const Tensor& f_bias) {
    Tensor t = transpose(m);
    return std::vector{apply(qconv2d_op, {in[0], w, scale, bias}, conv), apply(qconv2d_dynamic_op, {in[1], x_scale, zero, w, scale, f_bias}, dynamic_conv),
                       apply(qmatmul_op, {in[2], t, scale, bias}, product), apply(qmatmul_dynamic_op, {in[3], x_scale, zero, t, scale, f_bias}, ClampAttrs{-2})};
  };
  std::vector given{x, ux, rows, urows}, wanted = all(given, w, m, scale, bias, f_bias);
  for (int64_t begin : {0, 100, 200}) {
    int64_t end = std::min<int64_t>(250, begin + 100);
    auto part = [&](const Tensor& t) { return copy(slice(t, 0, begin, end)); };
    auto few = all(given, part(w), part(m), part(scale), part(bias), part(f_bias));
    for (size_t i = 0; i < few.size(); ++i) EXPECT_EQ(check::difference(few[i], copy(slice(wanted[i], 1, begin, end))), 0) << i;
  }
  std::vector<Spec> specs;
  for (const Tensor& t : given) specs.push_back(t.spec());
  Graph g = trace(specs, [&](auto& in) { return all(in, w, m, scale, bias, f_bias); });
  on_every_isa([&] {
    for (int threads : {1, 2, 3}) {
      auto got = Session(g, {.threads = threads}).run(given);
      for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(check::difference(got[i], wanted[i]), 0) << i << " with " << threads;
    }
  });
}

TEST(QuantizedOps, TurnBytesToChannelsLastAndBack) {
  Generator r(9);
  for (const Shape& shape : {Shape{1, 3, 7, 5}, Shape{1, 3, 1, 16}, Shape{1, 3, 1, 17}, Shape{2, 3, 1, 1}, Shape{1, 3, 64, 33}, Shape{3, 4, 5, 7}, Shape{2, 65, 9, 8}, Shape{2, 3, 130, 131}, Shape{0, 3, 4, 4}}) {
    Tensor x = integers(shape, DType::u8, 0, 255, r);
    for (const OpDef* op : {&to_channels_last_op, &copy_op}) {
      Tensor from = op == &copy_op ? in_channels_last(x) : x, y = apply(*op, {from});
      EXPECT_TRUE(op == &copy_op ? y.view().is_contiguous() : y.view().is_channels_last()) << shape.text();
      EXPECT_EQ(whole(y), whole(x)) << shape.text();
      Graph g = trace({x.spec()}, [&](auto& in) { return std::vector{apply(*op, {in[0]})}; });
      for (int threads : {1, 2, 3}) EXPECT_EQ(whole(Session(g, {.threads = threads, .passes = {"none"}}).run(std::vector{x})[0]), whole(x)) << shape.text();
    }
  }
}

TEST(QuantizedOps, PassIntegersThroughEveryRowThatSaysSo) {
  for (const OpDef* op : all_ops()) {
    if (op->quant.mode != QuantMode::passes_through) continue;
    ASSERT_TRUE(op->samples) << op->name;
    for (const Sample& s : op->samples()) {
      std::vector<Tensor> in;
      for (const Tensor& t : s.in) in.push_back(is_float(t.dtype()) ? cast(t * 50.0, DType::i8) : t);
      std::vector<Input> inputs(in.begin(), in.end());
      Tensor out;
      apply(*op, inputs, s.attrs.get(), {&out, 1});
      EXPECT_EQ(out.dtype(), DType::i8) << op->name;
    }
  }
}

TEST(QuantizedOps, RefuseWhatWouldBeWrong) {
  Tensor x = Tensor::zeros({1, 3, 4, 4}, DType::i8), w = Tensor::zeros({2, 3, 3, 3}, DType::i8), scale = Tensor::ones({2});
  auto conv = [&](QConv2dAttrs at, const Tensor& in, const Tensor& s) { return error_of([&] { apply(qconv2d_op, {in, w, s}, at); }); };
  EXPECT_EQ(conv({}, Tensor::zeros({1, 3, 4, 4}), scale), "[qconv2d] expected int8, uint8 or int16 input, got float32(1, 3, 4, 4) (quantise it first)");
  EXPECT_NE(conv({.x_zero = 200}, x, scale).find("x_zero within int8, got 200"), std::string::npos);
  EXPECT_NE(conv({.y_scale = 0}, x, scale).find("y_scale above 0"), std::string::npos);
  EXPECT_NE(conv({}, x, Tensor::zeros({2})).find("w_scale above 0"), std::string::npos);
  EXPECT_NE(conv({}, x, Tensor::ones({3})).find("w_scale of shape (2,)"), std::string::npos);
  EXPECT_NE(conv({.groups = 2}, x, scale).find("groups"), std::string::npos);
  EXPECT_NE(error_of([&] { quantize(Tensor::zeros({2}), Tensor::zeros({}), Tensor::zeros({}, DType::i8)); }).find("scales above 0"), std::string::npos);
  EXPECT_NE(error_of([&] { quantize(Tensor::zeros({2}), Tensor::ones({3}), Tensor::zeros({3}, DType::i8), 0); }).find("scale float32(2,)"), std::string::npos);
  Tensor row = Tensor::zeros({1, 70000}, DType::i8), tall = Tensor::zeros({70000, 1}, DType::i8);
  EXPECT_NE(error_of([&] { apply(qmatmul_op, {row, tall, Tensor::ones({1})}, QMatmulAttrs{}); }).find("products in a sum, got 70000"), std::string::npos);
}

// ---- the pass ----
Tensor dequantized(const Tensor& x, float scale, int zero) {
  Tensor s = Tensor::full({}, scale), z = Tensor::full({}, zero, DType::i8);
  return dequantize(quantize(x, s, z), s, z);
}
TEST(LowerQuantized, TurnsFloatOpsBetweenConversionsIntoIntegerOps) {
  Tensor w = normal({4, 2, 3, 3}, 1), w_scale = Tensor::of({4}, {0.02f, 0.03f, 0.025f, 0.03f}), zeros = Tensor::zeros({4}, DType::i8);
  Tensor stored = quantize(w, w_scale, zeros, 0), x = normal({2, 2, 6, 6}, 2), bias = normal({4}, 3);
  auto net = [&](const Tensor& in) {
    Tensor y = conv2d(dequantized(in, 0.03f, 4), dequantize(stored, w_scale, zeros, 0), bias, {.padding = {1, 1, 1, 1}});
    y = dequantized(relu(y), 0.05f, -128);
    y = max_pool2d(y, {.kernel = {2, 2}, .stride = {2, 2}});
    return dequantized(mean(y + y, {2, 3}, true), 0.07f, -128);
  };
  Graph g = trace({x.spec()}, [&](auto& in) { return std::vector{net(in[0])}; });
  fuse(g);
  lower_quantized(g);
  verify(g);
  std::string text = g.to_text();
  for (const char* op : {"qconv2d", "max_pool2d"}) EXPECT_NE(text.find(op), std::string::npos) << text;
  for (const char* op : {" conv2d(", "relu"}) EXPECT_EQ(text.find(op), std::string::npos) << text;
  EXPECT_NE(text.find(" add("), std::string::npos) << "not between conversions:\n" << text;
  auto lowered = replay(g, {x})[0].to_vector<float>(), eager = net(x).to_vector<float>();
  for (size_t i = 0; i < eager.size(); ++i) EXPECT_LE(std::abs(lowered[i] - eager[i]), 0.0701f);     // one step: a tie may round the other way
}

TEST(LowerQuantized, FollowsScalesThroughATransposedWeight) {
  Tensor w = normal({5, 8}, 1), scale = Tensor::of({5}, {0.02f, 0.03f, 0.025f, 0.03f, 0.04f}), zeros = Tensor::zeros({5}, DType::i8);
  Tensor stored = quantize(w, scale, zeros, 0), x = normal({3, 8}, 2);
  Graph g = trace({x.spec()}, [&](auto& in) {
    return std::vector{dequantized(linear(dequantized(in[0], 0.03f, 4), dequantize(stored, scale, zeros, 0)), 0.1f, 0)};
  });
  Graph lowered = g;
  lower_quantized(lowered);
  verify(lowered);
  EXPECT_NE(lowered.to_text().find("qmatmul"), std::string::npos) << lowered.to_text();
  EXPECT_LE(check::difference(replay(lowered, {x})[0], replay(g, {x})[0]), 0.11);
}

TEST(LowerQuantized, LeavesOtherScalesAlone) {
  Tensor x = normal({4}, 1);
  Graph g = trace({x.spec()}, [&](auto& in) {
    Tensor y = dequantized(in[0], 0.1f, 0);
    return std::vector{dequantized(dequantized(y, 0.1f, 0), 0.3f, 1)};
  });
  auto before = replay(g, {x})[0].to_vector<float>();
  lower_quantized(g);
  verify(g);
  EXPECT_EQ(g.nodes.size(), 4u) << g.to_text();              // one of three pairs was for nothing
  EXPECT_EQ(replay(g, {x})[0].to_vector<float>(), before);
}

}  // namespace
}  // namespace miniten
