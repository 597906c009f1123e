"""Figures of networks and their results: curves of a training, confusion, weights, filters, ROC, and what costs what."""

from __future__ import annotations

from typing import Any

import numpy as np

from miniten import viz
from miniten._core import Figure


def _grid(n: int, widest: int = 3) -> tuple[int, int]:
    columns = min(n, widest)
    return -(-n // columns), columns


def _series(history: Any, metrics: Any) -> dict[str, list[tuple[float, float]]]:
    """name -> [(step, value)] of a History, a dict of lists or of (step, value[, time]) rows, or what a logger has of `metrics`."""
    found = getattr(history, "history", history)
    if hasattr(history, "get_metric"):
        wanted = ["loss", "accuracy"] if metrics is None else [metrics] if isinstance(metrics, str) else list(metrics)
        found = {name: history.get_metric(name) for m in wanted for name in (m, "val_" + m)}
    if not isinstance(found, dict):
        raise TypeError(f"[training_curves] expected a History or a dict of metrics, got {type(history).__name__}")
    series = {}
    for name, values in found.items():
        rows = [(float(v[0]), float(v[1])) if isinstance(v, (tuple, list)) else (float(i + 1), float(v)) for i, v in enumerate(values)]
        if rows:
            series[str(name)] = rows
    if not series:
        raise ValueError("[training_curves] expected at least one metric with values, got none")
    return series


def training_curves(history: Any, metrics: Any = None, figsize: tuple[float, float] | None = None, theme: str | None = None) -> Figure:
    """A panel for each metric of a History, a MetricsLogger, or a dict name -> values or [(step, value)]; 'val_' beside its own.

    metrics: which ones, without 'val_'; all by default, of a logger 'loss' and 'accuracy'.
    """
    series = _series(history, metrics)
    panels: dict[str, list[str]] = {}
    for name in series:
        panels.setdefault(name.removeprefix("val_"), []).append(name)
    if metrics is not None:
        wanted = [metrics] if isinstance(metrics, str) else list(metrics)
        missing = [m for m in wanted if m not in panels]
        if missing:
            raise ValueError(f"[training_curves] expected metrics among {sorted(panels)}, got {missing}")
        panels = {m: panels[m] for m in wanted}
    rows, columns = _grid(len(panels))
    f = viz.figure(figsize or (5 * columns, 3.6 * rows), theme=theme)
    for i, (panel, names) in enumerate(panels.items()):
        ax = f.add_subplot(rows, columns, i + 1)
        for name in sorted(names, key=lambda n: n.startswith("val_")):
            steps, values = zip(*series[name])
            validation = name.startswith("val_")
            label = "validation" if validation else "train"
            ax.plot(steps, values, color="C1" if validation else "C0", label=label if len(names) > 1 else None, marker="o" if len(steps) < 2 else None)
            if "loss" in panel and validation:
                best = int(np.nanargmin(values)) if not np.all(np.isnan(values)) else 0
                ax.plot([steps[best]], [values[best]], color="C1", marker="o", linestyle="none", markersize=7)
        ax.set_title(panel.replace("_", " "))
        ax.set_xlabel("epoch")
        ax.grid()
        if len(names) > 1:
            ax.legend()
    return f


def _labels_of(values: Any, name: str) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim == 2:
        array = array.argmax(1)                       # scores of classes
    if array.ndim != 1:
        raise ValueError(f"[confusion_matrix] expected {name} as labels (n,) or scores (n, classes), got {array.shape}")
    return array


def confusion_matrix(y: Any, p: Any, labels: Any = None, normalize: bool = False, figsize: tuple[float, float] | None = None, theme: str | None = None) -> Figure:
    """True labels y by rows, predictions p (labels, or scores of classes) by columns; normalize: each row in shares of 1."""
    truth, guess = _labels_of(y, "y"), _labels_of(p, "p")
    if truth.shape != guess.shape:
        raise ValueError(f"[confusion_matrix] expected y and p of one length, got {len(truth)} and {len(guess)}")
    if truth.dtype.kind in "iub" and guess.dtype.kind in "iub" and labels is not None:
        kinds = np.arange(len(labels))
    else:
        kinds = np.unique(np.concatenate([truth, guess]))
    where = {k: i for i, k in enumerate(kinds.tolist())}
    unknown = [v for v in {*truth.tolist(), *guess.tolist()} if v not in where]
    if unknown:
        raise ValueError(f"[confusion_matrix] expected labels of 0 to {len(kinds) - 1}, got {sorted(unknown)[:5]} (a name for each class)")
    counts = np.zeros((len(kinds), len(kinds)))
    np.add.at(counts, ([where[v] for v in truth.tolist()], [where[v] for v in guess.tolist()]), 1)
    accuracy = counts.trace() / max(counts.sum(), 1)
    shown = counts / np.maximum(counts.sum(1, keepdims=True), 1) if normalize else counts
    side = max(4.5, 0.55 * len(kinds) + 2)
    f = viz.figure(figsize or (side + 1, side), theme=theme)
    ax = f.add_subplot()
    names = [str(n) for n in (labels if labels is not None else kinds.tolist())]
    ax.heatmap(shown, cmap="blues", annot=len(kinds) <= 25, fmt=".2f" if normalize else "d", xlabels=names, ylabels=names, square=True,
               cbar_label="share of the class" if normalize else "samples")
    ax.set_title(f"accuracy {accuracy:.1%}")
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    return f


def weight_histogram(model: Any, bins: int = 60, most: int = 12, figsize: tuple[float, float] | None = None, theme: str | None = None) -> Figure:
    """The distribution of each weight (parameters of two axes or more), with its share of zeros; the `most` largest ones."""
    weights = [(name, np.asarray(p.numpy(), dtype=np.float64).ravel()) for name, p in model.named_parameters() if len(p.shape) >= 2]
    if not weights:
        raise ValueError("[weight_histogram] expected a model with weights of two axes or more, got none")
    kept = sorted(sorted(range(len(weights)), key=lambda i: -weights[i][1].size)[:most])
    rows, columns = _grid(len(kept))
    f = viz.figure(figsize or (4 * columns, 2.8 * rows), theme=theme)
    for i, index in enumerate(kept):
        name, values = weights[index]
        ax = f.add_subplot(rows, columns, i + 1)
        ax.hist(values, bins=bins)
        zeros = float((values == 0).mean())
        ax.set_title(name + (f" ({zeros:.0%} zeros)" if zeros else ""))
    return f


def filters(conv: Any, most: int = 64, cmap: str = "coolwarm", figsize: tuple[float, float] | None = None, theme: str | None = None) -> Figure:
    """The kernels of a convolution: in colour where it reads three channels, else a row per output and a column per input."""
    weight = getattr(conv, "weight", conv)
    w = np.asarray(weight.numpy() if hasattr(weight, "numpy") else weight, dtype=np.float64)
    if w.ndim != 4:
        raise ValueError(f"[filters] expected weights (out, in, height, width), got {w.shape}")
    outputs, inputs, height, width = w.shape
    largest = max(float(np.abs(w).max()), 1e-12)
    gap = np.nan
    if inputs == 3:
        shown = min(outputs, most)
        columns = int(np.ceil(np.sqrt(shown)))
        rows = -(-shown // columns)
        image = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1, 4), 0.0)
        for i in range(shown):
            r, c = divmod(i, columns)
            tile = image[r * (height + 1): r * (height + 1) + height, c * (width + 1): c * (width + 1) + width]
            tile[..., :3] = np.moveaxis(w[i], 0, 2) / (2 * largest) + 0.5
            tile[..., 3] = 1
    else:
        rows = min(outputs, max(1, most // max(1, min(inputs, 16))))
        columns = min(inputs, 16)
        image = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), gap)
        for r in range(rows):
            for c in range(columns):
                image[r * (height + 1): r * (height + 1) + height, c * (width + 1): c * (width + 1) + width] = w[r, c]
    aspect = image.shape[0] / image.shape[1]
    f = viz.figure(figsize or (6, min(max(6 * aspect + 0.6, 1.5), 14)), theme=theme)
    ax = f.add_subplot()
    ax.imshow(image, cmap=cmap, **({} if inputs == 3 else {"vmin": -largest, "vmax": largest}))
    ax.set_axis(False)
    ax.set_title(f"{outputs} × {inputs} kernels of {height} × {width}")
    return f


def _roc(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    order = np.argsort(-scores, kind="stable")
    hits = truth[order].astype(np.float64)
    last = np.r_[np.nonzero(np.diff(scores[order]))[0], len(hits) - 1]      # equal scores are one step
    true, false = np.cumsum(hits)[last], np.cumsum(1 - hits)[last]
    if true[-1] == 0 or false[-1] == 0:
        raise ValueError("[roc_curve] expected samples of the class and others, got only one kind")
    tpr, fpr = np.r_[0, true / true[-1]], np.r_[0, false / false[-1]]
    return fpr, tpr, float(((fpr[1:] - fpr[:-1]) * (tpr[1:] + tpr[:-1]) / 2).sum())


def roc_curve(y: Any, scores: Any, labels: Any = None, figsize: tuple[float, float] = (5.5, 5), theme: str | None = None) -> Figure:
    """True over false positive rate with the area below: scores (n,) of label 1, or (n, classes), each class against the rest."""
    truth, s = np.asarray(y), np.asarray(scores, dtype=np.float64)
    if s.ndim not in (1, 2) or truth.shape != s.shape[:1]:
        raise ValueError(f"[roc_curve] expected labels (n,) and scores (n,) or (n, classes), got {truth.shape} and {s.shape}")
    if np.isnan(s).any():
        raise ValueError("[roc_curve] expected scores that are numbers, got NaN")
    curves = [("", truth == 1, s)] if s.ndim == 1 else [(str(labels[k]) if labels is not None else str(k), truth == k, s[:, k]) for k in range(s.shape[1])]
    f = viz.figure(figsize, theme=theme)
    ax = f.add_subplot()
    for name, positive, values in curves:
        fpr, tpr, area = _roc(positive, values)
        ax.plot(fpr, tpr, label=f"{name} AUC {area:.3f}".strip())
    ax.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
    ax.set(title="ROC", xlabel="false positive rate", ylabel="true positive rate", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    ax.grid()
    ax.legend("lower right")
    return f


def pareto(results: Any, x: str = "bytes", y: str = "accuracy", name: str | None = "name", maximize: Any = None,
           figsize: tuple[float, float] = (7, 4.5), theme: str | None = None) -> Figure:
    """Results (dicts) as points, the ones that no other beats in both joined. maximize: of x and y those where more is better; by default y."""
    rows = [r if isinstance(r, dict) else vars(r) for r in results]
    for key in (x, y):
        if not rows or any(key not in r for r in rows):
            raise ValueError(f"[pareto] expected results that all have '{key}', got {sorted(rows[0]) if rows else 'no results'}")
    better = {y} if maximize is None else {maximize} if isinstance(maximize, str) else set(maximize)
    points = np.array([[float(r[x]), float(r[y])] for r in rows])
    cost = points * np.array([-1 if k in better else 1 for k in (x, y)])
    beaten = [bool(((cost <= c).all(1) & (cost < c).any(1)).any()) for c in cost]
    front = sorted((i for i, b in enumerate(beaten) if not b), key=lambda i: points[i, 0])
    f = viz.figure(figsize, theme=theme)
    ax = f.add_subplot()
    rest = [i for i, b in enumerate(beaten) if b]
    if rest:
        ax.scatter(points[rest, 0], points[rest, 1], s=36, c="0.65", label="beaten")
    ax.plot(points[front, 0], points[front, 1], color="C0", marker="o", label="best trade-offs")
    for i in front:
        if name and name in rows[i]:
            ax.text(points[i, 0], points[i, 1], f"  {rows[i][name]}", va="top", fontsize=8.5)
    ax.set(xlabel=x.replace("_", " "), ylabel=y.replace("_", " "))
    ax.grid()
    if rest:
        ax.legend()
    return f
