"""Nets that several rooms' tests quantise, prune, measure and export."""

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
