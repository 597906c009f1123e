"""What a training step takes: the planner's own figures, those of a compiled step, and the resident memory of a process that runs it."""

import json
import subprocess
import sys

import pytest
from nets import SMALL_SHAPE, Residual, images, same_snapshot, small_net, snapshot

import miniten as mt
from miniten import edge, nn, optim

OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1), "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9), "adam": optim.Adam, "adamw": optim.AdamW,
    "rmsprop": optim.RMSprop, "adagrad": optim.Adagrad, "lion": optim.Lion,
}


def with_dropout():
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(8 * 16, 5))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_arena_is_the_compiled_steps(name):
    net = with_dropout()
    t = edge.estimate_memory(net, (6, 1, 8, 8), training=name)["training"]
    optimizer = OPTIMIZERS[name](net.parameters())
    step = mt.compile_step(net.train(), lambda out, y: (out * out).mean(), optimizer, (6, 1, 8, 8), (6, 1), threads=1)
    assert t["arena_memory_bytes"] == step.arena_bytes
    assert t["gradient_memory_bytes"] == 4 * sum(p.numel() for p in net.parameters())
    assert t["parameter_memory_bytes"] == t["gradient_memory_bytes"] + 4 * 16 + 8  # and the running statistics
    step(images(6, 1), mt.zeros(6, 1))
    states = {k: v for k, v in optimizer.state_dict().items() if "." in k}
    assert t["optimizer_memory_bytes"] == sum(v.numpy().nbytes for v in states.values())
    assert t["optimizer"] == name and t["batch"] == 6 and t["input_memory_bytes"] == 6 * 64 * 4
    assert t["total_memory_bytes"] == sum(t[k + "_memory_bytes"] for k in ("parameter", "optimizer", "input", "arena"))


def test_the_largest_batch_is_the_largest():
    for net, shape, limit in ((with_dropout(), (1, 1, 8, 8), 2), (Residual(), (1, 4, 16, 16), 6), (nn.LSTM(8, 16, batch_first=True), (1, 10, 8), 3)):
        largest = edge.estimate_memory(net, shape, training="adam", limit_mb=limit)["training"]["largest_batch"]
        total = lambda b: edge.estimate_memory(net, (b, *shape[1:]), training="adam")["training"]["total_memory_mb"]  # noqa: B023, E731
        assert largest > 1 and total(largest) <= limit < total(largest + 1)
    assert edge.estimate_memory(with_dropout(), (4, 1, 8, 8), training="sgd", limit_mb=0.01)["training"]["largest_batch"] == 0
    assert "largest_batch" not in edge.estimate_memory(with_dropout(), (4, 1, 8, 8), training="sgd")["training"]


def test_a_process_that_trains_takes_about_as_much():
    code = """
import json, resource
import numpy as np
import miniten as mt
from miniten import edge, nn, optim
net = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 32 * 32, 64))
shape = (24, 3, 32, 32)
x, y = np.ones(shape, np.float32), np.ones((24, 64), np.float32)
want = edge.estimate_memory(net, shape, training="adam")["training"]
resident = lambda: int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
mt.empty_cache()
before = resident()
step = mt.compile_step(net.train(), nn.MSELoss(), optim.Adam(net.parameters()), shape, (24, 64), threads=1)
for _ in range(2):
    step(x, y)
print(json.dumps([resident() - before, want["arena_memory_bytes"] + want["optimizer_memory_bytes"]]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    grown, planned = json.loads(done.stdout)
    assert planned > 30e6 and 0.7 * planned < grown < 1.3 * planned + 8e6, (grown, planned)


def test_what_cannot_be_trained_is_refused():
    net = small_net()
    with pytest.raises(ValueError, match="adamax"):
        edge.estimate_memory(net, SMALL_SHAPE, training="adamax")
    with pytest.raises((ValueError, NotImplementedError)):
        edge.estimate_memory(edge.quantize_model(net, calibration_data=images(8, 1)), SMALL_SHAPE, training="sgd")
    for p in net.parameters():
        p.requires_grad = False
    with pytest.raises(NotImplementedError, match="trained"):
        edge.estimate_memory(net, SMALL_SHAPE, training="sgd")
    for bad in ({"limit_mb": 3}, {"limit_mb": -1, "training": "sgd"}):
        with pytest.raises(ValueError, match="limit_mb"):
            edge.estimate_memory(net, SMALL_SHAPE, **bad)


def test_estimating_changes_nothing(tmp_path):
    net = small_net()
    before, modes = snapshot(net), [m.training for m in net.modules()]
    edge.estimate_memory(net, SMALL_SHAPE, training="adam", limit_mb=1)
    assert same_snapshot(before, snapshot(net)) and modes == [m.training for m in net.modules()] and all(p.grad is None for p in net.parameters())
    edge.export_miniten(net, tmp_path / "net.npz", input_shape=SMALL_SHAPE)
    loaded = edge.load_miniten(tmp_path / "net.npz")  # a graph trains too
    assert edge.estimate_memory(loaded, SMALL_SHAPE, training="adam")["training"]["optimizer_memory_bytes"] == 2 * 4 * sum(p.numel() for p in net.parameters())


def test_a_batch_by_its_size():
    net = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
    for shape, sized in (((1, 6), (32, 6)), ([(1, 6)], [(32, 6)])):
        assert edge.estimate_training_memory(net, shape, 32) == edge.estimate_memory(net, sized, training="adam")["training"]
    assert edge.estimate_training_memory(net, (3, 6), optimizer="sgd", limit_mb=1) == edge.estimate_memory(net, (3, 6), training="sgd", limit_mb=1)["training"]
    with pytest.raises(ValueError, match="optimizer"):
        edge.estimate_training_memory(net, (3, 6), optimizer="guess")
