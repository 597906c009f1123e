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

// Instructions that some compilers tell of, each behind its macro and with plain C beside it.
void define_dsp(CWriter&);                                             // DSP: word(p), the four bytes at p
void define_bytes(CWriter&);                                           // of DSP: even_bytes, odd_bytes of a word, widened to halves
void define_vectors(CWriter&);                                         // MVE; int8 arrays stored from here on begin at words
void define_requantize_four(CWriter&);                                 // of MVE, with a struct scaling: of a vector of sums
void define_requantize_pairs(CWriter&);                                // of two outputs of two rows
extern const char depthwise_by_vectors[];                              // of MVE: the channels of one output; define_depthwise tells the names

}  // namespace miniten::c
