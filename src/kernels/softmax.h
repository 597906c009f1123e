#pragma once
#include <cstdint>

namespace miniten::kernels {

// One row of n contiguous values; x may equal y. The maximum is subtracted first. A row with a NaN, with +infinity or
// of -infinity only gives NaN, as torch does.
void softmax(const float* x, float* y, int64_t n);
void log_softmax(const float* x, float* y, int64_t n);
void softmax(const double* x, double* y, int64_t n);
void log_softmax(const double* x, double* y, int64_t n);

}  // namespace miniten::kernels
