"""Learning-rate schedules: schedulers that set an optimizer's rate, and the closed forms behind them."""

from miniten._core import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LinearWarmup,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
    WarmupCosine,
    cosine_annealing_lr,
    exponential_lr,
    multi_step_lr,
    step_lr,
    warmup_cosine_lr,
    warmup_lr,
)

WarmupCosineLR = WarmupCosine

__all__ = [
    "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "ExponentialLR", "LRScheduler", "LambdaLR", "LinearLR", "LinearWarmup",
    "MultiStepLR", "OneCycleLR", "PolynomialLR", "ReduceLROnPlateau", "SequentialLR", "StepLR", "WarmupCosine", "WarmupCosineLR",
    "cosine_annealing_lr", "exponential_lr", "multi_step_lr", "step_lr", "warmup_cosine_lr", "warmup_lr",
]
