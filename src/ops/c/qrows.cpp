#include "ops/c/qkinds.h"

namespace miniten::c {

std::string Kinds::suffix() const {
  const char* scaled = scaling == by_float ? "" : scaling == by_fixed_point ? "_fixed" : "_once";
  return short_name(x) + (x == y ? "" : "_" + short_name(y)) + (words() && w == DType::i8 ? "x8" : plain() ? "x16" : "") + (wide() ? "_long" : "") + scaled + form.suffix();
}
std::string Kinds::in(std::string_view source) const {
  std::string s(source);
  // @4(a,v,n): a += four products of v with w[n ..]; of int16 two fit 32 bits
  std::string four = wide() && w == DType::i16 ? "@a += @v[0] * w[@0] + @v[1] * w[@1]; @a += @v[2] * w[@2] + @v[3] * w[@3];" : "@a += @v[0] * w[@0] + @v[1] * w[@1] + @v[2] * w[@2] + @v[3] * w[@3];";
  for (size_t at; (at = s.find("@4(")) != s.npos;) {
    std::string t = replaced(replaced(four, "@a", s.substr(at + 3, 1)), "@v", s.substr(at + 5, 1));
    int first = s[at + 7] - '0';
    for (int i = 0; i < 4; ++i) t = replaced(t, "w[@" + text(i), "w[" + text(first + (crossed() && i % 3 ? 3 - i : i)));
    s.replace(at, 9, t);
  }
  // @M(m,o): what scales output o
  for (size_t at; (at = s.find("@M(")) != s.npos;) {
    const size_t comma = s.find(',', at), end = s.find(')', at);
    const std::string of = s.substr(at + 3, comma - at - 3), o = s.substr(comma + 1, end - comma - 1);
    s.replace(at, end + 1 - at, scaling == by_float ? of + "[" + o + "]" : of + " + " + (o.find(' ') == o.npos ? "2 * " + o : "2 * (" + o + ")"));
  }
  const bool floats = scaling == by_float;
  std::string_view sum = wide() ? "int64_t" : "int32_t", record = !floats ? "fixed_scaling" : wide() ? "wide_scaling" : "scaling";
  std::string_view requantize = !floats ? scaling == by_fixed_point ? "requantize_fixed" : "requantize_once" : wide() ? "requantize_wide" : words() ? "requantize_short" : "requantize";
  const std::string name = suffix();
  for (auto& [key, value] : {std::pair<std::string_view, std::string_view>{"@S", name}, {"@A", sum}, {"@F", record}, {"@R", requantize}, {"@U", floats ? "uint32_t" : "int32_t"}, {"@O", floats ? "first" : "2 * first"}})
    s = replaced(s, key, value);
  return replaced(replaced(replaced(replaced(s, "@T", c_type(x)), "@P", form.type(w)), "@Q", c_type(w)), "@Y", c_type(y));
}
void define_requantize_of(CWriter& w, const Kinds& t) {
  if (t.scaling == Kinds::by_float) t.wide() ? define_requantize_wide(w) : t.words() ? define_requantize_short(w) : define_requantize(w);
  else t.scaling == Kinds::by_fixed_point ? define_requantize_fixed(w) : define_requantize_once(w);
}
void define_scaling(CWriter& w, const Kinds& t) {
  define_requantize_of(w, t);
  if (t.x == DType::i8) define_vectors(w);
  w.define(t.in("struct @F"), replaced(t.in(R"(struct @F {
  const @A *bias;        /* of each output, the input's zero point taken into account */
  const @U *multiplier; /* @WHAT */
  int32_t zero, lo, hi;       /* of the output */
};
)"), "@WHAT", t.scaling == Kinds::by_float ? "bits of float32: input scale * weight scale / output scale" : "and a shift, of each output: input scale * weight scale / output scale"));
}
std::string split(const Kinds& t, std::string_view v) {
  return replaced(t.x == DType::i8 ? "const int32_t @v0 = even_bytes(word(@v)), @v1 = odd_bytes(word(@v));\n" : "const int32_t @v0 = (int32_t)(word(@v) & 0xff00ffu), @v1 = (int32_t)(word(@v) >> 8 & 0xff00ffu);\n", "@v", v);
}

namespace {

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
// Four k at a time of one row v or of two, v and u, by SMLAD or SMLALD where a chip has it; sixteen where it has MVE.
std::string loop_of_fours(CWriter& w, const Kinds& t, bool two) {
  std::string head = join({"    for (; k >= 4; k -= 4, v += 4, ", two ? "u += 4, " : "", "w += 8) {\n"}), plain;
  if (t.form.packed()) head = head_of_packed(t, two);
  plain = t.in(two ? "      @4(a,v,0)\n      @4(b,v,4)\n      @4(c,u,0)\n      @4(d,u,4)\n    }\n" : "      @4(a,v,0)\n      @4(b,v,4)\n    }\n");
  if (t.plain() || (t.words() && t.form.packed())) return head + plain;
  define_dsp(w);
  const char* own = two ? "u" : nullptr;
  std::string dsp, rest;
  if (t.words()) {
    if (t.crossed()) define_bytes(w);
    std::string first = t.crossed() ? "even_bytes(q)" : "(int32_t)word(w)", second = t.crossed() ? "odd_bytes(q)" : "(int32_t)word(w + 2)", add = t.wide() ? "__smlald" : "__smlad";
    w.define("add_" + t.suffix(), t.in(join({"#ifdef DSP\nstatic @A add_@S(int32_t first, int32_t second, const @Q *w, @A sum) {\n", t.crossed() ? "  const uint32_t q = word(w);\n" : "",
        "  return ", add, "(second, ", second, ", ", add, "(first, ", first, ", sum));\n}\n#endif\n"})));
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
  std::string mve = !t.vectors() || two ? "" : R"(#ifdef MVE
    for (; k >= 16; k -= 16, v += 16, w += 32) { /* words of the one output and of the other in turn */
      const int32x4x2_t q = vld2q_s32((const int32_t *)(const void *)w);
      const int8x16_t one = vreinterpretq_s8_s32(q.val[0]), other = vreinterpretq_s8_s32(q.val[1]), x0 = vldrbq_s8(v);
      a = vmladavaq_s8(a, one, x0);
      b = vmladavaq_s8(b, other, x0);
    }
#endif
)";
  return join({mve, "#ifdef DSP\n", head, dsp, "    }\n#else\n", head, plain, "#endif\n"});
}
// Of MVE: fours_ of several rows, four outputs of one at a time by vectors of sixteen k.
void define_fours(CWriter& w, const Kinds& t) {
  std::string finish = "vstrbq_s32((int8_t *)(to + o), requantize_four(sums, vldrwq_u32(f->multiplier + first + o), f));\n";
  if (t.scaling == Kinds::by_fixed_point_once || bits_of(t.y) != 8)
    finish = t.in(R"(int32_t four[4];
      vstrwq_s32(four, sums);
      for (int32_t i = 0; i < 4; ++i) to[o + i] = (@Y)@R(four[i], @M(f->multiplier,first + o + i), f->zero, f->lo, f->hi);
)");
  else if (t.scaling == Kinds::by_fixed_point) {
    define_requantize_four_fixed(w);
    finish = "vstrbq_s32((int8_t *)(to + o), requantize_four_fixed(sums, vld2q_s32(f->multiplier + 2 * (first + o)), f));\n";
  } else define_requantize_four(w);
  w.define("fours_" + t.suffix(), replaced(t.in(R"(#ifdef MVE
/* Outputs in fours, as many as there are, of rows one after the other; those of the next row are `apart`. */
static int32_t fours_@S(const @T *x, const @Q *w, const struct @F *f, int32_t first, @Y *y, int32_t rows, int32_t apart, int32_t inputs,
                        int32_t outputs) {
  const int32_t step = 2 * (inputs + (inputs & 1)), fours = inputs & 12;
  const uint32x4_t words = vidupq_n_u32(0, 8), last = {0, 1, (uint32_t)step, (uint32_t)step + 1};
  int32_t o = 0;
  for (; o + 4 <= outputs; o += 4, w += 2 * step) {
    const @T *v = x;
    @Y *to = y;
    for (int32_t r = 0; r < rows; ++r, to += apart) {
      const @Q *p = w, *q = w + step; /* words of the one output and of the other in turn */
      int32_t a = 0, b = 0, c = 0, d = 0, k = inputs;
      for (; k >= 16; k -= 16, v += 16, p += 32, q += 32) {
        const int32x4x2_t m = vld2q_s32((const int32_t *)(const void *)p), n = vld2q_s32((const int32_t *)(const void *)q);
        const int8x16_t x0 = vldrbq_s8(v);
        a = vmladavaq_s8(a, vreinterpretq_s8_s32(m.val[0]), x0);
        b = vmladavaq_s8(b, vreinterpretq_s8_s32(m.val[1]), x0);
        c = vmladavaq_s8(c, vreinterpretq_s8_s32(n.val[0]), x0);
        d = vmladavaq_s8(d, vreinterpretq_s8_s32(n.val[1]), x0);
      }
      if (fours) {
        const mve_pred16_t some = vctp8q((uint32_t)fours);
        const int32_t *m = (const int32_t *)(const void *)p, *n = (const int32_t *)(const void *)q;
        const int8x16_t x0 = vldrbq_z_s8(v, some);
        a = vmladavaq_s8(a, vreinterpretq_s8_s32(vldrwq_gather_offset_z_s32(m, words, some)), x0);
        b = vmladavaq_s8(b, vreinterpretq_s8_s32(vldrwq_gather_offset_z_s32(m + 1, words, some)), x0);
        c = vmladavaq_s8(c, vreinterpretq_s8_s32(vldrwq_gather_offset_z_s32(n, words, some)), x0);
        d = vmladavaq_s8(d, vreinterpretq_s8_s32(vldrwq_gather_offset_z_s32(n + 1, words, some)), x0);
        v += fours;
        p += 2 * fours;
      }
      int32x4_t sums = vsetq_lane_s32(d, vsetq_lane_s32(c, vsetq_lane_s32(b, vdupq_n_s32(a), 1), 2), 3);
      sums = vaddq_s32(sums, vldrwq_s32(f->bias + first + o));
      for (k = inputs & 3; k > 0; --k, ++v, p += 2) sums = vmlaq_n_s32(sums, vldrbq_gather_offset_s32(p, last), *v);
      @END    }
  }
  return o;
}
#endif
)"), "@END", finish));
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
  std::string loop = loop_of_fours(w, t, false), source = R"(/* Outputs of one row x. Weights in pairs of outputs: four k of the one, four of the other@CROSSED, ..; what is left of k
   alternates@ALIGNED. An odd last output is paired with zeros. */
static void row_@S(const @T *x, const @Q *w, const struct @F *f, int32_t first, @Y *y, int32_t inputs, int32_t outputs) {
  const @A *bias = f->bias + first;
  const @U *multiplier = f->multiplier + @O;
  for (int32_t o = 0; o < outputs; o += 2) {
    @A a = bias[o], b = bias[o + 1];
    int32_t k = inputs;
    const @T *v = x;
@LOOP@LEFT    y[o] = (@Y)@R(a, @M(multiplier,o), f->zero, f->lo, f->hi);
    if (o + 1 < outputs) y[o + 1] = (@Y)@R(b, @M(multiplier,o + 1), f->zero, f->lo, f->hi);
  }
}
)";
  if (t.vectors()) {
    define_fours(w, t);
    source = replaced(source, "  for (int32_t o = 0; o", R"(  int32_t o = 0;
#ifdef MVE
  o = fours_@S(x, w, f, first, y, 1, 0, inputs, outputs);
  w += o * (inputs + (inputs & 1));
#endif
  for (; o)");
  }
  w.define("row_" + t.suffix(), rows_text(t, source, loop, false));
}
void define_rows(CWriter& w, const Kinds& t) {
  define_row(w, t);
  std::string loop = loop_of_fours(w, t, true);
  w.define("two_rows_" + t.suffix(), rows_text(t, join({t.vectors() ? "#ifndef MVE\n" : "", R"(/* The same for two rows, one after the other: each weight is read once for both. */
static void two_rows_@S(const @T *x, const @T *x2, const @Q *w, const struct @F *f, int32_t first, @Y *y, @Y *y2, int32_t inputs,
                        int32_t outputs) {
  const @A *bias = f->bias + first;
  const @U *multiplier = f->multiplier + @O;
  for (int32_t o = 0; o < outputs; o += 2) {
    @A a = bias[o], b = bias[o + 1], c = a, d = b;
    int32_t k = inputs;
    const @T *v = x, *u = x2;
@LOOP@LEFT    y[o] = (@Y)@R(a, @M(multiplier,o), f->zero, f->lo, f->hi);
    y2[o] = (@Y)@R(c, @M(multiplier,o), f->zero, f->lo, f->hi);
    if (o + 1 < outputs) {
      y[o + 1] = (@Y)@R(b, @M(multiplier,o + 1), f->zero, f->lo, f->hi);
      y2[o + 1] = (@Y)@R(d, @M(multiplier,o + 1), f->zero, f->lo, f->hi);
    }
  }
}
)", t.vectors() ? "#endif\n" : ""}), loop, true));
  if (t.vectors())
    w.define("vector_rows_" + t.suffix(), t.in(R"(#ifdef MVE
/* The same for any number of rows; outputs of the next are `apart`. */
static void vector_rows_@S(const @T *x, const @Q *w, const struct @F *f, int32_t first, @Y *y, int32_t rows, int32_t apart, int32_t inputs,
                           int32_t outputs) {
  const int32_t o = fours_@S(x, w, f, first, y, rows, apart, inputs, outputs);
  if (o < outputs)
    for (w += o * (inputs + (inputs & 1)); rows > 0; --rows, x += inputs, y += apart) row_@S(x, w, f, first + o, y + o, inputs, outputs - o);
}
#endif
)"));
}
// Instead of two rows at a time, where a chip has vectors.
std::string or_by_vectors(const Kinds& t, const std::string& arguments, const std::string& rows) {
  return t.vectors() ? join({"#ifdef MVE\n", rows.substr(0, rows.find_first_not_of(' ')), "vector_rows_@S(", arguments, ");\n#else\n", rows, "#endif\n"}) : rows;
}

}  // namespace

void write_dense(CWriter& w, const Kinds& t, const std::string& f, const COperand& x, const std::string& weight, const COperand& y, int64_t rows, int64_t k, int64_t n) {
  std::string s = t.suffix(), from = w.pointer(x), to = w.pointer(y);
  if (rows == 1) {
    define_row(w, t);
    w.line(call("row_" + s, {from, weight, f, "0", to, k, n}));
    return;
  }
  define_rows(w, t);
  w.define("dense_" + s, t.in(join({"static void dense_@S(const @T *x, const @P *w, const struct @F *f, @Y *y, int32_t rows, int32_t inputs, int32_t outputs) {\n",
      or_by_vectors(t, "x, w, f, 0, y, rows, outputs, inputs, outputs", R"(  for (; rows > 1; rows -= 2, x += 2 * inputs, y += 2 * outputs) two_rows_@S(x, x + inputs, w, f, 0, y, y + outputs, inputs, outputs);
  if (rows) row_@S(x, w, f, 0, y, inputs, outputs);
)"), "}\n"})));
  w.line(call("dense_" + s, {from, weight, f, to, rows, k, n}));
}
void write_conv(CWriter& w, const Kinds& t, const std::string& f, const COperand& x, const std::string& weight, const COperand& y, const std::string& shape) {
  std::string s = t.suffix();
  define_rows(w, t);
  std::string window = define_window(w, t.x);
  const std::string rows = or_by_vectors(t, "windows, @GROUP, f, g * outputs, y + g * outputs, 1 + two, c->out_channels, inputs, outputs", R"(        if (two) two_rows_@S(windows, windows + inputs, @GROUP, f, g * outputs, y + g * outputs, y + c->out_channels + g * outputs, inputs, outputs);
        else row_@S(windows, @GROUP, f, g * outputs, y + g * outputs, inputs, outputs);
)");
  std::string source = replaced(t.in(replaced(R"(/* The windows of two outputs at a time are copied side by side, then they are rows. */
static void conv_@S(const struct conv *c, const @T *x, const @P *w, const struct @F *f, @Y *y, @T *windows) {
  const int32_t n = c->channels / c->groups, outputs = c->out_channels / c->groups, inputs = c->kernel_height * c->kernel_width * n;
  const int32_t width = c->out_width, count = c->out_height * width@NEXT;
  for (int32_t b = 0; b < c->batch; ++b, x += c->height * c->width * c->channels)
    for (int32_t i = 0; i < count; i += 2) {
      const int32_t two = i + 1 < count;
      for (int32_t g = 0; g < c->groups; ++g) {
        @W(c, x + g * n, n, i / width, i % width, (@T)c->x_zero, windows);
        if (two) @W(c, x + g * n, n, (i + 1) / width, (i + 1) % width, (@T)c->x_zero, windows + inputs);
@ROWS      }
      y += (1 + two) * c->out_channels;
    }
}
)", "@ROWS", rows)), "@W", window);
  w.define("conv_" + s, replaced(replaced(source, "@NEXT", t.form.packed() ? "" : t.vectors() ? ", step = (outputs + 1) / 2 * 2 * (inputs + (inputs & 1))" : ", step = (outputs + 1) / 2 * 2 * inputs"), "@GROUP", t.form.packed() ? "w" : "w + g * step"));
  w.line(call("conv_" + s, {shape, w.pointer(x), weight, f, w.pointer(y), w.scratch(c_type(t.x))}));
}

}  // namespace miniten::c
