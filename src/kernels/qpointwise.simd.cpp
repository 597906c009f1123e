#include "kernels/qsimd-inl.h"
#include "kernels/qtable.h"

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

// x / by, to be rounded and cut to bytes: products with the inverse but where one lies beside a half, since within 512 the two are
// less than 1e-4 apart.
class Quotients {
 public:
  explicit Quotients(float by) : by_(set(by)), inverse_(set(1 / by)), far_(!(by >= 0x1p-126f && by <= 0x1p125f)) {}
  MINITEN_INLINE void operator()(V (&x)[4]) const {
    const V shift = set(12582912.0f);
    V product[4], apart = {};
    MINITEN_UNROLL(4)
    for (int t = 0; t < 4; ++t) {
      product[t] = x[t] * inverse_;
      apart = max_keep(abs(product[t] - ((product[t] + shift) - shift)), apart);
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
  const V sa = set(p.a_scale), sb = set(p.b_scale);
  const I za = set_i(p.a_zero), zb = set_i(p.b_zero);
  const Rounding round(p.y_zero, p.lo, p.hi);
  make_bytes(y, n, round, [&](int64_t i, int64_t m) {
    const V left = to_float(load_bytes(static_cast<const uint8_t*>(a) + i, m, p.is_signed) - za) * sa;
    const V right = to_float(load_bytes(static_cast<const uint8_t*>(b) + i, m, p.is_signed) - zb) * sb;
    return left + right;
  }, Quotients(p.y_scale));
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
