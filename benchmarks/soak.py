"""Runs networks for long and tells whether the process grew: python benchmarks/soak.py [--runs 100000].

A compiled session, a model from an ONNX file and one whose branches follow from its inputs; sizes change from run to run.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from nets import ds_cnn

import miniten as mt
from miniten import nn


def resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--limit-kb", type=float, default=512, help="growth that counts as a leak")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    mt.manual_seed(0)
    small = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)).eval()
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/net.onnx"
        mt.edge.export_onnx(small, (1, 1, 12, 12), path, dynamic_axes={"input": {0: "batch"}})
        loaded = mt.edge.load_onnx(path)
    spotter, shape = ds_cnn(nn)
    session = mt.compile(spotter.eval(), shape, threads=1)
    sounds, pictures = rng.normal(size=shape).astype("float32"), [rng.normal(size=(n, 1, 12, 12)).astype("float32") for n in (1, 2, 3)]
    where = mt.compile(mt.trace(lambda x: mt.nonzero(mt.relu(x)), (6, 6)))
    masks = [rng.normal(size=(6, 6)).astype("float32") for _ in range(5)]

    grew = []
    for name, run in (("session", lambda i: session.run(sounds)), ("ONNX, three batch sizes", lambda i: loaded(pictures[i % 3])), ("sizes known at run time", lambda i: where.run(masks[i % 5]))):
        for i in range(min(1000, args.runs)):
            run(i)
        first = resident()
        for i in range(args.runs):
            run(i)
        grew.append((resident() - first) / 1024)
        print(f"{name:28} {args.runs} runs: {grew[-1]:+.0f} KB")
    return int(max(grew) > args.limit_kb)


if __name__ == "__main__":
    sys.exit(main())
