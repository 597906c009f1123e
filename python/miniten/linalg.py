"""Matrices of float32 and float64, and batches of them in the leading axes. Gradients of any order."""

from miniten._core import (
    linalg_cholesky as cholesky,
    linalg_det as det,
    linalg_eigh as eigh,
    linalg_eigvalsh as eigvalsh,
    linalg_inv as inv,
    linalg_lstsq as lstsq,
    linalg_matrix_norm as matrix_norm,
    linalg_matrix_power as matrix_power,
    linalg_matrix_rank as matrix_rank,
    linalg_norm as norm,
    linalg_pinv as pinv,
    linalg_qr as qr,
    linalg_slogdet as slogdet,
    linalg_solve as solve,
    linalg_solve_triangular as solve_triangular,
    linalg_svd as svd,
    linalg_svdvals as svdvals,
    linalg_vector_norm as vector_norm,
)

__all__ = [
    "cholesky", "det", "eigh", "eigvalsh", "inv", "lstsq", "matrix_norm", "matrix_power", "matrix_rank", "norm", "pinv", "qr", "slogdet", "solve",
    "solve_triangular", "svd", "svdvals", "vector_norm",
]
