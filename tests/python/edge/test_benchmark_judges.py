"""The benchmark's clock beside hyperfine's, its memory beside the kernel's account and valgrind's heap."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from judges import program
from miniten import edge, nn

BUILT = Path(__file__).resolve().parents[3] / "build" / "dev" / "bin" / "miniten"


def test_a_sleeping_program_takes_as_long_as_hyperfine_says(tmp_path):
    """The shortest of both: a busy machine holds up any single run."""
    done = tmp_path / "times.json"
    subprocess.run([program("hyperfine"), "-N", "--warmup", "1", "--runs", "12", "--export-json", done, "sleep 0.05"], check=True, capture_output=True, timeout=60)
    theirs = sorted(1000 * t for t in json.loads(done.read_text())["results"][0]["times"])
    mine = edge.benchmark_model(lambda: os.waitpid(os.posix_spawnp("sleep", ["sleep", "0.05"], os.environ), 0), num_runs=12, warmup_runs=1)
    assert min(mine["min_latency_ms"], theirs[0]) >= 50
    assert abs(mine["min_latency_ms"] - theirs[0]) < 10, (mine["latencies_ms"], theirs)


def test_the_peak_is_the_kernels():
    """Another process looks at /proc/PID/smaps_rollup meanwhile: it sees nearly the peak that is told, and never more."""
    code = """
import json, sys
from miniten import edge, nn
net = nn.Sequential(nn.Linear(2048, 2048), nn.ReLU(), nn.Linear(2048, 2048), nn.ReLU(), nn.Linear(2048, 2048))
edge.memory_benchmark(nn.Linear(2, 2), (1, 2))
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps([edge.memory_benchmark(net, (64, 2048)) for _ in range(8)]), flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "ready\n"
        child.stdin.write("go\n")
        child.stdin.flush()
        seen = 0
        while child.poll() is None:
            try:
                rollup = Path(f"/proc/{child.pid}/smaps_rollup").read_text()
            except (FileNotFoundError, ProcessLookupError):
                break
            rss = [int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Rss:")]
            seen = max([seen, *rss])
        told = json.loads(child.stdout.read())
    peak = max(r["peak_memory_mb"] for r in told)
    assert told[0]["weight_bytes"] >= 3 * 2048 * 2048 * 4 and not told[0]["peak_is_sampled"]
    assert 0.9 * peak < seen / 1024 < peak + 2


@pytest.mark.skipif(not BUILT.exists(), reason="wants the C++ build")
def test_weights_and_arena_are_massifs(tmp_path):
    """Between a large net and a small one valgrind's heap grows by the weights, packed too, and the arena: the file's bytes are gone by then."""
    heap, told = {}, {}
    for name, width in (("small", 8), ("large", 1024)):
        net = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)).eval()
        edge.export_miniten(net, tmp_path / f"{name}.npz", input_shape=(1, width))
        told[name] = edge.memory_benchmark(net, (16, width))
        out = tmp_path / f"{name}.massif"
        subprocess.run([program("valgrind"), "--tool=massif", f"--massif-out-file={out}", str(BUILT), "bench", tmp_path / f"{name}.npz", "--shape", f"16,{width}", "--runs", "1", "--warmup", "0",
                        "--threads", "1"], check=True, capture_output=True, timeout=110)
        heap[name] = max(int(line.split("=")[1]) for line in out.read_text().splitlines() if line.startswith("mem_heap_B="))
    m = told["large"]
    floats = 4 * 2 * (1024 * 1024 + 1024)
    grown = m["weight_bytes"] + m["arena_bytes"] + 4 * 16 * 1024
    assert m["arena_bytes"] >= 4 * 16 * 1024 and m["weight_bytes"] >= floats
    assert heap["large"] - heap["small"] == pytest.approx(grown, rel=0.15)
