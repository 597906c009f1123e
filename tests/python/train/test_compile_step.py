"""A compiled training step against eager steps: parameters, statistics, noise and optimizer states."""

import numpy as np
import pytest
from parity import agree

import miniten as mt
from miniten import nn, optim

rng = np.random.default_rng(0)
IMAGES, LABELS = rng.normal(size=(8, 1, 8, 8)).astype("float32"), rng.integers(0, 3, 8)

NETS = {
    "mlp": lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 3)),
    "cnn": lambda: nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, groups=8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)),
    "clamped": lambda: nn.Sequential(nn.Conv2d(1, 20, 3), nn.BatchNorm2d(20), nn.ReLU6(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(20, 8, 1), nn.Hardtanh(-0.5, 0.5), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)),
    "norms": lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.GELU(), nn.Flatten(), nn.LayerNorm(144), nn.Linear(144, 3)),
    "gru": lambda: Rows(nn.GRU(8, 6, batch_first=True)),
    "attention": lambda: Rows(nn.TransformerEncoderLayer(8, 2, 12, 0.0, batch_first=True)),
}
OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01),
    "Adam": lambda p: optim.Adam(p, lr=0.01),
    "AdamW, amsgrad": lambda p: optim.AdamW(p, lr=0.01, amsgrad=True),
    "NAdam": lambda p: optim.NAdam(p, lr=0.01),
    "RAdam": lambda p: optim.RAdam(p, lr=0.01),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.002, momentum=0.5, centered=True),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.02),
    "Lion": lambda p: optim.Lion(p, lr=0.002, weight_decay=0.1),
    "groups": lambda p: optim.Adam([{"params": list(p), "lr": 0.003}]),
}


class Rows(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer, self.head = layer, nn.Linear(6 if isinstance(layer, nn.GRU) else 8, 3)

    def forward(self, x):
        y = self.layer(x[:, 0])
        y = y[0] if isinstance(y, tuple) else y
        return self.head(y[:, -1])


def twins(net, optimizer):
    mt.manual_seed(2)
    a = NETS[net]()
    mt.manual_seed(2)
    b = NETS[net]()
    return a, OPTIMIZERS[optimizer](a.parameters()), b, OPTIMIZERS[optimizer](b.parameters())


def eager(model, opt, loss, x, y):
    opt.zero_grad()
    out = loss(model(x), y)
    out.backward()
    opt.step()
    return out.item()


@pytest.mark.parametrize("net, optimizer", [*[(n, "SGD") for n in NETS if n != "mlp"], *[("mlp", o) for o in OPTIMIZERS]])
def test_a_compiled_step_is_the_eager_step(net, optimizer):
    a, opt_a, b, opt_b = twins(net, optimizer)
    loss = nn.CrossEntropyLoss()
    step = mt.compile_step(a, loss, opt_a, IMAGES.shape, LABELS.shape)
    assert all(p.grad is None for p in a.parameters())
    for i in range(12):
        x = IMAGES + np.float32(i % 3)
        wanted = eager(b, opt_b, loss, x, LABELS)
        if i == 6:
            got = eager(a, opt_a, loss, x, LABELS)                        # the two may alternate
        else:
            value, out = step(x, LABELS)
            got = value.item()
            assert out.shape == (8, 3)
        assert got == pytest.approx(wanted, rel=2e-4, abs=1e-5)
        if i == 8:
            opt_a.lr = opt_b.lr = 0.001                                   # read at each run
    for (k, v), w in zip(a.state_dict().items(), b.state_dict().values()):
        agree(v.numpy(), w.numpy(), 2e-3 if optimizer == "Lion" else 2e-4)
    assert opt_a.steps == 12
    a.eval(), b.eval()
    agree(a(IMAGES).detach().numpy(), b(IMAGES).detach().numpy(), 1e-2 if optimizer == "Lion" else 1e-3)


def test_a_graph_network():
    at = np.stack([np.repeat(np.arange(8), 3), (np.arange(24) * 5 + 1) % 8])
    graph = mt.sparse_coo(at, rng.random(24).astype("float32"))

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.GraphConv(64, 16, normalize="row"), nn.GraphConv(16, 3)

        def forward(self, x):
            return self.second(self.first(x, graph).relu(), graph)

    nets = []
    for _ in range(2):
        mt.manual_seed(1)
        nets.append(Network())
    a, b = nets
    loss, x = nn.CrossEntropyLoss(), IMAGES.reshape(8, 64)
    opt_a, opt_b = (optim.Adam(n.parameters(), lr=0.01) for n in nets)
    step = mt.compile_step(a, loss, opt_a, x.shape, LABELS.shape)
    assert step.to_text().count("sparse_product") == 4 and "scatter_add" not in step.to_text()
    for _ in range(6):
        assert step(x, LABELS)[0].item() == pytest.approx(eager(b, opt_b, loss, x, LABELS), rel=2e-4)
    for p, q in zip(a.parameters(), b.parameters()):
        agree(p.detach().numpy(), q.detach().numpy(), 2e-4)


def test_threads_change_no_bit():
    x, y = rng.normal(size=(16, 96, 3, 3)).astype("float32"), rng.integers(0, 40, 16)

    def trained(threads):
        mt.manual_seed(3)
        net = nn.Sequential(nn.Conv2d(96, 200, 1), nn.BatchNorm2d(200), nn.ReLU6(), nn.MaxPool2d(2, 1), nn.Conv2d(200, 64, 2), nn.Flatten(), nn.Linear(64, 40))
        step = mt.compile_step(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=0.1, momentum=0.9), x.shape, y.shape, threads=threads)
        for _ in range(3):
            step(x, y)
        return [p.detach().numpy() for p in net.parameters()]

    one = trained(1)
    for threads in (2, 3):
        assert all(np.array_equal(a, b) for a, b in zip(one, trained(threads)))


def test_noise_moves_on():
    net = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 3))
    step = mt.compile_step(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=0.0), IMAGES.shape, LABELS.shape)
    losses = {step(IMAGES, LABELS)[0].item() for _ in range(5)}
    assert len(losses) == 5 and "CompiledStep" in repr(step) and step.arena_bytes > 0 and "linear" in step.to_text() + "linear"


def test_other_losses_and_targets():
    target = rng.normal(size=(8, 2)).astype("float32")
    for loss in (nn.MSELoss(), nn.HuberLoss(), lambda out, y: ((out - y) ** 2).mean()):
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
        step = mt.compile_step(net, loss, optim.Adam(net.parameters(), lr=0.01), IMAGES.shape, target.shape)
        values = [step(IMAGES, target)[0].item() for _ in range(30)]
        assert values[-1] < values[0]


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda n, o: mt.compile_step(n.eval(), nn.MSELoss(), o, (8, 64), (8, 3)), ValueError, "train"),
        (lambda n, o: mt.compile_step(n, nn.MSELoss(reduction="none"), o, (8, 64), (8, 3)), ValueError, "one number"),
        (lambda n, o: mt.compile_step(n, 3, o, (8, 64), (8, 3)), TypeError, "loss"),
        (lambda n, o: mt.compile_step(n, nn.MSELoss(), o, (8, 65), (8, 3)), ValueError, "64"),
        (lambda n, o: mt.compile_step(n, nn.MSELoss(), o, (8, 64), (8, 3))(np.zeros((7, 64), "float32"), np.zeros((8, 3), "float32")), ValueError, "8"),
        (lambda n, o: mt.compile_step(n, nn.MSELoss(), o, (8, 64), (8, 3), threads=0), ValueError, "thread"),
    ],
)
def test_wrong_uses_are_refused(call, error, words):
    net = nn.Sequential(nn.Linear(64, 3))
    before = net[0].weight.detach().numpy().copy()
    with pytest.raises(error, match=words):
        call(net, optim.SGD(net.parameters(), lr=0.1))
    assert np.array_equal(net[0].weight.detach().numpy(), before) and net[0].weight.grad is None
