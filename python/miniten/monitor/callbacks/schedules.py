"""What changes in a model at a set time of its training. For pruning, edge.GradualPruning is such a callback."""

from __future__ import annotations

import math
from typing import Any

from miniten.monitor.callbacks.base import Callback, Logs


class QuantizationSchedule(Callback):
    """Freezes a model of edge.prepare_qat near the end, so that its last epochs train with what will be stored.

    observers: from when the ranges of activations stay as they are; batch_norm: from when batch norms use and keep their running
    statistics. A whole number is an epoch (from 0), a fraction in (0, 1) that share of the training's epochs; None: never. A training that
    is resumed later is frozen from its start. .frozen names what is.
    """

    _FREEZES = {"observers": "freeze_observers", "batch_norm": "freeze_batch_norm"}

    def __init__(self, observers: float | None = 0.8, batch_norm: float | None = 0.9) -> None:
        self.at = {"observers": observers, "batch_norm": batch_norm}
        for name, at in self.at.items():
            whole = isinstance(at, int) and not isinstance(at, bool) and at >= 0
            if at is not None and not whole and not (isinstance(at, float) and 0 < at < 1):
                raise ValueError(f"[QuantizationSchedule] expected {name} as an epoch of 0 or more or a share in (0, 1), got {at!r}")
        self.frozen: list[str] = []

    def set_model(self, model: Any) -> None:
        if not all(callable(getattr(model, freeze, None)) for freeze in self._FREEZES.values()):
            raise TypeError(f"[QuantizationSchedule] expected a model of edge.prepare_qat, got {type(model).__name__}")
        self.model = model

    def on_train_begin(self, logs: Logs = None) -> None:
        self.frozen = []

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        for name, freeze in self._FREEZES.items():
            if name not in self.frozen and epoch >= self._epoch(name):
                getattr(self.model, freeze)()
                self.frozen.append(name)
                if hasattr(self.trainer, "forget_steps"):  # compiled ones keep what they were compiled with
                    self.trainer.forget_steps()

    def _epoch(self, name: str) -> float:
        at = self.at[name]
        if at is None:
            return math.inf
        if isinstance(at, int):
            return at
        epochs = getattr(self.trainer, "total_epochs", None)
        if not epochs:
            raise ValueError(f"[QuantizationSchedule] expected a trainer that knows its total_epochs for {name}={at}, got none (give an epoch)")
        return math.ceil(at * epochs)
