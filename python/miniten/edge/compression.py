"""Fewer distinct weights, products of low rank, small students of large teachers: docs/edge/compression.md."""

import copy
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from miniten import _core
from miniten._core import (
    CompressReport,
    CompressTrial,
    Module,
    LowRankApproximation,
    LowRankReport,
    SharedModel,
    ShareReport,
    distillation_loss,
    kmeans_1d,
    low_rank,
    prune_model,
    quantize_model,
    svd,
    vbmf_rank,
    weight_sharing,
)
from miniten.trainer import History, Trainer

__all__ = [
    "CompressReport", "CompressTrial", "Compressed", "Distillation", "LowRankApproximation", "LowRankReport", "ShareReport", "SharedModel", "compress", "compress_model",
    "distillation_loss", "kmeans_1d", "knowledge_distillation", "low_rank", "svd", "vbmf_rank", "weight_sharing",
]

class Distillation(_core.Distillation):
    """Trains a student by a teacher's answers; knowledge_distillation makes one."""

    _self = False

    def fit(self, data: Any, epochs: int = 1, on_epoch: Callable[[int, float], Any] | None = None, *, val: Any = None, callbacks: Sequence[Any] = (), verbose: bool | str = False,
            metrics: Sequence[Any] = (), scheduler: Any = None, clip_norm: float | None = None, batch_size: int = 32) -> History:
        """Trains the student for `epochs` more -> History of 'loss' and what else was measured. The student ends in eval mode.

        data, val, callbacks, metrics, scheduler, clip_norm: as of mt.Trainer.fit; val_loss is the plain cross entropy. verbose:
        'auto' shows progress, True also a line for each epoch. on_epoch(number, loss) after each epoch.
        """
        if not isinstance(epochs, int) or epochs < 1:
            raise ValueError(f"[fit] expected at least one epoch, got {epochs!r}")
        trainer = _Teaching(self, metrics, scheduler, clip_norm, epochs)
        watched = [*callbacks] if on_epoch is None else [*callbacks, _Each(on_epoch)]
        history = trainer.fit(data, val, epochs=epochs, callbacks=watched, verbose=verbose, batch_size=batch_size)
        self.student.eval()
        return history


class _Each:
    """A function of (epoch, loss) as a callback."""

    def __init__(self, told: Callable[[int, float], Any]) -> None:
        self.told = told

    def __getattr__(self, name: str) -> Any:
        if name.startswith("on_"):
            return lambda *_: None
        raise AttributeError(name)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.told(epoch, logs["loss"])


class _Teaching(Trainer):
    def __init__(self, lessons: Distillation, metrics: Sequence[Any], scheduler: Any, clip_norm: float | None, epochs: int) -> None:
        super().__init__(lessons.student, lessons.optimizer, "cross_entropy", metrics, scheduler, clip_norm=clip_norm, compile=False)
        self.lessons, self._alpha, self._last = lessons, lessons.alpha, epochs

    def _one_epoch(self, *given: Any) -> dict[str, Any]:
        if not self.lessons._self:
            return super()._one_epoch(*given)
        self.lessons.teachers = [copy.deepcopy(self.model).eval()]
        self.lessons.alpha = self._alpha * (self.epoch + 1) / self._last
        try:
            return super()._one_epoch(*given)
        finally:
            self.lessons.alpha = self._alpha

    def _forward(self, inputs: tuple, target: Any) -> tuple[Any, Any]:
        return self.lessons._lesson(inputs, target) if self.model.training else super()._forward(inputs, target)

    def _update(self, scale: float) -> None:
        super()._update(scale)
        adapters = self.lessons._adapter_optimizer
        if adapters is not None:
            adapters.step()
            adapters.zero_grad()


def _opened(model: Any) -> Module:
    if isinstance(model, Module):
        return model
    if isinstance(model, (str, os.PathLike)):
        from miniten import edge, load

        kind = os.fspath(model).rsplit(".", 1)[-1].lower()
        return {"onnx": edge.load_onnx, "tflite": edge.load_tflite}.get(kind, load)(model)
    raise TypeError(f"[knowledge_distillation] expected a teacher as a Module or a model file, got {type(model).__name__}")


def knowledge_distillation(student_model: Module, teacher_model: Any = None, temperature: float = 3.0, alpha: float = 0.5, *, hints: dict[str, str] = {}, attention: dict[str, str] = {},
                           hint_weight: float = 1.0, attention_weight: float = 1.0, cache: str | os.PathLike[str] | None = None) -> Distillation:
    """A trainer of the student: train_step(x, labels), fit(batches).

    teacher_model: a Module, a model file (.npz, .onnx, .tflite), or several, whose softened answers are averaged. 'self': what the
    student was after the last epoch of fit, with alpha growing to what is given (Kim et al. 2021). hints, attention: {path of a
    student's layer: path of the first teacher's}. cache: a folder where the teachers' answers are kept.
    """
    own = isinstance(teacher_model, str) and teacher_model == "self"
    if own and (cache is not None or hints or attention):
        raise ValueError("[knowledge_distillation] expected no cache, hints or attention with teacher 'self', got some (it changes with every epoch)")
    teachers = teacher_model if isinstance(teacher_model, (list, tuple)) else [] if own or teacher_model is None else [teacher_model]
    lessons = Distillation(student_model, [_opened(t) for t in teachers], temperature, alpha, hints, attention, hint_weight, attention_weight)
    lessons._self = own
    if cache is not None:
        lessons.cache(cache)
    return lessons


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
    """Searches recipes of channel pruning, low rank, weight pruning, weight sharing and integers (int8, int16x8, trained int8, mixes) by measured cost for the best score within the budget.

    data: batches (inputs.., target) that can be walked again, or an array; integers take their ranges from the inputs, and train on them. None: int8 alone, ranges at run time.
    evaluate(model) gives a score in [0, 1]. budget: flash_kb, ram_kb, latency_ms (each of this machine) and max_drop of the score.
    journal: a file that every trial is written to; the same search goes on from it after a kill. A budget that no trial meets is an
    error that says which limit it is and how near the trials came.
    """
    if data is not None and iter(data) is data:
        raise ValueError("[compress] expected data that can be walked again, got an iterator (pass a list, an array or a DataLoader)")
    made, report = _core._compress(model, None if data is None else _Inputs(data), evaluate, dict(budget), "" if journal is None else os.fspath(journal), seed, input_shape, input_dtypes)
    return Compressed(made, report)
