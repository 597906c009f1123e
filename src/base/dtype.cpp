#include "miniten/base/dtype.h"
#include <algorithm>

namespace miniten {

static constexpr std::string_view names[dtype_count] = {"float32", "float64", "float16", "bfloat16", "int8",
                                                        "int16",   "int32",   "int64",   "uint8",    "uint16",
                                                        "uint32",  "uint64",  "bool",    "int4",     "uint4"};

std::string_view name_of(DType t) { return names[int(t)]; }

bool parse_dtype(std::string_view name, DType& out) {
  for (int i = 0; i < dtype_count; ++i)
    if (names[i] == name) { out = DType(i); return true; }
  return false;
}

DType promote(DType a, DType b) {
  if (a == b) return a;
  if (a == DType::boolean) return b;
  if (b == DType::boolean) return a;
  if (is_float(a) || is_float(b)) {
    if (!is_float(a)) return b;
    if (!is_float(b)) return a;
    if (a == DType::f64 || b == DType::f64) return DType::f64;
    return DType::f32;                                    // float16 with bfloat16 too
  }
  if (is_signed(a) == is_signed(b)) return bits_of(a) > bits_of(b) ? a : b;
  DType with_sign = is_signed(a) ? a : b, without = is_signed(a) ? b : a;
  if (bits_of(with_sign) > bits_of(without)) return with_sign;
  switch (bits_of(without)) {
    case 4: return DType::i8;
    case 8: return DType::i16;
    case 16: return DType::i32;
    case 32: return DType::i64;
    default: return DType::f32;                           // uint64 with a signed type, as torch
  }
}

}  // namespace miniten
