"""Every op and layer that exports: onnx's full check passes, onnxruntime agrees, and our reader reads it back."""

import numpy as np
import pytest
from judges import judge

import miniten as mt
from miniten import nn
from miniten.edge import export_onnx, load_onnx, quantize_model

onnx, ort = judge("onnx"), judge("onnxruntime")
RNG = np.random.default_rng(11)
OPSETS = [9, 11, 13, 15, 17, 18, 21]


def rand(*shape):
    return RNG.normal(size=shape).astype("float32")


def run(path, *inputs):
    onnx.checker.check_model(str(path), full_check=True)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {i.name: x for i, x in zip(session.get_inputs(), inputs, strict=True)})


def agree(got, want, tol=1e-5):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape and got.dtype == want.dtype, (got.shape, got.dtype, want.shape, want.dtype)
    assert np.abs(got.astype("float64") - want).max(initial=0) <= tol * max(1, np.abs(want.astype("float64")).max(initial=0))


UNARY = ["relu", "exp", "log", "neg", "tanh", "sigmoid", "sqrt", "abs", "square", "reciprocal", "erf", "gelu", "silu", "sin", "cos", "floor", "ceil", "round", "sign", "log1p"]
FUNCTIONS = {
    **{name: (lambda x, f=getattr(mt, name, None) or getattr(nn.functional, name): f(x)) for name in UNARY},
    "clamp": lambda x: mt.clamp(x, 0.7, 1.4),
    "add": lambda x: x + 1.5,
    "arithmetic": lambda x: (x * 2 - x / 3) ** 2,
    "relu of a sum": lambda x: mt.relu(x - 1.0 + x),
    "compare": lambda x: mt.where(x > 1.0, x, -x),
    "not equal": lambda x: mt.where(mt.ne(x, mt.floor(x)), x, x * 2),
    "sum": lambda x: x.sum(1),
    "mean": lambda x: x.mean((0, 2), True),
    "max": lambda x: x.max(2),
    "min": lambda x: x.min(0),
    "var": lambda x: x.var(1),
    "argmax": lambda x: x.argmax(1),
    "reshape": lambda x: x.reshape(3, 8),
    "permute": lambda x: x.permute(2, 0, 1),
    "expand": lambda x: x.reshape(2, 1, 3, 4).expand(2, 5, 3, 4),
    "slice": lambda x: x[:, 1:, ::2],
    "pad": lambda x: mt.pad(x, (1, 2, 0, 1), value=0.5),
    "cat": lambda x: mt.cat([x, x * 2], 1),
    "stack": lambda x: mt.stack([x, -x], 0),
    "split": lambda x: tuple(mt.split(x, 2, 2)),
    "softmax": lambda x: mt.softmax(x, -1),
    "softmax over rows": lambda x: mt.softmax(x, 1),
    "log_softmax": lambda x: mt.log_softmax(x, -1),
    "matmul": lambda x: x @ mt.permute(x, (0, 2, 1)),
    "cast": lambda x: mt.cast(x * 3, "int32"),
    "several": lambda x: (mt.exp(-x), x.sum()),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name, tmp_path):
    f, x = FUNCTIONS[name], np.abs(rand(2, 3, 4)) + 0.3
    graph = mt.trace(f, (2, 3, 4))
    module = nn.GraphModule(graph).eval()
    want = module(x)
    want = want if isinstance(want, tuple) else (want,)
    written = 0
    for opset in OPSETS:
        try:
            export_onnx(module, (2, 3, 4), tmp_path / "m.onnx", opset_version=opset)
        except NotImplementedError as e:
            assert "opset" in str(e), e  # no form that early: it says so, and writes nothing
            continue
        written += 1
        back = load_onnx(tmp_path / "m.onnx")(x)
        for w, judged, read in zip(want, run(tmp_path / "m.onnx", x), back if isinstance(back, tuple) else (back,), strict=True):
            agree(w.numpy(), judged)
            agree(read.numpy(), judged)
    assert written >= 3


LAYERS = {
    "Linear": (lambda: nn.Linear(6, 4), (3, 6)),
    "Linear on three axes": (lambda: nn.Linear(6, 4), (2, 3, 6)),
    "Conv2d": (lambda: nn.Conv2d(3, 6, 3, stride=2, padding=1, groups=3), (2, 3, 9, 8)),
    "Conv2d dilated": (lambda: nn.Conv2d(2, 4, (3, 2), dilation=(2, 1), padding=(2, 0), bias=False), (1, 2, 9, 8)),
    "DepthwiseSeparableConv2d": (lambda: nn.DepthwiseSeparableConv2d(4, 6, 3, padding=1), (1, 4, 6, 6)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(5), (4, 5)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(3), (2, 3, 4, 4)),
    "MaxPool2d": (lambda: nn.MaxPool2d(3, stride=2, padding=1), (2, 3, 8, 8)),
    "AvgPool2d": (lambda: nn.AvgPool2d(2), (2, 3, 8, 8)),
    "GlobalAvgPool2d": (lambda: nn.GlobalAvgPool2d(), (2, 3, 8, 8)),
    "Flatten": (lambda: nn.Flatten(), (2, 3, 4)),
    "activations": (lambda: nn.Sequential(nn.ReLU6(), nn.Sigmoid(), nn.Tanh(), nn.GELU(), nn.SiLU(), nn.Softplus(), nn.Softmax()), (3, 5)),
}


@pytest.mark.parametrize("name", [n for n in LAYERS])
@pytest.mark.parametrize("opset", [11, 13, 18])
def test_layers(name, opset, tmp_path):
    mt.manual_seed(1)
    make, shape = LAYERS[name]
    layer, x = make().eval(), rand(*shape)
    export_onnx(layer, shape, tmp_path / "m.onnx", opset_version=opset, dynamic_axes={"input": {0: "batch"}})
    for batch in (shape[0], shape[0] + 2):
        x = rand(batch, *shape[1:])
        judged = run(tmp_path / "m.onnx", x)[0]
        agree(layer(x).numpy(), judged)
        agree(load_onnx(tmp_path / "m.onnx")(x).numpy(), judged)


RECURRENT = {
    "LSTM": (lambda: nn.LSTM(4, 3), ["LSTM"]),
    "LSTM, all": (lambda: nn.LSTM(4, 3, num_layers=2, batch_first=True, bidirectional=True), ["LSTM"] * 4),
    "GRU": (lambda: nn.GRU(4, 3, num_layers=2, bias=False), ["GRU"] * 2),
    "RNN": (lambda: nn.RNN(4, 3, bidirectional=True), ["RNN"] * 2),
    "RNN, relu": (lambda: nn.RNN(4, 3, nonlinearity="relu", batch_first=True), ["RNN"]),
}


def flat(result):
    return [t for r in result for t in (r if isinstance(r, tuple) else (r,))]


@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize("opset", [11, 13, 18])
def test_recurrent_layers_stay_one_node_a_direction(name, opset, tmp_path):
    mt.manual_seed(1)
    make, kinds = RECURRENT[name]
    layer, batch_axis = make().eval(), 0 if name in ("LSTM, all", "RNN, relu") else 1
    export_onnx(layer, (2, 5, 4), tmp_path / "m.onnx", opset_version=opset, dynamic_axes={"input": {batch_axis: "batch"}} if batch_axis == 0 else None)
    nodes = onnx.load(tmp_path / "m.onnx").graph.node
    assert [n.op_type for n in nodes if n.op_type in ("LSTM", "GRU", "RNN")] == kinds
    back = load_onnx(tmp_path / "m.onnx")
    for batch in (2, 3) if batch_axis == 0 else (5,):
        x = rand(batch, 5, 4) if batch_axis == 0 else rand(2, batch, 4)
        for judged, ours, read in zip(run(tmp_path / "m.onnx", x), flat(layer(x)), back(x), strict=True):
            agree(ours.numpy(), judged)
            agree(read.numpy(), judged)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_an_imported_recurrent_layer_trains_and_goes_out_again(kind, tmp_path):
    mt.manual_seed(3)
    layer = getattr(nn, kind)(4, 3)
    export_onnx(layer, (6, 2, 4), tmp_path / "a.onnx")
    back = load_onnx(tmp_path / "a.onnx")
    assert sum(p.numel() for p in back.parameters()) == sum(p.numel() for p in layer.parameters())
    x = rand(6, 2, 4)
    before = back(x)[0].numpy()
    back.train()
    optimizer = mt.optim.SGD(back.parameters(), lr=0.1)
    (back(x)[0] ** 2).sum().backward()
    optimizer.step()
    back.eval()
    after = back(x)[0].numpy()
    assert np.abs(after - before).max() > 1e-3
    export_onnx(back, (6, 2, 4), tmp_path / "b.onnx")
    assert [n.op_type for n in onnx.load(tmp_path / "b.onnx").graph.node].count(kind) == 1
    agree(run(tmp_path / "b.onnx", x)[0], after)


def test_dynamic_int8_runs_in_onnxruntime(tmp_path):
    mt.manual_seed(2)
    net = nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6 * 16, 10)).eval()
    net(rand(2, 2, 8, 8))
    q = quantize_model(net, mode="dynamic")
    export_onnx(q, (2, 2, 8, 8), tmp_path / "d.onnx")
    kinds = {n.op_type for n in onnx.load(tmp_path / "d.onnx").graph.node}
    assert {"DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"} <= kinds
    x = rand(2, 2, 8, 8)
    agree(q(x).numpy(), run(tmp_path / "d.onnx", x)[0])
    agree(load_onnx(tmp_path / "d.onnx")(x).numpy(), q(x).numpy())


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        y = mt.relu(self.first(x))
        y = mt.relu(y + self.second(y))
        return self.head(y.mean((2, 3)))


@pytest.mark.parametrize("activation_symmetric", [False, True])
def test_integer_operators(activation_symmetric, tmp_path):
    mt.manual_seed(4)
    net, x = Residual().eval(), rand(4, 3, 8, 8)
    q = quantize_model(net, calibration_data=[x], activation_symmetric=activation_symmetric)
    export_onnx(q, (4, 3, 8, 8), tmp_path / "q.onnx", quantization="qoperator")
    kinds = [n.op_type for n in onnx.load(tmp_path / "q.onnx").graph.node]
    assert kinds.count("QLinearConv") == 2 and "QGemm" in kinds and "QLinearAdd" in kinds and "Conv" not in kinds and "Gemm" not in kinds
    judged = run(tmp_path / "q.onnx", x)[0]
    step = np.abs(np.diff(np.unique(judged))).min()
    agree(q(x).numpy(), judged, 1.01 * step)  # one step of the output's scale
    assert np.mean(q(x).numpy() != judged) <= 0.05
    back = load_onnx(tmp_path / "q.onnx")
    assert np.array_equal(back(x).numpy(), q(x).numpy())


def test_dynamic_integers_of_a_float_model(tmp_path):
    mt.manual_seed(5)
    net, x = Residual().eval(), rand(2, 3, 8, 8)
    export_onnx(net, (2, 3, 8, 8), tmp_path / "d.onnx", quantization="dynamic")
    assert "ConvInteger" in {n.op_type for n in onnx.load(tmp_path / "d.onnx").graph.node}
    agree(run(tmp_path / "d.onnx", x)[0], net(x).numpy(), 0.05)
    with pytest.raises(ValueError, match="qoperator"):
        export_onnx(net, (2, 3, 8, 8), tmp_path / "e.onnx", quantization="other")
    assert not (tmp_path / "e.onnx").exists()


def test_metadata_and_names_are_kept(tmp_path):
    module = nn.GraphModule(mt.trace(lambda x: mt.relu(x), (2, 3))).eval()
    graph = module.graph
    graph.metadata = {"labels": "a,b", "author": "me"}
    graph.name = "the net"
    export_onnx(nn.GraphModule(graph), (2, 3), tmp_path / "m.onnx", input_names=["image"], output_names=["scores"])
    model = onnx.load(tmp_path / "m.onnx")
    assert {p.key: p.value for p in model.metadata_props} == {"labels": "a,b", "author": "me"} and model.graph.name == "the net"
    assert [i.name for i in model.graph.input] == ["image"] and [o.name for o in model.graph.output] == ["scores"]
    back = load_onnx(tmp_path / "m.onnx").graph
    assert back.metadata == {"labels": "a,b", "author": "me"} and back.name == "the net" and back.inputs[0].name == "image"
