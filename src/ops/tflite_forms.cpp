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
  int in = w.stored(0, f.shape(0), {0, 2, 3, 1});
  int size = w.constant(Tensor::of<int32_t>({2}, std::vector<int32_t>{int32_t(at.height), int32_t(at.width)}), "size");
  int t = w.emit_one(type, {in, size}, {{"align_corners", int64_t{at.align_corners}}, {"half_pixel_centers", int64_t{at.half_pixel_centers}}}, {w.spec(in).dtype, {y[0], y[2], y[3], y[1]}}, w.quantized(in));
  return {{t, y, {0, 2, 3, 1}}};
}
constinit const TfliteRules nearest{[](TfliteWriter& w, const TfliteCall& f) { return write_resize(w, f, "RESIZE_NEAREST_NEIGHBOR"); }, TfliteRules::i8_and_i16},
    bilinear{[](TfliteWriter& w, const TfliteCall& f) { return write_resize(w, f, "RESIZE_BILINEAR"); }, TfliteRules::i8};

void resize_infer(const Call& c, Specs& out) {
  const auto& at = c.as<ResizeAttrs>();
  out.push({c.in[0].dtype, {c.in[0].shape[0], c.in[0].shape[1], at.height, at.width}});
}
template <class F> void each_place(const Context& c, F value) {      // value(plane, h, w)
  const View &x = c.in[0], &y = c.out[0];
  for (int64_t n = 0; n < y.shape()[0]; ++n)
    for (int64_t k = 0; k < y.shape()[1]; ++k) {
      const float* plane = x.f32() + n * x.strides[0] + k * x.strides[1];
      float* to = y.f32() + n * y.strides[0] + k * y.strides[1];
      for (int64_t h = 0; h < y.shape()[2]; ++h)
        for (int64_t w = 0; w < y.shape()[3]; ++w) to[h * y.strides[2] + w * y.strides[3]] = value(plane, h, w);
    }
}
void nearest_eval(const Context& c) {
  const View& x = c.in[0];
  const Shape &in = x.shape(), &out = c.out[0].shape();
  bool half = c.as<ResizeAttrs>().half_pixel_centers;
  each_place(c, [&](const float* p, int64_t h, int64_t w) { return p[nearest_source(h, in[2], out[2], half) * x.strides[2] + nearest_source(w, in[3], out[3], half) * x.strides[3]]; });
}
void bilinear_eval(const Context& c) {
  const View& x = c.in[0];
  const Shape &in = x.shape(), &out = c.out[0].shape();
  bool corners = c.as<ResizeAttrs>().align_corners;
  each_place(c, [&](const float* p, int64_t h, int64_t w) {
    Between a = linear_source(h, in[2], out[2], corners), b = linear_source(w, in[3], out[3], corners);
    auto row = [&](int64_t i) { const float* r = p + i * x.strides[2]; return r[b.lower * x.strides[3]] * (1 - b.weight) + r[b.upper * x.strides[3]] * b.weight; };
    return row(a.lower) * (1 - a.weight) + row(a.upper) * a.weight;
  });
}
constexpr Traits pointwise{.pointwise = true};

}  // namespace

int64_t nearest_source(int64_t o, int64_t in, int64_t out, bool half) {
  float scale = float(in) / float(out);
  return std::min<int64_t>(int64_t(std::floor((float(o) + (half ? 0.5f : 0.0f)) * scale)), in - 1);
}
Between linear_source(int64_t o, int64_t in, int64_t out, bool corners) {
  float at = corners ? (out > 1 ? float(o) * float(in - 1) / float(out - 1) : 0) : std::max((float(o) + 0.5f) * (float(in) / float(out)) - 0.5f, 0.0f);
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

}  // namespace miniten::to_tflite
