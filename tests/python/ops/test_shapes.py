"""Any shape: broadcast, of size 1, empty, strided, odd; values and gradients against torch. Shapes are drawn by hypothesis."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from judges import judge
from parity import agree

import miniten as mt

torch = judge("torch")

SIZES = st.sampled_from([0, 1, 1, 2, 3, 5, 7, 17])
quick = settings(max_examples=30, deadline=None, derandomize=True, database=None)


@st.composite
def arrays(draw, shape=None, least_rank=0, most_rank=4, positive=False):
    """Values no two of which are close, laid out as they come: transposed, with steps, backwards, or in Fortran's order."""
    if shape is None:
        shape = tuple(draw(st.lists(SIZES, min_size=least_rank, max_size=most_rank)))
    n = int(np.prod(shape))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    values = (rng.permutation(n) + 1.0) / (n + 2) * 3 - (0 if positive else 1.5)
    a = values.reshape(shape)
    how = draw(st.sampled_from(["plain", "turned", "steps", "fortran", "backwards"]))
    if how == "turned" and a.ndim > 1:
        a = np.ascontiguousarray(a.T).T
    elif how == "fortran":
        a = np.asfortranarray(a)
    elif how in ("steps", "backwards") and a.ndim:
        step = 2 if how == "steps" else -1
        wide = np.zeros((*a.shape[:-1], a.shape[-1] * 2))
        place = wide[..., ::2] if step == 2 else wide[..., : a.shape[-1]][..., ::-1]
        place[...] = a
        a = place
    return a


@st.composite
def pairs(draw, count=2, positive=False):
    """Shapes that broadcast: of one common shape each drops axes in front and has ones in some places."""
    common = draw(st.lists(SIZES, max_size=4))
    given_ = []
    for _ in range(count):
        own = [1 if draw(st.booleans()) and draw(st.booleans()) else d for d in common]
        own = own[draw(st.integers(0, len(own))) if draw(st.booleans()) else 0 :]
        given_.append(draw(arrays(tuple(own), positive=positive)))
    return given_


def tensors(m, given_):
    out = []
    for a in given_:
        if m is mt:
            t = mt.as_tensor(a)                       # shares memory, strides and all
        else:
            t = torch.from_numpy(a if all(s >= 0 for s in a.strides) else a.copy())
        out.append(t.requires_grad_())
    return out


def compare(f, given_, within=1e-9):
    """Value and gradient of f(m, *tensors) in both libraries; a refusal of torch must be a refusal here."""
    theirs = tensors(torch, given_)
    try:
        wanted = f(torch, *theirs)
    except (RuntimeError, IndexError, ValueError) as refusal:
        with pytest.raises((ValueError, IndexError, TypeError, NotImplementedError)):
            f(mt, *tensors(mt, given_))
        assume(refusal is None)
    ours = tensors(mt, given_)
    got = f(mt, *ours)
    agree(got.detach().numpy(), wanted.detach().numpy(), within)
    if not wanted.requires_grad:
        return
    weights = np.sin(1.0 + np.arange(wanted.numel())).reshape(tuple(wanted.shape))
    (wanted * torch.tensor(weights)).sum().backward()
    (got * mt.tensor(weights)).sum().backward()
    for x, y in zip(ours, theirs):
        if y.grad is not None:
            agree(x.grad.numpy(), y.grad.numpy(), within)


UNARY = {
    "relu": lambda m, x: m.relu(x), "exp": lambda m, x: m.exp(x), "tanh": lambda m, x: m.tanh(x), "sigmoid": lambda m, x: m.sigmoid(x), "erf": lambda m, x: m.erf(x),
    "sin": lambda m, x: m.sin(x), "square": lambda m, x: m.square(x), "neg": lambda m, x: -x, "abs": lambda m, x: m.abs(x), "floor": lambda m, x: m.floor(x * 5) * x,
    "clamp": lambda m, x: x.clamp(-0.5, 0.7), "gelu": lambda m, x: m.nn.functional.gelu(x), "silu": lambda m, x: m.nn.functional.silu(x),
    "softplus": lambda m, x: m.nn.functional.softplus(x), "elu": lambda m, x: m.nn.functional.elu(x, 0.7), "leaky_relu": lambda m, x: m.nn.functional.leaky_relu(x, 0.2),
    "hardswish": lambda m, x: m.nn.functional.hardswish(x * 4.1), "atan": lambda m, x: m.atan(x), "expm1": lambda m, x: m.expm1(x), "clone": lambda m, x: x.clone() * x,
    "ravel": lambda m, x: x.ravel() * 2, "T": lambda m, x: x.mT * 2, "flip": lambda m, x: m.flip(x, (-1,)) * x, "unsqueeze": lambda m, x: x.unsqueeze(-1) * x.unsqueeze(-2),
    "contiguous": lambda m, x: x.contiguous() * 3,
}
POSITIVE = {"log": lambda m, x: m.log(x), "sqrt": lambda m, x: m.sqrt(x), "rsqrt": lambda m, x: m.rsqrt(x), "log1p": lambda m, x: m.log1p(x), "reciprocal": lambda m, x: m.reciprocal(x)}
BINARY = {
    "add": lambda m, a, b: a + b, "sub": lambda m, a, b: a - b, "mul": lambda m, a, b: a * b, "maximum": lambda m, a, b: m.maximum(a, b + 1e-3), "minimum": lambda m, a, b: m.minimum(a, b + 1e-3),
    "where": lambda m, a, b: m.where(a > b, a * 2, b * 3), "atan2": lambda m, a, b: m.atan2(a, b), "lerp": lambda m, a, b: m.lerp(a, b, 0.3) if m is mt else a + 0.3 * (b - a),
    "greater": lambda m, a, b: (a > b) * 1.0, "in place": lambda m, a, b: (m.broadcast_to(a, m.broadcast_tensors(a, b)[0].shape) * 1).add_(b),
}
QUOTIENTS = {"div": lambda m, a, b: a / b, "pow": lambda m, a, b: a**b, "remainder": lambda m, a, b: (a % b) * a.detach()}
ALONG = {
    "sum": lambda m, x, d, k: x.sum(d, keepdim=k), "mean": lambda m, x, d, k: x.mean(d, keepdim=k), "amax": lambda m, x, d, k: m.amax(x, d, keepdim=k), "amin": lambda m, x, d, k: m.amin(x, d, keepdim=k),
    "var": lambda m, x, d, k: x.var(d, correction=0, keepdim=k), "logsumexp": lambda m, x, d, k: m.logsumexp(x, d, keepdim=k), "prod": lambda m, x, d, k: x.prod(d, keepdim=k),
    "argmax": lambda m, x, d, k: x.argmax(d, keepdim=k), "softmax": lambda m, x, d, k: m.softmax(x, d), "log_softmax": lambda m, x, d, k: m.log_softmax(x, d),
    "cumsum": lambda m, x, d, k: x.cumsum(d), "sort": lambda m, x, d, k: m.sort(x, dim=d)[0], "argsort": lambda m, x, d, k: m.argsort(x, dim=d), "median": lambda m, x, d, k: x.median(d, keepdim=k) if m is mt else x.median(d, keepdim=k)[0],
    "select": lambda m, x, d, k: x.movedim(d, 0)[0] * 2, "cat": lambda m, x, d, k: m.cat([x, x * 2, x], d), "stack": lambda m, x, d, k: m.stack([x, x * 2], d), "flip": lambda m, x, d, k: m.flip(x, (d,)) * x,
    "roll": lambda m, x, d, k: m.roll(x, 2, d) * x, "unbind": lambda m, x, d, k: sum(p * i for i, p in enumerate(m.unbind(x, d), 1)) if x.shape[d] else x.sum(), "halves": lambda m, x, d, k: m.narrow(x, d, 0, x.shape[d] // 2) * 2,
}


@pytest.mark.parametrize("name", UNARY)
@quick
@given(arrays())
def test_of_one(name, a):
    compare(UNARY[name], [a])


@pytest.mark.parametrize("name", POSITIVE)
@quick
@given(arrays(positive=True))
def test_of_one_positive(name, a):
    compare(POSITIVE[name], [a])


@pytest.mark.parametrize("name", BINARY)
@quick
@given(pairs())
def test_of_two(name, both):
    compare(BINARY[name], both)


@pytest.mark.parametrize("name", QUOTIENTS)
@quick
@given(pairs(positive=True))
def test_of_two_positive(name, both):
    compare(QUOTIENTS[name], both)


@quick
@given(pairs(count=3))
def test_of_three(three):
    compare(lambda m, a, b, c: m.where(a > 0, b, c) * a, three)


@pytest.mark.parametrize("name", ALONG)
@quick
@given(arrays(least_rank=1), st.data())
def test_along_an_axis(name, a, data):
    axis, keep = data.draw(st.integers(-a.ndim, a.ndim - 1)), data.draw(st.booleans())
    compare(lambda m, x: ALONG[name](m, x, axis, keep), [a], 1e-8)


@quick
@given(arrays(), st.data())
def test_over_several_axes(a, data):
    axes = tuple(data.draw(st.sets(st.integers(0, max(a.ndim - 1, 0)), max_size=a.ndim)))
    for f in (lambda m, x: x.sum(axes), lambda m, x: (x * x).mean(axes, keepdim=True), lambda m, x: m.amax(x, axes)):
        compare(f, [a])


@quick
@given(st.lists(SIZES, max_size=2), SIZES, SIZES, SIZES, st.data())
def test_products(batch, m_, k, n, data):
    left = batch[data.draw(st.integers(0, len(batch))):]
    right = [1 if data.draw(st.booleans()) else d for d in batch]
    a = data.draw(arrays((*left, m_, k) if data.draw(st.booleans()) else (k,)))
    b = data.draw(arrays((*right, k, n) if data.draw(st.booleans()) else (k,)))
    compare(lambda m, x, y: x @ y, [a, b])


@quick
@given(st.lists(st.tuples(SIZES, st.integers(-8, 8), st.integers(-8, 8), st.integers(1, 3)), min_size=1, max_size=3), st.data())
def test_slices(axes, data):
    a = data.draw(arrays(tuple(size for size, *_ in axes)))
    index = tuple(slice(start, stop, step) if data.draw(st.booleans()) else slice(None) for _, start, stop, step in axes)
    compare(lambda m, x: x[index] * 2, [a])


@quick
@given(arrays(least_rank=1), st.data())
def test_rows_by_an_index(a, data):
    assume(a.shape[0] > 0)
    index = np.array(data.draw(st.lists(st.integers(-a.shape[0], a.shape[0] - 1), max_size=4)), np.int64)
    compare(lambda m, x: x[m.tensor(index)] * 2, [a])
    compare(lambda m, x: x[x > 0.3] * 2, [a])


@quick
@given(st.integers(0, 3), st.integers(1, 5), st.integers(1, 9), st.integers(1, 9), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2), st.data())
def test_convolutions_and_pools(n, c, h, w, r, s, padding, stride, data):
    x = data.draw(arrays((n, c, h, w)))
    weight = data.draw(arrays((3, c, r, s)))
    compare(lambda m, a, b: m.nn.functional.conv2d(a, b, stride=stride, padding=padding), [x, weight])
    if padding <= min(r, s) // 2:
        compare(lambda m, a: m.nn.functional.max_pool2d(a, (r, s), stride, padding), [x])
        compare(lambda m, a: m.nn.functional.avg_pool2d(a, (r, s), stride, padding), [x])
