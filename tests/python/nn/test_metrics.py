"""Metrics against scikit-learn, whole and batch by batch."""

import numpy as np
import pytest
from judges import judge

import miniten as mt
from miniten.nn import metrics

sk = judge("sklearn.metrics")
rng = np.random.default_rng(0)
T = rng.integers(0, 5, 200)
LOGITS = (rng.normal(size=(200, 5)) + 1.5 * np.eye(5)[T]).astype("float32")
BINARY, SCORE = rng.integers(0, 2, 200), np.round(rng.random(200), 1)
Y, P = rng.normal(size=(200, 3)) + 5, rng.normal(size=(200, 3)) + 5


def stream(metric, prediction, target):
    for at in range(0, len(target), 37):
        metric.update(mt.tensor(prediction[at : at + 37]), target[at : at + 37])
    value = metric.compute()
    metric.reset()
    metric.update(prediction, target)
    np.testing.assert_allclose(metric.compute(), value, rtol=1e-9)
    metric.reset()
    return value


CLASS = LOGITS.argmax(1)
CASES = {
    "accuracy": (metrics.Accuracy(), LOGITS, T, lambda: sk.accuracy_score(T, CLASS)),
    "accuracy, binary": (metrics.Accuracy(0.3), SCORE, BINARY, lambda: sk.accuracy_score(BINARY, SCORE > 0.3)),
    "topk": (metrics.TopK(2), LOGITS, T, lambda: sk.top_k_accuracy_score(T, LOGITS, k=2)),
    "confusion": (metrics.ConfusionMatrix(), LOGITS, T, lambda: sk.confusion_matrix(T, CLASS)),
    "confusion, normalised": (metrics.ConfusionMatrix(normalize="true"), LOGITS, T, lambda: sk.confusion_matrix(T, CLASS, normalize="true")),
    "auc": (metrics.AUC(), SCORE, BINARY, lambda: sk.roc_auc_score(BINARY, SCORE)),
    "auc, classes": (metrics.AUC(), LOGITS, T, lambda: sk.roc_auc_score(T, np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True), multi_class="ovr")),
    "mae": (metrics.MAE(), P, Y, lambda: sk.mean_absolute_error(Y, P)),
    "mse": (metrics.MSE(), P, Y, lambda: sk.mean_squared_error(Y, P)),
    "r2": (metrics.R2(), P, Y, lambda: sk.r2_score(Y, P)),
    "r2, one output": (metrics.R2(), P[:, 0], Y[:, 0], lambda: sk.r2_score(Y[:, 0], P[:, 0])),
}
for name, ours, theirs in [("precision", metrics.Precision, sk.precision_score), ("recall", metrics.Recall, sk.recall_score), ("f1", metrics.F1, sk.f1_score)]:
    for average in ("macro", "micro", "weighted", None):
        CASES[f"{name}, {average}"] = (ours(average), LOGITS, T, lambda f=theirs, a=average: f(T, CLASS, average=a, zero_division=0))
    CASES[f"{name}, binary"] = (ours("binary"), SCORE, BINARY, lambda f=theirs: f(BINARY, SCORE > 0.5))
    rare = np.array([0, 0, 2, 2]), np.array([0, 2, 0, 0])
    CASES[f"{name}, a class never seen"] = (ours("macro"), np.eye(3)[rare[0]], rare[1], lambda f=theirs, r=rare: f(r[1], r[0], average="macro", zero_division=0))


@pytest.mark.parametrize("name", CASES)
def test_metric_against_sklearn(name):
    metric, prediction, target, wanted = CASES[name]
    np.testing.assert_allclose(stream(metric, prediction, target), wanted(), rtol=1e-5, atol=1e-7)


def test_names_and_images():
    assert mt.metrics is metrics
    for name in ("accuracy", "topk", "precision", "recall", "f1", "confusionmatrix", "auc", "mae", "mse", "r2", "Accuracy"):
        assert metrics.metric(name).name.replace("_", "") == name.lower()
    own = metrics.metric(metrics.TopK(3))
    assert own.k == 3 and metrics.metric(own) is own and isinstance(metrics.metric(metrics.MAE), metrics.MAE)
    m = metrics.Accuracy()
    m.update(np.moveaxis(np.eye(3)[[[0, 1], [2, 2]]], 2, 0)[None], [[[0, 1], [2, 0]]])
    assert m.compute() == 0.75
    assert np.isnan(metrics.Accuracy().compute()) and np.isnan(metrics.AUC().compute()) and np.isnan(metrics.MSE().compute())
    assert metrics.AUC().compute() != 0


@pytest.mark.parametrize(
    "call, error",
    [
        (lambda: metrics.metric("precison"), ValueError),
        (lambda: metrics.metric(3), TypeError),
        (lambda: metrics.TopK(0), ValueError),
        (lambda: metrics.TopK(3).update(LOGITS[:, :2], T), ValueError),
        (lambda: metrics.Accuracy().update(LOGITS, T[:3]), ValueError),
        (lambda: metrics.Accuracy().update(LOGITS, T + 0.5), TypeError),
        (lambda: metrics.Accuracy().update(LOGITS, T - 5), ValueError),
        (lambda: metrics.Precision("mean"), ValueError),
        (lambda: metrics.ConfusionMatrix(3).update(LOGITS, T), ValueError),
        (lambda: metrics.MSE().update(P, Y[:, :2]), ValueError),
        (lambda: metrics.ConfusionMatrix(normalize="rows"), ValueError),
    ],
)
def test_wrong_uses_are_refused(call, error):
    with pytest.raises(error, match="expected"):
        call()
