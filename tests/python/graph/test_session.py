"""trace, Graph, compile and Session as a user calls them."""

import threading

import numpy as np
import pytest

import miniten as mt
from miniten import nn


def model():
    mt.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 16, 5)).eval()


def image(n=2):
    return np.random.default_rng(n).normal(size=(n, 3, 8, 8)).astype("float32")


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, left, right):
        return self.layer(left) + right, right * 2


def test_session_gives_what_the_model_gives():
    net = model()
    session = mt.compile(net, (2, 3, 8, 8))
    x = image()
    for argument in (x, mt.tensor(x), np.asfortranarray(x), x.tolist(), x[:, ::-1][:, ::-1]):
        np.testing.assert_allclose(session.run(argument).numpy(), net(x).numpy(), atol=1e-5)
    assert session(x).tolist() == session.run(**{session.inputs[0].name: x}).tolist()
    name, shape, dtype = session.inputs[0]
    assert (shape, dtype) == ((2, 3, 8, 8), "float32") and session.outputs[0].shape == (2, 5) and len(session.inputs[0]) == 3
    assert 0 < session.measured_arena_bytes() <= session.arena_bytes and session.measured_arena_bytes(x) <= session.arena_bytes
    assert session.weight_bytes > 0 and session.dynamic_bytes == 0 and "conv2d" in session.to_text() and "arena" in repr(session)
    rows = session.profile(x, runs=2)
    assert [r["op"] for r in rows][0].startswith("conv2d") or any(r["op"] == "conv2d" for r in rows)
    conv = next(r for r in rows if r["op"] == "conv2d")
    assert conv["macs"] == 2 * 8 * 64 * 27 and conv["latency_ms"] > 0 and conv["output_shapes"] == [(2, 8, 8, 8)]


def test_results_are_copies():
    session = mt.compile(model(), (2, 3, 8, 8))
    first = session.run(image(2))
    kept = first.tolist()
    session.run(image(2) + 1)
    assert first.tolist() == kept


def test_bound_sessions_read_and_write_where_they_were_told():
    net, x = model(), image()
    session = mt.compile(net, x.shape)
    given = mt.tensor(x)
    bound = session.bind(given)
    result = bound()
    assert result is bound() and result is bound.outputs[0] and bound.inputs[0] is given
    for argument in (x, x[:, ::-1], x.tolist()):
        bound = session.bind(argument)
        assert bound().tolist() == bound.outputs[0].tolist() == session.run(argument).tolist()
    bound, kept = session.bind(x), session.run(x).tolist()
    x += 1                                                      # the array's memory is read at each call
    assert bound().tolist() == session.run(x).tolist() != kept
    bound.inputs[0].numpy()[...] = 0
    assert bound().tolist() == session.run(np.zeros_like(x)).tolist() and x.max() == 0
    two = mt.compile(TwoInputs(), {"left": (3, 4), "right": (3, 2)}).bind(right=np.ones((3, 2), "float32"), left=np.ones((3, 4), "float32"))
    first, second = two()
    assert second.tolist() == [[2, 2]] * 3 and two.outputs[0] is first and len(two.inputs) == 2
    del session, bound
    assert two()[1].tolist() == second.tolist()
    with pytest.raises(ValueError, match="1 inputs"):
        mt.compile(net, (2, 3, 8, 8)).bind(x, x)
    with pytest.raises(ValueError, match="compile again"):
        mt.compile(net, (2, 3, 8, 8)).bind(image(3))


def test_bound_sessions_want_sizes_that_are_known():
    class Positive(nn.Module):
        def forward(self, x):
            return mt.nonzero(x > 0)

    with pytest.raises(NotImplementedError, match="known"):
        mt.compile(Positive(), (3,)).bind(np.ones(3, "float32"))


def test_writes_into_bound_outputs_are_seen_by_the_tape():
    bound = mt.compile(lambda x: x * 2, [(3,)]).bind(np.ones(3, "float32"))
    w = mt.ones(3, requires_grad=True)
    y = (w * bound()).sum()
    bound()
    with pytest.raises(ValueError, match="overwritten"):
        y.backward()


def test_several_inputs_by_place_and_name():
    net = TwoInputs()
    a, b = np.ones((3, 4), "float32"), np.full((3, 2), 2, "float32")
    wanted = net(mt.tensor(a), mt.tensor(b))
    for shapes in ([(3, 4), (3, 2)], {"left": (3, 4), "right": (3, 2)}, {"right": (3, 2), "left": (3, 4)}):
        s = mt.compile(net, shapes)
        got = s.run(a, b)
        assert isinstance(got, tuple) and all(np.allclose(g.numpy(), w.numpy()) for g, w in zip(got, wanted))
    assert [i.name for i in s.inputs] == ["left", "right"]
    assert np.allclose(s.run(right=b, left=a)[1].numpy(), 4) and np.allclose(s.run(a, right=b)[1].numpy(), 4)
    for call, error, words in [
        (lambda: s.run(a), ValueError, "right"),
        (lambda: s.run(a, b, a), ValueError, "2 inputs"),
        (lambda: s.run(a, b, left=a), TypeError, "twice"),
        (lambda: s.run(a, wrong=b), TypeError, "left, right"),
        (lambda: s.run(a[:2], b), ValueError, "left"),
        (lambda: s.run(a.astype("float64"), b), TypeError, "float64"),
        (lambda: s.run("a", b), TypeError, "str"),
    ]:
        with pytest.raises(error, match=words):
            call()


def test_dtypes_of_inputs():
    for dtypes in ("int64", ["int64"], {"labels": mt.int64}):
        g = mt.trace(lambda labels: nn.functional.one_hot(labels, 3), {"labels": (4,)} if isinstance(dtypes, dict) else (4,), dtypes)
        assert g.inputs[0].dtype == "int64"
        assert mt.compile(g).run(np.array([0, 2, 1, 1])).tolist() == np.eye(3)[[0, 2, 1, 1]].tolist()


def test_without_a_shape_the_last_call_serves():
    net = model()
    with pytest.raises(ValueError, match="input_shape"):
        mt.compile(net)
    net(image(3))
    assert mt.compile(net).inputs[0].shape == (3, 3, 8, 8)

    class Mine(nn.Module):
        def forward(self, x, *, flag=False):
            return x * 2

    m = Mine()
    m(np.ones((2, 2), "float32"), flag=True)
    assert mt.compile(m).run(np.ones((2, 2), "float32")).tolist() == [[2, 2], [2, 2]]


def test_batch_stays_open_where_the_model_allows():
    g = mt.trace(model(), (2, 3, 8, 8))
    assert repr(g.inputs[0].shape[0]) == "batch" and mt.trace(model(), (2, 3, 8, 8), dynamic_batch=False).inputs[0].shape == (2, 3, 8, 8)
    for n in (1, 5):
        np.testing.assert_allclose(mt.compile(g, (n, 3, 8, 8)).run(image(n)).numpy(), model()(image(n)).numpy(), atol=1e-5)

    class Open(nn.Module):
        def forward(self, x):
            return x.reshape(x.shape[0], -1) * 2

    class Closed(nn.Module):
        def forward(self, x):
            return x / x.shape[0] if x.shape[0] > 1 else x

    class Loop(nn.Module):
        def forward(self, x):
            return mt.stack([x[i] * (i + 1) for i in range(x.shape[0])])

    class Length(nn.Module):
        def forward(self, x):
            return x * len(x)

    x = np.ones((3, 2, 2), "float32")
    for net in (Open(), Closed(), Loop(), Length()):
        graph = mt.trace(net, x.shape)
        assert (repr(graph.inputs[0].shape[0]) == "batch") == isinstance(net, Open)
        np.testing.assert_allclose(mt.compile(net, x.shape).run(x).numpy(), net(mt.tensor(x)).numpy(), rtol=1e-6)


def test_training_mode_comes_back_after_a_trace():
    net = model().train()
    net[1].eval()
    mt.trace(net, (2, 3, 8, 8))
    assert net.training and net[0].training and not net[1].training
    before = net[1].running_mean.tolist()
    mt.compile(net, (2, 3, 8, 8))
    assert net[1].running_mean.tolist() == before


def test_reading_values_while_tracing_is_told():
    class Looks(nn.Module):
        def forward(self, x):
            return x * 2 if x.sum() > 0 else x

    for read in (lambda x: x.item(), lambda x: x.numpy(), lambda x: x.tolist(), lambda x: float(x.sum()), lambda x: np.asarray(x), lambda x: bool(x.sum()), lambda x: x.data):
        with pytest.raises((NotImplementedError, ValueError, BufferError), match="traced|tracing|one element"):
            mt.trace(lambda x: (read(x), x)[1], (2, 2))
    with pytest.raises(NotImplementedError, match="tracing"):
        mt.trace(Looks(), (2, 2))
    def assigns(x):
        y = mt.zeros(2)
        y[0] = 1
        return x + y
    with pytest.raises(NotImplementedError, match="where or cat"):
        mt.trace(assigns, (2, 2))
    leaked = []
    mt.trace(lambda x: (leaked.append(x), x + 1)[1], (2,))
    with pytest.raises(NotImplementedError, match="trace"):
        leaked[0] + 1


def test_graph_text_is_stable_and_passes_keep_meaning():
    net = model()
    a, b = mt.trace(net, (2, 3, 8, 8)), mt.trace(net, (2, 3, 8, 8))
    assert a.to_text() == b.to_text() == str(a) and a.ops.count("conv2d") == 1 and "nodes" in repr(a)
    a.verify()
    wanted = net(image()).numpy()
    for passes in ("none", "all", ["fuse"], ["fold_constants", "remove_dead"], []):
        np.testing.assert_allclose(mt.compile(net, (2, 3, 8, 8), passes=passes).run(image()).numpy(), wanted, atol=1e-5)
    np.testing.assert_allclose(a.replay(image(4)).detach().numpy(), net(image(4)).detach().numpy(), atol=1e-6)
    assert len(mt.compile(net, (2, 3, 8, 8)).graph.ops) < len(a.ops)
    with pytest.raises(ValueError, match="no_such_pass"):
        mt.compile(net, (2, 3, 8, 8), passes=["no_such_pass"])


def test_threads_and_exactness_do_not_change_results():
    net = model()
    x = image(8)
    results = [mt.compile(net, x.shape, threads=t).run(x).numpy() for t in (1, 2, 3)]
    assert all(np.array_equal(r, results[0]) for r in results)
    np.testing.assert_allclose(mt.compile(net, x.shape, exact=True).run(x).numpy(), results[0], atol=1e-5)
    with pytest.raises(ValueError, match="thread"):
        mt.compile(net, x.shape, threads=0)


def test_clones_run_on_their_own_threads():
    session = mt.compile(model(), (2, 3, 8, 8), threads=1)
    x = image()
    wanted = session.run(x).numpy()
    results = []

    def work():
        own = session.clone()
        for _ in range(50):
            results.append(own.run(x).numpy())

    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(results) == 200 and all(np.array_equal(r, wanted) for r in results)


@pytest.mark.parametrize(
    "shape, error, words",
    [
        ("abc", TypeError, "input_shape"), (3, TypeError, "input_shape"), ((2, "a"), TypeError, "input_shape"), ((-1, 3, 8, 8), ValueError, "-1"), ([], ValueError, "input|conv2d"),
        ((2, 4, 8, 8), ValueError, "conv2d"), ((2, 3, 8), ValueError, "conv2d"), ([(2, 3, 8, 8)] * 2, ValueError, "input"), ((2, 3, 1, 1), ValueError, "max_pool2d"),
        ((2.0, 3, 8, 8), TypeError, "input_shape"), ({}, ValueError, "input"),
    ],
    ids=str,
)
def test_wrong_shapes_are_refused(shape, error, words):
    with pytest.raises(error, match=words):
        mt.compile(model(), shape)


def test_what_is_no_model_is_refused():
    for wrong in (3, "a", None, np.ones(3)):
        with pytest.raises(TypeError, match="Module"):
            mt.compile(wrong, (2, 3))
    with pytest.raises(ValueError, match="input_shape"):
        mt.trace(lambda x: x)
    with pytest.raises(TypeError, match="dict"):
        mt.trace(lambda x: {"a": x}, (2,))
    with pytest.raises(TypeError, match="dtype"):
        mt.trace(lambda x: x + 1, (2,), "float31")
    with pytest.raises(ValueError, match="input_dtypes"):
        mt.trace(lambda x: x + 1, (2,), ["int64", "int64"])


def test_empty_batches_run():
    s = mt.compile(nn.Linear(3, 2), (0, 3))
    assert s.run(np.zeros((0, 3), "float32")).shape == (0, 2)


class Residuals(nn.Module):
    """Sums after convolutions: with and without an activation, strided, pointwise and depthwise."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 24, 3, padding=1)
        self.second = nn.Conv2d(24, 24, 3, padding=1)
        self.down, self.skip = nn.Conv2d(24, 40, 3, 2, 1), nn.Conv2d(24, 40, 1, 2)
        self.deep = nn.Conv2d(40, 40, 3, padding=1, groups=40)
        self.last = nn.Conv2d(40, 96, 1)

    def forward(self, x):
        x = mt.relu(self.first(x))
        x = mt.relu(x + self.second(x))
        x = self.down(x) + self.skip(x)
        x = self.deep(x) + x
        return mt.clamp(self.last(x) + 0.5, -1, 1)


@pytest.mark.parametrize("size", [(2, 3, 19, 16), (1, 3, 8, 8), (3, 3, 6, 5)])
def test_winograd_and_fused_sums_stay_within_their_error(size):
    mt.manual_seed(3)
    net = Residuals().eval()
    x = np.random.default_rng(5).normal(size=size).astype("float32")
    wanted = net(x).numpy()
    sessions = {(threads, exact): mt.compile(net, size, threads=threads, exact=exact) for threads in (1, 2) for exact in (False, True)}
    assert sessions[1, True].graph.ops.count("add") == 2            # after the depthwise convolution, and of the number
    for exact, limit in ((False, 1e-4), (True, 1e-5)):
        results = [sessions[threads, exact].run(x).numpy() for threads in (1, 2)]
        assert np.array_equal(*results)
        assert np.abs(results[0] - wanted).max() <= limit * max(1, np.abs(wanted).max())
    session = sessions[2, False]
    assert session.measured_arena_bytes(x) <= session.arena_bytes
