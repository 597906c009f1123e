#include "kernels/qsimd-inl.h"
#include "kernels/qtable.h"

namespace miniten::kernels::MINITEN_TARGET {

void quantize(const float* x, void* q, int64_t n, float scale, int32_t zero, int32_t lo_, int32_t hi_) {
  const V s = set(scale), lo = bound(lo_, zero), hi = bound(hi_, zero);
  const I z = set_i(zero);
  for_lanes(n, [&](int64_t i, int64_t m) {
    V v = load_n(x + i, m) / s;
    v = select(v == v, v, V{});
    store_bytes(static_cast<int8_t*>(q) + i, requantize(v, z, lo, hi), m);
  });
}

void dequantize(const void* q, float* x, int64_t n, float scale, int32_t zero, bool is_signed) {
  const V s = set(scale);
  const I z = set_i(zero);
  for_lanes(n, [&](int64_t i, int64_t m) {
    const I v = __builtin_convertvector(load_bytes(static_cast<const uint8_t*>(q) + i, m, is_signed), I);
    store_n(x + i, to_float(v - z) * s, m);
  });
}

void qadd(const void* a, const void* b, void* y, int64_t n, const QAddParams& p) {
  const V sa = set(p.a_scale), sb = set(p.b_scale), sy = set(p.y_scale), lo = bound(p.lo, p.y_zero), hi = bound(p.hi, p.y_zero);
  const I za = set_i(p.a_zero), zb = set_i(p.b_zero), zy = set_i(p.y_zero);
  for_lanes(n, [&](int64_t i, int64_t m) {
    const I u = __builtin_convertvector(load_bytes(static_cast<const uint8_t*>(a) + i, m, p.is_signed), I) - za;
    const I v = __builtin_convertvector(load_bytes(static_cast<const uint8_t*>(b) + i, m, p.is_signed), I) - zb;
    const V left = to_float(u) * sa, right = to_float(v) * sb, sum = left + right;
    store_bytes(static_cast<int8_t*>(y) + i, requantize(sum / sy, zy, lo, hi), m);
  });
}

}  // namespace miniten::kernels::MINITEN_TARGET
