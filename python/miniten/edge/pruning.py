"""Weights that become zero and stay zero: docs/edge/pruning.md."""

from miniten._core import ChannelSummary, GradualPruning, PrunedModel, PruneReport, channel_groups, magnitude_prune, prune_model, structured_prune

__all__ = ["ChannelSummary", "GradualPruning", "PruneReport", "PrunedModel", "channel_groups", "magnitude_prune", "prune_model", "structured_prune"]
