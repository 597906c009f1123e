"""Settings of their own for some layers: by name, op and number."""

import json

import numpy as np
import pytest

import miniten as mt
from miniten import nn
from miniten.edge import QuantizationConfig, compare_quantized, prepare_qat, quantize_model
from miniten.edge.quantization import QuantizationFix


def noise_db(want, got):
    want, got = np.asarray(want, "float64"), np.asarray(got, "float64")
    return 10 * np.log10((want**2).sum() / max(((want - got) ** 2).sum(), 1e-300))


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.body = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = nn.functional.relu(self.stem(x))
        x = nn.functional.relu(x + self.body(x))
        return self.head(x.mean((2, 3)))


@pytest.fixture(scope="module")
def net():
    mt.manual_seed(0)
    return Net().eval()


X = normal(16, 3, 8, 8)


def dtypes(q):
    return {r.layer: r.dtype for r in q.report().rows if "conv" in r.op or "matmul" in r.op}


@pytest.mark.parametrize("layers, changed", [("body.*", {"body.0", "body.2"}), ("body", {"body.0", "body.2"}), ("conv2d", {"stem", "body.0", "body.2"}),
                                             (0, {"stem"}), (-1, {"head"}), (1, {"body.0"}), ("#1", {"body.0"}), ("head", {"head"})])
def test_a_wider_layer(net, layers, changed):
    plain = quantize_model(net, calibration_data=X)
    q = quantize_model(net, calibration_data=X, overrides={layers: {"dtype": "int16"}})
    assert dtypes(q) == {name: "int16" if name in changed else "int8" for name in dtypes(plain)}
    assert all(r.reason == "" for r in q.report().rows)
    weights = {n: t.dtype for n, t in q.state_dict().items() if n.endswith("weight")}
    assert {n.removesuffix("/weight").replace("/", ".") for n, t in weights.items() if str(t).endswith("int16")} == changed
    assert noise_db(net(X).numpy(), q(X).numpy()) > 25
    session = mt.compile(q, X.shape)
    assert session(X).numpy().tobytes() == q(X).numpy().tobytes()


def test_more_bits_in_more_layers_are_nearer(net):
    want = net(X).numpy()
    db = [noise_db(want, quantize_model(net, calibration_data=X, overrides=o)(X).numpy())
          for o in ({}, {"conv2d": {"dtype": "int16"}}, {"conv2d": {"dtype": "int16"}, "head": {"dtype": "int16"}})]
    assert db[0] < db[1] and db[1] + 6 < db[2], db
    whole = quantize_model(net, dtype="int16", calibration_data=X, overrides={"conv2d": {"dtype": "int8"}})
    assert dtypes(whole) == {"stem": "int8", "body.0": "int8", "body.2": "int8", "head": "int16"}
    assert noise_db(want, whole(X).numpy()) > 25


def test_later_ones_win_and_the_report_tells(net, tmp_path):
    overrides = {"conv2d": {"dtype": "int16x8", "method": "mse", "skip": True}, "body.2": {"per_channel": False, "skip": False}}
    q = quantize_model(net, QuantizationConfig(overrides=overrides), calibration_data=X)
    rows = {r.layer: r for r in q.report().rows if r.op == "conv2d"}
    assert rows["body.2"].dtype == "int16" and rows["stem"].dtype == rows["body.0"].dtype == "float32"
    assert rows["stem"].reason == 'skipped by "conv2d"'
    assert q.report().config.overrides == overrides
    assert json.loads(q.report().to_json())["config"]["overrides"][1] == {"layers": "body.2", "per_channel": False, "skip": False}
    q.save(tmp_path / "q.npz")
    again = mt.load(tmp_path / "q.npz")
    assert again.report().config.overrides == overrides and again(X).numpy().tobytes() == q(X).numpy().tobytes()


def test_a_scale_for_all_channels(net):
    q = quantize_model(net, calibration_data=X, overrides={"body.0": {"per_channel": False}, "head": {"activation_symmetric": True}})
    scales = {n: t.numpy() for n, t in q.state_dict().items() if n.endswith("scale")}
    one, many = (next(v for n, v in scales.items() if f"body/{i}/weight" in n) for i in (0, 2))
    assert np.unique(one).size == 1 < np.unique(many).size
    assert q.report().config.overrides["head"] == {"activation_symmetric": True}


def test_calibration_by_layer(net):
    x = X.copy()
    x[0, 0, 0, 0] = 400                             # one value stretches every range
    plain, clipped = (quantize_model(net, calibration_data=x, overrides=o) for o in ({}, {"stem": {"method": "percentile", "percentile": 99.0}}))
    scale = {which: {r.layer: r.output_scale for r in q.report().rows if r.op == "conv2d"} for which, q in (("plain", plain), ("clipped", clipped))}
    assert scale["clipped"]["stem"] < scale["plain"]["stem"] / 4
    assert scale["clipped"]["body.0"] == scale["plain"]["body.0"]


def test_weights_alone_in_one_layer(net):
    q = quantize_model(net, calibration_data=X, overrides={"head": {"dtype": "int4"}, "body.0": {"mode": "weight_only"}})
    assert dtypes(q) == {"stem": "int8", "body.0": "float32, weights int8", "body.2": "int8", "head": "float32, weights int4"}
    ops = set(mt.compile(q, X.shape).graph.ops)
    assert {"matmul_blocks", "conv2d", "qconv2d"} <= ops
    assert noise_db(net(X).numpy(), q(X).numpy()) > 12
    dynamic = quantize_model(net, overrides={"body.0": {"mode": "weight_only"}, "head": {"dtype": "int16"}})
    dynamic(X)
    assert dtypes(dynamic) == {"stem": "uint8", "body.0": "float32, weights int8", "body.2": "uint8", "head": "int16"}


def test_what_is_skipped_stays_float_when_compiled(net, tmp_path):
    q = quantize_model(net, calibration_data=X, skip=["add"])
    assert [r.dtype for r in q.report().rows if r.op == "add"] == ["float32"]
    q.save(tmp_path / "q.npz")
    for model in (q, mt.load(tmp_path / "q.npz")):
        ops = mt.compile(model, X.shape).graph.ops
        assert "add" in ops and "qadd" not in ops
    assert quantize_model(net, calibration_data=X, skip=[-1]).report().rows[-1].dtype == "float32"


class Sequence(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(6, 12, batch_first=True)
        self.head = nn.Linear(12, 4)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


def test_recurrent_states_have_sixteen_bits_unless_told():
    mt.manual_seed(1)
    net, x = Sequence().eval(), normal(16, 9, 6)
    want = net(x).numpy()
    q = quantize_model(net, calibration_data=x)
    small = quantize_model(net, calibration_data=x, overrides={"recurrent": {"activation_dtype": "int8"}})
    assert dtypes(q)["lstm"] == "int16" and dtypes(q)["head"] == "int8" and dtypes(small)["lstm"] == "int8"
    floats = [quantize_model(net, calibration_data=x, skip=["head"], overrides=o)(x).numpy() for o in ({}, {"lstm": {"activation_dtype": "int8"}})]
    assert noise_db(want, floats[0]) > noise_db(want, floats[1]) + 6
    assert q.size_bytes() < small.size_bytes() * 1.2
    stored = quantize_model(net, calibration_data=x, overrides={0: {"dtype": "int4"}})
    assert dtypes(stored)["head"] == "int8" and any(r.op == "recurrent" and r.dtype == "float32, weights int4" for r in stored.report().rows)


def test_the_doctor_keeps_overrides(net):
    overrides = {"body.0": {"dtype": "int16"}, "head": {"dtype": "int4"}}
    q = quantize_model(net, calibration_data=X, overrides=overrides)
    report = compare_quantized(net, q, X)
    at = {r.layer: r for r in report.rows if r.op in ("conv2d", "matmul")}
    assert at["body.0"].sqnr_db > at["body.2"].sqnr_db + 6
    fixed = report.apply(QuantizationFix("float", "stem"))
    assert dtypes(fixed) == {**dtypes(q), "stem": "float32"} and fixed.report().config.overrides == overrides


@pytest.mark.parametrize("overrides, error, text", [
    ({"tail": {"dtype": "int16"}}, ValueError, "match a layer.*tail.*stem"),
    ({9: {"skip": True}}, IndexError, "-4 to 3"),
    ({"stem": {"dtype": "int7"}}, ValueError, "int7"),
    ({"stem": {"activation_dtype": "float32"}}, NotImplementedError, "float32"),
    ({"stem": {"method": "guess"}}, ValueError, "guess"),
    ({"stem": {"mode": "dynamic"}}, NotImplementedError, "dynamic"),
    ({"stem": {"per_channel": 1}}, TypeError, "per_channel.*True or False"),
    ({"stem": {"colour": "red"}}, TypeError, "colour"),
    ({"stem": "int16"}, TypeError, "dict"),
    ({2.5: {}}, TypeError, "patterns or numbers"),
    ([("stem", {})], TypeError, "dict"),
    ({"stem": {"symmetric": False}}, NotImplementedError, "symmetric"),
])
def test_errors(net, overrides, error, text):
    with pytest.raises(error, match=text):
        quantize_model(net, calibration_data=X, overrides=overrides)


def test_training_takes_settings_by_layer(net):
    prepared = prepare_qat(net, calibration_data=X, overrides={"stem": {"dtype": "int16"}}).eval()
    integers = prepared.convert()
    assert next(r.dtype for r in integers.report().rows if r.layer == "stem") == "int16"
    assert prepared(X).numpy().tobytes() == integers(X).numpy().tobytes()


# ---- fallback ----
def test_layers_that_are_slower_in_integers_stay_float(net):
    """A product with few, long rows is read from memory: int8 wins; tables and additions that are tiny may lose."""
    q = quantize_model(net, calibration_data=X, fallback="auto")
    told = q.report().fallback
    slow = {r.layer for r in q.report().rows if r.reason.startswith("slower in integers")}
    assert slow == {p.removeprefix("=") for p in told} and q.report().config.fallback == "auto"
    again = quantize_model(net, calibration_data=X, skip=told)
    assert again(X).numpy().tobytes() == q(X).numpy().tobytes()
    assert {r.layer: r.dtype for r in again.report().rows} == {r.layer: r.dtype for r in q.report().rows}


def test_a_recurrent_layer_of_many_small_steps_falls_back():
    """One fused float kernel against a chain of integer ops for each step: there is no doubt which is faster."""
    mt.manual_seed(1)
    net, x = Sequence().eval(), normal(4, 60, 6)
    threads = mt.get_num_threads()
    try:
        mt.set_num_threads(1)
        q = quantize_model(net, calibration_data=x, fallback="auto")
    finally:
        mt.set_num_threads(threads)
    assert "=lstm" in q.report().fallback, q.report()
    row = next(r for r in q.report().rows if r.op == "recurrent")
    assert row.layer == "lstm" and row.dtype == "float32" and row.reason.startswith("slower in integers")
    assert "recurrent" in q.graph.ops and json.loads(q.report().to_json())["fallback"] == q.report().fallback


def test_what_fallback_takes(net):
    with pytest.raises(ValueError, match="auto"):
        quantize_model(net, calibration_data=X, fallback="always")
    with pytest.raises(NotImplementedError, match="weight_only"):
        quantize_model(net, mode="weight_only", fallback="auto")
    net(X)
    assert quantize_model(net, fallback="auto").report().mode == "dynamic"
