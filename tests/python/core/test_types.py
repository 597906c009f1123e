"""The stubs that ship with the package, as mypy reads them."""

import os
import site
import subprocess
import sys
from pathlib import Path

from judges import judge

import miniten

judge("mypy")

SAMPLE = """
import numpy as np
import miniten as mt
from miniten import nn, optim

class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 2, (3, 3), padding="same")

    def forward(self, x: mt.Tensor) -> mt.Tensor:
        return (mt.relu(self.layer(x)) * 2 + np.ones(2)).flatten(1)[:, 0].float()

net = Net().eval()
opt = optim.Adam(net.parameters(), lr=1e-3, betas=(0.9, 0.99))
loss: mt.Tensor = nn.CrossEntropyLoss()(net(mt.zeros(2, 3)), [0, 1])
loss.backward()
session: mt.Session = mt.compile(net, (1, 3, 8, 8), threads=1)
a: np.ndarray = (mt.tensor([1.0], dtype="float32") @ np.ones(1)).numpy()
n: int = loss.numel()
steps: mt.Tensor = mt.tensor([1.0, 4.0]).diff(n=1)
least: mt.Tensor = loss.aminmax().min
state: dict[str, mt.Tensor] = net.state_dict()
with mt.no_grad():
    value: float = loss.item()
"""


def test_stubs(tmp_path):
    package = Path(miniten.__file__).parent
    good, wrong = tmp_path / "good.py", tmp_path / "wrong.py"
    good.write_text(SAMPLE)
    wrong.write_text("import miniten as mt\nmt.tensor([1.0]).no_such_method()\nmt.zeros(2).reshape('a')\nx: int = mt.zeros(2)\n")
    env = dict(os.environ)
    if str(package.parent) not in site.getsitepackages():  # mypy finds those by itself and refuses them in MYPYPATH
        env["MYPYPATH"] = str(package.parent)
    run = lambda f: subprocess.run([sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), str(f)], env=env, capture_output=True, text=True, cwd=tmp_path)  # noqa: E731
    result = run(good)
    assert result.returncode == 0, result.stdout
    assert run(wrong).stdout.count("error:") == 3
    assert (package / "py.typed").exists()
