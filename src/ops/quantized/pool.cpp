#include <cmath>
#include "kernels/qpool.h"
#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/conv_geometry.h"
#include "ops/loops.h"
#include "ops/onnx_rules.h"
#include "ops/quantized/checks.h"
#include "ops/tflite_write.h"

namespace miniten {

namespace {
Shape pooled(const Call& c) {
  const auto& at = c.as<QAvgPool2dAttrs>();
  // The float op owns the rules of windows.
  Pool2dAttrs same{.kernel = at.kernel, .stride = at.stride, .padding = at.padding, .ceil_mode = at.ceil_mode, .count_include_pad = at.count_include_pad};
  Spec x{DType::f32, c.in[0].shape};
  Specs out;
  infer_outputs(avg_pool2d_op, &same, {&x, 1}, out);
  return out.at[0].shape;
}
// qpool.h's arithmetic on int16, rows [begin, end) of n * out_h.
void average16(const Context& c, const kernels::PoolShape& s, int64_t begin, int64_t end) {
  const auto& at = c.as<QAvgPool2dAttrs>();
  const float ratio = at.x_scale / at.y_scale;
  for (int64_t row = begin; row < end; ++row) {
    const int16_t* x = c.in[0].as<int16_t>() + row / s.out_h * s.in_h * s.x_row;
    int16_t* y = c.out[0].as<int16_t>() + row * s.y_row;
    int64_t top = row % s.out_h * s.stride_h - s.pad_h, first = std::max<int64_t>(top, 0), last = std::min(top + s.kernel_h, s.in_h);
    for (int64_t q = 0; q < s.out_w; ++q) {
      int64_t left = q * s.stride_w - s.pad_w, from = std::max<int64_t>(left, 0), to = std::min(left + s.kernel_w, s.in_w);
      int64_t inside = std::max<int64_t>(last - first, 0) * std::max<int64_t>(to - from, 0), count = inside;
      if (s.count_include_pad)
        count = (std::min(top + s.kernel_h, s.in_h + s.pad_h_end) - top) * (std::min(left + s.kernel_w, s.in_w + s.pad_w_end) - left);
      const float multiplier = ratio / float(std::max<int64_t>(count, 1));
      for (int64_t k = 0; k < s.channels; ++k) {
        int64_t sum = -inside * at.x_zero;
        for (int64_t i = first; i < last; ++i)
          for (int64_t j = from; j < to; ++j) sum += x[i * s.x_row + j * s.x_col + k];
        const double v = std::nearbyint(double(float(sum) * multiplier)) + double(at.y_zero);
        y[q * s.y_col + k] = int16_t(std::clamp(count ? v : double(at.y_zero), -32768.0, 32767.0));
      }
    }
  }
}
}  // namespace
constinit const OpDef qavg_pool2d_op{.name = "qavg_pool2d", .doc = "mean of each window in integers",
    .infer = [](const Call& c, Specs& out) {
      const auto& at = c.as<QAvgPool2dAttrs>();
      if (!is_activation(c.in[0].dtype)) c.fail("int8, uint8 or int16 input", c.in[0].text(), "quantise it first", ErrorKind::type);
      check_scale(c, "x_scale", at.x_scale);
      check_scale(c, "y_scale", at.y_scale);
      check_zero(c, "x_zero", at.x_zero, c.in[0].dtype);
      check_zero(c, "y_zero", at.y_zero, c.in[0].dtype);
      out.push({c.in[0].dtype, pooled(c)});
    },
    .eval = [](const Context& c) {
      const auto& at = c.as<QAvgPool2dAttrs>();
      const Shape &x = c.in[0].shape(), &y = c.out[0].shape();
      kernels::PoolShape s{.channels = x[1], .in_h = x[2], .in_w = x[3], .out_h = y[2], .out_w = y[3], .kernel_h = at.kernel[0], .kernel_w = at.kernel[1],
                           .stride_h = at.stride[0], .stride_w = at.stride[1], .pad_h = at.padding[0], .pad_w = at.padding[1], .x_row = x[3] * x[1],
                           .x_col = x[1], .y_row = y[3] * x[1], .y_col = x[1], .count_include_pad = at.count_include_pad,
                           .pad_h_end = at.padding[2], .pad_w_end = at.padding[3]};
      kernels::QPoolParams p{at.x_scale, at.y_scale, int32_t(at.x_zero), int32_t(at.y_zero), c.in[0].spec.dtype == DType::i8};
      auto [begin, end] = c.slice(y[0] * y[2]);
      if (c.in[0].spec.dtype == DType::i16) return average16(c, s, begin, end);
      for (int64_t i = begin; i < end; ++i)
        kernels::qavg_pool(s, c.in[0].data + i / y[2] * x[2] * s.x_row, c.out[0].data + i / y[2] * y[2] * s.y_row, p, i % y[2], i % y[2] + 1);
    },
    .work = [](const Call& c) {
      int64_t taps = c.as<QAvgPool2dAttrs>().kernel[0] * c.as<QAvgPool2dAttrs>().kernel[1];
      const int64_t work = c.out[0].shape.count() * taps, rows = c.out[0].shape[0] * c.out[0].shape[2];
      return Work{pieces_for_threads(c, int(std::clamp<int64_t>(std::min(work / 16384, rows), 1, 64)), std::min(work / 4096, rows))};
    },
    .cost = [](const Call& c) { return Cost{0, c.out[0].shape.count() * c.as<QAvgPool2dAttrs>().kernel[0] * c.as<QAvgPool2dAttrs>().kernel[1]}; },
    .samples = []() -> std::vector<Sample> {
      return {{{cast(sample_values({2, 3, 4, 5}, -128, 127), DType::i8)},
               std::make_shared<QAvgPool2dAttrs>(QAvgPool2dAttrs{.kernel = {2, 3}, .stride = {2, 1}, .padding = {1, 0, 0, 1}, .x_scale = 0.1f, .y_scale = 0.07f, .x_zero = -5, .y_zero = 2})},
              {{cast(sample_values({1, 3, 4, 4}, -32768, 32767), DType::i16)},
               std::make_shared<QAvgPool2dAttrs>(QAvgPool2dAttrs{.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1, 1, 1}, .count_include_pad = false, .x_scale = 0.1f, .y_scale = 0.09f})}};
    },
    .traits = {.stops_gradient = true, .channels_last = 1, .out = Layout::channels_last}, .onnx = {"QLinearAveragePool", 1, &onnx::qavg_pool2d}, .tflite = {"AVERAGE_POOL_2D", 1, &to_tflite::qavg_pool2d}, .c = {"qavg_pool2d", 0, &c::qavg_pool2d},
    .attrs = codec<QAvgPool2dAttrs>};

}  // namespace miniten
