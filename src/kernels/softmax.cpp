#include "kernels/softmax.h"

#include <cmath>

#include "kernels/ftable.h"

namespace miniten::kernels {

void softmax(const float* x, float* y, int64_t rows, int64_t n) { ftable().softmax(x, y, rows, n); }
void softmax_parts(const float* x, float* y, float* shares, int64_t rows, int64_t n) { ftable().softmax_parts(x, y, shares, rows, n); }
void scale_rows(float* y, const float* by, int64_t rows, int64_t n) { ftable().scale_rows(y, by, rows, n); }
void log_softmax(const float* x, float* y, int64_t rows, int64_t n) { ftable().log_softmax(x, y, rows, n); }

void softmax(const double* x, double* y, int64_t rows, int64_t n) {
  for (int64_t r = 0; r < rows; ++r, x += n, y += n) {
    const double top = max(x, n);
    double total = 0;
    for (int64_t i = 0; i < n; ++i) total += y[i] = std::exp(x[i] - top);
    for (int64_t i = 0; i < n; ++i) y[i] /= total;
  }
}

void log_softmax(const double* x, double* y, int64_t rows, int64_t n) {
  for (int64_t r = 0; r < rows; ++r, x += n, y += n) {
    const double top = max(x, n);
    double total = 0;
    for (int64_t i = 0; i < n; ++i) total += std::exp(x[i] - top);
    const double rest = std::log(total);
    for (int64_t i = 0; i < n; ++i) y[i] = x[i] - top - rest;
  }
}

}  // namespace miniten::kernels
