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
        if len(given) == 3:                                  # from outside: parameters, running statistics to be renewed, x
            Module.p, Module.r, x = given
            return self.forward(x)
        return self.forward(*given)

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


class Flatten(Module):
    def forward(self, x: Any) -> Any:
        assert x.shape[1:3] == (1, 1)
        return x.reshape(len(x), -1)


class ReLU(Module):
    def forward(self, x: Any) -> Any:
        return jnp.maximum(x, 0)


class Identity(Module):
    def forward(self, x: Any) -> Any:
        return x


class Layers:
    """What nets.py takes for `nn`."""

    Module, Sequential, Conv2d, BatchNorm2d, Linear, AdaptiveAvgPool2d, Flatten, ReLU, Identity = Module, Sequential, Conv2d, BatchNorm2d, Linear, AdaptiveAvgPool2d, Flatten, ReLU, Identity
