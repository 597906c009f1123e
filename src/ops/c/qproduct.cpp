#include <cmath>
#include "miniten/ops/attrs.h"
#include "miniten/ops/ops.h"
#include "ops/c/integers.h"
#include "ops/c/windows.h"
#include "ops/c_rules.h"
#include "ops/quantized/checks.h"

namespace miniten::c {

namespace {

// int8 and uint8 with int8 weights sum in 32 bits; int16 with int8 or int16 weights in 64.
struct Kinds {
  DType x, w, y;
  WeightForm form = {};
  bool wide() const { return x == DType::i16; }
  bool vectors() const { return x == DType::i8 && !form.packed(); }        // rows that MVE multiplies: pairs begin at words
  bool crossed() const { return wide() && w == DType::i8 && !form.packed(); }   // weights 0 2 1 3 of four, as bytes are widened in halves
  std::string suffix() const { return short_name(x) + (x == y ? "" : "_" + short_name(y)) + (wide() && w == DType::i8 ? "x8" : "") + form.suffix(); }
  std::string in(std::string_view source) const {
    std::string s(source);
    // @4(a,v,n): a += four products of v with w[n ..]; of int16 two fit 32 bits
    std::string four = wide() && w == DType::i16 ? "@a += @v[0] * w[@0] + @v[1] * w[@1]; @a += @v[2] * w[@2] + @v[3] * w[@3];" : "@a += @v[0] * w[@0] + @v[1] * w[@1] + @v[2] * w[@2] + @v[3] * w[@3];";
    for (size_t at; (at = s.find("@4(")) != s.npos;) {
      std::string t = replaced(replaced(four, "@a", s.substr(at + 3, 1)), "@v", s.substr(at + 5, 1));
      int first = s[at + 7] - '0';
      for (int i = 0; i < 4; ++i) t = replaced(t, "w[@" + text(i), "w[" + text(first + (crossed() && i % 3 ? 3 - i : i)));
      s.replace(at, 9, t);
    }
    std::string_view sum = wide() ? "int64_t" : "int32_t", scaling = wide() ? "wide_scaling" : "scaling", requantize = wide() ? "requantize_wide" : "requantize";
    const std::string name = suffix();
    for (auto& [key, value] : {std::pair<std::string_view, std::string_view>{"@S", name}, {"@A", sum}, {"@F", scaling}, {"@R", requantize}}) s = replaced(s, key, value);
    return replaced(replaced(replaced(replaced(s, "@T", c_type(x)), "@P", form.type(w)), "@Q", c_type(w)), "@Y", c_type(y));
  }
};

void define_scaling(CWriter& w, const Kinds& t) {
  t.wide() ? define_requantize_wide(w) : define_requantize(w);
  if (t.x == DType::i8) define_vectors(w);
  w.define(t.wide() ? "struct wide_scaling" : "struct scaling", t.in(R"(struct @F {
  const @A *bias;        /* of each output, the input's zero point taken into account */
  const uint32_t *multiplier; /* bits of float32: input scale * weight scale / output scale */
  int32_t zero, lo, hi;       /* of the output */
};
)"));
}
// Packed weights of a unit, four of an output and four of the next, become w[8]; q is where the next unit begins.
std::string unpacked_unit(const Kinds& t) {
  if (!t.form.bits) return t.in("      const @Q *const w = q;\n");
  std::string s = t.in("      const @Q w[8] = {");
  for (int i = 0; i < 8; ++i) s += join({i ? ", " : "", i < 4 ? "p[" : "p2[", index_text(t.form.bits, i, "q"), "]"});
  return s + "};\n";
}
std::string head_of_packed(const Kinds& t, bool two) {
  std::string next = join({"v += 4, ", two ? "u += 4, " : "", "q += ", t.form.bits ? t.form.bits : 8, ") {\n"});
  return join({t.form.skips ? join({"    for (int32_t n = *left++; n > 0; --n, ", next, "      v += 4 * *skip;\n", two ? "      u += 4 * *skip;\n" : "", "      ++skip;\n"}) : "    for (; k >= 4; k -= 4, " + next, unpacked_unit(t)});
}
// Bytes 0 and 2 of the word at v as v0's halves, 1 and 3 as v1's.
std::string split(const Kinds& t, std::string_view v) {
  return replaced(t.x == DType::i8 ? "const int32_t @v0 = even_bytes(word(@v)), @v1 = odd_bytes(word(@v));\n" : "const int32_t @v0 = (int32_t)(word(@v) & 0xff00ffu), @v1 = (int32_t)(word(@v) >> 8 & 0xff00ffu);\n", "@v", v);
}
// Four k at a time of one row v or of two, v and u, by SMLAD or SMLALD where a chip has it; sixteen where it has MVE.
std::string loop_of_fours(CWriter& w, const Kinds& t, bool two) {
  std::string head = join({"    for (; k >= 4; k -= 4, v += 4, ", two ? "u += 4, " : "", "w += 8) {\n"}), plain;
  if (t.form.packed()) head = head_of_packed(t, two);
  plain = t.in(two ? "      @4(a,v,0)\n      @4(b,v,4)\n      @4(c,u,0)\n      @4(d,u,4)\n    }\n" : "      @4(a,v,0)\n      @4(b,v,4)\n    }\n");
  if (t.wide() && t.form.packed()) return head + plain;
  define_dsp(w);
  const char* own = two ? "u" : nullptr;
  std::string dsp, rest;
  if (t.wide()) {
    if (t.crossed()) define_bytes(w);
    w.define("add_" + t.suffix(), join({"#ifdef DSP\nstatic int64_t add_", t.suffix(), "(int32_t first, int32_t second, const ", c_type(t.w), " *w, int64_t sum) {\n",
        t.crossed() ? "  const uint32_t q = word(w);\n  return __smlald(second, odd_bytes(q), __smlald(first, even_bytes(q), sum));\n" : "  return __smlald(second, (int32_t)word(w + 2), __smlald(first, (int32_t)word(w), sum));\n", "}\n#endif\n"}));
    for (const char* v : {"v", own}) if (v) dsp += replaced("      const int32_t @v0 = (int32_t)word(@v), @v1 = (int32_t)word(@v + 2);\n", "@v", v);
    rest = "      @1 = add_@S(@v0, @v1, w, @1);\n      @2 = add_@S(@v0, @v1, w + 4, @2);\n";
  } else {
    define_bytes(w);
    w.define("add_products", R"(#ifdef DSP
static int32_t add_products(int32_t even, int32_t odd, const int8_t *w, int32_t sum) {
  const uint32_t q = word(w);
  return __smlad(odd, odd_bytes(q), __smlad(even, even_bytes(q), sum));
}
#endif
)");
    for (const char* v : {"v", own}) if (v) dsp += "      " + split(t, v);
    rest = "      @1 = add_products(@v0, @v1, w, @1);\n      @2 = add_products(@v0, @v1, w + 4, @2);\n";
  }
  dsp += replaced(replaced(replaced(t.in(rest), "@1", "a"), "@2", "b"), "@v", "v");
  if (two) dsp += replaced(replaced(replaced(t.in(rest), "@1", "c"), "@2", "d"), "@v", "u");
  std::string mve = !t.vectors() ? "" : join({"#ifdef MVE\n    for (; k >= 16; k -= 16, v += 16, ", two ? "u += 16, " : "", R"(w += 32) { /* words of the one output and of the other in turn */
      const int32x4x2_t q = vld2q_s32((const int32_t *)(const void *)w);
      const int8x16_t one = vreinterpretq_s8_s32(q.val[0]), other = vreinterpretq_s8_s32(q.val[1]), x0 = vldrbq_s8(v);
      a = vmladavaq_s8(a, one, x0);
      b = vmladavaq_s8(b, other, x0);
)", two ? "      const int8x16_t x1 = vldrbq_s8(u);\n      c = vmladavaq_s8(c, one, x1);\n      d = vmladavaq_s8(d, other, x1);\n" : "", "    }\n#endif\n"});
  return join({mve, "#ifdef DSP\n", head, dsp, "    }\n#else\n", head, plain, "#endif\n"});
}
// What is left of k after a loop of fours.
std::string rest_of(const Kinds& t, bool two) {
  if (!t.form.packed())
    return std::string(two ? "    for (; k > 0; --k, ++v, ++u, w += 2) {\n      a += *v * w[0];\n      b += *v * w[1];\n      c += *u * w[0];\n      d += *u * w[1];\n    }\n"
               : "    for (; k > 0; --k, ++v, w += 2) {\n      a += *v * w[0];\n      b += *v * w[1];\n    }\n") + (t.vectors() ? "    w += 2 * (inputs & 1);\n" : "");
  return join({"    k = inputs & 3;\n    if (k) {\n", unpacked_unit(t), t.form.skips ? "      v = x + inputs - k;\n" : "", t.form.skips && two ? "      u = x2 + inputs - k;\n" : "",
      "      for (int32_t i = 0; i < k; ++i) {\n        a += v[i] * w[i];\n        b += v[i] * w[4 + i];\n", two ? "        c += u[i] * w[i];\n        d += u[i] * w[4 + i];\n" : "", "      }\n      q += ",
      t.form.bits ? t.form.bits : 8, ";\n    }\n"});
}
// A function of rows with its weights in a form of their own.
std::string rows_text(const Kinds& t, std::string_view source, std::string_view loop, bool two) {
  const WeightForm& f = t.form;
  std::string s(source);
  if (f.packed()) {
    s = replaced(s, "const @Q *w,", "const @P *m,");
    s = replaced(s, "  for (int32_t o", t.in(join({"  const ", f.bits ? "uint8_t" : "@Q", " *q = m->units;\n", f.bits ? "  const @Q *p = m->codes;\n" : "", f.skips ? "  const uint8_t *skip = m->skips;\n  const uint16_t *left = m->left;\n" : "", "  for (int32_t o"})));
    if (f.bits) s = replaced(s, "o += 2) {\n", "o += 2, p += 2 * m->step) {\n    const @Q *const p2 = p + m->step;\n");
    if (f.skips) s = replaced(s, "    int32_t k = inputs;\n", "    int32_t k;\n");
  }
  s = replaced(replaced(s, "@CROSSED", t.crossed() ? ", each as 0 2 1 3" : ""), "@ALIGNED", t.vectors() ? "; pairs begin at words" : "");
  return replaced(replaced(t.in(s), "@LOOP", loop), "@LEFT", rest_of(t, two));
}
void define_row(CWriter& w, const Kinds& t) {
  define_scaling(w, t);
  std::string loop = loop_of_fours(w, t, false);
  w.define("row_" + t.suffix(), rows_text(t, R"(/* Outputs of one row x. Weights in pairs of outputs: four k of the one, four of the other@CROSSED, ..; what is left of k
   alternates@ALIGNED. An odd last output is paired with zeros. */
static void row_@S(const @T *x, const @Q *w, const struct @F *f, int32_t first, @Y *y, int32_t inputs, int32_t outputs) {
  const @A *bias = f->bias + first;
  const uint32_t *multiplier = f->multiplier + first;
  for (int32_t o = 0; o < outputs; o += 2) {
    @A a = bias[o], b = bias[o + 1];
    int32_t k = inputs;
    const @T *v = x;
@LOOP@LEFT    y[o] = (@Y)@R(a, multiplier[o], f->zero, f->lo, f->hi);
    if (o + 1 < outputs) y[o + 1] = (@Y)@R(b, multiplier[o + 1], f->zero, f->lo, f->hi);
  }
}
)", loop, false));
}
void define_rows(CWriter& w, const Kinds& t) {
  define_row(w, t);
  if (t.vectors()) define_requantize_pairs(w);
  std::string loop = loop_of_fours(w, t, true), done;
  if (t.vectors())
    done = R"(#ifdef MVE
    const int32x4_t four = requantize_pairs(a, b, c, d, multiplier + o, f);
    y[o] = (@Y)vgetq_lane_s32(four, 0);
    y2[o] = (@Y)vgetq_lane_s32(four, 2);
    if (o + 1 < outputs) {
      y[o + 1] = (@Y)vgetq_lane_s32(four, 1);
      y2[o + 1] = (@Y)vgetq_lane_s32(four, 3);
    }
#else
)";
  w.define("two_rows_" + t.suffix(), rows_text(t, join({R"(/* The same for two rows at once: each weight is read once for both. */
static void two_rows_@S(const @T *x, const @T *x2, const @Q *w, const struct @F *f, int32_t first, @Y *y, @Y *y2, int32_t inputs,
                        int32_t outputs) {
  const @A *bias = f->bias + first;
  const uint32_t *multiplier = f->multiplier + first;
  for (int32_t o = 0; o < outputs; o += 2) {
    @A a = bias[o], b = bias[o + 1], c = a, d = b;
    int32_t k = inputs;
    const @T *v = x, *u = x2;
@LOOP@LEFT)", done, R"(    y[o] = (@Y)@R(a, multiplier[o], f->zero, f->lo, f->hi);
    y2[o] = (@Y)@R(c, multiplier[o], f->zero, f->lo, f->hi);
    if (o + 1 < outputs) {
      y[o + 1] = (@Y)@R(b, multiplier[o + 1], f->zero, f->lo, f->hi);
      y2[o + 1] = (@Y)@R(d, multiplier[o + 1], f->zero, f->lo, f->hi);
    }
)", done.empty() ? "" : "#endif\n", "  }\n}\n"}), loop, true));
}
void write_dense(CWriter& w, const Kinds& t, const std::string& f, const COperand& x, const std::string& weight, const COperand& y, int64_t rows, int64_t k, int64_t n) {
  std::string s = t.suffix(), from = w.pointer(x), to = w.pointer(y);
  if (rows == 1) {
    define_row(w, t);
    w.line(call("row_" + s, {from, weight, f, "0", to, k, n}));
    return;
  }
  define_rows(w, t);
  w.define("dense_" + s, t.in(R"(static void dense_@S(const @T *x, const @P *w, const struct @F *f, @Y *y, int32_t rows, int32_t inputs, int32_t outputs) {
  for (; rows > 1; rows -= 2, x += 2 * inputs, y += 2 * outputs) two_rows_@S(x, x + inputs, w, f, 0, y, y + outputs, inputs, outputs);
  if (rows) row_@S(x, w, f, 0, y, inputs, outputs);
}
)"));
  w.line(call("dense_" + s, {from, weight, f, to, rows, k, n}));
}
void write_conv(CWriter& w, const Kinds& t, const std::string& f, const COperand& x, const std::string& weight, const COperand& y, const std::string& shape) {
  std::string s = t.suffix();
  define_rows(w, t);
  std::string window = define_window(w, t.x);
  std::string source = replaced(t.in(R"(/* The windows of two outputs at a time are copied side by side, then they are rows. */
static void conv_@S(const struct conv *c, const @T *x, const @P *w, const struct @F *f, @Y *y, @T *windows) {
  const int32_t n = c->channels / c->groups, outputs = c->out_channels / c->groups, inputs = c->kernel_height * c->kernel_width * n;
  const int32_t width = c->out_width, count = c->out_height * width@NEXT;
  for (int32_t b = 0; b < c->batch; ++b, x += c->height * c->width * c->channels)
    for (int32_t i = 0; i < count; i += 2) {
      const int32_t two = i + 1 < count;
      for (int32_t g = 0; g < c->groups; ++g) {
        @W(c, x + g * n, n, i / width, i % width, (@T)c->x_zero, windows);
        if (two) {
          @W(c, x + g * n, n, (i + 1) / width, (i + 1) % width, (@T)c->x_zero, windows + inputs);
          two_rows_@S(windows, windows + inputs, @GROUP, f, g * outputs, y + g * outputs, y + c->out_channels + g * outputs, inputs, outputs);
        } else {
          row_@S(windows, @GROUP, f, g * outputs, y + g * outputs, inputs, outputs);
        }
      }
      y += (1 + two) * c->out_channels;
    }
}
)"), "@W", window);
  w.define("conv_" + s, replaced(replaced(source, "@NEXT", t.form.packed() ? "" : t.vectors() ? ", step = (outputs + 1) / 2 * 2 * (inputs + (inputs & 1))" : ", step = (outputs + 1) / 2 * 2 * inputs"), "@GROUP", t.form.packed() ? "w" : "w + g * step"));
  w.line(call("conv_" + s, {shape, w.pointer(x), weight, f, w.pointer(y), w.scratch(c_type(t.x))}));
}
void write_depthwise(CWriter& w, const Kinds& t, const std::string& f, const COperand& x, const std::string& weight, const COperand& y, const std::string& shape) {
  define_scaling(w, t);
  const bool vectors = t.vectors() && bits_of(t.y) == 8;
  std::string taps = "              s0 += v[0] * q[0];\n              s1 += v[1] * q[1];\n              s2 += v[2] * q[2];\n              s3 += v[3] * q[3];\n";
  if (!t.wide()) {
    define_dsp(w);
    define_bytes(w);
    taps = join({"#ifdef DSP\n              const int32_t w0 = even_bytes(word(q)), w1 = odd_bytes(word(q));\n              ", split(t, "v"), R"(              s0 = __smlabb(v0, w0, s0);
              s1 = __smlabb(v1, w1, s1);
              s2 = __smlatt(v0, w0, s2);
              s3 = __smlatt(v1, w1, s3);
#else
)", taps, "#endif\n"});
  }
  if (vectors) define_requantize_four(w);
  std::string name = define_depthwise(w, t.suffix(), t.x, "const @Q *w, const struct @F *f, @Y *y", "(@T)c->x_zero", join({"        int32_t k = 0;\n", vectors ? depthwise_by_vectors : "", R"(        for (; k + 4 <= n; k += 4) {
          @A s0 = f->bias[k], s1 = f->bias[k + 1], s2 = f->bias[k + 2], s3 = f->bias[k + 3];
          const @T *line = from + k;
          const @Q *q = w + k;
          for (int32_t r = 0; r < c->kernel_height; ++r, line += row) {
            const @T *v = line;
            for (int32_t s = 0; s < c->kernel_width; ++s, v += column, q += n) {
)", taps, R"(            }
          }
          y[k] = (@Y)@R(s0, f->multiplier[k], f->zero, f->lo, f->hi);
          y[k + 1] = (@Y)@R(s1, f->multiplier[k + 1], f->zero, f->lo, f->hi);
          y[k + 2] = (@Y)@R(s2, f->multiplier[k + 2], f->zero, f->lo, f->hi);
          y[k + 3] = (@Y)@R(s3, f->multiplier[k + 3], f->zero, f->lo, f->hi);
        }
        for (; k < n; ++k) {
          @A sum = f->bias[k];
          const @T *line = from + k;
          const @Q *q = w + k;
          for (int32_t r = 0; r < c->kernel_height; ++r, line += row)
            for (int32_t s = 0; s < c->kernel_width; ++s, q += n) sum += line[s * column] * *q;
          y[k] = (@Y)@R(sum, f->multiplier[k], f->zero, f->lo, f->hi);
        }
)"}), [&](std::string_view source) { return t.in(source); });
  w.line(call(name, {shape, w.pointer(x), weight, f, w.pointer(y), w.scratch(c_type(t.x))}));
}

// n rows of k weights in the order of row_ and two_rows_.
std::vector<int16_t> in_pairs(const Kinds& t, const int16_t* w, int64_t n, int64_t k) {
  std::vector<int16_t> to;
  for (int64_t o = 0; o < n; o += 2) {
    const int16_t *a = w + o * k, *b = o + 1 < n ? a + k : nullptr;
    auto second = [&](int64_t i) { return b ? b[i] : int16_t(0); };
    int64_t i = 0;
    auto at = [&](int64_t j) { return i + (t.crossed() && j % 3 ? 3 - j : j); };
    for (; i + 4 <= k; i += 4) {
      for (int64_t j = 0; j < 4; ++j) to.push_back(a[at(j)]);
      for (int64_t j = 0; j < 4; ++j) to.push_back(second(at(j)));
    }
    for (; i < k; ++i) { to.push_back(a[i]); to.push_back(second(i)); }
    if (t.vectors() && k % 2) to.insert(to.end(), 2, 0);
  }
  return to;
}
// bias - x_zero * sum of each row's weights; of bytes, sums with it must fit int32 in any order.
Tensor folded_bias(const CCall& c, const Kinds& t, const std::vector<int16_t>& w, const Tensor* bias, int64_t n, int64_t k, int64_t x_zero) {
  std::vector<int64_t> b(size_t(n), 0);
  if (bias) b = miniten::cast(*bias, DType::i64).to_vector<int64_t>();
  for (int64_t o = 0; o < n && !t.wide(); ++o) {
    int64_t& sum = b[size_t(o)];
    int64_t reach = 0;
    for (int64_t i = 0; i < k; ++i) { sum -= x_zero * w[size_t(o * k + i)]; reach += 255 * std::abs(int64_t(w[size_t(o * k + i)])); }
    if (std::abs(sum) + reach > INT32_MAX) c.refuse("sums that fit int32", "output " + text(o) + " reaches " + text(std::abs(sum) + reach));
  }
  b.push_back(0);                                         // the pair of an odd last output
  return miniten::cast(Tensor::of<int64_t>({n + 1}, b), t.wide() ? DType::i64 : DType::i32);
}
std::string store(CWriter& w, const Kinds& t, const std::vector<int16_t>& values) { return w.constant(miniten::cast(Tensor::of<int16_t>({int64_t(values.size())}, values), t.w), "weight"); }
// n rows of k, packed where that is worth it.
std::string store_rows(CWriter& w, Kinds& t, const std::vector<int16_t>& weight, int64_t n, int64_t k) {
  std::vector<float> values(weight.begin(), weight.end());
  t.form = choose_form(values, n, k, t.w);
  return t.form.packed() ? store_packed(w, t.form, values, n, k, t.w) : store(w, t, in_pairs(t, weight.data(), n, k));
}
Kinds kinds_of(const CCall& c) { return {c.in[0].spec.dtype, weight_of(c, 1).dtype(), c.out[0].spec.dtype, {}}; }
template <class A> std::string scaling_record(CWriter& w, const CCall& c, const Kinds& t, const A& at, const std::vector<int16_t>& weight, int64_t n, int64_t k) {
  std::vector<float> scale = weight_of(c, 2).to_vector<float>(), multiplier(size_t(n + 1), 0.0f);
  multipliers_of(at.x_scale, Tensor::of<float>({n}, scale).view(), at.y_scale, multiplier.data());
  std::string bias = w.constant(folded_bias(c, t, weight, c.in.size() == 4 ? &weight_of(c, 3) : nullptr, n, k, at.x_zero), "bias"), bits = w.constant(multiplier_bits(multiplier), "multiplier");
  define_scaling(w, t);
  return w.record(t.in("struct @F"), "scaling", join({{"bias", bias}, {"multiplier", bits}, {"zero", at.y_zero}, {"lo", at.lo}, {"hi", at.hi}}));
}

}  // namespace

const CRules qconv2d{
    [](CWriter& w, const CCall& c) {
      const auto& at = c.call.as<QConv2dAttrs>();
      ConvGeometry g = conv_geometry(c.call.in[0].shape, c.call.in[1].shape, c.call.out[0].shape, at);
      Kinds t = kinds_of(c);
      std::vector<int16_t> weight = channels_last_values<int16_t>(miniten::cast(weight_of(c, 1), DType::i16)), packed;
      std::string f = scaling_record(w, c, t, at, weight, g.o, g.taps());
      if (is_product(g)) {
        std::string stored = store_rows(w, t, weight, g.o, g.c);
        return write_dense(w, t, f, c.in[0], stored, c.out[0], g.n * g.p * g.q, g.c, g.o);
      }
      std::string shape = conv_record(w, g, ".x_zero = " + text(at.x_zero));
      if (g.is_depthwise()) return write_depthwise(w, t, f, c.in[0], store(w, t, taps_first(weight, g.c, g.r * g.s)), c.out[0], shape);
      if (g.groups == 1) {
        std::string stored = store_rows(w, t, weight, g.o, g.taps());
        return write_conv(w, t, f, c.in[0], stored, c.out[0], shape);
      }
      for (int64_t k = 0; k < g.groups; ++k) {
        auto part = in_pairs(t, weight.data() + k * g.o_group() * g.taps(), g.o_group(), g.taps());
        packed.insert(packed.end(), part.begin(), part.end());
      }
      write_conv(w, t, f, c.in[0], store(w, t, packed), c.out[0], shape);
    },
    [](const Call& c) {
      ConvGeometry g = conv_geometry(c.in[0].shape, c.in[1].shape, c.out[0].shape, c.as<QConv2dAttrs>());
      return is_product(g) ? 0 : bytes_of(c.in[0].dtype, g.r * g.s * (g.is_depthwise() ? g.c : 2 * g.c_group()));
    }};

const CRules qmatmul{[](CWriter& w, const CCall& c) {
  const Tensor& b = weight_of(c, 1);
  Kinds t = kinds_of(c);
  int64_t k = b.dim(0), n = b.dim(1);
  std::vector<int16_t> weight = taps_first(miniten::cast(b, DType::i16).to_vector<int16_t>(), k, n);
  std::string f = scaling_record(w, c, t, c.call.as<QMatmulAttrs>(), weight, n, k);
  std::string stored = store_rows(w, t, weight, n, k);
  write_dense(w, t, f, c.in[0], stored, c.out[0], c.out[0].spec.shape.count() / std::max<int64_t>(n, 1), k, n);
}};

const CRules qmatmul_pair{[](CWriter& w, const CCall& c) {
  const auto& at = c.call.as<QAddAttrs>();
  Kinds t{c.in[0].spec.dtype, c.in[1].spec.dtype, c.out[0].spec.dtype, {}};
  int64_t k = c.in[0].spec.shape[-1];
  if (!t.wide() && k > INT32_MAX / (255 * 255)) c.refuse("sums that fit int32", text(k) + " products");
  t.wide() ? define_requantize_wide(w) : define_requantize(w);
  w.define("struct pair", R"(struct pair {
  int32_t rows, inner, columns, a_row, a_column, b_row, b_column; /* sizes and strides */
  int32_t a_zero, b_zero, zero, lo, hi;
  uint32_t multiplier; /* bits of float32: scales of the inputs / of the output */
};
)");
  std::string name = "product_" + short_name(t.x);
  w.define(name, replaced(t.in(R"(/* y (rows, columns) = a (rows, inner) times b (inner, columns), both computed. */
static void @N(const struct pair *p, const @T *a, const @T *b, @T *y) {
  for (int32_t i = 0; i < p->rows; ++i, a += p->a_row)
    for (int32_t j = 0; j < p->columns; ++j) {
      const @T *u = a, *v = b + j * p->b_column;
      @A sum = 0;
      for (int32_t k = 0; k < p->inner; ++k, u += p->a_column, v += p->b_row) sum += (*u - p->a_zero) * (*v - p->b_zero);
      *y++ = (@T)@R(sum, p->multiplier, p->zero, p->lo, p->hi);
    }
}
)"), "@N", name));
  const COperand &a = c.in[0], &b = c.in[1];
  float multiplier = std::min(at.a_scale * at.b_scale / at.y_scale, std::numeric_limits<float>::max());
  std::string record = w.record("struct pair", "product", join({{"rows", a.spec.shape[-2]}, {"inner", k}, {"columns", b.spec.shape[-1]}, {"a_row", a.strides[-2]}, {"a_column", a.strides[-1]},
      {"b_row", b.strides[-2]}, {"b_column", b.strides[-1]}, "\n  ", {"a_zero", at.a_zero}, {"b_zero", at.b_zero}, {"zero", at.y_zero}, {"lo", at.lo},
      {"hi", at.hi}, {"multiplier", multiplier_literal(multiplier)}}));
  write_batches(w, c, name + "(" + record + ", ", ");");
}};

}  // namespace miniten::c
