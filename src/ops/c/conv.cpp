#include "miniten/ops/attrs.h"
#include "ops/c/windows.h"
#include "ops/c_rules.h"

namespace miniten::c {

void define_conv(CWriter& w) {
  w.include("stdint.h");
  w.define("struct conv", R"(struct conv {
  int32_t batch, height, width, channels, groups;
  int32_t out_height, out_width, out_channels;
  int32_t kernel_height, kernel_width, stride_y, stride_x, dilation_y, dilation_x, top, left;
  int32_t x_zero, y_zero, lo, hi; /* of integers */
};
)");
}
std::string define_window(CWriter& w, DType t) {
  define_conv(w);
  w.include("string.h");
  std::string name = "window_" + short_name(t);
  w.define(name, replaced(replaced(R"(/* The n channels from `image` on that output (oy, ox) sees, kernel row by kernel row; outside of the image is `fill`. */
static void @name(const struct conv *c, const @T *image, int32_t n, int32_t oy, int32_t ox, @T fill, @T *to) {
  const int32_t run = n == c->channels && c->dilation_x == 1 ? c->kernel_width : 1; /* taps that lie side by side */
  for (int32_t r = 0; r < c->kernel_height; ++r) {
    const int32_t y = oy * c->stride_y - c->top + r * c->dilation_y;
    for (int32_t s = 0; s < c->kernel_width; s += run) {
      const int32_t x = ox * c->stride_x - c->left + s * c->dilation_x;
      int32_t first = x < 0 ? -x : 0, last = x + run > c->width ? c->width - x : run;
      if (y < 0 || y >= c->height || last <= first) first = last = run;
      for (int32_t i = 0; i < first * n; ++i) to[i] = fill;
      if (last > first) memcpy(to + first * n, image + (y * c->width + x + first) * c->channels, (size_t)((last - first) * n) * sizeof *to);
      for (int32_t i = last * n; i < run * n; ++i) to[i] = fill;
      to += run * n;
    }
  }
}
)", "@name", name), "@T", c_type(t)));
  return name;
}
std::string conv_record(CWriter& w, const ConvGeometry& g, std::string_view more) {
  define_conv(w);
  std::string f = join({{"batch", g.n}, {"height", g.h}, {"width", g.w}, {"channels", g.c}, {"groups", g.groups}, "\n  ", {"out_height", g.p}, {"out_width", g.q},
      {"out_channels", g.o}, "\n  ", {"kernel_height", g.r}, {"kernel_width", g.s}, {"stride_y", g.stride_h}, {"stride_x", g.stride_w},
      {"dilation_y", g.dilation_h}, {"dilation_x", g.dilation_w}, {"top", g.top}, {"left", g.left}});
  return w.record("struct conv", "shape", join({f, more.empty() ? "" : "\n  ", more}));
}
std::string define_depthwise(CWriter& w, const std::string& suffix, DType t, const std::string& parameters, std::string_view fill, std::string_view channels, const std::function<std::string(std::string_view)>& typed) {
  std::string window = define_window(w, t), name = "depthwise_" + suffix;
  w.define(name, typed("/* One filter for each channel; weights [kernel row][kernel column][channel]. Windows that reach over the border are copied first. */\nstatic void " + name +
      "(const struct conv *c, const @T *x, " + parameters + R"(, @T *window) {
  const int32_t n = c->channels;
  for (int32_t b = 0; b < c->batch; ++b, x += c->height * c->width * n)
    for (int32_t oy = 0; oy < c->out_height; ++oy)
      for (int32_t ox = 0; ox < c->out_width; ++ox, y += n) {
        const int32_t top = oy * c->stride_y - c->top, left = ox * c->stride_x - c->left;
        const int32_t bottom = top + (c->kernel_height - 1) * c->dilation_y, right = left + (c->kernel_width - 1) * c->dilation_x;
        const @T *from = window;
        int32_t row = c->kernel_width * n, column = n;
        if (top >= 0 && left >= 0 && bottom < c->height && right < c->width) {
          from = x + (top * c->width + left) * n;
          row = c->dilation_y * c->width * n;
          column = c->dilation_x * n;
        } else {
          )" + window + "(c, x, n, oy, ox, " + std::string(fill) + ", window);\n        }\n" + std::string(channels) + "      }\n}\n"));
  return name;
}
bool is_product(const ConvGeometry& g) {
  return g.r == 1 && g.s == 1 && g.stride_h == 1 && g.stride_w == 1 && g.groups == 1 && !g.is_padded();
}

namespace {

void require_f32(const CCall& c) {
  for (const COperand& x : c.in) if (x.spec.dtype != DType::f32) c.refuse("float32", x.spec.text(), "export a float32 or a quantised model");
}
std::string define_conv_f32(CWriter& w, const WeightForm& form) {
  define_window(w, DType::f32);
  std::string dense = define_dense(w, form), name = "conv_f32" + form.suffix();
  w.define(name, join({"static void ", name, "(const struct conv *c, const float *x, const ", form.type(DType::f32), R"( *w, const float *bias, float *y, float lo, float hi, float *window) {
  const int32_t n = c->channels / c->groups, outputs = c->out_channels / c->groups, inputs = c->kernel_height * c->kernel_width * n;
  for (int32_t b = 0; b < c->batch; ++b, x += c->height * c->width * c->channels)
    for (int32_t oy = 0; oy < c->out_height; ++oy)
      for (int32_t ox = 0; ox < c->out_width; ++ox, y += c->out_channels)
        for (int32_t g = 0; g < c->groups; ++g) {
          window_f32(c, x + g * n, n, oy, ox, 0.0f, window);
          )", dense, "(window, w", form.packed() ? "" : " + g * outputs * inputs", R"(, bias + g * outputs, y + g * outputs, inputs, outputs, lo, hi);
        }
}
)"}));
  return name;
}
std::string define_depthwise_f32(CWriter& w) {
  return define_depthwise(w, "f32", DType::f32, "const float *w, const float *bias, float *y, float lo, float hi", "0.0f", R"(        for (int32_t k = 0; k < n; ++k) {
          const float *v = from + k, *f = w + k;
          float sum = bias[k];
          for (int32_t r = 0; r < c->kernel_height; ++r, v += row)
            for (int32_t s = 0; s < c->kernel_width; ++s, f += n) sum += v[s * column] * *f;
          y[k] = sum < lo ? lo : sum > hi ? hi : sum;
        }
)", [](std::string_view source) { return replaced(std::string(source), "@T", "float"); });
}
ConvGeometry geometry(const Call& c) { return conv_geometry(c.in[0].shape, c.in[1].shape, c.out[0].shape, c.as<Conv2dAttrs>()); }

}  // namespace

const CRules conv2d{
    [](CWriter& w, const CCall& c) {
      require_f32(c);
      const auto& at = c.call.as<Conv2dAttrs>();
      ConvGeometry g = geometry(c.call);
      std::vector<float> weight = channels_last_values<float>(weight_of(c, 1)), bias(size_t(g.o), 0.0f);
      if (c.in.size() == 3) bias = weight_of(c, 2).to_vector<float>();
      std::string b = w.constant(Tensor::of<float>({g.o}, bias), "bias"), lo = bound(w, at.lo), hi = bound(w, at.hi), x = w.pointer(c.in[0]), y = w.pointer(c.out[0]);
      if (g.is_depthwise()) {
        std::string f = w.constant(Tensor::of<float>({g.r, g.s, g.c}, taps_first(weight, g.c, g.r * g.s)), "weight"), name = define_depthwise_f32(w), shape = conv_record(w, g);
        w.line(call(name, {shape, x, f, b, y, lo, hi, w.scratch("float")}));
        return;
      }
      const WeightForm form = g.groups == 1 ? choose_form(weight, g.o, g.taps(), DType::f32) : WeightForm{};
      std::string f;
      if (form.packed()) f = store_dense(w, form, weight, g.o, g.taps(), "weight");
      else {
        std::vector<float> packed;
        for (int64_t k = 0; k < g.groups; ++k) {
          auto first = weight.begin() + k * g.o_group() * g.taps();
          auto part = blocks_of_four({first, first + g.o_group() * g.taps()}, g.o_group(), g.taps());
          packed.insert(packed.end(), part.begin(), part.end());
        }
        f = w.constant(Tensor::of<float>({g.o, g.taps()}, packed), "weight");
      }
      if (is_product(g)) return w.line(call(define_dense_rows(w, form), {x, f, b, y, g.n * g.p * g.q, g.c, g.o, lo, hi}));
      std::string name = define_conv_f32(w, form), shape = conv_record(w, g);
      w.line(call(name, {shape, x, f, b, y, lo, hi, w.scratch("float")}));
    },
    [](const Call& c) {
      ConvGeometry g = geometry(c);
      return is_product(g) ? 0 : uint64_t(g.r * g.s * (g.is_depthwise() ? g.c : g.c_group())) * sizeof(float);
    }};

// Transposed: y, the input here, is spread over x, the output.
const CRules conv2d_input{[](CWriter& w, const CCall& c) {
  require_f32(c);
  ConvGeometry g = conv_geometry(c.out[0].spec.shape, c.in[1].spec.shape, c.in[0].spec.shape, c.call.as<Conv2dAttrs>());
  std::string f = w.constant(Tensor::of<float>({g.o, g.taps()}, channels_last_values<float>(weight_of(c, 1))), "weight"), shape = conv_record(w, g);
  w.define("conv_transposed_f32", R"(/* Each value of y (out_height x out_width x out_channels) adds its filter to x (height x width x channels). */
static void conv_transposed_f32(const struct conv *c, const float *y, const float *w, float *x) {
  const int32_t n = c->channels / c->groups, outputs = c->out_channels / c->groups, taps = c->kernel_height * c->kernel_width;
  const int32_t size = c->height * c->width * c->channels;
  for (int32_t b = 0; b < c->batch; ++b, x += size) {
    for (int32_t i = 0; i < size; ++i) x[i] = 0.0f;
    for (int32_t oy = 0; oy < c->out_height; ++oy)
      for (int32_t ox = 0; ox < c->out_width; ++ox, y += c->out_channels)
        for (int32_t t = 0; t < taps; ++t) {
          const int32_t row = oy * c->stride_y - c->top + t / c->kernel_width * c->dilation_y;
          const int32_t column = ox * c->stride_x - c->left + t % c->kernel_width * c->dilation_x;
          if (row < 0 || row >= c->height || column < 0 || column >= c->width) continue;
          for (int32_t o = 0; o < c->out_channels; ++o) {
            const float v = y[o], *f = w + (o * taps + t) * n;
            float *to = x + (row * c->width + column) * c->channels + o / outputs * n;
            for (int32_t k = 0; k < n; ++k) to[k] += v * f[k];
          }
        }
  }
}
)");
  w.line(call("conv_transposed_f32", {shape, w.pointer(c.in[0]), f, w.pointer(c.out[0])}));
}};

}  // namespace miniten::c
