#include "miniten/ops/attrs.h"
#include "ops/c/integers.h"
#include "ops/c_rules.h"

namespace miniten::c {

namespace {

void define_pool(CWriter& w) {
  w.include("stdint.h");
  w.define("struct pool", R"(struct pool {
  int32_t batch, height, width, channels, out_height, out_width;
  int32_t kernel_height, kernel_width, stride_y, stride_x, dilation_y, dilation_x, top, left, bottom, right;
  int32_t count_padding; /* are taps in the padding counted by a mean? */
};
)");
}
std::string pool_record(CWriter& w, const Shape& x, const Shape& y, const Pool2dAttrs& at) {
  define_pool(w);
  return w.record("struct pool", "shape", join({{"batch", x[0]}, {"height", x[2]}, {"width", x[3]}, {"channels", x[1]}, {"out_height", y[2]}, {"out_width", y[3]}, "\n  ",
      {"kernel_height", at.kernel[0]}, {"kernel_width", at.kernel[1]}, {"stride_y", at.stride[0]}, {"stride_x", at.stride[1]},
      {"dilation_y", at.dilation[0]}, {"dilation_x", at.dilation[1]}, "\n  ", {"top", at.padding[0]}, {"left", at.padding[1]}, {"bottom", at.padding[2]},
      {"right", at.padding[3]}, {"count_padding", at.count_include_pad}}));
}

// One walk for all pools. START and END of one output channel, TAP of the taps inside.
constexpr std::string_view walk = R"(static void @name(const struct pool *p, const @T *x, @T *y@MORE) {
  const int32_t n = p->channels;
  for (int32_t b = 0; b < p->batch; ++b, x += p->height * p->width * n)
    for (int32_t oy = 0; oy < p->out_height; ++oy)
      for (int32_t ox = 0; ox < p->out_width; ++ox, y += n) {
        const int32_t y0 = oy * p->stride_y - p->top, x0 = ox * p->stride_x - p->left;
        for (int32_t k = 0; k < n; ++k) {
@START
          for (int32_t r = y0; r < y0 + p->kernel_height * p->dilation_y; r += p->dilation_y)
            for (int32_t s = x0; s < x0 + p->kernel_width * p->dilation_x; s += p->dilation_x) {
@COUNT              if (r < 0 || r >= p->height || s < 0 || s >= p->width) continue;
@TAP
            }
@END
        }
      }
}
)";
std::string pool_source(const std::string& name, DType t, std::string_view more, std::string_view start, std::string_view count, std::string_view tap, std::string_view end) {
  std::string s(walk);
  for (auto [key, value] : {std::pair<std::string_view, std::string_view>{"@name", name}, {"@MORE", more}, {"@START", start}, {"@COUNT", count}, {"@TAP", tap}, {"@END", end}})
    s = replaced(s, key, value);
  return replaced(s, "@T", c_type(t));
}

}  // namespace

const CRules max_pool2d{[](CWriter& w, const CCall& c) {
  DType t = c.in[0].spec.dtype;
  if (t != DType::f32 && t != DType::i8 && t != DType::u8 && t != DType::i16) c.refuse("float32 or integers of 8 or 16 bits", c.in[0].spec.text());
  std::string name = "max_pool_" + short_name(t), least = t == DType::f32 ? "-INFINITY" : t == DType::i8 ? "INT8_MIN" : t == DType::i16 ? "INT16_MIN" : "0";
  if (t == DType::f32) w.include("math.h");
  std::string shape = pool_record(w, c.in[0].spec.shape, c.out[0].spec.shape, c.call.as<Pool2dAttrs>());
  w.define(name, pool_source(name, t, "", "          @T best = " + least + ";", "", "              const @T v = x[(r * p->width + s) * n + k];\n              " +
      std::string(t == DType::f32 ? "best = best != best || v <= best ? best : v;" : "if (v > best) best = v;"), "          y[k] = best;"));
  w.line(call(name, {shape, w.pointer(c.in[0]), w.pointer(c.out[0])}));
}};
const CRules avg_pool2d{[](CWriter& w, const CCall& c) {
  if (c.in[0].spec.dtype != DType::f32) c.refuse("float32", c.in[0].spec.text());
  std::string shape = pool_record(w, c.in[0].spec.shape, c.out[0].spec.shape, c.call.as<Pool2dAttrs>());
  w.define("avg_pool_f32", pool_source("avg_pool_f32", DType::f32, "", "          float sum = 0.0f;\n          int32_t taps = 0;",
      "              if (p->count_padding && r < p->height + p->bottom && s < p->width + p->right) ++taps;\n", "              sum += x[(r * p->width + s) * n + k];\n              if (!p->count_padding) ++taps;",
      "          y[k] = sum / (float)taps;"));
  w.line(call("avg_pool_f32", {shape, w.pointer(c.in[0]), w.pointer(c.out[0])}));
}};
// y = round(float(sum of (x - x_zero)) * (x_scale / y_scale / taps)) + y_zero: one multiplier for each number of taps.
const CRules qavg_pool2d{[](CWriter& w, const CCall& c) {
  const auto& at = c.call.as<QAvgPool2dAttrs>();
  DType t = c.in[0].spec.dtype;
  Pool2dAttrs window{.kernel = at.kernel, .stride = at.stride, .padding = at.padding, .ceil_mode = at.ceil_mode, .count_include_pad = at.count_include_pad};
  std::string shape = pool_record(w, c.in[0].spec.shape, c.out[0].spec.shape, window), name = "avg_pool_" + short_name(t);
  const bool wide = t == DType::i16;
  if (wide && at.kernel[0] * at.kernel[1] > 32768) c.refuse("sums that fit int32", text(at.kernel[0] * at.kernel[1]) + " taps");
  wide ? define_requantize_wide(w) : define_requantize(w);
  std::vector<float> multipliers{0.0f};
  for (int64_t n = 1; n <= at.kernel[0] * at.kernel[1]; ++n) multipliers.push_back(at.x_scale / at.y_scale / float(n));
  bool one = at.padding == Dims{0, 0, 0, 0} && !at.ceil_mode;               // every window has all its taps
  if (one) multipliers = {multipliers.back()};
  std::string table = w.constant(multiplier_bits(multipliers), "multiplier");
  if (!one) name += "_padded";
  w.define(name, pool_source(name, t, ", int32_t x_zero, int32_t y_zero, const uint32_t *multiplier", "          int32_t sum = 0;" + std::string(one ? "" : "\n          int32_t taps = 0;"),
      one ? "" : "              if (p->count_padding && r < p->height + p->bottom && s < p->width + p->right) ++taps;\n",
      "              sum += x[(r * p->width + s) * n + k] - x_zero;" + std::string(one ? "" : "\n              if (!p->count_padding) ++taps;"),
      "          y[k] = (@T)" + std::string(wide ? "requantize_wide" : "requantize") + "(sum, multiplier[" + std::string(one ? "0" : "taps") + "], y_zero, " + (wide ? "-32768, 32767" : t == DType::i8 ? "-128, 127" : "0, 255") + ");"));
  w.line(call(name, {shape, w.pointer(c.in[0]), w.pointer(c.out[0]), at.x_zero, at.y_zero, table}));
}};

const CRules exact_avg_pool2d{[](CWriter& w, const CCall& c) {
  const auto& at = c.call.as<ExactAvgPool2dAttrs>();
  DType t = c.in[0].spec.dtype;
  if (at.kernel[0] * at.kernel[1] > 32768) c.refuse("sums that fit int32", text(at.kernel[0] * at.kernel[1]) + " taps");
  Pool2dAttrs window{.kernel = at.kernel, .stride = at.stride, .padding = at.padding, .count_include_pad = false};
  std::string shape = pool_record(w, c.in[0].spec.shape, c.out[0].spec.shape, window), name = "mean_pool_" + short_name(t);
  w.define(name, "/* Means of integers, halves away from 0. */\n" + pool_source(name, t, ", int32_t lo, int32_t hi", "          int32_t sum = 0, taps = 0;", "", "              sum += x[(r * p->width + s) * n + k];\n              ++taps;",
      "          if (taps) sum = (sum < 0 ? sum - taps / 2 : sum + taps / 2) / taps;\n          y[k] = (@T)(sum < lo ? lo : sum > hi ? hi : sum);"));
  w.line(call(name, {shape, w.pointer(c.in[0]), w.pointer(c.out[0]), at.lo, at.hi}));
}};

}  // namespace miniten::c
