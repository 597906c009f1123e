"""Optimizers, learning-rate schedules and gradient clipping."""

from miniten._core import SGD, Adam, AdamW, Optimizer, clip_grad_norm, clip_grad_value
from miniten.optim import lr_scheduler
from miniten.optim.lr_scheduler import cosine_annealing_lr, exponential_lr, step_lr, warmup_cosine_lr, warmup_lr

__all__ = [
    "SGD", "Adam", "AdamW", "Optimizer", "clip_grad_norm", "clip_grad_value", "cosine_annealing_lr", "exponential_lr", "lr_scheduler", "step_lr",
    "warmup_cosine_lr", "warmup_lr",
]
