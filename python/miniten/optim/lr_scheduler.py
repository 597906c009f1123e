"""Learning-rate schedules: schedulers that set an optimizer's rate, and the closed forms behind them."""

from miniten._core import (
    CosineAnnealingLR,
    ExponentialLR,
    LinearWarmup,
    LRScheduler,
    StepLR,
    WarmupCosine,
    cosine_annealing_lr,
    exponential_lr,
    step_lr,
    warmup_cosine_lr,
    warmup_lr,
)

WarmupCosineLR = WarmupCosine

__all__ = [
    "CosineAnnealingLR", "ExponentialLR", "LRScheduler", "LinearWarmup", "StepLR", "WarmupCosine", "WarmupCosineLR", "cosine_annealing_lr",
    "exponential_lr", "step_lr", "warmup_cosine_lr", "warmup_lr",
]
