#include "kernels/qsimd16-inl.h"
#include "kernels/qtable.h"

namespace miniten::kernels::MINITEN_TARGET {

void quantize16(const float* x, int16_t* q, int64_t n, float scale, int32_t zero) {
  const V s = set(scale);
  const WideRounding round(zero, -32768, 32767);
  for_lanes(n, [&](int64_t i, int64_t m) {
    const V v = load_n(x + i, m) / s;
    store_words(q + i, round(select(v == v, v, V{})), m);
  });
}

void dequantize16(const int16_t* q, float* x, int64_t n, float scale, int32_t zero) {
  const V s = set(scale);
  const I z = set_i(zero);
  for_lanes(n, [&](int64_t i, int64_t m) { store_n(x + i, to_float(load_words(q + i, m) - z) * s, m); });
}

void qadd16(const int16_t* a, const int16_t* b, int16_t* y, int64_t n, const QAddParams& p) {
  const V sa = set(p.a_scale), sb = set(p.b_scale), sy = set(p.y_scale);
  const I za = set_i(p.a_zero), zb = set_i(p.b_zero);
  const WideRounding round(p.y_zero, p.lo, p.hi);
  for_lanes(n, [&](int64_t i, int64_t m) {
    const V left = to_float(load_words(a + i, m) - za) * sa, right = to_float(load_words(b + i, m) - zb) * sb;
    store_words(y + i, round((left + right) / sy), m);
  });
}

void qmul(const void* a, const void* b, void* y, int64_t n, const QMulParams& p) {
  const V multiplier = set(p.multiplier);
  const I za = set_i(p.a_zero), zb = set_i(p.b_zero);
  const WideRounding round(p.y_zero, p.lo, p.hi);
  for_lanes(n, [&](int64_t i, int64_t m) {
    const I left = load_bytes(static_cast<const uint8_t*>(a) + i, m, p.is_signed) - za;
    const I right = load_bytes(static_cast<const uint8_t*>(b) + i, m, p.is_signed) - zb;
    store_bytes(static_cast<uint8_t*>(y) + i, round(to_float(left * right) * multiplier), m);
  });
}
void qmul16(const int16_t* a, const int16_t* b, int16_t* y, int64_t n, const QMulParams& p) {
  const V multiplier = set(p.multiplier);
  const WideRounding round(p.y_zero, p.lo, p.hi);
  for_lanes(n, [&](int64_t i, int64_t m) {
    store_words(y + i, round(to_float(load_words(a + i, m) * load_words(b + i, m)) * multiplier), m);
  });
}

}  // namespace miniten::kernels::MINITEN_TARGET
