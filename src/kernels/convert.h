#pragma once
#include <cstdint>

namespace miniten::kernels {

// What base/half.h does to one value, for n of them: the same bits, but that a NaN on its way to float32 may keep or set its quiet bit.
enum class Narrow : uint8_t { half, bfloat16 };
void narrow_floats(Narrow to, const float* x, uint16_t* y, int64_t n);
// y[i]: a[i] in the low half, b[i] in the high one, in bfloat16.
void narrow_pairs(const float* a, const float* b, uint32_t* y, int64_t n);
void widen_floats(Narrow from, const uint16_t* x, float* y, int64_t n);

}  // namespace miniten::kernels
