"""MiniTen beside onnxruntime on the same ONNX files, or LiteRT on the same TFLite files: float32 and int8.

    python benchmarks/inference.py [--peer litert] [--large | --text | --recurrent] [--threads 1] [--rounds 200] [--exact]

int8 is full int8 with quantised edges converted by the file, so quantise and dequantise are timed too. The peer runs with all its
optimisations, as many threads, and its tensors bound once. A ratio above 1 says that MiniTen is faster. The outputs are compared
first. --large takes the networks of 224x224 pixels instead, --text encoders, --recurrent LSTM and GRU (in float32 alone: no format has
one in int8), --exact refuses Winograd's convolutions.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from nets import ALL, LARGE, RECURRENT, TEXT
from turns import compare, difference

import miniten as mt
from miniten import nn
from miniten._peers import open_peer
from miniten.edge import export_onnx, export_tflite, load_onnx, load_tflite, quantize_model


def row(name: str, path: Path, x: np.ndarray, options: argparse.Namespace) -> tuple[str, str]:
    """-> (the peer and its version, a line of the table)."""
    litert = options.peer == "litert"
    label, run, outputs = open_peer(options.peer, str(path), [mt.tensor(x)], options.threads)
    given = mt.tensor(np.ascontiguousarray(np.moveaxis(x, 1, -1)) if litert and x.ndim == 4 else x)
    own = mt.compile((load_tflite if litert else load_onnx)(path), given.shape, threads=options.threads, exact=options.exact)
    apart = difference(own.run(given).numpy(), np.array(outputs[0]))
    c = compare(lambda: own.run(given), run, options.rounds, rest=0.05 if options.threads > 1 else 0)
    unit, scale = ("us", 1e6) if c.first < 1e-3 else ("ms", 1e3)
    return label, f"| {name} | {c.first * scale:.1f} {unit} | {c.second * scale:.1f} {unit} | {c.ratio:.2f}x | {c.low:.2f} to {c.high:.2f} | {apart:.1e} |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--peer", choices=("onnxruntime", "litert"), default="onnxruntime")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--text", action="store_true")
    parser.add_argument("--recurrent", action="store_true")
    parser.add_argument("--exact", action="store_true")
    options = parser.parse_args()
    litert = options.peer == "litert"
    label = None
    nets = LARGE if options.large else TEXT if options.text else RECURRENT if options.recurrent else ALL
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for name, make in nets.items():
            mt.manual_seed(0)
            model, shape = make(nn)
            data = rng.standard_normal((4 if options.large else 32, *shape[1:])).astype(np.float32)
            model.train()
            model(data)                                      # batch norm sees some statistics
            model.eval()
            kinds = {"float32": model}
            if not options.recurrent:
                kinds["int8"] = quantize_model(model, dtype="int8", calibration_data=data)
            for kind, m in kinds.items():
                path = Path(folder) / f"{name}_{kind}.{'tflite' if litert else 'onnx'}"
                (export_tflite if litert else export_onnx)(m, shape, path)
                found, line = row(f"{name} {kind}", path, data[:1], options)
                if label is None:
                    label = found
                    print(f"{options.threads} thread(s), {options.rounds} rounds, {mt.cpu_info()['isa']}\n")
                    print(f"| network | MiniTen | {label} | faster by | middle 80 % | outputs differ by |\n|---|---|---|---|---|---|")
                print(line, flush=True)


if __name__ == "__main__":
    main()
