"""Plots in matplotlib's manners, without matplotlib: PNG, SVG, HTML with the values at hand, and text for a terminal."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

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


def subplot(rows: int = 1, cols: int = 0, index: int | tuple[int, int] = 0) -> Axes:
    """A cell of a grid on the current figure, or the cells (first, last), becomes the current axes: subplot(2, 1, 1), subplot(211)."""
    f = gcf()
    _axes[id(f)] = f.add_subplot(rows, cols, index)
    return _axes[id(f)]


def subplots(nrows: int = 1, ncols: int = 1, figsize: tuple[float, float] = (8, 6), dpi: float = 100, theme: str | None = None,
             sharex: bool = False, sharey: bool = False) -> tuple[Figure, Any]:
    """A new figure and its axes: one, or an array of one row, one column, or rows and columns.

    sharex, sharey: all have one scale, and only the lowest (leftmost) carry its numbers.
    """
    f = figure(figsize, dpi, theme)
    axes = np.empty((nrows, ncols), dtype=object)
    for r in range(nrows):
        for c in range(ncols):
            axes[r, c] = f.add_subplot(nrows, ncols, r * ncols + c + 1)
    if sharex or sharey:
        f._share(sharex, sharey)
    _axes[id(f)] = axes[0, 0]
    if nrows == ncols == 1:
        return f, axes[0, 0]
    return f, axes[0] if nrows == 1 else axes[:, 0] if ncols == 1 else axes


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


def plot(x: Any, y: Any = None, fmt: str | None = None, **style: Any) -> list[Any]:
    """Axes.plot on the current axes -> the marks."""
    return gca().plot(x, y, fmt, **style)  # type: ignore[return-value]


def step(x: Any, y: Any, where: str = "pre", **style: Any) -> Any:
    """Axes.step on the current axes."""
    return gca().step(x, y, where, **style)


def errorbar(x: Any, y: Any, yerr: Any = None, xerr: Any = None, fmt: str | None = None, **style: Any) -> Any:
    """Axes.errorbar on the current axes."""
    return gca().errorbar(x, y, yerr, xerr, fmt, **style)


def scatter(x: Any, y: Any, s: Any = 20, c: Any = None, **style: Any) -> Any:
    """Axes.scatter on the current axes."""
    return gca().scatter(x, y, s, c, **style)


def bar(x: Any, height: Any, width: float = 0.8, **style: Any) -> Any:
    """Axes.bar on the current axes."""
    return gca().bar(x, height, width, **style)


def barh(y: Any, width: Any, height: float = 0.8, **style: Any) -> Any:
    """Axes.barh on the current axes."""
    return gca().barh(y, width, height, **style)


def hist(x: Any, bins: Any = 10, density: bool = False, **style: Any) -> Any:
    """Axes.hist on the current axes -> (counts, edges, mark)."""
    return gca().hist(x, bins, density, **style)


def boxplot(x: Any, labels: Any = None, **style: Any) -> Any:
    """Axes.boxplot on the current axes."""
    return gca().boxplot(x, labels, **style)


def pie(x: Any, labels: Any = None, **style: Any) -> Any:
    """Axes.pie on the current axes."""
    return gca().pie(x, labels, **style)


def contour(*z: Any, **style: Any) -> Any:
    """Axes.contour on the current axes."""
    return gca().contour(*z, **style)


def contourf(*z: Any, **style: Any) -> Any:
    """Axes.contourf on the current axes."""
    return gca().contourf(*z, **style)


def imshow(data: Any, cmap: str = "viridis", **style: Any) -> Any:
    """Axes.imshow on the current axes."""
    return gca().imshow(data, cmap, **style)


def heatmap(data: Any, cmap: str = "viridis", **style: Any) -> Any:
    """Axes.heatmap on the current axes."""
    return gca().heatmap(data, cmap, **style)


def fill_between(x: Any, y1: Any, y2: Any = 0, **style: Any) -> Any:
    """Axes.fill_between on the current axes."""
    return gca().fill_between(x, y1, y2, **style)


def axhline(y: Any = 0, **style: Any) -> Any:
    """Axes.axhline on the current axes."""
    return gca().axhline(y, **style)


def axvline(x: Any = 0, **style: Any) -> Any:
    """Axes.axvline on the current axes."""
    return gca().axvline(x, **style)


def axhspan(low: Any, high: Any, **style: Any) -> Any:
    """Axes.axhspan on the current axes."""
    return gca().axhspan(low, high, **style)


def axvspan(low: Any, high: Any, **style: Any) -> Any:
    """Axes.axvspan on the current axes."""
    return gca().axvspan(low, high, **style)


def text(x: Any, y: Any, s: str, **style: Any) -> None:
    """Axes.text on the current axes."""
    gca().text(x, y, s, **style)


def annotate(text: str, xy: tuple[Any, Any], xytext: tuple[Any, Any] | None = None, **style: Any) -> None:
    """Axes.annotate on the current axes."""
    gca().annotate(text, xy, xytext, **style)


def colorbar(mark: Any = None, label: str | None = None) -> None:
    """The colour bar of a mark, or of the last coloured one on the current axes."""
    (gca() if mark is None else mark.axes).colorbar(label)


def twinx() -> Axes:
    """Axes on the current ones with a y axis of their own, which become the current axes."""
    axes = gca().twinx()
    _axes[id(gcf())] = axes
    return axes


def xlabel(label: str) -> None:
    gca().set_xlabel(label)


def ylabel(label: str) -> None:
    gca().set_ylabel(label)


def title(text: str) -> None:
    gca().set_title(text)


def xlim(left: Any = None, right: Any = None) -> tuple[float, float]:
    """Sets what is given -> both limits."""
    return gca().get_xlim() if left is None and right is None else gca().set_xlim(left, right)


def ylim(bottom: Any = None, top: Any = None) -> tuple[float, float]:
    """Sets what is given -> both limits."""
    return gca().get_ylim() if bottom is None and top is None else gca().set_ylim(bottom, top)


def xscale(scale: str, linthresh: float = 1) -> None:
    gca().set_xscale(scale, linthresh)


def yscale(scale: str, linthresh: float = 1) -> None:
    gca().set_yscale(scale, linthresh)


def xticks(positions: Any, labels: Any = None, rotation: float | None = None) -> None:
    gca().set_xticks(positions, labels, rotation)


def yticks(positions: Any, labels: Any = None) -> None:
    gca().set_yticks(positions, labels)


def legend(loc: str = "best", ncols: int = 1, title: str | None = None) -> None:
    gca().legend(loc, ncols, title)


def grid(visible: bool = True, axis: str = "both") -> None:
    gca().grid(visible, axis)


from miniten.viz.diagram import graph  # noqa: E402  these draw with the above
from miniten.viz.networks import confusion_matrix, filters, pareto, roc_curve, training_curves, weight_histogram  # noqa: E402

__all__ = [
    "Axes", "Figure", "annotate", "axhline", "axhspan", "axvline", "axvspan", "bar", "barh", "boxplot", "close", "colorbar", "colormap",
    "colormap_names", "confusion_matrix", "contour", "contourf", "errorbar", "figure", "fill_between", "filters", "gca", "gcf", "get_color", "graph", "grid",
    "heatmap", "hist", "imshow", "legend", "pareto", "pie", "plot", "roc_curve", "save_figure", "savefig", "scatter", "show", "step",
    "subplot", "subplots", "suptitle", "text", "theme", "tight_layout", "title", "training_curves", "twinx", "weight_histogram", "xlabel",
    "xlim", "xscale", "xticks", "ylabel", "ylim", "yscale", "yticks",
]
