"""Optimizer states in 8 bits: they are small, they do not drift, training goes as well, and a resumed run draws the same."""

import numpy as np
import pytest

import miniten as mt
from miniten import nn, optim

rng = np.random.default_rng(0)
X = rng.normal(size=(256, 20)).astype("float32")
Y = (np.tanh(X[:, :3]).sum(1) > 0).astype("int64")


def net():
    mt.manual_seed(0)
    return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))


def train(model, opt, steps):
    loss = None
    for i in range(steps):
        at = slice(i * 32 % 256, i * 32 % 256 + 32)
        opt.zero_grad()
        loss = nn.functional.cross_entropy(model(X[at]), Y[at])
        loss.backward()
        opt.step()
    return loss.item()


MAKES = {
    "Adam": lambda p, d: optim.Adam(p, lr=3e-3, state_dtype=d),
    "AdamW, amsgrad": lambda p, d: optim.AdamW(p, lr=3e-3, amsgrad=True, state_dtype=d),
    "SGD": lambda p, d: optim.SGD(p, lr=0.05, momentum=0.9, state_dtype=d),
    "RMSprop": lambda p, d: optim.RMSprop(p, lr=1e-3, centered=False, state_dtype=d),
    "Lion": lambda p, d: optim.Lion(p, lr=5e-4, state_dtype=d),
}


def accuracy(model):
    return (model(X).argmax(1).numpy() == Y).mean()


@pytest.mark.parametrize("name", MAKES)
def test_training_goes_as_well_with_a_quarter_of_the_memory(name):
    results = {}
    for dtype in ("float32", "int8"):
        model = net()
        opt = MAKES[name](model.parameters(), dtype)
        train(model, opt, 160)
        state = {k: v for k, v in opt.state_dict().items() if "." in k}
        results[dtype] = accuracy(model), sum(v.numpy().nbytes for v in state.values())
        if dtype == "int8":
            assert any(v.dtype == mt.int8 for v in state.values())
    assert results["int8"][0] >= results["float32"][0] - 0.03 and results["int8"][0] > 0.93
    assert results["int8"][1] < 0.32 * results["float32"][1]


def test_states_do_not_drift():
    """A constant gradient keeps its average through 400 roundings: chance rounds up as often as down."""
    g = np.exp(rng.normal(size=(32, 32)) * 2).astype("float32")
    p = mt.Parameter(np.zeros((32, 32), "float32"))
    opt = optim.SGD([p], lr=1.0, momentum=0.9, state_dtype="int8")
    before, moves = p.detach().numpy().copy(), []
    for _ in range(400):
        p.grad = mt.tensor(g)
        opt.step()
        now = p.detach().numpy().copy()
        moves.append(before - now)
        before = now
    ratio = np.mean(moves[100:], 0) / (10 * g)
    assert abs(np.median(ratio) - 1) < 0.02 and np.abs(ratio - 1).max() < 0.25


def test_a_resumed_run_draws_the_same():
    a, b = net(), net()
    first = optim.Adam(a.parameters(), lr=3e-3, state_dtype="int8")
    train(a, first, 40)
    half = optim.Adam(b.parameters(), lr=3e-3, state_dtype="int8")
    train(b, half, 20)
    again = optim.Adam(b.parameters(), lr=1.0, state_dtype="int8")
    again.load_state_dict({k: v.numpy() for k, v in half.state_dict().items()})
    for i in range(20, 40):
        at = slice(i * 32 % 256, i * 32 % 256 + 32)
        again.zero_grad()
        nn.functional.cross_entropy(b(X[at]), Y[at]).backward()
        again.step()
    for p, q in zip(a.parameters(), b.parameters()):
        assert np.array_equal(p.detach().numpy(), q.detach().numpy())
    with pytest.raises(ValueError, match="state_dtype"):
        optim.Adam(b.parameters()).load_state_dict(again.state_dict())
    with pytest.raises(ValueError, match="state_dtype"):
        optim.Adam(b.parameters(), state_dtype="int8").load_state_dict(_float_state())


def _float_state():
    model = net()
    opt = optim.Adam(model.parameters())
    train(model, opt, 1)
    return opt.state_dict()


def test_what_is_refused():
    p = mt.Parameter(np.zeros((32, 32), "float32"))
    with pytest.raises(ValueError, match="state_dtype"):
        optim.Adam([p], state_dtype="int4")
    model = net()
    with pytest.raises(NotImplementedError, match="8-bit"):
        mt.compile_step(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters(), state_dtype="int8"), (32, 20), (32,), target_dtypes="int64")
    trainer = mt.Trainer(model, optim.Adam(model.parameters(), lr=3e-3, state_dtype="int8"), "cross_entropy", ["accuracy"])
    assert trainer.fit((X, Y), epochs=2, verbose=False)["loss"][-1] < 1                     # falls back to eager steps
