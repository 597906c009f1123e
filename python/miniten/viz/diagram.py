"""A model's graph as boxes and arrows."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from miniten import viz
from miniten._core import Figure, Graph, trace

_VALUE = re.compile(r'^(input|parameter|constant|state) %(\d+) (\w+\([^)]*\))(?: "((?:[^"\\]|\\.)*)")?(.*)$')
_NODE = re.compile(r'^((?:%\d+(?:, )?)+) = (\w+)\(([^)]*)\)(?:\{.*\})? ((?:\w+\([^)]*\) ?)+)(?:"((?:[^"\\]|\\.)*)")?$')
_COLORS = {"input": "0.6", "conv": "C0", "linear": "C4", "norm": "C2", "pool": "C1", "activation": "C3", "other": "C7"}
_KINDS = [("conv", "conv"), ("linear", "matmul|linear|gemm|attention|lstm|gru|rnn"), ("norm", "norm"), ("pool", "pool|reduce|mean"),
          ("activation", "relu|sigmoid|tanh|gelu|silu|swish|softmax|elu|clamp|clip|mish")]


@dataclass
class _Box:
    ops: list[str]
    name: str
    spec: str
    sources: set[int]                                   # boxes
    weights: list[str] = field(default_factory=list)
    level: int = 0
    column: float = 0.0

    def kind(self) -> str:
        for kind, pattern in _KINDS:
            if any(re.search(pattern, op) for op in self.ops):
                return kind
        return "other" if self.ops != ["input"] else "input"


def _boxes(text: str) -> list[_Box]:
    boxes: list[_Box] = []
    maker: dict[str, int] = {}                          # value -> box
    constants: dict[str, str] = {}                      # value -> how it reads
    readers: dict[str, int] = {}
    lines = [line for line in text.splitlines() if not line.startswith(" ")]
    for line in lines:
        if match := _NODE.match(line):
            for value in match[3].split(", "):
                readers[value] = readers.get(value, 0) + 1
    for line in lines:
        if match := _VALUE.match(line):
            what, number, spec, name, more = match.groups()
            if what == "input":
                maker["%" + number] = len(boxes)
                boxes.append(_Box(["input"], name or "input", spec, set()))
            elif "()" not in spec and not (name or "").endswith((".scale", "bias", "zero_point", "running_mean", "running_var")):
                constants["%" + number] = spec + re.sub(r" quantized\(\d+\)", "", more)     # the dtype says so
            else:
                constants["%" + number] = ""
            continue
        match = _NODE.match(line)
        if not match:
            continue
        outputs, op, inputs, spec, name = match.groups()
        values = [v for v in inputs.split(", ") if v]
        weights = [constants[v] for v in values if constants.get(v)]
        if values and all(v in constants for v in values):           # of weights alone
            for out in outputs.split(", "):
                constants[out] = weights[0] if weights else ""
            continue
        made = {maker[v] for v in values if v in maker}
        last = max(made, default=-1)
        fed = [v for v in values if maker.get(v) == last]
        together = len(made) == 1 and name and boxes[last].name == name and all(readers.get(v, 0) <= 1 for v in fed)
        if together:                                                # one layer's ops are one box
            boxes[last].ops.append(op)
            boxes[last].spec = spec.strip()
            boxes[last].weights += weights
            at = last
        else:
            at = len(boxes)
            boxes.append(_Box([op], name or "", spec.strip(), made, weights))
        for out in outputs.split(", "):
            maker[out] = at
    return boxes


def graph(model: Any, input_shape: Any = None, figsize: tuple[float, float] | None = None, theme: str | None = None) -> Figure:
    """The layers of a model or a Graph from top to bottom: names, ops, output shapes, weights with their dtype; int8 ones framed.

    input_shape: as mt.trace takes it; not needed for a Graph.
    """
    traced = model if isinstance(model, Graph) else trace(model, input_shape)
    boxes = _boxes(traced.to_text())
    if len(boxes) > 400:
        raise ValueError(f"[graph] expected at most 400 layers, got {len(boxes)} (draw a part of the model)")
    for box in boxes:
        box.level = max((boxes[s].level + 1 for s in box.sources), default=0)
    levels: dict[int, list[_Box]] = {}
    for box in boxes:
        levels.setdefault(box.level, []).append(box)
    widest = max((len(row) for row in levels.values()), default=1)
    for row in levels.values():
        for i, box in enumerate(row):
            box.column = (i - (len(row) - 1) / 2) * 1.15
    lanes: list[int] = []                               # the lowest level that each lane beside the boxes is taken down to
    skips = []
    for target in boxes:
        for source in sorted(target.sources):
            start = boxes[source]
            if target.level - start.level <= 1:
                continue
            lane = next((k for k, busy in enumerate(lanes) if busy <= start.level), len(lanes))
            lanes[lane:lane + 1] = [target.level]
            skips.append((start, target, lane))
    edge = (widest - 1) * 1.15 / 2 + 0.5
    right = edge + 0.12 + 0.1 * len(lanes)
    height = 0.66
    f = viz.figure(figsize or (min(3.4 * (right + edge) + 0.3, 40), min(0.72 * (max(levels, default=0) + 1) + 0.4, 300)), theme=theme)
    ax = f.add_subplot()
    ax.set_axis(False)
    ax.set_xlim(-edge - 0.04, right)
    ax.set_ylim(-max(levels, default=0) - 0.55, 0.55)
    for target in boxes:
        for source in target.sources:
            start = boxes[source]
            if target.level - start.level <= 1:
                ax.annotate("", (target.column, -target.level + height / 2), (start.column, -start.level - height / 2), fontsize=0.1)
    for start, target, lane in skips:
        x = edge + 0.1 + 0.1 * lane
        low = -target.level + 0.12
        ax.plot([start.column + 0.5, x, x, x - 0.06], [-start.level - 0.12, -start.level - 0.12, low, low], color="0.55", linewidth=1.1)
        ax.annotate("", (target.column + 0.5, low), (x, low), fontsize=0.1)
    for box in boxes:
        kind = box.kind()
        quantised = "int8" in box.spec or "int4" in box.spec or "int16" in box.spec or any("int" in w for w in box.weights)
        color = _COLORS[kind]
        ax.bar([box.column], [height], width=1.0, bottom=-box.level - height / 2, color=color, alpha=0.18)
        if quantised:
            ax.plot([box.column - 0.5, box.column + 0.5, box.column + 0.5, box.column - 0.5, box.column - 0.5],
                    [-box.level + h * height / 2 for h in (1, 1, -1, -1, 1)], color=color, linewidth=1.6)
        title = " + ".join(dict.fromkeys(box.ops)) if box.ops != ["input"] else box.name
        if box.name and box.ops != ["input"]:
            title = f"{box.name}: {title}"
        note = box.spec + ("   weights " + ", ".join(box.weights) if box.weights else "")
        ax.text(box.column, -box.level + 0.07, _short(title, 46), ha="center", va="baseline", fontsize=9.5, bold=True)
        ax.text(box.column, -box.level - 0.2, _short(note, 60), ha="center", va="baseline", fontsize=8)
    return f


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
