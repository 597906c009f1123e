"""Start, memory, creation of sessions and tails of latency beside onnxruntime's: python benchmarks/footprint.py [--rounds 9]

MobileNetV2 224 in float32, one thread. Starts are processes of their own: milliseconds from their birth to the first output, and the
most memory they had. LeNet-5 is trained for some steps. Sessions are made from the same ONNX file, in turn. Under load a neighbour
keeps each core busy while both sides take turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

OURS = """
import sys, miniten as mt
s = mt.compile(mt.load(sys.argv[1]), (1, 3, 224, 224), threads=1)
y = s.run(mt.zeros((1, 3, 224, 224)))
"""
THEIRS = """
import sys, numpy, onnxruntime as ort
o = ort.SessionOptions(); o.intra_op_num_threads = 1
s = ort.InferenceSession(sys.argv[1], o, providers=["CPUExecutionProvider"])
y = s.run(None, {s.get_inputs()[0].name: numpy.zeros((1, 3, 224, 224), "float32")})
"""
LENET = """
import sys, miniten as mt
from miniten import nn
n = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                  nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))
mt.set_num_threads(1)
step = mt.compile_step(n, nn.CrossEntropyLoss(), mt.optim.Adam(n.parameters()), (64, 1, 28, 28), (64,))
x, t = mt.randn((64, 1, 28, 28)), mt.zeros((64,), dtype="int64")
for _ in range(20): step(x, t)
"""
REPORT = """
import time
print(time.perf_counter(), next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM")) / 1024)
"""


def start(script: str, path: Path, rounds: int) -> tuple[float, float]:
    """-> milliseconds to the first output, and MB: medians."""
    results = []
    for _ in range(rounds):
        born = time.perf_counter()  # CLOCK_MONOTONIC: the same in every process
        done, mb = map(float, subprocess.run([sys.executable, "-c", script + REPORT, path], capture_output=True, text=True, check=True).stdout.split())
        results.append(((done - born) * 1e3, mb))
    return tuple(statistics.median(column) for column in zip(*results, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--program", type=Path, help="first_output, built with MINITEN_BENCHMARKS")
    options = parser.parse_args()
    rounds, program = options.rounds, options.program
    import onnxruntime as ort
    from nets import mobilenet_v2

    import miniten as mt
    from miniten import nn
    from miniten.edge import export_onnx, load_onnx

    net, shape = mobilenet_v2(nn)
    net.eval()
    with tempfile.TemporaryDirectory() as folder:
        native, onnx = Path(folder) / "net.npz", Path(folder) / "net.onnx"
        net(mt.zeros(shape))
        mt.save(net, native)
        export_onnx(net, shape, onnx)
        for name, script, path in (("MiniTen, its own file", OURS, native), ("MiniTen, ONNX", OURS.replace("mt.load(", "mt.edge.load_onnx("), onnx), ("onnxruntime, ONNX", THEIRS, onnx), ("MiniTen, LeNet training", LENET, native)):
            ms, mb = start(script, path, rounds)
            print(f"{name:28s} first output {ms:6.0f} ms, peak {mb:5.1f} MB", flush=True)
        if program:
            runs = [subprocess.run([program, native], capture_output=True, text=True, check=True).stdout.split() for _ in range(rounds)]
            print(f"{'MiniTen, C++':28s} first output {statistics.median(float(r[0]) for r in runs):6.1f} ms, peak {statistics.median(float(r[1]) for r in runs):5.1f} MB")

        settings = ort.SessionOptions()
        settings.intra_op_num_threads = 1
        x = np.zeros(shape, "float32")
        made: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            began = time.perf_counter()
            own = mt.compile(load_onnx(onnx), shape, threads=1)
            between = time.perf_counter()
            peer = ort.InferenceSession(str(onnx), settings, providers=["CPUExecutionProvider"])
            made[0].append(between - began)
            made[1].append(time.perf_counter() - between)
        print(f"a session from the file: MiniTen {statistics.median(made[0]) * 1e3:.1f} ms, onnxruntime {statistics.median(made[1]) * 1e3:.1f} ms")

        tensor, given = mt.tensor(x), {peer.get_inputs()[0].name: x}
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
        try:
            seconds: tuple[list[float], list[float]] = ([], [])
            for _ in range(40 * rounds):
                for times, run in zip(seconds, (lambda: own.run(tensor), lambda: peer.run(None, given)), strict=True):
                    began = time.perf_counter()
                    run()
                    times.append(time.perf_counter() - began)
        finally:
            for process in busy:
                process.kill()
        for name, times in zip(("MiniTen", "onnxruntime"), seconds, strict=True):
            median, tail = np.percentile(times, [50, 99])
            print(f"{name:12s} beside busy neighbours: median {median * 1e3:.1f} ms, p99 {tail * 1e3:.1f} ms, p99/p50 {tail / median:.2f}")


if __name__ == "__main__":
    main()
