"""The layers that nets.py asks `nn` for, as functions of a dict of parameters, named as torch names them, channels last."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp


class Module:
    def name(self, prefix: str) -> None:
        self.prefix = prefix
        for key, child in self.children():
            child.name(f"{prefix}{key}.")

    def children(self) -> list:
        return [(k, v) for k, v in vars(self).items() if isinstance(v, Module)]

    def __call__(self, *given: Any) -> Any:
        return self.forward(*given)

    def run(self, parameters: dict, running: dict, x: Any) -> Any:
        """`running`, statistics, are renewed."""
        Module.p, Module.r = parameters, running
        return self.forward(x)

    def forward(self, x: Any) -> Any:
        raise NotImplementedError


class Sequential(Module):
    def __init__(self, *layers: Module):
        self.layers = layers

    def children(self) -> list:
        return [(str(i), layer) for i, layer in enumerate(self.layers)]

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x


class Conv2d(Module):
    def __init__(self, i: int, o: int, k: Any, stride: int = 1, padding: Any = 0, groups: int = 1, bias: bool = True):
        self.stride, self.groups, self.bias = stride, groups, bias
        both = padding if isinstance(padding, tuple) else (padding, padding)
        self.padding = [(n, n) for n in both]

    def forward(self, x: Any) -> Any:
        y = jax.lax.conv_general_dilated(x, Module.p[self.prefix + "weight"], (self.stride, self.stride), self.padding, dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=self.groups)
        return y + Module.p[self.prefix + "bias"] if self.bias else y


class BatchNorm2d(Module):
    def __init__(self, c: int):
        pass

    def forward(self, x: Any) -> Any:
        n = x.size // x.shape[-1]
        mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
        for key, now in (("running_mean", mean), ("running_var", var * n / (n - 1))):
            Module.r[self.prefix + key] = 0.9 * Module.p[self.prefix + key] + 0.1 * now
        scale = Module.p[self.prefix + "weight"] * jax.lax.rsqrt(var + 1e-5)
        return x * scale + (Module.p[self.prefix + "bias"] - mean * scale)


class Linear(Module):
    def __init__(self, i: int, o: int):
        pass

    def forward(self, x: Any) -> Any:
        return x @ Module.p[self.prefix + "weight"].T + Module.p[self.prefix + "bias"]


class AdaptiveAvgPool2d(Module):
    def __init__(self, size: int):
        assert size == 1

    def forward(self, x: Any) -> Any:
        return x.mean((1, 2), keepdims=True)


class MaxPool2d(Module):
    def __init__(self, size: int):
        self.size = size

    def forward(self, x: Any) -> Any:
        window = (1, self.size, self.size, 1)
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")


class Flatten(Module):
    def forward(self, x: Any) -> Any:
        return x.transpose(0, 3, 1, 2).reshape(len(x), -1)  # channels first, as torch has them


class Recurrent(Module):
    def __init__(self, i: int, o: int, batch_first: bool):
        assert batch_first
        self.units = o

    def forward(self, x: Any) -> tuple[Any]:
        w_x, w_h, b_x, b_h = (Module.p[f"{self.prefix}{n}_l0"] for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
        inner = (x @ w_x.T + b_x).transpose(1, 0, 2)
        start = tuple(jnp.zeros((len(x), self.units), x.dtype) for _ in range(self.states))
        return (jax.lax.scan(lambda s, step: self.cell(s, step, s[0] @ w_h.T + b_h), start, inner)[1].transpose(1, 0, 2),)


class LSTM(Recurrent):
    states = 2

    def cell(self, s: tuple, from_x: Any, from_h: Any) -> tuple:
        i, f, g, o = jnp.split(from_x + from_h, 4, 1)
        c = jax.nn.sigmoid(f) * s[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h


class GRU(Recurrent):
    states = 1

    def cell(self, s: tuple, from_x: Any, from_h: Any) -> tuple:
        (r_x, z_x, n_x), (r_h, z_h, n_h) = jnp.split(from_x, 3, 1), jnp.split(from_h, 3, 1)
        z = jax.nn.sigmoid(z_x + z_h)
        h = (1 - z) * jnp.tanh(n_x + jax.nn.sigmoid(r_x + r_h) * n_h) + z * s[0]
        return (h,), h


class ReLU(Module):
    def forward(self, x: Any) -> Any:
        return jnp.maximum(x, 0)


class Identity(Module):
    def forward(self, x: Any) -> Any:
        return x


class ReLU6(Module):
    def forward(self, x: Any) -> Any:
        return jnp.clip(x, 0, 6)


class LayerNorm(Module):
    def forward(self, x: Any) -> Any:
        return (x - x.mean(-1, keepdims=True)) * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-5) * Module.p[self.prefix + "weight"] + Module.p[self.prefix + "bias"]


class MultiheadAttention(Module):
    def __init__(self, features: int, heads: int):
        self.heads, self.out_proj = heads, Linear(features, features)

    def forward(self, x: Any) -> Any:
        n, t, f = x.shape
        inner = x @ Module.p[self.prefix + "in_proj_weight"].T + Module.p[self.prefix + "in_proj_bias"]
        q, k, v = inner.reshape(n, t, 3, self.heads, -1).transpose(2, 0, 3, 1, 4)
        share = jax.nn.softmax(q @ k.swapaxes(2, 3) * (f // self.heads) ** -0.5)
        return self.out_proj((share @ v).transpose(0, 2, 1, 3).reshape(n, t, f))


class TransformerEncoderLayer(Module):
    def __init__(self, features: int, heads: int, inner: int, dropout: float, activation: str, batch_first: bool):
        assert dropout == 0 and activation == "gelu" and batch_first
        self.self_attn, self.linear1, self.linear2 = MultiheadAttention(features, heads), Linear(features, inner), Linear(inner, features)
        self.norm1, self.norm2 = LayerNorm(), LayerNorm()

    def forward(self, x: Any) -> Any:
        x = self.norm1(x + self.self_attn(x))
        return self.norm2(x + self.linear2(jax.nn.gelu(self.linear1(x), approximate=False)))


class sparse_coo:
    def __init__(self, at: Any, values: Any):
        self.rows, self.columns, self.values = *jnp.asarray(at), jnp.asarray(values)[:, None]

    def __matmul__(self, x: Any) -> Any:
        return jax.ops.segment_sum(x[self.columns] * self.values, self.rows, len(x), indices_are_sorted=True)


class GraphConv(Module):
    def __init__(self, i: int, o: int):
        pass

    def forward(self, x: Any, graph: sparse_coo) -> Any:
        return graph @ (x @ Module.p[self.prefix + "weight"]) + Module.p[self.prefix + "bias"]
