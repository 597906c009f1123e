#include "ops/c/qkinds.h"

namespace miniten::c {

namespace {

// Four channels of one tap.
std::string depthwise_taps(CWriter& w, const Kinds& t) {
  const std::string plain = "              s0 += v[0] * q[0];\n              s1 += v[1] * q[1];\n              s2 += v[2] * q[2];\n              s3 += v[3] * q[3];\n";
  if (t.plain() || (t.wide() && t.w == DType::i8)) return plain;
  define_dsp(w);
  std::string dsp;
  if (!t.words()) {
    define_bytes(w);
    dsp = join({"              const int32_t w0 = even_bytes(word(q)), w1 = odd_bytes(word(q));\n              ", split(t, "v"), R"(              s0 = __smlabb(v0, w0, s0);
              s1 = __smlabb(v1, w1, s1);
              s2 = __smlatt(v0, w0, s2);
              s3 = __smlatt(v1, w1, s3);
)"});
  } else {
    std::string first = "(int32_t)word(q)", second = "(int32_t)word(q + 2)", with[] = {"bb(v0, w0", "tt(v0, w0", "bb(v1, w1", "tt(v1, w1"};
    if (t.w == DType::i8) {
      define_bytes(w);
      first = "even_bytes(word(q))";
      second = "odd_bytes(word(q))";
      with[1] = "tb(v0, w1";
      with[2] = "bt(v1, w0";
    }
    if (t.wide()) define_halves(w);
    dsp = "              const int32_t v0 = (int32_t)word(v), v1 = (int32_t)word(v + 2), w0 = " + first + ", w1 = " + second + ";\n";
    for (int i = 0; i < 4; ++i) dsp += join({"              s", i, " = ", t.wide() ? "add_" : "__smla", with[i], ", s", i, ");\n"});
  }
  return join({"#ifdef DSP\n", dsp, "#else\n", plain, "#endif\n"});
}

}  // namespace

void write_depthwise(CWriter& w, const Kinds& t, const std::string& f, const COperand& x, const std::string& weight, const COperand& y, const std::string& shape) {
  define_scaling(w, t);
  const bool vectors = t.vectors() && bits_of(t.y) == 8 && t.scaling != Kinds::by_fixed_point_once;
  const std::string taps = depthwise_taps(w, t);
  std::string name = define_depthwise(w, t.suffix(), t.x, "const @Q *w, const struct @F *f, @Y *y", "(@T)c->x_zero", join({"        int32_t k = 0;\n", vectors ? depthwise_by_vectors(w, t.scaling == Kinds::by_fixed_point) : "", R"(        for (; k + 4 <= n; k += 4) {
          @A s0 = f->bias[k], s1 = f->bias[k + 1], s2 = f->bias[k + 2], s3 = f->bias[k + 3];
          const @T *line = from + k;
          const @Q *q = w + k;
          for (int32_t r = 0; r < c->kernel_height; ++r, line += row) {
            const @T *v = line;
            for (int32_t s = 0; s < c->kernel_width; ++s, v += column, q += n) {
)", taps, R"(            }
          }
          y[k] = (@Y)@R(s0, @M(f->multiplier,k), f->zero, f->lo, f->hi);
          y[k + 1] = (@Y)@R(s1, @M(f->multiplier,k + 1), f->zero, f->lo, f->hi);
          y[k + 2] = (@Y)@R(s2, @M(f->multiplier,k + 2), f->zero, f->lo, f->hi);
          y[k + 3] = (@Y)@R(s3, @M(f->multiplier,k + 3), f->zero, f->lo, f->hi);
        }
        for (; k < n; ++k) {
          @A sum = f->bias[k];
          const @T *line = from + k;
          const @Q *q = w + k;
          for (int32_t r = 0; r < c->kernel_height; ++r, line += row)
            for (int32_t s = 0; s < c->kernel_width; ++s, q += n) sum += line[s * column] * *q;
          y[k] = (@Y)@R(sum, @M(f->multiplier,k), f->zero, f->lo, f->hi);
        }
)"}), [&](std::string_view source) { return t.in(source); });
  w.line(call(name, {shape, w.pointer(x), weight, f, w.pointer(y), w.scratch(c_type(t.x))}));
}

}  // namespace miniten::c
