#pragma once
#include <optional>
#include "miniten/ops/ops.h"

// Matrices of float32 and float64, and batches of them in the leading axes; computed in double precision. Gradients of any
// order; those of svd and eigh need distinct singular values and eigenvalues, and a loss that does not ask for the signs of
// the vectors; those of qr need full rank, of pinv and lstsq a rank that stays.
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
Eigh eigh(const Tensor& a);                                    // of (a + a^T) / 2, values ascending
Tensor pinv(const Tensor& a, double rcond = 1e-15);            // singular values <= rcond times the greatest count as 0
struct LeastSquares { Tensor solution, residuals, rank, singular_values; };  // residuals: squared norm for each right side; rank: int64
LeastSquares lstsq(const Tensor& a, const Tensor& b, std::optional<double> rcond = {});   // the x of least norm with least |a @ x - b|
Tensor solve_triangular(const Tensor& a, const Tensor& b, bool upper, bool unitriangular = false);   // reads that triangle of a only
Tensor matrix_rank(const Tensor& a, std::optional<double> tolerance = {});   // int64
Tensor matrix_power(const Tensor& a, int64_t n);
enum class MatrixNorm { frobenius, nuclear, one, minus_one, two, minus_two, inf, minus_inf };
Tensor matrix_norm(const Tensor& a, MatrixNorm = MatrixNorm::frobenius, bool keepdim = false);

}  // namespace miniten::linalg
