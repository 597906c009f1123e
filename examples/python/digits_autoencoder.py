"""An autoencoder squeezes handwritten digits through eight numbers and does it better than principal components.

    python examples/python/digits_autoencoder.py [--seed 0] [--epochs 60]

The reference is the best linear code of the same width: the first eight singular vectors of the training images. The program ends
with 1 where the net's error on images never seen is more than 0.65 of the reference's.
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
CODE = 8
MUST_REACH = 0.65


def net() -> nn.Sequential:
    encoder = nn.Sequential(nn.Linear(64, 128), nn.SiLU(), nn.Linear(128, 64), nn.SiLU(), nn.Linear(64, CODE))
    decoder = nn.Sequential(nn.Linear(CODE, 64), nn.SiLU(), nn.Linear(64, 128), nn.SiLU(), nn.Linear(128, 64))
    return nn.Sequential(encoder, decoder)


def by_principal_components(train: mt.Tensor, test: mt.Tensor) -> float:
    centre = train.mean(0)
    basis = mt.linalg.svd(train - centre, full_matrices=False).Vh[:CODE]
    return float(((test - centre) @ basis.T @ basis + centre - test).square().mean().item())


def run(seed: int = 0, epochs: int = 60, verbose: bool | str = "auto") -> tuple[float, float]:
    """-> mean squared error on images never seen, of the net and of principal components."""
    mt.manual_seed(seed)
    images = (np.load(DATA / "digits_images.npy").astype(np.float32) / 16).reshape(-1, 64)
    train, test = train_test_split(ArrayDataset(images, images), test_size=0.25, seed=1)
    seen, unseen = (mt.tensor(np.stack([images[i] for i in part.indices])) for part in (train, test))
    model = net()
    optimizer = optim.AdamW(model.parameters(), lr=3e-3)
    loader = DataLoader(train, 64, shuffle=True, seed=seed, drop_last=True)
    scheduler = optim.lr_scheduler.WarmupCosine(optimizer, len(loader), epochs * len(loader))
    mt.Trainer(model, optimizer, "mse", scheduler=scheduler).fit(loader, epochs=epochs, verbose=verbose)
    model.eval()
    with mt.no_grad():
        error = float((model(unseen) - unseen).square().mean().item())
    return error, by_principal_components(seen, unseen)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=60)
    options = parser.parse_args(arguments)
    error, reference = run(options.seed, options.epochs)
    print(f"error {error:.5f}, principal components {reference:.5f}: {error / reference:.2f} of it, at most {MUST_REACH} wanted")
    return 0 if error <= MUST_REACH * reference else 1


if __name__ == "__main__":
    sys.exit(main())
