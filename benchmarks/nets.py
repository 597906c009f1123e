"""Networks of the sizes that small devices run, after the MLPerf Tiny reference models (Banbury et al. 2021), with random weights."""

from __future__ import annotations

from miniten import nn


def conv(i: int, o: int, k: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(i, o, k, stride, k // 2, groups=groups, bias=False), nn.BatchNorm2d(o), nn.ReLU()]


def separable(i: int, o: int, stride: int = 1) -> list[nn.Module]:
    return conv(i, i, 3, stride, i) + conv(i, o, 1)


class Residual(nn.Module):
    def __init__(self, i: int, o: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(*conv(i, o, 3, stride), nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o))
        self.skip = nn.Identity() if stride == 1 and i == o else nn.Conv2d(i, o, 1, stride)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.body(x) + self.skip(x))


def resnet8() -> tuple[nn.Module, tuple[int, ...]]:
    """Image classification: CIFAR-10 shapes."""
    body = nn.Sequential(*conv(3, 16, 3), Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2), nn.GlobalAvgPool2d(), nn.Flatten(), nn.Linear(64, 10))
    return body, (1, 3, 32, 32)


def ds_cnn() -> tuple[nn.Module, tuple[int, ...]]:
    """Keyword spotting: 49 frames of 10 features."""
    layers = [nn.Conv2d(1, 64, (10, 4), 2, (4, 1), bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    for _ in range(4):
        layers += separable(64, 64)
    return nn.Sequential(*layers, nn.GlobalAvgPool2d(), nn.Flatten(), nn.Linear(64, 12)), (1, 1, 49, 10)


def visual_wake_words() -> tuple[nn.Module, tuple[int, ...]]:
    """Person or not: MobileNetV1 at a quarter of its width, 96x96."""
    layers, i = conv(3, 8, 3, 2), 8
    for o, stride in ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)):
        layers += separable(i, o, stride)
        i = o
    return nn.Sequential(*layers, nn.GlobalAvgPool2d(), nn.Flatten(), nn.Linear(256, 2)), (1, 3, 96, 96)


def autoencoder() -> tuple[nn.Module, tuple[int, ...]]:
    """Anomaly detection: 640 features through 8."""
    layers: list[nn.Module] = []
    sizes = [640, 128, 128, 128, 128, 8, 128, 128, 128, 128]
    for i, o in zip(sizes, sizes[1:]):
        layers += [nn.Linear(i, o), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(128, 640)), (1, 640)


ALL = {"resnet8": resnet8, "ds_cnn": ds_cnn, "visual_wake_words": visual_wake_words, "autoencoder": autoencoder}
