"""Results with names, as torch gives them."""

from typing import NamedTuple

from miniten._core import Tensor


class Sorted(NamedTuple):
    values: Tensor
    indices: Tensor


class SVD(NamedTuple):
    U: Tensor
    S: Tensor
    Vh: Tensor


class QR(NamedTuple):
    Q: Tensor
    R: Tensor


class Eigh(NamedTuple):
    eigenvalues: Tensor
    eigenvectors: Tensor


class SlogDet(NamedTuple):
    sign: Tensor
    logabsdet: Tensor


class LeastSquares(NamedTuple):
    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor
