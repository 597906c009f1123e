#include "ops/c/integers.h"
#include <bit>
#include <cstdio>
#include <limits>

namespace miniten::c {

void define_round24(CWriter& w) {
  w.include("stdint.h");
  w.define("round24", R"(/* v kept to its 24 leading bits, half to even: an integer as float32 holds it. */
static uint64_t round24(uint64_t v) {
  int32_t drop = 0;
  while (v >> drop >= UINT64_C(1) << 24) ++drop;
  if (drop == 0) return v;
  const uint64_t half = UINT64_C(1) << (drop - 1), rest = v & (2 * half - 1);
  v >>= drop;
  if (rest > half || (rest == half && (v & 1u))) ++v;
  return v << drop;
}
)");
}
namespace {
uint32_t bits_of_multiplier(float v) { return v < std::numeric_limits<float>::min() ? 0u : std::bit_cast<uint32_t>(v); }   // denormal ones round everything to 0
void define_fpu(CWriter& w) {
  w.include("string.h");
  w.define("FPU", R"(/* The FPU of 32-bit ARM does it in few instructions, its rounding mode left as it is at reset; define PLAIN_C to do without. */
#if defined(__arm__) && defined(__ARM_FP) && (__ARM_FP & 4) && defined(__ARM_FEATURE_SAT) && defined(__GNUC__) && !defined(PLAIN_C)
#define FPU 1
static int32_t product_by_fpu(int32_t acc, uint32_t multiplier) {
  float v;
  int32_t whole;
  memcpy(&v, &multiplier, sizeof v);
  v *= (float)acc;
  __asm__("vcvtr.s32.f32 %0, %0" : "+t"(v));
  memcpy(&whole, &v, sizeof whole);
  __asm__("ssat %0, #17, %0" : "+r"(whole)); /* beyond any bound */
  return whole;
}
#else
#define FPU 0
#define product_by_fpu(acc, multiplier) 0
#endif
)");
}
}  // namespace

void define_requantize(CWriter& w) {
  define_round24(w);
  define_fpu(w);
  w.define("requantize", R"(/* clamp(round_half_even((float)acc * multiplier) + zero, lo, hi), of bytes. The multiplier is given by the bits of its float32;
   without an FPU all is done in integers, so the result is that of IEEE 754 single precision either way. */
static uint32_t scaled_exactly(uint32_t magnitude, uint32_t multiplier) {
  uint64_t product, rest;
  const int32_t shift = 150 - (int32_t)(multiplier >> 23); /* value = product * 2^-shift */
  if (magnitude >> 24) magnitude = (uint32_t)round24(magnitude);
  product = (uint64_t)magnitude * ((multiplier & 0x7fffffu) | 0x800000u);
  if (product == 0 || shift > 62) return 0;
  if (shift < 1 || product >> shift > 0xffffu) return 0x10000u; /* beyond any bound */
  product = round24(product);
  rest = product & ((UINT64_C(1) << shift) - 1);
  return (uint32_t)(product >> shift) + (rest + (product >> shift & 1u) > UINT64_C(1) << (shift - 1));
}
static int32_t requantize(int32_t acc, uint32_t multiplier, int32_t zero, int32_t lo, int32_t hi) {
  const uint32_t magnitude = acc < 0 ? 0u - (uint32_t)acc : (uint32_t)acc, shift = 134u - (multiplier >> 23);
  uint64_t value = 0x8000; /* 16 bits of fraction */
  uint32_t whole;
  int32_t y;
  if (FPU) y = product_by_fpu(acc, multiplier);
  else {
    if (shift < 48 && magnitude >> 24 == 0) value = (uint64_t)magnitude * ((multiplier & 0x7fffffu) | 0x800000u) >> shift;
    if (value >> 31 || ((uint32_t)value & 0xffffu) - 0x7ffdu <= 6) whole = scaled_exactly(magnitude, multiplier); /* large, or close to a half: the product's rounding may decide */
    else whole = ((uint32_t)value + 0x8000u) >> 16;
    y = acc < 0 ? -(int32_t)whole : (int32_t)whole;
  }
  y += zero;
  return y < lo ? lo : y > hi ? hi : y;
}
)");
}
void define_requantize_wide(CWriter& w) {
  define_round24(w);
  define_fpu(w);
  w.define("requantize_wide", R"(/* clamp(round_half_even((float)acc * multiplier) + zero, lo, hi), to 16 bits or fewer; the multiplier by its bits. */
static int32_t requantize_wide(int64_t acc, uint32_t multiplier, int32_t zero, int32_t lo, int32_t hi) {
  uint64_t magnitude = acc < 0 ? 0u - (uint64_t)acc : (uint64_t)acc, product;
  int32_t shift = 150 - (int32_t)(multiplier >> 23); /* value = product * 2^-shift */
  uint32_t whole = 0;
  int32_t y;
  if (FPU && acc >= INT32_MIN && acc <= INT32_MAX) {
    y = product_by_fpu((int32_t)acc, multiplier) + zero;
    return y < lo ? lo : y > hi ? hi : y;
  }
  if (magnitude >> 24) magnitude = round24(magnitude);
  for (; magnitude >> 32; magnitude >>= 8) shift -= 8;
  product = magnitude * ((multiplier & 0x7fffffu) | 0x800000u);
  if (product != 0 && shift < 1) whole = 0x10000u;
  else if (product != 0 && shift <= 62) {
    const uint64_t one = UINT64_C(1) << shift, near = one >> 8;
    uint64_t rest = product & (one - 1);
    if (rest - (one / 2 - near) <= 2 * near) { /* close to a half: the product's own rounding may decide */
      product = round24(product);
      rest = product & (one - 1);
    }
    whole = product >> shift > 0xffffu ? 0x10000u : (uint32_t)(product >> shift);
    if (rest > one / 2 || (rest == one / 2 && (whole & 1u))) ++whole;
  }
  y = (acc < 0 ? -(int32_t)whole : (int32_t)whole) + zero;
  return y < lo ? lo : y > hi ? hi : y;
}
)");
}
void define_requantize_short(CWriter& w) {
  define_requantize_wide(w);
  w.define("requantize_short", R"(#if FPU
static int32_t requantize_short(int32_t acc, uint32_t multiplier, int32_t zero, int32_t lo, int32_t hi) {
  const int32_t y = product_by_fpu(acc, multiplier) + zero;
  return y < lo ? lo : y > hi ? hi : y;
}
#else
#define requantize_short requantize_wide
#endif
)");
}
void define_fixed_point(CWriter& w) {
  w.include("stdint.h");
  w.define("fixed_point", R"(/* acc * m[0] * 2^(m[1] - 31): the product is rounded, halves up, then the shift to the right, halves away from 0. */
static int32_t fixed_point(int32_t acc, const int32_t *m) {
  const int32_t left = m[1] > 0 ? m[1] : 0, right = left - m[1];
  const int64_t product = (int64_t)(int32_t)((uint32_t)acc << left) * m[0], move = INT64_C(1) << 62; /* what is shifted is above 0 */
  const int32_t high = (int32_t)((int64_t)((uint64_t)(product + move + (1 << 30)) >> 31) - (move >> 31));
  const uint32_t magnitude = high < 0 ? 0u - (uint32_t)high : (uint32_t)high, half = (1u << right) >> 1;
  const int32_t whole = (int32_t)((magnitude + half) >> right);
  return high < 0 ? -whole : whole;
}
)");
}
namespace {
constexpr std::string_view in_bounds = "  return y < lo - zero ? lo : y > hi - zero ? hi : y + zero;\n}\n";
}
void define_requantize_fixed(CWriter& w) {
  define_fixed_point(w);
  w.define("requantize_fixed", join({R"(static int32_t requantize_fixed(int32_t acc, const int32_t *multiplier, int32_t zero, int32_t lo, int32_t hi) {
  const int32_t y = fixed_point(acc, multiplier);
)", in_bounds}));
}
void define_requantize_once(CWriter& w) {
  w.include("stdint.h");
  w.define("requantize_once", join({R"(/* clamp(acc * m[0] * 2^(m[1] - 31) + zero, lo, hi), rounded once, halves up. */
static int32_t requantize_once(int32_t acc, const int32_t *m, int32_t zero, int32_t lo, int32_t hi) {
  const int32_t down = 31 - m[1];
  const int64_t move = INT64_C(1) << 62; /* what is shifted is above 0 */
  const int64_t y = (int64_t)(((uint64_t)((int64_t)acc * m[0]) + (UINT64_C(1) << (down - 1)) + (uint64_t)move) >> down) - (move >> down);
)", replaced(std::string(in_bounds), "y + zero", "(int32_t)y + zero")}));
}
std::string store_fixed_point(CWriter& w, const Tensor& multiplier, const Tensor& shift, int64_t n) {
  std::vector<int32_t> m = multiplier.to_vector<int32_t>(), s = shift.to_vector<int32_t>(), pairs;
  for (int64_t i = 0; i < n; ++i) {
    const size_t k = m.size() == 1 ? 0 : size_t(i);
    // Shifts beyond these change nothing: all is 0, or saturates.
    pairs.push_back(s[k] < -31 ? 0 : m[k]);
    pairs.push_back(std::clamp(s[k], -31, 30));
  }
  return w.constant(Tensor::of<int32_t>({n, 2}, pairs), "multiplier");
}
void define_round(CWriter& w, bool away) {
  w.include("stdint.h");
  w.include("string.h");
  std::string source = R"(/* clamp(round_half_even(v) + zero, lo, hi), by the bits of v; NaN gives zero. */
static int32_t round_even(float v, int32_t zero, int32_t lo, int32_t hi) {
  uint32_t bits;
  memcpy(&bits, &v, sizeof bits);
  const uint32_t mantissa = (bits & 0x7fffffu) | 0x800000u;
  const int32_t shift = 150 - (int32_t)(bits >> 23 & 0xffu);
  int32_t whole = 0;
  if (v != v) return zero;
  if (shift <= 0) whole = 0x1000000;
  else if (shift <= 24) {
    const uint32_t one = 1u << shift, rest = mantissa & (one - 1);
    whole = (int32_t)(mantissa >> shift);
    if (rest > one / 2 || (rest == one / 2 && (whole & 1))) ++whole;
  }
  whole = (bits >> 31 ? -whole : whole) + zero;
  return whole < lo ? lo : whole > hi ? hi : whole;
}
)";
  if (away) source = replaced(replaced(replaced(source, "half_even", "half_away"), "round_even", "round_away"), "rest > one / 2 || (rest == one / 2 && (whole & 1))", "rest >= one / 2");
  w.define(away ? "round_away" : "round_even", source);
}
Tensor multiplier_bits(const std::vector<float>& m) {
  std::vector<uint32_t> bits;
  for (float v : m) bits.push_back(bits_of_multiplier(v));
  return Tensor::of<uint32_t>({int64_t(bits.size())}, bits);
}
std::string multiplier_literal(float v) { return bits_literal(std::bit_cast<float>(bits_of_multiplier(v))); }
std::string bits_literal(float v) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%08xu", std::bit_cast<uint32_t>(v));
  return text;
}

}  // namespace miniten::c
