"""The current figure and axes, and the functions that draw on them."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from miniten._core import Axes, Figure

_figures: list[Figure] = []
_axes: dict[int, Axes] = {}
_numbered: dict[int | str, Figure] = {}
_theme = "light"


def figure(num: int | str | tuple[float, float] | None = None, figsize: tuple[float, float] | None = None, dpi: float = 100, theme: str | None = None, facecolor: str | None = None,
           **layout: Any) -> Figure:
    """A new figure, which the functions of this module draw on from now. num: a number or name; one that is open is made current again."""
    _check_layout("figure", layout)
    if isinstance(num, (tuple, list)):                   # figure((8, 6))
        num, figsize = None, tuple(num)
    known = _numbered.get(num) if num is not None else None
    if known is not None and any(f is known for f in _figures):
        _figures[:] = [f for f in _figures if f is not known] + [known]
        return known
    f = Figure(figsize or (8, 6), dpi, theme or _theme, facecolor)
    _figures.append(f)
    if num is not None:
        _numbered[num] = f
    return f


def _check_layout(what: str, layout: dict[str, Any]) -> None:
    """Figures are always laid out tightly: the words that ask for it say nothing new, others are not known."""
    for name in layout:
        if name not in ("constrained_layout", "tight_layout", "layout"):
            raise TypeError(f"[{what}] expected num, figsize, dpi, theme, facecolor or layout, got '{name}'")


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
             sharex: bool | str = False, sharey: bool | str = False, squeeze: bool = True, width_ratios: Any = None, height_ratios: Any = None,
             gridspec_kw: dict[str, Any] | None = None, **layout: Any) -> tuple[Figure, Any]:
    """A new figure and its axes: one, or an array of one row, one column, or rows and columns (always two axes where squeeze is False).

    sharex, sharey: True or 'all', 'col' or 'row': these have one scale, and only the lowest (leftmost) carry its numbers.
    width_ratios, height_ratios: of the columns and rows to each other.
    """
    grid = dict(gridspec_kw or {})
    widths, heights = grid.pop("width_ratios", width_ratios), grid.pop("height_ratios", height_ratios)
    if grid:
        raise TypeError(f"[subplots] expected width_ratios or height_ratios in gridspec_kw, got {', '.join(grid)} (spaces are chosen so that nothing overlaps)")
    for ratios, n, name in ((widths, ncols, "width_ratios"), (heights, nrows, "height_ratios")):
        if ratios is not None and len(ratios) != n:
            raise ValueError(f"[subplots] expected {n} {name}, got {len(ratios)}")
    _check_layout("subplots", layout)
    f = figure(None, figsize, dpi, theme)
    if widths is not None or heights is not None:
        f._set_ratios(widths, heights)
    axes = np.empty((nrows, ncols), dtype=object)
    for r in range(nrows):
        for c in range(ncols):
            axes[r, c] = f.add_subplot(nrows, ncols, r * ncols + c + 1)
    if sharex or sharey:
        f._share(*("all" if s is True else s or "none" for s in (sharex, sharey)))
    _axes[id(f)] = axes[0, 0]
    if not squeeze:
        return f, axes
    if nrows == ncols == 1:
        return f, axes[0, 0]
    return f, axes[0] if nrows == 1 else axes[:, 0] if ncols == 1 else axes


def close(fig: Figure | int | str | None = None) -> None:
    """Forgets the current figure, one given by itself, its number or name, or 'all'."""
    if fig == "all":
        _figures.clear()
        _axes.clear()
        _numbered.clear()
        return
    f = fig if isinstance(fig, Figure) else _numbered.get(fig) if fig is not None else _figures[-1] if _figures else None
    if f is not None:
        for name in [n for n, known in _numbered.items() if known is f]:
            del _numbered[name]
        _figures[:] = [known for known in _figures if known is not f]
        _axes.pop(id(f), None)


def savefig(filename: Any, format: str | None = None, dpi: float | None = None, **more: Any) -> None:
    """Writes the current figure to a path or an open file: '.png', '.svg', '.html' or '.txt', or what format says."""
    gcf().save(filename, format, dpi, **more)


def save_figure(fig: Figure, filename: Any, format: str | None = None, dpi: float | None = None, **more: Any) -> None:
    """Writes a figure, as savefig does the current one."""
    fig.save(filename, format, dpi, **more)


def show(fig: Figure | None = None, block: bool | None = None) -> None:
    """Shows a figure, or all that are open, and forgets them: as an image in a notebook, else as text on the standard output.

    block says nothing here: there is no window to wait for.
    """
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


def suptitle(title: str, **look: Any) -> None:
    """The current figure's title."""
    gcf().suptitle(title, **look)


def tight_layout(**spaces: Any) -> None:
    """Figures are always laid out tightly; here for matplotlib's sake. Spaces (pad, ...) are chosen so that nothing overlaps."""


def plot(*data: Any, **style: Any) -> list[Any]:
    """Axes.plot on the current axes -> the marks."""
    return gca().plot(*data, **style)  # type: ignore[return-value]


def semilogx(*data: Any, **style: Any) -> Any:
    """Axes.semilogx on the current axes."""
    return gca().semilogx(*data, **style)


def semilogy(*data: Any, **style: Any) -> Any:
    """Axes.semilogy on the current axes."""
    return gca().semilogy(*data, **style)


def loglog(*data: Any, **style: Any) -> Any:
    """Axes.loglog on the current axes."""
    return gca().loglog(*data, **style)


def step(x: Any, y: Any, *more: Any, **style: Any) -> Any:
    """Axes.step on the current axes."""
    return gca().step(x, y, *more, **style)


def errorbar(x: Any, y: Any, *more: Any, **style: Any) -> Any:
    """Axes.errorbar on the current axes."""
    return gca().errorbar(x, y, *more, **style)


def scatter(x: Any, y: Any, *more: Any, **style: Any) -> Any:
    """Axes.scatter on the current axes."""
    return gca().scatter(x, y, *more, **style)


def bar(x: Any, height: Any, *more: Any, **style: Any) -> Any:
    """Axes.bar on the current axes."""
    return gca().bar(x, height, *more, **style)


def barh(y: Any, width: Any, *more: Any, **style: Any) -> Any:
    """Axes.barh on the current axes."""
    return gca().barh(y, width, *more, **style)


def bar_label(bars: Any, *more: Any, **style: Any) -> Any:
    """Axes.bar_label on the current axes."""
    return gca().bar_label(bars, *more, **style)


def hist(x: Any, *more: Any, **style: Any) -> Any:
    """Axes.hist on the current axes -> (counts, edges, mark)."""
    return gca().hist(x, *more, **style)


def boxplot(x: Any, *more: Any, **style: Any) -> Any:
    """Axes.boxplot on the current axes."""
    return gca().boxplot(x, *more, **style)


def violinplot(data: Any, *more: Any, **style: Any) -> Any:
    """Axes.violinplot on the current axes."""
    return gca().violinplot(data, *more, **style)


def pie(x: Any, *more: Any, **style: Any) -> Any:
    """Axes.pie on the current axes."""
    return gca().pie(x, *more, **style)


def stem(*data: Any, **style: Any) -> Any:
    """Axes.stem on the current axes."""
    return gca().stem(*data, **style)


def stackplot(x: Any, *layers: Any, **style: Any) -> Any:
    """Axes.stackplot on the current axes."""
    return gca().stackplot(x, *layers, **style)


def contour(*z: Any, **style: Any) -> Any:
    """Axes.contour on the current axes."""
    return gca().contour(*z, **style)


def contourf(*z: Any, **style: Any) -> Any:
    """Axes.contourf on the current axes."""
    return gca().contourf(*z, **style)


def clabel(lines: Any, *more: Any, **style: Any) -> Any:
    """Axes.clabel on the current axes."""
    return gca().clabel(lines, *more, **style)


def imshow(data: Any, *more: Any, **style: Any) -> Any:
    """Axes.imshow on the current axes."""
    return gca().imshow(data, *more, **style)


def matshow(data: Any, *more: Any, **style: Any) -> Any:
    """Axes.matshow on the current axes."""
    return gca().matshow(data, *more, **style)


def pcolormesh(*z: Any, **style: Any) -> Any:
    """Axes.pcolormesh on the current axes."""
    return gca().pcolormesh(*z, **style)


def heatmap(data: Any, *more: Any, **style: Any) -> Any:
    """Axes.heatmap on the current axes."""
    return gca().heatmap(data, *more, **style)


def fill_between(x: Any, y1: Any, *more: Any, **style: Any) -> Any:
    """Axes.fill_between on the current axes."""
    return gca().fill_between(x, y1, *more, **style)


def fill_betweenx(y: Any, x1: Any, *more: Any, **style: Any) -> Any:
    """Axes.fill_betweenx on the current axes."""
    return gca().fill_betweenx(y, x1, *more, **style)


def axhline(*more: Any, **style: Any) -> Any:
    """Axes.axhline on the current axes."""
    return gca().axhline(*more, **style)


def axvline(*more: Any, **style: Any) -> Any:
    """Axes.axvline on the current axes."""
    return gca().axvline(*more, **style)


def axhspan(low: Any, high: Any, *more: Any, **style: Any) -> Any:
    """Axes.axhspan on the current axes."""
    return gca().axhspan(low, high, *more, **style)


def axvspan(low: Any, high: Any, *more: Any, **style: Any) -> Any:
    """Axes.axvspan on the current axes."""
    return gca().axvspan(low, high, *more, **style)


def hlines(y: Any, xmin: Any, xmax: Any, *more: Any, **style: Any) -> Any:
    """Axes.hlines on the current axes."""
    return gca().hlines(y, xmin, xmax, *more, **style)


def vlines(x: Any, ymin: Any, ymax: Any, *more: Any, **style: Any) -> Any:
    """Axes.vlines on the current axes."""
    return gca().vlines(x, ymin, ymax, *more, **style)


def text(x: Any, y: Any, s: str, **style: Any) -> None:
    """Axes.text on the current axes."""
    gca().text(x, y, s, **style)


def annotate(text: str, xy: tuple[Any, Any], xytext: tuple[Any, Any] | None = None, **style: Any) -> None:
    """Axes.annotate on the current axes."""
    gca().annotate(text, xy, xytext, **style)


def colorbar(mark: Any = None, label: str | None = None, ax: Axes | None = None) -> None:
    """The colour bar of a mark, or of the last coloured one on the current axes."""
    (ax if ax is not None else gca() if mark is None else mark.axes).colorbar(label)


def twinx() -> Axes:
    """Axes on the current ones with a y axis of their own, which become the current axes."""
    axes = gca().twinx()
    _axes[id(gcf())] = axes
    return axes


def cla() -> None:
    """The current axes become as new."""
    gca().clear()


def xlabel(label: str, **look: Any) -> None:
    gca().set_xlabel(label, **look)


def ylabel(label: str, **look: Any) -> None:
    gca().set_ylabel(label, **look)


def title(text: str, **look: Any) -> None:
    gca().set_title(text, **look)


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


def xticks(positions: Any = None, labels: Any = None, rotation: float | None = None, fontsize: Any = None) -> None:
    """Where ticks stand, and what they say; without positions how they look."""
    if positions is not None:
        gca().set_xticks(positions, labels, rotation)
    elif rotation is not None:
        gca().set_xtick_rotation(rotation)
    if fontsize is not None:
        gca().tick_params("x", labelsize=fontsize)


def yticks(positions: Any = None, labels: Any = None, fontsize: Any = None) -> None:
    """Where ticks stand, and what they say; without positions how they look."""
    if positions is not None:
        gca().set_yticks(positions, labels)
    if fontsize is not None:
        gca().tick_params("y", labelsize=fontsize)


def tick_params(axis: str = "both", **look: Any) -> None:
    gca().tick_params(axis, **look)


def margins(both: float | None = None, x: float | None = None, y: float | None = None) -> None:
    gca().margins(both, x, y)


def axis(what: Any) -> None:
    """'off', 'on', 'equal', 'tight', or the limits (left, right, bottom, top)."""
    gca().axis(what)


def legend(*what: Any, **style: Any) -> None:
    gca().legend(*what, **style)


def grid(visible: bool = True, axis: str = "both", **style: Any) -> None:
    gca().grid(visible, axis, **style)
