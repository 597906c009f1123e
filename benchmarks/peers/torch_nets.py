"""torch.nn, and the graph layer that nets.py asks for."""

from __future__ import annotations

import torch
from torch.nn import *  # noqa: F403
from torch.nn import Module, Parameter


class Product(torch.autograd.Function):
    """A symmetric matrix in compressed rows times x: its transpose is itself."""

    @staticmethod
    def forward(ctx, a, x):
        ctx.a = a
        return a @ x

    @staticmethod
    def backward(ctx, gradient):
        return None, ctx.a @ gradient.contiguous()


class sparse_coo:
    def __init__(self, at, values):
        self.rows, self.columns = torch.from_numpy(at)
        self.values = torch.from_numpy(values)
        size = int(self.rows.max()) + 1
        self.matrix = torch.sparse_coo_tensor(torch.from_numpy(at), self.values, (size, size)).coalesce().to_sparse_csr()

    def __matmul__(self, x):
        if torch.compiler.is_compiling():                    # what it compiles best
            return torch.zeros_like(x).index_add_(0, self.rows, x[self.columns] * self.values[:, None])
        return Product.apply(self.matrix, x)


class GraphConv(Module):
    def __init__(self, i, o):
        super().__init__()
        self.weight, self.bias = Parameter(torch.empty(i, o)), Parameter(torch.empty(o))

    def forward(self, x, graph):
        return graph @ (x @ self.weight) + self.bias
