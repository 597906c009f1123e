"""Metrics over a stream of batches: update(prediction, target), compute(), reset().

Predictions are logits or probabilities (N, C, ..), or one score per sample for two classes; targets are integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
else:
    class _Numpy:  # imported where it is first used: models are loaded and run without it
        def __getattr__(self, name):
            import numpy

            return getattr(numpy, name)

    np = _Numpy()

__all__ = ["AUC", "F1", "MAE", "MSE", "R2", "Accuracy", "ConfusionMatrix", "Metric", "Precision", "Recall", "TopK", "metric"]


def _array(x: Any) -> np.ndarray:
    return np.asarray(x.detach().numpy() if hasattr(x, "detach") else x)


def _labels(who: str, target: np.ndarray) -> np.ndarray:
    if target.dtype.kind == "b":
        return target.astype(np.int64)
    if target.dtype.kind not in "iu":
        if target.dtype.kind == "f" and np.array_equal(target, np.round(target)):
            return target.astype(np.int64)
        raise TypeError(f"[{who}] expected integer targets, got {target.dtype}")
    if target.size and target.min() < 0:
        raise ValueError(f"[{who}] expected targets of 0 or more, got {target.min()}")
    return target.astype(np.int64)


def _classes(who: str, prediction: np.ndarray, target: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true classes, flat."""
    target = _labels(who, target)
    if prediction.ndim == target.ndim + 1 and prediction.shape[1] > 1:
        prediction = prediction.argmax(1)
    elif prediction.ndim == target.ndim + 1:
        prediction = prediction.reshape(target.shape) > threshold
    elif prediction.dtype.kind == "f":
        prediction = prediction > threshold
    if prediction.shape != target.shape:
        raise ValueError(f"[{who}] expected predictions (N, C, ..) or like the targets {target.shape}, got {prediction.shape}")
    return prediction.astype(np.int64).ravel(), target.ravel()


class Metric:
    """Base of all. name is what a Trainer logs it under."""

    name = "metric"

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        raise NotImplementedError(f"[{type(self).__name__}] expected a method reset, got none")

    def update(self, prediction: Any, target: Any) -> None:
        raise NotImplementedError(f"[{type(self).__name__}] expected a method update, got none")

    def compute(self) -> Any:
        raise NotImplementedError(f"[{type(self).__name__}] expected a method compute, got none")

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Accuracy(Metric):
    """The share of right answers. threshold: of single scores."""

    name = "accuracy"

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = threshold
        super().__init__()

    def reset(self) -> None:
        self.right = self.count = 0

    def update(self, prediction: Any, target: Any) -> None:
        p, t = _classes("Accuracy", _array(prediction), _array(target), self.threshold)
        self.right += int((p == t).sum())
        self.count += t.size

    def compute(self) -> float:
        return self.right / self.count if self.count else float("nan")


class TopK(Metric):
    """The share of samples whose label is among the k greatest scores."""

    name = "topk"

    def __init__(self, k: int = 5) -> None:
        if k < 1:
            raise ValueError(f"[TopK] expected k of at least 1, got {k}")
        self.k = k
        super().__init__()

    def reset(self) -> None:
        self.right = self.count = 0

    def update(self, prediction: Any, target: Any) -> None:
        p, t = _array(prediction), _labels("TopK", _array(target))
        if p.ndim != 2 or t.shape != p.shape[:1] or p.shape[1] < self.k:
            raise ValueError(f"[TopK] expected scores (N, C) with C of at least {self.k} and targets (N,), got {p.shape} and {t.shape}")
        own = np.take_along_axis(p, t[:, None], 1)
        order = np.arange(p.shape[1])
        before = (p > own) | ((p == own) & (order < t[:, None]))
        self.right += int((before.sum(1) < self.k).sum())
        self.count += t.size

    def compute(self) -> float:
        return self.right / self.count if self.count else float("nan")


class ConfusionMatrix(Metric):
    """Counts (C, C): rows are true classes, columns predicted ones. normalize: None, 'true', 'pred' or 'all'."""

    name = "confusion_matrix"

    def __init__(self, num_classes: int | None = None, normalize: str | None = None, threshold: float = 0.5) -> None:
        if normalize not in (None, "true", "pred", "all"):
            raise ValueError(f"[ConfusionMatrix] expected normalize None, 'true', 'pred' or 'all', got {normalize!r}")
        self.num_classes, self.normalize, self.threshold = num_classes, normalize, threshold
        super().__init__()

    def reset(self) -> None:
        n = self.num_classes or 0
        self.counts = np.zeros((n, n), np.int64)

    def update(self, prediction: Any, target: Any) -> None:
        prediction = _array(prediction)
        p, t = _classes(type(self).__name__, prediction, _array(target), self.threshold)
        wide = prediction.shape[1] if prediction.ndim == _array(target).ndim + 1 and prediction.shape[1] > 1 else 0
        n = max(int(p.max(initial=-1)), int(t.max(initial=-1))) + 1
        if self.num_classes is not None and n > self.num_classes:
            raise ValueError(f"[{type(self).__name__}] expected classes below {self.num_classes}, got {n - 1}")
        n = max(n, wide, len(self.counts))
        if n > len(self.counts):
            grown = np.zeros((n, n), np.int64)
            grown[: len(self.counts), : len(self.counts)] = self.counts
            self.counts = grown
        self.counts += np.bincount(t * n + p, minlength=n * n).reshape(n, n)

    def compute(self) -> Any:
        if self.normalize is None:
            return self.counts.copy()
        total = {"true": self.counts.sum(1, keepdims=True), "pred": self.counts.sum(0, keepdims=True), "all": self.counts.sum()}[self.normalize]
        return self.counts / np.maximum(total, 1)


class _PerClass(ConfusionMatrix):
    def __init__(self, average: str | None = "macro", num_classes: int | None = None, threshold: float = 0.5) -> None:
        if average not in ("macro", "micro", "weighted", "binary", None):
            raise ValueError(f"[{type(self).__name__}] expected average 'macro', 'micro', 'weighted', 'binary' or None, got {average!r}")
        self.average = average
        super().__init__(num_classes, None, threshold)

    def score(self, right: np.ndarray, predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def compute(self) -> Any:
        right, predicted, true = np.diag(self.counts), self.counts.sum(0), self.counts.sum(1)
        if self.average == "micro":
            return float(self.score(right.sum(keepdims=True), predicted.sum(keepdims=True), true.sum(keepdims=True))[0])
        each = self.score(right, predicted, true)
        if self.average is None:
            return each
        if self.average == "binary":
            if len(each) > 2:
                raise ValueError(f"[{type(self).__name__}] expected two classes with average='binary', got {len(each)}")
            return float(each[1]) if len(each) == 2 else 0.0
        seen = (predicted + true) > 0
        if not seen.any():
            return float("nan")
        weights = true[seen] if self.average == "weighted" else np.ones(seen.sum())
        return float((each[seen] * weights).sum() / max(weights.sum(), 1))


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.zeros(len(a)), where=b > 0)


class Precision(_PerClass):
    """Right among those predicted. average: over the classes seen ('macro'), of all together, by support, of class 1, or None."""

    name = "precision"

    def score(self, right, predicted, true):
        return _ratio(right, predicted)


class Recall(_PerClass):
    """Right among those there are."""

    name = "recall"

    def score(self, right, predicted, true):
        return _ratio(right, true)


class F1(_PerClass):
    """The harmonic mean of precision and recall."""

    name = "f1"

    def score(self, right, predicted, true):
        return _ratio(2.0 * right, predicted + true)


class AUC(Metric):
    """Area under the ROC curve, exact; more than two classes: the mean of each against the rest. Keeps every score."""

    name = "auc"

    def reset(self) -> None:
        self.scores: list[np.ndarray] = []
        self.targets: list[np.ndarray] = []

    def update(self, prediction: Any, target: Any) -> None:
        p, t = _array(prediction).astype(np.float64), _labels("AUC", _array(target))
        if p.ndim == 2 and p.shape[1] == 1:
            p = p[:, 0]
        if p.shape[:1] != t.shape or p.ndim > 2:
            raise ValueError(f"[AUC] expected scores (N,) or (N, C) and targets (N,), got {p.shape} and {t.shape}")
        if p.ndim == 2:
            p = np.exp(p - p.max(1, keepdims=True)) if (p < 0).any() or not np.allclose(p.sum(1), 1, atol=1e-3) else p
            p = p / p.sum(1, keepdims=True)
            if p.shape[1] == 2:
                p = p[:, 1]
        self.scores.append(p)
        self.targets.append(t)

    def compute(self) -> float:
        if not self.targets:
            return float("nan")
        p, t = np.concatenate(self.scores), np.concatenate(self.targets)
        if p.ndim == 1:
            return _area(p, t == 1)
        return float(np.mean([_area(p[:, c], t == c) for c in range(p.shape[1])]))


def _area(score: np.ndarray, positive: np.ndarray) -> float:
    """The probability that a positive outranks a negative, ties counting half."""
    n, m = int(positive.sum()), int((~positive).sum())
    if n == 0 or m == 0:
        return float("nan")
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return float((rank[positive].sum() - n * (n + 1) / 2) / (n * m))


class _Errors(Metric):
    def reset(self) -> None:
        self.count = 0
        self.total = 0.0

    def pair(self, prediction: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
        p, t = _array(prediction).astype(np.float64), _array(target).astype(np.float64)
        if p.shape != t.shape:
            if p.shape == (*t.shape, 1) or t.shape == (*p.shape, 1):
                return p.reshape(-1), t.reshape(-1)
            raise ValueError(f"[{type(self).__name__}] expected targets of shape {p.shape}, got {t.shape}")
        return p, t

    def compute(self) -> float:
        return self.total / self.count if self.count else float("nan")


class MAE(_Errors):
    """The mean of |prediction - target|."""

    name = "mae"

    def update(self, prediction: Any, target: Any) -> None:
        p, t = self.pair(prediction, target)
        self.total += float(np.abs(p - t).sum())
        self.count += p.size


class MSE(_Errors):
    """The mean of (prediction - target)^2."""

    name = "mse"

    def update(self, prediction: Any, target: Any) -> None:
        p, t = self.pair(prediction, target)
        self.total += float(np.square(p - t).sum())
        self.count += p.size


class R2(_Errors):
    """1 - the squared error over that of the mean target; of several outputs the mean."""

    name = "r2"

    def reset(self) -> None:
        self.count = 0
        self.error = self.centre = self.spread = 0.0

    def update(self, prediction: Any, target: Any) -> None:
        p, t = self.pair(prediction, target)
        p, t = (p[:, None], t[:, None]) if p.ndim == 1 else (p, t)
        if not len(t):
            return
        self.error = self.error + np.square(p - t).sum(0)
        n, centre = len(t), t.mean(0)                           # joins means and spreads (Chan et al. 1979)
        move, total = centre - self.centre, self.count + n
        self.spread = self.spread + np.square(t - centre).sum(0) + np.square(move) * (self.count * n / total)
        self.centre = self.centre + move * (n / total)
        self.count = total

    def compute(self) -> float:
        if self.count < 2:
            return float("nan")
        spread = np.asarray(self.spread)
        flat = np.where(np.asarray(self.error) == 0, 1.0, 0.0)
        return float(np.mean(np.where(spread > 0, 1 - self.error / np.where(spread > 0, spread, 1), flat)))


_NAMES = {m.name: m for m in (Accuracy, TopK, Precision, Recall, F1, ConfusionMatrix, AUC, MAE, MSE, R2)}
_NAMES.update(acc=Accuracy, confusionmatrix=ConfusionMatrix)


def metric(name_or_metric: Any) -> Metric:
    """A metric by its lower-case name, or what it is given if that has update, compute and reset."""
    if isinstance(name_or_metric, str):
        if name_or_metric.lower() not in _NAMES:
            raise ValueError(f"[metric] expected one of {', '.join(sorted(_NAMES))}, got {name_or_metric!r}")
        return _NAMES[name_or_metric.lower()]()
    if isinstance(name_or_metric, type):
        name_or_metric = name_or_metric()
    missing = [m for m in ("update", "compute", "reset") if not callable(getattr(name_or_metric, m, None))]
    if missing:
        raise TypeError(f"[metric] expected a name or a metric, got {type(name_or_metric).__name__} without {', '.join(missing)}")
    return name_or_metric
