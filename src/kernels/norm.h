#pragma once
#include <cstdint>

namespace miniten::kernels {

// Passes of normalisation over `rows` rows of n contiguous values: channels-last data, one column a channel. Rows and
// columns may be split among calls without changing a bit, but for moments_rows, whose sums follow the rows of a call.

// y[i, j] = x[i, j]*scale[j] + shift[j]; y may be x.
void affine_rows(const float* x, int64_t rows, int64_t n, const float* scale, const float* shift, float* y);
void affine_rows(const double* x, int64_t rows, int64_t n, const double* scale, const double* shift, double* y);

// y[i, j] = (x[i, j] - mean of row i) / sqrt(its variance + eps) * weight[j] + bias[j]; y may be x.
void layer_norm_rows(const float* x, int64_t rows, int64_t n, float eps, const float* weight, const float* bias, float* y);

// y[i, j] = g[i, j]*a[j] + x[i, j]*b[j] + c[j]; y may be g or x.
void blend_rows(const float* g, const float* x, int64_t rows, int64_t n, const float* a, const float* b, const float* c,
                float* y);
void blend_rows(const double* g, const double* x, int64_t rows, int64_t n, const double* a, const double* b,
                const double* c, double* y);

// sum[j] += g[i, j], product[j] += g[i, j]*(x[i, j] - centre[j]), by blocks of rows.
void moments_rows(const float* g, const float* x, int64_t rows, int64_t n, const float* centre, float* sum,
                  float* product);
void moments_rows(const double* g, const double* x, int64_t rows, int64_t n, const double* centre, double* sum,
                  double* product);

}  // namespace miniten::kernels
