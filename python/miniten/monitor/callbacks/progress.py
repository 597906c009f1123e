"""Where training stands, for whoever looks on."""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO

from miniten.monitor.callbacks.base import Callback, Logs, number


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
        parts += [f"{_shown(k)} {n:.4g}" if (n := number(v)) is not None else f"{_shown(k)} {_shown(v)}" for k, v in (logs or {}).items() if k != "size"]
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
