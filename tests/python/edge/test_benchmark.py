"""Measurements: statistics against NumPy on the latencies themselves, keys, and that every byte is seen. No test asserts an absolute time."""

import json
import subprocess
import sys

import numpy as np
import pytest
from nets import SMALL_SHAPE, fresh_net, images, same_snapshot, small_net, snapshot

import miniten as mt
from miniten import edge, nn

KEYS = ["mean_latency_ms", "std_latency_ms", "min_latency_ms", "max_latency_ms", "median_latency_ms", "p95_latency_ms", "p99_latency_ms", "throughput_fps", "num_runs"]


@pytest.mark.parametrize("runs", [1, 2, 7, 100])
def test_statistics_equal_numpy(runs):
    r = edge.benchmark_model(small_net(), SMALL_SHAPE, num_runs=runs, warmup_runs=3)
    v = np.array(r["latencies_ms"])
    assert set(KEYS) <= set(r) and r["num_runs"] == runs == len(v) and (v > 0).all() and r["warmup_runs"] == 3
    close = lambda key, value: np.testing.assert_allclose(r[key], value, rtol=1e-12, atol=1e-15)  # noqa: E731
    close("mean_latency_ms", v.mean())
    close("std_latency_ms", v.std())
    close("min_latency_ms", v.min())
    close("max_latency_ms", v.max())
    close("median_latency_ms", np.median(v))
    close("p95_latency_ms", np.percentile(v, 95))
    close("p99_latency_ms", np.percentile(v, 99))
    close("throughput_fps", 1000 / v.mean())


def test_defaults_and_positions():
    r = edge.benchmark_model(small_net(), SMALL_SHAPE)
    assert r["num_runs"] == 100 and r["warmup_runs"] == 10
    r = edge.benchmark_model(small_net(), SMALL_SHAPE, 5, 0)
    assert r["num_runs"] == 5 and r["warmup_runs"] == 0
    assert edge.benchmark_layer(nn.Linear(3, 2), (4, 3), num_runs=2)["num_runs"] == 2
    assert edge.benchmark_model(small_net(), SMALL_SHAPE, num_runs=2, threads=1)["threads"] == 1


def test_more_work_takes_longer():
    """Measured in turn in one process: the shares tell, not the milliseconds."""
    small, large = nn.Linear(16, 16), nn.Linear(2048, 2048)
    a, b = edge.compare_models([nn.Sequential(small), nn.Sequential(nn.Linear(16, 2048), large, nn.Linear(2048, 16))], (8, 16), ["small", "large"], num_runs=15)
    assert a["label"] == "small" and b["label"] == "large" and b["latency_ms"] > a["latency_ms"]


def test_what_is_no_model_is_refused():
    class NotAModel:
        pass

    for thing in (NotAModel(), None, np.zeros(3), "model"):
        for ask in (edge.benchmark_model, edge.latency_test, edge.throughput_test, edge.soak_test, edge.memory_benchmark, edge.profile_by_layer, edge.BenchmarkReport):
            with pytest.raises(TypeError):
                ask(thing, SMALL_SHAPE)
        with pytest.raises(TypeError, match="Module"):
            edge.compare_models([small_net(), thing], SMALL_SHAPE)
    for ask in (edge.memory_benchmark, edge.profile_by_layer, edge.BenchmarkReport):  # a callable has no layers and no arena
        with pytest.raises(TypeError, match="Module"):
            ask(lambda x: x, SMALL_SHAPE)


@pytest.mark.parametrize(
    "call",
    [
        lambda: edge.benchmark_model(small_net(), SMALL_SHAPE, num_runs=0),
        lambda: edge.benchmark_model(small_net(), SMALL_SHAPE, num_runs=-3),
        lambda: edge.benchmark_model(small_net(), SMALL_SHAPE, warmup_runs=-1),
        lambda: edge.benchmark_model(small_net(), SMALL_SHAPE, threads=-1),
        lambda: edge.benchmark_model(small_net(), (1, 3, 8, 8), num_runs=1),
        lambda: edge.benchmark_model(small_net(), (1, 8, 8), num_runs=1),
        lambda: edge.benchmark_model(small_net(), (1, 1, -8, 8), num_runs=1),
        lambda: edge.benchmark_model(fresh_net(), num_runs=1),
        lambda: edge.latency_test(small_net(), SMALL_SHAPE, target_latency_ms=0),
        lambda: edge.latency_test(small_net(), SMALL_SHAPE, target_latency_ms=float("nan")),
        lambda: edge.latency_test(small_net(), SMALL_SHAPE, percentile=101),
        lambda: edge.throughput_test(small_net(), SMALL_SHAPE, duration_seconds=0),
        lambda: edge.throughput_test(small_net(), SMALL_SHAPE, duration_seconds=float("inf")),
        lambda: edge.compare_models([small_net()], SMALL_SHAPE, labels=["a", "b"]),
        lambda: edge.profile_by_layer(small_net(), SMALL_SHAPE, num_runs=0),
        lambda: edge.BenchmarkReport(small_net(), SMALL_SHAPE, num_runs=0),
    ],
)
def test_wrong_numbers_are_refused(call):
    with pytest.raises(ValueError, match=r"^\["):
        call()


def test_empty_batches_run():
    assert edge.benchmark_model(small_net(), (0, 1, 8, 8), num_runs=3)["num_runs"] == 3


def test_latency_test():
    r = edge.latency_test(small_net(), SMALL_SHAPE, target_latency_ms=1e6, num_runs=5)
    assert {"passes", "actual_latency_ms", "target_latency_ms", "margin_ms"} <= set(r)
    assert r["passes"] is True and r["target_latency_ms"] == 1e6 and r["margin_ms"] == r["target_latency_ms"] - r["actual_latency_ms"]
    assert edge.latency_test(small_net(), SMALL_SHAPE, target_latency_ms=1e-9, num_runs=5)["passes"] is False
    assert edge.latency_test(small_net(), SMALL_SHAPE, num_runs=5)["target_latency_ms"] == 10


def test_throughput_test():
    r = edge.throughput_test(small_net(), SMALL_SHAPE, duration_seconds=0.05)
    assert {"total_inferences", "duration_seconds", "throughput_fps", "latency_ms"} <= set(r)
    assert r["duration_seconds"] >= 0.05 and r["total_inferences"] >= 1 and r["batch"] == 1
    four = edge.throughput_test(small_net(), (4, 1, 8, 8), duration_seconds=0.05, threads=1)
    assert four["batch"] == 4 and four["threads"] == 1 and four["samples_per_second"] == pytest.approx(4 * four["throughput_fps"])
    assert r["throughput_fps"] == pytest.approx(r["total_inferences"] / r["duration_seconds"]) and r["latency_ms"] == pytest.approx(1000 / r["throughput_fps"])


def test_memory_sees_native_buffers():
    """32 MB of weights that no Python allocator knows of are resident: tracemalloc alone was blind to them. In a process of its own:
    this one's heap may hold enough free memory to need no more."""
    code = """
import json
import miniten as mt
from miniten import edge, nn
net = nn.Sequential(nn.Linear(2048, 2048), nn.Linear(2048, 2048))
large = edge.memory_benchmark(net, (4, 2048))
arena = mt.compile(net, (4, 2048)).arena_bytes
del net
print(json.dumps([large, arena, edge.memory_benchmark(nn.Linear(2, 2), (1, 2))]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    large, arena, small = json.loads(done.stdout)
    assert {"current_memory_mb", "peak_memory_mb"} <= set(large)
    assert large["peak_memory_mb"] >= large["current_memory_mb"] >= 32 and large["weight_bytes"] >= 2 * 2048 * 2048 * 4
    assert large["peak_memory_mb"] - large["start_memory_mb"] >= 30  # the packed weights of the compiled model
    assert large["arena_bytes"] == arena == large["measured_arena_bytes"]
    assert small["peak_memory_mb"] - small["start_memory_mb"] < 20  # the mark falls again


def test_scratch_is_part_of_the_arena():
    x = (1, 64, 12, 12)
    plain, wino = nn.Sequential(nn.ReLU()), nn.Sequential(nn.Conv2d(64, 64, 3, padding=1))
    assert edge.memory_benchmark(plain, x)["scratch_bytes"] == 0
    m = edge.memory_benchmark(wino, x)
    assert 0 < m["scratch_bytes"] < m["arena_bytes"]


def test_compare_models():
    net = small_net()
    q = edge.quantize_model(net, calibration_data=images(16, 1))
    rows = edge.compare_models([net, q], SMALL_SHAPE, num_runs=6)
    assert [r["label"] for r in rows] == ["model_0", "model_1"]
    assert all({"label", "latency_ms", "throughput_fps", "peak_memory_mb"} <= set(r) and r["num_runs"] == 6 for r in rows)
    assert rows[1]["peak_memory_mb"] < rows[0]["peak_memory_mb"]
    assert rows[0]["latency_ms"] == pytest.approx(np.median(rows[0]["latencies_ms"]))
    assert [r["label"] for r in edge.compare_models({"float": net, "int8": q}, SMALL_SHAPE, num_runs=2)] == ["float", "int8"]
    assert edge.compare_models([], SMALL_SHAPE) == []


def test_profile_by_layer():
    net = small_net()
    rows = edge.profile_by_layer(net, SMALL_SHAPE)
    assert all({"layer_index", "layer_type", "input_shape", "output_shape", "latency_ms"} <= set(r) for r in rows)
    assert [r["layer_index"] for r in rows] == list(range(len(rows))) and all(r["latency_ms"] > 0 for r in rows)
    assert sum(r["macs"] for r in rows) == edge.count_flops(net, SMALL_SHAPE)["total_macs"]
    by_layer = {r["layer"]: r for r in rows}
    assert by_layer["0"]["layer_type"] == "Conv2d" and by_layer["0"]["input_shape"] == (1, 1, 8, 8) and by_layer["0"]["output_shape"] == (1, 8, 8, 8)
    assert by_layer["7"]["layer_type"] == "Linear" and by_layer["7"]["output_shape"] == (1, 4)


def test_layers_sum_to_the_whole():
    """Within 5 % where nothing else runs: of several tries one is enough on a machine that is busy."""
    net = nn.Sequential(nn.Conv2d(16, 48, 3, padding=1), nn.ReLU(), nn.Conv2d(48, 48, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(48, 64, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64 * 256, 32)).eval()
    ratios = []
    for _ in range(20):
        layers = sum(r["latency_ms"] for r in edge.profile_by_layer(net, (1, 16, 32, 32), num_runs=30))
        ratios.append(layers / edge.benchmark_model(net, (1, 16, 32, 32), num_runs=30, threads=1)["median_latency_ms"])
        if abs(ratios[-1] - 1) <= 0.05:
            return
    raise AssertionError(ratios)


def test_report(tmp_path):
    report = edge.BenchmarkReport(small_net(), SMALL_SHAPE, num_runs=8)
    report.run_all()
    d = report.to_dict()
    assert set(d) == {"latency", "memory", "layers"} and set(KEYS) <= set(d["latency"]) and d["latency"]["num_runs"] == 8
    assert len(d["layers"]) == len(edge.profile_by_layer(small_net(), SMALL_SHAPE))
    assert "median" in report.summary() and "Conv2d" in report.summary() and str(report) == report.summary()
    assert report.to_dict() == d  # nothing is measured again
    path = tmp_path / "report.json"
    assert report.save(path) == path.stat().st_size and json.loads(path.read_text()) == d
    assert edge.BenchmarkReport(small_net(), SMALL_SHAPE, num_runs=2).to_dict()["latency"]["num_runs"] == 2  # runs by itself
    with pytest.raises(OSError, match="none"):
        report.save(tmp_path / "none" / "report.json")


def test_report_as_table_and_page(tmp_path):
    import csv
    import xml.etree.ElementTree as ElementTree

    report = edge.BenchmarkReport(small_net(), SMALL_SHAPE, num_runs=30)
    d = report.to_dict()
    rows = list(csv.DictReader(report.to_csv().splitlines()))
    assert [(r["layer"], r["op"], int(r["macs"]), float(r["latency_ms"])) for r in rows] == [(x["layer"], x["op"], x["macs"], x["latency_ms"]) for x in d["layers"]]
    assert rows[0]["output_shape"] == str(tuple(d["layers"][0]["output_shape"]))
    page = report.to_html()
    assert page.count("<svg") == 4 and "<script" not in page and "src=" not in page
    for title in ("Distribution", "Timeline", "Layers", "Roofline"):
        assert title in page
    assert page.count("<tr>") == 8 + 1 + len(d["layers"])
    ElementTree.fromstring(page.partition("\n")[2].replace('<meta charset="utf-8">', ""))  # well formed
    for name, text in (("r.csv", report.to_csv()), ("r.html", page), ("r.txt", report.summary())):
        assert report.save(tmp_path / name) == len(text.encode()) and (tmp_path / name).read_bytes() == text.encode()
    with pytest.raises(ValueError, match=".html"):
        report.save(tmp_path / "r.pdf")
    assert not (tmp_path / "r.pdf").exists()


def test_measuring_changes_nothing():
    for net in (small_net().train(), edge.quantize_model(small_net()), edge.prune_model(small_net(), 0.5)):
        before = snapshot(net)
        edge.benchmark_model(net, SMALL_SHAPE, num_runs=2)
        edge.memory_benchmark(net, SMALL_SHAPE)
        edge.profile_by_layer(net, SMALL_SHAPE, num_runs=1)
        assert same_snapshot(before, snapshot(net))
    waiting = edge.prune_model(fresh_net(), 0.5)  # a measurement is no call: its shape stays unknown
    edge.benchmark_model(waiting, SMALL_SHAPE, num_runs=2)
    with pytest.raises(ValueError, match="call it once"):
        waiting.size_bytes()


def test_memory_does_not_grow_with_inferences():
    net = small_net()
    session = mt.compile(net, SMALL_SHAPE)
    x = images(1, 1)
    session(x)
    resident = lambda: int(open("/proc/self/statm").read().split()[1])  # noqa: E731
    for _ in range(200):
        session(x)
        net(x)
    before = resident()
    for _ in range(2000):
        session(x)
        net(x)
    assert resident() - before < 256  # pages
