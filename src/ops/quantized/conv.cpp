#include "base/allocate.h"
#include "kernels/qdepthwise.h"
#include "kernels/qgemm.h"
#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/conv_geometry.h"
#include "ops/loops.h"
#include "ops/onnx_rules.h"
#include "ops/quantized/checks.h"
#include "ops/quantized/sparse.h"
#include "ops/tflite_write.h"
#include "ops/quantized/conv16.h"

namespace miniten {

namespace {

// How a convolution of bytes is laid out: a padded copy of the input but for depthwise ones, packed weights, one multiplier per channel.
struct Parts {
  ConvGeometry g;
  bool runs;                                       // a kernel row is one contiguous segment
  int64_t segment;
  bool copied;                                     // padded, or read a little past its segments
  uint64_t input_bytes, group_bytes, weight_bytes, multiplier_bytes;
  explicit Parts(const ConvGeometry& geometry) : g(geometry) {
    runs = g.groups == 1 && g.dilation_w == 1;
    segment = runs ? g.s * g.c : g.c_group();
    copied = !g.is_depthwise() && (g.is_padded() || segment % 4 != 0);
    input_bytes = copied ? aligned(uint64_t(g.n * g.padded_h() * g.padded_w() * g.c) + 16) : 0;
    group_bytes = g.is_depthwise() ? 0 : aligned(kernels::qgemm_packed_bytes(g.taps() / std::max<int64_t>(segment, 1), segment, g.o_group()));
    weight_bytes = g.is_depthwise() ? aligned(uint64_t(g.r * g.s * g.c)) : group_bytes * uint64_t(g.groups);
    multiplier_bytes = aligned(uint64_t(g.o) * sizeof(float));
  }
  kernels::QGemmShape shape(int64_t rows) const {    // of that many output rows
    int64_t row = g.padded_w() * g.c;
    return {.rows = rows, .cols = g.q, .n = g.o_group(), .a_row = g.stride_h * row, .a_col = g.stride_w * g.c, .c_row = g.q * g.o, .c_col = g.o,
            .outer = runs ? 1 : g.r, .outer_stride = g.dilation_h * row, .inner = runs ? g.r : g.s, .inner_stride = runs ? g.dilation_h * row : g.dilation_w * g.c,
            .segment = segment};
  }
  ByteCut cut() const {
    if (g.is_depthwise()) return ByteCut(8 * g.macs(), g.n * g.p, 0, 0);
    return ByteCut(g.macs(), g.n * g.p, g.groups == 1 ? g.o : 0, weight_bytes);
  }
};

void pack(const Parts& p, const int8_t* w, std::byte* to) {            // w: (o, r, s, c / groups) in memory
  const ConvGeometry& g = p.g;
  if (g.is_depthwise()) {
    auto* taps = reinterpret_cast<int8_t*>(to);
    for (int64_t i = 0; i < g.r * g.s; ++i)
      for (int64_t o = 0; o < g.c; ++o) taps[i * g.c + o] = w[o * g.r * g.s + i];
    return;
  }
  for (int64_t k = 0; k < g.groups; ++k)
    kernels::qgemm_pack(w + k * g.o_group() * g.taps(), g.taps() / std::max<int64_t>(p.segment, 1), p.segment, g.o_group(), p.segment, 1, g.taps(),
                        to + uint64_t(k) * p.group_bytes);
}

// c's piece. Gemm and Depthwise are called with shape, input, weights, the first output channel, output row.
template <class Gemm, class Depthwise>
void convolve(const Context& c, const Parts& parts, const uint8_t* x, const std::byte* weights, bool by_image, Gemm gemm, Depthwise depthwise) {
  const ConvGeometry& g = parts.g;
  auto [begin, end] = std::pair<int64_t, int64_t>(0, g.n * g.p);
  auto [first, last] = std::pair<int64_t, int64_t>(0, g.o_group());
  if (parts.cut().columns && !(c.prepared && form_of(c.prepared).sparse)) std::tie(first, last) = c.slice(g.o, 32);
  else std::tie(begin, end) = c.slice(g.n * g.p);
  if (last <= first) return;
  int64_t row = g.padded_w() * g.c, image = g.padded_h() * row;
  bool pointwise = g.r == 1 && g.s == 1 && g.stride_h == 1 && g.stride_w == 1 && g.groups == 1;
  for (int64_t i = begin; i < end;) {
    int64_t p = i % g.p, rows = pointwise && !by_image ? end - i : std::min(end - i, g.p - p);
    if (g.is_depthwise()) {
      depthwise(kernels::QDepthwiseShape{.channels = g.c, .out_h = rows, .out_w = g.q, .kernel_h = g.r, .kernel_w = g.s, .stride_h = g.stride_h,
                                         .stride_w = g.stride_w, .dilation_h = g.dilation_h, .dilation_w = g.dilation_w, .x_row = g.w * g.c,
                                         .x_col = g.c, .y_row = g.q * g.c, .y_col = g.c, .in_h = g.h, .in_w = g.w, .top = g.top - p * g.stride_h, .left = g.left},
                x + i / g.p * g.h * g.w * g.c, reinterpret_cast<const int8_t*>(weights), i);
    } else {
      const uint8_t* from = x + i / g.p * image + p * g.stride_h * row;
      kernels::QGemmShape s = parts.shape(rows);
      if (pointwise) { s.cols *= rows; s.rows = 1; }
      s.packed_n = s.n;
      s.first = first;
      s.n = last - first;
      for (int64_t k = 0; k < g.groups; ++k) gemm(s, from + k * g.c_group(), weights + uint64_t(k) * parts.group_bytes, k * g.o_group() + first, i);
    }
    i += rows;
  }
}

// What prepare writes: a header, then the weights in either form. -> bytes of both
uint64_t prepare_weights(const Parts& p, const int8_t* w, std::byte* to) {
  auto dense = [&](std::byte* at) { pack(p, w, at); };
  return pack_form(p.g.groups == 1 ? p.shape(1) : kernels::QGemmShape{.n = 0}, {reinterpret_cast<const std::byte*>(w), p.g.o * p.g.taps(), true, 0, 0, p.g.n * p.g.p * p.g.q},
                   p.weight_bytes, dense, to);
}

// Is the padded copy unsigned where the input is not?
bool flips_input(const Context& c, const Parts& p) {
  return p.copied && c.in[0].spec.dtype == DType::i8 && kernels::qgemm_flips_from() <= p.g.o_group();
}
// fill: one for all, or one for each image.
void pad_input(const Context& c, const Parts& p, const uint8_t* fill, bool by_image, uint8_t* to) {
  const bool flips = flips_input(c, p);
  const int64_t row = p.g.padded_w() * p.g.c, some = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, row));   // while they are in the first cache
  auto [begin, end] = c.slice(p.g.n * p.g.padded_h());
  for (int64_t next; begin < end; begin = next) {
    int64_t image = by_image ? begin / p.g.padded_h() : 0;
    next = by_image ? std::min(end, (image + 1) * p.g.padded_h()) : end;
    if (flips) next = std::min(next, begin + some);
    pad_rows(c.in[0].as<uint8_t>(), p.g, fill[image], begin, next, to + begin * row);
    if (flips) kernels::flip_signs(to + begin * row, (next - begin) * row);
  }
}

// ---- static: int8 or uint8 out ----
Parts parts_of(const Shape& x, const Shape& w, const Shape& y, const QConv2dAttrs& at) { return Parts(conv_geometry(x, w, y, at)); }
Work qconv_work(const Call& c) {
  if (is_wide(c.in[0].dtype)) return qconv16_work(c);
  Parts p = parts_of(c.in[0].shape, c.in[1].shape, c.out[0].shape, c.as<QConv2dAttrs>());
  uint64_t shared = p.input_bytes + (c.prepared ? 0 : p.weight_bytes + p.multiplier_bytes);
  return {.pieces = pieces_for_threads(c, p.cut().pieces, p.cut().most), .shared = shared, .phases = shared ? 2 : 1};
}
uint64_t qconv_prepare(const Call& c, std::span<const View> in, std::byte* to) {
  if (is_wide(c.in[0].dtype)) return qconv16_prepare(c, in, to);
  if (!in[1].data || !in[2].data || !in[1].is_channels_last()) return 0;
  Parts p = parts_of(c.in[0].shape, c.in[1].shape, c.out[0].shape, c.as<QConv2dAttrs>());
  uint64_t bytes = prepare_weights(p, in[1].as<int8_t>(), to);
  if (to) reinterpret_cast<PreparedForm*>(to)->most = multipliers_of(c.as<QConv2dAttrs>().x_scale, in[2], c.as<QConv2dAttrs>().y_scale, reinterpret_cast<float*>(to + bytes));
  return bytes + p.multiplier_bytes;
}
void qconv_eval(const Context& c) {
  if (is_wide(c.in[0].spec.dtype)) return qconv16_eval(c);
  const auto& at = c.as<QConv2dAttrs>();
  Parts p = parts_of(c.in[0].shape(), c.in[1].shape(), c.out[0].shape(), at);
  auto* input = reinterpret_cast<uint8_t*>(c.shared);
  std::byte* packing = c.shared + p.input_bytes;
  if (c.phase == 0 && (p.copied || !c.prepared)) {
    const auto zero = uint8_t(at.x_zero);
    if (p.copied) pad_input(c, p, &zero, false, input);
    if (!c.prepared && c.piece == 0) {
      pack(p, c.in[1].as<int8_t>(), packing);
      multipliers_of(at.x_scale, c.in[2], at.y_scale, reinterpret_cast<float*>(packing + p.weight_bytes));
    }
    return;
  }
  const std::byte* weights = c.prepared ? weights_of(c.prepared) : packing;
  const PreparedForm form = c.prepared ? form_of(c.prepared) : PreparedForm{.bytes = int64_t(p.weight_bytes)};
  const auto* multiplier = reinterpret_cast<const float*>(weights + form.bytes);
  const int32_t* bias = c.in.size() == 4 ? c.in[3].as<int32_t>() : nullptr;
  const bool flipped = flips_input(c, p);
  auto epilogue = [&](int64_t first) {
    return kernels::QEpilogue{.bias = bias ? bias + first : nullptr, .multiplier = multiplier + first, .most = form.most, .x_zero = int32_t(at.x_zero) + (flipped ? 128 : 0),
                              .x_signed = !flipped && c.in[0].spec.dtype == DType::i8, .y_zero = int32_t(at.y_zero), .lo = int32_t(at.lo), .hi = int32_t(at.hi)};
  };
  auto* y = c.out[0].as<uint8_t>();
  convolve(c, p, p.copied ? input : c.in[0].as<uint8_t>(), weights, false,
           [&](const kernels::QGemmShape& s, const uint8_t* x, const std::byte* w, int64_t first, int64_t row) {
             multiply(c, s, x, w, y + row * p.g.q * p.g.o + first, epilogue(first));
           },
           [&](const kernels::QDepthwiseShape& s, const uint8_t* x, const int8_t* w, int64_t row) {
             kernels::qdepthwise(s, x, w, y + row * p.g.q * p.g.o, epilogue(0));
           });
}
Cost conv_cost(const Call& c, size_t weight) {
  int64_t taps = c.in[weight].shape[1] * c.in[weight].shape[2] * c.in[weight].shape[3];
  return {c.out[0].shape.count() * taps, 2 * c.out[0].shape.count()};
}

// ---- dynamic: x, x_scale, x_zero, w, w_scale, [bias]; float32 out ----
Parts dynamic_parts(const Shape& x, const Shape& w, const Shape& y, const Conv2dAttrs& at) { return Parts(conv_geometry(x, w, y, at)); }
Work dynamic_work(const Call& c) {
  if (is_wide(c.in[0].dtype)) return qconv16_dynamic_work(c);
  Parts p = dynamic_parts(c.in[0].shape, c.in[3].shape, c.out[0].shape, c.as<Conv2dAttrs>());
  uint64_t shared = p.input_bytes + (c.prepared ? 0 : p.weight_bytes);
  return {.pieces = pieces_for_threads(c, p.cut().pieces, p.cut().most), .shared = shared, .phases = shared ? 2 : 1};
}
uint64_t dynamic_prepare(const Call& c, std::span<const View> in, std::byte* to) {
  if (is_wide(c.in[0].dtype)) return qconv16_dynamic_prepare(c, in, to);
  if (!in[3].data || !in[3].is_channels_last()) return 0;
  Parts p = dynamic_parts(c.in[0].shape, c.in[3].shape, c.out[0].shape, c.as<Conv2dAttrs>());
  return prepare_weights(p, in[3].as<int8_t>(), to);
}
void dynamic_eval(const Context& c) {
  if (is_wide(c.in[0].spec.dtype)) return qconv16_dynamic_eval(c);
  const auto& at = c.as<Conv2dAttrs>();
  Parts p = dynamic_parts(c.in[0].shape(), c.in[3].shape(), c.out[0].shape(), at);
  const auto* zero = c.in[2].as<uint8_t>();
  const bool by_image = c.in[1].shape().rank > 0;
  auto* input = reinterpret_cast<uint8_t*>(c.shared);
  std::byte* packing = c.shared + p.input_bytes;
  if (c.phase == 0 && (p.copied || !c.prepared)) {
    if (p.copied) pad_input(c, p, zero, by_image, input);
    if (!c.prepared && c.piece == 0) pack(p, c.in[3].as<int8_t>(), packing);
    return;
  }
  const float* bias = c.in.size() == 6 ? c.in[5].f32() : nullptr;
  auto epilogue = [&](int64_t first, int64_t row) {
    size_t image = by_image ? size_t(row / p.g.p) : 0;
    return kernels::QEpilogueF32{.bias = bias ? bias + first : nullptr, .multiplier = c.in[4].f32() + first, .scale = c.in[1].f32()[image], .x_zero = zero[image], .x_signed = false, .lo = at.lo, .hi = at.hi};
  };
  float* y = c.out[0].f32();
  convolve(c, p, p.copied ? input : c.in[0].as<uint8_t>(), c.prepared ? weights_of(c.prepared) : packing, by_image,
           [&](const kernels::QGemmShape& s, const uint8_t* x, const std::byte* w, int64_t first, int64_t row) {
             multiply(c, s, x, w, y + row * p.g.q * p.g.o + first, epilogue(first, row));
           },
           [&](const kernels::QDepthwiseShape& s, const uint8_t* x, const int8_t* w, int64_t row) {
             kernels::qdepthwise_f32(s, x, w, y + row * p.g.q * p.g.o, epilogue(0, row));
           });
}

std::vector<Sample> static_samples() {
  auto sample = [](Shape x, Shape w, int64_t groups, Dims padding, DType out) {
    auto at = std::make_shared<QConv2dAttrs>();
    at->groups = groups;
    at->padding = padding;
    at->x_scale = 0.02f;
    bool wide = out == DType::i16;
    at->x_zero = wide ? 0 : -3;
    at->y_scale = wide ? 4.0f : 0.05f;
    at->y_zero = wide ? 0 : out == DType::i8 ? 5 : 120;
    at->dtype = out;
    at->lo = out == DType::u8 ? 120 : least_of(out);
    at->hi = greatest_of(out);
    DType in = wide ? DType::i16 : DType::i8;
    return Sample{{cast(wide ? sample_values(x, -32768, 32767) : sample_values(x, -128, 127), in), cast(sample_values(w, -127, 127), DType::i8),
                   sample_values({w[0]}, 0.001f, 0.01f), cast(sample_values({w[0]}, -900, 900), bias_type(in))}, at};
  };
  return {sample({2, 3, 6, 5}, {4, 3, 3, 3}, 1, {1, 1, 1, 1}, DType::i8), sample({1, 8, 4, 4}, {8, 1, 3, 3}, 8, {1, 1, 1, 1}, DType::i8),
          sample({2, 4, 4, 4}, {6, 2, 2, 2}, 2, {0, 0, 0, 0}, DType::u8), sample({1, 16, 3, 3}, {5, 16, 1, 1}, 1, {0, 0, 0, 0}, DType::i8),
          sample({2, 3, 6, 5}, {4, 3, 3, 3}, 1, {1, 1, 1, 1}, DType::i16), sample({1, 8, 4, 4}, {8, 1, 3, 3}, 8, {1, 1, 1, 1}, DType::i16)};
}
std::vector<Sample> dynamic_samples() {
  std::vector<Sample> all;
  for (const Sample& s : static_samples()) {
    const auto& from = *static_cast<const QConv2dAttrs*>(s.attrs.get());
    auto at = std::make_shared<Conv2dAttrs>(Conv2dAttrs{.padding = from.padding, .groups = from.groups});
    bool wide = from.dtype == DType::i16;
    Tensor x = wide ? s.in[0] : cast(cast(s.in[0], DType::i32) + 128.0, DType::u8);
    all.push_back({{x, Tensor::full({}, 0.02), Tensor::full({}, wide ? 0 : 120, x.dtype()), s.in[1], s.in[2],
                    sample_values({s.in[2].dim(0)})}, at});
  }
  for (size_t i : {0, 2}) {                        // of two images
    Sample images = all[i];
    images.in[1] = sample_values({2}, 0.01f, 0.05f);
    images.in[2] = cast(sample_values({2}, 0, 255), DType::u8);
    all.push_back(images);
  }
  return all;
}

}  // namespace

constinit const OpDef qconv2d_op{.name = "qconv2d", .doc = "convolution in integers: x, w, w_scale, bias", .min_inputs = 3, .max_inputs = 4,
    .infer = [](const Call& c, Specs& out) {
      const auto& at = c.as<QConv2dAttrs>();
      check_quantized_operands(c, 0, 1, 2, at);
      Shape y = conv_output(c, c.in[0].shape, c.in[1].shape, at);
      check_sums(c, c.in[1].shape[1] * c.in[1].shape[2] * c.in[1].shape[3]);
      if (c.in[2].shape != Shape{y[1]}) c.fail("w_scale of shape (" + std::to_string(y[1]) + ",)", c.in[2].shape.text());
      check_bias(c, 3, y[1]);
      out.push({at.dtype, y});
    },
    .eval = qconv_eval, .work = qconv_work, .cost = [](const Call& c) { return conv_cost(c, 1); },
    .prepare = qconv_prepare, .samples = static_samples,
    .traits = {.stops_gradient = true, .dense = 0b1100, .channels_last = 3, .out = Layout::channels_last, .weights = 2, .channel_axis = 0},
    .onnx = {"QLinearConv", 10, &onnx::qconv2d}, .tflite = {"CONV_2D", 1, &to_tflite::qconv2d}, .c = {"qconv2d", 0, &c::qconv2d}, .attrs = codec<QConv2dAttrs>};

constinit const OpDef qconv2d_dynamic_op{.name = "qconv2d_dynamic", .doc = "convolution in integers of x quantised at run time: x, x_scale, x_zero, w, w_scale, bias",
    .min_inputs = 5, .max_inputs = 6,
    .infer = [](const Call& c, Specs& out) {
      const auto& at = c.as<Conv2dAttrs>();
      check_dynamic_operands(c);
      Shape y = conv_output(c, c.in[0].shape, c.in[3].shape, at);
      check_sums(c, c.in[3].shape[1] * c.in[3].shape[2] * c.in[3].shape[3]);
      if (c.in[4].shape != Shape{y[1]}) c.fail("w_scale of shape (" + std::to_string(y[1]) + ",)", c.in[4].shape.text());
      if (c.in.size() == 6 && c.in[5] != Spec{DType::f32, {y[1]}}) c.fail("a bias float32(" + std::to_string(y[1]) + ",)", c.in[5].text());
      out.push({DType::f32, y});
    },
    .eval = dynamic_eval, .work = dynamic_work, .cost = [](const Call& c) { return conv_cost(c, 3); },
    .prepare = dynamic_prepare, .samples = dynamic_samples,
    .traits = {.stops_gradient = true, .dense = 0b110110, .channels_last = 0b1001, .out = Layout::channels_last, .weights = 8, .channel_axis = 0},
    .onnx = {"ConvInteger", 10, &onnx::qconv2d_dynamic}, .tflite = {"CONV_2D", 1, &to_tflite::qconv2d_dynamic}, .c = {"qconv2d_dynamic", 0, &c::qconv2d_dynamic}, .attrs = codec<Conv2dAttrs>};

}  // namespace miniten
