"""Layers in integers that stand alone: against int64 arithmetic in NumPy, the quantised model and their own states."""

import copy

import numpy as np
import pytest

import miniten as mt
from miniten import nn
from miniten.edge import QuantizedConv2d, QuantizedGRU, QuantizedLinear, QuantizedLSTM, QuantizedRNN, quantize_model

RNG = np.random.default_rng(1)


def linear(bias=True):
    mt.manual_seed(0)
    return nn.Linear(10, 7, bias=bias), RNG.normal(size=(12, 10)).astype("float32")


def convolution(**options):
    mt.manual_seed(0)
    return nn.Conv2d(4, 6, 3, **options), RNG.normal(size=(2, 4, 9, 8)).astype("float32")


LAYERS = {
    "linear": (QuantizedLinear, linear), "linear without bias": (QuantizedLinear, lambda: linear(False)),
    "convolution": (QuantizedConv2d, convolution), "padded": (QuantizedConv2d, lambda: convolution(padding=1, stride=2, bias=False)),
    "grouped": (QuantizedConv2d, lambda: convolution(groups=2, dilation=(2, 1))),
}


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_the_quantised_models(name, dtype):
    kind, make = LAYERS[name]
    layer, x = make()
    q = kind.from_float(layer, calibration_data=x, activation_dtype=dtype)
    np.testing.assert_array_equal(q(x).numpy(), quantize_model(nn.Sequential(layer), calibration_data=x, activation_dtype=dtype)(x).numpy())
    assert np.abs(q(x).numpy() - layer(x).numpy()).max() < 0.05


@pytest.mark.parametrize("name", LAYERS)
def test_without_data_scales_are_found_at_run_time(name):
    kind, make = LAYERS[name]
    layer, x = make()
    q = kind.from_float(layer)
    assert "dynamic=True" in repr(q)
    model = nn.Sequential(layer)
    model(x)
    np.testing.assert_array_equal(q(x).numpy(), quantize_model(model, mode="dynamic")(x).numpy())
    for factor in (0.01, 100):
        assert np.abs(q(x * factor).numpy() - layer(x * factor).numpy()).max() < 0.05 * max(factor, 1)


def test_integers_are_numpys():
    layer, x = linear()
    q = QuantizedLinear.from_float(layer, input_scale=0.02, input_zero_point=3, output_scale=0.05, output_zero_point=-7)
    integers = np.clip(np.rint(x / np.float32(0.02)) + 3, -128, 127).astype("int8")
    y = q(integers)
    state = {k: v.numpy() for k, v in q.state_dict().items()}
    scale = np.abs(layer.weight.numpy()).max(1) / np.float32(127)
    np.testing.assert_array_equal(state["weight_scale"], scale)
    np.testing.assert_array_equal(state["weight"], np.rint(layer.weight.numpy() / scale[:, None]))
    np.testing.assert_array_equal(state["bias"], np.rint(layer.bias.numpy().astype("float64") / (np.float32(0.02) * scale).astype("float64")))
    sums = (integers.astype("int64") - 3) @ state["weight"].astype("int64").T + state["bias"]
    want = np.clip(np.rint(sums.astype("float32") * (np.float32(0.02) * scale / np.float32(0.05))) - 7, -128, 127)
    assert y.dtype == mt.int8
    np.testing.assert_array_equal(y.numpy(), want)
    np.testing.assert_array_equal(q(x).numpy(), (want - -7).astype("float32") * np.float32(0.05))


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_states_load_into_a_layer_made_by_hand(name, dynamic):
    kind, make = LAYERS[name]
    layer, x = make()
    q = kind.from_float(layer, calibration_data=None if dynamic else x)
    bias = "bias" in q.state_dict()
    if kind is QuantizedLinear:
        other = QuantizedLinear(10, 7, bias=bias, dynamic=dynamic)
    else:
        other = QuantizedConv2d(4, 6, 3, stride=layer.stride, padding=layer.padding, dilation=layer.dilation, groups=layer.groups, bias=bias, dynamic=dynamic)
    other.load_state_dict(q.state_dict())
    np.testing.assert_array_equal(other(x).numpy(), q(x).numpy())
    np.testing.assert_array_equal(copy.deepcopy(q)(x).numpy(), q(x).numpy())
    assert repr(other) == repr(q)


def test_layers_stand_in_models_and_files(tmp_path):
    layer, x = convolution(padding=1)
    q = QuantizedConv2d.from_float(layer, calibration_data=x)
    model = nn.Sequential(q, nn.ReLU())
    want = model(x).numpy()
    np.testing.assert_array_equal(mt.compile(model, x.shape)(x).numpy(), want)
    model.save(tmp_path / "m.npz")
    np.testing.assert_array_equal(mt.load(tmp_path / "m.npz")(x).numpy(), want)
    assert "qconv2d" in mt.trace(model, x.shape).to_text()


def test_representations():
    layer, x = convolution(groups=2)
    assert repr(QuantizedLinear(3, 4, dynamic=True)) == "QuantizedLinear(in_features=3, out_features=4, bias=True, dynamic=True)"
    text = repr(QuantizedConv2d.from_float(layer, input_scale=0.5, output_scale=0.25, output_zero_point=4))
    assert text == "QuantizedConv2d(4, 6, kernel_size=(3, 3), stride=(1, 1), groups=2, bias=True, input=0.5*(q-0), output=0.25*(q-4))"


def test_refusals():
    layer, x = linear()
    with pytest.raises(ValueError, match="scales or calibration data"):
        QuantizedLinear.from_float(layer, calibration_data=x, input_scale=1.0, output_scale=1.0)
    with pytest.raises(ValueError, match="input_scale and output_scale"):
        QuantizedLinear.from_float(layer, input_scale=1.0)
    with pytest.raises(ValueError, match="scales above 0"):
        QuantizedLinear.from_float(layer, input_scale=0.0, output_scale=1.0)
    with pytest.raises(ValueError, match="zero points within int8"):
        QuantizedLinear.from_float(layer, input_scale=1.0, input_zero_point=200, output_scale=1.0)
    with pytest.raises(NotImplementedError, match="int8 or uint8"):
        QuantizedLinear(3, 4, activation_dtype="int16")
    q = QuantizedLinear.from_float(layer, calibration_data=x)
    with pytest.raises(TypeError, match="floats or int8"):
        q(np.zeros((2, 10), "int32"))
    with pytest.raises(ValueError, match="inner sizes"):
        q(np.zeros((2, 9), "float32"))
    with pytest.raises(ValueError, match="one input"):
        q(x, x)
    with pytest.raises(TypeError):
        QuantizedLinear.from_float(nn.ReLU())
    layer.load_state_dict({"weight": np.full((7, 10), np.nan, "float32"), "bias": np.zeros(7, "float32")})
    with pytest.raises(ValueError, match="finite weights"):
        QuantizedLinear.from_float(layer)


# ---- recurrent layers ----
RECURRENT = {
    "lstm": (QuantizedLSTM, lambda **o: nn.LSTM(6, 12, **o)), "gru": (QuantizedGRU, lambda **o: nn.GRU(6, 12, **o)), "rnn": (QuantizedRNN, lambda **o: nn.RNN(6, 12, **o)),
    "relu": (QuantizedRNN, lambda **o: nn.RNN(6, 12, nonlinearity="relu", **o)),
}


def states_of(state):
    return [s.numpy() for s in state] if isinstance(state, tuple) else [state.numpy()]


def noise_db(want, got):
    return 10 * np.log10((want.astype("float64") ** 2).sum() / ((want.astype("float64") - got) ** 2).sum())


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"batch_first": True, "bias": False}], ids=str)
@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_layers_stand_alone(name, options):
    kind, make = RECURRENT[name]
    mt.manual_seed(1)
    layer = make(**options).eval()
    x = RNG.normal(size=(9, 5, 6)).astype("float32")
    q = kind.from_float(layer, calibration_data=[x, x * 0.5])
    assert type(q) is kind and all(t.numpy().dtype == np.int8 for n, t in q.state_dict().items() if "weight_" in n and n.endswith(("_ih", "_hh")))
    for steps in (9, 4, 1):                                      # any number of steps
        part = x[:, :steps] if options.get("batch_first") else x[:steps]
        (want, state), (got, own) = layer(part), q(part)
        assert got.shape == want.shape and noise_db(want.numpy(), got.numpy()) > 28
        assert all(noise_db(a, b) > 28 for a, b in zip(states_of(state), states_of(own), strict=True))
    base, out = mt.cpu_info()["isa"], q(x)[0].numpy().tobytes()
    try:
        for isa in mt.cpu_info()["available_isas"]:
            mt.set_isa(isa)
            assert q(x)[0].numpy().tobytes() == out
    finally:
        mt.set_isa(base)


@pytest.mark.parametrize("name", RECURRENT)
def test_streams_equal_whole_sequences(name):
    kind, make = RECURRENT[name]
    mt.manual_seed(1)
    q = kind.from_float(make(num_layers=2).eval(), calibration_data=RNG.normal(size=(7, 4, 6)).astype("float32"))
    x = RNG.normal(size=(7, 3, 6)).astype("float32")
    whole, last = q(x)
    state, outputs = None, []
    for step in x:
        y, state = q.step(step, state)
        outputs.append(y.numpy())
    assert np.array_equal(np.stack(outputs), whole.numpy())
    assert all(np.array_equal(a, b) for a, b in zip(states_of(state), states_of(last), strict=True))
    first, middle = q(x[:4])
    assert np.array_equal(q(x[4:], middle)[0].numpy(), whole.numpy()[4:])


def test_a_recurrent_layer_is_near_the_quantised_models_and_as_small():
    mt.manual_seed(1)
    layer = nn.LSTM(32, 64, batch_first=True).eval()
    x = RNG.normal(size=(16, 10, 32)).astype("float32")
    want = layer(x)[0].numpy()
    alone = noise_db(want, QuantizedLSTM.from_float(layer, calibration_data=x)(x)[0].numpy())
    whole = noise_db(want, quantize_model(layer, dtype="int16x8", calibration_data=x)(x)[0].numpy())
    assert alone > whole - 1
    small = noise_db(want, QuantizedLSTM.from_float(layer, calibration_data=x, activation_dtype="int8")(x)[0].numpy())
    assert small < alone
    dynamic = QuantizedLSTM.from_float(layer)
    assert noise_db(want, dynamic(x)[0].numpy()) > 25 and noise_db(layer(x * 3)[0].numpy(), dynamic(x * 3)[0].numpy()) > 25
    copied = copy.deepcopy(dynamic)
    assert np.array_equal(copied(x)[0].numpy(), dynamic(x)[0].numpy())


def test_recurrent_refusals():
    mt.manual_seed(1)
    layer = nn.LSTM(6, 12, bidirectional=True)
    q = QuantizedLSTM.from_float(layer)
    with pytest.raises(ValueError, match="QuantizedLSTM.*input"):
        q(np.zeros((3, 2, 5), "float32"))
    with pytest.raises(ValueError, match="states h and c"):
        q(np.zeros((3, 2, 6), "float32"), np.zeros((2, 2, 12), "float32"))
    with pytest.raises(ValueError, match="one direction"):
        q.step(np.zeros((2, 6), "float32"))
    with pytest.raises(ValueError, match="at least one calibration batch"):
        QuantizedLSTM.from_float(layer, calibration_data=[])
    with pytest.raises(TypeError):
        QuantizedLSTM.from_float(nn.GRU(6, 12))
