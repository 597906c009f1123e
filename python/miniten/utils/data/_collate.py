"""Batches of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from miniten._core import Tensor, as_tensor, stack, tensor


def collate(samples: Sequence[Any]) -> Any:
    """One batch of samples: arrays and numbers are stacked along a new first axis; tuples, lists and dicts are followed;
    text becomes a list.
    """
    first = samples[0]
    if isinstance(first, (str, bytes)):
        return list(samples)
    if isinstance(first, (bool, int, float)):
        return tensor(list(samples))
    if isinstance(first, Mapping):
        for s in samples:
            if s.keys() != first.keys():
                raise ValueError(f"[collate] expected samples with the keys {sorted(map(str, first))}, got {sorted(map(str, s))}")
        return {k: collate([s[k] for s in samples]) for k in first}
    if isinstance(first, (tuple, list)):
        for s in samples:
            if len(s) != len(first):
                raise ValueError(f"[collate] expected samples of {len(first)} parts, got one of {len(s)}")
        parts = [collate(column) for column in zip(*samples)]
        if isinstance(first, list):
            return parts
        return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)
    if isinstance(first, Tensor) or hasattr(first, "__array__") or hasattr(first, "__dlpack__"):
        arrays = [as_tensor(s) for s in samples]
        for a in arrays:
            if a.shape != arrays[0].shape:
                raise ValueError(f"[collate] expected samples of shape {tuple(arrays[0].shape)}, got one of {tuple(a.shape)} (pad them, or pass collate_fn)")
        return stack(arrays)
    raise TypeError(f"[collate] expected arrays, numbers, text, and tuples, lists and dicts of them, got {type(first).__name__} (pass collate_fn)")
