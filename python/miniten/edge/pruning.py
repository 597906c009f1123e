"""Weights that become zero and stay zero: docs/edge/pruning.md."""

from __future__ import annotations

from typing import Any

from miniten import _core
from miniten._core import (
    ChannelSummary,
    PrunedModel,
    PruneReport,
    RepairReport,
    SensitivityReport,
    SparseReport,
    channel_groups,
    magnitude_prune,
    prune_model,
    repair,
    rewind,
    sensitivity_scan,
    sparse_execution,
    structured_prune,
)

__all__ = [
    "ChannelSummary", "GradualPruning", "PruneReport", "PrunedModel", "RepairReport", "SensitivityReport", "SparseReport", "channel_groups", "magnitude_prune", "plot_sensitivity", "prune_model",
    "repair", "rewind", "sensitivity_scan", "sparse_execution", "structured_prune",
]


class GradualPruning(_core.GradualPruning):
    """Sparsity that grows from step to step by a cubic law (Zhu and Gupta 2017).

    By hand: step() after each update, then apply(model). As a callback of Trainer.fit it does both for a PrunedModel; a trainer that
    resumed goes on from its step. data and loss are for the methods that ask them, as in prune_model: data is read at each pruning.
    """

    def __init__(self, initial_sparsity: float = 0.0, final_sparsity: float = 0.9, start_step: int = 0, end_step: int = 1000, frequency: int = 100, *,
                 model: PrunedModel | None = None, data: Any = None, loss: Any = None) -> None:
        super().__init__(initial_sparsity, final_sparsity, start_step, end_step, frequency)
        if model is not None and not isinstance(model, PrunedModel):
            raise TypeError(f"[GradualPruning] expected a PrunedModel, got {type(model).__name__} (prune_model(model, 0.0) makes one)")
        self.model, self.data, self.loss, self.trainer = model, data, loss, None
        self._end = end_step

    def apply(self, model: PrunedModel | None = None, data: Any = None, loss: Any = None) -> bool:
        """After step(): prunes the model in place where this step is one to update at -> whether it did."""
        model = self.model if model is None else model
        if model is None:
            raise ValueError("[GradualPruning] expected a model, got none (pass it to apply, or model= to GradualPruning)")
        return super().apply(model, self.data if data is None else data, self.loss if loss is None else loss)

    def plot(self, ax: Any = None) -> Any:
        """The sparsity over the steps, with a mark where it changes -> the axes."""
        from miniten import viz

        ax = viz.subplots()[1] if ax is None else ax
        last = self._end + max(1, self._end // 10)
        steps = sorted({*range(0, last + 1, max(1, last // 200)), last})
        updates = [s for s in range(last + 1) if self.should_update(s)]
        ax.plot(steps, [self.get_sparsity(s) for s in steps], label="schedule")
        ax.scatter(updates, [self.get_sparsity(s) for s in updates], label="pruned here")
        ax.set_xlabel("step")
        ax.set_ylabel("sparsity")
        ax.legend()
        return ax

    # ---- as a callback ----
    def set_model(self, model: Any) -> None:
        if not isinstance(model, PrunedModel):
            raise TypeError(f"[GradualPruning] expected a trainer of a PrunedModel, got {type(model).__name__} (train prune_model(model, 0.0))")
        self.model = model

    def set_trainer(self, trainer: Any) -> None:
        self.trainer = trainer

    def _catch_up(self) -> None:
        done = getattr(self.trainer, "step", None)
        changed = False
        for _ in range(1 if callable(done) or done is None else max(0, done - self.last_step)):
            self.step()
            changed |= self.apply()
        if changed and hasattr(self.trainer, "forget_steps"):
            self.trainer.forget_steps()

    def on_train_begin(self, logs: Any = None) -> None:
        done = getattr(self.trainer, "step", 0)
        if isinstance(done, int) and done > self.last_step:  # resumed
            self.last_step = done
            self.model.prune(self.get_sparsity(done), self.data, self.loss)

    def on_train_end(self, logs: Any = None) -> None:
        self.model.hold()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None: ...
    def on_batch_begin(self, batch: int, logs: Any = None) -> None: ...

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.model.hold()

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        self._catch_up()


def plot_sensitivity(report: SensitivityReport, ax: Any = None) -> Any:
    """A line for each layer: the score over the layer's sparsity -> the axes."""
    from miniten import viz

    ax = viz.subplots()[1] if ax is None else ax
    for row in report.rows:
        ax.plot([0.0, *report.sparsities], [report.base, *row.scores], marker="o", label=row.name)
    ax.set_xlabel("sparsity of one layer")
    ax.set_ylabel("score")
    ax.legend()
    return ax
