"""The minsize preset: a program of the ops that given models need, and nothing else, computes what their sessions do."""

import pathlib
import runpy
import subprocess

import numpy as np
import pytest

import miniten as mt
from miniten import nn
from miniten.edge import quantize_model
from tests.support.nets import Residual

ROOT = pathlib.Path(__file__).parents[3]
ds_cnn = runpy.run_path(str(ROOT / "benchmarks" / "nets.py"))["ds_cnn"]


def build(models, folder, *options):
    folder.mkdir()
    configure = ["cmake", "--preset", "minsize", "-B", str(folder), f"-DMINITEN_MODELS={models}", *options]
    done = subprocess.run(configure, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = subprocess.run(["cmake", "--build", str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:]
    return folder / "run_model"


def run(program, model, x):
    given = model.with_suffix(".raw")
    x.tofile(given)
    return subprocess.run([str(program), str(model), str(given)], capture_output=True)


class Sequence(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.out = nn.LSTM(6, 8, batch_first=True), nn.Linear(8, 3)

    def forward(self, x):
        return nn.functional.softmax(self.out(self.lstm(x)[0]), -1)


@pytest.fixture(scope="module")
def keywords(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keywords")
    mt.manual_seed(1)
    net, shape = ds_cnn(nn)
    x = np.random.default_rng(0).standard_normal((16, *shape[1:])).astype("float32")
    net(x)
    net.eval()
    for name, dtype in (("int8", "int8"), ("int16", "int16")):
        quantize_model(net, calibration_data=x, dtype=dtype).save(folder / f"{name}.npz")
    return folder, net, x[:1], build(folder / "int8.npz", folder / "build", "-DMINITEN_TARGET=scalar")


def test_bytes_of_the_session_in_400_kb(keywords):
    folder, _, x, program = keywords
    done = run(program, folder / "int8.npz", x)
    assert done.returncode == 0, done.stderr
    assert done.stdout == mt.compile(mt.edge.load_miniten(folder / "int8.npz"), x.shape).run(x).numpy().tobytes()
    assert program.stat().st_size <= 400_000
    needed = subprocess.run(["readelf", "-d", str(program)], capture_output=True, text=True).stdout
    assert "libstdc++" not in needed and "libz" not in needed


def test_what_it_lacks_is_named(keywords):
    folder, net, x, program = keywords
    wide = run(program, folder / "int16.npz", x)
    assert wide.returncode == 1 and b"int16" in wide.stderr
    mt.compile(net, x.shape).save(folder / "float.npz")
    floats = run(program, folder / "float.npz", x)
    assert floats.returncode == 1 and b"conv2d" in floats.stderr


def test_compiled_floats_residuals_and_recurrence(tmp_path):
    mt.manual_seed(2)
    images_net = Residual().eval()
    x = np.random.default_rng(3).standard_normal((1, 4, 9, 7)).astype("float32")
    images_session = mt.compile(images_net, x.shape)
    assert images_session.save(tmp_path / "images.npz") == (tmp_path / "images.npz").stat().st_size
    sequence = Sequence().eval()
    steps = np.random.default_rng(3).standard_normal((1, 5, 6)).astype("float32")
    recurrent = mt.compile(sequence, steps.shape)
    recurrent.save(tmp_path / "steps.npz")
    narrowed = mt.compile(nn.Sequential(nn.Linear(64, 64), nn.ReLU()).eval(), (1, 64), precision="bf16_weights")
    row = np.random.default_rng(4).standard_normal((1, 64)).astype("float32")
    assert "matmul_bf16_weights" in narrowed.to_text()
    narrowed.save(tmp_path / "narrowed.npz")
    program = build(tmp_path / "*.npz", tmp_path / "build")
    for name, session, given in (("images", images_session, x), ("steps", recurrent, steps), ("narrowed", narrowed, row)):
        done = run(program, tmp_path / f"{name}.npz", given)
        assert done.returncode == 0, done.stderr
        want = session.run(given).numpy()
        np.testing.assert_allclose(np.frombuffer(done.stdout, "float32").reshape(want.shape), want, rtol=1e-5, atol=1e-6)


def test_a_build_without_models_says_what_it_wants(tmp_path):
    done = subprocess.run(["cmake", "--preset", "minsize", "-B", str(tmp_path / "build"), f"-DMINITEN_MODELS={tmp_path}/none.npz"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0 and "MINITEN_MODELS" in done.stderr
