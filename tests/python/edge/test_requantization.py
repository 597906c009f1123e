"""Quantising what is quantised already: own models, files of others, whose scales stand until one asks for new ones."""

import warnings

import numpy as np
import pytest
from judges import judge

import miniten as mt
from miniten import nn
from miniten.edge import export_onnx, export_tflite, load_onnx, load_tflite, prepare_qat, quantize_model


def noise_db(want, got):
    want, got = np.asarray(want, "float64"), np.asarray(got, "float64")
    return 10 * np.log10((want**2).sum() / max(((want - got) ** 2).sum(), 1e-300))


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


class Branches(nn.Module):
    """Every kind of op with an integer form: sums, products, tables, softmax, averages, moves."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.norm, self.head = nn.BatchNorm2d(8), nn.Linear(16, 5)

    def forward(self, x):
        x = mt.relu(self.norm(self.a(x)))
        y = nn.functional.silu(self.b(x)) + x
        y = mt.concat([y * mt.sigmoid(x) - 0.25, nn.functional.relu6(x * 1.5)], 1)
        return mt.softmax(self.head(y.mean((2, 3))), -1)


class Sequence(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.body, self.head = layer(6, 12, batch_first=True), nn.Linear(12, 4)

    def forward(self, x):
        return self.head(self.body(x)[0][:, -1])


class Attends(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.body, self.head = nn.Embedding(20, 16), nn.MultiheadAttention(16, 4, batch_first=True), nn.Linear(16, 3)

    def forward(self, ids):
        x = self.table(ids)
        return self.head(nn.functional.gelu(self.body(x, x, x)[0]))


NETS = {
    "branches": (Branches, normal(16, 3, 10, 10, seed=1)),
    "lstm": (lambda: Sequence(nn.LSTM), normal(16, 7, 6, seed=1)),
    "gru": (lambda: Sequence(nn.GRU), normal(16, 7, 6, seed=1)),
    "attention": (Attends, np.random.default_rng(0).integers(0, 20, (8, 9))),
}
FIRST = [{"calibrated": True}, {"calibrated": True, "dtype": "int16"}, {"calibrated": True, "activation_dtype": "uint8", "dtype": "int8"}, {"mode": "dynamic"}, {"mode": "weight_only"},
         {"dtype": "int4"}, {"dtype": "int4", "symmetric": False}, {"mode": "weight_only", "block": 16, "symmetric": False}]
FLOATS = {"conv2d", "matmul", "add", "mul", "sub", "sigmoid", "softmax", "mean", "silu", "gelu"}


def quantised(net, x, calibrated=False, **options):
    return quantize_model(net, calibration_data=x if calibrated else None, **options)


@pytest.fixture(autouse=True)
def every_other_warning_is_an_error():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize(("name", "first"), [("branches", f) for f in FIRST] + [(n, f) for n in ("lstm", "gru", "attention") for f in (FIRST[0], FIRST[3], FIRST[6])], ids=str)
def test_a_quantised_model_is_quantised_anew_with_a_warning(name, first):
    make, x = NETS[name]
    mt.manual_seed(3)
    net = make().eval()
    want = net(x).numpy()
    once = quantised(net, x, **first)
    before = noise_db(want, once(x).numpy())
    with pytest.warns(UserWarning, match="quantised already"):
        again = quantize_model(once, dtype="int16", calibration_data=x)
    assert again.report().requantized and any("lost" in n for n in again.report().notes)
    assert not {r.reason for r in again.report().rows if r.reason}, again.report()
    assert not set(again.graph.ops) & FLOATS, again.graph.ops
    assert noise_db(want, again(x).numpy()) > before - 3, before
    assert not once.report().requantized


def test_the_same_settings_give_nearly_the_same_integers(tmp_path):
    net, x = Branches().eval(), NETS["branches"][1]
    once = quantize_model(net, calibration_data=x)
    once.save(tmp_path / "q.npz")
    for model in (once, mt.load(tmp_path / "q.npz")):
        with pytest.warns(UserWarning, match="quantised already"):
            again = quantize_model(model, calibration_data=x)
        a, b = once.state_dict(), again.state_dict()
        for name in ("a/weight", "b/weight", "head/weight"):
            assert np.abs(a[name].numpy().astype(int) - b[name].numpy()).max() <= 1
        assert np.abs(once(x).numpy() - again(x).numpy()).max() <= 0.05


def test_one_that_waits_for_its_shapes():
    fresh = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    once = quantize_model(fresh)
    with pytest.warns(UserWarning, match="quantised already"):
        again = quantize_model(once, dtype="int16")
    x = normal(5, 8)
    assert noise_db(fresh.eval()(x).numpy(), again(x).numpy()) > 25 and again.report().requantized


def test_a_quantised_model_is_trained_on():
    net, x = Branches().eval(), NETS["branches"][1]
    once = quantize_model(net, calibration_data=x)
    prepared = prepare_qat(once, calibration_data=x)
    prepared.train()
    optimizer = mt.optim.Adam(prepared.parameters(), lr=1e-3)
    losses, target = [], mt.tensor(np.eye(5, dtype="float32")[np.arange(len(x)) % 5])
    for _ in range(8):
        loss = nn.functional.mse_loss(prepared(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    prepared.eval()
    np.testing.assert_array_equal(prepared(x).numpy(), prepared.convert()(x).numpy())


# ---- files of others: scales stand, or new ones are asked for ----
class Reader:
    def __init__(self, name, x):
        self.rest = iter([{name: x[i : i + 4]} for i in range(0, len(x), 4)])

    def get_next(self):
        return next(self.rest, None)


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_scales_of_an_onnx_file_stand(tmp_path, form):
    ort = judge("onnxruntime")
    quantization = judge("onnxruntime.quantization")
    net, x = Branches().eval(), NETS["branches"][1]
    plain, small = tmp_path / "plain.onnx", tmp_path / "small.onnx"
    export_onnx(net, (1, 3, 10, 10), plain, dynamic_axes={"input": {0: "batch"}})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantization.quantize_static(str(plain), str(small), Reader("input", x), quant_format=getattr(quantization.QuantFormat, form), per_channel=True,
                                     activation_type=quantization.QuantType.QInt8, weight_type=quantization.QuantType.QInt8)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    want = ort.InferenceSession(str(small), options, providers=["CPUExecutionProvider"]).run(None, {"input": x})[0]
    model = load_onnx(small)
    assert np.abs(model(x).numpy() - want).max() <= 0.02
    scales = {float(v) for k, t in model.state_dict().items() if "scale" in k for v in np.ravel(t.numpy())}
    onnx = judge("onnx")
    theirs = {float(v) for t in onnx.load(str(small)).graph.initializer if t.name.endswith("_scale") for v in np.ravel(onnx.numpy_helper.to_array(t))}
    assert theirs & scales
    if form == "QOperator":              # its exact products have no float form
        with pytest.raises(NotImplementedError, match="float model that it came from"):
            quantize_model(model, calibration_data=x)
        return
    with pytest.warns(UserWarning, match="quantised already"):
        anew = quantize_model(model, calibration_data=x)
    assert not set(anew.graph.ops) & {"conv2d", "matmul"}
    assert noise_db(net(x).numpy(), anew(x).numpy()) > 24


def test_scales_of_a_tflite_file_stand(tmp_path):
    judge("ai_edge_litert.interpreter")
    from litert import LiteRT

    mt.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2, groups=8), nn.Flatten(), nn.Linear(128, 5)).eval()
    x = NETS["branches"][1]
    path = tmp_path / "q.tflite"
    theirs = LiteRT(path, export_tflite(net, (1, 3, 10, 10), path, quantize="int8", calibration_data=x))
    model = load_tflite(path)
    picture = np.ascontiguousarray(x[:1].transpose(0, 2, 3, 1))
    got, want = model(picture).numpy(), theirs(x[:1])[0]
    assert np.abs(got - want).max() <= 0.05
    with pytest.warns(UserWarning, match="quantised already"):
        anew = quantize_model(model, calibration_data=picture)
    assert noise_db(got, anew(picture).numpy()) > 20
