"""MiniTen's own files: what is loaded keeps its values whatever happens to the file, and the file keeps its own."""

import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import miniten as mt
from miniten import nn


def net(seed=1):
    mt.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(16, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.Flatten(), nn.Linear(64 * 36, 10)).eval()


SHAPE = (1, 16, 8, 8)


def saved(folder, seed=1):
    model = net(seed)
    model(mt.zeros(SHAPE))
    mt.save(model, folder / "m.npz")
    return model, folder / "m.npz"


@pytest.mark.parametrize("event", ["saved over", "renamed over", "cut", "deleted"])
def test_a_loaded_model_needs_its_file_no_longer(tmp_path, event):
    model, path = saved(tmp_path)
    x = mt.randn(SHAPE)
    expected = mt.load(path)(x).numpy()
    np.testing.assert_allclose(expected, model(x).numpy(), rtol=1e-4, atol=1e-4)
    loaded = mt.load(path)
    if event == "saved over":
        saved(tmp_path, seed=2)
    elif event == "renamed over":
        subprocess.run([sys.executable, "-c", "import os, sys; open(sys.argv[1] + '.new', 'wb').write(bytes(1000)); os.replace(sys.argv[1] + '.new', sys.argv[1])", str(path)], check=True)
    elif event == "cut":
        os.truncate(path, 0)
    else:
        path.unlink()
    np.testing.assert_array_equal(loaded(x).numpy(), expected)
    np.testing.assert_allclose(mt.compile(loaded, SHAPE).run(x).numpy(), expected, rtol=1e-4, atol=1e-4)
    mt.save(loaded, path)
    np.testing.assert_array_equal(mt.load(path)(x).numpy(), expected)


def test_training_what_was_loaded_leaves_the_file(tmp_path):
    _, path = saved(tmp_path)
    before = path.read_bytes()
    loaded = mt.load(path)
    again = pickle.loads(pickle.dumps(loaded.state_dict()))
    x = mt.randn(SHAPE)
    optimizer = mt.optim.SGD(loaded.parameters(), lr=0.1)
    mt.sum(loaded.train()(x) ** 2).backward()
    optimizer.step()
    assert path.read_bytes() == before
    assert any(not np.array_equal(p.numpy(), again[name].numpy()) for name, p in loaded.named_parameters())
    fresh = mt.load(path)
    for name, value in fresh.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), again[name].numpy())


def test_a_tensor_outlives_the_model_it_came_with(tmp_path):
    model, path = saved(tmp_path)
    weight = next(p for p in mt.load(path).parameters() if p.ndim == 2)
    np.testing.assert_array_equal(weight.numpy(), next(p for p in model.parameters() if p.ndim == 2).numpy())


def test_large_arrays_begin_at_multiples_of_64(tmp_path):
    _, path = saved(tmp_path)
    data = path.read_bytes()
    large = 0
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        for info in archive.infolist():
            if info.filename.endswith(".npy") and info.compress_type == zipfile.ZIP_STORED and info.file_size >= 1 << 14:
                begin = info.header_offset + 30 + int.from_bytes(data[info.header_offset + 26 : info.header_offset + 28], "little") + int.from_bytes(data[info.header_offset + 28 : info.header_offset + 30], "little")
                assert begin % 64 == 0
                large += 1
    assert large == 2 + 1
    with np.load(path) as arrays:
        assert sum(arrays[name].size for name in arrays.files if name != "manifest.json") > 0


def test_numpys_files_load_alike_wherever_their_arrays_lie(tmp_path):
    model, _ = saved(tmp_path)
    arrays = {name: value.numpy() for name, value in model.state_dict().items()}
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)
        loaded = mt.load(tmp_path / "a.npz")
        assert loaded.keys() == arrays.keys()
        for name, value in loaded.items():
            np.testing.assert_array_equal(value.numpy(), arrays[name])


def test_models_load_and_run_without_numpy(tmp_path):
    _, path = saved(tmp_path)
    code = (
        "import sys, miniten as mt, miniten.edge\n"
        "s = mt.compile(mt.load(sys.argv[1]), (1, 16, 8, 8)); s.run(mt.zeros((1, 16, 8, 8)))\n"
        "assert 'numpy' not in sys.modules\n"
        "a = mt.metrics.Accuracy(); a.update(mt.ones((2, 3)), mt.zeros((2,), dtype='int64')); assert a.compute() == 1 and 'numpy' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)


def test_load_reads_a_file_once(tmp_path):
    _, path = saved(tmp_path)
    code = (
        "import sys, miniten as mt\n"
        "def read(): return int(open('/proc/self/io').readline().split()[1])\n"
        "def by(f):\n"
        "    before = read(); kept = f(); return read() - before\n"
        "by(lambda: mt.load(sys.argv[1]))\n"
        "plain = by(lambda: None); print(by(lambda: mt.load(sys.argv[1])) - plain)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True)
    assert path.stat().st_size <= int(done.stdout) < 1.5 * path.stat().st_size
