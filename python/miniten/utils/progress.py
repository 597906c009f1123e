"""A progress bar for any loop."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TextIO, TypeVar

T = TypeVar("T")

_WIDTH = 24
_SECONDS_BETWEEN = 0.1


def _clock(seconds: float) -> str:
    minutes, s = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{s:02}" if hours else f"{minutes}:{s:02}"


class progress(Generic[T]):
    """for x in progress(iterable, "training"): one line on a terminal, nothing elsewhere.

    total is taken from len(iterable) where it has one. file: by default sys.stderr. set(loss=0.3) adds values to the line.
    """

    def __init__(self, iterable: Iterable[T], label: str = "", total: int | None = None, file: TextIO | None = None) -> None:
        if total is None:
            try:
                total = len(iterable)  # type: ignore[arg-type]
            except TypeError:
                pass
        self.iterable = iterable
        self.label = label
        self.total = total
        self.values: dict[str, Any] = {}
        self._file = file

    def __len__(self) -> int:
        if self.total is None:
            raise TypeError("[progress] expected an iterable with a length, got one without (pass total=)")
        return self.total

    def set(self, **values: Any) -> None:
        """Values shown behind the bar from the next redraw on."""
        self.values.update(values)

    def line(self, done: int, seconds: float) -> str:
        rate = done / seconds if seconds > 0 else 0.0
        parts = [self.label] if self.label else []
        if self.total:
            share = min(done / self.total, 1.0)
            filled = int(share * _WIDTH)
            parts.append(f"{share:4.0%} [{'#' * filled}{'.' * (_WIDTH - filled)}] {done}/{self.total}")
        else:
            parts.append(str(done))
        parts.append(f"{rate:.3g}/s")
        parts.append(_clock(seconds))
        if self.total and 0 < done < self.total:
            parts.append(f"left {_clock((self.total - done) / rate)}" if rate else "")
        parts += [f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in self.values.items()]
        return "  ".join(p for p in parts if p)

    def __iter__(self) -> Iterator[T]:
        file = self._file or sys.stderr
        if file is None or not getattr(file, "isatty", lambda: False)():
            yield from self.iterable
            return
        start = time.monotonic()
        drawn, width, done = -_SECONDS_BETWEEN, 0, 0

        def draw(end: str) -> int:
            text = self.line(done, time.monotonic() - start)
            file.write("\r" + text.ljust(width) + end)
            file.flush()
            return len(text)

        try:
            for item in self.iterable:
                yield item
                done += 1
                now = time.monotonic() - start
                if now - drawn >= _SECONDS_BETWEEN:
                    drawn, width = now, draw("")
        finally:
            draw("\n")
