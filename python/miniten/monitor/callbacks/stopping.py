"""Ending training: no progress any more, or a NaN."""

from __future__ import annotations

import math
import warnings
from typing import Any

from miniten import _core
from miniten.monitor.callbacks.base import Borrowed, Callback, Logs, Watching, number


class EarlyStopping(Watching):
    """Stops when monitor has not become better for `patience` epochs; may put the best epoch's weights back.

    mode 'auto' is 'max' for accuracies and other scores, else 'min'. min_delta: less than this is no betterment.
    baseline: a value that must be beaten. After training: stopped_epoch (None: not stopped), best, best_epoch.
    """

    def __init__(self, monitor: str = "val_loss", patience: int = 5, min_delta: float = 0, mode: str = "auto", restore_best_weights: bool = False, *,
                 baseline: float | None = None, start_from_epoch: int = 0, verbose: bool = False) -> None:
        super().__init__(monitor, mode, min_delta)
        if patience < 0:
            raise ValueError(f"[EarlyStopping] expected patience of 0 or more, got {patience}")
        self.patience, self.restore_best_weights, self.baseline = int(patience), restore_best_weights, baseline
        self.start_from_epoch, self.verbose = start_from_epoch, verbose
        self.wait, self.stopped_epoch, self.best_epoch = 0, None, None
        self._weights: dict[str, Any] | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._begin_again()
        if self.baseline is not None:
            self.best = float(self.baseline)
        self.wait, self.stopped_epoch, self.best_epoch, self._weights = 0, None, None, None

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        value = self.value(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.better(value):
            self.best, self.best_epoch, self.wait = value, epoch, 0
            if self.restore_best_weights:
                self._weights = copy_state(self.model)
            return
        self.wait += 1
        if self.wait >= max(self.patience, 1):
            self.stopped_epoch = epoch
            self._stop()
            if self.verbose:
                print(f"stopped after epoch {epoch + 1}: {self.monitor} was best ({self.best:.6g}) in epoch {(self.best_epoch or 0) + 1}")

    def on_train_end(self, logs: Logs = None) -> None:
        if self.restore_best_weights and self._weights is not None:
            self.model.load_state_dict(self._weights)


def copy_state(model: Any) -> dict[str, Any]:
    """The state_dict with memory of its own: training on does not change it."""
    return {name: _core.tensor(value) for name, value in model.state_dict().items()}


class TerminateOnNaN(Callback):
    """Stops when a batch's loss is NaN or infinite, and says where it began: .reason.

    watch=True looks at what every op gives (the Trainer's steps are eager then, and slower) and names the first layer and op that
    gave a NaN; else the first parameter or gradient that is not finite is named. A Trainer that would raise goes on to here instead;
    an eager step is passed over, so the weights stay sound. raises=True raises FloatingPointError.
    """

    def __init__(self, monitor: str = "loss", *, watch: bool = False, raises: bool = False) -> None:
        self.monitor, self.watch, self.raises = monitor, watch, raises
        self.reason: str | None = None
        self._finder: Any = None
        self._borrowed = Borrowed()

    def on_train_begin(self, logs: Logs = None) -> None:
        self.reason = None
        self._end_watch()
        self._borrowed.give_back()
        if getattr(self.trainer, "on_nonfinite", None) == "raise":
            self._borrowed.set(self.trainer, "on_nonfinite", "skip")
            self._borrowed.set(self.trainer.optimizer, "on_nonfinite", "skip")
        if self.watch:
            self._borrowed.set(self.trainer, "compile", False)

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        if self.watch:
            self._finder = _core.NanFinder()
            self._finder.__enter__()

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        found = self._end_watch()
        loss = number((logs or {}).get(self.monitor))
        if loss is None or math.isfinite(loss):
            return
        self.reason = f"{self.monitor} is {loss} in batch {batch}; {found or self._not_finite()}"
        self._stop()
        if self.raises:
            self._borrowed.give_back()
            raise FloatingPointError(f"[TerminateOnNaN] {self.reason}")
        warnings.warn(f"[TerminateOnNaN] {self.reason}", RuntimeWarning, stacklevel=2)

    def on_train_end(self, logs: Logs = None) -> None:
        self._end_watch()
        self._borrowed.give_back()

    def _end_watch(self) -> str:
        if self._finder is None:
            return ""
        finder, self._finder = self._finder, None
        finder.__exit__(None, None, None)
        return finder.found()

    def _not_finite(self) -> str:
        import numpy as np

        bad = {"parameter": [], "gradient of": []}
        for name, p in self.model.named_parameters() if self.model is not None else ():
            if not np.isfinite(np.asarray(p.detach().numpy(), dtype=np.float64)).all():
                bad["parameter"].append(name)
            elif p.grad is not None and not np.isfinite(np.asarray(p.grad.numpy(), dtype=np.float64)).all():
                bad["gradient of"].append(name)
        named = [f"{what} {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "") + " is not finite" for what, names in bad.items() if names]
        return "; ".join(named) or "every parameter and gradient is finite: look at the inputs and the loss, or pass watch=True"
