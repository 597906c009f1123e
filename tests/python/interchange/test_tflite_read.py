"""TFLite files read and run, judged by LiteRT's reference kernels."""

import numpy as np
import pytest
from tflite_files import File, litert
from tflite_nets import network, quantized_network

import miniten as mt
from miniten import edge, nn, optim
from miniten.edge import load_tflite

RNG = np.random.default_rng(3)


def rand(*shape):
    return RNG.normal(size=shape).astype("float32")


def bytes_of(*shape, lo=-128, hi=128, dtype="int8"):
    return RNG.integers(lo, hi, size=shape).astype(dtype)


def outputs(module, *inputs):
    got = module(*inputs)
    return [np.array(g) for g in (got if isinstance(got, tuple) else (got,))]


def check(data, *inputs, tol=1e-5, steps=None):
    """MiniTen and LiteRT on the same file -> the loaded module. steps: quantised outputs may differ by so many."""
    module = load_tflite(data)
    (want,) = litert(data, inputs)
    for g, w in zip(outputs(module, *inputs), want, strict=True):
        assert g.shape == w.shape and g.dtype == w.dtype, (g.shape, g.dtype, w.shape, w.dtype)
        d = np.abs(g.astype("float64") - w)
        if steps is None:
            assert d.max(initial=0) <= tol * max(1, np.abs(w).max(initial=0)), d.max()
        else:
            assert d.max(initial=0) <= steps, d.max()
    return module


def test_network_runs_trains_and_is_pruned():
    data = network()
    module = check(data, rand(1, 9, 8, 3))
    check(data, rand(5, 9, 8, 3))
    assert isinstance(module, nn.GraphModule) and not module.training
    before = outputs(module, picture := rand(8, 9, 8, 3))[0]
    assert np.array_equal(np.array(module(picture=picture)), before)
    labels, loss = RNG.integers(0, 4, 8), nn.CrossEntropyLoss()
    optimizer = optim.Adam(module.parameters(), lr=0.02)
    module.train()
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        value = loss(module(picture), labels)
        value.backward()
        optimizer.step()
        losses.append(float(value))
    assert losses[-1] < 0.3 * losses[0]
    assert len(list(module.parameters())) == 5
    module.eval()
    assert edge.prune_model(module, 0.5).actual_sparsity() == pytest.approx(0.5, abs=0.01)
    quantized = edge.quantize_model(module, calibration_data=[picture])
    assert (outputs(quantized, picture)[0].argmax(1) == outputs(module, picture)[0].argmax(1)).mean() >= 0.75


def test_a_session_moves_nothing():
    session = mt.compile(load_tflite(network()), (1, 9, 8, 3))
    steps = [row["op"] for row in session.profile(rand(1, 9, 8, 3))]
    assert sorted(set(steps)) == ["conv2d", "matmul", "max_pool2d"], steps


def test_integers_stay_integers():
    module = check(quantized_network(), bytes_of(1, 6, 6, 8), steps=2)
    assert not list(module.parameters())
    assert "qconv2d" in mt.compile(module, input_shape=(1, 6, 6, 8), input_dtypes="int8").to_text()


def refused(data, *words):
    with pytest.raises((ValueError, NotImplementedError)) as e:
        load_tflite(data)
    for word in words:
        assert word in str(e.value), str(e.value)


def test_what_is_unknown_is_refused_by_name():
    f = File()
    x, y = f.tensor((1, 4)), f.tensor((1, 4), name="detections")
    f.op("CUSTOM", [x], [y], custom="TFLite_Detection_PostProcess", version=7)
    refused(f.bytes([x], [y]), "TFLite_Detection_PostProcess", "version 7", "detections")
    f = File()
    x, y = f.tensor((1, 4)), f.tensor((1, 4), name="y")
    f.op("HASHTABLE_LOOKUP", [x], [y])
    refused(f.bytes([x], [y]), "HASHTABLE_LOOKUP")
    refused(b"", "TFLite")
    refused(b"TFL3" * 10, "TFLite")
    refused(network()[:-40])


def test_signature_is_chosen_by_its_key():
    assert outputs(load_tflite(network(), signature="serving_default"), rand(1, 9, 8, 3))[0].shape == (1, 4)
    with pytest.raises(ValueError, match="serving_default"):
        load_tflite(network(), signature="other")
    with pytest.raises(ValueError, match="exact"):
        load_tflite(network(), exact="lite")


def test_missing_parts_are_refused():
    f = File()
    x = f.tensor((2, 3))
    f.op("ADD", [x, x], [], "AddOptions")
    refused(f.bytes([x], [x]), "ADD", "0 outputs")
    f = File()
    x, y = f.tensor((2, 3)), f.tensor((2, 3, 1), name="y")
    f.op("EXPAND_DIMS", [x, f.tensor(data=np.zeros(0, "int32"))], [y])
    refused(f.bytes([x], [y]), "EXPAND_DIMS")
