"""A small student of few labels, alone and taught by a larger net: the gain over several seeds.

    python examples/python/digits_distillation.py [--seeds 5] [--labels 200]

Student alone and student taught begin with the same weights and see the same batches of the same labelled digits. The
program ends with 1 where teaching gains nothing on average.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Callable

import numpy as np

import miniten as mt
from miniten import nn, optim
from miniten.edge import knowledge_distillation

DATA = Path(__file__).parents[1] / "data"


def teacher_net() -> nn.Module:
    def block(a: int, b: int) -> list[nn.Module]:
        return [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU()]

    return nn.Sequential(*block(1, 32), *block(32, 64), nn.MaxPool2d(2), *block(64, 64), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def student_net(seed: int) -> nn.Module:
    mt.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def train(model: nn.Module, step: Callable[[Any, Any], Any], images: np.ndarray, labels: np.ndarray, epochs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    model.train()
    for _ in range(epochs):
        for batch in np.array_split(rng.permutation(len(images)), len(images) // 32):
            step(images[batch], labels[batch])
    model.eval()


def plain_step(model: nn.Module, lr: float) -> Callable[[Any, Any], None]:
    optimizer = optim.Adam(model.parameters(), lr=lr)

    def step(x: Any, y: Any) -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step


def accuracy(model: nn.Module, images: np.ndarray, labels: np.ndarray) -> float:
    with mt.no_grad():
        return float((model(images).argmax(1).numpy() == labels).mean())


def run(seed: int, count: int) -> tuple[float, float, float]:
    """-> accuracy of teacher, student alone and student taught, on images never seen."""
    images = (np.load(DATA / "digits_images.npy").astype(np.float32) / 16).reshape(-1, 1, 8, 8)
    labels = np.load(DATA / "digits_labels.npy").astype(np.int64)
    order = np.random.default_rng(seed).permutation(len(images))
    test, known, few = order[:540], order[540:], order[540 : 540 + count]

    mt.manual_seed(seed)
    teacher = teacher_net()
    train(teacher, plain_step(teacher, 2e-3), images[known], labels[known], 15, seed)
    alone = student_net(seed)
    train(alone, plain_step(alone, 3e-3), images[few], labels[few], 200, seed)
    taught = student_net(seed)
    trainer = knowledge_distillation(taught, teacher, temperature=2.0, alpha=0.7)
    trainer.optimizer = optim.Adam(taught.parameters(), lr=3e-3)
    train(taught, trainer.train_step, images[few], labels[few], 200, seed)
    return accuracy(teacher, images[test], labels[test]), accuracy(alone, images[test], labels[test]), accuracy(taught, images[test], labels[test])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--labels", type=int, default=200)
    options = parser.parse_args(arguments)
    gains = []
    for seed in range(options.seeds):
        teacher, alone, taught = run(seed, options.labels)
        gains.append(taught - alone)
        print(f"seed {seed}: teacher {teacher:.4f}, student alone {alone:.4f}, taught {taught:.4f}, gain {100 * gains[-1]:+.2f} points")
    print(f"gain {100 * np.mean(gains):+.2f} points on average, {100 * min(gains):+.2f} at worst")
    return 0 if np.mean(gains) > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
