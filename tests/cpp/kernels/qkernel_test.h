#pragma once
#include <algorithm>

#include "kernel_test.h"

// What tests of the integer kernels share: random bytes and the rounding of qgemm.h, written another way.
namespace miniten::kernels {

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  int64_t in(int64_t lo, int64_t hi) { return lo + static_cast<int64_t>(engine_() % static_cast<uint64_t>(hi - lo + 1)); }
  int64_t of(std::initializer_list<int64_t> values) { return values.begin()[in(0, static_cast<int64_t>(values.size()) - 1)]; }
  bool coin() { return in(0, 1) == 1; }
  Edge edge() { return coin() ? Edge::end : Edge::begin; }
  // Mostly any value, at times only the two extremes.
  template <class T>
  void fill(Guarded<T>& values, int lo, int hi) {
    const bool extremes = in(0, 4) == 0;
    for (int64_t i = 0; i < values.size(); ++i) values[i] = static_cast<T>(extremes ? (coin() ? lo : hi) : in(lo, hi));
  }

 private:
  std::mt19937_64 engine_;
};

inline int stored(uint8_t byte, bool is_signed) { return is_signed ? static_cast<int8_t>(byte) : byte; }

// Half to even in double precision, where every float and every sum with a zero point is exact.
inline int rounded(float value, int32_t zero, int32_t lo, int32_t hi) {
  const double v = static_cast<double>(value), below = std::floor(v), rest = v - below;
  const bool up = rest > 0.5 || (rest == 0.5 && std::fmod(below, 2.0) != 0);
  return static_cast<int>(std::clamp(below + (up ? 1 : 0) + zero, static_cast<double>(lo), static_cast<double>(hi)));
}
inline int requantized(int64_t acc, float multiplier, int32_t zero, int32_t lo, int32_t hi) {
  EXPECT_EQ(acc, static_cast<int32_t>(acc)) << "the test leaves int32";
  const float product = static_cast<float>(static_cast<int32_t>(acc)) * multiplier;
  return rounded(product, zero, lo, hi);
}

}  // namespace miniten::kernels
