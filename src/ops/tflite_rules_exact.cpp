#include <cmath>
#include "ops/tflite_rules.h"

namespace miniten::tflite {

namespace {

int64_t least_of(DType t) { return t == DType::u8 ? 0 : t == DType::i8 ? -128 : -32768; }
int64_t greatest_of(DType t) { return t == DType::u8 ? 255 : t == DType::i8 ? 127 : 32767; }
const Quantized& output(const ForeignNode& n) {
  const Quantized* q = n.quantized_output(0);
  if (q->scale.size() != 1 || !(q->scale[0] > 0)) n.fail("one scale above 0 for the output", std::to_string(q->scale.size()));
  return *q;
}
const Quantized& operand(const ForeignNode& n, int i) {
  const Quantized* q = n.quantized_input(i);
  DType t = n.required(i).dtype();
  if (!q || (t != DType::i8 && t != DType::u8) || q->scale.size() != 1) n.fail("8-bit integers with one scale, for exact=\"tflite\"", n.required(i).spec().text());
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

Tensor centred(const ForeignNode& n, const Tensor& q, const Quantized* of) {
  if (!of) n.fail("integers with a scale", q.spec().text());
  for (int32_t z : of->zero) if (z != of->zero[0]) n.fail("one zero point", "several");
  Tensor x = miniten::cast(q, DType::f64);
  return of->zero[0] == 0 ? x : x - double(of->zero[0]);
}
Tensor half_away(const Tensor& x) { return sign(x) * miniten::floor(miniten::abs(x) + 0.5); }

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

namespace {
Tensor in_fixed_point(const Tensor& sums, const std::vector<FixedPoint>& multipliers, int axis, int64_t zero, Cut cut, DType t, bool once) {
  std::vector<int32_t> m, s;
  for (const FixedPoint& f : multipliers) {
    m.push_back(f.multiplier);
    s.push_back(f.shift);
  }
  bool one = multipliers.size() == 1;
  Shape shape = one ? Shape{} : Shape{int64_t(m.size())};
  Tensor x = miniten::cast(minimum(maximum(sums, number_like(sums, -2147483648.0)), number_like(sums, 2147483647.0)), DType::i32);
  return apply(requantize_op, {x, Tensor::of<int32_t>(shape, m), Tensor::of<int32_t>(shape, s)}, RequantizeAttrs{one ? -1 : axis, zero, cut.lo, cut.hi, t, once});
}
}  // namespace
Tensor in_fixed_point(const Tensor& sums, const std::vector<double>& multipliers, int axis, int64_t zero, Cut cut, DType t, bool once) {
  std::vector<FixedPoint> all;
  for (double v : multipliers) all.push_back(fixed_point(v));
  return in_fixed_point(sums, all, axis, zero, cut, t, once);
}
Tensor requantized(const ForeignNode& n, const Tensor& sums, const std::vector<double>& multipliers, int axis, bool once) {
  return in_fixed_point(sums, multipliers, axis, output(n).zero[0], integer_bounds(n), n.output_spec(0).dtype, once);
}
Tensor in_range(const ForeignNode& n, const Tensor& integers) {
  Cut cut = integer_bounds(n);
  Tensor y = integers + double(output(n).zero[0]);
  return miniten::cast(minimum(maximum(y, number_like(y, double(cut.lo))), number_like(y, double(cut.hi))), n.output_spec(0).dtype);
}

Tensor exact_sum(const ForeignNode& n, int sign) {
  const Quantized &a = operand(n, 0), &b = operand(n, 1);
  constexpr double left = 1 << 20;
  double twice = double(2 * std::max(a.scale[0], b.scale[0])), out = double(output(n).scale[0]);
  auto scaled = [&](int i, const Quantized& q) {
    return in_fixed_point(centred(n, n.required(i), &q) * left, {double(q.scale[0]) / twice}, -1, 0, {INT32_MIN, INT32_MAX}, DType::i32);
  };
  Tensor x = miniten::cast(scaled(0, a), DType::f64), y = miniten::cast(scaled(1, b), DType::f64);
  return requantized(n, sign > 0 ? x + y : x - y, {twice / (left * out)});
}
Tensor exact_product(const ForeignNode& n) {
  const Quantized &a = operand(n, 0), &b = operand(n, 1);
  double m = double(a.scale[0] * b.scale[0] / output(n).scale[0]);
  return requantized(n, centred(n, n.required(0), &a) * centred(n, n.required(1), &b), {m});
}

Tensor exact_relu(const ForeignNode& n) {
  const Quantized &q = operand(n, 0), &out = output(n);
  DType t = n.output_spec(0).dtype;
  float lo = n.type() == "RELU_N1_TO_1" ? -1.0f : 0.0f, hi = n.type() == "RELU6" ? 6.0f : n.type() == "RELU" ? infinity : 1.0f;
  Cut cut{std::max(least_of(t), place_of(lo, out)), greatest_of(t)};
  if (hi < infinity) cut.hi = std::min(cut.hi, place_of(hi, out));
  if (cut.lo > cut.hi) n.fail("an activation within the output's range", std::to_string(cut.lo) + " to " + std::to_string(cut.hi));
  return in_fixed_point(centred(n, n.required(0), &q), {double(q.scale[0] / out.scale[0])}, -1, out.zero[0], cut, t);
}

// By a table of exp(-scale * beta * distance from the greatest), summed one after the other.
Tensor exact_softmax(const ForeignNode& n) {
  const Quantized &q = operand(n, 0), &out = output(n);
  Tensor x = miniten::cast(n.required(0), DType::f64);
  if (x.rank() < 1) n.fail("at least one axis", x.spec().text());
  std::vector<float> table(256);
  float step = -q.scale[0] * float(n.number("beta", 0));
  for (int i = 0; i < 256; ++i) table[size_t(i)] = std::exp(step * float(i));
  Tensor distance = miniten::cast(miniten::max(x, {-1}, true) - x, DType::i64);
  Tensor e = miniten::gather(Tensor::of<float>({256}, table), distance, 0);
  Tensor total = miniten::slice(cumsum(e, -1), -1, x.dim(-1) - 1, x.dim(-1));
  Tensor y = e * (1.0 / (total * double(out.scale[0])));
  return in_range(n, miniten::cast(miniten::floor(y + 0.5), DType::f64));
}

// ---- functions of one byte ----
namespace {

int16_t saturated(int64_t v) { return int16_t(std::clamp<int64_t>(v, -32768, 32767)); }
// a * b * 2^-15: to nearest with halves away from 0, or towards 0.
int16_t high_product(int16_t a, int16_t b) { return saturated((int64_t{a} * b + (int64_t{a} * b >= 0 ? 1 << 14 : 1 - (1 << 14))) / (1 << 15)); }
int16_t high_part(int16_t a, int16_t b) { return saturated(int64_t{a} * b / (1 << 15)); }
int32_t divided(int32_t x, int n) {                  // by 2^n, to nearest, halves away from 0
  int32_t mask = int32_t((int64_t{1} << n) - 1), rest = x & mask;
  return (x >> n) + (rest > (mask >> 1) + (x < 0));
}
int16_t fraction_of(const FixedPoint& f) { return f.multiplier >= INT32_MAX - (1 << 15) ? INT16_MAX : int16_t((f.multiplier + (1 << 15)) >> 16); }

// x * clamp(x / 3 + 1, 0, 2) / 2 in 16 bits: x on 2^-7 of its scale, the factor as a fraction.
int32_t hard_swish(int32_t centred, const FixedPoint& out, const FixedPoint& factor) {
  auto x = int16_t(centred * 128), scaled = high_product(x, fraction_of(out)), f = x;
  if (factor.shift > 0) f = saturated(int64_t{f} << std::min(factor.shift - 1, 31));
  f = high_product(f, fraction_of(factor));
  if (factor.shift > 0) f = saturated(int64_t{f} * 2);
  if (factor.shift < 0) f = int16_t(divided(f, std::min(-factor.shift, 31)));
  f = int16_t((f + (1 << 15)) >> 1);
  return divided(high_part(f, scaled), std::clamp(-out.shift, 0, 31));
}

}  // namespace

Tensor exact_function(const ForeignNode& n) {
  const std::string_view type = n.type();
  float (*f)(float) = nullptr;
  if (type == "LOGISTIC") f = [](float x) { return 1.0f / (1.0f + std::exp(-x)); };
  else if (type == "TANH") f = [](float x) { return std::tanh(x); };
  else if (type == "EXP") f = [](float x) { return std::exp(x); };
  else if (type == "ELU") f = [](float x) { return x < 0 ? std::expm1(x) : x; };
  else if (type != "HARD_SWISH") return {};
  const Quantized &q = operand(n, 0), &out = output(n);
  DType t = n.output_spec(0).dtype, from = n.required(0).dtype();
  const FixedPoint swish = fixed_point(double(q.scale[0] / 128.0f / out.scale[0])), factor = fixed_point(double(q.scale[0] / 128.0f / (3.0f / 32768.0f)));
  const float steps = 1 / out.scale[0];
  std::vector<int32_t> table;
  for (int32_t i = 0; i < 256; ++i) {
    int32_t x = i + int32_t(least_of(from)) - q.zero[0];
    int64_t y = f ? whole(f(q.scale[0] * float(x)) * steps) : hard_swish(x, swish, factor);
    table.push_back(int32_t(std::clamp(y + out.zero[0], least_of(t), greatest_of(t))));
  }
  Tensor index = miniten::cast(n.required(0), DType::i32);
  if (from == DType::i8) index = index + 128.0;
  return miniten::gather(miniten::cast(Tensor::of<int32_t>({256}, table), t), index, 0);
}

Tensor exact_slopes(const ForeignNode& n) {
  const Quantized &q = operand(n, 0), &out = output(n);
  DType t = n.output_spec(0).dtype;
  Tensor x = centred(n, n.required(0), &q), sloped = x;
  double slope = double(q.scale[0] * float(n.number("alpha", 0)) / out.scale[0]);
  if (n.type() == "PRELU") {
    const Quantized& a = operand(n, 1);
    sloped = x * centred(n, n.required(1), &a);
    slope = double(q.scale[0] * a.scale[0] / out.scale[0]);
  }
  auto scaled = [&](const Tensor& v, double m) {
    if (m < 0) return in_fixed_point(-v, {-m}, -1, out.zero[0], {least_of(t), greatest_of(t)}, t);
    return in_fixed_point(v, {m}, -1, out.zero[0], {least_of(t), greatest_of(t)}, t);
  };
  return miniten::where(greater_equal(x, number_like(x, 0)), scaled(x, double(q.scale[0] / out.scale[0])), scaled(sloped, slope));
}

// The sum's multiplier takes the share of one element in, as far as 32 bits hold it.
Tensor exact_mean(const ForeignNode& n, const Axes& axes, bool keep) {
  const Quantized &q = operand(n, 0), &out = output(n);
  Tensor x = centred(n, n.required(0), &q);
  int64_t count = 1;
  for (Dim a : axes) count *= x.dim(int(a));
  if (count < 1) n.fail("at least one element for each mean", x.spec().text());
  DType t = n.output_spec(0).dtype;
  FixedPoint f = fixed_point(double(q.scale[0]) / double(out.scale[0]));
  int shift = std::min({63 - __builtin_clzll(uint64_t(count)), 32, 31 + f.shift});
  f = {int32_t((int64_t{f.multiplier} << std::max(shift, 0)) / count), f.shift - shift};
  return in_fixed_point(sum(x, axes, keep), std::vector<FixedPoint>{f}, -1, out.zero[0], {least_of(t), greatest_of(t)}, t, false);
}

Tensor exact_products(const ForeignNode& n) {
  const Quantized &qa = operand(n, 0), &qb = operand(n, 1);
  Tensor a = centred(n, n.required(0), &qa), b = centred(n, n.required(1), &qb);
  if (a.rank() < 2 || b.rank() < 2) n.fail("matrices", a.spec().text() + " and " + b.spec().text());
  if (n.integer("adj_x", 0)) a = transpose(a);
  if (n.integer("adj_y", 0)) b = transpose(b);
  return requantized(n, miniten::matmul(a, b), {double(qa.scale[0]) * double(qb.scale[0]) / double(output(n).scale[0])});
}

}  // namespace miniten::tflite
