"""edge.package: a stranger unpacks the zip and runs check.sh, which tells sound bundles from damaged ones."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import miniten as mt
from miniten import edge, nn
from tests.support.nets import SMALL_SHAPE, Residual, images, small_net

RUNTIMES = {"npz": "miniten", "onnx": "onnxruntime", "tflite": "ai_edge_litert", "c": "c"}


def unpack(path, folder):
    with zipfile.ZipFile(path) as z:
        assert z.testzip() is None
        z.extractall(folder)
        for member in z.infolist():                       # zipfile itself forgets them
            if member.external_attr >> 16:
                os.chmod(folder / member.filename, member.external_attr >> 16)
    return folder


def check(folder, **environment):
    return subprocess.run([str(folder / "check.sh")], capture_output=True, text=True, cwd="/", timeout=120, env={**os.environ, "PYTHON": sys.executable, **environment})


def lines(run):
    return {line.split()[0]: line.split(None, 1)[1] for line in run.stdout.splitlines() if " " in line}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """A float and an int8 model of two pictures, and where they were unpacked."""
    folder, made = tmp_path_factory.mktemp("bundles"), {}
    for kind in ("float32", "int8"):
        model = small_net()
        if kind == "int8":
            model = edge.quantize_model(model, calibration_data=images(32, 5))
        report = edge.package(model, folder / f"{kind}.zip", inputs=images(2, 9), name="digits", license="CC-BY-4.0")
        made[kind] = model, report, unpack(folder / f"{kind}.zip", folder / kind)
    return made


@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_a_stranger_runs_every_form(bundles, kind):
    model, report, folder = bundles[kind]
    run = check(folder)
    assert run.returncode == 0, run.stdout + run.stderr
    said = lines(run)
    for target, who in RUNTIMES.items():
        if target != "c" or shutil.which("cc"):
            if target == "npz" or not said[who].startswith("not run"):
                assert said[who].startswith("passed"), run.stdout
    pytest.importorskip("onnxruntime")
    pytest.importorskip("ai_edge_litert")
    assert run.stdout.count("passed") == 4 and "not run" not in run.stdout


@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_what_is_inside(bundles, kind):
    model, report, folder = bundles[kind]
    files = {str(p.relative_to(folder)): p.stat().st_size for p in folder.rglob("*") if p.is_file()}
    assert report.files == files and report.targets == ["npz", "onnx", "tflite", "c"]
    assert report.bytes == (folder.parent / f"{kind}.zip").stat().st_size
    assert {"digits.npz", "digits.onnx", "digits.tflite", "c/digits.c", "c/digits.h", "c/digits_self_test.c", "check.sh", "check.py", "report.json", "LICENSES.txt"} < set(files)
    assert np.array_equal(np.load(folder / "golden/input_0.npy"), images(2, 9))
    assert np.abs(np.load(folder / "golden/output_0.npy") - model(images(2, 9)).numpy()).max() <= 1e-5
    assert np.abs(mt.load(folder / "digits.npz")(images(2, 9)).numpy() - model(images(2, 9)).numpy()).max() <= 1e-5
    about = json.loads((folder / "report.json").read_text())
    assert about == json.loads(report.to_json())["about"]
    assert about["inputs"][0]["shape"] == [2, 1, 8, 8] and about["outputs"][0]["shape"] == [2, 4] and about["targets"]["c"]["report"]["macs"] > 0
    said = (folder / "LICENSES.txt").read_text()
    assert "CC-BY-4.0" in said and "Permission is hereby granted" in said and "onnxruntime (MIT)" in said


def test_the_same_model_gives_the_same_bytes(bundles, tmp_path):
    model, report, _ = bundles["int8"]
    edge.package(model, tmp_path / "again.zip", inputs=images(2, 9), name="digits", license="CC-BY-4.0")
    assert (tmp_path / "again.zip").read_bytes() == open(report.path, "rb").read()


def changed(path, step):
    values = np.load(path)
    values.flat[3] += step
    np.save(path, values)


@pytest.mark.parametrize("file", ["output_0", "input_0"])
@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_damaged_golden_data_is_told(bundles, tmp_path, kind, file):
    folder = shutil.copytree(bundles[kind][2], tmp_path / "damaged")
    changed(folder / "golden" / f"{file}.npy", 50.0)
    run = check(folder)
    assert run.returncode == 1 and lines(run)["miniten"].startswith("FAILED: digits.npz, outputs differ by")
    for who in ("onnxruntime", "ai_edge_litert"):
        assert lines(run)[who].startswith(("FAILED", "not run")), run.stdout


def test_a_damaged_model_and_damaged_c_are_told(bundles, tmp_path):
    folder = shutil.copytree(bundles["int8"][2], tmp_path / "damaged")
    model = folder / "digits.npz"
    model.write_bytes(model.read_bytes()[:-40])
    assert lines(check(folder))["miniten"].startswith("FAILED: digits.npz does not run")
    source = folder / "c" / "digits_self_test.c"
    head, number, tail = re.split(r"(expected0_0\[\d+\] = \{\s*-?\d+)", source.read_text(), maxsplit=1)
    source.write_text(head + number[:-1] + str((int(number[-1]) + 1) % 10) + tail)
    if shutil.which("cc"):
        assert lines(check(folder, PYTHON="no-such-python"))["c"].startswith("FAILED: the self-test")
        source.write_text("not C")
        run = check(folder, PYTHON="no-such-python")
        assert run.returncode == 1 and lines(run)["c"].startswith("FAILED: cc does not compile it") and lines(run)["python"].startswith("not run")


def test_where_nothing_can_run_nothing_passes(bundles):
    run = check(bundles["int8"][2], CC="no-such-cc", PYTHON="no-such-python")
    assert run.returncode == 2 and "passed" not in run.stdout and "One of these can" in run.stdout


def test_two_inputs_and_two_outputs(tmp_path):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = Residual()

        def forward(self, a, b):
            y = self.net(a + b)
            return y, mt.argmax(y, 1)

    report = edge.package(Two().eval(), tmp_path / "two.zip", ["onnx"], [(2, 4, 6, 6), (2, 4, 6, 6)])
    assert report.targets == ["npz", "onnx"] and "golden/input_1.npy" in report.files and "golden/output_1.npy" in report.files
    run = check(unpack(tmp_path / "two.zip", tmp_path / "two"))
    assert run.returncode == 0 and "\nc " not in run.stdout, run.stdout


@pytest.mark.parametrize("arguments, error, says", [
    ({"targets": ["onnx", "coreml"]}, ValueError, "coreml"),
    ({"targets": "onnx"}, TypeError, "incompatible"),
    ({"name": "int"}, ValueError, "name"),
    ({"targets": ["onnx"], "verify": "host"}, ValueError, "verify"),
    ({"output_path": "nowhere/at/all.zip"}, OSError, "folder"),
    ({"output_path": "."}, OSError, "name of a file"),
    ({"inputs": np.zeros((2, 3, 8, 8), "float32")}, ValueError, "input"),
    ({"input_shape": None}, ValueError, "shape"),
])
def test_wrong_use_writes_nothing(tmp_path, monkeypatch, arguments, error, says):
    monkeypatch.chdir(tmp_path)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()).eval()
    with pytest.raises(error, match=says):
        edge.package(model, **{"output_path": "x.zip", "input_shape": SMALL_SHAPE, **arguments})
    assert list(tmp_path.iterdir()) == []


def test_what_has_no_form_leaves_the_old_bundle(tmp_path):
    path = tmp_path / "x.zip"
    edge.package(small_net(), path, ["onnx"], SMALL_SHAPE)
    before = path.read_bytes()

    class Sorts(nn.Module):
        def forward(self, x):
            return mt.sort(x, 1)[0]

    with pytest.raises(NotImplementedError, match="sort"):
        edge.package(Sorts(), path, ["c"], (1, 5))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]

