"""Plots in matplotlib's manners, without matplotlib: PNG, SVG, HTML with the values at hand, and text for a terminal."""

from miniten._core import Axes, Figure, colormap, colormap_names, get_color
from miniten.viz._current import (
    annotate, axhline, axhspan, axis, axvline, axvspan, bar, bar_label, barh, boxplot, cla, clabel, close, colorbar, contour, contourf, errorbar, figure,
    fill_between, fill_betweenx, gca, gcf, grid, heatmap, hist, hlines, imshow, legend, loglog, margins, matshow, pcolormesh, pie, plot, save_figure,
    savefig, scatter, semilogx, semilogy, show, stackplot, stem, step, subplot, subplots, suptitle, text, theme, tick_params, tight_layout, title,
    twinx, violinplot, vlines, xlabel, xlim, xscale, xticks, ylabel, ylim, yscale, yticks,
)
from miniten.viz.diagram import graph  # these draw with the above
from miniten.viz.networks import confusion_matrix, filters, pareto, roc_curve, training_curves, weight_histogram

__all__ = [
    "Axes", "Figure", "annotate", "axhline", "axhspan", "axis", "axvline", "axvspan", "bar", "bar_label", "barh", "boxplot", "cla", "clabel", "close",
    "colorbar", "colormap", "colormap_names", "confusion_matrix", "contour", "contourf", "errorbar", "figure", "fill_between", "fill_betweenx",
    "filters", "gca", "gcf", "get_color", "graph", "grid", "heatmap", "hist", "hlines", "imshow", "legend", "loglog", "margins", "matshow", "pareto",
    "pcolormesh", "pie", "plot", "roc_curve", "save_figure", "savefig", "scatter", "semilogx", "semilogy", "show", "stackplot", "stem", "step",
    "subplot", "subplots", "suptitle", "text", "theme", "tick_params", "tight_layout", "title", "training_curves", "twinx", "violinplot", "vlines",
    "weight_histogram", "xlabel", "xlim", "xscale", "xticks", "ylabel", "ylim", "yscale", "yticks",
]
