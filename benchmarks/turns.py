"""Two ways of doing the same, timed in turn (A B A B) in one process, so that a busy machine is busy for both."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Comparison:
    """Seconds of one call (medians), and how often faster the first is: the median of the rounds' ratios with their middle 80 %."""

    first: float
    second: float
    ratio: float
    low: float
    high: float


def timed(run: Callable[[], Any], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        run()
    return (time.perf_counter() - start) / times


def compare(first: Callable[[], Any], second: Callable[[], Any], rounds: int, seconds_a_turn: float = 2e-3, rest: float = 0) -> Comparison:
    """rest: seconds before each turn, after which its threads are woken by calls that do not count: onnxruntime's pool spins for 30 ms
    after its last work, and the other side would run beside it."""

    def turn(run: Callable[[], Any], times: int) -> float:
        if rest:
            time.sleep(rest)
            awake = time.perf_counter() + 10e-3
            while time.perf_counter() < awake:
                run()
        return timed(run, times)

    for run in (first, second):
        timed(run, 5)
    times = [max(1, int(seconds_a_turn / timed(run, 5))) for run in (first, second)]
    seconds = np.array([[turn(first, times[0]), turn(second, times[1])] for _ in range(rounds)])
    low, ratio, high = np.percentile(seconds[:, 1] / seconds[:, 0], [10, 50, 90])
    a, b = np.median(seconds, 0)
    return Comparison(float(a), float(b), float(ratio), float(low), float(high))


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / max(1.0, np.abs(b).max()))
