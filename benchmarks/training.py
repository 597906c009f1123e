"""Training steps of MiniTen beside PyTorch's: forward, loss, backward and Adam, both eager, from the same weights.

    python benchmarks/training.py [--threads 1] [--rounds 40] [--batch 32]

A ratio above 1 says that MiniTen is faster. The losses of the first steps are compared first.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from nets import ALL
from turns import compare

import miniten as mt


def stepper(framework, model, x, y):
    """A function that takes one step and gives the loss before it."""
    nn, optim = framework.nn, framework.optim
    tensor = torch.tensor if framework is torch else mt.tensor
    x, y = tensor(x), tensor(y)
    loss_of = nn.CrossEntropyLoss() if len(y.shape) == 1 else nn.MSELoss()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    model.train()

    def step():
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    mt.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} thread(s), batch {options.batch}, {options.rounds} rounds, {mt.cpu_info()['isa']}\n")
    print("| network | MiniTen | torch | faster by | middle 80 % | losses differ by |\n|---|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    for name, make in ALL.items():
        torch.manual_seed(0)
        peer, shape = make(torch.nn)
        own, _ = make(mt.nn)
        own.load_state_dict({k: v.numpy() for k, v in peer.state_dict().items()})
        x = rng.standard_normal((options.batch, *shape[1:])).astype(np.float32)
        y = x if name == "autoencoder" else rng.integers(0, 2, options.batch)
        a, b = stepper(mt, own, x, y), stepper(torch, peer, x, y)
        apart = max(abs(a().item() / b().item() - 1) for _ in range(3))
        c = compare(a, b, options.rounds, 2e-2)
        print(f"| {name} | {c.first * 1e3:.2f} ms | {c.second * 1e3:.2f} ms | {c.ratio:.2f}x | {c.low:.2f} to {c.high:.2f} | {apart:.1e} |", flush=True)


if __name__ == "__main__":
    main()
