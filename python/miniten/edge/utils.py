"""Estimates from a model's graph: parameters, FLOPs, memory, energy: docs/edge/utils.md."""

from miniten._core import check_edge_compatibility, count_flops, count_parameters, estimate_memory, estimate_power, model_summary

__all__ = ["check_edge_compatibility", "count_flops", "count_parameters", "estimate_memory", "estimate_power", "model_summary"]
