"""Functions written in others against torch: value, both gradients, replay and compiled graph; then what has no gradient."""

import re

import numpy as np
import pytest
from parity import check, torch, values

import miniten as mt

X = (3, 4)
INF, NAN = np.inf, np.nan


def normal(*shape):
    return np.random.default_rng(sum(shape) + len(shape)).normal(size=shape)


def other(*shape):
    return np.random.default_rng(100 + sum(shape)).normal(size=shape)


def positive(*shape):
    return np.abs(normal(*shape)) + 0.3


def holed(*shape):
    x = normal(*shape)
    x.flat[::3] = NAN
    return x


CASES = {
    "addcmul": (lambda m, F, a, b, c: m.addcmul(a, b, c, value=0.5), [normal(*X), other(4), other(3, 1)]),
    "addcdiv": (lambda m, F, a, b, c: a.addcdiv(b, c, value=-2), [normal(*X), other(*X), positive(*X)]),
    "addmv": (lambda m, F, a, b, c: m.addmv(a, b, c, beta=0.5, alpha=2), [normal(3), other(3, 4), other(4)]),
    "addr": (lambda m, F, a, b, c: m.addr(a, b, c, beta=0, alpha=2), [normal(3, 4), other(3), other(4)]),
    "aminmax": (lambda m, F, x: m.aminmax(x, dim=1, keepdim=True), [normal(*X)]),
    "aminmax of all": (lambda m, F, x: (lambda r: r.max - r.min)(m.aminmax(x)), [normal(*X)]),
    "atleast_3d": (lambda m, F, a, b, c: [m.atleast_3d(t) for t in (a, b, c)], [normal(4), other(2, 3), np.array(2.0)]),
    "block_diag": (lambda m, F, a, b, c: m.block_diag(a, b, c), [normal(2, 3), other(4), np.array(2.0)]),
    "cartesian_prod": (lambda m, F, a, b: m.cartesian_prod(a, b), [normal(3), other(2)]),
    "cdist": (lambda m, F, a, b: m.cdist(a, b), [normal(2, 3, 5), other(2, 4, 5)], (), False),
    "cdist of 1-norms": (lambda m, F, a, b: m.cdist(a, b, 1.0), [normal(3, 5), other(4, 5)], (), False),
    "clamp_max": (lambda m, F, x: m.clamp_max(x, 0.25), [normal(*X)]),
    "clamp_min": (lambda m, F, x: x.clamp_min(0.25), [normal(*X)]),
    "column_stack": (lambda m, F, a, b: m.column_stack([a, b]), [normal(3), other(3, 2)]),
    "combinations": (lambda m, F, x: m.combinations(x, 3), [normal(5)]),
    "combinations, repeated": (lambda m, F, x: m.combinations(x, with_replacement=True), [normal(4)]),
    "copysign": (lambda m, F, a, b: m.copysign(a, b), [normal(*X), other(*X)]),
    "corrcoef": (lambda m, F, x: m.corrcoef(x), [normal(3, 6)]),
    "cov": (lambda m, F, x: x.cov(correction=0), [normal(3, 6)]),
    "cov of a vector": (lambda m, F, x: m.cov(x), [normal(6)]),
    "cross": (lambda m, F, a, b: m.cross(a, b, dim=1), [normal(2, 3), other(2, 3)]),
    "cross along the first of 3": (lambda m, F, a, b: m.cross(a, b), [normal(3, 3), other(3, 3)]),
    "cumulative_trapezoid": (lambda m, F, x: m.cumulative_trapezoid(x, dx=0.5, dim=0), [normal(4, 3)]),
    "deg2rad": (lambda m, F, x: m.deg2rad(x), [normal(*X) * 90]),
    "rad2deg": (lambda m, F, x: m.rad2deg(x), [normal(*X)]),
    "det": (lambda m, F, x: m.det(x), [normal(3, 3)]),
    "diag_embed": (lambda m, F, x: m.diag_embed(x, offset=1, dim1=0, dim2=2), [normal(2, 3)]),
    "diag_embed below": (lambda m, F, x: x.diag_embed(-2), [normal(2, 3)]),
    "diff": (lambda m, F, x: m.diff(x, n=2, dim=0), [normal(5, 3)]),
    "diff of joined": (lambda m, F, x, a: x.diff(prepend=a, append=a), [normal(2, 3), other(2, 2)]),
    "diff beyond the end": (lambda m, F, x: m.diff(x, n=7).sum() + x.sum(), [normal(2, 3)]),
    "dist": (lambda m, F, a, b: m.dist(a, b, 3), [normal(*X), other(*X)]),
    "fmax": (lambda m, F, a, b: m.fmax(a, b), [normal(*X), other(*X)]),
    "fmin": (lambda m, F, a, b: a.fmin(b), [normal(*X), other(*X)]),
    "fmod": (lambda m, F, a, b: m.fmod(a, b), [normal(*X) * 9, positive(*X)]),
    "hsplit": (lambda m, F, x: m.hsplit(x, 2), [normal(*X)]),
    "hypot": (lambda m, F, a, b: m.hypot(a, b), [normal(*X), other(*X)]),
    "inner": (lambda m, F, a, b: m.inner(a, b), [normal(2, 3, 4), other(5, 4)]),
    "inverse": (lambda m, F, x: m.inverse(x), [normal(3, 3)]),
    "kthvalue": (lambda m, F, x: m.kthvalue(x, 2, 0).values, [normal(*X)]),
    "ldexp": (lambda m, F, a, b: m.ldexp(a, b), [normal(*X), other(*X)]),
    "logaddexp": (lambda m, F, a, b: m.logaddexp(a, b), [normal(*X) * 50, other(*X) * 50]),
    "logaddexp of equals": (lambda m, F, x: m.logaddexp(x, x), [normal(*X)], (), False),
    "logaddexp2": (lambda m, F, a, b: m.logaddexp2(a, b), [normal(*X) * 9, other(*X)]),
    "logdet": (lambda m, F, x: m.logdet(x @ x.T + m.eye(3, dtype=x.dtype)), [normal(3, 3)]),
    "logit": (lambda m, F, x: m.logit(m.sigmoid(x), 0.25), [normal(*X)]),
    "logit as it is": (lambda m, F, x: m.logit(m.sigmoid(x)), [normal(*X)]),
    "matrix_power": (lambda m, F, x: m.matrix_power(x, 3), [normal(3, 3)]),
    "nanmean": (lambda m, F, x: m.nanmean(x, 1), [holed(*X)]),
    "nansum": (lambda m, F, x: x.nansum(), [holed(*X)]),
    "rot90": (lambda m, F, x: m.rot90(x), [normal(*X)]),
    "rot90 back": (lambda m, F, x: m.rot90(x, -1, (1, 2)), [normal(2, 3, 4)]),
    "rot90 twice": (lambda m, F, x: x.rot90(2, (0, 1)), [normal(*X)]),
    "select": (lambda m, F, x: m.select(x, 1, -1), [normal(*X)]),
    "sinc": (lambda m, F, x: m.sinc(x), [normal(*X)]),
    "std_mean": (lambda m, F, x: m.std_mean(x, 0), [normal(*X)]),
    "var_mean": (lambda m, F, x: m.var_mean(x, (0, 1), correction=0, keepdim=True), [normal(*X)]),
    "tensor_split": (lambda m, F, x: m.tensor_split(x, 3, 1), [normal(2, 7)]),
    "tensor_split at": (lambda m, F, x: x.tensor_split((1, -2, 3), 1), [normal(2, 7)]),
    "trapezoid": (lambda m, F, y, x: m.trapezoid(y, x), [normal(2, 5), np.cumsum(positive(5))]),
    "trapezoid of axes": (lambda m, F, y, x: m.trapezoid(y, x, dim=0), [normal(4, 3), np.cumsum(positive(4, 3), 0)]),
    "unflatten": (lambda m, F, x: m.unflatten(x, 1, (2, -1)), [normal(3, 6)]),
    "vdot": (lambda m, F, a, b: m.vdot(a, b), [normal(5), other(5)]),
    "xlogy": (lambda m, F, a, b: m.xlogy(a, b), [normal(*X), positive(*X)]),
}


@pytest.mark.parametrize("name", CASES)
def test_against_torch(name):
    f, arrays, *rest = CASES[name]
    check(f, arrays, *rest)


EDGES = np.array([0.0, -0.0, 1.0, -1.0, 2.5, -7.25, INF, -INF, NAN])
A, B = (g.ravel() for g in np.meshgrid(EDGES, EDGES))
VALUES = {
    "copysign": (lambda m, a, b: m.copysign(a, b), A, B),
    "fmax": (lambda m, a, b: m.fmax(a, b), A, B),
    "fmin": (lambda m, a, b: m.fmin(a, b), A, B),
    "fmod of integers": (lambda m, a, b: m.fmod(a, b), np.array([7, -7, 7, -7]), np.array([3, 3, -3, -3])),
    "heaviside": (lambda m, a, b: m.heaviside(a, b), A, B),
    "heaviside of integers": (lambda m, a, b: m.heaviside(a, b), np.array([-2, 0, 5]), np.array([9, 9, 9])),
    "hypot": (lambda m, a, b: m.hypot(a, b), *(v[np.isfinite(A) & np.isfinite(B)] for v in (A, B))),
    "hypot of large and small": (lambda m, a, b: m.hypot(a, b), np.array([3e200, 3e-200, INF]), np.array([4e200, 4e-200, 1.0])),
    "logaddexp": (lambda m, a, b: m.logaddexp(a, b), A, B),
    "signbit": (lambda m, a: m.signbit(a), EDGES[:-1]),
    "signbit of integers": (lambda m, a: m.signbit(a), np.array([-2, 0, 5])),
    "sinc": (lambda m, a: m.sinc(a), np.array([0.0, 1.0, -0.5])),
    "xlogy": (lambda m, a, b: m.xlogy(a, b), A, B),
    "nansum": (lambda m, a: m.nansum(a, 0), np.array([[NAN, 1.0], [NAN, 2.0]])),
    "nanmean": (lambda m, a: m.nanmean(a, 0), np.array([[NAN, 1.0], [NAN, 2.0]])),
    "isneginf": (lambda m, a: m.isneginf(a), EDGES),
    "isposinf": (lambda m, a: m.isposinf(a), EDGES),
    "isin": (lambda m, a, b: m.isin(a, b), np.array([[1, 2, 9], [4, 7, -3]]), np.array([7, 1, 1, -3])),
    "isin, inverted": (lambda m, a, b: m.isin(a, b, invert=True), np.array([1.5, NAN, 2.0]), np.array([2.0, 5.0])),
    "isin nothing": (lambda m, a: m.isin(a, a[:0]), np.array([1, 2])),
    "kthvalue": (lambda m, a: list(m.kthvalue(a, 3, -1, True)), np.array([[3.0, 1.0, 2.0, 0.0], [9.0, 7.0, 8.0, 6.0]])),
    "histc": (lambda m, a: m.histc(a, 4), np.array([1.0, 2.0, 1.0, 5.0, 4.9])),
    "histc of a range": (lambda m, a: m.histc(a, 5, 0, 10), np.array([-1.0, 0.0, 10.0, 11.0, 4.0, NAN])),
    "histc of equals": (lambda m, a: m.histc(a, 3), np.array([2.0, 2.0])),
    "bucketize": (lambda m, a, b: m.bucketize(a, b), np.array([[3, 6, 9], [1, 5, 7]]), np.array([1, 3, 5, 7, 9])),
    "bucketize to the right": (lambda m, a, b: m.bucketize(a, b, right=True), np.array([3, 6, 9]), np.array([1, 3, 5, 7, 9])),
    "argwhere": (lambda m, a: m.argwhere(a), np.array([[0, 3], [4, 0]])),
    "diff of bools": (lambda m, a: m.diff(a), np.array([True, False, False, True])),
    "tril_indices": (lambda m: m.tril_indices(3, 4, 1),),
    "triu_indices": (lambda m: m.triu_indices(3, 4, -1),),
    "unravel_index": (lambda m, a: list(m.unravel_index(a, (3, 4, 2))), np.array([[0, 23], [7, 13]])),
    "vander, increasing": (lambda m, a: m.vander(a, 3, increasing=True), normal(4)),
    "vander": (lambda m, a: m.vander(a), np.array([1, 2, 3])),
    "atleast_2d": (lambda m, a: m.atleast_2d(a), np.array([1, 2, 3])),
    "vsplit": (lambda m, a: list(m.vsplit(a, [1])), np.array([[1, 2], [3, 4], [5, 6]])),
    "dsplit": (lambda m, a: list(m.dsplit(a, 2)), np.zeros((2, 2, 4))),
    "logdet below 0": (lambda m, a: m.logdet(a), np.array([[0.0, 1.0], [1.0, 0.0]])),
    "logdet of 0": (lambda m, a: m.logdet(a), np.ones((2, 2))),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_against_torch(name):
    f, *arrays = VALUES[name]
    got, wanted = (f(m, *(made(a) for a in arrays)) for m, made in ((mt, mt.tensor), (torch, torch.tensor)))
    for g, w in zip(*(r if isinstance(r, list) else [r] for r in (got, wanted)), strict=True):
        g, w = values(g), values(w)
        assert g.dtype == w.dtype and g.shape == w.shape, f"{g.dtype} {g.shape}, wanted {w.dtype} {w.shape}"
        np.testing.assert_allclose(g, w, rtol=1e-14) if g.dtype.kind == "f" else np.testing.assert_array_equal(g, w)
        if name in ("copysign", "sinc"):
            assert np.array_equal(np.signbit(g[~np.isnan(w)]), np.signbit(w[~np.isnan(w)]))


def test_numbers_and_shapes():
    assert mt.broadcast_shapes((3, 1), 4, (1,)) == tuple(torch.broadcast_shapes((3, 1), 4, (1,)))
    assert mt.broadcast_shapes() == ()
    x = mt.zeros(2, 3)
    assert mt.numel(x) == 6 and mt.is_floating_point(x) and not mt.is_floating_point(mt.tensor([1]))


REFUSED = {
    "kthvalue": (lambda: mt.kthvalue(mt.zeros(3), 4), "k in [1, 3], got 4"),
    "cross": (lambda: mt.cross(mt.zeros(2), mt.zeros(2)), "length 3"),
    "cdist": (lambda: mt.cdist(mt.zeros(2, 3), mt.zeros(2, 4)), "(2, 4)"),
    "diag_embed": (lambda: mt.diag_embed(mt.zeros(2), 0, 1, -1), "two different axes"),
    "rot90": (lambda: mt.rot90(mt.zeros(2, 2), 1, (0, -2)), "two different axes"),
    "hsplit": (lambda: mt.hsplit(mt.zeros(2, 3), 2), "divides 3"),
    "vsplit": (lambda: mt.vsplit(mt.zeros(2), 2), "2 or more axes"),
    "diff": (lambda: mt.diff(mt.zeros(2), -1), "n to be an integer of 0 or more, got -1"),
    "diff, axis": (lambda: mt.diff(mt.zeros(2), 1, 1), "dim in [-1, 0], got 1"),
    "histc": (lambda: mt.histc(mt.zeros(2), 0), "bins"),
    "histc of infinity": (lambda: mt.histc(mt.tensor([1.0, INF])), "finite"),
    "cov": (lambda: mt.cov(mt.zeros(2, 2, 2)), "at most two axes"),
    "combinations": (lambda: mt.combinations(mt.zeros(2, 2)), "a vector"),
    "unravel_index": (lambda: mt.unravel_index(mt.tensor([6]), (2, 3)), "[0, 6)"),
    "tensor_split": (lambda: mt.tensor_split(mt.zeros(2), 0), "1 or more, got 0"),
    "block_diag": (lambda: mt.block_diag(mt.zeros(1, 1, 1)), "two axes"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused(name):
    f, message = REFUSED[name]
    with pytest.raises((ValueError, IndexError), match=re.escape(message)):
        f()


def test_further_names_are_the_functions_themselves():
    same = {"absolute": "abs", "arccos": "acos", "multiply": "mul", "true_divide": "div", "greater": "gt", "vdot": "dot", "trapz": "trapezoid"}
    assert all(getattr(mt, a) is getattr(mt, b) for a, b in same.items())
