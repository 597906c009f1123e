"""Estimates from a model's graph: parameters, FLOPs, memory, energy, latency on devices: docs/edge/utils.md, docs/edge/devices.md."""

from miniten._core import (
    Device,
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
)

devices: dict[str, Device] = {d.name: d for d in _devices()}

__all__ = [
    "Device", "battery_life", "check_edge_compatibility", "count_flops", "count_parameters", "devices", "estimate_latency", "estimate_memory",
    "estimate_power", "model_summary", "probe",
]
