"""MiniTen beside onnxruntime on the same ONNX files, float32 and int8 (QDQ), quantise and dequantise included.

    python benchmarks/inference.py [--threads 1] [--rounds 200]

Both run in turn (A B A B) in one process with equal threads, onnxruntime with all graph optimisations. A ratio above 1 says
that MiniTen is faster; its interval holds the middle 80 % of the rounds. The outputs are compared first.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time

import numpy as np
import onnxruntime

import miniten as mt
from miniten.edge import export_onnx, load_onnx, quantize_model
from nets import ALL


def onnx_session(path: str, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def timed(run, times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        run()
    return (time.perf_counter() - start) / times


def compare(path: str, x: np.ndarray, threads: int, rounds: int) -> tuple[float, float, np.ndarray, float]:
    own, peer = mt.compile(load_onnx(path), x.shape, threads=threads), onnx_session(path, threads)
    feed = {peer.get_inputs()[0].name: x}
    given = mt.tensor(x)
    runs = (lambda: own.run(given), lambda: peer.run(None, feed))
    a, b = own.run(given).numpy(), peer.run(None, feed)[0]
    difference = float(np.abs(a - b).max() / max(1, np.abs(b).max()))
    for run in runs:
        timed(run, 20)
    times = max(1, int(2e-3 / timed(runs[1], 20)))          # about 2 ms a turn
    seconds = np.array([[timed(run, times) for run in runs] for _ in range(rounds)])
    ratios = seconds[:, 1] / seconds[:, 0]
    return float(np.median(seconds[:, 0])), float(np.median(seconds[:, 1])), np.percentile(ratios, [10, 50, 90]), difference


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    print(f"onnxruntime {onnxruntime.__version__}, {options.threads} thread(s), {options.rounds} rounds\n")
    print("| network | MiniTen | onnxruntime | faster by | middle 80 % | difference |\n|---|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    folder = tempfile.mkdtemp(prefix="miniten_")
    for name, make in ALL.items():
        mt.manual_seed(0)
        model, shape = make()
        model.train()
        data = rng.standard_normal((32, *shape[1:])).astype(np.float32)
        model(data)                                          # batch norm sees some statistics
        model.eval()
        quantized = quantize_model(model, dtype="int8", calibration_data=data)
        for kind, m in (("float32", model), ("int8", quantized)):
            path = os.path.join(folder, f"{name}_{kind}.onnx")
            export_onnx(m, shape, path)
            own, peer, (low, middle, high), difference = compare(path, data[:1], options.threads, options.rounds)
            print(f"| {name} {kind} | {own * 1e6:.1f} us | {peer * 1e6:.1f} us | {middle:.2f}x | {low:.2f} to {high:.2f} | {difference:.1e} |")


if __name__ == "__main__":
    main()
