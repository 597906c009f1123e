"""Float activations with int8 weights (dynamic range): in integers as LiteRT's hybrid kernels compute, each row by its own range."""

import numpy as np
import pytest
from tflite_files import File, litert

import miniten as mt
from miniten.edge import export_c, export_miniten, export_onnx, export_tflite, load_miniten, load_onnx, load_tflite

RNG = np.random.default_rng(31)


def rand(*shape):
    return (RNG.normal(size=shape) * RNG.uniform(0.1, 9, (shape[0], *[1] * (len(shape) - 1)))).astype("float32")  # rows of different ranges


def weight(f, *shape, axis=None, lo=-127):
    scale = 0.01 if axis is None else RNG.uniform(0.002, 0.02, shape[axis])
    return f.tensor(data=RNG.integers(lo, 128, shape).astype("int8"), scale=scale, axis=axis or 0)


def fully_connected(rows=3, asymmetric=True, by_channel=False, activation=0, bias=True, keep=False):
    f = File()
    shape = (2, rows, 64) if keep else (rows, 64)
    x, y = f.tensor(shape), f.tensor((*shape[:-1], 7))
    version = 12 if by_channel else 9 if asymmetric else 3
    f.op("FULLY_CONNECTED", [x, weight(f, 7, 64, axis=0 if by_channel else None), f.tensor(data=rand(7)) if bias else -1], [y], "FullyConnectedOptions", version=version,
         asymmetricQuantizeInputs=asymmetric, fusedActivationFunction=activation, keepNumDims=keep)
    return f.bytes([x], [y]), shape


def convolution(images=2, by_channel=True, activation=0, stride=1, padding=0, kernel=3, channels=8):
    f = File()
    out = -(-9 // stride) if padding == 0 else (9 - kernel) // stride + 1
    x, y = f.tensor((images, 9, 9, channels)), f.tensor((images, out, out, 5))
    ids = [x, weight(f, 5, kernel, kernel, channels, axis=0 if by_channel else None), f.tensor(data=rand(5))]
    f.op("CONV_2D", ids, [y], "Conv2DOptions", version=5 if by_channel else 2, padding=padding, strideW=stride, strideH=stride, fusedActivationFunction=activation)
    return f.bytes([x], [y]), (images, 9, 9, channels)


def depthwise(images=2, multiplier=1, stride=1):
    f = File()
    out, channels = -(-9 // stride), 6
    x, y = f.tensor((images, 9, 9, channels)), f.tensor((images, out, out, channels * multiplier))
    ids = [x, weight(f, 1, 3, 3, channels * multiplier, axis=3), f.tensor(data=rand(channels * multiplier))]
    f.op("DEPTHWISE_CONV_2D", ids, [y], "DepthwiseConv2DOptions", version=6, padding=0, strideW=stride, strideH=stride, depthMultiplier=multiplier)
    return f.bytes([x], [y]), (images, 9, 9, channels)


CASES = {
    "rows": fully_connected, "symmetric": lambda: fully_connected(asymmetric=False), "one_row": lambda: fully_connected(1), "by_channel": lambda: fully_connected(by_channel=True), "relu": lambda: fully_connected(activation=1),
    "no_bias": lambda: fully_connected(bias=False), "three_axes": lambda: fully_connected(keep=True), "conv": convolution, "conv_symmetric": lambda: convolution(by_channel=False),
    "conv_one": lambda: convolution(1), "conv_symmetric_one": lambda: convolution(1, by_channel=False), "conv_stride_relu6": lambda: convolution(activation=3, stride=2), "conv_valid": lambda: convolution(padding=1),
    "pointwise": lambda: convolution(kernel=1), "odd_channels": lambda: convolution(channels=3), "depthwise": depthwise, "depthwise_one": lambda: depthwise(1), "depthwise_multiplied": lambda: depthwise(multiplier=2),
    "depthwise_stride": lambda: depthwise(stride=2),
}


def close(got, want, limit=1e-5):
    assert got.shape == want.shape and np.abs(got - want).max() <= limit * max(1, np.abs(want).max())


@pytest.mark.parametrize("name", CASES)
def test_integers_as_litert(name, tmp_path):
    data, shape = CASES[name]()
    module = load_tflite(data)
    assert "quantize_rows" in module.graph.to_text() and "dequantize" not in module.graph.to_text()
    session = mt.compile(module, shape)
    for x in (rand(*shape), np.zeros(shape, "float32"), np.abs(rand(*shape)), -np.abs(rand(*shape))):
        ((want,),) = litert(data, [x])
        got = np.array(module(x))
        close(got, want)
        np.testing.assert_array_equal(np.array(session(x)), got)
        for threads in (1, 2):
            np.testing.assert_array_equal(np.array(mt.compile(module, shape, threads=threads)(x)), got)
    # written again: the same operator, and the same from LiteRT
    report = export_tflite(module, shape, tmp_path / "m.tflite")
    assert sum(n for op, n in report.operators.items() if op != "RESHAPE") == 1 and report.quantization == "dynamic"
    ((again,),) = litert((tmp_path / "m.tflite").read_bytes(), [x := rand(*shape)])
    close(again, litert(data, [x])[0][0])
    export_miniten(module, tmp_path / "m.npz")
    np.testing.assert_array_equal(np.array(load_miniten(tmp_path / "m.npz")(x)), np.array(module(x)))


@pytest.mark.parametrize("isa", mt.cpu_info()["available_isas"])
def test_the_same_bytes_on_every_instruction_set(isa):
    data, shape = convolution()
    x, module = rand(*shape), load_tflite(data)
    want = np.array(module(x))
    was = mt.cpu_info()["isa"]
    try:
        mt.set_isa(isa)
        np.testing.assert_allclose(np.array(module(x)), want, rtol=1e-6)
    finally:
        mt.set_isa(was)


@pytest.mark.parametrize("name", ["one_row", "conv_one", "conv_symmetric_one", "depthwise_one"])
def test_other_formats(name, tmp_path):
    data, shape = CASES[name]()
    module, x = load_tflite(data), rand(*shape)
    want = np.array(module(x))
    export_onnx(module, shape, tmp_path / "m.onnx")
    close(np.array(load_onnx(tmp_path / "m.onnx")(x)), want, 1e-2)
    assert export_c(module, shape, tmp_path / "c", verify="host").verified_by
    with pytest.raises(NotImplementedError, match="one sample at a time"):
        export_onnx(load_tflite(CASES[name.removesuffix("_one") if name != "one_row" else "rows"]()[0]), (2 if name != "one_row" else 3, *shape[1:]), tmp_path / "n.onnx")


def test_weights_that_the_kernels_do_not_take_stay_floats():
    f = File()
    x, y = f.tensor((2, 16)), f.tensor((2, 4))
    w = np.full((4, 16), -128, "int8")
    f.op("FULLY_CONNECTED", [x, f.tensor(data=w, scale=0.01), -1], [y], "FullyConnectedOptions", version=9, asymmetricQuantizeInputs=True)
    module = load_tflite(f.bytes([x], [y]))
    assert "quantize_rows" not in module.graph.to_text()
    x = rand(2, 16)
    want = (x @ w.T.astype("float32")) * np.float32(0.01)  # LiteRT's own kernel overflows
    step = (np.maximum(x.max(1), 0) - np.minimum(x.min(1), 0)) / 255
    assert (np.abs(np.array(module(x)) - want) <= step[:, None] / 2 * 16 * 1.28 + 1e-4).all()
