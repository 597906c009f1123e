#pragma once
// Where a product's packed weights begin, and how a tile of 32-bit sums leaves: requantised to bytes, or as floats.
#include "kernels/qgemm.h"
#include "kernels/qsimd-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

MINITEN_INLINE const int32_t* qgemm_sums(const QGemmShape& s, const std::byte* packed) {
  return reinterpret_cast<const int32_t*>(packed) + s.first;
}
MINITEN_INLINE const int8_t* qgemm_panels(const QGemmShape& s, const std::byte* packed) {
  const int64_t all = s.packed_n ? s.packed_n : s.n, groups = (s.segment + 3) / 4;
  return reinterpret_cast<const int8_t*>(packed) + (all + 15) / 16 * 64 + s.outer * s.inner * groups * 4 * s.first;
}

struct ToBytes {
  Rounding round;
  const float* multiplier;
  uint8_t* c;
  int64_t c_row, c_col;
  template <int MR, int NV>
  MINITEN_INLINE void operator()(const I (&acc)[MR][NV], int64_t row, int64_t col, int64_t j0, int64_t left) const {
    MINITEN_UNROLL(4)
    for (int j = 0; j < NV; ++j) {
      const int64_t n = left - j * kLanes;
      if (n <= 0) return;
      const V scale = load_n(multiplier + j0 + j * kLanes, n);
      uint8_t* to = c + row * c_row + col * c_col + j0 + j * kLanes;
      V f[MR];
      MINITEN_UNROLL(8)
      for (int r = 0; r < MR; ++r) f[r] = to_float(acc[r][j]) * scale;
      if (kLanes <= n) {
        constexpr int fours = MR / 4 * 4;
        MINITEN_UNROLL(2)
        for (int r = 0; r < fours; r += 4)
          store_quarters(to + r * c_col, c_col, round.four({f[r], f[r + 1], f[r + 2], f[r + 3]}));
        MINITEN_UNROLL(4)
        for (int r = fours; r < MR; ++r) store_bytes(to + r * c_col, round.one(f[r]), kLanes);
      } else {
        MINITEN_UNROLL(8)
        for (int r = 0; r < MR; ++r) store_bytes(to + r * c_col, round.one(f[r]), n);
      }
    }
  }
};
struct ToFloats {
  const QEpilogueF32& e;
  float* c;
  int64_t c_row, c_col;
  template <int MR, int NV>
  MINITEN_INLINE void operator()(const I (&acc)[MR][NV], int64_t row, int64_t col, int64_t j0, int64_t left) const {
    const V lo = set(e.lo), hi = set(e.hi);
    MINITEN_UNROLL(4)
    for (int j = 0; j < NV; ++j) {
      const int64_t n = left - j * kLanes;
      if (n <= 0) return;
      const V scale = load_n(e.multiplier + j0 + j * kLanes, n), bias = e.bias ? load_n(e.bias + j0 + j * kLanes, n) : V{};
      MINITEN_UNROLL(8)
      for (int r = 0; r < MR; ++r) {
        V v = to_float(acc[r][j]) * scale;
        v = v + bias;
        store_n(c + row * c_row + (col + r) * c_col + j0 + j * kLanes, clamp(v, lo, hi), n);
      }
    }
  }
};

}  // namespace
}  // namespace miniten::kernels::MINITEN_TARGET
