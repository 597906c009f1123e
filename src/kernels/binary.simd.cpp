#include "kernels/ftable.h"
#include "kernels/simd-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

template <class F>
void zip(const float* a, int64_t a_step, const float* b, int64_t b_step, float* y, int64_t n, F f) {
  if (n <= 0) return;
  if (a_step && b_step) {
    for_lanes(n, [&](int64_t i, int64_t m) { store_n(y + i, f(load_n(a + i, m), load_n(b + i, m)), m); });
  } else if (a_step) {
    const V all = set(*b);
    for_lanes(n, [&](int64_t i, int64_t m) { store_n(y + i, f(load_n(a + i, m), all), m); });
  } else if (b_step) {
    const V all = set(*a);
    for_lanes(n, [&](int64_t i, int64_t m) { store_n(y + i, f(all, load_n(b + i, m)), m); });
  } else {
    const V all = f(set(*a), set(*b));
    for_lanes(n, [&](int64_t i, int64_t m) { store_n(y + i, all, m); });
  }
}

}  // namespace

void binary(Binary op, const float* a, int64_t a_step, const float* b, int64_t b_step, float* y, int64_t n) {
  switch (op) {
    case Binary::add: return zip(a, a_step, b, b_step, y, n, [](V p, V q) { return p + q; });
    case Binary::sub: return zip(a, a_step, b, b_step, y, n, [](V p, V q) { return p - q; });
    case Binary::mul: return zip(a, a_step, b, b_step, y, n, [](V p, V q) { return p * q; });
    case Binary::div: return zip(a, a_step, b, b_step, y, n, [](V p, V q) { return p / q; });
    case Binary::maximum: return zip(a, a_step, b, b_step, y, n, [](V p, V q) { return max_nan(p, q); });
    case Binary::minimum: return zip(a, a_step, b, b_step, y, n, [](V p, V q) { return min_nan(p, q); });
    case Binary::gate:
      return zip(a, a_step, b, b_step, y, n, [](V p, V q) { return select((I)(q > 0.0f), p, V{}); });
    default: return;  // pow: kernels/binary.cpp
  }
}

void add_scaled(const float* a, float scale, float* y, int64_t n) {
  const V factor = set(scale);
  for_lanes(n, [&](int64_t i, int64_t m) { store_n(y + i, fma(factor, load_n(a + i, m), load_n(y + i, m)), m); });
}

}  // namespace miniten::kernels::MINITEN_TARGET
