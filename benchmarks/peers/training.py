"""A compiled training step of MiniTen beside torch's (fused Adam, channels last; eager and compiled) and JAX's (one jitted function).

    benchmarks/peers/setup.sh; python benchmarks/peers/training.py [--threads 1] [--batch 32] [--rounds 15] [--to build/peers] [NETWORK ...]

All begin with the same weights and one batch. A number in brackets tells how far the losses of the first three steps lie from torch's,
relative, where that is above 1e-3.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from processes import OTHERS, OWN, Peer, Table, measure

import miniten as mt
from miniten import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import nets  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("networks", nargs="*", default=list(nets.ALL))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--milliseconds", type=float, default=80)
    parser.add_argument("--to", type=Path, default=Path("build/peers"))
    options = parser.parse_args()
    table = Table(f"Training step, Adam, batch {options.batch}, {options.threads} thread(s), {mt.cpu_info()['isa']}", ["MiniTen", "torch", "torch compiled", "JAX"])
    for name in options.networks:
        with tempfile.TemporaryDirectory() as folder:
            mt.manual_seed(0)
            model, _ = nets.ALL[name](nn)
            weights = Path(folder) / "weights.npz"
            np.savez(weights, **{k: v.numpy() for k, v in model.state_dict().items()})
            peers = [
                Peer(label, python, "steps", function, options.threads, net=name, weights=str(weights), batch=options.batch, outputs=f"{folder}/{label}.npy", **more)
                for label, python, function, more in (("MiniTen", OWN, "miniten", {}), ("torch", OWN, "torch", {}), ("torch compiled", OWN, "torch", {"compiled": True}), ("JAX", OTHERS, "jax", {}))
            ]
            losses = {p.name: np.load(f"{folder}/{p.name}.npy") for p in peers if not p.error}
            try:
                times = measure(peers, options.rounds, options.milliseconds)
                table.add(name, peers, times, {n: float(np.abs(found / losses["torch"] - 1).max()) for n, found in losses.items()})
            finally:
                for p in peers:
                    p.close()
    table.save(options.to / f"training_{options.threads}")


if __name__ == "__main__":
    main()
