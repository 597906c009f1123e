"""edge.export_c before clang-tidy, with names that C has taken, where files cannot be written, and from the program."""
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest
from exported_c import CC, Lambda, call, library, run_command
from judges import program

import miniten as mt
from miniten import edge, nn
from miniten.nn import functional as F

pytestmark = pytest.mark.skipif(not CC, reason="no C compiler")
rng = np.random.default_rng(11)


def conv_net():
    mt.manual_seed(3)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 16, 1), nn.GELU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(64, 5), nn.Softmax(-1)).eval(), (1, 3, 12, 12)


def sequence_net():
    mt.manual_seed(3)
    return Lambda(lambda m, x: F.log_softmax(m.head(m.b(m.a(x)[0])[0]), -1), a=nn.LSTM(4, 6, batch_first=True), b=nn.GRU(6, 6, batch_first=True), head=nn.Linear(6, 3)).eval(), (1, 5, 4)


# Left out: parameters that could be swapped, as of any kernel; products of sizes, which fit 32 bits as the arena does; int8_t as a character.
CHECKS = "-*,bugprone-*,clang-analyzer-*,cert-*,-bugprone-easily-swappable-parameters,-bugprone-implicit-widening-of-multiplication-result,-bugprone-signed-char-misuse,-cert-str34-c"


@pytest.mark.parametrize("kind", ["float32", "packed", "sequence", "sequence_int16", "exact"])
def test_clang_tidy_finds_no_bug(kind, tmp_path):
    program("clang-tidy")
    model, shape = sequence_net() if kind.startswith("sequence") else conv_net()
    data = [rng.standard_normal(shape).astype(np.float32)]
    model(data[0])
    if kind == "sequence_int16":
        model = edge.quantize_model(model, calibration_data=data)
    if kind == "packed":
        model = edge.weight_sharing(edge.prune_model(model, sparsity=0.5, pattern=(4, 1)), num_clusters=4)
        model = edge.quantize_model(model, calibration_data=data)
    if kind == "exact":  # in LiteRT's fixed point
        model = nn.Sequential(*(layer for layer in model if not isinstance(layer, nn.GELU)))
        shape = edge.export_tflite(edge.quantize_model(model, calibration_data=data), shape, tmp_path / "model.tflite").inputs[0].shape
        model = edge.load_tflite(tmp_path / "model.tflite", exact="tflite")
    edge.export_c(model, shape, tmp_path)
    run_command("clang-tidy", "--quiet", f"-checks={CHECKS}", "--warnings-as-errors=*", tmp_path / "model.c", *([tmp_path / "model_self_test.c"] if kind == "float32" else []), "--", "-std=c99")


@pytest.mark.parametrize("kind", ["float32", "int8", "sequence_int16"])
def test_valgrind_sees_no_error(kind, tmp_path):
    model, shape = sequence_net() if kind.startswith("sequence") else conv_net()
    data = None if kind == "float32" else [rng.standard_normal(shape).astype(np.float32)]
    edge.export_c(model, shape, tmp_path, calibration_data=data)
    run_command(CC, "-std=c99", "-g", "-O1", "-o", tmp_path / "test", tmp_path / "model.c", tmp_path / "model_self_test.c", "-lm")
    run_command(program("valgrind"), "--quiet", "--error-exitcode=9", tmp_path / "test")


TAKEN = ["double", "int", "while", "expf", "memcpy", "INT8_MIN", "i", "j", "arena", "input", "output", "inputs", "dense_f32", "model_run", "state_a", "weight"]


def test_parameters_may_have_names_that_c_has_taken(tmp_path):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense = nn.Linear(4, 4)
            for name in TAKEN:
                setattr(self, name, nn.Parameter(mt.tensor(rng.standard_normal(4).astype(np.float32))))

        def forward(self, x):
            for name in TAKEN:
                x = x * getattr(self, name)
            return mt.exp(self.dense(x))

    model = Scaled().eval()
    edge.export_c(model, (3, 4), tmp_path)
    x = rng.standard_normal((3, 4)).astype(np.float32)
    got, want = np.zeros((3, 4), np.float32), np.asarray(model(x))
    call(library(tmp_path).model_run, [x], [got])
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * np.abs(want).max())


@pytest.mark.parametrize("name", ["math", "string", "stdint", "float", "register", "main", "a" * 41, "_x", "x y", "x.h", "../x", "é", "bool"])
def test_names_that_c_or_its_files_cannot_have(name, tmp_path):
    with pytest.raises(ValueError, match="name that C can have"):
        edge.export_c(nn.Linear(4, 4), (1, 4), tmp_path / "out", name=name)
    assert not (tmp_path / "out").exists()


def test_ram_is_arena_and_states(tmp_path):
    model = Lambda(lambda m, x: m.a(x)[0], a=nn.LSTM(8, 64, batch_first=True)).eval()
    report = edge.export_c(model, (1, 1, 8), tmp_path / "in", streaming=True)
    needed = (report.arena_bytes + report.state_bytes) / 1024
    with pytest.raises(ValueError, match="kB"):
        edge.export_c(model, (1, 1, 8), tmp_path / "out", streaming=True, max_ram_kb=needed - 0.01)
    assert not (tmp_path / "out").exists()
    edge.export_c(model, (1, 1, 8), tmp_path / "out", streaming=True, max_ram_kb=needed)
    for wrong in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="max_ram_kb"):
            edge.export_c(model, (1, 1, 8), tmp_path / "out", max_ram_kb=wrong)


def test_nothing_is_left_where_a_file_cannot_be_finished(tmp_path):
    """A disk that ends inside the source, as a limit on files' sizes has it."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.h").write_text("older")
    code = f"from miniten import edge, nn\nedge.export_c(nn.Linear(100, 100), (1, 100), {str(tmp_path / 'out')!r})"

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, preexec_fn=limited, timeout=60)
    assert done.returncode == 1 and "OSError: [" in done.stderr
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["model.h"] and (tmp_path / "out" / "model.h").read_text() == "older"


def test_sizes_and_ops_without_a_form_name_the_layer(tmp_path):
    class Sorts(nn.Module):
        def forward(self, x):
            return mt.sort(x, 1)[0]

    with pytest.raises(NotImplementedError, match=r'layer "1"'):
        edge.export_c(nn.Sequential(nn.Linear(4, 4), Sorts()), (1, 4), tmp_path / "out")
    with pytest.raises((ValueError, TypeError)):
        edge.export_c(nn.Linear(4, 4), ("batch", 4), tmp_path / "out")
    with pytest.raises((ValueError, NotImplementedError)):
        edge.export_c(Lambda(lambda m, x: mt.nonzero(x)), (3, 4), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_program_writes_the_same_bytes(tmp_path):
    model, shape = conv_net()
    model(rng.standard_normal(shape).astype(np.float32))
    data = rng.standard_normal((4, *shape[1:])).astype(np.float32)
    np.save(tmp_path / "data.npy", data)
    model.save(str(tmp_path / "model.npz"))
    run_command(sys.executable, "-m", "miniten", "export-c", tmp_path / "model.npz", tmp_path / "program", "--shape", ",".join(map(str, shape)), "--calibration", tmp_path / "data.npy", "--verify", "host")
    edge.export_c(mt.load(str(tmp_path / "model.npz")), shape, tmp_path / "python", calibration_data=data, verify="host")
    for name in ("model.h", "model.c", "model_self_test.c"):
        assert (tmp_path / "program" / name).read_bytes() == (tmp_path / "python" / name).read_bytes()
