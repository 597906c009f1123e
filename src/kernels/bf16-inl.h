#pragma once
#include "kernels/simd-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

// Rounded to bfloat16, to nearest even: what counts is the high half.
MINITEN_INLINE U round_to_bf16(V v) {
  const U bits = (U)v, even = bits + 0x7fffu + (bits >> 16 & 1u);
  return (U)select(v != v, (V)(bits | 0x400000u), (V)even);
}

}  // namespace
}  // namespace miniten::kernels::MINITEN_TARGET
