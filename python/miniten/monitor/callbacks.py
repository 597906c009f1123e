"""What Trainer.fit calls while it trains: docs/monitor/callbacks.md.

Epochs and batches count from 0. logs is the dict of what was measured so far; a callback may add to it. A loop of one's own
calls a CallbackList the same way.
"""

from __future__ import annotations

import csv
import math
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TextIO

from miniten import _core

Logs = dict[str, Any] | None


def _number(value: Any) -> float | None:
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


class _Borrowed:
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


_EVENTS = ("on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end", "on_batch_begin", "on_batch_end")


def _give(callback: Any, what: str, value: Any) -> None:
    setter = getattr(callback, f"set_{what}", None)
    if callable(setter):
        setter(value)
    else:
        setattr(callback, what, value)


class _Watching(Callback):
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
        found = _number((logs or {}).get(self.monitor))
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


class EarlyStopping(_Watching):
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


class ModelCheckpoint(_Watching):
    """Saves a checkpoint that training can go on from: model, optimizer, and whatever the trainer keeps besides.

    filepath: may name the epoch and the logs, '{epoch:03d}-{val_loss:.4f}.npz' (epochs from 1 there). save_freq: 'epoch', or a
    number of batches. keep: only so many of the newest files stay. A file appears whole or not at all. paths: those that are there.
    """

    def __init__(self, filepath: str | os.PathLike[str], monitor: str = "val_loss", save_best_only: bool = False, mode: str = "auto", save_freq: str | int = "epoch", *,
                 save_weights_only: bool = False, keep: int | None = None) -> None:
        super().__init__(monitor, mode)
        if save_freq != "epoch" and not (isinstance(save_freq, int) and not isinstance(save_freq, bool) and save_freq > 0):
            raise ValueError(f"[ModelCheckpoint] expected save_freq 'epoch' or a number of batches, got {save_freq!r}")
        if keep is not None and keep < 1:
            raise ValueError(f"[ModelCheckpoint] expected keep of 1 or more, got {keep}")
        self.filepath = os.fspath(filepath)
        self.save_best_only, self.save_freq, self.save_weights_only, self.keep = save_best_only, save_freq, save_weights_only, keep
        self.paths: list[str] = []
        self.epoch, self._batches = 0, 0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self.epoch = epoch

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        if self.save_freq == "epoch":
            return
        self._batches += 1
        if self._batches % self.save_freq == 0:
            self._consider({**(logs or {}), "batch": batch})

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch = epoch
        if self.save_freq == "epoch":
            self._consider(logs or {})

    def _consider(self, logs: dict[str, Any]) -> None:
        if self.save_best_only:
            value = self.value(logs)
            if value is None or not self.better(value):
                return
            self.best = value
        path = self._path(logs)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._save(path, logs)
        if path in self.paths:
            self.paths.remove(path)
        self.paths.append(path)
        while self.keep is not None and len(self.paths) > self.keep:
            Path(self.paths.pop(0)).unlink(missing_ok=True)

    def _path(self, logs: dict[str, Any]) -> str:
        values = {k: n if (n := _number(v)) is not None else str(v) for k, v in logs.items()}
        try:
            return self.filepath.format(**{**values, "epoch": self.epoch + 1, "batch": logs.get("batch", 0)})
        except KeyError as e:
            raise ValueError(f"[ModelCheckpoint] expected names of the logs in '{self.filepath}', got {e} beside {sorted(values)}") from None

    def _save(self, path: str, logs: dict[str, Any]) -> None:
        from miniten import save

        if self.save_weights_only:
            save(dict(self.model.state_dict()), path)
        elif hasattr(self.trainer, "save_checkpoint"):
            self.trainer.save_checkpoint(path)
        else:
            optimizer = getattr(self.trainer, "optimizer", None)
            content = {"epoch": self.epoch, "model": dict(self.model.state_dict()), "logs": {k: n for k, v in logs.items() if (n := _number(v)) is not None}}
            if optimizer is not None:
                content["optimizer"] = dict(optimizer.state_dict())
            save(content, path)


class ProgressBar(Callback):
    """Where training stands: one line that redraws itself on a terminal or in a notebook, one plain line an epoch in a log file.

    total_epochs and steps_per_epoch are asked of the trainer where they are not given.
    """

    def __init__(self, total_epochs: int | None = None, steps_per_epoch: int | None = None, *, width: int = 24, every: float = 0.1, file: TextIO | None = None) -> None:
        self.total_epochs, self.steps_per_epoch, self.width, self.every, self._file = total_epochs, steps_per_epoch, width, every, file
        self._drawn, self._last, self._epoch, self._batches = 0, 0.0, 0, 0
        self._train_start = self._start = time.monotonic()
        self._begun_at = 0

    @property
    def file(self) -> TextIO | None:
        return self._file or sys.stderr

    def _redraws(self) -> bool:
        return bool(getattr(self.file, "isatty", lambda: False)()) or (self._file is None and "ipykernel" in sys.modules)

    def _asked(self, *names: str) -> int | None:
        for name in names:
            value = getattr(self.trainer, name, None)
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                return value
        return None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._train_start, self._begun_at = time.monotonic(), -1

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        if self._begun_at < 0:
            self._begun_at = epoch
        self._epoch, self._batches, self._start, self._last = epoch, 0, time.monotonic(), 0.0

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._batches += 1
        now = time.monotonic()
        if now - self._last >= self.every and self._redraws():
            self._last = now
            self._draw(self.line(logs, now), "")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch
        self._draw(self.line(logs, time.monotonic(), done=True), "\n")

    def line(self, logs: Logs, now: float, done: bool = False) -> str:
        total_epochs = self.total_epochs or self._asked("total_epochs", "epochs")
        steps = self.steps_per_epoch or self._asked("steps_per_epoch")
        seconds = now - self._start
        parts = [f"epoch {self._epoch + 1}" + (f"/{total_epochs}" if total_epochs else "")]
        share = 1.0 if done else min(self._batches / steps, 1.0) if steps else None
        if share is not None and self._redraws():
            filled = int(share * self.width)
            parts.append(f"[{'#' * filled}{'.' * (self.width - filled)}]")
        if self._batches:
            parts.append(f"{self._batches}/{steps}" if steps and not done else f"{self._batches} steps")
            if seconds > 0:
                parts.append(f"{self._batches / seconds:.3g}/s")
        parts.append(_clock(seconds))
        if total_epochs:
            epochs_done = self._epoch - max(self._begun_at, 0) + (share or 0.0)
            left = (total_epochs - self._epoch - (share or 0.0)) * (now - self._train_start) / epochs_done if epochs_done > 0 else 0
            if left >= 1:
                parts.append(f"left {_clock(left)}")
        parts += [f"{_shown(k)} {n:.4g}" if (n := _number(v)) is not None else f"{_shown(k)} {_shown(v)}" for k, v in (logs or {}).items() if k != "size"]
        return "  ".join(parts)

    def _draw(self, text: str, end: str) -> None:
        if self.file is None:
            return
        redraws = self._redraws()
        self.file.write(("\r" if redraws else "") + text.ljust(self._drawn if redraws else 0) + end)
        self.file.flush()
        self._drawn = 0 if end else len(text)


def _shown(value: Any) -> str:
    """Text for a terminal: short, no control characters."""
    return "".join(c if c.isprintable() else "?" for c in str(value)[:60])


def _clock(seconds: float) -> str:
    minutes, s = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{s:02}" if hours else f"{minutes}:{s:02}"


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


class _WithOptimizer(Callback):
    def __init__(self, optimizer: Any = None) -> None:
        self._optimizer = optimizer

    @property
    def optimizer(self) -> Any:
        found = self._optimizer if self._optimizer is not None else getattr(self.trainer, "optimizer", None)
        if found is None:
            raise ValueError(f"[{type(self).__name__}] expected a trainer with an optimizer, got none (pass optimizer=)")
        return found


class LearningRateScheduler(_WithOptimizer):
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
    import inspect

    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 2
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty]
    return 1 if len(positional) == 1 and not any(p.kind == p.VAR_POSITIONAL for p in parameters) else 2


class ReduceLROnPlateau(_Watching, _WithOptimizer):
    """Multiplies the learning rate by factor when monitor has not become better for `patience` epochs, down to min_lr.

    cooldown: epochs after a reduction that do not count.
    """

    def __init__(self, monitor: str = "val_loss", factor: float = 0.1, patience: int = 10, mode: str = "auto", min_delta: float = 1e-4, cooldown: int = 0, min_lr: float = 0.0, *,
                 optimizer: Any = None, verbose: bool = False) -> None:
        _Watching.__init__(self, monitor, mode, min_delta)
        _WithOptimizer.__init__(self, optimizer)
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
        self._borrowed = _Borrowed()

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
        loss = _number((logs or {}).get(self.monitor))
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


class CSVLogger(Callback):
    """One line an epoch: epoch and the logs, in a CSV file. append=True goes on with a file whose columns are the same."""

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        self.filename, self.separator, self.append = os.fspath(filename), separator, append
        self._file: TextIO | None = None
        self._columns: list[str] | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._close()
        self._columns = None
        old = Path(self.filename)
        if self.append and old.exists() and old.stat().st_size:
            with open(old, newline="", encoding="utf-8") as f:
                self._columns = next(csv.reader(f, delimiter=self.separator))[1:]
            self._file = open(old, "a", newline="", encoding="utf-8")
        else:
            old.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(old, "w", newline="", encoding="utf-8")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self._file is None:
            self.on_train_begin()
        assert self._file is not None
        writer = csv.writer(self._file, delimiter=self.separator)
        values = dict(logs or {})
        if self._columns is None:
            self._columns = list(values)
            writer.writerow(["epoch", *self._columns])
        unknown = [k for k in values if k not in self._columns]
        if unknown:
            warnings.warn(f"[CSVLogger] expected the columns of the first epoch, got also {', '.join(map(str, unknown))}, left out", RuntimeWarning, stacklevel=2)
        row = [values.get(k, "") for k in self._columns]
        writer.writerow([epoch, *(repr(n) if (n := _number(v)) is not None and v != "" else v for v in row)])
        self._file.flush()

    def on_train_end(self, logs: Logs = None) -> None:
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class LearningRateMonitor(_WithOptimizer):
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


class GradientMonitor(Callback):
    """Norms of gradients after every `every`-th batch: into .history ([{layer: norm}]) and, where given, the logger.

    The 2-norm of all is logged as grad_norm, each parameter's as grad_norm/<name>; histograms=True adds their values. The Trainer's
    steps are eager meanwhile: one compiled as a whole leaves no gradients. With a Trainer `every` counts updates, and the norms are
    those before clipping.
    """

    def __init__(self, logger: Any = None, every: int = 1, *, per_parameter: bool = True, histograms: bool = False) -> None:
        if every < 1:
            raise ValueError(f"[GradientMonitor] expected every of 1 or more, got {every}")
        self.logger, self.every, self.per_parameter, self.histograms = logger, every, per_parameter, histograms
        self.history: list[dict[str, float]] = []
        self._batches, self._warned, self._by_update = 0, False, False
        self._borrowed = _Borrowed()

    def on_train_begin(self, logs: Logs = None) -> None:
        self._borrowed.give_back()
        self._borrowed.set(self.trainer, "compile", False)
        self._by_update = False

    def on_train_end(self, logs: Logs = None) -> None:
        self._borrowed.give_back()

    def on_update_begin(self, step: int, logs: Logs = None) -> None:
        self._by_update = True
        self._look(None)

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        if not self._by_update:
            self._look(logs)
        elif logs is not None and self.history:
            logs["grad_norm"] = self.history[-1]["grad_norm"]

    def _look(self, logs: Logs) -> None:
        import numpy as np

        self._batches += 1
        if self._batches % self.every:
            return
        norms = {}
        for name, p in self.model.named_parameters():
            if p.grad is None:
                continue
            g = np.asarray(p.grad.numpy(), dtype=np.float64)
            norms[name] = float(np.sqrt((g * g).sum()))
            if self.histograms and self.logger is not None:
                self.logger.log_histogram(f"grad/{name}", g.ravel(), self._batches - 1)
        if not norms:
            if not self._warned:
                self._warned = True
                warnings.warn("[GradientMonitor] expected parameters with gradients after a batch, got none (train eagerly; zero gradients before a step, not after, or call on_update_begin)", RuntimeWarning, stacklevel=2)
            return
        total = math.sqrt(sum(n * n for n in norms.values()))
        self.history.append({"grad_norm": total, **norms})
        if logs is not None:
            logs["grad_norm"] = total
        if self.logger is not None:
            step = self._batches - 1
            self.logger.log("grad_norm", total, step)
            if self.per_parameter:
                self.logger.log_metrics({f"grad_norm/{name}": n for name, n in norms.items()}, step)


__all__ = [
    "CSVLogger", "Callback", "CallbackList", "EarlyStopping", "GradientMonitor", "LearningRateMonitor", "LearningRateScheduler", "ModelCheckpoint", "ProgressBar",
    "ReduceLROnPlateau", "TerminateOnNaN",
]
