"""edge.export_c of what load_tflite read with exact="tflite": the bytes of the session, which are those of LiteRT's reference kernels."""
import tempfile
from pathlib import Path

import numpy as np
import pytest
from exported_c import CC, call, library
from tflite_cases import FIXED, IN, OUT, QUANTISED, SAME, C, I32, ints, single
from tflite_files import litert

from miniten import edge
from miniten.edge import load_tflite

pytestmark = pytest.mark.skipif(not CC, reason="no C compiler")
MODELS = Path(__file__).resolve().parents[3].parent / "shared" / "models" / "mlperf_tiny"
RNG = np.random.default_rng(23)


def fresh(x):
    return RNG.integers(np.iinfo(x.dtype).min, np.iinfo(x.dtype).max + 1, x.shape).astype(x.dtype) if x.dtype.kind in "iu" else RNG.uniform(-5, 5, x.shape).astype(x.dtype)


def export(data, arrays, folder, **how):
    model = load_tflite(data, exact="tflite")
    return model, edge.export_c(model, [a.shape for a in arrays], folder, input_dtypes=[a.dtype.name for a in arrays], **how)


def same_bytes(data, arrays, folder, runs=3, steps=0):
    """Of the C, the session and LiteRT. -> the C"""
    folder = Path(tempfile.mkdtemp(dir=folder))  # a library is loaded once by its path
    model, _ = export(data, arrays, folder, verify="host")
    run = library(folder).model_run
    for _ in range(runs):
        fed = [fresh(a) for a in arrays]
        want = model(*fed)
        want = [np.asarray(w) for w in (want if isinstance(want, tuple) else (want,))]
        got = [np.zeros(w.shape, w.dtype) for w in want]
        call(run, fed, got)
        (judged,) = litert(data, fed)
        for g, w, j in zip(got, want, judged, strict=True):
            np.testing.assert_array_equal(g, w)
            np.testing.assert_allclose(g, j.astype(float), rtol=0, atol=steps)
    return (folder / "model.c").read_text()


def run_case(case, q_in, q_out, folder, **how):
    op, inputs, out, *rest = case
    if any(getattr(x, "dtype", None) == "uint8" for x in inputs):
        q_in, q_out = (q_in[0], 123), (q_out[0], 139)
    options, version, fields = [*rest] + [None, 1, {}][len(rest):]
    data, arrays = single(op, inputs, out, options, version, q=(q_in, q_out), **fields)
    return same_bytes(data, arrays, folder, **how)


SCALED = ["conv", "conv_uint8", "depthwise", "fully_connected", "transpose_conv", "ADD", "SUB", "MUL", "add_uint8", "RELU", "RELU6", "QUANTIZE", "quantize_floats", "HARD_SWISH", "LEAKY_RELU", "PRELU", "MEAN", "BATCH_MATMUL"]


@pytest.mark.parametrize("name", SCALED)
def test_operators(name, tmp_path):
    text = run_case(QUANTISED[name], IN, OUT, tmp_path)
    assert "double" not in text.replace("double alignment", "")


@pytest.mark.parametrize("name", [n for n in SAME if n != "RESIZE_BILINEAR"])
def test_movement(name, tmp_path):
    run_case(SAME[name], IN, IN, tmp_path)


@pytest.mark.parametrize("name", ["SOFTMAX", "LOGISTIC", "TANH"])
def test_fixed_scales(name, tmp_path):
    run_case(*FIXED[name], tmp_path)


def test_softmax_of_many_rows(tmp_path):
    """LiteRT's quotient is not the nearest float: of some hundred thousand numbers one is a step away."""
    case = ("SOFTMAX", [ints(200, 37)], [((200, 37), "int8")], "SoftmaxOptions", 2, dict(beta=1.0))
    run_case(case, (0.17, 3), (1 / 256, -128), tmp_path, runs=5, steps=1)


def convolution(r, size=9, channels=16, out=16, kernel=3, stride=1, padding=0, per_channel=True):
    s = r.uniform(1e-4, 0.02, out if per_channel else 1).astype("float32")
    scale_in = float(r.uniform(0.004, 0.2))
    rows = -(-size // stride) if padding == 0 else (size - kernel) // stride + 1
    w, bias = r.integers(-127, 128, (out, kernel, kernel, channels)).astype("int8"), r.integers(-20000, 20000, out).astype("int32")
    case = ("CONV_2D", [r.integers(-128, 128, (1, size, size, channels)).astype("int8"), C(w, scale=s), C(bias, scale=s * np.float32(scale_in))], [((1, rows, rows, out), "int8")], "Conv2DOptions", 3,
            dict(padding=padding, strideW=stride, strideH=stride, fusedActivationFunction=int(r.integers(0, 4))))
    return case, (scale_in, int(r.integers(-128, 128))), (float(r.uniform(0.01, 2)), int(r.integers(-128, 128)))


@pytest.mark.parametrize("how", [{}, {"channels": 3, "out": 5, "stride": 2}, {"kernel": 1, "channels": 7, "out": 9}, {"padding": 1, "per_channel": False}, {"kernel": 1, "size": 1, "channels": 33, "out": 4}])
def test_sums_and_scales_of_all_sizes(how, tmp_path):
    for seed in range(3):
        run_case(*convolution(np.random.default_rng(seed), **how), tmp_path)


def test_multipliers_on_both_sides_of_one(tmp_path):
    for seed, scale_out in enumerate([1e-4, 0.003, 0.05, 3, 4000]):
        r = np.random.default_rng(seed)
        x = r.integers(-128, 128, (7, 21)).astype("int8")
        for name in ("ADD", "SUB", "MUL"):
            case = (name, [x, r.integers(-128, 128, (7, 21)).astype("int8")], [((7, 21), "int8")], name.title() + "Options", 2)
            run_case(case, (0.02, 3), (scale_out, -7), tmp_path)
        case = ("FULLY_CONNECTED", [x, C(r.integers(-127, 128, (10, 21)).astype("int8"), scale=0.004), C(r.integers(-999, 999, 10).astype("int32"), scale=0.004 * 0.02)], [((7, 10), "int8")], "FullyConnectedOptions", 4)
        run_case(case, (0.02, 3), (scale_out, -7), tmp_path)


@pytest.mark.parametrize("form", [dict(adjX=True), dict(adjY=True), {}])
def test_products_of_two_activations(form, tmp_path):
    a, b = ints(2, 1, *((8, 5) if "adjX" in form else (5, 8))), ints(3, *((6, 8) if "adjY" in form else (8, 6)))
    run_case(("BATCH_MATMUL", [a, b], [((2, 3, 5, 6), "int8")], "BatchMatMulOptions", 2, form), (0.03, -5), (0.2, 11), tmp_path)


def test_groups_and_several_filters_for_a_channel(tmp_path):
    s = np.float32([0.004, 0.006, 0.005, 0.003, 0.009, 0.007])
    bias = lambda n: C(RNG.integers(-999, 999, n).astype("int32"), scale=s * np.float32(0.03))
    run_case(("DEPTHWISE_CONV_2D", [ints(1, 7, 6, 3), C(ints(1, 3, 3, 6, lo=-127), scale=s, axis=3), bias(6)], [((1, 4, 3, 6), "int8")], "DepthwiseConv2DOptions", 3, dict(padding=0, strideW=2, strideH=2, depthMultiplier=2)), IN, OUT, tmp_path)
    run_case(("TRANSPOSE_CONV", [C(I32(1, 7, 9, 6)), C(ints(6, 3, 4, 2, lo=-127), scale=s), ints(1, 3, 3, 2), bias(6)], [((1, 7, 9, 6), "int8")], "TransposeConvOptions", 3, dict(padding=1, strideW=2, strideH=2)), IN, OUT, tmp_path)


@pytest.mark.parametrize("name, shape", [("ad01", (1, 640)), ("kws", (1, 49, 10, 1)), ("resnet8", (1, 32, 32, 3)), ("vww96", (1, 96, 96, 3)), ("streaming_wakeword", (1, 30, 1, 40))])
def test_models_of_mlperf_tiny(name, shape, tmp_path):
    path = MODELS / f"{name}_int8.tflite"
    if not path.exists():
        pytest.skip(f"{path} is not there: the models of MLPerf Tiny (mlcommons/tiny) are not part of the project")
    data = path.read_bytes()
    text = same_bytes(data, [np.zeros(shape, "int8")], tmp_path, runs=2)
    assert "double" not in text.replace("double alignment", "")


def test_memory_is_that_of_the_model_in_own_arithmetic(tmp_path):
    """Nothing is widened."""
    case, q_in, q_out = convolution(np.random.default_rng(0), size=20)
    op, inputs, out, *rest = case
    data, arrays = single(op, inputs, out, *rest[:2], q=(q_in, q_out), **rest[2])
    _, report = export(data, arrays, tmp_path)
    assert report.arena_bytes == edge.export_c(load_tflite(data), [arrays[0].shape], tmp_path, input_dtypes=["int8"]).arena_bytes


def test_what_cannot_be_written_is_refused_by_layer(tmp_path):
    w = ints(4, 8)
    data, arrays = single("FULLY_CONNECTED", [ints(3, 8), ints(4, 8), C(I32(1, 2, 3, 4), scale=1e-4)], [((3, 4), "int8")], "FullyConnectedOptions", 4, q=(IN, OUT))
    with pytest.raises(NotImplementedError, match="exact_matmul.*without exact"):
        export(data, arrays, tmp_path / "none")
    assert not (tmp_path / "none").exists()
    data, arrays = single("FULLY_CONNECTED", [ints(3, 8), C(w, scale=0.006), C(np.int32([2**31 - 1] * 4), scale=0.006 * 0.03)], [((3, 4), "int8")], "FullyConnectedOptions", 4, q=(IN, OUT))
    with pytest.raises(NotImplementedError, match="sums that fit int32"):
        export(data, arrays, tmp_path / "none")
