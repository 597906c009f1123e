"""What quantisation costs in accuracy, beside onnxruntime's static quantisation: the same nets, data and calibration samples.

    python benchmarks/quantization.py [--nets digits,resnet8] [--seeds 2]

Nets are trained here on scikit-learn's digits, enlarged or cut to the shapes of each net; a third of the images is never seen in
training. A row gives points of accuracy lost on those (negative: gained) and the ratio of signal to noise of the outputs in dB, both
averaged over the seeds. onnxruntime's row is the best of its three ways to calibrate, by accuracy.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nets
import numpy as np
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from sklearn.datasets import load_digits

import miniten as mt
from miniten import nn, optim
from miniten.edge import export_onnx, quantize_model


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
    "int4 weights, accuracy": {"dtype": "int4", "optimize": "accuracy"},
}


def train(net: Any, x: np.ndarray, y: np.ndarray, epochs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    optimizer = optim.Adam(net.parameters(), lr=2e-3)
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
    quant_pre_process(plain, ready, skip_symbolic_shape=True)
    name = ort.InferenceSession(ready, providers=["CPUExecutionProvider"]).get_inputs()[0].name
    quantize_static(ready, small, Samples(name, data), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QInt8,
                    weight_type=QuantType.QInt8, calibrate_method=method)
    return ort.InferenceSession(small, providers=["CPUExecutionProvider"]).run(None, {name: x})[0]


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
    return base, rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", default=",".join(NETS))
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    names = [n for n in NETS if any(n.lower().startswith(w.strip().lower()) for w in options.nets.split(","))]
    print("| net (accuracy) | " + " | ".join([*OWN, "onnxruntime static int8, best"]) + " |")
    print("|---" * (len(OWN) + 2) + "|")
    for name in names:
        runs = [measure(name, seed) for seed in range(options.seeds)]
        cells = [f"{np.mean([r[1][how][0] for r in runs]):+.2f}, {np.mean([r[1][how][1] for r in runs]):.1f} dB" for how in runs[0][1]]
        print(f"| {name} ({np.mean([r[0] for r in runs]):.1f} %) | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
