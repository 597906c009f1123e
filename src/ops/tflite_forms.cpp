#include "ops/tflite_forms.h"
#include <cmath>
#include "ops/loops.h"
#include "ops/tflite_write.h"

namespace miniten::to_tflite {

namespace {

void same_infer(const Call& c, Specs& out) { out.push(c.in[0]); }
template <class F> void each_value(const Context& c, F f) {
  View operands[] = {c.out[0], c.in[0]};
  ElementLoop loop(c.out[0].shape(), operands);
  loop.run(c, [&](const int64_t* at, const int64_t* step, int64_t n) {
    float* y = c.out[0].f32() + at[0];
    const float* x = c.in[0].f32() + at[1];
    for (int64_t i = 0; i < n; ++i) y[i * step[0]] = f(x[i * step[1]]);
  });
}

Values write_as(TfliteWriter& w, const TfliteCall& f, const char* type, ForeignAttributes options) {
  TfliteValue x = f.in[0];
  x.tensor = w.emit_one(type, {x.tensor}, std::move(options), typed(DType::f32, f.q_out, w.spec(x.tensor).shape), f.q_out);
  return {x};
}
constinit const TfliteRules tanh_gelu{[](TfliteWriter& w, const TfliteCall& f) { return write_as(w, f, "GELU", {{"approximate", int64_t{1}}}); }, TfliteRules::i8};

Values write_prelu(TfliteWriter& w, const TfliteCall& f) {
  const Shape& shape = f.out();
  auto axes = axes_of(w, f.in[0], shape);
  TfliteValue x{-1, shape, axes ? *axes : Dims::iota(shape.rank)};
  int in = w.stored(0, shape, x.order);
  QuantizedRef as;
  if (f.q_out) {                                       // PRELU's slopes: one symmetric scale
    float most = 0;
    for (float v : f.call.value(1)->to_vector<float>()) most = std::max(most, std::abs(v));
    as = std::make_shared<Quantized>(Quantized{{most > 0 ? most / 127 : 1}, {0}, -1, 0, DType::i8});
  }
  int alpha = w.broadcast(1, shape, x, as);
  x.tensor = w.emit_one("PRELU", {in, alpha}, {}, typed(DType::f32, f.q_out, ordered(shape, x.order)), f.q_out);
  return {x};
}
constinit const TfliteRules prelu{write_prelu, TfliteRules::i8};

Values write_resize(TfliteWriter& w, const TfliteCall& f, const char* type) {
  const auto& at = f.call.as<ResizeAttrs>();
  if (f.q_out && !same(f.q_in[0], f.q_out)) return {};
  const Shape& y = f.out();
  Axes order = at.axis == 1 ? Dims::iota(4) : Axes{0, 2, 3, 1};
  int in = w.stored(0, f.shape(0), order);
  int size = w.constant(Tensor::of<int32_t>({2}, std::vector<int32_t>{int32_t(at.height), int32_t(at.width)}), "size");
  int t = w.emit_one(type, {in, size}, {{"align_corners", int64_t{at.align_corners}}, {"half_pixel_centers", int64_t{at.half_pixel_centers}}}, {w.spec(in).dtype, ordered(y, order)}, w.quantized(in));
  return {{t, y, order}};
}
constinit const TfliteRules nearest{[](TfliteWriter& w, const TfliteCall& f) { return write_resize(w, f, "RESIZE_NEAREST_NEIGHBOR"); }, TfliteRules::i8_and_i16},
    bilinear{[](TfliteWriter& w, const TfliteCall& f) { return write_resize(w, f, "RESIZE_BILINEAR"); }, TfliteRules::i8};

Values write_blocks(TfliteWriter& w, const TfliteCall& f) {
  if (f.q_out && !same(f.q_in[0], f.q_out)) return {};
  int in = w.stored(0, f.shape(0), Dims::iota(4));
  ForeignAttributes options{{"block_size", f.call.as<BlockAttrs>().size}};
  return {TfliteValue::plain(w.emit_one(f.call.op.tflite.name, {in}, options, {w.spec(in).dtype, f.out()}, w.quantized(in)), f.out())};
}
constinit const TfliteRules blocks{write_blocks, TfliteRules::i8_and_i16};

// The deep picture (n, h, w, i, j, c) and the wide one (n, h, i, w, j, c) as six axes in the deep order.
void move_blocks(const Context& c, bool to_space) {
  int64_t b = c.as<BlockAttrs>().size;
  View deep = to_space ? c.in[0] : c.out[0], wide = to_space ? c.out[0] : c.in[0];
  const Shape s = deep.spec.shape;
  const Strides d = deep.strides, v = wide.strides;
  int64_t channels = s[3] / (b * b);
  deep.spec.shape = wide.spec.shape = {s[0], s[1], s[2], b, b, channels};
  deep.strides = {d[0], d[1], d[2], b * channels * d[3], channels * d[3], d[3]};
  wide.strides = {v[0], b * v[1], b * v[2], v[1], v[2], v[3]};
  to_space ? copy_values(deep, wide) : copy_values(wide, deep);
}

void resize_infer(const Call& c, Specs& out) {
  const auto& at = c.as<ResizeAttrs>();
  Spec y = c.in[0];
  y.shape[int(at.axis)] = at.height;
  y.shape[int(at.axis) + 1] = at.width;
  out.push(y);
}
// All planes at one place.
View place_of(const View& v, int axis, int64_t h, int64_t w) {
  View p = v;
  int other = axis == 2 ? 1 : 3;
  p.spec.shape = {v.shape()[0], v.shape()[other]};
  p.strides = {v.strides[0], v.strides[other]};
  p.data += (h * v.strides[axis] + w * v.strides[axis + 1]) * int64_t(bits_of(v.spec.dtype) / 8);
  return p;
}
void nearest_eval(const Context& c) {              // of any type
  const auto& at = c.as<ResizeAttrs>();
  const int axis = int(at.axis);
  const Shape& in = c.in[0].shape();
  for (int64_t h = 0; h < at.height; ++h)
    for (int64_t w = 0; w < at.width; ++w)
      copy_values(place_of(c.in[0], axis, nearest_source(h, in[axis], at.height, at.half_pixel_centers), nearest_source(w, in[axis + 1], at.width, at.half_pixel_centers)), place_of(c.out[0], axis, h, w));
}
void bilinear_eval(const Context& c) {
  const auto& at = c.as<ResizeAttrs>();
  const int axis = int(at.axis);
  const Shape& in = c.in[0].shape();
  for (int64_t h = 0; h < at.height; ++h)
    for (int64_t w = 0; w < at.width; ++w) {
      Between a = linear_source(h, in[axis], at.height, at.align_corners, at.half_pixel_centers), b = linear_source(w, in[axis + 1], at.width, at.align_corners, at.half_pixel_centers);
      View from[] = {place_of(c.in[0], axis, a.lower, b.lower), place_of(c.in[0], axis, a.lower, b.upper), place_of(c.in[0], axis, a.upper, b.lower), place_of(c.in[0], axis, a.upper, b.upper)};
      View to = place_of(c.out[0], axis, h, w);
      for (int64_t n = 0; n < to.shape()[0]; ++n)
        for (int64_t k = 0; k < to.shape()[1]; ++k) {
          float v[4];
          for (int i = 0; i < 4; ++i) v[i] = from[i].f32()[n * from[i].strides[0] + k * from[i].strides[1]];
          float upper = v[0] * (1 - b.weight) + v[1] * b.weight, lower = v[2] * (1 - b.weight) + v[3] * b.weight;
          to.f32()[n * to.strides[0] + k * to.strides[1]] = upper * (1 - a.weight) + lower * a.weight;
        }
    }
}
constexpr Traits pointwise{.pointwise = true};

}  // namespace

int64_t nearest_source(int64_t o, int64_t in, int64_t out, bool half) {
  float scale = float(in) / float(out);
  return std::min<int64_t>(int64_t(std::floor((float(o) + (half ? 0.5f : 0.0f)) * scale)), in - 1);
}
Between linear_source(int64_t o, int64_t in, int64_t out, bool corners, bool half) {
  float at = corners ? (out > 1 ? float(o) * float(in - 1) / float(out - 1) : 0) : half ? std::max((float(o) + 0.5f) * (float(in) / float(out)) - 0.5f, 0.0f) : float(o) * (float(in) / float(out));
  int64_t lower = std::min<int64_t>(int64_t(at), in - 1);
  return {lower, std::min(lower + 1, in - 1), at - float(lower)};
}

constinit const OpDef prelu_form{.name = "prelu", .doc = "x where it is positive, else x * slope", .min_inputs = 2, .max_inputs = 2, .infer = same_infer,
    .eval = [](const Context& c) {
      View operands[] = {c.out[0], c.in[0], c.in[1]};
      ElementLoop loop(c.out[0].shape(), operands);
      loop.run(c, [&](const int64_t* at, const int64_t* step, int64_t n) {
        float* y = c.out[0].f32() + at[0];
        const float *x = c.in[0].f32() + at[1], *a = c.in[1].f32() + at[2];
        for (int64_t i = 0; i < n; ++i) { float v = x[i * step[1]]; y[i * step[0]] = v > 0 ? v : v * a[i * step[2]]; }
      });
    },
    .traits = pointwise, .tflite = {"PRELU", 1, &prelu}};
constinit const OpDef tanh_gelu_form{.name = "gelu_tanh", .doc = "x * Phi(x), by tanh", .infer = same_infer,
    .eval = [](const Context& c) { each_value(c, [](float x) { return x * 0.5f * (std::tanh((x + x * x * x * 0.044715f) * 0.7978845608f) + 1); }); }, .traits = pointwise,
    .tflite = {"GELU", 1, &tanh_gelu}};
constinit const OpDef resize_nearest_form{.name = "resize_nearest", .doc = "nearest of (N, C, H, W)", .infer = resize_infer, .eval = nearest_eval,
    .traits = {.movement = true}, .tflite = {"RESIZE_NEAREST_NEIGHBOR", 1, &nearest}, .attrs = codec<ResizeAttrs>};
constinit const OpDef resize_bilinear_form{.name = "resize_bilinear", .doc = "bilinear of (N, C, H, W)", .infer = resize_infer, .eval = bilinear_eval,
    .tflite = {"RESIZE_BILINEAR", 1, &bilinear}, .attrs = codec<ResizeAttrs>};
constinit const OpDef depth_to_space_form{.name = "depth_to_space", .doc = "blocks of channels as places", .infer = [](const Call& c, Specs& out) {
      const Shape& x = c.in[0].shape;
      int64_t b = c.as<BlockAttrs>().size;
      out.push({c.in[0].dtype, {x[0], x[1] * b, x[2] * b, x[3] / (b * b)}});
    },
    .eval = [](const Context& c) { move_blocks(c, true); }, .traits = {.movement = true}, .tflite = {"DEPTH_TO_SPACE", 1, &blocks}, .attrs = codec<BlockAttrs>};
constinit const OpDef space_to_depth_form{.name = "space_to_depth", .doc = "blocks of places as channels", .infer = [](const Call& c, Specs& out) {
      const Shape& x = c.in[0].shape;
      int64_t b = c.as<BlockAttrs>().size;
      out.push({c.in[0].dtype, {x[0], x[1] / b, x[2] / b, x[3] * b * b}});
    },
    .eval = [](const Context& c) { move_blocks(c, false); }, .traits = {.movement = true}, .tflite = {"SPACE_TO_DEPTH", 1, &blocks}, .attrs = codec<BlockAttrs>};

}  // namespace miniten::to_tflite
