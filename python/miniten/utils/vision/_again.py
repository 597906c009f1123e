"""How transforms are unpickled and copied."""

from __future__ import annotations

from typing import Any


def again(kind: type, made_from: tuple[Any, ...], seed: tuple[bool, int, int]) -> Any:
    """A transform made from the same arguments, which goes on in its sequence of draws."""
    transform = kind(*made_from)
    transform._set_seed_state(seed)
    return transform
