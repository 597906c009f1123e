"""Models of the kinds that the world deploys, written by torch and onnxruntime or by hand, judged by onnxruntime: what they compute, and how they run."""

import io
import warnings

import numpy as np
import pytest
from judges import judge

from miniten.edge import export_onnx, load_onnx

onnx, ort, torch = judge("onnx"), judge("onnxruntime"), judge("torch")
RNG = np.random.default_rng(7)


def rand(*shape):
    return RNG.normal(size=shape).astype("float32")


def written(module, *example, **how):
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), example, buffer, dynamo=False, opset_version=17, **how)
    return buffer.getvalue()


def parse(text, opset=17, **weights):
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]>\n' + text)
    for name, w in weights.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(w), name))
    return model.SerializeToString()


def agree(data, *rounds, tol=2e-5):
    """MiniTen and onnxruntime on the same file, one module for all rounds of inputs -> the module."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    module = load_onnx(data)
    for inputs in rounds:
        want = session.run(None, {i.name: x for i, x in zip(session.get_inputs(), inputs, strict=True)})
        got = module(*inputs)
        for g, w in zip(got if isinstance(got, tuple) else (got,), want, strict=True):
            g = np.array(g)
            assert g.shape == w.shape and g.dtype == w.dtype, (g.shape, g.dtype, w.shape, w.dtype)
            assert np.abs(g.astype("float64") - w).max(initial=0) <= tol * max(1, np.abs(w.astype("float64")).max(initial=0))
    return module


def detector():
    """A backbone, two heads, boxes decoded and sorted out by NonMaxSuppression, the best gathered."""
    return parse("""
        net (float[1, 3, 32, 32] x) => (float[K, 4] boxes, float[K, 1] scores) {
          a = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(x, w1)  b = Relu(a)
          c = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(b, w2)  d = Relu(c)
          raw = Conv(d, wb)  heat = Conv(d, ws)
          flat = Constant<value_ints = [1, 4, 64]>()  rows = Reshape(raw, flat)  turned = Transpose<perm = [0, 2, 1]>(rows)
          spread = Sigmoid(turned)  placed = Add(spread, grid)
          one = Constant<value_ints = [1, 1, 64]>()  s = Reshape(heat, one)  score = Sigmoid(s)
          most = Constant<value_ints = [10]>()  iou = Constant<value_floats = [0.4]>()  least = Constant<value_floats = [0.55]>()
          kept = NonMaxSuppression(placed, score, most, iou, least)
          two = Constant<value_ints = [2]>()  three = Constant<value_ints = [3]>()  last = Constant<value_ints = [1]>()
          index = Slice(kept, two, three, last)  zero = Constant<value_ints = [1]>()
          which = Squeeze(index, zero)
          every = Squeeze(placed, first)  boxes = Gather<axis = 0>(every, which)
          tall = Transpose<perm = [0, 2, 1]>(score)  each = Squeeze(tall, first)  scores = Gather<axis = 0>(each, which) }""",
        w1=rand(8, 3, 3, 3) * 0.3, w2=rand(8, 8, 3, 3) * 0.2, wb=rand(4, 8, 1, 1), ws=rand(1, 8, 1, 1) * 2, first=np.array([0]),
        grid=np.stack([np.tile(np.arange(8), 8) * 0.5, np.repeat(np.arange(8), 8) * 0.5, np.tile(np.arange(8), 8) * 0.5 + 1, np.repeat(np.arange(8), 8) * 0.5 + 1], 1)[None].astype("float32"))


def test_a_detector_with_non_max_suppression():
    module = agree(detector(), *[(rand(1, 3, 32, 32) * k,) for k in (1, 2, 0.5, 3)])
    assert "NonMaxSuppression" in module.runs_by_node
    assert 1 <= module.compiled  # the backbone is one graph; only what follows from values runs alone


class Ocr(torch.nn.Module):
    """Convolutions, columns as steps, a bidirectional LSTM, scores for CTC."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Conv2d(8, 16, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d((2, 1)))
        self.rnn, self.head = torch.nn.LSTM(16 * 4, 12, bidirectional=True, batch_first=True), torch.nn.Linear(24, 11)

    def forward(self, x):
        y = self.conv(x)
        y = y.permute(0, 3, 1, 2).flatten(2)
        scores = self.head(self.rnn(y)[0]).log_softmax(-1)
        return scores, scores.argmax(-1)


def test_text_recognition_with_an_lstm():
    torch.manual_seed(1)
    data = written(Ocr(), torch.randn(1, 1, 16, 40), input_names=["image"], dynamic_axes={"image": {0: "n", 3: "width"}})
    agree(data, (rand(1, 1, 16, 40),), (rand(3, 1, 16, 64),), (rand(1, 1, 16, 30),))


def voice():
    """As voice detectors are: the sampling rate picks a network by If, another If inside looks at the state."""
    branch = """{{ s{k} = Conv<strides = [{stride}]>(frames, w{k})  r{k} = Relu(s{k})  m{k} = ReduceMean<axes = [2], keepdims = 0>(r{k})
        total{k} = ReduceSum<keepdims = 0>(h)  zero{k} = Constant<value_float = 0.0>()  seen{k} = Greater(total{k}, zero{k})
        mixed{k} = If(seen{k})<then_branch = old{k} () => (float[N, 6] p{k}) {{ p{k} = Add(m{k}, h) }}, else_branch = new{k} () => (float[N, 6] q{k}) {{ q{k} = Tanh(m{k}) }}>
        out{k} = Identity(mixed{k}) }}"""
    return parse("""
        net (float[N, T] x, float[N, 6] h, int64 rate) => (float[N, 1] speech, float[N, 6] state) {
          frames = Unsqueeze(x, one)  fast = Constant<value_int = 16000>()  is_fast = Equal(rate, fast)
          state = If(is_fast)<then_branch = a () => (float[N, 6] out1) """ + branch.format(k=1, stride=4) + ", else_branch = b () => (float[N, 6] out2) " + branch.format(k=2, stride=2) + """>
          y = MatMul(state, w)  speech = Sigmoid(y) }""",
        one=np.array([1]), w1=rand(6, 1, 16) * 0.3, w2=rand(6, 1, 8) * 0.3, w=rand(6, 1))


def test_voice_activity_with_nested_branches():
    quiet, loud = np.zeros((1, 6), "float32"), np.ones((1, 6), "float32")
    rate = {r: np.array(r, "int64") for r in (8000, 16000)}
    rounds = [(rand(1, 128), h, rate[r]) for r in (8000, 16000) for h in (quiet, loud)]
    module = agree(voice(), *rounds, *rounds[::-1])
    made = module.compiled
    agree_again = [module(*inputs) for inputs in rounds * 3]
    assert len(agree_again) == 12 and module.compiled == made > 0  # a steady state: nothing is compiled again


def test_a_classifier_of_bytes():
    class Bytes(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.conv, self.gate, self.head = torch.nn.Embedding(257, 8), torch.nn.Conv1d(8, 16, 8, 4), torch.nn.Conv1d(8, 16, 8, 4), torch.nn.Linear(16, 3)

        def forward(self, x):
            y = self.table(x).transpose(1, 2)
            return self.head(torch.amax(self.conv(y) * torch.sigmoid(self.gate(y)), 2)).softmax(-1)

    data = written(Bytes(), torch.randint(0, 257, (1, 64)), input_names=["bytes"], dynamic_axes={"bytes": {0: "n", 1: "length"}})
    agree(data, *[(RNG.integers(0, 257, (n, t)),) for n, t in ((1, 64), (2, 200), (1, 33))])


def test_a_wake_word():
    layers = [torch.nn.Conv1d(10, 16, 3, padding=1)]
    for d in (1, 2, 4):
        layers += [torch.nn.BatchNorm1d(16), torch.nn.Hardswish(), torch.nn.Conv1d(16, 16, 3, padding=d, dilation=d, groups=16), torch.nn.Conv1d(16, 16, 1)]
    net = torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool1d(1), torch.nn.Flatten(), torch.nn.Linear(16, 4), torch.nn.Softmax(-1))
    agree(written(net, torch.randn(1, 10, 49), input_names=["mfcc"], dynamic_axes={"mfcc": {0: "n"}}), (rand(1, 10, 49),), (rand(5, 10, 49),))


class Sentences(torch.nn.Module):
    """A small BERT: embeddings, attention under a mask, the mean over what is not padding, of length 1."""

    def __init__(self, width=16, heads=2):
        super().__init__()
        self.heads = heads
        self.words, self.places, self.norm = torch.nn.Embedding(50, width), torch.nn.Embedding(32, width), torch.nn.LayerNorm(width)
        self.q, self.k, self.v, self.o = (torch.nn.Linear(width, width) for _ in range(4))
        self.up, self.down, self.last = torch.nn.Linear(width, 32), torch.nn.Linear(32, width), torch.nn.LayerNorm(width)

    def forward(self, ids, mask):
        n, t = ids.shape
        x = self.norm(self.words(ids) + self.places(torch.arange(t, device=ids.device)))
        q, k, v = (f(x).view(n, t, self.heads, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        scores = q @ k.transpose(-1, -2) / 8**0.5 + (1.0 - mask[:, None, None, :].float()) * -10000.0
        x = self.last(x + self.o((scores.softmax(-1) @ v).transpose(1, 2).reshape(n, t, -1)))
        x = x + self.down(torch.nn.functional.gelu(self.up(x)))
        kept = mask.unsqueeze(-1).float()
        return torch.nn.functional.normalize((x * kept).sum(1) / kept.sum(1).clamp(min=1e-9), dim=1)


def tokens(n, t):
    return RNG.integers(0, 50, (n, t)), (np.arange(t)[None] < RNG.integers(1, t + 1, (n, 1))).astype("int64")


def test_a_sentence_encoder():
    torch.manual_seed(3)
    axes = {name: {0: "n", 1: "t"} for name in ("ids", "mask")}
    data = written(Sentences(), *map(torch.tensor, tokens(2, 7)), input_names=["ids", "mask"], output_names=["sentence"], dynamic_axes=axes)
    module = agree(data, tokens(1, 5), tokens(3, 12), tokens(1, 1), tokens(1, 5))
    assert getattr(module, "runs_by_node", "") == ""


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c, self.head = torch.nn.Conv2d(3, 8, 3, 2, 1), torch.nn.Conv2d(8, 8, 3, 1, 1, groups=8), torch.nn.Conv2d(8, 8, 1), torch.nn.Linear(8, 5)

    def forward(self, x):
        x = torch.relu(self.a(x))
        x = x + torch.relu(self.c(torch.relu(self.b(x))))
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize("form", ["dynamic", "QDQ", "QOperator"])
def test_integers_as_onnxruntime_quantises(form, tmp_path):
    quantization = judge("onnxruntime.quantization")
    torch.manual_seed(5)
    (tmp_path / "float.onnx").write_bytes(written(Small(), torch.randn(1, 3, 16, 16), input_names=["x"], dynamic_axes={"x": {0: "n"}}))
    if form == "dynamic":
        quantization.quantize_dynamic(tmp_path / "float.onnx", tmp_path / "q.onnx", op_types_to_quantize=["MatMul", "Gemm", "Conv"])
    else:
        class Reader(quantization.CalibrationDataReader):
            batches = iter([{"x": rand(4, 3, 16, 16)} for _ in range(4)])

            def get_next(self):
                return next(self.batches, None)

        quantization.quantize_static(tmp_path / "float.onnx", tmp_path / "q.onnx", Reader(), quant_format=getattr(quantization.QuantFormat, form), per_channel=form == "QDQ")
    data = (tmp_path / "q.onnx").read_bytes()
    x = rand(4, 3, 16, 16)
    step = np.abs(agree((tmp_path / "float.onnx").read_bytes(), (x,))(x).numpy()).max() / 100
    agree(data, (x,), (rand(1, 3, 16, 16),), tol=1e-5 if form == "dynamic" else max(step, 0.02))


def test_out_and_in_again_is_the_same(tmp_path):
    torch.manual_seed(6)
    data = written(Sentences(), *map(torch.tensor, tokens(2, 6)), input_names=["ids", "mask"])
    module, inputs = load_onnx(data), tokens(2, 6)
    export_onnx(module, [x.shape for x in inputs], tmp_path / "m.onnx", input_dtypes=["int64", "int64"])
    again = agree((tmp_path / "m.onnx").read_bytes(), inputs)
    np.testing.assert_allclose(np.array(again(*inputs)), np.array(module(*inputs)), atol=1e-6)
    assert {n for n, _ in again.named_parameters()} >= {n for n, _ in module.named_parameters() if "words" in n or "norm" in n}
