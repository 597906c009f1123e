"""What compressing takes: k-means of a million weights, and files of shared weights by their entropy code.

    python benchmarks/compression.py [--weights 1000000] [--rounds 5]

Medians, in turn with sorting the same numbers, which any exact k-means of numbers begins with, and with scikit-learn's Lloyd iterations
(one start, its own threads) where it is installed. "cost" is the sum of squared distances over the least one. The files hold one
matrix of random weights, nine tenths of them pruned, in 16 values.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import miniten as mt
from miniten import nn
from miniten.edge import prune_model, weight_sharing
from miniten.edge.compression import kmeans_1d


def in_turn(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: float(np.median(s)) for name, s in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    values = np.random.default_rng(0).normal(size=options.weights).astype(np.float32)
    theirs = importlib.util.find_spec("sklearn") is not None
    print(f"{options.weights:,} weights, {mt.cpu_info()['isa']}\n\n| clusters | kmeans_1d | cost | scikit-learn | cost | sorting alone |\n|---|---|---|---|---|---|", flush=True)
    for k in (4, 16, 64, 256):
        costs: dict[str, float] = {}

        def ours(k: int = k, costs: dict[str, float] = costs) -> None:
            costs["ours"] = kmeans_1d(values, k)[2]

        def lloyd(k: int = k, costs: dict[str, float] = costs) -> None:
            from sklearn.cluster import KMeans

            costs["theirs"] = KMeans(k, n_init=1, random_state=0).fit(values.reshape(-1, 1)).inertia_

        runs: dict[str, Callable[[], Any]] = {"sort": lambda: np.sort(values), "ours": ours}
        seconds = in_turn(runs, options.rounds)
        if theirs:
            seconds |= in_turn({"theirs": lloyd}, 1)
        other = f"{seconds['theirs']:.2f} s | {costs['theirs'] / costs['ours']:.4f}" if theirs else " | "
        print(f"| {k} | {seconds['ours']:.3f} s | 1 | {other} | {seconds['sort']:.3f} s |", flush=True)

    mt.manual_seed(0)
    width = int(options.weights**0.5)
    net = nn.Sequential(nn.Linear(width, width, bias=False)).eval()
    shared = weight_sharing(prune_model(net, 0.9, input_shape=(1, width)), 16)
    print("\n| code | bytes | bits a weight | save | load |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for entropy in (None, "huffman", "rans"):
            path = Path(folder) / "a.npz"
            seconds = in_turn({"save": lambda: shared.save(path, entropy=entropy), "load": lambda: mt.load(str(path))}, options.rounds)
            size = path.stat().st_size
            print(f"| {entropy or 'indices'} | {size:,} | {8 * size / width**2:.3f} | {1e3 * seconds['save']:.0f} ms | {1e3 * seconds['load']:.0f} ms |", flush=True)


if __name__ == "__main__":
    main()
