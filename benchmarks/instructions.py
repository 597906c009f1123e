"""Instructions that one inference takes, counted by Callgrind: what a busy machine cannot blur.

    python benchmarks/instructions.py PROGRAM [--write]

PROGRAM is the example run_model (build/dev/examples/cpp/run_model). Counts of representative networks are compared with
benchmarks/instructions.json; one that grew by more than 3 % is an error, --write stores what was counted. Forced to AVX2, the widest
instruction set that Valgrind knows, on one thread; another compiler counts differently, so counts are kept for the one that they
were made with.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from nets import ALL, TEXT

import miniten as mt
from miniten import nn
from miniten.edge import export_miniten, quantize_model

KEPT = Path(__file__).with_suffix(".json")
LIMIT = 1.03
NETS = {**ALL, "encoder": TEXT["encoder"]}


def count(program: str, model: Path, x: Path) -> int:
    tool = ["valgrind", "--tool=callgrind", "--toggle-collect=miniten_run", "--callgrind-out-file=/dev/null"]
    run = subprocess.run([*tool, program, str(model), str(x)], capture_output=True, env={**os.environ, "MINITEN_ISA": "avx2"}, check=True)
    found = re.search(rb"Collected : (\d+)", run.stderr)
    if not found or int(found[1]) == 0:
        sys.exit(f"Callgrind counted nothing: {run.stderr.decode()[-500:]}")
    return int(found[1])


def counted(program: str) -> dict[str, int]:
    rng = np.random.default_rng(0)
    counts = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, make in NETS.items():
            mt.manual_seed(0)
            model, shape = make(nn)
            data = rng.standard_normal((4, *shape[1:])).astype(np.float32)
            model.train()
            model(data)
            model.eval()
            data[0].tofile(x := Path(folder) / "x.bin")
            for kind, m in (("float32", model), ("int8", quantize_model(model, dtype="int8", calibration_data=data))):
                export_miniten(m, path := Path(folder) / "model.npz", input_shape=shape)
                counts[f"{name} {kind}"] = count(program, path, x)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    compiler = subprocess.run(["c++", "-dumpfullversion"], capture_output=True, text=True, check=True).stdout.strip()
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {"compiler": "", "counts": {}}
    if not options.write and kept["compiler"] != compiler:
        print(f"instructions were counted for GCC {kept['compiler']}, here is {compiler}: not compared")
        return
    now = counted(options.program)
    grown = []
    print("| network | instructions | before |\n|---|---|---|")
    for name, n in now.items():
        before = kept["counts"].get(name, 0)
        print(f"| {name} | {n:,} | {n / before - 1:+.2%} |" if before else f"| {name} | {n:,} | |")
        if not options.write and (not before or n > before * LIMIT):
            grown.append(name)
    if options.write:
        KEPT.write_text(json.dumps({"compiler": compiler, "counts": now}, indent=1) + "\n")
    elif grown:
        sys.exit(f"more than {LIMIT - 1:.0%} more instructions than kept, or none kept: {', '.join(grown)}; if that is meant, store the counts with --write")


if __name__ == "__main__":
    main()
