"""Figures of networks: what they say is what scikit-learn and NumPy compute."""

import re

import numpy as np
import pytest
from judges import judge

import miniten as mt
from miniten import nn, viz


@pytest.fixture(autouse=True)
def forget():
    yield
    viz.close("all")


def texts(fig):
    return re.findall(r"<text[^>]*>([^<]*)", fig.to_svg())


def test_training_curves_of_dicts_and_histories():
    history = {"loss": [3, 2, 1], "val_loss": [3.1, 2.5, 2.6], "accuracy": [0.1, 0.5, 0.9]}
    fig = viz.training_curves(history)
    assert len(fig.axes) == 2
    assert {"loss", "accuracy", "train", "validation", "epoch"} <= set(texts(fig))

    class History:
        pass

    kept = History()
    kept.history = history
    assert viz.training_curves(kept).to_svg() == fig.to_svg()
    steps = {name: list(enumerate(values, 1)) for name, values in history.items()}
    assert viz.training_curves(steps).to_svg() == fig.to_svg()
    assert len(viz.training_curves(history, metrics="accuracy").axes) == 1

    class Logger:
        def get_metric(self, name):
            return [(step, value, 1.7e9) for step, value in steps.get(name, [])]

    assert viz.training_curves(Logger()).to_svg() == fig.to_svg()
    with pytest.raises(ValueError, match="accuracy"):
        viz.training_curves(history, metrics=["f1"])
    with pytest.raises(ValueError, match="at least one"):
        viz.training_curves({})
    with pytest.raises(TypeError, match="History"):
        viz.training_curves(3)


def test_confusion_matrix_counts_as_sklearn():
    metrics = judge("sklearn.metrics")
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 300)
    scores = rng.random((300, 4)) + 2 * np.eye(4)[y] * (rng.random((300, 1)) < 0.7)
    fig = viz.confusion_matrix(y, scores, labels=["a", "b", "c", "d"])
    want = metrics.confusion_matrix(y, scores.argmax(1)).ravel().tolist()
    cells = [t for t in re.findall(r'<text[^>]*text-anchor="middle"[^>]*>([0-9]+)</text>', fig.to_svg())]
    assert cells == [str(v) for v in want]
    assert f"accuracy {metrics.accuracy_score(y, scores.argmax(1)):.1%}" in texts(fig)
    viz.confusion_matrix(np.array(["x", "y"]), np.array(["y", "y"]), normalize=True).to_png()
    with pytest.raises(ValueError, match="one length"):
        viz.confusion_matrix([1, 2], [1])
    with pytest.raises(ValueError, match="labels of 0 to 1"):
        viz.confusion_matrix([0, 5], [0, 1], labels=["a", "b"])


def test_roc_area_is_sklearns():
    metrics = judge("sklearn.metrics")
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 500)
    scores = np.round(rng.random(500) + 0.4 * y, 1)          # many ties
    assert f"AUC {metrics.roc_auc_score(y, scores):.3f}" in texts(viz.roc_curve(y, scores))
    many = rng.random((500, 3))
    k = rng.integers(0, 3, 500)
    fig = viz.roc_curve(k, many, labels=["a", "b", "c"])
    for i, name in enumerate("abc"):
        assert f"{name} AUC {metrics.roc_auc_score(k == i, many[:, i]):.3f}" in texts(fig)
    with pytest.raises(ValueError, match="only one kind"):
        viz.roc_curve([1, 1], [0.1, 0.2])
    with pytest.raises(ValueError, match="NaN"):
        viz.roc_curve([0, 1], [0.1, np.nan])


def test_weights_and_filters_of_models():
    mt.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.Flatten(), nn.Linear(4 * 4 * 4, 10))
    fig = viz.weight_histogram(model)
    assert [t for t in texts(fig) if t.endswith("weight")] == ["0.weight", "2.weight", "4.weight"]
    for conv in (model[0], model[2]):
        fig = viz.filters(conv)
        assert f"{conv.weight.shape[0]} × {conv.weight.shape[1]} kernels of 3 × 3" in texts(fig)
        assert "data:image/png" in fig.to_svg()
    with pytest.raises(ValueError, match="out, in"):
        viz.filters(model[4])


def test_pareto_joins_what_nothing_beats():
    rows = [{"name": "float32", "bytes": 400, "accuracy": 0.99}, {"name": "int8", "bytes": 100, "accuracy": 0.985},
            {"name": "clumsy", "bytes": 200, "accuracy": 0.97}, {"name": "int4", "bytes": 50, "accuracy": 0.9}]
    shown = texts(viz.pareto(rows))
    assert [t.strip() for t in shown if t.strip() in {"float32", "int8", "int4", "clumsy"}] == ["int4", "int8", "float32"]
    with pytest.raises(ValueError, match="latency"):
        viz.pareto(rows, x="latency")


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x):
        return mt.relu(self.norm(self.conv(x))) + x


def test_graph_shows_layers_shapes_weights_and_skips():
    mt.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), Residual(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 14 * 14, 10)).eval()
    fig = viz.graph(model, (1, 1, 28, 28))
    shown = texts(fig)
    for part in ("input", "0: conv2d", "2.conv: conv2d", "2.norm: batch_norm", "3: max_pool2d"):
        assert part in shown, shown
    assert any(t.startswith("5: matmul") for t in shown)
    assert any("weights float32(8, 8, 3, 3)" in t for t in shown)
    assert viz.graph(mt.trace(model, (1, 1, 28, 28))).to_svg() == fig.to_svg()
    assert fig.to_png()[:4] == b"\x89PNG" and "conv2d" in fig.to_text(100)
    small = mt.edge.quantize_model(model, dtype="int8", calibration_data=[np.random.default_rng(0).random((4, 1, 28, 28), np.float32)])
    shown = texts(viz.graph(small, (1, 1, 28, 28)))
    assert any("qconv2d" in t for t in shown) and any("weights int8(8, 8, 3, 3)" in t for t in shown)
