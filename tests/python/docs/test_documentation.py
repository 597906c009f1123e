"""Every Python block of README.md and docs/ runs as it stands, page by page."""

import re
from pathlib import Path

import numpy as np
import pytest

import miniten as mt
from miniten import nn

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.S | re.M)


def given():
    """What the pages speak of without making it: a small model that ran, data for it."""
    mt.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 4 * 4, 10))
    model.eval()
    images = np.random.default_rng(0).random((64, 1, 8, 8), np.float32)
    labels = np.arange(64) % 10
    x = mt.tensor(images)
    model(x)
    return {
        "__name__": "page", "mt": mt, "nn": nn, "np": np, "model": model, "x": x, "images": images, "labels": labels,
        "w": np.random.default_rng(1).standard_normal((8, 4)).astype(np.float32), "batches": [(images[:32], labels[:32]), (images[32:], labels[32:])], "input_shape": (1, 1, 8, 8),
    }


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda p: str(p.relative_to(ROOT)))
def test_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = given()
    for i, block in enumerate(blocks(page, "python")):
        imports = "from miniten.edge import *\n" if page.name != "README.md" else ""
        exec(compile(imports + block, f"{page.name}, block {i}", "exec"), namespace)


def test_the_quick_start_in_cpp_is_the_example():
    assert blocks(ROOT / "README.md", "cpp")[0] == (ROOT / "examples/cpp/quick_start.cpp").read_text()
