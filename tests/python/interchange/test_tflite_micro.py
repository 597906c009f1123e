"""Exported TFLite files on a microcontroller's runtime, and in the compiler of Arm's Ethos-U."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from judges import judge
from litert import LiteRT, from_file, to_file
from tflite_files import litert
from tflite_nets import wake_word

import miniten as mt
from miniten import nn
from miniten.edge import export_tflite, load_tflite, quantize_model

ALL = runpy.run_path(str(Path(__file__).parents[3] / "benchmarks" / "nets.py"))["ALL"]       # the networks that are timed
RNG = np.random.default_rng(8)


def network(name):
    mt.manual_seed(0)
    model, shape = ALL[name](nn)
    data = RNG.standard_normal((16, *shape[1:])).astype("float32")
    model.train()
    model(data)                                                    # batch norm sees some statistics
    return model.eval(), shape, data


def micro(path, report, x):
    runtime = judge("tflite_micro.python.tflite_micro.runtime")
    run = runtime.Interpreter.from_file(str(path))
    run.set_input(np.ascontiguousarray(to_file(x, report.inputs[0])), 0)
    run.invoke()
    return from_file(run.get_output(0), report.outputs[0])


@pytest.mark.parametrize("name", ALL)
def test_micro_runs_floats(name, tmp_path):
    model, shape, data = network(name)
    report = export_tflite(model, shape, tmp_path / "m.tflite")
    want = np.asarray(model(data[:1]))
    np.testing.assert_allclose(micro(tmp_path / "m.tflite", report, data[:1]), want, atol=1e-5 * max(1, np.abs(want).max()))


@pytest.mark.parametrize("name", ALL)
def test_micro_gives_the_integers_of_litert(name, tmp_path):
    model, shape, data = network(name)
    report = export_tflite(quantize_model(model, calibration_data=data), shape, tmp_path / "m.tflite", inference_input_type="int8", inference_output_type="int8")
    x = RNG.integers(-128, 128, shape).astype("int8")
    want = LiteRT(tmp_path / "m.tflite", report).integers(x)[0]
    assert np.abs(micro(tmp_path / "m.tflite", report, x).astype(int) - want.astype(int)).max() <= 1


def test_micro_streams_a_wake_word(tmp_path):
    """Variables of a file that was read, written again: the integers of LiteRT, frame by frame."""
    export_tflite(load_tflite(wake_word(True)), (1, 1, 1, 8), tmp_path / "m.tflite", input_dtypes="int8")
    data, frames = (tmp_path / "m.tflite").read_bytes(), [[RNG.integers(-128, 128, (1, 1, 1, 8)).astype("int8")] for _ in range(6)]
    run = judge("tflite_micro.python.tflite_micro.runtime").Interpreter.from_bytes(data)
    for frame, want in zip(frames, litert(data, *frames), strict=True):
        run.set_input(frame[0], 0)
        run.invoke()
        np.testing.assert_array_equal(run.get_output(0), want[0])


@pytest.mark.parametrize("name", ALL)
def test_vela_places_every_operator_on_the_npu(name, tmp_path):
    judge("ethosu.vela")
    model, shape, data = network(name)
    export_tflite(quantize_model(model, calibration_data=data), shape, tmp_path / "m.tflite", inference_input_type="int8", inference_output_type="int8")
    command = [sys.executable, "-c", "import sys; from ethosu.vela.vela import main; main(sys.argv[1:])", tmp_path / "m.tflite",
               "--accelerator-config", "ethos-u55-128", "--output-dir", tmp_path, "--show-cpu-operations"]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "CPU operators = 0 (0.0%)" in done.stdout and (tmp_path / "m_vela.tflite").exists(), done.stdout
