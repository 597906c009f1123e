"""MiniTen's images and loader beside Pillow, OpenCV and torch, on the same pictures and arrays; beside albumentations and
torchvision where they are installed.

    python benchmarks/data.py [--rounds 41]

All run in turn (A B A B) in one process, on one thread but for the loaders with workers. A ratio above 1 says that MiniTen is
faster; its interval holds the middle 80 % of the rounds.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
from PIL import Image

import miniten as mt
from miniten.utils import vision as v
from miniten.utils.data import ArrayDataset, DataLoader


def timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def compare(name: str, own: Callable[[], object], peers: dict[str, Callable[[], object]], rounds: int) -> None:
    own(), [p() for p in peers.values()]
    times: dict[str, list[float]] = {"own": [], **{p: [] for p in peers}}
    for _ in range(rounds):
        times["own"].append(timed(own))
        for p, run in peers.items():
            times[p].append(timed(run))
    mine = np.array(times["own"])
    text = []
    for p in peers:
        ratio = np.array(times[p]) / mine
        low, middle, high = np.quantile(ratio, (0.1, 0.5, 0.9))
        text.append(f"{p} {middle:6.2f} [{low:.2f}, {high:.2f}]")
    print(f"{name:42} {np.median(mine) * 1e3:9.3f} ms   " + "   ".join(text), flush=True)


def images(rounds: int) -> None:
    rng = np.random.default_rng(0)
    smooth = cv2.GaussianBlur(rng.integers(0, 256, (480, 640, 3), dtype=np.uint8), (0, 0), 3)
    image = cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX)
    gray = np.ascontiguousarray(image[..., 1])
    pillow = Image.fromarray(image)
    compare("resize 640x480 -> 224x224 bilinear", lambda: v.resize(image, (224, 224), antialias=False), {"opencv": lambda: cv2.resize(image, (224, 224))}, rounds)
    compare("  antialiased", lambda: v.resize(image, (224, 224)), {"pillow": lambda: pillow.resize((224, 224), 2)}, rounds)
    compare("  like='pil'", lambda: v.resize(image, (224, 224), like="pil"), {"pillow": lambda: pillow.resize((224, 224), 2)}, rounds)
    compare("Sobel x, grey, float32", lambda: v.sobel(gray, "x"), {"opencv": lambda: cv2.Sobel(gray, cv2.CV_32F, 1, 0)}, rounds)
    compare("Canny, grey", lambda: v.canny(gray, 100, 200, sigma=0), {"opencv": lambda: cv2.Canny(gray, 100, 200)}, rounds)
    compare("Gaussian blur, sigma 2", lambda: v.gaussian_blur(image, 2.0), {"opencv": lambda: cv2.GaussianBlur(image, (0, 0), 2.0)}, rounds)
    compare("rotate 30, bilinear", lambda: v.rotate(image, 30), {"pillow": lambda: pillow.rotate(30, 2)}, rounds)
    data = v.encode_image(image, "jpg")
    compare("JPEG decode", lambda: v.load_image(data), {"opencv": lambda: cv2.imdecode(np.frombuffer(data, np.uint8), 1), "pillow": lambda: np.asarray(Image.open(io.BytesIO(data)))}, rounds)
    png = v.encode_image(image, "png")
    compare("PNG decode", lambda: v.load_image(png), {"opencv": lambda: cv2.imdecode(np.frombuffer(png, np.uint8), 1), "pillow": lambda: np.asarray(Image.open(io.BytesIO(png)))}, rounds)


class Normalised(torch.utils.data.Dataset):
    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(y)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        return (self.x[i].unsqueeze(0).float().div_(255) - 0.1307) / 0.3081, self.y[i]


def loaders(rounds: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (60000, 28, 28), dtype=np.uint8), np.arange(60000) % 10
    own = ArrayDataset(x, y).map(v.Compose([v.ToTensor(), v.Normalize([0.1307], [0.3081])]))
    torchs = Normalised(x, y)

    def run(loader: object) -> Callable[[], object]:
        return lambda: sum(1 for _ in loader)  # type: ignore[attr-defined]

    peers = {f"torch({w})": run(torch.utils.data.DataLoader(torchs, 64, shuffle=True, num_workers=w)) for w in (0, 2)}
    for workers in (0, 2):
        compare(f"60,000 x 28 x 28, batch 64, {workers} workers", run(DataLoader(own, 64, shuffle=True, num_workers=workers)), peers, rounds)


def augmentations(rounds: int) -> None:
    """Padded crop, flip and normalisation of 2,000 pictures; beside what is installed of albumentations and torchvision."""
    rng = np.random.default_rng(0)
    small, mean, std = rng.integers(0, 256, (2000, 32, 32, 3), dtype=np.uint8), [0.49, 0.48, 0.45], [0.2, 0.2, 0.2]
    own = v.Compose([v.RandomCrop(32, padding=4), v.RandomHorizontalFlip(), v.ToTensor(), v.Normalize(mean, std)])
    peers: dict[str, Callable[[], object]] = {}
    try:
        import albumentations as a

        alb = a.Compose([a.Pad(4), a.RandomCrop(32, 32), a.HorizontalFlip(p=0.5), a.Normalize(mean, std)])
        peers["albumentations"] = lambda: [alb(image=x)["image"] for x in small]
    except ImportError:
        print("albumentations is not installed")
    try:
        from torchvision.transforms import v2

        planes = torch.from_numpy(small).permute(0, 3, 1, 2).contiguous()
        tv = v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)])
        peers["torchvision"] = lambda: [tv(x) for x in planes]
    except ImportError:
        print("torchvision is not installed")
    loader = DataLoader(ArrayDataset(small).map(own), 100, shuffle=True)
    compare("crop + flip + normalise, one by one", lambda: [own(x) for x in small], peers, rounds)
    compare("  by a loader", lambda: sum(1 for _ in loader), peers, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=41)
    rounds = parser.parse_args().rounds
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    mt.set_num_threads(1)
    print(f"{'':42} {'MiniTen':>12}   time of a peer / MiniTen's")
    images(rounds)
    loaders(max(rounds // 14, 3))
    augmentations(max(rounds // 4, 3))


if __name__ == "__main__":
    main()
