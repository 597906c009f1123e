"""Nets that several rooms' tests quantise, prune, measure and export."""

import copy

import numpy as np

import miniten as mt
from miniten import nn


def small_net(seed=3):
    """Convolution, batch norm, depthwise and pointwise, pooling, linear: (N, 1, 8, 8) -> (N, 4)."""
    mt.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.DepthwiseSeparableConv2d(8, 16, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 4),
    )
    for i in range(3):
        net(images(16, i))
    return net.eval()


def fresh_net(seed=3):
    """The same, never called."""
    mt.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.DepthwiseSeparableConv2d(8, 16, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 4),
    )


SMALL_SHAPE = (1, 1, 8, 8)
SMALL_WEIGHTS = {"0.weight": 72, "3.depthwise.weight": 72, "3.pointwise.weight": 128, "7.weight": 1024}


def images(n, seed):
    return np.random.default_rng(seed).normal(size=(n, 1, 8, 8)).astype("float32")


class Residual(nn.Module):
    """Convolutions, an addition and a concatenation: (N, 4, H, W) -> (N, 6)."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(4, 4, 3, padding=1)
        self.b = nn.Conv2d(4, 4, 3, padding=1)
        self.c = nn.Conv2d(8, 6, 1)

    def forward(self, x):
        x = mt.relu(self.a(x))
        y = mt.relu(self.b(x) + x)
        return self.c(mt.cat([x, y], 1)).mean((2, 3))


def snapshot(model):
    """Everything that a model holds, to tell whether something changed it."""
    return {name: t.numpy().copy() for name, t in model.state_dict().items()}, model.training


def same_snapshot(a, b):
    return a[1] == b[1] and list(a[0]) == list(b[0]) and all(a[0][k].dtype == b[0][k].dtype and np.array_equal(a[0][k], b[0][k]) for k in a[0])


class Grouped(nn.Module):
    """Grouped and strided convolutions, average pooling, an activation that is not 0 at 0."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.b = nn.Conv2d(8, 12, 3, padding=1, groups=2)
        self.c = nn.Conv2d(12, 24, 3, padding=1, groups=12)  # depthwise, two outputs for each input
        self.d = nn.Conv2d(24, 6, 1)
        self.pool = nn.AvgPool2d(2)

    def forward(self, x):
        x = mt.sigmoid(self.a(x))
        x = self.pool(mt.tanh(self.b(x)))
        return self.d(mt.sigmoid(self.c(x))).mean((2, 3))


class Blocks(nn.Module):
    """Residual blocks, one with a convolution in its shortcut; batch norms."""

    def __init__(self):
        super().__init__()
        self.stem, self.stem_norm = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.a1, self.n1, self.a2, self.n2 = nn.Conv2d(8, 10, 3, padding=1, bias=False), nn.BatchNorm2d(10), nn.Conv2d(10, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.b1, self.b2, self.cut = nn.Conv2d(8, 12, 3, stride=2, padding=1), nn.Conv2d(12, 16, 3, padding=1), nn.Conv2d(8, 16, 1, stride=2)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        x = mt.relu(self.stem_norm(self.stem(x)))
        x = mt.relu(self.n2(self.a2(mt.relu(self.n1(self.a1(x))))) + x)
        x = mt.relu(self.b2(mt.relu(self.b1(x))) + self.cut(x))
        return self.head(x.mean((2, 3)))


class Gate(nn.Module):
    """Two halves of one convolution's channels multiplied, then a dense layer behind a flatten."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(8, 6, 3, padding=1), nn.Linear(6 * 16, 20)
        self.d = nn.Linear(20, 3)

    def forward(self, x):
        x = self.a(x)
        x = x[:, :8] * mt.sigmoid(x[:, 8:])
        return self.d(mt.relu(self.c(self.b(x).flatten(1))))


class Attention(nn.Module):
    """Heads are cut whole."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.out = nn.Linear(12, 24), nn.Linear(12, 24), nn.Linear(12, 24), nn.Linear(24, 7)

    def forward(self, x):
        n, t, _ = x.shape
        split = lambda y: y.reshape(n, t, 6, 4).permute(0, 2, 1, 3)  # noqa: E731
        q, k, v = split(self.q(x)), split(self.k(x)), split(self.v(x))
        y = mt.softmax(q.matmul(k.transpose(2, 3)) * 0.5, -1).matmul(v)
        return self.out(y.permute(0, 2, 1, 3).reshape(n, t, 24))


NETS = {
    "small": (small_net, (2, 1, 8, 8)), "residual": (Residual, (2, 4, 9, 9)), "grouped": (Grouped, (2, 3, 12, 12)), "blocks": (Blocks, (2, 3, 8, 8)),
    "gate": (Gate, (2, 3, 4, 4)), "attention": (Attention, (2, 5, 12)),
}


def zeroed(net, kept):
    """The net with everything outside the kept indices at zero."""
    net = copy.deepcopy(net)
    state = dict(net.state_dict())
    with mt.no_grad():
        for name, axes in kept.items():
            if "running" in name:
                continue
            t = state[name]
            full = t.numpy().copy()
            for axis, indices in axes.items():
                gone = np.setdiff1d(np.arange(full.shape[axis]), indices)
                full[(slice(None),) * axis + (gone,)] = 0
            t[...] = mt.tensor(full)
    return net
