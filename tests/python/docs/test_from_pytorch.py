"""Both columns of the tables of docs/from_pytorch.md run, and what the page calls missing is missing."""

import re
from pathlib import Path

import numpy as np
import pytest
from judges import judge

import miniten as mt

torch = judge("torch")
PAGE = Path(__file__).parents[3] / "docs" / "from_pytorch.md"
TEXT = PAGE.read_text()
ROWS = [re.findall(r"`([^`]+)`", line) for line in TEXT[TEXT.index("## Written differently"):TEXT.index("## Beyond")].splitlines() if line.startswith("| ") and "`" in line]


def scope(m, folder):
    m.manual_seed(0)
    nn = m.nn
    model = nn.Sequential(nn.Linear(8, 3))
    path = str(folder / "weights.npz")
    m.save(model.state_dict(), path)
    model(m.ones(2, 8)).sum().backward()
    array = np.ones((2, 8), "float32")
    return {
        "torch": torch, "mt": mt, "nn": nn, "optim": m.optim, "model": model, "path": path, "array": array, "x": m.ones(2, 8),
        "arrays": {"0.weight": np.ones((3, 8), "float32"), "0.bias": np.zeros(3, "float32")},
        "steps": m.ones(2, 5, 8), "lengths": [5, 3], "pairs": [(array, 1)] * 8,
    }


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1])
def test_both_columns_run(row, tmp_path):
    theirs, ours = row
    eval(theirs, scope(torch, tmp_path))
    try:
        eval(ours, scope(mt, tmp_path))
    finally:
        mt.deterministic(None)


def test_the_import_lines_run():
    for line in re.findall(r"`((?:import|from) [^`]+)`", TEXT):
        exec(line, {})


def test_what_is_called_missing_is_missing():
    words = TEXT[TEXT.index("## What is missing"):]
    for name in re.findall(r"\b(Adadelta|Adamax|ASGD|LBFGS|Rprop)\b", words):
        assert not hasattr(mt.optim, name), f"{name} is there: take it off the page"
    assert not hasattr(mt.nn, "Conv3d") and not hasattr(mt, "complex64") and not hasattr(mt.Tensor, "cuda")


def test_every_row_was_found():
    assert len(ROWS) >= 12 and all(len(r) == 2 for r in ROWS)
