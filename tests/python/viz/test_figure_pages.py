"""The code of docs/viz runs as it stands there, and the gallery is made by its script."""

import re
import runpy
import sys
from pathlib import Path

from miniten import viz

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    scope = {}
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "viz" / "figures.md").read_text(), re.S):
        exec(block, scope)  # noqa: S102
    assert (tmp_path / "loss.png").read_bytes()[:4] == b"\x89PNG"
    assert "validation" in capsys.readouterr().out
    assert [len(f.axes) for f in viz._current._figures][:3] == [1, 4, 2]
    viz.close("all")


def test_the_gallery_draws(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gallery.py", str(tmp_path)])
    runpy.run_path(str(ROOT / "examples" / "python" / "gallery.py"), run_name="__main__")
    page = (tmp_path / "gallery.md").read_text()
    pictures = re.findall(r"\]\((gallery_\w+\.png)\)", page)
    assert sorted(pictures) == sorted(p.name for p in tmp_path.glob("*.png")) and len(pictures) >= 10
    kept = (ROOT / "docs" / "viz" / "gallery.md").read_text()
    assert re.findall(r"\]\((gallery_\w+\.png)\)", kept) == pictures, "run make gallery"
    capsys.readouterr()
