"""The functions behind the layers."""

from miniten._core import (
    adaptive_avg_pool2d,
    avg_pool2d,
    batch_norm,
    conv2d,
    cross_entropy,
    dropout,
    gelu,
    linear,
    log_softmax,
    max_pool2d,
    mse_loss,
    one_hot,
    pad,
    relu,
    relu6,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
)

__all__ = [
    "adaptive_avg_pool2d", "avg_pool2d", "batch_norm", "conv2d", "cross_entropy", "dropout", "gelu", "linear", "log_softmax", "max_pool2d",
    "mse_loss", "one_hot", "pad", "relu", "relu6", "sigmoid", "silu", "softmax", "softplus", "tanh",
]
