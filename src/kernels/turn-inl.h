#pragma once
// Pixels made once for many columns what products want, for whose units there is no time beside them: unsigned bytes, or pairs of
// 16-bit numbers.
#include "kernels/qsimd-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
constexpr bool kTurns = true;
#else
constexpr bool kTurns = false;
#endif
#if MINITEN_LANES == 8 && !defined(__AVXVNNI__)
#define MINITEN_WIDENS 1
#endif

// n bytes; none beyond is read or written.
MINITEN_INLINE void turn_bytes(const uint8_t* from, int64_t n, W flip, uint8_t* to) {
  for (int64_t k = 0; k < n; k += kWide) store_wide(to + k, load_wide(from + k, n - k, from + n) ^ flip, n - k);
}

#if MINITEN_WIDENS
// Of each four bytes the first and third, then the second and fourth, as 16-bit numbers; up to 64 bytes beyond 2 * n are written.
MINITEN_INLINE void widen_bytes(const uint8_t* from, int64_t n, W flip, uint8_t* to) {
  for (int64_t k = 0; k < n; k += kWide) {
    const __m256i x = (__m256i)(load_wide(from + k, n - k, from + n) ^ flip);
    const __m256i even = _mm256_and_si256(x, _mm256_set1_epi16(255)), odd = _mm256_srli_epi16(x, 8);
    const __m256i low = _mm256_unpacklo_epi32(even, odd), high = _mm256_unpackhi_epi32(even, odd);
    store_as<__m256i>(to + 2 * k, _mm256_permute2x128_si256(low, high, 0x20));
    store_as<__m256i>(to + 2 * k + kWide, _mm256_permute2x128_si256(low, high, 0x31));
  }
}
#endif

}  // namespace
}  // namespace miniten::kernels::MINITEN_TARGET
