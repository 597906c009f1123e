"""Files of pruned models: ONNX sparse initializers read by onnx's checker and onnxruntime, TFLite sparse tensors by LiteRT, packed .npz by NumPy."""

import numpy as np
import pytest
from judges import judge

import miniten as mt
from miniten import edge, nn
from miniten.edge import export_onnx, export_tflite, prune_model, quantize_model

SHAPE = (1, 3, 10, 10)


def net():
    mt.manual_seed(4)
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1, groups=32), nn.ReLU6(), nn.Conv2d(32, 256, 1), nn.ReLU(), nn.AvgPool2d(5), nn.Flatten(), nn.Linear(1024, 300), nn.ReLU(),
        nn.Linear(300, 10),
    ).eval()
    model(np.zeros(SHAPE, "float32"))
    return model


X = np.random.default_rng(0).normal(size=SHAPE).astype("float32")


def sparse_of(file):
    return {s.values.name: s for s in file.graph.sparse_initializer}


@pytest.mark.parametrize("kind", ["float", "int8"])
def test_sparse_initializers(kind, tmp_path):
    onnx, ort = judge("onnx"), judge("onnxruntime")
    pruned = prune_model(net(), 0.92, scope="layer")
    if kind == "int8":
        pruned = quantize_model(pruned, calibration_data=np.random.default_rng(1).normal(size=(16, *SHAPE[1:])).astype("float32"))
    dense, sparse = export_onnx(pruned, SHAPE, tmp_path / "d.onnx"), export_onnx(pruned, SHAPE, tmp_path / "s.onnx", sparse=True)
    file = onnx.load(tmp_path / "s.onnx")
    onnx.checker.check_model(file)
    assert len(sparse_of(file)) >= (3 if kind == "float" else 1)
    assert sparse.bytes < (0.5 if kind == "float" else 0.95) * dense.bytes
    runs = [ort.InferenceSession(str(tmp_path / f), providers=["CPUExecutionProvider"]).run(None, {"input": X})[0] for f in ("d.onnx", "s.onnx")]
    assert np.array_equal(*runs)
    back = edge.load_onnx(tmp_path / "s.onnx")
    assert np.array_equal(back(X).numpy(), edge.load_onnx(tmp_path / "d.onnx")(X).numpy())
    export_onnx(net(), SHAPE, tmp_path / "full.onnx", sparse=True)
    assert not sparse_of(onnx.load(tmp_path / "full.onnx"))  # no zeros, nothing saved


def litert(path, x):
    interpreter = judge("ai_edge_litert.interpreter").Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


@pytest.mark.parametrize("kind", ["float", "float16", "int8", "dynamic"])
def test_sparse_tensors_of_tflite(kind, tmp_path):
    pruned = prune_model(net(), 0.9, scope="layer")
    options = {"quantize": kind} if kind != "float" else {}
    if kind == "int8":
        options["calibration_data"] = np.random.default_rng(1).normal(size=(16, *SHAPE[1:])).astype("float32")
    dense, sparse = export_tflite(pruned, SHAPE, tmp_path / "d.tflite", **options), export_tflite(pruned, SHAPE, tmp_path / "s.tflite", sparse=True, **options)
    assert "DENSIFY" not in dense.operators
    if kind == "dynamic":  # LiteRT takes none there
        assert "DENSIFY" not in sparse.operators
    else:
        assert sparse.operators["DENSIFY"] >= (2 if "float" in kind else 1) and sparse.bytes < {"float": 0.4, "float16": 0.75, "int8": 1}[kind] * dense.bytes
    x = X.transpose(0, 2, 3, 1).copy()
    np.testing.assert_allclose(litert(tmp_path / "s.tflite", x), litert(tmp_path / "d.tflite", x), atol=1e-5)
    ours = [edge.load_tflite(tmp_path / f)(x).numpy() for f in ("s.tflite", "d.tflite")]
    np.testing.assert_allclose(*ours, atol=1e-6)
    assert "DENSIFY" not in export_tflite(net(), SHAPE, tmp_path / "full.tflite", sparse=True).operators


def test_packed_files_are_read_with_numpy_alone(tmp_path):
    pruned = prune_model(net(), 0.9, scope="layer")
    size = pruned.save(tmp_path / "p.npz")
    assert size < 0.25 * edge.export_miniten(net(), tmp_path / "full.npz").bytes
    stored = np.load(tmp_path / "p.npz")
    w = dict(pruned.state_dict())["8/weight"] if "8/weight" in dict(pruned.state_dict()) else dict(pruned.state_dict())["8.weight"]
    w = w.numpy()
    mask = np.unpackbits(stored["8.weight.mask"])[: w.size].astype(bool)
    unpacked = np.zeros(w.size, "float32")
    unpacked[mask] = stored["8.weight"]
    assert np.array_equal(unpacked.reshape(w.shape), w) and (mask.reshape(w.shape) == (w != 0)).all()
