"""What Python hands to the logger as JSON."""

from __future__ import annotations

import json
import math
import sys
from typing import Any


def plain(value: Any, who: str, depth: int = 0) -> Any:
    """value in JSON's types: numbers as they are, NaN and the infinities as text, arrays as lists, what else there is by str()."""
    if depth > 64:
        raise ValueError(f"[{who}] expected at most 64 levels of dicts and lists, got more")
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {str(k): plain(v, who, depth + 1) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v, who, depth + 1) for v in value]
    for method in ("tolist", "item"):  # NumPy's scalars and arrays, tensors
        if hasattr(value, method):
            return plain(getattr(value, method)(), who, depth + 1)
    return str(value)


def dumps(value: dict, who: str) -> str:
    return json.dumps(plain(value, who))


def environment() -> str:
    found = {"python": sys.version.split()[0], "command": " ".join(sys.argv)[:1000]}
    if "numpy" in sys.modules:
        found["numpy"] = sys.modules["numpy"].__version__
    return json.dumps(found)
