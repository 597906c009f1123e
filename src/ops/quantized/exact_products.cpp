#include "base/allocate.h"
#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/conv_geometry.h"
#include "ops/loops.h"
#include "ops/quantized/exact.h"

namespace miniten {

// Convolutions and matrix products of bytes whose sums are requantised in fixed point, as LiteRT's reference kernels do it.
namespace {

// Sums of so many products of bytes fit int32; longer ones are taken in parts.
constexpr int64_t part = 32768;
template <class T> int64_t dot_of(const int16_t* x, const T* w, int64_t w_step, int64_t n) {
  int64_t total = 0;
  for (int64_t first = 0; first < n; first += part) {
    const int64_t m = std::min(part, n - first);
    int32_t sum = 0;
    if (w_step == 1) for (int64_t i = 0; i < m; ++i) sum += x[first + i] * w[first + i];
    else for (int64_t i = 0; i < m; ++i) sum += x[first + i] * w[(first + i) * w_step];
    total += sum;
  }
  return total;
}
int64_t sum_of(const int16_t* x, int64_t n) {
  int64_t sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += x[i];
  return sum;
}
void centre(const std::byte* x, DType t, int64_t step, int64_t n, int64_t zero, int16_t* to) {
  auto run = [&](auto* from) { for (int64_t i = 0; i < n; ++i) to[i] = int16_t(from[i * step] - zero); };
  t == DType::i8 ? run(reinterpret_cast<const int8_t*>(x)) : run(reinterpret_cast<const uint8_t*>(x));
}
// Of weights by their type.
template <class F> auto by_type(const View& w, F f) { return w.spec.dtype == DType::i8 ? f(w.as<int8_t>()) : f(w.as<uint8_t>()); }

// What follows a sum of output channel o.
struct Finish {
  const int32_t *multiplier, *shift, *bias;
  int64_t step, zero, lo, hi;
  bool once;
  template <class A> Finish(const Context& c, const A& at, bool rounds_once)
      : multiplier(c.in[2].as<int32_t>()), shift(c.in[3].as<int32_t>()), bias(c.in.size() > 4 ? c.in[4].as<int32_t>() : nullptr), step(c.in[2].shape()[0] > 1), zero(at.y_zero), lo(at.lo), hi(at.hi),
        once(rounds_once) {}
  std::byte operator()(int64_t o, int64_t sum) const {
    const int32_t v = saturated(sum + (bias ? bias[o] : 0)), m = multiplier[o * step], s = shift[o * step];
    return std::byte(uint8_t(placed(once ? multiplied_once(v, m, s) : multiplied(v, m, s), zero, lo, hi)));
  }
};
template <class A> void check_products(const Call& c, const A& at, int64_t x_zero, int64_t w_zero, Dim channels) {
  for (size_t i : {0, 1}) if (!is_byte(c.in[i].dtype)) c.fail("int8 or uint8 operands", c.in[i].text(), "", ErrorKind::type);
  check_zero(c, "the first zero point", x_zero, c.in[0].dtype);
  check_zero(c, "the second zero point", w_zero, c.in[1].dtype);
  check_exact_output(c, at.dtype, at.y_zero, at.lo, at.hi);
  check_fixed_point(c, 2, channels);
  if (c.in.size() > 4 && c.in[4] != Spec{DType::i32, {channels}}) c.fail("a bias " + Spec{DType::i32, {channels}}.text(), c.in[4].text());
}

ConvGeometry geometry(const Call& c) { return conv_geometry(c.in[0].shape, c.in[1].shape, c.out[0].shape, c.as<ExactConv2dAttrs>()); }
ConvGeometry spread_geometry(const Call& c) { return conv_geometry(c.out[0].shape, c.in[1].shape, c.in[0].shape, c.as<ExactConv2dAttrs>()); }
int pieces_of(int64_t macs, int64_t rows) { return even_pieces(std::min(macs / 1048576, rows)); }

void conv_eval(const Context& c) {
  const auto& at = c.as<ExactConv2dAttrs>();
  const ConvGeometry g = conv_geometry(c.in[0].shape(), c.in[1].shape(), c.out[0].shape(), at);
  const Finish finish(c, at, false);
  const int64_t n = g.c_group(), taps = g.r * g.s;
  auto* window = reinterpret_cast<int16_t*>(c.scratch);                   // of all groups, tap by tap
  auto [begin, end] = c.slice(g.n * g.p);
  for (int64_t row = begin; row < end; ++row)
    for (int64_t q = 0; q < g.q; ++q) {
      for (int64_t t = 0; t < taps; ++t) {
        const int64_t h = row % g.p * g.stride_h - g.top + t / g.s * g.dilation_h, w = q * g.stride_w - g.left + t % g.s * g.dilation_w;
        int16_t* to = window + t * g.c;
        if (h < 0 || h >= g.h || w < 0 || w >= g.w) std::fill_n(to, g.c, int16_t{0});
        else centre(c.in[0].data + ((row / g.p * g.h + h) * g.w + w) * g.c, c.in[0].spec.dtype, 1, g.c, at.x_zero, to);
      }
      auto* y = c.out[0].data + (row * g.q + q) * g.o;
      by_type(c.in[1], [&](auto* weight) {
        for (int64_t o = 0; o < g.o; ++o) {
          const auto* w = weight + o * taps * n;
          const int16_t* x = window + o / g.o_group() * n;
          int64_t sum = 0;
          if (g.groups == 1) sum = dot_of(x, w, 1, taps * n) - (at.w_zero ? at.w_zero * sum_of(x, taps * n) : 0);
          else for (int64_t t = 0; t < taps; ++t) sum += dot_of(x + t * g.c, w + t * n, 1, n) - (at.w_zero ? at.w_zero * sum_of(x + t * g.c, n) : 0);
          y[o] = finish(o, sum);
        }
      });
    }
}

// x (n, o, p, q) spread over y (n, c, h, w): each output gathers what reaches it.
void spread_eval(const Context& c) {
  const auto& at = c.as<ExactConv2dAttrs>();
  const ConvGeometry g = conv_geometry(c.out[0].shape(), c.in[1].shape(), c.in[0].shape(), at);
  const Finish finish(c, at, false);
  auto* x = reinterpret_cast<int16_t*>(c.scratch);
  auto* sums = reinterpret_cast<int64_t*>(c.scratch + aligned(uint64_t(g.o) * 2));
  auto [begin, end] = c.slice(g.n * g.h);
  for (int64_t row = begin; row < end; ++row)
    for (int64_t left = 0; left < g.w; ++left) {
      std::fill_n(sums, g.c, int64_t{0});
      for (int64_t t = 0; t < g.r * g.s; ++t) {
        const int64_t h = row % g.h + g.top - t / g.s, w = left + g.left - t % g.s;
        if (h < 0 || w < 0 || h % g.stride_h || w % g.stride_w || h / g.stride_h >= g.p || w / g.stride_w >= g.q) continue;
        centre(c.in[0].data + ((row / g.h * g.p + h / g.stride_h) * g.q + w / g.stride_w) * g.o, c.in[0].spec.dtype, 1, g.o, at.x_zero, x);
        const int64_t moved = at.w_zero ? at.w_zero * sum_of(x, g.o) : 0;
        by_type(c.in[1], [&](auto* weight) {
          for (int64_t k = 0; k < g.c; ++k) sums[k] += dot_of(x, weight + t * g.c + k, g.r * g.s * g.c, g.o) - moved;
        });
      }
      for (int64_t k = 0; k < g.c; ++k) c.out[0].data[(row * g.w + left) * g.c + k] = finish(k, sums[k]);
    }
}

// a (.., m, k) times b (.., n, k), whose rows are the columns of the product.
void matmul_eval(const Context& c) {
  const auto& at = c.as<ExactMatmulAttrs>();
  const Finish finish(c, at, at.once);
  const View &a = c.in[0], &b = c.in[1];
  const Shape& y = c.out[0].shape();
  const int64_t m = y[-2], n = y[-1], k = a.shape()[-1];
  auto* x = reinterpret_cast<int16_t*>(c.scratch);
  auto offset = [&](const View& v, int64_t batch) {
    int64_t to = 0;
    for (int i = 3; i <= y.rank; batch /= y[-i], ++i) if (i <= v.shape().rank && v.shape()[-i] != 1) to += batch % y[-i] * v.strides[-i];
    return to;
  };
  auto [begin, end] = c.slice(y.count() / std::max<int64_t>(n, 1));
  for (int64_t row = begin; row < end; ++row) {
    centre(a.data + offset(a, row / m) + row % m * a.strides[-2], a.spec.dtype, a.strides[-1], k, at.a_zero, x);
    const int64_t moved = at.b_zero ? at.b_zero * sum_of(x, k) : 0;
    by_type(b, [&](auto* weight) {
      const auto* w = weight + offset(b, row / m);
      for (int64_t j = 0; j < n; ++j) c.out[0].data[row * n + j] = finish(j, dot_of(x, w + j * b.strides[-2], b.strides[-1], k) - moved);
    });
  }
}

std::vector<Sample> conv_samples(bool spread) {
  auto sample = [&](Shape x, Shape w, int64_t groups, Dims stride, Dims padding, Shape extent, DType t, bool one) {
    auto at = std::make_shared<ExactConv2dAttrs>();
    at->groups = groups;
    at->stride = stride;
    at->padding = padding;
    at->extent = extent;
    const bool bytes = t == DType::u8;
    at->x_zero = bytes ? 120 : -5;
    at->w_zero = bytes ? 130 : 0;
    at->y_zero = bytes ? 100 : 7;
    at->dtype = t;
    at->lo = bytes ? 90 : -128;
    at->hi = bytes ? 255 : 90;
    const int64_t channels = w[spread ? 1 : 0], n = one ? 1 : channels;
    return Sample{{integers(x, bytes ? 0 : -128, bytes ? 255 : 127, t), integers(w, bytes ? 0 : -127, bytes ? 255 : 127, t), integers({n}, 1.1e9f, 2.1e9f, DType::i32), integers({n}, -12, -8, DType::i32),
                   integers({channels}, -900, 900, DType::i32)}, at};
  };
  if (spread) return {sample({2, 3, 4, 3}, {3, 2, 3, 3}, 1, {2, 2}, {0, 1, 1, 0}, {8, 6}, DType::i8, false), sample({1, 2, 3, 3}, {2, 4, 2, 2}, 1, {1, 1}, {0, 0, 0, 0}, {4, 4}, DType::u8, true)};
  return {sample({2, 3, 6, 5}, {4, 3, 3, 3}, 1, {1, 1}, {1, 1, 1, 1}, {}, DType::i8, false), sample({1, 8, 5, 4}, {8, 1, 3, 3}, 8, {2, 1}, {1, 0, 1, 1}, {}, DType::i8, true),
          sample({2, 4, 4, 4}, {6, 2, 2, 2}, 2, {1, 2}, {0, 0, 0, 0}, {}, DType::u8, false), sample({1, 16, 3, 3}, {5, 16, 1, 1}, 1, {1, 1}, {0, 0, 0, 0}, {}, DType::i8, false)};
}

}  // namespace

constinit const OpDef exact_conv2d_op{.name = "exact_conv2d", .doc = "convolution of bytes, requantised in fixed point: x, w, multiplier, shift, bias", .min_inputs = 4, .max_inputs = 5,
    .infer = [](const Call& c, Specs& out) {
      const auto& at = c.as<ExactConv2dAttrs>();
      Shape y = conv_output(c, c.in[0].shape, c.in[1].shape, at);
      check_products(c, at, at.x_zero, at.w_zero, y[1]);
      out.push({at.dtype, y});
    },
    .eval = conv_eval,
    .work = [](const Call& c) { ConvGeometry g = geometry(c); return Work{.pieces = pieces_of(g.macs(), g.n * g.p), .scratch = uint64_t(g.r * g.s * g.c) * sizeof(int16_t)}; },
    .cost = [](const Call& c) { return Cost{geometry(c).macs(), 4 * c.out[0].shape.count()}; }, .samples = [] { return conv_samples(false); },
    .traits = {.stops_gradient = true, .dense = 0b11100, .channels_last = 3, .out = Layout::channels_last, .weights = 2, .channel_axis = 0}, .c = {"exact_conv2d", 0, &c::exact_conv2d}, .attrs = codec<ExactConv2dAttrs>};

constinit const OpDef exact_conv2d_input_op{.name = "exact_conv2d_input", .doc = "transposed convolution of bytes, requantised in fixed point: x, w, multiplier, shift, bias", .min_inputs = 4, .max_inputs = 5,
    .infer = [](const Call& c, Specs& out) {
      const auto& at = c.as<ExactConv2dAttrs>();
      const Shape &x = c.in[0].shape, &w = c.in[1].shape;
      if (x.rank != 4 || w.rank != 4 || at.extent.rank != 2 || at.groups != 1 || at.dilation != Dims{1, 1}) c.fail("4-D operands, an extent (H, W), one group and no dilation", x.text() + ", " + w.text() + " and " + at.extent.text());
      Shape y{x[0], w[1], at.extent[0], at.extent[1]};
      if (Shape expected = conv_output(c, y, w, at); expected != x) c.fail("an input of shape " + expected.text(), x.text());
      check_products(c, at, at.x_zero, at.w_zero, y[1]);
      out.push({at.dtype, y});
    },
    .eval = spread_eval,
    .work = [](const Call& c) { ConvGeometry g = spread_geometry(c); return Work{.pieces = pieces_of(g.macs(), g.n * g.h), .scratch = aligned(uint64_t(g.o) * 2) + uint64_t(g.c) * sizeof(int64_t)}; },
    .cost = [](const Call& c) { return Cost{spread_geometry(c).macs(), 4 * c.out[0].shape.count()}; }, .samples = [] { return conv_samples(true); },
    .traits = {.stops_gradient = true, .dense = 0b11100, .channels_last = 3, .out = Layout::channels_last, .weights = 2, .channel_axis = 1}, .c = {"exact_conv2d_input", 0, &c::exact_conv2d_input}, .attrs = codec<ExactConv2dAttrs>};

constinit const OpDef exact_matmul_op{.name = "exact_matmul", .doc = "a times the transpose of b, of bytes, requantised in fixed point: a, b, multiplier, shift, bias", .min_inputs = 4, .max_inputs = 5,
    .infer = [](const Call& c, Specs& out) {
      const auto& at = c.as<ExactMatmulAttrs>();
      const Shape &a = c.in[0].shape, &b = c.in[1].shape;
      if (a.rank < 2 || b.rank < 2 || a[-1] != b[-1]) c.fail("a (.., m, k) and b (.., n, k)", a.text() + " and " + b.text());
      check_products(c, at, at.a_zero, at.b_zero, b[-2]);
      Shape outer = a, other = b;
      outer.rank -= 2;
      other.rank -= 2;
      Shape y = broadcast(c.op.name, outer, other);
      y.push(a[-2]);
      y.push(b[-2]);
      out.push({at.dtype, y});
    },
    .eval = matmul_eval,
    .work = [](const Call& c) { const Shape& y = c.out[0].shape; const int64_t k = c.in[0].shape[-1]; return Work{.pieces = pieces_of(y.count() * k, y.count() / std::max<int64_t>(y[-1], 1)), .scratch = uint64_t(k) * sizeof(int16_t)}; },
    .cost = [](const Call& c) { return Cost{c.out[0].shape.count() * c.in[0].shape[-1], 4 * c.out[0].shape.count()}; },
    .samples = []() -> std::vector<Sample> {
      auto at = std::make_shared<ExactMatmulAttrs>(ExactMatmulAttrs{3, -4, 9, -128, 127}), once = std::make_shared<ExactMatmulAttrs>(ExactMatmulAttrs{.a_zero = 3, .y_zero = -2, .lo = -50, .hi = 127, .once = true});
      auto bytes = [](const Shape& s) { return integers(s, -128, 127, DType::i8); };
      auto number = [](float v) { return integers({1}, v, v, DType::i32); };
      return {{{bytes({2, 1, 3, 4}), bytes({3, 2, 4}), number(1417339208), number(-9)}, at}, {{bytes({3, 4}), transpose(bytes({4, 5})), number(1417339208), number(-10)}, at},
              {{bytes({3, 40}), bytes({3, 40}), Tensor::of<int32_t>({3}, std::vector<int32_t>{1417339208, 2000000000, 1073741824}), Tensor::of<int32_t>({3}, std::vector<int32_t>{-9, -10, -8}), integers({3}, -900, 900, DType::i32)}, once}};
    },
    .traits = {.stops_gradient = true, .dense = 0b11101, .out = Layout::dense, .weights = 2, .channel_axis = 0}, .c = {"exact_matmul", 0, &c::exact_matmul}, .attrs = codec<ExactMatmulAttrs>};

}  // namespace miniten
