"""Quantisation: a saved integer model, read with NumPy alone and computed in int64, gives what MiniTen gives."""

import json
import re
import zipfile

import numpy as np
import pytest
from judges import judge

import miniten as mt
from miniten import nn
from miniten.edge import QuantizationConfig, dequantize_tensor, quantize_model, quantize_tensor


def digits_net():
    mt.manual_seed(4)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.ReLU6(), nn.Conv2d(8, 13, 1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(13, 6, 3, padding=2, dilation=2), nn.GlobalAvgPool2d(), nn.Flatten(), nn.Linear(6, 10),
    )
    for i in range(3):
        net(images(16, i) * 2)
    return net.eval()


def images(n, seed):
    return np.random.default_rng(seed).normal(size=(n, 3, 14, 14)).astype("float32")


# ---- the model in NumPy, from the file ----
def attributes(text):
    found = {}
    for name, value in re.findall(r"(\w+)=(\([^)]*\)|[^\s}]+)", text):
        numbers = [float(v) for v in re.findall(r"-?(?:inf|[\d.]+(?:e[+-]?\d+)?)", value)]
        found[name] = tuple(int(v) for v in numbers) if value.startswith("(") else numbers[0] if numbers and value[0] in "-0123456789i" else value
    return found


def windows(x, kernel, at, fill):
    """(n, c, p, q, r, s) views of a padded image."""
    top, left, bottom, right = at["padding"]
    (dh, dw), (sh, sw) = at.get("dilation", (1, 1)), at["stride"]
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    reach = (dh * (kernel[0] - 1) + 1, dw * (kernel[1] - 1) + 1)
    return np.lib.stride_tricks.sliding_window_view(x, reach, (2, 3))[:, :, ::sh, ::sw, ::dh, ::dw]


def requantised(acc, multiplier, at):
    y = np.rint(acc.astype("float32") * multiplier).astype("int64") + int(at["y_zero"])
    return np.clip(y, int(at.get("lo", -128)), int(at.get("hi", 127)))


def run_file(path, x):
    archive = zipfile.ZipFile(path)
    arrays = np.load(path)
    graph = json.loads(archive.read("manifest.json"))["graph"]
    at = [arrays[v["array"]] if "array" in v else None for v in graph["values"]]
    at[graph["inputs"][0]] = x
    f32 = np.float32
    for node in graph["nodes"]:
        op, a = node["op"], attributes(node.get("attrs", ""))
        i = [at[k] for k in node["in"]]
        if op == "quantize":
            ends = np.iinfo(re.search(r"dtype=(\w+)", node["attrs"]).group(1))
            y = np.clip(np.rint(i[0] / i[1]).astype("int64") + int(i[2]), ends.min, ends.max)
        elif op == "dequantize":
            y = (i[0] - int(i[2])).astype("float32") * i[1]
        elif op == "qconv2d":
            w, groups = i[1].astype("int64"), int(a["groups"])
            view = windows(i[0] - int(a["x_zero"]), w.shape[2:], a, 0)
            per = view.shape[1] // groups, w.shape[0] // groups
            acc = np.concatenate([np.einsum("ncpqrs,ocrs->nopq", view[:, g * per[0]:(g + 1) * per[0]], w[g * per[1]:(g + 1) * per[1]])
                                  for g in range(groups)], 1)
            if len(i) > 3:
                acc = acc + i[3].astype("int64")[:, None, None]
            y = requantised(acc, (f32(a["x_scale"]) * i[2] / f32(a["y_scale"]))[:, None, None], a)
        elif op == "qmatmul":
            acc = (i[0] - int(a["x_zero"])) @ i[1].astype("int64") + (i[3].astype("int64") if len(i) > 3 else 0)
            y = requantised(acc, f32(a["x_scale"]) * i[2] / f32(a["y_scale"]), a)
        elif op == "qavg_pool2d":
            view = windows(i[0] - int(a["x_zero"]), a["kernel"], a, 0)
            y = requantised(view.sum((4, 5)), f32(a["x_scale"]) / f32(a["y_scale"]) / f32(np.prod(a["kernel"])), {"lo": ends.min, "hi": ends.max, **a})
        elif op == "max_pool2d":
            y = windows(i[0], a["kernel"], a, -32768).max((4, 5))
        elif op == "reshape":
            y = i[0].reshape(len(x), -1)
        else:
            raise AssertionError(f"{op}: a float op in a static int8 model")
        at[node["out"][0]] = y
    return at[graph["outputs"][0]]


@pytest.mark.parametrize("dtype", ["int8", "int16", "int16x8"])
def test_equals_numpy_int64_reading_the_file(tmp_path, dtype):
    q = quantize_model(digits_net(), dtype=dtype, calibration_data=[images(32, 1), images(9, 2)])
    assert q.report().mode == "static" and q.report().calibration_samples == 41
    path = tmp_path / "model.npz"
    assert q.save(path) == path.stat().st_size == q.size_bytes()
    for n in (1, 7):
        x = images(n, 5) * 1.5
        want = run_file(path, x)
        assert q(x).numpy().tobytes() == want.astype("float32").tobytes()
        assert mt.load(path)(x).numpy().tobytes() == want.astype("float32").tobytes()


def test_is_close_to_the_float_model():
    net = digits_net()
    x = images(64, 5)
    want = net(x).numpy()
    for options in ({"calibration_data": images(64, 1)}, {"calibration_data": images(64, 1), "per_channel": False}, {}, {"mode": "weight_only"},
                    {"calibration_data": images(64, 1), "activation_dtype": "uint8"}, {"calibration_data": images(64, 1), "method": "mse"},
                    {"calibration_data": images(64, 1), "method": "percentile"}, {"calibration_data": images(64, 1), "activation_symmetric": True}):
        got = quantize_model(net, **options)(x).numpy()
        noise = 10 * np.log10((want**2).sum() / ((want - got) ** 2).sum())
        assert noise > 22, (options, noise)
        assert not np.array_equal(want, got)


def test_the_call_of_the_readme_works_before_and_after_a_first_call():
    net = digits_net()
    x = images(3, 1)
    q = quantize_model(net, dtype="int8")
    assert q.report().mode == "dynamic" and "no calibration data" in str(q.report())
    assert np.abs(q(x).numpy() - net(x).numpy()).max() < 0.1
    fresh = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256))
    q = quantize_model(fresh, dtype="int8")
    with pytest.raises(ValueError, match="call it once"):
        q.size_bytes()
    y = np.random.default_rng(0).normal(size=(4, 64)).astype("float32")
    assert np.abs(q(y).numpy() - fresh.eval()(y).numpy()).max() < 0.05
    assert q.size_reduction() > 3.5


def test_calibration_data_comes_in_every_form():
    net = digits_net()
    x = images(12, 1)
    batches = [x[:4], x[4:8], x[8:]]
    want = quantize_model(net, calibration_data=x)(x).numpy()
    for data in (mt.tensor(x), batches, [mt.tensor(b) for b in batches], iter(batches), [(b, np.zeros(4)) for b in batches]):
        assert np.array_equal(quantize_model(net, calibration_data=data)(x).numpy(), want)


def test_config_and_keywords_agree():
    net = digits_net()
    x = images(8, 1)
    config = QuantizationConfig(method="percentile", skip=["0"])
    a = quantize_model(net, config, calibration_data=x)
    b = quantize_model(net, method="percentile", skip=["0"], calibration_data=x)
    assert np.array_equal(a(x).numpy(), b(x).numpy()) and str(a.report()) == str(b.report())
    assert [r for r in json.loads(a.report().to_json())["rows"] if r["reason"]][0]["layer"] == "0"


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"dtype": "int32"}, NotImplementedError, "dtype int4, int8 or int16, got int32"),
        ({"block": 32}, NotImplementedError, "weight_only"),
        ({"mode": "weight_only", "block": 20}, ValueError, "a block of 16"),
        ({"rounding": "up"}, ValueError, "rounding among nearest"),
        ({"optimize": "speed"}, ValueError, "optimize among none"),
        ({"dtype": "int7"}, (ValueError, TypeError), "int7"),
        ({"mode": "quick"}, ValueError, "mode among static"),
        ({"method": "best"}, ValueError, "method among minmax"),
        ({"skip": ["nothing"]}, ValueError, "nothing"),
        ({"symmetric": False}, NotImplementedError, "asymmetric by default"),
        ({"calibration_data": []}, ValueError, "at least one calibration batch"),
        ({"calibration_data": np.zeros((2, 5, 14, 14), "float32")}, ValueError, "channels|input"),
        ({"calibration_data": np.full((2, 3, 14, 14), np.nan, "float32")}, ValueError, "NaN or infinity"),
        ({"calibration_data": np.full((2, 3, 14, 14), np.inf, "float32")}, ValueError, "NaN or infinity"),
        ({"calibration_data": np.zeros((0, 3, 14, 14), "float32")}, ValueError, "sample"),
    ],
)
def test_refuses_by_name(options, error, words):
    with pytest.raises(error, match=words):
        quantize_model(digits_net(), **options)


# ---- single tensors ----
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_tensor_round_trip(dtype, symmetric, axis, rng):
    x = (rng.normal(size=(5, 4, 3)) * 10 ** rng.uniform(-3, 3, size=(5, 1, 3))).astype("float32")
    q, scale, zero = quantize_tensor(x, dtype, symmetric, axis)
    assert str(q.dtype).endswith(dtype) and scale.shape == (() if axis is None else (x.shape[axis],))
    back = dequantize_tensor(q, scale, zero, axis).numpy()
    by = np.asarray(scale.numpy())
    step = by if axis is None else by[:, None, None] if axis == 0 else by
    assert (np.abs(back - x) <= step * 0.5001).all()
    if symmetric and dtype == "int8":
        assert q.numpy().min() >= -127 and np.array_equal(dequantize_tensor(q, scale, axis=axis).numpy(), back)


@pytest.mark.parametrize("values", [[0.3], [10, 11], [0.0], [1e-42], [-7.0], [3e38, -3e38]])
def test_tensor_ranges_hold_zero(values):
    x = np.array(values, "float32")
    for symmetric in (True, False):
        q, scale, zero = quantize_tensor(x, "int8", symmetric)
        assert float(scale) > 0 and np.isfinite(float(scale))
        assert np.abs(dequantize_tensor(q, scale, zero).numpy() - x).max() <= 0.5001 * float(scale)


def test_tensor_equals_torch(rng):
    torch = judge("torch")
    for x in (rng.normal(size=500).astype("float32"), rng.uniform(3, 9, size=500).astype("float32")):
        observer = torch.ao.quantization.MinMaxObserver(dtype=torch.qint8, qscheme=torch.per_tensor_affine)
        observer(torch.tensor(x))
        scale, zero = observer.calculate_qparams()
        _, own_scale, own_zero = quantize_tensor(x, "int8", symmetric=False)
        assert float(own_scale) == pytest.approx(float(scale), rel=1e-6) and abs(int(own_zero) - int(zero)) <= 1
        want = torch.quantize_per_tensor(torch.tensor(x), float(own_scale), int(own_zero), torch.qint8).int_repr().numpy()
        got = quantize_tensor(x, "int8", symmetric=False)[0].numpy()
        assert (np.abs(want.astype(int) - got) <= 1).all() and (want != got).mean() < 0.01      # torch multiplies by 1 / scale


# ---- ONNX's arithmetic, by onnxruntime ----
def test_exported_model_equals_onnxruntime(tmp_path):
    ort = judge("onnxruntime")
    from miniten.edge import export_onnx

    net = digits_net()
    q = quantize_model(net, calibration_data=images(64, 1))
    path = str(tmp_path / "model.onnx")
    export_onnx(q, (1, 3, 14, 14), path, dynamic_axes={"input": {0: "batch"}})
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = images(50, 7)
    want = session.run(None, {session.get_inputs()[0].name: x})[0]
    got = q(x).numpy()
    step = json.loads(q.report().to_json())["rows"][-1]["output_scale"]
    lsb = np.rint(np.abs(want - got) / step)
    assert lsb.max() <= 1 and (lsb > 0).mean() < 0.02


def test_a_skipped_function_stays_in_floats():
    net = nn.Sequential(nn.Linear(8, 8), nn.Sigmoid(), nn.Linear(8, 4)).eval()
    x = np.random.default_rng(2).normal(size=(16, 8)).astype("float32")
    assert "qtable" in quantize_model(net, calibration_data=x).graph.to_text()
    kept = quantize_model(net, calibration_data=x, skip=["1"]).graph.to_text()
    assert "sigmoid(" in kept and "qtable" not in kept
