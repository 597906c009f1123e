#include "kernels/qtable.h"
#include "kernels/turn-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

// n bytes, rounded from what f(i, m) makes of values [i, i + m), m <= kLanes, and `last` of four such vectors.
struct AsTheyAre {
  MINITEN_INLINE void operator()(V (&)[4]) const {}
};
template <class F, class Last = AsTheyAre>
MINITEN_INLINE void make_bytes(void* y, int64_t n, const Rounding& round, F f, const Last& last = {}) {
  auto* to = static_cast<uint8_t*>(y);
  int64_t i = 0;
  V v[4] = {};
  for (; i + kWide <= n; i += kWide) {
    MINITEN_UNROLL(4)
    for (int t = 0; t < 4; ++t) v[t] = f(i + t * kLanes, (int64_t)kLanes);
    last(v);
    store_as<W>(to + i, round.four(v));
  }
  for (; i < n; i += kLanes) {
    const int64_t m = n - i < kLanes ? n - i : (int64_t)kLanes;
    v[0] = f(i, m);
    last(v);
    store_bytes(to + i, round.one(v[0]), m);
  }
}

// How far v, |v| < 2^22, lies from a whole number, or `far`, whichever is more.
MINITEN_INLINE V farther(V v, V far) {
#if MINITEN_LANES == 16
  return (V)_mm512_range_ps(_mm512_reduce_ps((__m512)v, 0x08), (__m512)far, 0x0b);
#endif
  const V shift = set(12582912.0f);
  return max_keep(abs(v - ((v + shift) - shift)), far);
}

// x / by, to be rounded and cut to bytes: products with the inverse but where one lies beside a half, since within 512 the two are
// less than 1e-4 apart.
class Quotients {
 public:
  explicit Quotients(float by) : by_(set(by)), inverse_(set(1 / by)), far_(!(by >= 0x1p-126f && by <= 0x1p125f)) {}
  MINITEN_INLINE void operator()(V (&x)[4]) const {
    V product[4], apart = {};
    MINITEN_UNROLL(4)
    for (int t = 0; t < 4; ++t) {
      product[t] = x[t] * inverse_;
      apart = farther(product[t], apart);
    }
    const bool divide = far_ || any_above(apart, 0.4998f);
    MINITEN_UNROLL(4)
    for (int t = 0; t < 4; ++t) x[t] = divide ? x[t] / by_ : product[t];
  }

 private:
  V by_, inverse_;
  bool far_;  // the inverse is no normal number
};

}  // namespace

void quantize(const float* x, void* q, int64_t n, float scale, int32_t zero, int32_t lo, int32_t hi) {
  make_bytes(q, n, Rounding(zero, lo, hi), [&](int64_t i, int64_t m) {
    const V v = load_n(x + i, m);
    return select(v == v, v, V{});
  }, Quotients(scale));
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
  const V sa = set(p.a_scale), sb = set(p.b_scale), by = set(p.y_scale);
  const I za = set_i(p.a_zero), zb = set_i(p.b_zero);
  const Rounding round(p.y_zero, p.lo, p.hi);
  const auto *left = static_cast<const uint8_t*>(a), *right = static_cast<const uint8_t*>(b);
  const auto exact = [&](int64_t i, int64_t m) {
    return to_float(load_bytes(left + i, m, p.is_signed) - za) * sa + to_float(load_bytes(right + i, m, p.is_signed) - zb) * sb;
  };
  // By two products in place of the steps above, but where the result lies beside a half: no intermediate value is beyond `reach`, so
  // the roundings of both ways together move it by less than 2^-21 of that.
  const double ka = (double)p.a_scale / p.y_scale, kb = (double)p.b_scale / p.y_scale;
  const double reach = 512 * ((ka < 0 ? -ka : ka) + (kb < 0 ? -kb : kb));
  int64_t i = 0;
  if (reach <= 4096) {
    const V ta = set((float)ka), tb = set((float)kb), rest = set((float)(-ka * p.a_zero - kb * p.b_zero));
    const float limit = (float)(0.5 - reach * 0x1p-21);
    for (; i + kWide <= n; i += kWide) {
      V v[4], apart = {};
      MINITEN_UNROLL(4)
      for (int t = 0; t < 4; ++t) {
        const int64_t at = i + t * kLanes;
        v[t] = fma(to_float(widen(left + at, p.is_signed)), ta, fma(to_float(widen(right + at, p.is_signed)), tb, rest));
        apart = farther(v[t], apart);
      }
      if (any_above(apart, limit))
        for (int t = 0; t < 4; ++t) v[t] = exact(i + t * kLanes, kLanes) / by;
      store_as<W>(static_cast<uint8_t*>(y) + i, round.four(v));
    }
  }
  make_bytes(static_cast<uint8_t*>(y) + i, n - i, round, [&](int64_t k, int64_t m) { return exact(i + k, m); }, Quotients(p.y_scale));
}

void flip_signs(uint8_t* x, int64_t n) { turn_bytes(x, n, Rounding::all_bytes(128), x); }

bool minmax(const float* x, int64_t n, float& lo, float& hi) {
  const V inf = set(__builtin_inff());
  V least[4], greatest[4], zero[4] = {};                       // zero: NaN once a value is not finite
  MINITEN_UNROLL(4)
  for (int t = 0; t < 4; ++t) least[t] = inf, greatest[t] = -inf;
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes)
    MINITEN_UNROLL(4)
    for (int t = 0; t < 4; ++t) {
      const V v = load(x + i + t * kLanes);
      least[t] = min_keep(least[t], v);
      greatest[t] = max_keep(greatest[t], v);
      zero[t] = fma(v, V{}, zero[t]);
    }
  const V below = min_keep(min_keep(least[0], least[1]), min_keep(least[2], least[3]));
  const V above = max_keep(max_keep(greatest[0], greatest[1]), max_keep(greatest[2], greatest[3]));
  const V sum = (zero[0] + zero[1]) + (zero[2] + zero[3]);
  float a = __builtin_inff(), b = -a;
  bool all = true;
  for (int l = 0; l < kLanes; ++l) {
    all = all && sum[l] == 0;
    if (below[l] < a) a = below[l];
    if (above[l] > b) b = above[l];
  }
  if (!all) i = 0, a = __builtin_inff(), b = -a;
  for (; i < n; ++i) {
    const bool finite = __builtin_isfinite(x[i]);
    all = all && finite;
    if (finite && x[i] < a) a = x[i];
    if (finite && x[i] > b) b = x[i];
  }
  lo = a, hi = b;
  return all;
}

}  // namespace miniten::kernels::MINITEN_TARGET
