#include "kernels/qsimd-inl.h"
#include "kernels/qtable.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

// n bytes, rounded from what f(i, m) makes of values [i, i + m), m <= kLanes.
template <class F>
MINITEN_INLINE void make_bytes(void* y, int64_t n, const Rounding& round, F f) {
  auto* to = static_cast<uint8_t*>(y);
  int64_t i = 0;
  for (; i + kWide <= n; i += kWide) {
    V v[4];
    MINITEN_UNROLL(4)
    for (int t = 0; t < 4; ++t) v[t] = f(i + t * kLanes, (int64_t)kLanes);
    store_as<W>(to + i, round.four(v));
  }
  for (; i < n; i += kLanes) {
    const int64_t m = n - i < kLanes ? n - i : (int64_t)kLanes;
    store_bytes(to + i, round.one(f(i, m)), m);
  }
}

// Might x * (1 / scale) and x / scale, within 512 and so less than 1e-4 apart, round to different numbers in some lane?
MINITEN_INLINE bool near_a_half(V v) {
  const V shift = set(12582912.0f);
  return any_of((I)(abs(v - ((v + shift) - shift)) > 0.4998f));
}

}  // namespace

void quantize(const float* x, void* q, int64_t n, float scale, int32_t zero, int32_t lo, int32_t hi) {
  const V s = set(scale), inverse = set(1 / scale);
  const bool far = !(scale >= 0x1p-126f && scale <= 0x1p125f);  // its inverse is no normal number
  const Rounding round(zero, lo, hi);
  make_bytes(q, n, round, [&](int64_t i, int64_t m) {
    const V given = load_n(x + i, m);
    V v = given * inverse;
    if (far || near_a_half(v)) v = given / s;
    return select(v == v, v, V{});
  });
}

void dequantize(const void* q, float* x, int64_t n, float scale, int32_t zero, bool is_signed) {
  const V s = set(scale);
  const I z = set_i(zero);
  for_lanes(n, [&](int64_t i, int64_t m) {
    store_n(x + i, to_float(load_bytes(static_cast<const uint8_t*>(q) + i, m, is_signed) - z) * s, m);
  });
}

void requantize(const void* x, void* y, int64_t n, const QRequantizeParams& p) {
  const V multiplier = set(p.multiplier);
  const I zero = set_i(p.x_zero);
  const Rounding round(p.y_zero, p.lo, p.hi);
  make_bytes(y, n, round, [&](int64_t i, int64_t m) {
    return to_float(load_bytes(static_cast<const uint8_t*>(x) + i, m, p.x_signed) - zero) * multiplier;
  });
}

void qadd(const void* a, const void* b, void* y, int64_t n, const QAddParams& p) {
  const V sa = set(p.a_scale), sb = set(p.b_scale), sy = set(p.y_scale);
  const I za = set_i(p.a_zero), zb = set_i(p.b_zero);
  const Rounding round(p.y_zero, p.lo, p.hi);
  make_bytes(y, n, round, [&](int64_t i, int64_t m) {
    const V left = to_float(load_bytes(static_cast<const uint8_t*>(a) + i, m, p.is_signed) - za) * sa;
    const V right = to_float(load_bytes(static_cast<const uint8_t*>(b) + i, m, p.is_signed) - zb) * sb;
    return (left + right) / sy;
  });
}

bool minmax(const float* x, int64_t n, float& lo, float& hi) {
  const V inf = set(__builtin_inff());
  V least[4], greatest[4];
  for (int t = 0; t < 4; ++t) least[t] = inf, greatest[t] = -inf;
  I bad = {};
  const auto take = [&](V v, int t) {
    const I finite = abs(v) < inf;
    bad |= ~finite;
    least[t] = min_keep(least[t], select(finite, v, inf));
    greatest[t] = max_keep(greatest[t], select(finite, v, -inf));
  };
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes)
    MINITEN_UNROLL(4)
    for (int t = 0; t < 4; ++t) take(load(x + i + t * kLanes), t);
  for (; i + kLanes <= n; i += kLanes) take(load(x + i), 0);
  float a = __builtin_inff(), b = -a;
  bool all = true;
  for (; i < n; ++i) {
    const bool finite = __builtin_isfinite(x[i]);
    all = all && finite;
    if (finite && x[i] < a) a = x[i];
    if (finite && x[i] > b) b = x[i];
  }
  for (int t = 0; t < 4; ++t)
    for (int l = 0; l < kLanes; ++l) {
      if (least[t][l] < a) a = least[t][l];
      if (greatest[t][l] > b) b = greatest[t][l];
      all = all && !bad[l];
    }
  lo = a, hi = b;
  return all;
}

}  // namespace miniten::kernels::MINITEN_TARGET
