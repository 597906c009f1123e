"""Layers and losses written in the functions of nn.functional, with torch's names, arguments and state_dict keys."""

from __future__ import annotations

import math
from typing import Any, Callable, Iterable, Iterator, Mapping, Sequence

from miniten import _core as _c
from miniten._core import Module, Parameter, Tensor, TransformerDecoderLayer, TransformerEncoderLayer
from miniten.nn import functional as F
from miniten.nn import init
from miniten.nn.transformer import TransformerDecoder, TransformerEncoder

__all__ = [
    "Bilinear", "CircularPad1d", "CircularPad2d", "ConstantPad1d", "ConstantPad2d", "CosineSimilarity", "GaussianNLLLoss", "Hardshrink", "LPPool1d", "LPPool2d",
    "LocalResponseNorm", "MultiLabelSoftMarginLoss", "MultiMarginLoss", "PairwiseDistance", "ParameterDict", "ParameterList", "PoissonNLLLoss",
    "ReflectionPad1d", "ReplicationPad1d", "SoftMarginLoss", "Softmax2d", "Softmin", "Softshrink", "Threshold", "Transformer",
    "TripletMarginWithDistanceLoss", "UpsamplingBilinear2d", "UpsamplingNearest2d", "ZeroPad1d",
]


class _Layer(Module):
    """A function with settings: the attributes named in `shown`, which repr prints."""

    shown: tuple[str, ...] = ()

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self.shown)


# ---- padding ----


class _Pad(_Layer):
    mode, value, axes = "constant", None, 1
    shown = ("padding",)

    def __init__(self, padding: int | Sequence[int]):
        super().__init__()
        self.padding = (padding,) * (2 * self.axes) if isinstance(padding, int) else tuple(padding)
        if len(self.padding) != 2 * self.axes:
            raise ValueError(f"[{type(self).__name__}] expected one width or {2 * self.axes}, got {self.padding}")

    def forward(self, x: Any) -> Tensor:
        return F.pad(x, self.padding, self.mode, self.value)


class ZeroPad1d(_Pad):
    """Zeros on both sides: (N, C, L); padding: one width, or (left, right)."""


class ReflectionPad1d(_Pad):
    """The neighbours mirrored at the ends: (N, C, L); padding: one width, or (left, right)."""

    mode = "reflect"


class ReplicationPad1d(_Pad):
    """The first and last values again: (N, C, L); padding: one width, or (left, right)."""

    mode = "replicate"


class CircularPad1d(_Pad):
    """The other end's values: (N, C, L); padding: one width, or (left, right)."""

    mode = "circular"


class CircularPad2d(_Pad):
    """The other ends' values: (N, C, H, W); padding: one width, or (left, right, top, bottom)."""

    mode, axes = "circular", 2


class ConstantPad1d(_Pad):
    """value on both sides: (N, C, L); padding: one width, or (left, right)."""

    shown = ("padding", "value")

    def __init__(self, padding: int | Sequence[int], value: float):
        super().__init__(padding)
        self.value = value


class ConstantPad2d(ConstantPad1d):
    """value on all sides: (N, C, H, W); padding: one width, or (left, right, top, bottom)."""

    axes = 2


# ---- activations ----


class Hardshrink(_Layer):
    """0 inside [-lambd, lambd], x outside."""

    shown = ("lambd",)

    def __init__(self, lambd: float = 0.5):
        super().__init__()
        self.lambd = lambd

    def forward(self, x: Any) -> Tensor:
        return F.hardshrink(x, self.lambd)


class Softshrink(Hardshrink):
    """x drawn lambd nearer to 0, and 0 inside [-lambd, lambd]."""

    def forward(self, x: Any) -> Tensor:
        return F.softshrink(x, self.lambd)


class Threshold(_Layer):
    """x above threshold, value elsewhere."""

    shown = ("threshold", "value")

    def __init__(self, threshold: float, value: float, inplace: bool = False):
        super().__init__()
        self.threshold, self.value = threshold, value

    def forward(self, x: Any) -> Tensor:
        return F.threshold(x, self.threshold, self.value)


class Softmin(_Layer):
    """softmax(-x) along dim."""

    shown = ("dim",)

    def __init__(self, dim: int = -1):
        super().__init__()
        self.dim = dim

    def forward(self, x: Any) -> Tensor:
        return F.softmin(x, self.dim)


class Softmax2d(Module):
    """softmax over the channels of each pixel: (N, C, H, W) or (C, H, W)."""

    def forward(self, x: Any) -> Tensor:
        if x.ndim not in (3, 4):
            raise ValueError(f"[Softmax2d] expected (N, C, H, W) or (C, H, W), got {tuple(x.shape)}")
        return F.softmax(x, -3)


# ---- pooling, normalisation, resizing, distances ----


class LPPool1d(_Layer):
    """The norm_type-norm of each window: (N, C, L)."""

    shown = ("norm_type", "kernel_size", "stride", "ceil_mode")
    _pool = staticmethod(F.lp_pool1d)

    def __init__(self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False):
        super().__init__()
        self.norm_type, self.kernel_size, self.stride, self.ceil_mode = norm_type, kernel_size, stride, ceil_mode

    def forward(self, x: Any) -> Tensor:
        return self._pool(x, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)


class LPPool2d(LPPool1d):
    """The norm_type-norm of each window: (N, C, H, W)."""

    _pool = staticmethod(F.lp_pool2d)


class LocalResponseNorm(_Layer):
    """Each value divided by the energy of `size` neighbouring channels: (N, C, ..), Krizhevsky et al. 2012."""

    shown = ("size", "alpha", "beta", "k")

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Any) -> Tensor:
        return F.local_response_norm(x, self.size, self.alpha, self.beta, self.k)


class UpsamplingNearest2d(_Layer):
    """Resized by the nearest pixel: (N, C, H, W), to size or by scale_factor."""

    shown = ("size", "scale_factor")

    def __init__(self, size: Any = None, scale_factor: Any = None):
        super().__init__()
        self.size, self.scale_factor = size, scale_factor

    def forward(self, x: Any) -> Tensor:
        return F.interpolate(x, self.size, self.scale_factor, "nearest")


class UpsamplingBilinear2d(UpsamplingNearest2d):
    """Resized bilinearly with aligned corners: (N, C, H, W), to size or by scale_factor."""

    def forward(self, x: Any) -> Tensor:
        return F.interpolate(x, self.size, self.scale_factor, "bilinear", align_corners=True)


class CosineSimilarity(_Layer):
    """x1 . x2 / max(|x1| |x2|, eps) along dim."""

    shown = ("dim", "eps")

    def __init__(self, dim: int = 1, eps: float = 1e-8):
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1: Any, x2: Any) -> Tensor:
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(_Layer):
    """The p-norm of x1 - x2 + eps along the last axis."""

    shown = ("p", "eps", "keepdim")

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False):
        super().__init__()
        self.p, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Any, x2: Any) -> Tensor:
        return F.pairwise_distance(x1, x2, self.p, self.eps, self.keepdim)


class Bilinear(_Layer):
    """x1 @ weight[o] @ x2 + bias[o]: (.., in1), (.., in2) -> (.., out); weight (out, in1, in2), uniform within 1 / sqrt(in1)."""

    shown = ("in1_features", "in2_features", "out_features")

    def __init__(self, in1_features: int, in2_features: int, out_features: int, bias: bool = True):
        super().__init__()
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        bound = 1 / math.sqrt(in1_features)
        self.weight = Parameter(_c.zeros((out_features, in1_features, in2_features)))
        init.uniform_(self.weight, -bound, bound)
        if bias:
            self.bias = Parameter(_c.zeros((out_features,)))
            init.uniform_(self.bias, -bound, bound)
        else:
            self.bias = None

    def forward(self, x1: Any, x2: Any) -> Tensor:
        return F.bilinear(x1, x2, self.weight, self.bias)


# ---- parameters by number and name ----


class ParameterList(Module):
    """A list of parameters, registered by number."""

    def __init__(self, values: Iterable[Any] = ()):
        super().__init__()
        self.extend(values)

    def append(self, value: Any) -> ParameterList:
        self.register_parameter(str(len(self)), value if isinstance(value, Parameter) else Parameter(value))
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        for value in values:
            self.append(value)
        return self

    def __getitem__(self, index: int) -> Any:
        return list(self.parameters())[index]

    def __len__(self) -> int:
        return sum(1 for _ in self.parameters())

    def __iter__(self) -> Iterator[Any]:
        return iter(self.parameters())


class ParameterDict(Module):
    """Parameters by name."""

    def __init__(self, parameters: Mapping[str, Any] | None = None):
        super().__init__()
        self.update(parameters or {})

    def update(self, parameters: Mapping[str, Any]) -> None:
        for name, value in parameters.items():
            self[name] = value

    def __getitem__(self, name: str) -> Any:
        return dict(self.named_parameters())[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.register_parameter(name, value if isinstance(value, Parameter) else Parameter(value))

    def __contains__(self, name: object) -> bool:
        return any(known == name for known, _ in self.named_parameters())

    def __len__(self) -> int:
        return sum(1 for _ in self.parameters())

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def keys(self) -> list[str]:
        return [name for name, _ in self.named_parameters()]

    def values(self) -> list[Any]:
        return list(self.parameters())

    def items(self) -> list[tuple[str, Any]]:
        return list(self.named_parameters())


# ---- a whole transformer ----


class Transformer(Module):
    """Encoder and decoder stacks (Vaswani et al. 2017): (S, N, E), (T, N, E) -> (T, N, E), or batch first."""

    def __init__(self, d_model: int = 512, nhead: int = 8, num_encoder_layers: int = 6, num_decoder_layers: int = 6, dim_feedforward: int = 2048, dropout: float = 0.1,
                 activation: str = "relu", layer_norm_eps: float = 1e-5, batch_first: bool = False, norm_first: bool = False):
        super().__init__()
        settings = dict(dropout=dropout, activation=activation, layer_norm_eps=layer_norm_eps, batch_first=batch_first, norm_first=norm_first)
        self.encoder = TransformerEncoder(TransformerEncoderLayer(d_model, nhead, dim_feedforward, **settings), num_encoder_layers, _c.LayerNorm(d_model, layer_norm_eps))
        self.decoder = TransformerDecoder(TransformerDecoderLayer(d_model, nhead, dim_feedforward, **settings), num_decoder_layers, _c.LayerNorm(d_model, layer_norm_eps))
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first
        for p in self.parameters():
            if p.ndim > 1:
                init.xavier_uniform_(p)

    def forward(self, src: Any, tgt: Any, src_mask: Any = None, tgt_mask: Any = None, memory_mask: Any = None, src_key_padding_mask: Any = None,
                tgt_key_padding_mask: Any = None, memory_key_padding_mask: Any = None, src_is_causal: bool = False, tgt_is_causal: bool = False,
                memory_is_causal: bool = False) -> Any:
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
                            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=tgt_is_causal, memory_is_causal=memory_is_causal)

    @staticmethod
    def generate_square_subsequent_mask(sz: int) -> Tensor:
        """(sz, sz): 0 where a position may look, -inf ahead of it."""
        return _c.triu(_c.full((sz, sz), -math.inf), 1)


# ---- losses ----


class SoftMarginLoss(_Layer):
    """log(1 + exp(-target * input)), target in {-1, 1}."""

    def __init__(self, *, reduction: str = "mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Tensor:
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class PoissonNLLLoss(_Layer):
    """The negative log-likelihood of Poisson counts; input is the log of the rate unless log_input is False."""

    def __init__(self, log_input: bool = True, full: bool = False, eps: float = 1e-8, *, reduction: str = "mean"):
        super().__init__()
        self.log_input, self.full, self.eps, self.reduction = log_input, full, eps, reduction

    def forward(self, input: Any, target: Any) -> Tensor:
        return F.poisson_nll_loss(input, target, self.log_input, self.full, self.eps, reduction=self.reduction)


class GaussianNLLLoss(_Layer):
    """The negative log-likelihood of a normal distribution of mean input and variance var."""

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean"):
        super().__init__()
        self.full, self.eps, self.reduction = full, eps, reduction

    def forward(self, input: Any, target: Any, var: Any) -> Tensor:
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, reduction=self.reduction)


class MultiMarginLoss(_Layer):
    """sum over the wrong classes of max(0, margin - x[label] + x[class])**p / C."""

    def __init__(self, p: int = 1, margin: float = 1.0, weight: Any = None, *, reduction: str = "mean"):
        super().__init__()
        self.p, self.margin, self.weight, self.reduction = p, margin, weight, reduction

    def forward(self, input: Any, target: Any) -> Tensor:
        return F.multi_margin_loss(input, target, self.p, self.margin, self.weight, reduction=self.reduction)


class MultiLabelSoftMarginLoss(_Layer):
    """The mean over classes of binary cross-entropies with logits."""

    def __init__(self, weight: Any = None, *, reduction: str = "mean"):
        super().__init__()
        self.weight, self.reduction = weight, reduction

    def forward(self, input: Any, target: Any) -> Tensor:
        return F.multilabel_soft_margin_loss(input, target, self.weight, reduction=self.reduction)


class TripletMarginWithDistanceLoss(_Layer):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin) for any distance d of two tensors."""

    def __init__(self, *, distance_function: Callable[[Tensor, Tensor], Tensor] | None = None, margin: float = 1.0, swap: bool = False, reduction: str = "mean"):
        super().__init__()
        self.distance_function, self.margin, self.swap, self.reduction = distance_function, margin, swap, reduction

    def forward(self, anchor: Any, positive: Any, negative: Any) -> Tensor:
        return F.triplet_margin_with_distance_loss(anchor, positive, negative, distance_function=self.distance_function, margin=self.margin, swap=self.swap,
                                                   reduction=self.reduction)
