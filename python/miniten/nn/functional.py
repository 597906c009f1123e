"""The functions behind the layers."""

from __future__ import annotations

import math
from typing import Any, Callable, Sequence

import miniten._core as _c
from miniten._composed import _tensor
from miniten._core import (
    Tensor,
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    avg_pool1d,
    avg_pool2d,
    batch_norm,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    celu,
    channel_shuffle,
    conv1d,
    conv2d,
    conv_transpose1d,
    conv_transpose2d,
    cosine_embedding_loss,
    cosine_similarity,
    cross_entropy,
    ctc_loss,
    dropout,
    elu,
    embedding,
    focal_loss,
    gelu,
    glu,
    group_norm,
    hardsigmoid,
    hardswish,
    hardtanh,
    hinge_embedding_loss,
    huber_loss,
    instance_norm,
    interpolate,
    kl_div,
    l1_loss,
    layer_norm,
    leaky_relu,
    linear,
    log_softmax,
    logsigmoid,
    margin_ranking_loss,
    max_pool1d,
    max_pool2d,
    mish,
    mse_loss,
    nll_loss,
    normalize,
    one_hot,
    pairwise_distance,
    pixel_shuffle,
    pixel_unshuffle,
    prelu,
    relu,
    relu6,
    rms_norm,
    scaled_dot_product_attention,
    selu,
    sigmoid,
    silu,
    smooth_l1_loss,
    softmax,
    softplus,
    softsign,
    tanh,
    tanhshrink,
    triplet_margin_loss,
)
from miniten._core import functional_fold as fold
from miniten._core import functional_pad as pad
from miniten._core import functional_unfold as unfold

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d", "avg_pool1d", "avg_pool2d", "batch_norm", "bilinear",
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "celu", "channel_shuffle", "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d",
    "cosine_embedding_loss", "cosine_similarity", "cross_entropy", "ctc_loss", "dropout", "elu", "embedding", "focal_loss", "fold",
    "gaussian_nll_loss", "gelu", "glu", "group_norm", "gumbel_softmax", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "hinge_embedding_loss",
    "huber_loss", "instance_norm", "interpolate", "kl_div", "l1_loss", "layer_norm", "leaky_relu", "linear", "local_response_norm", "log_softmax",
    "logsigmoid", "lp_pool1d", "lp_pool2d", "margin_ranking_loss", "max_pool1d", "max_pool2d", "mish", "mse_loss", "multi_margin_loss",
    "multilabel_soft_margin_loss", "nll_loss", "normalize", "one_hot", "pad", "pairwise_distance", "pdist", "pixel_shuffle", "pixel_unshuffle",
    "poisson_nll_loss", "prelu", "relu", "relu6", "rms_norm", "scaled_dot_product_attention", "selu", "sigmoid", "silu", "smooth_l1_loss",
    "soft_margin_loss", "softmax", "softmin", "softplus", "softshrink", "softsign", "tanh", "tanhshrink", "threshold", "triplet_margin_loss",
    "triplet_margin_with_distance_loss", "unfold",
]


def _reduced(who: str, loss: Tensor, reduction: str) -> Tensor:
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"[{who}] expected reduction 'none', 'mean' or 'sum', got {reduction!r}")
    return loss if reduction == "none" else loss.sum() if reduction == "sum" else loss.mean()


def _same_shape(who: str, input: Tensor, target: Tensor) -> None:
    if tuple(input.shape) != tuple(target.shape):
        raise ValueError(f"[{who}] expected a target of shape {tuple(input.shape)}, got {tuple(target.shape)}")


# ---- activations ----


def hardshrink(input: Any, lambd: float = 0.5) -> Tensor:
    """0 inside [-lambd, lambd], x outside."""
    x = _tensor(input)
    return _c.where(_c.abs(x) <= lambd, 0.0, x)


def softshrink(input: Any, lambd: float = 0.5) -> Tensor:
    """x drawn lambd (0 or more) nearer to 0, and 0 inside [-lambd, lambd]."""
    if lambd < 0:
        raise ValueError(f"[softshrink] expected lambd of 0 or more, got {lambd}")
    x = _tensor(input)
    return _c.where(x > lambd, x - lambd, _c.where(x < -lambd, x + lambd, x * 0.0))


def threshold(input: Any, threshold: float, value: float) -> Tensor:
    """x above threshold, value elsewhere."""
    x = _tensor(input)
    return _c.where(x <= threshold, value, x)


def softmin(input: Any, dim: int) -> Tensor:
    """softmax(-x) along dim."""
    return softmax(-_tensor(input), dim)


def gumbel_softmax(logits: Any, tau: float = 1, hard: bool = False, *, dim: int = -1) -> Tensor:
    """A relaxed draw from softmax(logits) (Jang et al. 2017); hard: one-hot forward, the relaxed gradient backward."""
    if not tau > 0:
        raise ValueError(f"[gumbel_softmax] expected tau above 0, got {tau}")
    x = _tensor(logits)
    noise = -_c.log(_c.clamp(-_c.log(_c.clamp(_c.rand_like(x), min=1e-30)), min=1e-30))
    soft = softmax((x + noise) / tau, dim)
    if not hard:
        return soft
    picked = _c.movedim(one_hot(soft.argmax(dim), soft.shape[dim]), -1, dim)
    return _c.cast(picked, soft.dtype) - soft.detach() + soft


# ---- pooling and normalisation ----


def lp_pool1d(input: Any, norm_type: float, kernel_size: int, stride: int | None = None, ceil_mode: bool = False) -> Tensor:
    """The norm_type-norm of each window: (N, C, L)."""
    return _lp_pool(avg_pool1d, _tensor(input), norm_type, kernel_size, kernel_size, stride, ceil_mode)


def lp_pool2d(input: Any, norm_type: float, kernel_size: int | Sequence[int], stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """The norm_type-norm of each window: (N, C, H, W)."""
    size = kernel_size * kernel_size if isinstance(kernel_size, int) else math.prod(kernel_size)
    return _lp_pool(avg_pool2d, _tensor(input), norm_type, size, kernel_size, stride, ceil_mode)


def _lp_pool(pool: Callable[..., Tensor], x: Tensor, p: float, size: int, kernel: Any, stride: Any, ceil_mode: bool) -> Tensor:
    means = pool(_c.pow(x, p), kernel, stride, 0, ceil_mode)
    kept = _c.sign(means) * _c.relu(_c.abs(means)) * size                   # odd powers may sum below 0: refused by the root
    return _c.pow(kept, 1.0 / p)


def local_response_norm(input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """x / (k + alpha * mean of x**2 over `size` neighbouring channels)**beta: (N, C, ..), Krizhevsky et al. 2012."""
    x = _tensor(input)
    if size < 1 or x.ndim < 3:
        raise ValueError(f"[local_response_norm] expected (N, C, ..) and a size of 1 or more, got {tuple(x.shape)} and {size}")
    squares = pad(_c.square(x), (0, 0) * (x.ndim - 2) + (size // 2, (size - 1) // 2))
    near = sum((_c.narrow(squares, 1, i, x.shape[1]) for i in range(1, size)), _c.narrow(squares, 1, 0, x.shape[1]))
    return x / _c.pow(near * (alpha / size) + k, beta)


# ---- linear ----


def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Tensor:
    """x1 @ weight[o] @ x2 + bias[o]: (.., n), (.., m), (O, n, m), (O,) -> (.., O)."""
    a, b, w = _tensor(input1), _tensor(input2), _tensor(weight)
    if w.ndim != 3 or a.ndim < 1 or b.ndim < 1 or (a.shape[-1], b.shape[-1]) != (w.shape[1], w.shape[2]):
        raise ValueError(f"[bilinear] expected (.., n), (.., m) and a weight of (O, n, m), got {tuple(a.shape)}, {tuple(b.shape)} and {tuple(w.shape)}")
    y = _c.einsum("...n,onm,...m->...o", a, w, b)
    return y if bias is None else y + bias


# ---- losses ----


def soft_margin_loss(input: Any, target: Any, *, reduction: str = "mean") -> Tensor:
    """log(1 + exp(-target * input)), target in {-1, 1}."""
    x, t = _tensor(input), _tensor(target)
    _same_shape("soft_margin_loss", x, t)
    return _reduced("soft_margin_loss", softplus(-t * x), reduction)


def poisson_nll_loss(input: Any, target: Any, log_input: bool = True, full: bool = False, eps: float = 1e-8, *, reduction: str = "mean") -> Tensor:
    """exp(input) - target * input (input - target * log(input + eps) unless log_input); full adds Stirling's term for targets above 1."""
    x, t = _tensor(input), _tensor(target)
    _same_shape("poisson_nll_loss", x, t)
    loss = _c.exp(x) - t * x if log_input else x - t * _c.log(x + eps)
    if full:
        large = _c.where(t > 1, t, 1.0)
        loss = loss + _c.where(t > 1, large * _c.log(large) - large + 0.5 * _c.log(2 * math.pi * large), 0.0)
    return _reduced("poisson_nll_loss", loss, reduction)


def gaussian_nll_loss(input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, *, reduction: str = "mean") -> Tensor:
    """(log(var) + (input - target)**2 / var) / 2 with var (0 or more) kept above eps, its clamp without gradient; full adds log(2 pi) / 2."""
    x, t, v = _tensor(input), _tensor(target), _tensor(var)
    _same_shape("gaussian_nll_loss", x, t)
    if tuple(v.shape) == tuple(x.shape[:-1]) and x.ndim:
        v = v.unsqueeze(-1)
    if tuple(v.shape) not in (tuple(x.shape), (*tuple(x.shape)[:-1], 1)):
        raise ValueError(f"[gaussian_nll_loss] expected a var of shape {tuple(x.shape)}, or with a last axis of 1 or none, got {tuple(v.shape)}")
    kept = v + (_c.clamp(v, min=eps) - v).detach()
    loss = 0.5 * (_c.log(kept) + _c.square(x - t) / kept) + (0.5 * math.log(2 * math.pi) if full else 0.0)
    return _reduced("gaussian_nll_loss", loss, reduction)


def multi_margin_loss(input: Any, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None, *, reduction: str = "mean") -> Tensor:
    """sum over the wrong classes of max(0, margin - x[label] + x[class])**p / C: (N, C), labels (N,)."""
    x, t = _tensor(input), _tensor(target)
    if p not in (1, 2) or x.ndim != 2 or tuple(t.shape) != (x.shape[0],):
        raise ValueError(f"[multi_margin_loss] expected p of 1 or 2, (N, C) and (N,), got {p}, {tuple(x.shape)} and {tuple(t.shape)}")
    hot = one_hot(t, x.shape[1]) > 0
    own = _c.sum(_c.where(hot, x, 0.0), 1, True)
    over = _c.relu(margin - own + x)
    if p == 2:
        over = _c.square(over)
    if weight is not None:
        over = over * _tensor(weight)[t].unsqueeze(1)
    return _reduced("multi_margin_loss", _c.sum(_c.where(hot, 0.0, over), 1) / x.shape[1], reduction)


def multilabel_soft_margin_loss(input: Any, target: Any, weight: Any = None, *, reduction: str = "mean") -> Tensor:
    """The mean over classes of binary cross-entropies with logits: (N, C), targets in {0, 1}."""
    x, t = _tensor(input), _tensor(target)
    _same_shape("multilabel_soft_margin_loss", x, t)
    loss = softplus(x) - t * x
    return _reduced("multilabel_soft_margin_loss", _c.mean(loss if weight is None else loss * weight, -1), reduction)


def triplet_margin_with_distance_loss(anchor: Any, positive: Any, negative: Any, *, distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
                                      margin: float = 1.0, swap: bool = False, reduction: str = "mean") -> Tensor:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin); swap takes the nearer of both negatives' distances."""
    d = distance_function or pairwise_distance
    a, p, n = _tensor(anchor), _tensor(positive), _tensor(negative)
    near, far = d(a, p), d(a, n)
    if swap:
        far = _c.minimum(far, d(p, n))
    return _reduced("triplet_margin_with_distance_loss", _c.relu(near - far + margin), reduction)


def pdist(input: Any, p: float = 2.0) -> Tensor:
    """Distances in the p-norm of every pair of rows: (n, d) -> (n (n - 1) / 2,)."""
    x = _tensor(input)
    if x.ndim != 2:
        raise ValueError(f"[pdist] expected (n, d), got {tuple(x.shape)}")
    n = x.shape[0]
    first, second = ([i for i in range(n) for _ in range(i + 1, n)], [j for i in range(n) for j in range(i + 1, n)])
    if not first:
        return _c.zeros((0,), dtype=x.dtype)
    return _c.linalg_vector_norm(x[_c.tensor(first)] - x[_c.tensor(second)], p, 1)
