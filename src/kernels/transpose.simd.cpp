#include "kernels/ftable.h"
#include "kernels/square-inl.h"

namespace miniten::kernels::MINITEN_TARGET {

#if MINITEN_SCALAR
void transpose(const float* x, int64_t x_row, float* y, int64_t y_row, int64_t n, int64_t m) {
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < m; ++j) __builtin_memcpy(y + i * y_row + j, x + j * x_row + i, sizeof(float));
}
#else
namespace {

// Part Q of the three vectors that hold the pixels of planes a, b and c.
template <int Q, int... K>
MINITEN_INLINE V pixels(V a, V b, V c, Lanes<K...>) {
  const V two = __builtin_shufflevector(a, b, ((Q * kLanes + K) % 3 * kLanes % (2 * kLanes) + (Q * kLanes + K) / 3)...);
  return __builtin_shufflevector(two, c, ((Q * kLanes + K) % 3 == 2 ? kLanes + (Q * kLanes + K) / 3 : K)...);
}

void interleave3(const float* x, int64_t x_row, float* y, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes, y += 3 * kLanes) {
    const V a = load(x + i), b = load(x + x_row + i), c = load(x + 2 * x_row + i);
    store(y, pixels<0>(a, b, c, AllLanes{}));
    store(y + kLanes, pixels<1>(a, b, c, AllLanes{}));
    store(y + 2 * kLanes, pixels<2>(a, b, c, AllLanes{}));
  }
  for (; i < n; ++i, y += 3)
    for (int j = 0; j < 3; ++j) __builtin_memcpy(y + j, x + j * x_row + i, sizeof(float));
}

constexpr int64_t kFew = kLanes / 8;  // rows or columns: not worth a square

}  // namespace

void transpose(const float* x, int64_t x_row, float* y, int64_t y_row, int64_t n, int64_t m) {
  if (m == 3 && y_row == 3) return interleave3(x, x_row, y, n);
  for_lanes(n, [&](int64_t i, int64_t width) {
    for_lanes(m, [&](int64_t j, int64_t height) {
      V v[kLanes];
      const float* from = x + j * x_row + i;
      float* to = y + i * y_row + j;
      if (width == kLanes && height == kLanes) {
        MINITEN_UNROLL(16)
        for (int r = 0; r < kLanes; ++r) v[r] = load(from + r * x_row);
        turn(v);
        MINITEN_UNROLL(16)
        for (int r = 0; r < kLanes; ++r) store(to + r * y_row, v[r]);
        return;
      }
      if (height <= kFew || width <= kFew) {
        for (int64_t r = 0; r < height; ++r)
          for (int64_t k = 0; k < width; ++k) __builtin_memcpy(to + k * y_row + r, from + r * x_row + k, sizeof(float));
        return;
      }
      for (int r = 0; r < kLanes; ++r) v[r] = r < height ? load_n(from + r * x_row, width) : V{};
      turn(v);
      for (int r = 0; r < width; ++r) store_n(to + r * y_row, v[r], height);
    });
  });
}
#endif

}  // namespace miniten::kernels::MINITEN_TARGET
