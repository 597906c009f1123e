"""Every layer and loss of mt.nn as ONNX, in the oldest opset that has it and the newest, judged by onnxruntime; and ops whose form is more than one node."""

import numpy as np
import pytest
from judges import judge

import miniten as mt
from miniten import nn
from miniten.edge import export_check, export_onnx, load_onnx

onnx, ort = judge("onnx"), judge("onnxruntime")
OPSETS = [11, 13, 16, 17, 18, 21, 22, 23, 24, 25, onnx.defs.onnx_opset_version()]
IMAGE, LINE, WORDS, PAIR, NODES = (2, 4, 8, 8), (2, 4, 9), (2, 6, 8), [(4, 5), (4, 5)], [(4, 5), (4, 4)]
SCORES = [(4, 5), (4,)]

# name: (layer, shapes), dtypes of inputs where they are no floats; tests of the same class side by side
LAYERS = {
    "AdaptiveAvgPool1d": (lambda: nn.AdaptiveAvgPool1d(3), LINE),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d((3, 2)), IMAGE),
    "AdaptiveMaxPool1d": (lambda: nn.AdaptiveMaxPool1d(3), LINE),
    "AdaptiveMaxPool2d": (lambda: nn.AdaptiveMaxPool2d((3, 2)), IMAGE),
    "AvgPool1d": (lambda: nn.AvgPool1d(2), LINE),
    "AvgPool2d": (lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True), IMAGE),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(4), LINE),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(4), IMAGE),
    "BCELoss": (lambda: nn.BCELoss(), PAIR),
    "BCEWithLogitsLoss": (lambda: nn.BCEWithLogitsLoss(), PAIR),
    "CELU": (lambda: nn.CELU(0.7), IMAGE),
    "ChannelShuffle": (lambda: nn.ChannelShuffle(2), IMAGE),
    "Conv1d": (lambda: nn.Conv1d(4, 6, 3, stride=2, padding=1), LINE),
    "Conv2d": (lambda: nn.Conv2d(4, 6, (3, 2), stride=(1, 2), padding=1, dilation=(2, 1), groups=2), IMAGE),
    "Conv2dTranspose": (lambda: nn.Conv2dTranspose(4, 3, 3, stride=2), IMAGE),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(4, 6, 3, stride=2, padding=1, output_padding=1), LINE),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 3, 3), IMAGE),
    "ConvTranspose2d, strided": (lambda: nn.ConvTranspose2d(4, 3, (3, 2), stride=(2, 3), padding=(1, 0), output_padding=(1, 2), bias=False), IMAGE),
    "ConvTranspose2d, dilated groups": (lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2), IMAGE),
    "ConvTranspose2d, depthwise": (lambda: nn.ConvTranspose2d(4, 4, 4, stride=2, padding=1, groups=4), IMAGE),
    "CosineEmbeddingLoss": (lambda: nn.CosineEmbeddingLoss(), [*PAIR, (4,)]),
    "CrossEntropyLoss": (lambda: nn.CrossEntropyLoss(label_smoothing=0.1), SCORES, ["float32", "int64"]),
    "DepthwiseSeparableConv2d": (lambda: nn.DepthwiseSeparableConv2d(4, 6, 3, padding=1), IMAGE),
    "DilatedConv2d": (lambda: nn.DilatedConv2d(4, 6, 3), IMAGE),
    "Dropout": (lambda: nn.Dropout(0.5), IMAGE),
    "Dropout2d": (lambda: nn.Dropout2d(0.5), IMAGE),
    "ELU": (lambda: nn.ELU(), IMAGE),
    "Embedding": (lambda: nn.Embedding(10, 4), [(2, 3)], ["int64"]),
    "Flatten": (lambda: nn.Flatten(), IMAGE),
    "FocalLoss": (lambda: nn.FocalLoss(), PAIR),
    "Fold": (lambda: nn.Fold((4, 5), 2), (2, 8, 12)),
    "GELU": (lambda: nn.GELU(), IMAGE),
    "GLU": (lambda: nn.GLU(1), IMAGE),
    "GraphAttention": (lambda: nn.GraphAttention(5, 3), NODES),
    "GraphConv": (lambda: nn.GraphConv(5, 3), NODES),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), IMAGE),
    "GRU": (lambda: nn.GRU(8, 5, bidirectional=True), WORDS),
    "GRUCell": (lambda: nn.GRUCell(8, 5), (2, 8)),
    "GlobalAvgPool2d": (lambda: nn.GlobalAvgPool2d(), IMAGE),
    "Hardsigmoid": (lambda: nn.Hardsigmoid(), IMAGE),
    "Hardswish": (lambda: nn.Hardswish(), IMAGE),
    "Hardtanh": (lambda: nn.Hardtanh(-0.5, 0.7), IMAGE),
    "HingeEmbeddingLoss": (lambda: nn.HingeEmbeddingLoss(), PAIR),
    "HuberLoss": (lambda: nn.HuberLoss(), PAIR),
    "Identity": (lambda: nn.Identity(), IMAGE),
    "InstanceNorm1d": (lambda: nn.InstanceNorm1d(4), LINE),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(4, affine=True), IMAGE),
    "KLDivLoss": (lambda: nn.KLDivLoss(), PAIR),
    "L1Loss": (lambda: nn.L1Loss(), PAIR),
    "LayerNorm": (lambda: nn.LayerNorm((6, 8)), WORDS),
    "LeakyReLU": (lambda: nn.LeakyReLU(0.2), IMAGE),
    "Linear": (lambda: nn.Linear(8, 3), WORDS),
    "LogSigmoid": (lambda: nn.LogSigmoid(), IMAGE),
    "LogSoftmax": (lambda: nn.LogSoftmax(1), IMAGE),
    "LSTM": (lambda: nn.LSTM(8, 5, num_layers=2, batch_first=True), WORDS),
    "LSTMCell": (lambda: nn.LSTMCell(8, 5), (2, 8)),
    "MarginRankingLoss": (lambda: nn.MarginRankingLoss(), [(4,)] * 3),
    "MaxPool1d": (lambda: nn.MaxPool1d(2), LINE),
    "MaxPool2d": (lambda: nn.MaxPool2d(3, 2, 1, dilation=2, ceil_mode=True), (2, 4, 13, 13)),
    "Mish": (lambda: nn.Mish(), IMAGE),
    "MSELoss": (lambda: nn.MSELoss(), PAIR),
    "MultiHeadAttention": (lambda: nn.MultiHeadAttention(8, 2), [WORDS] * 3),
    "MultiheadAttention": (lambda: nn.MultiheadAttention(8, 2, batch_first=True), [WORDS] * 3),
    "NLLLoss": (lambda: nn.NLLLoss(), SCORES, ["float32", "int64"]),
    "PReLU": (lambda: nn.PReLU(4), IMAGE),
    "PixelShuffle": (lambda: nn.PixelShuffle(2), IMAGE),
    "PixelUnshuffle": (lambda: nn.PixelUnshuffle(2), IMAGE),
    "PositionalEncoding": (lambda: nn.PositionalEncoding(8), WORDS),
    "ReLU": (lambda: nn.ReLU(), IMAGE),
    "ReLU6": (lambda: nn.ReLU6(), IMAGE),
    "RMSNorm": (lambda: nn.RMSNorm(8), WORDS),
    "RNN": (lambda: nn.RNN(8, 5), WORDS),
    "RNNCell": (lambda: nn.RNNCell(8, 5), (2, 8)),
    "ReflectionPad2d": (lambda: nn.ReflectionPad2d(2), IMAGE),
    "ReplicationPad2d": (lambda: nn.ReplicationPad2d((1, 2, 0, 3)), IMAGE),
    "SAGEConv": (lambda: nn.SAGEConv(5, 3), NODES),
    "SELU": (lambda: nn.SELU(), IMAGE),
    "SiLU": (lambda: nn.SiLU(), IMAGE),
    "Sigmoid": (lambda: nn.Sigmoid(), IMAGE),
    "SmoothL1Loss": (lambda: nn.SmoothL1Loss(), PAIR),
    "Softmax": (lambda: nn.Softmax(1), IMAGE),
    "Softplus": (lambda: nn.Softplus(), IMAGE),
    "Softsign": (lambda: nn.Softsign(), IMAGE),
    "Tanh": (lambda: nn.Tanh(), IMAGE),
    "Tanhshrink": (lambda: nn.Tanhshrink(), IMAGE),
    "TransformerDecoder": (lambda: nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16, batch_first=True), 2), [WORDS, WORDS]),
    "TransformerDecoderLayer": (lambda: nn.TransformerDecoderLayer(8, 2, 16, batch_first=True, norm_first=True), [WORDS, (2, 3, 8)]),
    "TransformerEncoder": (lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2), WORDS),
    "TransformerEncoderLayer": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True, activation="gelu"), WORDS),
    "TripletMarginLoss": (lambda: nn.TripletMarginLoss(), [(4, 5)] * 3),
    "Unflatten": (lambda: nn.Unflatten(1, (2, 2)), IMAGE),
    "Unfold": (lambda: nn.Unfold((3, 2), dilation=(2, 1), padding=1, stride=2), IMAGE),
    "Upsample, nearest": (lambda: nn.Upsample(scale_factor=2), IMAGE),
    "Upsample, bilinear": (lambda: nn.Upsample(size=(5, 13), mode="bilinear", align_corners=True), IMAGE),
    "Upsample, bicubic": (lambda: nn.Upsample(scale_factor=2, mode="bicubic"), IMAGE),
    "ZeroPad2d": (lambda: nn.ZeroPad2d((1, 2, 0, 3)), IMAGE),
    "Bilinear": (lambda: nn.Bilinear(5, 4, 3), NODES),
    "CircularPad1d": (lambda: nn.CircularPad1d(2), LINE),
    "CircularPad2d": (lambda: nn.CircularPad2d((1, 2, 0, 3)), IMAGE),
    "ConstantPad1d": (lambda: nn.ConstantPad1d((2, 1), 0.5), LINE),
    "ConstantPad2d": (lambda: nn.ConstantPad2d(1, -1.0), IMAGE),
    "CosineSimilarity": (lambda: nn.CosineSimilarity(), PAIR),
    "GaussianNLLLoss": (lambda: nn.GaussianNLLLoss(), [(4, 5)] * 3),
    "Hardshrink": (lambda: nn.Hardshrink(), IMAGE),
    "LPPool1d": (lambda: nn.LPPool1d(2, 3), LINE),
    "LPPool2d": (lambda: nn.LPPool2d(2, 3, stride=2), IMAGE),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(2), IMAGE),
    "MultiLabelSoftMarginLoss": (lambda: nn.MultiLabelSoftMarginLoss(), PAIR),
    "MultiMarginLoss": (lambda: nn.MultiMarginLoss(), SCORES, ["float32", "int64"]),
    "PairwiseDistance": (lambda: nn.PairwiseDistance(), PAIR),
    "PoissonNLLLoss": (lambda: nn.PoissonNLLLoss(), PAIR),
    "ReflectionPad1d": (lambda: nn.ReflectionPad1d(2), LINE),
    "ReplicationPad1d": (lambda: nn.ReplicationPad1d((0, 3)), LINE),
    "SoftMarginLoss": (lambda: nn.SoftMarginLoss(), PAIR),
    "Softmax2d": (lambda: nn.Softmax2d(), IMAGE),
    "Softmin": (lambda: nn.Softmin(1), IMAGE),
    "Softshrink": (lambda: nn.Softshrink(), IMAGE),
    "Threshold": (lambda: nn.Threshold(0.4, -1.0), IMAGE),
    "Transformer": (lambda: nn.Transformer(8, 2, 1, 1, 16, batch_first=True), [WORDS, (2, 3, 8)]),
    "TripletMarginWithDistanceLoss": (lambda: nn.TripletMarginWithDistanceLoss(), [(4, 5)] * 3),
    "UpsamplingBilinear2d": (lambda: nn.UpsamplingBilinear2d(scale_factor=2), IMAGE),
    "UpsamplingNearest2d": (lambda: nn.UpsamplingNearest2d(scale_factor=2), IMAGE),
    "ZeroPad1d": (lambda: nn.ZeroPad1d((1, 2)), LINE),
}
# What has no graph of its own: containers, what others derive from, a loss that reads lengths while it runs, a cache between calls.
WITHOUT = {"CTCLoss", "GraphModule", "HookHandle", "KeyValueCache", "LoadResult", "MessagePassing", "Module", "ModuleDict", "ModuleList", "Parameter", "ParameterDict", "ParameterList", "Sequential"}
SINCE = {"Fold": 16}


def flat(result):
    return [t for r in (result if isinstance(result, tuple) else (result,)) for t in (flat(r) if isinstance(r, tuple) else [r])]


def agree(got, want, tol=1e-5):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape and got.dtype == want.dtype, (got.shape, got.dtype, want.shape, want.dtype)
    assert np.abs(got.astype("float64") - want).max(initial=0) <= tol * max(1, np.abs(want.astype("float64")).max(initial=0))


def judged(path, inputs):
    onnx.checker.check_model(str(path), full_check=True)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {i.name: x for i, x in zip(session.get_inputs(), inputs, strict=True)})


def test_the_table_has_every_layer():
    classes = {n for n in dir(nn) if n[0].isupper() and isinstance(getattr(nn, n), type)}
    composed = {c.__name__ for c in vars(nn).values() if isinstance(c, type) and c.__module__ == "miniten.nn.composed"}
    assert classes - WITHOUT - composed == {name.split(",")[0] for name in LAYERS} - composed


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name, tmp_path):
    mt.manual_seed(1)
    make, shapes, dtypes = (*LAYERS[name], None)[:3]
    layer, rng = make().eval(), np.random.default_rng(3)
    draw = {"float32": lambda s: rng.uniform(0.05, 0.95, s).astype("float32"), "int64": lambda s: rng.integers(0, 4, s)}
    several = isinstance(shapes, list)
    inputs = [draw[t](s) for s, t in zip(shapes if several else [shapes], dtypes or ["float32"] * 9, strict=False)]
    want = flat(layer(*inputs))
    first = SINCE.get(name, OPSETS[0])
    for opset in sorted({first, 17, OPSETS[-1]}):
        export_onnx(layer, shapes, tmp_path / "m.onnx", opset_version=opset, input_dtypes=dtypes)
        for ours, theirs, read in zip(want, judged(tmp_path / "m.onnx", inputs), flat(load_onnx(tmp_path / "m.onnx")(*inputs)), strict=True):
            agree(ours.numpy(), theirs)
            agree(read.numpy(), theirs)
    if first > OPSETS[0]:
        assert not export_check(layer, shapes, targets=[f"onnx-{first - 1}"]).ok(f"onnx-{first - 1}")


X = np.random.default_rng(4).normal(size=(3, 5)).astype("float32")
WHOLE = np.array([[7, -7, 6, 0, -1], [5, -5, 127, -128, 3], [9, 1, -9, 2, 4]])
INDEX = np.array([[0, 2, -1, 1, 0], [1, 1, 0, -3, 2]])
# name: (function, inputs, first opset)
OPS = {
    "gather": (lambda x, i: mt.gather(x, 0, i), [X, INDEX], 11),
    "scatter": (lambda x, i, v: mt.scatter(x, 0, i, v), [X, np.array([[0, 2, 1, 1, 0]]), X[:1]], 11),
    "scatter add": (lambda x, i, v: mt.scatter_add(x, 0, i, v), [X, INDEX[:, :], X[:2]], 16),
    "index_add": (lambda x, v: mt.index_add(x, 0, np.array([2, 2]), v), [X, X[:2]], 16),
    "cumsum": (lambda x: mt.cumsum(x, 1), [X], 11),
    "cumsum of integers": (lambda x: mt.cumsum(x, 0), [WHOLE.astype("int32")], 11),
    "sort": (lambda x: tuple(mt.sort(x, 1, True)), [X], 11),
    "topk": (lambda x: tuple(mt.topk(x, 2, 0, False)), [X], 11),
    "topk of bytes": (lambda x: tuple(mt.topk(x, 3, 1)), [WHOLE.astype("int8")], 11),
    "median": (lambda x: mt.median(x, 1), [X], 11),
    "remainder": (lambda x: mt.remainder(x, 0.7), [X], 9),
    "floor_divide": (lambda x: mt.floor_divide(x, 0.7), [X], 9),
    "remainder of integers": (lambda a, b: mt.remainder(a, b), [WHOLE, np.array([3, -3, 5, 7, -2])], 10),
    "floor_divide of integers": (lambda a, b: mt.floor_divide(a, b), [WHOLE, np.array([3, -3, 5, 7, -2])], 10),
    "bits": (lambda a, b: (mt.bitwise_and(a, b), mt.bitwise_or(a, b), mt.bitwise_xor(a, b), mt.bitwise_not(a)), [WHOLE, WHOLE[::-1].copy()], 18),
    "shifts": (lambda a: (mt.bitwise_left_shift(a, np.uint8(2)), mt.bitwise_right_shift(a, np.uint8(1))), [np.arange(15, dtype="uint8").reshape(3, 5) * 17], 11),
    "bits of truths": (lambda a, b: mt.bitwise_xor(a, b), [X > 0, X > 0.5], 9),
    "log2": (lambda x: mt.log2(x * x + 0.1), [X], 9),
    "expm1": (lambda x: mt.expm1(x), [X], 9),
    "trunc": (lambda x: mt.trunc(x * 3), [X], 9),
    "atan2": (lambda y, x: mt.atan2(y, x), [np.array([[1, 1, -1, -1, 0, 0, 0, 2, -2]], "float32"), np.array([[2, -2, 2, -2, 3, -3, 0, 0, 0]], "float32")], 11),
    "hyperbolas": (lambda x: (mt.sinh(x), mt.cosh(x), mt.asinh(x), mt.atanh(x * 0.2)), [X], 9),
    "det": (lambda x: mt.linalg.det(x[:, :3]), [X], 11),
    "einsum": (lambda x, y: mt.einsum("ij,kj->ik", x, y), [X, X[:2]], 9),
    "flip and roll": (lambda x: mt.roll(mt.flip(x, (1,)), 2, 1), [X], 10),
    "triangle": (lambda x: mt.tril(x, 1), [X], 9),
    "prod": (lambda x: mt.prod(x, 1), [X], 9),
    "logsumexp": (lambda x: mt.logsumexp(x, 1), [X], 9),
}


@pytest.mark.parametrize("name", OPS)
def test_op(name, tmp_path):
    f, inputs, since = OPS[name]
    shapes, dtypes = [x.shape for x in inputs], [str(x.dtype) for x in inputs]
    module = nn.GraphModule(mt.trace(f, shapes, dtypes)).eval()
    want = flat(module(*inputs))
    for opset in (since, OPSETS[-1]):
        export_onnx(module, shapes, tmp_path / "m.onnx", opset_version=opset, input_dtypes=dtypes)
        for ours, theirs, read in zip(want, judged(tmp_path / "m.onnx", inputs), flat(load_onnx(tmp_path / "m.onnx")(*inputs)), strict=True):
            agree(ours.numpy(), theirs)
            agree(read.numpy(), theirs)
    if since > 9:
        with pytest.raises(NotImplementedError, match=f"opset {since}"):
            export_onnx(module, shapes, tmp_path / "n.onnx", opset_version=since - 1, input_dtypes=dtypes)
        assert not (tmp_path / "n.onnx").exists()


@pytest.mark.parametrize("opset", OPSETS)
def test_a_net_in_every_opset(opset, tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.SiLU(), nn.MaxPool2d(2), nn.ConvTranspose2d(8, 4, 2, 2), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 8), nn.LayerNorm(8), nn.GELU(), nn.Softmax(-1)).eval()
    x = np.random.default_rng(5).normal(size=(2, 3, 8, 8)).astype("float32")
    report = export_onnx(net, (2, 3, 8, 8), tmp_path / "m.onnx", opset_version=opset)
    assert report.opset == opset == onnx.load(tmp_path / "m.onnx").opset_import[0].version
    wanted = next(row[1] for row in onnx.helper.VERSION_TABLE if row[2] >= opset)
    assert report.ir_version <= wanted
    agree(net(x).numpy(), judged(tmp_path / "m.onnx", [x])[0])
    for quantization in ("qdq", "dynamic") if 13 <= opset <= 25 else ():  # onnxruntime 1.32 has no QuantizeLinear of later ones
        integers = mt.edge.quantize_model(net, calibration_data=[x]) if quantization == "qdq" else net
        export_onnx(integers, (2, 3, 8, 8), tmp_path / "q.onnx", opset_version=opset, quantization=quantization)
        agree(judged(tmp_path / "q.onnx", [x])[0], net(x).numpy(), 0.05)
    with pytest.raises(NotImplementedError, match="9 to"):
        export_onnx(net, (2, 3, 8, 8), tmp_path / "n.onnx", opset_version=99)
