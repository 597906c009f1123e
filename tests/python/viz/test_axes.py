"""Axes against NumPy, datetime and the manners of matplotlib."""

import datetime
import json
import re

import numpy as np
import pytest

from miniten import viz


@pytest.fixture(autouse=True)
def forget():
    yield
    viz.close("all")


def texts(fig):
    return re.findall(r"<text[^>]*>([^<]*)", fig.to_svg())


def series(fig):
    return json.loads(re.search(r'id="data">(.*?)</script>', fig.to_html(), re.S).group(1))[0]["series"]


def test_hist_counts_as_numpy():
    rng = np.random.default_rng(0)
    data = rng.standard_normal((50, 20))
    for bins in (10, 33, np.linspace(-2, 2, 9)):
        for density in (False, True):
            counts, edges, _ = viz.subplots()[1].hist(data, bins=bins, density=density)
            want, want_edges = np.histogram(data, bins, density=density)
            np.testing.assert_allclose(counts, want)
            np.testing.assert_allclose(edges, want_edges)
    counts, edges = viz.hist(data, range=(-1, 1))[:2]
    np.testing.assert_array_equal(counts, np.histogram(data, range=(-1, 1))[0])


def test_boxplot_has_numpys_quartiles():
    rng = np.random.default_rng(1)
    fig, ax = viz.subplots()
    data = [rng.standard_normal(n) for n in (5, 17, 100)]
    ax.boxplot(data, labels=["a", "b", "c"])
    for point, values in zip(series(fig)[0]["points"], data):
        want = "median {:.4g}, quartiles {:.4g} to {:.4g}".format(*np.percentile(values, [50, 25, 75]))
        assert point[-1].replace("\u2212", "-") == want
    assert {"a", "b", "c"} <= set(texts(fig))
    matrix = viz.subplots()[1]
    matrix.boxplot(np.arange(12.0).reshape(4, 3))
    assert matrix.get_xlim() == (0.5, 3.5)


def test_dates_of_every_kind():
    day = datetime.date(2024, 2, 28)
    kinds = [
        [day + datetime.timedelta(i) for i in range(4)],
        [datetime.datetime(2024, 2, 28) + datetime.timedelta(i) for i in range(4)],
        np.arange("2024-02-28", "2024-03-03", dtype="datetime64[D]"),
        list(np.arange("2024-02-28", "2024-03-03", dtype="datetime64[D]")),
    ]
    for x in kinds:
        fig, ax = viz.subplots()
        ax.plot(x, [1, 2, 3, 4])
        assert [p[2] for p in series(fig)[0]["points"]] == ["x: 2024-02-28", "x: 2024-02-29", "x: 2024-03-01", "x: 2024-03-02"]
        assert "Feb 29" in texts(fig) or "Mar 1" in texts(fig)
        ax.axvline(day)
    gap = np.array(["2024-01-01", "NaT", "2024-01-03"], dtype="datetime64[s]")
    fig, ax = viz.subplots()
    ax.scatter(gap, [1, 2, 3])
    assert len(series(fig)[0]["points"]) == 2


def test_categories():
    fig, ax = viz.subplots()
    ax.plot(["a", "b", "c"], [1, 3, 2], "o-")
    ax.bar(np.array(["b", "d"]), [1, 2])
    assert [p[2] for s in series(fig) for p in s["points"]] == ["x: a", "x: b", "x: c", "x: b", "x: d"]


def test_plot_takes_what_matplotlib_takes():
    fig, ax = viz.subplots()
    (line,) = ax.plot([1, 2, 3])
    assert line.axes is ax
    line.set_label("later")
    assert line.label == "later"
    assert len(ax.plot(np.ones((5, 3)), label=["p", "q", "r"])) == 3
    ax.plot([1, 2], [3, 4], "r--o", lw=3, ms=4)
    ax.plot([1, 2], [3, 4], c=(0, 0.5, 1), ls="dashed")
    ax.legend()
    assert {"later", "p", "q", "r"} <= set(texts(fig))
    svg = fig.to_svg()
    assert "#0080ff" in svg and "#ff0000" in svg
    with pytest.raises(TypeError, match="linewidt"):
        ax.plot([1], linewidt=3)
    with pytest.raises(ValueError, match="one axis"):
        ax.bar([1, 2], np.ones((2, 2)))


def test_limits_are_set_and_returned():
    ax = viz.subplots()[1]
    ax.plot([0, 10], [0, 1])
    assert ax.get_xlim() == pytest.approx((-0.5, 10.5))
    assert ax.set_xlim(left=2) == pytest.approx((2, 10.5))
    assert ax.set_xlim((1, 3)) == (1, 3)
    assert viz.xlim() == (1, 3)
    assert viz.ylim(top=5)[1] == 5
    ax.invert_yaxis()
    assert ax.get_ylim()[0] == 5
    ax.set(title="T", xscale="log", ylabel="y")
    with pytest.raises(TypeError, match="setter"):
        ax.set(colour="red")


def test_subplots_shapes_sharing_and_spans():
    fig, axes = viz.subplots(2, 3, sharex=True, sharey=True, figsize=(9, 5))
    assert axes.shape == (2, 3)
    for i, ax in enumerate(axes.flat):
        ax.plot([0, i + 1], [0, 10 * (i + 1)])
    assert len({ax.get_xlim() for ax in axes.flat}) == 1
    assert fig.axes[4] is axes[1, 1]
    assert texts(fig).count("60") == 2
    assert viz.subplots(1, 2)[1].shape == (2,)
    assert viz.subplots(2, 1)[1].shape == (2,)
    wide = viz.figure()
    assert wide.add_subplot(2, 2, (1, 2)) is wide.add_subplot(2, 2, (1, 2))
    assert viz.subplot(212) is viz.gca()


def test_twin_axes():
    fig, ax = viz.subplots()
    ax.plot([1, 2, 3], [1, 2, 3], label="left")
    other = viz.twinx()
    assert viz.gca() is other
    viz.plot([1, 2, 3], [100, 400, 900], label="right")
    viz.ylabel("other")
    ax.legend()
    assert {"left", "right", "other", "800"} <= set(texts(fig))


def test_colorbar_of_a_mark():
    fig, axes = viz.subplots(1, 2)
    image = axes[0].imshow(np.arange(6.0).reshape(2, 3))
    axes[1].plot([1, 2])
    fig.colorbar(image, label="value")
    assert "value" in texts(fig)
    with pytest.raises(ValueError, match="colorbar"):
        fig.colorbar(ax=axes[1])


def test_errorbar_forms():
    ax = viz.subplots()[1]
    ax.errorbar([1, 2, 3], [1, 2, 3], yerr=5)
    assert ax.get_ylim()[0] < -4 and ax.get_ylim()[1] > 8
    ax.errorbar([1, 2, 3], [1, 2, 3], yerr=[[1, 1, 1], [20, 20, 20]], fmt="o")
    assert ax.get_ylim()[1] > 23
    with pytest.raises(ValueError, match="errors"):
        ax.errorbar([1, 2], [1, 2], yerr=[1, 2, 3])


def test_colormap_gives_bytes():
    data = np.linspace(0, 1, 256).reshape(16, 16)
    rgb = viz.colormap(data)
    assert rgb.dtype == np.uint8 and rgb.shape == (16, 16, 3)
    assert rgb[0, 0].tolist() == [68, 1, 84] and rgb[-1, -1].tolist() == [253, 231, 37]
    assert viz.colormap([0, np.nan, 1], "gray").tolist() == [[0] * 3, [128] * 3, [255] * 3]


def test_everything_draws_everywhere():
    fig, axes = viz.subplots(2, 4, figsize=(16, 8))
    rng = np.random.default_rng(0)
    axes[0, 0].contour(np.add.outer(np.arange(10.0) ** 2, np.arange(12.0)), levels=5, labels=True)
    axes[0, 1].pie([3, 2, 1], labels=["a", "b", "c"], value_format=".0%", hole=0.5)
    axes[0, 2].step(np.arange(5), rng.random(5), where="mid")
    axes[0, 3].errorbar(np.arange(5), rng.random(5), yerr=0.1, xerr=0.2, fmt="s--")
    axes[1, 0].boxplot([rng.random(20), rng.random(30)], horizontal=True)
    axes[1, 1].plot([-1e3, 0, 1e3])
    axes[1, 1].set_yscale("symlog", linthresh=10)
    axes[1, 2].axhspan(0.2, 0.4, color="C2")
    axes[1, 2].axvspan(0.1, 0.3)
    axes[1, 2].annotate("peak", (0.5, 0.5), (0.2, 0.8))
    axes[1, 3].plot(np.arange(5), np.arange(5))
    axes[1, 3].minorticks_on()
    axes[1, 3].axis("equal")
    assert len(fig.to_png()) > 10000
    assert fig.to_text(120) and fig.to_html()


def test_scatter_of_many_colours_and_sizes():
    fig, ax = viz.subplots()
    ax.scatter([1, 2, 3], [1, 2, 3], s=[10, 200, 0], c=["r", "#00ff00", (0, 0, 1)])
    ax.scatter([1], [2], c=(1, 0.5, 0))
    svg = fig.to_svg()
    assert {"#ff0000", "#00ff00", "#ff8000"} <= set(re.findall(r'fill="(#[0-9a-f]{6})"', svg))
    radii = [float(r) for r in re.findall(r'<circle[^>]* r="([0-9.]+)"', svg)]
    assert radii[1] == pytest.approx(radii[0] * np.sqrt(20), rel=0.01) and radii[2] == 0
    with pytest.raises(ValueError, match="sizes"):
        ax.scatter([1, 2], [1, 2], s=[1, 2, 3])
    with pytest.raises(ValueError, match="colors"):
        ax.scatter([1, 2], [1, 2], c=["r", "g", "b"])


def test_a_colour_may_stand_for_the_format():
    fig, ax = viz.subplots()
    ax.plot([1, 2], [1, 2], "steelblue")
    assert "#4682b4" in fig.to_svg()
    with pytest.raises(ValueError, match="line_format"):
        ax.plot([1, 2], [1, 2], "steelblau")


def test_bars_carry_errors():
    ax = viz.subplots()[1]
    ax.bar(["a", "b"], [1, 2], bottom=10, yerr=[5, 1])
    assert ax.get_ylim()[1] > 16
    ax = viz.subplots()[1]
    ax.barh([0, 1], [1, 2], xerr=4)
    assert ax.get_xlim()[0] < -3 and ax.get_xlim()[1] > 6
