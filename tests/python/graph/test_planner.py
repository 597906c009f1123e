"""The planner's promise: the arena that is told is the arena that is used, for every shape and number of threads."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import miniten as mt
from miniten import nn
from miniten.edge import quantize_model

spec = importlib.util.spec_from_file_location("nets", Path(__file__).parents[3] / "benchmarks" / "nets.py")
nets = importlib.util.module_from_spec(spec)
spec.loader.exec_module(nets)
NETS = {**nets.ALL, "encoder": nets.encoder}


def measured(session):
    rng = np.random.default_rng(0)
    return session.measured_arena_bytes(*(rng.normal(size=i.shape).astype("float32") for i in session.inputs))


@pytest.mark.parametrize("integers", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_predicted_is_measured(name, integers):
    mt.manual_seed(0)
    model, shape = NETS[name](nn)
    model.eval()
    if integers:
        model = quantize_model(model, calibration_data=[np.random.default_rng(1).normal(size=shape).astype("float32")])
    for threads in (1, 2, 3):
        session = mt.compile(model, shape, threads=threads)
        assert session.arena_bytes == measured(session) > 0 and session.dynamic_bytes == 0
        assert f"arena {session.arena_bytes} bytes" in session.to_text()


def test_of_one_graph_bound_to_many_shapes():
    mt.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.BatchNorm2d(12), nn.SiLU(), nn.Conv2d(12, 12, 3, 2, 1, groups=12), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5), nn.Softmax(-1)).eval()
    graph, x = mt.trace(model, (2, 3, 9, 10)), np.random.default_rng(1)
    sizes = set()
    for n in (1, 2, 7):
        session = mt.compile(graph, (n, 3, 9, 10), threads=2)
        assert 0 <= session.arena_bytes - measured(session) < 64             # buffers end at multiples of 64
        sizes.add(session.arena_bytes)
        data = x.normal(size=(n, 3, 9, 10)).astype("float32")
        np.testing.assert_allclose(session.run(data).numpy(), model(data).numpy(), atol=1e-5)
    assert len(sizes) == 3


def test_what_is_sized_at_run_time_is_told_apart():
    session = mt.compile(mt.trace(lambda x: mt.nonzero(mt.relu(x)), (4, 5)))
    for positive in (3, 20):
        x = np.full((4, 5), -1, "float32")
        x.flat[:positive] = 1
        assert session.run(x).shape == (positive, 2)
        assert session.dynamic_bytes >= positive * 16 and session.arena_bytes == 0
