"""Peers in turn, A B C A B C, each in its own process and stopped while others run; the tables, JSON and plot of what they gave."""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
OWN = Path(sys.executable)
OTHERS = HERE.parents[1] / ".venv/peers/bin/python"


class Peer:
    """`error` tells why there is none; else `turn` times it."""

    def __init__(self, name: str, python: Path, module: str, function: str, threads: int, patience: float = 300, **arguments: Any):
        self.name, self.error, self.label = name, "", name
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(HERE)}
        if not python.exists():
            self.error = "not installed: benchmarks/peers/setup.sh"
            return
        self.process = subprocess.Popen([str(python), str(HERE / "serve.py"), module, function, json.dumps({"threads": threads, **arguments})], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1, env=environment, start_new_session=True)
        answer = self._answer(patience)
        self.error = answer.get("error", "")
        self.label = answer.get("label", name)
        self._signal(signal.SIGKILL if self.error else signal.SIGSTOP)

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def _answer(self, patience: float) -> Any:
        ready = select.select([self.process.stdout], [], [], patience)[0]
        line = self.process.stdout.readline() if ready and self.process.stdout else ""
        return json.loads(line) if line else {"error": "it died" if ready else f"no answer in {patience:.0f} s"}

    def turn(self, milliseconds: float) -> float:
        """Median microseconds of a call."""
        self._signal(signal.SIGCONT)
        assert self.process.stdin
        self.process.stdin.write(f"{milliseconds}\n")
        self.process.stdin.flush()
        answer = self._answer(60)
        self._signal(signal.SIGSTOP)
        return answer if isinstance(answer, float) else float("nan")

    def refuse(self, why: str) -> None:
        self.close()
        self.error = why

    def close(self) -> None:
        if not self.error:
            self._signal(signal.SIGKILL)
            self.process.wait()


def arguments(networks: list[str], milliseconds: float) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("networks", nargs="*", default=networks)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--milliseconds", type=float, default=milliseconds, help="of a turn")
    parser.add_argument("--to", type=Path, default=Path("build/peers"))
    return parser


def measure(peers: list[Peer], rounds: int, milliseconds: float) -> dict[str, list[float]]:
    """Microseconds of each peer in each round."""
    running = [p for p in peers if not p.error]
    times: dict[str, list[float]] = {p.name: [] for p in running}
    for _ in range(rounds):
        for p in running:
            times[p.name].append(p.turn(milliseconds))
    return times


def check(folder: Path, peers: list[Peer], most: float) -> dict[str, float]:
    """How far each output lies from judge.npy; who lies farther than `most` computes something else and is not timed."""
    want = np.load(folder / "judge.npy").astype(np.float64)
    found = {}
    for p in peers:
        if p.error:
            continue
        got = np.load(folder / f"{p.name}.npy")
        if got.shape != want.shape and got.ndim == want.ndim > 1 and np.moveaxis(got, -1, 1).shape == want.shape:  # channels last, as in TFLite
            got = np.moveaxis(got, -1, 1)
        got = got.reshape(want.shape) if got.size == want.size else got
        apart = float(np.abs(got - want).max() / np.abs(want).max()) if got.size == want.size else float("inf")
        if apart <= most:
            found[p.name] = apart
        else:
            p.refuse(f"outputs differ by {apart:.1e}" if got.size == want.size else f"{got.size} outputs, {want.size} wanted")
    return found


def text(us: float) -> str:
    return f"{us:.1f} us" if us < 100 else f"{us:.0f} us" if us < 1000 else f"{us / 1e3:.2f} ms"


class Table:
    """A row for each network, MiniTen first; the ratio is that of the fastest peer to the fastest form of MiniTen, with the middle 80 % of its rounds."""

    def __init__(self, title: str, names: list[str]):
        self.title, self.names, self.labels, self.rows, self.notes = title, names, {}, [], []
        self.head = ["network", *names, "best peer / MiniTen", "middle 80 %"]

    def compare(self, network: str, peers: list[Peer], check: Callable[[list[Peer]], dict[str, float]], options: argparse.Namespace) -> None:
        """A row of what the peers take, after check has told how far each lies from the judge; they end with it."""
        try:
            apart = check(peers)
            self.add(network, peers, measure(peers, options.rounds, options.milliseconds), apart)
        finally:
            for p in peers:
                p.close()

    def add(self, network: str, peers: list[Peer], times: dict[str, list[float]], apart: dict[str, float]) -> None:
        medians = {name: float(np.median(t)) for name, t in times.items()}
        self.labels.update({p.name: p.label for p in peers if not p.error})
        self.notes += [f"{network}: {p.name}: {p.error}" for p in peers if p.error]
        if peers[0].error:
            raise RuntimeError(f"MiniTen: {peers[0].error}")
        own, best = (min((n for n in medians if n.startswith("MiniTen") == ours), key=lambda n: medians[n]) for ours in (True, False))
        low, ratio, high = np.percentile(np.array(times[best]) / np.array(times[own]), [10, 50, 90])
        self.rows.append({"network": network, "microseconds": times, "medians": medians, "best_peer": best, "ratio": float(ratio), "low": float(low), "high": float(high), "apart": apart})
        cells = [text(medians[n]) + (f" ({apart[n]:.0e})" if apart.get(n, 0) > 1e-3 else "") if n in medians else "-" for n in self.names]
        if len(self.rows) == 1:
            print(f"\n{self.title}\n\n| {' | '.join(self.head)} |\n|{'---|' * len(self.head)}", flush=True)
        print(f"| {network} | {' | '.join(cells)} | {best} {ratio:.2f}x | {low:.2f} to {high:.2f} |", flush=True)

    def save(self, path: Path) -> None:
        """path.json, and path.png: how many times MiniTen's time each peer takes."""
        import miniten.viz as viz

        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".json").write_text(json.dumps({"title": self.title, "labels": self.labels, "rows": self.rows, "notes": self.notes}, indent=1))
        figure, axes = viz.subplots(figsize=(10, 4.5))
        drawn = [n for n in self.names if n != "MiniTen" and any(n in r["medians"] for r in self.rows)]
        width = 0.8 / max(1, len(drawn))
        for k, name in enumerate(drawn):
            at = [i + (k - (len(drawn) - 1) / 2) * width for i, r in enumerate(self.rows) if name in r["medians"]]
            axes.bar(at, [r["medians"][name] / r["medians"]["MiniTen"] for r in self.rows if name in r["medians"]], width, label=name)
        axes.axhline(1, color="black", linewidth=1)
        axes.set_xticks(range(len(self.rows)), [r["network"] for r in self.rows])
        axes.set_yscale("log")
        axes.set_ylabel("time / MiniTen's")
        axes.set_title(self.title)
        axes.legend()
        figure.savefig(path.with_suffix(".png"))
        print("\n" + ", ".join(self.labels.values()) + "".join(f"\n- {n}" for n in self.notes) + f"\n{path}.json, .png", flush=True)
