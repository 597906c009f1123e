"""A DS-CNN tells melodies of two tones apart in noise, then in eight bits: the net of keyword spotters on microcontrollers.

    python examples/python/keyword_ds_cnn.py [--seed 0] [--steps 120]

Every sound is synthesised: one of six pairs of tones somewhere within half a second, or noise alone, in noise. The net (a convolution, then
depthwise separable ones; Zhang et al. 2017) sees 32 bands of a short-time spectrum over 24 frames. The program ends with 1 where fewer than 95 % of new
sounds are told right, or where eight bits lose more than one point.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

import miniten as mt
from miniten import edge, nn, optim

RATE, LENGTH, WINDOW, HOP, BANDS, FRAMES = 8000, 4000, 256, 160, 32, 24
WORDS = ((600, 900), (900, 600), (600, 1400), (1400, 600), (900, 1400), (1400, 900))
MUST_REACH = 0.95


def sounds(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, 1, frames, bands) and the word, the last for none."""
    labels = rng.integers(0, len(WORDS) + 1, n)
    t = np.arange(LENGTH) / RATE
    begin, length = rng.uniform(0.02, 0.25, (n, 1)), rng.uniform(0.08, 0.12, (n, 1))
    wave = rng.normal(size=(n, LENGTH)) * rng.uniform(0.05, 0.2, (n, 1))
    pitches = np.array([*WORDS, (0, 0)])[labels] * rng.uniform(0.95, 1.05, (n, 1))
    for i in range(2):
        sounding = (t >= begin + i * length) & (t < begin + (i + 1) * length) & (labels < len(WORDS))[:, None]
        wave += sounding * np.sin(2 * np.pi * pitches[:, i : i + 1] * t + rng.uniform(0, 6.28, (n, 1))) * rng.uniform(0.4, 1.0, (n, 1))
    return spectrum(wave), labels


def spectrum(wave: np.ndarray) -> np.ndarray:
    frames = np.lib.stride_tricks.sliding_window_view(wave, WINDOW, axis=1)[:, ::HOP][:, :FRAMES] * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(frames))[:, :, 2 : 2 + 2 * BANDS].reshape(len(wave), FRAMES, BANDS, 2).sum(-1)
    return (np.log(power + 1e-3) / 4).astype(np.float32)[:, None]


def net(width: int = 24) -> nn.Sequential:
    def part(*layers: nn.Module) -> list[nn.Module]:
        return [module for layer in layers for module in (layer, nn.BatchNorm2d(width), nn.ReLU())]

    body = part(nn.Conv2d(1, width, (10, 4), stride=(1, 2), padding=(4, 1), bias=False))
    for _ in range(3):
        body += part(nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False), nn.Conv2d(width, width, 1, bias=False))
    return nn.Sequential(*body, nn.Dropout(0.1), nn.AdaptiveAvgPool2d((1, 4)), nn.Flatten(), nn.Linear(4 * width, len(WORDS) + 1))


def run(seed: int = 0, steps: int = 120) -> tuple[float, float]:
    """-> accuracy on new sounds, of float32 and of int8."""
    mt.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = net()
    optimizer = optim.AdamW(model.parameters(), lr=0.01)
    scheduler = optim.lr_scheduler.WarmupCosine(optimizer, 10, steps)
    for _ in range(steps):
        x, y = sounds(rng, 48)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(mt.tensor(x)), y).backward()
        optimizer.step()
        scheduler.step()
    model.eval()
    quantized = edge.quantize_model(model, calibration_data=[sounds(rng, 64)[0]])
    x, y = sounds(np.random.default_rng(10_000 + seed), 700)
    with mt.no_grad():
        told = [m(mt.tensor(x)).numpy().argmax(1) for m in (model, quantized)]
    return float((told[0] == y).mean()), float((told[1] == y).mean())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=120)
    options = parser.parse_args(arguments)
    accuracy, in_bytes = run(options.seed, options.steps)
    print(f"accuracy {accuracy:.3f} on new sounds, at least {MUST_REACH} wanted; {in_bytes:.3f} in eight bits, at most a point less")
    return 0 if accuracy >= MUST_REACH and in_bytes >= accuracy - 0.01 else 1


if __name__ == "__main__":
    sys.exit(main())
