"""What quantisation costs in accuracy, beside onnxruntime's static quantisation and Google's AI Edge Quantizer: the same nets, data
and calibration samples.

    python benchmarks/quantization.py [--nets digits,resnet] [--seeds 2] [--models ../shared/models/mlperf_tiny]

Nets are trained here on scikit-learn's digits, enlarged or cut to the shapes of each net; a third of the images is never seen in
training. A cell gives points of accuracy lost on those (negative: gained) and the ratio of signal to noise of the outputs in dB, both
averaged over the seeds. onnxruntime's is the best of its three ways to calibrate, by accuracy. AI Edge Quantizer (pip install
ai-edge-quantizer; its column is left out without) quantises the float .tflite file by its recipe static_wi8_ai8, run by LiteRT.

--models: the float files of MLPerf Tiny, on crops of the photographs in scikit-image and scikit-learn, calibrated on other
photographs than tested on. They have no labels here: a cell gives the share of crops where the answer is not the float model's.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nets
import numpy as np
import onnxruntime as ort
from ai_edge_litert.interpreter import Interpreter
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from sklearn.datasets import load_digits

import miniten as mt
from miniten import nn, optim
from miniten.edge import export_onnx, export_tflite, load_tflite, prepare_qat, quantize_model

try:
    from ai_edge_quantizer import quantizer, recipe
except ImportError:
    quantizer = None


class Sequence(nn.Module):
    """An LSTM over the rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(8, 48, batch_first=True), nn.Linear(48, 10)

    def forward(self, x: Any) -> Any:
        return self.head(self.lstm(x)[0][:, -1])


class Tokens(nn.Module):
    """A transformer of two layers over the rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 48)
        self.body = nn.Sequential(*[nn.TransformerEncoderLayer(48, 4, 96, dropout=0.0, batch_first=True, activation="gelu") for _ in range(2)])
        self.head = nn.Linear(48 * 8, 10)

    def forward(self, x: Any) -> Any:
        return self.head(self.body(self.embed(x)).flatten(1))


def digits_cnn() -> Any:
    layers = nets.conv(nn, 1, 16, 3) + nets.conv(nn, 16, 32, 3, 2) + nets.separable(nn, 32, 48)
    return nn.Sequential(*layers, *nets.head(nn, 48, 10))


def large(x: np.ndarray) -> np.ndarray:
    """(n, 8, 8) to (n, 3, 32, 32): enlarged, each channel a little different."""
    big = np.kron(x, np.ones((4, 4), "float32"))
    return np.stack([big, big**2, np.roll(big, 2, 2)], 1)


def spectrogram(x: np.ndarray) -> np.ndarray:
    """(n, 8, 8) to (n, 1, 49, 10)."""
    wide = np.kron(x, np.ones((6, 1), "float32"))
    return np.pad(wide, ((0, 0), (0, 1), (1, 1)))[:, None]


NETS: dict[str, tuple[Callable[[], Any], Callable[[np.ndarray], np.ndarray], int]] = {
    "digits CNN": (digits_cnn, lambda x: x[:, None], 12),
    "ResNet-8": (lambda: nets.resnet8(nn)[0], large, 4),
    "DS-CNN": (lambda: nets.ds_cnn(nn)[0], spectrogram, 6),
    "LSTM": (Sequence, lambda x: x, 25),
    "transformer": (Tokens, lambda x: x, 20),
}
OWN: dict[str, dict[str, Any]] = {
    "int8": {},
    "int8, method auto": {"method": "auto"},
    "int8, optimize accuracy": {"optimize": "accuracy"},
    "int16x8": {"dtype": "int16x8"},
    "int16": {"dtype": "int16"},
    "int4 weights": {"dtype": "int4"},
    "int4 asymmetric, accuracy": {"dtype": "int4", "symmetric": False, "optimize": "accuracy"},
}


def train(net: Any, x: np.ndarray, y: np.ndarray, epochs: int, seed: int, lr: float = 2e-3) -> None:
    rng = np.random.default_rng(seed)
    optimizer = optim.Adam(net.parameters(), lr=lr)
    loss = nn.CrossEntropyLoss()
    net.train()
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for i in range(0, len(order) - 31, 32):
            optimizer.zero_grad()
            loss(net(x[order[i : i + 32]]), y[order[i : i + 32]]).backward()
            optimizer.step()
    net.eval()


def accuracy(logits: np.ndarray, y: np.ndarray) -> float:
    return 100 * float((logits.argmax(1) == y).mean())


def noise_db(want: np.ndarray, got: np.ndarray) -> float:
    return float(10 * np.log10((want.astype("float64") ** 2).sum() / ((want.astype("float64") - got) ** 2).sum()))


class Samples(CalibrationDataReader):
    def __init__(self, name: str, x: np.ndarray) -> None:
        self.rest = iter([{name: x[i : i + 32]} for i in range(0, len(x), 32)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.rest, None)


def peer(net: Any, data: np.ndarray, x: np.ndarray, method: CalibrationMethod, folder: Path) -> np.ndarray:
    plain, ready, small = (str(folder / f"{n}.onnx") for n in ("plain", "ready", "small"))
    export_onnx(net, (1, *x.shape[1:]), plain, dynamic_axes={"input": {0: "batch"}})
    with contextlib.redirect_stdout(io.StringIO()):
        quant_pre_process(plain, ready, skip_symbolic_shape=True)
        name = ort.InferenceSession(ready, providers=["CPUExecutionProvider"]).get_inputs()[0].name
        quantize_static(ready, small, Samples(name, data), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QInt8,
                        weight_type=QuantType.QInt8, calibrate_method=method)
    return ort.InferenceSession(small, providers=["CPUExecutionProvider"]).run(None, {name: x})[0]


def edge_quantizer(float_file: bytes, data: np.ndarray, x: np.ndarray) -> np.ndarray:
    """data and x as the file has them, (N, H, W, C)."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as folder:
        q = quantizer.Quantizer(float_file, recipe.static_wi8_ai8())
        run = Interpreter(model_content=float_file)
        key, ports = next(iter(run.get_signature_list().items()))
        found = q.calibrate({key: [{ports["inputs"][0]: data[i : i + 1]} for i in range(len(data))]})
        path = Path(folder) / "q.tflite"
        q.quantize(found).export_model(str(path))
        return litert(path.read_bytes(), x)


def litert(file: bytes, x: np.ndarray) -> np.ndarray:
    run = Interpreter(model_content=file, num_threads=1)
    run.allocate_tensors()
    (given,), (gives,) = run.get_input_details(), run.get_output_details()
    out = []
    for i in range(len(x)):
        one = x[i : i + 1]
        if given["quantization"][0] and given["dtype"] != np.float32:
            scale, zero = given["quantization"]
            one = np.clip(np.rint(one / np.float32(scale)) + zero, -128, 127).astype(given["dtype"])
        run.reset_all_variables()
        run.set_tensor(given["index"], one)
        run.invoke()
        y = run.get_tensor(gives["index"])
        if gives["dtype"] != np.float32:
            y = (y.astype("float32") - gives["quantization"][1]) * np.float32(gives["quantization"][0])
        out.append(y)
    return np.concatenate(out)


def channels_last(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if x.ndim == 4 else x


def trained_on(net: Any, data: np.ndarray, x: np.ndarray, y: np.ndarray, seed: int) -> Any:
    prepared = prepare_qat(net, calibration_data=data)
    train(prepared, x, y, 3, seed + 100, lr=2e-4)
    prepared.freeze_observers()
    prepared.freeze_batch_norm()
    train(prepared, x, y, 2, seed + 200, lr=5e-5)
    return prepared.convert()


def measure(name: str, seed: int) -> tuple[float, dict[str, tuple[float, float]]]:
    make, shape, epochs = NETS[name]
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.images))
    x, y = shape((digits.images[order] / 16).astype("float32")), digits.target[order].astype("int64")
    train_x, train_y, test_x, test_y = x[:1200], y[:1200], x[1200:], y[1200:]
    mt.manual_seed(seed)
    net = make()
    train(net, train_x, train_y, epochs, seed)
    want = net(test_x).numpy()
    base, data = accuracy(want, test_y), train_x[:256]

    def row(got: np.ndarray) -> tuple[float, float]:
        return base - accuracy(got, test_y), noise_db(want, got)

    rows = {how: row(quantize_model(net, calibration_data=data, **options)(test_x).numpy()) for how, options in OWN.items()}
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for method in (CalibrationMethod.MinMax, CalibrationMethod.Entropy, CalibrationMethod.Percentile):
            found.append(row(peer(net, data, test_x, method, Path(folder))))
    rows["onnxruntime static int8, best"] = min(found, key=lambda r: (r[0], -r[1]))
    if quantizer:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "float.tflite"
            export_tflite(net, (1, *x.shape[1:]), path)
            rows["AI Edge Quantizer int8"] = row(edge_quantizer(path.read_bytes(), channels_last(data), channels_last(test_x)))
    rows["trained with quantisation, int8"] = row(trained_on(net, data, train_x, train_y, seed)(test_x).numpy())
    return base, rows


# ---- published models ----
def photographs() -> list[np.ndarray]:
    import skimage.data
    from sklearn.datasets import load_sample_images

    names = ("astronaut", "chelsea", "coffee", "rocket", "retina", "immunohistochemistry", "hubble_deep_field")
    pictures = [getattr(skimage.data, n)() for n in names] + list(load_sample_images().images) + list(skimage.data.stereo_motorcycle()[:1])
    return [np.asarray(p)[..., :3].astype("float32") for p in pictures]


def crops(pictures: list[np.ndarray], n: int, size: int, rng: np.random.Generator) -> np.ndarray:
    out = []
    for i in range(n):
        p = pictures[i % len(pictures)]
        side = int(rng.integers(size, min(p.shape[:2]) + 1))
        top, left = (int(rng.integers(0, p.shape[a] - side + 1)) for a in (0, 1))
        out.append(mt.utils.vision.resize(p[top : top + side, left : left + side].astype("uint8"), (size, size)))
    return np.stack([np.asarray(o) for o in out]).astype("float32")


def published(folder: Path) -> None:
    pictures = photographs()
    columns = ["int8", "int8, optimize accuracy", "int16", "the published int8 file"]
    print("\n| model | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for name, size, scale in (("resnet8", 32, 1.0), ("vww96", 96, 1 / 255)):
        rng = np.random.default_rng(0)
        data, x = (crops(some, n, size, rng) * np.float32(scale) for some, n in ((pictures[::2], 256), (pictures[1::2], 1000)))
        file = (folder / f"{name}_fp32.tflite").read_bytes()
        net = load_tflite(file)
        want = litert(file, x)
        own = net(x).numpy()
        assert np.abs(own - want).max() < 1e-3

        def cell(got: np.ndarray, want: np.ndarray = want) -> str:
            return f"{100 * float((got.argmax(1) != want.argmax(1)).mean()):.2f} %, {noise_db(want, got):.1f} dB"

        cells = [cell(quantize_model(net, calibration_data=data, **o)(x).numpy()) for o in (OWN["int8"], OWN["int8, optimize accuracy"], OWN["int16"])]
        cells.append(cell(litert((folder / f"{name}_int8.tflite").read_bytes(), x)))
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", default=",".join(NETS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--models", type=Path, help="the folder of MLPerf Tiny's files")
    options = parser.parse_args()
    names = [n for n in NETS if any(n.lower().startswith(w.strip().lower()) for w in options.nets.split(","))]
    logging.disable(logging.WARNING)
    for k, name in enumerate(names):
        runs = [measure(name, seed) for seed in range(options.seeds)]
        if k == 0:
            print("| net (accuracy) | " + " | ".join(runs[0][1]) + " |")
            print("|---" * (len(runs[0][1]) + 1) + "|")
        cells = [f"{np.mean([r[1][how][0] for r in runs]):+.2f}, {np.mean([r[1][how][1] for r in runs]):.1f} dB" for how in runs[0][1]]
        print(f"| {name} ({np.mean([r[0] for r in runs]):.1f} %) | " + " | ".join(cells) + " |", flush=True)
    if options.models:
        published(options.models)


if __name__ == "__main__":
    main()
