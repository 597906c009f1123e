"""from_torch and from_keras: modules of other frameworks by way of their own exporters, judged by what they compute themselves."""

import importlib.util
import os
import sys
import types

import numpy as np
import pytest
from judges import judge

import miniten as mt
from miniten import nn, optim
from miniten.edge import from_keras, from_torch

torch = judge("torch")


def agree(got, want, tol=1e-5):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    assert np.abs(got.astype("float64") - want).max(initial=0) <= tol * max(1, np.abs(want).max(initial=0))


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.BatchNorm2d(8)
        self.deep = torch.nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.drop, self.head = torch.nn.Dropout(0.5), torch.nn.Linear(8, 5)

    def forward(self, x):
        x = torch.relu(self.norm(self.conv(x)))
        return self.head(self.drop((x + torch.nn.functional.silu(self.deep(x))).mean((2, 3))))


class Words(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.rnn, self.head = torch.nn.Embedding(20, 6), torch.nn.LSTM(6, 5, 2, batch_first=True, bidirectional=True), torch.nn.Linear(10, 3)

    def forward(self, words):
        y, (h, _) = self.rnn(self.table(words))
        return self.head(y).log_softmax(-1), h


class Seq(torch.nn.Module):
    def forward(self, left, right, scale=None):
        return left + right if scale is None else (left - right) * scale


def encoder():
    return torch.nn.TransformerEncoder(torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, activation="gelu"), 2)


MODULES = {
    "convolutions": (Net, lambda n: torch.randn(n, 3, 8, 8)),
    "LSTM": (Words, lambda n: torch.randint(0, 20, (n, 7))),
    "GRU": (lambda: torch.nn.GRU(4, 6, batch_first=True), lambda n: torch.randn(n, 5, 4)),
    "transformer": (encoder, lambda n: torch.randn(n, 6, 16)),
    "transposed": (lambda: torch.nn.Sequential(torch.nn.ConvTranspose2d(3, 4, 3, 2, 1, 1), torch.nn.PReLU(4), torch.nn.Upsample(scale_factor=2)), lambda n: torch.randn(n, 3, 5, 6)),
    "groups": (lambda: torch.nn.Sequential(torch.nn.Conv1d(4, 8, 3), torch.nn.GroupNorm(2, 8), torch.nn.Hardswish(), torch.nn.Flatten(), torch.nn.LayerNorm(48)), lambda n: torch.randn(n, 4, 8)),
}


def flat(y):
    return [t for r in (y if isinstance(y, tuple) else (y,)) for t in (flat(r) if isinstance(r, tuple) else [r])]


@pytest.mark.parametrize("name", MODULES)
def test_torch_modules(name):
    torch.manual_seed(0)
    make, draw = MODULES[name]
    module = make().train()
    ours = from_torch(module, draw(2))
    assert module.training and not ours.training  # left as it was
    theirs = make().eval()
    theirs.load_state_dict(module.state_dict())
    for n in (2, 3):  # the batch is open
        x = draw(n)
        with torch.no_grad():
            for got, want in zip(flat(ours(x.numpy())), flat(theirs(x)), strict=True):
                agree(got.numpy(), want.numpy())


def test_parameters_keep_their_names_and_train():
    torch.manual_seed(1)
    module = Net()
    ours = from_torch(module, torch.randn(4, 3, 8, 8))
    names = {n for n, _ in ours.named_parameters()}
    assert {n.replace(".", "/") for n, _ in module.named_parameters()} == names
    x, labels = np.random.default_rng(0).normal(size=(32, 3, 8, 8)).astype("float32"), np.arange(32) % 5
    ours.train()
    loss, o = nn.CrossEntropyLoss(), optim.Adam(ours.parameters(), lr=0.02)
    first = float(loss(ours(x), labels).item())
    for _ in range(30):
        o.zero_grad()
        loss(ours(x), labels).backward()
        o.step()
    assert float(loss(ours(x), labels).item()) < 0.5 * first


def test_inputs_by_name_and_arrays():
    a, b = np.ones((2, 3), "float32"), np.full((2, 3), 2, "float32")
    assert from_torch(Seq(), (a, b))(a, b).tolist() == [[3] * 3] * 2
    ours = from_torch(Seq(), {"left": a, "right": b, "scale": b})
    assert ours(left=a, right=b, scale=b).tolist() == [[-2] * 3] * 2
    assert from_torch(Seq(), (mt.tensor(a), b), input_names=["p", "q"], output_names=["sum"])(p=a, q=b).tolist() == [[3] * 3] * 2


def test_open_sizes_are_as_asked():
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()).eval()
    ours = from_torch(net, torch.randn(1, 3, 8, 8), input_names=["x"], dynamic_axes={"x": {0: "n", 2: "h", 3: "w"}})
    for shape in ((1, 3, 8, 8), (2, 3, 10, 12)):
        x = torch.randn(*shape)
        agree(ours(x.numpy()).numpy(), net(x).detach().numpy())
    if importlib.util.find_spec("onnxscript") is None:
        with pytest.raises(ValueError, match="exporter wrote for the example's"):  # torch's tracer keeps the length of what attention splits
            from_torch(encoder(), torch.randn(2, 6, 16), dynamic_axes={"input": {1: "steps"}})


def test_what_is_wrong_is_told(monkeypatch):
    with pytest.raises(TypeError, match=r"torch.nn.Module.*list"):
        from_torch([], 1)
    with pytest.raises(ValueError, match="exporter"):
        from_torch(Net(), torch.randn(1, 3, 8, 8), exporter="onnx")
    with pytest.raises(ValueError, match="input_names"):
        from_torch(Net(), torch.randn(1, 3, 8, 8), input_names=["a", "b"])
    if importlib.util.find_spec("onnxscript") is None:
        with pytest.raises(NotImplementedError, match="onnxscript"):
            from_torch(Net(), torch.randn(1, 3, 8, 8), exporter="dynamo")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(NotImplementedError, match=r"from_torch.*package torch.*load_onnx"):
        from_torch(object(), 1)


def test_keras_is_told_to_be_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(NotImplementedError, match=r"from_keras.*package keras.*load_onnx"):
        from_keras(object())
    fake = types.ModuleType("keras")
    fake.Model = type("Model", (), {})
    fake.backend = types.SimpleNamespace(backend=lambda: "tensorflow")
    monkeypatch.setitem(sys.modules, "keras", fake)
    with pytest.raises(TypeError, match=r"keras.Model.*int"):
        from_keras(3)
    if importlib.util.find_spec("tf2onnx") is None:
        with pytest.raises(NotImplementedError, match=r"tf2onnx.*tensorflow"):
            from_keras(fake.Model())


def test_keras_models():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    judge("onnxscript")
    keras = judge("keras")
    layers, rng = keras.layers, np.random.default_rng(2)
    pictures = [layers.Input((8, 8, 3)), layers.Conv2D(4, 3, padding="same", activation="relu"), layers.BatchNormalization(), layers.MaxPooling2D(), layers.DepthwiseConv2D(3), layers.Flatten(), layers.Dense(5, activation="softmax")]
    for stack, shape in ((pictures, (2, 8, 8, 3)), ([layers.Input((6, 4)), layers.LSTM(5, return_sequences=True), layers.GRU(3), layers.Dense(2)], (2, 6, 4))):
        model, x = keras.Sequential(stack), rng.normal(size=shape).astype("float32")
        ours = from_keras(model, x)
        agree(ours(x).numpy(), keras.ops.convert_to_numpy(model(x, training=False)))
