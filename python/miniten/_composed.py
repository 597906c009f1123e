"""Functions of tensors written in other functions, with torch's names and meanings, gradients included."""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple, Sequence

import miniten._core as _c
from miniten import linalg
from miniten._core import DType, Tensor

_FLOATS = (DType.float16, DType.bfloat16, DType.float32, DType.float64)


def _tensor(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else _c.as_tensor(x)


def _axis(who: str, x: Tensor, dim: int) -> int:
    if not -x.ndim <= dim < x.ndim:
        raise IndexError(f"[{who}] expected a dim in [{-x.ndim}, {x.ndim - 1}], got {dim}")
    return dim % x.ndim


def _positive(who: str, name: str, n: int, least: int = 1) -> int:
    if isinstance(n, bool) or not isinstance(n, int) or n < least:
        raise ValueError(f"[{who}] expected {name} to be an integer of {least} or more, got {n!r}")
    return n


# ---- arithmetic ----


def addcmul(input: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
    """input + value * tensor1 * tensor2."""
    return _tensor(input) + _tensor(tensor1) * tensor2 * value


def addcdiv(input: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
    """input + value * tensor1 / tensor2, of floats."""
    return _tensor(input) + _tensor(tensor1) / tensor2 * value


def addmv(input: Any, mat: Any, vec: Any, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta * input + alpha * (mat @ vec): (n,), (n, m), (m,) -> (n,)."""
    product = _c.mv(mat, vec) * alpha
    return product if beta == 0 else _tensor(input) * beta + product


def addr(input: Any, vec1: Any, vec2: Any, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta * input + alpha * outer(vec1, vec2): (n, m), (n,), (m,) -> (n, m)."""
    product = _c.outer(vec1, vec2) * alpha
    return product if beta == 0 else _tensor(input) * beta + product


def copysign(input: Any, other: Any) -> Tensor:
    """The size of input with the sign of other, -0.0 included."""
    size = _c.abs(input)
    return _c.where(signbit(other), -size, size)


def deg2rad(input: Any) -> Tensor:
    """Degrees to radians."""
    return _tensor(input) * (math.pi / 180)


def rad2deg(input: Any) -> Tensor:
    """Radians to degrees."""
    return _tensor(input) * (180 / math.pi)


def clamp_max(input: Any, max: Any) -> Tensor:
    """The smaller of each element and max."""
    return _c.clamp(input, max=max)


def clamp_min(input: Any, min: Any) -> Tensor:
    """The greater of each element and min."""
    return _c.clamp(input, min=min)


def fmax(input: Any, other: Any) -> Tensor:
    """The greater of each pair; a number wins over NaN."""
    a, b = _tensor(input), _tensor(other)
    return _c.where(_c.isnan(b), a, _c.where(_c.isnan(a), b, _c.maximum(a, b)))


def fmin(input: Any, other: Any) -> Tensor:
    """The smaller of each pair; a number wins over NaN."""
    a, b = _tensor(input), _tensor(other)
    return _c.where(_c.isnan(b), a, _c.where(_c.isnan(a), b, _c.minimum(a, b)))


def fmod(input: Any, other: Any) -> Tensor:
    """The rest of a division that rounds towards 0: it has the sign of input, as C's fmod."""
    a, b = _tensor(input), _tensor(other)
    rest = _c.remainder(_c.abs(a), _c.abs(b))
    return _c.where(a < 0, -rest, rest)


def heaviside(input: Any, values: Any) -> Tensor:
    """0 below 0 and at NaN, 1 above 0, values at 0."""
    x, values = _tensor(input), _tensor(values)
    return _c.where(x == 0, values, _c.cast(x > 0, x.dtype))


def hypot(input: Any, other: Any) -> Tensor:
    """sqrt(input**2 + other**2) without overflow."""
    a, b = _tensor(input), _tensor(other)
    most = _c.maximum(_c.abs(a), _c.abs(b)).detach()
    scale = _c.where(_c.logical_and(most > 0, _c.isfinite(most)), most, 1.0)
    return scale * _c.sqrt(_c.square(a / scale) + _c.square(b / scale))


def ldexp(input: Any, other: Any) -> Tensor:
    """input * 2**other."""
    return _tensor(input) * _c.exp2(other)


def logaddexp(input: Any, other: Any) -> Tensor:
    """log(exp(input) + exp(other)) without overflow."""
    a, b = _tensor(input), _tensor(other)
    apart = _c.where(a == b, 0.0, a - b)                       # equal infinities too
    return _c.maximum(a, b) + _c.log1p(_c.exp(-_c.abs(apart)))


def logaddexp2(input: Any, other: Any) -> Tensor:
    """log2(2**input + 2**other) without overflow."""
    a, b = _tensor(input), _tensor(other)
    apart = _c.where(a == b, 0.0, a - b)
    return _c.maximum(a, b) + _c.log1p(_c.exp2(-_c.abs(apart))) * (1 / math.log(2))


def logit(input: Any, eps: float | None = None) -> Tensor:
    """log(p / (1 - p)); with eps, p is kept in [eps, 1 - eps] first."""
    p = _tensor(input)
    if eps is not None:
        p = _c.clamp(p, eps, 1 - eps)
    return _c.log(p) - _c.log1p(-p)


def signbit(input: Any) -> Tensor:
    """Whether the sign bit is set: negative numbers and -0.0."""
    x = _tensor(input)
    return _c.logical_or(x < 0, _c.logical_and(x == 0, _c.reciprocal(x) < 0)) if x.dtype in _FLOATS else x < 0


def sinc(input: Any) -> Tensor:
    """sin(pi x) / (pi x), 1 at 0."""
    x = _tensor(input) * math.pi
    away = _c.where(x == 0, 1.0, x)
    return _c.where(x == 0, 1.0, _c.sin(away) / away)


def xlogy(input: Any, other: Any) -> Tensor:
    """input * log(other), 0 where input is 0 unless other is NaN."""
    a, b = _tensor(input), _tensor(other)
    none = _c.logical_and(a == 0, _c.logical_not(_c.isnan(b)))
    return _c.where(none, 0.0, a * _c.log(_c.where(none, 1.0, b)))


# ---- questions ----


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element occurs among test_elements (or, with invert, does not)."""
    x, tests = _tensor(elements), _c.ravel(test_elements)
    if tests.numel() == 0:
        found = _c.zeros(x.shape, dtype=DType.bool_)
    else:
        tests = _c.sort(_c.cast(tests, _c.promote_types(x.dtype, tests.dtype)))[0]
        at = _c.clamp(_c.searchsorted(tests, x), max=tests.numel() - 1)
        found = tests[at] == x
    return _c.logical_not(found) if invert else found


def isneginf(input: Any) -> Tensor:
    """Whether each element is minus infinity."""
    return _tensor(input) == -math.inf


def isposinf(input: Any) -> Tensor:
    """Whether each element is plus infinity."""
    return _tensor(input) == math.inf


def numel(input: Any) -> int:
    """The number of elements."""
    return _tensor(input).numel()


def is_floating_point(input: Any) -> bool:
    """Whether the dtype is a floating-point one."""
    return _tensor(input).dtype in _FLOATS


# ---- reductions and statistics ----


class MinMax(NamedTuple):
    min: Tensor
    max: Tensor


class Values(NamedTuple):
    values: Tensor
    indices: Tensor


def aminmax(input: Any, *, dim: int | None = None, keepdim: bool = False) -> MinMax:
    """(min, max) of all elements, or along an axis."""
    return MinMax(_c.amin(input, dim, keepdim), _c.amax(input, dim, keepdim))


def nansum(input: Any, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The sum without the NaNs."""
    x = _tensor(input)
    return _c.sum(_c.where(_c.isnan(x), 0, x) if x.dtype in _FLOATS else x, dim, keepdim)


def nanmean(input: Any, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The mean of what is not NaN; NaN where nothing is left."""
    x = _tensor(input)
    there = _c.logical_not(_c.isnan(x))
    return nansum(x, dim, keepdim) / _c.cast(_c.sum(there, dim, keepdim), x.dtype)


def std_mean(input: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: int | None = None) -> tuple[Tensor, Tensor]:
    """(std, mean), as the two functions give them."""
    return _c.std(input, dim, unbiased, keepdim, correction=correction), _c.mean(input, dim, keepdim)


def var_mean(input: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: int | None = None) -> tuple[Tensor, Tensor]:
    """(var, mean), as the two functions give them."""
    return _c.var(input, dim, unbiased, keepdim, correction=correction), _c.mean(input, dim, keepdim)


def kthvalue(input: Any, k: int, dim: int = -1, keepdim: bool = False) -> Values:
    """The k-th smallest (k from 1) along an axis, and where it stood."""
    x = _tensor(input)
    axis = _axis("kthvalue", x, dim)
    if not 1 <= k <= x.shape[axis]:
        raise ValueError(f"[kthvalue] expected k in [1, {x.shape[axis]}], got {k}")
    values, indices = (_c.narrow(t, axis, k - 1, 1) for t in _c.sort(x, axis))
    return Values(values, indices) if keepdim else Values(_c.squeeze(values, axis), _c.squeeze(indices, axis))


def histc(input: Any, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """Counts in bins of equal width from min to max (both 0: the data's), both ends included; others are left out."""
    _positive("histc", "bins", bins)
    x = _c.ravel(input).detach()
    low, high = float(min), float(max)
    if low == high and x.numel():
        if low == 0:
            low, high = float(_c.amin(x).item()), float(_c.amax(x).item())
        if low == high:
            low, high = low - 1, high + 1
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"[histc] expected finite ends with min <= max, got {low} and {high}")
    inside = x[_c.logical_and(x >= low, x <= high)]
    if inside.numel() == 0:
        return _c.zeros((bins,), dtype=x.dtype)
    place = _c.clamp(_c.floor((inside - low) * bins / (high - low)), max=bins - 1)
    return _c.cast(_c.bincount(_c.cast(place, DType.int64), minlength=bins), x.dtype)


def cov(input: Any, *, correction: int = 1) -> Tensor:
    """The covariance of variables in rows: (n, samples) -> (n, n), or a vector -> a number."""
    x = _tensor(input)
    if x.ndim > 2:
        raise ValueError(f"[cov] expected at most two axes, variables and samples, got {tuple(x.shape)}")
    rows = _c.reshape(x, (1, -1)) if x.ndim < 2 else x
    if rows.dtype not in _FLOATS:
        rows = _c.cast(rows, DType.float32)
    rows = rows - _c.mean(rows, 1, True)
    y = rows @ rows.T / float(max(rows.shape[1] - correction, 0))
    return y if x.ndim == 2 else _c.reshape(y, ())


def corrcoef(input: Any) -> Tensor:
    """Pearson's correlation of variables in rows: (n, samples) -> (n, n), inside [-1, 1]."""
    c = cov(input)
    if c.ndim == 0:
        return c / c
    d = _c.sqrt(_c.diagonal(c))
    return _c.clamp(c / _c.unsqueeze(d, 1) / d, -1, 1)


def dist(input: Any, other: Any, p: float = 2) -> Tensor:
    """The p-norm of input - other."""
    return linalg.vector_norm(_tensor(input) - other, p)


def cdist(x1: Any, x2: Any, p: float = 2.0) -> Tensor:
    """Distances in the p-norm between rows: (.., n, d), (.., m, d) -> (.., n, m)."""
    a, b = _tensor(x1), _tensor(x2)
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-1]:
        raise ValueError(f"[cdist] expected (.., n, d) and (.., m, d), got {tuple(a.shape)} and {tuple(b.shape)}")
    return linalg.vector_norm(_c.unsqueeze(a, -2) - _c.unsqueeze(b, -3), p, -1)


def diff(input: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Tensor:
    """Differences of neighbours along an axis, n times, after joining prepend and append to its ends."""
    x = _tensor(input)
    axis = _axis("diff", x, dim)
    _positive("diff", "n", n, 0)
    ends = [_tensor(t) for t in (prepend, x, append) if t is not None]
    if len(ends) > 1:
        x = _c.cat(ends, axis)
    for _ in range(n):
        length = max(x.shape[axis] - 1, 0)
        after, before = _c.narrow(x, axis, x.shape[axis] - length, length), _c.narrow(x, axis, 0, length)
        x = _c.logical_xor(after, before) if x.dtype == DType.bool_ else after - before
    return x


def trapezoid(y: Any, x: Any = None, *, dx: float = 1, dim: int = -1) -> Tensor:
    """The integral by the trapezoidal rule along an axis, at points x or dx apart."""
    return _c.sum(_trapezoids("trapezoid", y, x, dx, dim), dim)


def cumulative_trapezoid(y: Any, x: Any = None, *, dx: float = 1, dim: int = -1) -> Tensor:
    """trapezoid up to each point but the first."""
    return _c.cumsum(_trapezoids("cumulative_trapezoid", y, x, dx, dim), dim)


def _trapezoids(who: str, y: Any, x: Any, dx: float, dim: int) -> Tensor:
    y = _tensor(y)
    axis = _axis(who, y, dim)
    length = max(y.shape[axis] - 1, 0)
    pairs = (_c.narrow(y, axis, 0, length) + _c.narrow(y, axis, y.shape[axis] - length, length)) / 2
    if x is None:
        return pairs * dx
    x = _tensor(x)
    if x.ndim == 1 and y.ndim > 1:
        return pairs * _c.reshape(diff(x), [length if i == axis else 1 for i in range(y.ndim)])
    return pairs * diff(x, dim=dim)


# ---- matrices ----


def cross(input: Any, other: Any, dim: int | None = None) -> Tensor:
    """The cross product along an axis of length 3: dim, or the first such axis."""
    a, b = _c.broadcast_tensors(_tensor(input), _tensor(other))
    if dim is None:
        dim = next((i for i, n in enumerate(a.shape) if n == 3), -1)
    axis = _axis("cross", a, dim)
    if a.shape[axis] != 3:
        raise ValueError(f"[cross] expected an axis of length 3, got {tuple(a.shape)} along {dim}")
    return _c.roll(a, -1, axis) * _c.roll(b, -2, axis) - _c.roll(a, -2, axis) * _c.roll(b, -1, axis)


def inner(input: Any, other: Any) -> Tensor:
    """Products summed over the last axis of both: (.., k), (..', k) -> (.., ..')."""
    a, b = _tensor(input), _tensor(other)
    return a * b if a.ndim == 0 or b.ndim == 0 else _c.tensordot(a, b, ([-1], [-1]))


def logdet(input: Any) -> Tensor:
    """log(det(input)) of square matrices: NaN where the determinant is negative."""
    sign, size = linalg.slogdet(input)
    return _c.where(sign < 0, math.nan, size)


def diag_embed(input: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices with the last axis on their diagonal, in axes dim1 and dim2 of the result."""
    x = _tensor(input)
    n, ndim = x.shape[-1] + abs(offset), x.ndim + 1
    first, second = dim1 % ndim, dim2 % ndim
    if first == second:
        raise ValueError(f"[diag_embed] expected two different axes, got {dim1} and {dim2}")
    before, after = max(-offset, 0), max(offset, 0)
    wide = _c.pad(_c.unsqueeze(x, -2), (after, before))        # a row of every value, where its column is
    rows = _c.unsqueeze(_c.arange(n), 1)
    y = _c.where(_c.unsqueeze(_c.arange(n), 0) == rows + offset, wide, _c.zeros((), dtype=x.dtype))
    return _c.movedim(y, (-2, -1), (first, second))


def block_diag(*tensors: Any) -> Tensor:
    """One matrix with the given ones (vectors are rows, numbers 1x1) along its diagonal."""
    parts = [atleast_2d(t) for t in tensors] or [_c.zeros((1, 0))]
    width, left, rows = sum(t.shape[1] for t in parts), 0, []
    for t in parts:
        if t.ndim != 2:
            raise ValueError(f"[block_diag] expected at most two axes, got {tuple(t.shape)}")
        rows.append(_c.pad(t, (left, width - left - t.shape[1])))
        left += t.shape[1]
    return _c.cat(rows, 0)


def tril_indices(row: int, col: int, offset: int = 0) -> Tensor:
    """(2, n) int64: rows and columns of the lower triangle."""
    return _c.nonzero(_c.tril(_c.ones((row, col)), offset)).T


def triu_indices(row: int, col: int, offset: int = 0) -> Tensor:
    """(2, n) int64: rows and columns of the upper triangle."""
    return _c.nonzero(_c.triu(_c.ones((row, col)), offset)).T


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Tensor:
    """Powers of a vector in columns, the greatest first unless increasing: (n,) -> (n, N)."""
    x = _tensor(x)
    n = x.shape[0] if N is None else _positive("vander", "N", N, 0)
    powers = [_c.ones_like(x)] if n else []
    while len(powers) < n:
        powers.append(powers[-1] * x)
    return _c.stack(powers if increasing else powers[::-1], 1) if powers else _c.zeros((x.shape[0], 0), dtype=x.dtype)


# ---- shapes ----


def argwhere(input: Any) -> Tensor:
    """Indices of the elements that are not 0: (n, ndim) int64."""
    return _c.nonzero(input)


def atleast_1d(input: Any) -> Tensor:
    """A number becomes (1,)."""
    x = _tensor(input)
    return _c.reshape(x, (1,)) if x.ndim == 0 else x


def atleast_2d(input: Any) -> Tensor:
    """A vector becomes one row."""
    x = atleast_1d(input)
    return _c.unsqueeze(x, 0) if x.ndim == 1 else x


def atleast_3d(input: Any) -> Tensor:
    """A matrix becomes (n, m, 1), a vector (1, n, 1)."""
    x = atleast_2d(input)
    return _c.unsqueeze(x, -1) if x.ndim == 2 else x


def broadcast_shapes(*shapes: Sequence[int] | int) -> tuple[int, ...]:
    """The shape that tensors of these shapes broadcast to."""
    rows = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    return tuple(_c.broadcast_tensors(*(_c.broadcast_to(_c.zeros(()), r) for r in rows))[0].shape) if rows else ()


def bucketize(input: Any, boundaries: Any, *, right: bool = False) -> Tensor:
    """The bin of each value between ascending boundaries: boundaries[i - 1] < v <= boundaries[i], or <= v < with right."""
    return _c.searchsorted(boundaries, input, right)


def cartesian_prod(*tensors: Any) -> Tensor:
    """Every combination of one element of each vector: (rows, number of vectors), or the one vector given."""
    parts = [_tensor(t) for t in tensors]
    if len(parts) == 1:
        return parts[0]
    return _c.stack([_c.ravel(g) for g in _c.meshgrid(*parts, indexing="ij")], 1)


def combinations(input: Any, r: int = 2, with_replacement: bool = False) -> Tensor:
    """Choices of r elements of a vector, in its order: (rows, r)."""
    x = _tensor(input)
    if x.ndim != 1:
        raise ValueError(f"[combinations] expected a vector, got {tuple(x.shape)}")
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = list(choose(range(x.shape[0]), _positive("combinations", "r", r, 0)))
    return x[_c.tensor(rows, dtype=DType.int64)] if rows and r else _c.zeros((0, r) if r else (0,), dtype=x.dtype)


def column_stack(tensors: Sequence[Any]) -> Tensor:
    """Vectors as columns, and matrices, side by side."""
    return _c.hstack([_c.reshape(_tensor(t), (-1, 1)) if _tensor(t).ndim < 2 else _tensor(t) for t in tensors])


def rot90(input: Any, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned k times by 90 degrees from the first towards the second of two axes."""
    x = _tensor(input)
    first, second = (_axis("rot90", x, d) for d in dims)
    if first == second:
        raise ValueError(f"[rot90] expected two different axes, got {tuple(dims)}")
    k %= 4
    if k == 0:
        return x.clone()
    if k == 2:
        return _c.flip(x, (first, second))
    turned = _c.flip(x, (second if k == 1 else first,))
    return _c.transpose(turned, first, second)


def select(input: Any, dim: int, index: int) -> Tensor:
    """A view of one index along an axis, without that axis."""
    return _tensor(input).select(dim, index)


def tensor_split(input: Any, indices_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of an axis cut into so many parts, the first ones longer by one where they must be, or at the indices."""
    x = _tensor(input)
    axis = _axis("tensor_split", x, dim)
    size = x.shape[axis]
    if isinstance(indices_or_sections, int):
        n = _positive("tensor_split", "the number of parts", indices_or_sections)
        cuts = [i * (size // n) + min(i, size % n) for i in range(n + 1)]
    else:
        cuts = [0, *(min(max(i + size if i < 0 else i, 0), size) for i in indices_or_sections), size]
    return tuple(_c.narrow(x, axis, a, max(b - a, 0)) for a, b in zip(cuts, cuts[1:]))


def hsplit(input: Any, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """tensor_split along the second axis (the only one of a vector), into equal parts."""
    x = _tensor(input)
    return _even_split("hsplit", x, indices_or_sections, 0 if x.ndim == 1 else 1)


def vsplit(input: Any, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """tensor_split along the first axis of two or more, into equal parts."""
    return _even_split("vsplit", _tensor(input), indices_or_sections, 0, 2)


def dsplit(input: Any, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """tensor_split along the third axis, into equal parts."""
    return _even_split("dsplit", _tensor(input), indices_or_sections, 2, 3)


def _even_split(who: str, x: Tensor, parts: int | Sequence[int], axis: int, ndim: int = 1) -> tuple[Tensor, ...]:
    if x.ndim < max(ndim, axis + 1):
        raise ValueError(f"[{who}] expected {max(ndim, axis + 1)} or more axes, got {tuple(x.shape)}")
    if isinstance(parts, int) and x.shape[axis] % _positive(who, "the number of parts", parts):
        raise ValueError(f"[{who}] expected a number of parts that divides {x.shape[axis]}, got {parts}; tensor_split takes any")
    return tensor_split(x, parts, axis)


def unflatten(input: Any, dim: int, sizes: Sequence[int]) -> Tensor:
    """One axis seen as several; one of sizes may be -1."""
    return _tensor(input).unflatten(dim, sizes)


def unravel_index(indices: Any, shape: Sequence[int]) -> tuple[Tensor, ...]:
    """Flat indices as one index per axis of shape."""
    rest, found = _tensor(indices), []
    if rest.numel() and not 0 <= int(_c.amin(rest).item()) <= int(_c.amax(rest).item()) < math.prod(shape):
        raise ValueError(f"[unravel_index] expected indices in [0, {math.prod(shape)}), got {int(_c.amin(rest).item())} to {int(_c.amax(rest).item())}")
    for n in reversed(tuple(shape)):
        found.append(_c.remainder(rest, n))
        rest = _c.floor_divide(rest, n)
    return tuple(reversed(found))


# Further names for what is there, as NumPy and torch have them.
absolute, arccos, arccosh, arcsin, arcsinh, arctan, arctan2, arctanh = _c.abs, _c.acos, _c.acosh, _c.asin, _c.asinh, _c.atan, _c.atan2, _c.atanh
multiply, subtract, divide, true_divide, negative, fix, sgn = _c.mul, _c.sub, _c.div, _c.div, _c.neg, _c.trunc, _c.sign
greater, greater_equal, less, less_equal, not_equal = _c.gt, _c.ge, _c.lt, _c.le, _c.ne
det, inverse, pinverse, slogdet, matrix_power, cholesky = linalg.det, linalg.inv, linalg.pinv, linalg.slogdet, linalg.matrix_power, linalg.cholesky
vdot, row_stack, trapz = _c.dot, _c.vstack, trapezoid

__all__ = [
    "absolute", "addcdiv", "addcmul", "addmv", "addr", "aminmax", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh",
    "argwhere", "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "broadcast_shapes", "bucketize", "cartesian_prod", "cdist", "cholesky",
    "clamp_max", "clamp_min", "column_stack", "combinations", "copysign", "corrcoef", "cov", "cross", "cumulative_trapezoid", "deg2rad", "det",
    "diag_embed", "diff", "dist", "divide", "dsplit", "fix", "fmax", "fmin", "fmod", "greater", "greater_equal", "heaviside", "histc", "hsplit",
    "hypot", "inner", "inverse", "is_floating_point", "isin", "isneginf", "isposinf", "kthvalue", "ldexp", "less", "less_equal", "logaddexp",
    "logaddexp2", "logdet", "logit", "matrix_power", "multiply", "nanmean", "nansum", "negative", "not_equal", "numel", "pinverse", "rad2deg",
    "rot90", "row_stack", "select", "sgn", "signbit", "sinc", "slogdet", "std_mean", "subtract", "tensor_split", "trapezoid", "trapz", "tril_indices",
    "triu_indices", "true_divide", "unflatten", "unravel_index", "vander", "var_mean", "vdot", "vsplit", "xlogy",
]

# Those that are methods of a tensor too.
_METHODS = (
    "addcdiv", "addcmul", "addmv", "addr", "aminmax", "argwhere", "clamp_max", "clamp_min", "copysign", "corrcoef", "cov", "cross", "deg2rad",
    "diag_embed", "diff", "dist", "dsplit", "fmax", "fmin", "fmod", "heaviside", "histc", "hsplit", "hypot", "inner", "isneginf", "isposinf",
    "kthvalue", "ldexp", "logaddexp", "logaddexp2", "logdet", "logit", "nanmean", "nansum", "rad2deg", "rot90", "signbit", "sinc", "tensor_split",
    "vsplit", "xlogy",
)
for _name in _METHODS:
    setattr(Tensor, _name, globals()[_name])
