"""MiniTen's main job on real data: train, quantise, prune, measure, estimate, export, read back, report.

    python examples/python/edge_pipeline.py [--seed 0] [--epochs 40] [--output build/demo] [--quiet]

Handwritten digits (examples/data) are split once into training and test images; the test images are seen neither in
training nor in calibration. Models, figures and report.html are left in the output folder. The program ends with 1 where a
figure is missed, and says which.
"""

from __future__ import annotations

import argparse
import html
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import miniten as mt
from miniten import nn, optim
from miniten.edge import (
    benchmark_model,
    check_edge_compatibility,
    count_flops,
    count_parameters,
    estimate_memory,
    estimate_power,
    export_miniten,
    export_onnx,
    load_miniten,
    load_onnx,
    prune_model,
    quantize_model,
)
from miniten.utils import progress
from miniten.utils.data import ArrayDataset, DataLoader, Subset, train_test_split

DATA = Path(__file__).resolve().parent.parent / "data"
INPUT_SHAPE = (1, 1, 8, 8)
TEST_SHARE = 0.3


# ---- data ----
def load_digits(seed: int) -> tuple[Subset, Subset]:
    """(train, test) of images (1, 8, 8) in [0, 1] with labels, every digit with the same share on both sides."""
    images = np.load(DATA / "digits_images.npy").astype(np.float32)[:, None] / 16
    labels = np.load(DATA / "digits_labels.npy").astype(np.int64)
    return train_test_split(ArrayDataset(images, labels), test_size=TEST_SHARE, seed=seed, stratify=labels)


def arrays(dataset: Subset) -> tuple[mt.Tensor, mt.Tensor]:
    return next(iter(DataLoader(dataset, batch_size=len(dataset))))


# ---- model and training ----
def make_model() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 48, 1, bias=False), nn.BatchNorm2d(48), nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(48, 48, 3, padding=1, groups=48, bias=False), nn.BatchNorm2d(48), nn.ReLU(),
        nn.Conv2d(48, 64, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.2), nn.Linear(64 * 2 * 2, 10),
    )


def shifted(images: mt.Tensor, rng: np.random.Generator) -> mt.Tensor:
    """The batch moved by up to one pixel in each direction, as a digit may stand on a sensor."""
    dy, dx = rng.integers(0, 3, 2)
    return mt.pad(images, (1, 1, 1, 1))[:, :, dy : dy + 8, dx : dx + 8]


def train(model: nn.Module, data: Subset, epochs: int, lr: float, seed: int, label: str, quiet: bool = False) -> list[float]:
    """AdamW with warm-up and cosine decay -> the mean loss of each epoch."""
    loader = DataLoader(data, batch_size=32, shuffle=True, drop_last=True, seed=seed)
    optimizer = optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01)
    scheduler = optim.lr_scheduler.WarmupCosine(optimizer, warmup_steps=2 * len(loader), total_steps=epochs * len(loader))
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    rng = np.random.default_rng(seed)
    model.train()
    losses = []
    bar = range(epochs) if quiet else progress(range(epochs), label)
    for _ in bar:
        total = 0.0
        for images, labels in loader:
            optimizer.zero_grad()
            loss = loss_of(model(shifted(images, rng)), labels)
            loss.backward()
            optimizer.step()
            scheduler.step()
            total += loss.item()
        losses.append(total / len(loader))
        if not quiet:
            bar.set(loss=losses[-1])
    model.eval()
    return losses


def predict(model: Any, images: mt.Tensor) -> np.ndarray:
    with mt.no_grad():
        return model(images).numpy()


def accuracy(logits: np.ndarray, labels: mt.Tensor) -> float:
    """In per cent."""
    return float((logits.argmax(1) == labels.numpy()).mean() * 100)
