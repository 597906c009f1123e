"""The doctor: figures against NumPy, every cause planted and found, every fix really applied."""

import html.parser
import json

import numpy as np
import pytest

import miniten as mt
from miniten import nn
from miniten.edge import compare_quantized, quantize_model
from miniten.edge.quantization import QuantizationFix

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(64, 3, 8, 8)).astype("float32")


def net(seed=0):
    mt.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 6)).eval()


def row(report, layer):
    return next(r for r in report.rows if r.layer == layer)


def causes(report, layer):
    return {f.cause: f for f in report.diagnose() if f.layer == layer}


def decibels(a, b):
    return 10 * np.log10((a.astype("float64") ** 2).sum() / ((a.astype("float64") - b) ** 2).sum())


def test_figures_are_numpys():
    model = net()
    q = quantize_model(model, calibration_data=IMAGES)
    report = compare_quantized(model, q, [IMAGES[:32], IMAGES[32:]])
    assert [r.layer for r in report.rows] == ["0", "2", "5"] and [r.form for r in report.rows] == ["qconv2d", "qconv2d", "qmatmul"]
    assert report.samples == 64
    want, got = model(IMAGES).numpy(), q(IMAGES).numpy()
    assert report.sqnr_db == pytest.approx(decibels(want, got), abs=1e-4)
    last = row(report, "5")
    assert last.cumulative_sqnr_db == pytest.approx(report.sqnr_db, abs=1e-6)
    cosine = (want * got).sum(dtype="float64") / np.sqrt((want**2).sum(dtype="float64") * (got**2).sum(dtype="float64"))
    assert last.cosine == pytest.approx(cosine, abs=1e-7)
    # the first layer alone: its input is the float model's in both
    first = row(report, "0")
    assert first.sqnr_db == pytest.approx(first.cumulative_sqnr_db)
    assert all(r.sqnr_db >= r.cumulative_sqnr_db - 1e-9 for r in report.rows)
    features = np.maximum(model[0](IMAGES).numpy(), 0)
    assert first.lo == features.min() and first.hi == features.max() and sum(first.histogram) == features.size
    np.testing.assert_array_equal(first.histogram, np.histogram(features, 64, (features.min(), features.max()))[0])
    assert first.deviation == pytest.approx(features.std(), rel=1e-5)
    assert first.saturation == 0 and first.unused_range < 0.01 and report.diagnose() == []


def test_a_layer_alone_reads_the_float_models_values():
    """The last layer in integers on float features, computed by hand."""
    model = net()
    q = quantize_model(model, calibration_data=IMAGES)
    report = compare_quantized(model, q, IMAGES)
    features = model[4](model[3](model[2](model[1](model[0](IMAGES)))))
    scales = {r.layer: r for r in q.report().rows}["5"]
    head = quantize_model(nn.Sequential(model[5]), calibration_data=features)
    want = model[5](features).numpy()
    step = scales.output_scale
    noise = 10 ** (-row(report, "5").sqnr_db / 10) * (want.astype("float64") ** 2).mean()
    alone = ((head(features).numpy() - want).astype("float64") ** 2).mean()
    assert noise == pytest.approx(alone, rel=0.15) and noise > step**2 / 12


def test_saturation_and_unused_range_are_counted():
    model = net()
    q = quantize_model(model, calibration_data=IMAGES)
    report = compare_quantized(model, q, IMAGES * 2)
    r = row(report, "0")
    features = np.maximum(model[0](IMAGES * 2).numpy(), 0)
    scale = next(x for x in q.report().rows if x.layer == "0").output_scale
    integers = np.rint(features / np.float32(scale)) - 128
    assert r.saturation == pytest.approx((integers > 127).mean(), abs=1e-12) and r.saturation > 0.001
    assert r.clip_lo == 0 and r.clip_hi == pytest.approx(255 * scale)
    half = row(compare_quantized(model, q, IMAGES * 0.25), "0")
    used = np.rint(np.maximum(model[0](IMAGES * 0.25).numpy(), 0) / np.float32(scale))
    assert half.unused_range == pytest.approx(1 - (used.max() - used.min() + 1) / 256)


@pytest.mark.parametrize("options", [{"mode": "dynamic"}, {"mode": "weight_only"}, {"skip": ["2"]}], ids=str)
def test_other_modes_are_compared_too(options):
    model = net()
    model(IMAGES[:2])
    q = quantize_model(model, calibration_data=IMAGES if "skip" in options else None, **options)
    report = compare_quantized(model, q, IMAGES)
    assert report.sqnr_db == pytest.approx(decibels(model(IMAGES).numpy(), q(IMAGES).numpy()), abs=1e-3)
    assert [r.layer for r in report.rows][0] == "0"
    if "skip" in options:
        assert row(report, "2").dtype == "float32" and row(report, "0").dtype == "int8"


# ---- causes ----
def test_an_outlier_channel_is_found_and_clipped():
    model = net()
    weight = model[0].weight.numpy().copy()
    weight[5] *= 60
    model[0].load_state_dict({"weight": weight, "bias": model[0].bias.numpy()})
    q = quantize_model(model, calibration_data=IMAGES)
    report = compare_quantized(model, q, IMAGES)
    found = causes(report, "0")["outlier channel"]
    assert row(report, "0").outlier_channels[0][0] == 5 and found.value == row(report, "0").outlier_channels[0][1] > 20
    assert [f.kind for f in found.fixes] == ["clip", "percentile", "float"]
    floats = compare_quantized(model, report.apply(found.fixes[2]), IMAGES)
    assert row(floats, "0").dtype == "float32" and row(floats, "0").sqnr_db == np.inf


def test_a_dead_range_is_found_and_taken_anew():
    model = net()
    q = quantize_model(model, calibration_data=IMAGES * 10)
    report = compare_quantized(model, q, IMAGES)
    found = causes(report, "2")["dead range"]
    assert found.value > 0.8 and found.fixes[0].kind == "recalibrate"
    better = report.apply(found.fixes[0])
    again = compare_quantized(model, better, IMAGES)
    assert row(again, "2").unused_range < 0.02 and row(again, "2").sqnr_db > row(report, "2").sqnr_db + 1
    before, after = ({r.layer: r.output_scale for r in m.report().rows} for m in (q, better))
    assert before["0"] == after["0"] and before["5"] == after["5"] and after["2"] < before["2"] / 5
    assert 'fixed "2"' in str(better.report())


def test_half_a_range_is_given_a_zero_point():
    model = net()
    q = quantize_model(model, calibration_data=IMAGES, activation_symmetric=True)
    report = compare_quantized(model, q, IMAGES)
    found = causes(report, "0")["dead range"]
    assert found.fixes[0].kind == "asymmetric"
    again = compare_quantized(model, report.apply(found.fixes[0]), IMAGES)
    assert row(again, "0").unused_range < 0.02 and row(again, "0").sqnr_db > row(report, "0").sqnr_db + 1


def test_a_bias_that_overflows_is_found():
    model = net()
    weight, bias = model[2].weight.numpy().copy(), model[2].bias.numpy().copy()
    weight[3] *= 1e-7
    bias[3] = 4
    model[2].load_state_dict({"weight": weight, "bias": bias})
    q = quantize_model(model, calibration_data=IMAGES)
    report = compare_quantized(model, q, IMAGES)
    found = causes(report, "2")["bias overflow"]
    assert found.value == row(report, "2").bias_ratio > 2 and row(report, "0").bias_ratio == pytest.approx(1)
    fixed = row(compare_quantized(model, report.apply(found.fixes[0]), IMAGES), "2")
    assert fixed.dtype == "float32" and fixed.bias_ratio == 1 and fixed.sqnr_db > row(report, "2").sqnr_db


class Sum(nn.Module):
    def __init__(self):
        super().__init__()
        mt.manual_seed(3)
        self.a, self.b = nn.Linear(6, 12, bias=False), nn.Linear(6, 12, bias=False)
        self.b.load_state_dict(self.a.state_dict())

    def forward(self, x, y):
        return mt.relu(self.a(x) + self.b(y))


def test_a_saturating_add_is_found_and_taken_anew():
    model = Sum().eval()
    x = RNG.normal(size=(256, 6)).astype("float32")
    model(x, x)
    q = quantize_model(model, calibration_data=[(x, -0.6 * x)])      # the terms nearly cancel
    data = [(x, 0.6 * x)]
    report = compare_quantized(model, q, data)
    name = next(r.layer for r in report.rows if r.form == "qadd")
    found = causes(report, name)["saturating add"]
    assert found.value == row(report, name).saturation > 0.05
    assert not any(f.layer in "ab" for f in report.diagnose())
    again = compare_quantized(model, report.apply(found.fixes[0]), data)
    assert row(again, name).saturation == 0 and row(again, name).sqnr_db > row(report, name).sqnr_db + 10


def test_clipped_values_are_found():
    model = net()
    report = compare_quantized(model, quantize_model(model, calibration_data=IMAGES * 0.2), IMAGES)
    found = causes(report, "0")["saturation"]
    assert found.value > 0.1
    assert row(compare_quantized(model, report.apply(found.fixes[0]), IMAGES), "0").saturation == 0


def test_a_wide_activation_is_found_and_clipped():
    model, data = net(), RNG.normal(size=(256, 3, 8, 8)).astype("float32")
    data[7, 0, 0, 0] = 2000
    q = quantize_model(model, calibration_data=data)
    report = compare_quantized(model, q, data)
    found = causes(report, "0")["wide activation"]
    assert found.value > 60 and found.fixes[0].kind == "percentile"
    fixed = report.apply(found.fixes[0])
    scale, rest = ({r.layer: r.output_scale for r in m.report().rows} for m in (q, fixed))
    assert rest["0"] < scale["0"] / 10 and rest["2"] == scale["2"]
    floats = compare_quantized(model, report.apply(found.fixes[2]), data)
    assert row(floats, "0").sqnr_db == np.inf


# ---- the report ----
def test_reports_agree_with_the_rows(tmp_path):
    model = net()
    report = compare_quantized(model, quantize_model(model, calibration_data=IMAGES * 10), IMAGES)
    j = json.loads(report.to_json())
    assert [r["layer"] for r in j["rows"]] == [r.layer for r in report.rows]
    assert [f["cause"] for f in j["findings"]] == [f.cause for f in report.diagnose()] and j["findings"][0]["fixes"]
    assert all(len(r["histogram"]) == 64 for r in j["rows"])
    text = str(report)
    assert "dead range" in text and "recalibrate" in text and len([x for x in text.splitlines() if x.startswith(("0 ", "2 ", "5 "))]) == 3
    page = report.to_html()
    tags = []
    parser = html.parser.HTMLParser()
    parser.handle_starttag = lambda tag, _: tags.append(tag)
    parser.feed(page)
    assert tags.count("svg") == 3 and "ends of the integers" in page and "<script" not in page


def test_converted_and_loaded_models_are_compared(tmp_path):
    model = net()
    q = quantize_model(model, calibration_data=IMAGES)
    want = compare_quantized(model, q, IMAGES).to_json()
    q.save(tmp_path / "q.npz")
    assert compare_quantized(model, mt.load(tmp_path / "q.npz"), IMAGES).to_json() == want
    prepared = mt.edge.prepare_qat(model, calibration_data=IMAGES)
    assert compare_quantized(model, mt.edge.convert(prepared), IMAGES).sqnr_db > 20


def test_refusals():
    model = net()
    q = quantize_model(model, calibration_data=IMAGES)
    report = compare_quantized(model, q, IMAGES)
    with pytest.raises(ValueError, match="a layer of the comparison"):
        report.apply(QuantizationFix("float", "nowhere"))
    with pytest.raises(ValueError, match="recalibrate, clip"):
        report.apply(QuantizationFix("magic", "0"))
    with pytest.raises(ValueError, match="at least one sample"):
        compare_quantized(model, q, [])
    with pytest.raises(ValueError, match="other names or shapes"):
        compare_quantized(nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), q, IMAGES)
    with pytest.raises(ValueError, match="NaN or infinity"):
        compare_quantized(model, q, IMAGES * np.nan)
    with pytest.raises(ValueError, match="a float model"):
        compare_quantized(q, q, IMAGES)
    model(IMAGES[:2])
    dynamic = compare_quantized(model, quantize_model(model), IMAGES)
    with pytest.raises(NotImplementedError, match="fixed by data"):
        dynamic.apply(QuantizationFix("clip", "0"))
    assert dynamic.apply(QuantizationFix("float", "0")).report().mode == "dynamic"
