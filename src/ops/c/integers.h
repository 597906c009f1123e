#pragma once
#include "core/c_loops.h"

namespace miniten::c {

// Integer arithmetic of quantised ops in integers alone: the bytes are those of float32's operations, with any FPU or none,
// whatever the compiler contracts.

// requantize(acc, multiplier, zero, lo, hi) = clamp(round_half_even(float(acc) * multiplier) + zero, lo, hi); multipliers
// are stored as the bits of float32.
void define_requantize(CWriter&);
Tensor multiplier_bits(const std::vector<float>&);                     // uint32 (n,)
// round_even(v, zero, lo, hi) = clamp(round_half_even(v) + zero, lo, hi) of a float; NaN gives zero.
void define_round(CWriter&);
std::string bits_literal(float);                                       // "0x3f800000u"

}  // namespace miniten::c
