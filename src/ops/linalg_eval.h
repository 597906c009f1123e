#pragma once
#include <cstdint>

// One row-major matrix of doubles at a time; nothing is allocated.
namespace miniten::linalg {

// LU with partial pivoting, in place; order takes n row numbers. Returns the permutation's sign, 0 where a pivot is 0.
int lu(double* a, int64_t* order, int64_t n);
void lu_solve(const double* lu, const int64_t* order, int64_t n, const double* b, int64_t columns, double* x);   // b, x: n x columns
bool cholesky(double* a, int64_t n);                           // lower, in place; zeros above; false: not positive definite
// a (m x n) becomes r in its upper triangle; q takes m x min(m, n). scratch: m.
void qr(double* a, int64_t m, int64_t n, double* q, double* scratch);
// a (m x n, m >= n) becomes u * s column by column, v takes n x n; s descending.
void svd(double* a, int64_t m, int64_t n, double* v, double* s);
// Makes columns [known, count) of u (m x count) orthonormal to those before. scratch: m.
void complete_basis(double* u, int64_t m, int64_t known, int64_t count, double* scratch);
void eigh(double* a, int64_t n, double* vectors, double* values);   // lower triangle read; ascending

}  // namespace miniten::linalg
