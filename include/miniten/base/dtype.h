#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace miniten {

// Element types. float16, bfloat16, int4 and uint4 are storage: arithmetic on them runs in a wider type.
// int4 and uint4 hold two elements a byte, the first in the low half.
enum class DType : uint8_t { f32, f64, f16, bf16, i8, i16, i32, i64, u8, u16, u32, u64, boolean, i4, u4 };
inline constexpr int dtype_count = 15;

std::string_view name_of(DType);                   // NumPy's names: "float32", "int8", "bool", ...
bool parse_dtype(std::string_view name, DType&);   // false: no such name

constexpr int bits_of(DType t) {
  constexpr uint8_t bits[dtype_count] = {32, 64, 16, 16, 8, 16, 32, 64, 8, 16, 32, 64, 8, 4, 4};
  return bits[int(t)];
}
constexpr uint64_t bytes_of(DType t, int64_t count) { return (uint64_t(count) * uint64_t(bits_of(t)) + 7) / 8; }
constexpr bool is_float(DType t) { return t <= DType::bf16; }
constexpr bool is_signed(DType t) { return t <= DType::i64 || t == DType::i4; }
constexpr bool is_integer(DType t) { return t > DType::bf16 && t != DType::boolean; }

// The dtype of `a op b` for two tensors with dimensions, by torch's rules; Python numbers are weaker (see core/promotion).
DType promote(DType a, DType b);

template <class T> struct DTypeOf;
template <> struct DTypeOf<float> { static constexpr DType value = DType::f32; };
template <> struct DTypeOf<double> { static constexpr DType value = DType::f64; };
template <> struct DTypeOf<int8_t> { static constexpr DType value = DType::i8; };
template <> struct DTypeOf<int16_t> { static constexpr DType value = DType::i16; };
template <> struct DTypeOf<int32_t> { static constexpr DType value = DType::i32; };
template <> struct DTypeOf<int64_t> { static constexpr DType value = DType::i64; };
template <> struct DTypeOf<uint8_t> { static constexpr DType value = DType::u8; };
template <> struct DTypeOf<uint16_t> { static constexpr DType value = DType::u16; };
template <> struct DTypeOf<uint32_t> { static constexpr DType value = DType::u32; };
template <> struct DTypeOf<uint64_t> { static constexpr DType value = DType::u64; };
template <> struct DTypeOf<bool> { static constexpr DType value = DType::boolean; };

// Calls f(T{}) with the C++ type of a dtype; false for those without one (float16, bfloat16, int4, uint4).
bool visit_dtype(DType t, auto&& f) {
  switch (t) {
    case DType::f32: f(float{}); return true;
    case DType::f64: f(double{}); return true;
    case DType::i8: f(int8_t{}); return true;
    case DType::i16: f(int16_t{}); return true;
    case DType::i32: f(int32_t{}); return true;
    case DType::i64: f(int64_t{}); return true;
    case DType::u8: f(uint8_t{}); return true;
    case DType::u16: f(uint16_t{}); return true;
    case DType::u32: f(uint32_t{}); return true;
    case DType::u64: f(uint64_t{}); return true;
    case DType::boolean: f(bool{}); return true;
    default: return false;
  }
}

}  // namespace miniten
