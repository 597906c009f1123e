"""edge.diff: the first layer where two models part, whatever formats they came from."""

import json

import numpy as np
import pytest

import miniten as mt
from miniten import edge, nn
from miniten.edge import export_onnx, load_onnx, quantize_model


def net():
    mt.manual_seed(4)
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 8), nn.Tanh(), nn.Linear(8, 3)).eval()


X = np.random.default_rng(3).normal(size=(2, 1, 6, 6)).astype("float32")


def test_equal_models_do_not_part(tmp_path):
    a = net()
    report = edge.diff(a, a, X)
    assert report.first is None and {r.layer for r in report.rows} >= {"0", "3", "5", "output 0"} and all(r.difference == 0 for r in report.rows)
    export_onnx(a, X.shape, tmp_path / "m.onnx")
    report = edge.diff(a, load_onnx(tmp_path / "m.onnx"), X)
    assert report.first is None and {r.layer for r in report.rows} >= {"0", "3", "5"}, str(report)
    assert max(r.difference for r in report.rows) < 1e-5


def test_the_changed_layer_is_named(tmp_path):
    a, b = net(), net()
    b.state_dict()["3.weight"].numpy()[0, 0] += 0.5
    export_onnx(b, X.shape, tmp_path / "m.onnx")
    for other in (b, load_onnx(tmp_path / "m.onnx")):
        report = edge.diff(a, other, X)
        assert report.first == "3"
        rows = {r.layer: r for r in report.rows}
        assert not rows["0"].parts and rows["3"].parts and rows["output 0"].parts and rows["3"].shape == (2, 8)
        assert "first to part: 3" in report.to_text() and json.loads(report.to_json())["first"] == "3"


def test_quantised_models_are_compared_as_what_they_stand_for():
    a = net()
    q = quantize_model(a, calibration_data=[X])
    report = edge.diff(a, q, X, tolerance=0.2)
    last = report.rows[-1]
    assert last.layer == "output 0" and 15 < last.sqnr_db < 80 and report.first is None, str(report)
    assert edge.diff(a, q, X, tolerance=0).first is not None


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="outputs"):
        edge.diff(net(), nn.Sequential(nn.Flatten(), nn.Linear(36, 5)).eval(), X)
    with pytest.raises(TypeError, match="Module"):
        edge.diff(net(), "model.onnx", X)
    with pytest.raises(ValueError, match="tolerance"):
        edge.diff(net(), net(), X, tolerance=-1)


@pytest.mark.parametrize("runtime,opset,ir", [("onnxruntime==1.3", 12, 7), ("onnxruntime==1.14", 18, 8), ("onnxruntime==1.16.3", 19, 9), ("onnxruntime==1.18", 21, 10), ("onnxruntime==1.30", 23, 11)])
def test_a_runtime_picks_opset_and_ir_version(runtime, opset, ir, tmp_path):
    report = export_onnx(net(), X.shape, tmp_path / "m.onnx", target_runtime=runtime)
    assert (report.opset, report.ir_version) == (opset, ir)
    assert export_onnx(net(), X.shape, tmp_path / "m.onnx", opset_version=11, target_runtime=runtime).opset == 11
    with pytest.raises(ValueError, match="reads"):
        export_onnx(net(), X.shape, tmp_path / "m.onnx", opset_version=opset + 1, target_runtime=runtime)


def test_unknown_runtimes_are_refused(tmp_path):
    for runtime in ("onnxruntime", "tensorrt==10", "onnxruntime==2.0", ""):
        with pytest.raises(ValueError, match="onnxruntime==1.14"):
            export_onnx(net(), X.shape, tmp_path / "m.onnx", target_runtime=runtime)
