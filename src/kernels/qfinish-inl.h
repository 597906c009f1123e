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
  static constexpr int kTogether = 4;  // pixels that leave best at once
  typedef uint8_t Output;
  Rounding round;
  const float* multiplier;
  uint8_t* c;
  int64_t c_row, c_col;
  bool plain = false;  // as round.is_plain says
  ToBytes(const Rounding& rounding, const float* by, void* to, int64_t to_row, int64_t to_col)
      : round(rounding), multiplier(by), c(static_cast<uint8_t*>(to)), c_row(to_row), c_col(to_col) {}
  template <int MR, int NV>
  MINITEN_INLINE void operator()(const I (&acc)[MR][NV], int64_t row, int64_t col, int64_t j0, int64_t left) const {
#if MINITEN_LANES == 16
    if constexpr (MR * NV % 4 == 0)
      if (plain && NV * kLanes <= left) return leave_fours(acc, c + row * c_row + col * c_col + j0, multiplier + j0);
#endif
    MINITEN_UNROLL(4)
    for (int j = 0; j < NV; ++j) {
      const int64_t n = left - j * kLanes;
      if (n <= 0) return;
      const V scale = load_n(multiplier + j0 + j * kLanes, n);
      uint8_t* to = c + row * c_row + col * c_col + j0 + j * kLanes;
      V f[MR];
      MINITEN_UNROLL(16)
      for (int r = 0; r < MR; ++r) f[r] = to_float(acc[r][j]) * scale;
      if (kLanes <= n) {
        constexpr int fours = MR / 4 * 4;
        MINITEN_UNROLL(4)
        for (int r = 0; r < fours; r += 4)
          store_quarters(to + r * c_col, c_col, round.four({f[r], f[r + 1], f[r + 2], f[r + 3]}));
        MINITEN_UNROLL(4)
        for (int r = fours; r < MR; ++r) store_bytes(to + r * c_col, round.one(f[r]), kLanes);
      } else {
        MINITEN_UNROLL(16)
        for (int r = 0; r < MR; ++r) store_bytes(to + r * c_col, round.one(f[r]), n);
      }
    }
  }
#if MINITEN_LANES == 16
  // 64 bytes at a time: of four pixels by 16 channels, two by 32 or one by 64.
  template <int MR, int NV>
  MINITEN_INLINE void leave_fours(const I (&acc)[MR][NV], uint8_t* to, const float* scale) const {
    constexpr int kPixels = 4 / NV;
    V by[NV];
    MINITEN_UNROLL(4)
    for (int j = 0; j < NV; ++j) by[j] = load(scale + j * kLanes);
    MINITEN_UNROLL(8)
    for (int r = 0; r < MR; r += kPixels, to += kPixels * c_col) {
      V f[4];
      MINITEN_UNROLL(4)
      for (int i = 0; i < 4; ++i) f[i] = to_float(acc[r + i / NV][i % NV]) * by[i % NV];
      const W bytes = round.plain(f);
      if (kPixels == 1 || c_col == NV * kLanes) {          // what follows is the next pixel
        store_as<W>(to, bytes);
      } else if constexpr (NV == 1) {
        store_quarters(to, c_col, bytes);
      } else {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_castsi512_si256((__m512i)bytes));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + c_col), _mm512_extracti64x4_epi64((__m512i)bytes, 1));
      }
    }
  }
#endif
};
struct ToFloats {
  static constexpr int kTogether = 1;
  typedef float Output;
  const QEpilogueF32& e;
  float* c;
  int64_t c_row, c_col;
  template <int MR, int NV>
  MINITEN_INLINE void operator()(const I (&acc)[MR][NV], int64_t row, int64_t col, int64_t j0, int64_t left) const {
    const bool bounded = -__builtin_inff() < e.lo || e.hi < __builtin_inff();
    MINITEN_UNROLL(4)
    for (int j = 0; j < NV; ++j) {
      const int64_t n = left - j * kLanes;
      if (n <= 0) return;
      const V scale = min_keep(load_n(e.multiplier + j0 + j * kLanes, n) * e.scale, set(__FLT_MAX__)), bias = e.bias ? load_n(e.bias + j0 + j * kLanes, n) : V{};
      V v[MR];
      MINITEN_UNROLL(16)
      for (int r = 0; r < MR; ++r) v[r] = to_float(acc[r][j]) * scale, v[r] = v[r] + bias;
      if (bounded) {
        MINITEN_UNROLL(16)
        for (int r = 0; r < MR; ++r) v[r] = clamp(v[r], set(e.lo), set(e.hi));
      }
      MINITEN_UNROLL(16)
      for (int r = 0; r < MR; ++r) store_n(c + row * c_row + (col + r) * c_col + j0 + j * kLanes, v[r], n);
    }
  }
};

template <int MR, class Finish>
MINITEN_INLINE void finish_some(const Finish& finish, const int32_t* sums, int64_t row, int64_t col, int64_t j0, int64_t left) {
  I acc[MR][1];
  MINITEN_UNROLL(4)
  for (int r = 0; r < MR; ++r) acc[r][0] = load_as<I>(sums + r * 16);
  finish(acc, row, col, j0, left);
}
// Sums of pixels by 16 columns leave from memory, where no speed is lost by it: one end for every height.
template <class Finish>
__attribute__((noinline)) void finish_sums(const Finish& finish, const int32_t* sums, int64_t pixels, int64_t row, int64_t col, int64_t j0, int64_t left) {
  for (int64_t j = 0; j < 16 && j < left; j += kLanes) {
    int64_t r = 0;
    if constexpr (1 < Finish::kTogether)
      for (; r + Finish::kTogether <= pixels; r += Finish::kTogether) finish_some<Finish::kTogether>(finish, sums + r * 16 + j, row, col + r, j0 + j, left - j);
    for (; r < pixels; ++r) finish_some<1>(finish, sums + r * 16 + j, row, col + r, j0 + j, left - j);
  }
}

}  // namespace
}  // namespace miniten::kernels::MINITEN_TARGET
