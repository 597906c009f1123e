"""What each epoch or batch leaves behind: a table, norms of gradients."""

from __future__ import annotations

import csv
import math
import os
import warnings
from pathlib import Path
from typing import Any, TextIO

from miniten.monitor.callbacks.base import Borrowed, Callback, Logs, number


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
        writer.writerow([epoch, *(repr(n) if (n := number(v)) is not None and v != "" else v for v in row)])
        self._file.flush()

    def on_train_end(self, logs: Logs = None) -> None:
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


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
        self._borrowed = Borrowed()

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
