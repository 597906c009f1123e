"""Optimizers, learning-rate schedules, averages of weights and gradient clipping."""

from miniten._core import SGD, Adagrad, Adam, AdamW, Lion, NAdam, Optimizer, ParamGroup, RAdam, RMSprop, clip_grad_norm, clip_grad_value
from miniten.optim import lr_scheduler
from miniten.optim.ema import EMA
from miniten.optim.lr_scheduler import cosine_annealing_lr, exponential_lr, multi_step_lr, step_lr, warmup_cosine_lr, warmup_lr

__all__ = [
    "Adagrad", "Adam", "AdamW", "EMA", "Lion", "NAdam", "Optimizer", "ParamGroup", "RAdam", "RMSprop", "SGD", "clip_grad_norm", "clip_grad_value",
    "cosine_annealing_lr", "exponential_lr", "lr_scheduler", "multi_step_lr", "step_lr", "warmup_cosine_lr", "warmup_lr",
]
