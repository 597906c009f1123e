"""Networks of the sizes that small devices run, after the MLPerf Tiny reference models (Banbury et al. 2021), with random weights.

Each takes miniten.nn or torch.nn: the layers have the same names and arguments.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


def conv(nn: Any, i: int, o: int, k: int, stride: int = 1, groups: int = 1) -> list:
    return [nn.Conv2d(i, o, k, stride, k // 2, groups=groups, bias=False), nn.BatchNorm2d(o), nn.ReLU()]


def separable(nn: Any, i: int, o: int, stride: int = 1) -> list:
    return conv(nn, i, i, 3, stride, i) + conv(nn, i, o, 1)


def head(nn: Any, features: int, classes: int) -> list:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, classes)]


def residual(nn: Any, i: int, o: int, stride: int) -> Any:
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(*conv(nn, i, o, 3, stride), nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o))
            self.skip = nn.Identity() if stride == 1 and i == o else nn.Conv2d(i, o, 1, stride)
            self.relu = nn.ReLU()

        def forward(self, x):
            return self.relu(self.body(x) + self.skip(x))

    return Residual()


def resnet8(nn: Any) -> tuple[Any, tuple[int, ...]]:
    """Image classification: CIFAR-10 shapes."""
    blocks = [residual(nn, 16, 16, 1), residual(nn, 16, 32, 2), residual(nn, 32, 64, 2)]
    return nn.Sequential(*conv(nn, 3, 16, 3), *blocks, *head(nn, 64, 10)), (1, 3, 32, 32)


def ds_cnn(nn: Any) -> tuple[Any, tuple[int, ...]]:
    """Keyword spotting: 49 frames of 10 features."""
    layers = [nn.Conv2d(1, 64, (10, 4), 2, (4, 1), bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    for _ in range(4):
        layers += separable(nn, 64, 64)
    return nn.Sequential(*layers, *head(nn, 64, 12)), (1, 1, 49, 10)


def visual_wake_words(nn: Any) -> tuple[Any, tuple[int, ...]]:
    """Person or not: MobileNetV1 at a quarter of its width, 96x96."""
    layers, i = conv(nn, 3, 8, 3, 2), 8
    for o, stride in ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)):
        layers += separable(nn, i, o, stride)
        i = o
    return nn.Sequential(*layers, *head(nn, 256, 2)), (1, 3, 96, 96)


def autoencoder(nn: Any) -> tuple[Any, tuple[int, ...]]:
    """Anomaly detection: 640 features through 8."""
    layers: list = []
    sizes = [640, 128, 128, 128, 128, 8, 128, 128, 128, 128]
    for i, o in zip(sizes, sizes[1:]):
        layers += [nn.Linear(i, o), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(128, 640)), (1, 640)


def inverted_residual(nn: Any, i: int, o: int, stride: int, expand: int) -> Any:
    class InvertedResidual(nn.Module):
        def __init__(self):
            super().__init__()
            wide = i * expand
            layers = [nn.Conv2d(i, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6()] if expand > 1 else []
            layers += [nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.ReLU6()]
            self.body = nn.Sequential(*layers, nn.Conv2d(wide, o, 1, bias=False), nn.BatchNorm2d(o))
            self.adds = stride == 1 and i == o

        def forward(self, x):
            return x + self.body(x) if self.adds else self.body(x)

    return InvertedResidual()


def mobilenet_v2(nn: Any, width: float = 1, size: int = 224, classes: int = 1000) -> tuple[Any, tuple[int, ...]]:
    """1000 classes at 224x224 (Sandler et al. 2018)."""

    def wide(channels: int) -> int:
        n = max(8, int(channels * width + 4) // 8 * 8)
        return n + 8 if n < 0.9 * channels * width else n

    i, last = wide(32), max(1280, int(1280 * width))
    layers = [nn.Conv2d(3, i, 3, 2, 1, bias=False), nn.BatchNorm2d(i), nn.ReLU6()]
    for expand, o, times, stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)):
        for k in range(times):
            layers.append(inverted_residual(nn, i, wide(o), stride if k == 0 else 1, expand))
            i = wide(o)
    layers += [nn.Conv2d(i, last, 1, bias=False), nn.BatchNorm2d(last), nn.ReLU6()]
    return nn.Sequential(*layers, *head(nn, last, classes)), (1, 3, size, size)


def mobilenet_v2_small(nn: Any) -> tuple[Any, tuple[int, ...]]:
    """0.35 of its width, 10 classes at 96x96."""
    return mobilenet_v2(nn, 0.35, 96, 10)


def resnet18(nn: Any) -> tuple[Any, tuple[int, ...]]:
    """1000 classes at 224x224 (He et al. 2016)."""
    layers, i = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], 64
    for o, stride in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)):
        layers.append(residual(nn, i, o, stride))
        i = o
    return nn.Sequential(*layers, *head(nn, 512, 1000)), (1, 3, 224, 224)


def bottleneck(nn: Any, i: int, middle: int, stride: int) -> Any:
    class Bottleneck(nn.Module):
        def __init__(self):
            super().__init__()
            o = 4 * middle
            self.body = nn.Sequential(*conv(nn, i, middle, 1), *conv(nn, middle, middle, 3, stride), nn.Conv2d(middle, o, 1, bias=False), nn.BatchNorm2d(o))
            self.skip = nn.Identity() if stride == 1 and i == o else nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))
            self.relu = nn.ReLU()

        def forward(self, x):
            return self.relu(self.body(x) + self.skip(x))

    return Bottleneck()


def resnet50(nn: Any) -> tuple[Any, tuple[int, ...]]:
    """1000 classes at 224x224, strides in the 3x3 convolutions."""
    layers, i = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], 64
    for middle, times, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for k in range(times):
            layers.append(bottleneck(nn, i, middle, stride if k == 0 else 1))
            i = 4 * middle
    return nn.Sequential(*layers, *head(nn, 2048, 1000)), (1, 3, 224, 224)


def mobilenet_v3_small(nn: Any) -> tuple[Any, tuple[int, ...]]:
    """1000 classes at 224x224 (Howard et al. 2019)."""

    class Block(nn.Module):
        def __init__(self, i, wide, o, k, stride, squeeze, activation):
            super().__init__()
            layers = [nn.Conv2d(i, wide, 1, bias=False), nn.BatchNorm2d(wide), activation()] if wide != i else []
            self.wide = nn.Sequential(*layers, nn.Conv2d(wide, wide, k, stride, k // 2, groups=wide, bias=False), nn.BatchNorm2d(wide), activation())
            few = (wide // 4 + 4) // 8 * 8
            self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(wide, few, 1), nn.ReLU(), nn.Conv2d(few, wide, 1), nn.Hardsigmoid()) if squeeze else None
            self.narrow = nn.Sequential(nn.Conv2d(wide, o, 1, bias=False), nn.BatchNorm2d(o))
            self.adds = stride == 1 and i == o

        def forward(self, x):
            y = self.wide(x)
            if self.gate is not None:
                y = y * self.gate(y)
            y = self.narrow(y)
            return x + y if self.adds else y

    layers, i = [nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.Hardswish()], 16
    for k, wide, o, squeeze, activation, stride in (
        (3, 16, 16, True, nn.ReLU, 2), (3, 72, 24, False, nn.ReLU, 2), (3, 88, 24, False, nn.ReLU, 1), (5, 96, 40, True, nn.Hardswish, 2), (5, 240, 40, True, nn.Hardswish, 1),
        (5, 240, 40, True, nn.Hardswish, 1), (5, 120, 48, True, nn.Hardswish, 1), (5, 144, 48, True, nn.Hardswish, 1), (5, 288, 96, True, nn.Hardswish, 2),
        (5, 576, 96, True, nn.Hardswish, 1), (5, 576, 96, True, nn.Hardswish, 1),
    ):
        layers.append(Block(i, wide, o, k, stride, squeeze, activation))
        i = o
    layers += [nn.Conv2d(96, 576, 1, bias=False), nn.BatchNorm2d(576), nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(576, 1024), nn.Hardswish(), nn.Linear(1024, 1000)), (1, 3, 224, 224)


def detector(nn: Any) -> tuple[Any, tuple[int, ...]]:
    """A one-stage detector of nano size at 320x320: SiLU, split and joined bottlenecks, a pyramid, three raw heads of 84 + 60 values a cell."""
    cat = sys.modules[nn.__name__.split(".")[0]].cat

    def step(i, o, k=3, stride=1):
        return nn.Sequential(nn.Conv2d(i, o, k, stride, k // 2, bias=False), nn.BatchNorm2d(o), nn.SiLU())

    class Joined(nn.Module):
        def __init__(self, i, o, times, adds):
            super().__init__()
            self.half = o // 2
            self.first = step(i, o, 1)
            self.parts = nn.ModuleList([nn.Sequential(step(o // 2, o // 2), step(o // 2, o // 2)) for _ in range(times)])
            self.last = step((2 + times) * (o // 2), o, 1)
            self.adds = adds

        def forward(self, x):
            x = self.first(x)
            found = [x[:, : self.half], x[:, self.half :]]
            for part in self.parts:
                y = part(found[-1])
                found.append(found[-1] + y if self.adds else y)
            return self.last(cat(found, 1))

    class Pooled(nn.Module):
        def __init__(self, c):
            super().__init__()
            self.first, self.pool, self.last = step(c, c // 2, 1), nn.MaxPool2d(5, 1, 2), step(2 * c, c, 1)

        def forward(self, x):
            found = [self.first(x)]
            for _ in range(3):
                found.append(self.pool(found[-1]))
            return self.last(cat(found, 1))

    class Detector(nn.Module):
        def __init__(self):
            super().__init__()
            self.eighth = nn.Sequential(step(3, 16, 3, 2), step(16, 32, 3, 2), Joined(32, 32, 1, True), step(32, 64, 3, 2), Joined(64, 64, 2, True))
            self.sixteenth = nn.Sequential(step(64, 128, 3, 2), Joined(128, 128, 2, True))
            self.last = nn.Sequential(step(128, 256, 3, 2), Joined(256, 256, 1, True), Pooled(256))
            self.up = nn.Upsample(scale_factor=2, mode="nearest")
            self.top, self.middle = Joined(384, 128, 1, False), Joined(192, 64, 1, False)
            self.down, self.wide = step(64, 64, 3, 2), Joined(192, 128, 1, False)
            self.down_again, self.widest = step(128, 128, 3, 2), Joined(384, 256, 1, False)
            self.heads = nn.ModuleList([nn.Sequential(step(c, 64), step(64, 64), nn.Conv2d(64, 144, 1)) for c in (64, 128, 256)])

        def forward(self, x):
            a = self.eighth(x)
            b = self.sixteenth(a)
            c = self.last(b)
            top = self.top(cat([self.up(c), b], 1))
            one = self.middle(cat([self.up(top), a], 1))
            two = self.wide(cat([self.down(one), top], 1))
            three = self.widest(cat([self.down_again(two), c], 1))
            return cat([head(y).reshape(1, 144, -1) for head, y in zip(self.heads, (one, two, three))], 2)

    return Detector(), (1, 3, 320, 320)


def encoder(nn: Any) -> tuple[Any, tuple[int, ...]]:
    """Four layers of 128 features and 4 heads on 128 tokens (Vaswani et al. 2017)."""
    return nn.Sequential(*(nn.TransformerEncoderLayer(128, 4, 512, 0.0, "gelu", batch_first=True) for _ in range(4))), (1, 128, 128)


def minilm(nn: Any) -> tuple[Any, tuple[int, ...]]:
    """The layers of MiniLM-L6-H384 (Wang et al. 2020) on 128 tokens."""
    return nn.Sequential(*(nn.TransformerEncoderLayer(384, 12, 1536, 0.0, "gelu", batch_first=True) for _ in range(6))), (1, 128, 384)


def long_encoder(nn: Any) -> tuple[Any, tuple[int, ...]]:
    """Two layers of 128 features on 512 tokens: attention takes its share."""
    return nn.Sequential(*(nn.TransformerEncoderLayer(128, 4, 512, 0.0, "gelu", batch_first=True) for _ in range(2))), (1, 512, 128)


def sequence(nn: Any, kind: str) -> tuple[Any, tuple[int, ...]]:
    """Two layers of 256 over 100 steps of 64 features: the outputs of all steps."""

    class Sequence(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = getattr(nn, kind)(64, 256, num_layers=2, batch_first=True)

        def forward(self, x):
            return self.layers(x)[0]

    return Sequence(), (1, 100, 64)


def lstm(nn: Any) -> tuple[Any, tuple[int, ...]]:
    return sequence(nn, "LSTM")


def gru(nn: Any) -> tuple[Any, tuple[int, ...]]:
    return sequence(nn, "GRU")


def mlp(nn: Any) -> tuple[Any, tuple[int, ...]]:
    """Digits of 28x28 pixels, flat."""
    return nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)), (1, 784)


def lenet(nn: Any) -> tuple[Any, tuple[int, ...]]:
    """Two convolutions and two linear layers on digits of 28x28 pixels, after LeCun et al. 1998."""
    layers = [nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(1600, 128), nn.ReLU(), nn.Linear(128, 10)), (1, 1, 28, 28)


def sequence_classifier(nn: Any, kind: str) -> tuple[Any, tuple[int, ...]]:
    """The last output of 128 units over 64 steps of 40 features."""

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = getattr(nn, kind)(40, 128, batch_first=True)
            self.head = nn.Linear(128, 12)

        def forward(self, x):
            return self.head(self.layers(x)[0][:, -1])

    return Classifier(), (1, 64, 40)


def lstm_classifier(nn: Any) -> tuple[Any, tuple[int, ...]]:
    return sequence_classifier(nn, "LSTM")


def gru_classifier(nn: Any) -> tuple[Any, tuple[int, ...]]:
    return sequence_classifier(nn, "GRU")


def encoder_classifier(nn: Any) -> tuple[Any, tuple[int, ...]]:
    """The mean over 64 tokens of two layers of 64 features and 4 heads."""

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(*(nn.TransformerEncoderLayer(64, 4, 256, 0.0, "gelu", batch_first=True) for _ in range(2)))
            self.head = nn.Linear(64, 12)

        def forward(self, x):
            return self.head(self.layers(x).mean(1))

    return Classifier(), (1, 64, 64)


def citations(nodes: int = 2708, edges: int = 10556) -> tuple[np.ndarray, np.ndarray]:
    """A symmetric graph of Cora's size with self loops: (rows and columns, values) of D^-1/2 A D^-1/2, by rows."""
    rng = np.random.default_rng(0)
    low, high = np.triu_indices(nodes, 1)
    chosen = rng.choice(len(low), edges // 2, replace=False)
    low, high, own = low[chosen], high[chosen], np.arange(nodes)
    at = np.stack([np.concatenate([low, high, own]), np.concatenate([high, low, own])])
    at = at[:, np.lexsort((at[1], at[0]))]
    degree = np.bincount(at[0])
    return at, (1 / np.sqrt(degree[at[0]] * degree[at[1]])).astype(np.float32)


def gcn(nn: Any) -> tuple[Any, tuple[int, ...]]:
    """Two graph convolutions of 1433 features to 7 classes (Kipf and Welling 2017), all nodes at once."""
    graph = sys.modules[nn.__name__.split(".")[0]].sparse_coo(*citations())

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.relu, self.second = nn.GraphConv(1433, 16), nn.ReLU(), nn.GraphConv(16, 7)

        def forward(self, x):
            return self.second(self.relu(self.first(x, graph)), graph)

    return Network(), (1, 1433)


ALL = {"resnet8": resnet8, "ds_cnn": ds_cnn, "visual_wake_words": visual_wake_words, "autoencoder": autoencoder}
LARGE = {"mobilenet_v2": mobilenet_v2, "resnet18": resnet18}
TEXT = {"encoder": encoder, "long_encoder": long_encoder, "minilm": minilm}
RECURRENT = {"lstm": lstm, "gru": gru}
EVERY = {**ALL, "mobilenet_v2": mobilenet_v2, "mobilenet_v3_small": mobilenet_v3_small, "resnet18": resnet18, "resnet50": resnet50, "detector": detector, **TEXT, **RECURRENT}


class Step(NamedTuple):
    """A step of training: a network, the samples of a batch, adam, adamw or sgd (with momentum)."""

    network: Callable[[Any], tuple[Any, tuple[int, ...]]]
    batch: int
    optimizer: str


TRAINED = {
    f"{step.network.__name__}_{step.batch}_{step.optimizer}": step
    for step in (
        Step(mlp, 32, "adam"), Step(mlp, 32, "sgd"), Step(mlp, 256, "adam"), Step(autoencoder, 64, "adam"), Step(lenet, 64, "adam"),
        Step(resnet8, 32, "sgd"), Step(resnet8, 128, "sgd"), Step(ds_cnn, 64, "adam"), Step(visual_wake_words, 32, "adam"), Step(mobilenet_v2_small, 16, "sgd"),
        Step(lstm_classifier, 32, "adam"), Step(gru_classifier, 32, "adam"), Step(encoder_classifier, 32, "adamw"), Step(gcn, 2708, "adam"),
    )
}
