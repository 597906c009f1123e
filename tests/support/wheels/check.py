"""What an installed wheel computes, beside what another machine's computed.

check.py write FOLDER: a float and an int8 model as .npz and .onnx, with inputs and outputs, and the latter as a bundle.
check.py compare FOLDER: reads them again; int8 outputs must be equal on every instruction set, float ones to 1e-5.
"""

import platform
import runpy
import sys
import zipfile
from pathlib import Path

import numpy as np

import miniten as mt
from miniten import nn
from miniten.edge import export_onnx, load_onnx, package, quantize_model
from miniten.utils.vision import encode_image, load_image


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.depthwise = nn.DepthwiseSeparableConv2d(channels, channels, 3, padding=1)
        self.expand = nn.Conv2d(channels, 2 * channels, 3, padding=1)
        self.project = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x):
        return mt.relu(self.project(mt.relu(self.expand(mt.relu(self.depthwise(x))))) + x)


def make():
    mt.manual_seed(7)
    net = nn.Sequential(nn.Conv2d(3, 12, 3, stride=2, padding=1), nn.ReLU(), Block(12), Block(12), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12 * 36, 10)).eval()
    x = np.random.default_rng(7).normal(size=(8, 3, 24, 24)).astype("float32")
    return net, quantize_model(net, dtype="int8", calibration_data=mt.as_tensor(x)), x


def write(folder):
    folder.mkdir(parents=True, exist_ok=True)
    net, quantized, x = make()
    shape = (8, 3, 24, 24)
    np.save(folder / "input.npy", x)
    for name, model in (("float32", net), ("int8", quantized)):
        model(x)
        model.save(str(folder / f"{name}.npz"))
        export_onnx(model, shape, str(folder / f"{name}.onnx"))
        np.save(folder / f"{name}.npy", mt.compile(model, shape).run(x).numpy())
    package(quantized, folder / "bundle.zip", ["onnx"], inputs=x)


def compare(folder):
    x = np.load(folder / "input.npy")
    isas = mt.cpu_info()["available_isas"]
    for isa in isas:
        mt.set_isa(isa)
        for name in ("float32", "int8"):
            want = np.load(folder / f"{name}.npy")
            for model in (mt.load(str(folder / f"{name}.npz")), load_onnx(str(folder / f"{name}.onnx"))):
                got = mt.compile(model, x.shape).run(x).numpy()
                if name == "int8":
                    assert np.array_equal(got, want), f"{isa}: int8 outputs differ by up to {np.abs(got - want).max()}"
                else:
                    assert np.abs(got - want).max() <= 1e-5 * max(1, np.abs(want).max()), f"{isa}: float outputs differ by up to {np.abs(got - want).max()}"
    with zipfile.ZipFile(folder / "bundle.zip") as bundle:
        bundle.extractall(folder / "bundle")
    try:
        runpy.run_path(str(folder / "bundle" / "check.py"))
    except SystemExit as done:
        assert done.code == 0, "the bundle's own check failed"
    pixels = (np.arange(7 * 5 * 3) % 256).astype("uint8").reshape(7, 5, 3)
    assert np.array_equal(np.asarray(load_image(encode_image(pixels, "png"))), pixels)   # by the libraries the wheel carries
    assert np.asarray(load_image(encode_image(pixels, "jpeg"))).shape == pixels.shape
    print(f"miniten {mt.__version__}, Python {sys.version.split()[0]}, {platform.machine()}: equal on {' '.join(isas)}")


if __name__ == "__main__":
    {"write": write, "compare": compare}[sys.argv[1]](Path(sys.argv[2]))
