"""Training steps of MiniTen, compiled and eager, beside torch's (fused optimizers, channels last; compiled and eager) and JAX's (one
jitted function).

    benchmarks/peers/setup.sh; python benchmarks/peers/training.py [--threads 1] [--rounds 15] [--to build/peers] [STEP ...]

A step is a row of nets.TRAINED, NETWORK_BATCH_OPTIMIZER; the beginning of a name chooses all that begin so. All begin with the same weights and one batch. A number in brackets tells how far the losses of the first three steps lie from torch's,
relative, where that is above 1e-3.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from processes import OTHERS, OWN, Peer, Table, arguments

import miniten as mt
from miniten import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import nets  # noqa: E402


def apart(folder: Path, peers: list[Peer]) -> dict[str, float]:
    losses = {p.name: np.load(folder / f"{p.name}.npy") for p in peers if not p.error}
    return {name: float(np.abs(found / losses["torch"] - 1).max()) for name, found in losses.items()}


def main() -> None:
    options = arguments(list(nets.TRAINED), 80).parse_args()
    unknown = [n for n in options.networks if not any(name.startswith(n) for name in nets.TRAINED)]
    if unknown:
        raise SystemExit(f"no step begins with {', '.join(unknown)}: {', '.join(nets.TRAINED)}")
    table = Table(f"Training step, {options.threads} thread(s), {mt.cpu_info()['isa']}", ["MiniTen", "MiniTen eager", "torch", "torch compiled", "JAX"])
    for name in (n for n in nets.TRAINED if n.startswith(tuple(options.networks))):
        with tempfile.TemporaryDirectory() as folder:
            mt.manual_seed(0)
            model, _ = nets.TRAINED[name].network(nn)
            weights = Path(folder) / "weights.npz"
            np.savez(weights, **{k: v.numpy() for k, v in model.state_dict().items()})
            peers = [
                Peer(label, python, "steps", function, options.threads, net=name, weights=str(weights), outputs=f"{folder}/{label}.npy", **more)
                for label, python, function, more in (("MiniTen", OWN, "miniten", {}), ("MiniTen eager", OWN, "miniten", {"compiled": False}), ("torch", OWN, "torch", {}), ("torch compiled", OWN, "torch", {"compiled": True}), ("JAX", OTHERS, "jax", {}))
            ]
            table.compare(name, peers, lambda peers: apart(Path(folder), peers), options)
    table.save(options.to / f"training_{options.threads}")


if __name__ == "__main__":
    main()
