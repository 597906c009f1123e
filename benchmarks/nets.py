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


ALL = {"resnet8": resnet8, "ds_cnn": ds_cnn, "visual_wake_words": visual_wake_words, "autoencoder": autoencoder}
