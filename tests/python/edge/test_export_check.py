"""edge.export_check: op by target, before anything is written; what it says is what the exporter then does."""

import json

import numpy as np
import pytest
from nets import SMALL_SHAPE, images, small_net

import miniten as mt
from miniten import edge, nn
from miniten.edge import export_onnx, quantize_model


def test_a_net_that_exports_everywhere():
    table = edge.export_check(small_net(), SMALL_SHAPE)
    assert table.targets == ["onnx-11", "onnx-13", "onnx-17", "onnx-21", "tflite", "native"] and all(table.ok(t) for t in table.targets)
    assert {"conv2d", "batch_norm", "max_pool2d", "matmul"} <= {r.op for r in table.rows} and len({r.op for r in table.rows}) == len(table.rows)


def test_it_agrees_with_the_exporter(tmp_path):
    functions = {
        "round": lambda x: mt.round(x), "where": lambda x: mt.where(x > 0, x, x * 2), "softmax": lambda x: mt.softmax(x, -1), "less_equal": lambda x: mt.where(x <= 0, x, x * 2),
    }
    q = quantize_model(small_net(), calibration_data=images(16, 1))
    models = {name: (nn.GraphModule(mt.trace(f, (2, 4))).eval(), (2, 4)) for name, f in functions.items()} | {"int8": (q, SMALL_SHAPE)}
    refused = 0
    for name, (model, shape) in models.items():
        targets = [f"onnx-{n}" for n in (9, 10, 11, 12, 13, 21)]
        table = edge.export_check(model, shape, targets=targets)
        for target in targets:
            try:
                export_onnx(model, shape, tmp_path / "m.onnx", opset_version=int(target[5:]))
                written = True
            except NotImplementedError:
                written = False
                refused += 1
            assert table.ok(target) == written, (name, target, str(table))
    assert refused >= 5


def test_reasons_are_told():
    table = edge.export_check(nn.GraphModule(mt.trace(lambda x: mt.round(x), (2, 4))), (2, 4), targets=["onnx-9", "onnxruntime==1.14"])
    row = next(r for r in table.rows if r.op == "round")
    assert "opset 11" in row.reasons[0] and row.reasons[1] == ""
    assert "no" in table.to_text() and "onnx-9: round" in table.to_text() and json.loads(table.to_json())["rows"][0]["reasons"]["onnxruntime==1.14"] == ""
    with pytest.raises(ValueError, match="asked about"):
        table.ok("onnx-13")
    for bad in ("onnx", "onnx-", "onnx-x", "tflite9", "", "onnx-1000"):
        with pytest.raises(ValueError, match="targets"):
            edge.export_check(small_net(), SMALL_SHAPE, targets=[bad])
    assert np.isfinite(small_net()(images(1, 1)).numpy()).all()
