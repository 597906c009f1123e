"""Quantisation beyond int8 convolutions: 16 bits, 4 bits, recurrent layers, attention, and what calibration may improve."""

import json

import numpy as np
import pytest
from judges import judge

import miniten as mt
from miniten import nn
from miniten.edge import export_onnx, quantize_model


def noise_db(want, got):
    want, got = np.asarray(want, "float64"), np.asarray(got, "float64")
    return 10 * np.log10((want**2).sum() / max(((want - got) ** 2).sum(), 1e-300))


def normal(*shape, seed=0, scale=1.0):
    return (np.random.default_rng(seed).normal(size=shape) * scale).astype("float32")


def conv_net():
    mt.manual_seed(4)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.SiLU(), nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.ReLU(), nn.AvgPool2d(2),
        nn.Conv2d(16, 20, 1), nn.Tanh(), nn.GlobalAvgPool2d(), nn.Flatten(), nn.Linear(20, 10),
    ).eval()


class Recurrent(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.body = layer(6, 12, batch_first=True)
        self.head = nn.Linear(12, 4)

    def forward(self, x):
        out = self.body(x)
        y = out[0] if isinstance(out, tuple) else out
        return self.head(y[:, -1])


class Attends(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.MultiheadAttention(16, 4, batch_first=True)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        return self.head(self.body(x, x, x)[0])


class Graphs(nn.Module):
    """A graph convolution: constant adjacency times features."""

    def __init__(self):
        super().__init__()
        a = np.abs(normal(7, 7, seed=3)) / 7
        self.register_buffer("adjacency", mt.tensor(a))
        self.first, self.second = nn.Linear(5, 8), nn.Linear(8, 3)

    def forward(self, x):
        return self.adjacency @ self.second((self.adjacency @ self.first(x)).relu())


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(30, 16), nn.Linear(16, 4)

    def forward(self, ids):
        return self.head(self.table(ids))


def float_rows(q):
    return {r["op"]: r["reason"] for r in json.loads(q.report().to_json())["rows"] if r["reason"]}


def ops_of(q):
    return set(q.graph.ops)


CASES = {
    "conv": (conv_net, normal(8, 3, 12, 12, seed=1)),
    "lstm": (lambda: Recurrent(nn.LSTM), normal(16, 9, 6, seed=1)),
    "gru": (lambda: Recurrent(nn.GRU), normal(16, 9, 6, seed=1)),
    "rnn": (lambda: Recurrent(nn.RNN), normal(16, 9, 6, seed=1)),
    "attention": (Attends, normal(8, 11, 16, seed=1)),
    "gcn": (Graphs, normal(4, 7, 5, seed=1)),
    "embedding": (Words, np.random.default_rng(0).integers(0, 30, (12, 6))),
}


@pytest.mark.parametrize("dtype", ["int8", "int16", "int16x8"])
@pytest.mark.parametrize("name", CASES)
def test_no_layer_stays_float(name, dtype):
    mt.manual_seed(1)
    make, x = CASES[name]
    net = make().eval()
    want = net(x).numpy()
    q = quantize_model(net, dtype=dtype, calibration_data=x)
    assert float_rows(q) == {}
    assert not ops_of(q) & {"conv2d", "matmul", "add", "mul", "sub", "sigmoid", "tanh", "softmax", "mean", "relu", "silu"}, ops_of(q)
    got = q(x).numpy()
    assert noise_db(want, got) > {"int8": 12, "int16": 55, "int16x8": 25}[dtype]
    base = mt.cpu_info()["isa"]
    try:
        for isa in mt.cpu_info()["available_isas"]:
            mt.set_isa(isa)
            assert q(x).numpy().tobytes() == got.tobytes(), isa
    finally:
        mt.set_isa(base)


class TimeFirst(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.body = layer(6, 12)

    def forward(self, x):
        return self.body(x)[0]


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
def test_sequences_with_time_first_become_integers_of_their_length(layer):
    mt.manual_seed(1)
    net, x = TimeFirst(layer).eval(), normal(9, 4, 6)
    q = quantize_model(net, calibration_data=[x, normal(9, 4, 6, seed=2)])
    assert float_rows(q) == {} and "recurrent" not in ops_of(q)
    assert noise_db(net(x).numpy(), q(x).numpy()) > 25
    skipped = quantize_model(net, calibration_data=x, skip=["body"])
    assert skipped(normal(5, 4, 6)).shape == (5, 4, 12)


def test_int16_halves_the_file_and_int16x8_quarters_it(tmp_path):
    mt.manual_seed(0)
    net = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 256)).eval()
    x = normal(32, 256)
    for dtype, least in (("int16", 1.9), ("int16x8", 3.7)):
        q = quantize_model(net, dtype=dtype, calibration_data=x)
        assert q.size_reduction() > least
        q.save(tmp_path / "q.npz")
        assert mt.load(tmp_path / "q.npz")(x).numpy().tobytes() == q(x).numpy().tobytes()
    q = quantize_model(net, dtype="int16")          # no data: activations at run time
    assert q.report().mode == "dynamic" and noise_db(net(x).numpy(), q(x).numpy()) > 70 and q.size_reduction() > 1.9


@pytest.mark.parametrize("name", ["conv", "lstm", "attention", "gcn"])
@pytest.mark.parametrize("dtype", ["int8", "int16", "int16x8"])
def test_exports_to_onnxruntime(name, dtype, tmp_path):
    ort = judge("onnxruntime")
    mt.manual_seed(1)
    make, x = CASES[name]
    net = make().eval()
    net(x)
    q = quantize_model(net, dtype=dtype, calibration_data=x)
    wide = dtype != "int8" or name == "lstm"        # its states have 16 bits
    export_onnx(q, x.shape, tmp_path / "q.onnx", opset_version=21 if wide else 17)
    options = ort.SessionOptions()
    if wide:                             # as the standard says; optimised, products of int8 weights take 8-bit activations
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(str(tmp_path / "q.onnx"), options, providers=["CPUExecutionProvider"])
    want = session.run(None, {session.get_inputs()[0].name: x})[0]
    assert noise_db(want, q(x).numpy()) > {"int8": 25, "int16": 70, "int16x8": 60}[dtype]


def test_int16_exports_only_where_the_opset_has_it(tmp_path):
    q = quantize_model(conv_net(), dtype="int16", calibration_data=CASES["conv"][1])
    with pytest.raises(NotImplementedError, match="opset 21"):
        export_onnx(q, (1, 3, 12, 12), tmp_path / "q.onnx", opset_version=17)
    dynamic = quantize_model(nn.Sequential(nn.Linear(20, 8)).eval(), dtype="int16")
    x = normal(5, 20)
    want = dynamic(x).numpy()
    export_onnx(dynamic, (5, 20), tmp_path / "d.onnx", opset_version=21)
    ort = judge("onnxruntime")
    session = ort.InferenceSession(str(tmp_path / "d.onnx"), providers=["CPUExecutionProvider"])
    assert noise_db(want, session.run(None, {session.get_inputs()[0].name: x})[0]) > 80


def test_recurrent_layers_with_states_of_8_bits_export_below_opset_21(tmp_path):
    ort = judge("onnxruntime")
    mt.manual_seed(1)
    net, x = Recurrent(nn.LSTM).eval(), CASES["lstm"][1]
    with pytest.raises(NotImplementedError, match="opset_version=21; recurrent layers with overrides"):
        export_onnx(quantize_model(net, calibration_data=x), x.shape, tmp_path / "q.onnx", opset_version=17)
    q = quantize_model(net, calibration_data=x, overrides={"recurrent": {"activation_dtype": "int8"}})
    export_onnx(q, x.shape, tmp_path / "q.onnx", opset_version=17)
    session = ort.InferenceSession(str(tmp_path / "q.onnx"), providers=["CPUExecutionProvider"])
    assert noise_db(session.run(None, {session.get_inputs()[0].name: x})[0], q(x).numpy()) > 20


# ---- 4 bits ----
def test_int4_is_stored_packed_and_read_as_it_is(tmp_path):
    mt.manual_seed(0)
    net = nn.Sequential(nn.Linear(250, 512), nn.ReLU(), nn.Linear(512, 96)).eval()
    x = normal(40, 250)
    want = net(x).numpy()
    q = quantize_model(net, dtype="int4")
    assert q.report().mode == "weight_only" and "matmul_blocks" in ops_of(q) and "matmul" not in ops_of(q)
    assert q.size_reduction() > 5.5
    got = q(x).numpy()
    assert noise_db(want, got) > 15
    for n in (1, 3, 40):                            # few rows by one kernel, many by another
        assert np.allclose(q(x[:n]).numpy(), got[:n], rtol=1e-4, atol=1e-4)
    q.save(tmp_path / "q.npz")
    assert mt.load(tmp_path / "q.npz")(x).numpy().tobytes() == got.tobytes()
    eight = quantize_model(net, mode="weight_only", block=32)
    assert noise_db(want, eight(x).numpy()) > noise_db(want, got) + 15 and eight.size_reduction() > 3.3
    ort = judge("onnxruntime")
    export_onnx(q, (40, 250), tmp_path / "q.onnx", opset_version=21)
    options = ort.SessionOptions()                  # as the standard says; optimised, products of int4 weights take 8-bit activations
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(str(tmp_path / "q.onnx"), options, providers=["CPUExecutionProvider"])
    assert noise_db(session.run(None, {session.get_inputs()[0].name: x})[0], got) > 90


def test_int4_convolutions_are_stored_in_4_bits():
    net = conv_net()
    x = CASES["conv"][1]
    q = quantize_model(net, dtype="int4", calibration_data=x, optimize="accuracy")
    assert noise_db(net(x).numpy(), q(x).numpy()) > 12
    assert any(str(t.dtype).endswith("int4") for t in q.state_dict().values())


# ---- what calibration improves ----
def smooth(n, seed):
    x = normal(n, 3, 14, 14, seed=seed)
    return (sum(x[:, :, i : i + 12, j : j + 12] for i in range(3) for j in range(3)) / 3 + 0.5).astype("float32")


def test_adaptive_rounding_and_bias_correction_lessen_the_error():
    mt.manual_seed(3)
    net = nn.Sequential(nn.Conv2d(3, 24, 3), nn.ReLU(), nn.Conv2d(24, 24, 3), nn.ReLU(), nn.GlobalAvgPool2d(), nn.Flatten(), nn.Linear(24, 10)).eval()
    data, x = smooth(64, 1), smooth(64, 2)
    want = net(x).numpy()

    def made(**options):
        return quantize_model(net, dtype="int4", calibration_data=data, **options)

    assert noise_db(want, made(rounding="adaptive")(x).numpy()) > noise_db(want, made()(x).numpy()) + 1
    mean = net(data).numpy().mean(0)
    shift = [np.abs(q(data).numpy().mean(0) - mean).mean() for q in (made(), made(correct_bias=True))]
    assert shift[1] < shift[0]


def test_equalisation_mends_channels_of_unequal_width():
    mt.manual_seed(3)
    net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 8)).eval()
    by = np.logspace(-2, 2, 32).astype("float32")
    state = {k: v.numpy().copy() for k, v in net.state_dict().items()}
    state["0.weight"] *= by[:, None]
    state["0.bias"] *= by
    state["2.weight"] /= by
    net.load_state_dict({k: mt.tensor(v) for k, v in state.items()})
    x = normal(200, 16)
    want = net(x).numpy()
    before = noise_db(want, quantize_model(net, calibration_data=x, per_channel=False)(x).numpy())
    after = noise_db(want, quantize_model(net, calibration_data=x, per_channel=False, equalize=True)(x).numpy())
    assert after > before + 8 and after > 20


def test_calibration_keeps_no_data():
    import resource

    net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8)).eval()

    def batches(n):
        for i in range(n):
            yield normal(64, 64, seed=i) * (1 + i % 7)

    quantize_model(net, calibration_data=batches(50), method="auto")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    quantize_model(net, calibration_data=batches(1500), method="auto")       # 25 MB of floats
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8192


def test_nan_while_calibrating_names_the_layer():
    class Root(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.second(self.first(x).log())

    net = Root().eval()
    with pytest.raises(ValueError, match='NaN or infinity in the output of layer ".*" .*batch 0'):
        quantize_model(net, calibration_data=normal(8, 4))
