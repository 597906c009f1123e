"""The code of the pages in docs/edge runs as it stands there."""

import re
from pathlib import Path

import numpy as np
import pytest
from nets import SMALL_SHAPE, images, small_net

import miniten as mt

PAGES = sorted((Path(__file__).resolve().parents[3] / "docs" / "edge").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.S)
    assert blocks
    x = images(16, 1)
    batches = [(x, np.arange(16) % 4)] if page.stem != "quantization" else [x]
    w = np.random.default_rng(1).normal(size=(8, 8)).astype("float32")
    scope = {"model": small_net(), "input_shape": SMALL_SHAPE, "batches": batches, "x": w, "w": w, "mt": mt, "np": np}
    scope["q"], scope["scale"], scope["zero_point"] = w, 1.0, 0
    for block in blocks:
        if page.stem == "quantization" and "quantize_tensor(" in block:
            exec("from miniten.edge import dequantize_tensor, quantize_tensor", scope)  # noqa: S102
        exec(block, scope)  # noqa: S102


def test_there_are_pages():
    assert {p.stem for p in PAGES} >= {"benchmark", "export", "pruning", "quantization", "utils"}
