"""Exports: the deployment pipeline as it stands in the project's features, judged by onnx and onnxruntime; files whole or not at all."""

import json
import os
import resource
import subprocess
import sys

import numpy as np
import pytest
from judges import judge
from nets import SMALL_SHAPE, Residual, fresh_net, images, same_snapshot, small_net, snapshot

import miniten as mt
from miniten import edge, nn, optim
from miniten.edge import benchmark_model, export_miniten, export_onnx, load_miniten, load_onnx, prune_model, quantize_model

PIPELINE = '''
from miniten.edge import quantize_model, prune_model, export_onnx, benchmark_model

# 1. Quantize
quantized = quantize_model(model, dtype='int8')

# 2. Prune
pruned = prune_model(quantized, sparsity=0.5)

# 3. Benchmark
results = benchmark_model(pruned, input_shape)
print(f"Latency: {results['mean_latency_ms']:.2f}ms")

# 4. Export
export_onnx(pruned, input_shape, "model_edge.onnx")
'''


def run_onnx(path, x):
    onnx, ort = judge("onnx"), judge("onnxruntime")
    onnx.checker.check_model(str(path), full_check=True)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


@pytest.mark.parametrize("make", [small_net, fresh_net])
def test_the_deployment_pipeline_as_written(make, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model, shape = make().eval(), SMALL_SHAPE
    before = snapshot(model)
    scope = {"model": model, "input_shape": shape}
    exec(PIPELINE, scope)  # noqa: S102
    assert capsys.readouterr().out.startswith("Latency: ")
    assert same_snapshot(before, snapshot(model)), "the model given was modified"
    pruned, x = scope["pruned"], images(1, 5)
    got, want = pruned(x).numpy(), run_onnx(tmp_path / "model_edge.onnx", x)
    assert np.abs(got - want).max() <= 1e-5 * max(1, np.abs(want).max())
    np.testing.assert_allclose(load_onnx("model_edge.onnx")(x).numpy(), got, atol=1e-5)
    assert pruned.actual_sparsity() >= 0.5 - 1e-3
    floats = model(x).numpy()
    assert 1e-4 < np.abs(got - floats).max()  # it is no copy of the float model


def test_features_import_paths(tmp_path, monkeypatch):
    """The other code blocks of the features, as they stand there."""
    monkeypatch.chdir(tmp_path)
    model, input_shape = small_net(), SMALL_SHAPE
    exec(
        '''
from miniten.edge import quantize_model
quantized = quantize_model(model, dtype='int8')
from miniten.edge import prune_model
pruned = prune_model(model, sparsity=0.5)
from miniten.edge import export_onnx, load_onnx
export_onnx(model, input_shape=(1, 1, 8, 8), output_path="model.onnx")
load_onnx("model.onnx")
from miniten.edge import benchmark_model
results = benchmark_model(model, input_shape=(1, 1, 8, 8))
print(f"Latency: {results['mean_latency_ms']:.2f}ms")
from miniten.edge import count_flops, estimate_memory, estimate_power
flops = count_flops(model, input_shape)
memory = estimate_memory(model, input_shape)
''',
        {"model": model, "input_shape": input_shape},
    )


def test_float_models_equal_onnxruntime(tmp_path):
    for net, x in [(small_net(), images(1, 2)), (Residual().eval(), np.random.default_rng(1).normal(size=(1, 4, 9, 9)).astype("float32")), (prune_model(small_net(), 0.7), images(1, 3))]:
        report = export_onnx(net, x.shape, tmp_path / "m.onnx")
        assert report and report.path == str(tmp_path / "m.onnx") and report.bytes == (tmp_path / "m.onnx").stat().st_size and report.opset == 13
        assert "miniten" in report.checked_by and report.difference <= 1e-6 and json.loads(report.to_json())["bytes"] == report.bytes
        want = run_onnx(tmp_path / "m.onnx", x)
        for model in (net, load_onnx(tmp_path / "m.onnx"), load_onnx((tmp_path / "m.onnx").read_bytes())):
            assert np.abs(model(x).numpy() - want).max() <= 1e-5 * max(1, np.abs(want).max())


def test_qdq_differs_from_onnxruntime_by_one_step_at_most(tmp_path):
    q = quantize_model(small_net(), calibration_data=images(64, 1))
    export_onnx(q, SMALL_SHAPE, tmp_path / "q.onnx", dynamic_axes={"input": {0: "batch"}})
    x = images(200, 7)
    step = json.loads(q.report().to_json())["rows"][-1]["output_scale"]
    steps = np.rint(np.abs(run_onnx(tmp_path / "q.onnx", x) - q(x).numpy()) / step)
    assert steps.max() <= 1 and (steps > 0).mean() <= 0.02, f"{steps.max()} steps, {(steps > 0).mean():.2%} of the outputs"
    assert np.array_equal(load_onnx(tmp_path / "q.onnx")(x).numpy(), q(x).numpy())  # our own reader gives the same bytes


def test_the_file_has_the_shape_given(tmp_path):
    judge("onnxruntime")
    export_onnx(small_net(), (3, 1, 8, 8), tmp_path / "m.onnx")
    assert run_onnx(tmp_path / "m.onnx", images(3, 1)).shape == (3, 4)
    with pytest.raises(Exception, match="dimension"):
        run_onnx(tmp_path / "m.onnx", images(2, 1))
    export_onnx(small_net(), (3, 1, 8, 8), tmp_path / "m.onnx", dynamic_axes={"input": {0: "batch"}})
    assert run_onnx(tmp_path / "m.onnx", images(2, 1)).shape == (2, 4)


def test_native_files_give_back_what_was_saved(tmp_path):
    x = images(5, 2)
    for net, kind in [(small_net(), nn.GraphModule), (quantize_model(small_net(), calibration_data=images(8, 1)), edge.QuantizedModel),
                      (prune_model(small_net(), 0.5), edge.PrunedModel), (prune_model(quantize_model(small_net()), 0.5), edge.PrunedModel)]:
        report = export_miniten(net, tmp_path / "m.npz", input_shape=SMALL_SHAPE)
        assert report.bytes == (tmp_path / "m.npz").stat().st_size
        for back in (load_miniten(tmp_path / "m.npz"), load_miniten((tmp_path / "m.npz").read_bytes()), nn.Module.load(tmp_path / "m.npz")):
            assert type(back) is kind and not back.training
            got, want = back(x[:1]).numpy(), net(x[:1]).numpy()
            assert np.array_equal(got, want) if isinstance(net, nn.GraphModule) else np.allclose(got, want, atol=1e-6)
        arrays = np.load(tmp_path / "m.npz")
        assert all(isinstance(arrays[n], np.ndarray) for n in arrays.files if n.endswith(".npy") or not n.endswith(".json"))
        weight = next(n for n in arrays.files if n == "7.weight")
        assert arrays[weight].dtype == (np.int8 if "Quantized" in kind.__name__ or isinstance(net, edge.PrunedModel) and net.report().rows[0].dtype == "int8" else np.float32)


def test_native_file_with_an_optimizer(tmp_path):
    mt.manual_seed(1)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 4))
    optimizer, loss = optim.Adam(net.parameters(), lr=0.01), nn.CrossEntropyLoss()

    def step(model, o, i):
        o.zero_grad()
        loss(model(images(16, i)), np.arange(16) % 4).backward()
        o.step()

    for i in range(3):
        step(net, optimizer, i)
    with pytest.raises(ValueError, match="optimizer"):
        export_miniten(net, tmp_path / "m.npz", include_optimizer=True)
    export_miniten(net, tmp_path / "m.npz", include_optimizer=True, optimizer=optimizer)
    back = load_miniten(tmp_path / "m.npz").train()
    again = optim.Adam(back.parameters(), lr=0.01)
    load_miniten(tmp_path / "m.npz", optimizer=again)  # its state: the moments that the first one had
    for i in range(3, 5):  # both go on alike
        step(net, optimizer, i)
        step(back, again, i)
    for name, w in net.state_dict().items():
        np.testing.assert_allclose(dict(back.state_dict())[name.replace(".", "/")].numpy(), w.numpy(), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="optimizer"):
        export_miniten(small_net(), tmp_path / "other.npz", optimizer=optimizer)
    export_miniten(net, tmp_path / "plain.npz")
    with pytest.raises(ValueError, match="optimizer"):
        load_miniten(tmp_path / "plain.npz", optimizer=again)


def test_exporters_change_nothing(tmp_path):
    for net in (small_net().train(), quantize_model(small_net()), prune_model(small_net(), 0.5)):
        before = snapshot(net)
        export_onnx(net, SMALL_SHAPE, tmp_path / "m.onnx")
        export_miniten(net, tmp_path / "m.npz", input_shape=SMALL_SHAPE)
        net(images(2, 1)) if not net.training else None
        assert same_snapshot(before, snapshot(net))


# ---- what goes wrong ----
class Sorted(nn.Module):
    """An op that ONNX has no form for here."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, 8)

    def forward(self, x):
        return UNKNOWN(self.head(x))


UNKNOWN = mt.register_op("edge_test_unknown", infer=lambda x: x, eval=lambda x: x * 2)


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (1, 8, 8), (1, 1, -8, 8), "big", (1, 1, 8.5, 8), None, 3, (1, 1, 2**40, 2**40)], ids=str)
def test_wrong_shapes_leave_no_file(shape, tmp_path):
    for export in (export_onnx,):
        with pytest.raises((ValueError, TypeError), match=r"\["):
            export(fresh_net(), shape, tmp_path / "m.onnx")
    assert os.listdir(tmp_path) == []


def test_a_layer_without_a_form_is_named(tmp_path):
    with pytest.raises(NotImplementedError, match="edge_test_unknown"):
        export_onnx(Sorted().eval(), (2, 8), tmp_path / "m.onnx")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("load", [load_onnx, load_miniten, mt.load, nn.Module.load, edge.PrunedModel.load, edge.QuantizedModel.load])
def test_missing_truncated_and_damaged_files(load, tmp_path):
    good = tmp_path / ("m.onnx" if load is load_onnx else "m.npz")
    model = small_net()
    if load is load_onnx:
        export_onnx(model, SMALL_SHAPE, good)
    else:
        model = quantize_model(model, calibration_data=images(8, 1))
        model = prune_model(model, 0.5) if load is not edge.QuantizedModel.load else model
        model.save(good)
    load(good)
    with pytest.raises(OSError, match="none"):
        load(tmp_path / "none.npz")
    with pytest.raises(OSError, match="regular file|folder|directory"):
        load(tmp_path)
    data = good.read_bytes()
    bad = tmp_path / "bad.bin"
    random = np.random.default_rng(1)
    for cut in [0, 1, 10, len(data) // 2, len(data) - 1]:
        bad.write_bytes(data[:cut])
        if load is load_onnx:  # a protobuf may end anywhere between fields
            try:
                load(bad)
            except (ValueError, OSError, NotImplementedError):
                pass
        else:
            with pytest.raises((ValueError, OSError)):
                load(bad)
    for _ in range(60):
        broken = bytearray(data)
        for at in random.integers(0, len(data), size=3):
            broken[at] = random.integers(0, 256)
        bad.write_bytes(broken)
        try:
            load(bad)
        except (ValueError, OSError, NotImplementedError, TypeError, IndexError):
            pass
    bad.write_text("not a model at all")
    with pytest.raises((ValueError, OSError, NotImplementedError)):
        load(bad)


def test_kinds_of_files_are_told_apart(tmp_path):
    prune_model(small_net(), 0.5).save(tmp_path / "p.npz")
    with pytest.raises(ValueError, match="quantised"):
        edge.QuantizedModel.load(tmp_path / "p.npz")
    np.savez(tmp_path / "arrays.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match="load_state_dict|model"):
        load_miniten(tmp_path / "arrays.npz")


FULL_DISK = """
import resource, signal, sys
import numpy as np
import miniten as mt
from miniten import edge, nn
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
net = nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 256)).eval()
x = np.zeros((2, 256), "float32")
net(x)
models = {"float": net, "int8": edge.quantize_model(net, calibration_data=[x + 1]), "pruned": edge.prune_model(net, 0.5)}
want = {name: m(x).numpy() for name, m in models.items()}
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
errors = 0
for name, m in models.items():
    for write in (lambda: edge.export_onnx(m, (2, 256), "old.onnx"), lambda: edge.export_miniten(m, "old.npz"), lambda: m.save("old.npz")):
        try:
            write()
        except OSError as e:
            errors += "room" in str(e) and "old." in str(e)
    assert np.array_equal(m(x).numpy(), want[name])      # the program goes on
print(errors)
"""


def test_a_full_disk_keeps_the_old_file(tmp_path):
    """A process that may write 4 KB to a file: the error says so, the old file stays, nothing half written is left."""
    (tmp_path / "old.onnx").write_bytes(b"old")
    (tmp_path / "old.npz").write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", FULL_DISK], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout.strip() == "9", done.stdout + done.stderr
    assert sorted(os.listdir(tmp_path)) == ["old.npz", "old.onnx"]
    assert (tmp_path / "old.onnx").read_bytes() == (tmp_path / "old.npz").read_bytes() == b"old"
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 4096


def test_folders_that_are_not_there(tmp_path):
    for write in (lambda p: export_onnx(small_net(), SMALL_SHAPE, p), lambda p: export_miniten(small_net(), p), lambda p: prune_model(small_net(), 0.5).save(p)):
        with pytest.raises(OSError, match="nowhere"):
            write(tmp_path / "nowhere" / "m.bin")


# ---- the same bytes everywhere ----
BYTES = """
import hashlib
import numpy as np
import miniten as mt
from miniten import edge
from nets import images, small_net
mt.set_num_threads({threads})
net = small_net()
digest = hashlib.sha256()
for m in (edge.quantize_model(net, calibration_data=images(32, 1)), edge.prune_model(edge.quantize_model(net, calibration_data=images(32, 1)), 0.5)):
    for n in (1, 3, 17):
        digest.update(m(images(n, n)).numpy().tobytes())
        digest.update(mt.compile(m, (n, 1, 8, 8), threads={threads})(images(n, n)).numpy().tobytes())
print(digest.hexdigest())
"""


def test_integers_give_the_same_bytes_on_every_instruction_set_and_thread_count(tmp_path):
    q = quantize_model(small_net(), calibration_data=images(32, 1))
    path = tmp_path / "q.npz"
    q.save(path)  # one file: a float model's calibration may differ in a last bit by instruction set
    code = BYTES.replace("net = small_net()\n", "").replace('edge.quantize_model(net, calibration_data=images(32, 1))', f"edge.load_miniten({str(path)!r})")
    support = os.path.join(os.path.dirname(__file__), "..", "..", "support")
    digests = {}
    for isa in mt.cpu_info()["available_isas"]:
        for threads in (1, 2, 5):
            env = dict(os.environ, MINITEN_ISA=isa, PYTHONPATH=support)
            done = subprocess.run([sys.executable, "-c", code.format(threads=threads)], env=env, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stderr
            digests[isa, threads] = done.stdout.strip()
    assert len(digests) >= 3 and len(set(digests.values())) == 1, digests
