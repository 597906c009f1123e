"""Order, products over named axes, sorting, running sums and places against torch, a line each."""

import itertools

import numpy as np
import pytest
from parity import check, values

import miniten as mt
from judges import judge

torch = judge("torch")

X = (3, 4)


def normal(*shape):
    return np.random.default_rng(sum(shape) + len(shape)).normal(size=shape)


def positive(*shape):
    return np.abs(normal(*shape)) + 0.3


def apart(*shape):
    n = int(np.prod(shape))
    return (np.random.default_rng(n).permutation(n) / 3.0 - n / 7.0).reshape(shape)


def inside(*shape):
    return np.tanh(normal(*shape)) * 0.8


def ints(high, *shape):
    return np.random.default_rng(high).integers(0, high, shape)


def svd_parts(m, a):
    """What does not depend on the signs of the vectors."""
    u, s, vh = m.linalg.svd(a, full_matrices=False)
    return [s, u * u, vh * vh, u @ vh]


def lower(m, a):
    return m.linalg.cholesky(a @ a.mT + 2 * m.eye(3).to(a.dtype))


CASES = {
    # elementwise
    "tan": (lambda m, F, x: m.tan(x), [inside(*X)]),
    "asin": (lambda m, F, x: m.asin(x), [inside(*X)]),
    "acos": (lambda m, F, x: m.acos(x), [inside(*X)]),
    "atan": (lambda m, F, x: m.atan(x), [normal(*X)]),
    "sinh": (lambda m, F, x: m.sinh(x), [normal(*X)]),
    "cosh": (lambda m, F, x: m.cosh(x), [normal(*X)]),
    "asinh": (lambda m, F, x: m.asinh(x), [normal(*X)]),
    "acosh": (lambda m, F, x: m.acosh(x), [positive(*X) + 1]),
    "atanh": (lambda m, F, x: m.atanh(x), [inside(*X)]),
    "exp2": (lambda m, F, x: m.exp2(x), [normal(*X)]),
    "expm1": (lambda m, F, x: m.expm1(x), [normal(*X) * 1e-3]),
    "log2": (lambda m, F, x: m.log2(x), [positive(*X)]),
    "log10": (lambda m, F, x: m.log10(x), [positive(*X)]),
    "rsqrt": (lambda m, F, x: m.rsqrt(x), [positive(*X)]),
    "trunc": (lambda m, F, x: m.trunc(x) * x, [normal(*X) * 4]),
    "frac": (lambda m, F, x: m.frac(x) * x, [normal(*X) * 4]),
    "atan2": (lambda m, F, a, b: m.atan2(a, b), [normal(*X), normal(4)]),
    "remainder": (lambda m, F, a, b: m.remainder(a, b), [normal(*X) * 5, positive(4)]),
    "remainder, negative": (lambda m, F, a, b: a % b, [normal(*X) * 5, -positive(3, 1)]),
    "lerp": (lambda m, F, a, b: m.lerp(a, b, 0.3), [normal(*X), normal(*X)]),
    "nan_to_num": (lambda m, F, x: m.nan_to_num(x, nan=2.0) * 2, [np.array([1.0, np.nan, -2.0])]),
    # order
    "flip": (lambda m, F, x: m.flip(x, (0, -1)) * x, [normal(2, 3, 4)]),
    "flip, method": (lambda m, F, x: x.flip(1) * 2, [normal(2, 3)]),
    "roll": (lambda m, F, x: m.roll(x, 2) * x, [normal(*X)]),
    "roll, axes": (lambda m, F, x: m.roll(x, (1, -3), (0, 1)) * x, [normal(*X)]),
    "repeat": (lambda m, F, x: x.repeat(2, 1, 3) * 2, [normal(*X)]),
    "repeat, tuple": (lambda m, F, x: x.repeat((1, 2)) ** 2, [normal(*X)]),
    "tile": (lambda m, F, x: m.tile(x, (2,)) ** 2, [normal(*X)]),
    "repeat of many axes": (lambda m, F, x: x.repeat(2, 1, 2, 1, 3) ** 2, [normal(2, 1, 2, 1, 2)]),
    "repeat_interleave": (lambda m, F, x: m.repeat_interleave(x, 2, dim=1) ** 2, [normal(*X)]),
    "repeat_interleave, flat": (lambda m, F, x: m.repeat_interleave(x, 3) ** 2, [normal(2, 2)]),
    "movedim": (lambda m, F, x: m.movedim(x, (0, 2), (-1, 0)) ** 2, [normal(2, 3, 4)]),
    "swapaxes": (lambda m, F, x: x.swapaxes(0, -1) ** 2, [normal(2, 3, 4)]),
    "mT": (lambda m, F, x: x.mT ** 2, [normal(2, 3, 4)]),
    "t": (lambda m, F, x: x.t() ** 2, [normal(2, 3)]),
    "ravel": (lambda m, F, x: x.T.ravel() ** 2, [normal(2, 3)]),
    "tril": (lambda m, F, x: m.tril(x) * x, [normal(2, 3, 4)]),
    "triu 1": (lambda m, F, x: m.triu(x, 1) * x, [normal(4, 3)]),
    "tril -1": (lambda m, F, x: x.tril(-1) * x, [normal(3, 3)]),
    "diagonal": (lambda m, F, x: m.diagonal(x) ** 2, [normal(3, 4)]),
    "diagonal 1": (lambda m, F, x: x.diagonal(1) ** 2, [normal(3, 4)]),
    "diagonal -1 of axes": (lambda m, F, x: x.diagonal(-1, 0, 2) ** 2, [normal(4, 2, 3)]),
    "diagonal beyond": (lambda m, F, x: x.diagonal(9) ** 2, [normal(3, 4)]),
    "diag of a vector": (lambda m, F, x: m.diag(x, 1) * 2, [normal(3)]),
    "diag of a vector, below": (lambda m, F, x: m.diag(x, -2) * 2, [normal(3)]),
    "diag of a matrix": (lambda m, F, x: m.diag(x) ** 2, [normal(3, 4)]),
    "unfold": (lambda m, F, x: x.unfold(1, 3, 2) ** 2, [normal(2, 8)]),
    "unfold, overlapping": (lambda m, F, x: x.unfold(0, 2, 1) ** 2, [normal(4, 3)]),
    "chunk": (lambda m, F, x: [c**2 for c in m.chunk(x, 3, 1)], [normal(2, 7)]),
    "unbind": (lambda m, F, x: [c**2 for c in m.unbind(x, 1)], [normal(2, 3)]),
    "narrow": (lambda m, F, x: m.narrow(x, 1, 1, 2) ** 2, [normal(2, 4)]),
    "unflatten": (lambda m, F, x: x.unflatten(1, (2, -1)) ** 2, [normal(2, 6)]),
    "broadcast_to": (lambda m, F, x: m.broadcast_to(x, (2, 3, 4)) ** 2, [normal(3, 1)]),
    "meshgrid": (lambda m, F, a, b: [g**2 for g in m.meshgrid(a, b, indexing="ij")], [normal(3), normal(2)]),
    "meshgrid xy": (lambda m, F, a, b: [g**2 for g in m.meshgrid(a, b, indexing="xy")], [normal(3), normal(2)]),
    "hstack": (lambda m, F, a, b: m.hstack([a, b]) ** 2, [normal(2, 3), normal(2, 1)]),
    "hstack of vectors": (lambda m, F, a, b: m.hstack([a, b]) ** 2, [normal(3), normal(2)]),
    "vstack": (lambda m, F, a, b: m.vstack([a, b]) ** 2, [normal(3), normal(2, 3)]),
    "dstack": (lambda m, F, a, b: m.dstack([a, b]) ** 2, [normal(3), normal(1, 3)]),
    # products
    "einsum, matrices": (lambda m, F, a, b: m.einsum("ij,jk->ik", a, b), [normal(3, 4), normal(4, 2)]),
    "einsum, implicit": (lambda m, F, a, b: m.einsum("ij,jk", a, b), [normal(3, 4), normal(4, 2)]),
    "einsum, batches": (lambda m, F, a, b: m.einsum("bij,bjk->bik", a, b), [normal(2, 3, 4), normal(2, 4, 5)]),
    "einsum, ellipsis": (lambda m, F, a, b: m.einsum("...ij,...jk->...ik", a, b), [normal(2, 1, 3, 4), normal(5, 4, 2)]),
    "einsum, transposed result": (lambda m, F, a, b: m.einsum("bhid,bhjd->bhji", a, b), [normal(2, 2, 3, 4), normal(2, 2, 5, 4)]),
    "einsum, outer": (lambda m, F, a, b: m.einsum("i,j->ij", a, b), [normal(3), normal(4)]),
    "einsum, product": (lambda m, F, a, b: m.einsum("ij,ij->ij", a, b), [normal(3, 4), normal(3, 4)]),
    "einsum, dot": (lambda m, F, a, b: m.einsum("i,i", a, b), [normal(3), normal(3)]),
    "einsum, trace": (lambda m, F, a: m.einsum("ii", a) * 2, [normal(3, 3)]),
    "einsum, diagonal": (lambda m, F, a: m.einsum("bii->bi", a) ** 2, [normal(2, 3, 3)]),
    "einsum, sums": (lambda m, F, a: m.einsum("ijk->k", a) ** 2, [normal(2, 3, 4)]),
    "einsum, three": (lambda m, F, a, b, c: m.einsum("ij,jk,kl->il", a, b, c), [normal(2, 3), normal(3, 4), normal(4, 2)]),
    "einsum, bilinear": (lambda m, F, a, b, c: m.einsum("bn,anm,bm->ba", a, b, c), [normal(2, 3), normal(5, 3, 4), normal(2, 4)]),
    "einsum, summed alone": (lambda m, F, a, b: m.einsum("ij,kl->i", a, b), [normal(2, 3), normal(2, 2)]),
    "tensordot": (lambda m, F, a, b: m.tensordot(a, b, 2), [normal(2, 3, 4), normal(3, 4, 2)]),
    "tensordot, axes": (lambda m, F, a, b: m.tensordot(a, b, ([0, 2], [1, 0])), [normal(2, 3, 4), normal(4, 2, 3)]),
    "dot": (lambda m, F, a, b: m.dot(a, b), [normal(4), normal(4)]),
    "mv": (lambda m, F, a, b: m.mv(a, b), [normal(3, 4), normal(4)]),
    "mm": (lambda m, F, a, b: m.mm(a, b), [normal(3, 4), normal(4, 2)]),
    "bmm": (lambda m, F, a, b: m.bmm(a, b), [normal(2, 3, 4), normal(2, 4, 2)]),
    "outer": (lambda m, F, a, b: m.outer(a, b), [normal(3), normal(4)]),
    "addmm": (lambda m, F, x, a, b: m.addmm(x, a, b, beta=0.5, alpha=2.0), [normal(2), normal(3, 4), normal(4, 2)]),
    "baddbmm": (lambda m, F, x, a, b: m.baddbmm(x, a, b, alpha=-1.0), [normal(2, 3, 2), normal(2, 3, 4), normal(2, 4, 2)]),
    # sums and sorting
    "cumsum": (lambda m, F, x: m.cumsum(x, 1) ** 2, [normal(*X)]),
    "cumsum, transposed": (lambda m, F, x: x.T.cumsum(0) ** 2, [normal(2, 3, 4)[0]]),
    "cumprod": (lambda m, F, x: m.cumprod(x, 1), [normal(2, 5)]),
    "prod": (lambda m, F, x: m.prod(x), [normal(*X)]),
    "prod 1": (lambda m, F, x: x.prod(1), [normal(2, 5)]),
    "prod kept": (lambda m, F, x: x.prod(0, keepdim=True), [normal(3, 2)]),
    "prod with zeros": (lambda m, F, x: x.prod(1), [np.array([[0.0, 2, 3], [0, 0, 4], [1, 2, 3]])]),
    "logsumexp": (lambda m, F, x: m.logsumexp(x, 1), [normal(*X) * 3]),
    "logsumexp of large values": (lambda m, F, x: m.logsumexp(x, 0, keepdim=True), [normal(*X) + 800]),
    "logsumexp with -inf": (lambda m, F, x: m.logsumexp(x, 1), [np.array([[-np.inf, 0.5], [1.0, 2.0]])]),
    "norm": (lambda m, F, x: m.norm(x), [normal(*X)]),
    "norm 1": (lambda m, F, x: x.norm(1, dim=1), [normal(*X)]),
    "norm 3": (lambda m, F, x: m.norm(x, 3, dim=0), [normal(*X)]),
    "norm inf": (lambda m, F, x: m.norm(x, float("inf"), dim=1), [apart(*X)]),
    "norm kept": (lambda m, F, x: m.norm(x, dim=1, keepdim=True), [normal(*X)]),
    "amax": (lambda m, F, x: m.amax(x, (0, 2)), [apart(2, 3, 4)]),
    "amin": (lambda m, F, x: x.amin(1, keepdim=True), [apart(2, 3)]),
    "sort": (lambda m, F, x: m.sort(x, 1).values ** 2, [apart(3, 5)]),
    "sort, descending": (lambda m, F, x: x.sort(0, descending=True)[0] ** 2, [apart(3, 5)]),
    "topk": (lambda m, F, x: m.topk(x, 2).values ** 2, [apart(3, 5)]),
    "topk, least": (lambda m, F, x: x.topk(3, dim=0, largest=False).values ** 2, [apart(4, 3)]),
    "median": (lambda m, F, x: m.median(x) * 2, [apart(3, 5)]),
    # places
    "take_along_dim": (lambda m, F, x, i: m.take_along_dim(x, i, 1) ** 2, [normal(3, 4)], [ints(4, 3, 2)]),
    "gather, last axis": (lambda m, F, x, i: x.gather(-1, i) ** 2, [normal(2, 3, 4)], [ints(4, 2, 2, 5)]),
    "index_select": (lambda m, F, x, i: m.index_select(x, 1, i) ** 2, [normal(3, 4)], [np.array([3, 0, 0])]),
    "index_add": (lambda m, F, x, y, i: m.index_add(x, 1, i, y, alpha=2) ** 2, [normal(3, 4), normal(3, 3)], [np.array([3, 0, 0])]),
    "index_copy": (lambda m, F, x, y, i: m.index_copy(x, 0, i, y) ** 2, [normal(4, 3), normal(2, 3)], [np.array([3, 0])]),
    "index_fill": (lambda m, F, x, i: m.index_fill(x, 1, i, 2.5) ** 2, [normal(4, 3)], [np.array([2, 0])]),
    "scatter": (lambda m, F, x, y, i: m.scatter(x, 1, i, y) ** 2, [normal(2, 4), normal(2, 3)], [np.array([[0, 3, 1], [2, 1, 0]])]),
    "scatter, sliced source": (lambda m, F, x, y, i: x.scatter(0, i, y[:1, :3]) ** 2, [normal(3, 4), normal(3, 4)], [np.array([[0, 2, 1]])]),
    "clamp of float64": (lambda m, F, x: x.clamp(-0.1, 0.7) * x, [normal(*X)]),
    "scatter a value": (lambda m, F, x, i: x.scatter(1, i, 1.5) ** 2 if m is torch else x.scatter(1, i, value=1.5) ** 2, [normal(2, 4)], [np.array([[0, 3], [2, 1]])]),
    "scatter_add": (lambda m, F, x, y, i: m.scatter_add(x, 0, i, y) ** 2, [normal(3, 4), normal(2, 4)], [np.array([[0, 2, 1, 1], [0, 2, 0, 1]])]),
    "masked_fill": (lambda m, F, x, k: x.masked_fill(k, -1.5) ** 2, [normal(3, 4)], [normal(3, 4) > 0]),
    "masked_fill, broadcast": (lambda m, F, x, k: m.masked_fill(x, k, 2) ** 2, [normal(3, 4)], [normal(4) > 0]),
    # linear algebra
    "inv": (lambda m, F, a: m.linalg.inv(a), [normal(2, 3, 3) + 3 * np.eye(3)]),
    "solve": (lambda m, F, a, b: m.linalg.solve(a, b), [normal(3, 3) + 3 * np.eye(3), normal(3, 2)]),
    "solve for a vector": (lambda m, F, a, b: m.linalg.solve(a, b), [normal(3, 3) + 3 * np.eye(3), normal(3)]),
    "solve, batches": (lambda m, F, a, b: m.linalg.solve(a, b), [normal(2, 3, 3) + 3 * np.eye(3), normal(2, 3, 2)]),
    "det": (lambda m, F, a: m.linalg.det(a), [normal(2, 3, 3) + 2 * np.eye(3)]),
    "slogdet": (lambda m, F, a: m.linalg.slogdet(a)[1], [normal(2, 3, 3) - 3 * np.eye(3)]),
    "cholesky": (lambda m, F, a: lower(m, a), [normal(3, 3)]),
    "matrix_power": (lambda m, F, a: m.linalg.matrix_power(a, 3), [normal(3, 3)]),
    "matrix_power, inverse": (lambda m, F, a: m.linalg.matrix_power(a, -2), [normal(3, 3) + 3 * np.eye(3)]),
    "linalg.norm": (lambda m, F, a: m.linalg.norm(a), [normal(3, 3)]),
    "linalg.norm, matrix 1": (lambda m, F, a: m.linalg.norm(a, 1), [apart(3, 4)]),
    "linalg.norm, matrix inf": (lambda m, F, a: m.linalg.norm(a, float("inf"), dim=(0, 2)), [apart(3, 2, 4)]),
    "linalg.vector_norm": (lambda m, F, a: m.linalg.vector_norm(a, 1, dim=1), [normal(3, 4)]),
    "qr, tall": (lambda m, F, a: list(m.linalg.qr(a)), [normal(2, 4, 3)]),
    "qr, wide": (lambda m, F, a: list(m.linalg.qr(a)), [normal(3, 5)]),
    "qr, square": (lambda m, F, a: list(m.linalg.qr(a)), [normal(3, 3)]),
    "qr, r alone": (lambda m, F, a: m.linalg.qr(a).R, [normal(2, 4)]),
    "qr, q alone": (lambda m, F, a: m.linalg.qr(a).Q, [normal(2, 4)]),
    "svd, tall": (lambda m, F, a: svd_parts(m, a), [normal(2, 4, 3)]),
    "svd, wide": (lambda m, F, a: svd_parts(m, a), [normal(2, 4)]),
    "svd, square": (lambda m, F, a: svd_parts(m, a), [normal(3, 3)]),
    "svd, u alone": (lambda m, F, a: m.linalg.svd(a, full_matrices=False).U ** 2, [normal(4, 2)]),
    "svd, v alone": (lambda m, F, a: m.linalg.svd(a, full_matrices=False).Vh ** 2, [normal(2, 4)]),
    "svd, square u and v": (lambda m, F, a: [m.linalg.svd(a).S, m.linalg.svd(a).Vh ** 2], [normal(4, 2)]),
    "svdvals": (lambda m, F, a: m.linalg.svdvals(a), [normal(2, 3, 4)]),
    "eigh": (lambda m, F, a: [m.linalg.eigh(a + a.mT)[0], m.linalg.eigh(a + a.mT)[1] ** 2], [normal(2, 3, 3)]),
    "eigvalsh": (lambda m, F, a: m.linalg.eigvalsh(a @ a.mT), [normal(4, 4)]),
    "pinv, tall": (lambda m, F, a: m.linalg.pinv(a), [normal(2, 4, 3)]),
    "pinv, wide": (lambda m, F, a: m.linalg.pinv(a), [normal(3, 5)]),
    "lstsq": (lambda m, F, a, b: m.linalg.lstsq(a, b)[0], [normal(2, 5, 3), normal(2, 5, 2)]),
    "lstsq of least norm": (lambda m, F, a, b: m.linalg.lstsq(a, b)[0], [normal(3, 5), normal(3, 2)]),
    "solve_triangular": (lambda m, F, a, b: m.linalg.solve_triangular(a, b, upper=True), [normal(3, 3) + 3 * np.eye(3), normal(3, 2)]),
    "solve_triangular, ones": (lambda m, F, a, b: m.linalg.solve_triangular(a, b, upper=False, unitriangular=True), [normal(3, 3), normal(3, 2)]),
    "nuclear norm": (lambda m, F, a: m.linalg.matrix_norm(a, "nuc"), [normal(2, 3, 4)]),
    "spectral norm": (lambda m, F, a: m.linalg.matrix_norm(a, 2), [normal(2, 3, 4)]),
    "pinv of equal singular values": (lambda m, F, a: m.linalg.pinv(a), [2 * np.eye(3)]),
    "kron": (lambda m, F, a, b: m.kron(a, b), [normal(2, 3), normal(3, 2)]),
    "kron of unequal ranks": (lambda m, F, a, b: m.kron(a, b), [normal(2), normal(2, 3, 2)]),
    "quantile": (lambda m, F, x: m.quantile(x, 0.3, dim=1), [apart(3, 5)]),
    "quantile of all, several": (lambda m, F, x: m.quantile(x, m.tensor([0.0, 0.25, 1.0], dtype=x.dtype)), [apart(3, 4)]),
    "quantile, kept": (lambda m, F, x: x.quantile(0.5, dim=0, keepdim=True, interpolation="midpoint"), [apart(4, 3)]),
    "quantile, nearest": (lambda m, F, x: m.quantile(x, 0.4, dim=-1, interpolation="nearest"), [apart(3, 5)]),
    "F.unfold": (lambda m, F, x: F.unfold(x, (2, 3), dilation=(2, 1), padding=1, stride=2), [normal(2, 3, 6, 5)]),
    "F.unfold of one": (lambda m, F, x: F.unfold(x, 2) ** 2, [normal(2, 3, 4)]),
    "F.fold": (lambda m, F, x: F.fold(x, (5, 4), 2, padding=1, stride=2) ** 2, [normal(2, 12, 9)]),
    "F.fold of one": (lambda m, F, x: F.fold(x, (3, 4), (2, 3)) ** 2, [normal(6, 4)]),
}


@pytest.mark.parametrize("name", CASES)
def test_against_torch(name):
    f, arrays, *constants = CASES[name]
    check(f, arrays, *constants)


def test_the_gradient_of_a_norm_of_zeros_is_zero():
    check(lambda m, F, x: m.norm(x, dim=1), [np.array([[0.0, 0.0], [3.0, 4.0]])], second=False)


def test_masked_select_against_torch():
    check(lambda m, F, x, k: m.masked_select(x, k) ** 2, [normal(3, 4)], [normal(3, 4) > 0], replay=False)


def same(f, *arrays, rtol=0.0):
    """Values and dtypes of f(m, *tensors) in both libraries; f gives a tensor or several."""
    results = []
    for m in (mt, torch):
        r = f(m, *[m.tensor(a) for a in arrays])
        results.append(list(r) if isinstance(r, (tuple, list)) else [r])
    for got, wanted in zip(*results, strict=True):
        if isinstance(wanted, (bool, int, float)):
            assert got == wanted
            continue
        assert f"torch.{got.dtype}" == str(wanted.dtype) and got.shape == tuple(wanted.shape)
        np.testing.assert_allclose(got.double().numpy() if got.dtype == "bfloat16" else got.numpy(), wanted.double().numpy() if got.dtype == "bfloat16" else wanted.numpy(), rtol=rtol)


INTEGERS = ["int8", "int16", "int32", "int64", "uint8"]


@pytest.mark.parametrize("a, b", list(itertools.product(INTEGERS, INTEGERS)))
def test_integers_divide_and_combine_as_torch(a, b):
    x, y = np.array([7, -7, 100, 0, -1, 1]).astype(a), np.array([3, 3, -7, 5, 2, 1]).astype(b)
    if b == "uint8":
        y = np.array([3, 3, 7, 5, 2, 1], "uint8")
    for f in (lambda m, p, q: p // q, lambda m, p, q: p % q, lambda m, p, q: p & q, lambda m, p, q: p | q, lambda m, p, q: p ^ q):
        same(f, x, y)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_shifts_and_not(dtype):
    x = np.array([1, 5, 100, 0, 127]).astype(dtype)
    for f in (lambda m, p: p << 2, lambda m, p: p >> 1, lambda m, p: ~p, lambda m, p: p // 3, lambda m, p: p % 3, lambda m, p: 7 // (p + 1), lambda m, p: 7 % (p + 1)):
        same(f, x)
    assert (mt.tensor([-8], dtype="int8") >> 1).item() == -4 and (mt.tensor([1], dtype="int8") << 9).item() == 0
    assert mt.tensor([-128], dtype="int8").floor_divide_(mt.tensor([-1], dtype="int8")).item() == -128


def test_floats_divide_downwards():
    x, y = np.array([7.5, -7.5, 7.5, -7.5, 0.0, -0.0, 1e10]), np.array([2.0, 2.0, -2.0, -2.0, 3.0, 3.0, 0.1])
    for kind in ("float32", "float64"):
        same(lambda m, p, q: [p // q, p % q], x.astype(kind), y.astype(kind))
    same(lambda m, p: p % 0.0, x)
    assert not (mt.ones(2, requires_grad=True) // 2).requires_grad


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32", "uint8", "bool"])
def test_sorting_is_stable_and_puts_nan_last(dtype):
    a = ints(4, 5, 6).astype(dtype)
    if dtype.startswith("float"):
        a[0, 1] = a[2, 4] = np.nan
    for descending in (False, True):
        same(lambda m, x: m.argsort(x, 1, descending, **({} if m is mt else {"stable": True})) if m is mt else m.argsort(x, dim=1, descending=descending, stable=True), a)
        same(lambda m, x: list(m.sort(x, stable=True, dim=0, descending=descending)), a)


def test_sorting_of_odd_shapes():
    same(lambda m, x: list(m.sort(x)), np.zeros((0, 3), "float32"))
    same(lambda m, x: list(m.sort(x)), np.zeros((3, 0), "float32"))
    same(lambda m, x: list(m.sort(x)), np.array(3.0))
    same(lambda m, x: list(m.topk(x, 0)), apart(3, 4))
    same(lambda m, x, y, i: x.scatter(0, i, y), np.zeros((3, 4)), normal(3, 4), np.array([[0, 2, 1]]))
    assert mt.topk(mt.tensor([1.0, 3.0, 3.0, 2.0]), 2).indices.tolist() == [1, 2]
    for bad in (5, -1):
        with pytest.raises(ValueError, match="topk|argsort"):
            mt.topk(mt.zeros(4), bad)


def test_values_that_have_no_gradient():
    a = ints(5, 4, 3)
    same(lambda m, x: m.unique(x), a)
    same(lambda m, x: list(m.unique(x, return_inverse=True, return_counts=True)), a)
    same(lambda m, x: m.unique(x), np.zeros(0, "int64"))
    same(lambda m, x: m.bincount(x), a.ravel())
    same(lambda m, x: m.bincount(x, minlength=9), a.ravel())
    same(lambda m, x, w: m.bincount(x, w), a.ravel(), normal(12))
    same(lambda m, x: m.count_nonzero(x, dim=1), a)
    same(lambda m, x: m.searchsorted(x, m.tensor([0.5, 2.0, 9.0])), np.array([0.0, 1.0, 2.0, 3.0], "float32"))
    same(lambda m, x: m.searchsorted(x, m.tensor([0.5, 2.0, 9.0]), right=True), np.array([0.0, 1.0, 2.0, 3.0], "float32"))
    same(lambda m, x: [m.cumsum(x, 0), m.cumprod(x, 1), m.prod(x), m.prod(x, 1)], a)
    same(lambda m, x: [m.cumsum(x, 0), m.prod(x)], a > 1)
    same(lambda m, x: [m.prod(x), m.prod(x, 0)], np.zeros((0, 3)))
    same(lambda m, x: m.median(x), np.array([1.0, np.nan, 3.0]))
    same(lambda m, x: m.quantile(x, 0.5, dim=1, keepdim=True), np.array([[1.0, np.nan, 3.0], [4.0, 6.0, 5.0]]), rtol=1e-12)
    same(lambda m, x: m.quantile(x, 0.9, keepdim=True), apart(3, 4), rtol=1e-12)
    same(lambda m, x: m.linspace(-1, 2, 7), a, rtol=1e-6)
    same(lambda m, x: m.logspace(-1, 2, 4), a, rtol=1e-6)
    same(lambda m, x: [m.linspace(0, 1, 0), m.linspace(3, 9, 1)], a)
    same(lambda m, x: [m.zeros_like(x), m.ones_like(x, dtype=m.float32), m.full_like(x, 7)], a)
    assert mt.empty(2, 3).shape == (2, 3) and mt.empty_like(mt.zeros(4, dtype="int8")).dtype == "int8"


ODD = np.array([np.nan, np.inf, -np.inf, 0.0, 1.0], "float32")


def test_questions():
    for name in ("isnan", "isinf", "isfinite"):
        same(lambda m, x: getattr(m, name)(x), ODD)
        same(lambda m, x: getattr(x, name)(), ints(3, 4))
    for name in ("logical_and", "logical_or", "logical_xor"):
        same(lambda m, x, y: getattr(m, name)(x, y), np.array([0.0, 2.0, 0.0, -1.0]), np.array([0, 3, 4, 0]))
    same(lambda m, x: m.logical_not(x), np.array([0.0, 2.0]))
    for nan in (False, True):
        same(lambda m, x, y: m.isclose(x, y, equal_nan=nan), ODD, np.array([np.nan, np.inf, np.inf, 1e-9, 1.00001], "float32"))
        same(lambda m, x: m.allclose(x, x, equal_nan=nan), ODD)
    same(lambda m, x, y: m.allclose(x, y, rtol=0.1), np.array([1.0, 2.0]), np.array([1.05, 2.1]))
    same(lambda m, x: m.equal(x, x), ints(3, 4))
    same(lambda m, x: m.nan_to_num(x), ODD)
    same(lambda m, x: m.nan_to_num(x, 1.0, posinf=3.0, neginf=-4.0), ODD)


@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (3, 3), (2, 5, 3), (1, 1), (3, 0), (5, 1)])
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_svd_and_qr_rebuild_the_matrix(shape, kind):
    a = normal(*shape).astype(kind)
    tol = 1e-5 if kind == "float32" else 1e-12
    q, r = (values(t) for t in mt.linalg.qr(mt.tensor(a)))
    np.testing.assert_allclose(q @ r, a, atol=tol)
    np.testing.assert_allclose(np.swapaxes(q, -1, -2) @ q, np.broadcast_to(np.eye(q.shape[-1]), q.shape[:-2] + (q.shape[-1],) * 2), atol=tol)
    assert np.all(np.tril(r, -1) == 0)
    for full in (False, True):
        u, s, vh = (values(t) for t in mt.linalg.svd(mt.tensor(a), full_matrices=full))
        wanted = np.linalg.svd(a, full_matrices=full)
        assert u.shape == wanted[0].shape and vh.shape == wanted[2].shape and u.dtype == a.dtype
        np.testing.assert_allclose(s, wanted[1], atol=tol)
        k = s.shape[-1]
        np.testing.assert_allclose((u[..., :k] * s[..., None, :]) @ vh[..., :k, :], a, atol=tol)
        for o in (u, np.swapaxes(vh, -1, -2)):
            np.testing.assert_allclose(np.swapaxes(o, -1, -2) @ o, np.broadcast_to(np.eye(o.shape[-1]), o.shape[:-2] + (o.shape[-1],) * 2), atol=tol)


def test_matrices_of_low_rank():
    a = np.outer(normal(4), normal(3))
    u, s, vh = (values(t) for t in mt.linalg.svd(mt.tensor(a)))
    np.testing.assert_allclose(u.T @ u, np.eye(4), atol=1e-12)
    assert mt.linalg.matrix_rank(mt.tensor(a)).item() == 1 and mt.linalg.matrix_rank(mt.eye(3)).item() == 3
    np.testing.assert_allclose(mt.linalg.pinv(mt.tensor(a)).numpy(), np.linalg.pinv(a), atol=1e-12)
    np.testing.assert_allclose(mt.linalg.pinv(mt.tensor(normal(3, 5))).numpy(), np.linalg.pinv(normal(3, 5)), atol=1e-12)
    z = mt.linalg.svd(mt.zeros(3, 2))
    assert z.S.tolist() == [0, 0] and np.allclose((z.U.T @ z.U).numpy(), np.eye(3))
    symmetric = normal(4, 4) + normal(4, 4).T
    w, v = (values(t) for t in mt.linalg.eigh(mt.tensor(symmetric)))
    np.testing.assert_allclose(w, np.linalg.eigvalsh(symmetric), atol=1e-12)
    np.testing.assert_allclose(v @ np.diag(w) @ v.T, symmetric, atol=1e-12)
    sign, size = mt.linalg.slogdet(mt.zeros(2, 2))
    assert sign.item() == 0 and size.item() == -np.inf and mt.linalg.det(mt.zeros(2, 2)).item() == 0
    for ord in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
        np.testing.assert_allclose(mt.linalg.matrix_norm(mt.tensor(normal(3, 4)), ord).item(), np.linalg.norm(normal(3, 4), ord), rtol=1e-12)


def test_vectors_beyond_the_rank_have_a_gradient_too():
    """By the span of the others: what a loss asks of u @ u^T, whose columns are all there, is a constant."""
    a = mt.tensor(normal(4, 2), requires_grad=True)
    u = mt.linalg.svd(a).U
    beyond = u[:, 2:]
    (beyond @ beyond.mT * mt.tensor(normal(4, 4))).sum().backward()
    b = torch.tensor(normal(4, 2), requires_grad=True)
    first = torch.linalg.svd(b, full_matrices=False).U
    ((torch.eye(4) - first @ first.mT) * torch.tensor(normal(4, 4))).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), atol=1e-12)


def test_least_squares_beside_numpy():
    a, b = normal(6, 3), normal(6, 2)
    got = mt.linalg.lstsq(mt.tensor(a), mt.tensor(b))
    x, rest, rank, s = np.linalg.lstsq(a, b, rcond=None)
    for g, w in zip(got, (x, rest, rank, s)):
        np.testing.assert_allclose(g.numpy(), w, rtol=1e-12)
    flat = np.outer(normal(4), normal(3))
    np.testing.assert_allclose(mt.linalg.lstsq(mt.tensor(flat), mt.tensor(normal(4))).solution.numpy(), np.linalg.lstsq(flat, normal(4), rcond=None)[0], atol=1e-12)
    assert mt.linalg.lstsq(mt.tensor(flat), mt.tensor(normal(4))).rank.item() == 1


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: mt.einsum("ij,jk", mt.zeros(2, 3)), ValueError, "einsum.*operand"),
        (lambda: mt.einsum("ij", mt.zeros(2, 3), mt.zeros(2)), ValueError, "einsum.*1 operands"),
        (lambda: mt.einsum("ij->ik", mt.zeros(2, 3)), ValueError, "einsum.*output"),
        (lambda: mt.einsum("ij->ii", mt.zeros(2, 3)), ValueError, "einsum.*output"),
        (lambda: mt.einsum("ijk->i", mt.zeros(2, 3)), ValueError, "einsum.*label"),
        (lambda: mt.einsum("ij,jk->ik", mt.zeros(2, 3), mt.zeros(4, 2)), ValueError, "einsum.*size"),
        (lambda: mt.einsum("i?->i", mt.zeros(2, 3)), ValueError, "einsum.*letters"),
        (lambda: mt.einsum("ii->i", mt.zeros(2, 3)), ValueError, "einsum.*size"),
        (lambda: mt.dot(mt.zeros(2, 2), mt.zeros(2)), ValueError, "dot.*vectors"),
        (lambda: mt.bmm(mt.zeros(2, 2, 2), mt.zeros(3, 2, 2)), ValueError, "bmm"),
        (lambda: mt.roll(mt.zeros(2, 2), (1, 2)), ValueError, "roll"),
        (lambda: mt.flip(mt.zeros(2, 2), (0, 0)), ValueError, "flip.*once"),
        (lambda: mt.zeros(2, 2).repeat(2), ValueError, "repeat.*each axis"),
        (lambda: mt.zeros(2, 2).repeat(-1, 1), ValueError, "repeat"),
        (lambda: mt.movedim(mt.zeros(2, 2), (0, 1), (0, 0)), ValueError, "movedim.*once"),
        (lambda: mt.tril(mt.zeros(2)), ValueError, "tril"),
        (lambda: mt.diagonal(mt.zeros(2, 2), 0, 1, 1), ValueError, "diagonal"),
        (lambda: mt.zeros(3).unfold(0, 4, 1), ValueError, "unfold"),
        (lambda: mt.zeros(3).unfold(0, 2, 0), ValueError, "unfold"),
        (lambda: mt.cumsum(mt.zeros(2), 1), IndexError, "cumsum"),
        (lambda: mt.norm(mt.tensor([1, 2])), TypeError, "norm.*float"),
        (lambda: mt.scatter(mt.zeros(2, 2), 0, mt.tensor([[5, 0]]), mt.ones(1, 2)), IndexError, "scatter.*5"),
        (lambda: mt.scatter(mt.zeros(2, 2), 0, mt.tensor([[0.0]]), mt.ones(1, 1)), TypeError, "scatter.*integers"),
        (lambda: mt.scatter(mt.zeros(2, 2), 0, mt.tensor([[0]])), TypeError, "scatter.*src or value"),
        (lambda: mt.scatter_reduce(mt.zeros(2), 0, mt.tensor([0]), mt.ones(1), "mean"), ValueError, "mean"),
        (lambda: mt.index_add(mt.zeros(2, 2), 0, mt.tensor([0]), mt.ones(2, 2)), ValueError, r"index_add.*\(1, 2\)"),
        (lambda: mt.index_select(mt.zeros(2, 2), 0, mt.tensor([[0]])), ValueError, "index_select"),
        (lambda: mt.masked_fill(mt.zeros(2), mt.tensor([1, 0]), 0), TypeError, "bool"),
        (lambda: mt.masked_select(mt.zeros(2), mt.ones(2)), TypeError, "bool"),
        (lambda: mt.tensor([1]) // mt.tensor([0]), ValueError, "floor_divide.*0"),
        (lambda: mt.tensor([1]) % 0, ValueError, "remainder.*0"),
        (lambda: mt.tensor([1.5]) & 1, TypeError, "bitwise_and"),
        (lambda: ~mt.tensor([1.5]), TypeError, "bitwise_not"),
        (lambda: mt.isclose(mt.zeros(1), mt.zeros(1, dtype="float64")), TypeError, "isclose"),
        (lambda: mt.linalg.inv(mt.zeros(2, 2)), ValueError, "inv.*singular"),
        (lambda: mt.linalg.inv(mt.zeros(2, 3)), ValueError, "square"),
        (lambda: mt.linalg.inv(mt.zeros(2, 2, dtype="int64")), TypeError, "float"),
        (lambda: mt.linalg.solve(mt.zeros(2, 2), mt.zeros(2)), ValueError, "solve.*singular"),
        (lambda: mt.linalg.solve(mt.eye(2), mt.zeros(3, 1)), ValueError, "solve"),
        (lambda: mt.linalg.cholesky(-mt.eye(2)), ValueError, "cholesky.*positive definite"),
        (lambda: mt.linalg.lstsq(mt.eye(2), mt.zeros(3, 1)), ValueError, "lstsq.*row"),
        (lambda: mt.quantile(mt.zeros(3), 1.5), ValueError, r"quantile.*\[0, 1\]"),
        (lambda: mt.quantile(mt.zeros(3), 0.5, interpolation="cubic"), ValueError, "quantile.*linear"),
        (lambda: mt.quantile(mt.tensor([1, 2]), 0.5), TypeError, "quantile.*floats"),
        (lambda: mt.quantile(mt.zeros(0), 0.5), ValueError, "quantile.*one value"),
        (lambda: mt.kron(mt.zeros(1, 1, 1, 1, 1), mt.zeros(1)), NotImplementedError, "kron.*axes"),
        (lambda: mt.nn.functional.unfold(mt.zeros(1, 1, 2, 2), 3), ValueError, "unfold.*window"),
        (lambda: mt.nn.functional.fold(mt.zeros(1, 3, 4), (4, 4), 2), ValueError, "fold.*C"),
        (lambda: mt.linalg.qr(mt.eye(2), mode="complete"), NotImplementedError, "qr.*reduced"),
        (lambda: mt.linalg.matrix_norm(mt.eye(2), 3), ValueError, "matrix_norm"),
        (lambda: mt.unique("a"), TypeError, "unique"),
        (lambda: mt.bincount(mt.tensor([-1])), ValueError, "bincount.*-1"),
        (lambda: mt.linspace(0, 1, -1), ValueError, "linspace"),
        (lambda: mt.meshgrid(mt.zeros(2, 2)), ValueError, "meshgrid"),
    ],
)
def test_errors_name_the_function(call, error, words):
    import re

    with pytest.raises(error) as caught:
        call()
    text = str(caught.value)
    assert text.startswith("[") and " expected " in text and ", got " in text and re.search(words, text), text
    with pytest.raises(NotImplementedError, match="unique"):
        mt.trace(lambda t: mt.unique(t), (3,))
