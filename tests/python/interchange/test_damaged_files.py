"""Files damaged in thousands of ways: every reader refuses or reads them, and what was read runs. Nothing crashes or hangs."""

import io
import zipfile

import numpy as np
import pytest
from judges import judge

import miniten as mt
from miniten import edge, nn
from miniten.edge import load_miniten, load_onnx, load_tflite

REFUSED = (ValueError, TypeError, IndexError, NotImplementedError, OSError, MemoryError)
HOSTILE = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFF0, 0x10000000, 65535]


def damaged(data, rng):
    b = bytearray(data)
    kind = rng.integers(6)
    at = int(rng.integers(len(b)))
    if kind == 0:
        return bytes(b[:at])
    if kind == 1:
        for i in rng.integers(0, len(b), int(rng.integers(1, 9))):
            b[i] = int(rng.integers(256))
    elif kind == 2:
        b[at] ^= 1 << int(rng.integers(8))
    elif kind == 3:
        at = at // 4 * 4
        b[at : at + 4] = int(HOSTILE[rng.integers(len(HOSTILE))]).to_bytes(4, "little")
    elif kind == 4:
        other, n = int(rng.integers(len(b))), int(rng.integers(1, 64))
        b[at : at + n] = b[other : other + n]
    else:
        del b[at : at + int(rng.integers(1, 16))]
    return bytes(b)


def repacked(data, rng):
    """A .npz whose checksums are right again after its manifest was changed."""
    archive = zipfile.ZipFile(io.BytesIO(data))
    members = {name: archive.read(name) for name in archive.namelist()}
    text = bytearray(members["manifest.json"])
    numbers = [i for i, c in enumerate(text) if chr(c).isdigit()]
    for at in rng.choice(numbers, int(rng.integers(1, 4))):
        text[at : at + 1] = [b"9", b"0", b"-1", b"1e9", b"99999999999", b"null", b'"x"', b"[]"][rng.integers(8)]
    members["manifest.json"] = bytes(text)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def try_all(read, files, count, seed, damage=damaged, least=100):
    """least: how many must have been read and run all the same, so that damage reaches the engine."""
    rng = np.random.default_rng(seed)
    ran = 0
    for i in range(count):
        try:
            module = read(damage(files[i % len(files)], rng))
            if not isinstance(module, nn.GraphModule):
                continue  # sizes depend on values
            shapes = [[d if isinstance(d, int) else 1 for d in v.shape] for v in module.graph.inputs]
            session = mt.compile(module, shapes, input_dtypes=[str(v.dtype) for v in module.graph.inputs])
            if session.arena_bytes < 1 << 22:
                session(*[np.zeros(v.shape, str(v.dtype)) for v in session.inputs])
                ran += 1
        except REFUSED:
            pass
    assert least <= ran < count, ran


def network():
    mt.manual_seed(3)
    net = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 9, 3), nn.Softmax())
    net.eval()
    net(mt.tensor(np.ones((1, 2, 6, 6), "float32")))
    return net


def test_native_files(tmp_path):
    net = network()
    edge.export_miniten(net, tmp_path / "a.npz")
    edge.export_miniten(edge.prune_model(net, 0.7), tmp_path / "b.npz")
    try_all(load_miniten, [(tmp_path / f).read_bytes() for f in ("a.npz", "b.npz")], 800, 1, least=0)
    try_all(load_miniten, [(tmp_path / f).read_bytes() for f in ("a.npz", "b.npz")], 800, 4, damage=repacked, least=20)


def test_onnx_files(tmp_path):
    net = network()
    edge.export_onnx(net, (1, 2, 6, 6), tmp_path / "a.onnx")
    edge.export_onnx(edge.quantize_model(net, calibration_data=[np.ones((1, 2, 6, 6), "float32")]), (1, 2, 6, 6), tmp_path / "b.onnx")
    try_all(load_onnx, [(tmp_path / f).read_bytes() for f in ("a.onnx", "b.onnx")], 2000, 2)


def test_sizes_whose_product_overflows():
    h, t = judge("onnx").helper, judge("onnx").TensorProto
    for sizes in ([1 << 31, 1 << 31, 4], [2017612633061982209, 36], [32, (1 << 63) - 1], [-1, 1 << 62, 4]):
        shape = judge("onnx").numpy_helper.from_array(np.array(sizes, "int64"), "shape")
        value = lambda name: h.make_tensor_value_info(name, t.FLOAT, (2, 2))
        graph = h.make_graph([h.make_node("Reshape", ["x", "shape"], ["y"])], "g", [value("x")], [h.make_tensor_value_info("y", t.FLOAT, None)], [shape])
        with pytest.raises(ValueError, match="reshape"):
            load_onnx(h.make_model(graph, opset_imports=[h.make_opsetid("", 13)]).SerializeToString())(np.ones((2, 2), "float32"))
        with pytest.raises(ValueError, match="reshape"):
            mt.reshape(mt.tensor(np.ones((2, 2), "float32")), sizes)


def test_numbers_that_lie_between_words():
    files = pytest.importorskip("tflite_files")
    f = files.File()
    x, y = f.tensor((2, 3), "int8", scale=0.1, zero=5), f.tensor((2, 3), "int8", scale=0.1, zero=5)
    f.op("RELU", [x], [y])
    data = f.bytes([x], [y])
    load_tflite(data)
    quantization = files.schema.Model.GetRootAs(data).Subgraphs(0).Tensors(0).Quantization()
    at = quantization._tab.Pos + quantization._tab.Offset(10)  # of the zero points: 64-bit numbers
    moved = bytearray(data) + b"\0" * 32
    place = (len(data) + 7) // 8 * 8  # 8 k: the numbers behind the length are at 8 k + 4
    moved[place : place + 12] = (1).to_bytes(4, "little") + (5).to_bytes(8, "little")
    moved[at : at + 4] = (place - at).to_bytes(4, "little")
    with pytest.raises(ValueError, match="a TFLite model"):
        load_tflite(bytes(moved))
    moved[place + 4 : place + 16] = moved[place : place + 12]
    moved[at : at + 4] = (place + 4 - at).to_bytes(4, "little")
    load_tflite(bytes(moved))


@pytest.mark.parametrize("op", ["EXP", "LOGISTIC", "TANH", "ELU"])
def test_functions_whose_scales_leave_no_number(op):
    files = pytest.importorskip("tflite_files")
    f = files.File()
    x, y = f.tensor((2, 3), "int8", scale=1e38), f.tensor((2, 3), "int8", scale=1e-45)
    f.op(op, [x], [y])
    got = load_tflite(f.bytes([x], [y]), exact="tflite")(np.array([[-128, -1, 0], [1, 60, 127]], "int8"))
    least = [0, 0, 127] if op in ("EXP", "LOGISTIC") else [-128, -128, 0]    # zero times infinity is no number, and 0
    assert np.asarray(got).tolist() == [least, [127, 127, 127]]


@pytest.mark.parametrize("op", ["RELU6", "ADD"])
def test_bounds_beyond_every_integer(op):
    files = pytest.importorskip("tflite_files")
    f = files.File()
    x, y = f.tensor((2, 3), "int8", scale=1e-37), f.tensor((2, 3), "int8", scale=1e-37)
    f.op(op, [x] if op == "RELU6" else [x, x], [y], *([] if op == "RELU6" else ["AddOptions", 2]), **({} if op == "RELU6" else {"fusedActivationFunction": 3}))
    given = np.array([[-128, -1, 0], [1, 60, 127]], "int8")
    got = load_tflite(f.bytes([x], [y]), exact="tflite")(given)
    assert (np.asarray(got) == np.clip(given.astype(int) * (1 if op == "RELU6" else 2), 0, 127)).all()


def test_products_of_scalars():
    files = pytest.importorskip("tflite_files")
    for keep in (False, True):
        for dtype, scale in (("float32", None), ("int8", 0.1)):
            f = files.File()
            x, y = f.tensor((), dtype, scale=scale), f.tensor((1, 3), dtype, scale=scale)
            f.op("FULLY_CONNECTED", [x, f.tensor(data=np.ones((3, 1), dtype), scale=scale), -1], [y], "FullyConnectedOptions", version=5, keepNumDims=keep)
            for exact in (None, "tflite"):
                with pytest.raises(NotImplementedError, match="FULLY_CONNECTED-5"):
                    load_tflite(f.bytes([x], [y]), exact=exact)


def test_tflite_files():
    nets = pytest.importorskip("tflite_nets")
    dense = np.zeros((3, 4), "float32")
    dense[0, 1], dense[0, 3], dense[2, 0] = 5, -2, 7
    files = [nets.network(), nets.quantized_network(), nets.accumulator(np.ones((1, 3), "float32")), nets.lstm(norm=True, projection=True)[0],
             nets.sparse(dense, [5, -2, 7], (0, 1), [3, ((0, 2, 2, 3), (1, 3, 0))])]
    try_all(load_tflite, files, 4000, 3)
