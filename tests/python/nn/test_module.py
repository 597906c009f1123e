"""Module: registration, state, modes, containers, Python subclasses among C++ layers."""

import copy
import pickle

import numpy as np
import pytest

import miniten as mt
from miniten import nn


class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.width = width
        self.features = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Linear(width * 16, 3)
        self.scale = nn.Parameter(mt.ones(3))
        self.register_buffer("offset", np.zeros(3, "float32"))

    def forward(self, x):
        return self.head(self.features(x).flatten(1)) * self.scale + self.offset


NAMES = [
    "scale", "offset", "features.0.weight", "features.0.bias", "features.1.weight", "features.1.bias", "features.1.running_mean",
    "features.1.running_var", "features.1.num_batches_tracked", "head.weight", "head.bias",
]


def image(n=2):
    return np.random.default_rng(0).normal(size=(n, 1, 8, 8)).astype("float32")


def test_names_follow_torch():
    net = Net()
    assert list(net.state_dict()) == NAMES
    assert [n for n, _ in net.named_parameters()] == [n for n in NAMES if "running" not in n and "num_" not in n and n != "offset"]
    assert [n for n, _ in net.named_buffers()] == ["offset", "features.1.running_mean", "features.1.running_var", "features.1.num_batches_tracked"]
    assert [n for n, _ in net.named_children()] == ["features", "head"]
    assert [n for n, _ in net.named_modules()] == ["", "features", "features.0", "features.1", "features.2", "features.3", "head"]
    assert all(isinstance(p, nn.Parameter) for p in net.parameters())
    assert net.features[0].weight is dict(net.named_parameters())["features.0.weight"]


def test_attributes_register_and_unregister():
    m = nn.Module()
    m.a = nn.Linear(2, 2)
    m.p = nn.Parameter(mt.ones(2))
    m.t = mt.ones(2)
    m.n = 3
    assert list(m.state_dict()) == ["p", "a.weight", "a.bias"] and m.__dict__.keys() == {"t", "n"}
    m.n = nn.Identity()
    assert "n" not in m.__dict__ and isinstance(m.n, nn.Identity)
    m.a = None
    m.p = None
    assert m.a is None and m.p is None and list(m.state_dict()) == []
    m.p = nn.Parameter(mt.zeros(1))
    assert list(m.state_dict()) == ["p"]
    del m.n, m.t
    for name in ("n", "t", "missing"):
        with pytest.raises(AttributeError, match=name):
            getattr(m, name)
        with pytest.raises(AttributeError):
            delattr(m, name)
    with pytest.raises(TypeError, match="Parameter"):
        m.p = mt.ones(2)
    m.register_buffer("b", [1.0, 2.0])
    m.b = mt.zeros(2)
    assert m.b.tolist() == [0, 0]
    with pytest.raises(TypeError, match="buffer 'b'"):
        m.b = 3
    m.register_buffer("b", None)
    assert m.b is None
    assert {"p", "b"} <= set(dir(m)) and "forward" in dir(m)
    for name in ("", "a.b"):
        with pytest.raises(ValueError, match="dots"):
            m.add_module(name, nn.Identity())
    with pytest.raises(ValueError, match="cycle"):
        m.me = m


def test_shared_parameters_count_once():
    m = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    m[1].weight = m[0].weight
    assert [n for n, _ in m.named_parameters()] == ["0.weight", "0.bias", "1.bias"] and len(m.state_dict()) == 4
    m(mt.ones(1, 3)).sum().backward()
    assert m[1].weight.grad is m[0].weight.grad


def test_state_dict_shares_memory_and_loads_strictly():
    a, b = Net(), Net()
    state = a.state_dict()
    assert not state["head.weight"].requires_grad
    state["head.bias"][0] = 42
    assert a.head.bias.tolist()[0] == 42
    result = b.load_state_dict({k: v.numpy() for k, v in state.items()})
    assert result.missing_keys == [] and result.unexpected_keys == []
    assert np.array_equal(b.eval()(image()).numpy(), a.eval()(image()).numpy())
    before = b.head.bias.tolist()
    broken = dict(state, **{"head.weight": np.zeros((1, 2), "float32"), "extra": np.zeros(1), "head.bias": np.ones(3)})
    del broken["scale"]
    with pytest.raises(ValueError) as e:
        b.load_state_dict(broken)
    assert all(word in str(e.value) for word in ("missing scale", "unexpected extra", "head.weight: wanted (3, 64), got (1, 2)"))
    assert b.head.bias.tolist() == before
    del broken["head.weight"]
    missing, unexpected = b.load_state_dict(broken, strict=False)
    assert missing == ["scale", "head.weight"] and unexpected == ["extra"] and b.head.bias.tolist() == [1, 1, 1]
    with pytest.raises(TypeError, match="dict"):
        b.load_state_dict([1])


def test_modes_and_gradients():
    net = Net()
    assert net.training and net.train() is net and net.eval() is net and not net.features[1].training
    net.training = True
    assert net.features[1].training
    net(image()).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    assert net.requires_grad_(False) is net and not net(image()).requires_grad
    seen = []
    assert net.apply(lambda m: seen.append(type(m).__name__)) is net
    assert seen == ["Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d", "Sequential", "Linear", "Net"]


def test_repr():
    assert repr(Net(2)) == (
        "Net(\n  (features): Sequential(\n    (0): Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))\n"
        "    (1): BatchNorm2d(2, eps=0.000010, momentum=0.1, affine=True, track_running_stats=True)\n    (2): ReLU()\n    (3): MaxPool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0))\n  )\n"
        "  (head): Linear(in_features=32, out_features=3, bias=True)\n)"
    ).replace("eps=0.000010", repr(Net(2)).split("eps=")[1].split(",")[0].join(["eps=", ""]))

    class Named(nn.Linear):
        def extra_repr(self):
            return "mine, " + super().extra_repr()

    assert repr(nn.Sequential(Named(1, 2))) == "Sequential(\n  (0): Named(mine, in_features=1, out_features=2, bias=True)\n)"


def test_python_layers_among_native_ones():
    class Double(nn.Linear):
        def forward(self, x):
            return super().forward(x) * 2

    class Plain(nn.ReLU):
        pass

    class Two(nn.Module):
        def forward(self, x):
            return x, x * 2

    d = Double(3, 2)
    x = mt.randn(4, 3)
    plain = nn.functional.linear(x, d.weight, d.bias)
    assert np.allclose(d(x).numpy(), 2 * plain.numpy())
    seq = nn.Sequential(d, Plain())
    assert np.allclose(seq(x).numpy(), np.maximum(2 * plain.numpy(), 0))
    assert mt.trace(seq, (4, 3)).ops.count("mul") == 1 and isinstance(d, nn.Linear) and d.in_features == 3
    a, b = Two()(x)
    assert np.array_equal(b.numpy(), 2 * a.numpy())
    session = mt.compile(Two(), (4, 3))
    assert [r.shape for r in session.run(x)] == [(4, 3), (4, 3)]
    assert seq(x.numpy()).shape == (4, 2)


def test_forward_takes_and_gives_anything():
    class Odd(nn.Module):
        def forward(self, x, *, mode="a", extra=None):
            return {"y": x, "mode": mode, "extra": extra}

    assert Odd()(mt.ones(1), mode="b", extra=[1])["mode"] == "b"
    with pytest.raises(TypeError, match="Odd.*dict"):
        nn.Sequential(Odd())(mt.ones(1))
    with pytest.raises(NotImplementedError, match="forward"):
        nn.Module()(mt.ones(1))

    class Raises(nn.Module):
        def forward(self, x):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        nn.Sequential(nn.Identity(), Raises())(mt.ones(1))
    with pytest.raises(TypeError, match="position"):
        nn.ReLU()(x=mt.ones(1))
    for args in [(), (mt.ones(1), mt.ones(1))]:
        with pytest.raises(ValueError, match="ReLU.*one input"):
            nn.ReLU()(*args)


def test_containers():
    s = nn.Sequential({"a": nn.Linear(2, 3), "b": nn.ReLU()})
    assert list(s.state_dict()) == ["a.weight", "a.bias"] and s.a is s[0] and len(s) == 2 and s[-1] is s.b and [m for m in s] == [s.a, s.b]
    assert len(s[:1]) == 1 and s[:1][0] is s.a and s.append(nn.Identity()) is s and len(s) == 3
    for bad in (lambda: s[5], lambda: nn.ModuleList([nn.ReLU()])[3]):
        with pytest.raises(IndexError):
            bad()
    for wrong in (3, mt.relu, None):
        with pytest.raises(TypeError):
            nn.Sequential(wrong)

    class Many(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(2, 2) for _ in range(3)])
            self.heads = nn.ModuleDict({"x": nn.Linear(2, 1), "y": nn.Linear(2, 4)})

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return self.heads["y"](x)

    m = Many()
    assert m(mt.ones(1, 2)).shape == (1, 4) and len(m.layers) == 3 and m.layers[-1] is m.layers[2] and len(m.layers[:2]) == 2
    assert list(m.heads) == ["x", "y"] and "x" in m.heads and m.heads.items()[0][1] is m.heads["x"]
    assert list(m.state_dict())[:2] == ["layers.0.weight", "layers.0.bias"] and len(list(m.parameters())) == 10


def test_copies_share_nothing():
    net = Net().eval()
    net.note = {"list": [1]}
    net.features[0].tag = net.note
    other = copy.deepcopy(net)
    assert type(other) is Net and other.width == 4 and list(other.state_dict()) == NAMES and not other.training
    assert other.note == net.note and other.note is not net.note and other.features[0].tag is other.note
    assert np.array_equal(other(image()).numpy(), net(image()).numpy())
    with mt.no_grad():
        other.head.bias[0] = 100
    assert net.head.bias.tolist()[0] != 100
    for layer in (nn.Linear(2, 3, bias=False), nn.Conv2d(2, 4, 3, groups=2), nn.Dropout(0.3), nn.AvgPool2d(2), nn.Softmax(0), nn.CrossEntropyLoss(label_smoothing=0.5)):
        again = copy.deepcopy(layer)
        assert repr(again) == repr(layer) and list(again.state_dict()) == list(layer.state_dict())
    tied = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    tied[1].weight = tied[0].weight
    twin = copy.deepcopy(tied)
    assert twin[0].weight is twin[1].weight and twin[0].weight is not tied[0].weight
    with pytest.raises(TypeError, match="state_dict"):
        pickle.dumps(net)


def test_a_graph_is_a_module():
    net = Net().eval()
    g = nn.GraphModule(mt.trace(net, (2, 1, 8, 8)))
    x = image(3)
    np.testing.assert_allclose(g.eval()(x).numpy(), net(x).numpy(), atol=1e-6)
    np.testing.assert_allclose(g(**{g.graph.inputs[0].name: x}).numpy(), net(x).numpy(), atol=1e-6)
    for call, error in [(lambda: g(y=x), TypeError), (lambda: g(x, x), ValueError), (lambda: g(), ValueError), (lambda: g(x[:, :, :4]), ValueError)]:
        with pytest.raises(error):
            call()
    twin, before = copy.deepcopy(g), net(x).numpy()
    g.train()
    g(x).sum().backward()                                      # moves the running statistics that it shares with net
    assert all(p.grad is not None for p in g.parameters()) and len(list(g.parameters())) == len(list(net.parameters()))
    np.testing.assert_allclose(twin(x).numpy(), before, atol=1e-6)
