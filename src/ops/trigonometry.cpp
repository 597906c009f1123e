#include <cmath>
#include "miniten/base/half.h"
#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/loops.h"
#include "ops/onnx_rules.h"
#include "ops/tflite_write.h"

namespace miniten {

// Functions that networks seldom need, so they are the C library's: angles, hyperbolas and their inverses.
namespace {

template <class F> void each(const Context& c, F f) {
  View operands[] = {c.out[0], c.in[0]};
  ElementLoop loop(c.out[0].shape(), operands);
  auto run = [&](auto zero) {
    using T = decltype(zero);
    using A = std::conditional_t<std::is_class_v<T>, float, T>;
    loop.run(c, [&](const int64_t* at, const int64_t* step, int64_t n) {
      T* y = c.out[0].as<T>() + at[0];
      const T* x = c.in[0].as<T>() + at[1];
      for (int64_t i = 0; i < n; ++i) y[i * step[0]] = T(f(A(x[i * step[1]])));
    });
  };
  switch (c.out[0].spec.dtype) {
    case DType::f32: return run(0.0f);
    case DType::f64: return run(0.0);
    case DType::f16: return run(Half(0.0f));
    default: return run(BFloat16(0.0f));
  }
}
void float_infer(const Call& c, Specs& out) {
  require_floats(c);
  out.push(c.in[0]);
}
Cost elementwise_cost(const Call& c) { return {0, c.out[0].shape.count()}; }

std::vector<Sample> any() { return {{{sample_values({2, 3})}, nullptr}, {{transpose(sample_values({3, 2}))}, nullptr}}; }
std::vector<Sample> within_one() { return {{{sample_values({2, 3}, -0.8f, 0.8f)}, nullptr}}; }
std::vector<Sample> positive() { return {{{sample_values({2, 3}, 0.3f, 2.2f)}, nullptr}}; }
std::vector<Sample> above_one() { return {{{sample_values({2, 3}, 1.3f, 3.0f)}, nullptr}}; }

template <class F> constexpr OpDef row(std::string_view name, std::string_view doc, F, Keep keep, void (*vjp)(const Vjp&), std::string_view in_c, Foreign onnx = {},
                                       std::vector<Sample> (*samples)() = any) {
  return {.name = name, .doc = doc, .infer = float_infer, .eval = [](const Context& c) { each(c, F()); }, .work = elementwise_work, .vjp = vjp, .keep = keep,
          .cost = elementwise_cost, .samples = samples, .traits = {.pointwise = true}, .onnx = onnx, .c = c::as_c(in_c)};
}
const Tensor& g(const Vjp& v) { return v.grad[0]; }
const Tensor& x(const Vjp& v) { return v.in[0]; }
const Tensor& y(const Vjp& v) { return v.out[0]; }

}  // namespace

constinit const OpDef tan_op = to_tflite::with(row("tan", "tangent", [](auto v) { return std::tan(v); }, keep_output,
    [](const Vjp& v) { v.result[0] = g(v) * (square(y(v)) + 1.0); }, "tanf(a)", {"Tan", 7}), {"SIN", 1, &to_tflite::tan});
constinit const OpDef asin_op = to_tflite::with(row("asin", "inverse sine", [](auto v) { return std::asin(v); }, keep_inputs,
    [](const Vjp& v) { v.result[0] = g(v) * rsqrt(1.0 - square(x(v))); }, "asinf(a)", {"Asin", 7}, within_one), {"ATAN2", 1, &to_tflite::asin});
constinit const OpDef acos_op = to_tflite::with(row("acos", "inverse cosine", [](auto v) { return std::acos(v); }, keep_inputs,
    [](const Vjp& v) { v.result[0] = -(g(v) * rsqrt(1.0 - square(x(v)))); }, "acosf(a)", {"Acos", 7}, within_one), {"ATAN2", 1, &to_tflite::acos});
constinit const OpDef atan_op = to_tflite::with(row("atan", "inverse tangent", [](auto v) { return std::atan(v); }, keep_inputs,
    [](const Vjp& v) { v.result[0] = g(v) / (square(x(v)) + 1.0); }, "atanf(a)", {"Atan", 7}), {"ATAN2", 1, &to_tflite::atan});
constinit const OpDef sinh_op = to_tflite::with(row("sinh", "hyperbolic sine", [](auto v) { return std::sinh(v); }, keep_inputs,
    [](const Vjp& v) { v.result[0] = g(v) * cosh(x(v)); }, "sinhf(a)", {"Sinh", 9}), {"EXP", 1, &to_tflite::sinh});
constinit const OpDef cosh_op = to_tflite::with(row("cosh", "hyperbolic cosine", [](auto v) { return std::cosh(v); }, keep_inputs,
    [](const Vjp& v) { v.result[0] = g(v) * sinh(x(v)); }, "coshf(a)", {"Cosh", 9}), {"EXP", 1, &to_tflite::cosh});
constinit const OpDef asinh_op = row("asinh", "inverse hyperbolic sine", [](auto v) { return std::asinh(v); }, keep_inputs,
    [](const Vjp& v) { v.result[0] = g(v) * rsqrt(square(x(v)) + 1.0); }, "asinhf(a)", {"Asinh", 9});
constinit const OpDef acosh_op = row("acosh", "inverse hyperbolic cosine", [](auto v) { return std::acosh(v); }, keep_inputs,
    [](const Vjp& v) { v.result[0] = g(v) * rsqrt(square(x(v)) - 1.0); }, "acoshf(a)", {"Acosh", 9}, above_one);
constinit const OpDef atanh_op = row("atanh", "inverse hyperbolic tangent", [](auto v) { return std::atanh(v); }, keep_inputs,
    [](const Vjp& v) { v.result[0] = g(v) / (1.0 - square(x(v))); }, "atanhf(a)", {"Atanh", 9}, within_one);
constinit const OpDef log2_op = to_tflite::with(row("log2", "logarithm to base 2", [](auto v) { return std::log2(v); }, keep_inputs,
    [](const Vjp& v) { v.result[0] = g(v) / (x(v) * 0.6931471805599453); }, "log2f(a)", {"Log", 6, &onnx::log2}, positive), {"LOG", 1, &to_tflite::log2});
constinit const OpDef trunc_op = to_tflite::with(row("trunc", "the integer towards 0", [](auto v) { return std::trunc(v); }, keep_nothing,
    [](const Vjp& v) { v.result[0] = g(v) * 0.0; }, "truncf(a)", {"Floor", 6, &onnx::trunc}), {"FLOOR", 1, &to_tflite::trunc});

constinit const OpDef atan2_op{.name = "atan2", .doc = "the angle of (x, y)", .min_inputs = 2, .max_inputs = 2,
    .infer = [](const Call& c, Specs& out) {
      require_floats(c);
      require_same_dtype(c);
      out.push({c.in[0].dtype, broadcast("atan2", c.in[0].shape, c.in[1].shape)});
    },
    .eval = [](const Context& c) {
      View operands[] = {c.out[0], c.in[0], c.in[1]};
      ElementLoop loop(c.out[0].shape(), operands);
      auto run = [&](auto zero) {
        using T = decltype(zero);
        using A = std::conditional_t<std::is_class_v<T>, float, T>;
        loop.run(c, [&](const int64_t* at, const int64_t* step, int64_t n) {
          T* y = c.out[0].as<T>() + at[0];
          const T *a = c.in[0].as<T>() + at[1], *b = c.in[1].as<T>() + at[2];
          for (int64_t i = 0; i < n; ++i) y[i * step[0]] = T(std::atan2(A(a[i * step[1]]), A(b[i * step[2]])));
        });
      };
      switch (c.out[0].spec.dtype) {
        case DType::f32: return run(0.0f);
        case DType::f64: return run(0.0);
        case DType::f16: return run(Half(0.0f));
        default: return run(BFloat16(0.0f));
      }
    },
    .work = elementwise_work,
    .vjp = [](const Vjp& v) {
      Tensor length = square(v.in[0]) + square(v.in[1]);
      if (v.needs(0)) v.result[0] = sum_to(g(v) * v.in[1] / length, v.in[0].shape());
      if (v.needs(1)) v.result[1] = sum_to(-(g(v) * v.in[0] / length), v.in[1].shape());
    },
    .keep = keep_inputs, .cost = elementwise_cost,
    .samples = []() -> std::vector<Sample> { return {{{sample_values({2, 3}), sample_values({3}, 0.4f, 1.9f)}, nullptr}}; },
    .traits = {.pointwise = true}, .onnx = {"Atan", 7, &onnx::atan2}, .tflite = {"ATAN2", 1, &to_tflite::atan2}, .c = c::as_c("atan2f(a, b)")};

static Tensor real(const Tensor& x) { return is_float(x.dtype()) ? x : cast(x, DType::f32); }
Tensor tan(const Tensor& x) { return apply(tan_op, {real(x)}); }
Tensor asin(const Tensor& x) { return apply(asin_op, {real(x)}); }
Tensor acos(const Tensor& x) { return apply(acos_op, {real(x)}); }
Tensor atan(const Tensor& x) { return apply(atan_op, {real(x)}); }
Tensor sinh(const Tensor& x) { return apply(sinh_op, {real(x)}); }
Tensor cosh(const Tensor& x) { return apply(cosh_op, {real(x)}); }
Tensor asinh(const Tensor& x) { return apply(asinh_op, {real(x)}); }
Tensor acosh(const Tensor& x) { return apply(acosh_op, {real(x)}); }
Tensor atanh(const Tensor& x) { return apply(atanh_op, {real(x)}); }
Tensor exp2(const Tensor& x) { return exp(real(x) * 0.6931471805599453); }
Tensor log2(const Tensor& x) { return apply(log2_op, {real(x)}); }
Tensor log10(const Tensor& x) { return log2(x) * 0.30102999566398120; }
Tensor rsqrt(const Tensor& x) { return reciprocal(sqrt(x)); }
Tensor trunc(const Tensor& x) { return is_float(x.dtype()) ? apply(trunc_op, {x}) : x; }
Tensor atan2(const Tensor& y, const Tensor& x) {
  Tensor a = real(y), b = real(x);
  if (a.dtype() == b.dtype()) return apply(atan2_op, {a, b});
  auto [p, q] = promoted(a, b);
  return apply(atan2_op, {p, q});
}

}  // namespace miniten
