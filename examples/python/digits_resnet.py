"""A small residual net on handwritten digits, with mt.Trainer.

    python examples/python/digits_resnet.py [--seed 0] [--epochs 15]

The digits of examples/data are split once; the test images are seen neither in training nor in choosing anything. The program
ends with 1 where fewer than 97 % of them are told right.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import miniten as mt
from miniten import nn, optim
from miniten.utils.data import ArrayDataset, DataLoader, train_test_split

DATA = Path(__file__).parents[1] / "data"
MUST_REACH = 0.97


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs),
        )
        self.past = nn.Identity() if inputs == outputs and stride == 1 else nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)

    def forward(self, x):
        return mt.relu(self.body(x) + self.past(x))


def net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), Block(16, 16), Block(16, 32, 2), Block(32, 64, 2),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def run(seed: int = 0, epochs: int = 15, verbose: bool | str = "auto") -> float:
    """-> accuracy on images never seen."""
    mt.manual_seed(seed)
    images = np.load(DATA / "digits_images.npy").astype(np.float32)
    images = (images / images.max() - 0.3).reshape(-1, 1, 8, 8)
    labels = np.load(DATA / "digits_labels.npy").astype(np.int64)
    train, test = train_test_split(ArrayDataset(images, labels), test_size=0.25, seed=1, stratify=labels)
    model = net()
    optimizer = optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.02)
    loader = DataLoader(train, 64, shuffle=True, seed=seed, drop_last=True)
    scheduler = optim.lr_scheduler.WarmupCosine(optimizer, len(loader), epochs * len(loader))
    trainer = mt.Trainer(model, optimizer, nn.CrossEntropyLoss(label_smoothing=0.05), ["accuracy"], scheduler=scheduler)
    trainer.fit(loader, epochs=epochs, verbose=verbose)
    return float(trainer.evaluate(test)["accuracy"])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=15)
    options = parser.parse_args(arguments)
    accuracy = run(options.seed, options.epochs)
    print(f"accuracy {accuracy:.4f} on images never seen, at least {MUST_REACH} wanted")
    return 0 if accuracy >= MUST_REACH else 1


if __name__ == "__main__":
    sys.exit(main())
