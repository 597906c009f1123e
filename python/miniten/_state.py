"""Files and pickles of tensors, state dictionaries and models."""

from __future__ import annotations

from typing import Any

from miniten import _core
from miniten._core import Module, Tensor

SAFETENSORS = ".safetensors"


def rebuild_tensor(kind, dtype, shape, values, requires_grad):
    return _core._rebuild_tensor(kind, dtype, shape, values, requires_grad)


def _is_array(value) -> bool:
    return isinstance(value, Tensor) or hasattr(value, "__array_interface__")


def _is_state_dict(value) -> bool:
    return isinstance(value, dict) and all(isinstance(k, str) and _is_array(v) for k, v in value.items())


def _state_dict(value) -> dict:
    if _is_state_dict(value):
        return value
    raise TypeError(f"[save] expected a model or a dict of arrays by name for a .safetensors file, got {type(value).__name__} (.npz keeps nested dicts and lists)")


def _structure(value, name: str, tensors: dict):
    """value with every array replaced by its name in tensors."""
    if _is_array(value):
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, dict):
        items = [[k if isinstance(k, (str, int)) else _refuse(k), _structure(v, f"{name}/{k}" if name else str(k), tensors)] for k, v in value.items()]
        return {"dict": items}
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [_structure(v, f"{name}/{i}", tensors) for i, v in enumerate(value)]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"value": value}
    _refuse(value)


def _refuse(value):
    raise TypeError(f"[save] expected a model, tensors, numbers, text, and dicts and lists of them, got {type(value).__name__}")


def _restored(node, tensors):
    (kind, content), = node.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {k: _restored(v, tensors) for k, v in content}
    if kind == "value":
        return content
    items = [_restored(v, tensors) for v in content]
    return tuple(items) if kind == "tuple" else items


def save(obj: Any, path: Any) -> int:
    """Writes a model, a tensor, a state_dict, or nested dicts and lists of tensors, numbers and text, as .npz -> bytes.

    A path that ends in .safetensors takes a state_dict, or a model for its state_dict, in that format.
    The file appears whole or not at all. Raises OSError where it cannot be written.
    """
    if str(path).endswith(SAFETENSORS):
        return _core.save_safetensors(obj.state_dict() if isinstance(obj, Module) else _state_dict(obj), path)
    if isinstance(obj, Module):
        from miniten.edge.export import export_miniten

        return export_miniten(obj, path).bytes
    if _is_array(obj):
        return _core._save_file("tensor", "", {"value": obj}, path)
    if obj and _is_state_dict(obj):
        return _core._save_file("state_dict", "", obj, path)
    import json

    tensors: dict = {}
    structure = _structure(obj, "", tensors)
    return _core._save_file("state_dict", json.dumps({"structure": structure}), tensors, path)


def load(source: Any, *, max_memory_mb: float = 4096) -> Any:
    """What save wrote, or any of MiniTen's files, from a path or bytes: a tensor, a dict, or the right class of model.

    A .safetensors file gives a dict of its tensors. Raises ValueError for a file that would need more memory than
    max_memory_mb, before it does.
    """
    if source[8:9] == b"{" if isinstance(source, bytes) else str(source).endswith(SAFETENSORS):
        return _core.load_safetensors(source, max_memory_mb=max_memory_mb)
    found = _core._load_file(source, max_memory_mb)
    if isinstance(found, Module):
        return found
    kind, extra, tensors = found
    if kind == "tensor":
        return tensors["value"]
    if not extra:
        return tensors
    import json

    return _restored(json.loads(extra)["structure"], tensors)
