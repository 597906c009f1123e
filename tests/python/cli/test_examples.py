"""Every example that --help and docs/cli.md give, run as it stands in a folder that holds the files it names."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import miniten as mt
from miniten import edge, nn
from miniten.utils.vision import save_image

ROOT = Path(__file__).resolve().parents[3]
BUILT = ROOT / "build" / "dev" / "bin" / "miniten"
PROGRAM = [str(BUILT)] if BUILT.exists() else [sys.executable, "-m", "miniten"]
ANSWERS = ("check", "diff", "--target-ms")  # exit code 1 is an answer
SHORTER = {"--soak 600": "--soak 0.1", "--runs 500": "--runs 5"}


def help_of(*command):
    return subprocess.run([*PROGRAM, *command, "--help"], capture_output=True, text=True, check=True, timeout=60).stdout


COMMANDS = [c for c in re.findall(r"^  ([a-z-]+)  ", help_of().partition("Subcommands:")[2] or help_of(), re.M) if c not in ("version",)]


def examples(text):
    lines = [line.strip() for line in text.splitlines() if re.match(r"\s*(eval .*)?\$?\(?miniten [a-z]", line)]
    return [re.split(r"\s{2,}", line)[0] for line in lines]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.body = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        return self.head(mt.relu(self.body(mt.relu(self.stem(x)))).mean((2, 3)))


class Two(nn.Module):
    def forward(self, a, b):
        return a + b


def fill(folder, size):
    """The files that examples name, of models for pictures of this size."""
    mt.manual_seed(0)
    net = Net().eval()
    x = np.random.default_rng(0).normal(size=(8, 3, size, size)).astype("float32")
    net(x)
    edge.export_onnx(net, (1, 3, size, size), folder / "model.onnx", input_names=["x"], dynamic_axes={"x": {0: "batch"}})
    small = edge.quantize_model(net, calibration_data=x)
    for name, model in (("model.npz", net), ("float.npz", net), ("int8.npz", small), ("small.npz", small)):
        edge.export_miniten(model, folder / name)
    edge.export_onnx(Two(), [(4,), (4,)], folder / "two.onnx", input_names=["a", "b"])
    for name in ("x", "samples", "d"):
        np.save(folder / f"{name}.npy", x)
    np.savez(folder / "d.npz", x=x)
    for name in ("first", "second"):
        np.save(folder / f"{name}.npy", np.ones(4, np.float32))
    np.save(folder / "y.npy", net(x).numpy().argmax(1))
    save_image(np.zeros((40, 50, 3), np.uint8), folder / "cat.png")
    (folder / "labels.txt").write_text("\n".join(f"class {i}" for i in range(10)) + "\n")
    for inner in ("firmware", ".zfunc", ".config/fish/completions"):
        (folder / inner).mkdir(parents=True)
    with mt.monitor.MetricsLogger(folder / "runs", experiment_name="baseline") as log:
        log.log("loss", 0.5, step=0)
    next((folder / "runs").iterdir()).rename(folder / "runs" / "baseline_20260131-120000")
    (folder / "here.json").write_text(edge.devices["raspberry_pi_5"].to_json())


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = {}

    def get(size):
        if size not in made:
            made[size] = tmp_path_factory.mktemp(f"files_{size}")
            fill(made[size], size)
        return made[size]

    return get


def run_all(lines, folders, where):
    for line in lines:
        size = re.search(r"--shape \d+,\d+,(\d+),", line)
        here = where / str(abs(hash(line)))
        shutil.copytree(folders(int(size[1]) if size else 32), here)
        bin_ = where / "bin"
        bin_.mkdir(exist_ok=True)
        program = [sys.executable, "-m", "miniten"] if "onnxruntime" in line else PROGRAM
        (bin_ / "miniten").write_text(f'#!/bin/sh\nexec {" ".join(program)} "$@"\n')
        (bin_ / "miniten").chmod(0o755)
        short = line
        for long, less in SHORTER.items():
            short = short.replace(long, less)
        r = subprocess.run(["bash", "-c", short], cwd=here, capture_output=True, text=True, timeout=110, env={"PATH": f"{bin_}:/usr/bin:/bin", "HOME": str(here)})
        assert r.returncode in ((0, 1) if any(a in line for a in ANSWERS) else (0,)), (line, r.stderr, r.stdout)


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command, folders, tmp_path):
    text = help_of(command)
    lines = examples(text)
    assert lines and all(f"miniten {command}" in line for line in lines)
    assert "Exit code: 0 done, 1 the thing asked failed, 2 wrong use" in text
    if command == "bench" and not all(map(edge_peer, ("onnxruntime", "ai_edge_litert"))):
        lines = [line for line in lines if "onnxruntime" not in line]
    run_all(lines, folders, tmp_path)


def edge_peer(name):
    import importlib.util

    return importlib.util.find_spec(name) is not None


def test_the_main_help(folders, tmp_path):
    assert len(COMMANDS) >= 16
    lines = examples(help_of().partition("Examples:")[2])
    assert len(lines) >= 5
    run_all(lines, folders, tmp_path)


PROGRESS = [
    (["inspect", "model.npz"], "reading model.npz"),
    (["convert", "model.npz", "m.tflite"], "writing m.tflite"),
    (["convert", "model.npz", "m.onnx"], "writing m.onnx"),
    (["run", "model.npz"], "running"),
    (["bench", "model.npz", "--runs", "400"], "measuring"),
    (["bench", "model.npz", "--soak", "0.3"], "measuring"),
    (["probe"], "measuring"),
    (["quantize", "model.npz", "q.npz", "--calibration", "d.npz"], "samples"),
    (["prune", "model.npz", "p.npz", "--target", "flash_kb=6"], "looking for the least sparsity"),
]


@pytest.mark.parametrize("args, word", PROGRESS, ids=lambda v: v[0] if isinstance(v, list) else "")
def test_progress_is_for_terminals(folders, tmp_path, args, word):
    import os
    import pty

    here = tmp_path / "here"
    shutil.copytree(folders(32), here)
    quiet = subprocess.run([*PROGRAM, *args], cwd=here, capture_output=True, timeout=110)
    assert quiet.returncode == 0 and quiet.stderr == b"", quiet.stderr
    master, slave = pty.openpty()
    child = subprocess.Popen([*PROGRAM, *args], cwd=here, stdout=subprocess.PIPE, stderr=slave)
    os.close(slave)
    shown = b""
    try:
        while part := os.read(master, 4096):
            shown += part
    except OSError:  # the other end is closed
        pass
    out, _ = child.communicate(timeout=110)
    os.close(master)
    assert child.returncode == 0 and word in shown.decode() and b"\x1b" not in out
    assert shown.endswith(b"\r\x1b[K")  # nothing of it stays
