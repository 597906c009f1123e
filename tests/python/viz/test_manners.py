"""What users of matplotlib type, and what it does here."""

import datetime
import io
import json
import re

import numpy as np
import pytest
from judges import judge

import miniten as mt
from miniten import viz as plt

x = np.linspace(0, 10, 60)


@pytest.fixture(autouse=True)
def forget():
    yield
    plt.close("all")


def svg(fig=None):
    return (fig or plt.gcf()).to_svg()


def text(content, picture=None):
    """The attributes of a text in the picture."""
    found = re.search(rf"<text([^>]*)>(?:<[^>]*>)*{re.escape(content)}", picture or svg())
    assert found, content
    return dict(re.findall(r'([\w-]+)="([^"]*)"', found[1]))


def points(ax_index=0):
    return json.loads(re.search(r'id="data">(.*?)</script>', plt.gcf().to_html(), re.S)[1])[ax_index]["series"]


IDIOMS = """
plt.plot(x, np.sin(x), 'r-', x, np.cos(x), 'b--')
plt.plot(x, np.sin(x), color='tab:orange', ls='--', lw=2, marker='o', ms=4, markevery=10, label='a', zorder=3)
plt.plot(range(3), [3, 2, 1], c='C3')
plt.plot({1: 2, 3: 4}.values()); plt.plot((v for v in (1, 2, 3)))
plt.plot(x, x); plt.legend(['a'])
plt.plot(x, x, label='a'); plt.legend(loc='upper left', fontsize=8, frameon=False, ncol=2, title='t')
plt.plot(x, x); plt.savefig(io.BytesIO(), dpi=150, bbox_inches='tight', transparent=True, format='png')
fig, ax = plt.subplots(2, 2, figsize=(8, 6), sharex=True, constrained_layout=True); fig.suptitle('s', fontsize=16); fig.tight_layout()
fig, ax = plt.subplots(1, 2, gridspec_kw={'width_ratios': [2, 1]})
fig, ax = plt.subplots(2, 2, sharex='col', sharey='row', squeeze=False)
plt.figure(1, figsize=(5, 4)); plt.figure('two'); plt.figure(1); plt.close('two')
fig, ax = plt.subplots(); ax.set(xlim=(0, 1), ylim=(0, 2), title='t', xlabel='x', xscale='linear')
fig, ax = plt.subplots(); ax.plot(x, x); ax.set_xticks([0, 5, 10]); ax.set_xticklabels(['a', 'b', 'c'], rotation=45); ax.tick_params(axis='x', labelsize=8)
plt.plot(x, x); plt.xticks([0, 5], ['a', 'b'], rotation=30); plt.xticks(rotation=45); plt.xticks([]); plt.yticks([])
plt.plot(x, x); plt.grid(True, alpha=.3, linestyle='--', which='both', axis='y')
plt.fill_between(x, np.sin(x), 0, where=np.sin(x) > 0, alpha=.3, color='g', interpolate=True)
s = plt.scatter(x, x, c=x, s=x * 10, cmap='viridis', alpha=.6, edgecolors='k', linewidths=.5); plt.colorbar(s, label='v')
b = plt.bar(['a', 'b'], [1, 2], color=['r', 'b'], edgecolor='k', width=.5, yerr=[.1, .2], capsize=4, align='center', alpha=.8); plt.bar_label(b)
i = np.arange(3); plt.bar(i - .2, [1, 2, 3], .4, label='a'); plt.bar(i + .2, [2, 3, 4], .4, label='b'); plt.xticks(i, ['x', 'y', 'z']); plt.legend()
plt.hist(x, bins=20, density=True, alpha=.5, color='g', edgecolor='black', label='h')
im = plt.imshow(np.eye(5), cmap='hot', interpolation='nearest', aspect='auto', vmin=0, vmax=1, origin='lower'); plt.colorbar(im); plt.axis('off')
plt.pcolormesh(x, x, np.outer(x, x), shading='auto'); plt.matshow(np.eye(3)); plt.imshow(np.eye(3), cmap='RdYlGn')
X, Y = np.meshgrid(x, x); c = plt.contourf(X, Y, np.sin(X) * Y, levels=10, cmap='RdBu'); plt.colorbar(c); k = plt.contour(X, Y, np.sin(X) * Y, colors='k', linewidths=.5); plt.clabel(k)
plt.plot(x, x); plt.axhline(5, color='k', ls='--', lw=1, alpha=.5); plt.axvline(x=3, color='r'); plt.axvspan(1, 2, alpha=.2, color='y'); plt.axhspan(1, 2, facecolor='0.5')
plt.hlines([1, 2], 0, 5, colors='r'); plt.vlines(3, 0, 1, linestyles='dashed')
plt.text(.5, .5, 'hi', fontsize=12, ha='center', va='center', color='b', weight='bold'); plt.gca().text(.5, .5, 'x', transform=plt.gca().transAxes, bbox=dict(facecolor='w'))
plt.plot(x, x); plt.annotate('m', xy=(2, 2), xytext=(4, 6), arrowprops=dict(facecolor='black', arrowstyle='->'))
plt.semilogy(x + 1, np.exp(x)); plt.figure(); plt.semilogx(x + 1, x); plt.figure(); plt.loglog(x + 1, x + 1)
fig, ax = plt.subplots(); a2 = ax.twinx(); ax.plot(x, x); a2.plot(x, -x, 'r'); a2.set_ylabel('b', color='r'); ax.tick_params(axis='y', labelcolor='b')
plt.boxplot([x, x * 2], tick_labels=['a', 'b'], vert=True, showfliers=False); plt.violinplot([x, x * 2])
plt.pie([1, 2, 3], labels=['a', 'b', 'c'], autopct='%1.1f%%', startangle=90, colors=['r', 'g', 'b'], explode=[0, .1, 0])
plt.stackplot(x, x, x * 2, labels=['a', 'b']); plt.step(x, np.sin(x), where='post'); plt.stem(x[:10], x[:10])
fig, ax = plt.subplots(); ax.spines['top'].set_visible(True); ax.spines[['left', 'right']].set_visible(False)
fig, ax = plt.subplots(); ax.plot([datetime.date(2024, 1, 1) + datetime.timedelta(i) for i in range(30)], range(30)); fig.autofmt_xdate(); ax.set_xlim(datetime.date(2024, 1, 5))
plt.gca().set_aspect('equal'); plt.gca().invert_yaxis(); plt.axis([0, 1, 0, 1]); plt.axis('tight')
plt.plot(x, x); plt.xlim(0, 5); plt.ylim(bottom=0); plt.ylim([0, 3]); plt.margins(x=0); plt.tight_layout(pad=1.0)
f = plt.figure(figsize=(4, 3)); f.add_subplot(111).plot(x, x); f.set_size_inches(5, 4); f.axes[0].get_title(); plt.close(f); plt.show(block=False)
plt.title('t', fontsize=14, loc='left'); plt.xlabel('x', fontsize='large'); plt.ylabel('y', color='r', fontweight='bold')
plt.plot(mt.tensor([1., 2.]), mt.tensor([3., 4.])); plt.hist(mt.randn(10, 10))
""".strip().split("\n")


@pytest.mark.parametrize("line", IDIOMS)
def test_it_draws(line):
    exec(line, {"plt": plt, "np": np, "x": x, "io": io, "datetime": datetime, "mt": mt})  # noqa: S102
    for fig in list(plt._current._figures) or [plt.figure()]:
        assert fig.to_png(60)[:4] == b"\x89PNG" and fig.to_text(80, color=False) and fig.to_html()


def test_text_has_the_size_colour_and_place_that_was_asked():
    fig, ax = plt.subplots(dpi=72)
    ax.plot(x, x)
    ax.set_title("Title", fontsize=20, color="#123456", loc="left")
    ax.set_xlabel("below", fontsize=15, fontweight="bold")
    ax.tick_params(labelsize=5, labelcolor="#ff0000")
    fig.suptitle("Above", fontsize=30)
    picture = svg(fig)
    assert text("Title", picture)["font-size"] == "20" and text("Title", picture)["fill"] == "#123456" and "text-anchor" not in text("Title", picture)
    assert text("below", picture)["font-size"] == "15" and text("below", picture)["font-weight"] == "600"
    assert text("Above", picture)["font-size"] == "30"
    ticks = re.findall(r'<text[^>]*fill="#ff0000"[^>]*font-size="5"|<text[^>]*font-size="5"[^>]*fill="#ff0000"', picture)
    assert len(ticks) > 8
    heights = [float(text(t, picture)["y"]) for t in ("Above", "Title", "below")]
    assert heights == sorted(heights)
    ax.tick_params(labelbottom=False, labelleft=False)
    assert 'font-size="5"' not in svg(fig)
    with pytest.raises(TypeError, match=r"\[set_title\] expected an argument it knows, got 'wieght'"):
        ax.set_title("t", wieght="bold")


def test_lines_of_one_call_and_their_markers():
    fig, ax = plt.subplots()
    lines = ax.plot([0, 1], [0, 1], "r-", [0, 1], [1, 0], "b--s", label="both")
    assert len(lines) == 2 and [m.label for m in lines] == ["both", "both"]
    picture = svg(fig)
    assert "#ff0000" in picture and "#0000ff" in picture and "stroke-dasharray" in picture
    fig, ax = plt.subplots()
    ax.plot(range(10), range(10), "o", markerfacecolor="none", mec="#00aa00", markevery=3)
    circles = re.findall(r"<circle[^>]*>", svg(fig))
    assert len(circles) == 4 and all("#00aa00" in c or 'stroke="#00aa00"' in svg(fig) for c in circles)
    with pytest.raises(TypeError, match="one of 'mec' and 'markeredgecolor'|one of 'markeredgecolor' and 'mec'"):
        ax.plot([1, 2], mec="k", markeredgecolor="k")
    with pytest.raises(TypeError, match="got 'linestlye'.*linestyle"):
        ax.plot([1, 2], linestlye="--")


def test_zorder_puts_marks_before_each_other():
    def order(**above):
        fig, ax = plt.subplots()
        ax.plot([0, 1], [0, 1], color="#111111", **above)
        ax.plot([0, 1], [1, 0], color="#222222")
        picture = svg(fig)
        return picture.index("#111111") < picture.index("#222222")

    assert order() and not order(zorder=5)


def test_subplots_by_ratio_by_row_and_by_number():
    fig, axes = plt.subplots(1, 2, width_ratios=[3, 1], figsize=(8, 3))
    for ax in axes:
        ax.set_axis(False)
        ax.imshow(np.zeros((2, 2)), aspect="auto")
    widths = [float(w) for w in re.findall(r'<image[^>]* width="([0-9.]+)"', svg(fig))]
    assert widths[0] == pytest.approx(3 * widths[1], rel=0.02)
    fig, axes = plt.subplots(2, 2, sharex="col", sharey="row")
    axes[0, 0].plot([0, 100], [0, 1])
    axes[1, 1].plot([0, 7], [0, 9])
    assert axes[1, 0].get_xlim() == axes[0, 0].get_xlim() != axes[0, 1].get_xlim() == axes[1, 1].get_xlim()
    assert axes[0, 1].get_ylim() == axes[0, 0].get_ylim() != axes[1, 1].get_ylim()
    assert plt.subplots(1, 1, squeeze=False)[1].shape == (1, 1)
    one = plt.figure(7)
    plt.figure()
    assert plt.figure(7) is one and plt.gcf() is one
    plt.close(7)
    assert plt.figure(7) is not one
    with pytest.raises(ValueError, match="2 width_ratios, got 3"):
        plt.subplots(1, 2, width_ratios=[1, 2, 3])
    with pytest.raises(TypeError, match="hspace"):
        plt.subplots(1, 2, gridspec_kw={"hspace": 1})


def test_a_file_may_have_a_ground_of_its_own():
    image = judge("PIL.Image")
    plt.plot(x, x)
    before = plt.gcf().to_png()
    for words, ground in [({"transparent": True}, (0, 0, 0, 0)), ({"facecolor": "#ff0000"}, (255, 0, 0, 255)), ({}, (255, 255, 255, 255))]:
        memory = io.BytesIO()
        plt.savefig(memory, bbox_inches="tight", **words)
        assert image.open(memory).convert("RGBA").getpixel((0, 0)) == ground
    assert plt.gcf().to_png() == before
    with pytest.raises(TypeError, match="pad_inches"):
        plt.savefig(memory, pad_inches=1)


def test_fills_keep_to_where_they_should():
    a, b = np.array([0.0, 1, 2, 3]), np.array([1.0, -1, -1, 1])
    fig, ax = plt.subplots()
    ax.fill_between(a, b, 0, where=b > 0, interpolate=True, color="#123456")
    ax.set_xlim(0, 3)
    ax.set_axis(False)
    paths = re.findall(r'<path[^>]*d="([^"]*)"[^>]*fill="#123456"|<path[^>]*fill="#123456"[^>]*d="([^"]*)"', svg(fig))
    assert len(paths) == 2                                       # up to the crossings on both sides
    for path, ends in zip(paths, ((0, 0.5), (2.5, 3))):
        xs = [float(v) for v in re.findall(r"[ML]?(-?[0-9.]+)[ ,]-?[0-9.]+", "".join(path))]
        width = 800 - 2 * 11
        assert (min(xs) - 11) / width * 3 == pytest.approx(ends[0], abs=0.03) and (max(xs) - 11) / width * 3 == pytest.approx(ends[1], abs=0.03)
    ax = plt.subplots()[1]
    ax.fill_betweenx([0, 1], [2, 3], [5, 6])
    assert ax.get_ylim()[1] < 2 and ax.get_xlim()[1] > 6


def test_grid_spines_and_margins_are_what_was_asked():
    fig, ax = plt.subplots()
    ax.plot([0, 10], [0, 10])
    ax.margins(0)
    assert ax.get_xlim() == (0, 10) and ax.get_ylim() == (0, 10)
    ax.margins(x=0.5)
    assert ax.get_xlim() == (-5, 15)
    plain = svg(fig)
    ax.grid(color="#ff00ff", linestyle=":", linewidth=2)
    assert svg(fig).count("#ff00ff") >= 8 and "stroke-dasharray" in svg(fig)
    ax.grid(False)
    assert svg(fig) == plain
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.tick_params(length=0)
    bare = svg(fig)
    ax.spines["right"].set_visible(True)
    assert bare.count("polyline") + bare.count("<path") < svg(fig).count("polyline") + svg(fig).count("<path")
    with pytest.raises(ValueError, match="'left', 'right', 'top' or 'bottom'"):
        ax.spines["up"].set_visible(True)


def test_legends_of_names_handles_and_looks():
    fig, ax = plt.subplots(dpi=72)
    ax.errorbar([1, 2], [1, 2], yerr=1)
    line = ax.plot([1, 2], [2, 1])[0]
    ax.legend(["measured", "fitted"], fontsize=20, frameon=False)
    assert text("measured")["font-size"] == "20" and line.label == "fitted"
    ax.legend([line], ["line"])
    assert line.label == "line"
    with pytest.raises(ValueError, match="at most 2 labels"):
        ax.legend(["a", "b", "c"])
    with pytest.raises(TypeError, match="outside right"):
        ax.legend(bbox_to_anchor=(1, 1))


def test_bars_begin_at_edges_and_carry_their_values():
    ax = plt.subplots()[1]
    bars = ax.bar([0, 1], [3, 4.5], width=1, align="edge", tick_label=["p", "q"])
    ax.bar_label(bars, fmt=".2f")
    assert ax.get_xlim()[0] < 0 < 1.9 < ax.get_xlim()[1] and {"4.50", "p", "q"} <= set(re.findall(r">([^<]+)</text>", svg()))
    fig, ax = plt.subplots(dpi=72)
    bars = ax.bar(["a"], [10], yerr=[4])
    ax.bar_label(bars)
    _, top, _, height = json.loads(re.search(r'id="data">(.*?)</script>', fig.to_html(), re.S)[1])[0]["area"]
    low, high = ax.get_ylim()
    label = [dict(re.findall(r'([\w-]+)="([^"]*)"', a)) for a in re.findall(r"<text([^>]*)>10</text>", svg(fig))]
    assert any(float(a["y"]) < top + height * (1 - (14 - low) / (high - low)) for a in label)       # above the whisker
    with pytest.raises(ValueError, match="what bar, barh or hist gave"):
        ax.bar_label(ax.plot([1, 2])[0])


def test_stems_stacks_violins_and_meshes():
    plt.stem([1, 2, 3], [4, 5, 6], label="s")
    assert [p[2:] for p in points()[-1]["points"]] == [["x: 1", "y: 4"], ["x: 2", "y: 5"], ["x: 3", "y: 6"]]
    ax = plt.figure().add_subplot()
    ax.stackplot([0, 1], [1, 2], [3, 4], labels=["a", "b"])
    assert ax.get_ylim()[1] > 6
    ax = plt.figure().add_subplot()
    ax.violinplot([np.arange(50.0), np.arange(80.0)], positions=[1, 4])
    assert ax.get_xlim()[1] > 4 and ax.get_ylim()[1] > 79
    ax = plt.figure().add_subplot()
    ax.pcolormesh([0, 1, 2, 3], [10, 20, 30], [[1, 2, 3], [4, 5, 6]])
    assert ax.get_xlim() == (0, 3) and ax.get_ylim() == (10, 30)
    ax = plt.figure().add_subplot()
    ax.pcolormesh([0, 1, 2], [10, 20], [[1, 2, 3], [4, 5, 6]])
    assert ax.get_xlim() == (-0.5, 2.5) and ax.get_ylim() == (5, 25)
    with pytest.raises(ValueError, match="evenly spaced"):
        ax.pcolormesh([0, 1, 3], [0, 1], [[1, 2, 3], [4, 5, 6]])
    ax = plt.figure().add_subplot()
    ax.hlines([1, 2], [0, 1], 5)
    assert ax.get_xlim()[1] > 5 and ax.get_ylim()[0] < 1


def test_axes_become_as_new():
    fig, (left, right) = plt.subplots(1, 2, sharey=True)
    twin = left.twinx()
    mark = left.plot([1, 2], "r--", label="a")[0]
    left.set(title="t", xlabel="x", ylim=(0, 9), xscale="log")
    left.legend(title="legend")
    twin.plot([3, 4])
    right.plot([5, 6])
    left.clear()
    assert "#ff0000" not in svg(fig) and left.get_title() == "" and left.get_xlim() == (0, 1)
    assert left.get_ylim() == right.get_ylim()                    # still one scale
    with pytest.raises(ValueError, match="a mark of these axes"):
        mark.label = "b"
    right.cla()
    left.plot([1, 2])
    assert len(points()) == 1


@pytest.mark.parametrize("name", ["RdBu", "RdBu_r", "Blues", "blues", "Spectral", "turbo", "tab20", "hsv", "bwr", "bone", "YlGnBu"])
def test_maps_by_matplotlibs_names(name):
    ramp = plt.colormap(np.linspace(0, 1, 256), name)
    assert len(np.unique(ramp, axis=0)) >= 20
    ends = {"RdBu": ([103, 0, 31], [5, 48, 97]), "turbo": ([48, 18, 59], [122, 4, 3]), "bwr": ([0, 0, 255], [255, 0, 0]), "tab20": ([31, 119, 180], [158, 218, 229])}
    if name in ends:
        assert np.abs(ramp[[0, -1]].astype(int) - ends[name]).max() <= 1
