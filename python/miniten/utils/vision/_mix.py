"""Augmentation of whole batches."""

from __future__ import annotations

from typing import Any

from miniten import _core


class MixUp:
    """A share of each image with another one of the batch, drawn from Beta(alpha, alpha): (images, labels) -> the same, mixed.

    images: floats (n, ...). labels: whole numbers (n), with num_classes, or floats (n, classes); the result's are floats.
    """

    _cut = False

    def __init__(self, alpha: float = 1.0, num_classes: int = 0, seed: int | None = None) -> None:
        self.alpha = alpha
        self.num_classes = num_classes
        self.manual_seed(_core._data_seed() if seed is None else seed)

    def manual_seed(self, seed: int) -> MixUp:
        self._seed, self._calls = seed, 0
        return self

    def __call__(self, images: Any, labels: Any) -> tuple[Any, Any]:
        call, self._calls = self._calls, self._calls + 1
        return _core._vision_mix(self._cut, images, labels, self.num_classes, self.alpha, self._seed, call)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(alpha={self.alpha:g}, num_classes={self.num_classes})"


class CutMix(MixUp):
    """A rectangle of each image (n, channels, height, width) from another one of the batch, labels by area."""

    _cut = True
