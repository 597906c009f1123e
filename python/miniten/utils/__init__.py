"""Data loading and small helpers."""

from miniten.utils import data
from miniten.utils.progress import progress

__all__ = ["data", "progress"]
