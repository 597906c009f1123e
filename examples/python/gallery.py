"""Draws docs/viz/gallery.md and its pictures: python examples/python/gallery.py [FOLDER], by default docs/viz."""

import sys
from pathlib import Path

import numpy as np

import miniten as mt
from miniten import nn, viz

rng = np.random.default_rng(7)


def lines():
    x = np.linspace(0, 10, 200)
    fig, ax = viz.subplots(figsize=(6, 3.6))
    for k in range(4):
        ax.plot(x, np.sin(x + k * 0.6) * (1 - k * 0.15), label=f"phase {k * 0.6:.1f}")
    ax.fill_between(x, np.sin(x) - 0.15, np.sin(x) + 0.15, color="C0", alpha=0.2)
    ax.annotate("first peak", (np.pi / 2, 1), (3.2, 1.25))
    ax.set(title="Lines", xlabel="time (s)", ylabel="signal")
    ax.grid()
    ax.legend()
    return fig


def training():
    steps = np.arange(40)
    loss = 2.2 * np.exp(-steps / 8) + 0.08
    noise = rng.standard_normal(40) * 0.02
    return viz.training_curves({"loss": loss.tolist(), "val_loss": (loss * 1.08 + 0.05 + noise).tolist(),
                                "accuracy": (1 - loss / 3).tolist(), "val_accuracy": (0.97 - loss / 2.9 + noise / 2).tolist()}, theme="dark")


def bars():
    fig, (left, right) = viz.subplots(1, 2, figsize=(9, 3.6))
    left.bar(["float32", "int16", "int8", "int4"], [248.3, 124.4, 63.1, 33.2], value_format=".1f")
    left.set(title="Model size", ylabel="KiB")
    right.grouped_bar(["scalar", "sse2", "avx2", "avx512"], ["float32", "int8"], [[12.1, 6.2, 2.4, 1.6], [8.3, 3.1, 0.9, 0.5]], value_format=".1f")
    right.set(title="Latency", ylabel="ms")
    right.legend()
    return fig


def statistics():
    fig, axes = viz.subplots(1, 3, figsize=(12, 3.6))
    axes[0].hist([rng.standard_normal(2000), rng.standard_normal(2000) * 0.5 + 1.5], bins=40, alpha=0.5, histtype="stepfilled", label=["before", "after"])
    axes[0].hist(rng.standard_normal(3000), bins=40, histtype="step", color="0.4", label="aimed at")
    axes[0].legend(title="weights")
    axes[1].boxplot([rng.standard_normal(200) * s for s in (0.5, 1, 1.5)], labels=["conv1", "conv2", "fc"])
    x = np.arange(1, 9)
    axes[2].errorbar(x, np.sqrt(x), yerr=0.15 + 0.05 * rng.random(8), fmt="o--", label="measured")
    axes[2].step(x, np.floor(np.sqrt(x) * 2) / 2, where="mid", color="C2", label="rounded")
    axes[2].legend()
    for ax, title in zip(axes, ("Histograms", "Box plots", "Error bars and steps")):
        ax.set_title(title)
    return fig


def confusion():
    y = rng.integers(0, 10, 3000)
    p = np.where(rng.random(3000) < 0.93, y, rng.integers(0, 10, 3000))
    return viz.confusion_matrix(y, p, labels=range(10))


def fields():
    x, y = np.linspace(-3, 3, 90), np.linspace(-2, 2, 60)
    z = np.exp(-(x[None] ** 2) - (y[:, None] - 0.3) ** 2) - 0.8 * np.exp(-((x[None] - 1.2) ** 2) - (y[:, None] + 0.6) ** 2)
    fig, axes = viz.subplots(1, 3, figsize=(13, 3.6))
    axes[0].imshow(z[::6, ::6], cmap="coolwarm", vmin=-1, vmax=1, origin="lower", extent=(-3, 3, -2, 2), interpolation="bicubic")
    axes[0].colorbar("value")
    axes[0].set_title("Image")
    axes[1].contour(x, y, z, 9, labels=True)
    axes[1].set_title("Contours")
    axes[2].contourf(x, y, z, 9, cmap="plasma")
    axes[2].contour(x, y, z, 9, color="white", linewidth=0.6)
    axes[2].colorbar()
    axes[2].set_title("Filled contours")
    return fig


def scatter():
    x = rng.standard_normal(300)
    y = 0.6 * x + 0.5 * rng.standard_normal(300)
    fig, ax = viz.subplots(figsize=(5.5, 4))
    ax.scatter(x, y, c=np.hypot(x, y), s=30, edgecolor="white", cmap="plasma")
    ax.colorbar("distance")
    ax.axhline(0, color="0.6", lw=1)
    ax.axvline(0, color="0.6", lw=1)
    ax.axvspan(1, 2, color="C2", label="wanted")
    ax.set_title("Points by value")
    ax.legend("upper left")
    return fig


def scales():
    fig, axes = viz.subplots(1, 3, figsize=(12, 3.4))
    rate = np.logspace(-6, 0, 60)
    axes[0].plot(rate, 0.4 + 1.9 / (1 + (rate / 1e-3) ** 0.8) + (rate / 0.3) ** 2, ".-")
    axes[0].set(title="Log", xscale="log", yscale="log", xlabel="learning rate")
    axes[1].plot(np.linspace(-5, 5, 101), np.sinh(np.linspace(-5, 5, 101) * 1.5))
    axes[1].set(title="Symlog", yscale="symlog")
    days = np.arange("2024-01-20", "2024-04-10", dtype="datetime64[D]")
    axes[2].plot(days, np.cumsum(rng.standard_normal(len(days))))
    axes[2].set_title("Dates")
    for ax in axes:
        ax.grid()
    return fig


def twins():
    steps = np.arange(100)
    fig, ax = viz.subplots(figsize=(6, 3.6))
    ax.plot(steps, np.exp(-steps / 20), label="loss")
    ax.set(title="Twin axes", xlabel="step", ylabel="loss")
    rate = ax.twinx()
    rate.plot(steps, 1e-3 * np.minimum(1, (steps + 1) / 10) * 0.97 ** np.maximum(0, steps - 10), "C1--", label="learning rate")
    rate.set_ylabel("learning rate")
    ax.legend("upper right")
    return fig


def shares():
    fig = viz.figure(figsize=(9, 4.6))
    wide = fig.add_subplot(2, 3, (1, 2))
    wide.plot(np.cumsum(rng.standard_normal(400)))
    wide.set_title("Two cells of a grid")
    fig.add_subplot(2, 3, (4, 5)).barh(["conv", "depthwise", "linear"], [5, 2, 3], color=["C0", "C2", "C4"])
    ring = fig.add_subplot(2, 3, (3, 6))
    ring.pie([48, 27, 17, 8], labels=["conv", "linear", "norm", "rest"], value_format=".0%", hole=0.55)
    ring.set_title("Share of the time")
    return fig


def results():
    y = rng.integers(0, 2, 400)
    fig = viz.roc_curve(y, rng.random(400) + 0.6 * y)
    return fig


def trade():
    rows = [("float32", 248, 0.991), ("float16", 124, 0.991), ("int8", 63, 0.989), ("int8 pruned", 32, 0.981), ("int4", 33, 0.972), ("clustered", 80, 0.978)]
    return viz.pareto([{"name": n, "kilobytes": k, "accuracy": a} for n, k, a in rows], x="kilobytes")


def network():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(8, 8, 3, padding=1)
            self.norm = nn.BatchNorm2d(8)

        def forward(self, x):
            return mt.relu(self.norm(self.conv(x))) + x

    mt.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), Residual(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 14 * 14, 10)).eval()
    small = mt.edge.quantize_model(model, dtype="int8", calibration_data=[rng.random((4, 1, 28, 28), np.float32)])
    return viz.graph(small, (1, 1, 28, 28))


PICTURES = [lines, training, bars, statistics, confusion, fields, scatter, scales, twins, shares, results, trade, network]


def source(draw):
    import inspect

    return "".join(line[4:] if line.strip() else line for line in inspect.getsource(draw).splitlines(True)[1:])


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    page = ["# Gallery", "", "Made by `make gallery` from `examples/python/gallery.py`; each figure is what `savefig` writes.", ""]
    for draw in PICTURES:
        fig = draw()
        name = f"gallery_{draw.__name__}.png"
        fig.savefig(folder / name)
        page += [f"## {draw.__name__.capitalize()}", "", f"![{draw.__name__}]({name})", "", "```text", source(draw).rstrip(), "```", ""]
    page += ["## In a terminal", "", "The first figure as `fig.show()` prints it over ssh:", "", "```text", lines().to_text(100, color=False).rstrip(), "```", ""]
    (folder / "gallery.md").write_text("\n".join(page))
    viz.close("all")
    print(f"{len(PICTURES)} pictures and gallery.md in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2] / "docs" / "viz")
