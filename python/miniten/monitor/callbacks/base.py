"""What callbacks are, and how they are called."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from typing import Any

Logs = dict[str, Any] | None


def number(value: Any) -> float | None:
    """value as a float, where it is one number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


class Callback:
    """Base of all: override what is needed. model and trainer are set before on_train_begin; trainer.stop_training = True ends training."""

    model: Any = None
    trainer: Any = None

    def set_model(self, model: Any) -> None:
        self.model = model

    def set_trainer(self, trainer: Any) -> None:
        self.trainer = trainer

    def on_train_begin(self, logs: Logs = None) -> None: ...
    def on_train_end(self, logs: Logs = None) -> None: ...
    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None: ...
    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None: ...
    def on_batch_begin(self, batch: int, logs: Logs = None) -> None: ...
    def on_batch_end(self, batch: int, logs: Logs = None) -> None: ...
    def on_update_begin(self, step: int, logs: Logs = None) -> None:
        """Before an eager update: gradients are there, not yet clipped. A step compiled as a whole has none to show."""

    def _stop(self) -> None:
        """The trainer ends after this batch or epoch."""
        if self.trainer is not None:
            self.trainer.stop_training = True


_EVENTS = ("on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end", "on_batch_begin", "on_batch_end")


def _give(callback: Any, what: str, value: Any) -> None:
    setter = getattr(callback, f"set_{what}", None)
    if callable(setter):
        setter(value)
    else:
        setattr(callback, what, value)


class CallbackList(Callback):
    """Calls each callback in order. stop_training is True once one asked to stop."""

    def __init__(self, callbacks: Iterable[Callback] = (), model: Any = None, trainer: Any = None) -> None:
        self.callbacks = list(callbacks)
        self._stopped = False
        trainer = self if trainer is None else trainer
        for c in self.callbacks:
            missing = [m for m in _EVENTS if not callable(getattr(c, m, None))]
            if missing:
                raise TypeError(f"[callbacks] expected miniten.monitor.Callback objects, got {type(c).__name__} without {', '.join(missing)}")
            _give(c, "model", model)
            _give(c, "trainer", trainer)
        self.model, self.trainer = model, trainer

    @property
    def stop_training(self) -> bool:
        return self._stopped or (self.trainer is not self and bool(getattr(self.trainer, "stop_training", False)))

    @stop_training.setter
    def stop_training(self, value: bool) -> None:
        self._stopped = value

    @property
    def optimizer(self) -> Any:
        return getattr(self.trainer, "optimizer", None) if self.trainer is not self else None

    def on_train_begin(self, logs: Logs = None) -> None:
        for c in self.callbacks:
            c.on_train_begin(logs)

    def on_train_end(self, logs: Logs = None) -> None:
        for c in self.callbacks:
            c.on_train_end(logs)

    def on_update_begin(self, step: int, logs: Logs = None) -> None:
        for c in self.callbacks:
            if hasattr(c, "on_update_begin"):
                c.on_update_begin(step, logs)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        for c in self.callbacks:
            c.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        for c in self.callbacks:
            c.on_epoch_end(epoch, logs)

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        for c in self.callbacks:
            c.on_batch_begin(batch, logs)

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        for c in self.callbacks:
            c.on_batch_end(batch, logs)


class Borrowed:
    """Settings of a trainer that a callback changes while it trains."""

    def __init__(self) -> None:
        self._old: list[tuple[Any, str, Any]] = []

    def set(self, owner: Any, name: str, value: Any) -> None:
        if hasattr(owner, name) and getattr(owner, name) != value:
            self._old.append((owner, name, getattr(owner, name)))
            setattr(owner, name, value)

    def give_back(self) -> None:
        while self._old:
            owner, name, value = self._old.pop()
            setattr(owner, name, value)


class Watching(Callback):
    """Compares one entry of the logs with the best so far."""

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        who = type(self).__name__
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"[{who}] expected mode 'auto', 'min' or 'max', got {mode!r}")
        if not min_delta >= 0:
            raise ValueError(f"[{who}] expected min_delta of 0 or more, got {min_delta}")
        if mode == "auto":
            name = monitor.lower()
            mode = "max" if any(part in name for part in ("acc", "auc", "precision", "recall", "f1", "r2", "topk", "score")) else "min"
        self.monitor, self.mode, self.min_delta = monitor, mode, float(min_delta)
        self.best = math.inf if mode == "min" else -math.inf
        self._warned = False

    def value(self, logs: Logs) -> float | None:
        found = number((logs or {}).get(self.monitor))
        if found is None and not self._warned:
            self._warned = True
            there = ", ".join(sorted(map(str, logs or {}))) or "none"
            warnings.warn(f"[{type(self).__name__}] expected '{self.monitor}' among the logs, got: {there}", RuntimeWarning, stacklevel=3)
        return found

    def better(self, value: float) -> bool:
        """NaN is never better."""
        return value < self.best - self.min_delta if self.mode == "min" else value > self.best + self.min_delta

    def _begin_again(self) -> None:
        self.best = math.inf if self.mode == "min" else -math.inf
