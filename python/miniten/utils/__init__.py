"""Data loading, images and small helpers."""

from miniten.utils import data
from miniten.utils.progress import progress

__all__ = ["data", "progress", "vision"]


def __getattr__(name: str):
    if name == "vision":
        import importlib

        return importlib.import_module("miniten.utils.vision")
    raise AttributeError(f"module 'miniten.utils' has no attribute '{name}'")
