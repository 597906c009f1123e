"""Where memory and time go: docs/monitor/profiler.md."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from miniten import _core
from miniten._core import MemoryProfiler, PerformanceProfiler, Profile

_default = PerformanceProfiler()


def profile_function(function: Callable[..., Any] | None = None, *, profiler: PerformanceProfiler | None = None, name: str | None = None) -> Any:
    """Times every call of the function decorated: @profile_function, or @profile_function(profiler=p, name='load').

    f.timing() -> count, total, min, max, mean, p50, p95 in seconds. Without a profiler, one that all share: f.profiler.
    """
    if function is None:
        return functools.partial(profile_function, profiler=profiler, name=name)
    if not callable(function):
        raise TypeError(f"[profile_function] expected a function, got {type(function).__name__}")
    chosen = _default if profiler is None else profiler
    label = name or getattr(function, "__qualname__", type(function).__name__)

    @functools.wraps(function)
    def timed(*args: Any, **kwargs: Any) -> Any:
        with chosen.timer(label):
            return function(*args, **kwargs)

    timed.profiler = chosen  # type: ignore[attr-defined]
    timed.timing = lambda: chosen.get_timing(label)  # type: ignore[attr-defined]
    return timed


class FLOPsCounter:
    """FLOPs and MACs of a model: edge.count_flops behind the name that users of the first MiniTen know."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def count(self, input_shape: Any = None) -> dict[str, Any]:
        """total_flops, total_macs, elementwise_flops, total_mflops, total_gflops, by_layer; shapes of the last call by default."""
        from miniten.edge.utils import count_flops

        return count_flops(self.model, input_shape)


def estimate_model_size(model: Any) -> dict[str, Any]:
    """Bytes of the parameters and buffers: parameters, parameter_bytes, buffer_bytes, total_bytes, total_mb."""
    named = dict(model.named_parameters())
    buffers = dict(model.named_buffers())
    bytes_of = lambda tensors: sum(t.numel() * _bits(t) // 8 for t in tensors.values())  # noqa: E731
    parameter_bytes, buffer_bytes = bytes_of(named), bytes_of(buffers)
    total = parameter_bytes + buffer_bytes
    return {"parameters": sum(t.numel() for t in named.values()), "parameter_bytes": parameter_bytes, "buffer_bytes": buffer_bytes, "total_bytes": total, "total_mb": total / 2**20}


def _bits(tensor: Any) -> int:
    name = str(tensor.dtype).split(".")[-1]
    return {"bool": 8, "bool_": 8, "bfloat16": 16}.get(name) or int("".join(c for c in name if c.isdigit()))


class Recording:
    """What `with profiler() as p` gives; its .profile, and the Profile's own names, are there once the block has ended."""

    def __init__(self) -> None:
        self.profile: Profile | None = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") and name != "_repr_svg_":
            raise AttributeError(name)
        if self.profile is None:
            raise ValueError(f"[profiler] expected the with-block to have ended before .{name} is read, got one that runs")
        return getattr(self.profile, name)

    def __str__(self) -> str:
        return "a profiler that runs" if self.profile is None else str(self.profile)


@contextmanager
def profiler() -> Iterator[Recording]:
    """with profiler() as p: every op that this thread applies inside is recorded, eager, backward, optimizer or in a Session."""
    recording, watcher = Recording(), _core.Profiler()
    watcher.start()
    try:
        yield recording
    finally:
        recording.profile = watcher.stop()


def _inputs(x_or_shape: Any) -> list[Any]:
    def is_shape(v: Any) -> bool:
        return isinstance(v, (tuple, list)) and all(isinstance(d, int) and not isinstance(d, bool) for d in v)

    def made(shape: Any) -> Any:
        import numpy as np

        return _core.tensor(np.random.default_rng(0).standard_normal(tuple(shape)).astype(np.float32))

    if isinstance(x_or_shape, dict):
        return [made(v) if is_shape(v) else v for v in x_or_shape.values()]
    if is_shape(x_or_shape):
        return [made(x_or_shape)]
    if isinstance(x_or_shape, (tuple, list)):
        return [made(v) if is_shape(v) else v for v in x_or_shape]
    return [x_or_shape]


def profile(model: Any, x_or_shape: Any, backward: bool = False) -> Profile:
    """One run of a model or a Session by layer and op, after one run to warm up -> Profile.

    x_or_shape: inputs (an array, or a list of them), or shapes to make random floats for. backward=True sums the floats that come
    out and walks back too; the parameters' own gradients are put back afterwards. The model runs in its present mode.
    """
    inputs = _inputs(x_or_shape)

    def run() -> None:
        out = model(*inputs)
        if backward:
            total = None
            for o in out if isinstance(out, (tuple, list)) else [out]:
                if getattr(o, "requires_grad", False):
                    total = o.sum() if total is None else total + o.sum()
            if total is None:
                raise ValueError("[profile] expected an output that needs a gradient, got none (model.train() and parameters with requires_grad)")
            total.backward()

    parameters = list(model.parameters()) if backward and hasattr(model, "parameters") else []
    kept = [p.grad for p in parameters]
    buffers = {name: _core.tensor(b) for name, b in model.named_buffers()} if hasattr(model, "named_buffers") else {}
    try:
        for p in parameters:
            p.grad = None
        run()
        for p in parameters:
            p.grad = None
        with profiler() as recording:
            run()
    finally:
        for p, g in zip(parameters, kept):
            p.grad = g
        if buffers:  # running statistics that two more batches moved
            model.load_state_dict(buffers, strict=False)
    assert recording.profile is not None
    return recording.profile


__all__ = ["FLOPsCounter", "MemoryProfiler", "PerformanceProfiler", "Profile", "estimate_model_size", "profile", "profile_function", "profiler"]
