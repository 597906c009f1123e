#pragma once
#include <cstdint>

namespace miniten::kernels {

// Reductions of n contiguous values in a fixed order, blockwise and then pairwise, so that the rounding error grows
// with log(n). sum of nothing is 0, max of nothing -infinity, min of nothing +infinity. A NaN gives NaN.
float sum(const float* x, int64_t n);
float sum_squares(const float* x, int64_t n);
float max(const float* x, int64_t n);
float min(const float* x, int64_t n);
double sum_f64(const float* x, int64_t n);  // added in double precision
double sum(const double* x, int64_t n);
double sum_squares(const double* x, int64_t n);
double max(const double* x, int64_t n);
double min(const double* x, int64_t n);

// y[i] = sum over j of a[i*a_row + j] * x[j], in an order that follows n alone.
void dot_rows(const float* a, int64_t a_row, int64_t rows, int64_t n, const float* x, float* y);

// Column forms over `rows` rows of n contiguous values, row_stride elements apart; row by row from the first, so
// columns may be split among calls without changing a bit. y takes part: y[j] += x[i, j], y[j] = max(y[j], x[i, j]).
void add_rows(const float* x, int64_t rows, int64_t row_stride, int64_t n, float* y);
void max_rows(const float* x, int64_t rows, int64_t row_stride, int64_t n, float* y);
void min_rows(const float* x, int64_t rows, int64_t row_stride, int64_t n, float* y);
void add_rows(const double* x, int64_t rows, int64_t row_stride, int64_t n, double* y);
void max_rows(const double* x, int64_t rows, int64_t row_stride, int64_t n, double* y);
void min_rows(const double* x, int64_t rows, int64_t row_stride, int64_t n, double* y);

// Mean and biased variance of each column, in two passes; with rows = 0 both are NaN.
void mean_var_rows(const float* x, int64_t rows, int64_t row_stride, int64_t n, float* mean, float* var);
void mean_var_rows(const double* x, int64_t rows, int64_t row_stride, int64_t n, double* mean, double* var);

}  // namespace miniten::kernels
