#pragma once
#include "ops/c/integers.h"
#include "ops/c/windows.h"

namespace miniten::c {

// Products of integers with constant weights.
//
// int8 and uint8 sum in 32 bits, with int8 weights or, where these take nine bits without their zero point, int16; int16 with
// int8 or int16 weights in 64, or in 32 where no sum can take more.
struct Kinds {
  DType x, w, y;
  WeightForm form = {};
  enum Scaling : uint8_t { by_float, by_fixed_point, by_fixed_point_once } scaling = by_float;
  bool fits = false;                                                       // sums of int16 in 32 bits
  bool words() const { return x == DType::i16; }
  bool wide() const { return words() && !fits; }
  bool plain() const { return !words() && w == DType::i16; }                // no instructions of a chip's own
  bool vectors() const { return x == DType::i8 && w == DType::i8 && !form.packed(); }        // rows that MVE multiplies: pairs begin at words
  bool crossed() const { return words() && w == DType::i8 && !form.packed(); }   // weights 0 2 1 3 of four, as bytes are widened in halves
  std::string suffix() const;                                              // of functions' names
  std::string in(std::string_view source) const;                           // types and names put in: @S suffix, @T x, @Q w, @P w packed, @Y y, @A sums,
                                                                           // @F the record of scaling, @R requantises by @M(array,output)
};

void define_requantize_of(CWriter&, const Kinds&);
void define_scaling(CWriter&, const Kinds&);                               // the record of bias, multipliers and bounds
// Of DSP: bytes 0 and 2 of the word at v as v0's halves, 1 and 3 as v1's.
std::string split(const Kinds&, std::string_view v);

// Steps: f is the record's address, weight the stored weights in the order that the function tells.
void write_dense(CWriter&, const Kinds&, const std::string& f, const COperand& x, const std::string& weight, const COperand& y, int64_t rows, int64_t k, int64_t n);
void write_conv(CWriter&, const Kinds&, const std::string& f, const COperand& x, const std::string& weight, const COperand& y, const std::string& shape);
void write_depthwise(CWriter&, const Kinds&, const std::string& f, const COperand& x, const std::string& weight, const COperand& y, const std::string& shape);

}  // namespace miniten::c
