"""Small files that declare large tensors: refused by name before anything is allocated; max_memory_mb moves the limit."""

import io
import json
import resource
import zipfile

import numpy as np
import pytest
from judges import judge

import miniten as mt
from miniten.edge import load_miniten, load_onnx, load_tflite

HUGE = np.array([65536, 65536], "int32")  # 16 GB of float32


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def refused(read, data, *words, **how):
    assert len(data) < 1 << 20
    before = peak_mb()
    with pytest.raises(ValueError, match="max_memory") as e:
        read(data, **how)
    for word in words:
        assert word in str(e.value), str(e.value)
    assert peak_mb() < before + 96


def tflite(name, inputs, out, dtype="float32", **sparse):
    files = pytest.importorskip("tflite_files")
    f = files.File()
    x = f.tensor((1, 1))
    ids = [f.tensor(data=i) for i in inputs] or [x]
    y = f.tensor(out, dtype, name="wide")
    f.op(name, ids, [y])
    return f.bytes([x], [y])


def test_a_fill_of_a_tflite_file():
    refused(load_tflite, tflite("FILL", [HUGE, np.array(1, "float32")], (65536, 65536)), "FILL, version 1", 'node "wide"', "4294967296 bytes")


def test_declared_shapes_of_a_tflite_file():
    files = pytest.importorskip("tflite_files")
    f = files.File()
    x, y = f.tensor((65536, 1)), f.tensor((65536, 65536), name="product")
    f.op("BATCH_MATMUL", [x, x], [y], "BatchMatMulOptions", adjY=True)
    data = f.bytes([x], [y])
    refused(load_tflite, data, "product")
    assert load_tflite(data, max_memory_mb=20000).graph.outputs[0].shape == (65536, 65536)
    f = files.File()
    x, y = f.tensor((65536, 65536), name="picture"), f.tensor((65536, 65536))
    f.op("RELU", [x], [y])
    refused(load_tflite, f.bytes([x], [y]), 'input "picture"')


def test_a_mirror_whose_rows_are_too_many_to_list():
    files = pytest.importorskip("tflite_files")
    f = files.File()
    most = 2**31 - 1
    x, y = f.tensor((most,), "int8"), f.tensor((1,), "int8", name="mirrored")
    f.op("MIRROR_PAD", [x, f.tensor(data=np.array([[most, most]], "int32"))], [y], "MirrorPadOptions", mode=1)
    refused(load_tflite, f.bytes([x], [y]), "MIRROR_PAD, version 1", "mirrored")


def test_sequences_too_long_to_unroll():
    nets = pytest.importorskip("tflite_nets")
    load_tflite(nets.lstm(batch=1, steps=64, width=1, units=1)[0])
    with pytest.raises(NotImplementedError, match="UNIDIRECTIONAL_SEQUENCE_LSTM.*at most 4096 steps.*4097"):
        load_tflite(nets.lstm(batch=1, steps=4097, width=1, units=1)[0])
    h = judge("onnx").helper
    w, r = (judge("onnx").numpy_helper.from_array(np.ones((1, 4, 1), "float32"), n) for n in "wr")
    clipped = h.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=1, clip=1.0)  # no layer of ours: written out step by step
    with pytest.raises(NotImplementedError, match="LSTM.*at most 4096 steps.*4097"):
        load_onnx(onnx_file(clipped, w, r, inputs=(("x", (4097, 1, 1)),)))(np.zeros((4097, 1, 1), "float32"))


def test_a_sparse_weight_of_a_tflite_file():
    nets = pytest.importorskip("tflite_nets")
    dense = np.zeros((3, 4), "float32")
    dense[0, 1], dense[2, 0] = 5, 7
    data = nets.sparse(dense, [5, 7], (0, 1), [3, ((0, 1, 1, 2), (1, 0))])
    load_tflite(data)
    files = pytest.importorskip("tflite_files")
    model = files.schema.ModelT.InitFromPackedBuf(data)
    t = next(t for t in model.subgraphs[0].tensors if t.sparsity)
    t.shape = np.array([65536, 65536], "int32")
    t.sparsity.dimMetadata[0].denseSize = 3
    b = files.flatbuffers.Builder(1024)
    b.Finish(model.Pack(b), b"TFL3")
    refused(load_tflite, bytes(b.Output()))


def onnx_file(node, *initializers, inputs=(("x", (1, 1)),)):
    onnx = judge("onnx")
    h, t = onnx.helper, onnx.TensorProto
    node.name = "wide"
    graph = h.make_graph([node], "g", [h.make_tensor_value_info(n, t.FLOAT, s) for n, s in inputs], [h.make_tensor_value_info(node.output[0], t.FLOAT, None)], list(initializers))
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 13)]).SerializeToString()


def test_constants_of_an_onnx_file():
    h = judge("onnx").helper
    sizes = judge("onnx").numpy_helper.from_array(HUGE.astype("int64"), "sizes")
    less = judge("onnx").numpy_helper.from_array(HUGE.astype("int64") // 8, "sizes")  # 256 MB
    refused(load_onnx, onnx_file(h.make_node("ConstantOfShape", ["sizes"], ["y"]), less), "ConstantOfShape", 'node "wide"', max_memory_mb=200)
    one = judge("onnx").numpy_helper.from_array(np.ones((1, 1), "float32"), "one")
    refused(load_onnx, onnx_file(h.make_node("Tile", ["one", "sizes"], ["y"]), one, sizes))
    onnx = judge("onnx")
    small = onnx.numpy_helper.from_array(np.zeros((512, 512), "float32"), "w")
    data = onnx_file(h.make_node("Add", ["x", "w"], ["y"]), small)
    with pytest.raises(ValueError, match="max_memory"):
        load_onnx(data, max_memory_mb=1)
    assert load_onnx(data, max_memory_mb=2)(np.ones((1, 1), "float32")).shape == (512, 512)


def test_declared_shapes_of_an_onnx_file():
    h = judge("onnx").helper
    refused(load_onnx, onnx_file(h.make_node("MatMul", ["x", "z"], ["y"]), inputs=(("x", (65536, 1)), ("z", (1, 65536)))), "matmul", '"wide"')


def test_graphs_that_call_graphs_without_end():
    """Forty calls of two each: 2^40 nodes of a file of a few kilobytes."""
    onnx = judge("onnx")
    h = onnx.helper
    opsets = [h.make_opsetid("", 15), h.make_opsetid("own", 1)]
    functions = [h.make_function("own", "f0", ["x"], ["y"], [h.make_node("Relu", ["x"], ["y"])], opsets)]
    for i in range(1, 40):
        nodes = [h.make_node(f"f{i - 1}", ["x"], ["m"], domain="own"), h.make_node(f"f{i - 1}", ["m"], ["y"], domain="own")]
        functions.append(h.make_function("own", f"f{i}", ["x"], ["y"], nodes, opsets))
    value = lambda n: h.make_tensor_value_info(n, onnx.TensorProto.FLOAT, (1, 2))
    graph = h.make_graph([h.make_node("f39", ["x"], ["y"], domain="own")], "g", [value("x")], [value("y")])
    with pytest.raises(ValueError, match="nodes, loops and calls unrolled"):
        load_onnx(h.make_model(graph, functions=functions, opset_imports=opsets).SerializeToString())


def test_a_loop_of_nothing_without_end():
    onnx = judge("onnx")
    h, t = onnx.helper, onnx.TensorProto
    info = h.make_tensor_value_info
    body = h.make_graph([], "body", [info("i", t.INT64, ()), info("on", t.BOOL, ()), info("a", t.FLOAT, (1, 2))], [info("on", t.BOOL, ()), info("a", t.FLOAT, (1, 2))])
    turns = onnx.numpy_helper.from_array(np.array(1 << 62, "int64"), "turns")
    graph = h.make_graph([h.make_node("Loop", ["turns", "", "x"], ["y"], body=body)], "g", [info("x", t.FLOAT, (1, 2))], [info("y", t.FLOAT, (1, 2))], [turns])
    with pytest.raises(ValueError, match="nodes, loops and calls unrolled"):
        load_onnx(h.make_model(graph, opset_imports=[h.make_opsetid("", 13)]).SerializeToString())


def deflated(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def npy(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


@pytest.mark.parametrize("read", [mt.load, load_miniten])
def test_a_native_file_that_unpacks_to_much(read):
    data = deflated({"w.npy": npy(np.zeros(1 << 24, "float32"))})  # 64 MB
    assert len(data) < 1 << 17
    with pytest.raises(ValueError, match="67108992 bytes"):
        read(data, max_memory_mb=32)
    assert mt.load(data, max_memory_mb=100)["w"].shape == (1 << 24,)


def test_a_native_file_that_names_one_array_a_thousand_times():
    tensors = [{"name": f"t{i}", "array": "w", "dtype": "float32", "shape": [1 << 20]} for i in range(1000)]
    manifest = {"format": "miniten", "version": 1, "kind": "state_dict", "tensors": tensors}
    refused(mt.load, deflated({"manifest.json": json.dumps(manifest), "w.npy": npy(np.zeros(1 << 20, "float32"))}), max_memory_mb=64)


def test_a_native_manifest_of_brackets():
    refused(mt.load, deflated({"manifest.json": "[" + "[]," * (1 << 24) + "0]"}), "manifest", max_memory_mb=256)


def test_safetensors(tmp_path):
    mt.save_safetensors({"w": np.zeros((512, 512), "float32")}, tmp_path / "w.safetensors")
    data = (tmp_path / "w.safetensors").read_bytes()
    for read in (mt.load_safetensors, mt.load):
        with pytest.raises(ValueError, match="max_memory"):
            read(data, max_memory_mb=0.5)
        assert read(data, max_memory_mb=2)["w"].shape == (512, 512)
    with pytest.raises(OSError, match="at most 524288 bytes"):
        mt.load(tmp_path / "w.safetensors", max_memory_mb=0.5)


@pytest.mark.parametrize("mb", [0, -1, float("nan"), float("inf")])
def test_a_limit_is_a_positive_number(mb):
    for read in (load_tflite, load_onnx, load_miniten, mt.load_safetensors, mt.load):
        with pytest.raises(ValueError, match="max_memory_mb"):
            read(b"x" * 20, max_memory_mb=mb)
