"""x += y, methods whose names end in _, and assignment through indices of every kind: values, views, gradients."""

import numpy as np
import pytest
from judges import judge

import miniten as mt

torch = judge("torch")


def both(f, *arrays):
    """f(m, *leaves) -> a tensor; its value and the gradients of its weighted sum agree with torch's."""
    outcomes = []
    for m in (mt, torch):
        leaves = [m.tensor(a, requires_grad=True) for a in arrays]
        out = f(m, *leaves)
        w = np.sin(1.0 + np.arange(int(np.prod(tuple(out.shape))))).reshape(tuple(out.shape))
        (out * m.tensor(w)).sum().backward()
        outcomes.append([out.detach().numpy()] + [np.zeros_like(a) if t.grad is None else t.grad.numpy() for t, a in zip(leaves, arrays)])
    for got, wanted in zip(*outcomes):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)


A = np.random.default_rng(0).normal(size=(3, 4))
B = np.random.default_rng(1).normal(size=(3, 4)) + 3
V = np.random.default_rng(2).normal(size=4)


def assign(t, key, value):
    t[key] = value
    return t


def changed(f):
    def run(m, a, *rest):
        t = a * 1
        f(t, *rest)
        return t * t

    return run


IN_PLACE = {
    "+=": changed(lambda t, b: t.__iadd__(b)),
    "-=": changed(lambda t, b: t.__isub__(b)),
    "*=": changed(lambda t, b: t.__imul__(b)),
    "/=": changed(lambda t, b: t.__itruediv__(b)),
    "**=": changed(lambda t, b: t.mul_(0.1).add_(2).pow_(b)),
    "add_ alpha": changed(lambda t, b: t.add_(b, alpha=3)),
    "mul_ twice": changed(lambda t, b: t.mul_(b).mul_(b)),
    "clamp_": changed(lambda t, b: t.clamp_(-0.5, 0.7).mul_(b)),
    "zero_": changed(lambda t, b: t.zero_().add_(b)),
    "fill_": changed(lambda t, b: t.fill_(2.5).mul_(b)),
    "copy_": changed(lambda t, b: t.copy_(b)),
    "copy_, broadcast": changed(lambda t, b: t.copy_(b[1])),
    "masked_fill_": changed(lambda t, b: t.masked_fill_(b > 3, 0.5)),
    "index_add_": lambda m, a, b: (a * 1).index_add_(0, m.tensor([2, 0]), b[:2]) ** 2,
    "index_copy_": lambda m, a, b: (a * 1).index_copy_(0, m.tensor([2, 0]), b[:2]) ** 2,
    "index_fill_": lambda m, a, b: (a * b).index_fill_(1, m.tensor([2, 0]), 1.5) ** 2,
    "scatter_": lambda m, a, b: (a * 1).scatter_(1, m.tensor([[0, 3], [2, 1], [1, 0]]), b[:, :2]) ** 2,
    "scatter_add_": lambda m, a, b: (a * 1).scatter_add_(1, m.tensor([[0, 3], [2, 2], [1, 0]]), b[:, :2]) ** 2,
    # assignment
    "row": lambda m, a, b: assign(a * 1, 1, b[0]) ** 2,
    "slices": lambda m, a, b: assign(a * 1, (slice(None), slice(1, None, 2)), b[:, :2]) ** 2,
    "broadcast": lambda m, a, b: assign(a * 1, slice(1, None), b[0]) ** 2,
    "a number": lambda m, a, b: assign(a * b, (0, 1), 7.0) ** 2,
    "mask": lambda m, a, b: assign(a * b, (a > 0).detach(), 2.0) ** 2,
    "mask with values": lambda m, a, b: assign(a * 1, a > 0, b[a > 0]) ** 2,
    "rows by list": lambda m, a, b: assign(a * 1, [2, 0], b[:2]) ** 2,
    "columns by tensor": lambda m, a, b: assign(a * 1, (slice(None), m.tensor([3, 1])), b[:, :2]) ** 2,
    "pairs": lambda m, a, b: assign(a * 1, ([0, 2], [3, 1]), b[0, :2]) ** 2,
    "dots and a new axis": lambda m, a, b: assign(a * 1, (Ellipsis, None, 2), b[:, :1]) ** 2,
    "into plain memory": lambda m, a, b: assign(m.zeros(3, 4, dtype=m.float64), (slice(None), 0), a[:, 1] * b[:, 2]) ** 2,
    "many parts": lambda m, a, b: assign(assign(m.zeros(2, 3, 4, dtype=m.float64), 0, a), 1, a * b) ** 2,
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_gradients_pass_through_as_in_torch(name):
    both(IN_PLACE[name], A, B)


@pytest.mark.parametrize("name", ["neg", "exp", "log", "sqrt", "abs", "relu", "sigmoid", "tanh", "square", "reciprocal", "floor", "ceil", "round", "trunc", "sign", "sin", "cos"])
def test_functions_in_place_as_in_torch(name):
    both(changed(lambda t: getattr(t, name + "_")()), B)


def test_what_torch_refuses_is_right_here():
    """An op that saved its own result, or its other operand, when it wrote in place."""
    a, b = mt.tensor(A, requires_grad=True), mt.tensor(A, requires_grad=True)
    t = a * 1
    t.mul_(t).exp_().add_(1).tanh_().neg_()
    t.sum().backward()
    (-mt.tanh(mt.exp(b * b) + 1)).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-12)


def test_the_same_memory_and_object():
    t = mt.tensor(A)
    view, same, address = t[1:], t, t.data_ptr()
    t += 1
    assert t is same and t.data_ptr() == address and np.array_equal(view.numpy(), A[1:] + 1) and t._version == 1
    view *= 2
    assert np.array_equal(t.numpy()[1:], (A[1:] + 1) * 2)
    a = np.asfortranarray(A.copy())
    f = mt.from_numpy(a)
    f -= 1
    f[0] = 5
    f[[1, 2], [0, 3]] = mt.tensor([8.0, 9.0])
    wanted = A - 1
    wanted[0] = 5
    wanted[[1, 2], [0, 3]] = [8, 9]
    assert np.array_equal(a, wanted)
    r = mt.from_numpy(a[::-1, ::2])
    r.zero_()
    assert (a[:, ::2] == 0).all() and (a[:, 1::2] != 0).any()


KEYS = [
    0, -1, slice(None), slice(2, None, -1), (slice(None), 1), (Ellipsis, slice(1, 3)), (None, 1), ([0, 2],), ([[0, 1], [2, 0]],), (slice(None), [3, 1]), ([0, 1], [2, 3]), ([0, 1], slice(1, 3)),
    (1, [0, 2]), (np.array([True, False, True]),), np.random.default_rng(3).random((3, 4)) > 0.5, (slice(None), np.array([True, False, True, False])), (slice(0, 0),), ([],), (np.int64(2), 3),
    ([-1, -2], 0), True, False, ([0, 2], None, [1, 1]),
]


@pytest.mark.parametrize("key", KEYS, ids=lambda k: str(k)[:40])
def test_get_and_set_as_numpy(key):
    a, t = A.copy(), mt.tensor(A)
    assert np.array_equal(t[key].numpy(), a[key]) and t[key].shape == a[key].shape
    values = np.random.default_rng(4).normal(size=a[key].shape)
    for v in (1.5, values, values[..., :1] if values.ndim else values):
        a[key] = v
        t[key] = v
        assert np.array_equal(t.numpy(), a)
    with pytest.raises(ValueError):
        t[key] = np.zeros((7, 7, 7))


def test_repeated_places_keep_the_last_value():
    t = mt.zeros(3)
    t[[1, 1]] = [5.0, 6.0]
    assert t.tolist() == [0, 6, 0]


def test_indices_apart_go_to_the_front_as_in_torch():
    a = np.arange(120.0).reshape(2, 3, 4, 5)
    t, w = mt.tensor(a), torch.tensor(a)
    for key in (([0, 1], slice(None), [1, 2]), (slice(None), [0, 1], slice(None), [1, 2]), ([0, 1], None, [1, 2]), (0, slice(None), [1, 2]), ([[0], [1]], slice(1, 3), [0, 3])):
        assert t[key].shape == tuple(w[key].shape) and np.array_equal(t[key].numpy(), w[key].numpy())
    mask = a[:, :, 0, 0] > 20
    assert np.array_equal(t[mask, :, 2].numpy(), a[mask, :, 2]) and np.array_equal(t[mt.tensor(mask), [0], [0]].numpy(), a[mask, [0], [0]])


def test_a_value_that_was_needed_and_overwritten():
    w = mt.ones(3, requires_grad=True)
    y = mt.exp(w)
    y.mul_(2)
    y.add_(1)
    with pytest.raises(ValueError, match=r"\[exp\] expected the value it saved .*overwritten by add"):
        y.sum().backward()
    x = mt.ones(3)
    y = w * x
    x -= 1
    with pytest.raises(ValueError, match=r"\[mul\] .*overwritten by sub"):
        y.sum().backward()
    x = mt.ones(3)
    y = w * x
    x[0] = 3
    with pytest.raises(ValueError, match=r"\[mul\] .*overwritten by copy"):
        y.sum().backward()


def test_a_view_of_memory_that_the_tape_overwrote():
    w = mt.ones(3, requires_grad=True)
    y = w * 2
    row = y[1:]
    y.mul_(3)
    with pytest.raises(ValueError, match=r"\[add\] .*mul overwrote through another view"):
        row + 1
    assert row.detach().tolist() == [6, 6] and y.tolist() == [6, 6, 6]
    with mt.no_grad():
        assert (row + 1).tolist() == [7, 7]
    buffer = mt.zeros(2, 3)
    buffer[0][1:] = w[1:]
    with pytest.raises(ValueError, match="another view"):
        buffer.sum()
    (y * 1).sum().backward()
    assert w.grad.tolist() == [6, 6, 6]


def test_leaves_are_overwritten_without_gradient_only():
    w = mt.ones(3, requires_grad=True)
    for f in (lambda: w.add_(1), lambda: w.zero_(), lambda: w.__imul__(2), lambda: w.copy_(mt.zeros(3))):
        with pytest.raises(ValueError, match="no_grad"):
            f()
    with mt.no_grad():
        w -= 0.5
        w[1] = 7
        w[[0]] = 2
    assert w.tolist() == [2, 7, 0.5] and w.is_leaf and w.requires_grad
    (w * w).sum().backward()
    assert w.grad.tolist() == [4, 14, 1]


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: mt.tensor([1, 2]).add_(0.5), TypeError, "int64"),
        (lambda: mt.tensor([1, 2]).div_(2), TypeError, "int64"),
        (lambda: mt.tensor([True]).add_(1), TypeError, "bool"),
        (lambda: mt.zeros(3).add_(mt.zeros(2, 3)), ValueError, r"\(3,?\)"),
        (lambda: mt.zeros(3).add_(mt.zeros(4)), ValueError, "add"),
        (lambda: mt.zeros(3).fill_(mt.zeros(3)), ValueError, "fill_"),
        (lambda: mt.zeros(3).copy_(mt.zeros(4)), ValueError, "where|copy"),
        (lambda: mt.from_numpy(np.frombuffer(b"12345678", "float32")).zero_(), ValueError, "read-only"),
        (lambda: mt.trace(lambda t: t.add_(1), (2,)), NotImplementedError, "trace"),
        (lambda: mt.trace(lambda t: assign(t * 1, 0, 1), (2, 2)), NotImplementedError, "trace"),
    ],
)
def test_what_cannot_be_overwritten(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_dtypes_are_kept():
    t = mt.tensor([1, 2], dtype="int8")
    t += 3
    t <<= 1
    t //= 3
    t |= 8
    assert t.dtype == "int8" and t.tolist() == [10, 11]
    h = mt.ones(2, dtype="float16")
    h += mt.ones(2)
    h *= 1.5
    assert h.dtype == "float16" and h.tolist() == [3, 3]
    b = mt.tensor([True, False])
    b ^= mt.tensor([True, True])
    assert b.tolist() == [False, True]
    mt.manual_seed(0)
    assert 0 <= mt.empty(50).uniform_().min().item() and abs(mt.empty(5000).normal_(3, 0.1).mean().item() - 3) < 0.01
