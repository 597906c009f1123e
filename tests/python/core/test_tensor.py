"""What a Tensor is to its user: attributes, operators, promotion, indexing, printing."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from judges import judge

import miniten as mt

torch = judge("torch")

DTYPES = ["float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "bool"]
TABLE = Path(__file__).parents[3] / "docs" / "tensor.md"


def test_the_table_in_the_docs_says_what_is_so():
    """Every pair of dtypes: the table of docs/tensor.md, promote_types, and torch where it has both."""
    rows = [[c.strip() for c in line.strip("| \n").split("|")] for line in TABLE.read_text().splitlines() if line.startswith("| **")]
    names = [r[0].strip("*") for r in rows]
    short = {n: n.replace("float", "f").replace("uint", "u").replace("int", "i") for n in names}
    assert len(names) == 13 and set(DTYPES) < set(names)
    for a, row in zip(names, rows):
        for b, said in zip(names, row[1:], strict=True):
            got = str(mt.promote_types(a, b))
            assert said == short[got], (a, b)
            assert (mt.ones(2, dtype=a) + mt.ones(2, dtype=b)).dtype == got or a == b == "bool"
            try:
                wanted = str(torch.promote_types(getattr(torch, a), getattr(torch, b)))
            except RuntimeError:
                continue                                     # torch refuses some pairs of unsigned types
            assert f"torch.{got}" == wanted, (a, b)


@pytest.mark.parametrize("a, b", list(itertools.product(DTYPES, DTYPES)))
def test_add_promotes_as_torch(a, b):
    wanted = (torch.ones(2, dtype=getattr(torch, a)) + torch.ones(2, dtype=getattr(torch, b))).dtype
    assert f"torch.{mt.promote_types(a, b)}" == str(wanted)
    got = mt.ones(2, dtype=a) + mt.ones(2, dtype=b)
    assert f"torch.{got.dtype}" == str(wanted)
    assert got.float().tolist() == (torch.ones(2, dtype=getattr(torch, a)) + torch.ones(2, dtype=getattr(torch, b))).float().tolist()


@pytest.mark.parametrize("a, b", list(itertools.product(DTYPES, DTYPES)))
def test_a_scalar_tensor_is_weaker_as_in_torch(a, b):
    wanted = (torch.ones(2, dtype=getattr(torch, a)) * torch.ones((), dtype=getattr(torch, b))).dtype
    assert f"torch.{(mt.ones(2, dtype=a) * mt.ones((), dtype=b)).dtype}" == str(wanted)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("number", [2, 2.5, True])
def test_numbers_are_weaker_as_in_torch(dtype, number):
    x, y = mt.ones(2, dtype=dtype), torch.ones(2, dtype=getattr(torch, dtype))
    for f in (lambda t: t + number, lambda t: number * t, lambda t: t / number):
        assert f"torch.{f(x).dtype}" == str(f(y).dtype)
        assert f(x).float().tolist() == f(y).float().tolist()


def test_unsigned_dtypes_add():
    for dtype in ("uint16", "uint32", "uint64"):
        t = mt.tensor([1, 2], dtype=dtype)
        assert (t + t).dtype == dtype and (t + t).tolist() == [2, 4] and (t * 2.5).dtype == "float32"


def test_integers_beyond_float64_are_exact():
    t = mt.tensor([2**53 + 1])
    assert (t + 2).item() == 2**53 + 3 and (t == 2**53 + 1).item() is True
    assert (mt.tensor([0]) + (2**53 + 1)).item() == 2**53 + 1


def test_attributes():
    t = mt.Tensor([[1, 2, 3], [4, 5, 6]], dtype="float32", requires_grad=True)
    assert t.shape == (2, 3) and t.ndim == t.dim() == 2 and t.numel() == 6 and t.size() == (2, 3) and t.size(-1) == 3 and len(t) == 2
    assert t.dtype == "float32" and t.requires_grad and t.is_leaf and t.grad is None and t.grad_fn is None
    assert (t * 2).grad_fn == "mul" and not (t * 2).is_leaf
    assert t.T.shape == (3, 2) and t.T.strides == (1, 3) and not t.T.is_contiguous() and t.T.contiguous().is_contiguous()
    assert [r.tolist() for r in t] == [[1, 2, 3], [4, 5, 6]]
    assert 3.0 in t and 7.0 not in t
    assert float(t[0, 0]) == 1.0 and int(t[1, 2]) == 6 and bool(t[0, 0]) and f"{t[0, 1]:.2f}" == "2.00"
    assert [10, 20, 30][mt.tensor(1)] == 20
    with pytest.raises(IndexError, match="axis"):
        t.size(2)
    for f, error in [(len, TypeError), (iter, TypeError)]:
        with pytest.raises(error):
            f(mt.tensor(1.0))
    with pytest.raises(ValueError, match="one element"):
        bool(t)
    with pytest.raises(ValueError, match="one element"):
        t.item()
    with pytest.raises(TypeError):
        [1][mt.tensor(0.5)]
    d = {t: 1}
    assert d[t] == 1 and mt.tensor(1.0) not in d


def test_data_shares_and_replaces():
    p = mt.Parameter([1.0, 2.0])
    assert not p.data.requires_grad
    p.data[0] = 5
    assert p.tolist() == [5, 2]
    same = p
    p.data = np.array([7, 8, 9], "float32")
    assert same is p and p.tolist() == [7, 8, 9] and p.requires_grad
    with pytest.raises(TypeError, match="floating"):
        p.data = np.array([1, 2])


def test_grad_may_be_set():
    t = mt.ones(2, requires_grad=True)
    t.grad = np.array([1, 2], "float32")
    assert t.grad.tolist() == [1, 2]
    t.grad = None
    assert t.grad is None
    with pytest.raises(ValueError, match=r"\(2,\)"):
        t.grad = mt.ones(3)
    with pytest.raises(TypeError, match="float32"):
        t.grad = mt.ones(2, dtype="float64")


def test_requires_grad_is_for_floating_leaves():
    for make in (lambda: mt.tensor([1], requires_grad=True), lambda: mt.Tensor([1], requires_grad=True), lambda: mt.Parameter([1]), lambda: mt.tensor([1]).requires_grad_()):
        with pytest.raises(TypeError, match="floating"):
            make()
    with pytest.raises(ValueError, match="detach"):
        (mt.ones(1, requires_grad=True) * 2).requires_grad = False
    assert not mt.Parameter([1.0], requires_grad=False).requires_grad


def test_creation():
    assert mt.zeros(2, 3).shape == mt.zeros((2, 3)).shape == mt.zeros([2, 3]).shape == (2, 3)
    assert mt.ones(2, dtype="int8").tolist() == [1, 1] and mt.full((2,), 3).dtype == "int64" and mt.full(2, 0.5).tolist() == [0.5, 0.5]
    assert mt.full((2, 0), 1.0).shape == (2, 0)
    for args in [(5,), (1, 4), (5, 1, -2), (0, 1, 0.25), (1.0,), (3, 3)]:
        a, b = mt.arange(*args), torch.arange(*args)
        assert a.tolist() == b.tolist() and f"torch.{a.dtype}" == str(b.dtype), args
    assert mt.arange(2, 1).shape == (0,)
    assert mt.eye(2, 3).tolist() == [[1, 0, 0], [0, 1, 0]] and mt.eye(2).tolist() == [[1, 0], [0, 1]]
    r = mt.rand(10000)
    assert 0 <= r.min().item() and r.max().item() < 1 and abs(r.mean().item() - 0.5) < 0.02
    n = mt.randn(100, 100, dtype="float64")
    assert n.dtype == "float64" and abs(n.mean().item()) < 0.05 and abs(n.std().item() - 1) < 0.05
    for bad in [lambda: mt.zeros(-1), lambda: mt.zeros(2**40, 2**40), lambda: mt.rand(-2), lambda: mt.full((-1,), 1), lambda: mt.eye(-1), lambda: mt.arange(0, 1, 0)]:
        with pytest.raises(ValueError):
            bad()
    with pytest.raises(TypeError):
        mt.rand(2, dtype="int32")
    with pytest.raises(ValueError):
        mt.zeros(*[1] * 9)


def test_seeds_repeat_and_leave_numpy_alone():
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    mt.manual_seed(7)
    a = mt.randn(5).tolist()
    mt.manual_seed(7)
    assert mt.randn(5).tolist() == a and mt.randn(5).tolist() != a
    assert np.array_equal(np.random.get_state()[1], before)


INDICES = [
    0, -1, slice(None), slice(1, 3), slice(None, None, 2), slice(None, None, -1), slice(3, 0, -2), slice(5, 1), Ellipsis, None, (0, 1), (0, 1, 2), (Ellipsis, 0),
    (slice(None), 0), (None, 0), (0, None, Ellipsis), (slice(None), None, slice(1, 2)), (Ellipsis, slice(1, 3), 0), [0, 2], [-1, 0, 0], (slice(None), [0, 2]),
    (0, [0, 1, 1]), ([0, 1], [1, 2]), ([[0], [1]], [0, 2]), (slice(None), [0, 1], [1, 3]), ([], slice(None)), (slice(0, 0),), np.array([1, 0]), np.int64(1), True and 1,
]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_indexing_reads_as_numpy(index):
    a = np.arange(24.0).reshape(2, 3, 4)
    b = a[[0, 1, 0]] if isinstance(index, list) and max(index, default=0) == 2 else a
    try:
        wanted = b[index]
    except IndexError:
        b = np.arange(48.0).reshape(4, 3, 4)
        wanted = b[index]
    got = mt.tensor(b)[index]
    assert got.shape == wanted.shape and got.tolist() == wanted.tolist()


def test_masks_read_as_numpy():
    a = np.arange(24.0).reshape(2, 3, 4)
    t = mt.tensor(a)
    for mask in (a > 7, np.zeros((2, 3, 4), bool), np.array([True, False]), np.array([[True, False, True], [False, False, True]])):
        assert t[mask].tolist() == a[mask].tolist() and t[mt.tensor(mask)].tolist() == a[mask].tolist() and t[mask].shape == a[mask].shape
    assert t[:, np.array([True, False, True])].tolist() == a[:, [0, 2]].tolist()
    assert t[mt.tensor(1)].shape == (3, 4)


@pytest.mark.parametrize(
    "index, error",
    [
        (2, IndexError), (-3, IndexError), ((0, 3), IndexError), ((0, 0, 0, 0), IndexError), ((Ellipsis, Ellipsis), IndexError), ("a", TypeError), (1.5, TypeError),
        ([0.5], TypeError), ([5], IndexError), ([[-3]], IndexError), (([0], [3]), IndexError), (np.zeros((2, 2), bool), IndexError), (([0], slice(None), [4]), IndexError),
        (([0, 1], [0, 1, 2]), ValueError), (slice(None, None, 0), ValueError),
    ],
    ids=str,
)
def test_wrong_indices_are_refused(index, error):
    with pytest.raises(error):
        mt.zeros(2, 3, 4)[index]


def test_slices_are_views():
    t = mt.zeros(3, 4)
    t[1:, ::2].numpy()[...] = 5
    assert t.tolist() == [[0, 0, 0, 0], [5, 0, 5, 0], [5, 0, 5, 0]]
    t[0] = np.arange(4)
    t[1, 1:3] = -1
    t[:, -1] = [7, 8, 9]
    assert t.tolist() == [[0, 1, 2, 7], [5, -1, -1, 8], [5, 0, 5, 9]]
    t[t < 0] = 0
    t[2:, None] = 3
    assert t.tolist() == [[0, 1, 2, 7], [5, 0, 0, 8], [3, 3, 3, 3]]
    t[...] = mt.ones(1, dtype="int64")
    assert t.sum().item() == 12 and t.dtype == "float32"
    i = mt.zeros(2, dtype="int32")
    i[0] = True
    i[1] = np.int64(5)
    assert i.tolist() == [1, 5]
    for index, value, error in [(3, 0, IndexError), (0, [1, 2], ValueError), ([0, 9], 0, IndexError), (0, "a", TypeError)]:
        with pytest.raises(error):
            t[index] = value
    with pytest.raises(ValueError, match="int32"):
        i[0] = 2**40


def test_overwriting_is_kept_from_the_tape():
    w = mt.ones(3, requires_grad=True)
    with pytest.raises(ValueError, match="no_grad"):
        w[0] = 2
    with mt.no_grad():
        w[0] = 2
    x = mt.ones(3)
    y = w * x
    x[0] = 5
    with pytest.raises(ValueError, match=r"\[mul\].*overwritten"):
        y.sum().backward()
    (w * x).sum().backward()
    assert w.grad.tolist() == [5, 1, 1]


def test_bool_tensors_combine():
    a, b = mt.tensor([True, True, False, False]), mt.tensor([True, False, True, False])
    assert (a & b).tolist() == [True, False, False, False] and (a | b).tolist() == [True, True, True, False]
    assert (a ^ b).tolist() == [False, True, True, False] and (~a).tolist() == [False, False, True, True]
    assert not a.all().item() and a.any().item() and mt.tensor([[1, 0], [2, 3]]).all(1).tolist() == [False, True]
    assert mt.zeros(0).all().item() and not mt.zeros(0).any().item()
    with pytest.raises(TypeError, match="bool"):
        mt.tensor([1.0]) & mt.tensor([2.0])


def test_methods_match_torch_values():
    a = np.random.default_rng(1).normal(size=(3, 4)).astype("float32")
    x, y = mt.tensor(a), torch.tensor(a)
    for f in [
        lambda t: t.argmax(), lambda t: t.argmax(0), lambda t: t.argmin(1, keepdim=True), lambda t: t.argmin(dim=-1), lambda t: t // 0.5, lambda t: t.floor(), lambda t: t.ceil(),
        lambda t: t.round(), lambda t: t.sign(), lambda t: (t > 0).sum(), lambda t: (t > 0).sum(1), lambda t: t.nonzero(), lambda t: (t > 0.5).nonzero(), lambda t: t.max(), lambda t: t.min(),
        lambda t: t.sum(-1), lambda t: t.mean(axis=0) if isinstance(t, mt.Tensor) else t.mean(0), lambda t: t >= 0, lambda t: 0 < t, lambda t: t != t, lambda t: t.int(), lambda t: t.long() * 2,
        lambda t: t.half().float(), lambda t: t.bool(), lambda t: t.double(), lambda t: t.bfloat16().float(), lambda t: -t, lambda t: +t, lambda t: abs(t), lambda t: 2 - t, lambda t: t.expand_as(t),
    ]:
        got, wanted = f(x), f(y)
        assert f"torch.{got.dtype}" == str(wanted.dtype)
        np.testing.assert_allclose(got.numpy(), wanted.numpy(), rtol=1e-6)
    assert mt.tensor([1.0, 3.0, 3.0]).argmax().item() == 1 and mt.tensor([1.0, float("nan"), 3.0]).argmax().item() == 1
    assert [p.shape for p in mt.zeros(5).split(2)] == [(2,), (2,), (1,)]


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: mt.zeros(2, 3) @ mt.zeros(2, 3), ValueError, "matmul"),
        (lambda: mt.zeros(2, 3) + mt.zeros(4), ValueError, "add"),
        (lambda: mt.zeros(2, 3).reshape(4, 2), ValueError, "reshape"),
        (lambda: mt.zeros(2, 3).reshape(-1, -1), ValueError, "reshape"),
        (lambda: mt.zeros(2, 3).sum(2), IndexError, "sum"),
        (lambda: mt.zeros(2, 3).sum("a"), TypeError, "sum"),
        (lambda: mt.zeros(2, 3).sum((0, 0)), ValueError, "sum"),
        (lambda: mt.zeros(2, 3).permute(0, 0), ValueError, "permute"),
        (lambda: mt.zeros(2, 3).transpose(0, 5), IndexError, "transpose"),
        (lambda: mt.zeros(2, 3).expand(3, 3), ValueError, "expand"),
        (lambda: mt.cat([mt.zeros(2, 3), mt.zeros(2, 4)]), ValueError, "con?cat"),
        (lambda: mt.cat([]), ValueError, "cat"),
        (lambda: mt.cat([mt.zeros(1), "a"]), TypeError, "cat"),
        (lambda: mt.stack([mt.zeros(2), mt.zeros(3)]), ValueError, "stack|concat"),
        (lambda: mt.zeros(4).split([1, 2]), ValueError, "split"),
        (lambda: mt.zeros(4).split(0), ValueError, "split"),
        (lambda: mt.pad(mt.zeros(2, 2), (1,)), ValueError, "pad"),
        (lambda: mt.pad(mt.zeros(2, 2), (-1, 0)), ValueError, "pad"),
        (lambda: mt.gather(mt.zeros(2, 2), 1, mt.tensor([[2]])), IndexError, "gather"),
        (lambda: mt.gather(mt.zeros(2, 2), 1, mt.tensor([[0.5]])), TypeError, "gather"),
        (lambda: mt.take(mt.zeros(2, 2), [5]), IndexError, "gather|take"),
        (lambda: mt.zeros(0).max(), ValueError, "max"),
        (lambda: mt.zeros(0).argmax(), ValueError, "argmax"),
        (lambda: mt.zeros(2, 3).to("float33"), TypeError, "to"),
        (lambda: mt.relu("a"), TypeError, "relu"),
        (lambda: mt.where(mt.zeros(2), 1.0, 2.0), TypeError, "where"),
        (lambda: mt.tensor([1, 2]) // 0, ValueError, "floor_divide"),
        (lambda: mt.tensor([1, 2]).mean(), TypeError, "mean"),
        (lambda: mt.nn.functional.conv2d(mt.zeros(1, 3, 8, 8), mt.zeros(4, 2, 3, 3)), ValueError, "conv2d"),
        (lambda: mt.nn.functional.conv2d(mt.zeros(8, 8), mt.zeros(4, 3, 3, 3)), ValueError, "conv2d"),
        (lambda: mt.nn.functional.conv2d(mt.zeros(1, 3, 2, 2), mt.zeros(4, 3, 3, 3)), ValueError, "conv2d"),
        (lambda: mt.nn.functional.max_pool2d(mt.zeros(1, 3, 2, 2), 3), ValueError, "max_pool2d"),
        (lambda: mt.nn.functional.linear(mt.zeros(2, 3), mt.zeros(4, 5)), ValueError, "linear|matmul"),
        (lambda: mt.nn.functional.cross_entropy(mt.zeros(2, 3), np.array([0, 3])), (IndexError, ValueError), "3"),
        (lambda: mt.nn.functional.cross_entropy(mt.zeros(2, 3), np.array([0, -1])), (IndexError, ValueError), "-1"),
        (lambda: mt.nn.functional.cross_entropy(mt.zeros(2, 3), np.array([0.0, 1.0])), (TypeError, ValueError), "float"),
        (lambda: mt.nn.functional.dropout(mt.zeros(2), 1.5), ValueError, "dropout"),
        (lambda: mt.ones(2).backward(), ValueError, "backward"),
        (lambda: mt.ones(2, requires_grad=True).backward(), ValueError, "backward"),
        (lambda: mt.set_num_threads(0), ValueError, "thread"),
    ],
)
def test_errors_name_the_op(call, error, words):
    with pytest.raises(error) as caught:
        call()
    text = str(caught.value)
    assert text.startswith("[") and " expected " in text and ", got " in text, text
    import re

    assert re.search(words, text), text


PRINTED = [
    1.5, 3, True, [1.0, 2.0], [1.5, -2.25], [1e-5, 1.0], [1e10, 1.0], [float("nan"), float("inf"), 1.0], [[1, 20], [300, 4]], [[True, False]], [], [[], []],
    [[[1.0, 2.0], [3.0, 4.5]]] * 2, [0.1] * 30, [100000.5, 2.0], [0.0, 0.0], [-1.0, 1e-3], [123456789.0],
]


@pytest.mark.parametrize("data", PRINTED, ids=lambda d: str(d)[:30])
def test_repr_is_torchs(data):
    assert repr(mt.tensor(data)) == repr(torch.tensor(data))


def test_repr_of_large_and_other_tensors():
    for a in (np.arange(2000.0, dtype="float32"), np.arange(4000.0, dtype="float32").reshape(4, 10, 100), np.arange(1200).reshape(30, 40)):
        assert repr(mt.tensor(a)) == repr(torch.tensor(a))
    for dtype in ("float64", "float16", "int8"):
        assert repr(mt.ones(2, dtype=dtype)) == repr(torch.ones(2, dtype=getattr(torch, dtype))).replace("torch.", "miniten.")
    x = mt.ones(2, requires_grad=True)
    assert repr(x) == "tensor([1., 1.], requires_grad=True)" and repr(x * 2) == "tensor([2., 2.], grad_fn=<mul>)"
    assert repr(mt.Parameter([1.0])) == "Parameter containing:\ntensor([1.], requires_grad=True)"
    seen = []
    mt.trace(lambda t: (seen.append(repr(t)), t + 1)[1], (2, 3))
    assert seen == ["tensor(<traced>, size=(2, 3), dtype=miniten.float32)"]


@pytest.mark.parametrize("limits", [(1, 2), (None, 2), (0.5, 2), (0, 2.5)], ids=str)
def test_clamp_keeps_integers(limits):
    torch = judge("torch")
    values = [-3, 0, 1, 2, 7]
    got, wanted = mt.tensor(values).clamp(*limits), torch.tensor(values).clamp(*limits)
    assert str(got.dtype).split(".")[-1] == str(wanted.dtype).split(".")[-1]
    assert got.tolist() == wanted.tolist()
    x = mt.tensor(values)
    assert x.clamp_(0, 2).tolist() == [0, 0, 1, 2, 2] and x.dtype == mt.int64
    with pytest.raises(TypeError, match="min or max"):
        x.clamp()


def test_memory_waits_for_the_next_tensors_until_it_is_given_back():
    mt.empty_cache()
    assert mt.cached_bytes() == 0
    large = mt.zeros(1 << 20)
    address = large.numpy().ctypes.data
    del large
    assert 4 << 20 <= mt.cached_bytes() <= 5 << 20
    again = mt.zeros(1 << 20)
    assert again.numpy().ctypes.data == address and mt.cached_bytes() == 0
    del again
    mt.empty_cache()
    assert mt.cached_bytes() == 0
