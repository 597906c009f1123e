#include <cmath>
#include "ops/quantized/fixed_point.h"
#include "ops/quantized/lowering.h"
#include "ops/tflite_rules.h"

namespace miniten::tflite {

namespace {

const Quantized& output(const ForeignNode& n) {
  const Quantized* q = n.quantized_output(0);
  if (q->scale.size() != 1 || !(q->scale[0] > 0)) n.fail("one scale above 0 for the output", std::to_string(q->scale.size()));
  return *q;
}
const Quantized& operand(const ForeignNode& n, int i) {
  const Quantized* q = n.quantized_input(i);
  DType t = n.required(i).dtype();
  if (!q || !is_byte(t) || q->scale.size() != 1) n.fail("8-bit integers with one scale, for exact=\"tflite\"", n.required(i).spec().text());
  return *q;
}

// A real multiplier as a 31-bit fraction in [1/2, 1) and a power of two.
struct FixedPoint { int32_t multiplier, shift; };
FixedPoint fixed_point(double m) {
  if (!(m > 0) || std::isinf(m)) return {0, 0};
  int shift = 0;
  auto fraction = int64_t(std::round(std::frexp(m, &shift) * double(int64_t{1} << 31)));
  if (fraction == int64_t{1} << 31) { fraction /= 2; ++shift; }
  if (shift < -31) return {0, 0};
  if (shift > 30) return {INT32_MAX, 30};
  return {int32_t(fraction), shift};
}

}  // namespace

bool is_exact(const ForeignNode& n) { return n.arithmetic() == "tflite" && n.outputs() > 0 && is_quantized(n.output_spec(0).dtype, n.quantized_output(0)); }

int64_t zero_of(const ForeignNode& n, const Tensor& q, const Quantized* of) {
  if (!of) n.fail("integers with a scale", q.spec().text());
  for (int32_t z : of->zero) if (z != of->zero[0]) n.fail("one zero point", "several");
  return of->zero[0];
}

// To nearest, halves away from 0; beyond every type where a scale is tiny, 0 where it leaves no number.
static int64_t whole(float v) { return std::isnan(v) ? 0 : int64_t(std::round(std::clamp(v, -1e18f, 1e18f))); }
static int64_t place_of(float v, const Quantized& q) { return q.zero[0] + whole(v / q.scale[0]); }

Cut integer_bounds(const ForeignNode& n) {
  const Quantized& q = output(n);
  DType t = n.output_spec(0).dtype;
  Cut cut{least_of(t), greatest_of(t)};
  Bounds b = bounds_of(n);
  if (b.lo > -infinity) cut.lo = std::max(cut.lo, place_of(b.lo, q));
  if (b.hi < infinity) cut.hi = std::min(cut.hi, place_of(b.hi, q));
  if (cut.lo > cut.hi) n.fail("an activation within the output's range", std::to_string(cut.lo) + " to " + std::to_string(cut.hi));
  return cut;
}

Scales fixed_scales(const std::vector<double>& multipliers) {
  std::vector<int32_t> m, s;
  for (double v : multipliers) {
    FixedPoint f = fixed_point(v);
    m.push_back(f.multiplier);
    s.push_back(f.shift);
  }
  const Shape shape{int64_t(m.size())};
  return {Tensor::of<int32_t>(shape, m), Tensor::of<int32_t>(shape, s)};
}
namespace {
Tensor requantized(const Tensor& sums, const FixedPoint& f, int64_t zero, Cut cut, DType t) {
  return apply(requantize_op, {sums, Tensor::of<int32_t>({}, std::vector{f.multiplier}), Tensor::of<int32_t>({}, std::vector{f.shift})}, RequantizeAttrs{-1, zero, cut.lo, cut.hi, t});
}
// Two operands of bytes, the output's own type, with multipliers of the first, the second and the result.
Tensor paired(const ForeignNode& n, const char* function, const std::vector<double>& multipliers, Cut cut) {
  const Quantized &a = operand(n, 0), &b = operand(n, 1), &out = output(n);
  Scales f = fixed_scales(multipliers);
  return apply(exact_pair_op, {n.required(0), n.required(1), f.multiplier, f.shift}, ExactPairAttrs{function, a.zero[0], b.zero[0], out.zero[0], cut.lo, cut.hi, n.output_spec(0).dtype});
}
}  // namespace

Tensor exact_sum(const ForeignNode& n, int sign) {
  const Quantized &a = operand(n, 0), &b = operand(n, 1);
  constexpr double left = 1 << 20;
  double twice = double(2 * std::max(a.scale[0], b.scale[0])), out = double(output(n).scale[0]);
  return paired(n, sign > 0 ? "add" : "sub", {double(a.scale[0]) / twice, double(b.scale[0]) / twice, twice / (left * out)}, integer_bounds(n));
}
Tensor exact_product(const ForeignNode& n) {
  const double m = double(operand(n, 0).scale[0] * operand(n, 1).scale[0] / output(n).scale[0]);
  return paired(n, "mul", {0, 0, m}, integer_bounds(n));
}

// By a table of exp(-scale * beta * distance from the greatest), summed one after the other.
Tensor exact_softmax(const ForeignNode& n) {
  const Quantized &q = operand(n, 0), &out = output(n);
  if (n.required(0).rank() < 1) n.fail("at least one axis", n.required(0).spec().text());
  std::vector<float> table(256);
  float step = -q.scale[0] * float(n.number("beta", 0));
  for (int i = 0; i < 256; ++i) table[size_t(i)] = std::exp(step * float(i));
  Cut cut = integer_bounds(n);
  return apply(exact_softmax_op, {n.required(0), Tensor::of<float>({256}, table)}, ExactScaleAttrs{out.scale[0], out.zero[0], cut.lo, cut.hi, n.output_spec(0).dtype});
}

// ---- functions of one byte ----
namespace {

int16_t in_words(int64_t v) { return int16_t(std::clamp<int64_t>(v, -32768, 32767)); }
// a * b * 2^-15: to nearest with halves away from 0, or towards 0.
int16_t high_words(int16_t a, int16_t b) { return in_words((int64_t{a} * b + (int64_t{a} * b >= 0 ? 1 << 14 : 1 - (1 << 14))) / (1 << 15)); }
int16_t high_part(int16_t a, int16_t b) { return in_words(int64_t{a} * b / (1 << 15)); }
int16_t fraction_of(const FixedPoint& f) { return f.multiplier >= INT32_MAX - (1 << 15) ? INT16_MAX : int16_t((f.multiplier + (1 << 15)) >> 16); }

// x * clamp(x / 3 + 1, 0, 2) / 2 in 16 bits: x on 2^-7 of its scale, the factor as a fraction.
int32_t hard_swish(int32_t centred, const FixedPoint& out, const FixedPoint& factor) {
  auto x = int16_t(centred * 128), scaled = high_words(x, fraction_of(out)), f = x;
  if (factor.shift > 0) f = in_words(int64_t{f} << std::min(factor.shift - 1, 31));
  f = high_words(f, fraction_of(factor));
  if (factor.shift > 0) f = in_words(int64_t{f} * 2);
  if (factor.shift < 0) f = int16_t(rounded_shift(f, std::min(-factor.shift, 31)));
  f = int16_t((f + (1 << 15)) >> 1);
  return rounded_shift(high_part(f, scaled), std::clamp(-out.shift, 0, 31));
}

// f(x - zero) by the byte x, to the output's zero point and range.
template <class F> Tensor by_table(const ForeignNode& n, Cut cut, F f) {
  const Quantized &q = operand(n, 0), &out = output(n);
  DType t = n.output_spec(0).dtype, from = n.required(0).dtype();
  std::vector<int32_t> table;
  for (int32_t i = 0; i < 256; ++i) table.push_back(int32_t(std::clamp(int64_t{f(i + int32_t(least_of(from)) - q.zero[0])} + out.zero[0], cut.lo, cut.hi)));
  Tensor index = miniten::cast(n.required(0), DType::i32);
  if (from == DType::i8) index = index + 128.0;
  return miniten::gather(miniten::cast(Tensor::of<int32_t>({256}, table), t), index, 0);
}
Cut whole_range(const ForeignNode& n) { return {least_of(n.output_spec(0).dtype), greatest_of(n.output_spec(0).dtype)}; }
int32_t multiplied(int32_t x, const FixedPoint& f) { return miniten::multiplied(x, f.multiplier, f.shift); }

}  // namespace

Tensor exact_relu(const ForeignNode& n) {
  const Quantized &q = operand(n, 0), &out = output(n);
  float lo = n.type() == "RELU_N1_TO_1" ? -1.0f : 0.0f, hi = n.type() == "RELU6" ? 6.0f : n.type() == "RELU" ? infinity : 1.0f;
  Cut cut = whole_range(n);
  cut.lo = std::max(cut.lo, place_of(lo, out));
  if (hi < infinity) cut.hi = std::min(cut.hi, place_of(hi, out));
  if (cut.lo > cut.hi) n.fail("an activation within the output's range", std::to_string(cut.lo) + " to " + std::to_string(cut.hi));
  const FixedPoint scale = fixed_point(double(q.scale[0] / out.scale[0]));
  return by_table(n, cut, [&](int32_t x) { return multiplied(x, scale); });
}

Tensor exact_function(const ForeignNode& n) {
  const std::string_view type = n.type();
  float (*f)(float) = nullptr;
  if (type == "LOGISTIC") f = [](float x) { return 1.0f / (1.0f + std::exp(-x)); };
  else if (type == "TANH") f = [](float x) { return std::tanh(x); };
  else if (type == "EXP") f = [](float x) { return std::exp(x); };
  else if (type == "ELU") f = [](float x) { return x < 0 ? std::expm1(x) : x; };
  else if (type != "HARD_SWISH") return {};
  const Quantized &q = operand(n, 0), &out = output(n);
  const FixedPoint swish = fixed_point(double(q.scale[0] / 128.0f / out.scale[0])), factor = fixed_point(double(q.scale[0] / 128.0f / (3.0f / 32768.0f)));
  const float steps = 1 / out.scale[0];
  return by_table(n, whole_range(n), [&](int32_t x) { return f ? whole(f(q.scale[0] * float(x)) * steps) : int64_t{hard_swish(x, swish, factor)}; });
}

Tensor exact_slopes(const ForeignNode& n) {
  const Quantized &q = operand(n, 0), &out = output(n);
  const double above = double(q.scale[0] / out.scale[0]);
  if (n.type() == "PRELU") return paired(n, "prelu", {above, 0, double(q.scale[0] * operand(n, 1).scale[0] / out.scale[0])}, whole_range(n));
  const double below = double(q.scale[0] * float(n.number("alpha", 0)) / out.scale[0]);
  const FixedPoint plus = fixed_point(above), minus = fixed_point(std::abs(below));
  return by_table(n, whole_range(n), [&](int32_t x) { return x >= 0 ? multiplied(x, plus) : multiplied(below < 0 ? -x : x, minus); });
}

// The sum's multiplier takes the share of one element in, as far as 32 bits hold it.
Tensor exact_mean(const ForeignNode& n, const Axes& axes, bool keep) {
  const Quantized &q = operand(n, 0), &out = output(n);
  Tensor x = n.required(0);
  int64_t count = 1;
  for (Dim a : axes) count *= x.dim(int(a));
  if (count < 1) n.fail("at least one element for each mean", x.spec().text());
  FixedPoint f = fixed_point(double(q.scale[0]) / double(out.scale[0]));
  int shift = std::min({63 - __builtin_clzll(uint64_t(count)), 32, 31 + f.shift});
  f = {int32_t((int64_t{f.multiplier} << std::max(shift, 0)) / count), f.shift - shift};
  Tensor sums = sum(x, axes, keep) - double(q.zero[0] * count);
  if (count > INT32_MAX / 255) sums = minimum(maximum(sums, number_like(sums, -2147483648.0)), number_like(sums, 2147483647.0));
  return requantized(miniten::cast(sums, DType::i32), f, out.zero[0], whole_range(n), n.output_spec(0).dtype);
}

Tensor exact_products(const ForeignNode& n, const Tensor& a, const Tensor& b, const Tensor& bias, const std::vector<double>& multipliers, bool once) {
  const Quantized &qa = operand(n, 0), *qb = n.quantized_input(1);
  if (!is_byte(b.dtype())) n.fail("8-bit integers, for exact=\"tflite\"", b.spec().text());
  Scales f = fixed_scales(multipliers);
  Cut cut = integer_bounds(n);
  ExactMatmulAttrs at{qa.zero[0], zero_of(n, b, qb), output(n).zero[0], cut.lo, cut.hi, n.output_spec(0).dtype, once};
  return bias ? apply(exact_matmul_op, {a, b, f.multiplier, f.shift, bias}, at) : apply(exact_matmul_op, {a, b, f.multiplier, f.shift}, at);
}
Tensor exact_products(const ForeignNode& n) {
  const Quantized &qa = operand(n, 0), &qb = operand(n, 1);
  Tensor a = n.required(0), b = n.required(1);
  if (a.rank() < 2 || b.rank() < 2) n.fail("matrices", a.spec().text() + " and " + b.spec().text());
  if (n.integer("adj_x", 0)) a = transpose(a);
  if (!n.integer("adj_y", 0)) b = transpose(b);
  return exact_products(n, a, b, {}, {double(qa.scale[0]) * double(qb.scale[0]) / double(output(n).scale[0])}, false);
}

Tensor exact_rescale(const ForeignNode& n) {
  const Quantized *from = n.quantized_input(0), &to = output(n);
  Tensor x = n.required(0);
  DType t = n.output_spec(0).dtype;
  Cut cut = whole_range(n);
  if (is_float(x.dtype())) return apply(exact_quantize_op, {real(n, 0)}, ExactScaleAttrs{to.scale[0], to.zero[0], cut.lo, cut.hi, t});
  if (!is_quantized(x.dtype(), from)) n.fail("a quantised input", x.spec().text());
  const FixedPoint scale = fixed_point(double(from->scale[0]) / double(to.scale[0]));
  if (is_byte(x.dtype())) return by_table(n, cut, [&](int32_t v) { return multiplied(v, scale); });
  return requantized(miniten::cast(x, DType::i32) - double(zero_of(n, x, from)), scale, to.zero[0], cut, t);
}

}  // namespace miniten::tflite
