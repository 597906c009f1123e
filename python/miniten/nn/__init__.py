"""Layers, losses and models."""

from miniten._core import (
    GELU,
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    CrossEntropyLoss,
    DepthwiseSeparableConv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    GraphModule,
    Identity,
    Linear,
    LoadResult,
    MaxPool2d,
    Module,
    MSELoss,
    Parameter,
    ReLU,
    ReLU6,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from miniten.nn import functional, utils
from miniten.nn.containers import ModuleDict, ModuleList

__all__ = [
    "GELU", "AdaptiveAvgPool2d", "AvgPool2d", "BatchNorm1d", "BatchNorm2d", "Conv2d", "CrossEntropyLoss", "DepthwiseSeparableConv2d", "Dropout",
    "Flatten", "GlobalAvgPool2d", "GraphModule", "Identity", "Linear", "LoadResult", "MSELoss", "MaxPool2d", "Module", "ModuleDict", "ModuleList",
    "Parameter", "ReLU", "ReLU6", "Sequential", "SiLU", "Sigmoid", "Softmax", "Softplus", "Tanh", "functional", "utils",
]
