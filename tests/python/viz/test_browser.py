"""Figures in a browser: what Chromium and cairo make of our SVG, and whether the pages that can be asked answer."""

import importlib.util
import io
from pathlib import Path

import numpy as np
import pytest
from browser import browser
from judges import judge

from miniten import viz

EVIL = "</script><img src=x onerror=alert(1)>\"'&\u202e"


@pytest.fixture(autouse=True)
def forget():
    yield
    viz.close("all")


def pixels(data):
    return np.asarray(judge("PIL.Image").open(io.BytesIO(data)).convert("RGB")).astype(int)


def gallery():
    spec = importlib.util.spec_from_file_location("gallery", Path(__file__).parents[3] / "examples" / "python" / "gallery.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PICTURES


def by_chromium(fig, shape, folder):
    path = folder / "page.html"
    path.write_text(f"<!doctype html><meta charset='utf-8'><style>body {{ margin: 0 }} svg {{ display: block }}</style>{fig.to_svg()}", encoding="utf-8")
    page = browser().page(f"file://{path}", shape[1], shape[0])
    picture = page.screenshot()
    assert page.errors == [] and page.requests == [f"file://{path}"]
    page.close()
    return picture


def by_cairo(fig, shape, folder):
    return judge("cairosvg").svg2png(bytestring=fig.to_svg().encode())


def blurred(image):
    """Means of 4 x 4 pixels: where a letter stands counts, not its typeface."""
    h, w = (n // 4 * 4 for n in image.shape[:2])
    return image[:h, :w].reshape(h // 4, 4, w // 4, 4, 3).mean((1, 3))


@pytest.mark.parametrize("renderer", [by_chromium, by_cairo])
@pytest.mark.parametrize("draw", gallery(), ids=lambda draw: draw.__name__)
def test_others_draw_the_svg_as_we_draw_the_png(draw, renderer, tmp_path):
    fig = draw()
    ours = pixels(fig.to_png())
    theirs = pixels(renderer(fig, ours.shape, tmp_path))
    assert theirs.shape == ours.shape
    difference = np.abs(blurred(ours) - blurred(theirs)).max(axis=2)
    assert (difference > 60).mean() < 0.01
    assert difference.mean() < 3


def open_page(fig, tmp_path):
    fig.savefig(tmp_path / "figure.html")
    return browser().page(f"file://{tmp_path}/figure.html", 700, 500)


def test_a_page_answers_the_pointer_and_the_arrow_keys(tmp_path):
    fig, ax = viz.subplots(figsize=(6, 4))
    ax.plot([0, 1, 2, 3], [0, 1, 4, 9], label="square")
    ax.plot([0, 1, 2, 3], [0, 2, 4, 6], label=EVIL)
    ax.set(title=EVIL, xlabel="n")
    page = open_page(fig, tmp_path)
    tip = "document.getElementById('tip')"
    assert page.evaluate(f"{tip}.hidden")
    x, y, width, height = page.box("#figure svg")
    left, top, w, h = page.evaluate("JSON.parse(document.getElementById('data').textContent)[0].area")
    assert (left, top) > (0, 0) and left + w < width and top + h < height
    point = page.evaluate("JSON.parse(document.getElementById('data').textContent)[0].series[0].points[3]")
    page.mouse(x + point[0] + 3, y + point[1] + 3)
    page.settle()
    assert page.text("#tip").split("\n") == ["square", "n: 3", "y: 9"]
    page.mouse(x + 2, y + 2)
    page.settle()
    assert page.evaluate(f"{tip}.hidden")
    page.evaluate("document.getElementById('figure').focus()")
    for key, lines in [("ArrowRight", ["square", "n: 0", "y: 0"]), ("ArrowRight", ["square", "n: 1", "y: 1"]), ("ArrowLeft", ["square", "n: 0", "y: 0"])]:
        page.key(key)
        assert page.text("#tip").split("\n") == lines
    page.key("ArrowDown")
    assert page.text("#tip").split("\n")[0].startswith("</script><img src=x onerror=alert(1)>")
    page.key("Escape")
    assert page.evaluate(f"{tip}.hidden")
    assert page.evaluate("document.querySelectorAll('img').length") == 0
    assert page.errors == [] and page.requests == [f"file://{tmp_path}/figure.html"]
    page.close()


def test_a_page_of_cells_tells_the_cell_under_the_pointer(tmp_path):
    fig, ax = viz.subplots(figsize=(5, 4))
    ax.heatmap([[1, 2], [3, 4]], xlabels=["a", "b"], ylabels=["c", "d"])
    page = open_page(fig, tmp_path)
    x, y, *_ = page.box("#figure svg")
    left, top, w, h = page.evaluate("JSON.parse(document.getElementById('data').textContent)[0].area")
    page.mouse(x + left + 0.8 * w, y + top + 0.9 * h)
    page.settle()
    assert page.text("#tip").split("\n") == ["x: b", "y: d", "4"] and page.errors == []
    page.close()
