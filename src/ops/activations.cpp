#include "kernels/activation.h"
#include "kernels/unary.h"
#include "miniten/base/half.h"
#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/loops.h"
#include "ops/onnx_rules.h"
#include "ops/quantized/lowering.h"
#include "ops/tflite_write.h"

namespace miniten {

namespace {

using kernels::Activation;
constexpr int64_t chunk = 256;

// run(g, x, y, n) on rows of the first input and the last, which may be the same.
template <class T, class Stored, bool slope, class F> void rows(const Context& c, F run) {
  View operands[] = {c.out[0], c.in[0], c.in[slope]};
  ElementLoop(c.out[0].shape(), operands).run(c, [&](const int64_t* at, const int64_t* step, int64_t n) {
    Stored* y = c.out[0].as<Stored>() + at[0];
    const Stored *g = c.in[0].as<Stored>() + at[1], *x = c.in[slope].as<Stored>() + at[2];
    if constexpr (std::is_same_v<T, Stored>)
      if (step[0] == 1 && step[1] == 1 && step[2] == 1) return run(g, x, y, n);
    T left[chunk], right[chunk];
    for (int64_t i = 0; i < n; i += chunk) {
      int64_t m = std::min(chunk, n - i);
      for (int64_t j = 0; j < m; ++j) {
        left[j] = T(g[(i + j) * step[1]]);
        right[j] = T(x[(i + j) * step[2]]);
      }
      run(left, right, right, m);
      for (int64_t j = 0; j < m; ++j) y[(i + j) * step[0]] = Stored(right[j]);
    }
  });
}
template <bool slope, class F> void any_rows(const Context& c, F run) {
  switch (c.out[0].spec.dtype) {
    case DType::f32: return rows<float, float, slope>(c, run);
    case DType::f64: return rows<double, double, slope>(c, run);
    case DType::f16: return rows<float, Half, slope>(c, run);
    default: return rows<float, BFloat16, slope>(c, run);
  }
}
// The function itself of one input; of two, the first times the slope at the second.
template <bool slope> void any_eval(const Context& c, Activation kind) {
  double alpha = c.as<AlphaAttrs>().alpha;
  any_rows<slope>(c, [=](const auto* g, const auto* x, auto* y, int64_t n) {
    if constexpr (slope) kernels::activation_slope(kind, alpha, g, x, y, n);
    else kernels::activation(kind, alpha, x, y, n);
  });
}

void infer(const Call& c, Specs& out) {
  require_floats(c);
  require_same_dtype(c);
  if (c.in.size() > 1 && c.in[0].shape != c.in[1].shape) c.fail("inputs of one shape", c.in[0].shape.text() + " and " + c.in[1].shape.text());
  out.push(c.in[0]);
}
Cost cost(const Call& c) { return {0, c.out[0].shape.count()}; }
std::shared_ptr<AlphaAttrs> some_alpha() { return std::make_shared<AlphaAttrs>(AlphaAttrs{0.3}); }
std::vector<Sample> samples() { return {{{sample_values({2, 5}, -4, 4)}, some_alpha()}, {{transpose(sample_values({3, 2}))}, some_alpha()}}; }
std::vector<Sample> slope_samples() {
  return {{{sample_values({2, 5}, -1, 2), sample_values({2, 5}, -4, 4)}, some_alpha()}, {{transpose(sample_values({3, 2})), sample_values({2, 3}, -2, 1)}, some_alpha()}};
}

template <Activation kind, const OpDef& slope>
constexpr OpDef function_row(std::string_view name, std::string_view doc, Foreign onnx, Foreign tflite, Foreign c) {
  return {.name = name, .doc = doc, .infer = infer, .eval = [](const Context& x) { any_eval<false>(x, kind); }, .work = elementwise_work,
          .vjp = [](const Vjp& v) { v.result[0] = apply(slope, {v.grad[0], v.in[0]}, v.as<AlphaAttrs>()); }, .keep = keep_inputs, .cost = cost, .samples = samples,
          .quant = {QuantMode::has_integer_form, 1, lower_function}, .traits = {.pointwise = true, .activation = true}, .onnx = onnx, .tflite = tflite, .c = c,
          .attrs = codec<AlphaAttrs>};
}
template <Activation kind>
constexpr OpDef slope_row(std::string_view name, std::string_view doc, Keep keep, Foreign c, void (*vjp)(const Vjp&)) {
  return {.name = name, .doc = doc, .min_inputs = 2, .max_inputs = 2, .infer = infer, .eval = [](const Context& x) { any_eval<true>(x, kind); },
          .work = elementwise_work, .vjp = vjp, .keep = keep, .cost = cost, .samples = slope_samples, .traits = {.pointwise = true}, .c = c, .attrs = codec<AlphaAttrs>};
}
void same_slope(const Vjp& v) { if (v.needs(0)) v.result[0] = apply(v.op, {v.grad[0], v.in[1]}, v.as<AlphaAttrs>()); }
Tensor zero(const Vjp& v) { return number_like(v.grad[0], 0); }

}  // namespace

// name, meaning, what backward keeps, C; the gradient
constinit const OpDef leaky_relu_slope_op = slope_row<Activation::leaky_relu>("leaky_relu_slope", "a where b > 0, else a * alpha", {2, 0}, {"b > 0.0f ? a : a * $", 0, &c::with_alpha}, same_slope);
constinit const OpDef elu_slope_op = slope_row<Activation::elu>("elu_slope", "a where b > 0, else a * alpha * exp(b)", {2, 1}, {"b > 0.0f ? a : a * $ * expf(b)", 0, &c::with_alpha}, [](const Vjp& v) {
  same_slope(v);
  if (v.needs(1)) v.result[1] = where(greater(v.in[1], number_like(v.in[1], 0)), zero(v), v.grad[0] * v.out[0]);
});
constinit const OpDef hard_swish_slope_op = slope_row<Activation::hard_swish>("hard_swish_slope", "a * (b / 3 + 0.5), 0 where b <= -3, a where b >= 3", {3, 0},
    c::as_c("b <= -3.0f ? 0.0f : b >= 3.0f ? a : a * (b * (1.0f / 3) + 0.5f)"), [](const Vjp& v) {
  same_slope(v);
  if (v.needs(1)) v.result[1] = where(less(abs(v.in[1]), number_like(v.in[1], 3)), v.grad[0] * v.in[0] * (1.0 / 3), zero(v));
});

constinit const OpDef clamp_slope_op{.name = "clamp_slope", .doc = "a where lo <= b <= hi, else 0", .min_inputs = 2, .max_inputs = 2, .infer = infer,
    .eval = [](const Context& c) {
      const auto& at = c.as<ClampAttrs>();
      any_rows<true>(c, [&](const auto* g, const auto* x, auto* y, int64_t n) { kernels::clamp_slope(g, x, at.lo, at.hi, y, n); });
    },
    .work = elementwise_work, .vjp = [](const Vjp& v) { if (v.needs(0)) v.result[0] = apply(v.op, {v.grad[0], v.in[1]}, v.as<ClampAttrs>()); }, .keep = {2, 0}, .cost = cost,
    .samples = []() -> std::vector<Sample> { return {{{sample_values({2, 5}, -1, 2), sample_values({2, 5}, -4, 4)}, std::make_shared<ClampAttrs>(ClampAttrs{-1, 2})}}; },
    .traits = {.pointwise = true}, .c = {"clamp_slope", 0, &c::clamp_slope}, .attrs = codec<ClampAttrs>};

constinit const OpDef leaky_relu_op = function_row<Activation::leaky_relu, leaky_relu_slope_op>("leaky_relu", "x where it is positive, else x * alpha", {"LeakyRelu", 6, &onnx::leaky_relu},
    {"LEAKY_RELU", 1, &to_tflite::leaky_relu}, {"a > 0.0f ? a : a * $", 0, &c::with_alpha});
constinit const OpDef elu_op = function_row<Activation::elu, elu_slope_op>("elu", "x where it is positive, else alpha * (exp(x) - 1)", {"Elu", 6, &onnx::elu}, {"ELU", 1, &to_tflite::elu},
    {"a > 0.0f ? a : $ * expm1f(a)", 0, &c::with_alpha});
constinit const OpDef hard_swish_op = function_row<Activation::hard_swish, hard_swish_slope_op>("hard_swish", "x * clamp(x + 3, 0, 6) / 6", {"HardSwish", 14, &onnx::hard_swish},
    {"HARD_SWISH", 1, &to_tflite::hard_swish}, c::as_c("a * (a < -3.0f ? 0.0f : a > 3.0f ? 6.0f : a + 3.0f) * (1.0f / 6)"));

static Tensor real(const Tensor& x) { return is_float(x.dtype()) ? x : cast(x, DType::f32); }
Tensor leaky_relu(const Tensor& x, double alpha) { return apply(leaky_relu_op, {real(x)}, AlphaAttrs{alpha}); }
Tensor elu(const Tensor& x, double alpha) { return apply(elu_op, {real(x)}, AlphaAttrs{alpha}); }
Tensor hard_swish(const Tensor& x) { return apply(hard_swish_op, {real(x)}, AlphaAttrs{}); }

}  // namespace miniten
