#include <cmath>
#include "miniten/ops/attrs.h"
#include "ops/c/integers.h"
#include "ops/c/windows.h"
#include "ops/c_rules.h"

namespace miniten::c {

// Quantised ops that are no products with weights.
namespace {
std::string less_zero(int64_t zero) { return zero == 0 ? "" : (zero > 0 ? " - " : " + ") + text(std::abs(zero)); }
// One loop over y and what it is computed of; expression of the inputs' elements "@0", "@1".
void write_elements(CWriter& w, const CCall& c, std::string expression) {
  const COperand& y = c.out[0];
  auto key = [](size_t i) { return "@" + text(int64_t(i)); };
  std::vector<Strides> operands{y.strides};
  for (size_t i = 0; i < c.in.size(); ++i) operands.push_back(expression.find(key(i)) == expression.npos ? Dims::filled(y.spec.shape.rank, 0) : spread(c.in[i], y.spec.shape));
  Loops loops(y.spec.shape, operands);
  std::string to = w.pointer(y);
  for (size_t i = 0; i < c.in.size(); ++i)
    if (expression.find(key(i)) != expression.npos) expression = replaced(expression, key(i), w.pointer(c.in[i]) + "[" + loops.index(int(i) + 1) + "]");
  loops.open(w);
  w.line(join({to, "[", loops.index(0), "] = ", expression, ";"}));
  loops.close(w);
}
double value_of(const CCall& c, int i) {
  const Tensor* t = c.call.value(i);
  if (!t || t->numel() != 1) c.refuse("one constant scale and zero point", "input " + text(i) + " of " + c.in[size_t(i)].spec.text());
  return t->item();
}
void bounds_of(const CCall& c, DType t, int64_t& lo, int64_t& hi) {
  if (bits_of(t) > 16) c.refuse("8- or 16-bit integers", std::string(name_of(t)));
  hi = (int64_t{1} << (bits_of(t) - (is_signed(t) ? 1 : 0))) - 1;
  lo = is_signed(t) ? -hi - 1 : 0;
}
}  // namespace
const CRules quantize{[](CWriter& w, const CCall& c) {
  const COperand& y = c.out[0];
  double scale = value_of(c, 1), zero = value_of(c, 2);
  int64_t lo = 0, hi = 0;
  bounds_of(c, y.spec.dtype, lo, hi);
  define_round(w);
  write_elements(w, c, join({"(", c_type(y.spec.dtype), ")round_even(@0 / ", c_number(scale, DType::f32), ", ", int64_t(zero), ", ", lo, ", ", hi, ")"}));
}};
const CRules dequantize{[](CWriter& w, const CCall& c) {
  double scale = value_of(c, 1), zero = value_of(c, 2);
  if (bits_of(c.in[0].spec.dtype) > 16) c.refuse("8- or 16-bit integers", c.in[0].spec.text());
  std::string q = zero != 0 ? "(@0" + less_zero(int64_t(zero)) + ")" : "@0";
  write_elements(w, c, join({"(float)", q, " * ", c_number(scale, DType::f32)}));
}};

const CRules exact_quantize{[](CWriter& w, const CCall& c) {
  const auto& at = c.call.as<ExactScaleAttrs>();
  define_round(w, true);
  write_elements(w, c, join({"(", c_type(at.dtype), ")round_away(@0 / ", c_number(double(at.scale), DType::f32), ", ", at.zero, ", ", at.lo, ", ", at.hi, ")"}));
}};
const CRules requantize{[](CWriter& w, const CCall& c) {
  const auto& at = c.call.as<RequantizeAttrs>();
  if (at.dtype == DType::i32) c.refuse("8- or 16-bit integers", "int32");
  const Tensor *multiplier = c.call.value(1), *shift = c.call.value(2);
  if (!multiplier || !shift || at.axis >= 0) c.refuse("one constant multiplier and shift", c.in[1].spec.text());
  at.once ? define_requantize_once(w) : define_requantize_fixed(w);
  write_elements(w, c, join({"(", c_type(at.dtype), at.once ? ")requantize_once" : ")requantize_fixed", "(@0, ", store_fixed_point(w, *multiplier, *shift, 1), ", ", at.zero, ", ", at.lo, ", ", at.hi, ")"}));
}};
// a and b by 2^20 on twice the greater scale where they are added.
const CRules exact_pair{[](CWriter& w, const CCall& c) {
  const auto& at = c.call.as<ExactPairAttrs>();
  const Tensor *multiplier = c.call.value(2), *shift = c.call.value(3);
  if (!multiplier || !shift) c.refuse("constant multipliers and shifts", c.in[2].spec.text());
  define_requantize_fixed(w);
  std::string a = "(@0" + less_zero(at.a_zero) + ")", b = "(@1" + less_zero(at.b_zero) + ")", m = store_fixed_point(w, *multiplier, *shift, 3);
  std::string product = a + " * " + b, end = join({", ", at.y_zero, ", ", at.lo, ", ", at.hi, ")"}), type = "(" + c_type(at.dtype) + ")";
  auto scaled = [&](const std::string& v, const std::string& by) { return "fixed_point(" + v + " * 1048576, " + by + ")"; };
  if (at.function == "mul") return write_elements(w, c, type + "requantize_fixed(" + product + ", " + m + " + 4" + end);
  if (at.function == "prelu")
    return write_elements(w, c, join({type, "(@0 >= ", at.a_zero, " ? requantize_fixed(", a.substr(1, a.size() - 2), ", ", m, end, " : requantize_fixed(", product, ", ", m, " + 4", end, ")"}));
  write_elements(w, c, join({type, "requantize_fixed(", scaled(a, m), at.function == "add" ? " + " : " - ", scaled(b, m + " + 2"), ", ", m, " + 4", end}));
}};

const CRules qtable{[](CWriter& w, const CCall& c) {
  DType x = c.in[0].spec.dtype;
  const Tensor* values = c.call.value(1);
  if (!values) c.refuse("a constant table", c.in[1].spec.text());
  std::string table = w.constant(*values, "table");
  if (bits_of(x) == 8) return write_elements(w, c, join({table, is_signed(x) ? "[@0 + 128]" : "[@0]"}));
  w.include("stdint.h");
  w.define("on_line", R"(/* On the straight lines between a table's points, 2^shift apart. */
static int16_t on_line(const int16_t *table, int32_t shift, int32_t x) {
  const int32_t u = x + 32768, k = u >> shift, rest = u - (k << shift), half = 1 << shift >> 1;
  const int32_t move = 0x40000000; /* what is shifted is above 0 */
  return (int16_t)(table[k] + (((table[k + 1] - table[k]) * rest + half + move) >> shift) - (move >> shift));
}
)");
  int shift = 0;
  while ((int64_t{65536} >> shift) + 1 > values->numel()) ++shift;
  write_elements(w, c, join({"on_line(", table, ", ", shift, ", @0)"}));
}};

const CRules qmul{[](CWriter& w, const CCall& c) {
  const auto& at = c.call.as<QAddAttrs>();
  DType t = c.out[0].spec.dtype;
  bool wide = t == DType::i16;
  wide ? define_requantize_wide(w) : define_requantize(w);
  float multiplier = std::min(at.a_scale * at.b_scale / at.y_scale, std::numeric_limits<float>::max());
  write_elements(w, c, join({"(", c_type(t), wide ? ")requantize_wide" : ")requantize", "((@0", less_zero(at.a_zero), ") * (@1", less_zero(at.b_zero), "), ", multiplier_literal(multiplier), ", ", at.y_zero, ", ", at.lo,
      ", ", at.hi, ")"}));
}};

// exp(x - greatest) * 2^30 by table, times 1 / (sum * y_scale).
const CRules qsoftmax{[](CWriter& w, const CCall& c) {
  const auto& at = c.call.as<QSoftmaxAttrs>();
  DType t = c.in[0].spec.dtype;
  bool wide = t == DType::i16;
  const Tensor* values = c.call.value(1);
  if (!values) c.refuse("a constant table", c.in[1].spec.text());
  wide ? define_requantize_wide(w) : define_requantize(w);
  w.include("string.h");
  int64_t n = c.in[0].spec.shape[-1], rows = n ? c.in[0].spec.shape.count() / n : 0, lo = 0, hi = 0;
  bounds_of(c, t, lo, hi);
  std::string name = "softmax_" + short_name(t), source = R"(/* Softmax of each row. power: exp(x - greatest) * 2^30, by greatest - x@HALVES. */
static void @N(const @T *x, const int32_t *power, double scale, int32_t zero, @T *y, int32_t rows, int32_t n) {
  for (int32_t r = 0; r < rows; ++r, x += n, y += n) {
    int32_t top = x[0];
    int64_t sum = 0;
    float inverse;
    uint32_t multiplier;
    for (int32_t i = 1; i < n; ++i) top = x[i] > top ? x[i] : top;
    for (int32_t i = 0; i < n; ++i) sum += @P;
    inverse = (float)(1.0 / ((double)sum * scale));
    memcpy(&multiplier, &inverse, sizeof multiplier);
    for (int32_t i = 0; i < n; ++i) y[i] = (@T)@R(@P, multiplier, zero, @L, @H);
  }
}
)";
  if (wide)
    w.define("power", R"(static int32_t power_of(const int32_t *power, int32_t d) {
  return (int32_t)(((int64_t)power[d & 255] * power[256 + (d >> 8)] + (1 << 29)) >> 30);
}
)");
  for (auto& [key, value] : {std::pair<std::string_view, std::string>{"@HALVES", wide ? ", of its low and its high byte" : ""}, {"@P", wide ? "power_of(power, top - x[i])" : "power[top - x[i]]"},
                             {"@R", wide ? "requantize_wide" : "requantize"}, {"@N", name}, {"@T", c_type(t)}, {"@L", text(lo)}, {"@H", text(hi)}})
    source = replaced(source, key, value);
  w.define(name, source);
  std::string table = w.constant(*values, "powers");
  w.line(call(name, {w.pointer(c.in[0]), table, c_number(double(at.y_scale), DType::f64), at.y_zero, w.pointer(c.out[0]), rows, n}));
}};

// exp(x - greatest) by table, summed one after the other.
const CRules exact_softmax{[](CWriter& w, const CCall& c) {
  const auto& at = c.call.as<ExactScaleAttrs>();
  const Tensor* values = c.call.value(1);
  if (!values) c.refuse("a constant table", c.in[1].spec.text());
  w.include("stdint.h");
  w.include("string.h");
  w.define("nearest", R"(/* (int32_t)(v + 0.5f) of v >= 0 that single precision computes in two steps, by the bits of v. */
static int32_t nearest(float v) {
  uint32_t bits;
  memcpy(&bits, &v, sizeof bits);
  const uint32_t mantissa = (bits & 0x7fffffu) | 0x800000u;
  const int32_t shift = 150 - (int32_t)(bits >> 23);
  if (bits == 0x3effffffu) return 1; /* the sum is rounded up to 1 */
  if (shift <= 0) return 0x1000000;
  return shift > 24 ? 0 : (int32_t)((mantissa + (1u << shift >> 1)) >> shift);
}
)");
  DType x = c.in[0].spec.dtype;
  int64_t n = c.in[0].spec.shape[-1], rows = n ? c.in[0].spec.shape.count() / n : 0;
  std::string name = "softmax_by_table_" + short_name(x) + (at.dtype == x ? "" : "_" + short_name(at.dtype));
  w.define(name, replaced(replaced(replaced(R"(/* power: exp(x - greatest) by greatest - x. */
static void @N(const @T *x, const float *power, float scale, int32_t zero, int32_t lo, int32_t hi, @Y *y, int32_t rows, int32_t n) {
  for (int32_t r = 0; r < rows; ++r, x += n, y += n) {
    int32_t top = x[0];
    float sum = 0.0f, inverse;
    for (int32_t i = 1; i < n; ++i) top = x[i] > top ? x[i] : top;
    for (int32_t i = 0; i < n; ++i) sum += power[top - x[i]];
    inverse = 1.0f / (sum * scale);
    for (int32_t i = 0; i < n; ++i) {
      const int32_t v = nearest(power[top - x[i]] * inverse) + zero;
      y[i] = (@Y)(v < lo ? lo : v > hi ? hi : v);
    }
  }
}
)", "@N", name), "@T", c_type(x)), "@Y", c_type(at.dtype)));
  std::string table = w.constant(*values, "powers");
  w.line(call(name, {w.pointer(c.in[0]), table, c_number(double(at.scale), DType::f32), at.zero, at.lo, at.hi, w.pointer(c.out[0]), rows, n}));
}};

// (a * a_scale + b * b_scale) / y_scale in fixed point; where that comes close to a half, as float32 has it.
namespace {
void write_sum(CWriter& w, const CCall& c, int sign) {
  const auto& at = c.call.as<QAddAttrs>();
  DType t = c.out[0].spec.dtype;
  const bool wide = t == DType::i16;
  const int64_t reach = wide ? 65535 : 255;
  const int apart = wide ? 20 : 30;
  for (float s : {at.a_scale, at.b_scale, at.y_scale}) if (s < std::numeric_limits<float>::min()) c.refuse("scales of at least 2^-126", c_number(s, DType::f32));
  auto exponent = [](float s) { int e = 0; std::frexp(s, &e); return e; };
  if (std::abs(exponent(at.a_scale) - exponent(at.b_scale)) > apart)
    c.refuse("scales of the operands within 2^" + text(apart) + " of each other", c_number(at.a_scale, DType::f32) + " and " + c_number(at.b_scale, DType::f32));
  const double ra = double(at.a_scale) / double(at.y_scale), rb = double(at.b_scale) / double(at.y_scale);
  int shift = 30;
  auto factor = [&](double r) { return std::rint(std::ldexp(r, shift)); };
  auto fits = [&] { return wide ? factor(std::max(ra, rb)) < 2147483647.0 : 255 * (factor(ra) + factor(rb)) + std::ldexp(1, shift) < 2147483647.0; };
  while (shift > 0 && !fits()) --shift;
  // How far the sum of factors is from float32's, in units of 2^-shift: a half for each unit of an operand, and three roundings to 24 bits.
  int64_t near = wide ? reach + 2 + int64_t(std::ldexp(3.1 * double(reach) * (ra + rb), shift - 24)) : 700, fa = 0, fb = 0;
  if (shift >= 11 && 2 * near < int64_t{1} << (shift - 1)) { fa = int64_t(factor(ra)); fb = int64_t(factor(rb)); }
  else { shift = 1; near = 1; }                           // every sum is close
  define_round24(w);
  w.define("struct addition", R"(struct addition {
  int32_t zero, lo, hi; /* of the output */
  int32_t a_factor, b_factor, shift, near; /* scales over the output's, times 2^shift */
  uint32_t a_scale, b_scale, scale;        /* bits of float32 */
};
)");
  w.define("scaled", R"(static uint64_t scaled(int32_t v, uint32_t scale) {
  return round24((uint64_t)(v < 0 ? -v : v) * ((scale & 0x7fffffu) | 0x800000u));
}
)");
  w.define("add_rounded", R"(/* round_half_even(((float)a * a_scale + (float)b * b_scale) / scale) as single precision computes it, step by step. */
static int32_t add_rounded(const struct addition *p, int32_t a, int32_t b) {
  const int32_t ea = (int32_t)(p->a_scale >> 23), eb = (int32_t)(p->b_scale >> 23);
  int32_t e = ea < eb ? ea : eb;
  const int64_t left = (int64_t)(scaled(a, p->a_scale) << (ea - e)), right = (int64_t)(scaled(b, p->b_scale) << (eb - e));
  const int64_t sum = (a < 0 ? -left : left) + (b < 0 ? -right : right);
  const uint32_t divisor = (p->scale & 0x7fffffu) | 0x800000u;
  uint64_t rest = round24((uint64_t)(sum < 0 ? -sum : sum)), quotient = 0, half;
  int32_t whole = 0;
  if (rest == 0) return 0;
  for (; rest >> 24; rest >>= 1) ++e;
  for (; !(rest >> 23); rest <<= 1) --e;
  for (int32_t i = 0; i < 27; ++i, rest <<= 1) {
    quotient <<= 1;
    if (rest >= divisor) {
      rest -= divisor;
      quotient |= 1;
    }
  }
  if (rest) quotient |= 1;
  quotient = round24(quotient);
  e = (int32_t)(p->scale >> 23) - e + 26; /* value = quotient * 2^-e */
  if (e < 1) whole = 0x10000;
  else if (e < 40) {
    half = UINT64_C(1) << (e - 1);
    rest = quotient & (2 * half - 1);
    quotient >>= e;
    if (rest > half || (rest == half && (quotient & 1))) ++quotient;
    whole = quotient > 0xffff ? 0x10000 : (int32_t)quotient;
  }
  return sum < 0 ? -whole : whole;
}
)");
  if (wide)
    w.define("add_wide", R"(static int32_t add_wide(const struct addition *p, int32_t a, int32_t b) {
  const uint64_t middle = UINT64_C(1) << 62, half = UINT64_C(1) << (p->shift - 1), near = (uint64_t)p->near;
  const uint64_t sum = (uint64_t)((int64_t)a * p->a_factor + (int64_t)b * p->b_factor) + middle;
  int64_t y = (int64_t)((sum + half) >> p->shift) - (int64_t)(middle >> p->shift);
  if ((sum & (2 * half - 1)) - (half - near) <= 2 * near) y = add_rounded(p, a, b); /* close to a half: rounding decides */
  y += p->zero;
  return y < p->lo ? p->lo : y > p->hi ? p->hi : (int32_t)y;
}
)");
  else
    w.define("add", R"(static int32_t add(const struct addition *p, int32_t a, int32_t b) {
  const uint32_t sum = (uint32_t)(a * p->a_factor + b * p->b_factor) + 0x80000000u, half = 1u << (p->shift - 1), near = (uint32_t)p->near;
  int32_t y = (int32_t)((sum + half) >> p->shift) - (int32_t)(0x80000000u >> p->shift);
  if ((sum & (2 * half - 1)) - (half - near) <= 2 * near) y = add_rounded(p, a, b); /* close to a half: rounding decides */
  y += p->zero;
  return y < p->lo ? p->lo : y > p->hi ? p->hi : y;
}
)");
  std::string record = w.record("struct addition", "addition", join({{"zero", at.y_zero}, {"lo", at.lo}, {"hi", at.hi}, "\n  ", {"a_factor", fa}, {"b_factor", fb}, {"shift", shift}, {"near", near}, "\n  ",
      {"a_scale", bits_literal(at.a_scale)}, {"b_scale", bits_literal(at.b_scale)}, {"scale", bits_literal(at.y_scale)}}));
  write_elements(w, c, join({"(", c_type(t), wide ? ")add_wide(" : ")add(", record, ", @0", less_zero(at.a_zero), ", ", sign > 0 ? "@1" + less_zero(at.b_zero) : (at.b_zero ? text(at.b_zero) : "") + " - @1", ")"}));
}
}  // namespace
const CRules qadd{[](CWriter& w, const CCall& c) { write_sum(w, c, 1); }};
const CRules qsub{[](CWriter& w, const CCall& c) { write_sum(w, c, -1); }};

}  // namespace miniten::c
