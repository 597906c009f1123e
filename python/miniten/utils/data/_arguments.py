"""What the arguments of this package may be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from miniten import _core


def whole(op: str, name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() < least:
        raise ValueError(f"[{op}] expected {name} as a whole number of {least} or more, got {value!r}")
    return int(value.__index__())


def seed_of(op: str, seed: Any) -> int:
    return _core._data_seed() if seed is None else whole(op, "a seed", seed, 0) % 2**64


def position(op: str, index: Any, size: int) -> int:
    if not hasattr(index, "__index__"):
        raise TypeError(f"[{op}] expected a whole number as index, got {type(index).__name__}")
    i = int(index.__index__())
    if not -size <= i < size:
        raise IndexError(f"[{op}] expected an index in [-{size}, {size}), got {i}")
    return i + size if i < 0 else i


def check_dataset(op: str, dataset: Any) -> None:
    for name in ("__len__", "__getitem__"):
        if not hasattr(dataset, name):
            raise TypeError(f"[{op}] expected a dataset with __len__ and __getitem__, got {type(dataset).__name__} without {name}")


def index_list(op: str, indices: Iterable[Any]) -> list[int]:
    if hasattr(indices, "tolist"):
        indices = indices.tolist()
    return [whole(op, "each index", i, -(2**63)) for i in indices]


def class_numbers(op: str, labels: Iterable[Any], size: int, use: str) -> list[int]:
    """Labels of any kind, numbered in the order they first appear."""
    number: dict[Any, int] = {}
    classes = [number.setdefault(label, len(number)) for label in (labels.tolist() if hasattr(labels, "tolist") else labels)]
    if len(classes) != size:
        raise ValueError(f"[{op}] expected {size} labels to {use} by, got {len(classes)}")
    return classes
