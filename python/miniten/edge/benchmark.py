"""Measurements of models compiled for their inputs, with the steady clock: docs/edge/benchmark.md."""

from miniten._core import (
    BenchmarkReport,
    benchmark_layer,
    benchmark_model,
    compare_models,
    latency_test,
    memory_benchmark,
    profile_by_layer,
    soak_test,
    throughput_test,
)

__all__ = [
    "BenchmarkReport", "benchmark_layer", "benchmark_model", "compare_models", "latency_test", "memory_benchmark", "profile_by_layer", "soak_test",
    "throughput_test",
]
