"""Functions of tensors beside torch's, one thread, in turn, worst first: python benchmarks/functions.py [--rounds 15] [--only NAME]

Each is called by the same name with the same values in both, a million elements where it goes over elements. A ratio above 1 says
that MiniTen is faster. The results are compared first.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from turns import compare, difference

import miniten as mt

PLAIN = ("abs", "sqrt", "exp", "log", "sin", "cos", "tanh", "sigmoid", "erf", "expm1", "log1p", "floor", "ceil", "round", "sign", "isnan", "relu")
ACTIVATIONS = ("gelu", "silu", "softplus", "elu", "leaky_relu", "hardswish")
ALONG = ("sum", "mean", "amax", "argmax", "cumsum", "var")
Case = Callable[[Any, Any, dict], Any]


def cases() -> dict[str, Case]:
    table: dict[str, Case] = {}
    for name in PLAIN:
        table[name] = lambda m, f, t, name=name: getattr(m, name)(t["positive" if name in ("sqrt", "log") else "x"])
    for name in ACTIVATIONS:
        table[name] = lambda m, f, t, name=name: getattr(f, name)(t["x"])
    for name in ALONG:
        for axis in (1, -1):
            table[f"{name}({axis})"] = lambda m, f, t, name=name, axis=axis: getattr(m, name)(t["x"], axis)
    table |= {
        "a + b": lambda m, f, t: t["x"] + t["y"],
        "a * row": lambda m, f, t: t["x"] * t["x"][:, :1],
        "a > b": lambda m, f, t: t["x"] > t["y"],
        "where": lambda m, f, t: m.where(t["condition"], t["x"], t["y"]),
        "a ** 3": lambda m, f, t: t["x"] ** 3,
        "a ** 0.7": lambda m, f, t: t["positive"] ** 0.7,
        "clamp": lambda m, f, t: t["x"].clamp(-1, 1),
        "to float16": lambda m, f, t: t["x"].to(m.float16),
        "to int64": lambda m, f, t: t["x"].to(m.int64),
        "softmax(1)": lambda m, f, t: f.softmax(t["x"], 1),
        "softmax(-1)": lambda m, f, t: f.softmax(t["rows"], -1),
        "log_softmax": lambda m, f, t: f.log_softmax(t["rows"], -1),
        "layer_norm": lambda m, f, t: f.layer_norm(t["rows"], (512,)),
        "cross_entropy": lambda m, f, t: f.cross_entropy(t["rows"], t["labels"]),
        "sort": lambda m, f, t: t["rows"].sort(-1)[0],
        "topk": lambda m, f, t: t["rows"].topk(5)[0],
        "median": lambda m, f, t: t["rows"].median(),
        "permute": lambda m, f, t: t["x"].permute(0, 2, 3, 1).contiguous(),
        "transpose(1, -1)": lambda m, f, t: t["x"].transpose(1, -1).contiguous(),
        "cat": lambda m, f, t: m.cat([t["x"], t["y"]], 1),
        "x[indices]": lambda m, f, t: t["rows"][t["labels"]],
        "x[mask]": lambda m, f, t: t["x"][t["condition"]],
        "matmul": lambda m, f, t: t["rows"] @ t["square"],
        "matrix @ vector": lambda m, f, t: t["square"] @ t["square"][0],
        "einsum": lambda m, f, t: m.einsum("bchw,bdhw->bcd", t["x"], t["y"]),
        "max_pool2d": lambda m, f, t: f.max_pool2d(t["x"], 2),
        "interpolate": lambda m, f, t: f.interpolate(t["x"], scale_factor=2, mode="bilinear"),
    }
    return table


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", choices=sorted(cases()))
    options = parser.parse_args()
    mt.set_num_threads(1)
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    x, y, rows, square = (rng.standard_normal(s).astype(np.float32) for s in ((64, 16, 32, 32), (64, 16, 32, 32), (256, 512), (512, 512)))
    arrays = {"x": x, "y": y, "positive": np.abs(x) + 0.1, "condition": x > 0, "rows": rows, "square": square, "labels": rng.integers(0, 256, 256)}
    ours = {name: mt.tensor(a) for name, a in arrays.items()}
    theirs = {name: torch.from_numpy(a.copy()) for name, a in arrays.items()}
    results = []
    for name, case in cases().items():
        if options.only not in (None, name):
            continue
        first, second = (lambda case=case: case(mt, mt.nn.functional, ours)), (lambda case=case: case(torch, torch.nn.functional, theirs))
        got, want = (np.nan_to_num(np.asarray(r, dtype=np.float64)) for r in (first().numpy(), second().numpy()))
        results.append((compare(first, second, options.rounds, 5e-3), name, difference(got, want)))
    print(f"torch {torch.__version__}, 1 thread, {options.rounds} rounds, {mt.cpu_info()['isa']}\n")
    print("| function | MiniTen | torch | faster by | middle 80 % | results differ by |\n|---|---|---|---|---|---|")
    for c, name, apart in sorted(results, key=lambda r: r[0].ratio):
        print(f"| {name} | {c.first * 1e6:.1f} us | {c.second * 1e6:.1f} us | {c.ratio:.2f}x | {c.low:.2f} to {c.high:.2f} | {apart:.0e} |")


if __name__ == "__main__":
    main()
