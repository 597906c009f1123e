"""Gradient modes, grad, Function, registered ops, gradcheck."""

import ctypes
import gc
import resource
import threading
import weakref

import numpy as np
import pytest
from parity import flat, replayed, values

import miniten as mt
from miniten import autograd


def leaf(*data):
    return mt.Tensor(data, requires_grad=True, dtype="float64")


def test_backward_adds_up_and_walks_again_where_the_graph_is_retained():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4, 8]
    for again in (y.backward, lambda: autograd.grad(y, x), lambda: autograd.grad(y * 2, x)):
        with pytest.raises(ValueError, match=r"\[mul\].*earlier backward.*retain_graph"):
            again()
    z = x + 1                                            # saves nothing: as in torch, it may be walked again
    z.sum().backward(), z.sum().backward()
    a = (x * x).sum()
    b = a * 2
    assert autograd.grad(a, x, retain_graph=True)[0].tolist() == [2, 4] and autograd.grad(b, x)[0].tolist() == [4, 8]
    g = autograd.grad((x * x * x).sum(), x, create_graph=True)[0]
    assert autograd.grad(g.sum(), x)[0].tolist() == [6, 12]
    x.grad = None


def test_memory_falls_while_backward_runs():
    """Each of 20 saved results is 4 MB; the hook of the first op sees what is left when backward arrives there."""
    left = []

    def resident():
        mt.empty_cache()                  # what waits for the next tensors is given back first,
        ctypes.CDLL(None).malloc_trim(0)  # and what the heap kept
        with open("/proc/self/statm") as f:
            return int(f.read().split()[1]) * resource.getpagesize()

    for retain in (False, True):
        x = mt.ones(1 << 20, requires_grad=True)
        y = first = x * 1.0
        for _ in range(20):
            y = y.tanh()
        before = resident()
        first.register_hook(lambda g: left.append((resident() - before) / 2**20))
        y.sum().backward(retain_graph=retain)
    assert left[0] < left[1] - 40


def test_backward_into_some_inputs_and_into_a_graph():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (x * w).sum().backward(inputs=w)
    assert x.grad is None and w.grad.tolist() == [1, 2]
    (x * w).sum().backward(inputs=[w])
    assert w.grad.tolist() == [2, 4]
    (x * x * x).sum().backward(create_graph=True)
    assert autograd.grad(x.grad.sum(), x)[0].tolist() == [6, 12]


def test_backward_adds_up():
    x = leaf(1.0, 2.0)
    x.grad = mt.tensor([4.0, 8.0], dtype="float64")
    (x * 3).backward(np.array([1.0, 10.0]))
    assert x.grad.tolist() == [7, 38]
    with pytest.raises(ValueError, match=r"\(2,\)"):
        (x * 3).backward()
    with pytest.raises(ValueError):
        (x * 3).backward(mt.ones(3, dtype="float64"))


def test_grad_of_several_outputs():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    gx, gy = autograd.grad([(x * y).sum(), x.sum()], [x, y])
    assert gx.tolist() == [4, 5] and gy.tolist() == [1, 2] and x.grad is None
    assert autograd.grad(x * y, x, grad_outputs=[mt.tensor([1.0, 0.0], dtype="float64")])[0].tolist() == [3, 0]
    with pytest.raises(ValueError, match="allow_unused"):
        autograd.grad(x.sum(), y)
    assert autograd.grad(x.sum(), [x, y], allow_unused=True)[1] is None
    with pytest.raises(ValueError, match="require"):
        autograd.grad(x.sum(), mt.ones(1))
    with pytest.raises(TypeError):
        autograd.grad(x.sum(), 3)


def test_second_derivatives():
    x = leaf(2.0)
    g = autograd.grad((x**3).sum(), x, create_graph=True)[0]
    assert g.tolist() == [12] and autograd.grad(g.sum(), x, create_graph=True)[0].tolist() == [12]
    assert not autograd.grad((x**3).sum(), x)[0].requires_grad


def test_modes_nest_and_decorate():
    x = leaf(1.0)
    with mt.no_grad():
        assert not mt.is_grad_enabled() and not (x * 2).requires_grad
        with mt.enable_grad():
            assert (x * 2).requires_grad
        assert not mt.is_grad_enabled()
    assert mt.is_grad_enabled()

    @mt.no_grad()
    def one(t):
        return t * 2

    @mt.no_grad
    def two(t):
        """doc"""
        return one(t) * 2

    assert not one(x).requires_grad and not two(x).requires_grad and two.__name__ == "two" and two.__doc__ == "doc"
    with pytest.raises(RuntimeError):
        with mt.no_grad():
            raise RuntimeError
    assert mt.is_grad_enabled()
    with mt.set_grad_enabled(False):
        assert not mt.is_grad_enabled()
    assert mt.is_grad_enabled()


def test_modes_belong_to_their_thread():
    seen = []
    with mt.no_grad():
        t = threading.Thread(target=lambda: seen.append(mt.is_grad_enabled()))
        t.start()
        t.join()
    assert seen == [True]


class Cube(autograd.Function):
    @staticmethod
    def forward(ctx, x, scale):
        ctx.save_for_backward(x)
        ctx.scale = scale
        return x * x * x * scale

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * ctx.scale * x * x * g, None


class ExpLog(autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        e = mt.exp(x)
        ctx.save_for_backward(e, y)
        return e, mt.log(y)

    @staticmethod
    def backward(ctx, ge, gl):
        e, y = ctx.saved_tensors
        return ge * e, gl / y


def test_function():
    x = leaf(1.0, 2.0)
    assert Cube.apply(x, 2.0).tolist() == [2, 16] and Cube.apply(x, 2.0).grad_fn == "Cube"
    assert autograd.gradcheck(lambda t: Cube.apply(t, 2.0), x)
    g = autograd.grad(Cube.apply(x, 1.0).sum(), x, create_graph=True)[0]
    assert autograd.grad(g.sum(), x)[0].tolist() == [6, 12]
    y = leaf(0.5, 3.0)
    assert autograd.gradcheck(ExpLog.apply, [x, y])
    first = autograd.grad(ExpLog.apply(x, y)[0].sum(), x, create_graph=True)[0]
    np.testing.assert_allclose(autograd.grad(first.sum(), x)[0].numpy(), np.exp([1.0, 2.0]))
    assert not Cube.apply(mt.ones(2), 1.0).requires_grad
    with mt.no_grad():
        assert not Cube.apply(x, 1.0).requires_grad


def test_function_that_is_wrong():
    class TooFew(autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            return a * b

        @staticmethod
        def backward(ctx, g):
            return g

    class WrongShape(TooFew):
        @staticmethod
        def backward(ctx, g):
            return g.sum(), None

    class Fails(TooFew):
        @staticmethod
        def backward(ctx, g):
            raise KeyError("mine")

    class NoTensor(TooFew):
        @staticmethod
        def forward(ctx, a, b):
            return 3

    x = leaf(1.0, 2.0)
    with pytest.raises(ValueError, match="TooFew.*2 gradients"):
        TooFew.apply(x, x).sum().backward()
    with pytest.raises(ValueError, match=r"WrongShape.*\(2,\)"):
        WrongShape.apply(x, x).sum().backward()
    with pytest.raises(KeyError, match="mine"):
        Fails.apply(x, x).sum().backward()
    with pytest.raises(TypeError, match="NoTensor"):
        NoTensor.apply(x, x)
    with pytest.raises(NotImplementedError, match="Cube.*register_op"):
        mt.trace(lambda t: Cube.apply(t, 1.0), (2,))
    t = mt.ones(2, requires_grad=True)
    copy = t * 1
    y = Cube.apply(copy, 1.0)
    with mt.no_grad():
        copy.data[0] = 3
    assert mt.is_grad_enabled()


def test_saved_tensor_that_was_overwritten():
    x = mt.ones(2)
    w = mt.ones(2, requires_grad=True)

    class Times(autograd.Function):
        @staticmethod
        def forward(ctx, w, x):
            ctx.save_for_backward(x)
            return w * x

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0], None

    y = Times.apply(w, x)
    x[0] = 2
    with pytest.raises(ValueError, match="overwritten"):
        y.sum().backward()


def test_function_frees_what_it_kept():
    class Kept:
        pass

    def run():
        kept = Kept()

        class Keeps(autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.kept = kept
                return x * 2

            @staticmethod
            def backward(ctx, g):
                return g * 2

        y = Keeps.apply(leaf(1.0)).sum()
        y.backward()
        return weakref.ref(kept)

    ref = run()
    gc.collect()
    assert ref() is None


swish = mt.register_op(
    "test_swish",
    eval=lambda x, beta: x / (1 + np.exp(-beta * x)),
    vjp=lambda i, o, g, beta: (g[0] * (mt.sigmoid(beta * i[0]) + o[0] * beta * (1 - mt.sigmoid(beta * i[0]))),),
    attrs={"beta": 1.0},
    doc="x * sigmoid(beta * x)",
)
outer = mt.register_op(
    "test_outer",
    inputs=2,
    outputs=2,
    infer=lambda a, b: [(a.shape + b.shape, a.dtype), mt.Spec(b.shape + a.shape, b.dtype)],
    eval=lambda a, b: (np.multiply.outer(a, b), np.multiply.outer(b, a)),
)


def test_registered_op_is_like_any_other():
    x = leaf(0.5, -1.0, 2.0)
    assert autograd.gradcheck(swish, x) and autograd.gradcheck(lambda t: swish(t, beta=2), x)
    a = np.array([[0.5, -1.0]], "float32")
    eager = values(swish(a, beta=1.5) + 1)
    np.testing.assert_allclose(eager, a / (1 + np.exp(-1.5 * a)) + 1, rtol=1e-6)
    replayed(lambda t: swish(t, beta=1.5) + 1, [a], [eager])
    assert "test_swish(%0){beta=1.5}" in mt.trace(lambda t: swish(t, beta=1.5), (1, 2)).to_text()
    assert swish.name == "test_swish" and "test_swish" in mt.list_ops() and "test_swish" in repr(swish)
    p, q = outer([1.0, 2.0], [3.0])
    assert p.tolist() == [[3], [6]] and q.tolist() == [[3, 6]]
    session = mt.compile(lambda a, b: flat(outer(a, b)), [(2,), (3,)])
    assert [o.shape for o in session.outputs] == [(2, 3), (3, 2)]
    assert session.run(np.ones(2, "float32"), np.ones(3, "float32"))[1].tolist() == [[1, 1]] * 3
    with pytest.raises(NotImplementedError, match="test_outer"):
        outer(leaf(1.0), leaf(1.0))[0].sum().backward()


def test_registered_op_runs_beside_threads_of_its_own():
    session = mt.compile(lambda t: swish(t @ t) @ t, (64, 64), threads=2)
    x = np.random.rand(64, 64).astype("float32")
    wanted = session.run(x).numpy()
    results = []

    def work():
        own = session.clone()
        results.extend(own.run(x).numpy() for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(3)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(results) == 60 and all(np.array_equal(r, wanted) for r in results)


def test_registered_op_errors_reach_the_caller():
    class Mine(Exception):
        pass

    def fails(x):
        raise Mine

    bad = mt.register_op("test_fails", eval=fails)
    with pytest.raises(Mine):
        bad([1.0])
    session = mt.compile(lambda t: bad(t @ t) @ t, (64, 64), threads=2)
    for _ in range(3):
        with pytest.raises(Mine):
            session.run(np.ones((64, 64), "float32"))
    wrong = mt.register_op("test_wrong", eval=lambda x: x[:1])
    with pytest.raises(ValueError, match=r"test_wrong.*\(2,\)"):
        wrong([1.0, 2.0])
    with pytest.raises(ValueError, match="test_fails"):
        mt.register_op("test_fails", eval=fails)
    for f, error in [
        (lambda: mt.register_op("test_x", eval=3), TypeError),
        (lambda: mt.register_op("", eval=fails), ValueError),
        (lambda: mt.register_op("test_x", eval=fails, attrs={"a": object()}), TypeError),
        (lambda: mt.register_op("test_x", eval=fails, inputs=0), ValueError),
        (lambda: swish([1.0], gamma=2), TypeError),
        (lambda: swish([1.0], beta="a"), TypeError),
        (lambda: swish(), ValueError),
    ]:
        with pytest.raises(error):
            f()
    assert "test_x" not in mt.list_ops()


def test_gradcheck_finds_a_wrong_gradient():
    class Wrong(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * x

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = leaf(1.0, 3.0)
    with pytest.raises(ValueError, match=r"input 0\[1\] = 6"):
        autograd.gradcheck(Wrong.apply, x)
    assert not autograd.gradcheck(Wrong.apply, [x], raise_exception=False)
    assert autograd.gradcheck(lambda a, b: (a * b, a.sum()), [x, leaf(2.0, 0.5)])
    with pytest.raises(ValueError, match="float64"):
        autograd.gradcheck(mt.exp, mt.ones(2, requires_grad=True))
    with pytest.raises(ValueError, match="requires a gradient"):
        autograd.gradcheck(mt.exp, mt.ones(2))


def test_a_long_chain_is_freed_without_deep_recursion():
    x = mt.ones(1, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + 1
    y.backward()
    assert x.grad.item() == 1
    del y
