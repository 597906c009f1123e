"""Fewer distinct weights, products of low rank, small students of large teachers: docs/edge/compression.md."""

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from miniten import _core
from miniten._core import (
    CompressReport,
    CompressTrial,
    Distillation,
    Module,
    LowRankApproximation,
    LowRankReport,
    SharedModel,
    ShareReport,
    distillation_loss,
    kmeans_1d,
    knowledge_distillation,
    low_rank,
    prune_model,
    quantize_model,
    svd,
    weight_sharing,
)

__all__ = [
    "CompressReport", "CompressTrial", "Compressed", "Distillation", "LowRankApproximation", "LowRankReport", "ShareReport", "SharedModel", "compress", "compress_model",
    "distillation_loss", "kmeans_1d", "knowledge_distillation", "low_rank", "svd", "weight_sharing",
]

_METHODS = {"quantize": quantize_model, "prune": prune_model, "share": weight_sharing, "low_rank": low_rank}


def compress_model(model, method="quantize", **options):
    """The function of that method with these options: 'quantize' (quantize_model), 'prune' (prune_model), 'share' (weight_sharing),
    'low_rank' (low_rank), or 'distill' (knowledge_distillation, whose student is the keyword `student`, taught by `model`)."""
    if method == "distill":
        if options.get("student") is None:
            raise ValueError("[compress_model] expected the model to train as student, got none (pass student=)")
        return knowledge_distillation(options.pop("student"), model, **options)
    if method not in _METHODS:
        raise ValueError(f"[compress_model] expected method quantize, prune, distill, share or low_rank, got {method!r}")
    return _METHODS[method](model, **options)


class Compressed:
    """What compress found: model, and report with every trial."""

    def __init__(self, model: Module, report: CompressReport) -> None:
        self.model, self.report = model, report

    @property
    def trials(self) -> list[CompressTrial]:
        return self.report.trials

    @property
    def best(self) -> CompressTrial:
        return self.report.trials[self.report.best]

    def plot(self, ax: Any = None) -> Any:
        """Scores over kilobytes of flash; those that no other beats are joined -> the axes."""
        from miniten import viz

        ax = viz.subplots()[1] if ax is None else ax
        made = [t for t in self.trials if not t.failed]
        front = [self.trials[i] for i in self.report.pareto()]
        ax.scatter([t.flash_kb for t in made], [t.score for t in made], label="tried")
        ax.plot([t.flash_kb for t in front], [t.score for t in front], marker="o", label="not beaten")
        ax.scatter([self.best.flash_kb], [self.best.score], label=f"taken: {self.best.recipe}")
        ax.set_xlabel("flash, KB")
        ax.set_ylabel("score")
        ax.legend()
        return ax

    def __repr__(self) -> str:
        return f"Compressed({self.best.recipe!r}, score {self.best.score:.4f}, {self.best.flash_kb:.1f} KB)"


class _Inputs:
    """The inputs of each batch, as often as asked: the last of a tuple is its target."""

    def __init__(self, data: Iterable[Any]) -> None:
        self.data = data

    def __iter__(self):
        if hasattr(self.data, "shape"):
            yield (self.data,)
            return
        for batch in self.data:
            if isinstance(batch, (tuple, list)):
                yield tuple(batch[:-1]) if len(batch) > 1 else tuple(batch)
            else:
                yield (batch,)


def compress(model: Module, data: Any, evaluate: Callable[[Module], float], budget: Mapping[str, float], journal: str | os.PathLike[str] | None = None, seed: int = 0, *,
             input_shape: Any = None, input_dtypes: Any = None) -> Compressed:
    """Searches recipes of channel pruning, low rank, weight pruning, weight sharing and int8 by measured cost for the best score within the budget.

    data: batches (inputs.., target) that can be walked again, or an array; int8 takes its ranges from the inputs. None: at run time.
    evaluate(model) gives a score in [0, 1]. budget: flash_kb, ram_kb, latency_ms (each of this machine) and max_drop of the score.
    journal: a file that every trial is written to; the same search goes on from it after a kill. A budget that no trial meets is an
    error that says which limit it is and how near the trials came.
    """
    if data is not None and iter(data) is data:
        raise ValueError("[compress] expected data that can be walked again, got an iterator (pass a list, an array or a DataLoader)")
    made, report = _core._compress(model, None if data is None else _Inputs(data), evaluate, dict(budget), "" if journal is None else os.fspath(journal), seed, input_shape, input_dtypes)
    return Compressed(made, report)
