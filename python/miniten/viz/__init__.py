"""Plots in matplotlib's manners, without matplotlib: PNG, SVG, HTML with the values at hand, and text for a terminal."""

from __future__ import annotations

import sys
from typing import Any

from miniten._core import Axes, Figure, colormap, colormap_names, get_color

_figures: list[Figure] = []
_axes: dict[int, Axes] = {}
_theme = "light"


def figure(figsize: tuple[float, float] = (8, 6), dpi: float = 100, theme: str | None = None, facecolor: str | None = None) -> Figure:
    """A new figure, which the functions of this module draw on from now."""
    f = Figure(figsize, dpi, theme or _theme, facecolor)
    _figures.append(f)
    return f


def gcf() -> Figure:
    """The current figure; a new one where there is none."""
    return _figures[-1] if _figures else figure()


def gca() -> Axes:
    """The current axes; those of a whole figure where there are none."""
    f = gcf()
    if id(f) not in _axes:
        _axes[id(f)] = f.add_subplot()
    return _axes[id(f)]


def subplot(rows: int = 1, cols: int = 0, index: int = 0) -> Axes:
    """The cell index of a grid on the current figure, which becomes the current axes: subplot(2, 1, 1) or subplot(211)."""
    f = gcf()
    _axes[id(f)] = f.add_subplot(rows, cols, index)
    return _axes[id(f)]


def subplots(nrows: int = 1, ncols: int = 1, figsize: tuple[float, float] = (8, 6), dpi: float = 100, theme: str | None = None) -> tuple[Figure, Any]:
    """A new figure and its axes: one, a list, or a list of rows."""
    f = figure(figsize, dpi, theme)
    rows = [[f.add_subplot(nrows, ncols, r * ncols + c + 1) for c in range(ncols)] for r in range(nrows)]
    _axes[id(f)] = rows[0][0]
    if nrows == ncols == 1:
        return f, rows[0][0]
    return f, rows[0] if nrows == 1 else [r[0] for r in rows] if ncols == 1 else rows


def close(fig: Figure | str | None = None) -> None:
    """Forgets the current figure, one given, or 'all'."""
    if fig == "all":
        _figures.clear()
        _axes.clear()
        return
    f = fig if isinstance(fig, Figure) else _figures[-1] if _figures else None
    if f is not None:
        _figures[:] = [known for known in _figures if known is not f]
        _axes.pop(id(f), None)


def savefig(filename: Any, format: str | None = None, dpi: float | None = None) -> None:
    """Writes the current figure to a path or an open file: '.png', '.svg', '.html' or '.txt', or what format says."""
    gcf().save(filename, format, dpi)


def save_figure(fig: Figure, filename: Any, format: str | None = None, dpi: float | None = None) -> None:
    """Writes a figure, as savefig does the current one."""
    fig.save(filename, format, dpi)


def show(fig: Figure | None = None) -> None:
    """Shows a figure, or all that are open, and forgets them: as an image in a notebook, else as text on the standard output."""
    figures = [fig] if fig is not None else list(_figures)
    for f in figures:
        if not _display(f):
            print(f.to_text(), end="")
        close(f)


def _display(fig: Figure) -> bool:
    """In a notebook, shows the figure there."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or not hasattr(shell, "kernel"):
        return False
    ipython.display.display(fig)  # type: ignore[union-attr]
    return True


def theme(name: str) -> str:
    """Sets the theme of new figures, 'light' or 'dark' -> the one before."""
    global _theme
    before, _theme = _theme, Figure((1, 1), 100, name).theme
    return before


def suptitle(title: str) -> None:
    """The current figure's title."""
    gcf().suptitle(title)


def tight_layout() -> None:
    """Figures are always laid out tightly; here for matplotlib's sake."""


def plot(x: Any, y: Any = None, fmt: str | None = None, **style: Any) -> None:
    """Axes.plot on the current axes."""
    gca().plot(x, y, fmt, **style)


def scatter(x: Any, y: Any, s: float = 20, c: Any = None, **style: Any) -> None:
    """Axes.scatter on the current axes."""
    gca().scatter(x, y, s, c, **style)


def bar(x: Any, height: Any, width: float = 0.8, **style: Any) -> None:
    """Axes.bar on the current axes."""
    gca().bar(x, height, width, **style)


def hist(x: Any, bins: Any = 10, density: bool = False, **style: Any) -> Any:
    """Axes.hist on the current axes -> (counts, edges)."""
    return gca().hist(x, bins, density, **style)


def imshow(data: Any, cmap: str = "viridis", **style: Any) -> None:
    """Axes.imshow on the current axes."""
    gca().imshow(data, cmap, **style)


def heatmap(data: Any, cmap: str = "viridis", **style: Any) -> None:
    """Axes.heatmap on the current axes."""
    gca().heatmap(data, cmap, **style)


def xlabel(label: str) -> None:
    gca().set_xlabel(label)


def ylabel(label: str) -> None:
    gca().set_ylabel(label)


def title(text: str) -> None:
    gca().set_title(text)


def xlim(left: float, right: float) -> None:
    gca().set_xlim(left, right)


def ylim(bottom: float, top: float) -> None:
    gca().set_ylim(bottom, top)


def legend(loc: str = "best", ncols: int = 1) -> None:
    gca().legend(loc, ncols)


def grid(visible: bool = True, axis: str = "both") -> None:
    gca().grid(visible, axis)


__all__ = [
    "Axes", "Figure", "bar", "close", "colormap", "colormap_names", "figure", "gca", "gcf", "get_color", "grid", "heatmap", "hist", "imshow", "legend",
    "plot", "save_figure", "savefig", "scatter", "show", "subplot", "subplots", "suptitle", "theme", "tight_layout", "title", "xlabel", "xlim", "ylabel", "ylim",
]
