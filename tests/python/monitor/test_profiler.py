"""Profilers: memory that is really there, timers that nest, ops by stage and layer, files that other programs read."""

import json
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import miniten as mt
from miniten.monitor import FLOPsCounter, MemoryProfiler, PerformanceProfiler, estimate_model_size, profile_function


def net():
    return mt.nn.Sequential(mt.nn.Conv2d(3, 8, 3, padding=1), mt.nn.BatchNorm2d(8), mt.nn.ReLU(), mt.nn.Flatten(), mt.nn.Linear(8 * 64, 4))


# In a process of its own: what a test run has mapped comes and goes by itself.
PEAKS = """
import json, mmap
import numpy as np
from miniten.monitor import MemoryProfiler

def touched(mb):
    block = mmap.mmap(-1, mb << 20)
    for page in range(0, len(block), 4096):
        block[page] = 1
    return block

p = MemoryProfiler()
p.start()
big = np.ones(100 << 20, np.uint8)
p.sample("big")
del big
first = p.stop()
p.start()
small = touched(20)
second = p.stop()
print(json.dumps([first, second, p.report()]))
"""


def test_peak_memory_falls_again_and_sees_native_buffers():
    first, second, report = json.loads(subprocess.run([sys.executable, "-c", PEAKS], capture_output=True, text=True, check=True).stdout)
    assert first["peak_memory_mb"] - first["start_memory_mb"] > 80 and first["samples"][0]["label"] == "big"
    if not second["peak_is_sampled"]:
        assert 10 < second["peak_memory_mb"] - second["start_memory_mb"] < 60
    assert second["memory_increase_mb"] == pytest.approx(second["end_memory_mb"] - second["start_memory_mb"])
    assert "peak" in report
    with pytest.raises(ValueError, match="call start"):
        MemoryProfiler().sample("late")


def test_memory_is_plotted(tmp_path):
    with MemoryProfiler() as p:
        p.sample("a")
    p.plot(tmp_path / "m.svg")
    texts = "".join(ET.parse(tmp_path / "m.svg").getroot().itertext())
    assert "resident" in texts and "peak" in texts and "seconds" in texts


def test_nested_timers_do_not_overwrite_each_other():
    p = PerformanceProfiler()
    with p.timer("epoch"):
        for _ in range(3):
            with p.timer("step"):
                time.sleep(0.002)
                with p.timer("step"):
                    pass
    assert [(r["path"], r["count"]) for r in p.tree()] == [("epoch", 1), ("epoch/step", 3), ("epoch/step/step", 3)]
    stats = p.stats()
    assert set(stats["step"]) == {"count", "total", "min", "max", "mean", "p50", "p95"} and stats["step"]["count"] == 6
    assert p.get_timing("epoch")["total"] >= p.get_timing("epoch/step")["total"] >= 0.006
    assert "epoch" in p.summary() and "costs about" in p.summary()
    with pytest.raises(ValueError, match="expected one of: epoch, step"):
        p.get_timing("nothing")
    p.reset()
    assert p.stats() == {}


def test_a_timer_ends_with_its_block_even_by_an_exception_and_threads_are_apart():
    p = PerformanceProfiler()
    with pytest.raises(KeyError), p.timer("a"):
        raise KeyError
    shared = p.timer("shared")

    def work():
        with p.timer("b"), p.timer("c"):
            pass

    with shared, shared:
        threads = [threading.Thread(target=work) for _ in range(4)]
        [t.start() for t in threads]
        [t.join() for t in threads]
    assert p.get_timing("a")["count"] == 1 and p.get_timing("b/c")["count"] == 4 and p.get_timing("shared/shared")["count"] == 1


def test_profile_function():
    p = PerformanceProfiler()

    @profile_function(profiler=p, name="add")
    def add(a, b=1):
        """Adds."""
        return a + b

    @profile_function
    def fails():
        raise ValueError("x")

    assert add(1) + add(1, b=2) == 5 and add.timing()["count"] == 2 and add.__doc__ == "Adds." and p.get_timing("add")["count"] == 2
    with pytest.raises(ValueError):
        fails()
    assert fails.timing()["count"] == 1


def test_profile_of_a_model_by_stage_and_layer(tmp_path):
    model = net()
    before = {k: v.numpy().copy() for k, v in model.state_dict().items()}
    result = mt.profile(model, (2, 3, 8, 8), backward=True)
    rows = result.rows
    assert {r["stage"] for r in rows} == {"forward", "backward"}
    forward = {r["layer"]: r for r in rows if r["stage"] == "forward" and r["macs"]}
    assert forward["0"]["macs"] == 2 * 8 * 64 * 27 and forward["4"]["macs"] == 2 * 512 * 4 and forward["0"]["shapes"].startswith("(2, 3, 8, 8)")
    assert any(r["layer"] == "0" and r["macs"] for r in rows if r["stage"] == "backward")
    assert sum(r["share"] for r in rows) == pytest.approx(1) and result.op_ms <= result.wall_ms
    assert json.loads(result.to_json()) == result.to_dict() and "backward" in str(result)
    after = model.state_dict()
    assert all(np.array_equal(after[k].numpy(), v) for k, v in before.items()) and all(p.grad is None for p in model.parameters())

    trace = tmp_path / "trace.json"
    result.chrome_trace(trace)
    events = json.loads(trace.read_text())["traceEvents"]
    assert all(e["ph"] in "XM" and isinstance(e["pid"], int) and isinstance(e["tid"], int) and e["name"] for e in events)
    assert {e["args"]["layer"] for e in events if e["ph"] == "X"} >= {"0", "1", "2", "4"}
    result.flame_graph(tmp_path / "flame.svg")
    texts = [t.text for t in ET.parse(tmp_path / "flame.svg").getroot().iter("{http://www.w3.org/2000/svg}title")]
    assert any(t.startswith("forward: ") for t in texts) and any(t.startswith("conv2d: ") for t in texts)


def test_macs_agree_with_the_counter_and_with_a_session():
    model = net()
    model.eval()
    counted = FLOPsCounter(model).count((1, 3, 8, 8))
    eager = sum(r["macs"] for r in mt.profile(model, np.zeros((1, 3, 8, 8), np.float32)).rows)
    session = mt.compile(model, (1, 3, 8, 8))
    with mt.profiler() as p:
        session(np.zeros((1, 3, 8, 8), np.float32))
    assert counted["total_macs"] == eager == sum(r["macs"] for r in p.rows) == 8 * 64 * 27 + 512 * 4


def test_profiler_block_sees_the_optimizer_and_ends_with_an_exception():
    model = mt.nn.Linear(4, 2)
    optimizer = mt.optim.Adam(model.parameters())
    with mt.profiler() as p:
        with pytest.raises(ValueError, match="to have ended"):
            p.rows
        model(np.ones((3, 4), np.float32)).sum().backward()
        optimizer.step()
    assert {r["stage"] for r in p.rows} == {"forward", "backward", "optimizer"} and p.to_text()
    with pytest.raises(KeyError), mt.profiler():
        raise KeyError
    with mt.profiler(), pytest.raises(ValueError, match="expected a thread that nothing watches"):
        with mt.profiler():
            pass
    with mt.profiler() as p:
        mt.ones((2,)) + 1
    assert [r["calls"] for r in p.rows if r["op"] == "add"] == [1]


def test_model_size_counts_parameters_and_buffers():
    model = net()
    size = estimate_model_size(model)
    parameters = 8 * 27 + 8 + 16 + 512 * 4 + 4
    assert size["parameters"] == parameters and size["parameter_bytes"] == 4 * parameters
    assert size["total_bytes"] == sum(np.asarray(v.numpy()).nbytes for v in model.state_dict().values())
    assert size["total_mb"] == size["total_bytes"] / 2**20


def test_import_stays_light():
    import subprocess
    import sys

    code = "import miniten, sys; assert 'miniten.monitor' not in sys.modules and 'http.server' not in sys.modules; miniten.profile; assert 'miniten.monitor' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
