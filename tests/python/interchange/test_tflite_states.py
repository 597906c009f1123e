"""TFLite models with a memory, graphs within graphs, and weights stored in other ways; judged by LiteRT run after run."""

import numpy as np
import pytest
from tflite_files import File, litert, schema
from tflite_nets import accumulator, lstm, sparse

import miniten as mt
from miniten.edge import load_tflite

RNG = np.random.default_rng(23)


def rand(*shape):
    return RNG.normal(size=shape).astype("float32")


def check(data, *runs, tol=1e-5):
    module = load_tflite(data)
    for arrays, want in zip(runs, litert(data, *runs), strict=True):
        got = module(*arrays)
        for g, w in zip(got if isinstance(got, tuple) else (got,), want, strict=True):
            g = np.array(g)
            assert g.shape == w.shape and g.dtype == w.dtype
            assert np.abs(g.astype("float64") - w).max() <= (tol * max(1, np.abs(w).max()) if w.dtype.kind == "f" else 0)
    return module


def test_variables_keep_their_values_and_are_reset():
    initial = rand(1, 3)
    data, runs = accumulator(initial), [[rand(1, 3)] for _ in range(4)]
    module = check(data, *runs)
    module.reset()
    np.testing.assert_allclose(np.array(module(*runs[0])), initial + runs[0][0], rtol=1e-6)
    other = load_tflite(data)
    np.testing.assert_allclose(np.array(other(*runs[1])), initial + runs[1][0], rtol=1e-6)


def test_a_session_streams_and_its_clone_by_itself():
    session = mt.compile(load_tflite(accumulator(rand(1, 3))), (1, 3))
    x = rand(1, 3)
    first, second = (np.array(session(x)).copy() for _ in range(2))
    np.testing.assert_allclose(second, first + x, rtol=1e-5)
    clone = session.clone()
    third = np.array(session(x))
    np.testing.assert_allclose(third, second + x, rtol=1e-5)
    np.testing.assert_allclose(np.array(clone(x)), third, rtol=1e-5)


@pytest.mark.parametrize("kind", [{}, dict(cifg=True), dict(peephole=True), dict(projection=True), dict(norm=True), dict(major=True, clip=0.3), dict(cifg=True, peephole=True, projection=True, norm=True)], ids=str)
def test_lstm_streams(kind):
    data, shape = lstm(**kind)
    check(data, *[[rand(*shape)] for _ in range(3)])


def test_svdf_streams():
    f = File()
    x, y = f.tensor((2, 3)), f.tensor((2, 4))
    ids = [x, f.tensor(data=rand(8, 3)), f.tensor(data=rand(8, 6)), f.tensor(data=rand(4)), f.tensor((2, 48), variable=True)]
    f.op("SVDF", ids, [y], "SVDFOptions", rank=2, fusedActivationFunction=1)
    check(f.bytes([x], [y]), *[[rand(2, 3)] for _ in range(9)])


@pytest.mark.parametrize("sequence", [False, True])
def test_rnn_streams(sequence):
    f = File()
    shape = (2, 3, 4) if sequence else (2, 4)
    x, y = f.tensor(shape), f.tensor((*shape[:-1], 5))
    ids = [x, f.tensor(data=rand(5, 4)), f.tensor(data=rand(5, 5) * 0.3), f.tensor(data=rand(5)), f.tensor((2, 5), variable=True)]
    f.op("UNIDIRECTIONAL_SEQUENCE_RNN" if sequence else "RNN", ids, [y], "SequenceRNNOptions" if sequence else "RNNOptions", fusedActivationFunction=4)
    check(f.bytes([x], [y]), *[[rand(*shape)] for _ in range(3)])


def test_loops_of_known_turns_are_unrolled():
    f = File()
    x = f.tensor((3,))
    i, y = f.tensor((), "int32"), f.tensor((3,))
    f.op("WHILE", [f.tensor(data=np.array(0, "int32")), x], [i, y], "WhileOptions", condSubgraphIndex=1, bodySubgraphIndex=2)
    f.subgraph("condition")
    a, b, c = f.tensor((), "int32"), f.tensor((3,)), f.tensor((), "bool")
    f.op("LESS", [a, f.tensor(data=np.array(4, "int32"))], [c], "LessOptions")
    f.graph.inputs, f.graph.outputs = [a, b], [c]
    f.subgraph("body")
    a, b, c, d = f.tensor((), "int32"), f.tensor((3,)), f.tensor((), "int32"), f.tensor((3,))
    f.op("ADD", [a, f.tensor(data=np.array(1, "int32"))], [c], "AddOptions")
    f.op("MUL", [b, f.tensor(data=np.array([1.5, 2, -1], "float32"))], [d], "MulOptions")
    f.graph.inputs, f.graph.outputs = [a, b], [c, d]
    check(f.bytes([x], [i, y]), [rand(3)])


def test_weights_in_half_precision_are_trainable_parameters():
    f = File()
    x, w, y = f.tensor((2, 4)), f.tensor((3, 4)), f.tensor((2, 3))
    f.op("DEQUANTIZE", [f.tensor(data=rand(3, 4).astype("float16"), name="half")], [w], "DequantizeOptions", version=3)
    f.op("FULLY_CONNECTED", [x, w, -1], [y], "FullyConnectedOptions")
    module = check(f.bytes([x], [y]), [rand(2, 4)])
    assert [(p.shape, str(p.dtype)) for p in module.parameters()] == [((3, 4), "float32")]
    assert "dequantize" not in module.graph.to_text()


@pytest.mark.parametrize("asymmetric", [False, True])
def test_dynamic_range_rounds_activations_as_litert(asymmetric):
    f = File()
    x, y = f.tensor((3, 64)), f.tensor((3, 5))
    w = f.tensor(data=RNG.integers(-127, 128, (5, 64)).astype("int8"), scale=0.01)
    f.op("FULLY_CONNECTED", [x, w, f.tensor(data=rand(5))], [y], "FullyConnectedOptions", version=9 if asymmetric else 3, asymmetricQuantizeInputs=asymmetric)
    check(f.bytes([x], [y]), [rand(3, 64)], [np.zeros((3, 64), "float32")])
    f = File()
    x, y = f.tensor((1, 6, 6, 8)), f.tensor((1, 6, 6, 5))
    w = f.tensor(data=RNG.integers(-127, 128, (5, 3, 3, 8)).astype("int8"), scale=RNG.uniform(0.005, 0.02, 5) if asymmetric else 0.01)
    f.op("CONV_2D", [x, w, f.tensor(data=rand(5))], [y], "Conv2DOptions", version=5 if asymmetric else 2, padding=0, strideW=1, strideH=1)
    check(f.bytes([x], [y]), [rand(1, 6, 6, 8)])


def test_sparse_weights_are_made_dense():
    dense = np.zeros((3, 4), "float32")
    dense[0, 1], dense[0, 3], dense[2, 0] = 5, -2, 7
    check(sparse(dense, [5, -2, 7], (0, 1), [3, ((0, 2, 2, 3), (1, 3, 0))]), [rand(2, 4)])
    blocks = np.zeros((4, 4), "float32")
    blocks[0:2, 2:4] = [[1, 2], [3, 4]]
    blocks[2:4, 0:2] = [[5, 6], [7, 8]]
    check(sparse(blocks, range(1, 9), (0, 1, 2, 3), [2, ((0, 1, 2), (1, 0)), 2, 2], (0, 1)), [rand(2, 4)])
    with pytest.raises(ValueError, match="sparse"):
        load_tflite(sparse(dense, [5, -2, 7], (0, 1), [3, ((0, 2, 2, 3), (1, 9, 0))]))


def test_sparse_indices_of_an_unknown_kind_are_refused():
    dense = np.zeros((3, 4), "float32")
    data = bytearray(sparse(dense, [5, -2, 7], (0, 1), [3, ((0, 2, 2, 3), (1, 3, 0))]))
    model = schema.Model.GetRootAs(data)
    table = next(t for t in (model.Subgraphs(0).Tensors(i) for i in range(model.Subgraphs(0).TensorsLength())) if t.Sparsity()).Sparsity().DimMetadata(1)._tab
    for field in (8, 12):
        data[table.Pos + table.Offset(field)] = 0
    with pytest.raises(ValueError, match="sparse"):
        load_tflite(bytes(data))
