#include "kernels/unary.h"
#include <cmath>
#include "miniten/base/half.h"
#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/loops.h"
#include "ops/onnx_rules.h"
#include "ops/tflite_write.h"
#include "ops/quantized/lowering.h"

namespace miniten {

namespace {

constexpr int64_t chunk = 256;

// Runs f(from, to, n) on contiguous runs of T, staging strided and half-precision rows through a small buffer.
template <class T, class Stored, class F> void stage(const Stored* x, int64_t step, Stored* y, int64_t to_step, int64_t n, F f) {
  T buffer[chunk];
  for (int64_t i = 0; i < n; i += chunk) {
    int64_t m = std::min(chunk, n - i);
    for (int64_t j = 0; j < m; ++j) buffer[j] = T(x[(i + j) * step]);
    f(buffer, buffer, m);
    for (int64_t j = 0; j < m; ++j) y[(i + j) * to_step] = Stored(buffer[j]);
  }
}
template <class T, class Stored, class F> void unary_rows(const Context& c, F f) {
  View operands[] = {c.out[0], c.in[0]};
  ElementLoop(c.out[0].shape(), operands).run(c, [&](const int64_t* at, const int64_t* step, int64_t n) {
    Stored* y = c.out[0].as<Stored>() + at[0];
    const Stored* x = c.in[0].as<Stored>() + at[1];
    if constexpr (std::is_same_v<T, Stored>)
      if (step[0] == 1 && step[1] == 1) return f(x, y, n);
    stage<T, Stored>(x, step[1], y, step[0], n, f);
  });
}

template <kernels::Unary kind> void float_eval(const Context& c) {
  auto run = [](const auto* x, auto* y, int64_t n) { kernels::unary(kind, x, y, n); };
  switch (c.out[0].spec.dtype) {
    case DType::f32: return unary_rows<float, float>(c, run);
    case DType::f64: return unary_rows<double, double>(c, run);
    case DType::f16: return unary_rows<float, Half>(c, run);
    default: return unary_rows<float, BFloat16>(c, run);
  }
}

template <class T> T integer_unary(kernels::Unary kind, T x) {
  using U = std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>;
  switch (kind) {
    case kernels::Unary::relu: return x > T(0) ? x : T(0);
    case kernels::Unary::neg: return T(U(0) - U(x));
    case kernels::Unary::abs: return x < T(0) ? T(U(0) - U(x)) : x;
    case kernels::Unary::square: return T(uint64_t(x) * uint64_t(x));
    default: return T((T(0) < x) - (x < T(0)));
  }
}
// relu, neg, abs, square and sign take integers too.
template <kernels::Unary kind> void number_eval(const Context& c) {
  if (is_float(c.out[0].spec.dtype)) return float_eval<kind>(c);
  visit_dtype(c.out[0].spec.dtype, [&](auto zero) {
    using T = decltype(zero);
    unary_rows<T, T>(c, [](const T* x, T* y, int64_t n) { for (int64_t i = 0; i < n; ++i) y[i] = integer_unary<T>(kind, x[i]); });
  });
}

void float_infer(const Call& call, Specs& out) {
  require_floats(call);
  out.push(call.in[0]);
}
void number_infer(const Call& call, Specs& out) {
  if (DType t = call.in[0].dtype; t == DType::boolean || bits_of(t) < 8)
    call.fail("numbers", call.in[0].text(), "convert with cast first", ErrorKind::type);
  out.push(call.in[0]);
}
Cost elementwise_cost(const Call& call) { return {0, call.out[0].shape.count()}; }

std::vector<Sample> any_sign() { return {{{sample_values({2, 3})}, nullptr}, {{transpose(sample_values({3, 2}))}, nullptr}}; }
std::vector<Sample> positive() { return {{{sample_values({2, 3}, 0.3f, 2.2f)}, nullptr}}; }

using Formula = void (*)(const Vjp&);
struct Extra { Foreign onnx, c; Traits traits = {.pointwise = true, .activation = true}; QuantRule quant; std::vector<Sample> (*samples)() = any_sign; };
template <kernels::Unary kind>
constexpr OpDef float_row(std::string_view name, std::string_view doc, Keep keep, Formula vjp, const Extra& e = {}) {
  return {.name = name, .doc = doc, .infer = float_infer, .eval = float_eval<kind>, .work = elementwise_work, .vjp = vjp, .keep = keep,
          .cost = elementwise_cost, .samples = e.samples, .quant = e.quant, .traits = e.traits, .onnx = e.onnx, .c = e.c};
}
template <kernels::Unary kind>
constexpr OpDef number_row(std::string_view name, std::string_view doc, Keep keep, Formula vjp, const Extra& e = {}) {
  OpDef row = float_row<kind>(name, doc, keep, vjp, e);
  row.infer = number_infer;
  row.eval = number_eval<kind>;
  return row;
}

const Tensor& g(const Vjp& v) { return v.grad[0]; }
const Tensor& x(const Vjp& v) { return v.in[0]; }
const Tensor& y(const Vjp& v) { return v.out[0]; }

}  // namespace

using K = kernels::Unary;
constexpr QuantRule by_table{QuantMode::has_integer_form, 1, lower_function};

// name, meaning, what backward keeps, backward; then what is special
constinit const OpDef relu_op = to_tflite::with(number_row<K::relu>("relu", "max(x, 0)", keep_output, [](const Vjp& v) { v.result[0] = gate(g(v), y(v)); },
    {.onnx = {"Relu", 6}, .c = c::as_c("a <= 0.0f ? 0.0f : a"), .quant = by_table}), {"RELU", 1, &to_tflite::relu});
constinit const OpDef neg_op = to_tflite::with(number_row<K::neg>("neg", "-x", keep_nothing, [](const Vjp& v) { v.result[0] = -g(v); }, {.onnx = {"Neg", 6}, .c = c::as_c("-a"), .quant = by_table}), {"NEG", 1, &to_tflite::neg});
constinit const OpDef abs_op = to_tflite::with(number_row<K::abs>("abs", "|x|", keep_inputs, [](const Vjp& v) { v.result[0] = g(v) * sign(x(v)); }, {.onnx = {"Abs", 6}, .c = c::as_c("fabsf(a)"), .quant = by_table}), {"ABS", 1, &to_tflite::abs});
constinit const OpDef square_op = to_tflite::with(number_row<K::square>("square", "x^2", keep_inputs, [](const Vjp& v) { v.result[0] = g(v) * x(v) * 2.0; },
    {.onnx = {"Mul", 7, &onnx::square}, .c = c::as_c("a * a")}), {"SQUARE", 1, &to_tflite::square});
constinit const OpDef sign_op = to_tflite::with(number_row<K::sign>("sign", "-1, 0 or 1", keep_nothing, [](const Vjp& v) { v.result[0] = g(v) * 0.0; }, {.onnx = {"Sign", 9}, .c = c::as_c("a > 0.0f ? 1.0f : a < 0.0f ? -1.0f : a")}), {"SIGN", 1, &to_tflite::sign});
constinit const OpDef exp_op = to_tflite::with(float_row<K::exp>("exp", "e to the x", keep_output, [](const Vjp& v) { v.result[0] = g(v) * y(v); }, {.onnx = {"Exp", 6}, .c = c::as_c("expf(a)")}), {"EXP", 1, &to_tflite::exp});
constinit const OpDef expm1_op = to_tflite::with(float_row<K::expm1>("expm1", "exp(x) - 1", keep_output, [](const Vjp& v) { v.result[0] = g(v) * (y(v) + 1.0); },
    {.onnx = {"Exp", 6, &onnx::expm1}, .c = c::as_c("expm1f(a)"), .traits = {.pointwise = true}}), {"EXP", 1, &to_tflite::expm1});
constinit const OpDef log_op = to_tflite::with(float_row<K::log>("log", "natural logarithm", keep_inputs, [](const Vjp& v) { v.result[0] = g(v) / x(v); },
    {.onnx = {"Log", 6}, .c = c::as_c("logf(a)"), .samples = positive}), {"LOG", 1, &to_tflite::log});
constinit const OpDef log1p_op = to_tflite::with(float_row<K::log1p>("log1p", "log(1 + x)", keep_inputs, [](const Vjp& v) { v.result[0] = g(v) / (x(v) + 1.0); },
    {.onnx = {"Log", 6, &onnx::log1p}, .c = c::as_c("log1pf(a)"), .samples = positive}), {"LOG", 1, &to_tflite::log1p});
constinit const OpDef tanh_op = to_tflite::with(float_row<K::tanh>("tanh", "hyperbolic tangent", keep_output,
    [](const Vjp& v) { v.result[0] = g(v) - g(v) * y(v) * y(v); }, {.onnx = {"Tanh", 6}, .c = c::as_c("tanhf(a)"), .quant = by_table}), {"TANH", 1, &to_tflite::tanh});
constinit const OpDef sigmoid_op = to_tflite::with(float_row<K::sigmoid>("sigmoid", "1 / (1 + exp(-x))", keep_output,
    [](const Vjp& v) { v.result[0] = g(v) * (y(v) - y(v) * y(v)); }, {.onnx = {"Sigmoid", 6}, .c = c::as_c("1.0f / (1.0f + expf(-a))"), .quant = by_table}), {"LOGISTIC", 1, &to_tflite::sigmoid});
constinit const OpDef sqrt_op = to_tflite::with(float_row<K::sqrt>("sqrt", "square root", keep_output, [](const Vjp& v) { v.result[0] = g(v) / (y(v) * 2.0); },
    {.onnx = {"Sqrt", 6}, .c = c::as_c("sqrtf(a)"), .samples = positive}), {"SQRT", 1, &to_tflite::sqrt});
constinit const OpDef reciprocal_op = to_tflite::with(float_row<K::reciprocal>("reciprocal", "1 / x", keep_output,
    [](const Vjp& v) { v.result[0] = -(g(v) * y(v) * y(v)); }, {.onnx = {"Reciprocal", 6}, .c = c::as_c("1.0f / a"), .samples = positive}), {"DIV", 1, &to_tflite::reciprocal});
constinit const OpDef erf_op = float_row<K::erf>("erf", "error function", keep_inputs,
    [](const Vjp& v) { v.result[0] = g(v) * miniten::exp(-miniten::square(x(v))) * 1.1283791670955126; }, {.onnx = {"Erf", 9}, .c = c::as_c("erff(a)"), .quant = by_table});
constinit const OpDef gelu_op = to_tflite::with(float_row<K::gelu>("gelu", "x * Phi(x)", keep_inputs, [](const Vjp& v) {
    Tensor cdf = (miniten::erf(x(v) * 0.7071067811865476) + 1.0) * 0.5, pdf = miniten::exp(miniten::square(x(v)) * -0.5) * 0.3989422804014327;
    v.result[0] = g(v) * (cdf + x(v) * pdf); }, {.onnx = {"Gelu", 20, &onnx::gelu}, .c = c::as_c("a < -15.0f ? -0.0f : 0.5f * a * erfcf(a * -0.70710678f)"), .quant = by_table}), {"GELU", 1, &to_tflite::gelu});
constinit const OpDef silu_op = to_tflite::with(float_row<K::silu>("silu", "x * sigmoid(x)", keep_inputs, [](const Vjp& v) {
    Tensor s = miniten::sigmoid(x(v));
    v.result[0] = g(v) * (s + x(v) * s * (1.0 - s)); }, {.onnx = {"Mul", 7, &onnx::silu}, .c = c::as_c("a < -104.0f ? -0.0f : a / (1.0f + expf(-a))"), .quant = by_table}), {"LOGISTIC", 1, &to_tflite::silu});
constinit const OpDef softplus_op = to_tflite::with(float_row<K::softplus>("softplus", "log(1 + exp(x))", keep_inputs,
    [](const Vjp& v) { v.result[0] = g(v) * miniten::sigmoid(x(v)); }, {.onnx = {"Softplus", 1}, .c = c::as_c("(a > 0.0f ? a : 0.0f) + log1pf(expf(-fabsf(a)))"), .quant = by_table}), {"LOG", 1, &to_tflite::softplus});
constinit const OpDef sin_op = to_tflite::with(float_row<K::sin>("sin", "sine", keep_inputs, [](const Vjp& v) { v.result[0] = g(v) * miniten::cos(x(v)); }, {.onnx = {"Sin", 7}, .c = c::as_c("sinf(a)"), .quant = by_table}), {"SIN", 1, &to_tflite::sin});
constinit const OpDef cos_op = to_tflite::with(float_row<K::cos>("cos", "cosine", keep_inputs, [](const Vjp& v) { v.result[0] = -(g(v) * miniten::sin(x(v))); }, {.onnx = {"Cos", 7}, .c = c::as_c("cosf(a)"), .quant = by_table}), {"COS", 1, &to_tflite::cos});
constinit const OpDef floor_op = to_tflite::with(float_row<K::floor>("floor", "greatest integer <= x", keep_nothing, [](const Vjp& v) { v.result[0] = g(v) * 0.0; }, {.onnx = {"Floor", 6}, .c = c::as_c("floorf(a)")}), {"FLOOR", 1, &to_tflite::floor});
constinit const OpDef ceil_op = to_tflite::with(float_row<K::ceil>("ceil", "least integer >= x", keep_nothing, [](const Vjp& v) { v.result[0] = g(v) * 0.0; }, {.onnx = {"Ceil", 6}, .c = c::as_c("ceilf(a)")}), {"CEIL", 1, &to_tflite::ceil});
constinit const OpDef round_op = to_tflite::with(float_row<K::round>("round", "nearest integer, half to even", keep_nothing, [](const Vjp& v) { v.result[0] = g(v) * 0.0; },
    {.onnx = {"Round", 11}, .c = c::as_c("rintf(a)")}), {"ROUND", 1, &to_tflite::round});

// ---- clamp ----
static void clamp_eval(const Context& c) {
  const auto& at = c.as<ClampAttrs>();
  auto run = [&](const auto* x, auto* y, int64_t n) {
    using T = std::remove_reference_t<decltype(*y)>;
    kernels::clamp(x, T(at.lo), T(at.hi), y, n);
  };
  switch (c.out[0].spec.dtype) {
    case DType::f32: return unary_rows<float, float>(c, run);
    case DType::f64: return unary_rows<double, double>(c, run);
    case DType::f16: return unary_rows<float, Half>(c, run);
    default: return unary_rows<float, BFloat16>(c, run);
  }
}
constinit const OpDef clamp_op{.name = "clamp", .doc = "x cut to [lo, hi]",
    .infer = [](const Call& c, Specs& out) {
      const auto& at = c.as<ClampAttrs>();
      if (!(at.lo <= at.hi)) c.fail("lo <= hi", "[" + std::to_string(at.lo) + ", " + std::to_string(at.hi) + "]");
      float_infer(c, out);
    },
    .eval = clamp_eval, .work = elementwise_work,
    .vjp = [](const Vjp& v) { v.result[0] = apply(clamp_slope_op, {g(v), x(v)}, v.as<ClampAttrs>()); }, .keep = keep_inputs, .cost = elementwise_cost,
    .samples = []() -> std::vector<Sample> { return {{{sample_values({2, 3})}, std::make_shared<ClampAttrs>(ClampAttrs{-0.5f, 0.8f})}}; },
    .quant = by_table, .traits = {.pointwise = true, .activation = true},
    .onnx = {"Clip", 6, &onnx::clamp}, .tflite = {"MINIMUM", 1, &to_tflite::clamp}, .c = {"clamp", 0, &c::clamp}, .attrs = codec<ClampAttrs>};

// Functions of real numbers turn integers into float32 first, as torch.
static Tensor real(const Tensor& x) { return is_float(x.dtype()) ? x : cast(x, DType::f32); }
Tensor relu(const Tensor& x) { return apply(relu_op, {x}); }
Tensor operator-(const Tensor& x) { return apply(neg_op, {x}); }
Tensor abs(const Tensor& x) { return apply(abs_op, {x}); }
Tensor square(const Tensor& x) { return apply(square_op, {x}); }
Tensor sign(const Tensor& x) { return apply(sign_op, {x}); }
Tensor exp(const Tensor& x) { return apply(exp_op, {real(x)}); }
Tensor expm1(const Tensor& x) { return apply(expm1_op, {real(x)}); }
Tensor log(const Tensor& x) { return apply(log_op, {real(x)}); }
Tensor log1p(const Tensor& x) { return apply(log1p_op, {real(x)}); }
Tensor tanh(const Tensor& x) { return apply(tanh_op, {real(x)}); }
Tensor sigmoid(const Tensor& x) { return apply(sigmoid_op, {real(x)}); }
Tensor sqrt(const Tensor& x) { return apply(sqrt_op, {real(x)}); }
Tensor reciprocal(const Tensor& x) { return apply(reciprocal_op, {real(x)}); }
Tensor erf(const Tensor& x) { return apply(erf_op, {real(x)}); }
Tensor gelu(const Tensor& x) { return apply(gelu_op, {real(x)}); }
Tensor silu(const Tensor& x) { return apply(silu_op, {real(x)}); }
Tensor softplus(const Tensor& x) { return apply(softplus_op, {real(x)}); }
Tensor sin(const Tensor& x) { return apply(sin_op, {real(x)}); }
Tensor cos(const Tensor& x) { return apply(cos_op, {real(x)}); }
Tensor floor(const Tensor& x) { return is_float(x.dtype()) ? apply(floor_op, {x}) : x; }
Tensor ceil(const Tensor& x) { return is_float(x.dtype()) ? apply(ceil_op, {x}) : x; }
Tensor round(const Tensor& x) { return is_float(x.dtype()) ? apply(round_op, {x}) : x; }
Tensor clamp(const Tensor& x, float lo, float hi) { return apply(clamp_op, {real(x)}, ClampAttrs{lo, hi}); }

}  // namespace miniten
