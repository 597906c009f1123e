"""Fewer distinct weights, products of low rank, small students of large teachers: docs/edge/compression.md."""

from miniten._core import (
    Distillation,
    LowRankApproximation,
    LowRankReport,
    SharedModel,
    ShareReport,
    distillation_loss,
    kmeans_1d,
    knowledge_distillation,
    low_rank,
    prune_model,
    quantize_model,
    svd,
    weight_sharing,
)

__all__ = [
    "Distillation", "LowRankApproximation", "LowRankReport", "ShareReport", "SharedModel", "compress_model", "distillation_loss", "kmeans_1d",
    "knowledge_distillation", "low_rank", "svd", "weight_sharing",
]

_METHODS = {"quantize": quantize_model, "prune": prune_model, "share": weight_sharing, "low_rank": low_rank}


def compress_model(model, method="quantize", **options):
    """The function of that method with these options: 'quantize' (quantize_model), 'prune' (prune_model), 'share' (weight_sharing),
    'low_rank' (low_rank), or 'distill' (knowledge_distillation, whose student is the keyword `student`, taught by `model`)."""
    if method == "distill":
        if options.get("student") is None:
            raise ValueError("[compress_model] expected the model to train as student, got none (pass student=)")
        return knowledge_distillation(options.pop("student"), model, **options)
    if method not in _METHODS:
        raise ValueError(f"[compress_model] expected method quantize, prune, distill, share or low_rank, got {method!r}")
    return _METHODS[method](model, **options)
