"""One operator a file, each against LiteRT's reference kernels: floats within 1e-5, integers that stand for numbers within one step."""

import numpy as np
import pytest
from tflite_cases import FIXED, FLOATS, IN, NOT_IN_THE_REFERENCE, OUT, QUANTISED, SAME, C, ints, rand, single
from tflite_files import File, litert

from miniten.edge import load_tflite


def check(data, arrays, tol=1e-5, steps=1, reference=True, exact=None):
    (want,) = litert(data, arrays, reference=reference)
    got = load_tflite(data, exact=exact)(*arrays)
    for g, w in zip(got if isinstance(got, tuple) else (got,), want, strict=True):
        g = np.array(g)
        assert g.shape == w.shape and g.dtype == w.dtype, (g.shape, g.dtype, w.shape, w.dtype)
        d = np.abs(g.astype("float64") - w).max(initial=0)
        assert d <= (tol * max(1, np.abs(w).max(initial=0)) if w.dtype.kind == "f" else steps if w.dtype in (np.int8, np.uint8, np.int16) else 0), d


@pytest.mark.parametrize("name", FLOATS)
def test_operator(name):
    op, inputs, out, *rest = FLOATS[name]
    options, version, fields = [*rest] + [None, 1, {}][len(rest):]
    check(*single(op, inputs, out, options, version, **fields), reference=op not in NOT_IN_THE_REFERENCE)


def run_quantised(case, q_in, q_out, **how):
    op, inputs, out, *rest = case
    if any(getattr(x, "dtype", None) == "uint8" for x in inputs):
        q_in, q_out = (q_in[0], 123), (q_out[0], 139)
    options, version, fields = ([*rest] + [None, 1, {}][len(rest):])
    check(*single(op, inputs, out, options, version, q=(q_in, q_out), **fields), reference=op != "SUM" and op not in NOT_IN_THE_REFERENCE, **how)  # LiteRT's reference overflows


@pytest.mark.parametrize("name", QUANTISED)
def test_quantised(name):
    run_quantised(QUANTISED[name], IN, OUT)


@pytest.mark.parametrize("name", SAME)
def test_quantised_movement(name):
    run_quantised(SAME[name], IN, IN)


@pytest.mark.parametrize("name", FIXED)
def test_quantised_with_fixed_scales(name):
    run_quantised(*FIXED[name])


@pytest.mark.parametrize("name", ["conv", "conv_uint8", "depthwise", "fully_connected", "transpose_conv", "ADD", "SUB", "MUL", "add_uint8", "RELU", "RELU6", "QUANTIZE", "quantize_floats", "DEQUANTIZE", "HARD_SWISH", "LEAKY_RELU", "PRELU", "MEAN", "BATCH_MATMUL"])
def test_exact(name):
    run_quantised(QUANTISED[name], IN, OUT, exact="tflite", steps=0)


@pytest.mark.parametrize("name", [n for n in SAME if n != "RESIZE_BILINEAR"])
def test_exact_movement(name):
    run_quantised(SAME[name], IN, IN, exact="tflite", steps=0)


def test_exact_softmax():
    run_quantised(*FIXED["SOFTMAX"], exact="tflite", steps=0)
    case = ("SOFTMAX", [ints(200, 37)], [((200, 37), "int8")], "SoftmaxOptions", 2, dict(beta=1.0))
    run_quantised(case, (0.17, 3), (1 / 256, -128), exact="tflite", steps=0)


@pytest.mark.parametrize("name", ["LOGISTIC", "TANH"])
def test_exact_with_fixed_scales(name):
    run_quantised(*FIXED[name], exact="tflite", steps=0)


@pytest.mark.parametrize("op", ["LOGISTIC", "TANH", "HARD_SWISH", "ELU", "EXP", "LEAKY_RELU", "PRELU", "MEAN", "REDUCE_MAX", "BATCH_MATMUL"])
def test_exact_holds_for_every_byte(op):
    bytes_in = np.arange(-128, 128).astype("int8").reshape(1, 4, 8, 8)
    for seed in range(8):
        r = np.random.default_rng(seed)
        q_in, q_out = (float(r.uniform(0.003, 0.09)), int(r.integers(-100, 100))), (float(r.uniform(0.01, 0.1)), int(r.integers(-100, 100)))
        if op in ("LOGISTIC", "TANH"):
            q_out = (1 / 256, -128) if op == "LOGISTIC" else (1 / 128, 0)
        inputs, out, options, fields = [bytes_in], (1, 4, 8, 8), None, {}
        if op == "LEAKY_RELU":
            options, fields = "LeakyReluOptions", dict(alpha=float(r.uniform(0.01, 0.9)))
        elif op == "PRELU":
            inputs.append(C(ints(1, 1, 8), scale=0.02))
        elif op in ("MEAN", "REDUCE_MAX"):
            inputs, out, options = [ints(1, 7, 5, 8), C(np.array([1, 2], "int32"))], (1, 8), "ReducerOptions"
            q_out = q_in if op == "REDUCE_MAX" else q_out
        elif op == "BATCH_MATMUL":
            inputs, out, options = [ints(2, 9, 40), ints(2, 40, 7)], (2, 9, 7), "BatchMatMulOptions"
            q_out = (q_out[0] * 20, q_out[1])
        version = 1 if op in ("HARD_SWISH", "ELU", "PRELU") else 2
        run_quantised((op, inputs, [(out, "int8")], options, version, fields), q_in, q_out, exact="tflite", steps=0)


def test_exact_refuses_what_it_cannot_promise():
    op, inputs, out, *rest = FIXED["L2_NORMALIZATION"][0]
    data, _ = single(op, inputs, out, *rest, q=FIXED["L2_NORMALIZATION"][1:])
    load_tflite(data)
    with pytest.raises(NotImplementedError, match="L2_NORMALIZATION"):
        load_tflite(data, exact="tflite")


def test_exact_holds_over_many_sums_and_scales():
    for seed in range(6):
        r = np.random.default_rng(seed)
        s, scale_in, scale_out = r.uniform(1e-4, 0.02, 16).astype("float32"), float(r.uniform(0.004, 0.2)), float(r.uniform(0.01, 2))
        x, w = r.integers(-128, 128, (1, 9, 9, 16)).astype("int8"), r.integers(-127, 128, (16, 3, 3, 16)).astype("int8")
        bias = r.integers(-20000, 20000, 16).astype("int32")
        case = ("CONV_2D", [x, C(w, scale=s), C(bias, scale=s * np.float32(scale_in))], [((1, 9, 9, 16), "int8")], "Conv2DOptions", 3,
                dict(padding=0, strideW=1, strideH=1, fusedActivationFunction=int(r.integers(0, 4))))
        run_quantised(case, (scale_in, int(r.integers(-128, 128))), (scale_out, int(r.integers(-128, 128))), exact="tflite", steps=0)
        run_quantised(case, (scale_in, int(r.integers(-128, 128))), (scale_out, int(r.integers(-128, 128))))


def test_exact_holds_for_products_and_sums():
    for seed in range(6):
        r = np.random.default_rng(seed)
        scale_in, scale_out, s = float(r.uniform(0.004, 0.2)), float(r.uniform(0.01, 2)), float(r.uniform(1e-4, 0.02))
        x = r.integers(-128, 128, (64, 64)).astype("int8")
        case = ("FULLY_CONNECTED", [x, C(r.integers(-127, 128, (64, 64)).astype("int8"), scale=s), None], [((64, 64), "int8")], "FullyConnectedOptions", 4)
        run_quantised(case, (scale_in, 3), (scale_out, -7), exact="tflite", steps=0)
        for name in ("ADD", "SUB", "MUL"):
            case = (name, [x, r.integers(-128, 128, (64, 64)).astype("int8")], [((64, 64), "int8")], name.title() + "Options", 2)
            run_quantised(case, (scale_in, 3), (scale_in * float(r.uniform(0.5, 3)), -7), exact="tflite", steps=0)


# ---- custom operators of MediaPipe ----
@pytest.mark.parametrize("padding, kernel, size", [(1, 2, (8, 10)), (1, 3, (8, 10)), (2, 2, (8, 10)), (2, 3, (9, 11))])
def test_transposed_convolution_with_a_bias(padding, kernel, size):
    """Of the selfie segmentation models; XNNPACK alone has a kernel of it."""
    f = File()
    x, y = f.tensor((1, 4, 5, 3), name="x"), f.tensor((1, *size, 2), name="y")
    options = np.array([padding, 2, 2], "int32").tobytes()
    f.op("CUSTOM", [x, f.tensor(data=rand(2, kernel, kernel, 3)), f.tensor(data=rand(2))], [y], custom="Convolution2DTransposeBias", custom_options=options)
    data, arrays = f.bytes([x], [y]), [rand(1, 4, 5, 3)]
    (want,) = litert(data, arrays, xnnpack=True)
    np.testing.assert_allclose(np.array(load_tflite(data)(*arrays)), want[0], atol=1e-5)


def test_custom_operators_without_their_options_are_refused():
    f = File()
    x, y = f.tensor((1, 4, 5, 3)), f.tensor((1, 8, 10, 2), name="y")
    f.op("CUSTOM", [x, f.tensor(data=rand(2, 2, 2, 3)), f.tensor(data=rand(2))], [y], custom="Convolution2DTransposeBias")
    with pytest.raises(NotImplementedError, match="padding SAME or VALID"):
        load_tflite(f.bytes([x], [y]))
