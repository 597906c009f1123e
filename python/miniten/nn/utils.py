"""Gradient clipping under torch's names, and parameters as one vector."""

from __future__ import annotations

from typing import Iterable

from miniten._core import Tensor, cat
from miniten._core import clip_grad_norm as clip_grad_norm_
from miniten._core import clip_grad_value as clip_grad_value_
from miniten.autograd import no_grad

__all__ = ["clip_grad_norm_", "clip_grad_value_", "parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All values one after another."""
    return cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Writes slices of vec into the parameters."""
    targets = list(parameters)
    total = sum(p.numel() for p in targets)
    if tuple(vec.shape) != (total,):
        raise ValueError(f"[vector_to_parameters] expected a vector of {total} values, got {tuple(vec.shape)}")
    at = 0
    with no_grad():
        for p in targets:
            p[...] = vec[at : at + p.numel()].reshape(*p.shape)
            at += p.numel()
