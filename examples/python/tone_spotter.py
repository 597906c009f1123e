"""A GRU hears which of four tones sounds in noise, trained on whole sequences and run as a stream.

    python examples/python/tone_spotter.py [--seed 0] [--steps 150]

Every sound is synthesised: a tone of one of four pitches that begins somewhere, in noise, or noise alone. The net is given 16 samples
at a time and answers after each. The program ends with 1 where fewer than 95 % of new sounds are told right, or where the stream
does not give the whole sequence's numbers.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

import miniten as mt
from miniten import nn, optim

FRAME, FRAMES, RATE = 16, 40, 4000
PITCHES = (350.0, 500.0, 700.0, 950.0)
MUST_REACH = 0.95


def sounds(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, frames, samples of a frame) and the tone, 4 for none."""
    labels = rng.integers(0, len(PITCHES) + 1, n)
    t = np.arange(FRAME * FRAMES) / RATE
    begin = rng.uniform(0.1, 0.6, (n, 1)) * t[-1]
    pitch = np.array([*PITCHES, 0.0])[labels][:, None] * rng.uniform(0.97, 1.03, (n, 1))
    tone = np.sin(2 * np.pi * pitch * t + rng.uniform(0, 6.28, (n, 1))) * (t >= begin) * (labels < len(PITCHES))[:, None]
    wave = tone + 0.3 * rng.normal(size=(n, t.size))
    return wave.reshape(n, FRAMES, FRAME).astype(np.float32), labels


class Spotter(nn.Module):
    def __init__(self, hidden: int = 32) -> None:
        super().__init__()
        self.gru = nn.GRU(FRAME, hidden, batch_first=True)
        self.head = nn.Linear(hidden, len(PITCHES) + 1)

    def forward(self, x):
        outputs, _ = self.gru(x)
        return self.head(outputs[:, -1])

    def hear(self, frame, state):
        output, state = self.gru.step(frame, state)
        return self.head(output), state


def run(seed: int = 0, steps: int = 150) -> tuple[float, float]:
    """-> accuracy on new sounds, and how far the stream is from the whole sequence."""
    mt.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = Spotter()
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    scheduler = optim.lr_scheduler.WarmupCosine(optimizer, 10, steps)
    for _ in range(steps):
        x, y = sounds(rng, 64)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optim.clip_grad_norm(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
    model.eval()
    x, y = sounds(np.random.default_rng(10_000 + seed), 500)
    with mt.no_grad():
        whole = model(x).numpy()
        state = None
        for frame in range(FRAMES):
            answer, state = model.hear(mt.tensor(x[:, frame]), state)
    return float((whole.argmax(1) == y).mean()), float(np.abs(answer.numpy() - whole).max())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=150)
    options = parser.parse_args(arguments)
    accuracy, apart = run(options.seed, options.steps)
    print(f"accuracy {accuracy:.3f} on new sounds, at least {MUST_REACH} wanted; the stream is {apart:.1e} from the whole sequence")
    return 0 if accuracy >= MUST_REACH and apart <= 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main())
