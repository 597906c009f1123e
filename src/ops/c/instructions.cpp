#include "ops/c/integers.h"

namespace miniten::c {

namespace {
constexpr char vectors_of_channels[] = R"(#ifdef MVE
        for (; k + 16 <= n; k += 16) { /* sum i is of channels i, i + 4, i + 8, i + 12 */
          const int32x4x4_t bias = vld4q_s32(f->bias + k);
          const uint32x4x4_t multiplier = vld4q_u32(f->multiplier + k);
          int32x4_t s0 = bias.val[0], s1 = bias.val[1], s2 = bias.val[2], s3 = bias.val[3];
          const int8_t *line = from + k, *q = w + k;
          for (int32_t r = 0; r < c->kernel_height; ++r, line += row) {
            const int8_t *v = line;
            for (int32_t s = 0; s < c->kernel_width; ++s, v += column, q += n) {
              const int8x16_t x8 = vldrbq_s8(v), w8 = vldrbq_s8(q);
              const int16x8_t even = vmullbq_int_s8(x8, w8), odd = vmulltq_int_s8(x8, w8);
              s0 = vaddq_s32(s0, vmovlbq_s16(even));
              s1 = vaddq_s32(s1, vmovlbq_s16(odd));
              s2 = vaddq_s32(s2, vmovltq_s16(even));
              s3 = vaddq_s32(s3, vmovltq_s16(odd));
            }
          }
          s0 = vsliq_n_s32(requantize_four(s0, multiplier.val[0], f), requantize_four(s1, multiplier.val[1], f), 8);
          s0 = vsliq_n_s32(s0, requantize_four(s2, multiplier.val[2], f), 16);
          s0 = vsliq_n_s32(s0, requantize_four(s3, multiplier.val[3], f), 24);
          vstrbq_s8((int8_t *)(y + k), vreinterpretq_s8_s32(s0));
        }
        for (; k < n; k += 4) {
          const mve_pred16_t some = vctp32q((uint32_t)(n - k));
          int32x4_t sum = vldrwq_z_s32(f->bias + k, some);
          const int8_t *line = from + k, *q = w + k;
          for (int32_t r = 0; r < c->kernel_height; ++r, line += row)
            for (int32_t s = 0; s < c->kernel_width; ++s, q += n) sum = vaddq_s32(sum, vmulq_s32(vldrbq_z_s32(line + s * column, some), vldrbq_z_s32(q, some)));
          vstrbq_p_s32((int8_t *)(y + k), requantize_four(sum, vldrwq_z_u32(f->multiplier + k, some), f), some);
        }
#endif
)";
}  // namespace

void define_dsp(CWriter& w) {
  w.include("string.h");
  w.define("DSP", R"(/* ARM's DSP instructions where the compiler has them; define PLAIN_C to do without. */
#if defined(__ARM_FEATURE_DSP) && !defined(__ARM_BIG_ENDIAN) && !defined(PLAIN_C)
#include <arm_acle.h>
#define DSP
static uint32_t word(const void *p) {
  uint32_t v;
  memcpy(&v, p, sizeof v);
  return v;
}
#endif
)");
}
void define_bytes(CWriter& w) {
  w.define("even_bytes", R"(#ifdef DSP
static int32_t even_bytes(uint32_t v) { return __sxtb16((int32_t)v); }
static int32_t odd_bytes(uint32_t v) {
#ifdef __GNUC__
  int32_t odd;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(v));
  return odd;
#else
  return __sxtb16((int32_t)(v >> 8 | v << 24));
#endif
}
#endif
)");
}
void define_halves(CWriter& w) {
  w.define("add_bb", R"(#ifdef DSP
static int64_t add_bb(int32_t a, int32_t b, int64_t sum) { return sum + (int16_t)a * (int16_t)b; }
static int64_t add_tt(int32_t a, int32_t b, int64_t sum) {
#ifdef __GNUC__
  __asm__("smlaltt %Q0, %R0, %1, %2" : "+r"(sum) : "r"(a), "r"(b));
  return sum;
#else
  return sum + (a >> 16) * (b >> 16);
#endif
}
#endif
)");
}
void define_vectors(CWriter& w) {
  w.define("WORDS", R"(/* ARM's vector instructions (MVE with floats, Cortex-M55) where the compiler has them; define PLAIN_C to do without. */
#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 2) && !defined(__ARM_BIG_ENDIAN) && !defined(PLAIN_C)
#include <arm_mve.h>
#define MVE
#define WORDS __attribute__((aligned(4)))
#else
#define WORDS
#endif
)");
}
void define_requantize_four(CWriter& w) {
  w.define("requantize_four", R"(#ifdef MVE
static int32x4_t requantize_four(int32x4_t acc, uint32x4_t multiplier, const struct scaling *f) {
  const int32x4_t whole = vcvtnq_s32_f32(vmulq_f32(vcvtq_f32_s32(acc), vreinterpretq_f32_u32(multiplier)));
  return vminq_s32(vmaxq_s32(vqaddq_n_s32(whole, f->zero), vdupq_n_s32(f->lo)), vdupq_n_s32(f->hi));
}
#endif
)");
}
void define_requantize_four_fixed(CWriter& w) {
  w.define("requantize_four_fixed", R"(#ifdef MVE
static int32x4_t requantize_four_fixed(int32x4_t acc, int32x4x2_t m, const struct fixed_scaling *f) {
  const int32x4_t zero = vdupq_n_s32(0), left = vmaxq_s32(m.val[1], zero), right = vminq_s32(m.val[1], zero);
  const int32x4_t high = vqrdmulhq_s32(vshlq_s32(acc, left), m.val[0]), below = vshrq_n_s32(vandq_s32(high, right), 31);
  const int32x4_t whole = vrshlq_s32(vqaddq_s32(high, below), right);
  return vminq_s32(vmaxq_s32(vqaddq_n_s32(whole, f->zero), vdupq_n_s32(f->lo)), vdupq_n_s32(f->hi));
}
#endif
)");
}
std::string depthwise_by_vectors(CWriter& w, bool fixed) {
  std::string s = vectors_of_channels;
  if (!fixed) {
    define_requantize_four(w);
    return s;
  }
  define_requantize_four_fixed(w);
  w.define("pairs_apart", R"(#ifdef MVE
/* Multipliers and shifts of four channels, those at m and every fourth or next one. */
static int32x4x2_t pairs_apart(const int32_t *m, uint32x4_t apart, mve_pred16_t some) {
  int32x4x2_t pairs;
  pairs.val[0] = vldrwq_gather_shifted_offset_z_s32(m, apart, some);
  pairs.val[1] = vldrwq_gather_shifted_offset_z_s32(m + 1, apart, some);
  return pairs;
}
#endif
)");
  s = replaced(s, "          const uint32x4x4_t multiplier = vld4q_u32(f->multiplier + k);\n", "          const uint32x4_t fourth = vidupq_n_u32(0, 8);\n");
  for (int i = 0; i < 4; ++i)
    s = replaced(s, join({"requantize_four(s", i, ", multiplier.val[", i, "], f)"}), join({"requantize_four_fixed(s", i, ", pairs_apart(f->multiplier + 2 * k", i ? " + " + text(2 * i) : "", ", fourth, 0xffff), f)"}));
  return replaced(s, "requantize_four(sum, vldrwq_z_u32(f->multiplier + k, some), f)", "requantize_four_fixed(sum, pairs_apart(f->multiplier + 2 * k, vidupq_n_u32(0, 2), some), f)");
}

}  // namespace miniten::c
