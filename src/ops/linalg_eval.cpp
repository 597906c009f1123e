#include "ops/linalg_eval.h"
#include <algorithm>
#include <cmath>
#include <utility>

namespace miniten::linalg {

int lu(double* a, int64_t* order, int64_t n) {
  int sign = 1;
  bool singular = false;
  for (int64_t i = 0; i < n; ++i) order[i] = i;
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < n; ++i) if (std::abs(a[i * n + k]) > std::abs(a[pivot * n + k])) pivot = i;
    if (pivot != k) {
      for (int64_t j = 0; j < n; ++j) std::swap(a[pivot * n + j], a[k * n + j]);
      std::swap(order[pivot], order[k]);
      sign = -sign;
    }
    if (a[k * n + k] == 0) { singular = true; continue; }
    for (int64_t i = k + 1; i < n; ++i) {
      double f = a[i * n + k] /= a[k * n + k];
      if (f != 0) for (int64_t j = k + 1; j < n; ++j) a[i * n + j] -= f * a[k * n + j];
    }
  }
  return singular ? 0 : sign;
}

void lu_solve(const double* lu, const int64_t* order, int64_t n, const double* b, int64_t columns, double* x) {
  for (int64_t i = 0; i < n; ++i) {
    double* to = x + i * columns;
    for (int64_t c = 0; c < columns; ++c) to[c] = b[order[i] * columns + c];
    for (int64_t k = 0; k < i; ++k)
      if (double f = lu[i * n + k]; f != 0) for (int64_t c = 0; c < columns; ++c) to[c] -= f * x[k * columns + c];
  }
  for (int64_t i = n; i-- > 0;) {
    double* to = x + i * columns;
    for (int64_t k = i + 1; k < n; ++k)
      if (double f = lu[i * n + k]; f != 0) for (int64_t c = 0; c < columns; ++c) to[c] -= f * x[k * columns + c];
    for (int64_t c = 0; c < columns; ++c) to[c] /= lu[i * n + i];
  }
}

bool cholesky(double* a, int64_t n) {
  for (int64_t j = 0; j < n; ++j) {
    for (int64_t i = j; i < n; ++i) {
      double s = a[i * n + j];
      for (int64_t k = 0; k < j; ++k) s -= a[i * n + k] * a[j * n + k];
      if (i == j && !(s > 0)) return false;
      a[i * n + j] = i == j ? std::sqrt(s) : s / a[j * n + j];
    }
    for (int64_t i = 0; i < j; ++i) a[i * n + j] = 0;
  }
  return true;
}

void qr(double* a, int64_t m, int64_t n, double* q, double* scratch) {
  int64_t k = std::min(m, n);
  for (int64_t i = 0; i < m * k; ++i) q[i] = 0;
  for (int64_t i = 0; i < k; ++i) q[i * k + i] = 1;
  // Reflections first to a, each kept below a's diagonal with its first element in scratch and its scale recomputed; then to q, last first.
  auto reflect = [&](double* x, int64_t width, int64_t from, int64_t row, int64_t column) {
    double head = scratch[row], norm = head * head;
    for (int64_t i = row + 1; i < m; ++i) norm += a[i * n + column] * a[i * n + column];
    if (norm == 0) return;
    for (int64_t j = from; j < width; ++j) {
      double dot = head * x[row * width + j];
      for (int64_t i = row + 1; i < m; ++i) dot += a[i * n + column] * x[i * width + j];
      dot *= 2 / norm;
      x[row * width + j] -= dot * head;
      for (int64_t i = row + 1; i < m; ++i) x[i * width + j] -= dot * a[i * n + column];
    }
  };
  for (int64_t c = 0; c < k; ++c) {
    double norm = 0;
    for (int64_t i = c; i < m; ++i) norm = std::hypot(norm, a[i * n + c]);
    bool below = false;
    for (int64_t i = c + 1; i < m; ++i) below |= a[i * n + c] != 0;
    scratch[c] = 0;
    if (!below) continue;
    double diagonal = a[c * n + c] > 0 ? -norm : norm;
    scratch[c] = a[c * n + c] - diagonal;
    reflect(a, n, c + 1, c, c);
    a[c * n + c] = diagonal;
  }
  for (int64_t c = k; c-- > 0;) if (scratch[c] != 0) reflect(q, k, 0, c, c);
  for (int64_t i = 0; i < m; ++i) for (int64_t j = 0; j < std::min(i, n); ++j) a[i * n + j] = 0;
}

void svd(double* a, int64_t m, int64_t n, double* v, double* s) {
  for (int64_t i = 0; i < n * n; ++i) v[i] = 0;
  for (int64_t i = 0; i < n; ++i) v[i * n + i] = 1;
  for (int sweep = 0; sweep < 60; ++sweep) {
    bool turned = false;
    for (int64_t p = 0; p + 1 < n; ++p)
      for (int64_t q = p + 1; q < n; ++q) {
        double alpha = 0, beta = 0, gamma = 0;
        for (int64_t i = 0; i < m; ++i) {
          double x = a[i * n + p], y = a[i * n + q];
          alpha += x * x;
          beta += y * y;
          gamma += x * y;
        }
        if (gamma == 0 || std::abs(gamma) <= 1e-15 * std::sqrt(alpha * beta)) continue;
        turned = true;
        double zeta = (beta - alpha) / (2 * gamma);
        double t = (zeta >= 0 ? 1.0 : -1.0) / (std::abs(zeta) + std::hypot(1.0, zeta));
        double c = 1 / std::hypot(1.0, t), sine = c * t;
        auto turn = [&](double* x, int64_t rows) {
          for (int64_t i = 0; i < rows; ++i) {
            double left = x[i * n + p], right = x[i * n + q];
            x[i * n + p] = c * left - sine * right;
            x[i * n + q] = sine * left + c * right;
          }
        };
        turn(a, m);
        turn(v, n);
      }
    if (!turned) break;
  }
  for (int64_t j = 0; j < n; ++j) {
    s[j] = 0;
    for (int64_t i = 0; i < m; ++i) s[j] = std::hypot(s[j], a[i * n + j]);
  }
  for (int64_t j = 0; j < n; ++j) {                            // descending
    int64_t best = std::max_element(s + j, s + n) - s;
    if (best == j) continue;
    std::swap(s[j], s[best]);
    for (int64_t i = 0; i < m; ++i) std::swap(a[i * n + j], a[i * n + best]);
    for (int64_t i = 0; i < n; ++i) std::swap(v[i * n + j], v[i * n + best]);
  }
}

void complete_basis(double* u, int64_t m, int64_t known, int64_t count, double* scratch) {
  for (int64_t j = known; j < count; ++j) {
    double best = -1;
    for (int64_t e = 0; e < m && best < 0.5; ++e) {            // the unit vector that is least in the span so far
      for (int64_t i = 0; i < m; ++i) scratch[i] = i == e;
      for (int twice = 0; twice < 2; ++twice)
        for (int64_t k = 0; k < j; ++k) {
          double dot = 0;
          for (int64_t i = 0; i < m; ++i) dot += u[i * count + k] * scratch[i];
          for (int64_t i = 0; i < m; ++i) scratch[i] -= dot * u[i * count + k];
        }
      double norm = 0;
      for (int64_t i = 0; i < m; ++i) norm = std::hypot(norm, scratch[i]);
      if (norm <= best) continue;
      best = norm;
      for (int64_t i = 0; i < m; ++i) u[i * count + j] = scratch[i] / norm;
    }
  }
}

void eigh(double* a, int64_t n, double* vectors, double* values) {
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j) {
      if (j > i) a[i * n + j] = a[j * n + i];
      vectors[i * n + j] = i == j;
    }
  for (int sweep = 0; sweep < 60; ++sweep) {
    double off = 0, all = 0;
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j) (i == j ? all : off) += a[i * n + j] * a[i * n + j];
    if (off <= 1e-32 * (all + off)) break;
    for (int64_t p = 0; p + 1 < n; ++p)
      for (int64_t q = p + 1; q < n; ++q) {
        double gamma = a[p * n + q];
        if (gamma == 0) continue;
        double zeta = (a[q * n + q] - a[p * n + p]) / (2 * gamma);
        double t = (zeta >= 0 ? 1.0 : -1.0) / (std::abs(zeta) + std::hypot(1.0, zeta));
        double c = 1 / std::hypot(1.0, t), s = c * t;
        for (int64_t i = 0; i < n; ++i) {
          double left = a[i * n + p], right = a[i * n + q];
          a[i * n + p] = c * left - s * right;
          a[i * n + q] = s * left + c * right;
        }
        for (int64_t i = 0; i < n; ++i) {
          double left = a[p * n + i], right = a[q * n + i];
          a[p * n + i] = c * left - s * right;
          a[q * n + i] = s * left + c * right;
        }
        for (int64_t i = 0; i < n; ++i) {
          double left = vectors[i * n + p], right = vectors[i * n + q];
          vectors[i * n + p] = c * left - s * right;
          vectors[i * n + q] = s * left + c * right;
        }
      }
  }
  for (int64_t i = 0; i < n; ++i) values[i] = a[i * n + i];
  for (int64_t j = 0; j < n; ++j) {
    int64_t best = std::min_element(values + j, values + n) - values;
    if (best == j) continue;
    std::swap(values[j], values[best]);
    for (int64_t i = 0; i < n; ++i) std::swap(vectors[i * n + j], vectors[i * n + best]);
  }
}

}  // namespace miniten::linalg
