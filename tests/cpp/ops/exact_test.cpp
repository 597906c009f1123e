// Ops that LiteRT's reference kernels define, beside the same of float64 ops and of whole numbers. LiteRT itself judges them in
// tests/python/interchange/test_tflite_operators.py.
#include "check.h"
#include "ops/quantized/fixed_point.h"

namespace miniten {
namespace {

using check::error_of;

Tensor centred(const Tensor& q, int64_t zero) { return cast(q, DType::f64) - double(zero); }
Tensor one_or_each(const Tensor& t, int64_t n, bool each) { return each ? reshape(t.dim(0) == n ? t : expand(t, {n}), {n}).clone() : reshape(t, {}); }
Tensor requantized(const Tensor& sums, const Tensor& multiplier, const Tensor& shift, int64_t axis, int64_t zero, int64_t lo, int64_t hi, DType t, bool once = false) {
  const bool each = multiplier.numel() > 1;
  RequantizeAttrs at{each ? axis : -1, zero, lo, hi, t, once};
  const int64_t n = sums.dim(int(axis));
  return apply(requantize_op, {cast(sums, DType::i32), one_or_each(multiplier, n, each), one_or_each(shift, n, each)}, at);
}
Tensor computed(const OpDef& op, const Sample& s) {
  std::vector<Input> in(s.in.begin(), s.in.end());
  Tensor y;
  apply(op, in, s.attrs.get(), {&y, 1});
  return y;
}
void expect_same(const Tensor& got, const Tensor& want) {
  ASSERT_EQ(got.spec(), want.spec());
  EXPECT_EQ(cast(got, DType::i32).to_vector<int32_t>(), cast(want, DType::i32).to_vector<int32_t>());
}
template <class F> void each_sample(const OpDef& op, F want) {
  for (const Sample& s : op.samples()) expect_same(computed(op, s), want(s));
}

TEST(Exact, ConvolutionsAreThoseOfWholeNumbers) {
  each_sample(exact_conv2d_op, [](const Sample& s) {
    const auto& at = *static_cast<const ExactConv2dAttrs*>(s.attrs.get());
    Tensor sums = conv2d(centred(s.in[0], at.x_zero), centred(s.in[1], at.w_zero), cast(s.in[4], DType::f64), {.stride = at.stride, .padding = at.padding, .dilation = at.dilation, .groups = at.groups});
    return requantized(sums, s.in[2], s.in[3], 1, at.y_zero, at.lo, at.hi, at.dtype);
  });
  each_sample(exact_conv2d_input_op, [](const Sample& s) {
    const auto& at = *static_cast<const ExactConv2dAttrs*>(s.attrs.get());
    Conv2dAttrs a{.stride = at.stride, .padding = at.padding, .extent = at.extent};
    Tensor sums = apply(conv2d_input_op, {centred(s.in[0], at.x_zero), centred(s.in[1], at.w_zero)}, a) + reshape(cast(s.in[4], DType::f64), {1, -1, 1, 1});
    return requantized(sums, s.in[2], s.in[3], 1, at.y_zero, at.lo, at.hi, at.dtype);
  });
}
TEST(Exact, ProductsAreThoseOfWholeNumbers) {
  each_sample(exact_matmul_op, [](const Sample& s) {
    const auto& at = *static_cast<const ExactMatmulAttrs*>(s.attrs.get());
    Tensor sums = matmul(centred(s.in[0], at.a_zero), transpose(centred(s.in[1], at.b_zero)));
    if (s.in.size() > 4) sums = sums + cast(s.in[4], DType::f64);
    return requantized(sums, s.in[2], s.in[3], sums.rank() - 1, at.y_zero, at.lo, at.hi, at.dtype, at.once);
  });
}
TEST(Exact, PairsAreThoseOfWholeNumbers) {
  each_sample(exact_pair_op, [](const Sample& s) {
    const auto& at = *static_cast<const ExactPairAttrs*>(s.attrs.get());
    auto scaled = [&](const Tensor& v, int k, bool last) {
      auto part = [&](const Tensor& t) { return slice(t, 0, k, k + 1).clone(); };
      return last ? requantized(v, part(s.in[2]), part(s.in[3]), 0, at.y_zero, at.lo, at.hi, at.dtype) : requantized(v, part(s.in[2]), part(s.in[3]), 0, 0, INT32_MIN, INT32_MAX, DType::i32);
    };
    Tensor a = centred(s.in[0], at.a_zero), b = centred(s.in[1], at.b_zero);
    if (at.function == "mul") return scaled(a * b, 2, true);
    if (at.function == "prelu") return where(greater_equal(a, Tensor::full({}, 0, DType::f64)), scaled(a, 0, true), scaled(a * b, 2, true));
    Tensor x = cast(scaled(a * 1048576.0, 0, false), DType::f64), y = cast(scaled(b * 1048576.0, 1, false), DType::f64);
    return scaled(at.function == "add" ? x + y : x - y, 2, true);
  });
}
TEST(Exact, MeansAndFloatsRoundHalvesAwayFromZero) {
  auto away = [](const Tensor& v, int64_t zero, int64_t lo, int64_t hi, DType t) { return cast(clamp(sign(v) * floor(abs(v) + 0.5) + double(zero), double(lo), double(hi)), t); };
  each_sample(exact_avg_pool2d_op, [&](const Sample& s) {
    const auto& at = *static_cast<const ExactAvgPool2dAttrs*>(s.attrs.get());
    Tensor mean = avg_pool2d(cast(s.in[0], DType::f64), {.kernel = at.kernel, .stride = at.stride, .padding = at.padding, .count_include_pad = false});
    return away(mean, 0, at.lo, at.hi, s.in[0].dtype());
  });
  each_sample(exact_quantize_op, [&](const Sample& s) {
    const auto& at = *static_cast<const ExactScaleAttrs*>(s.attrs.get());
    return away(cast(s.in[0] / Tensor::full({}, double(at.scale)), DType::f64), at.zero, at.lo, at.hi, at.dtype);
  });
  Sample halves{{Tensor::of({6}, {2.5f, -2.5f, 0.5f, -0.5f, 1e9f, -1e9f})}, std::make_shared<ExactScaleAttrs>()};
  EXPECT_EQ(cast(computed(exact_quantize_op, halves), DType::i32).to_vector<int32_t>(), (std::vector<int32_t>{3, -3, 1, -1, 127, -128}));
}
TEST(Exact, SoftmaxSharesByATable) {
  each_sample(exact_softmax_op, [](const Sample& s) {
    const auto& at = *static_cast<const ExactScaleAttrs*>(s.attrs.get());
    Tensor x = cast(s.in[0], DType::f64), e = gather(s.in[1], cast(max(x, {-1}, true) - x, DType::i64), 0);
    std::vector<float> v = e.to_vector<float>(), y;
    const auto n = size_t(x.dim(-1));
    for (size_t row = 0; row < v.size(); row += n) {
      float total = 0;
      for (size_t i = 0; i < n; ++i) total += v[row + i];
      for (size_t i = 0; i < n; ++i) y.push_back(std::floor(v[row + i] * (1 / (total * at.scale)) + 0.5f) + float(at.zero));
    }
    return cast(clamp(Tensor::of<float>(x.shape(), y), double(at.lo), double(at.hi)), at.dtype);
  });
}

// 2^31 times the multiplier as a whole number, products in 128 bits.
TEST(Exact, FixedPointRoundsTheProductAndThenTheShift) {
  Generator r(3);
  for (int k = 0; k < 200000; ++k) {
    const auto x = int32_t(r.below(uint64_t{1} << 32) - (uint64_t{1} << 31)) >> (k % 24);
    const auto m = int32_t((int64_t{1} << 30) + int64_t(r.below(uint64_t{1} << 30)));
    const auto shift = int32_t(r.below(40)) - 31;
    if (shift > 0 && std::abs(int64_t{x}) >= int64_t{1} << (31 - shift)) continue;
    const int64_t product = (int64_t{x} << std::max(shift, 0)) * m;
    const int64_t high = (product + (int64_t{1} << 30)) >> 31;                        // halves up
    const int64_t half = shift < 0 ? int64_t{1} << (-shift - 1) : 0, magnitude = shift < 0 ? (std::abs(high) + half) >> -shift : std::abs(high);
    ASSERT_EQ(multiplied(x, m, shift), high < 0 ? -magnitude : magnitude) << x << " " << m << " " << shift;
    if (shift > 30) continue;
    const int64_t once = (int64_t{x} * m + (int64_t{1} << (30 - shift))) >> (31 - shift);
    ASSERT_EQ(multiplied_once(x, m, shift), std::clamp<int64_t>(once, INT32_MIN, INT32_MAX)) << x << " " << m << " " << shift;
  }
}

// What no converter writes and a damaged file may hold.
TEST(Exact, SaturatesWhereNumbersLeaveTheirTypes) {
  auto stays = [](const OpDef& op, Sample s, int64_t lo, int64_t hi) {
    for (int32_t v : cast(computed(op, s), DType::i32).to_vector<int32_t>()) ASSERT_TRUE(lo <= v && v <= hi) << op.name << " " << v;
  };
  auto all = [](int32_t v) { return Tensor::full({3}, double(v), DType::i32); };
  for (Sample s : exact_pair_op.samples())
    for (int32_t multiplier : {INT32_MAX, INT32_MIN})
      for (int32_t shift : {31, INT32_MAX, INT32_MIN}) {
        s.in[2] = all(multiplier);
        s.in[3] = all(shift);
        stays(exact_pair_op, s, -100, 127);
      }
  Sample s = exact_softmax_op.samples()[0];
  for (float v : {std::numeric_limits<float>::quiet_NaN(), infinity, -infinity, 0.0f, 1e38f, 1e-45f}) {
    s.in[1] = Tensor::full({256}, double(v));
    stays(exact_softmax_op, s, -128, 127);
  }
}

TEST(Exact, RefusesWhatItCannotCompute) {
  Sample s = exact_conv2d_op.samples()[0];
  auto refused = [&](const OpDef& op, Sample given) { return error_of([&] { computed(op, given); }); };
  Sample floats = s, bias = s, scales = s;
  floats.in[0] = cast(s.in[0], DType::f32);
  bias.in[4] = cast(s.in[4], DType::i64);
  scales.in[3] = slice(s.in[3], 0, 0, 2).clone();
  EXPECT_NE(refused(exact_conv2d_op, floats).find("int8 or uint8 operands"), std::string::npos);
  EXPECT_NE(refused(exact_conv2d_op, bias).find("a bias"), std::string::npos);
  EXPECT_NE(refused(exact_conv2d_op, scales).find("multipliers and shifts"), std::string::npos);
  Sample pair = exact_pair_op.samples()[0];
  auto at = std::make_shared<ExactPairAttrs>(*static_cast<const ExactPairAttrs*>(pair.attrs.get()));
  at->function = "div";
  EXPECT_NE(refused(exact_pair_op, {pair.in, at}).find("add, sub, mul or prelu"), std::string::npos);
}

}  // namespace
}  // namespace miniten
