"""Each thing that once went wrong in plots of this kind, by name."""

import io

import numpy as np
import pytest
from judges import judge

from miniten import viz

Image = judge("PIL.Image")


def pixels(fig, **options):
    return np.asarray(Image.open(io.BytesIO(fig.to_png(**options))).convert("RGB")).astype(int)


def near(image, color):
    return (np.abs(image - np.array(color)).max(axis=2) < 30)


@pytest.fixture(autouse=True)
def forget():
    yield
    viz.close("all")


def changed(draw):
    """Pixels that differ once `draw` was applied."""
    def figure(drawn):
        fig, ax = viz.subplots(figsize=(4, 3))
        ax.plot([0, 1], [0, 1], color="C0", label="a line")
        ax.set_xlim(0, 1)
        ax.set_ylim(0, 1)
        if drawn:
            draw(ax)
        return pixels(fig)

    return (np.abs(figure(True) - figure(False)).max(axis=2) > 40).sum()


def test_text_is_drawn():
    assert changed(lambda ax: ax.set_title("Title")) > 100
    assert changed(lambda ax: ax.text(0.1, 0.8, "inside")) > 60


def test_ticks_are_drawn():
    fig, ax = viz.subplots(figsize=(4, 3))
    ax.plot([0, 1000], [0, 1000], color="none")
    with_numbers = pixels(fig)
    ax.set_xticks([])
    ax.set_yticks([])
    assert (with_numbers.sum(axis=2) < 600).sum() > (pixels(fig).sum(axis=2) < 600).sum() + 200


def test_the_legend_is_drawn():
    assert changed(lambda ax: ax.legend()) > 100


def test_the_grid_is_drawn():
    fig, ax = viz.subplots(figsize=(4, 3))
    ax.set_xlim(0, 1)
    before = pixels(fig)
    ax.grid()
    assert (before != pixels(fig)).any(axis=2).sum() > 1000


def test_histograms_draw_bars():
    fig, ax = viz.subplots(figsize=(4, 3))
    counts = ax.hist([1, 2, 2, 3, 3, 3], bins=3, color="#c00000")[0]
    assert counts.tolist() == [1, 2, 3]
    columns = near(pixels(fig), (192, 0, 0)).sum(axis=0)
    heights = sorted(set(columns[columns > 20]))
    assert heights[-1] == pytest.approx(3 * heights[0], rel=0.1)


def test_png_without_pillow_is_png(tmp_path):
    fig, ax = viz.subplots(figsize=(2, 2))
    fig.savefig(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def line(**style):
    fig, ax = viz.subplots(figsize=(4, 3))
    ax.plot([0, 1], [0.5, 0.5], color="#c00000", **style)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    return fig


def test_linewidth_counts():
    thin, thick = (near(pixels(line(linewidth=w)), (192, 0, 0)).sum() for w in (2, 8))
    assert thick == pytest.approx(4 * thin, rel=0.25)


def test_linestyle_counts():
    solid, dashed, dotted, none = (near(pixels(line(linewidth=4, linestyle=s)), (192, 0, 0)).sum() for s in ("-", "--", ":", "none"))
    assert solid > dashed > dotted > 0 == none
    assert dashed == pytest.approx(solid * 3.7 / 5.3, rel=0.1)


def test_alpha_counts():
    image = pixels(line(linewidth=10, alpha=0.5))
    assert near(image, (224, 128, 128)).sum() > 500
    assert near(image, (192, 0, 0)).sum() == 0


def test_dpi_counts():
    fig = line(linewidth=4)
    small, large = pixels(fig, dpi=100), pixels(fig, dpi=200)
    assert large.shape == (600, 800, 3) and small.shape == (300, 400, 3)

    def red(image):                       # what the line covers, edges in part
        return np.maximum(image[..., 0] - image[..., 1], 0).sum()

    assert red(large) == pytest.approx(4 * red(small), rel=0.03)


def test_bars_stay_inside_the_axes():
    fig, ax = viz.subplots(figsize=(4, 3))
    ax.bar(["a", "b", "c"], [5, -3, 8], color="#c00000")
    rows, columns = np.nonzero(near(pixels(fig), (192, 0, 0)))
    ys, xs = np.nonzero(near(pixels(fig), (0x8C, 0x95, 0x9F)))       # the frame
    assert columns.min() > xs.min() and columns.max() < 400 - 8
    assert rows.max() < ys.max() and rows.min() > 8
