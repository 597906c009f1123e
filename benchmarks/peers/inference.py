"""MiniTen beside the CPU runtimes people deploy, one process each, on the same weights.

    benchmarks/peers/setup.sh; python benchmarks/peers/inference.py [--precision float32] [--threads 1] [--rounds 15] [--to build/peers] [NETWORK ...]

Float32: onnxruntime, OpenVINO, ncnn and MNN take the ONNX file, LiteRT the TFLite file, torch the module (channels last; also compiled
with frozen weights). int8: quantised once here, as QDQ for onnxruntime and OpenVINO and as TFLite for LiteRT. bf16: MiniTen and
OpenVINO compute in bfloat16, onnxruntime in float32. A number in brackets tells how far an output lies from onnxruntime's, relative to
its largest, where that is above 1e-3.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from processes import OTHERS, OWN, Peer, Table, arguments, check

import miniten as mt
from miniten import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import nets  # noqa: E402


NAMES = {"float32": ["MiniTen", "onnxruntime", "LiteRT", "OpenVINO", "ncnn", "MNN", "torch", "torch compiled"], "int8": ["MiniTen", "onnxruntime", "LiteRT", "OpenVINO"],
         "bf16": ["MiniTen", "onnxruntime", "OpenVINO"]}
MOST_APART = {"float32": 0.01, "int8": 0.5, "bf16": 0.1}


def prepare(name: str, folder: Path, int8: bool) -> None:
    """net.onnx, net.tflite, x.npy (and weights.npz) in the folder."""
    mt.manual_seed(0)
    model, shape = nets.EVERY[name](nn)
    data = np.random.default_rng(0).standard_normal((4 if np.prod(shape) > 1e5 else 32, *shape[1:])).astype(np.float32)
    model.train()
    model(data)                                              # batch norm sees some statistics
    model.eval()
    np.savez(folder / "weights.npz", **{k: v.numpy() for k, v in model.state_dict().items()})
    np.save(folder / "x.npy", data[:1])
    if int8:
        model = mt.edge.quantize_model(model, calibration_data=data)
    mt.edge.export_onnx(model, shape, folder / "net.onnx", opset_version=17)
    mt.edge.export_tflite(model, shape, folder / "net.tflite")


def peers_of(name: str, folder: Path, threads: int, precision: str) -> list[Peer]:
    def peer(label: str, python: Path, function: str, **more) -> Peer:
        return Peer(label, python, "runtimes", function, threads, x=str(folder / "x.npy"), outputs=str(folder / f"{label}.npy"), **more)

    onnx, bf16 = str(folder / "net.onnx"), precision == "bf16"
    module = {"net": name, "weights": str(folder / "weights.npz")}
    makers = {
        "MiniTen": lambda: peer("MiniTen", OWN, "miniten", model=onnx, precision="bf16" if bf16 else None),
        "onnxruntime": lambda: peer("onnxruntime", OWN, "onnxruntime", model=onnx),
        "LiteRT": lambda: peer("LiteRT", OWN, "litert", model=str(folder / "net.tflite")),
        "OpenVINO": lambda: peer("OpenVINO", OTHERS, "openvino", model=onnx, precision="bf16" if bf16 else "f32"),
        "ncnn": lambda: peer("ncnn", OTHERS, "ncnn", model=onnx),
        "MNN": lambda: peer("MNN", OTHERS, "mnn", model=onnx),
        "torch": lambda: peer("torch", OWN, "torch", **module),
        "torch compiled": lambda: peer("torch compiled", OWN, "torch", compiled=True, **module),
    }
    return [makers[label]() for label in NAMES[precision]]


def main() -> None:
    parser = arguments([], 25)
    parser.add_argument("--precision", choices=list(NAMES), default="float32")
    options = parser.parse_args()
    kind = options.precision
    chosen = options.networks or [n for n in nets.EVERY if not (kind == "int8" and n in nets.RECURRENT)]
    table = Table(f"Inference, {kind}, {options.threads} thread(s), {mt.cpu_info()['isa']}", NAMES[kind])
    for name in chosen:
        with tempfile.TemporaryDirectory() as folder:
            prepare(name, Path(folder), kind == "int8")
            table.compare(name, peers_of(name, Path(folder), options.threads, kind), lambda peers: check(Path(folder), peers, MOST_APART[kind]), options)
    table.save(options.to / f"inference_{kind}_{options.threads}")


if __name__ == "__main__":
    main()
