#pragma once
#include "core/c_loops.h"

namespace miniten::c {

// Integer arithmetic of quantised ops in integers alone: the bytes are those of float32's operations, with any FPU or none,
// whatever the compiler contracts.

// requantize(acc, multiplier, zero, lo, hi) = clamp(round_half_even(float(acc) * multiplier) + zero, lo, hi); multipliers
// are stored as the bits of float32.
void define_round24(CWriter&);
void define_requantize(CWriter&);
void define_requantize_short(CWriter&);                                // of an int32_t, to 16 bits or fewer
void define_requantize_wide(CWriter&);                                 // the same of an int64_t below 2^53, to 16 bits or fewer
// LiteRT's instead: clamp(acc * multiplier * 2^(shift - 31) + zero, lo, hi) by the pair at `multiplier`: fixed_point, rounded twice, with
// requantize_fixed; or requantize_once.
void define_fixed_point(CWriter&);
void define_requantize_fixed(CWriter&);
void define_requantize_once(CWriter&);
std::string store_fixed_point(CWriter&, const Tensor& multiplier, const Tensor& shift, int64_t n);     // n pairs and one of zeros
Tensor multiplier_bits(const std::vector<float>&);                     // uint32 (n,)
std::string multiplier_literal(float);
// round_even(v, zero, lo, hi) = clamp(round_half_even(v) + zero, lo, hi) of a float; NaN gives zero. round_away: halves away from 0.
void define_round(CWriter&, bool away = false);
std::string bits_literal(float);                                       // "0x3f800000u"

// Instructions that some compilers tell of, each behind its macro and with plain C beside it.
void define_dsp(CWriter&);                                             // DSP: word(p), the four bytes at p
void define_bytes(CWriter&);                                           // of DSP: even_bytes, odd_bytes of a word, widened to halves
void define_halves(CWriter&);                                          // of DSP: add_bb, add_tt: products of lower and of upper halves to sums of 64 bits
void define_vectors(CWriter&);                                         // MVE; int8 arrays stored from here on begin at words
void define_requantize_four(CWriter&);                                 // of MVE, with a struct scaling: of a vector of sums
void define_requantize_four_fixed(CWriter&);                           // with a struct fixed_scaling and multipliers and shifts
std::string depthwise_by_vectors(CWriter&, bool fixed);                 // of MVE: the channels of one output; define_depthwise tells the names

}  // namespace miniten::c
