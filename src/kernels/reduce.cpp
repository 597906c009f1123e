#include "kernels/reduce.h"

#include "kernels/ftable.h"

namespace miniten::kernels {
namespace {

// Sum of term(i) over [begin, end), halved down to short runs.
template <class F>
double pairwise(int64_t begin, int64_t end, F term) {
  if (end - begin <= 64) {
    double total = 0;
    for (int64_t i = begin; i < end; ++i) total += term(i);
    return total;
  }
  const int64_t middle = begin + (end - begin) / 2;
  return pairwise(begin, middle, term) + pairwise(middle, end, term);
}

double larger(double a, double b) { return a != a || a > b ? a : b; }
double smaller(double a, double b) { return a != a || a < b ? a : b; }

}  // namespace

float sum(const float* x, int64_t n) { return ftable().sum(x, n); }
float sum_squares(const float* x, int64_t n) { return ftable().sum_squares(x, n); }
float max(const float* x, int64_t n) { return ftable().max(x, n); }
float min(const float* x, int64_t n) { return ftable().min(x, n); }
double sum_f64(const float* x, int64_t n) { return ftable().sum_f64(x, n); }
void dot_rows(const float* a, int64_t a_row, int64_t rows, int64_t n, const float* x, float* y) { ftable().dot_rows(a, a_row, rows, n, x, y); }
void add_rows(const float* x, int64_t rows, int64_t row_stride, int64_t n, float* y) {
  ftable().add_rows(x, rows, row_stride, n, y);
}
void max_rows(const float* x, int64_t rows, int64_t row_stride, int64_t n, float* y) {
  ftable().max_rows(x, rows, row_stride, n, y);
}
void min_rows(const float* x, int64_t rows, int64_t row_stride, int64_t n, float* y) {
  ftable().min_rows(x, rows, row_stride, n, y);
}
void mean_var_rows(const float* x, int64_t rows, int64_t row_stride, int64_t n, float* mean, float* var) {
  ftable().mean_var_rows(x, rows, row_stride, n, mean, var);
}

double sum(const double* x, int64_t n) {
  return pairwise(0, n, [&](int64_t i) { return x[i]; });
}
double sum_squares(const double* x, int64_t n) {
  return pairwise(0, n, [&](int64_t i) { return x[i] * x[i]; });
}
double max(const double* x, int64_t n) {
  double best = -__builtin_inf();
  for (int64_t i = 0; i < n; ++i) best = larger(best, x[i]);
  return best;
}
double min(const double* x, int64_t n) {
  double best = __builtin_inf();
  for (int64_t i = 0; i < n; ++i) best = smaller(best, x[i]);
  return best;
}
void add_rows(const double* x, int64_t rows, int64_t row_stride, int64_t n, double* y) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < n; ++j) y[j] += x[i * row_stride + j];
}
void max_rows(const double* x, int64_t rows, int64_t row_stride, int64_t n, double* y) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < n; ++j) y[j] = larger(y[j], x[i * row_stride + j]);
}
void min_rows(const double* x, int64_t rows, int64_t row_stride, int64_t n, double* y) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < n; ++j) y[j] = smaller(y[j], x[i * row_stride + j]);
}
void mean_var_rows(const double* x, int64_t rows, int64_t row_stride, int64_t n, double* mean, double* var) {
  const double count = static_cast<double>(rows);
  for (int64_t j = 0; j < n; ++j) {
    mean[j] = pairwise(0, rows, [&](int64_t i) { return x[i * row_stride + j]; }) / count;
    var[j] = pairwise(0, rows, [&](int64_t i) {
      const double d = x[i * row_stride + j] - mean[j];
      return d * d;
    }) / count;
  }
}

}  // namespace miniten::kernels
