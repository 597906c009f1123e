"""Devices, the probe and what follows from them: arithmetic by hand, predictions against measurements of nets that the probe never saw."""

import json

import numpy as np
import pytest
from nets import SMALL_SHAPE, Residual, images, same_snapshot, small_net, snapshot

import miniten as mt
from miniten import edge, nn


@pytest.fixture(scope="module")
def here():
    mt.manual_seed(5)
    before = mt.rand(3).numpy()
    mt.manual_seed(5)
    device = edge.probe()
    assert np.array_equal(mt.rand(3).numpy(), before), "a probe does not move the random numbers"
    return device


def test_the_table():
    assert len(edge.devices) == 20 and list(edge.devices) == sorted(edge.devices)
    for name, d in edge.devices.items():
        assert d.name == name and len(d.source) > 20 and d.chip and d.core and d.clock_mhz > 0 and not d.measured and d.error == 1
        assert set(d.macs_per_second) == {"float32", "int8"} and all(v > 0 for v in d.macs_per_second.values())
    f411 = edge.devices["stm32f411"]
    assert (f411.ram_kb, f411.flash_kb, f411.clock_mhz) == (128, 512, 100)
    assert f411.macs_per_second["int8"] == 2 * 100e6  # one SMLAD a cycle


def test_a_device_goes_through_json(here):
    for d in (edge.devices["esp32"], here):
        assert json.loads(edge.Device.from_json(d.to_json()).to_json()) == json.loads(d.to_json())
    good = json.loads(here.to_json())
    for change in ({"steps": {"conv2d": [[1, 2, 3]]}}, {"steps": {"conv2d": [[1, 2, 3, 4, 0]]}}, {"steps": {"conv2d": [[-1, 2, 3, 4, 1]]}}, {"steps": [1]}, {"macs_per_second": {"float32": 0, "int8": 1}}, {"macs_per_second": {"float32": 1}}, {"slowdown": {"*": -1}}, {"error": -1}, {"name": 3}):
        with pytest.raises(ValueError, match="device"):
            edge.Device.from_json(json.dumps({**good, **change}))
    for text in ("", "[]", "{}", "nonsense", "null"):
        with pytest.raises(ValueError, match="device"):
            edge.Device.from_json(text)


def test_the_probe_measures(here):
    assert here.measured and here.cores == 1 and 0 < here.error < 5 and here.core == mt.cpu_info()["isa"]
    assert here.macs_per_second["float32"] > 1e6 and here.bytes_per_second > 1e6 and 0 < here.step_seconds < 1
    assert {"*", "conv2d", "matmul", "qconv2d int8", "max_pool2d int8", "softmax"} <= set(here.slowdown) and all(v > 0 for v in here.slowdown.values())
    steps = json.loads(here.to_json())["steps"]
    for kind, rows in steps.items():  # a kind's figure is the mean of what was measured of it
        assert here.slowdown[kind] == pytest.approx(np.exp(np.mean(np.log([r[4] for r in rows]))))
    assert "leave one net out" in str(here)


def one_step(macs_per_second, **more):
    return edge.Device.from_json(json.dumps({"name": "made up", "macs_per_second": {"float32": macs_per_second, "int8": macs_per_second}, **more}))


def test_a_latency_by_hand():
    net = nn.Sequential(nn.Linear(100, 50, bias=False))
    flops = edge.count_flops(net, (4, 100))
    work = flops["total_macs"] + flops["elementwise_flops"] / 2
    assert flops["total_macs"] == 4 * 100 * 50
    device = one_step(1e6, slowdown={"*": 3.0}, step_seconds=0.25)
    steps = len(edge.profile_by_layer(net, (4, 100)))
    assert edge.estimate_latency(net, (4, 100), device)["latency_ms"] == pytest.approx(1000 * (3 * work / 1e6 + steps * 0.25))
    slow_memory = one_step(1e12, bytes_per_second=1000.0, slowdown={"*": 1.0})
    bytes_ = sum(row["bytes"] for row in edge.profile_by_layer(net, (4, 100)))
    assert bytes_ >= 4 * (4 * 100 + 100 * 50 + 4 * 50)
    assert edge.estimate_latency(net, (4, 100), slow_memory)["latency_ms"] == pytest.approx(1000 * bytes_ / 1000)


def test_predictions_are_means_over_the_steps_most_alike():
    net = nn.Sequential(nn.Linear(63, 31, bias=False))
    bare = edge.estimate_latency(net, (1, 63), one_step(1e6))["latency_ms"]
    at = lambda *steps: edge.estimate_latency(net, (1, 63), one_step(1e6, slowdown={"*": 7.0}, steps={"matmul": steps}))["latency_ms"] / bare  # noqa: E731
    same, far = [31, 63, 31, 0, 4.0], [31 * 64, 63, 31 * 64, 0, 100.0]
    assert at(same) == pytest.approx(4) and at(far) == pytest.approx(100) and at(same, far) == pytest.approx(4)
    assert at(same, [31, 63, 31, 0, 9.0]) == pytest.approx(6)  # equally near: the geometric mean
    near = at(same, [31, 126, 31, 0, 9.0])  # one octave away
    weight = np.exp(-1 / (2 * 0.7**2))
    assert near == pytest.approx(np.exp((np.log(4) + weight * np.log(9)) / (1 + weight)))
    relu = nn.Sequential(nn.ReLU())
    other = lambda **more: edge.estimate_latency(relu, (1, 63), one_step(1e6, **more))["latency_ms"]  # noqa: E731
    assert other(steps={"matmul": [same]}) == pytest.approx(4 * other())  # an op that was never measured: what is most alike of others
    assert other(steps={"matmul": [same]}, slowdown={"relu": 2.0}) == pytest.approx(2 * other())


def test_predictions_follow_measurements(here):
    """Of nets that the probe never saw, the predicted order and size: a machine that is busy doubles any single time."""
    nets = [(nn.Sequential(nn.Linear(64, 32)), (1, 64)), (small_net(), SMALL_SHAPE), (Residual().eval(), (1, 4, 24, 24)),
            (nn.Sequential(nn.Conv2d(16, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1)).eval(), (1, 16, 40, 40))]
    predicted = [edge.estimate_latency(net, shape, here)["latency_ms"] for net, shape in nets]
    measured = [edge.benchmark_model(net, shape, num_runs=60, threads=1)["min_latency_ms"] for net, shape in nets]
    assert predicted[3] > 5 * predicted[1] and predicted[3] > 5 * predicted[0]
    ratios = sorted(p / m for p, m in zip(predicted, measured))
    assert 0.2 < ratios[1] and ratios[2] < 5, (predicted, measured)
    assert "conv2d+" in here.slowdown  # Winograd's form is a kind of its own
    result = edge.estimate_latency(small_net(), SMALL_SHAPE, here)
    assert result["estimate"] is True and result["error"] == here.error and result["measured_device"] is True


def test_int8_is_predicted_by_its_own_rate():
    net = small_net()
    q = edge.quantize_model(net, calibration_data=images(16, 1))
    device = edge.devices["stm32f411"]
    assert edge.estimate_latency(q, SMALL_SHAPE, device)["latency_ms"] < edge.estimate_latency(net, SMALL_SHAPE, "stm32f411")["latency_ms"]


def test_battery_life_by_hand():
    net = small_net()
    device = "stm32f411"
    latency = edge.estimate_latency(net, SMALL_SHAPE, device)["latency_ms"] / 1000
    r = edge.battery_life(net, SMALL_SHAPE, device, 220, voltage=3.0, inferences_per_hour=100, sleep_watts=1e-5)
    busy = 100 * latency
    assert r["hours"] == pytest.approx(0.220 * 3.0 * 3600 / (busy * 0.033 + (3600 - busy) * 1e-5))
    assert r["energy_per_inference_mj"] == pytest.approx(latency * 1000 * 0.033) and r["duty_cycle"] == pytest.approx(busy / 3600) and r["error"] == 1
    assert edge.battery_life(net, SMALL_SHAPE, device, 220, watts=0.066)["hours"] == pytest.approx(edge.battery_life(net, SMALL_SHAPE, device, 220)["hours"] / 2)
    for bad in ({"capacity_mah": 0}, {"voltage": -1}, {"inferences_per_hour": 0}, {"inferences_per_hour": 1e9}, {"sleep_watts": -1}, {"watts": float("nan")}, {"capacity_mah": float("inf")}):
        with pytest.raises(ValueError, match="battery_life"):
            edge.battery_life(net, SMALL_SHAPE, device, **{"capacity_mah": 220, **bad})
    with pytest.raises(ValueError, match="watts="):
        edge.battery_life(net, SMALL_SHAPE, "raspberry_pi_pico", 220)


def test_unknown_devices_are_named():
    for ask in (edge.estimate_latency, edge.check_edge_compatibility):
        with pytest.raises(ValueError, match="the nearest name is stm32f411"):
            ask(small_net(), SMALL_SHAPE, "stm32f41")
        with pytest.raises(TypeError):
            ask(small_net(), SMALL_SHAPE, 3)


def test_a_device_is_a_set_of_limits():
    net = small_net()
    r = edge.check_edge_compatibility(net, SMALL_SHAPE, "arduino_zero")
    assert {c["name"]: c["limit"] for c in r["checks"]} == {"max_flash_kb": 256, "max_ram_kb": 32}
    assert r == {**edge.check_edge_compatibility(net, SMALL_SHAPE, edge.devices["arduino_zero"]), "fixes": r["fixes"]}
    with pytest.raises(ValueError, match="memory is known"):
        edge.check_edge_compatibility(net, SMALL_SHAPE, "intel_n100")


def test_a_fix_is_one_that_was_tried():
    net = nn.Sequential(nn.Linear(300, 300), nn.ReLU(), nn.Linear(300, 300))
    floats = edge.estimate_memory(net, (1, 300))["parameter_memory_bytes"] / 1024
    before = snapshot(net)
    r = edge.check_edge_compatibility(net, (1, 300), {"max_flash_kb": floats / 2})
    assert same_snapshot(before, snapshot(net))
    (fix,) = r["fixes"]
    assert r["passes_all"] is False and fix["passes_all"] is True and fix["name"] == "int8" and "which fits" in r["checks"][0]["fix"]
    smaller = fix["apply"](calibration_data=np.random.default_rng(0).normal(size=(8, 300)).astype("float32"))
    again = edge.check_edge_compatibility(smaller, (1, 300), {"max_flash_kb": floats / 2})
    assert again["passes_all"] and again["checks"][0]["actual"] == fix["checks"][0]["actual"] and again["fixes"] == []
    hopeless = edge.check_edge_compatibility(net, (1, 300), {"max_flash_kb": 1})
    assert hopeless["fixes"][0]["passes_all"] is False and "still too much" in hopeless["checks"][0]["fix"] and "does not fit" in hopeless["fixes"][0]["text"]
    assert edge.check_edge_compatibility(net, (1, 300))["fixes"] == []


@pytest.mark.parametrize("limits", [{"max_flash_kb": 3}, {"max_flops": 9e4}, {"max_parameters": 1500}], ids=str)
def test_channels_go_until_the_model_fits(limits):
    net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 24, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(24 * 16, 4)).eval()
    before = snapshot(net)
    r = edge.check_edge_compatibility(net, SMALL_SHAPE, limits)
    assert same_snapshot(before, snapshot(net)) and not r["passes_all"]
    fits = [f for f in r["fixes"] if f["passes_all"]]
    assert fits and r["fixes"][: len(fits)] == fits and any(f["layer"] == "" for f in fits) and any(f["layer"] for f in fits)
    x = np.random.default_rng(0).normal(size=(8, 1, 8, 8)).astype("float32")
    for fix in fits:
        small = fix["apply"](**({"calibration_data": x} if fix["int8"] else {}))
        again = edge.check_edge_compatibility(small, SMALL_SHAPE, limits)
        assert again["passes_all"] and again["checks"][0]["actual"] == fix["checks"][0]["actual"]
        assert f"{round(100 * fix['channels'])} % fewer channels" in fix["text"] and fix["text"].endswith(f"in {fix['layer']} fit" if fix["layer"] else "channels fit")
        if not fix["layer"] and not fix["int8"]:  # no less would do
            less = edge.prune_model(net, fix["channels"] - 0.01, "structured", input_shape=SMALL_SHAPE)
            assert not edge.check_edge_compatibility(less, SMALL_SHAPE, limits)["passes_all"]


def test_layers_know_their_share_of_the_roofline():
    rows = edge.profile_by_layer(small_net(), SMALL_SHAPE)
    for r in rows:
        assert r["bytes"] > 0 and r["roofline_ms"] > 0 and r["roofline_share"] == pytest.approx(r["roofline_ms"] / r["latency_ms"])
