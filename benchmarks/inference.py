"""MiniTen beside onnxruntime on the same ONNX files, float32 and int8 (QDQ), quantise and dequantise included.

    python benchmarks/inference.py [--threads 1] [--rounds 200] [--large] [--exact]

onnxruntime runs with all graph optimisations and as many threads. A ratio above 1 says that MiniTen is faster. The outputs are
compared first. --large takes the networks of 224x224 pixels instead, --exact refuses Winograd's convolutions.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
from nets import ALL, LARGE
from turns import compare, difference

import miniten as mt
from miniten import nn
from miniten.edge import export_onnx, load_onnx, quantize_model


def onnx_session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def row(name: str, path: Path, x: np.ndarray, threads: int, rounds: int, exact: bool) -> str:
    own, peer = mt.compile(load_onnx(path), x.shape, threads=threads, exact=exact), onnx_session(path, threads)
    given, feed = mt.tensor(x), {peer.get_inputs()[0].name: x}
    apart = difference(own.run(given).numpy(), peer.run(None, feed)[0])
    c = compare(lambda: own.run(given), lambda: peer.run(None, feed), rounds)
    return f"| {name} | {c.first * 1e6:.1f} us | {c.second * 1e6:.1f} us | {c.ratio:.2f}x | {c.low:.2f} to {c.high:.2f} | {apart:.1e} |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--exact", action="store_true")
    options = parser.parse_args()
    print(f"onnxruntime {onnxruntime.__version__}, {options.threads} thread(s), {options.rounds} rounds, {mt.cpu_info()['isa']}\n")
    print("| network | MiniTen | onnxruntime | faster by | middle 80 % | outputs differ by |\n|---|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for name, make in (LARGE if options.large else ALL).items():
            mt.manual_seed(0)
            model, shape = make(nn)
            data = rng.standard_normal((4 if options.large else 32, *shape[1:])).astype(np.float32)
            model.train()
            model(data)                                      # batch norm sees some statistics
            model.eval()
            for kind, m in (("float32", model), ("int8", quantize_model(model, dtype="int8", calibration_data=data))):
                path = Path(folder) / f"{name}_{kind}.onnx"
                export_onnx(m, shape, path)
                print(row(f"{name} {kind}", path, data[:1], options.threads, options.rounds, options.exact), flush=True)


if __name__ == "__main__":
    main()
