"""Pictures in folders, from files to a model that takes raw pixels.

    python examples/python/image_folder.py [--pictures FOLDER] [--output FOLDER] [--epochs 25] [--workers 2]

FOLDER holds a folder for each class with its PNG, JPEG, BMP or PPM files. Without it, photographs and textures that come with
scikit-image and scikit-learn are cut into tiles, and the net has to tell from which of them a tile is; no test tile is seen in
training. The trained net is written with its preprocessing: whole.onnx and whole.tflite take a picture as it was loaded. The
program ends with 1 where fewer than 80 % of the test pictures are told right.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
from pathlib import Path

import numpy as np

import miniten as mt
from miniten import nn, optim
from miniten.utils.data import DataLoader, ImageFolder, train_test_split
from miniten.utils.vision import ColorJitter, Compose, Normalize, RandomHorizontalFlip, RandomResizedCrop, Resize, ToTensor, crop, load_image, save_image

SIDE, TILE = 32, 48
MEAN, STD = [0.45, 0.45, 0.42], [0.25, 0.25, 0.25]
MUST_REACH = 0.8
PICTURES = {"skimage": ["data/brick.png", "data/grass.png", "data/gravel.png", "data/coffee.png", "data/hubble_deep_field.jpg", "data/chelsea.png"],
            "sklearn": ["datasets/images/china.jpg", "datasets/images/flower.jpg"]}


def tiles_of(folder: Path) -> None:
    """folder/<picture>/<row>_<column>.png or .jpg, at most 120 of each picture."""
    for package, files in PICTURES.items():
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            sys.exit(f"{package} is not installed: pip install scikit-image scikit-learn, or pass --pictures")
        for name in files:
            source = Path(spec.origin).parent / name
            image = load_image(source)
            (folder / source.stem).mkdir(parents=True)
            places = [(y, x) for y in range(0, image.shape[0] - TILE + 1, TILE) for x in range(0, image.shape[1] - TILE + 1, TILE)]
            for y, x in places[:: max(len(places) // 120, 1)]:
                save_image(crop(image, y, x, TILE, TILE), folder / source.stem / f"{y}_{x}{source.suffix}")


def net(classes: int) -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes))


def run(pictures: Path, output: Path, seed: int = 0, epochs: int = 25, workers: int = 2, verbose: bool | str = "auto") -> float:
    """-> share of the test pictures that are told right."""
    mt.manual_seed(seed)
    augment = Compose([RandomResizedCrop(SIDE, scale=(0.4, 1)), RandomHorizontalFlip(), ColorJitter(0.2, 0.2), ToTensor(), Normalize(MEAN, STD)])
    plain = [Resize((SIDE, SIDE), antialias=False), ToTensor(), Normalize(MEAN, STD)]
    augmented, clean = ImageFolder(pictures, augment), ImageFolder(pictures, Compose(plain))
    train, _ = train_test_split(augmented, test_size=0.25, seed=seed, stratify=augmented.targets)
    _, test = train_test_split(clean, test_size=0.25, seed=seed, stratify=clean.targets)
    print(f"{len(train)} pictures to learn from, {len(test)} to be tested on, {len(clean.classes)} classes: {', '.join(clean.classes)}")

    model = net(len(clean.classes))
    optimizer = optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.02)
    loader = DataLoader(train, 32, shuffle=True, seed=seed, drop_last=len(train) >= 32, num_workers=workers)
    scheduler = optim.lr_scheduler.WarmupCosine(optimizer, len(loader), epochs * len(loader))
    trainer = mt.Trainer(model, optimizer, nn.CrossEntropyLoss(), ["accuracy"], scheduler=scheduler)
    trainer.fit(loader, epochs=epochs, verbose=verbose)
    accuracy = float(trainer.evaluate(DataLoader(test, 64, num_workers=workers))["accuracy"])
    print(f"told right: {100 * accuracy:.1f} %")

    path, label = clean.samples[test.indices[0]]
    image = load_image(path)
    whole = mt.edge.with_preprocessing(model.eval(), plain, image.shape)
    output.mkdir(parents=True, exist_ok=True)
    print(mt.edge.export_onnx(whole, output_path=output / "whole.onnx"))
    print(mt.edge.export_tflite(whole, output_path=output / "whole.tflite"))
    logits = whole(image[None]).numpy()[0]
    print(f"{Path(path).name} of {clean.classes[label]}: {clean.classes[int(np.argmax(logits))]}")
    return accuracy


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--output", type=Path, default=Path("image_folder"))
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args(arguments)
    if a.pictures is not None:
        return int(run(a.pictures, a.output, a.seed, a.epochs, a.workers) < MUST_REACH)
    with tempfile.TemporaryDirectory() as folder:
        tiles_of(Path(folder))
        return int(run(Path(folder), a.output, a.seed, a.epochs, a.workers) < MUST_REACH)


if __name__ == "__main__":
    sys.exit(main())
