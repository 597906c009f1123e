"""What sessions do with blocks of zeros: the same results as without, judged by onnxruntime and by the model run layer by layer."""

import json

import numpy as np
import pytest
from judges import judge

import miniten as mt
from miniten import nn
from miniten.edge import export_onnx, prune_model, quantize_model
from miniten.edge.pruning import sparse_execution


def wide_net():
    mt.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(16, 64, 1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 96, 1), nn.GlobalAvgPool2d(), nn.Flatten(), nn.Linear(96, 48))
    net.eval()
    return net


X = np.random.default_rng(0).standard_normal((2, 16, 10, 10)).astype(np.float32)


@pytest.fixture
def every_isa():
    before = mt.cpu_info()["isa"]
    yield [isa for isa in mt.cpu_info()["available_isas"]]
    mt.set_isa(before)


def test_floats_equal_onnxruntime(tmp_path, every_isa):
    ort = judge("onnxruntime")
    net = wide_net()
    net(X)
    pruned = prune_model(net, 0.8, pattern="blocks", scope="layer")
    mask = pruned.masks["2.weight"].numpy().reshape(4, 16, 64, 3, 3)
    assert (mask.all(1) | ~mask.any(1)).all()
    export_onnx(pruned, X.shape, str(tmp_path / "net.onnx"))
    session = ort.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    want = session.run(None, {session.get_inputs()[0].name: X})[0]
    for isa in every_isa:
        mt.set_isa(isa)
        got = mt.compile(pruned, X.shape).run(X).numpy()
        np.testing.assert_allclose(got, want, atol=2e-5 * np.abs(want).max())


def test_integers_equal_the_modules(every_isa):
    net = wide_net()
    net(X)
    floats = prune_model(net, 0.92, pattern=(16, 4), scope="layer")
    quantized = quantize_model(floats, dtype="int8", calibration_data=[X])
    report = sparse_execution(quantized, X.shape, runs=1)
    assert [r.kept / r.steps < 0.25 for r in report.rows] == [True] * 4
    assert any(r.sparse for r in report.rows)
    want = quantized(X).numpy()
    for isa in every_isa:
        mt.set_isa(isa)
        for threads in (1, 3):
            assert (mt.compile(quantized, X.shape, threads=threads).run(X).numpy() == want).all()


def test_the_report_says_what_stays_dense():
    net = wide_net()
    net(X)
    report = sparse_execution(prune_model(net, 0.8, pattern="blocks", scope="layer"), X.shape, runs=3)
    assert [r.layer for r in report.rows] == ["0", "2", "4", "7"]
    assert [r.weights for r in report.rows] == [16 * 64, 64 * 64 * 9, 64 * 96, 96 * 48]
    for r in report.rows:
        assert r.zeros / r.weights == pytest.approx(0.8, abs=0.02) and r.kept / r.steps == pytest.approx(0.2, abs=0.02)
        assert r.sparse == (r.expected_gain > 1) and r.dense_us > 0 and r.sparse_us > 0
        assert r.decision.startswith(("single", "blocks") if r.sparse else "kept dense")
        assert r.decision in str(report)
    single = sparse_execution(prune_model(net, 0.5, scope="layer"), X.shape, runs=1)
    assert not any(r.sparse for r in single.rows)
    assert all(r.kept > 0.99 * r.steps for r in single.rows) and "kept dense" in str(single)
    rows = json.loads(report.to_json())["layers"]
    assert [(r["layer"], r["kept"], r["sparse"]) for r in rows] == [(r.layer, r.kept, r.sparse) for r in report.rows]
    with pytest.raises(ValueError, match="at least one run"):
        sparse_execution(net, X.shape, runs=0)


def test_blocks_of_integers_are_those_of_their_kernels():
    net = wide_net()
    net(X)
    pruned = prune_model(quantize_model(net, dtype="int8", calibration_data=[X]), 0.75, pattern="blocks", scope="layer")
    mask = pruned.masks["4.weight"].numpy().reshape(6, 16, 16, 4)
    assert (mask.all((1, 3)) | ~mask.any((1, 3))).all()
    with pytest.raises(ValueError, match="blocks of at least 1 x 1"):
        prune_model(net, 0.5, pattern=(0, 1))


def test_blocks_survive_a_file(tmp_path):
    net = wide_net()
    net(X)
    pruned = prune_model(net, 0.8, pattern="blocks")
    pruned.save(tmp_path / "a.npz")
    again = mt.load(str(tmp_path / "a.npz"))
    assert (again(X).numpy() == pruned(X).numpy()).all()
    again.prune(0.9)
    mask = again.masks["4.weight"].numpy().reshape(6, 16, 64)
    assert (mask.all(1) | ~mask.any(1)).all()
