#include "kernels/binary.h"
#include <cmath>
#include "kernels/unary.h"
#include "miniten/base/half.h"
#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/forms.h"
#include "ops/loops.h"
#include "ops/onnx_rules.h"
#include "ops/quantized/lowering.h"
#include "ops/tflite_write.h"

namespace miniten {

namespace {

constexpr int64_t chunk = 256;

template <class T, class Stored, class F> void binary_rows(const Context& c, const ElementLoop& loop, F f) {
  loop.run(c, [&](const int64_t* at, const int64_t* step, int64_t n) {
    Stored* y = c.out[0].as<Stored>() + at[0];
    const Stored *a = c.in[0].as<Stored>() + at[1], *b = c.in[1].as<Stored>() + at[2];
    if constexpr (std::is_same_v<T, Stored>)
      if (step[0] == 1 && uint64_t(step[1]) <= 1 && uint64_t(step[2]) <= 1) return f(a, step[1], b, step[2], y, n);
    T left[chunk], right[chunk], result[chunk];
    for (int64_t i = 0; i < n; i += chunk) {
      int64_t m = std::min(chunk, n - i);
      for (int64_t j = 0; j < m; ++j) {
        left[j] = T(a[(i + j) * step[1]]);
        right[j] = T(b[(i + j) * step[2]]);
      }
      f(left, 1, right, 1, result, m);
      for (int64_t j = 0; j < m; ++j) y[(i + j) * step[0]] = Stored(result[j]);
    }
  });
}

void binary_row(kernels::Binary kind, const ClampAttrs& at, const auto* a, int64_t a_step, const auto* b, int64_t b_step, auto* y, int64_t n) {
  kernels::binary(kind, a, a_step, b, b_step, y, n);
  using T = std::remove_reference_t<decltype(*y)>;
  if (at.lo > -infinity || at.hi < infinity) kernels::clamp(y, T(at.lo), T(at.hi), y, n);
}
// Operand k is one row for many, as a factor for each channel: copies of a short one make a row that is worth a call.
void repeated_row(const Context& c, const ElementLoop& loop, kernels::Binary kind, int k) {
  constexpr int64_t most = 1024;
  const int64_t n = loop.row();
  float block[most];
  loop.run_repeated(c, [&](const int64_t* at, int64_t rows) {
    const float *same = c.in[size_t(k - 1)].f32() + at[k], *other = c.in[size_t(2 - k)].f32() + at[3 - k];
    const int64_t together = std::clamp<int64_t>(most / n, 1, rows);
    if (together > 1) {
      for (int64_t i = 0; i < together; ++i) std::copy_n(same, n, block + i * n);
      same = block;
    }
    for (int64_t i = 0; i < rows; i += together) {
      const float *a = k == 1 ? same : other + i * n, *b = k == 2 ? same : other + i * n;
      binary_row(kind, c.as<ClampAttrs>(), a, 1, b, 1, c.out[0].f32() + at[0] + i * n, std::min(together, rows - i) * n);
    }
  });
}

template <class T> T integer_power(T base, T exponent) {
  if constexpr (std::is_signed_v<T>)
    if (exponent < 0) return base == 1 ? T(1) : base == -1 ? T(exponent % 2 ? -1 : 1) : T(0);
  uint64_t result = 1, b = uint64_t(base);
  for (uint64_t e = uint64_t(exponent); e; e >>= 1, b *= b) if (e & 1) result *= b;
  return T(result);
}
// Integers wrap, as NumPy's and torch's do.
template <class T> T integer_binary(kernels::Binary kind, T a, T b) {
  switch (kind) {
    case kernels::Binary::add: return T(uint64_t(a) + uint64_t(b));
    case kernels::Binary::sub: return T(uint64_t(a) - uint64_t(b));
    case kernels::Binary::mul: return T(uint64_t(a) * uint64_t(b));
    case kernels::Binary::maximum: return a > b ? a : b;
    case kernels::Binary::minimum: return a < b ? a : b;
    case kernels::Binary::pow: return integer_power<T>(a, b);
    default: return b > T(0) ? a : T(0);
  }
}

template <kernels::Binary kind> void binary_eval(const Context& c) {
  auto run = [&](const auto* a, int64_t a_step, const auto* b, int64_t b_step, auto* y, int64_t n) { binary_row(kind, c.as<ClampAttrs>(), a, a_step, b, b_step, y, n); };
  View operands[] = {c.out[0], c.in[0], c.in[1]};
  const ElementLoop loop(c.out[0].shape(), operands);
  switch (c.out[0].spec.dtype) {
    case DType::f32:
      for (int k : {2, 1}) if (loop.repeats(k)) return repeated_row(c, loop, kind, k);
      return binary_rows<float, float>(c, loop, run);
    case DType::f64: return binary_rows<double, double>(c, loop, run);
    case DType::f16: return binary_rows<float, Half>(c, loop, run);
    case DType::bf16: return binary_rows<float, BFloat16>(c, loop, run);
    default:
      visit_dtype(c.out[0].spec.dtype, [&](auto zero) {
        using T = decltype(zero);
        if constexpr (std::is_integral_v<T>) binary_rows<T, T>(c, loop, [](const T* a, int64_t sa, const T* b, int64_t sb, T* y, int64_t n) {
          for (int64_t i = 0; i < n; ++i) y[i] = integer_binary<T>(kind, a[i * sa], b[i * sb]);
        });
      });
  }
}

void binary_infer(const Call& call, Specs& out) {
  require_same_dtype(call);
  DType t = call.in[0].dtype;
  if (bits_of(t) < 8) call.fail("whole bytes", call.in[0].text(), "int4 is storage: convert with cast first", ErrorKind::type);
  out.push({t, broadcast(call.op.name, call.in[0].shape, call.in[1].shape)});
}
void float_infer(const Call& call, Specs& out) {
  require_floats(call);
  binary_infer(call, out);
}
void number_infer(const Call& call, Specs& out) {
  if (call.in[0].dtype == DType::boolean) call.fail("numbers", call.in[0].text(), "use logical operations on bool", ErrorKind::type);
  binary_infer(call, out);
}
Cost elementwise_cost(const Call& call) { return {0, call.out[0].shape.count()}; }

// A relu or clamp that only reads the sum becomes its cut.
std::optional<Absorbed> absorb_clamp(const Fusion& f) {
  const auto& own = f.first.as<ClampAttrs>();
  if (own.lo > -infinity || own.hi < infinity || f.first.out[0].dtype != DType::f32) return {};
  if (&f.next.op == &relu_op) return Absorbed{std::make_shared<ClampAttrs>(ClampAttrs{0, infinity}), {}, {}};
  if (&f.next.op == &clamp_op) return Absorbed{std::make_shared<ClampAttrs>(f.next.as<ClampAttrs>()), {}, {}};
  return {};
}

std::vector<Sample> any_sign() {
  auto none = std::make_shared<ClampAttrs>();
  return {{{sample_values({2, 3}), sample_values({3}, 0.4f, 1.9f)}, none}, {{transpose(sample_values({3, 2})), sample_values({2, 1}, -2, -0.2f)}, none}};
}
std::vector<Sample> positive() {
  return {{{sample_values({2, 3}, 0.3f, 2.0f), sample_values({3}, 0.4f, 1.9f)}, std::make_shared<ClampAttrs>()}};
}

using Formula = void (*)(const Vjp&);
template <kernels::Binary kind>
constexpr OpDef row_of(std::string_view name, std::string_view doc, void (*infer)(const Call&, Specs&), Keep keep, Formula vjp, Foreign onnx, Foreign c,
                           QuantRule quant = {}, std::vector<Sample> (*samples)() = any_sign) {
  return {.name = name, .doc = doc, .min_inputs = 2, .max_inputs = 2, .infer = infer, .eval = binary_eval<kind>, .work = elementwise_work,
          .vjp = vjp, .keep = keep, .cost = elementwise_cost, .absorb = absorb_clamp, .samples = samples, .quant = quant,
          .traits = {.pointwise = true}, .onnx = onnx, .c = c, .attrs = codec<ClampAttrs>};
}
// The gradient of input i, summed over what was broadcast. A result that was cut is not differentiated: passes that
// cut run on compiled graphs only.
void give(const Vjp& v, int i, auto formula) {
  const auto& at = v.as<ClampAttrs>();
  if (at.lo > -infinity || at.hi < infinity)
    throw Error(ErrorKind::unsupported, v.op.name, "its plain form", "one fused with a clamp", "differentiate before compiling");
  if (v.needs(i)) v.result[size_t(i)] = sum_to(formula(), v.in[size_t(i)].shape());
}

}  // namespace

using K = kernels::Binary;
constexpr QuantRule with_numbers{QuantMode::has_integer_form, 0, lower_function, nullptr, 3};

// name, meaning, dtypes, what backward keeps, backward, ONNX
constinit const OpDef add_op = to_tflite::with(row_of<K::add>("add", "a + b", binary_infer, keep_nothing,
    [](const Vjp& v) { give(v, 0, [&] { return v.grad[0]; }); give(v, 1, [&] { return v.grad[0]; }); }, {"Add", 7, &onnx::arithmetic}, {"+", 0, &c::arithmetic},
    {QuantMode::has_integer_form, 0, lower_add, nullptr, 3}), {"ADD", 1, &to_tflite::add});
constinit const OpDef sub_op = to_tflite::with(row_of<K::sub>("sub", "a - b", number_infer, keep_nothing,
    [](const Vjp& v) { give(v, 0, [&] { return v.grad[0]; }); give(v, 1, [&] { return -v.grad[0]; }); }, {"Sub", 7, &onnx::arithmetic}, {"-", 0, &c::arithmetic},
    {QuantMode::has_integer_form, 0, lower_sub, nullptr, 3}), {"SUB", 1, &to_tflite::sub});
constinit const OpDef mul_op = to_tflite::with(row_of<K::mul>("mul", "a * b", binary_infer, keep_inputs,
    [](const Vjp& v) { give(v, 0, [&] { return v.grad[0] * v.in[1]; }); give(v, 1, [&] { return v.grad[0] * v.in[0]; }); }, {"Mul", 7, &onnx::arithmetic}, {"*", 0, &c::arithmetic},
    {QuantMode::has_integer_form, 0, lower_mul, nullptr, 3}), {"MUL", 1, &to_tflite::mul});
constinit const OpDef div_op = to_tflite::with(row_of<K::div>("div", "a / b", float_infer, keep_inputs,
    [](const Vjp& v) { give(v, 0, [&] { return v.grad[0] / v.in[1]; }); give(v, 1, [&] { return -(v.grad[0] * v.in[0]) / (v.in[1] * v.in[1]); }); },
    {"Div", 7, &onnx::arithmetic}, c::as_c("a / b"), with_numbers, positive), {"DIV", 1, &to_tflite::div});
static Tensor share(const Vjp& v, Tensor (*stronger)(const Tensor&, const Tensor&), int i) {   // half each where they are equal
  const Tensor &mine = v.in[size_t(i)], &other = v.in[size_t(1 - i)];
  Tensor zero = number_like(v.grad[0], 0);
  return where(stronger(mine, other), v.grad[0], where(equal(mine, other), v.grad[0] * 0.5, zero));
}
constinit const OpDef maximum_op = to_tflite::with(row_of<K::maximum>("maximum", "the greater of a and b", number_infer, keep_inputs,
    [](const Vjp& v) { for (int i : {0, 1}) give(v, i, [&] { return share(v, greater, i); }); }, {"Max", 8, &onnx::variadic}, {"a > b || a != a ? a : b", 0, &c::extreme}, with_numbers), {"MAXIMUM", 1, &to_tflite::maximum});
constinit const OpDef minimum_op = to_tflite::with(row_of<K::minimum>("minimum", "the lesser of a and b", number_infer, keep_inputs,
    [](const Vjp& v) { for (int i : {0, 1}) give(v, i, [&] { return share(v, less, i); }); }, {"Min", 8, &onnx::variadic}, {"a < b || a != a ? a : b", 0, &c::extreme}, with_numbers), {"MINIMUM", 1, &to_tflite::minimum});
constinit const OpDef pow_op = to_tflite::with(row_of<K::pow>("pow", "a to the b", number_infer, {3, 1},
    [](const Vjp& v) {
      give(v, 0, [&] { return v.grad[0] * v.in[1] * miniten::pow(v.in[0], v.in[1] - 1.0); });
      give(v, 1, [&] {                                     // 0 where a is 0: the limit for b >= 0
        Tensor zero = number_like(v.grad[0], 0), one = number_like(v.in[0], 1), at_zero = equal(v.in[0], number_like(v.in[0], 0));
        return where(at_zero, zero, v.grad[0] * v.out[0] * log(where(at_zero, one, v.in[0])));
      });
    }, {"Pow", 7, &onnx::arithmetic}, c::as_c("powf(a, b)"), {}, positive), {"POW", 1, &to_tflite::pow});
constinit const OpDef prelu_op{.name = "prelu", .doc = "a where it is positive, else a * b", .min_inputs = 2, .max_inputs = 2, .infer = float_infer,
    .eval = binary_eval<K::prelu>, .work = elementwise_work, .cost = elementwise_cost, .samples = any_sign, .traits = {.pointwise = true}, .attrs = codec<ClampAttrs>};
constinit const OpDef gate_op = to_tflite::with(row_of<K::gate>("gate", "a where b > 0, else 0", number_infer, {2, 0},
    [](const Vjp& v) { give(v, 0, [&] { return miniten::gate(v.grad[0], v.in[1]); }); }, {"Where", 9, &onnx::gate}, c::as_c("b > 0.0f ? a : 0.0f")), {"SELECT_V2", 1, &to_tflite::gate});

// ---- operators: dtypes are promoted first ----
std::pair<Tensor, Tensor> promoted(const Tensor& a, const Tensor& b) {
  DType t = promote(a.dtype(), b.dtype());
  // A tensor of no dimensions is weaker than one with them, within and below its kind (bool, integer, float), as torch.
  auto kind = [](DType d) { return d == DType::boolean ? 0 : is_integer(d) ? 1 : 2; };
  if (a.rank() > 0 && b.rank() == 0 && kind(a.dtype()) >= kind(b.dtype())) t = a.dtype();
  if (b.rank() > 0 && a.rank() == 0 && kind(b.dtype()) >= kind(a.dtype())) t = b.dtype();
  return {cast(a, t), cast(b, t)};
}
static Tensor combine(const OpDef& op, const Tensor& a, const Tensor& b) {
  if (a.dtype() == b.dtype()) return apply(op, {a, b}, ClampAttrs{});
  auto [x, y] = promoted(a, b);
  return apply(op, {x, y}, ClampAttrs{});
}
static Tensor real(const Tensor& x) { return is_float(x.dtype()) ? x : cast(x, DType::f32); }

Tensor number_like(const Tensor& x, double value) {
  DType t = x.dtype();
  if (!is_float(t) && value != std::floor(value)) t = DType::f32;
  else if (t == DType::boolean) t = DType::i64;
  return Tensor::full({}, value, t);
}
Tensor operator+(const Tensor& a, const Tensor& b) { return combine(add_op, a, b); }
Tensor operator-(const Tensor& a, const Tensor& b) { return combine(sub_op, a, b); }
Tensor operator*(const Tensor& a, const Tensor& b) { return combine(mul_op, a, b); }
Tensor operator/(const Tensor& a, const Tensor& b) {
  DType t = promote(a.dtype(), b.dtype());
  return is_float(t) ? combine(div_op, a, b) : combine(div_op, real(a), real(b));
}
Tensor operator+(const Tensor& a, double b) { return combine(add_op, a, number_like(a, b)); }
Tensor operator-(const Tensor& a, double b) { return combine(sub_op, a, number_like(a, b)); }
Tensor operator*(const Tensor& a, double b) { return combine(mul_op, a, number_like(a, b)); }
Tensor operator/(const Tensor& a, double b) { return real(a) / number_like(real(a), b); }
Tensor operator+(double a, const Tensor& b) { return b + a; }
Tensor operator-(double a, const Tensor& b) { return combine(sub_op, number_like(b, a), b); }
Tensor operator*(double a, const Tensor& b) { return b * a; }
Tensor operator/(double a, const Tensor& b) { return number_like(real(b), a) / real(b); }
Tensor maximum(const Tensor& a, const Tensor& b) { return combine(maximum_op, a, b); }
Tensor minimum(const Tensor& a, const Tensor& b) { return combine(minimum_op, a, b); }
Tensor pow(const Tensor& a, const Tensor& b) { return combine(pow_op, a, b); }
Tensor pow(const Tensor& a, double b) {
  if (b == 2) return square(a);
  if (b == 1) return a;
  if (b == 0.5 && is_float(a.dtype())) return sqrt(a);
  return combine(pow_op, a, number_like(a, b));
}
Tensor gate(const Tensor& g, const Tensor& open) { return combine(gate_op, g, open); }

// ---- comparisons ----
namespace {
template <class Compare> void compare_eval(const Context& c) {
  View operands[] = {c.out[0], c.in[0], c.in[1]};
  ElementLoop loop(c.out[0].shape(), operands);
  auto run = [&](auto zero) {
    using T = decltype(zero);
    loop.run(c, [&](const int64_t* at, const int64_t* step, int64_t n) {
      bool* y = c.out[0].as<bool>() + at[0];
      const T *a = c.in[0].as<T>() + at[1], *b = c.in[1].as<T>() + at[2];
      for (int64_t i = 0; i < n; ++i) {
        if constexpr (std::is_class_v<T>) y[i * step[0]] = Compare()(float(a[i * step[1]]), float(b[i * step[2]]));
        else y[i * step[0]] = Compare()(a[i * step[1]], b[i * step[2]]);
      }
    });
  };
  if (c.in[0].spec.dtype == DType::f16) run(Half(0.0f));
  else if (c.in[0].spec.dtype == DType::bf16) run(BFloat16(0.0f));
  else visit_dtype(c.in[0].spec.dtype, run);
}
template <class Compare> constexpr OpDef compare_row(std::string_view name, std::string_view doc, Foreign onnx, std::string_view in_c) {
  return {.name = name, .doc = doc, .min_inputs = 2, .max_inputs = 2,
          .infer = [](const Call& c, Specs& out) { binary_infer(c, out); out.at[0].dtype = DType::boolean; },
          .eval = compare_eval<Compare>, .work = elementwise_work, .cost = elementwise_cost, .samples = any_sign,
          .traits = {.stops_gradient = true}, .onnx = onnx, .c = {in_c, 0, &c::compare}, .attrs = codec<ClampAttrs>};
}
}  // namespace
constinit const OpDef equal_op = to_tflite::with(compare_row<std::equal_to<>>("equal", "a == b", {"Equal", 7, &onnx::compare}, "=="), {"EQUAL", 1, &to_tflite::equal});
constinit const OpDef not_equal_op = to_tflite::with(compare_row<std::not_equal_to<>>("not_equal", "a != b", {"Equal", 7, &onnx::not_equal}, "!="), {"NOT_EQUAL", 1, &to_tflite::not_equal});
constinit const OpDef less_op = to_tflite::with(compare_row<std::less<>>("less", "a < b", {"Less", 7, &onnx::compare}, "<"), {"LESS", 1, &to_tflite::less});
constinit const OpDef less_equal_op = to_tflite::with(compare_row<std::less_equal<>>("less_equal", "a <= b", {"LessOrEqual", 12, &onnx::compare}, "<="), {"LESS_EQUAL", 1, &to_tflite::less_equal});
constinit const OpDef greater_op = to_tflite::with(compare_row<std::greater<>>("greater", "a > b", {"Greater", 7, &onnx::compare}, ">"), {"GREATER", 1, &to_tflite::greater});
constinit const OpDef greater_equal_op = to_tflite::with(compare_row<std::greater_equal<>>("greater_equal", "a >= b", {"GreaterOrEqual", 12, &onnx::compare}, ">="), {"GREATER_EQUAL", 1, &to_tflite::greater_equal});
Tensor equal(const Tensor& a, const Tensor& b) { return combine(equal_op, a, b); }
Tensor not_equal(const Tensor& a, const Tensor& b) { return combine(not_equal_op, a, b); }
Tensor less(const Tensor& a, const Tensor& b) { return combine(less_op, a, b); }
Tensor less_equal(const Tensor& a, const Tensor& b) { return combine(less_equal_op, a, b); }
Tensor greater(const Tensor& a, const Tensor& b) { return combine(greater_op, a, b); }
Tensor greater_equal(const Tensor& a, const Tensor& b) { return combine(greater_equal_op, a, b); }

// ---- where(condition, a, b) ----
namespace {
template <class T> void where_rows(const Context& c) {
  View operands[] = {c.out[0], c.in[0], c.in[1], c.in[2]};
  ElementLoop(c.out[0].shape(), operands).run(c, [&](const int64_t* at, const int64_t* step, int64_t n) {
    T* y = c.out[0].as<T>() + at[0];
    const bool* condition = c.in[0].as<bool>() + at[1];
    const T *a = c.in[1].as<T>() + at[2], *b = c.in[2].as<T>() + at[3];
    if constexpr (std::is_same_v<T, float>)
      if (step[0] == 1 && step[1] == 1 && uint64_t(step[2]) <= 1 && uint64_t(step[3]) <= 1) return kernels::choose(condition, a, step[2], b, step[3], y, n);
    for (int64_t i = 0; i < n; ++i) y[i * step[0]] = condition[i * step[1]] ? a[i * step[2]] : b[i * step[3]];
  });
}
}  // namespace
constinit const OpDef where_op{.name = "where", .doc = "a where the condition holds, else b", .min_inputs = 3, .max_inputs = 3,
    .infer = [](const Call& c, Specs& out) {
      if (c.in[0].dtype != DType::boolean) c.fail("a bool condition", c.in[0].text(), "compare first", ErrorKind::type);
      if (c.in[1].dtype != c.in[2].dtype) c.fail("branches of one dtype", c.in[1].text() + " and " + c.in[2].text(), "", ErrorKind::type);
      out.push({c.in[1].dtype, broadcast(c.op.name, broadcast(c.op.name, c.in[0].shape, c.in[1].shape), c.in[2].shape)});
    },
    .eval = [](const Context& c) {
      switch (bits_of(c.out[0].spec.dtype)) {
        case 8: return where_rows<uint8_t>(c);
        case 16: return where_rows<uint16_t>(c);
        case 32: return where_rows<float>(c);
        default: return where_rows<uint64_t>(c);
      }
    },
    .work = elementwise_work,
    .vjp = [](const Vjp& v) {
      Tensor zero = number_like(v.grad[0], 0);
      if (v.needs(1)) v.result[1] = sum_to(where(v.in[0], v.grad[0], zero), v.in[1].shape());
      if (v.needs(2)) v.result[2] = sum_to(where(v.in[0], zero, v.grad[0]), v.in[2].shape());
    },
    .keep = {1, 0}, .cost = elementwise_cost,
    .samples = []() -> std::vector<Sample> {
      Tensor x = sample_values({2, 3});
      return {{{greater(x, number_like(x, 0)), x * 2.0, sample_values({3})}, nullptr}};
    },
    .traits = {}, .onnx = {"Where", 9, &onnx::where}, .tflite = {"SELECT_V2", 1, &to_tflite::where}, .c = {"a ? b : c", 0, &c::select}};
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  if (a.dtype() == b.dtype()) return apply(where_op, {condition, a, b});
  auto [x, y] = promoted(a, b);
  return apply(where_op, {condition, x, y});
}

}  // namespace miniten
