"""Repair without labels: judged by numpy's least squares, by plain means and variances, and by the score on digits."""

import json

import numpy as np
import pytest
from sklearn.datasets import load_digits

import miniten as mt
from miniten import nn, optim
from miniten.edge import prune_model, quantize_model
from miniten.edge.pruning import repair


def arrays_of(model):
    return {n.replace("/", "."): t.numpy().copy() for n, t in model.state_dict().items()}


@pytest.fixture(scope="module")
def digits():
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    mt.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(32 * 16, 64), nn.ReLU(), nn.Linear(64, 10),
    )
    train, test = (images[:1200], labels[:1200]), (images[1200:], labels[1200:])
    step, loss = optim.Adam(net.parameters(), lr=2e-3), nn.CrossEntropyLoss()
    order = np.random.default_rng(0)
    for _ in range(6):
        for part in np.array_split(order.permutation(1200), 19):
            step.zero_grad()
            loss(net(train[0][part]), train[1][part]).backward()
            step.step()
    net.eval()
    net(train[0][:1])
    return net, train[0], test


def score(model, test):
    return float((model(test[0]).numpy().argmax(1) == test[1]).mean())


@pytest.mark.parametrize("how", [{"sparsity": 0.92}, {"sparsity": 0.6, "method": "structured", "scope": "layer"}, {"sparsity": 0.75, "pattern": (16, 1), "scope": "layer"}])
def test_repair_brings_back_the_score(digits, how):
    net, inputs, test = digits
    whole, broken = score(net, test), prune_model(net, **how)
    before = score(broken, test)
    zeros = {n: m.numpy().copy() for n, m in broken.masks.items()}
    report = repair(broken, [inputs[:400], inputs[400:800]], original=net)
    after = score(broken, test)
    assert whole > 0.9 and before < whole - 0.05
    assert after > before + 0.5 * (whole - before), (whole, before, after)
    assert [r.layer for r in report.rows] == ["0", "3", "8", "10"]
    assert all(r.after <= r.before for r in report.rows) and json.loads(report.to_json())["layers"][0]["layer"] == "0"
    for n, mask in zeros.items():
        assert not arrays_of(broken)[n][~mask].any()


def test_least_squares_are_numpys():
    mt.manual_seed(3)
    net = nn.Sequential(nn.Linear(12, 5))
    x = np.random.default_rng(1).standard_normal((80, 12)).astype(np.float32)
    x[:, 3] = 0.7 * x[:, 1] + 0.1 * x[:, 3] + 1  # what is cut can be told from what stays
    net(x)
    pruned = prune_model(net, 0.5)
    mask, want = pruned.masks["0.weight"].numpy(), net(x).numpy()
    report = repair(pruned, x, original=net)
    got = arrays_of(pruned)
    for o in range(5):
        a = np.c_[x[:, mask[o]], np.ones(len(x))].astype(np.float64)
        best = np.linalg.lstsq(a, want[:, o].astype(np.float64), rcond=None)[0]
        np.testing.assert_allclose(got["0.weight"][o, mask[o]], best[:-1], atol=2e-4)
        np.testing.assert_allclose(got["0.bias"][o], best[-1], atol=2e-4)
    error = np.sqrt(((pruned(x).numpy() - want) ** 2).sum() / (want**2).sum())
    assert report.rows[0].after == pytest.approx(error, rel=1e-2) and report.rows[0].after < report.rows[0].before


def test_bias_takes_up_the_mean(digits):
    net, inputs, _ = digits
    pruned = prune_model(net, 0.7)
    report = repair(pruned, inputs[:300], method="bias", original=net)
    np.testing.assert_allclose(pruned(inputs[:300]).numpy().mean(0), net(inputs[:300]).numpy().mean(0), atol=1e-4)
    assert all(r.after <= r.before for r in report.rows)


def test_batch_norms_have_the_statistics_of_the_data(digits):
    net, inputs, test = digits
    pruned = prune_model(net, 0.8)
    before = score(pruned, test)
    repair(pruned, [(inputs[:600], "target"), (inputs[600:1200], "target")], method="batch_norm")
    first = nn.Conv2d(1, 16, 3, padding=1)
    state = arrays_of(pruned)
    with mt.no_grad():
        first.weight.copy_(mt.tensor(state["0.weight"]))
        first.bias.copy_(mt.tensor(state["0.bias"]))
    y = first(inputs[:1200]).numpy()
    np.testing.assert_allclose(state["1.running_mean"], y.mean((0, 2, 3)), atol=1e-4)
    np.testing.assert_allclose(state["1.running_var"], (y[:600].var((0, 2, 3)) + y[600:].var((0, 2, 3))) / 2, rtol=1e-3)
    assert score(pruned, test) >= before


def test_repair_refuses(digits):
    net, inputs, _ = digits
    pruned = prune_model(net, 0.5)
    with pytest.raises(ValueError, match="original"):
        repair(pruned, inputs[:8])
    with pytest.raises(ValueError, match="method"):
        repair(pruned, inputs[:8], method="magic", original=net)
    with pytest.raises(ValueError, match="at least one batch"):
        repair(pruned, [], original=net)
    with pytest.raises(ValueError, match="same layers"):
        other = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        other(inputs[:1])
        repair(pruned, inputs[:8], original=other)
    plain = nn.Sequential(nn.Linear(4, 3))
    plain(np.zeros((2, 4), np.float32))
    with pytest.raises(ValueError, match="batch norms"):
        repair(prune_model(plain, 0.5), np.zeros((2, 4), np.float32), method="batch_norm")
    with pytest.raises(NotImplementedError, match="quantis"):
        repair(prune_model(quantize_model(net, calibration_data=[inputs[:8]]), 0.5), inputs[:8], original=net)
