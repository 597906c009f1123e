"""Eager overhead and memory beside torch, in one process, in turn: python benchmarks/eager.py [--steps N]

a + b on ten elements, forward alone and with its gradient; resident memory over many steps; the peak of training LeNet-5
(28x28, batch 64), which a process of its own measures, import included. Times are medians over turns; the ratio is
MiniTen's over torch's.
"""

import argparse
import statistics
import subprocess
import sys
import time

import numpy as np

LENET = """
import numpy as np
import miniten as mt
from miniten import nn
mt.set_num_threads(1)
net = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
                    nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))
optimizer = mt.optim.Adam(net.parameters(), lr=1e-3)
rng = np.random.default_rng(0)
for step in range(30):
    x, y = rng.random((64, 1, 28, 28), dtype="float32"), rng.integers(0, 10, 64)
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(mt.tensor(x)), mt.tensor(y)).backward()
    optimizer.step()
print(int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) / 1024)
"""


def forward(m):
    a, b = m.ones(10), m.ones(10)

    def run(n):
        for _ in range(n):
            a + b

    return run


def with_gradient(m):
    a, b, seed = m.ones(10, requires_grad=True), m.ones(10, requires_grad=True), m.ones(10)

    def run(n):
        for _ in range(n):
            (a + b).backward(seed)
            a.grad = b.grad = None

    return run


def recorded(m):
    a, b = m.ones(10, requires_grad=True), m.ones(10, requires_grad=True)

    def run(n):
        for _ in range(n):
            a + b

    return run


def resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4096 / 2**20


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--turns", type=int, default=21)
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--steps", type=int, default=100_000)
    options = parser.parse_args()
    import torch

    import miniten as mt

    mt.set_num_threads(1)
    torch.set_num_threads(1)
    for name, make in (("a + b", forward), ("a + b, recorded", recorded), ("a + b and backward", with_gradient)):
        runs = {"miniten": make(mt), "torch": make(torch)}
        times = {k: [] for k in runs}
        for _ in range(options.turns):
            for k, run in runs.items():
                start = time.perf_counter()
                run(options.calls)
                times[k].append((time.perf_counter() - start) / options.calls * 1e9)
        ours, theirs = (statistics.median(times[k]) for k in ("miniten", "torch"))
        print(f"{name:20} miniten {ours:7.0f} ns  torch {theirs:7.0f} ns  ratio {ours / theirs:.2f}")

    w = mt.tensor(np.ones((16, 16), "float32"), requires_grad=True)
    x = mt.ones(4, 16)

    def steps(n):
        for _ in range(n):
            y = mt.tanh(x @ w)
            (y * y).mean().backward()
            with mt.no_grad():
                w.sub_(w.grad * 1e-3)
            w.grad = None

    steps(2000)
    before = resident()
    steps(options.steps)
    print(f"resident memory over {options.steps} steps: {before:.1f} -> {resident():.1f} MB")
    peak = subprocess.run([sys.executable, "-c", LENET], capture_output=True, text=True, check=True).stdout
    print(f"peak of training LeNet-5, import included: {float(peak):.1f} MB")


if __name__ == "__main__":
    main()
