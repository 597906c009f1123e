#include <cmath>
#include "miniten/ops/attrs.h"
#include "ops/c/integers.h"
#include "ops/c/windows.h"
#include "ops/c_rules.h"
#include "ops/quantized/checks.h"

namespace miniten::c {

namespace {

std::string typed(std::string_view source, std::string_view suffix, DType x, DType y) {
  return replaced(replaced(replaced(std::string(source), "@S", suffix), "@T", c_type(x)), "@Y", c_type(y));
}
std::string suffix_of(DType x, DType y) { return short_name(x) + (x == y ? "" : "_" + short_name(y)); }

void define_scaling(CWriter& w) {
  define_requantize(w);
  w.define("struct scaling", R"(struct scaling {
  const int32_t *bias;        /* of each output, the input's zero point taken into account */
  const uint32_t *multiplier; /* bits of float32: input scale * weight scale / output scale */
  int32_t zero, lo, hi;       /* of the output */
};
)");
}
void define_row(CWriter& w, const std::string& suffix, DType x, DType y) {
  define_scaling(w);
  w.define("row_" + suffix, typed(R"(/* Outputs of one row x. Weights in pairs of outputs: four k of the one, four of the other, ..; what is left of k alternates. An odd
   last output is paired with zeros. */
static void row_@S(const @T *x, const int8_t *w, const struct scaling *f, int32_t first, @Y *y, int32_t inputs, int32_t outputs) {
  const int32_t *bias = f->bias + first;
  const uint32_t *multiplier = f->multiplier + first;
  for (int32_t o = 0; o < outputs; o += 2) {
    int32_t a = bias[o], b = bias[o + 1], k = inputs;
    const @T *v = x;
    for (; k >= 4; k -= 4, v += 4, w += 8) {
      a += v[0] * w[0] + v[1] * w[1] + v[2] * w[2] + v[3] * w[3];
      b += v[0] * w[4] + v[1] * w[5] + v[2] * w[6] + v[3] * w[7];
    }
    for (; k > 0; --k, ++v, w += 2) {
      a += *v * w[0];
      b += *v * w[1];
    }
    y[o] = (@Y)requantize(a, multiplier[o], f->zero, f->lo, f->hi);
    if (o + 1 < outputs) y[o + 1] = (@Y)requantize(b, multiplier[o + 1], f->zero, f->lo, f->hi);
  }
}
)", suffix, x, y));
}
void define_rows(CWriter& w, const std::string& suffix, DType x, DType y) {
  define_row(w, suffix, x, y);
  w.define("two_rows_" + suffix, typed(R"(/* The same for two rows at once: each weight is read once for both. */
static void two_rows_@S(const @T *x, const @T *x2, const int8_t *w, const struct scaling *f, int32_t first, @Y *y, @Y *y2, int32_t inputs,
                        int32_t outputs) {
  const int32_t *bias = f->bias + first;
  const uint32_t *multiplier = f->multiplier + first;
  for (int32_t o = 0; o < outputs; o += 2) {
    int32_t a = bias[o], b = bias[o + 1], c = a, d = b, k = inputs;
    const @T *v = x, *u = x2;
    for (; k >= 4; k -= 4, v += 4, u += 4, w += 8) {
      a += v[0] * w[0] + v[1] * w[1] + v[2] * w[2] + v[3] * w[3];
      b += v[0] * w[4] + v[1] * w[5] + v[2] * w[6] + v[3] * w[7];
      c += u[0] * w[0] + u[1] * w[1] + u[2] * w[2] + u[3] * w[3];
      d += u[0] * w[4] + u[1] * w[5] + u[2] * w[6] + u[3] * w[7];
    }
    for (; k > 0; --k, ++v, ++u, w += 2) {
      a += *v * w[0];
      b += *v * w[1];
      c += *u * w[0];
      d += *u * w[1];
    }
    y[o] = (@Y)requantize(a, multiplier[o], f->zero, f->lo, f->hi);
    y2[o] = (@Y)requantize(c, multiplier[o], f->zero, f->lo, f->hi);
    if (o + 1 < outputs) {
      y[o + 1] = (@Y)requantize(b, multiplier[o + 1], f->zero, f->lo, f->hi);
      y2[o + 1] = (@Y)requantize(d, multiplier[o + 1], f->zero, f->lo, f->hi);
    }
  }
}
)", suffix, x, y));
}
void write_dense(CWriter& w, const std::string& f, const COperand& x, const std::string& weight, const COperand& y, int64_t rows, int64_t k, int64_t n) {
  DType in = x.spec.dtype, out = y.spec.dtype;
  std::string s = suffix_of(in, out), from = w.pointer(x), to = w.pointer(y);
  if (rows == 1) {
    define_row(w, s, in, out);
    w.line("row_" + s + "(" + from + ", " + weight + ", " + f + ", 0, " + to + ", " + text(k) + ", " + text(n) + ");");
    return;
  }
  define_rows(w, s, in, out);
  w.define("dense_" + s, typed(R"(static void dense_@S(const @T *x, const int8_t *w, const struct scaling *f, @Y *y, int32_t rows, int32_t inputs, int32_t outputs) {
  for (; rows > 1; rows -= 2, x += 2 * inputs, y += 2 * outputs) two_rows_@S(x, x + inputs, w, f, 0, y, y + outputs, inputs, outputs);
  if (rows) row_@S(x, w, f, 0, y, inputs, outputs);
}
)", s, in, out));
  w.line("dense_" + s + "(" + from + ", " + weight + ", " + f + ", " + to + ", " + text(rows) + ", " + text(k) + ", " + text(n) + ");");
}
void write_conv(CWriter& w, const std::string& f, const COperand& x, const std::string& weight, const COperand& y, const std::string& shape) {
  DType in = x.spec.dtype, out = y.spec.dtype;
  std::string s = suffix_of(in, out);
  define_rows(w, s, in, out);
  std::string window = define_window(w, in);
  w.define("conv_" + s, replaced(typed(R"(/* The windows of two outputs at a time are copied side by side, then they are rows. */
static void conv_@S(const struct conv *c, const @T *x, const int8_t *w, const struct scaling *f, @Y *y, @T *windows) {
  const int32_t n = c->channels / c->groups, outputs = c->out_channels / c->groups, inputs = c->kernel_height * c->kernel_width * n;
  const int32_t width = c->out_width, count = c->out_height * width, step = (outputs + 1) / 2 * 2 * inputs;
  for (int32_t b = 0; b < c->batch; ++b, x += c->height * c->width * c->channels)
    for (int32_t i = 0; i < count; i += 2) {
      const int32_t two = i + 1 < count;
      for (int32_t g = 0; g < c->groups; ++g) {
        @W(c, x + g * n, n, i / width, i % width, (@T)c->x_zero, windows);
        if (two) {
          @W(c, x + g * n, n, (i + 1) / width, (i + 1) % width, (@T)c->x_zero, windows + inputs);
          two_rows_@S(windows, windows + inputs, w + g * step, f, g * outputs, y + g * outputs, y + c->out_channels + g * outputs, inputs, outputs);
        } else {
          row_@S(windows, w + g * step, f, g * outputs, y + g * outputs, inputs, outputs);
        }
      }
      y += (1 + two) * c->out_channels;
    }
}
)", s, in, out), "@W", window));
  w.line("conv_" + s + "(" + shape + ", " + w.pointer(x) + ", " + weight + ", " + f + ", " + w.pointer(y) + ", " + w.scratch(c_type(in)) + ");");
}
void write_depthwise(CWriter& w, const std::string& f, const COperand& x, const std::string& weight, const COperand& y, const std::string& shape) {
  DType in = x.spec.dtype, out = y.spec.dtype;
  std::string s = suffix_of(in, out);
  define_scaling(w);
  std::string window = define_window(w, in);
  w.define("depthwise_" + s, replaced(typed(R"(/* One filter for each channel, four channels at a time; weights [kernel row][kernel column][channel]. Windows that reach over the border
   are copied first. */
static void depthwise_@S(const struct conv *c, const @T *x, const int8_t *w, const struct scaling *f, @Y *y, @T *window) {
  const int32_t n = c->channels;
  for (int32_t b = 0; b < c->batch; ++b, x += c->height * c->width * n)
    for (int32_t oy = 0; oy < c->out_height; ++oy)
      for (int32_t ox = 0; ox < c->out_width; ++ox, y += n) {
        const int32_t top = oy * c->stride_y - c->top, left = ox * c->stride_x - c->left;
        const int32_t bottom = top + (c->kernel_height - 1) * c->dilation_y, right = left + (c->kernel_width - 1) * c->dilation_x;
        const @T *from = window;
        int32_t row = c->kernel_width * n, column = n, k = 0;
        if (top >= 0 && left >= 0 && bottom < c->height && right < c->width) {
          from = x + (top * c->width + left) * n;
          row = c->dilation_y * c->width * n;
          column = c->dilation_x * n;
        } else {
          @W(c, x, n, oy, ox, (@T)c->x_zero, window);
        }
        for (; k + 4 <= n; k += 4) {
          int32_t s0 = f->bias[k], s1 = f->bias[k + 1], s2 = f->bias[k + 2], s3 = f->bias[k + 3];
          const @T *line = from + k;
          const int8_t *q = w + k;
          for (int32_t r = 0; r < c->kernel_height; ++r, line += row) {
            const @T *v = line;
            for (int32_t s = 0; s < c->kernel_width; ++s, v += column, q += n) {
              s0 += v[0] * q[0];
              s1 += v[1] * q[1];
              s2 += v[2] * q[2];
              s3 += v[3] * q[3];
            }
          }
          y[k] = (@Y)requantize(s0, f->multiplier[k], f->zero, f->lo, f->hi);
          y[k + 1] = (@Y)requantize(s1, f->multiplier[k + 1], f->zero, f->lo, f->hi);
          y[k + 2] = (@Y)requantize(s2, f->multiplier[k + 2], f->zero, f->lo, f->hi);
          y[k + 3] = (@Y)requantize(s3, f->multiplier[k + 3], f->zero, f->lo, f->hi);
        }
        for (; k < n; ++k) {
          int32_t sum = f->bias[k];
          const @T *line = from + k;
          const int8_t *q = w + k;
          for (int32_t r = 0; r < c->kernel_height; ++r, line += row)
            for (int32_t s = 0; s < c->kernel_width; ++s, q += n) sum += line[s * column] * *q;
          y[k] = (@Y)requantize(sum, f->multiplier[k], f->zero, f->lo, f->hi);
        }
      }
}
)", s, in, out), "@W", window));
  w.line("depthwise_" + s + "(" + shape + ", " + w.pointer(x) + ", " + weight + ", " + f + ", " + w.pointer(y) + ", " + w.scratch(c_type(in)) + ");");
}

// n rows of k weights in the order of row_ and two_rows_.
std::vector<int8_t> in_pairs(const int8_t* w, int64_t n, int64_t k) {
  std::vector<int8_t> to;
  for (int64_t o = 0; o < n; o += 2) {
    const int8_t *a = w + o * k, *b = o + 1 < n ? a + k : nullptr;
    auto second = [&](int64_t i) { return b ? b[i] : int8_t(0); };
    int64_t i = 0;
    for (; i + 4 <= k; i += 4) {
      to.insert(to.end(), a + i, a + i + 4);
      for (int64_t j = 0; j < 4; ++j) to.push_back(second(i + j));
    }
    for (; i < k; ++i) { to.push_back(a[i]); to.push_back(second(i)); }
  }
  return to;
}
// bias - x_zero * sum of each row's weights; sums with it must fit int32 in any order.
Tensor folded_bias(const CCall& c, const std::vector<int8_t>& w, const Tensor* bias, int64_t n, int64_t k, int64_t x_zero) {
  std::vector<int32_t> b(size_t(n), 0), given;
  if (bias) given = bias->to_vector<int32_t>();
  for (int64_t o = 0; o < n; ++o) {
    int64_t sum = bias ? given[size_t(o)] : 0, reach = 0;
    for (int64_t i = 0; i < k; ++i) { sum -= x_zero * w[size_t(o * k + i)]; reach += 255 * std::abs(int64_t(w[size_t(o * k + i)])); }
    if (std::abs(sum) + reach > INT32_MAX) c.refuse("sums that fit int32", "output " + text(o) + " reaches " + text(std::abs(sum) + reach));
    b[size_t(o)] = int32_t(sum);
  }
  b.push_back(0);                                         // the pair of an odd last output
  return Tensor::of<int32_t>({n + 1}, b);
}
template <class A> std::string scaling_record(CWriter& w, const CCall& c, const A& at, const std::vector<int8_t>& weight, int64_t n, int64_t k) {
  for (const COperand* x : {&c.in[0], &c.out[0]}) if (!is_byte(x->spec.dtype)) c.refuse("8-bit activations", x->spec.text(), "quantise to int8");
  std::vector<float> scale = weight_of(c, 2).to_vector<float>(), multiplier(size_t(n + 1), 0.0f);
  multipliers_of(at.x_scale, Tensor::of<float>({n}, scale).view(), at.y_scale, multiplier.data());
  std::string bias = w.constant(folded_bias(c, weight, c.in.size() == 4 ? &weight_of(c, 3) : nullptr, n, k, at.x_zero), "bias"), bits = w.constant(multiplier_bits(multiplier), "multiplier");
  define_scaling(w);
  return w.record("struct scaling", "scaling", ".bias = " + bias + ", .multiplier = " + bits + ", .zero = " + text(at.y_zero) + ", .lo = " + text(at.lo) + ", .hi = " + text(at.hi));
}
std::string store(CWriter& w, const std::vector<int8_t>& values, const char* hint = "weight") { return w.constant(Tensor::of<int8_t>({int64_t(values.size())}, values), hint); }

}  // namespace

const CRules qconv2d{
    [](CWriter& w, const CCall& c) {
      const auto& at = c.call.as<QConv2dAttrs>();
      ConvGeometry g = conv_geometry(c.call.in[0].shape, c.call.in[1].shape, c.call.out[0].shape, at);
      std::vector<int8_t> weight = channels_last_values<int8_t>(weight_of(c, 1)), packed;
      std::string f = scaling_record(w, c, at, weight, g.o, g.taps());
      if (is_product(g)) return write_dense(w, f, c.in[0], store(w, in_pairs(weight.data(), g.o, g.c)), c.out[0], g.n * g.p * g.q, g.c, g.o);
      std::string shape = conv_record(w, g, ".x_zero = " + text(at.x_zero));
      if (g.is_depthwise()) return write_depthwise(w, f, c.in[0], store(w, taps_first(weight, g.c, g.r * g.s)), c.out[0], shape);
      for (int64_t k = 0; k < g.groups; ++k) {
        auto part = in_pairs(weight.data() + k * g.o_group() * g.taps(), g.o_group(), g.taps());
        packed.insert(packed.end(), part.begin(), part.end());
      }
      write_conv(w, f, c.in[0], store(w, packed), c.out[0], shape);
    },
    [](const Call& c) {
      ConvGeometry g = conv_geometry(c.in[0].shape, c.in[1].shape, c.out[0].shape, c.as<QConv2dAttrs>());
      return is_product(g) ? 0 : size_t(g.r * g.s * (g.is_depthwise() ? g.c : 2 * g.c_group()));
    }};

const CRules qmatmul{[](CWriter& w, const CCall& c) {
  const Tensor& b = weight_of(c, 1);
  int64_t k = b.dim(0), n = b.dim(1);
  std::vector<int8_t> values = b.to_vector<int8_t>(), weight = taps_first(values, k, n);
  std::string f = scaling_record(w, c, c.call.as<QMatmulAttrs>(), weight, n, k);
  write_dense(w, f, c.in[0], store(w, in_pairs(weight.data(), n, k)), c.out[0], c.out[0].spec.shape.count() / std::max<int64_t>(n, 1), k, n);
}};

// ---- elementwise ----
namespace {
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
  const COperand &x = c.in[0], &y = c.out[0];
  double scale = value_of(c, 1), zero = value_of(c, 2);
  int64_t lo = 0, hi = 0;
  bounds_of(c, y.spec.dtype, lo, hi);
  define_round(w);
  Strides operands[] = {y.strides, x.strides};
  Loops loops(y.spec.shape, operands);
  std::string to = w.pointer(y), from = w.pointer(x);
  loops.open(w);
  w.line(to + "[" + loops.index(0) + "] = (" + c_type(y.spec.dtype) + ")round_even(" + from + "[" + loops.index(1) + "] / " + c_number(scale, DType::f32) + ", " + text(int64_t(zero)) + ", " + text(lo) + ", " + text(hi) + ");");
  loops.close(w);
}};
const CRules dequantize{[](CWriter& w, const CCall& c) {
  const COperand &x = c.in[0], &y = c.out[0];
  double scale = value_of(c, 1), zero = value_of(c, 2);
  if (bits_of(x.spec.dtype) > 16) c.refuse("8- or 16-bit integers", x.spec.text());
  Strides operands[] = {y.strides, x.strides};
  Loops loops(y.spec.shape, operands);
  std::string to = w.pointer(y), from = w.pointer(x);
  loops.open(w);
  std::string q = from + "[" + loops.index(1) + "]";
  if (zero != 0) q = "(" + q + (zero > 0 ? " - " : " + ") + text(std::abs(int64_t(zero))) + ")";
  w.line(to + "[" + loops.index(0) + "] = (float)" + q + " * " + c_number(scale, DType::f32) + ";");
  loops.close(w);
}};

const CRules qtable{[](CWriter& w, const CCall& c) {
  const COperand &x = c.in[0], &y = c.out[0];
  const Tensor* values = c.call.value(1);
  if (bits_of(x.spec.dtype) != 8 || !values) c.refuse("8-bit integers and a constant table", x.spec.text(), "quantise to int8");
  Strides operands[] = {y.strides, x.strides};
  Loops loops(y.spec.shape, operands);
  std::string to = w.pointer(y), from = w.pointer(x), table = w.constant(*values, "table");
  loops.open(w);
  w.line(to + "[" + loops.index(0) + "] = " + table + "[" + from + "[" + loops.index(1) + "]" + (is_signed(x.spec.dtype) ? " + 128" : "") + "];");
  loops.close(w);
}};

// (a * a_scale + b * b_scale) / y_scale in fixed point; where that comes close to a half, as float32 has it.
const CRules qadd{[](CWriter& w, const CCall& c) {
  const auto& at = c.call.as<QAddAttrs>();
  const COperand &y = c.out[0];
  if (bits_of(y.spec.dtype) != 8 || c.in[0].spec != y.spec || c.in[1].spec != y.spec) c.refuse("two 8-bit operands of one shape", c.in[0].spec.text() + " and " + c.in[1].spec.text());
  for (float s : {at.a_scale, at.b_scale, at.y_scale}) if (s < std::numeric_limits<float>::min()) c.refuse("scales of at least 2^-126", c_number(s, DType::f32));
  auto exponent = [](float s) { int e = 0; std::frexp(s, &e); return e; };
  if (std::abs(exponent(at.a_scale) - exponent(at.b_scale)) > 30) c.refuse("scales of the operands within 2^30 of each other", c_number(at.a_scale, DType::f32) + " and " + c_number(at.b_scale, DType::f32));
  double ra = double(at.a_scale) / double(at.y_scale), rb = double(at.b_scale) / double(at.y_scale);
  int shift = 30;
  while (shift > 0 && 255 * (std::rint(std::ldexp(ra, shift)) + std::rint(std::ldexp(rb, shift))) + std::ldexp(1, shift) >= 2147483647.0) --shift;
  int64_t near = 700, fa = 0, fb = 0;                     // in units of 2^-shift: 255 of the factors, 384 of float32's roundings
  if (shift >= 11) { fa = int64_t(std::rint(std::ldexp(ra, shift))); fb = int64_t(std::rint(std::ldexp(rb, shift))); }
  else { shift = 1; near = 1; }                           // every sum is close
  define_requantize(w);
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
  w.define("add", R"(static int32_t add(const struct addition *p, int32_t a, int32_t b) {
  const uint32_t sum = (uint32_t)(a * p->a_factor + b * p->b_factor) + 0x80000000u, half = 1u << (p->shift - 1), near = (uint32_t)p->near;
  int32_t y = (int32_t)((sum + half) >> p->shift) - (int32_t)(0x80000000u >> p->shift);
  if ((sum & (2 * half - 1)) - (half - near) <= 2 * near) y = add_rounded(p, a, b); /* close to a half: rounding decides */
  y += p->zero;
  return y < p->lo ? p->lo : y > p->hi ? p->hi : y;
}
)");
  auto field = [](const char* name, int64_t v) { return "." + std::string(name) + " = " + text(v) + ", "; };
  std::string record = w.record("struct addition", "addition", field("zero", at.y_zero) + field("lo", at.lo) + field("hi", at.hi) + "\n  " +
      field("a_factor", fa) + field("b_factor", fb) + field("shift", shift) + field("near", near) + "\n  .a_scale = " + bits_literal(at.a_scale) + ", .b_scale = " + bits_literal(at.b_scale) +
      ", .scale = " + bits_literal(at.y_scale));
  Strides operands[] = {y.strides, c.in[0].strides, c.in[1].strides};
  Loops loops(y.spec.shape, operands);
  std::string to = w.pointer(y), a = w.pointer(c.in[0]), b = w.pointer(c.in[1]), type = c_type(y.spec.dtype);
  loops.open(w);
  auto without = [](int64_t zero) { return zero == 0 ? "" : (zero > 0 ? " - " : " + ") + text(std::abs(zero)); };
  w.line(to + "[" + loops.index(0) + "] = (" + type + ")add(" + record + ", " + a + "[" + loops.index(1) + "]" + without(at.a_zero) + ", " + b + "[" + loops.index(2) + "]" + without(at.b_zero) + ");");
  loops.close(w);
}};

}  // namespace miniten::c
