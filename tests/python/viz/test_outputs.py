"""The four outputs of a figure, read by others: Pillow, an XML parser, cairo."""

import io
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from judges import judge

from miniten import viz


def pixels(data):
    image = judge("PIL.Image")
    return np.asarray(image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def sample(**options):
    fig, ax = viz.subplots(**options)
    ax.plot([0, 1, 2, 3], [0, 1, 4, 9], color="#c00000", linewidth=3, label="square")
    ax.set_title("Title")
    ax.set_xlabel("abscissa")
    ax.set_ylabel("ordinate")
    ax.legend()
    ax.grid()
    return fig


@pytest.fixture(autouse=True)
def forget():
    yield
    viz.close("all")


def test_png_is_one_for_others():
    image = judge("PIL.Image")
    fig = sample(figsize=(4, 3), dpi=100)
    with image.open(io.BytesIO(fig.to_png())) as opened:
        opened.load()
        assert (opened.format, opened.size) == ("PNG", (400, 300))
        assert opened.info["dpi"] == pytest.approx((100, 100), abs=0.1)
    with image.open(io.BytesIO(fig.to_png(dpi=250))) as opened:
        assert opened.size == (1000, 750)
    assert fig._repr_png_() == fig.to_png()
    assert fig._repr_svg_() == fig.to_svg()


def test_savefig_by_extension_format_and_file(tmp_path):
    fig = sample(figsize=(3, 2))
    kinds = {"png": fig.to_png(), "svg": fig.to_svg().encode(), "html": fig.to_html().encode(), "txt": fig.to_text(100, color=False).encode()}
    for kind, expected in kinds.items():
        fig.savefig(tmp_path / f"a.{kind}")
        assert (tmp_path / f"a.{kind}").read_bytes() == expected
        fig.save(str(tmp_path / "b.dat"), format=kind)
        assert (tmp_path / "b.dat").read_bytes() == expected
        memory = io.BytesIO()
        fig.savefig(memory, format=kind)
        assert memory.getvalue() == expected
    memory = io.BytesIO()
    fig.savefig(memory)
    assert memory.getvalue() == kinds["png"]
    text = io.StringIO()
    fig.savefig(text, format="svg")
    assert text.getvalue().encode() == kinds["svg"]
    viz.savefig(tmp_path / "c.png", dpi=50)
    assert (tmp_path / "c.png").read_bytes() == fig.to_png(50)
    viz.save_figure(fig, tmp_path / "d.png")
    assert (tmp_path / "d.png").read_bytes() == kinds["png"]
    for bad in ("a.bmp", "a", "a.ppm"):
        with pytest.raises(NotImplementedError, match="png"):
            fig.savefig(tmp_path / bad)
        assert not (tmp_path / bad).exists()
    with pytest.raises(OSError):
        fig.savefig(tmp_path / "nowhere" / "a.png")


def test_cairo_draws_the_svg_as_we_draw_the_png():
    cairosvg = judge("cairosvg")
    fig, axes = viz.subplots(2, 2, figsize=(9, 7))
    axes[0][0].plot([1, 2, 3], [3, 1, 2], "C1--o", linewidth=3)
    axes[0][1].bar(["a", "b", "c"], [3, 1, 2], color=["C0", "C2", "C3"])
    axes[1][0].heatmap(np.arange(12.0).reshape(3, 4))
    axes[1][1].fill_between([0, 1, 2], [0, 1, 0], [1, 2, 3], color="C4", alpha=0.5)
    axes[1][1].scatter([0, 1, 2], [2, 1, 2], s=200, marker="*", c="k")
    ours, theirs = pixels(fig.to_png()), pixels(cairosvg.svg2png(bytestring=fig.to_svg().encode()))
    assert ours.shape == theirs.shape
    difference = np.abs(ours - theirs).max(axis=2)
    assert (difference > 40).mean() < 0.012   # letters of another typeface, and an edge here and there
    assert difference.mean() < 1.5


def test_html_is_self_contained_and_holds_the_values():
    html = sample().to_html()
    assert fig_text(html) == ["square", "abscissa: 2", "ordinate: 4"]
    outside = re.findall(r"(?:src|href)=|https?://[^\"' <]+", html.replace("http://www.w3.org/2000/svg", ""))
    assert outside == []


def fig_text(html):
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S).group(1))
    series = data[0]["series"][0]
    return [series["name"], *series["points"][2][2:]]


def test_terminal_is_width_aware_and_coloured_when_asked():
    fig = sample()
    for width in (30, 80, 150):
        text = fig.to_text(width)
        assert "\x1b" not in text                       # pytest's output is no terminal
        assert max(map(len, text.splitlines())) <= width
    assert "\x1b[0;38;2;192;0;0m" in fig.to_text(80, color=True)
    assert len(fig.to_text(80, height=20).splitlines()) == 20


def test_show_prints_once_and_forgets(capsys):
    fig = sample()
    viz.show()
    shown = capsys.readouterr().out
    assert "Title" in shown and "abscissa" in shown
    viz.show()
    assert capsys.readouterr().out == ""
    fig.show()
    assert capsys.readouterr().out == shown


def test_show_uses_a_notebook(monkeypatch, capsys):
    shown = []

    class Shell:
        kernel = object()

    class IPython:
        display = type("display", (), {"display": staticmethod(shown.append)})

        @staticmethod
        def get_ipython():
            return Shell()

    monkeypatch.setitem(sys.modules, "IPython", IPython)
    fig = sample()
    viz.show()
    assert shown == [fig]
    assert capsys.readouterr().out == ""


def test_theme_is_that_of_new_figures():
    assert viz.theme("dark") == "light"
    try:
        dark = sample(figsize=(2, 2))
        assert dark.theme == "dark"
        assert pixels(dark.to_png())[0, 0].sum() < 150
        with pytest.raises(ValueError, match="'light' or 'dark'"):
            viz.theme("blue")
    finally:
        assert viz.theme("light") == "dark"
    assert pixels(sample(figsize=(2, 2)).to_png())[0, 0].sum() == 765


def test_nothing_but_numpy_is_needed():
    code = "import sys; sys.modules.update({n: None for n in ('PIL', 'matplotlib', 'cairosvg')}); from miniten import viz; viz.plot([1, 2]); print(len(viz.gcf().to_png()))"
    assert int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout) > 1000


def test_svg_is_xml():
    root = ElementTree.fromstring(sample().to_svg())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "square" in [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
