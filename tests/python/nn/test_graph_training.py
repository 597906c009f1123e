"""A saved and loaded model trains on exactly as the one that was saved: batch statistics, running ones, gradients."""

import numpy as np
import pytest
from judges import judge

import miniten as mt
from miniten import nn

X = np.random.default_rng(0).normal(size=(6, 16, 3, 6, 6)).astype("float32")
Y = np.random.default_rng(1).integers(0, 5, (6, 16))

NORMS = {
    "momentum": lambda n: nn.BatchNorm2d(n, momentum=0.3, eps=1e-3),
    "plain mean": lambda n: nn.BatchNorm2d(n, momentum=None),
    "not affine": lambda n: nn.BatchNorm2d(n, affine=False),
}


def net(norm):
    mt.manual_seed(7)
    return nn.Sequential(nn.Conv2d(3, 6, 3, bias=False), norm(6), nn.ReLU(), nn.Conv2d(6, 4, 3), norm(4), nn.Flatten(), nn.Linear(16, 8),
                         nn.BatchNorm1d(8), nn.Linear(8, 5))


def train(model, batches, compiled=False):
    optimizer = mt.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model.train()
    step = mt.compile_step(model, nn.CrossEntropyLoss(), optimizer, X[0].shape, Y[0].shape) if compiled else None
    for i in batches:
        if step:
            step(X[i], Y[i])
            continue
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(X[i]), Y[i]).backward()
        optimizer.step()


def state(model):
    return {k.replace("/", "."): v.numpy() for k, v in model.state_dict().items()}


@pytest.mark.parametrize("norm", NORMS)
def test_a_loaded_model_trains_on_as_the_saved_one(norm, tmp_path):
    model = net(NORMS[norm])
    train(model, range(2))
    model.save(tmp_path / "m.npz")
    loaded = mt.load(tmp_path / "m.npz")
    for m in (model, loaded):
        train(m, range(2, 6))
    want, got = state(model), state(loaded)
    for name, value in got.items():
        if name in want:
            np.testing.assert_array_equal(value, want[name], err_msg=name)
    assert {"0.weight", "1.running_mean", "1.running_var", "7.weight", "8.bias"} <= set(got)
    np.testing.assert_allclose(loaded.eval()(X[0]).numpy(), model.eval()(X[0]).numpy(), rtol=1e-4, atol=1e-5)     # folded here, not there


def test_a_compiled_step_of_a_loaded_model(tmp_path):
    model = net(NORMS["momentum"])
    train(model, range(1))
    model.save(tmp_path / "m.npz")
    eager, compiled = (mt.load(tmp_path / "m.npz") for _ in range(2))
    compiled.eval()(X[0])                                                            # packs weights that training overwrites
    train(eager, range(1, 5))
    train(compiled, range(1, 5), compiled=True)
    for name, value in state(eager).items():
        np.testing.assert_allclose(state(compiled)[name], value, rtol=1e-3, atol=1e-4, err_msg=name)
    np.testing.assert_allclose(compiled.eval()(X[0]).numpy(), eager.eval()(X[0]).numpy(), rtol=1e-2, atol=1e-2)


def test_training_mode_counts_without_gradients_too(tmp_path):
    model = net(NORMS["momentum"])
    model(X[0])
    model.save(tmp_path / "m.npz")
    loaded = mt.load(tmp_path / "m.npz")
    with mt.no_grad():
        np.testing.assert_array_equal(loaded.train()(X[1]).numpy(), model.train()(X[1]).numpy())
    np.testing.assert_array_equal(state(loaded)["1.running_mean"], state(model)["1.running_mean"])


def test_momentum_survives_onnx(tmp_path):
    onnx = judge("onnx")
    model = net(NORMS["momentum"])
    model(X[0])
    mt.edge.export_onnx(model.eval(), (16, 3, 6, 6), tmp_path / "m.onnx")
    nodes = [n for n in onnx.load(tmp_path / "m.onnx").graph.node if n.op_type == "BatchNormalization"]
    assert [round(a.f, 6) for n in nodes for a in n.attribute if a.name == "momentum"] == [0.7, 0.7, 0.9]
    loaded = mt.edge.load_onnx(tmp_path / "m.onnx")
    for m in (model, loaded):
        train(m, range(2))
    np.testing.assert_array_equal(state(loaded)["1.running_mean"], state(model)["1.running_mean"])


def test_a_batch_of_one_value_is_refused(tmp_path):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    model(np.zeros((2, 3), "float32"))
    model.save(tmp_path / "m.npz")
    with pytest.raises(ValueError, match="more than one value per channel"):
        mt.load(tmp_path / "m.npz").train()(np.zeros((1, 3), "float32"))
