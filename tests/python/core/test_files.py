"""save and load of tensors and state."""

import numpy as np
import pytest

import miniten as mt
from miniten import nn, optim


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int8", "int64", "uint8", "bool"])
def test_a_tensor_comes_back(tmp_path, dtype):
    for t in (mt.tensor([[0, 1, 1], [1, 0, 1]], dtype=dtype), mt.zeros(0, 3, dtype=dtype), mt.ones((), dtype=dtype), mt.ones(2, 3, dtype=dtype).T):
        size = mt.save(t, tmp_path / "t.npz")
        assert size == (tmp_path / "t.npz").stat().st_size
        back = mt.load(tmp_path / "t.npz")
        assert back.dtype == dtype and back.shape == t.shape and back.tolist() == t.tolist()
        assert mt.load((tmp_path / "t.npz").read_bytes()).tolist() == t.tolist()
    assert [p.name for p in tmp_path.iterdir()] == ["t.npz"]


def test_numpy_reads_the_file(tmp_path):
    model = nn.Linear(3, 2)
    mt.save(model.state_dict(), str(tmp_path / "m.npz"))
    with np.load(tmp_path / "m.npz") as f:
        assert np.array_equal(f["weight"], model.weight.detach().numpy())
    other = nn.Linear(3, 2)
    other.load_state_dict(mt.load(tmp_path / "m.npz"))
    assert other.weight.tolist() == model.weight.tolist()


def test_a_checkpoint_comes_back(tmp_path):
    model = nn.Linear(3, 2)
    opt = optim.Adam(model.parameters())
    model(mt.ones(1, 3)).sum().backward()
    opt.step()
    state = {"model": model.state_dict(), "optimizer": opt.state_dict(), "epoch": 3, "best": 0.5, "notes": ["a", None, True, (1, 2)], 7: {}, "raw": np.arange(3)}
    mt.save(state, tmp_path / "c.npz")
    back = mt.load(tmp_path / "c.npz")
    assert list(back) == list(state) and back["epoch"] == 3 and back["best"] == 0.5 and back["notes"] == ["a", None, True, (1, 2)] and back[7] == {}
    assert back["raw"].tolist() == [0, 1, 2]
    nn.Linear(3, 2).load_state_dict(back["model"])
    optim.Adam(nn.Linear(3, 2).parameters()).load_state_dict(back["optimizer"])


def test_wrong_files_and_things_are_refused(tmp_path):
    good = tmp_path / "g.npz"
    mt.save(mt.arange(1000), good)
    for wrong in (object(), {"a": {1, 2}}, {(1, 2): 3}, print):
        with pytest.raises(TypeError, match="save"):
            mt.save(wrong, tmp_path / "x.npz")
    assert not (tmp_path / "x.npz").exists()
    with pytest.raises(OSError):
        mt.save(mt.ones(1), tmp_path / "missing" / "x.npz")
    with pytest.raises(OSError):
        mt.load(tmp_path / "missing.npz")
    with pytest.raises(TypeError, match="path"):
        mt.load(3)
    data = good.read_bytes()
    for broken in (b"", b"text", data[:100], data[:-30], data[: len(data) // 2] + bytes(8) + data[len(data) // 2 + 8 :]):
        with pytest.raises((ValueError, OSError)):
            mt.load(broken)
