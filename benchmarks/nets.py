"""Networks of the sizes that small devices run, after the MLPerf Tiny reference models (Banbury et al. 2021), with random weights.

Each takes miniten.nn or torch.nn: the layers have the same names and arguments.
"""

from __future__ import annotations

from typing import Any


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


def mobilenet_v2(nn: Any) -> tuple[Any, tuple[int, ...]]:
    """1000 classes at 224x224 (Sandler et al. 2018)."""
    layers, i = [nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6()], 32
    for expand, o, times, stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)):
        for k in range(times):
            layers.append(inverted_residual(nn, i, o, stride if k == 0 else 1, expand))
            i = o
    layers += [nn.Conv2d(320, 1280, 1, bias=False), nn.BatchNorm2d(1280), nn.ReLU6()]
    return nn.Sequential(*layers, *head(nn, 1280, 1000)), (1, 3, 224, 224)


def resnet18(nn: Any) -> tuple[Any, tuple[int, ...]]:
    """1000 classes at 224x224 (He et al. 2016)."""
    layers, i = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], 64
    for o, stride in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)):
        layers.append(residual(nn, i, o, stride))
        i = o
    return nn.Sequential(*layers, *head(nn, 512, 1000)), (1, 3, 224, 224)


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


ALL = {"resnet8": resnet8, "ds_cnn": ds_cnn, "visual_wake_words": visual_wake_words, "autoencoder": autoencoder}
LARGE = {"mobilenet_v2": mobilenet_v2, "resnet18": resnet18}
TEXT = {"encoder": encoder, "long_encoder": long_encoder, "minilm": minilm}
RECURRENT = {"lstm": lstm, "gru": gru}
