"""Estimates from a model's graph: parameters, FLOPs, memory, energy, latency on devices: docs/edge/utils.md, docs/edge/devices.md."""

from typing import Any

from miniten._core import (
    Device,
    Module,
    _devices,
    battery_life,
    check_edge_compatibility,
    count_flops,
    count_parameters,
    estimate_latency,
    estimate_memory,
    estimate_power,
    model_summary,
    probe,
    prune_model,
    quantize_model,
)


def _apply_fix(model: Module, int8: bool, channels: float, layer: str, input_shape: Any, **quantize: Any) -> Module:
    """What check_edge_compatibility tried; keywords are quantize_model's."""
    if channels:
        model = prune_model(model, 0.0 if layer else channels, "structured", ratios={layer: channels} if layer else {}, input_shape=input_shape)
    return quantize_model(model, **quantize) if int8 else model


def estimate_training_memory(model: Module, input_shape: Any, batch_size: int | None = None, optimizer: str = "adam", *, limit_mb: float | None = None) -> dict[str, Any]:
    """Bytes of one training step: estimate_memory's "training". batch_size replaces the first axis of every input."""

    def sized(shape: Any) -> Any:
        if batch_size is None:
            return shape
        if isinstance(shape, dict):
            return {name: sized(s) for name, s in shape.items()}
        if shape and isinstance(shape[0], (tuple, list)):
            return [sized(s) for s in shape]
        return (batch_size, *shape[1:])

    return estimate_memory(model, sized(input_shape), training=optimizer, limit_mb=limit_mb)["training"]


devices: dict[str, Device] = {d.name: d for d in _devices()}

__all__ = [
    "Device", "battery_life", "check_edge_compatibility", "count_flops", "count_parameters", "devices", "estimate_latency", "estimate_memory",
    "estimate_power", "estimate_training_memory", "model_summary", "probe",
]
