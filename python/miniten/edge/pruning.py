"""Weights that become zero and stay zero: docs/edge/pruning.md."""

from miniten._core import GradualPruning, PrunedModel, PruneReport, magnitude_prune, prune_model, structured_prune

__all__ = ["GradualPruning", "PruneReport", "PrunedModel", "magnitude_prune", "prune_model", "structured_prune"]
