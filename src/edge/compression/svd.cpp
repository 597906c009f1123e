#include <cmath>
#include <numeric>
#include "miniten/edge/compression.h"

namespace miniten::edge {

namespace {

// A symmetric matrix a (n, n) to tridiagonal form by Householder reflections, whose product's columns become rows of a; then to
// diagonal form by implicit QL steps. Afterwards rows of a are eigenvectors, d the eigenvalues. Golub and Van Loan, Matrix
// Computations, 8.3.
void tridiagonal(std::vector<double>& a, size_t n, std::vector<double>& d, std::vector<double>& e) {
  auto at = [&](size_t i, size_t j) -> double& { return a[i * n + j]; };
  std::vector<std::vector<double>> reflections(n);
  std::vector<double> p(n);
  for (size_t k = 0; k + 2 < n; ++k) {
    std::vector<double> v(n, 0.0);
    double norm = 0;
    for (size_t i = k + 1; i < n; ++i) norm += at(i, k) * at(i, k);
    norm = std::sqrt(norm);
    if (norm == 0) continue;
    for (size_t i = k + 1; i < n; ++i) v[i] = at(i, k);
    v[k + 1] += v[k + 1] < 0 ? -norm : norm;
    double square = 0;
    for (size_t i = k + 1; i < n; ++i) square += v[i] * v[i];
    if (square == 0) continue;
    double scale = std::sqrt(2 / square), mix = 0;
    for (size_t i = k + 1; i < n; ++i) v[i] *= scale;        // I - v v^T
    for (size_t i = k; i < n; ++i) {
      p[i] = 0;
      for (size_t j = k + 1; j < n; ++j) p[i] += at(i, j) * v[j];
    }
    for (size_t i = k + 1; i < n; ++i) mix += p[i] * v[i];
    for (size_t i = k; i < n; ++i) p[i] -= mix / 2 * v[i];
    for (size_t i = k; i < n; ++i)
      for (size_t j = k; j < n; ++j) at(i, j) -= v[i] * p[j] + p[i] * v[j];
    reflections[k] = std::move(v);
  }
  d.resize(n);
  e.assign(n, 0.0);
  for (size_t i = 0; i < n; ++i) d[i] = at(i, i);
  for (size_t i = 0; i + 1 < n; ++i) e[i] = at(i + 1, i);
  std::fill(a.begin(), a.end(), 0.0);
  for (size_t i = 0; i < n; ++i) at(i, i) = 1;
  for (size_t k = n; k-- > 0;) {
    const auto& v = reflections[k];
    if (v.empty()) continue;
    for (size_t i = 0; i < n; ++i) {
      double s = 0;
      for (size_t j = k + 1; j < n; ++j) s += at(i, j) * v[j];
      for (size_t j = k + 1; j < n; ++j) at(i, j) -= s * v[j];
    }
  }
}
void diagonal(std::vector<double>& rows, size_t n, std::vector<double>& d, std::vector<double>& e) {
  for (size_t l = 0; l < n; ++l)
    for (int round = 0; round < 100; ++round) {
      size_t m = l;
      while (m + 1 < n && std::abs(e[m]) > 1e-16 * (std::abs(d[m]) + std::abs(d[m + 1]))) ++m;
      if (m == l) break;
      double g = (d[l + 1] - d[l]) / (2 * e[l]), r = std::hypot(g, 1.0), s = 1, c = 1, p = 0;
      g = d[m] - d[l] + e[l] / (g + std::copysign(r, g));
      bool early = false;
      for (size_t i = m; i-- > l;) {
        double f = s * e[i], b = c * e[i];
        r = std::hypot(f, g);
        e[i + 1] = r;
        if (r == 0) { d[i + 1] -= p; e[m] = 0; early = true; break; }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        r = (d[i] - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
        double *x = &rows[i * n], *y = &rows[(i + 1) * n];
        for (size_t k = 0; k < n; ++k) {
          double t = y[k];
          y[k] = s * x[k] + c * t;
          x[k] = c * x[k] - s * t;
        }
      }
      if (early) continue;
      d[l] -= p;
      e[l] = g;
      e[m] = 0;
    }
}

}  // namespace

Svd svd(const Tensor& given) {
  if (given.rank() != 2 || given.dtype() != DType::f32) throw Error(ErrorKind::value, "svd", "a float32 matrix", given.spec().text());
  NoGrad no_grad;
  size_t m = size_t(given.dim(0)), n = size_t(given.dim(1)), k = std::min(m, n);
  auto w = given.to_vector<float>();
  for (float x : w) if (!std::isfinite(x)) throw Error(ErrorKind::value, "svd", "finite values", std::isnan(x) ? "NaN" : "infinity");
  bool wide = m < n;                                         // the smaller side's products
  auto at = [&](size_t i, size_t j) { return double(wide ? w[i * n + j] : w[j * n + i]); };      // (k, long)
  size_t length = std::max(m, n);
  std::vector<double> a(k * k), rows(k * length), d, e;
  for (size_t i = 0; i < k; ++i) for (size_t j = 0; j < length; ++j) rows[i * length + j] = at(i, j);
  for (size_t i = 0; i < k; ++i)
    for (size_t j = 0; j <= i; ++j) {
      double s = 0;
      for (size_t t = 0; t < length; ++t) s += rows[i * length + t] * rows[j * length + t];
      a[i * k + j] = a[j * k + i] = s;
    }
  tridiagonal(a, k, d, e);
  diagonal(a, k, d, e);
  std::vector<size_t> order(k);
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t x, size_t y) { return d[x] > d[y]; });
  std::vector<float> s(k), near(k * k), far(length * k);     // near (k, k) and far (long, k), a column for each value
  for (size_t c = 0; c < k; ++c) {
    const double* q = &a[order[c] * k];
    std::vector<double> other(length, 0.0);
    for (size_t i = 0; i < k; ++i) for (size_t t = 0; t < length; ++t) other[t] += q[i] * rows[i * length + t];
    double norm = 0;
    for (double x : other) norm += x * x;
    norm = std::sqrt(norm);
    s[c] = float(norm);
    for (size_t i = 0; i < k; ++i) near[i * k + c] = float(q[i]);
    for (size_t t = 0; t < length; ++t) far[t * k + c] = norm > 0 ? float(other[t] / norm) : 0.0f;
  }
  Tensor a_near = Tensor::of<float>({int64_t(k), int64_t(k)}, near), a_far = Tensor::of<float>({int64_t(length), int64_t(k)}, far);
  return {wide ? a_near : a_far, Tensor::of<float>({int64_t(k)}, s), wide ? a_far : a_near};
}

}  // namespace miniten::edge
