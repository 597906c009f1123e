"""safetensors files, judged by the format's own library."""

import json

import numpy as np
import pytest
import safetensors
import safetensors.numpy
import safetensors.torch
import torch

import miniten as mt
from miniten import nn

DTYPES = ["float64", "int64", "uint64", "float32", "int32", "uint32", "float16", "int16", "uint16", "int8", "uint8", "bool"]


def arrays(rng):
    return {f"{t}.{i}": np.asarray(rng.standard_normal(shape) * 9).astype(t) for t in DTYPES for i, shape in enumerate([(), (0, 3), (5,), (2, 1, 3)])}


def framed(header, values=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + values


def test_reads_what_the_library_writes():
    want = arrays(np.random.default_rng(0))
    got, metadata = mt.load_safetensors(safetensors.numpy.save(want, metadata={"by": "ü \n", "epoch": "3"}), with_metadata=True)
    assert metadata == {"by": "ü \n", "epoch": "3"} and set(got) == set(want)
    for name, array in want.items():
        assert got[name].numpy().dtype == array.dtype
        np.testing.assert_array_equal(got[name].numpy(), array)


def test_the_library_reads_what_we_write(tmp_path):
    want = arrays(np.random.default_rng(1))
    size = mt.save_safetensors(want, tmp_path / "a.safetensors", metadata={"by": "ü"})
    assert size == (tmp_path / "a.safetensors").stat().st_size
    got = safetensors.numpy.load_file(tmp_path / "a.safetensors")
    assert set(got) == set(want)
    for name, array in want.items():
        np.testing.assert_array_equal(got[name], array)
    with safetensors.safe_open(tmp_path / "a.safetensors", "np") as f:
        assert f.metadata() == {"by": "ü"}


def test_same_bytes_as_the_library(tmp_path):
    want = arrays(np.random.default_rng(2))
    theirs = safetensors.numpy.save(want)
    mt.save(want, tmp_path / "m.safetensors")
    assert (tmp_path / "m.safetensors").read_bytes() == theirs


def test_bfloat16_and_strided(tmp_path):
    x = torch.randn(4, 5).to(torch.bfloat16)
    safetensors.torch.save_file({"x": x}, tmp_path / "x.safetensors")
    got = mt.load(tmp_path / "x.safetensors")["x"]
    assert str(got.dtype) == "bfloat16"
    np.testing.assert_array_equal(mt.cast(got, mt.float32).numpy(), x.float().numpy())
    mt.save({"x": got.T}, tmp_path / "t.safetensors")
    assert torch.equal(safetensors.torch.load_file(tmp_path / "t.safetensors")["x"], x.T)


def test_a_state_dict_of_torch_loads(tmp_path):
    theirs = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.Flatten(), torch.nn.Linear(48, 2)).eval()
    safetensors.torch.save_file(theirs.state_dict(), tmp_path / "net.safetensors")
    ours = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(48, 2)).eval()
    ours.load_state_dict(mt.load(str(tmp_path / "net.safetensors")))
    x = np.random.default_rng(0).standard_normal((2, 1, 6, 6)).astype("float32")
    np.testing.assert_allclose(ours(x).numpy(), theirs(torch.from_numpy(x)).detach().numpy(), atol=1e-5)
    safetensors.torch.save_file({k: v.half() if v.is_floating_point() else v for k, v in theirs.state_dict().items()}, tmp_path / "half.safetensors")
    ours.load_state_dict(mt.load(tmp_path / "half.safetensors"))
    np.testing.assert_allclose(ours(x).numpy(), theirs(torch.from_numpy(x)).detach().numpy(), atol=2e-2)
    mt.save(ours, tmp_path / "back.safetensors")
    theirs.load_state_dict(safetensors.torch.load_file(tmp_path / "back.safetensors"))


F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
DAMAGED = {
    "short": b"\0\0",
    "header beyond the end": (1 << 40).to_bytes(8, "little") + b"{}",
    "no object": framed(b"[1]"),
    "no JSON": framed(b"{\"a\":"),
    "too few values": framed({"a": F32}, b"1234"),
    "bytes unused": framed({"a": F32}, b"123456789"),
    "hole": framed({"a": F32, "b": {"dtype": "F32", "shape": [1], "data_offsets": [12, 16]}}, bytes(16)),
    "overlap": framed({"a": F32, "b": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, bytes(8)),
    "shape and bytes differ": framed({"a": {**F32, "shape": [3]}}, bytes(8)),
    "overflow": framed({"a": {**F32, "shape": [1 << 62, 1 << 62]}}, bytes(8)),
    "negative size": framed({"a": {**F32, "shape": [-2]}}, bytes(8)),
    "offsets reversed": framed({"a": {**F32, "data_offsets": [8, 0]}}, bytes(8)),
    "name twice": framed(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"1"),
    "bool of 2": framed({"a": {"dtype": "BOOL", "shape": [1], "data_offsets": [0, 1]}}, b"\2"),
    "too deep": framed(b"{" + b'"a":{' * 5000 + b"}" * 5001),
    "text in metadata": framed({"__metadata__": {"a": 1}}),
    "nine axes": framed({"a": {"dtype": "U8", "shape": [1] * 9, "data_offsets": [0, 1]}}, b"1"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged(name):
    with pytest.raises((ValueError, IndexError, NotImplementedError), match=r"\[(safetensors|shape)"):
        mt.load_safetensors(DAMAGED[name])


def test_refusals(tmp_path):
    path = tmp_path / "m.safetensors"
    with pytest.raises(NotImplementedError, match="F8_E4M3"):
        mt.load_safetensors(framed({"a": {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [0, 1]}}, b"1"))
    with pytest.raises(NotImplementedError, match="int4"):
        mt.save_safetensors({"a": mt.cast(mt.tensor([1, 2]), mt.int4)}, path)
    with pytest.raises(ValueError, match="__metadata__"):
        mt.save_safetensors({"__metadata__": np.ones(1)}, path)
    with pytest.raises(TypeError, match="text"):
        mt.save_safetensors({"a": np.ones(1)}, path, metadata={"epoch": 3})
    with pytest.raises(TypeError, match="npz keeps"):
        mt.save({"a": {"b": np.ones(1)}}, path)
    with pytest.raises(OSError, match="none"):
        mt.save_safetensors({"a": np.ones(1)}, tmp_path / "none" / "m.safetensors")
    assert not list(tmp_path.iterdir())
