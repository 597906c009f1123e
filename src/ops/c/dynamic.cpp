#include "miniten/ops/attrs.h"
#include "ops/c/integers.h"
#include "ops/c/windows.h"
#include "ops/c_rules.h"
#include "ops/quantized/rows.h"

namespace miniten::c {

// Weights in int8, the input quantised at run time, float32 out.
namespace {

void define_row(CWriter& w) {
  w.include("stdint.h");
  w.define("struct dynamic", R"(struct dynamic {
  const int32_t *weight_sum; /* of each output */
  const float *weight_scale, *bias;
  float lo, hi;
};
)");
  w.define("row_dynamic", R"(/* y[o] = (sum over k of (x[k] - zero) * w[o][k]) * (scale * weight_scale[o]) + bias[o], within [lo, hi] */
static void row_dynamic(const uint8_t *x, float scale, int32_t zero, const int8_t *w, const struct dynamic *f, int32_t first, float *y, int32_t inputs,
                        int32_t outputs) {
  for (int32_t o = 0; o < outputs; ++o) {
    int32_t sum = -zero * f->weight_sum[first + o], k = inputs;
    const uint8_t *v = x;
    for (; k >= 4; k -= 4, v += 4, w += 4) sum += v[0] * w[0] + v[1] * w[1] + v[2] * w[2] + v[3] * w[3];
    for (; k > 0; --k) sum += *v++ * *w++;
    const float r = (float)sum * (scale * f->weight_scale[first + o]) + f->bias[first + o];
    y[o] = r < f->lo ? f->lo : r > f->hi ? f->hi : r;
  }
}
)");
}
std::string dynamic_record(CWriter& w, const CCall& c, const std::vector<int8_t>& weight, int64_t n, int64_t k, float lo, float hi) {
  if (c.in[0].spec.dtype != DType::u8) c.refuse("8-bit activations", c.in[0].spec.text(), "quantise with calibration data");
  if (c.in[1].spec.shape.count() != 1) c.refuse("one sample at a time", c.in[0].spec.text(), "export with a batch of 1");
  std::vector<int32_t> sums;
  for (int64_t o = 0; o < n; ++o) {
    int64_t sum = 0, reach = 0;
    for (int64_t i = 0; i < k; ++i) { sum += weight[size_t(o * k + i)]; reach += std::abs(int64_t(weight[size_t(o * k + i)])); }
    if (255 * (std::abs(sum) + reach) > INT32_MAX) c.refuse("sums that fit int32", "output " + text(o));
    sums.push_back(int32_t(sum));
  }
  std::vector<float> bias(size_t(n), 0.0f);
  if (c.in.size() == 6) bias = weight_of(c, 5).to_vector<float>();
  std::string s = w.constant(Tensor::of<int32_t>({n}, sums), "weight_sum"), scale = w.constant(weight_of(c, 4), "weight_scale"), b = w.constant(Tensor::of<float>({n}, bias), "bias");
  define_row(w);
  return w.record("struct dynamic", "dynamic", join({{"weight_sum", s}, {"weight_scale", scale}, {"bias", b}, {"lo", bound(w, lo)}, {"hi", bound(w, hi)}}));
}

}  // namespace

const CRules qmatmul_dynamic{[](CWriter& w, const CCall& c) {
  const Tensor& b = weight_of(c, 3);
  int64_t k = b.dim(0), n = b.dim(1), rows = c.out[0].spec.shape.count() / std::max<int64_t>(n, 1);
  std::vector<int8_t> weight = taps_first(b.to_vector<int8_t>(), k, n);
  const auto& at = c.call.as<ClampAttrs>();
  std::string f = dynamic_record(w, c, weight, n, k, at.lo, at.hi), q = w.constant(Tensor::of<int8_t>({n, k}, weight), "weight");
  std::string x = w.pointer(c.in[0]), scale = "*" + w.pointer(c.in[1]), zero = "*" + w.pointer(c.in[2]), y = w.pointer(c.out[0]);
  auto row = [&](const std::string& from, const std::string& to) {
    w.line(call("row_dynamic", {from, scale, zero, q, f, "0", to, k, n}));
  };
  if (rows == 1) return row(x, y);
  w.line(join({"for (int32_t i = 0; i < ", rows, "; ++i) {"}));
  row(x + " + " + text(k) + " * i", y + " + " + text(n) + " * i");
  w.line("}");
}};

const CRules qconv2d_dynamic{
    [](CWriter& w, const CCall& c) {
      const auto& at = c.call.as<Conv2dAttrs>();
      ConvGeometry g = conv_geometry(c.call.in[0].shape, c.call.in[3].shape, c.call.out[0].shape, at);
      std::vector<int8_t> weight = channels_last_values<int8_t>(weight_of(c, 3));
      std::string f = dynamic_record(w, c, weight, g.o, g.taps(), at.lo, at.hi), q = w.constant(Tensor::of<int8_t>({g.o, g.taps()}, weight), "weight"), shape = conv_record(w, g);
      define_window(w, DType::u8);
      w.define("conv_dynamic", R"(static void conv_dynamic(const struct conv *c, const uint8_t *x, float scale, uint8_t zero, const int8_t *w, const struct dynamic *f, float *y,
                         uint8_t *window) {
  const int32_t n = c->channels / c->groups, outputs = c->out_channels / c->groups, inputs = c->kernel_height * c->kernel_width * n;
  for (int32_t b = 0; b < c->batch; ++b, x += c->height * c->width * c->channels)
    for (int32_t oy = 0; oy < c->out_height; ++oy)
      for (int32_t ox = 0; ox < c->out_width; ++ox, y += c->out_channels)
        for (int32_t g = 0; g < c->groups; ++g) {
          window_u8(c, x + g * n, n, oy, ox, zero, window);
          row_dynamic(window, scale, zero, w + g * outputs * inputs, f, g * outputs, y + g * outputs, inputs, outputs);
        }
}
)");
      w.line(join({"conv_dynamic(", shape, ", ", w.pointer(c.in[0]), ", *", w.pointer(c.in[1]), ", *", w.pointer(c.in[2]), ", ", q, ", ", f, ", ", w.pointer(c.out[0]), ", ", w.scratch("uint8_t"), ");"}));
    },
    [](const Call& c) {
      ConvGeometry g = conv_geometry(c.in[0].shape, c.in[3].shape, c.out[0].shape, c.as<Conv2dAttrs>());
      return uint64_t(g.r * g.s * g.c_group());
    }};

// uint8 by the tensor's own range, 0 included.
const CRules dynamic_quantize{[](CWriter& w, const CCall& c) {
  if (c.out[0].spec.dtype != DType::u8) c.refuse("8-bit activations", c.out[0].spec.text(), "quantise with calibration data");
  define_round(w);
  w.include("float.h");
  w.define("range_scale", R"(/* The scale of uint8 for the range [lo, hi]. */
static float range_scale(float lo, float hi) {
  float scale = (hi - lo) / 255.0f;
  if (scale > FLT_MAX) scale = hi / 255.0f - lo / 255.0f;
  return scale >= FLT_MIN ? scale : hi > lo ? FLT_MIN : 1.0f;
}
)");
  const COperand &x = c.in[0], &y = c.out[0];
  Strides operands[] = {y.strides, x.strides};
  Loops loops(y.spec.shape, operands);
  std::string to = w.pointer(y), scale = "*" + w.pointer(c.out[1]), zero = "*" + w.pointer(c.out[2]), from = w.pointer(x);
  w.line("{");
  w.line("float lo = 0.0f, hi = 0.0f;");
  loops.open(w);
  w.line(join({"const float v = ", from, "[", loops.index(1), "];"}));
  w.line("if (v < lo && v >= -FLT_MAX) lo = v;");
  w.line("if (v > hi && v <= FLT_MAX) hi = v;");
  loops.close(w);
  w.line(scale + " = range_scale(lo, hi);");
  w.line(join({zero, " = (uint8_t)round_even(0.0f - lo / ", scale, ", 0, 0, 255);"}));
  loops.open(w);
  w.line(join({to, "[", loops.index(0), "] = (uint8_t)round_even(", from, "[", loops.index(1), "] / ", scale, ", ", zero, ", 0, 255);"}));
  loops.close(w);
  w.line("}");
}};

// One row, by its own range as LiteRT takes it.
const CRules quantize_rows{[](CWriter& w, const CCall& c) {
  if (c.in[0].spec.shape[0] != 1) c.refuse("one sample at a time", c.in[0].spec.text(), "export with a batch of 1");
  const bool asymmetric = c.call.as<QuantizeRowsAttrs>().asymmetric;
  w.include("stdint.h");
  if (asymmetric) {
    w.include("math.h");
    w.define("row_range", R"(/* Of steps of int8 over [lo, hi] with 0 in it: their width, and the zero point. */
static float row_range(float lo, float hi, float *offset) {
  const double top = hi > 0 ? hi : 0.0, bottom = lo < 0 ? lo : 0.0, step = (top - bottom) / 255;
  double at;
  *offset = 0.0f;
  if (!(step > 0)) return 1.0f;
  at = 128 - bottom / step < 127 + top / step ? -128 - bottom / step : 127 - top / step;
  *offset = (float)round(at < -128 ? -128 : at > 127 ? 127 : at);
  return (float)step;
}
)");
  }
  w.define("row_step", R"(/* The step nearest to v within [least, 127], halves away from 0, as uint8 around 128. */
static uint8_t row_step(float v, float least) {
  v = v > least ? v < 127.0f ? v : 127.0f : least;
  {
    const int32_t t = (int32_t)v;
    const float rest = v - (float)t;
    return (uint8_t)(t + (rest >= 0.5f) - (rest <= -0.5f) + 128);
  }
}
)");
  const COperand &x = c.in[0], &y = c.out[0];
  Strides operands[] = {y.strides, x.strides};
  Loops loops(y.spec.shape, operands);
  std::string to = w.pointer(y), from = w.pointer(x), scale = "*" + w.pointer(c.out[1]), zero = "*" + w.pointer(c.out[2]);
  w.line("{");
  w.line("float lo = 0.0f, hi = 0.0f, inverse, offset = 0.0f;");
  loops.open(w);
  w.line(join({"const float v = ", from, "[", loops.index(1), "];"}));
  w.line("if (v < lo) lo = v;");
  w.line("if (v > hi) hi = v;");
  loops.close(w);
  if (asymmetric) {
    w.line(scale + " = row_range(lo, hi, &offset);");
    w.line(join({"inverse = 1.0f / ", scale, ";"}));
  } else {
    w.line("if (-lo > hi) hi = -lo;");
    w.line("if (!(hi > 0.0f)) hi = 1.0f;");
    w.line(scale + " = hi / 127.0f;");
    w.line("inverse = 127.0f / hi;");
  }
  w.line(zero + " = (uint8_t)(offset + 128.0f);");
  loops.open(w);
  w.line(join({to, "[", loops.index(0), "] = row_step(", from, "[", loops.index(1), "] * inverse + offset, ", asymmetric ? "-128.0f" : "-127.0f", ");"}));
  loops.close(w);
  w.line("}");
}};

}  // namespace miniten::c
