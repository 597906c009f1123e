#pragma once
#include "core/c_loops.h"

namespace miniten::c {

// Integer arithmetic of quantised ops in integers alone: the bytes are those of float32's operations, with any FPU or none,
// whatever the compiler contracts.

// requantize(acc, multiplier, zero, lo, hi) = clamp(round_half_even(float(acc) * multiplier) + zero, lo, hi); multipliers
// are stored as the bits of float32.
void define_round24(CWriter&);
void define_requantize(CWriter&);
void define_requantize_wide(CWriter&);                                 // the same of an int64_t below 2^53, to 16 bits or fewer
Tensor multiplier_bits(const std::vector<float>&);                     // uint32 (n,)
std::string multiplier_literal(float);
// round_even(v, zero, lo, hi) = clamp(round_half_even(v) + zero, lo, hi) of a float; NaN gives zero.
void define_round(CWriter&);
std::string bits_literal(float);                                       // "0x3f800000u"

}  // namespace miniten::c
