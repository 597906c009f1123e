#pragma once
#include <cstdint>

namespace miniten::kernels {

// What one value becomes, n at a time. To 16-bit floats: to nearest even, as base/half.h does it, with the same bits. To integers: towards zero, NaN
// gives 0, and what does not fit the number nearest to it; to boolean: is it other than 0? Of a NaN from 16 bits the quiet bit may be set.
enum class Stored : uint8_t { half, bfloat16, i8, u8, i16, u16, i32, i64, f64, boolean };
void from_floats(Stored to, const float* x, void* y, int64_t n);
void to_floats(Stored from, const void* x, float* y, int64_t n);
// y[i]: a[i] in the low half, b[i] in the high one, in bfloat16.
void narrow_pairs(const float* a, const float* b, uint32_t* y, int64_t n);

}  // namespace miniten::kernels
