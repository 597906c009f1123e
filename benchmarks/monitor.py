"""What watching costs: python benchmarks/monitor.py [--dashboard]

A compiled training step of about a millisecond without and with a logged loss, in turn, by CPU time; one call of log over a million,
and the memory it leaves. --dashboard: 100 runs of 10,000 points in one page, and how long Chromium takes to open it, to draw
all curves while the smoothing slider moves, and to follow the pointer (tools/setup.sh judges brings the browser).
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import miniten as mt
from miniten import nn
from miniten.monitor import Dashboard, MemoryProfiler, MetricsLogger


def training(folder):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((64, 256), np.float32), rng.integers(0, 10, 64)
    model = nn.Sequential(nn.Linear(256, 1024), nn.ReLU(), nn.Linear(1024, 10))
    step = mt.compile_step(model, nn.CrossEntropyLoss(), mt.optim.Adam(model.parameters()), x.shape, y.shape, target_dtypes="int64")
    with MetricsLogger(folder, "training") as log:
        seconds = np.empty((4000, 2))
        for pair in seconds:
            for logged in (0, 1):
                start = time.thread_time()
                loss = float(step(x, y)[0])
                if logged:
                    log.log("loss", loss)
                pair[logged] = time.thread_time() - start
    plain, logged = np.median(seconds, 0)
    spread = 1.25 * np.std(np.sort(seconds[:, 0])[400:-400]) * np.sqrt(2 / len(seconds)) / plain
    print(f"step {1e3 * plain:.3f} ms, logged {1e3 * logged:.3f} ms of CPU time: {100 * (logged / plain - 1):+.2f} % (medians of {len(seconds)} in turn, uncertain by {100 * spread:.2f})")


def logging(folder, points=1_000_000):
    with MetricsLogger(folder, "logging") as log, MemoryProfiler() as memory:
        log.log("loss", 0.0)
        before = memory.sample("before")["memory_mb"]
        start = time.process_time()
        for step in range(points):
            log.log("loss", step * 1e-6, step)
        seconds = time.process_time() - start
        grown = memory.sample("after")["memory_mb"] - before
    print(f"log {1e6 * seconds / points:.2f} us a call, files written; {grown:+.2f} MB after {points:,}")


FRAMES = """(async act => {
  const frame = () => new Promise(done => requestAnimationFrame(done)), times = [];
  for (let i = 0; i < 21; ++i) { await frame(); const start = performance.now(); act(i); await frame(); await frame(); times.push(performance.now() - start); }
  return times.sort((a, b) => a - b)[10];
})"""


def dashboard(folder, runs=100, points=10_000):
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
    from browser import browser

    rng = np.random.default_rng(0)
    for r in range(runs):
        with MetricsLogger(folder / "runs", f"run {r:03d}") as log:
            loss = np.exp(-np.arange(points) / points * rng.uniform(1, 4)) + 0.05 * rng.standard_normal(points)
            for step, value in enumerate(loss.tolist()):
                log.log("loss", value, step)
    start = time.perf_counter()
    size = Dashboard(folder / "runs").generate(folder / "page.html")
    made = time.perf_counter() - start
    start = time.perf_counter()
    page = browser().page(f"file://{folder}/page.html", 1400, 900)
    page.settle()
    opened = time.perf_counter() - start
    page.evaluate("[...document.querySelectorAll('button')].find(b => b.textContent === 'all').click()")
    page.settle()
    smooth = page.evaluate(FRAMES + "(i => { const s = document.getElementById('smooth'); s.value = 0.4 + 0.02 * i; s.dispatchEvent(new Event('input')); })")
    page.wait("moving === 0")
    hover = page.evaluate(FRAMES + "(i => { const c = document.querySelector('.chart'), r = c.getBoundingClientRect(); "
                          "c.dispatchEvent(new PointerEvent('pointermove', {clientX: r.x + 60 + 12 * i, clientY: r.y + 90, bubbles: true})); })")
    print(f"dashboard of {runs} x {points:,}: {size / 1e6:.1f} MB, made in {made:.1f} s, opened in {opened:.1f} s; two frames while smoothing {smooth:.0f} ms, while hovering {hover:.0f} ms")
    page.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--dashboard", action="store_true")
    arguments = parser.parse_args()
    mt.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        training(Path(place) / "runs_of_training")
        logging(Path(place) / "runs_of_logging")
        if arguments.dashboard:
            dashboard(Path(place))
