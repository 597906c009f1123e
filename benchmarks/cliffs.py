"""Where cost does not grow as work does: python benchmarks/cliffs.py [--rounds 9] [--only NAME] [--all]

Each sweep changes one size in small steps, odd, prime and powers of two, and times a compiled layer on one thread. A size whose
rate is below 0.75 of what its neighbours reach (the mean of the sizes before and after) is a cliff. --all prints every size.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

import miniten as mt
from miniten import nn

AROUND = (6, 7, 8, 9, 12, 15, 16, 17, 20, 23, 24, 25, 31, 32, 33, 40, 47, 48, 49, 61, 63, 64, 65, 79, 96, 97, 113, 127, 128, 129, 136)
Made = tuple[nn.Module, tuple[int, ...]]


class First(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: mt.Tensor) -> mt.Tensor:
        return self.layer(x)[0]


def sweeps() -> dict[str, tuple[tuple[int, ...], Callable[[int], Made]]]:
    conv = nn.Conv2d
    return {
        "output channels of 1x1, 28x28, from 64": (AROUND, lambda n: (conv(64, n, 1), (1, 64, 28, 28))),
        "input channels of 1x1, 28x28, to 64": (AROUND, lambda n: (conv(n, 64, 1), (1, n, 28, 28))),
        "channels of 3x3, 28x28": (AROUND, lambda n: (conv(n, n, 3, padding=1), (1, n, 28, 28))),
        "channels of 3x3 stride 2, 28x28": (AROUND, lambda n: (conv(n, n, 3, padding=1, stride=2), (1, n, 28, 28))),
        "channels of depthwise 3x3, 28x28": (AROUND, lambda n: (conv(n, n, 3, padding=1, groups=n), (1, n, 28, 28))),
        "side of 3x3, 32 to 32": (tuple(range(5, 33)) + (48, 49, 56, 57, 63, 64, 65), lambda n: (conv(32, 32, 3, padding=1), (1, 32, n, n))),
        "side of 1x1, 64 to 64": (tuple(range(5, 33)) + (48, 49, 56, 57, 63, 64, 65), lambda n: (conv(64, 64, 1), (1, 64, n, n))),
        "batch of a linear layer, 256 to 256": (tuple(range(1, 34)) + (47, 48, 49, 63, 64, 65), lambda n: (nn.Linear(256, 256), (n, 256))),
        "features of a linear layer, batch 32": (AROUND + (255, 256, 257, 511, 512, 513), lambda n: (nn.Linear(n, n), (32, n))),
        "length of attention, 4 heads of 32": (tuple(range(8, 34, 5)) + (47, 48, 49, 63, 64, 65, 96, 127, 128, 129, 191, 192, 193), lambda n: (First(nn.MultiheadAttention(128, 4)), (1, n, 128))),
        "length of an LSTM of 64": ((4, 5, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65), lambda n: (First(nn.LSTM(64, 64)), (n, 1, 64))),
        "hidden units of a GRU, 20 steps": (AROUND, lambda n: (First(nn.GRU(n, n)), (20, 1, n))),
    }


def rates(sizes: tuple[int, ...], make: Callable[[int], Made], rounds: int) -> list[float]:
    """MACs a second of the steps alone; all sizes take turns, and a size counts by its least time: what a neighbour on the machine takes is no cliff."""
    sessions = []
    for n in sizes:
        layer, shape = make(n)
        sessions.append((mt.compile(layer.eval(), shape, threads=1), mt.tensor(np.random.default_rng(0).standard_normal(shape).astype("float32"))))
    macs = [sum(row["macs"] for row in session.profile(x, runs=1)) for session, x in sessions]
    ms = [[sum(row["latency_ms"] for row in session.profile(x, runs=5)) for session, x in sessions] for _ in range(rounds)]
    return [1e3 * m / t for m, t in zip(macs, np.min(ms, 0), strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--only")
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    worst, cliffs = 1.0, 0
    print(f"1 thread, {mt.cpu_info()['isa']}; GFLOP/s, and the share of the neighbours' rate\n")
    for name, (sizes, make) in sweeps().items():
        if options.only and options.only not in name:
            continue
        rate = rates(sizes, make, options.rounds)
        print(name)
        for i, n in list(enumerate(sizes))[1:-1]:
            share = 2 * rate[i] / (rate[i - 1] + rate[i + 1])
            worst, cliffs = min(worst, share), cliffs + (share < 0.75)
            if options.all or share < 0.75:
                print(f"  {n:5d} {2e-9 * rate[i]:8.1f} {share:6.2f}{'  cliff' if share < 0.75 else ''}")
    print(f"\n{cliffs} cliffs, the deepest at {worst:.2f} of its neighbours")


if __name__ == "__main__":
    main()
