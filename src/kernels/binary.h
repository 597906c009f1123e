#pragma once
#include <cstdint>

namespace miniten::kernels {

// gate: b > 0 ? a : 0 (the gradient of relu). prelu: a > 0 ? a : a b. maximum and minimum give NaN when either operand is NaN. pow of floats errs by
// at most 1 unit in the last place.
enum class Binary : uint8_t { add, sub, mul, div, maximum, minimum, pow, gate, prelu, count_ };

// y[i] = f(a[i*a_step], b[i*b_step]) for i in [0, n); a step is 0 (one value for all) or 1. y may equal a or b
// where that operand's step is 1.
void binary(Binary op, const float* a, int64_t a_step, const float* b, int64_t b_step, float* y, int64_t n);
void binary(Binary op, const double* a, int64_t a_step, const double* b, int64_t b_step, double* y, int64_t n);

// y[i] = condition[i] ? a[i*a_step] : b[i*b_step], bit for bit; steps are 0 or 1; y may equal a or b where its step is 1.
void choose(const bool* condition, const float* a, int64_t a_step, const float* b, int64_t b_step, float* y, int64_t n);

// y[i] += scale * a[i]
void add_scaled(const float* a, float scale, float* y, int64_t n);
void add_scaled(const double* a, double scale, double* y, int64_t n);

}  // namespace miniten::kernels
