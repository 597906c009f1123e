"""Draws the sheets of docs/utils/vision.md: python examples/python/picture_sheets.py [FOLDER], by default docs/utils.

The photograph is Chelsea the cat, which comes with scikit-image.
"""

import importlib.util
import io
import sys
from pathlib import Path

import numpy as np

from miniten import viz
from miniten.utils import vision as v


def sheet(rows, height):
    fig, axes = viz.subplots(2, 4, figsize=(9, height), dpi=90)
    for ax, (title, image) in zip(np.ravel(axes), rows):
        ax.imshow(np.asarray(image), **({"cmap": "gray", "vmin": 0, "vmax": 255} if image.ndim == 2 else {}))
        ax.set(title=title, xticks=[], yticks=[])
    return fig


def functions(photo):
    small = v.resize(photo, (30, 45), "area")
    magnitude = v.sobel(v.to_grayscale(photo))[..., 0]
    return [
        ("the photograph", photo), ("canny, 40 and 120", v.canny(photo, 40, 120)[..., 0]), ("sobel", (magnitude / magnitude.max() * 255).astype(np.uint8)), ("gaussian_blur, sigma 4", v.gaussian_blur(photo, 4)),
        ("30 x 45, nearest", v.resize(small, (120, 180), "nearest")), ("30 x 45, bicubic", v.resize(small, (120, 180), "bicubic")), ("rotate 20, expand", v.rotate(photo, 20, expand=True, fill=255)),
        ("threshold by Otsu", v.threshold(v.to_grayscale(photo))[..., 0]),
    ]


def augmentations(photo):
    steps = [
        ("RandomResizedCrop", v.RandomResizedCrop((120, 180))), ("RandomHorizontalFlip", v.RandomHorizontalFlip(1)), ("RandomAffine", v.RandomAffine(25, (0.1, 0.1), (0.7, 1.1), 15, fill=255)),
        ("ColorJitter", v.ColorJitter(0.4, 0.4, 0.8, 0.2)), ("GaussianBlur", v.GaussianBlur(11, (2, 4))), ("RandomErasing", v.RandomErasing(1, value="random", layout="hwc")),
        ("RandAugment", v.RandAugment(3, 14)), ("RandomRotation", v.RandomRotation((30, 60), expand=True, fill=255)),
    ]
    return [(name, t.manual_seed(5)(photo)) for name, t in steps]


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2] / "docs" / "utils")
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        sys.exit("scikit-image is not installed: pip install scikit-image")
    photo = v.resize(v.load_image(Path(spec.origin).parent / "data" / "chelsea.png"), (120, 180), "area")
    for name, rows in (("functions", functions(photo)), ("augmentations", augmentations(photo))):
        page = io.BytesIO()
        sheet(rows, 4.2).save(page, format="png")
        v.save_image(v.load_image(page.getvalue()), folder / f"vision_{name}.jpg", quality=88)
        print(folder / f"vision_{name}.jpg")


if __name__ == "__main__":
    main()
