#pragma once
#include <optional>
#include "miniten/ops/ops.h"

// Matrices of float32 and float64, and batches of them in the leading axes; computed in double precision. svd, qr and
// eigh have no gradient: differentiating their results is an error that says so.
namespace miniten::linalg {

Tensor inv(const Tensor& a);                                   // throws for a singular matrix
Tensor solve(const Tensor& a, const Tensor& b);                // x with a @ x = b; b a vector, a matrix or batches
Tensor det(const Tensor& a);
struct SlogDet { Tensor sign, logabsdet; };
SlogDet slogdet(const Tensor& a);                              // 0 and -inf for a singular matrix
Tensor cholesky(const Tensor& a);                              // lower l with l @ l^T = (a + a^T) / 2; throws if not positive definite
struct QR { Tensor q, r; };
QR qr(const Tensor& a);                                        // reduced, by Householder's reflections
struct SVD { Tensor u, s, vh; };
SVD svd(const Tensor& a, bool full_matrices = true);           // s descending; one-sided Jacobi, so small values are accurate
struct Eigh { Tensor values, vectors; };
Eigh eigh(const Tensor& a);                                    // of a symmetric matrix (its lower triangle), values ascending
Tensor pinv(const Tensor& a, double rcond = 1e-15);            // without gradient
Tensor matrix_rank(const Tensor& a, std::optional<double> tolerance = {});   // int64
Tensor matrix_power(const Tensor& a, int64_t n);
enum class MatrixNorm { frobenius, nuclear, one, minus_one, two, minus_two, inf, minus_inf };
Tensor matrix_norm(const Tensor& a, MatrixNorm = MatrixNorm::frobenius, bool keepdim = false);

}  // namespace miniten::linalg
