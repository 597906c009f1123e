"""MiniTen beside the CPU runtimes people deploy, one process each, on the same weights.

    benchmarks/peers/setup.sh; python benchmarks/peers/inference.py [--precision float32] [--threads 1] [--rounds 15] [--only PEER ...] [--to build/peers] [NETWORK ...]

float32: MiniTen, onnxruntime, OpenVINO, ncnn and MNN take the ONNX file, LiteRT the TFLite file, torch the module (channels last; also
compiled with frozen weights). int8: each as its own tool quantises the float32 file for this processor, with the same samples:
MiniTen and onnxruntime static (the latter with unsigned activations and scales per channel) and dynamic; OpenVINO by NNCF, and
onnxruntime's static file; LiteRT takes TFLite files written here, static and dynamic. bf16: MiniTen and OpenVINO compute in bfloat16, onnxruntime in float32. Inputs and
outputs are float32. A number in brackets tells how far an output lies from that of onnxruntime in float32, relative to its largest,
where that is above 1e-3. Without --only, all.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from processes import OTHERS, OWN, Peer, Table, arguments, check

import miniten as mt
from miniten import nn
from miniten._peers import open_peer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import nets  # noqa: E402


NAMES = {"float32": ["MiniTen", "onnxruntime", "LiteRT", "OpenVINO", "ncnn", "MNN", "torch", "torch compiled"],
         "int8": ["MiniTen", "MiniTen dynamic", "MiniTen dynamic, bf16", "onnxruntime", "onnxruntime dynamic", "LiteRT", "LiteRT dynamic", "OpenVINO NNCF", "OpenVINO QDQ"],
         "bf16": ["MiniTen", "onnxruntime", "OpenVINO"]}
MOST_APART = {"float32": 0.01, "int8": 0.5, "bf16": 0.1}


def quantise_for_onnxruntime(folder: Path, data: np.ndarray) -> None:
    """static.onnx and dynamic.onnx beside net.onnx, as onnxruntime's documentation advises for x86-64."""
    from onnxruntime import quantization as q
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Samples(q.CalibrationDataReader):
        def __init__(self) -> None:
            self.feeds = iter({"input": x[None]} for x in data)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.feeds, None)

    ready = folder / "ready.onnx"
    quant_pre_process(str(folder / "net.onnx"), str(ready), skip_symbolic_shape=True)
    q.quantize_static(str(ready), str(folder / "static.onnx"), Samples(), quant_format=q.QuantFormat.QDQ, per_channel=True, activation_type=q.QuantType.QUInt8, weight_type=q.QuantType.QInt8)
    q.quantize_dynamic(str(ready), str(folder / "dynamic.onnx"), weight_type=q.QuantType.QInt8, per_channel=True)


def prepare(name: str, folder: Path, int8: bool) -> None:
    """What the peers of a network need, in the folder: judge.npy is the output wanted."""
    mt.manual_seed(0)
    model, shape = nets.EVERY[name](nn)
    data = np.random.default_rng(0).standard_normal((4 if np.prod(shape) > 1e5 else 32, *shape[1:])).astype(np.float32)
    model.train()
    model(data)                                              # batch norm sees some statistics
    model.eval()
    np.savez(folder / "weights.npz", **{k: v.numpy() for k, v in model.state_dict().items()})
    np.save(folder / "x.npy", data[:1])
    mt.edge.export_onnx(model, shape, folder / "net.onnx", opset_version=17)
    np.save(folder / "judge.npy", open_peer("onnxruntime", str(folder / "net.onnx"), [mt.tensor(data[:1])], 1)[2][0])
    if int8:
        np.save(folder / "samples.npy", data)
        quantise_for_onnxruntime(folder, data)
        mt.edge.export_tflite(model, shape, folder / "dynamic.tflite", quantize="dynamic")
        dynamic = mt.edge.quantize_model(model, mode="dynamic")
        dynamic(data[:1])                                    # its shape is known then
        dynamic.save(folder / "dynamic.npz")
        model = mt.edge.quantize_model(model, calibration_data=data)
        model.save(folder / "net.npz")
    if not (int8 and name in nets.RECURRENT):                # TFLite has them in int8 in another arithmetic
        mt.edge.export_tflite(model, shape, folder / "net.tflite")


def peers_of(name: str, folder: Path, threads: int, precision: str, labels: list[str]) -> list[Peer]:
    def peer(label: str, python: Path, function: str, **more) -> Peer:
        return Peer(label, python, "runtimes", function, threads, x=str(folder / "x.npy"), outputs=str(folder / f"{label}.npy"), **more)

    def file(name: str) -> str:
        return str(folder / name)

    int8, width = precision == "int8", precision if precision == "bf16" else None
    module = {"net": name, "weights": file("weights.npz")}
    makers = {
        "MiniTen": lambda: peer("MiniTen", OWN, "miniten", model=file("net.npz" if int8 else "net.onnx"), precision=width),
        "MiniTen dynamic": lambda: peer("MiniTen dynamic", OWN, "miniten", model=file("dynamic.npz")),
        "MiniTen dynamic, bf16": lambda: peer("MiniTen dynamic, bf16", OWN, "miniten", model=file("dynamic.npz"), precision="bf16"),
        "onnxruntime": lambda: peer("onnxruntime", OWN, "onnxruntime", model=file("static.onnx" if int8 else "net.onnx")),
        "onnxruntime dynamic": lambda: peer("onnxruntime dynamic", OWN, "onnxruntime", model=file("dynamic.onnx")),
        "LiteRT": lambda: peer("LiteRT", OWN, "litert", model=file("net.tflite")),
        "LiteRT dynamic": lambda: peer("LiteRT dynamic", OWN, "litert", model=file("dynamic.tflite")),
        "OpenVINO": lambda: peer("OpenVINO", OTHERS, "openvino", model=file("net.onnx"), precision=width or "f32"),
        "OpenVINO NNCF": lambda: peer("OpenVINO NNCF", OTHERS, "openvino", model=file("net.onnx"), samples=file("samples.npy"), attention=name in nets.TEXT),
        "OpenVINO QDQ": lambda: peer("OpenVINO QDQ", OTHERS, "openvino", model=file("static.onnx")),
        "ncnn": lambda: peer("ncnn", OTHERS, "ncnn", model=file("net.onnx")),
        "MNN": lambda: peer("MNN", OTHERS, "mnn", model=file("net.onnx")),
        "torch": lambda: peer("torch", OWN, "torch", **module),
        "torch compiled": lambda: peer("torch compiled", OWN, "torch", compiled=True, **module),
    }
    return [makers[label]() for label in labels]


def main() -> None:
    parser = arguments([], 25)
    parser.add_argument("--precision", choices=list(NAMES), default="float32")
    parser.add_argument("--only", nargs="+", default=[], metavar="PEER", help="these peers, by the names of the table")
    options = parser.parse_args()
    kind = options.precision
    names = [n for n in NAMES[kind] if n.startswith("MiniTen") or n in options.only or not options.only]
    if unknown := set(options.only) - set(names):
        parser.error(f"--only: {kind} has {', '.join(NAMES[kind])}, not {', '.join(sorted(unknown))}")
    table = Table(f"Inference, {kind}, {options.threads} thread(s), {mt.cpu_info()['isa']}", names)
    for name in options.networks or nets.EVERY:
        with tempfile.TemporaryDirectory() as folder:
            prepare(name, Path(folder), kind == "int8")
            table.compare(name, peers_of(name, Path(folder), options.threads, kind, names), lambda peers: check(Path(folder), peers, MOST_APART[kind]), options)
    table.save(options.to / f"inference_{kind}_{options.threads}")


if __name__ == "__main__":
    main()
