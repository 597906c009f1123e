#include "kernels/qpointwise.h"
#include "kernels/qpool.h"
#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/conv_geometry.h"
#include "ops/loops.h"
#include "ops/onnx_rules.h"
#include "ops/quantized/checks.h"
#include "ops/tflite_write.h"

namespace miniten {

constinit const OpDef qadd_op{.name = "qadd", .doc = "a + b in integers, each with its scale", .min_inputs = 2, .max_inputs = 2,
    .infer = [](const Call& c, Specs& out) {
      const auto& at = c.as<QAddAttrs>();
      if (!is_byte(c.in[0].dtype) || c.in[0] != c.in[1]) c.fail("two inputs of one shape, int8 or uint8", c.in[0].text() + " and " + c.in[1].text());
      for (float s : {at.a_scale, at.b_scale, at.y_scale}) check_scale(c, "scale", s);
      for (int64_t z : {at.a_zero, at.b_zero, at.y_zero, at.lo, at.hi}) check_zero(c, "zero points, lo and hi", z, c.in[0].dtype);
      out.push(c.in[0]);
    },
    .eval = [](const Context& c) {
      const auto& at = c.as<QAddAttrs>();
      kernels::QAddParams p{.a_scale = at.a_scale, .b_scale = at.b_scale, .y_scale = at.y_scale, .a_zero = int32_t(at.a_zero),
                            .b_zero = int32_t(at.b_zero), .y_zero = int32_t(at.y_zero), .lo = int32_t(at.lo), .hi = int32_t(at.hi),
                            .is_signed = c.in[0].spec.dtype == DType::i8};
      View operands[] = {c.out[0], c.in[0], c.in[1]};
      ElementLoop(c.out[0].shape(), operands).run(c, [&](const int64_t* o, const int64_t* step, int64_t n) {
        uint8_t* y = c.out[0].as<uint8_t>() + o[0];
        const uint8_t *a = c.in[0].as<uint8_t>() + o[1], *b = c.in[1].as<uint8_t>() + o[2];
        if (step[0] == 1 && step[1] == 1 && step[2] == 1) return kernels::qadd(a, b, y, n, p);
        for (int64_t i = 0; i < n; ++i) kernels::qadd(a + i * step[1], b + i * step[2], y + i * step[0], 1, p);
      });
    },
    .work = elementwise_work, .cost = [](const Call& c) { return Cost{0, 6 * c.out[0].shape.count()}; },
    .samples = []() -> std::vector<Sample> {
      Tensor a = cast(sample_values({2, 3, 2, 2}, -128, 127), DType::i8), b = cast(sample_values({2, 3, 2, 2}, 100, -100), DType::i8);
      return {{{a, b}, std::make_shared<QAddAttrs>(QAddAttrs{0.02f, 0.05f, 0.06f, 3, -4, 9, 9, 127})}};
    },
    .traits = {.pointwise = true, .stops_gradient = true}, .onnx = {"QLinearAdd", 1, &onnx::qadd}, .tflite = {"ADD", 1, &to_tflite::qadd}, .c = {"qadd", 0, &c::qadd}, .attrs = codec<QAddAttrs>};

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
}  // namespace
constinit const OpDef qavg_pool2d_op{.name = "qavg_pool2d", .doc = "mean of each window in integers",
    .infer = [](const Call& c, Specs& out) {
      const auto& at = c.as<QAvgPool2dAttrs>();
      if (!is_byte(c.in[0].dtype)) c.fail("int8 or uint8 input", c.in[0].text(), "quantise it first", ErrorKind::type);
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
      for (int64_t i = begin; i < end; ++i)
        kernels::qavg_pool(s, c.in[0].data + i / y[2] * x[2] * s.x_row, c.out[0].data + i / y[2] * y[2] * s.y_row, p, i % y[2], i % y[2] + 1);
    },
    .work = [](const Call& c) {
      int64_t taps = c.as<QAvgPool2dAttrs>().kernel[0] * c.as<QAvgPool2dAttrs>().kernel[1];
      return Work{int(std::clamp<int64_t>(std::min(c.out[0].shape.count() * taps / 16384, c.out[0].shape[0] * c.out[0].shape[2]), 1, 64))};
    },
    .cost = [](const Call& c) { return Cost{0, c.out[0].shape.count() * c.as<QAvgPool2dAttrs>().kernel[0] * c.as<QAvgPool2dAttrs>().kernel[1]}; },
    .samples = []() -> std::vector<Sample> {
      return {{{cast(sample_values({2, 3, 4, 5}, -128, 127), DType::i8)},
               std::make_shared<QAvgPool2dAttrs>(QAvgPool2dAttrs{.kernel = {2, 3}, .stride = {2, 1}, .padding = {1, 0, 0, 1}, .x_scale = 0.1f, .y_scale = 0.07f, .x_zero = -5, .y_zero = 2})}};
    },
    .traits = {.stops_gradient = true, .channels_last = 1, .out = Layout::channels_last}, .onnx = {"QLinearAveragePool", 1, &onnx::qavg_pool2d}, .tflite = {"AVERAGE_POOL_2D", 1, &to_tflite::qavg_pool2d}, .c = {"qavg_pool2d", 0, &c::qavg_pool2d},
    .attrs = codec<QAvgPool2dAttrs>};

}  // namespace miniten
