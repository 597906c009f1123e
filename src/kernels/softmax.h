#pragma once
#include <cstdint>

namespace miniten::kernels {

// Rows of n values, one after the other; x may equal y. A row's bits depend on its own values alone. The maximum is subtracted first. A row with a NaN, with +infinity or
// of -infinity only gives NaN, as torch does.
void softmax(const float* x, float* y, int64_t rows, int64_t n);
// The same in two factors: exp(x - maximum) in y, and for each row what it is to be multiplied by.
void softmax_parts(const float* x, float* y, float* shares, int64_t rows, int64_t n);
// y[r*n + i] *= by[r]
void scale_rows(float* y, const float* by, int64_t rows, int64_t n);
void log_softmax(const float* x, float* y, int64_t rows, int64_t n);
void softmax(const double* x, double* y, int64_t rows, int64_t n);
void log_softmax(const double* x, double* y, int64_t rows, int64_t n);

}  // namespace miniten::kernels
