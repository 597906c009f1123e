#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>

namespace miniten {

// gemmlowp's fixed-point arithmetic: x * multiplier * 2^(shift - 31), multiplier in [2^30, 2^31) or 0.

// a * b * 2^-31 to nearest, halves up; x * 2^-n to nearest, halves away from 0.
inline int32_t high_product(int32_t a, int32_t b) {
  if (a == b && a == INT32_MIN) return INT32_MAX;
  int64_t ab = int64_t{a} * b, nudge = ab >= 0 ? int64_t{1} << 30 : 1 - (int64_t{1} << 30);
  return int32_t((ab + nudge) / (int64_t{1} << 31));
}
inline int32_t rounded_shift(int32_t x, int n) {
  if (n > 31) return 0;
  int64_t mask = (int64_t{1} << n) - 1, rest = x & mask;
  return int32_t((int64_t{x} >> n) + (rest > (mask >> 1) + (x < 0)));
}
// The product is rounded, then the shift.
inline int32_t multiplied(int32_t x, int32_t multiplier, int32_t shift) {
  int32_t left = std::clamp(shift, 0, 31), right = -std::clamp(shift, -32, 0);
  return rounded_shift(high_product(int32_t(uint32_t(x) << left), multiplier), right);
}
// Rounded once, halves up.
inline int32_t multiplied_once(int32_t x, int32_t multiplier, int32_t shift) {
  int32_t down = 31 - std::clamp(shift, -31, 30);
  int64_t y = (int64_t{x} * multiplier + (int64_t{1} << (down - 1))) >> down;
  return int32_t(std::clamp<int64_t>(y, INT32_MIN, INT32_MAX));
}
inline int32_t saturated(int64_t sum) { return int32_t(std::clamp<int64_t>(sum, INT32_MIN, INT32_MAX)); }
inline int64_t placed(int32_t y, int64_t zero, int64_t lo, int64_t hi) { return std::clamp(y + zero, lo, hi); }

}  // namespace miniten
