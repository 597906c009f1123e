#include <cmath>
#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/conv_geometry.h"
#include "ops/loops.h"
#include "ops/quantized/exact.h"

namespace miniten {

// What LiteRT's reference kernels compute of bytes beside products: sums and products of two, means of windows, softmax, and
// the rounding of floats.
namespace {

// int8, uint8 or int16, whichever a tensor holds.
class Integers {
 public:
  explicit Integers(const View& v) : data_(v.data), wide_(v.spec.dtype == DType::i16), flip_(v.spec.dtype == DType::i8 ? 128 : 0) {}
  int32_t get(int64_t i) const { return wide_ ? reinterpret_cast<const int16_t*>(data_)[i] : (int32_t(data_[i]) ^ flip_) - flip_; }
  void set(int64_t i, int64_t v) const { wide_ ? void(reinterpret_cast<int16_t*>(data_)[i] = int16_t(v)) : void(data_[i] = std::byte(uint8_t(v))); }

 private:
  std::byte* data_;
  bool wide_;
  int32_t flip_;
};

struct Scale {
  int32_t multiplier, shift;
  int32_t operator()(int32_t x) const { return multiplied(x, multiplier, shift); }
};
void pair_eval(const Context& c) {
  const auto& at = c.as<ExactPairAttrs>();
  auto scale = [&](int i) { return Scale{c.in[2].as<int32_t>()[i], c.in[3].as<int32_t>()[i]}; };
  const Scale of_a = scale(0), of_b = scale(1), of_y = scale(2);
  constexpr int32_t left = 1 << 20;
  const int sign = at.function == "add" ? 1 : at.function == "sub" ? -1 : 0;
  const bool product = at.function == "mul";
  const Integers a(c.in[0]), b(c.in[1]), y(c.out[0]);
  View operands[] = {c.out[0], c.in[0], c.in[1]};
  ElementLoop(c.out[0].shape(), operands).run(c, [&](const int64_t* o, const int64_t* step, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
      const int32_t p = a.get(o[1] + i * step[1]) - int32_t(at.a_zero), q = b.get(o[2] + i * step[2]) - int32_t(at.b_zero);
      const int32_t v = sign ? of_y(saturated(int64_t{of_a(p * left)} + sign * int64_t{of_b(q * left)})) : product || p < 0 ? of_y(p * q) : of_a(p);
      y.set(o[0] + i * step[0], placed(v, at.y_zero, at.lo, at.hi));
    }
  });
}

Shape pooled(const Call& c) {
  const auto& at = c.as<ExactAvgPool2dAttrs>();
  Pool2dAttrs same{.kernel = at.kernel, .stride = at.stride, .padding = at.padding, .count_include_pad = false};     // the float op owns the rules of windows
  Spec x{DType::f32, c.in[0].shape};
  Specs out;
  infer_outputs(avg_pool2d_op, &same, {&x, 1}, out);
  return out.at[0].shape;
}
void pool_eval(const Context& c) {
  const auto& at = c.as<ExactAvgPool2dAttrs>();
  const Shape &in = c.in[0].shape(), &out = c.out[0].shape();
  const int64_t channels = in[1];
  const Integers x(c.in[0]), y(c.out[0]);
  auto [begin, end] = c.slice(out[0] * out[2]);
  for (int64_t row = begin; row < end; ++row)
    for (int64_t q = 0; q < out[3]; ++q) {
      const int64_t top = row % out[2] * at.stride[0] - at.padding[0], left = q * at.stride[1] - at.padding[1];
      const int64_t h0 = std::max<int64_t>(top, 0), h1 = std::min(top + at.kernel[0], in[2]), w0 = std::max<int64_t>(left, 0), w1 = std::min(left + at.kernel[1], in[3]);
      const int64_t count = std::max<int64_t>((h1 - h0) * (w1 - w0), 1);
      for (int64_t k = 0; k < channels; ++k) {
        int64_t sum = 0;
        for (int64_t h = h0; h < h1; ++h) for (int64_t w = w0; w < w1; ++w) sum += x.get(((row / out[2] * in[2] + h) * in[3] + w) * channels + k);
        y.set((row * out[3] + q) * channels + k, std::clamp((sum + (sum > 0 ? count / 2 : -(count / 2))) / count, at.lo, at.hi));
      }
    }
}

// e = table[greatest - x], summed one after the other.
void softmax_eval(const Context& c) {
  const auto& at = c.as<ExactScaleAttrs>();
  const float* table = c.in[1].f32();
  const Integers x(c.in[0]), y(c.out[0]);
  const int64_t n = c.in[0].shape()[-1];
  auto [begin, end] = c.slice(c.in[0].shape().count() / std::max<int64_t>(n, 1));
  for (int64_t first = begin * n; first < end * n; first += n) {
    int32_t greatest = x.get(first);
    for (int64_t i = 1; i < n; ++i) greatest = std::max(greatest, x.get(first + i));
    float total = 0;
    for (int64_t i = 0; i < n; ++i) total += table[greatest - x.get(first + i)];
    const float inverse = 1.0f / (total * at.scale);
    for (int64_t i = 0; i < n; ++i) {
      const float product = table[greatest - x.get(first + i)] * inverse;
      const int64_t whole = product > 0 ? int64_t(std::min(product, 1e9f) + 0.5f) : 0;      // 0 of what is no number
      y.set(first + i, std::clamp(whole + at.zero, at.lo, at.hi));
    }
  }
}

void quantize_eval(const Context& c) {
  const auto& at = c.as<ExactScaleAttrs>();
  const Integers y(c.out[0]);
  View operands[] = {c.out[0], c.in[0]};
  ElementLoop(c.out[0].shape(), operands).run(c, [&](const int64_t* o, const int64_t* step, int64_t n) {
    const float* x = c.in[0].f32() + o[1];
    for (int64_t i = 0; i < n; ++i) {
      const float v = x[i * step[1]] / at.scale;
      const int64_t whole = std::isnan(v) ? 0 : int64_t(std::round(std::clamp(v, -1e9f, 1e9f)));
      y.set(o[0] + i * step[0], std::clamp(whole + at.zero, at.lo, at.hi));
    }
  });
}

}  // namespace

constinit const OpDef exact_pair_op{.name = "exact_pair", .doc = "a sum, difference or product of bytes, or prelu of a by b, in fixed point: a, b, multiplier, shift", .min_inputs = 4, .max_inputs = 4,
    .infer = [](const Call& c, Specs& out) {
      const auto& at = c.as<ExactPairAttrs>();
      const DType t = c.in[0].dtype;
      if (!is_byte(t) || c.in[1].dtype != t || at.dtype != t) c.fail("two inputs and an output of int8 or of uint8", c.in[0].text() + " and " + c.in[1].text(), "", ErrorKind::type);
      if (at.function != "add" && at.function != "sub" && at.function != "mul" && at.function != "prelu") c.fail("function add, sub, mul or prelu", "\"" + at.function + "\"");
      for (int64_t z : {at.a_zero, at.b_zero}) check_zero(c, "zero points", z, t);
      check_exact_output(c, at.dtype, at.y_zero, at.lo, at.hi);
      check_fixed_point(c, 2, 3, false);
      out.push({t, broadcast(c.op.name, c.in[0].shape, c.in[1].shape)});
    },
    .eval = pair_eval, .work = elementwise_work, .cost = [](const Call& c) { return Cost{0, 8 * c.out[0].shape.count()}; },
    .samples = []() -> std::vector<Sample> {
      std::vector<Sample> all;
      for (const char* f : {"add", "sub", "mul", "prelu"}) {
        auto at = std::make_shared<ExactPairAttrs>(ExactPairAttrs{f, 3, -4, 9, -100, 127});
        const bool sums = at->function == "add" || at->function == "sub";
        Tensor m = Tensor::of<int32_t>({3}, std::vector<int32_t>{1073741824, 1417339208, 2000000000}), s = Tensor::of<int32_t>({3}, std::vector<int32_t>{0, sums ? -1 : 0, sums ? -18 : -7});
        all.push_back({{integers({2, 3, 4}, -128, 127, DType::i8), integers({2, 3, 4}, 127, -128, DType::i8), m, s}, at});
        all.push_back({{integers({2, 3, 4}, -128, 127, DType::i8), integers({3, 1}, 100, -100, DType::i8), m, s}, at});
      }
      return all;
    },
    .traits = {.pointwise = true, .stops_gradient = true, .dense = 12}, .c = {"exact_pair", 0, &c::exact_pair}, .attrs = codec<ExactPairAttrs>};

constinit const OpDef exact_avg_pool2d_op{.name = "exact_avg_pool2d", .doc = "mean of the integers in each window, halves away from 0",
    .infer = [](const Call& c, Specs& out) {
      const auto& at = c.as<ExactAvgPool2dAttrs>();
      const DType t = c.in[0].dtype;
      if (!is_activation(t)) c.fail("int8, uint8 or int16 input", c.in[0].text(), "", ErrorKind::type);
      check_exact_output(c, t, 0, at.lo, at.hi);
      out.push({t, pooled(c)});
    },
    .eval = pool_eval, .work = [](const Call& c) { return Work{.pieces = std::min(pieces_for(c.in[0].shape.count()), int(std::max<int64_t>(c.out[0].shape[0] * c.out[0].shape[2], 1)))}; },
    .cost = [](const Call& c) { const auto& at = c.as<ExactAvgPool2dAttrs>(); return Cost{0, c.out[0].shape.count() * (at.kernel[0] * at.kernel[1] + 2)}; },
    .samples = []() -> std::vector<Sample> {
      auto at = std::make_shared<ExactAvgPool2dAttrs>(ExactAvgPool2dAttrs{{3, 2}, {2, 1}, {1, 0, 1, 1}, -90, 80}), whole = std::make_shared<ExactAvgPool2dAttrs>(ExactAvgPool2dAttrs{{4, 5}, {4, 5}});
      return {{{integers({2, 3, 6, 5}, -128, 127, DType::i8)}, at}, {{integers({1, 4, 4, 5}, 127, -128, DType::i8)}, whole}};
    },
    .traits = {.stops_gradient = true, .channels_last = 1, .out = Layout::channels_last}, .c = {"exact_avg_pool2d", 0, &c::exact_avg_pool2d}, .attrs = codec<ExactAvgPool2dAttrs>};

constinit const OpDef exact_softmax_op{.name = "exact_softmax", .doc = "softmax of bytes along the last axis: x, exp by the distance from the greatest", .min_inputs = 2, .max_inputs = 2,
    .infer = [](const Call& c, Specs& out) {
      const auto& at = c.as<ExactScaleAttrs>();
      if (!is_byte(c.in[0].dtype) || c.in[0].shape.rank < 1 || c.in[0].shape[-1] == 0) c.fail("rows of int8 or uint8", c.in[0].text(), "", ErrorKind::type);
      if (c.in[1] != Spec{DType::f32, {256}}) c.fail("a table float32(256,)", c.in[1].text());
      check_scale(c, "scale", at.scale);
      check_exact_output(c, at.dtype, at.zero, at.lo, at.hi);
      out.push({at.dtype, c.in[0].shape});
    },
    .eval = softmax_eval, .work = [](const Call& c) { return Work{.pieces = pieces_for(c.in[0].shape.count() * 4)}; }, .cost = [](const Call& c) { return Cost{0, 6 * c.in[0].shape.count()}; },
    .samples = []() -> std::vector<Sample> {
      std::vector<float> table;
      for (int i = 0; i < 256; ++i) table.push_back(std::exp(-0.07f * float(i)));
      return {{{integers({3, 7}, -128, 127, DType::i8), Tensor::of<float>({256}, table)}, std::make_shared<ExactScaleAttrs>(ExactScaleAttrs{1.0f / 256, -128, -128, 127})}};
    },
    .traits = {.stops_gradient = true, .dense = 3, .out = Layout::dense}, .c = {"exact_softmax", 0, &c::exact_softmax}, .attrs = codec<ExactScaleAttrs>};

constinit const OpDef exact_quantize_op{.name = "exact_quantize", .doc = "integers nearest to x / scale, halves away from 0, + zero",
    .infer = [](const Call& c, Specs& out) {
      const auto& at = c.as<ExactScaleAttrs>();
      if (c.in[0].dtype != DType::f32) c.fail("float32", c.in[0].text(), "convert with cast first", ErrorKind::type);
      check_scale(c, "scale", at.scale);
      check_exact_output(c, at.dtype, at.zero, at.lo, at.hi);
      out.push({at.dtype, c.in[0].shape});
    },
    .eval = quantize_eval, .work = elementwise_work, .cost = [](const Call& c) { return Cost{0, 2 * c.in[0].shape.count()}; },
    .samples = []() -> std::vector<Sample> { return {{{sample_values({3, 5})}, std::make_shared<ExactScaleAttrs>(ExactScaleAttrs{0.02f, 3, -128, 60})}}; },
    .traits = {.pointwise = true, .stops_gradient = true}, .c = {"exact_quantize", 0, &c::exact_quantize}, .attrs = codec<ExactScaleAttrs>};

}  // namespace miniten
