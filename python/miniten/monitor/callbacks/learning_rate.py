"""Setting and watching the learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from miniten.monitor.callbacks.base import Callback, Logs, Watching


def learning_rate(optimizer: Any) -> float:
    """Of an optimizer; of its first group where it has groups."""
    if hasattr(optimizer, "lr"):
        return float(optimizer.lr)
    return float(optimizer.param_groups[0]["lr"])


def set_learning_rate(optimizer: Any, lr: float) -> None:
    """Of an optimizer; of all its groups, in proportion, where it has groups."""
    if not (lr >= 0 and math.isfinite(lr)):
        raise ValueError(f"[learning rate] expected a finite number of 0 or more, got {lr}")
    groups = getattr(optimizer, "param_groups", None)
    old = learning_rate(optimizer)
    if hasattr(optimizer, "lr") and (not groups or len(groups) == 1):
        optimizer.lr = lr
        return
    for g in groups:
        g["lr"] = lr if old == 0 else g["lr"] * lr / old


class WithOptimizer(Callback):
    def __init__(self, optimizer: Any = None) -> None:
        self._optimizer = optimizer

    @property
    def optimizer(self) -> Any:
        found = self._optimizer if self._optimizer is not None else getattr(self.trainer, "optimizer", None)
        if found is None:
            raise ValueError(f"[{type(self).__name__}] expected a trainer with an optimizer, got none (pass optimizer=)")
        return found


class LearningRateScheduler(WithOptimizer):
    """Sets the learning rate at each epoch's begin to schedule(epoch, lr), or schedule(epoch) where it takes one argument."""

    def __init__(self, schedule: Callable[..., float], *, optimizer: Any = None, verbose: bool = False) -> None:
        super().__init__(optimizer)
        if not callable(schedule):
            raise TypeError(f"[LearningRateScheduler] expected a function of (epoch, lr), got {type(schedule).__name__}")
        self.schedule, self.verbose = schedule, verbose
        self._arguments = _arguments(schedule)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        lr = float(self.schedule(epoch) if self._arguments == 1 else self.schedule(epoch, learning_rate(self.optimizer)))
        set_learning_rate(self.optimizer, lr)
        if self.verbose:
            print(f"epoch {epoch + 1}: learning rate {lr:.6g}")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if logs is not None:
            logs["lr"] = learning_rate(self.optimizer)


def _arguments(function: Callable[..., Any]) -> int:
    import inspect  # slow to import

    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 2
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty]
    return 1 if len(positional) == 1 and not any(p.kind == p.VAR_POSITIONAL for p in parameters) else 2


class ReduceLROnPlateau(Watching, WithOptimizer):
    """Multiplies the learning rate by factor when monitor has not become better for `patience` epochs, down to min_lr.

    cooldown: epochs after a reduction that do not count.
    """

    def __init__(self, monitor: str = "val_loss", factor: float = 0.1, patience: int = 10, mode: str = "auto", min_delta: float = 1e-4, cooldown: int = 0, min_lr: float = 0.0, *,
                 optimizer: Any = None, verbose: bool = False) -> None:
        Watching.__init__(self, monitor, mode, min_delta)
        WithOptimizer.__init__(self, optimizer)
        if not 0 < factor < 1:
            raise ValueError(f"[ReduceLROnPlateau] expected a factor between 0 and 1, got {factor}")
        if patience < 0 or cooldown < 0 or not min_lr >= 0:
            raise ValueError(f"[ReduceLROnPlateau] expected patience, cooldown and min_lr of 0 or more, got {patience}, {cooldown} and {min_lr}")
        self.factor, self.patience, self.cooldown, self.min_lr, self.verbose = factor, patience, cooldown, min_lr, verbose
        self.wait = self._cooling = 0

    def on_train_begin(self, logs: Logs = None) -> None:
        self._begin_again()
        self.wait = self._cooling = 0

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        lr = learning_rate(self.optimizer)
        if logs is not None:
            logs["lr"] = lr
        value = self.value(logs)
        if value is None:
            return
        if self._cooling > 0:
            self._cooling -= 1
            self.wait = 0
        if self.better(value):
            self.best, self.wait = value, 0
        elif self._cooling == 0:
            self.wait += 1
            if self.wait >= max(self.patience, 1) and lr > self.min_lr:
                set_learning_rate(self.optimizer, max(lr * self.factor, self.min_lr))
                self.wait, self._cooling = 0, self.cooldown
                if self.verbose:
                    print(f"epoch {epoch + 1}: learning rate {learning_rate(self.optimizer):.6g}")


class LearningRateMonitor(WithOptimizer):
    """Puts the learning rate into the logs as 'lr', and into logger where one is given ('epoch' or 'batch' steps). .history."""

    def __init__(self, logger: Any = None, interval: str = "epoch", *, optimizer: Any = None) -> None:
        super().__init__(optimizer)
        if interval not in ("epoch", "batch"):
            raise ValueError(f"[LearningRateMonitor] expected interval 'epoch' or 'batch', got {interval!r}")
        self.logger, self.interval = logger, interval
        self.history: list[float] = []

    def _note(self, logs: Logs) -> None:
        lr = learning_rate(self.optimizer)
        self.history.append(lr)
        if logs is not None:
            logs["lr"] = lr
        if self.logger is not None:
            self.logger.log("lr", lr, len(self.history) - 1)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.interval == "epoch":
            self._note(logs)

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        if self.interval == "batch":
            self._note(logs)
