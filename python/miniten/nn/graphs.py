"""Message passing over edges."""

from __future__ import annotations

from typing import Any

from miniten import _core
from miniten._core import Module, Tensor, as_tensor, ones, take

__all__ = ["MessagePassing"]


class MessagePassing(Module):
    """update(aggr of message(x_i, x_j, edge_attr) over the edges j -> i, x). Override message and update; call propagate in forward.

    edge_index (2, E): sources j in the first row, targets i in the second. aggr: 'sum', 'mean' or 'max'; a node without edges gets 0.
    """

    def __init__(self, aggr: str = "sum"):
        super().__init__()
        if aggr not in ("sum", "mean", "max"):
            raise ValueError(f"[MessagePassing] expected aggr 'sum', 'mean' or 'max', got {aggr!r}")
        self.aggr = aggr

    def message(self, x_i: Tensor, x_j: Tensor, edge_attr: Any = None) -> Tensor:
        """What each edge carries, (E, ..): by default its source's features."""
        return x_j

    def update(self, out: Tensor, x: Tensor) -> Tensor:
        """The new features from what arrived; by default that itself."""
        return out

    def propagate(self, edge_index: Any, x: Any, edge_attr: Any = None) -> Tensor:
        edges, x = as_tensor(edge_index), as_tensor(x)
        if len(edges.shape) != 2 or edges.shape[0] != 2:
            raise ValueError(f"[MessagePassing] expected an edge_index (2, E), got {tuple(edges.shape)}")
        source, target = edges[0], edges[1]
        n = x.shape[0]
        for side in (source, target):
            if side.numel() and not (0 <= int(side.min().item()) and int(side.max().item()) < n):
                raise IndexError(f"[MessagePassing] expected node indices in [0, {n}), got {int(side.min().item())} to {int(side.max().item())}")
        carried = self.message(take(x, target), take(x, source), edge_attr)
        if carried.shape[0] != target.shape[0]:
            raise ValueError(f"[MessagePassing] expected a message for each of {target.shape[0]} edges, got {tuple(carried.shape)}")
        if self.aggr == "max":
            return self.update(_core._segment_max(carried, target, n), x)
        out = _core._segment_sum(carried, target, n)
        if self.aggr == "mean":
            count = _core._segment_sum(ones(target.shape[0]), target, n)
            out = out / count.clip(1.0, float("inf")).reshape(n, *[1] * (len(out.shape) - 1))
        return self.update(out, x)
