"""Bad and odd input: a right result or a clear error, never an integer that wraps."""

import numpy as np
import pytest

import miniten as mt
from miniten import nn
from miniten.edge import dequantize_tensor, quantize_model, quantize_tensor

RNG = np.random.default_rng(4)
DTYPES = ["int8", "int16", "int16x8"]


def normal(*shape):
    return RNG.normal(size=shape).astype("float32")


def with_weights(layer, weight, bias=None):
    state = {"weight": np.asarray(weight, "float32")}
    if "bias" in layer.state_dict():
        state["bias"] = np.zeros(len(state["weight"]), "float32") if bias is None else np.asarray(bias, "float32")
    layer.load_state_dict({k: mt.tensor(v) for k, v in state.items()})
    return layer


def error_of(net, x, **options):
    want, got = net(x).numpy(), quantize_model(net, calibration_data=x, **options)(x).numpy()
    assert np.isfinite(got).all() and got.shape == want.shape
    return float(np.abs(want - got).max()), float(np.abs(want).max())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [0.0, 0.3, -7.0, 1e-42, 1e30])
def test_constant_activations(dtype, value):
    net = with_weights(nn.Linear(6, 4), normal(4, 6)).eval()
    error, greatest = error_of(net, np.full((5, 6), value, "float32"), dtype=dtype)
    assert error <= 0.03 * greatest + 1e-37


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("low, high", [(10, 11), (-9, -8), (1e-3, 1.001e-3), (1e6, 1.001e6)])
def test_ranges_without_zero(dtype, low, high):
    net = with_weights(nn.Linear(6, 4), normal(4, 6)).eval()
    x = RNG.uniform(low, high, (40, 6)).astype("float32")
    error, _ = error_of(net, x, dtype=dtype)
    assert error <= 6 * 3 * max(abs(low), abs(high)) / 60


@pytest.mark.parametrize("dtype", DTYPES)
def test_channels_of_zeros(dtype):
    weight = normal(8, 3, 3, 3)
    weight[[1, 5]] = 0
    net = with_weights(nn.Conv2d(3, 8, 3), weight, np.arange(8) - 3).eval()
    x = normal(4, 3, 8, 8)
    q = quantize_model(net, dtype=dtype, calibration_data=x)
    y = q(x).numpy()
    assert np.abs(y[:, 1] + 2).max() < 0.1 and np.abs(y[:, 5] - 2).max() < 0.1
    everything = with_weights(nn.Linear(6, 4, bias=False), np.zeros((4, 6))).eval()
    assert not quantize_model(everything, dtype=dtype, calibration_data=normal(9, 6))(normal(9, 6)).numpy().any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1e-38, 1e-42, 1e-30, 1e30])
def test_denormal_and_giant_values(dtype, scale):
    weights = with_weights(nn.Linear(6, 4), normal(4, 6) * np.float32(scale)).eval()
    activations = with_weights(nn.Linear(6, 4), normal(4, 6)).eval()
    for net, x in ((weights, normal(20, 6)), (activations, normal(20, 6) * np.float32(scale))):
        error, greatest = error_of(net, x, dtype=dtype)
        assert error <= 0.06 * greatest + 1e-36


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1e3, 1e6, 1e9, 1e20])
def test_a_bias_beyond_int32_is_stored_coarser_or_stays_float(dtype, size):
    net = with_weights(nn.Linear(6, 4), normal(4, 6) * 1e-4, [size, -size, 0.5, 1]).eval()
    x = normal(30, 6)
    q = quantize_model(net, dtype=dtype, calibration_data=x)
    want, got = net(x).numpy(), q(x).numpy()
    assert np.abs(want - got).max() <= 0.01 * size
    reasons = [r.reason for r in q.report().rows if r.reason]
    assert not reasons or "bias" in reasons[0]


def test_a_bias_that_no_scale_fits_says_so():
    weight = normal(4, 6) * 1e-4
    weight[2] = 3e30
    net = with_weights(nn.Linear(6, 4), weight, [1e38, -1e38, 0.5, 1]).eval()
    x = normal(30, 6) * 1e-6
    q = quantize_model(net, calibration_data=x)
    assert np.isfinite(q(x).numpy()).all()
    assert np.abs(q(x).numpy() - net(x).numpy()).max() <= 0.02 * 1e38


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_element(dtype):
    net = with_weights(nn.Linear(1, 1), [[2.0]], [0.25]).eval()
    x = np.array([[1.5]], "float32")
    assert abs(float(quantize_model(net, dtype=dtype, calibration_data=x)(x).item()) - 3.25) < 0.03
    q, scale, zero = quantize_tensor(np.float32(1.5).reshape(1), "int8")
    assert dequantize_tensor(q, scale, zero).item() == pytest.approx(1.5, rel=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_name_their_tensor(bad):
    weight = normal(4, 6)
    weight[1, 2] = bad
    net = nn.Sequential(nn.Linear(6, 6), with_weights(nn.Linear(6, 4), weight)).eval()
    for options in ({"calibration_data": normal(5, 6)}, {"mode": "weight_only"}, {"dtype": "int4"}):
        with pytest.raises(ValueError, match=r'NaN or infinity in "1\.weight"'):
            net(normal(5, 6))
            quantize_model(net, **options)


def test_calibration_data_that_do_not_fit():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 2)).eval()
    x = normal(5, 3, 8, 8)
    net(x)
    for data, words in ((normal(2, 5, 8, 8), "conv2d"), (normal(2, 3, 9, 9), "144|matmul|calibration"), ([], "at least one"), (normal(0, 3, 8, 8), "sample"), ([x, normal(2, 3, 7, 7)], "batch 1")):
        with pytest.raises(ValueError, match=words):
            quantize_model(net, calibration_data=data)
    with pytest.raises(TypeError, match="calibration_data"):
        quantize_model(net, calibration_data=7)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_scales_that_are_none(scale):
    with pytest.raises(ValueError, match="scales above 0"):
        dequantize_tensor(np.zeros(3, "int8"), np.float32(scale))


def test_a_scale_of_1e_38_and_zero_points_outside():
    assert dequantize_tensor(np.array([100], "int8"), np.float32(1.2e-38)).item() == pytest.approx(1.2e-36, rel=1e-5)
    for zero in (128, -129, 0.5):
        with pytest.raises(ValueError, match="zero points within int8|a number that int8 holds"):
            dequantize_tensor(np.zeros(3, "int8"), np.float32(1), zero)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_values_beyond_the_range_saturate(dtype):
    net = with_weights(nn.Linear(6, 4), normal(4, 6)).eval()
    x = normal(50, 6)
    q = quantize_model(net, calibration_data=x, **({"dtype": dtype} if dtype != "uint8" else {"activation_dtype": dtype}))
    ends = np.abs(q(x).numpy()).max()
    for factor in (1e3, 1e20, 3e38):
        wild = q(np.clip(x * np.float32(factor), -3e38, 3e38)).numpy()
        assert np.isfinite(wild).all() and np.abs(wild).max() <= 2.5 * ends
        calm = np.sign(net(np.clip(np.sign(x) * 3, -3, 3)).numpy())
        assert (np.sign(wild)[np.abs(calm) > 0] == calm[np.abs(calm) > 0]).mean() > 0.7     # no wrap: signs stay


# ---- tensors in blocks, and of 4 bits ----
@pytest.mark.parametrize("dtype, greatest", [("int4", 7), ("int8", 127), ("int16", 32767)])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("axis, block", [(0, 4), (1, 5), (-1, 16), (1, 3)])
def test_tensors_in_blocks(dtype, greatest, symmetric, axis, block):
    x = (normal(6, 10, 7) + 0.5) * np.exp(normal(6, 1, 1))
    q, scale, zero = quantize_tensor(x, dtype, symmetric, axis, block)
    shape = list(x.shape)
    shape[axis] = -(-shape[axis] // block)
    assert list(scale.shape) == shape == list(zero.shape) and str(q.dtype).endswith(dtype)
    back = dequantize_tensor(q, scale, zero, axis, block).numpy()
    steps = np.repeat(scale.numpy(), block, axis).take(range(x.shape[axis]), axis)
    assert (np.abs(back - x) <= steps * (0.5001 if greatest < 1000 else 0.52)).all()
    lines = np.moveaxis(x, axis, -1)
    lines = np.pad(lines, [(0, 0)] * 2 + [(0, shape[axis] * block - lines.shape[-1])]).reshape(*lines.shape[:-1], -1, block)
    lo, hi = np.minimum(lines.min(-1), 0), np.maximum(lines.max(-1), 0)
    want = np.maximum(-lo, hi) / greatest if symmetric else (hi - lo) / (2 * greatest + 1)
    np.testing.assert_allclose(np.moveaxis(scale.numpy(), axis, -1), want, rtol=1e-6)
    assert symmetric == (not zero.numpy().any())


def test_tensors_of_four_bits():
    x = normal(5, 9)
    for axis in (None, 0, 1):
        q, scale, zero = quantize_tensor(x, "int4", symmetric=False, axis=axis)
        back = dequantize_tensor(q, scale, zero, axis).numpy()
        step = np.asarray(scale.numpy())
        assert (np.abs(back - x) <= (step if axis is None else step[:, None] if axis == 0 else step) * 0.5001).all()
    with pytest.raises(ValueError, match="give axis"):
        quantize_tensor(x, "int4", block=4)
    with pytest.raises(ValueError, match="each block"):
        dequantize_tensor(q, scale, zero, 1, block=2)


@pytest.mark.parametrize("options", [{"dtype": "int4"}, {"mode": "weight_only", "block": 32}], ids=str)
def test_asymmetric_blocks_suit_weights_on_one_side(options, tmp_path):
    net = nn.Sequential(with_weights(nn.Linear(70, 40), np.abs(normal(40, 70)) + 0.5), nn.ReLU(), with_weights(nn.Linear(40, 8), np.abs(normal(8, 40)))).eval()
    x = normal(33, 70)
    want = net(x).numpy()

    def noise(q):
        return 10 * np.log10((want**2).sum() / ((want - q(x).numpy()) ** 2).sum())

    symmetric, asymmetric = quantize_model(net, **options), quantize_model(net, symmetric=False, **options)
    assert noise(asymmetric) > noise(symmetric) + 3
    y = asymmetric(x).numpy()
    for n in (1, 3, 33):                                    # few rows by one kernel, many by another
        np.testing.assert_allclose(asymmetric(x[:n]).numpy(), y[:n], rtol=1e-4, atol=1e-4)
    asymmetric.save(tmp_path / "q.npz")
    assert mt.load(tmp_path / "q.npz")(x).numpy().tobytes() == y.tobytes()
    better = quantize_model(net, symmetric=False, rounding="adaptive", calibration_data=x, **options)
    assert noise(better) > noise(asymmetric)


def test_asymmetric_int4_in_onnxruntime(tmp_path):
    from judges import judge

    from miniten.edge import export_onnx, load_onnx

    ort = judge("onnxruntime")
    net = nn.Sequential(with_weights(nn.Linear(70, 40), np.abs(normal(40, 70))), nn.ReLU(), nn.Linear(40, 8)).eval()
    x = normal(33, 70)
    q = quantize_model(net, dtype="int4", symmetric=False)
    want = q(x).numpy()
    export_onnx(q, (33, 70), tmp_path / "q.onnx", opset_version=21)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    got = ort.InferenceSession(str(tmp_path / "q.onnx"), options, providers=["CPUExecutionProvider"]).run(None, {"input": x})[0]
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(load_onnx(tmp_path / "q.onnx")(x).numpy(), want, rtol=1e-4, atol=1e-3)


# ---- calibration ----
def test_calibration_memory_is_flat_over_ten_thousand_batches():
    import resource

    net = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 8)).eval()
    block = normal(64, 32)

    def batches(n):
        for i in range(n):
            yield block[i % 48 : i % 48 + 16] * (1 + i % 7) + i * 1e-5

    quantize_model(net, calibration_data=batches(200), method="auto", optimize="accuracy")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    q = quantize_model(net, calibration_data=batches(10_000), method="auto", optimize="accuracy")
    assert q.report().calibration_samples == 160_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2048


def test_progress_is_told(capsys):
    net = nn.Sequential(nn.Linear(8, 4)).eval()
    batches, told = [normal(4, 8) for _ in range(5)], []
    quantize_model(net, calibration_data=batches, progress=lambda done, total: told.append((done, total)))
    assert told == [(i + 1, 5) for i in range(5)]
    quantize_model(net, calibration_data=iter(batches), progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (5, None)

    def slow():
        import time

        for b in batches:
            time.sleep(0.25)
            yield b

    quantize_model(net, calibration_data=slow(), progress=True)
    assert "calibrating: 5 batches, 1 s\n" in capsys.readouterr().err
    quantize_model(net, calibration_data=slow())                # no terminal: nothing
    assert capsys.readouterr().err == ""
    with pytest.raises(TypeError, match="progress as"):
        quantize_model(net, calibration_data=batches, progress=3)
