#include "kernels/norm.h"

#include "kernels/ftable.h"

namespace miniten::kernels {

void affine_rows(const float* x, int64_t rows, int64_t n, const float* scale, const float* shift, float* y) {
  ftable().affine_rows(x, rows, n, scale, shift, y);
}
void blend_rows(const float* g, const float* x, int64_t rows, int64_t n, const float* a, const float* b, const float* c,
                float* y) {
  ftable().blend_rows(g, x, rows, n, a, b, c, y);
}
void moments_rows(const float* g, const float* x, int64_t rows, int64_t n, const float* centre, float* sum,
                  float* product) {
  ftable().moments_rows(g, x, rows, n, centre, sum, product);
}

void layer_norm_rows(const float* x, int64_t rows, int64_t n, float eps, const float* weight, const float* bias, float* y) {
  ftable().layer_norm_rows(x, rows, n, eps, weight, bias, y);
}
void affine_rows(const double* x, int64_t rows, int64_t n, const double* scale, const double* shift, double* y) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < n; ++j) y[i * n + j] = x[i * n + j] * scale[j] + shift[j];
}
void blend_rows(const double* g, const double* x, int64_t rows, int64_t n, const double* a, const double* b,
                const double* c, double* y) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < n; ++j) y[i * n + j] = g[i * n + j] * a[j] + x[i * n + j] * b[j] + c[j];
}
void moments_rows(const double* g, const double* x, int64_t rows, int64_t n, const double* centre, double* sum,
                  double* product) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      sum[j] += g[i * n + j];
      product[j] += g[i * n + j] * (x[i * n + j] - centre[j]);
    }
  }
}

}  // namespace miniten::kernels
