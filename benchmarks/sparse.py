"""What pruning gains in time: MobileNetV2 and ResNet-8, dense and pruned, in one run, beside onnxruntime on the same files.

    python benchmarks/sparse.py [--threads 1] [--rounds 60] [--nets mobilenet_v2,resnet8]

Every form of a net is timed in turn with the others (A B C A B C) in one process; the weights are random, as time does not ask. "blocks" has
80 % zeros of `prune_model(pattern="blocks", scope="layer")`, "structured" lost half of every layer's channels, what stays in
multiples of 8. "1x1 and linear" are those layers alone, dense time over time as chosen, by `sparse_execution` on one
thread. int8 is full int8, with quantised edges converted. onnxruntime runs the float or QDQ
file of the same weights; it has no sparse kernels.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from nets import ALL, LARGE

import miniten as mt
from miniten import nn
from miniten._peers import open_peer
from miniten.edge import count_flops, export_onnx, prune_model, quantize_model
from miniten.edge.pruning import sparse_execution

NETS = {**LARGE, **ALL}


def in_turn(runs: list[Callable[[], Any]], rounds: int, rest: float) -> np.ndarray:
    """Seconds of one call, (rounds, runs)."""
    seconds = np.zeros((rounds, len(runs)))
    for run in runs:
        for _ in range(5):
            run()
    for i in range(rounds):
        for k in range(len(runs)) if i % 2 else reversed(range(len(runs))):
            if rest:
                time.sleep(rest)
            runs[k]()                                        # wakes its threads and its caches
            start = time.perf_counter()
            runs[k]()
            seconds[i, k] = time.perf_counter() - start
    return seconds


def point_layers(model: Any) -> set[str]:
    return {name for name, m in model.named_modules() if type(m).__name__ == "Linear" or (type(m).__name__ == "Conv2d" and tuple(m.weight.shape[2:]) == (1, 1))}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--nets", default="mobilenet_v2,resnet8")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    print(f"{options.threads} thread(s), {options.rounds} rounds, {mt.cpu_info()['isa']}; medians, and the median of the rounds' ratios with their middle 80 %\n", flush=True)
    print("| network | form | multiply-adds | MiniTen | faster than dense | 1x1 and linear | onnxruntime | MiniTen faster by |\n|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in options.nets.split(","):
            mt.manual_seed(0)
            model, shape = NETS[name](nn)
            data = rng.standard_normal((4, *shape[1:])).astype(np.float32)
            model.train()
            model(data)
            model.eval()
            model(data[:1])
            points = point_layers(model)
            blocks = {"float32": prune_model(model, 0.8, pattern="blocks", scope="layer"), "int8": prune_model(model, 0.8, pattern=(16, 4), scope="layer")}
            thin = prune_model(model, 0.5, method="structured", scope="layer", round_to=8)
            whole = count_flops(model, shape)["total_macs"]
            for kind in ("float32", "int8"):
                forms = {"dense": model, "80 % blocks": blocks[kind], "50 % structured": thin}
                if kind == "int8":
                    forms = {f: quantize_model(m, dtype="int8", calibration_data=data) for f, m in forms.items()}
                shares = {"dense": 1.0, "80 % blocks": 1.0, "50 % structured": count_flops(thin, shape)["total_macs"] / whole}
                own, theirs = [], []
                for form, m in forms.items():
                    session = mt.compile(m, shape, threads=options.threads)
                    x = mt.tensor(data[:1])
                    own.append(lambda s=session, x=x: s.run(x))
                    path = Path(folder) / f"{name}-{kind}-{len(own)}.onnx"
                    export_onnx(m, shape, path)
                    label, run, _ = open_peer("onnxruntime", str(path), [x], options.threads)
                    theirs.append(run)
                seconds = in_turn([*own, *theirs], options.rounds, 0.05 if options.threads > 1 else 0)
                sparse = sparse_execution(forms["80 % blocks"], shape)
                of_points = [r for r in sparse.rows if r.layer in points]
                dense_us = sum(r.dense_us for r in of_points)
                chosen_us = sum(r.sparse_us if r.sparse else r.dense_us for r in of_points)
                for k, form in enumerate(forms):
                    low, gain, high = np.percentile(seconds[:, 0] / seconds[:, k], [10, 50, 90])
                    ahead = np.median(seconds[:, len(own) + k] / seconds[:, k])
                    part = f"{dense_us / chosen_us:.2f}x" if form == "80 % blocks" else ""
                    gained = f"{gain:.2f}x ({low:.2f} to {high:.2f})" if k else ""
                    work = "a fifth in blocks" if form == "80 % blocks" else f"{shares[form]:.2f}"
                    print(f"| {name} {kind} | {form} | {work} | {1e3 * np.median(seconds[:, k]):.3f} ms | {gained} | {part} | {1e3 * np.median(seconds[:, len(own) + k]):.3f} ms | {ahead:.2f}x |", flush=True)


if __name__ == "__main__":
    main()
