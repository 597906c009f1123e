#pragma once
// Signed bytes made unsigned once for many columns: the units of the products have no time for it.
#include "kernels/qsimd-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
constexpr bool kTurns = true;
#else
constexpr bool kTurns = false;
#endif

// n bytes; none beyond is read or written.
MINITEN_INLINE void turn_bytes(const uint8_t* from, int64_t n, W flip, uint8_t* to) {
  for (int64_t k = 0; k < n; k += kWide) store_wide(to + k, load_wide(from + k, n - k, from + n) ^ flip, n - k);
}

}  // namespace
}  // namespace miniten::kernels::MINITEN_TARGET
