"""Gradient clipping under torch's names."""

from miniten._core import clip_grad_norm as clip_grad_norm_
from miniten._core import clip_grad_value as clip_grad_value_

__all__ = ["clip_grad_norm_", "clip_grad_value_"]
