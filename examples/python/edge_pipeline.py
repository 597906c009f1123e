"""MiniTen's main job on real data: train, quantise, prune, measure, estimate, export, read back, report.

    python examples/python/edge_pipeline.py [--seed 0] [--epochs 30] [--output build/demo] [--quiet]

Handwritten digits (examples/data) are split once into training and test images; the test images are seen neither in
training nor in calibration. Models, figures and report.html are left in the output folder. The program ends with 1 where a
figure is missed, and says which.
"""

from __future__ import annotations

import argparse
import html
import io
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import miniten as mt
from miniten import nn, optim
from miniten.edge import (
    benchmark_model,
    check_edge_compatibility,
    compare_models,
    count_flops,
    count_parameters,
    estimate_memory,
    estimate_power,
    export_miniten,
    export_onnx,
    load_miniten,
    load_onnx,
    prune_model,
    quantize_model,
)
from miniten.utils import progress
from miniten.utils.data import ArrayDataset, DataLoader, Subset, train_test_split

DATA = Path(__file__).resolve().parent.parent / "data"
INPUT_SHAPE = (1, 1, 8, 8)
TEST_SHARE = 0.3


# ---- data ----
def load_digits(seed: int) -> tuple[Subset, Subset]:
    """(train, test) of images (1, 8, 8) in [0, 1] with labels, every digit with the same share on both sides."""
    images = np.load(DATA / "digits_images.npy").astype(np.float32)[:, None] / 16
    labels = np.load(DATA / "digits_labels.npy").astype(np.int64)
    return train_test_split(ArrayDataset(images, labels), test_size=TEST_SHARE, seed=seed, stratify=labels)


def arrays(dataset: Subset) -> tuple[mt.Tensor, mt.Tensor]:
    return next(iter(DataLoader(dataset, batch_size=len(dataset))))


# ---- model and training ----
def make_model() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 48, 1, bias=False), nn.BatchNorm2d(48), nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(48, 48, 3, padding=1, groups=48, bias=False), nn.BatchNorm2d(48), nn.ReLU(),
        nn.Conv2d(48, 64, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.2), nn.Linear(64 * 2 * 2, 10),
    )


def shifted(images: mt.Tensor, rng: np.random.Generator) -> mt.Tensor:
    """The batch moved by up to one pixel in each direction, as a digit may stand on a sensor."""
    dy, dx = rng.integers(0, 3, 2)
    return mt.pad(images, (1, 1, 1, 1))[:, :, dy : dy + 8, dx : dx + 8]


def train(model: nn.Module, data: Subset, epochs: int, lr: float, seed: int, label: str, quiet: bool = False) -> list[float]:
    """AdamW with warm-up and cosine decay -> the mean loss of each epoch."""
    loader = DataLoader(data, batch_size=32, shuffle=True, drop_last=True, seed=seed)
    optimizer = optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01)
    scheduler = optim.lr_scheduler.WarmupCosine(optimizer, warmup_steps=len(loader), total_steps=epochs * len(loader))
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    rng = np.random.default_rng(seed)
    model.train()
    losses = []
    bar = progress(range(epochs), label, file=io.StringIO() if quiet else None)
    for _ in bar:
        total = 0.0
        for images, labels in loader:
            optimizer.zero_grad()
            loss = loss_of(model(shifted(images, rng)), labels)
            loss.backward()
            optimizer.step()
            scheduler.step()
            total += loss.item()
        losses.append(total / len(loader))
        bar.set(loss=losses[-1])
    model.eval()
    return losses


def predict(model: Any, images: mt.Tensor) -> np.ndarray:
    with mt.no_grad():
        return model(images).numpy()


def accuracy(logits: np.ndarray, labels: mt.Tensor) -> float:
    """In per cent."""
    return float((logits.argmax(1) == labels.numpy()).mean() * 100)


# ---- variants ----
@dataclass
class Variant:
    """One row of the table: a model with what was measured of it."""

    name: str
    model: Any
    logits: np.ndarray
    figures: dict[str, Any] = field(default_factory=dict)


COLUMNS = (  # heading, key, format
    ("accuracy", "accuracy", "{:.2f} %"),
    ("file", "bytes", "{:,} B"),
    ("non-zero", "nonzero", "{:,}"),
    ("MACs", "macs", "{:,}"),
    ("arena", "arena_bytes", "{:,} B"),
    ("p50", "median_latency_ms", "{:.4f} ms"),
    ("p95", "p95_latency_ms", "{:.4f} ms"),
    ("images/s", "throughput_fps", "{:,.0f}"),
)


def measure(variants: list[Variant], labels: mt.Tensor, folder: Path) -> None:
    """Fills in the figures. Latencies are of one image on one thread, the variants taking turns."""
    latencies = compare_models([v.model for v in variants], INPUT_SHAPE, [v.name for v in variants], num_runs=500, threads=1)
    for v, latency in zip(variants, latencies):
        report = export_miniten(v.model, folder / f"{slug(v.name)}.npz", input_shape=INPUT_SHAPE)
        v.figures = {
            "accuracy": accuracy(v.logits, labels),
            "bytes": report.bytes,
            "nonzero": count_parameters(v.model)["nonzero_parameters"],
            "macs": count_flops(v.model, INPUT_SHAPE)["total_macs"],
            "arena_bytes": mt.compile(v.model, INPUT_SHAPE, threads=1).arena_bytes,
            **{key: latency[key] for key in ("median_latency_ms", "p95_latency_ms", "throughput_fps")},
        }


def slug(name: str) -> str:
    return "_".join("".join(c if c.isalnum() else " " for c in name).split())


def rows_of(variants: list[Variant]) -> list[list[str]]:
    return [["model", *(heading for heading, _, _ in COLUMNS)]] + [[v.name, *(form.format(v.figures[key]) for _, key, form in COLUMNS)] for v in variants]


def table(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))) for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


# ---- files ----
def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / max(1.0, np.abs(b).max()))


@dataclass
class Reading:
    """What a reader made of an exported file: its logits on the test images against the model's."""

    file: str
    reader: str
    differing: int
    total: int
    worst: float
    steps: float | None  # the worst difference in steps of the output's scale, where the model is quantised

    def __str__(self) -> str:
        how = "equal" if self.differing == 0 else f"{self.differing} of {self.total} logits differ, by {self.worst:.2g} at most"
        return how + (f" ({self.steps:.0f} step of int8)" if self.steps and self.differing else "")


def read_back(model: Any, path: Path, images: mt.Tensor, want: np.ndarray, step: float | None) -> list[Reading]:
    """The file through MiniTen's own reader, and an ONNX file through onnxruntime where that is installed."""

    def reading(reader: str, got: np.ndarray) -> Reading:
        steps = float(np.abs(got - want).max() / step) if step else None
        return Reading(path.name, reader, int((got != want).sum()), want.size, difference(got, want), steps)

    if path.suffix != ".onnx":
        return [reading("MiniTen", predict(load_miniten(path), images))]
    readings = [reading("MiniTen", predict(load_onnx(path), images))]
    try:
        import onnxruntime  # type: ignore[import-untyped]
    except ImportError:
        return readings
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")   # exact integers; processors with AVX2 alone saturate else
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    readings.append(reading(f"onnxruntime {onnxruntime.__version__}", session.run(None, {session.get_inputs()[0].name: images.numpy()})[0]))
    return readings


def export_all(variants: list[Variant], images: mt.Tensor, folder: Path) -> list[Reading]:
    readings = []
    for v in variants:
        report = getattr(v.model, "report", None)
        rows = getattr(report(), "rows", []) if report else []
        step = next((row.output_scale for row in reversed(rows) if getattr(row, "output_scale", 0)), None)
        onnx = folder / f"{slug(v.name)}.onnx"
        export_onnx(v.model, INPUT_SHAPE, onnx, dynamic_axes={"input": {0: "batch"}})
        for path in (onnx, folder / f"{slug(v.name)}.npz"):
            readings += read_back(v.model, path, images, v.logits, step)
    return readings


def deployment_pipeline(model: nn.Module, input_shape: tuple[int, ...], folder: Path) -> Any:
    """The deployment pipeline in its shortest form: each step takes what the one before gave."""
    quantized = quantize_model(model, dtype="int8")
    pruned = prune_model(quantized, sparsity=0.5)
    results = benchmark_model(pruned, input_shape)
    print(f"Latency: {results['mean_latency_ms']:.4f}ms")
    export_onnx(pruned, input_shape, folder / "model_edge.onnx")
    return pruned


# ---- what is left behind ----
def confusion(logits: np.ndarray, labels: mt.Tensor) -> np.ndarray:
    counts = np.zeros((10, 10))
    np.add.at(counts, (labels.numpy(), logits.argmax(1)), 1)
    return counts


def draw(losses: list[float], variants: list[Variant], labels: mt.Tensor) -> Any:
    from miniten import viz

    figure, (curve, sizes, matrix) = viz.subplots(1, 3, figsize=(15, 4.4))
    figure.suptitle("Handwritten digits: from training to an int8 model with half its weights zero")
    curve.plot(list(range(1, len(losses) + 1)), losses)
    curve.set_title("Training")
    curve.set_xlabel("epoch")
    curve.set_ylabel("loss")
    curve.grid()
    from_below = variants[::-1]
    sizes.barh([v.name.replace(", ", ",\n") for v in from_below], [v.figures["bytes"] / 1024 for v in from_below], value_format=".1f")
    sizes.set_title("File on disk")
    sizes.set_xlabel("KB")
    matrix.heatmap(confusion(variants[-1].logits, labels), cmap="viridis", annot=True, fmt=".0f", square=True)
    matrix.set_title(f"{variants[-1].name}: test images")
    matrix.set_xlabel("predicted")
    matrix.set_ylabel("digit")
    return figure


STYLE = """body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .3rem .8rem; text-align: right; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left } svg { max-width: 100%; height: auto } pre { overflow-x: auto }"""


def write_report(path: Path, figure: Any, tables: list[tuple[str, list[list[str]]]], texts: list[tuple[str, str]]) -> None:
    """One page that needs nothing from anywhere else."""
    parts = [f"<h1>MiniTen: the main job</h1>\n{figure.to_svg()}"]
    for title, rows in tables:
        cells = ["<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in row) + "</tr>" for tag, row in zip(["th"] + ["td"] * len(rows), rows)]
        parts.append(f"<h2>{html.escape(title)}</h2>\n<table>\n" + "\n".join(cells) + "\n</table>")
    parts += [f"<h2>{html.escape(title)}</h2>\n<pre>{html.escape(text)}</pre>" for title, text in texts]
    page = f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>MiniTen: the main job</title><style>{STYLE}</style></head>\n<body>\n'
    path.write_text(page + "\n".join(parts) + "\n</body></html>\n", encoding="utf-8")


# ---- the whole job ----
def missed_figures(variants: dict[str, Variant], readings: list[Reading]) -> list[str]:
    """What the job promises and did not keep, in words."""
    missed = []
    base = variants["float32"].figures["accuracy"]
    if base < 97.5:
        missed.append(f"float32 reaches {base:.2f} %, at least 97.50 % is promised")
    for name, loss in (("int8", 0.5), ("50 % pruned, then int8", 1.0)):
        if base - variants[name].figures["accuracy"] > loss + 1e-9:
            missed.append(f"{name} loses {base - variants[name].figures['accuracy']:.2f} points, at most {loss} is promised")
    for r in readings:
        if r.steps is None and r.worst > 1e-5:
            missed.append(f"{r.file} read by {r.reader} differs by {r.worst:.2g}, at most 1e-5 is promised")
        if r.steps is not None and r.steps > 1.001:
            missed.append(f"{r.file} read by {r.reader} differs by {r.steps:.1f} steps, at most 1 is promised")
    return missed


def build(seed: int, epochs: int, quiet: bool = True) -> tuple[dict[str, Variant], list[float], tuple[mt.Tensor, mt.Tensor]]:
    """Trains and makes every variant -> variants by name, losses, test images and labels."""
    mt.manual_seed(seed)
    train_set, test_set = load_digits(seed)
    images, labels = arrays(test_set)
    calibration = DataLoader(train_set, batch_size=64)

    model = make_model()
    losses = train(model, train_set, epochs, 4e-3, seed, "training", quiet)
    quantized = quantize_model(model, dtype="int8", calibration_data=calibration)
    pruned_model = prune_model(model, sparsity=0.5)
    train(pruned_model, train_set, max(2, epochs // 3), 2e-3, seed + 1, "fine-tuning the pruned model", quiet)
    models = {
        "float32": model,
        "int8": quantized,
        "int8, then 50 % pruned": prune_model(quantized, sparsity=0.5),
        "50 % pruned": pruned_model,
        "50 % pruned, then int8": quantize_model(pruned_model, dtype="int8", calibration_data=calibration),
    }
    return {name: Variant(name, m, predict(m, images)) for name, m in models.items()}, losses, (images, labels)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--output", type=Path, default=Path("build/demo"))
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)

    start = time.monotonic()
    variants, losses, (images, labels) = build(options.seed, options.epochs, options.quiet)
    model = variants["float32"].model
    print(f"Trained in {time.monotonic() - start:.1f} s on {1797 - len(labels)} images, tested on the other {len(labels)}\n")

    measure(list(variants.values()), labels, options.output)
    rows = rows_of(list(variants.values()))
    print(table(rows))
    print("p50, p95, images/s: one image at a time on one thread\n")

    readings = export_all([variants[name] for name in ("float32", "int8", "50 % pruned, then int8")], images, options.output)
    file_rows = [["file", "read by", "against the model"]] + [[r.file, r.reader, str(r)] for r in readings]
    print(table(file_rows))

    print("\nThe deployment pipeline without calibration data: quantise, prune, benchmark, export")
    deployment_pipeline(model, INPUT_SHAPE, options.output)

    power, memory = estimate_power(model, INPUT_SHAPE, "edge_cpu"), estimate_memory(model, INPUT_SHAPE)
    fits = check_edge_compatibility(variants["int8"].model, INPUT_SHAPE, {"max_flash_kb": 64, "max_ram_kb": 16})
    print(f"Estimates for float32: {memory['total_memory_bytes']:,} bytes of memory, {power['energy_per_inference_mj'] * 1000:.2f} microjoule an image on an edge CPU")
    print(f"int8 in 64 KB of flash and 16 KB of RAM: {'fits' if fits['passes_all'] else 'does not fit'}")

    figure = draw(losses, list(variants.values()), labels)
    figure.save(options.output / "overview.svg")
    write_report(
        options.output / "report.html", figure, [("Variants", rows), ("Files, read back", file_rows)],
        [("Quantisation", str(variants["int8"].model.report())), ("Pruning", str(variants["int8, then 50 % pruned"].model.report()))],
    )
    figures = {name: v.figures for name, v in variants.items()}
    (options.output / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(f"\nModels, figures.json and report.html are in {options.output}")

    missed = missed_figures(variants, readings)
    for m in missed:
        print(f"MISSED: {m}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
